//! The contract: the document a customer signs, drawn up once when his application is approved, and his
//! signature under its hash.

use daybook_shared::ids::{ApplicationId, Hash, OfferId, OrderId, sha256};
use daybook_shared::quote::Terms;
use daybook_shared::time::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::applications::Application;
use super::offers;
use super::quotes::{Figures, Made};
use crate::app::App;
use crate::db::Tx;
use crate::http::problem::Problem;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// How a customer signed.
    Signing {
        /// In his app, signed in.
        App = "app",
        /// With a one-time code sent to his phone.
        Code = "code",
        /// By hand, in a store or at his door.
        Handwritten = "handwritten",
    }
}

/// What a contract says. Written once, as it is shown; what a customer signs is the hash of these bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = crate::journey::examples::contract)]
pub struct Document {
    /// The form of the document.
    #[schema(example = "daybook/contract/1")]
    format: &'static str,
    /// The application.
    application: ApplicationId,
    /// The order that is bought.
    order: Option<OrderId>,
    /// The offer.
    offer: OfferId,
    /// The law it was made under.
    regime: String,
    /// The hash of the quote it rests on.
    quote_hash: String,
    /// What it costs.
    figures: Figures,
    /// What the offer says beside them: being late, paying early, in which order payments count.
    #[schema(value_type = Object)]
    terms: Terms,
}

/// A contract as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Contract {
    /// JSON, as it is shown.
    pub document: String,
    /// Its hash.
    pub hash: Hash,
    /// When it was signed.
    pub signed_at: Option<Timestamp>,
    /// How.
    pub method: Option<Signing>,
}

const INSERT: &str = "insert into contract (application_id, document, hash, made_at) values ($1, $2, $3, $4)
     on conflict (application_id) do nothing";
const SELECT: &str = "select document, hash, signed_at, method from contract where application_id = $1";
const SIGN: &str = "update contract set signed_at = $2, method = $3, signed_by = $4
     where application_id = $1 and signed_at is null";

/// Draws up the contract of an approved application.
pub async fn draw_up(tx: &mut Tx, app: &App, application: &Application, made: &Made) -> Result<(), Problem> {
    let offer = offers::by_key(tx, made.offer_id).await?;
    let document = Document {
        format: "daybook/contract/1",
        application: application.uid,
        order: made.order,
        offer: offer.uid,
        regime: offer.regime,
        quote_hash: made.hash.to_string(),
        figures: Figures::of(&made.quote),
        terms: offer.terms,
    };
    let document = serde_json::to_string(&document).expect("a document is JSON");
    let hash = Hash(sha256(&[b"daybook/contract/1", document.as_bytes()]));
    on_db!(tx, conn => {
        let insert = sqlx::query(INSERT).bind(application.id).bind(document).bind(hash).bind(app.now());
        insert.execute(conn).await.map(|_| ())
    })?;
    Ok(())
}

/// An application's contract, if it was ever approved.
pub async fn find(tx: &mut Tx, application_id: i64) -> sqlx::Result<Option<Contract>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(application_id).fetch_optional(conn).await)
}

/// Writes down that it was signed.
pub async fn sign(
    tx: &mut Tx,
    now: Timestamp,
    application_id: i64,
    (method, signed_by): (Signing, i64),
) -> sqlx::Result<()> {
    on_db!(tx, conn => {
        sqlx::query(SIGN).bind(application_id).bind(now).bind(method).bind(signed_by).execute(conn).await.map(|_| ())
    })
}
