//! Keyset paging: `?limit=50&after=<next of the page before>`.
//!
//! A page says what comes after it by a cursor: the key of its last item, authenticated for the route,
//! the caller and the rest of the query. A cursor that was edited, or made for another list or another
//! person, is refused. There are no offsets and no totals: both grow with what nobody looks at.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::extract::{Json, Query};
use super::problem::Problem;
use crate::app::App;
use crate::auth::User;
use crate::keys::rest::TAG_BYTES;

/// The most items of a page, and how many there are when nobody says.
const PAGE_MAX: i64 = 200;
const PAGE_DEFAULT: i64 = 50;

/// Which page of a list.
#[derive(Debug, Clone, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// The most items of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<i64>,
    /// `next` of the page before; the list begins anew without it.
    after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items, in the order of the list.
    items: Vec<T>,
    /// What to name as `after` for the next page; null when there is none.
    #[schema(required)]
    next: Option<String>,
}

/// What a request asks of a list whose items have keys `K`.
pub struct Paging<K> {
    /// The key of the last item the caller has.
    pub after: Option<K>,
    limit: i64,
    app: Arc<App>,
    list: List,
}

/// What a cursor is bound to.
struct List {
    route: String,
    subject: String,
    path: String,
    /// The query without the two parameters of paging.
    filter: String,
}

impl<K> Paging<K> {
    /// How many rows to read: one more than the page has tells whether there is a next one.
    pub fn rows(&self) -> i64 {
        self.limit + 1
    }

    /// The answer, of the rows that were read; each item's key is what the next page begins after.
    pub fn page<T: Serialize>(self, mut items: Vec<T>, key: impl Fn(&T) -> K) -> Response
    where
        K: Serialize,
    {
        let limit = usize::try_from(self.limit).expect("a page is small");
        let goes_on = items.len() > limit;
        items.truncate(limit);
        let next = if goes_on { items.last().map(|item| self.list.cursor(&self.app, &key(item))) } else { None };
        let link = next.as_ref().map(|next| self.link(next));
        let mut response = Json(Page { items, next }).into_response();
        if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        response
    }

    /// The next page (RFC 8288).
    fn link(&self, next: &str) -> String {
        let List { path, filter, .. } = &self.list;
        let filter = if filter.is_empty() { String::new() } else { format!("{filter}&") };
        format!("<{path}?{filter}limit={}&after={next}>; rel=\"next\"", self.limit)
    }
}

impl List {
    fn of(parts: &Parts, user: &User) -> Self {
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        let is_paging = |pair: &&str| matches!(pair.split('=').next(), Some("limit" | "after"));
        let pairs = parts.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let filter: Vec<_> = pairs.filter(|pair| !is_paging(pair)).collect();
        Self {
            route: route.to_owned(),
            subject: user.uid.to_string(),
            path: parts.uri.path().to_owned(),
            filter: filter.join("&"),
        }
    }

    fn parts<'a>(&'a self, key: &'a [u8]) -> [&'a [u8]; 5] {
        let Self { route, subject, path, filter } = self;
        [route.as_bytes(), subject.as_bytes(), path.as_bytes(), filter.as_bytes(), key]
    }

    fn cursor(&self, app: &App, key: &impl Serialize) -> String {
        let key = serde_json::to_vec(key).expect("keys of lists are JSON");
        let tag = app.keys.rest.tag(&self.parts(&key));
        URL_SAFE_NO_PAD.encode([tag.as_slice(), &key].concat())
    }

    /// The key in a cursor that this server made for this list.
    fn open<K: DeserializeOwned>(&self, app: &App, cursor: &str) -> Option<K> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, key) = bytes.split_first_chunk::<TAG_BYTES>()?;
        if app.keys.rest.tag_fits(&self.parts(key), tag) { serde_json::from_slice(key).ok() } else { None }
    }
}

impl<K: DeserializeOwned> FromRequestParts<Arc<App>> for Paging<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Query(PageQuery { limit, after }) = Query::<PageQuery>::from_request_parts(parts, app).await?;
        let limit = limit.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::invalid("?limit", "range", format!("limit is 1 to {PAGE_MAX}.")));
        }
        let user = parts.extensions.get::<User>().ok_or_else(|| Problem::internal(&"a list without a caller"))?;
        let list = List::of(parts, user);
        let refused = || Problem::invalid("?after", "cursor", "after is the next of a page of this list, unchanged.");
        let after = match after {
            None => None,
            Some(cursor) => Some(list.open(app, &cursor).ok_or_else(refused)?),
        };
        Ok(Self { after, limit, app: Arc::clone(app), list })
    }
}
