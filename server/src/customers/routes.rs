//! REST of what is a customer's own: his profile, his number, his consents.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use daybook_shared::ids::ConsentId;
use daybook_shared::time::Date;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use utoipa::ToSchema;

use super::consents::{self, ConsentKind, ConsentRequest, ConsentView, NewConsent, Recorded};
use super::profile::{self, Profile};
use super::{ADDRESS_CHARS, NAME_CHARS, birth_date, language, text};
use crate::app::App;
use crate::auth::one_time::{self, Phone};
use crate::auth::routes::customers::{not_the_code, phone, proved};
use crate::auth::{Party, customer_sign_in};
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::Json;
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::peer::Peer;
use crate::http::problem::{Code, Problem};

/// Who the customer is.
#[utoipa::path(
    get,
    path = "/v1/me",
    tag = "customers",
    params(("If-None-Match" = Option<String>, Header, description = "The version the caller has.")),
    responses(
        (status = 200, description = "The profile.", body = Profile, headers(("ETag" = String, description = "Its version."))),
        (status = 304, description = "The caller has this version.")
    )
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let profile = profile::find(&mut tx, party.customer.id).await?.ok_or_else(Problem::not_found)?;
    Ok(known.answer(&of_version(profile.row_version), Json(profile)))
}

/// What changes of a profile: what is left out stays, null forgets.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "Wanjiku Kamau", "language": "sw", "birth_date": "1994-05-17", "address": "Kisii, behind the market",
}))]
pub struct ProfileChange {
    name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    alt_phone: Said<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    language: Said<String>,
    #[serde(default)]
    #[schema(value_type = Option<Date>)]
    birth_date: Said<Date>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Said<String>,
}

/// What is said of a field that may be empty.
#[derive(Default)]
enum Said<T> {
    /// Nothing: it stays.
    #[default]
    Nothing,
    /// Null: it is forgotten.
    Forget,
    /// This.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Forget, Self::Set))
    }
}

impl<T> Said<T> {
    /// What there is then, checked.
    fn after<U>(self, old: Option<U>, check: impl FnOnce(T) -> Result<U, Problem>) -> Result<Option<U>, Problem> {
        match self {
            Self::Nothing => Ok(old),
            Self::Forget => Ok(None),
            Self::Set(said) => check(said).map(Some),
        }
    }
}

impl ProfileChange {
    fn on(self, app: &App, old: Profile) -> Result<Profile, Problem> {
        let today = app.settings.zone.date_of(app.now());
        let another = |text: String| {
            let detail = "Another number is written as the first one: +254712345678.";
            let parsed = Phone::parse(app, &text).map(|phone| phone.as_str().to_owned());
            parsed.ok_or_else(|| Problem::invalid("/alt_phone", "shape", detail))
        };
        let address = |words: String| text("/address", &words, ADDRESS_CHARS);
        Ok(Profile {
            name: self.name.map_or(Ok(old.name), |name| text("/name", &name, NAME_CHARS))?,
            alt_phone: self.alt_phone.after(old.alt_phone, another)?,
            language: self.language.after(old.language, |tag| language(&tag))?,
            birth_date: self.birth_date.after(old.birth_date, |born| birth_date(born, today))?,
            address: self.address.after(old.address, address)?,
            ..old
        })
    }
}

/// Changes the profile. Officers who have the customer's case see it with their next sync.
///
/// The phone number is not of these: it is changed by proving the new one, at `POST /v1/me/phone`.
#[utoipa::path(
    patch,
    path = "/v1/me",
    tag = "customers",
    params(("If-Match" = String, Header, description = "The version that is changed.")),
    request_body = ProfileChange,
    responses((status = 200, description = "The profile.", body = Profile, headers(("ETag" = String, description = "Its version."))))
)]
pub async fn change(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    version: IfMatch,
    Json(change): Json<ProfileChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.write().await?;
    let held = profile::hold(&mut tx, party.customer.id).await?.ok_or_else(Problem::not_found)?;
    version.check(&of_version(held.profile.row_version))?;
    let new = change.on(&app, held.profile.clone())?;
    if !held.replace(&mut tx, &app, &party, new).await? {
        return Err(Problem::met_another());
    }
    let profile = profile::find(&mut tx, party.customer.id).await?.ok_or_else(Problem::not_found)?;
    tx.commit().await?;
    Ok(Answer::ok(&profile).tagged(of_version(profile.row_version)).into_response())
}

/// A new number and the one-time code that went to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "phone": "+254712345679", "code": "012345" }))]
pub struct NewPhone {
    #[schema(example = "+254712345678")]
    phone: String,
    /// Of `POST /v1/sessions/codes` for the new number.
    #[schema(example = "012345")]
    code: String,
}

/// Changes the phone number that the customer signs in with, by proving the new one. The old number is told.
#[utoipa::path(
    post,
    path = "/v1/me/phone",
    tag = "customers",
    request_body = NewPhone,
    responses((status = 204, description = "It is changed."))
)]
pub async fn change_phone(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    peer: Peer,
    effect: Effect,
    Json(request): Json<NewPhone>,
) -> Result<Response, Problem> {
    let new = phone(&app, &request.phone)?;
    let proof = proved(&app, &peer, (&new, &request.code)).await?;
    let mut tx = effect.begin().await?;
    if !one_time::spend(&mut tx, &proof).await? {
        return Err(not_the_code());
    }
    let held = profile::hold(&mut tx, party.customer.id).await?.ok_or_else(Problem::not_found)?;
    let others = customer_sign_in::with_number(&mut tx, &new).await?;
    if others.iter().any(|other| other.id != party.customer.id) {
        return Err(phone_taken());
    }
    if !held.move_to(&mut tx, &app, &party, &new).await? {
        return Err(Problem::met_another());
    }
    effect.commit(tx, Answer::done()).await
}

/// Whose it is, is nobody's to know.
pub fn phone_taken() -> Problem {
    Problem::new(Code::PhoneTaken, "Another customer has this phone number: a shop can put it right.")
}

/// What the customer consented to, the newest first.
#[utoipa::path(
    get,
    path = "/v1/me/consents",
    tag = "customers",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ConsentView>))
)]
pub async fn list_consents(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    page: Paging<ConsentId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    let consents = consents::page(&mut tx, party.customer.id, (page.after, page.rows())).await?;
    Ok(page.page(consents, |consent: &ConsentView| consent.id))
}

/// Characters of a text's version.
const TEXT_VERSION_CHARS: std::ops::RangeInclusive<usize> = 1..=40;

/// Records that the customer consents to something, or takes it back. The newest word of a kind counts.
#[utoipa::path(
    post,
    path = "/v1/me/consents",
    tag = "customers",
    request_body = ConsentRequest,
    responses(
        (status = 201, description = "It is recorded.", body = ConsentView),
        (status = 200, description = "It was recorded before.", body = ConsentView)
    )
)]
pub async fn consent(
    State(app): State<Arc<App>>,
    Extension(party): Extension<Party>,
    effect: Effect,
    Json(request): Json<ConsentRequest>,
) -> Result<Response, Problem> {
    let ConsentRequest { id, kind, text_version, given } = request;
    let kind: ConsentKind = kind.parse().map_err(|_| {
        Problem::invalid("/kind", "unknown", "It is credit_check, data_processing, marketing or cascade.")
    })?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if !TEXT_VERSION_CHARS.contains(&text_version.len()) || !text_version.bytes().all(plain) {
        let detail = "A text's version is 1 to 40 letters, digits, dots, dashes and underscores.";
        return Err(Problem::invalid("/text_version", "shape", detail));
    }
    let mut tx = effect.begin().await?;
    let (now, whose) = (app.now(), (party.customer.id, party.user.id));
    let new = NewConsent { id, kind, text_version: &text_version, given };
    match consents::record(&mut tx, now, whose, new).await? {
        Recorded::New(view) => {
            let detail = json!({ "customer": party.customer.uid, "kind": kind.code(), "given": given });
            party.audit(&mut tx, now, "consent.recorded", id, detail).await?;
            effect.commit(tx, Answer::created(&view)).await
        }
        Recorded::Before(view) => effect.commit(tx, Answer::ok(&view)).await,
        Recorded::Taken => Err(Problem::new(Code::IdTaken, "The id was used for another consent.")),
        Recorded::Gone => Err(Problem::not_found()),
    }
}
