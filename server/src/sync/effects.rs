//! What a group of envelopes leaves behind, collected in memory before the first write.

use daybook_shared::entry::{
    Channel, CheckResult, CheckedTransaction, CorrectionKind, EntryType, HandoverTo, PersonMet, VisitKind, VisitOutcome,
};
use daybook_shared::ids::{AckHash, AgentId, ChangeHash, DossierId, EntryId, EnvelopeId, PaymentId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::Outcome;
use uuid::Uuid;

use super::records::rows::Records;
use crate::attachments::AttachmentRow;
use crate::batch_row;
use crate::ledger::posting::Journal;

batch_row! {
    /// A row of `envelope`.
    pub struct EnvelopeRow {
        /// Install.
        install_id: i64 => "bigint",
        /// Number.
        number: i64 => "bigint",
        /// Id.
        uid: EnvelopeId => "bytea",
        /// As it came.
        bytes: Vec<u8> => "bytea",
        /// When.
        received_at: Timestamp => "timestamptz",
        /// Its bytes were not kept.
        erased_at: Option<Timestamp> => "timestamptz",
    }
}

batch_row! {
    /// A row of `acknowledgement`.
    pub struct AcknowledgementRow {
        /// Device.
        device_id: i64 => "bigint",
        /// Hash.
        hash: AckHash => "bytea",
        /// The server's time in it.
        at: Timestamp => "timestamptz",
    }
}

batch_row! {
    /// A row of `visit`.
    pub struct VisitRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Officer.
        user_id: i64 => "bigint",
        /// Kind.
        kind: VisitKind => "text",
        /// Outcome code.
        outcome: VisitOutcome => "text",
        /// Who was met.
        person_met: PersonMet => "text",
        /// Proved to be the customer.
        identity_verified: bool => "boolean",
        /// Start.
        started_at: Timestamp => "timestamptz",
        /// End.
        ended_at: Timestamp => "timestamptz",
        /// Latitude.
        lat_e6: Option<i64> => "bigint",
        /// Longitude.
        lon_e6: Option<i64> => "bigint",
    }
}

batch_row! {
    /// A row of `payment`.
    pub struct PaymentRow {
        /// The maker's id.
        uid: PaymentId => "uuid",
        /// Account, if it is known.
        account_id: Option<i64> => "bigint",
        /// Officer.
        user_id: i64 => "bigint",
        /// Channel.
        channel: Channel => "text",
        /// Amount.
        amount_minor: i64 => "bigint",
        /// Currency.
        currency: Currency => "text",
        /// Receipt number.
        receipt_no: Option<String> => "text",
        /// Provider's reference.
        external_ref: Option<String> => "text",
        /// The day it counts for.
        value_date: Date => "date",
        /// The day it is booked on, once posted.
        booked_on: Option<Date> => "date",
        /// State.
        state: String => "text",
        /// The officer's cash was charged.
        debited: bool => "boolean",
    }
}

batch_row! {
    /// A row of `promise`.
    pub struct PromiseRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Account.
        account_id: i64 => "bigint",
        /// Officer.
        user_id: i64 => "bigint",
        /// Amount.
        amount_minor: i64 => "bigint",
        /// Promised day.
        promised_date: Date => "date",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// ACTIVE or SUPERSEDED.
        status: String => "text",
    }
}

batch_row! {
    /// A row of `correction`.
    pub struct CorrectionRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// What it is about.
        target: EntryId => "uuid",
        /// What was wrong.
        kind: CorrectionKind => "text",
        /// Who asks.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
    }
}

batch_row! {
    /// A row of `cash_handover`.
    pub struct HandoverRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Officer.
        user_id: i64 => "bigint",
        /// Who takes the cash.
        recipient: HandoverTo => "text",
        /// Declared amount.
        declared_minor: i64 => "bigint",
        /// Currency.
        currency: Currency => "text",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
    }
}

batch_row! {
    /// A row of `handover_item`.
    pub struct HandoverItemRow {
        /// Repayment.
        payment_uid: PaymentId => "uuid",
        /// Hand-over.
        entry_uid: EntryId => "uuid",
    }
}

batch_row! {
    /// A row of `transaction_check`.
    pub struct CheckRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// Who checked.
        user_id: i64 => "bigint",
        /// Operator's reference.
        txn_ref: String => "text",
        /// Kind of transaction.
        txn_type: CheckedTransaction => "text",
        /// Amount.
        amount_minor: i64 => "bigint",
        /// Currency.
        currency: Currency => "text",
        /// When it took place.
        txn_at: Timestamp => "timestamptz",
        /// The agent's book.
        book_amount_minor: Option<i64> => "bigint",
        /// Finding.
        result: CheckResult => "text",
    }
}

batch_row! {
    /// A row of `quarantine`.
    pub struct QuarantineRow {
        /// Id.
        uid: Uuid => "uuid",
        /// Dossier.
        dossier_uid: DossierId => "uuid",
        /// Dossier's row key, if it is known.
        dossier_id: Option<i64> => "bigint",
        /// Install.
        install_id: i64 => "bigint",
        /// Author.
        user_id: i64 => "bigint",
        /// Envelope.
        number: i64 => "bigint",
        /// Place among the envelope's board changes.
        position: i64 => "bigint",
        /// The actor's number.
        actor_n: i64 => "bigint",
        /// As it came.
        bytes: Vec<u8> => "bytea",
        /// Why.
        reason: String => "text",
        /// When.
        at: Timestamp => "timestamptz",
    }
}

/// An entry to be added to the log.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// Id.
    pub uid: EntryId,
    /// Dossier.
    pub dossier: DossierId,
    /// The dossier's version that this entry is.
    pub version: i64,
    /// Type.
    pub entry_type: EntryType,
    /// Device.
    pub device_id: i64,
    /// Install.
    pub install_id: i64,
    /// Author.
    pub user_id: i64,
    /// As the phone made it.
    pub bytes: Vec<u8>,
    /// Only its author and those who review may read it.
    pub confidential: bool,
    /// Corrected capture time.
    pub captured_at: Timestamp,
    /// When it came.
    pub received_at: Timestamp,
    /// Verdict.
    pub outcome: Outcome,
}

/// A new verdict on an entry in the log.
#[derive(Debug, Clone)]
pub struct ChangedOutcome {
    /// The entry's row key.
    pub entry_id: i64,
    /// The device that captured it.
    pub device_id: i64,
    /// The dossier's version that this verdict is.
    pub outcome_version: i64,
    /// Verdict.
    pub outcome: Outcome,
}

/// A board change that was merged.
#[derive(Debug, Clone)]
pub struct MergedChange {
    /// Dossier.
    pub dossier: DossierId,
    /// The dossier's version that this change is.
    pub version: i64,
    /// Hash.
    pub hash: ChangeHash,
    /// The change.
    pub bytes: Vec<u8>,
    /// Author.
    pub user_id: i64,
    /// Install; none for a change made online.
    pub install_id: Option<i64>,
    /// When.
    pub at: Timestamp,
}

/// Something that happened online.
#[derive(Debug, Clone)]
pub struct NewTimelineEvent {
    /// Dossier.
    pub dossier: DossierId,
    /// The dossier's version that this event is.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub code: &'static str,
    /// How much.
    pub amount_minor: Option<i64>,
    /// Who.
    pub user_id: i64,
}

/// All of it. Rows whose dossier has no key yet name it by id; the key is filled in when writing.
#[derive(Debug, Default)]
pub struct Effects {
    /// Envelopes taken.
    pub envelopes: Vec<EnvelopeRow>,
    /// Acknowledgements given.
    pub acknowledgements: Vec<AcknowledgementRow>,
    /// Entries.
    pub entries: Vec<NewEntry>,
    /// Files that the entries name.
    pub attachments: Vec<AttachmentRow>,
    /// Changed verdicts.
    pub outcomes: Vec<ChangedOutcome>,
    /// Entries that wait for others: (the other, the waiting one).
    pub waiting: Vec<(EntryId, EntryId)>,
    /// Entries that wait no longer.
    pub waited: Vec<i64>,
    /// Visits.
    pub visits: Vec<VisitRow>,
    /// Payments.
    pub payments: Vec<PaymentRow>,
    /// Payments whose state changed: id, account, state, debited, booked on, value date.
    pub payment_states: Vec<PaymentRow>,
    /// Promises.
    pub promises: Vec<PromiseRow>,
    /// Promises that are superseded.
    pub superseded: Vec<EntryId>,
    /// Corrections.
    pub corrections: Vec<CorrectionRow>,
    /// Hand-overs.
    pub handovers: Vec<HandoverRow>,
    /// What they hold.
    pub handover_items: Vec<HandoverItemRow>,
    /// Transaction checks.
    pub checks: Vec<CheckRow>,
    /// Records without money.
    pub records: Records,
    /// Journals.
    pub journals: Vec<Journal>,
    /// Changes of officers' cash.
    pub cash: std::collections::BTreeMap<(i64, Currency), i64>,
    /// Receipt numbers that changed hands within the group.
    pub claims_moved: Vec<(String, PaymentId)>,
    /// Merged board changes.
    pub board_changes: Vec<MergedChange>,
    /// Boards as they are now, saved.
    pub boards: std::collections::BTreeMap<DossierId, Vec<u8>>,
    /// Quarantined board changes.
    pub quarantined: Vec<QuarantineRow>,
    /// Events of the timeline.
    pub timeline: Vec<NewTimelineEvent>,
}

/// The changes of an officer's cash add up to more than 64 bits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cash of an officer adds up to more than can be kept")]
pub struct CashOverflow;

impl Effects {
    /// Charges (or, negative, relieves) an officer's cash.
    pub fn add_cash(&mut self, user_id: i64, currency: Currency, minor: i64) -> Result<(), CashOverflow> {
        let sum = self.cash_after(user_id, currency, minor).ok_or(CashOverflow)?;
        self.cash.insert((user_id, currency), sum);
        Ok(())
    }

    /// Whether [`Effects::add_cash`] would do it.
    pub fn can_add_cash(&self, user_id: i64, currency: Currency, minor: i64) -> bool {
        self.cash_after(user_id, currency, minor).is_some()
    }

    fn cash_after(&self, user_id: i64, currency: Currency, minor: i64) -> Option<i64> {
        self.cash.get(&(user_id, currency)).copied().unwrap_or(0).checked_add(minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_cash_are_checked_and_stay_what_they_were() {
        let (mut effects, currency) = (Effects::default(), Currency::new(*b"KES").unwrap());
        assert_eq!(effects.add_cash(1, currency, i64::MAX), Ok(()));
        assert!(!effects.can_add_cash(1, currency, 1) && effects.can_add_cash(2, currency, 1));
        assert_eq!(effects.add_cash(1, currency, 1), Err(CashOverflow));
        assert_eq!(effects.cash[&(1, currency)], i64::MAX);
    }
}
