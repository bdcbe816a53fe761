//! I9: what ledger and facts come to, in a form in which two histories of one database can be compared.
//!
//! Left out is what depends on the order of arrival by design (I3): flags that say what a payment met when it
//! came and which files are missing, which payment's journal has what is above the debt (the balances are the same), and versions, which
//! count arrivals.

use std::collections::{BTreeMap, BTreeSet};

use daybook_mobile_sync::session::SyncEnd;
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::wire::outcome::Flag;
use uuid::Uuid;

use crate::sim::says::words;
use crate::sim::world::{Acc, Who, World};

/// A ledger account: its code, whom it is kept for, the currency.
type Ledger = (String, Option<i64>, String);
/// Flags that say what a payment met when it came; and that a file is missing, which a phone handed in, dropped,
/// and cannot hand in again: of such a file the entry, its size and its hash are there, and it is listed.
const OF_ARRIVAL: [Flag; 4] = [Flag::LikelyDuplicate, Flag::AccountClosed, Flag::OverPayoff, Flag::EvidencePending];
/// Facts of a dossier: sections by number.
type Facts = Vec<(u8, Vec<u8>)>;

/// The books.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// The verdict on every entry.
    pub outcomes: BTreeMap<EntryId, String>,
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
}

/// The books as they are now; `officers` have phones.
pub fn of(world: &mut World, officers: &[Who]) -> Books {
    let mut books = Books::default();
    for (id, mut entry) in world.entries() {
        let flags = entry.outcome.flags.take().unwrap_or_default();
        let flags: Vec<_> = flags.into_iter().filter(|flag| !OF_ARRIVAL.contains(flag)).collect();
        entry.outcome.flags = (!flags.is_empty()).then_some(flags);
        books.outcomes.insert(id, words(&entry.outcome));
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
        all.extend(differ("account", &self.accounts, &other.accounts));
        all.extend(differ("journal", &self.journals, &other.journals));
        all.extend(differ("balance", &self.balances, &other.balances));
        all.extend(differ("facts", &self.facts, &other.facts));
        all.extend(self.cash.symmetric_difference(&other.cash).map(|row| format!("cash {row:?}")));
        all.extend(self.promises.symmetric_difference(&other.promises).map(|row| format!("promise {row:?}")));
        all
    }
}
