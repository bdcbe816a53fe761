//! The instalment journey: a customer orders, is shown offers, has one worked out, applies, is approved, signs,
//! and pays a plan.
//!
//! Facts are stored and states derived; of the few states that are stored each has its table of what may follow
//! what ([`states`]). A purchase goes through these files in this order:
//!
//! * [`orders`], [`resume`]: what is bought, and how a store hands it on to a phone.
//! * [`offers`], [`regimes`]: the terms there are, whom they are for, and under which law.
//! * [`quotes`]: an offer worked out, with the hash of what it says. [`standing`]: how the customer stands.
//! * [`applications`], [`decide`], [`policy`], [`policies`]: who is approved, by whom, by which rules.
//! * [`contract`], [`acceptance`]: what is signed, and the account it becomes.
//! * [`coverage`]: where the map of offers has gaps.
//! * [`plans`]: accounts as their customers see them. [`upkeep`]: what time ends.
//! * [`payments`]: what they pay in the app, and promise there.
//! * [`late_fees`]: what being late costs. [`settling`]: paying off early, by agreement.
//! * [`returns`], [`refunds`], [`refund_calls`]: goods that come back, and money that goes back.
//! * [`complaints`], [`evidence`]: what customers object to, and the files they add.
//! * [`mod@routes`] is their REST. [`examples`]: what its description shows of a purchase.
//!
//! An account is an account like any other from then on: where money goes, ageing, collection and the ledger are
//! in their own capabilities.

pub mod acceptance;
pub mod applications;
pub mod complaints;
pub mod contract;
pub mod coverage;
pub mod decide;
pub mod evidence;
pub mod examples;
pub mod late_fees;
pub mod offers;
pub mod orders;
pub mod payments;
pub mod plans;
pub mod policies;
pub mod policy;
pub mod quotes;
pub mod refund_calls;
pub mod refunds;
pub mod regimes;
pub mod resume;
pub mod returns;
pub mod routes;
pub mod settling;
pub mod standing;
pub mod states;
pub mod upkeep;
