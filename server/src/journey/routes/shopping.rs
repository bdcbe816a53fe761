//! REST of choosing: the offers for a purchase, and quotes.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use daybook_shared::ids::{OfferId, OrderId, QuoteId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::quote::content::{Difference, differences};
use daybook_shared::quote::{Breach, Quote};
use daybook_shared::time::Date;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::parse_code;
use crate::app::App;
use crate::auth::Party;
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::etag::{IfNoneMatch, of_content, of_version};
use crate::http::extract::{Json, Path, Query};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};
use crate::journey::offers::{self, Conditions, Ineligible, Offer, OfferState, Purchase};
use crate::journey::orders::{self, Channel, EventKind, NewEvent, OrderRow};
use crate::journey::quotes::{self, Figures, NewQuote, QuoteView};
use crate::journey::{regimes, standing};

/// How many days ago a phone without a connection may have made a quote.
pub const OFFLINE_DAYS_MAX: u16 = 7;

/// What is to be bought.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OffersQuery {
    /// An order of the customer's; or else amount, currency and channel.
    order: Option<OrderId>,
    /// Minor units.
    #[param(minimum = 1, example = 2_400_000)]
    amount_minor: Option<i64>,
    #[param(example = "KES")]
    currency: Option<Currency>,
    /// store, web or app; app when it is left out.
    #[param(example = "app")]
    channel: Option<String>,
}

/// An offer for a purchase.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferView {
    /// The offer, for `POST /v1/quotes`.
    id: OfferId,
    /// What it is called.
    name: String,
    /// What it would cost if it were accepted today.
    #[serde(flatten)]
    figures: Figures,
}

/// The offers for a purchase, the cheapest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = crate::journey::examples::offers)]
pub struct OffersView {
    items: Vec<OfferView>,
}

/// Offers the customer is eligible for, the cheapest first.
///
/// For an order it is noted that its customer was shown offers, when there was any.
#[utoipa::path(
    get,
    path = "/v1/offers",
    tag = "journey",
    params(OffersQuery, ("If-None-Match" = Option<String>, Header, description = "What the caller has.")),
    responses(
        (status = 200, description = "The offers.", body = OffersView, headers(("ETag" = String, description = "Names them."))),
        (status = 304, description = "The caller has them.")
    )
)]
pub async fn offers(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Query(query): Query<OffersQuery>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let order = match query.order {
        Some(order) => Some(own_order(&mut tx, &party, order).await?),
        None => None,
    };
    let mut purchase = purchase(&mut tx, &app, (order.as_ref(), &query)).await?;
    let at = (purchase.on, purchase.amount.currency);
    let (segment, standing) = standing::with_segment(&mut tx, party.customer.id, at).await?;
    purchase.segment = Some(segment);
    let mut found = Vec::new();
    for offer in offers::for_amount(&mut tx, purchase.amount).await? {
        let Ok(quote) = Quote::make(&offer.terms, purchase.amount, purchase.on) else { continue };
        let allowed = regimes::find(&app.settings, &offer.regime)
            .is_some_and(|regime| regimes::breaches(&regime, &quote, &standing).is_empty());
        if allowed && offer.fits(&purchase).is_ok() {
            found.push((offer, quote));
        }
    }
    found.sort_by_key(|(offer, quote)| (quote.total_minor, quote.apr.hundredths, Reverse(offer.priority), offer.id));
    let was_shown = match &order {
        Some(order) => orders::events(&mut tx, order.id).await?.iter().any(|event| event.kind == EventKind::Shown),
        None => true,
    };
    drop(tx);
    if let Some(order) = order.filter(|_| !was_shown && !found.is_empty()) {
        let mut tx = app.db.write().await?;
        let by_user = Some(party.user.id);
        let shown = NewEvent { order_id: order.id, kind: EventKind::Shown, at: app.now(), stars: None, by_user };
        orders::note(&mut tx, &[shown]).await?;
        tx.commit().await?;
    }
    let view = |(offer, quote): &(Offer, Quote)| OfferView {
        id: offer.uid,
        name: offer.name.clone(),
        figures: Figures::of(quote),
    };
    let body = OffersView { items: found.iter().map(view).collect() };
    let bytes = serde_json::to_vec(&body).expect("our answers are JSON");
    let etag = of_content(&bytes);
    Ok(known.answer(&etag, Json(body)))
}

async fn own_order(tx: &mut Tx, party: &Party, order: OrderId) -> Result<OrderRow, Problem> {
    orders::own(tx, party.customer.id, order).await?.ok_or_else(Problem::not_found)
}

/// What is bought, by whomever.
async fn purchase(
    tx: &mut Tx,
    app: &App,
    (order, query): (Option<&OrderRow>, &OffersQuery),
) -> Result<Purchase, Problem> {
    let on = app.settings.zone.date_of(app.now());
    if let Some(order) = order {
        return of_order(tx, order, on).await;
    }
    let (Some(minor), Some(currency)) = (query.amount_minor, query.currency) else {
        return Err(Problem::invalid("?order", "missing", "Name an order, or amount_minor and currency."));
    };
    let amount = checked(Money::new(minor, currency))?;
    let channel = query.channel.as_deref().map_or(Ok(Channel::App), |code| parse_code("?channel", code))?;
    Ok(Purchase { amount, channel: Some(channel), segment: None, categories: Some(BTreeSet::new()), on })
}

async fn of_order(tx: &mut Tx, order: &OrderRow, on: Date) -> Result<Purchase, Problem> {
    let categories = orders::lines(tx, order.id).await?.into_iter().filter_map(|line| line.category).collect();
    let amount = Money::new(order.amount_minor, order.currency);
    Ok(Purchase { amount, channel: Some(order.channel), segment: None, categories: Some(categories), on })
}

fn checked(amount: Money) -> Result<Money, Problem> {
    if (1..=Money::MINOR_MAX).contains(&amount.minor) {
        Ok(amount)
    } else {
        Err(Problem::invalid("/amount/minor", "range", "An amount is above zero and at most 2^53 - 1 minor units."))
    }
}

/// What is to be worked out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000002", "offer": "019cad21-cf00-7000-8000-c11e00000014",
    "order": "019cad21-cf00-7000-8000-c11e00000001",
}))]
pub struct QuoteRequest {
    /// The quote's id, which its maker chose: sent again, it is the same quote.
    id: QuoteId,
    /// The offer.
    offer: OfferId,
    /// The order it pays for; or else an amount.
    order: Option<OrderId>,
    /// What it costs, where there is no order yet; or the part of an order that is paid in instalments, where the
    /// rest is paid otherwise.
    amount: Option<Money>,
    /// store, web or app, where there is no order yet; app when it is left out.
    channel: Option<String>,
    /// A quote that a phone made without a connection, as it stands (base64 of its bytes). It is honoured when
    /// the same comes out here; otherwise the answer says what differs.
    #[schema(max_length = 12000)]
    offline: Option<String>,
    /// The version of the offer that it was made from: where the offer has changed, the answer says so.
    #[schema(minimum = 1)]
    offer_version: Option<i64>,
}

/// Works an offer out: exact schedule, total cost, effective rate and a hash of it all, which stands until it
/// expires.
#[utoipa::path(
    post,
    path = "/v1/quotes",
    tag = "journey",
    request_body = QuoteRequest,
    responses(
        (status = 201, description = "The quote.", body = QuoteView),
        (status = 200, description = "It was made before.", body = QuoteView)
    )
)]
pub async fn create_quote(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Json(request): Json<QuoteRequest>,
) -> Result<Response, Problem> {
    let offline = request.offline.as_deref().map(read_offline).transpose()?;
    if request.offer_version.is_some_and(|version| version < 1) {
        return Err(Problem::invalid("/offer_version", "range", "A version is above zero."));
    }
    let now = app.now();
    let mut tx = effect.begin().await?;
    if let Some(made) = quotes::find(&mut tx, request.id).await? {
        let same_amount = request
            .amount
            .is_none_or(|amount| amount.minor == made.quote.price_minor && amount.currency == made.quote.currency);
        let same_content = offline.as_ref().is_none_or(|quote| quote.hash() == made.hash);
        let same = made.customer_id == party.customer.id && made.offer == request.offer && made.order == request.order;
        if !(same && same_amount && same_content) {
            return Err(Problem::new(Code::IdTaken, "The quote's id was used for another quote."));
        }
        return effect.commit(tx, Answer::ok(&QuoteView::from(&made))).await;
    }
    let (purchase, order_id) = wanted(&mut tx, &app, &party, &request).await?;
    let offer = offers::find(&mut tx, request.offer).await?.ok_or_else(unknown_offer)?;
    let anchor = offline.as_ref().map_or(Ok(purchase.on), |quote| offline_anchor(quote, purchase.on))?;
    let at = (anchor, purchase.amount.currency);
    let (segment, standing) = standing::with_segment(&mut tx, party.customer.id, at).await?;
    let purchase = Purchase { on: anchor, segment: Some(segment), ..purchase };
    offer.fits(&purchase).map_err(|why| not_for(&offer, why, &request))?;
    let quote = Quote::make(&offer.terms, purchase.amount, anchor).map_err(|error| {
        Problem::new(Code::OfferNotEligible, format!("The offer cannot be worked out for this amount: {error}."))
            .with("reason", "price")
    })?;
    if let Some(theirs) = offline.as_ref().filter(|theirs| theirs.hash() != quote.hash()) {
        let detail = "The quote that was made without a connection does not hold: see what differs.";
        return Err(Problem::new(Code::QuoteChanged, detail).with("differences", json!(differences(theirs, &quote))));
    }
    let regime =
        regimes::find(&app.settings, &offer.regime).ok_or_else(|| Problem::internal(&"an offer of no regime"))?;
    refuse_breaches(&regimes::breaches(&regime, &quote, &standing))?;
    let expires_at = now.plus_ms(app.settings.quote_hours * 3_600_000);
    let new = NewQuote {
        uid: request.id,
        customer_id: party.customer.id,
        order_id,
        order: request.order,
        offer_id: offer.id,
        offer: offer.uid,
        quote,
        offline: offline.is_some(),
        expires_at,
        by_user: party.user.id,
    };
    let made = quotes::insert(&mut tx, now, new).await?.ok_or_else(Problem::met_another)?;
    if party.is_acting() {
        party.audit(&mut tx, now, "quote.made", request.id, json!({ "offer": request.offer })).await?;
    }
    let answer =
        Answer::created(&QuoteView::from(&made)).at(format!("/v1/quotes/{}", request.id)).tagged(of_version(1));
    effect.commit(tx, answer).await
}

fn unknown_offer() -> Problem {
    Problem::invalid("/offer", "unknown", "There is no such offer.")
}

/// The offer is not for a purchase. Who quoted from what he knew of the offer is told what is so now.
fn not_for(offer: &Offer, why: Ineligible, request: &QuoteRequest) -> Problem {
    let problem = Problem::new(Code::OfferNotEligible, format!("The offer is not for this purchase: {why}."))
        .with("reason", why.code());
    if request.offline.is_none() || offer.state == OfferState::Draft {
        return problem;
    }
    let differs = |path: &str, theirs: String, ours: String| {
        (theirs != ours).then(|| Difference { path: path.to_owned(), theirs, ours })
    };
    let held = request.offer_version.unwrap_or(offer.row_version);
    // Phones get offers that are active, and no others.
    let differences = [
        differs("/offer/version", held.to_string(), offer.row_version.to_string()),
        differs("/offer/state", OfferState::Active.to_string(), offer.state.to_string()),
    ];
    let differences: Vec<_> = differences.into_iter().flatten().collect();
    let Conditions { amount_min_minor, amount_max_minor, window, .. } = &offer.conditions;
    let now = json!({
        "version": offer.row_version, "state": offer.state.code(), "valid_from": window.from, "valid_to": window.to,
        "amount_min_minor": amount_min_minor, "amount_max_minor": amount_max_minor,
    });
    problem.with("differences", json!(differences)).with("offer", now)
}

fn read_offline(text: &str) -> Result<Quote, Problem> {
    let bytes = STANDARD.decode(text);
    let bytes =
        bytes.map_err(|_| Problem::invalid("/offline", "base64", "offline is the base64 of a quote's bytes."))?;
    Quote::from_bytes(&bytes)
        .map_err(|error| Problem::invalid("/offline", "quote", format!("offline is no quote: {error}.")))
}

fn offline_anchor(quote: &Quote, today: Date) -> Result<Date, Problem> {
    let days = today.days_since(quote.anchor);
    if (0..=i32::from(OFFLINE_DAYS_MAX)).contains(&days) {
        return Ok(quote.anchor);
    }
    let detail =
        format!("A quote made without a connection is at most {OFFLINE_DAYS_MAX} days old, and not of tomorrow.");
    Err(Problem::new(Code::QuoteExpired, detail))
}

/// What is bought, by whomever, and the key of its order.
async fn wanted(
    tx: &mut Tx,
    app: &App,
    party: &Party,
    request: &QuoteRequest,
) -> Result<(Purchase, Option<i64>), Problem> {
    let on = app.settings.zone.date_of(app.now());
    match (request.order, request.amount) {
        (Some(order), amount) => {
            let order = orders::own(tx, party.customer.id, order).await?;
            let order = order
                .ok_or_else(|| Problem::invalid("/order", "unknown", "There is no such order of this customer."))?;
            let mut purchase = of_order(tx, &order, on).await?;
            if let Some(part) = amount {
                if part.currency != purchase.amount.currency || !(1..=purchase.amount.minor).contains(&part.minor) {
                    return Err(Problem::invalid(
                        "/amount",
                        "range",
                        "amount is at most the order's, in its currency.",
                    ));
                }
                purchase.amount = part;
            }
            Ok((purchase, Some(order.id)))
        }
        (None, Some(amount)) => {
            let amount = checked(amount)?;
            let channel = request.channel.as_deref().map_or(Ok(Channel::App), |code| parse_code("/channel", code))?;
            let categories = Some(BTreeSet::new());
            Ok((Purchase { amount, channel: Some(channel), segment: None, categories, on }, None))
        }
        (None, None) => Err(Problem::invalid("/order", "missing", "Name an order or an amount.")),
    }
}

/// The first breach of a regime, as a problem that names all.
pub fn refuse_breaches(breaches: &[Breach]) -> Result<(), Problem> {
    let Some(first) = breaches.first() else { return Ok(()) };
    let problem = Problem::new(Code::LimitExceeded, format!("The law's limit {} is exceeded.", first.code));
    Err(problem.with("limit", json!(first.limit)).with("used", json!(first.used)).with("breaches", json!(breaches)))
}

/// A quote again, as it was made.
#[utoipa::path(
    get,
    path = "/v1/quotes/{id}",
    tag = "journey",
    params(
        ("id" = QuoteId, Path, description = "The quote."),
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The quote.", body = QuoteView, headers(("ETag" = String, description = "It never changes."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn quote(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(quote): Path<QuoteId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let made = quotes::find(&mut tx, quote).await?.filter(|made| made.customer_id == party.customer.id);
    let made = made.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&of_version(1), Json(QuoteView::from(&made))))
}
