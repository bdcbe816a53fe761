//! Identity: who there is, what each may do and see, and the devices they carry.
//!
//! * [`roles`]: roles and permissions, the one table. [`units`]: the tree they are held in.
//! * [`party`]: the customer whom a request is about, and who acts for him.
//! * [`users`], [`customers`], [`caseloads`], [`device`], [`fleet`]: the rows. [`enrolment`]: how a phone becomes a
//!   device.
//! * [`password`], [`session`], [`token`], [`oidc`], [`lease`], [`codes`], [`one_time`]: what proves who somebody is.
//!   [`customer_sign_in`]: which customer a phone number or a provider's subject is.
//!   [`throttle`], [`guesses`]: what slows down who tries. [`alarm`]: what does not fit.
//! * [`routes`]: their REST. [`upkeep`]: what a running server does meanwhile.
//!
//! A person proves himself with a token and is looked up with every request; a device proves itself
//! with a signature over the request, and what it is given depends on its lease.

pub mod alarm;
pub mod caseloads;
pub mod codes;
pub mod customer_sign_in;
pub mod customers;
pub mod device;
pub mod enrolment;
pub mod fleet;
pub mod guesses;
pub mod lease;
pub mod oidc;
pub mod one_time;
pub mod party;
pub mod password;
pub mod roles;
pub mod routes;
pub mod session;
pub mod throttle;
pub mod token;
pub mod units;
pub mod upkeep;
pub mod users;

#[cfg(test)]
mod enrolment_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod tests;

pub use party::Party;
pub use roles::{Permission, Role};
pub use users::User;

use crate::http::problem::{Code, Problem};

/// D6: a decision that moves money needs two people, the author of what is decided on and another
/// who decides. Both are keys of `app_user`.
pub fn two_people(author: i64, decider: i64) -> Result<(), Problem> {
    if author == decider {
        Err(Problem::new(Code::SamePerson, "You cannot decide on your own work; another person has to."))
    } else {
        Ok(())
    }
}
