//! REST of orders: of a customer's own, and of what shops hand over.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{CustomerId, OrderId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::parse_code;
use crate::app::App;
use crate::audit;
use crate::auth::customers::{self, NewCustomer};
use crate::auth::{Party, Permission, User, guesses, units};
use crate::db::Tx;
use crate::http::answer::Answer;
use crate::http::extract::{Json, Path};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};
use crate::journey::orders::{self, EventKind, NewEvent, NewOrder, OrderLine, OrderRow, Taken};
use crate::journey::resume::{self, Redeemed};
use crate::{on_db, visible_units};

/// The most orders of one hand-over.
const ORDERS_MAX: usize = 500;

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000001", "channel": "app", "reference": "10002345", "store": null,
    "amount": { "minor": 2_400_000, "currency": "KES" }, "placed_at": "2026-03-02T05:52:00Z",
    "lines": [{
        "sku": "PHONE-A15", "title": "Phone A15, 128 GB", "category": "phones", "quantity": 1,
        "amount_minor": 2_400_000,
    }],
    "events": [{ "kind": "shown", "at": "2026-03-02T05:53:00Z" }],
}))]
pub struct OrderView {
    id: OrderId,
    /// store, web or app.
    channel: &'static str,
    /// The shop's number of it.
    reference: String,
    store: Option<String>,
    amount: Money,
    placed_at: Timestamp,
    lines: Vec<OrderLine>,
    /// What happened to it, in time's order.
    events: Vec<EventView>,
}

/// Something that happened to an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// shown, chose, paid, delivered, returned, rated or cancelled.
    kind: &'static str,
    at: Timestamp,
    /// Of a rating, 1 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    stars: Option<i64>,
}

async fn view(tx: &mut Tx, row: OrderRow) -> sqlx::Result<OrderView> {
    let lines = orders::lines(tx, row.id).await?;
    let events = orders::events(tx, row.id).await?.into_iter();
    Ok(OrderView {
        id: row.uid,
        channel: row.channel.code(),
        reference: row.reference,
        store: row.store,
        amount: Money::new(row.amount_minor, row.currency),
        placed_at: row.placed_at,
        lines,
        events: events.map(|event| EventView { kind: event.kind.code(), at: event.at, stars: event.stars }).collect(),
    })
}

/// An order, as its shop or app has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000001", "channel": "app", "reference": "10002345",
    "amount": { "minor": 2_400_000, "currency": "KES" }, "placed_at": "2026-03-02T05:52:00Z",
    "lines": [{
        "sku": "PHONE-A15", "title": "Phone A15, 128 GB", "category": "phones", "quantity": 1,
        "amount_minor": 2_400_000,
    }],
}))]
pub struct OrderRequest {
    /// Its id, which its maker chose: sent again, it is the same order.
    id: OrderId,
    /// store, web or app.
    #[schema(example = "app")]
    channel: String,
    /// The shop's number of it, one of its kind in the channel.
    #[schema(min_length = 1, max_length = 64, example = "10002345")]
    reference: String,
    #[schema(min_length = 1, max_length = 100, example = "Westlands")]
    store: Option<String>,
    /// What it costs in all.
    amount: Money,
    /// When it was placed.
    placed_at: Timestamp,
    /// What was ordered; their amounts sum to the order's. An offer for some goods only needs them.
    #[serde(default)]
    #[schema(max_items = 200)]
    lines: Vec<OrderLine>,
}

impl OrderRequest {
    fn order(self, now: Timestamp, (unit_id, customer_id): (Option<i64>, Option<i64>)) -> Result<NewOrder, Problem> {
        if self.placed_at > now.plus_ms(300_000) {
            return Err(Problem::invalid("/placed_at", "range", "placed_at is not after now."));
        }
        let order = NewOrder {
            uid: self.id,
            channel: parse_code("/channel", &self.channel)?,
            reference: self.reference,
            store: self.store,
            unit_id,
            customer_id,
            amount: self.amount,
            placed_at: self.placed_at,
            lines: self.lines,
        };
        order.check().map_err(|bad| Problem::invalid(bad.pointer, bad.code, format!("{bad}.")))?;
        Ok(order)
    }
}

/// Places an order of the customer's.
#[utoipa::path(
    post,
    path = "/v1/orders",
    tag = "orders",
    request_body = OrderRequest,
    responses(
        (status = 201, description = "The order.", body = OrderView),
        (status = 200, description = "It was placed before.", body = OrderView)
    )
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Json(request): Json<OrderRequest>,
) -> Result<Response, Problem> {
    let now = app.now();
    let mut tx = effect.begin().await?;
    let unit_id = if party.is_acting() {
        units::visible_units(&mut tx, &party.user, Permission::WriteJourney).await?.first().copied()
    } else {
        None
    };
    let order = request.order(now, (unit_id, Some(party.customer.id)))?;
    let taken = orders::take(&mut tx, now, std::slice::from_ref(&order)).await?;
    match taken.first() {
        Some(Taken::New(id)) => {
            if party.is_acting() {
                party.audit(&mut tx, now, "order.placed", order.uid, json!({})).await?;
            }
            let row = orders::by_key(&mut tx, *id).await?;
            let answer = Answer::created(&view(&mut tx, row).await?).at(format!("/v1/orders/{}", order.uid));
            effect.commit(tx, answer).await
        }
        Some(Taken::Known(id)) => {
            let row = orders::by_key(&mut tx, *id).await?;
            let answer = Answer::ok(&view(&mut tx, row).await?);
            effect.commit(tx, answer).await
        }
        Some(Taken::Other) | None => {
            Err(Problem::new(Code::IdTaken, "The order's id, or its reference in the channel, is another order's."))
        }
    }
}

/// The customer's orders, the newest first.
#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "orders",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<OrderView>))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    page: Paging<OrderId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let mut views = Vec::new();
    for row in orders::page_own(&mut tx, party.customer.id, (page.after, page.rows())).await? {
        views.push(view(&mut tx, row).await?);
    }
    Ok(page.page(views, |view: &OrderView| view.id))
}

/// An order of the customer's.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order.")),
    responses((status = 200, description = "The order.", body = OrderView))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    Path(order): Path<OrderId>,
) -> Result<Json<OrderView>, Problem> {
    let mut tx = app.db.read().await?;
    let row = orders::own(&mut tx, party.customer.id, order).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(view(&mut tx, row).await?))
}

/// A code for an order; this is the only time it is seen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "code": "7KQM-02XF", "expires_at": "2026-03-02T06:22:00Z" }))]
pub struct ResumeCodeView {
    /// To be typed, or shown as a QR code.
    #[schema(example = "7KQM-02XF")]
    code: String,
    expires_at: Timestamp,
}

const SELECT_REACHED: &str =
    concat!(visible_units!(), "select o.id from shop_order o join visible v on v.id = o.unit_id where o.uid = $3");

/// Makes a code with which the customer goes on with a store's order on his phone.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/resume-codes",
    tag = "orders",
    params(("id" = OrderId, Path, description = "The order.")),
    responses((status = 201, description = "The code.", body = ResumeCodeView))
)]
pub async fn issue_code(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Path(order): Path<OrderId>,
) -> Result<Response, Problem> {
    let now = app.now();
    let mut tx = effect.begin().await?;
    let roles = Permission::ImportOrders.role_list();
    let order_id: Option<i64> = on_db!(&mut tx, conn => {
        sqlx::query_scalar(SELECT_REACHED).bind(by.id).bind(roles).bind(order).fetch_optional(conn).await
    })?;
    let order_id = order_id.ok_or_else(Problem::not_found)?;
    let issued = resume::issue(&mut tx, (now, &app.rng), (order_id, by.id)).await?;
    audit::record(&mut tx, now, by.actor(), "order.code_issued", order, json!({})).await?;
    let view = ResumeCodeView { code: issued.code, expires_at: issued.expires_at };
    effect.commit(tx, Answer::created(&view)).await
}

/// A code, as a customer typed or scanned it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "code": "7KQM-02XF" }))]
pub struct ResumeRequest {
    #[schema(min_length = 1, max_length = 40, example = "7KQM-02XF")]
    code: String,
}

/// Goes on with an order that began in a store: from now on it is the customer's.
#[utoipa::path(
    post,
    path = "/v1/orders/resumption",
    tag = "orders",
    request_body = ResumeRequest,
    responses((status = 200, description = "The order.", body = OrderView))
)]
pub async fn redeem_code(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    peer: Peer,
    effect: Effect,
    Json(request): Json<ResumeRequest>,
) -> Result<Response, Problem> {
    let login = format!("resume:{}", party.user.uid);
    let guess = guesses::attempt(&app, ("resume_code", Some(&login)), &peer)?;
    let unknown = || Problem::invalid("/code", "unknown", "The code is not, or no longer, one of an order.");
    if request.code.len() > 40 {
        return Err(guess.wrong(unknown()));
    }
    let mut tx = effect.begin().await?;
    let by = (party.user.id, party.customer.id);
    let Redeemed::Order(order_id) = resume::redeem(&mut tx, app.now(), &request.code, by).await? else {
        return Err(guess.wrong(unknown()));
    };
    orders::set_customer(&mut tx, order_id, party.customer.id).await?;
    let row = orders::by_key(&mut tx, order_id).await?;
    if row.customer_id != Some(party.customer.id) {
        return Err(guess.wrong(unknown()));
    }
    guess.right();
    party.audit(&mut tx, app.now(), "order.resumed", row.uid, json!({})).await?;
    let answer = Answer::ok(&view(&mut tx, row).await?);
    effect.commit(tx, answer).await
}

/// Orders that a shop hands over, again and again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "orders": [{
        "order": {
            "id": "019cad21-cf00-7000-8000-c11e00000001", "channel": "store", "reference": "W-2345",
            "store": "Westlands", "amount": { "minor": 2_400_000, "currency": "KES" },
            "placed_at": "2026-03-02T05:52:00Z",
            "lines": [{
                "sku": "PHONE-A15", "title": "Phone A15, 128 GB", "category": "phones", "quantity": 1,
                "amount_minor": 2_400_000,
            }],
        },
        "customer": { "id": "019cad21-cf00-7000-8000-c11e00000020", "name": "Wanjiku Kamau" },
        "events": [
            { "kind": "paid", "at": "2026-03-02T06:10:00Z" }, { "kind": "delivered", "at": "2026-03-03T09:30:00Z" },
            { "kind": "rated", "at": "2026-03-05T17:00:00Z", "stars": 5 },
        ],
    }],
}))]
pub struct OrderImport {
    #[schema(min_items = 1, max_items = 500)]
    orders: Vec<ImportedOrder>,
}

/// An order as its shop has it by now.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedOrder {
    order: OrderRequest,
    /// Who buys, once that is known.
    customer: Option<ImportedCustomer>,
    /// What happened to it; of each kind the first that was ever told counts.
    #[serde(default)]
    #[schema(max_items = 16)]
    events: Vec<ImportedEvent>,
}

/// Who buys.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedCustomer {
    /// Made when there is none with it.
    id: CustomerId,
    #[serde(default)]
    #[schema(max_length = 100)]
    name: String,
}

/// Something that happened to an order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportedEvent {
    /// paid, delivered, returned, rated or cancelled; shown and chose too, where the shop shows offers itself.
    #[schema(example = "delivered")]
    kind: String,
    at: Timestamp,
    /// Of a rating.
    #[schema(minimum = 1, maximum = 5)]
    stars: Option<i64>,
}

/// What became of orders that were handed over.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct OrderImportReport {
    /// They are new.
    new: usize,
    /// They were known.
    known: usize,
    /// Events that are new.
    events: u64,
    /// What was not taken, and why. All others were.
    refused: Vec<RefusedOrder>,
}

/// An order that was not taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedOrder {
    id: OrderId,
    /// For programs.
    code: String,
    /// For people.
    detail: String,
}

impl RefusedOrder {
    fn new(id: OrderId, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { id, code: code.into(), detail: detail.into() }
    }
}

/// Takes orders over from a shop's system, with what happened to them. Each for itself: what is wrong with one
/// is in the answer, and the others are taken.
#[utoipa::path(
    post,
    path = "/v1/imports/orders",
    tag = "imports",
    request_body = OrderImport,
    responses((status = 200, description = "What became of them.", body = OrderImportReport))
)]
pub async fn import(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<OrderImport>,
) -> Result<Response, Problem> {
    if !(1..=ORDERS_MAX).contains(&request.orders.len()) {
        return Err(Problem::invalid(
            "/orders",
            "length",
            format!("1 to {ORDERS_MAX} orders are handed over at once."),
        ));
    }
    let now = app.now();
    let mut tx = effect.begin().await?;
    let unit_id = units::visible_units(&mut tx, &by, Permission::ImportOrders).await?.first().copied();
    let mut report = OrderImportReport::default();
    let (mut new, mut told, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    for ImportedOrder { order, customer, events } in request.orders {
        let id = order.id;
        let reference = (order.channel.clone(), order.reference.clone());
        if !seen.insert((Some(id), None)) || !seen.insert((None, Some(reference))) {
            report.refused.push(RefusedOrder::new(id, "twice", "The id or the reference is in the list before."));
            continue;
        }
        let customer_id = match customer {
            Some(customer) => {
                let found = buyer(&mut tx, (&by, unit_id), customer).await?;
                if found.is_none() {
                    report.refused.push(RefusedOrder::new(id, "customer", "The customer is not one of yours."));
                    continue;
                }
                found
            }
            None => None,
        };
        match order.order(now, (unit_id, customer_id)).and_then(|order| Ok((order, read_events(&events, now)?))) {
            Ok((order, events)) => {
                new.push(order);
                told.push(events);
            }
            Err(problem) => report.refused.push(RefusedOrder::new(id, problem.code().code(), problem.detail())),
        }
    }
    let mut notes = Vec::new();
    for ((order, events), taken) in new.iter().zip(told).zip(orders::take(&mut tx, now, &new).await?) {
        let order_id = match taken {
            Taken::New(id) => {
                report.new += 1;
                id
            }
            Taken::Known(id) => {
                report.known += 1;
                id
            }
            Taken::Other => {
                let detail = "The id or the reference is another order's, or it was handed over with other content.";
                report.refused.push(RefusedOrder::new(order.uid, "id-taken", detail));
                continue;
            }
        };
        let note = |(kind, at, stars)| NewEvent { order_id, kind, at, stars, by_user: Some(by.id) };
        notes.extend(events.into_iter().map(note));
    }
    report.events = orders::note(&mut tx, &notes).await?;
    let detail = json!({ "new": report.new, "known": report.known, "refused": report.refused.len() });
    audit::record(&mut tx, now, by.actor(), "orders.imported", by.uid, detail).await?;
    effect.commit(tx, Answer::ok(&report)).await
}

const SELECT_CUSTOMER: &str = concat!(
    visible_units!(),
    "select c.id, exists (select 1 from visible v where v.id = c.unit_id)
            or exists (select 1 from account a join visible v on v.id = a.unit_id where a.customer_id = c.id)
     from customer c where c.uid = $3"
);

/// The key of who buys: one whom the sender reaches, or a new one; none for somebody else's.
async fn buyer(
    tx: &mut Tx,
    (by, unit_id): (&User, Option<i64>),
    customer: ImportedCustomer,
) -> Result<Option<i64>, Problem> {
    let roles = Permission::ImportOrders.role_list();
    let known: Option<(i64, bool)> = on_db!(&mut *tx, conn => {
        sqlx::query_as(SELECT_CUSTOMER).bind(by.id).bind(roles).bind(customer.id).fetch_optional(conn).await
    })?;
    if let Some((id, reached)) = known {
        return Ok(reached.then_some(id));
    }
    if customer.name.chars().count() > 100 {
        return Ok(None);
    }
    let new = NewCustomer { uid: customer.id, name: &customer.name, phone: None, unit_id };
    Ok(Some(customers::create(tx, new).await?.id))
}

type Told = (EventKind, Timestamp, Option<i64>);

fn read_events(events: &[ImportedEvent], now: Timestamp) -> Result<Vec<Told>, Problem> {
    let wrong = |detail| Problem::invalid("/events", "shape", detail);
    if events.len() > 16 {
        return Err(wrong("an order is told of at most 16 events"));
    }
    let read = |event: &ImportedEvent| {
        let kind: EventKind = parse_code("/events/kind", &event.kind)?;
        if event.at > now.plus_ms(300_000) {
            return Err(wrong("an event is not after now"));
        }
        if event.stars.is_some_and(|stars| kind != EventKind::Rated || !(1..=5).contains(&stars)) {
            return Err(wrong("stars, 1 to 5, are of a rating"));
        }
        Ok((kind, event.at, event.stars))
    };
    // The same kind twice in one telling: the first counts.
    let mut kinds = BTreeSet::new();
    let told: Vec<Told> = events.iter().map(read).collect::<Result<_, _>>()?;
    Ok(told.into_iter().filter(|(kind, _, _)| kinds.insert(*kind)).collect())
}
