//! Which lines an event makes in the ledger: journey.md 5, with the lines model.md adds.
//!
//! Every function here is pure and answers a [`Journal`], which exists only balanced: its lines sum to
//! zero. (kind, event id) is unique where journals are stored, so posting an event twice posts it once.
//! Nothing booked is changed; a mistake is met by a [`reversal`] and a new journal.
//!
//! What is deliberately not here: who may book what, and which payments are valid.

use std::fmt;

use daybook_shared::money::{Currency, MoneyError};
use daybook_shared::schedule::Portions;
use daybook_shared::time::Date;
use uuid::Uuid;

use crate::spelled::spelled;

spelled! {
    /// A kind of ledger account. The comment says what it is and whom its subject names.
    GlCode {
        /// Asset: money at the bank.
        Bank = "bank",
        /// Asset: money at the mobile-money operator.
        Momo = "momo",
        /// Asset: what the card acquirer owes us.
        CardClearing = "card_clearing",
        /// Asset, by user: cash an officer collected and owes us. May be below zero for a while.
        OfficerCash = "officer_cash",
        /// Asset, by user: shortages an officer owes us.
        OfficerRecv = "officer_recv",
        /// Asset, by user: cash a cashier counted and holds.
        Till = "till",
        /// Asset, by account: what the customer owes along the schedule, gross.
        PlanRecv = "plan_recv",
        /// Contra asset, by account: profit or interest in it that is not yet earned.
        Unearned = "unearned",
        /// Equity: the other side of what was imported.
        Opening = "opening",
        /// Clearing with the shop's sales ledger.
        Orders = "orders",
        /// Liability: money whose place is not known yet.
        Suspense = "suspense",
        /// Liability, by customer: what was paid above what is owed.
        Credit = "credit",
        /// Income: money on written-off accounts.
        Recovery = "recovery",
        /// Asset: money on its way between two of our places.
        InTransit = "in_transit",
        /// Income: fees of customers.
        Fees = "fees",
        /// Expense: what operators and acquirers keep of what customers pay.
        ChannelCost = "channel_cost",
        /// Income: profit or interest whose day has come.
        Profit = "profit",
        /// Liability: late fees that are not ours to keep.
        Charity = "charity",
        /// Liability, by customer: what goes back to him.
        RefundPayable = "refund_payable",
    }
}

spelled! {
    /// What a journal is about; the number is its line in journey.md 5 and model.md.
    JournalKind {
        /// 0: an account taken over with what is still owed on it.
        Import = "import",
        /// 1: an account activated.
        Activation = "activation",
        /// 1b: what a customer pays before an account begins.
        DownPayment = "down_payment",
        /// 3b: what an operator keeps of a payment.
        ChannelCost = "channel_cost",
        /// 5b: an acquirer pays out what came by card.
        Payout = "payout",
        /// 3, 4, 5 and 6: a payment on an account, the part above what is owed to the customer's credit.
        Repayment = "repayment",
        /// 4b: a cashier counted what an officer handed over.
        Count = "count",
        /// 6b: a customer's credit used on an account.
        CreditApplied = "credit_applied",
        /// 7: money whose place is not known, or whose entry is held.
        Suspense = "suspense",
        /// 7b: its place found.
        Identified = "identified",
        /// 7b: given back to the payer.
        SentBack = "sent_back",
        /// 12: money on a written-off account.
        Recovery = "recovery",
        /// 2: profit earned on the day it falls due.
        Profit = "profit",
        /// 8: a fee for being late.
        LateFee = "late_fee",
        /// 9: a rebate for paying off early.
        EarlySettlement = "early_settlement",
        /// 13: goods given back.
        Return = "return",
        /// A customer's credit that is to be paid out.
        RefundOwed = "refund_owed",
        /// 13b: a refund paid out.
        RefundPaid = "refund_paid",
        /// R: the mirror of another journal.
        Reversal = "reversal",
    }
}

/// A ledger account: its kind and, where there is one for each of them, the internal key of the user,
/// account or customer it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlAccount {
    /// The kind.
    pub code: GlCode,
    /// The internal key of the subject.
    pub subject: Option<i64>,
}

#[expect(missing_docs, reason = "the accounts are described once, at GlCode")]
impl GlAccount {
    pub const BANK: Self = Self::of(GlCode::Bank, None);
    pub const MOMO: Self = Self::of(GlCode::Momo, None);
    pub const CARD_CLEARING: Self = Self::of(GlCode::CardClearing, None);
    pub const OPENING: Self = Self::of(GlCode::Opening, None);
    pub const ORDERS: Self = Self::of(GlCode::Orders, None);
    pub const SUSPENSE: Self = Self::of(GlCode::Suspense, None);
    pub const RECOVERY: Self = Self::of(GlCode::Recovery, None);
    pub const IN_TRANSIT: Self = Self::of(GlCode::InTransit, None);
    pub const FEES: Self = Self::of(GlCode::Fees, None);
    pub const CHANNEL_COST: Self = Self::of(GlCode::ChannelCost, None);
    pub const PROFIT: Self = Self::of(GlCode::Profit, None);
    pub const CHARITY: Self = Self::of(GlCode::Charity, None);

    pub const fn officer_cash(user: i64) -> Self {
        Self::of(GlCode::OfficerCash, Some(user))
    }

    pub const fn officer_recv(user: i64) -> Self {
        Self::of(GlCode::OfficerRecv, Some(user))
    }

    pub const fn till(user: i64) -> Self {
        Self::of(GlCode::Till, Some(user))
    }

    pub const fn plan_recv(account: i64) -> Self {
        Self::of(GlCode::PlanRecv, Some(account))
    }

    pub const fn unearned(account: i64) -> Self {
        Self::of(GlCode::Unearned, Some(account))
    }

    pub const fn credit(customer: i64) -> Self {
        Self::of(GlCode::Credit, Some(customer))
    }

    pub const fn refund_payable(customer: i64) -> Self {
        Self::of(GlCode::RefundPayable, Some(customer))
    }

    const fn of(code: GlCode, subject: Option<i64>) -> Self {
        Self { code, subject }
    }
}

/// `officer_cash:12`, for logs and messages.
impl fmt::Display for GlAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        self.subject.map_or(Ok(()), |subject| write!(f, ":{subject}"))
    }
}

/// One line of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The ledger account.
    pub account: GlAccount,
    /// Minor units: positive is debit, negative credit.
    pub minor: i64,
}

pub(super) fn dr(account: GlAccount, minor: i64) -> Line {
    Line { account, minor }
}

/// A credit line. `minor` is not negative, so its negation fits.
pub(super) fn cr(account: GlAccount, minor: i64) -> Line {
    Line { account, minor: -minor }
}

/// What happened, when it is booked and in what money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// The id of the event: of an entry, a payment, a decision.
    pub id: Uuid,
    /// What ties a journal to its reversal and to what replaces it.
    pub correlation: Uuid,
    /// The day of the books; at or after the value date.
    pub booked_on: Date,
    /// The currency of every line.
    pub currency: Currency,
}

/// Why an event cannot be booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// Fewer than two lines are not zero.
    #[error("a journal has at least two lines that are not zero")]
    NothingToBook,
    /// Debits and credits differ by this much.
    #[error("a journal sums to zero, not to {0}")]
    Unbalanced(i64),
    /// An amount below zero where only its size is asked for.
    #[error("an amount is not negative, but {0} is")]
    Negative(i64),
    /// More is unearned than is owed, in minor units.
    #[error("{unearned_minor} is unearned of a receivable of {receivable_minor}")]
    Unearned {
        /// What is unearned.
        unearned_minor: i64,
        /// What is owed.
        receivable_minor: i64,
    },
    /// Beyond 64 bits.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The lines of one event. Exists only balanced, with at least two lines, none of them zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    kind: JournalKind,
    event: Event,
    lines: Vec<Line>,
}

impl Journal {
    /// A journal of these lines, as booked or as read back; lines of zero are left out.
    pub fn new(kind: JournalKind, event: Event, mut lines: Vec<Line>) -> Result<Self, PostingError> {
        lines.retain(|line| line.minor != 0);
        if lines.len() < 2 {
            return Err(PostingError::NothingToBook);
        }
        let sum: i128 = lines.iter().map(|line| i128::from(line.minor)).sum();
        match i64::try_from(sum) {
            Ok(0) => Ok(Self { kind, event, lines }),
            Ok(sum) => Err(PostingError::Unbalanced(sum)),
            Err(_) => Err(MoneyError::Overflow.into()),
        }
    }

    /// What it is about.
    pub fn kind(&self) -> JournalKind {
        self.kind
    }

    /// The event it books.
    pub fn event(&self) -> Event {
        self.event
    }

    /// Its lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }
}

/// Where the money of a payment goes: to the account as far as it is owed, the rest to the customer's
/// credit (the payment's `Allocation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Internal key of the account.
    pub account: i64,
    /// Internal key of the customer.
    pub customer: i64,
    /// To the account, minor units.
    pub to_plan_minor: i64,
    /// To the customer's credit, minor units.
    pub to_credit_minor: i64,
}

/// Line 0: an account is taken over: Dr plan_recv; Cr unearned, opening. `receivable_minor` is all that is
/// unpaid of its schedule, `unearned_minor` the profit in it not yet earned.
pub fn import(event: Event, account: i64, receivable_minor: i64, unearned_minor: i64) -> Result<Journal, PostingError> {
    receivable(JournalKind::Import, event, account, receivable_minor, unearned_minor, GlAccount::OPENING)
}

/// Line 1: an account is activated: Dr plan_recv; Cr unearned, orders. `receivable_minor` is its whole
/// schedule, `unearned_minor` the profit in it.
pub fn activation(
    event: Event,
    account: i64,
    receivable_minor: i64,
    unearned_minor: i64,
) -> Result<Journal, PostingError> {
    receivable(JournalKind::Activation, event, account, receivable_minor, unearned_minor, GlAccount::ORDERS)
}

/// Line 1 for a sale on a contract, whose schedule owes this in all: Dr plan_recv; Cr orders for the price,
/// unearned for the profit, fees for what the customer pays for a service with the instalments. A fee that was paid
/// with the acceptance came with the down payment (line 1b) and is no part of the price: Dr orders; Cr fees.
pub fn sale(event: Event, account: i64, owed: Portions, fee_at_acceptance_minor: i64) -> Result<Journal, PostingError> {
    let Portions { principal, interest, fee, penalty } = owed;
    not_negative([principal, interest, fee, penalty, fee_at_acceptance_minor])?;
    let fees = fee.checked_add(fee_at_acceptance_minor).ok_or(MoneyError::Overflow)?;
    let lines = vec![
        dr(GlAccount::plan_recv(account), owed.total()?),
        dr(GlAccount::ORDERS, fee_at_acceptance_minor),
        cr(GlAccount::ORDERS, principal),
        cr(GlAccount::unearned(account), interest),
        cr(GlAccount::FEES, fees),
    ];
    // A schedule that begins with penalties does not balance, and is refused.
    Journal::new(JournalKind::Activation, event, lines)
}

fn receivable(
    kind: JournalKind,
    event: Event,
    account: i64,
    receivable_minor: i64,
    unearned_minor: i64,
    against: GlAccount,
) -> Result<Journal, PostingError> {
    not_negative([receivable_minor, unearned_minor])?;
    if unearned_minor > receivable_minor {
        return Err(PostingError::Unearned { unearned_minor, receivable_minor });
    }
    let lines = vec![
        dr(GlAccount::plan_recv(account), receivable_minor),
        cr(against, receivable_minor - unearned_minor),
        cr(GlAccount::unearned(account), unearned_minor),
    ];
    Journal::new(kind, event, lines)
}

/// Line 1b: a down payment came to `source`: Dr source; Cr orders. It is never part of the receivable.
pub fn down_payment(event: Event, source: GlAccount, amount_minor: i64) -> Result<Journal, PostingError> {
    transfer(JournalKind::DownPayment, event, source, GlAccount::ORDERS, amount_minor)
}

/// Line 3b: an operator keeps a part of what is at `source`: Dr channel_cost; Cr source.
pub fn channel_cost(event: Event, source: GlAccount, fee_minor: i64) -> Result<Journal, PostingError> {
    transfer(JournalKind::ChannelCost, event, GlAccount::CHANNEL_COST, source, fee_minor)
}

/// Line 5b: an acquirer pays out `gross_minor` of what came by card, less what he keeps: Dr bank, channel_cost;
/// Cr card_clearing.
pub fn payout(event: Event, gross_minor: i64, fee_minor: i64) -> Result<Journal, PostingError> {
    not_negative([gross_minor, fee_minor, gross_minor - fee_minor])?;
    let lines = vec![
        dr(GlAccount::BANK, gross_minor - fee_minor),
        dr(GlAccount::CHANNEL_COST, fee_minor),
        cr(GlAccount::CARD_CLEARING, gross_minor),
    ];
    Journal::new(JournalKind::Payout, event, lines)
}

/// Lines 3, 4, 5 and 6: a payment of `amount_minor` that came to `source`: Dr source; Cr plan_recv, credit.
pub fn repayment(
    event: Event,
    source: GlAccount,
    amount_minor: i64,
    applied: Applied,
) -> Result<Journal, PostingError> {
    pay(JournalKind::Repayment, event, source, amount_minor, applied)
}

/// Line 7b: money in suspense finds its place: Dr suspense; Cr plan_recv, credit.
pub fn identified(event: Event, amount_minor: i64, applied: Applied) -> Result<Journal, PostingError> {
    pay(JournalKind::Identified, event, GlAccount::SUSPENSE, amount_minor, applied)
}

fn pay(
    kind: JournalKind,
    event: Event,
    source: GlAccount,
    amount_minor: i64,
    applied: Applied,
) -> Result<Journal, PostingError> {
    let Applied { account, customer, to_plan_minor, to_credit_minor } = applied;
    not_negative([amount_minor, to_plan_minor, to_credit_minor])?;
    let lines = vec![
        dr(source, amount_minor),
        cr(GlAccount::plan_recv(account), to_plan_minor),
        cr(GlAccount::credit(customer), to_credit_minor),
    ];
    Journal::new(kind, event, lines)
}

/// Line 7: money whose place is not known, or whose entry is held, came to `source`: Dr source; Cr suspense.
pub fn suspense(event: Event, source: GlAccount, amount_minor: i64) -> Result<Journal, PostingError> {
    transfer(JournalKind::Suspense, event, source, GlAccount::SUSPENSE, amount_minor)
}

/// Line 7b: money in suspense goes back to the payer out of `from`: Dr suspense; Cr from.
pub fn sent_back(event: Event, from: GlAccount, amount_minor: i64) -> Result<Journal, PostingError> {
    transfer(JournalKind::SentBack, event, GlAccount::SUSPENSE, from, amount_minor)
}

/// Line 12: money on a written-off account came to `source`, which is suspense if it was held before:
/// Dr source; Cr recovery. The schedule is not touched.
pub fn recovery(event: Event, source: GlAccount, amount_minor: i64) -> Result<Journal, PostingError> {
    transfer(JournalKind::Recovery, event, source, GlAccount::RECOVERY, amount_minor)
}

/// Line 6b: a customer's credit is used on an account: Dr credit; Cr plan_recv.
pub fn credit_applied(event: Event, customer: i64, account: i64, amount_minor: i64) -> Result<Journal, PostingError> {
    let (from, to) = (GlAccount::credit(customer), GlAccount::plan_recv(account));
    transfer(JournalKind::CreditApplied, event, from, to, amount_minor)
}

fn transfer(
    kind: JournalKind,
    event: Event,
    debit: GlAccount,
    credit: GlAccount,
    amount_minor: i64,
) -> Result<Journal, PostingError> {
    not_negative([amount_minor])?;
    Journal::new(kind, event, vec![dr(debit, amount_minor), cr(credit, amount_minor)])
}

/// Cash that an officer handed over to a cashier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Internal key of the officer.
    pub officer: i64,
    /// Internal key of the cashier.
    pub cashier: i64,
    /// What the officer said it is, minor units.
    pub declared_minor: i64,
    /// What the cashier counted, minor units.
    pub counted_minor: i64,
}

/// Line 4b: a cashier counts what an officer declared: Dr till for what is there; Cr officer_cash for what was
/// declared. A shortage is the officer's debt, a surplus goes to suspense; no customer is touched (S32).
pub fn count(event: Event, handed_over: HandedOver) -> Result<Journal, PostingError> {
    let HandedOver { officer, cashier, declared_minor, counted_minor } = handed_over;
    not_negative([declared_minor, counted_minor])?;
    let lines = vec![
        dr(GlAccount::till(cashier), counted_minor),
        dr(GlAccount::officer_recv(officer), (declared_minor - counted_minor).max(0)),
        cr(GlAccount::officer_cash(officer), declared_minor),
        cr(GlAccount::SUSPENSE, (counted_minor - declared_minor).max(0)),
    ];
    Journal::new(JournalKind::Count, event, lines)
}

/// Line R: the mirror of a journal, under the same correlation: together they are zero on every account.
pub fn reversal(of: &Journal, event_id: Uuid, booked_on: Date) -> Result<Journal, PostingError> {
    let mirrored = of.lines.iter().map(|line| {
        let minor = line.minor.checked_neg().ok_or(MoneyError::Overflow)?;
        Ok(Line { minor, ..*line })
    });
    let lines = mirrored.collect::<Result<_, MoneyError>>()?;
    Journal::new(JournalKind::Reversal, Event { id: event_id, booked_on, ..of.event }, lines)
}

pub(super) fn not_negative<const N: usize>(amounts_minor: [i64; N]) -> Result<(), PostingError> {
    amounts_minor.into_iter().find(|minor| *minor < 0).map_or(Ok(()), |minor| Err(PostingError::Negative(minor)))
}

#[cfg(test)]
mod tests;
