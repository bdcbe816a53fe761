//! What becomes of money that others say came in: it confirms the capture that waits for it, or goes to
//! the account it names, or waits in suspense. Each line has one effect, ever.
//!
//! A line is known by its channel and reference. If a capture under that reference was posted, the line
//! is that money. If one is held(AWAITING_PROVIDER) and says the same, it is released through the verdict
//! that every capture gets; what says something else stays held(PROVIDER_DIFFERS), for a person. A capture
//! that comes after its line finds it in the same verdict (`sync::judge`), so the order does not matter.
//!
//! What a gateway says was paid in the app is a line too ([`super::begun`]): the payment that the customer began is
//! its money, unless a statement or a capture was before it.
//!
//! The file is long as a line is followed through it without a jump: what is read under the lock, which of
//! the cases it is, what that brings about.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::{Body, Channel, Entry};
use daybook_shared::ids::{AccountId, DossierId, EntryId, InstallId, PaymentId, sha256};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use super::begun::{self, Begun, Settled};
use super::money_in::Line;
use super::{ImportError, Scope, dated_id};
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::journey::acceptance;
use crate::journey::payments::state::Purpose;
use crate::ledger::posting::{self, Event, GlAccount};
use crate::portfolio::allocation::Payment;
use crate::portfolio::payment::{self, NewPayment, PaymentSource, PaymentState};
use crate::sync::effects::{ChangedOutcome, Effects, PaymentRow};
use crate::sync::judge::{self, Capture, Release};
use crate::sync::load::{self, Expected, Needs, outcome_of};
use crate::sync::world::{LineKey, LineMoney, ProviderLine, World, line_key};
use crate::sync::writer::{self, Beside, Subject};
use crate::sync::{money, persist};

/// What a line came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// It was posted to the account it names.
    Posted,
    /// It confirmed what a phone recorded, or what was begun in the app.
    Confirmed,
    /// It waits in suspense.
    Suspense,
    /// It came before, and had its effect then.
    Present,
    /// It came before with other content; nothing was changed.
    Conflict,
    /// Another amount was posted under its reference; nothing was changed.
    Differs,
    /// It cannot be taken.
    Refused,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct LineResult {
    /// The line of the file.
    pub line: u64,
    /// Its reference.
    pub external_ref: String,
    /// What it came to.
    pub came: Came,
    /// The payment that is this money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// Where a person should look, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

/// Where a person should look.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Note {
    /// The column.
    pub column: &'static str,
    /// Why.
    pub reason: String,
}

impl Note {
    fn new(column: &'static str, reason: impl Into<String>) -> Self {
        Self { column, reason: reason.into() }
    }
}

/// Takes lines, in their order, in the caller's transaction.
pub async fn receive(tx: &mut Tx, app: &App, scope: &Scope, lines: &[Line]) -> Result<Vec<LineResult>, ImportError> {
    // Else neither a line nor the capture that it is to confirm would see the other. What gateways say comes all day,
    // and little at a time.
    let beside = if lines.iter().all(|line| line.confirms.is_some()) {
        // Of accounts too: one that waits for its down payment has no row that others wait for.
        let accounts = lines.iter().filter_map(|line| line.account_number.clone()).map(Subject::Account);
        let references = lines.iter().map(|line| Subject::Reference(line_key(&line.channel, &line.external_ref)));
        Beside::Others(references.chain(accounts).collect())
    } else {
        Beside::None
    };
    writer::lock(tx, &beside).await?;
    let known = known_lines(tx, lines).await?;
    let accounts = accounts(tx, lines).await?;
    let tills = tills(tx, lines).await?;
    let begun = begun::of_lines(tx, lines).await?;
    let mut needs = Needs::default();
    for begun in begun.values() {
        needs.dossier(begun.dossier);
    }
    for account in accounts.values().filter(|account| scope.reaches(account.unit_id)) {
        needs.dossier(account.dossier);
    }
    let mut recorded = captures(tx, lines).await?;
    for captures in recorded.values().flatten() {
        if let Some(held) = &captures.held {
            needs.device(held.device_id, held.install);
            needs.entry(&held.entry);
        }
    }
    let mut world = load::world(tx, &needs).await?;
    if !recorded.is_empty() {
        // Of what a person decided in between, the rows say so now that they are locked.
        recorded = captures(tx, lines).await?;
    }
    // The lines of captures are decided here, not found in the table.
    world.lines.clear();
    let mut take = Take {
        app,
        scope,
        now: app.now(),
        world,
        effects: Effects::default(),
        accounts,
        captures: recorded,
        tills,
        known,
        begun,
        new: Vec::new(),
        payments: Vec::new(),
        settled: Vec::new(),
    };
    let expected = take.expected(lines);
    load::payments(tx, &mut take.world, &expected).await?;
    begun::lock(tx, take.begun.values()).await?;
    let results = lines.iter().map(|line| take.one(line)).collect::<Result<Vec<_>, _>>()?;
    let waited: BTreeSet<i64> =
        take.begun.values().filter(|begun| begun.held_back()).map(|begun| begun.account_id).collect();
    let Take { mut world, mut effects, new, payments, settled, now, .. } = take;
    let moved = world.claims.iter().filter(|(_, claim)| claim.moved);
    effects.claims_moved = moved.map(|(receipt_no, claim)| (receipt_no.clone(), claim.payment)).collect();
    begun::settle(tx, &settled).await?;
    payment::insert(tx, &payments).await?;
    batch::execute(tx, &new, INSERT_LINES).await?;
    batch::execute(tx, &identified(&effects), PLACE_LINES).await?;
    persist::persist(tx, &mut world, effects, now).await?;
    for account_id in waited {
        acceptance::begin_if_paid(tx, app, account_id).await?;
    }
    Ok(results)
}

batch_row! {
    struct NewLine {
        channel: Channel => "text",
        external_ref: String => "text",
        source: PaymentSource => "text",
        content: Vec<u8> => "bytea",
        amount_minor: i64 => "int8",
        currency: Currency => "text",
        value_date: Date => "date",
        at: Option<Timestamp> => "timestamptz",
        payer: Option<String> => "text",
        account_number: Option<String> => "text",
        till_user: Option<i64> => "int8",
        payment_uid: Option<PaymentId> => "uuid",
        entry_uid: Option<EntryId> => "uuid",
        reason: Option<Reason> => "text",
        imported_at: Timestamp => "timestamptz",
        by_user: Option<i64> => "int8",
    }
}
batch_row! {
    struct PlacedLine { payment_uid: PaymentId => "uuid" }
}

const INSERT_LINES: &str = "insert into statement_line (channel, external_ref, source, content, amount_minor, currency,
       value_date, at, payer, account_number, till_user, payment_uid, entry_uid, reason, imported_at, by_user)
     select channel, external_ref, source, content, amount_minor, currency, value_date, at, payer, account_number,
       till_user, payment_uid, entry_uid, reason, imported_at, by_user from v where true";
const PLACE_LINES: &str = "update statement_line set reason = null from v
     where statement_line.payment_uid = v.payment_uid and statement_line.reason is not null";

/// Payments that may have left suspense: their lines have a place.
fn identified(effects: &Effects) -> Vec<PlacedLine> {
    let posted = effects.payment_states.iter().filter(|row| row.state == PaymentState::Posted.code());
    posted.map(|row| PlacedLine { payment_uid: row.uid }).collect()
}

batch_row! {
    struct ReferenceKey { channel: Channel => "text", external_ref: String => "text" }
}
batch_row! {
    struct NumberKey { number: String => "text" }
}
batch_row! {
    struct LoginKey { login: String => "text" }
}

#[derive(Debug, Clone, sqlx::FromRow)]
struct KnownLine {
    channel: Channel,
    external_ref: String,
    source: PaymentSource,
    content: Vec<u8>,
    amount_minor: i64,
    currency: Currency,
    payment_uid: Option<PaymentId>,
    entry_uid: Option<EntryId>,
    reason: Option<Reason>,
}

const SELECT_KNOWN: &str = "select l.channel, l.external_ref, l.source, l.content, l.amount_minor, l.currency,
       l.payment_uid, l.entry_uid, l.reason
     from v join statement_line l on l.channel = v.channel and l.external_ref = v.external_ref";

fn key_of(line: &Line) -> LineKey {
    line_key(&line.channel, &line.external_ref)
}

fn reference_keys(lines: &[Line]) -> Vec<ReferenceKey> {
    let keys: BTreeSet<_> = lines.iter().map(key_of).collect();
    keys.into_iter().map(|(channel, external_ref)| ReferenceKey { channel, external_ref }).collect()
}

async fn known_lines(tx: &mut Tx, lines: &[Line]) -> sqlx::Result<BTreeMap<LineKey, KnownLine>> {
    let rows: Vec<KnownLine> = batch::fetch(tx, &reference_keys(lines), SELECT_KNOWN).await?;
    Ok(rows.into_iter().map(|row| ((row.channel.clone(), row.external_ref.clone()), row)).collect())
}

#[derive(Debug, Clone, Copy)]
struct Named {
    account_id: i64,
    unit_id: i64,
    dossier: DossierId,
}

const SELECT_ACCOUNTS: &str = "select a.number, a.id, a.uid, a.unit_id from v join account a on a.number = v.number";

async fn accounts(tx: &mut Tx, lines: &[Line]) -> sqlx::Result<BTreeMap<String, Named>> {
    let numbers: BTreeSet<_> = lines.iter().filter_map(|line| line.account_number.clone()).collect();
    let keys: Vec<_> = numbers.into_iter().map(|number| NumberKey { number }).collect();
    let rows: Vec<(String, i64, AccountId, i64)> = batch::fetch(tx, &keys, SELECT_ACCOUNTS).await?;
    let named =
        |(number, account_id, uid, unit_id)| (number, Named { account_id, unit_id, dossier: DossierId::case(uid) });
    Ok(rows.into_iter().map(named).collect())
}

const SELECT_TILLS: &str = "select distinct u.login, u.id from v join app_user u on u.login = v.login
     join user_role r on r.user_id = u.id where u.active and r.role = 'cashier' and r.ended_at is null";

async fn tills(tx: &mut Tx, lines: &[Line]) -> sqlx::Result<BTreeMap<String, i64>> {
    let logins: BTreeSet<_> = lines.iter().filter_map(|line| line.cashier.clone()).collect();
    let keys: Vec<_> = logins.into_iter().map(|login| LoginKey { login }).collect();
    let rows: Vec<(String, i64)> = batch::fetch(tx, &keys, SELECT_TILLS).await?;
    Ok(rows.into_iter().collect())
}

#[derive(Debug, sqlx::FromRow)]
struct CaptureRow {
    channel: Channel,
    external_ref: String,
    uid: PaymentId,
    state: PaymentState,
    amount_minor: i64,
    currency: Currency,
    entry_id: Option<i64>,
    bytes: Option<Vec<u8>>,
    outcome: Option<String>,
    reason: Option<Reason>,
    flags: Option<String>,
    device_id: Option<i64>,
    user_id: Option<i64>,
    install_uid: Option<InstallId>,
    captured_at: Option<Timestamp>,
    received_at: Option<Timestamp>,
}

/// What phones (and others, before statements were imported) recorded under a reference, oldest first.
const SELECT_CAPTURES: &str =
    "select v.channel, v.external_ref, p.uid, p.state, p.amount_minor, p.currency, e.id as entry_id, e.bytes, e.outcome,
       e.reason, e.flags, e.device_id, e.user_id, i.uid as install_uid, e.captured_at, e.received_at
     from v join payment p on p.external_ref = v.external_ref
         and (p.channel = v.channel or p.channel = 'AGENT' and v.channel = 'MOBILE_MONEY')
       left join entry e on e.uid = p.uid left join install i on i.id = e.install_id
     where p.channel <> 'CASH' and p.state in ('posted', 'held')
       and not exists (select 1 from statement_line l where l.payment_uid = p.uid)";

/// What was recorded under a line's reference.
struct Recorded {
    uid: PaymentId,
    is_entry: bool,
    amount: Money,
    posted: bool,
    held: Option<Held>,
}

/// A capture that waits for the provider.
struct Held {
    entry_id: i64,
    entry: Entry,
    user_id: i64,
    device_id: i64,
    install: InstallId,
    captured_at: Timestamp,
    received_at: Timestamp,
    flags: Vec<Flag>,
}

async fn captures(tx: &mut Tx, lines: &[Line]) -> sqlx::Result<BTreeMap<LineKey, Vec<Recorded>>> {
    let mut rows: Vec<CaptureRow> = batch::fetch(tx, &reference_keys(lines), SELECT_CAPTURES).await?;
    rows.sort_unstable_by_key(|row| (row.entry_id, row.uid));
    let mut captures: BTreeMap<LineKey, Vec<Recorded>> = BTreeMap::new();
    for row in rows {
        let key = (row.channel.clone(), row.external_ref.clone());
        let (uid, amount) = (row.uid, Money::new(row.amount_minor, row.currency));
        let (is_entry, posted) = (row.entry_id.is_some(), row.state == PaymentState::Posted);
        captures.entry(key).or_default().push(Recorded { uid, is_entry, amount, posted, held: held(row)? });
    }
    Ok(captures)
}

fn held(row: CaptureRow) -> sqlx::Result<Option<Held>> {
    let waits = matches!(row.reason, Some(Reason::AwaitingProvider | Reason::ProviderDiffers));
    let (Some(entry_id), Some(bytes), Some("held"), true) = (row.entry_id, row.bytes, row.outcome.as_deref(), waits)
    else {
        return Ok(None);
    };
    let whole = row.user_id.zip(row.device_id).zip(row.install_uid).zip(row.captured_at.zip(row.received_at));
    let (((user_id, device_id), install), (captured_at, received_at)) = whole.ok_or(sqlx::Error::RowNotFound)?;
    let entry = Entry::decode(&bytes)
        .map_err(|error| sqlx::Error::Decode(format!("table entry, id {entry_id}: {error}").into()))?;
    let flags = outcome_of("held", None, row.flags.as_deref())?.flags.unwrap_or_default();
    Ok(Some(Held { entry_id, entry, user_id, device_id, install, captured_at, received_at, flags }))
}

struct Take<'a> {
    app: &'a App,
    scope: &'a Scope,
    now: Timestamp,
    world: World,
    effects: Effects,
    accounts: BTreeMap<String, Named>,
    captures: BTreeMap<LineKey, Vec<Recorded>>,
    tills: BTreeMap<String, i64>,
    known: BTreeMap<LineKey, KnownLine>,
    begun: BTreeMap<LineKey, Begun>,
    new: Vec<NewLine>,
    payments: Vec<NewPayment>,
    settled: Vec<Settled>,
}

/// The id of the payment that a line becomes, if nobody made it before.
fn payment_id(app: &App, line: &Line) -> PaymentId {
    let at = line.at.unwrap_or_else(|| app.settings.zone.start_of(line.value_date));
    let channel = line.channel.code().as_bytes();
    PaymentId(dated_id(at, &sha256(&[b"daybook/import/line/", channel, b"/", line.external_ref.as_bytes()])))
}

/// A hash of what a line says, but for who paid.
fn content(line: &Line) -> Vec<u8> {
    let Line { amount, value_date, at, account_number, cashier, .. } = line;
    sha256(&[format!("{amount} {value_date} {at:?} {account_number:?} {cashier:?}").as_bytes()]).to_vec()
}

fn settled(line: &Line, uid: PaymentId, same_as: Option<PaymentId>, at: Timestamp) -> Settled {
    let in_hand = line.confirms.filter(|confirmed| confirmed.payment == uid).map(|confirmed| confirmed.in_hand);
    Settled { uid, same_as, at, in_hand }
}

impl Take<'_> {
    /// Everything that may be allocated: for each line its own payment, and those of the captures that it
    /// may release.
    fn expected(&self, lines: &[Line]) -> Vec<Expected> {
        let mut expected = Vec::new();
        for line in lines {
            let (value_date, amount_minor) = (line.value_date, line.amount.minor);
            let payment = |id| Payment { value_date, id, amount_minor };
            let own = self.named(line).map(|named| named.account_id);
            expected.push(Expected {
                account_id: own,
                payment: payment(self.id_of(line)),
                receipt_no: None,
                captured: false,
            });
            for recorded in self.captures.get(&key_of(line)).into_iter().flatten() {
                let Some(Held { entry, .. }) = &recorded.held else { continue };
                let Body::Repayment(repayment) = &entry.body else { continue };
                let account_id = load::account_of(&self.world, entry.head.dossier, repayment.account);
                let receipt_no = repayment.receipt.as_ref().map(ToString::to_string);
                expected.push(Expected { account_id, payment: payment(recorded.uid), receipt_no, captured: true });
            }
        }
        expected
    }

    /// The payment that a line is or becomes.
    fn id_of(&self, line: &Line) -> PaymentId {
        let known = self.known.get(&key_of(line)).and_then(|known| known.payment_uid);
        let begun = || self.begun.get(&key_of(line)).map(|begun| begun.uid);
        known.or_else(begun).unwrap_or_else(|| payment_id(self.app, line))
    }

    /// The account a line is for: the customer said it himself, or the line names it.
    fn named(&self, line: &Line) -> Option<Named> {
        if let Some(Begun { account_id, unit_id, dossier, .. }) = self.begun.get(&key_of(line)).copied() {
            return Some(Named { account_id, unit_id, dossier });
        }
        let named = self.accounts.get(line.account_number.as_ref()?)?;
        self.scope.reaches(named.unit_id).then_some(*named)
    }

    fn one(&mut self, line: &Line) -> Result<LineResult, ImportError> {
        let result = |came, payment, note| {
            let (line, external_ref) = (line.line, line.external_ref.clone());
            Ok(LineResult { line, external_ref, came, payment, note })
        };
        let till = match &line.cashier {
            Some(login) => match self.tills.get(login) {
                Some(till) => Some(*till),
                None => return result(Came::Refused, None, Some(Note::new("cashier", NO_CASHIER))),
            },
            None => None,
        };
        if let Some(known) = self.known.get(&key_of(line)).cloned() {
            let (came, note) = self.again(line, &known)?;
            self.same_money(line, known.payment_uid);
            return result(came, known.payment_uid, note);
        }
        if let Some(begun) = self.begun.get(&key_of(line)).filter(|begun| begun.is_settled()) {
            return result(Came::Present, Some(begun.uid), None);
        }
        let recorded = self.captures.remove(&key_of(line)).unwrap_or_default();
        if let Some(posted) = recorded.iter().find(|recorded| recorded.posted) {
            let same = posted.amount == line.amount;
            let entry = posted.is_entry.then_some(EntryId(posted.uid.0)).filter(|_| same);
            let reason = (!same).then_some(Reason::ProviderDiffers);
            self.add(line, till, same.then_some(posted.uid), entry, reason);
            self.same_money(line, Some(posted.uid));
            let note =
                (!same).then(|| Note::new("amount", format!("{} was posted under this reference", posted.amount)));
            return result(if same { Came::Confirmed } else { Came::Differs }, Some(posted.uid), note);
        }
        let confirmed = self.release(line, &recorded);
        self.hold_others(&recorded, confirmed);
        if let Some(payment) = confirmed {
            self.add(line, till, Some(payment), Some(EntryId(payment.0)), None);
            self.same_money(line, Some(payment));
            return result(Came::Confirmed, Some(payment), None);
        }
        let was_begun = self.begun.contains_key(&key_of(line));
        let waits = recorded.iter().any(|recorded| recorded.held.is_some());
        let (payment, reason) = self.place(line, till)?;
        self.add(line, till, Some(payment), None, reason.clone());
        let note = match (&reason, waits) {
            (Some(reason), _) => Some(Note::new("account", no_place(reason))),
            (None, true) => Some(Note::new("reference", CAPTURE_DIFFERS)),
            (None, false) => None,
        };
        let came = match (&reason, was_begun) {
            (Some(_), _) => Came::Suspense,
            (None, true) => Came::Confirmed,
            (None, false) => Came::Posted,
        };
        result(came, Some(payment), note)
    }

    /// A line that came before. One in suspense whose account is known by now goes there.
    fn again(&mut self, line: &Line, known: &KnownLine) -> Result<(Came, Option<Note>), ImportError> {
        let same_amount = (known.amount_minor, known.currency) == (line.amount.minor, line.amount.currency);
        let same = if known.source == line.source { known.content == content(line) } else { same_amount };
        if !same {
            return Ok((Came::Conflict, Some(Note::new("reference", CONFLICT))));
        }
        let waits = known.reason == Some(Reason::UnknownAccount) && known.entry_uid.is_none();
        let (Some(id), true, Ok(named)) = (known.payment_uid, waits, self.destination(line)) else {
            return Ok((Came::Present, None));
        };
        self.pay(line, named, id, GlAccount::SUSPENSE)?;
        let booked_on = Some(judge::booked_on(&self.app.settings, line.value_date));
        let row = Self::row(line, id, Some(named.account_id), PaymentState::Posted, booked_on);
        self.effects.payment_states.push(row);
        if let Some(known) = self.known.get_mut(&key_of(line)) {
            known.reason = None;
        }
        Ok((Came::Posted, None))
    }

    /// The payment begun in the app for a line whose money is another payment's: it has no effect of its own.
    fn same_money(&mut self, line: &Line, same_as: Option<PaymentId>) {
        let Some(begun) = self.begun.get_mut(&key_of(line)).filter(|begun| !begun.is_settled()) else { return };
        begun.state = PaymentState::Matched;
        let (uid, account_id) = (begun.uid, Some(begun.account_id));
        let row = Self::row(line, uid, account_id, PaymentState::Matched, None);
        self.effects.payment_states.push(row);
        self.settled.push(settled(line, uid, same_as, self.now));
    }

    /// The new state of a payment that has a row.
    fn row(
        line: &Line,
        uid: PaymentId,
        account_id: Option<i64>,
        state: PaymentState,
        booked_on: Option<Date>,
    ) -> PaymentRow {
        PaymentRow {
            uid,
            account_id,
            user_id: 0,
            channel: line.channel.clone(),
            amount_minor: line.amount.minor,
            currency: line.amount.currency,
            receipt_no: None,
            external_ref: Some(line.external_ref.clone()),
            value_date: line.value_date,
            booked_on,
            state: state.code().to_owned(),
            debited: false,
        }
    }

    /// Releases the first capture that says the same; its payment is the line's money.
    fn release(&mut self, line: &Line, recorded: &[Recorded]) -> Option<PaymentId> {
        let key = key_of(line);
        let account_id = self.named(line).map(|named| named.account_id);
        let provider = ProviderLine {
            amount: line.amount,
            value_date: line.value_date,
            account_id,
            money: LineMoney::Fresh,
            entry: None,
            matched: false,
        };
        self.world.lines.insert(key.clone(), provider);
        for Recorded { uid, held, .. } in recorded {
            let Some(held) = held else { continue };
            let capture = Capture {
                entry: &held.entry,
                dossier: held.entry.head.dossier,
                user_id: held.user_id,
                device_id: held.device_id,
                captured_at: held.captured_at,
                received_at: held.received_at,
                release: Some(Release { debited: false, recorded: true }),
            };
            let (world, effects) = (&mut self.world, &mut self.effects);
            let outcome = judge::judge(world, effects, &self.app.settings, capture, held.flags.clone());
            if outcome.state == OutcomeState::Posted {
                self.tell(held, outcome);
                return Some(*uid);
            }
        }
        self.world.lines.remove(&key);
        None
    }

    /// Captures under the same reference that are not this money wait for a person, and say why.
    fn hold_others(&mut self, recorded: &[Recorded], confirmed: Option<PaymentId>) {
        let reason = if confirmed.is_some() { Reason::DupReceipt } else { Reason::ProviderDiffers };
        for Recorded { uid, held, .. } in recorded {
            let Some(held) = held.as_ref().filter(|_| confirmed != Some(*uid)) else { continue };
            let flags = Some(held.flags.clone()).filter(|flags| !flags.is_empty());
            self.tell(held, Outcome { state: OutcomeState::Held, reason: Some(reason.clone()), flags });
        }
    }

    /// A new outcome of a capture.
    fn tell(&mut self, held: &Held, outcome: Outcome) {
        let uid = held.entry.head.dossier;
        let dossier = self.world.dossiers.get_mut(&uid).expect("the dossier of a capture is loaded");
        let outcome_version = dossier.next_version();
        let (entry_id, device_id) = (held.entry_id, held.device_id);
        self.effects.outcomes.push(ChangedOutcome { entry_id, device_id, outcome_version, outcome });
    }

    /// The account a line names, if its money can go there.
    fn destination(&self, line: &Line) -> Result<Named, Reason> {
        let named = self.named(line).ok_or(Reason::UnknownAccount)?;
        if self.purpose(line) == Purpose::DownPayment {
            return Ok(named);
        }
        let account = &self.world.accounts.get(&named.account_id).ok_or(Reason::UnknownAccount)?.row;
        if !account.takes_payments() {
            return Err(Reason::UnknownAccount);
        }
        if account.currency == line.amount.currency { Ok(named) } else { Err(Reason::CurrencyMismatch) }
    }

    /// What a line's money is for.
    fn purpose(&self, line: &Line) -> Purpose {
        self.begun.get(&key_of(line)).map_or(Purpose::Instalment, |begun| begun.purpose)
    }

    /// Books a line as a payment of its own, or as the one that was begun for it: on its account, or in suspense
    /// with the reason.
    fn place(&mut self, line: &Line, till: Option<i64>) -> Result<(PaymentId, Option<Reason>), ImportError> {
        let id = self.id_of(line);
        // Only cash is anybody's, and that is in the till.
        let source = till.map_or_else(|| money::source_of(&line.channel, 0), GlAccount::till);
        let placed = match self.destination(line) {
            Ok(named) => {
                self.pay(line, named, id, source)?;
                Ok(named.account_id)
            }
            Err(reason) => {
                let journal = posting::suspense(self.event(line, id), source, line.amount.minor)?;
                self.effects.journals.push(journal);
                Err(reason)
            }
        };
        let state = if placed.is_ok() { PaymentState::Posted } else { PaymentState::Held };
        let booked_on = Some(judge::booked_on(&self.app.settings, line.value_date));
        if let Some(begun) = self.begun.get_mut(&key_of(line)) {
            begun.state = state;
            let row = Self::row(line, id, Some(begun.account_id), state, booked_on);
            self.effects.payment_states.push(row);
            self.settled.push(settled(line, id, None, self.now));
            return Ok((id, placed.err()));
        }
        self.payments.push(NewPayment {
            uid: id,
            account_id: placed.as_ref().ok().copied(),
            user_id: None,
            source: line.source,
            channel: line.channel.clone(),
            amount_minor: line.amount.minor,
            currency: line.amount.currency,
            receipt_no: None,
            external_ref: Some(line.external_ref.clone()),
            value_date: line.value_date,
            booked_on,
            state,
            debited: false,
        });
        Ok((id, placed.err()))
    }

    fn event(&self, line: &Line, id: PaymentId) -> Event {
        let booked_on = judge::booked_on(&self.app.settings, line.value_date);
        Event { id: id.0, correlation: id.0, booked_on, currency: line.amount.currency }
    }

    fn pay(&mut self, line: &Line, named: Named, id: PaymentId, source: GlAccount) -> Result<(), ImportError> {
        let event = self.event(line, id);
        match self.purpose(line) {
            Purpose::DownPayment => {
                // It is no part of what is financed: neither the account nor its case has it.
                self.effects.journals.push(posting::down_payment(event, source, line.amount.minor)?);
                return Ok(());
            }
            // What a settlement waives is the affair of who agreed on it; its money is a payment like any other.
            Purpose::Instalment | Purpose::Settlement => {}
        }
        let account = self.world.accounts.get_mut(&named.account_id).ok_or(sqlx::Error::RowNotFound)?;
        let (journal, _) = money::pay(account, source, event, id, line.value_date, line.amount.minor)?;
        self.effects.journals.push(journal);
        let dossier = self.world.dossiers.get_mut(&named.dossier).ok_or(sqlx::Error::RowNotFound)?;
        dossier.state_changed = true;
        dossier.next_version();
        Ok(())
    }

    fn add(
        &mut self,
        line: &Line,
        till_user: Option<i64>,
        payment_uid: Option<PaymentId>,
        entry_uid: Option<EntryId>,
        reason: Option<Reason>,
    ) {
        let (channel, external_ref) = key_of(line);
        let known = KnownLine {
            channel: channel.clone(),
            external_ref: external_ref.clone(),
            source: line.source,
            content: content(line),
            amount_minor: line.amount.minor,
            currency: line.amount.currency,
            payment_uid,
            entry_uid,
            // Whatever it says, the same line again in this batch changes nothing.
            reason: None,
        };
        self.known.insert((channel.clone(), external_ref.clone()), known);
        self.new.push(NewLine {
            channel,
            external_ref,
            source: line.source,
            content: content(line),
            amount_minor: line.amount.minor,
            currency: line.amount.currency,
            value_date: line.value_date,
            at: line.at,
            payer: line.payer.clone(),
            account_number: line.account_number.clone(),
            till_user,
            payment_uid,
            entry_uid,
            reason,
            imported_at: self.now,
            by_user: self.scope.actor.user_id,
        });
    }
}

const NO_CASHIER: &str = "there is no active cashier with this login";
const CONFLICT: &str = "the reference is there with other content; nothing was changed";
const CAPTURE_DIFFERS: &str =
    "an officer recorded something else under this reference: that is held, and the money is where this line says";

fn no_place(reason: &Reason) -> &'static str {
    match reason {
        Reason::CurrencyMismatch => "the account is in another currency: the money waits in suspense",
        _ => "there is no such account that takes payments: the money waits in suspense",
    }
}
