//! Cash in hand.
//!
//! Cash in hand, by currency = the server's last figure (the `officer` block)
//! + own cash captures that this figure does not hold yet: those without a verdict, and those whose
//!   verdict came after the figure, unless it says that the office does not count them as his.
//!
//! Nothing is subtracted for a declared hand-over: only a cashier's count relieves the officer, and
//! it reaches the phone as a new figure of the server's. Which captures the figure holds is a mark
//! beside each entry, cleared when a figure arrives: the server makes it after it has committed the
//! request's envelopes, so it holds everything that has a verdict by then.

use daybook_shared::entry::{Body, Entry};
use daybook_shared::money::{Money, MoneyError};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use crate::store::{Db, StoreError};

/// The cash an entry adds to the officer's hand.
pub(crate) fn of(body: &Body) -> Option<Money> {
    match body {
        Body::Repayment(repayment) if repayment.is_cash() => Some(repayment.amount),
        _ => None,
    }
}

/// Whether cash with this verdict is in the officer's hand, as the office counts it: not what was
/// refused or taken back, and not what is held without a debit.
pub(crate) fn is_in_hand(outcome: &Outcome) -> bool {
    let held_undebited = matches!(outcome.reason, Some(Reason::DupReceipt | Reason::DeviceLost | Reason::Failed));
    let reversed = outcome.flags.iter().flatten().any(|flag| *flag == Flag::Reversed);
    outcome.state != OutcomeState::Refused && !held_undebited && !reversed
}

/// Whether a hand-over with this verdict stands: the office waits for its cash, or has it. One that is
/// held or refused relieves nobody; what it names is offered again.
pub(crate) fn stands(outcome: &Outcome) -> bool {
    outcome.state != OutcomeState::Held && is_in_hand(outcome)
}

/// Adds an amount to sums by currency.
pub(crate) fn add(sums: &mut Vec<Money>, amount: Money) -> Result<(), MoneyError> {
    match sums.iter_mut().find(|sum| sum.currency == amount.currency) {
        Some(sum) => *sum = sum.checked_add(amount)?,
        None => sums.push(amount),
    }
    Ok(())
}

/// Own cash that the server's figure does not hold yet, by currency.
pub(crate) fn uncounted(db: Db<'_>) -> Result<Vec<Money>, StoreError> {
    let mut sums = Vec::new();
    for stored in db.uncounted_entries()? {
        let entry = Entry::decode(&stored.bytes).map_err(|_| StoreError::BadRow { table: "entry" })?;
        if let Some(amount) = of(&entry.body) {
            add(&mut sums, amount)?;
        }
    }
    Ok(sums)
}

/// Cash in hand by currency, in the order of the currencies' codes.
pub(crate) fn in_hand(db: Db<'_>) -> Result<Vec<Money>, StoreError> {
    let mut sums = db.officer()?.map(|officer| officer.cash_in_hand).unwrap_or_default();
    for amount in uncounted(db)? {
        add(&mut sums, amount)?;
    }
    sums.sort_unstable_by_key(|sum| sum.currency);
    Ok(sums)
}

/// What this phone may still take in cash, by currency; a currency that is not named has no limit.
pub(crate) fn allowance_left(db: Db<'_>) -> Result<Vec<Money>, StoreError> {
    let taken = uncounted(db)?;
    let mut left = db.officer()?.map(|officer| officer.allowance).unwrap_or_default();
    for allowed in &mut left {
        if let Some(taken) = taken.iter().find(|taken| taken.currency == allowed.currency) {
            *allowed = allowed.checked_sub(*taken)?;
        }
    }
    Ok(left)
}
