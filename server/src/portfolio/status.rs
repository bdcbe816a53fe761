//! The stored status of an account and how far its collection is. What follows from the date (overdue, days
//! past due, bucket) and from the balance (overpaid) is derived, never stored.

use crate::spelled::spelled;

spelled! {
    /// The stored status of an account. Overdue, bucket and overpaid are derived.
    AccountStatus {
        /// Agreed, nothing handed over yet.
        Pending = "pending",
        /// The customer owes us.
        Active = "active",
        /// Over; [`ClosedAs`] says how.
        Closed = "closed",
    }

    /// How an account ended.
    ClosedAs {
        /// Paid to the end.
        Paid = "paid",
        /// Paid off ahead of its schedule by agreement.
        EarlySettled = "early_settled",
        /// The sale was undone.
        Rescinded = "rescinded",
        /// Given up in the books; the claim stays.
        WrittenOff = "written_off",
        /// Replaced by another account.
        Refinanced = "refinanced",
        /// Never begun.
        Cancelled = "cancelled",
    }

    /// How far collection has gone.
    Stage {
        /// The call centre.
        Call = "CALL",
        /// Field officers.
        Field = "FIELD",
        /// Lawyers.
        Legal = "LEGAL",
        /// To be written off, or not.
        WriteOffReview = "WRITE_OFF_REVIEW",
    }
}
