//! What a verdict may depend on: the rows an envelope touches, loaded and locked before it is
//! decided, and changed in memory as it is. Pure data; `load.rs` fills it, `persist.rs` writes what
//! changed.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::{Channel, Repayment};
use daybook_shared::ids::{
    AckHash, AgentId, DeviceId, DossierId, EntryId, EnvelopeId, Hash, PaymentId, UserId, sha256,
};
use daybook_shared::money::Money;
use daybook_shared::schedule::Instalment;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::Outcome;

use crate::portfolio::account::{AccountRow, AllocationRow};
use crate::portfolio::allocation::Payment;
use crate::portfolio::payment::plain_reference;
use crate::portfolio::versions::Earned;

/// A device and its user.
#[derive(Debug, Clone)]
pub struct Device {
    /// Row key.
    pub id: i64,
    /// The device's id.
    pub uid: DeviceId,
    /// The user's row key.
    pub user_id: i64,
    /// The user's id.
    pub user_uid: UserId,
    /// From when on its captures wait for a person: the device was retired or the user deactivated.
    pub deactivated_at: Option<Timestamp>,
    /// Lost or stolen: nothing of it is believed without a person.
    pub lost: bool,
    /// Bytes of refused board changes kept for it.
    pub quarantined_bytes: i64,
}

/// An install of a device.
#[derive(Debug, Clone)]
pub struct Install {
    /// Row key.
    pub id: i64,
    /// The number of the last envelope taken.
    pub last_number: i64,
    /// The last envelope taken.
    pub last_envelope: EnvelopeId,
    /// Server time of the `after` in the last envelope's header.
    pub after_at: Option<Timestamp>,
    /// Whether it changed.
    pub dirty: bool,
}

/// What a dossier is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The collection work on an account (its row key).
    Case(i64),
    /// An officer's day (the user's row key).
    Day(i64),
    /// An agent (row key).
    Agent(i64),
    /// Named by an entry only.
    Unknown,
}

/// A dossier's row.
#[expect(clippy::struct_excessive_bools, reason = "its parts change each on its own")]
#[derive(Debug, Clone)]
pub struct Dossier {
    /// Row key; 0 while it is to be inserted.
    pub id: i64,
    /// The dossier's id.
    pub uid: DossierId,
    /// What it is about.
    pub about: About,
    /// The caseload it is in.
    pub caseload: Option<i64>,
    /// The membership's epoch.
    pub epoch: i64,
    /// The newest version.
    pub version: i64,
    /// The version of the newest board change.
    pub board_version: i64,
    /// Facts: the profile section changed.
    pub profile_changed: bool,
    /// Facts: the schedule section changed.
    pub schedule_changed: bool,
    /// Facts: the state section changed.
    pub state_changed: bool,
    /// Facts: the promises section changed.
    pub promises_changed: bool,
    /// Facts: the timeline section changed.
    pub timeline_changed: bool,
    /// The board changed.
    pub board_changed: bool,
    /// What it is about was found out now: its row is to be inserted, or says only its name.
    pub opened: bool,
    /// Whether it got a new version.
    pub dirty: bool,
    /// It is erased: what comes is judged, and nothing of it is kept for longer.
    pub erased: bool,
    /// Its assignment history, oldest first: from when in which caseload.
    pub history: Vec<(Timestamp, Option<i64>)>,
}

/// An account with its schedule.
#[derive(Debug, Clone)]
pub struct Account {
    /// The row.
    pub row: AccountRow,
    /// The current schedule version, oldest instalment first.
    pub instalments: Vec<Instalment>,
    /// Posted payments, loaded only when one has to be put between them.
    pub payments: Option<Vec<Payment>>,
    /// What new payments paid.
    pub allocated: Vec<AllocationRow>,
    /// Whether all its allocations are replaced.
    pub replayed: bool,
    /// Numbers of the instalments that changed.
    pub touched: BTreeSet<u16>,
    /// What is earned of a new version of the schedule that is to be written.
    pub rescheduled: Option<Earned>,
    /// Whether it changed.
    pub dirty: bool,
}

/// An entry in the log.
#[derive(Debug, Clone)]
pub struct Logged {
    /// Row key; 0 while it is to be inserted.
    pub id: i64,
    /// Its bytes; none when they were erased.
    pub bytes: Vec<u8>,
    /// Of bytes that were erased.
    pub digest: Option<Hash>,
    /// The verdict.
    pub outcome: Outcome,
    /// Who captured it.
    pub user_id: i64,
}

impl Logged {
    /// Whether these are its bytes.
    pub fn is(&self, bytes: &[u8]) -> bool {
        is_same((&self.bytes, self.digest), bytes)
    }
}

/// Whether bytes are those of an entry in the log, of which only a digest is left when it was erased.
pub fn is_same((known, digest): (&[u8], Option<Hash>), bytes: &[u8]) -> bool {
    digest.map_or(known == bytes, |digest| digest.0 == sha256(&[bytes]))
}

/// A series of receipt numbers. All numbers of a series are one device's, those of blocks to come too: so
/// a typo is told from the true number whether the block was granted before or after.
#[derive(Debug, Clone, Copy)]
pub struct Series {
    /// Whose.
    pub device_id: i64,
    /// The first number that is in no block yet.
    pub next: i64,
}

/// Who claimed a receipt number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The payment.
    pub payment: PaymentId,
    /// Claimed in this transaction, not yet confirmed by a verdict.
    pub fresh: bool,
    /// Taken over in this transaction from a candidate that did not post.
    pub moved: bool,
}

/// A provider's line by its channel and reference.
pub type LineKey = (Channel, String);

/// Money that others say came in under a reference: a row of `statement_line`.
#[derive(Debug, Clone)]
pub struct ProviderLine {
    /// How much.
    pub amount: Money,
    /// The day it counts for.
    pub value_date: Date,
    /// The account it is for, where that is known.
    pub account_id: Option<i64>,
    /// Where the money is.
    pub money: LineMoney,
    /// The capture it confirms.
    pub entry: Option<EntryId>,
    /// It found its capture now.
    pub matched: bool,
}

/// Where the money of a provider's line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineMoney {
    /// Nowhere yet: the line has just come.
    Fresh,
    /// In suspense, by this payment.
    Suspense(PaymentId),
    /// On its account, by this payment.
    Posted(PaymentId),
    /// Taken back, or another amount was posted under its reference: for a person to look at.
    Unclear,
}

/// The key of a line. What comes through an operator's agent is on the operator's statement.
pub fn line_key(channel: &Channel, external_ref: &str) -> LineKey {
    let channel = if *channel == Channel::Agent { Channel::MobileMoney } else { channel.clone() };
    (channel, plain_reference(external_ref))
}

/// The line that would confirm a repayment; none for cash.
pub fn line_key_of(repayment: &Repayment) -> Option<LineKey> {
    let external_ref = repayment.external_ref.as_deref().filter(|_| !repayment.is_cash())?;
    Some(line_key(&repayment.channel, external_ref))
}

/// Everything a group of envelopes may read and change.
#[derive(Debug, Default)]
pub struct World {
    /// Devices by row key.
    pub devices: BTreeMap<i64, Device>,
    /// Installs by device and install id.
    pub installs: BTreeMap<(i64, daybook_shared::ids::InstallId), Install>,
    /// Acknowledgements the server gave.
    pub acknowledgements: BTreeMap<(i64, AckHash), Timestamp>,
    /// Entries that exist, among those named.
    pub entries: BTreeMap<EntryId, Logged>,
    /// Dossiers by id.
    pub dossiers: BTreeMap<DossierId, Dossier>,
    /// Dossiers that users' phones held when a part of the database was lost, and until when that counts.
    pub held_before: BTreeMap<(DossierId, i64), Timestamp>,
    /// Accounts by row key.
    pub accounts: BTreeMap<i64, Account>,
    /// Caseloads of users: from when member or not, oldest first.
    pub memberships: BTreeMap<i64, Vec<(Timestamp, i64, bool)>>,
    /// Agents by id: row key and the caseload of their newest dossier.
    pub agents: BTreeMap<AgentId, (i64, Option<i64>)>,
    /// Posted payments by account, value date and amount.
    pub same_day: BTreeSet<(i64, Date, i64)>,
    /// Series that are named, where they are a device's.
    pub series: BTreeMap<String, Series>,
    /// Receipt numbers by their text.
    pub claims: BTreeMap<String, Claim>,
    /// Cash repayments that are in a hand-over already.
    pub handed_over: BTreeMap<PaymentId, EntryId>,
    /// Cash repayments that were captured, and the officer of each.
    pub cash_payments: BTreeMap<PaymentId, i64>,
    /// What providers say of repayments that are not cash.
    pub lines: BTreeMap<LineKey, ProviderLine>,
}

impl World {
    /// The line that confirms a repayment.
    pub fn line_of(&self, repayment: &Repayment) -> Option<&ProviderLine> {
        self.lines.get(&line_key_of(repayment)?)
    }

    /// What would be allocated for a repayment: where a provider's line is the same money, it counts for
    /// the provider's day, and is the line's payment if that has one.
    pub fn as_provided(&self, repayment: &Repayment, payment: Payment) -> Payment {
        let Some(line) = self.line_of(repayment) else { return payment };
        let id = match line.money {
            LineMoney::Suspense(id) | LineMoney::Posted(id) => id,
            LineMoney::Fresh | LineMoney::Unclear => payment.id,
        };
        Payment { value_date: line.value_date, id, ..payment }
    }

    /// Says to phones that an account's schedule changed, and where it stands by that.
    pub fn tell_schedule(&mut self, account_id: i64) {
        let case = self.dossiers.values_mut().find(|dossier| dossier.about == About::Case(account_id));
        let Some(dossier) = case else { return };
        dossier.schedule_changed = true;
        dossier.state_changed = true;
        if !dossier.dirty {
            dossier.next_version();
        }
    }

    /// Puts in a dossier that is about something, in place of none or of one that was only named.
    pub fn open(&mut self, uid: DossierId, about: About, caseload: Option<i64>) {
        let (id, epoch, version) =
            self.dossiers.get(&uid).map_or((0, 0, 0), |known| (known.id, known.epoch, known.version));
        if id != 0 && about == About::Unknown {
            return;
        }
        let epoch = epoch + i64::from(caseload.is_some());
        let history = caseload.map(|caseload| (Timestamp::EPOCH, Some(caseload))).into_iter().collect();
        let dossier = Dossier::loaded(id, uid, about, caseload, (epoch, version, 0), history);
        // What a phone opens of an agent says who that is, like a file the office opens.
        let profile_changed = matches!(about, About::Agent(_));
        self.dossiers.insert(uid, Dossier { opened: true, profile_changed, ..dossier });
    }

    /// The caseload a user holds now with the lowest key: where his own day dossiers live.
    pub fn own_caseload(&self, user_id: i64) -> Option<i64> {
        let mut now = BTreeMap::new();
        for (_, caseload, member) in self.memberships.get(&user_id)? {
            now.insert(*caseload, *member);
        }
        now.into_iter().find(|(_, member)| *member).map(|(caseload, _)| caseload)
    }

    /// Whether a user held a dossier at a moment, at any earlier or later one, or never.
    pub fn entitlement(&self, user_id: i64, dossier: &Dossier, at: Timestamp) -> Entitlement {
        if dossier.about == About::Day(user_id) {
            return Entitlement::Held;
        }
        let empty = Vec::new();
        let memberships = self.memberships.get(&user_id).unwrap_or(&empty);
        let mut ever = false;
        for (i, (from, caseload)) in dossier.history.iter().enumerate() {
            let Some(caseload) = caseload else { continue };
            let until = dossier.history.get(i + 1).map_or(FAR, |(next, _)| *next);
            for (member_from, member_until) in member_spans(memberships, *caseload) {
                let (start, end) = ((*from).max(member_from), until.min(member_until));
                if start < end {
                    ever = true;
                    if start <= at && at < end {
                        return Entitlement::Held;
                    }
                }
            }
        }
        // What its phone held may have been given to it by an assignment that was lost.
        let before = self.held_before.get(&(dossier.uid, user_id)).is_some_and(|until| at <= *until);
        if ever || before { Entitlement::HeldOnce } else { Entitlement::Never }
    }

    /// Whether a user held a dossier at any moment since `since`.
    pub fn held_since(&self, user_id: i64, dossier: &Dossier, since: Timestamp) -> bool {
        if dossier.about == About::Day(user_id) {
            return true;
        }
        let empty = Vec::new();
        let memberships = self.memberships.get(&user_id).unwrap_or(&empty);
        dossier.history.iter().enumerate().any(|(i, (from, caseload))| {
            let until = dossier.history.get(i + 1).map_or(FAR, |(next, _)| *next);
            caseload.is_some_and(|caseload| {
                member_spans(memberships, caseload).any(|(member_from, member_until)| {
                    let (start, end) = ((*from).max(member_from), until.min(member_until));
                    start < end && end > since
                })
            })
        })
    }
}

/// The end of a span that has none.
const FAR: Timestamp = Timestamp::MAX;

/// From when until when a user was a member of a caseload.
fn member_spans(
    memberships: &[(Timestamp, i64, bool)],
    caseload: i64,
) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
    let of_caseload = move |row: &&(Timestamp, i64, bool)| row.1 == caseload;
    memberships.iter().enumerate().filter(move |(_, row)| row.1 == caseload && row.2).map(move |(i, (from, _, _))| {
        let until = memberships[i + 1..].iter().find(of_caseload).map_or(FAR, |(next, _, _)| *next);
        (*from, until)
    })
}

/// How a user stood to a dossier at the moment of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entitlement {
    /// Held it then.
    Held,
    /// Held it once, not then.
    HeldOnce,
    /// Never held it.
    Never,
}

impl Dossier {
    /// A dossier as it was loaded.
    pub fn loaded(
        id: i64,
        uid: DossierId,
        about: About,
        caseload: Option<i64>,
        (epoch, version, board_version): (i64, i64, i64),
        history: Vec<(Timestamp, Option<i64>)>,
    ) -> Self {
        Self {
            id,
            uid,
            about,
            caseload,
            epoch,
            version,
            board_version,
            profile_changed: false,
            schedule_changed: false,
            state_changed: false,
            promises_changed: false,
            timeline_changed: false,
            board_changed: false,
            opened: false,
            dirty: false,
            erased: false,
            history,
        }
    }

    /// The next version, for one more item.
    pub fn next_version(&mut self) -> i64 {
        self.dirty = true;
        self.version += 1;
        self.version
    }
}

impl Account {
    /// An account as it was loaded.
    pub fn loaded(row: AccountRow, instalments: Vec<Instalment>) -> Self {
        Self {
            row,
            instalments,
            payments: None,
            allocated: Vec::new(),
            replayed: false,
            touched: BTreeSet::new(),
            rescheduled: None,
            dirty: false,
        }
    }
}
