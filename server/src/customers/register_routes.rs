//! REST of customers whom staff make or find.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use daybook_shared::ids::{CustomerId, UnitId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::register::{self, FoundCustomer, Known};
use super::routes::phone_taken;
use super::{NAME_CHARS, text};
use crate::app::App;
use crate::audit;
use crate::auth::customers::{self, NewCustomer};
use crate::auth::one_time::{self, Phone};
use crate::auth::routes::customers::phone;
use crate::auth::{User, customer_sign_in};
use crate::http::answer::Answer;
use crate::http::extract::{Json, Query};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};

/// A person who becomes a customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000020", "name": "Wanjiku Kamau", "phone": "+254712345678",
    "unit": "019cad21-cf00-7000-8000-000000000002",
}))]
pub struct Registration {
    /// His id, which its maker chose.
    id: CustomerId,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[schema(example = "+254712345678")]
    phone: String,
    /// The unit that serves him; the caller's own when it is left out.
    unit: Option<UnitId>,
}

/// Who became a customer. No more is kept with the answer than his id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "id": "019cad21-cf00-7000-8000-c11e00000020" }))]
pub struct Registered {
    id: CustomerId,
}

/// Makes a customer of a person who has not the app. When he signs in later with this number, he is this customer.
#[utoipa::path(
    post,
    path = "/v1/customers",
    tag = "customers",
    request_body = Registration,
    responses(
        (status = 201, description = "He is a customer.", body = Registered),
        (status = 200, description = "He was made before.", body = Registered)
    )
)]
pub async fn register(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<Registration>,
) -> Result<Response, Problem> {
    let Registration { id, name, phone: number, unit } = request;
    let (name, phone) = (text("/name", &name, NAME_CHARS)?, phone(&app, &number)?);
    let mut tx = effect.begin().await?;
    let unit = match (register::serving_unit(&mut tx, &by, unit).await?, unit) {
        (Some(unit), _) => unit,
        (None, Some(_)) => return Err(Problem::not_found()),
        (None, None) => {
            return Err(Problem::invalid("/unit", "missing", "Name the unit that serves him: you have several."));
        }
    };
    one_time::lock(&mut tx, &app, &phone).await?;
    if let Some(Known { phone: known, unit_id }) = register::known(&mut tx, id).await? {
        if (known.as_deref(), unit_id) == (Some(phone.as_str()), Some(unit.id)) {
            return effect.commit(tx, Answer::ok(&Registered { id })).await;
        }
        return Err(Problem::new(Code::IdTaken, "The id was used for another customer."));
    }
    if !customer_sign_in::with_number(&mut tx, &phone).await?.is_empty() {
        return Err(phone_taken());
    }
    let new = NewCustomer { uid: id, name: &name, phone: Some(phone.as_str()), unit_id: Some(unit.id) };
    customers::create(&mut tx, new).await?;
    let detail = json!({ "by": "staff", "unit": unit.uid });
    audit::record(&mut tx, app.now(), by.actor(), "customer.created", id, detail).await?;
    effect.commit(tx, Answer::created(&Registered { id })).await
}

/// Whose number it is.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PhoneQuery {
    /// The whole number, in international form.
    #[param(example = "+254712345678")]
    phone: String,
}

/// Customers who have a number.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "items": [{
        "id": "019cad21-cf00-7000-8000-c11e00000020", "name": "Wanjiku Kamau",
        "unit": "019cad21-cf00-7000-8000-000000000002",
    }],
}))]
pub struct FoundCustomers {
    items: Vec<FoundCustomer>,
}

/// Customers with exactly this phone number whom the caller may act for. Every question is in the audit trail.
#[utoipa::path(
    get,
    path = "/v1/customers",
    tag = "customers",
    params(PhoneQuery),
    responses((status = 200, description = "Those there are: mostly one.", body = FoundCustomers))
)]
pub async fn find(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    query: Result<Query<PhoneQuery>, Problem>,
) -> Result<Json<FoundCustomers>, Problem> {
    let Query(PhoneQuery { phone: number }) = query?;
    let refused = || Problem::invalid("?phone", "shape", "A phone number is written +254712345678, the + as %2B.");
    let phone = Phone::parse(&app, &number).ok_or_else(refused)?;
    let mut tx = app.db.write().await?;
    let items = register::with_number(&mut tx, &by, &phone).await?;
    let found: Vec<_> = items.iter().map(|item| item.id).collect();
    audit::record(&mut tx, app.now(), by.actor(), "customer.looked_up", "phone", json!({ "found": found })).await?;
    tx.commit().await?;
    Ok(Json(FoundCustomers { items }))
}
