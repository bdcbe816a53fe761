//! Imports over REST: the same files in smaller pieces, as CSV (`text/csv`) or as JSON
//! (`{"rows": [{"account": "L-1", "amount": "12.50"}]}`, every value a text).
//!
//! An import has its own transactions, many of them, and the same piece again does nothing: so its answer is
//! kept under its Idempotency-Key after it, and one whose answer was lost before that tells what was there
//! already. A portfolio reaches
//! the units of who sends it; money concerns all accounts, and takes the role at the lender's own unit.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use daybook_shared::time::Date;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::bad::BadLines;
use super::money_in::{self, Kind, provider_code};
use super::portfolio::{self, Accounts};
use super::receive::LineResult;
use super::rows::Rows;
use super::sheet::Column;
use super::take_in::{MoneyReport, TakeIn};
use super::take_over::{Mode, PortfolioReport, TakeOver};
use super::{ImportError, Scope};
use crate::app::App;
use crate::audit::Actor;
use crate::auth::{Permission, User, units};
use crate::http::answer::Answer;
use crate::http::extract::{Query, RawBody, parse_json};
use crate::http::idempotency::Effect;
use crate::http::problem::{Code, Problem};

/// The most rows of a request.
pub const ROWS_MAX: usize = 5_000;

/// What an import asks for beside its rows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ImportQuery {
    /// Of a portfolio: the day of the balances; today when absent.
    #[param(example = "2026-03-01")]
    as_of: Option<Date>,
    /// Of a statement: the provider's code.
    provider: Option<String>,
    /// The country's calling code, for phone numbers without one.
    #[param(example = "254")]
    country_code: Option<String>,
    /// Says what would be done, and does nothing.
    #[serde(default)]
    check: bool,
}

impl ImportQuery {
    fn mode(&self) -> Mode {
        if self.check { Mode::Check } else { Mode::Import }
    }

    fn country(&self) -> Result<Option<String>, Problem> {
        let Some(code) = &self.country_code else { return Ok(None) };
        let good = (1..=3).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit()) && !code.starts_with('0');
        let wrong = || Problem::validation("country_code is one to three digits, such as 254.");
        good.then(|| Some(code.clone())).ok_or_else(wrong)
    }
}

/// Rows as JSON: each an object of texts by column. The same may come as `text/csv`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportRows {
    /// The rows.
    #[schema(value_type = Vec<Object>, max_items = 5000)]
    rows: Vec<Map<String, Value>>,
}

/// The rows of a body, by its media type.
fn rows(headers: &HeaderMap, body: &RawBody, columns: &'static [Column]) -> Result<Rows, Problem> {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let too_many = |rows| (rows > ROWS_MAX).then(|| Problem::validation(format!("At most {ROWS_MAX} rows are taken.")));
    match essence.as_str() {
        "text/csv" => {
            let lines = body.bytes.split(|byte| *byte == b'\n').count().saturating_sub(2);
            too_many(lines).map_or(Ok(()), Err)?;
            Rows::body(body.bytes.to_vec(), columns).map_err(|error| Problem::validation(format!("{error}.")))
        }
        "application/json" => {
            let ImportRows { rows } = parse_json(&body.bytes)?;
            too_many(rows.len()).map_or(Ok(()), Err)?;
            Ok(Rows::json(rows, columns))
        }
        _ => Err(Problem::new(Code::UnsupportedMediaType, "This takes text/csv or application/json.")),
    }
}

/// How far the sender reaches, and whether that is the lender's own unit and so everywhere.
async fn scope(app: &App, by: &User) -> Result<(Scope, bool), Problem> {
    let mut tx = app.db.read().await?;
    let reached = units::visible_units(&mut tx, by, Permission::ImportRecords).await?;
    let root = units::root(&mut tx).await?.map(|root| root.id);
    let everywhere = root.is_some_and(|root| reached.contains(&root));
    let units = Some(reached.into_iter().collect());
    Ok((Scope { actor: Actor::user(by.id), units }, everywhere))
}

/// Opens the accounts of the rows. What is wrong with lines is in the answer;
/// the accounts of all others are there after it.
#[utoipa::path(
    post,
    path = "/v1/imports/portfolio",
    tag = "imports",
    params(ImportQuery),
    request_body(
        content = ImportRows,
        description = "Rows as JSON, or the same as `text/csv`: docs/import.md.",
        example = json!({
            "rows": [{
                "account": "L-1001", "customer": "C-77", "name": "Wanjiku Kamau", "product": "Solar home 20W",
                "currency": "KES", "disbursed_on": "2026-01-15", "due_date": "2026-02-15", "principal": "1000.00",
                "interest": "100.00", "paid": "1100.00", "last_paid_on": "2026-02-14", "phone": "+254712345678",
                "unit": "Kisii branch",
            }],
        })
    ),
    responses((status = 200, description = "What was opened, and what is wrong by line.", body = PortfolioReport))
)]
pub async fn portfolio(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    if query.provider.is_some() {
        return Err(Problem::validation("provider is of statements."));
    }
    let today = app.settings.zone.date_of(app.now());
    let as_of = query.as_of.unwrap_or(today);
    if as_of > today {
        return Err(Problem::validation("as_of is not after today."));
    }
    let rows = rows(&headers, &body, portfolio::COLUMNS)?;
    let (scope, _) = scope(&app, &by).await?;
    let accounts = Accounts::new(rows, portfolio::Reading { as_of, country: query.country()? });
    let take_over = TakeOver { app: &app, scope: &scope, as_of, mode: query.mode() };
    let report = take_over.run(accounts, BadLines::keeping(ROWS_MAX), &ProgressBar::hidden()).await?;
    let tx = effect.begin().await?;
    effect.commit(tx, Answer::ok(&report)).await
}

/// What became of a request's lines of money.
#[derive(Debug, Serialize, ToSchema)]
pub struct MoneyAnswer {
    /// What the import did.
    report: MoneyReport,
    /// What became of each line that could be read.
    results: Vec<LineResult>,
}

/// Posts payments that were recorded elsewhere.
#[utoipa::path(
    post,
    path = "/v1/imports/repayments",
    tag = "imports",
    params(ImportQuery),
    request_body(
        content = ImportRows,
        description = "Rows as JSON, or the same as `text/csv`: docs/import.md.",
        example = json!({
            "rows": [{
                "external_ref": "MPESA:QF12AB34", "account": "L-1001", "amount": "1100.00", "currency": "KES",
                "value_date": "2026-02-14", "channel": "MOBILE_MONEY", "payer": "+254712345678",
            }],
        })
    ),
    responses((status = 200, description = "What became of each line.", body = MoneyAnswer))
)]
pub async fn repayments(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    if query.provider.is_some() {
        return Err(Problem::validation("provider is of statements."));
    }
    let answer = money(&app, &by, &query, Kind::Repayments, (&headers, &body)).await?;
    let tx = effect.begin().await?;
    effect.commit(tx, Answer::ok(&answer)).await
}

/// Matches a provider's statement and posts the rest.
#[utoipa::path(
    post,
    path = "/v1/imports/statements",
    tag = "imports",
    params(ImportQuery),
    request_body(
        content = ImportRows,
        description = "Rows as JSON, or the same as `text/csv`: docs/import.md.",
        example = json!({
            "rows": [{
                "reference": "QF12AB34", "at": "2026-02-14T11:05:00+03:00", "amount": "1100.00", "currency": "KES",
                "account": "L-1001", "payer": "+254712345678",
            }],
        })
    ),
    responses((status = 200, description = "What became of each line.", body = MoneyAnswer))
)]
pub async fn statements(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Response, Problem> {
    let provider = provider_code(query.provider.as_deref().unwrap_or_default());
    let provider = provider.map_err(|words| Problem::validation(format!("provider: {words}.")))?;
    let answer = money(&app, &by, &query, Kind::Statement(provider), (&headers, &body)).await?;
    let tx = effect.begin().await?;
    effect.commit(tx, Answer::ok(&answer)).await
}

async fn money(
    app: &App,
    by: &User,
    query: &ImportQuery,
    kind: Kind,
    (headers, body): (&HeaderMap, &RawBody),
) -> Result<MoneyAnswer, Problem> {
    if query.as_of.is_some() {
        return Err(Problem::validation("as_of is of portfolios."));
    }
    let rows = rows(headers, body, kind.columns())?;
    let (scope, everywhere) = scope(app, by).await?;
    if !everywhere {
        return Err(Problem::forbidden());
    }
    let zone = app.settings.zone.clone();
    let reading = money_in::Reading { kind, today: zone.date_of(app.now()), zone, country: query.country()? };
    let take_in = TakeIn { app, scope: &scope, reading, mode: query.mode() };
    let mut results = Vec::new();
    let bad = BadLines::keeping(ROWS_MAX);
    let report = take_in.run(rows, bad, &ProgressBar::hidden(), |result| results.push(result)).await?;
    Ok(MoneyAnswer { report, results })
}

impl From<ImportError> for Problem {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Sheet(error) => Self::validation(format!("{error}.")),
            ImportError::Sql(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}
