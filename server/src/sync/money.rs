//! Where a posted payment's money goes: onto the schedule, into the customer's credit, or into
//! recovery. Pure: changes the account in memory and returns the journal.

use daybook_shared::entry::Channel;
use daybook_shared::ids::PaymentId;
use daybook_shared::money::MoneyError;
use daybook_shared::schedule::{self, Portions};
use daybook_shared::time::Date;
use daybook_shared::wire::outcome::Flag;

use super::world::Account;
use crate::ledger::after_sale::Moved;
use crate::ledger::posting::{self, Applied, Event, GlAccount, Journal, PostingError};
use crate::portfolio::account::{AccountStatus, AllocationRow, ClosedAs};
use crate::portfolio::allocation::{self, AllocationError, Payment};
use crate::portfolio::versions::{self, Earned, Planned};

/// Why money cannot be put anywhere: sums beyond what 64 bits hold.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// While allocating.
    #[error(transparent)]
    Allocation(#[from] AllocationError),
    /// While posting.
    #[error(transparent)]
    Posting(#[from] PostingError),
    /// While summing.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// The ledger account that a channel's money is in once it is confirmed.
pub fn source_of(channel: &Channel, user_id: i64) -> GlAccount {
    match channel {
        Channel::Cash => GlAccount::officer_cash(user_id),
        Channel::MobileMoney | Channel::Agent => GlAccount::MOMO,
        Channel::Card => GlAccount::CARD_CLEARING,
        Channel::BankTransfer | Channel::Cheque | Channel::Voucher | Channel::Other(_) => GlAccount::BANK,
    }
}

/// Puts a payment on an account and returns its journal: `source` is debited with all of it.
pub fn pay(
    account: &mut Account,
    source: GlAccount,
    event: Event,
    id: PaymentId,
    value_date: Date,
    amount_minor: i64,
) -> Result<(Journal, Vec<Flag>), PayError> {
    let mut flags = Vec::new();
    if account.row.closed_as == Some(ClosedAs::WrittenOff) {
        flags.push(Flag::Recovery);
        return Ok((posting::recovery(event, source, amount_minor)?, flags));
    }
    let owed = schedule::outstanding(&account.instalments)?.total()?;
    if account.row.status == AccountStatus::Closed {
        flags.push(Flag::AccountClosed);
    }
    if i128::from(amount_minor) * 10 > i128::from(owed) * 12 && owed > 0 {
        flags.push(Flag::OverPayoff);
    }
    let to_plan_minor = amount_minor.min(owed);
    let applied = Applied {
        account: account.row.id,
        customer: account.row.customer_id,
        to_plan_minor,
        to_credit_minor: amount_minor - to_plan_minor,
    };
    let journal = if source == GlAccount::SUSPENSE {
        posting::identified(event, amount_minor, applied)?
    } else {
        posting::repayment(event, source, amount_minor, applied)?
    };
    allocate(account, Payment { value_date, id, amount_minor })?;
    Ok((journal, flags))
}

/// Allocates a payment: onto the instalments as they stand when it sorts last, by a replay of all
/// payments otherwise.
fn allocate(account: &mut Account, payment: Payment) -> Result<(), PayError> {
    if let Some(payments) = &mut account.payments {
        payments.push(payment);
    }
    if account.replayed || !account.row.sorts_last(&payment) {
        return replay(account);
    }
    let waterfall = account.row.waterfall;
    let allocation =
        allocation::allocate(&mut account.instalments, payment.amount_minor, waterfall, payment.value_date)?;
    let credit_minor = account.row.credit_minor.checked_add(allocation.credit_minor).ok_or(MoneyError::Overflow)?;
    account.touched.extend(allocation.parts.iter().map(|part| part.n));
    account.allocated.extend(AllocationRow::of(account.row.id, payment.id, &allocation));
    account.dirty = true;
    account.row.restate(&account.instalments, credit_minor, Some(payment))?;
    Ok(())
}

/// Puts another version of the schedule in place and allocates all payments to it anew. `earned` is what is earned
/// of the present version.
///
/// # Panics
/// If the payments were not loaded.
pub fn reschedule(account: &mut Account, earned: &Earned, planned: &[Planned]) -> Result<Moved, PayError> {
    let before = versions::plan_of(&account.instalments, earned);
    let credit_minor = account.row.credit_minor;
    account.instalments = planned.iter().map(|planned| planned.line.with_paid(Portions::ZERO)).collect();
    if account.rescheduled.is_none() {
        account.row.schedule_version += 1;
    }
    account.rescheduled = Some(planned.iter().map(|planned| (planned.line.n, planned.earned_minor)).collect());
    replay(account)?;
    let less = |after: i64, before: i64| after.checked_sub(before).ok_or(MoneyError::Overflow);
    Ok(Moved {
        owed_minor: less(versions::due(planned)?, versions::due(&before)?)?,
        unearned_minor: less(versions::unearned(planned)?, versions::unearned(&before)?)?,
        credit_minor: less(account.row.credit_minor, credit_minor)?,
    })
}

/// Allocates all payments of an account anew.
///
/// # Panics
/// If the payments were not loaded.
pub fn replay(account: &mut Account) -> Result<(), PayError> {
    let payments = account.payments.as_mut().expect("payments are loaded where one is put between them");
    payments.sort_unstable();
    let replayed = allocation::replay(&account.instalments, payments, account.row.waterfall)?;
    let last = payments.last().copied();
    let pairs = account.instalments.iter().zip(&replayed.instalments);
    account.touched.extend(pairs.filter(|(before, after)| before != after).map(|(_, after)| after.n));
    account.instalments = replayed.instalments;
    let of = |(id, allocation): &(PaymentId, _)| AllocationRow::of(account.row.id, *id, allocation).collect::<Vec<_>>();
    account.allocated = replayed.allocations.iter().flat_map(of).collect();
    account.replayed = true;
    account.dirty = true;
    account.row.restate(&account.instalments, replayed.credit_minor, last)?;
    Ok(())
}
