//! REST of the offer map, for who makes offers: write them, put them into force, and see where there is none.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use daybook_shared::ids::OfferId;
use daybook_shared::money::Money;
use daybook_shared::quote::{Terms, check_offer};
use daybook_shared::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::parse_code;
use crate::app::App;
use crate::audit;
use crate::auth::{Permission, User, units};
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::journey::offers::{self, Audience, Conditions, DayOfYear, Offer, OfferState, Window};
use crate::journey::regimes;

/// The most words of an audience's list.
const WORDS_MAX: usize = 100;

/// An offer, as who makes offers sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferAdminView {
    id: OfferId,
    name: String,
    /// draft, active, paused or retired.
    state: &'static str,
    /// The law it is made under.
    regime: String,
    terms: Terms,
    /// The least it is made for, minor units of the terms' currency.
    amount_min_minor: i64,
    /// The most.
    amount_max_minor: i64,
    /// store, web, app; empty is all.
    channels: Vec<&'static str>,
    /// new, returning; empty is all.
    segments: Vec<&'static str>,
    /// Categories of goods; empty is all.
    categories: Vec<String>,
    valid_from: Date,
    valid_to: Option<Date>,
    /// Only from this day of each year.
    season_from: Option<String>,
    /// To this one.
    season_to: Option<String>,
    /// Of two that cost the same, the higher is shown first.
    priority: i64,
    created_at: Timestamp,
}

impl From<Offer> for OfferAdminView {
    fn from(offer: Offer) -> Self {
        let Conditions { amount_min_minor, amount_max_minor, audience, window } = offer.conditions;
        Self {
            id: offer.uid,
            name: offer.name,
            state: offer.state.code(),
            regime: offer.regime,
            terms: offer.terms,
            amount_min_minor,
            amount_max_minor,
            channels: audience.channels.iter().map(|channel| channel.code()).collect(),
            segments: audience.segments.iter().map(|segment| segment.code()).collect(),
            categories: audience.categories.into_iter().collect(),
            valid_from: window.from,
            valid_to: window.to,
            season_from: window.season.map(|(from, _)| from.to_string()),
            season_to: window.season.map(|(_, to)| to.to_string()),
            priority: offer.priority,
            created_at: offer.created_at,
        }
    }
}

/// An offer to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = crate::journey::examples::new_offer)]
pub struct OfferRequest {
    /// Its id, which its maker chose: sent again, it is the same offer.
    id: OfferId,
    #[schema(min_length = 1, max_length = 100, example = "Four payments, no cost")]
    name: String,
    /// The law it is made under: open, sama_bnpl, or one of the lender's setting.
    #[schema(example = "open")]
    regime: String,
    terms: Terms,
    #[schema(minimum = 1)]
    amount_min_minor: i64,
    #[schema(minimum = 1)]
    amount_max_minor: i64,
    #[serde(default)]
    channels: BTreeSet<String>,
    #[serde(default)]
    segments: BTreeSet<String>,
    #[serde(default)]
    categories: BTreeSet<String>,
    valid_from: Date,
    valid_to: Option<Date>,
    #[schema(example = "06-01")]
    season_from: Option<String>,
    #[schema(example = "08-31")]
    season_to: Option<String>,
    #[serde(default)]
    #[schema(minimum = -1000, maximum = 1000)]
    priority: i64,
}

fn codes<T: std::str::FromStr + Ord>(pointer: &'static str, words: &BTreeSet<String>) -> Result<BTreeSet<T>, Problem> {
    if words.len() > WORDS_MAX {
        return Err(Problem::invalid(pointer, "length", format!("At most {WORDS_MAX} are taken.")));
    }
    words.iter().map(|word| parse_code(pointer, word)).collect()
}

impl OfferRequest {
    fn offer(self, app: &App) -> Result<Offer, Problem> {
        let invalid = |pointer: &'static str, code: &'static str, detail: &str| {
            Err(Problem::invalid(pointer, code, detail.to_owned()))
        };
        if !(1..=100).contains(&self.name.trim().chars().count()) {
            return invalid("/name", "length", "A name has 1 to 100 characters.");
        }
        if !(1..=self.amount_max_minor).contains(&self.amount_min_minor) || self.amount_max_minor > Money::MINOR_MAX {
            return invalid(
                "/amount_min_minor",
                "range",
                "It is above zero and at most amount_max_minor, which is at most 2^53 - 1.",
            );
        }
        if self.valid_to.is_some_and(|to| to < self.valid_from) {
            return invalid("/valid_to", "range", "It is not before valid_from.");
        }
        if !(-1000..=1000).contains(&self.priority) {
            return invalid("/priority", "range", "It is -1000 to 1000.");
        }
        let word = |text: &String| (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_whitespace);
        if !self.categories.iter().all(word) {
            return invalid("/categories", "shape", "A category is a word of 1 to 64 characters.");
        }
        let Some(regime) = regimes::find(&app.settings, &self.regime) else {
            return invalid("/regime", "unknown", "There is no such regime.");
        };
        if let Some(fault) = self.terms.faults().first() {
            return Err(Problem::invalid(format!("/terms{}", fault.pointer()), "terms", format!("{fault}.")));
        }
        if let Some(breach) = check_offer(&self.terms, &regime).first() {
            let problem = Problem::new(Code::LimitExceeded, format!("The law's limit {} is exceeded.", breach.code));
            return Err(problem.with("limit", json!(breach.limit)).with("used", json!(breach.used)));
        }
        let day = |pointer, text: &Option<String>| -> Result<Option<DayOfYear>, Problem> {
            text.as_deref().map(|text| parse_code(pointer, text)).transpose()
        };
        let season = match (day("/season_from", &self.season_from)?, day("/season_to", &self.season_to)?) {
            (Some(from), Some(to)) => Some((from, to)),
            (None, None) => None,
            _ => return invalid("/season_to", "missing", "A season has a first and a last day."),
        };
        let audience = Audience {
            channels: codes("/channels", &self.channels)?,
            segments: codes("/segments", &self.segments)?,
            categories: codes("/categories", &self.categories)?,
        };
        Ok(Offer {
            id: 0,
            uid: self.id,
            name: self.name,
            state: OfferState::Draft,
            regime: self.regime,
            terms: self.terms,
            conditions: Conditions {
                amount_min_minor: self.amount_min_minor,
                amount_max_minor: self.amount_max_minor,
                audience,
                window: Window { from: self.valid_from, to: self.valid_to, season },
            },
            priority: self.priority,
            row_version: 1,
            created_at: app.now(),
        })
    }
}

/// Writes an offer as a draft: checked against its law, and made to nobody yet.
#[utoipa::path(
    post,
    path = "/v1/offers-admin",
    tag = "offers",
    request_body = OfferRequest,
    responses(
        (status = 201, description = "The offer.", body = OfferAdminView),
        (status = 200, description = "It was written before.", body = OfferAdminView)
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<OfferRequest>,
) -> Result<Response, Problem> {
    let offer = request.offer(&app)?;
    let mut tx = effect.begin().await?;
    units::must_reach_all(&mut tx, &by, Permission::ManageOffers).await?;
    let inserted = offers::insert(&mut tx, &offer, by.id).await?;
    let known =
        offers::find(&mut tx, offer.uid).await?.ok_or_else(|| Problem::internal(&"an offer that is not there"))?;
    let etag = of_version(known.row_version);
    if inserted {
        audit::record(&mut tx, app.now(), by.actor(), "offer.written", offer.uid, json!({})).await?;
        let location = format!("/v1/offers-admin/{}", offer.uid);
        let answer = Answer::created(&OfferAdminView::from(known)).at(location).tagged(etag);
        return effect.commit(tx, answer).await;
    }
    // Until when it is made may have changed since.
    let conditions = |offer: &Offer| Conditions {
        window: Window { to: None, ..offer.conditions.window },
        ..offer.conditions.clone()
    };
    let same = known.terms == offer.terms && known.regime == offer.regime && conditions(&known) == conditions(&offer);
    if !same {
        return Err(Problem::new(Code::IdTaken, "The offer's id was used for another offer."));
    }
    effect.commit(tx, Answer::ok(&OfferAdminView::from(known)).tagged(etag)).await
}

/// All offers, the newest first.
#[utoipa::path(
    get,
    path = "/v1/offers-admin",
    tag = "offers",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<OfferAdminView>))
)]
pub async fn list(State(app): State<Arc<App>>, page: Paging<OfferId>) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let rows = offers::page(&mut tx, (page.after, page.rows())).await?;
    Ok(page.page(rows.into_iter().map(OfferAdminView::from).collect(), |view: &OfferAdminView| view.id))
}

/// An offer.
#[utoipa::path(
    get,
    path = "/v1/offers-admin/{id}",
    tag = "offers",
    params(
        ("id" = OfferId, Path, description = "The offer."),
        ("If-None-Match" = Option<String>, Header, description = "The version the caller has.")
    ),
    responses(
        (status = 200, description = "The offer.", body = OfferAdminView, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Path(offer): Path<OfferId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let offer = offers::find(&mut tx, offer).await?.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&of_version(offer.row_version), Json(OfferAdminView::from(offer))))
}

/// What may change of an offer; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "state": "paused", "priority": 10, "valid_to": "2026-12-31" }))]
pub struct OfferChange {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    /// active, paused or retired.
    state: Option<String>,
    valid_to: Option<Date>,
    #[schema(minimum = -1000, maximum = 1000)]
    priority: Option<i64>,
}

/// Puts an offer into force, pauses or retires it, or says until when it is made. Its terms never change.
#[utoipa::path(
    patch,
    path = "/v1/offers-admin/{id}",
    tag = "offers",
    params(
        ("id" = OfferId, Path, description = "The offer."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = OfferChange,
    responses((status = 200, description = "The offer.", body = OfferAdminView, headers(("ETag" = String, description = "Its new version."))))
)]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(offer): Path<OfferId>,
    meant: IfMatch,
    Json(request): Json<OfferChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.write().await?;
    units::must_reach_all(&mut tx, &by, Permission::ManageOffers).await?;
    let mut offer = offers::find(&mut tx, offer).await?.ok_or_else(Problem::not_found)?;
    meant.check(&of_version(offer.row_version))?;
    let before = offer.state;
    if let Some(state) = &request.state {
        let state: OfferState = parse_code("/state", state)?;
        if state != before && !before.may_become(state) {
            let detail = format!("An offer that is {before} does not become {state}.");
            return Err(Problem::new(Code::IllegalTransition, detail)
                .with("from", before.code())
                .with("event", state.code()));
        }
        offer.state = state;
    }
    if let Some(name) = request.name {
        if !(1..=100).contains(&name.trim().chars().count()) {
            return Err(Problem::invalid("/name", "length", "A name has 1 to 100 characters."));
        }
        offer.name = name;
    }
    if let Some(valid_to) = request.valid_to {
        if valid_to < offer.conditions.window.from {
            return Err(Problem::invalid("/valid_to", "range", "It is not before valid_from."));
        }
        offer.conditions.window.to = Some(valid_to);
    }
    if let Some(priority) = request.priority {
        if !(-1000..=1000).contains(&priority) {
            return Err(Problem::invalid("/priority", "range", "It is -1000 to 1000."));
        }
        offer.priority = priority;
    }
    if !offers::update(&mut tx, &offer).await? {
        return Err(Problem::met_another());
    }
    offer.row_version += 1;
    let detail = json!({ "from": before.code(), "to": offer.state.code() });
    audit::record(&mut tx, app.now(), by.actor(), "offer.changed", offer.uid, detail).await?;
    tx.commit().await?;
    let etag = of_version(offer.row_version);
    Ok(Answer::ok(&OfferAdminView::from(offer)).tagged(etag).into_response())
}
