//! REST of identity. A handler looks up, decides, writes in one transaction, and answers; what is
//! not the caller's to see does not exist for him.

pub mod audit;
pub mod devices;
pub mod oidc;
pub mod organisation;
pub mod sessions;
pub mod signing_in;
pub mod users;

use serde::{Deserialize, Serialize};

/// The most items of a page, and how many there are when nobody says.
const PAGE_MAX: i64 = 200;
const PAGE_DEFAULT: i64 = 50;

/// Keyset paging: `?limit=50&after=<id of the last item seen>`.
#[derive(Debug, Clone, Deserialize)]
pub struct PageQuery<K> {
    /// The last item seen.
    pub after: Option<K>,
    limit: Option<i64>,
}

impl<K> PageQuery<K> {
    /// How many items were asked for, within bounds.
    pub fn limit(&self) -> i64 {
        self.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX)
    }
}

/// A page of a list, and what to name as `after` for the next one.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T, K> {
    items: Vec<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<K>,
}

impl<T, K> Page<T, K> {
    /// A page that was asked for with `limit`; a short one is the last.
    pub fn new(items: Vec<T>, limit: i64, key: impl Fn(&T) -> K) -> Self {
        let full = i64::try_from(items.len()).is_ok_and(|length| length >= limit);
        let next = if full { items.last().map(key) } else { None };
        Self { items, next }
    }
}
