//! REST of the journey: [`orders`], [`shopping`] (offers and quotes), [`applications`], [`plans`],
//! [`settlement`], [`returns`], [`refunds`], [`complaints`] with [`evidence`]; and for staff [`offer_map`] and [`policy`].

pub mod applications;
pub mod complaints;
pub mod evidence;
pub mod offer_map;
pub mod orders;
pub mod plans;
pub mod policy;
pub mod refunds;
pub mod returns;
pub mod settlement;
pub mod shopping;

use std::str::FromStr;

use crate::http::problem::Problem;

/// A code of ours in a request.
fn parse_code<T: FromStr>(pointer: &'static str, text: &str) -> Result<T, Problem> {
    let shown: String = text.chars().take(32).collect();
    text.parse().map_err(|_| Problem::invalid(pointer, "unknown", format!("{shown:?} is none of what stands here.")))
}

/// Words of a person: something, and no more than so many characters.
fn words(pointer: &'static str, text: &str, chars_max: usize) -> Result<(), Problem> {
    if text.trim().is_empty() || text.chars().count() > chars_max {
        return Err(Problem::invalid(pointer, "length", format!("1 to {chars_max} characters stand here.")));
    }
    Ok(())
}
