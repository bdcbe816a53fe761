//! REST of the journey: [`orders`], [`shopping`] (offers and quotes), [`applications`], [`plans`]; and for
//! staff [`offer_map`] and [`policy`].

pub mod applications;
pub mod offer_map;
pub mod orders;
pub mod plans;
pub mod policy;
pub mod shopping;

use std::str::FromStr;

use crate::http::problem::Problem;

/// A code of ours in a request.
fn parse_code<T: FromStr>(pointer: &'static str, text: &str) -> Result<T, Problem> {
    let shown: String = text.chars().take(32).collect();
    text.parse().map_err(|_| Problem::invalid(pointer, "unknown", format!("{shown:?} is none of what stands here.")))
}
