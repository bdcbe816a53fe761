//! REST of identity. A handler looks up, decides, writes in one transaction, and answers; what is
//! not the caller's to see does not exist for him.

pub mod audit;
pub mod customers;
pub mod devices;
pub mod oidc;
pub mod organisation;
pub mod sessions;
pub mod signing_in;
pub mod users;
