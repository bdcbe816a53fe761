//! What a story is told with: captures in one line, and short questions to the server.

use daybook_mobile_sync::capture::{Draft, NewFile, Override, RepaymentDraft, What};
use daybook_server::portfolio::account::{self, AccountRow, Lock};
use daybook_shared::entry::{
    CashHandover, Channel, CheckResult, CheckedTransaction, Correction, CorrectionKind, HandoverTo, PersonMet, Promise,
    PromiseChannel, ReceiptNumber, TransactionCheck, Visit, VisitKind, VisitOutcome,
};
use daybook_shared::ids::{AgentId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use super::setup::KES;
use super::world::{Acc, On, Who, World};

/// An outcome in a line: `posted`, `held(DUP_RECEIPT)`, `posted BACKDATED LIKELY_DUPLICATE`.
pub fn words(outcome: &Outcome) -> String {
    let reason = outcome.reason.as_ref().map(|reason| format!("({reason})")).unwrap_or_default();
    let flags = outcome.flags.iter().flatten().map(|flag| format!(" {flag}"));
    format!("{}{reason}{}", outcome.state.code(), flags.collect::<String>())
}

/// An entry on the server.
#[derive(Debug, Clone)]
pub struct OnServer {
    /// Row key.
    pub id: i64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its outcome.
    pub outcome: Outcome,
    /// The key of its dossier.
    pub dossier_id: i64,
    /// The key of its author, where only he gets it from a feed.
    pub only_for: Option<i64>,
}

type EntryRow = (EntryId, i64, Vec<u8>, String, Option<Reason>, Option<String>, i64, i64, bool);

fn outcome_of(state: &str, reason: Option<Reason>, flags: Option<&str>) -> Outcome {
    let flags = flags.map(|flags| flags.split(' ').map(Flag::from_code).collect());
    Outcome { state: OutcomeState::from_code(state).expect("a state of entries"), reason, flags }
}

impl World {
    // ---- given and when

    /// A field visit that found the customer at home.
    pub fn visit(&mut self, on: On, acc: Acc) -> EntryId {
        let account = self.accounts[acc.0].uid;
        let ended_at = self.now();
        let visit = Visit {
            kind: VisitKind::Field,
            started_at: ended_at.plus_ms(-900_000),
            ended_at,
            person_met: PersonMet::Customer,
            identity_verified: true,
            outcome: VisitOutcome::Callback,
            reasons: None,
            note: Some("At home; asked to come back on Friday.".to_owned()),
            next_action: None,
            no_fix_reason: Some("INDOORS".to_owned()),
            stop: None,
            witness: None,
            id_shown: Some(true),
            customer_invited: None,
        };
        self.record(on, What::Visit { account, visit })
    }

    /// Cash, for today, under the phone's next receipt number.
    pub fn cash(&mut self, on: On, acc: Acc, minor: i64) -> EntryId {
        let draft = self.cash_draft(acc, minor);
        self.repay(on, draft)
    }

    /// Cash that can be changed before it is recorded.
    pub fn cash_draft(&self, acc: Acc, minor: i64) -> RepaymentDraft {
        RepaymentDraft::cash(self.accounts[acc.0].uid, Money::new(minor, KES))
    }

    /// Cash under the number of a paper receipt.
    pub fn cash_on_paper(&mut self, on: On, acc: Acc, minor: i64, receipt: &str) -> EntryId {
        let mut draft = self.cash_draft(acc, minor);
        draft.paper_receipt = Some(receipt.parse::<ReceiptNumber>().expect("a receipt number"));
        self.repay(on, draft)
    }

    /// Mobile money with the operator's reference.
    pub fn mobile_money(&mut self, on: On, acc: Acc, minor: i64, reference: &str) -> EntryId {
        let mut draft = self.cash_draft(acc, minor);
        draft.channel = Channel::MobileMoney;
        draft.external_ref = Some(reference.to_owned());
        self.repay(on, draft)
    }

    /// A repayment; if the phone asks for an override, the officer says that the cash is in his hand.
    pub fn repay(&mut self, on: On, mut draft: RepaymentDraft) -> EntryId {
        draft.over_limit = Some(Override::CashInHand);
        self.record(on, What::Repayment(draft))
    }

    /// A promise to pay in so many days.
    pub fn promise(&mut self, on: On, acc: Acc, minor: i64, in_days: i32) -> EntryId {
        let account = self.accounts[acc.0].uid;
        let promised_date = self.today().plus_days(in_days);
        let (amount, channel) = (Money::new(minor, KES), PromiseChannel::Cash);
        let promise = Promise { amount, promised_date, channel, contact_ref: None };
        self.record(on, What::Promise { account, promise })
    }

    /// A request to undo an entry.
    pub fn correction(&mut self, on: On, target: EntryId, kind: CorrectionKind) -> EntryId {
        let reason = "Wrong house.".to_owned();
        let correction = Correction { target, kind, proposed: None, reason };
        self.record(on, What::Correction { dossier: None, correction })
    }

    /// A hand-over of these repayments to a cashier.
    pub fn handover(&mut self, on: On, repayments: &[EntryId], declared_minor: i64) -> EntryId {
        let (to, declared) = (HandoverTo::Cashier, Money::new(declared_minor, KES));
        self.record(on, What::CashHandover(CashHandover { to, declared, repayments: repayments.to_vec(), slip: None }))
    }

    /// A look at one of an agent's transactions.
    pub fn transaction_check(&mut self, on: On, agent: AgentId) -> EntryId {
        let check = TransactionCheck {
            agent,
            txn_ref: "QF12AB34".to_owned(),
            txn_type: CheckedTransaction::CashIn,
            amount: Money::new(50_000, KES),
            txn_at: self.now().plus_ms(-3_600_000),
            book_amount_minor: Some(50_000),
            customer_confirmed: Some(true),
            result: CheckResult::Match,
        };
        self.record(on, What::TransactionCheck(check))
    }

    /// Records something the phone must take.
    pub fn record(&mut self, on: On, draft: impl Into<Draft>) -> EntryId {
        let now = self.now();
        let phone = &mut self.phones[on.0];
        let captured = phone.capture(draft, now, &mut self.rng);
        captured.unwrap_or_else(|error| panic!("{}: {error}", phone.name)).id
    }

    /// Records something with files.
    pub fn record_with(&mut self, on: On, draft: Draft, files: &[NewFile]) -> EntryId {
        let now = self.now();
        let phone = &mut self.phones[on.0];
        let captured = phone.capture_with(draft, files, now, &mut self.rng);
        captured.unwrap_or_else(|error| panic!("{}: {error}", phone.name)).id
    }

    // ---- then

    /// All entries the server has.
    pub fn entries(&self) -> std::collections::BTreeMap<EntryId, OnServer> {
        let rows: Vec<EntryRow> = self
            .server
            .rows("select uid, id, bytes, outcome, reason, flags, dossier_id, user_id, confidential from entry");
        let entry = |(uid, id, bytes, outcome, reason, flags, dossier_id, user_id, confidential): EntryRow| {
            let outcome = outcome_of(&outcome, reason, flags.as_deref());
            (uid, OnServer { id, bytes, outcome, dossier_id, only_for: confidential.then_some(user_id) })
        };
        rows.into_iter().map(entry).collect()
    }

    /// The server's verdict on an entry, in a line; `unknown` if it has none.
    pub fn outcome(&self, entry: EntryId) -> String {
        self.entries().get(&entry).map_or_else(|| "unknown".to_owned(), |entry| words(&entry.outcome))
    }

    /// What the phone shows of an entry of its own; `pending` before there is a verdict.
    pub fn shown(&self, on: On, entry: EntryId) -> String {
        let own = self.phone(on).store().own_entries().expect("the store can be read");
        let found = own.into_iter().find(|(id, ..)| *id == entry);
        match found {
            None => "absent".to_owned(),
            Some((_, _, None)) => "pending".to_owned(),
            Some((_, _, Some(outcome))) => words(&outcome),
        }
    }

    /// An account's row.
    pub fn row_of(&self, acc: Acc) -> AccountRow {
        let id = self.accounts[acc.0].id;
        self.server.read(async |_, tx| {
            let rows = account::load_accounts(tx, &[id], Lock::No).await;
            rows.expect("accounts can be read").pop().expect("the account exists")
        })
    }

    /// Where an account stands: `active, owes 2000, paid 1000, credit 0`.
    pub fn stands(&self, acc: Acc) -> String {
        let row = self.row_of(acc);
        let owed = row.outstanding().total().expect("a small sum");
        format!("{}, owes {owed}, paid {}, credit {}", row.status_text(), row.paid_minor, row.credit_minor)
    }

    /// Cash an officer owes the lender, minor units of its currency.
    pub fn cash_in_hand(&self, who: Who) -> i64 {
        let sql = format!("select currency, minor from officer_cash where user_id = {}", self.people[who.0].id);
        let rows: Vec<(String, i64)> = self.server.rows(&sql);
        rows.iter().find(|(currency, _)| currency == "KES").map_or(0, |(_, minor)| *minor)
    }

    /// The ledger's lines for an event, in the order they were booked: `repayment: Dr officer_cash 1000`.
    pub fn lines(&self, event: EntryId) -> Vec<String> {
        let rows: Vec<(EntryId, i64, String, i64, String, i64)> = self.server.rows(
            "select j.event, j.id, j.kind, l.n, l.gl, l.minor from journal j join line l on l.journal_id = j.id
             order by j.id, l.n",
        );
        let side = |minor: i64| if minor > 0 { "Dr" } else { "Cr" };
        let of_event = rows.into_iter().filter(|row| row.0 == event);
        of_event.map(|(_, _, kind, _, gl, minor)| format!("{kind}: {} {gl} {}", side(minor), minor.abs())).collect()
    }

    /// An account's promises, by the order of their capture: status each.
    pub fn promises(&self, acc: Acc) -> Vec<(EntryId, String)> {
        let id = self.accounts[acc.0].id;
        self.server.rows(&format!(
            "select entry_uid, status from promise where account_id = {id} order by captured_at, entry_uid"
        ))
    }
}
