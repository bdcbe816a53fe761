//! Messages to customers: what is to be said goes into the outbox in the transaction of what it tells of, and
//! leaves after it.
//!
//! * [`outbox`]: the rows. [`send`]: the way out, at once or by the job. [`after`]: what becomes of an attempt,
//!   pure. [`gateway`]: who carries messages.
//!
//! Words are the catalogue's (`customer-` and the template's code), in the reader's language. A row holds number
//! and parameters sealed, and nothing of them once it is sent or given up. A gateway that did not answer may have
//! sent: such a message goes again only where it harms nobody twice ([`Template::may_repeat`]).
//!
//! There is no receipt of delivery, and nothing is received here.

pub mod after;
pub mod gateway;
pub mod outbox;
pub mod send;

use crate::spelled::spelled;

pub use gateway::{Gateway, GatewayError};
pub use outbox::{NewMessage, To, enqueue};
pub use send::send_now;

spelled! {
    /// What a message says.
    Template {
        /// The one-time code that somebody asked for.
        SignInCode = "sign_in_code",
        /// To the number a customer had: he has another now.
        PhoneChanged = "phone_changed",
    }
    /// How far a message is.
    State {
        /// It waits for its time.
        Waiting = "waiting",
        /// The gateway is being asked.
        Sending = "sending",
        /// The gateway took it.
        Sent = "sent",
        /// The gateway will not take it.
        Refused = "refused",
        /// Nobody knows whether the gateway took it, and it is not sent twice.
        Unknown = "unknown",
        /// Its time is over, or it was tried too often, or there is nobody to send it to.
        GivenUp = "given_up",
    }
}

impl Template {
    /// Whether it harms nobody if it comes twice. A message about money would not be of these.
    pub const fn may_repeat(self) -> bool {
        match self {
            Self::SignInCode | Self::PhoneChanged => true,
        }
    }

    /// Its id in the catalogue.
    pub fn message_id(self) -> String {
        format!("customer-{}", self.code())
    }
}
