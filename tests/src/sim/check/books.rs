//! I9: what ledger and facts come to, in a form in which two histories of one database can be compared.
//!
//! Left out is what depends on the arrival by design (I3): flags that say what a payment met when it came, which
//! payment's journal has what is above the debt (the balances are the same), when something was captured whose phone's
//! clock ran ahead of its arrival, which of two hand-overs has the money that both name (S33), and versions, which
//! count arrivals.

use std::collections::{BTreeMap, BTreeSet};

use daybook_mobile_sync::session::SyncEnd;
use daybook_shared::entry::{Body, Entry};
use daybook_shared::facts::{SectionKind, State};
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::wire::outcome::Flag;
use uuid::Uuid;

use crate::sim::says::{OnServer, words};
use crate::sim::world::{Acc, Who, World};

/// A ledger account: its code, whom it is kept for, the currency.
type Ledger = (String, Option<i64>, String);
/// Flags that say what a payment met when it came.
const OF_ARRIVAL: [Flag; 3] = [Flag::LikelyDuplicate, Flag::AccountClosed, Flag::OverPayoff];
/// Facts of a dossier: sections by number.
type Facts = Vec<(u8, Vec<u8>)>;

/// The books.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// The verdict on every entry.
    pub outcomes: BTreeMap<EntryId, String>,
    /// Hand-overs that contest each other, and whether one of them has what it names.
    pub contested: BTreeMap<BTreeSet<EntryId>, bool>,
    /// Where accounts stand.
    pub accounts: BTreeMap<AccountId, String>,
    /// Journals by event and kind: what they debit.
    pub journals: BTreeMap<(Uuid, String), i64>,
    /// The balance of every ledger account.
    pub balances: BTreeMap<Ledger, i64>,
    /// What officers owe.
    pub cash: BTreeSet<(i64, String, i64)>,
    /// Promises and what became of them.
    pub promises: BTreeSet<(EntryId, String)>,
    /// What a new phone of each officer is told of each dossier.
    pub facts: BTreeMap<(usize, DossierId), Facts>,
    /// Dossiers with a capture that says it was made after it came, or a payment like that on their accounts: it
    /// counts for when it came.
    pub ahead: BTreeSet<DossierId>,
}

/// The books as they are now; `officers` have phones.
pub fn of(world: &mut World, officers: &[Who]) -> Books {
    let mut books = Books::default();
    // A phone that handed a file in may drop it, and then cannot hand it in again: of such a file the entry,
    // its size and its hash are there, and it is listed.
    let listed = "select distinct entry_uid from entry_attachment where arrived_at is null";
    let missing: BTreeSet<EntryId> = world.server.rows::<(EntryId,)>(listed).into_iter().map(|(id,)| id).collect();
    let entries = world.entries();
    let contested = contested(world, &entries);
    for (id, mut entry) in entries {
        let flags = entry.outcome.flags.take().unwrap_or_default();
        let is_left_out =
            |flag: &Flag| OF_ARRIVAL.contains(flag) || *flag == Flag::EvidencePending && missing.contains(&id);
        let flags: Vec<_> = flags.into_iter().filter(|flag| !is_left_out(flag)).collect();
        entry.outcome.flags = (!flags.is_empty()).then_some(flags);
        books.outcomes.insert(id, words(&entry.outcome));
    }
    for handovers in contested {
        let mut has = false;
        for id in &handovers {
            let words = books.outcomes.get_mut(id).expect("a hand-over has an outcome");
            has |= words.starts_with("noted");
            *words = words.replace("held(NOT_IN_HAND)", "contested").replace("noted", "contested");
        }
        books.contested.insert(handovers, has);
    }
    for index in 0..world.accounts.len() {
        books.accounts.insert(world.accounts[index].uid, world.stands(Acc(index)));
    }
    let journals: Vec<(Uuid, String, i64)> = world.server.rows(
        "select j.event, j.kind, cast(sum(case when l.minor > 0 then l.minor else 0 end) as bigint)
         from journal j join line l on l.journal_id = j.id group by j.event, j.kind",
    );
    books.journals.extend(journals.into_iter().map(|(event, kind, minor)| ((event, kind), minor)));
    let balances: Vec<(String, Option<i64>, String, i64)> = world.server.rows(
        "select l.gl, l.subject, j.currency, cast(sum(l.minor) as bigint)
         from line l join journal j on j.id = l.journal_id group by l.gl, l.subject, j.currency",
    );
    books.balances.extend(balances.into_iter().map(|(gl, subject, currency, minor)| ((gl, subject, currency), minor)));
    let cash: Vec<(i64, String, i64)> = world.server.rows("select user_id, currency, minor from officer_cash");
    books.cash.extend(cash.into_iter().filter(|(.., minor)| *minor != 0));
    let ahead = "select distinct d.uid from entry e left join payment p on p.uid = e.uid
         join dossier d on d.account_id = p.account_id or d.id = e.dossier_id where e.captured_at = e.received_at";
    books.ahead.extend(world.server.rows::<(DossierId,)>(ahead).into_iter().map(|(uid,)| uid));
    books.promises.extend(world.server.rows::<(EntryId, String)>("select entry_uid, status from promise"));
    for officer in officers {
        let fresh = world.enrolled(*officer);
        let report = world.sync(fresh);
        assert_eq!(report.end, SyncEnd::UpToDate, "a new phone of {officer:?}");
        let store = world.phone(fresh).store();
        for (dossier, _) in store.dossiers().expect("the store can be read") {
            let facts = store.facts_of(dossier).expect("the store can be read");
            books.facts.insert((officer.0, dossier), facts);
        }
        // The yardstick is not one of the world's phones.
        world.phones.pop();
    }
    books
}

/// Hand-overs of an officer that contest each other: they name the same money of his, and the first to come has it.
fn contested(world: &World, entries: &BTreeMap<EntryId, OnServer>) -> Vec<BTreeSet<EntryId>> {
    let authors: Vec<(EntryId, i64)> = world.server.rows("select uid, user_id from entry");
    let authors: BTreeMap<_, _> = authors.into_iter().collect();
    let mut named: BTreeMap<EntryId, BTreeSet<EntryId>> = BTreeMap::new();
    for (id, entry) in entries {
        if let Ok(Entry { body: Body::CashHandover(handover), .. }) = Entry::decode(&entry.bytes) {
            for payment in handover.repayments.iter().filter(|payment| authors.get(payment) == authors.get(id)) {
                named.entry(*payment).or_default().insert(*id);
            }
        }
    }
    let mut groups: Vec<BTreeSet<EntryId>> = Vec::new();
    for handovers in named.into_values().filter(|handovers| handovers.len() > 1) {
        let (touching, mut apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|group| !group.is_disjoint(&handovers));
        apart.push(touching.into_iter().flatten().chain(handovers).collect());
        groups = apart;
    }
    groups
}

impl Books {
    /// What differs, for people; empty when nothing does.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        fn differ<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
            what: &str,
            one: &BTreeMap<K, V>,
            other: &BTreeMap<K, V>,
        ) -> Vec<String> {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            let differing = keys.into_iter().filter(|key| one.get(key) != other.get(key));
            differing.map(|key| format!("{what} {key:?}: {:?} was {:?}", other.get(key), one.get(key))).collect()
        }
        let mut all = differ("entry", &self.outcomes, &other.outcomes);
        all.extend(differ("hand-overs", &self.contested, &other.contested));
        all.extend(differ("account", &self.accounts, &other.accounts));
        all.extend(differ("journal", &self.journals, &other.journals));
        all.extend(differ("balance", &self.balances, &other.balances));
        let ahead: BTreeSet<DossierId> = self.ahead.union(&other.ahead).copied().collect();
        all.extend(differ("facts", &without_times(&self.facts, &ahead), &without_times(&other.facts, &ahead)));
        all.extend(self.cash.symmetric_difference(&other.cash).map(|row| format!("cash {row:?}")));
        all.extend(self.promises.symmetric_difference(&other.promises).map(|row| format!("promise {row:?}")));
        all
    }
}

/// The same without the timeline of these dossiers and which payment is their last: who counts for when he came
/// may be the last after one arrival and not after another.
fn without_times(
    facts: &BTreeMap<(usize, DossierId), Facts>,
    ahead: &BTreeSet<DossierId>,
) -> BTreeMap<(usize, DossierId), Facts> {
    let mut facts = facts.clone();
    for (_, sections) in facts.iter_mut().filter(|((_, dossier), _)| ahead.contains(dossier)) {
        sections.retain(|(kind, _)| *kind != SectionKind::Timeline.number());
        for (_, bytes) in sections.iter_mut().filter(|(kind, _)| *kind == SectionKind::State.number()) {
            let state: State = minicbor::decode(bytes).expect("a phone keeps what it can read");
            *bytes = minicbor::to_vec(State { last_paid_on: None, last_paid_minor: None, ..state })
                .expect("memory has room");
        }
    }
    facts
}
