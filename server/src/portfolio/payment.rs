//! The rows of payments that do not come from a phone's entry. What phones capture is written by
//! `sync`, whose rows derive from the log.

use daybook_shared::entry::Channel;
use daybook_shared::ids::PaymentId;
use daybook_shared::money::Currency;
use daybook_shared::time::Date;

use crate::batch_row;
use crate::db::{Tx, batch};
use crate::spelled::spelled;

spelled! {
    /// Where a payment came from.
    PaymentSource {
        /// A phone's entry.
        Field = "field",
        /// The customer's app.
        App = "app",
        /// A bank's or operator's statement.
        Statement = "statement",
        /// A card.
        Card = "card",
        /// The books that were kept before this server; it has no entry.
        Import = "import",
    }

    /// How far a payment is.
    PaymentState {
        /// Not confirmed yet.
        Pending = "pending",
        /// Waits for a person.
        Held = "held",
        /// In the ledger.
        Posted = "posted",
        /// Without effect.
        Refused = "refused",
        /// The provider says no.
        Failed = "failed",
        /// The provider never said yes.
        Expired = "expired",
        /// Was in the ledger; a mirrored journal took it back.
        Reversed = "reversed",
        /// Recorded by a phone or begun in the app, and the same money as another payment, which has the effect.
        Matched = "matched",
    }
}

/// A provider's reference as rows have it, however it was typed: in capitals, without spaces.
pub fn plain_reference(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect()
}

batch_row! {
    /// A row of `payment`.
    pub struct NewPayment {
        /// The maker's id.
        uid: PaymentId => "uuid",
        /// The account's key, if it is known.
        account_id: Option<i64> => "int8",
        /// Key of the officer.
        user_id: Option<i64> => "int8",
        /// Where it came from.
        source: PaymentSource => "text",
        /// How the money came.
        channel: Channel => "text",
        /// Minor units.
        amount_minor: i64 => "int8",
        /// Currency.
        currency: Currency => "text",
        /// The payer's number.
        receipt_no: Option<String> => "text",
        /// The provider's reference.
        external_ref: Option<String> => "text",
        /// The day it counts for.
        value_date: Date => "date",
        /// The day it is booked on.
        booked_on: Option<Date> => "date",
        /// How far it is.
        state: PaymentState => "text",
        /// The officer's cash was charged with it.
        debited: bool => "bool",
    }
}

batch_row! {
    /// A row of `receipt_claim`: whose a receipt number is.
    pub struct NewClaim {
        /// The number.
        receipt_no: String => "text",
        /// The payment.
        payment_uid: PaymentId => "uuid",
    }
}

const INSERT: &str =
    "insert into payment (uid, account_id, user_id, source, channel, amount_minor, currency, receipt_no,
       external_ref, value_date, booked_on, state, debited)
     select uid, account_id, user_id, source, channel, amount_minor, currency, receipt_no, external_ref, value_date,
       booked_on, state, debited from v where true";

const INSERT_CLAIMS: &str =
    "insert into receipt_claim (receipt_no, payment_uid) select receipt_no, payment_uid from v where true";

/// Adds payments, and the claims of those that have a receipt number.
pub async fn insert(tx: &mut Tx, payments: &[NewPayment]) -> sqlx::Result<()> {
    batch::execute(tx, payments, INSERT).await?;
    let claim = |payment: &NewPayment| {
        let receipt_no = payment.receipt_no.clone()?;
        Some(NewClaim { receipt_no, payment_uid: payment.uid })
    };
    let claims: Vec<_> = payments.iter().filter_map(claim).collect();
    batch::execute(tx, &claims, INSERT_CLAIMS).await?;
    Ok(())
}

batch_row! {
    /// By how much an officer's cash changes.
    pub struct CashChange {
        /// Key of the officer.
        user_id: i64 => "int8",
        /// Currency.
        currency: Currency => "text",
        /// Minor units; negative when he handed over.
        minor: i64 => "int8",
    }
}

/// Balances are kept by the transaction that books the lines.
const CHANGE_CASH: &str = "insert into officer_cash (user_id, currency, minor)
     select user_id, currency, minor from v where true order by user_id, currency
     on conflict (user_id, currency) do update set minor = officer_cash.minor + excluded.minor";

/// Changes what officers owe us; each officer and currency at most once, given in that order.
pub async fn change_cash(tx: &mut Tx, changes: &[CashChange]) -> sqlx::Result<()> {
    batch::execute(tx, changes, CHANGE_CASH).await?;
    Ok(())
}
