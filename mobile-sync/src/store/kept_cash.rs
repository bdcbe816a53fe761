//! Own cash whose dossier has left the phone: what a hand-over needs of it, and nothing about the payer.
//!
//! The officer still holds the money. So an entry of it is noted here when it leaves, and so is what a
//! hand-over named; verdicts go on reaching both. An entry that comes back is the entry again.

use daybook_shared::cbor;
use daybook_shared::entry::{Body, Entry};
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::wire::outcome::{Outcome, OutcomeState};
use rusqlite::{Params, Row, params};

use super::{Db, EntryState, StoreError, StoredEntry, bytes};
use crate::view::cash;

const CASH: &str = "kept_cash";
const HANDOVER: &str = "kept_handover";

impl Db<'_> {
    /// Notes what must outlive an entry that is about to leave: an answered one of this device.
    pub(super) fn keep_cash(self, leaving: &StoredEntry) -> Result<(), StoreError> {
        const INSERT_CASH: &str = "insert into kept_cash (id, minor, currency, outcome) values (?1, ?2, ?3, ?4)";
        const INSERT_HANDOVER: &str = "insert into kept_handover (id, repayment, outcome) values (?1, ?2, ?3) \
            on conflict (id, repayment) do nothing";
        let (true, EntryState::Answered(outcome)) = (leaving.own, &leaving.state) else { return Ok(()) };
        let Ok(entry) = Entry::decode(&leaving.bytes) else { return Ok(()) };
        let (id, verdict) = (leaving.id.as_bytes(), cbor::to_vec(outcome));
        if let Body::CashHandover(handover) = &entry.body {
            let mut named = handover.repayments.iter();
            return named.try_for_each(|of| self.execute(INSERT_HANDOVER, params![id, of.as_bytes(), verdict]));
        }
        match cash::of(&entry.body) {
            Some(Money { minor, currency }) => {
                self.execute_one(INSERT_CASH, params![id, minor, currency.to_string(), verdict])
            }
            None => Ok(()),
        }
    }

    /// Notes what must outlive the entries of a dossier that is about to leave.
    pub(super) fn keep_cash_of(self, dossier: DossierId) -> Result<(), StoreError> {
        self.own_entries_of(dossier)?.iter().try_for_each(|entry| self.keep_cash(entry))
    }

    /// An entry is here again, and what was kept of it is not needed.
    pub(super) fn forget_kept_cash(self, id: EntryId) -> Result<(), StoreError> {
        self.execute("delete from kept_cash where id = ?1", params![id.as_bytes()])?;
        self.execute("delete from kept_handover where id = ?1", params![id.as_bytes()])
    }

    /// Writes a verdict beside what was kept of its entry, if anything was.
    pub(super) fn set_kept_outcome(self, id: EntryId, outcome: &Outcome) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 2] =
            ["update kept_cash set outcome = ?2 where id = ?1", "update kept_handover set outcome = ?2 where id = ?1"];
        let verdict = cbor::to_vec(outcome);
        STATEMENTS.iter().try_for_each(|sql| self.execute(sql, params![id.as_bytes(), verdict]))
    }

    /// Forgets cash that nobody asks for any more: what old hand-overs, of ids below `before`, named, and
    /// what was refused or taken back. What the officer still holds is kept however old it is. So is that
    /// it was handed over, because its case may come back without the hand-over.
    pub(super) fn forget_settled_cash(self, before: &[u8]) -> Result<(), StoreError> {
        const SELECT: &str = "select repayment, outcome from kept_handover where id < ?1 \
            and repayment in (select id from kept_cash)";
        const TAKEN_BACK: &str = "delete from kept_cash where id = ?1 and id < ?2";
        for (id, _, outcome) in self.kept_cash()? {
            if outcome.state != OutcomeState::Held && !cash::is_in_hand(&outcome) {
                self.execute(TAKEN_BACK, params![id.as_bytes(), before])?;
            }
        }
        for (repayment, outcome) in self.handovers(SELECT, params![before])? {
            if cash::stands(&outcome) {
                self.execute("delete from kept_cash where id = ?1", params![repayment.as_bytes()])?;
            }
        }
        Ok(())
    }

    /// Cash whose entry has left, with its verdict, by id: so in the order of capture.
    pub(crate) fn kept_cash(self) -> Result<Vec<(EntryId, Money, Outcome)>, StoreError> {
        self.all("select id, minor, currency, outcome from kept_cash order by id", [], |row| {
            let currency = row.get::<_, String>(2)?.parse().map_err(|_| StoreError::BadRow { table: CASH })?;
            Ok((bytes(row, 0, CASH)?.into(), Money::new(row.get(1)?, currency), outcome_of(row, 3, CASH)?))
        })
    }

    /// What hand-overs that have left named, with their verdicts.
    pub(crate) fn kept_handovers(self) -> Result<Vec<(EntryId, Outcome)>, StoreError> {
        self.handovers("select repayment, outcome from kept_handover", [])
    }

    fn handovers(self, sql: &str, params: impl Params) -> Result<Vec<(EntryId, Outcome)>, StoreError> {
        self.all(sql, params, |row| Ok((bytes(row, 0, HANDOVER)?.into(), outcome_of(row, 1, HANDOVER)?)))
    }
}

fn outcome_of(row: &Row<'_>, index: usize, table: &'static str) -> Result<Outcome, StoreError> {
    minicbor::decode(&row.get::<_, Vec<u8>>(index)?).map_err(|_| StoreError::BadRow { table })
}
