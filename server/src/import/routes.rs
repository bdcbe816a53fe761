//! Imports over REST: the same files in smaller pieces, as CSV (`text/csv`) or as JSON
//! (`{"rows": [{"account": "L-1", "amount": "12.50"}]}`, every value a text).
//!
//! The same piece again does nothing, so a request whose answer was lost is sent again. A portfolio reaches
//! the units of who sends it; money concerns all accounts, and takes the role at the lender's own unit.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use daybook_shared::time::Date;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
use crate::http::extract::{Json, Query, RawBody, parse_json};
use crate::http::problem::{Code, Problem};

/// The most rows of a request.
pub const ROWS_MAX: usize = 5_000;

/// What an import asks for beside its rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportQuery {
    /// Of a portfolio: the day of the balances; today when absent.
    as_of: Option<Date>,
    /// Of a statement: the provider's code.
    provider: Option<String>,
    /// The country's calling code, for phone numbers without one.
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRows {
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
            let JsonRows { rows } = parse_json(&body.bytes)?;
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

/// `POST /v1/imports/portfolio`: opens the accounts of the rows. What is wrong with lines is in the answer;
/// the accounts of all others are there after it.
pub async fn portfolio(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<PortfolioReport>, Problem> {
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
    Ok(Json(take_over.run(accounts, BadLines::keeping(ROWS_MAX), &ProgressBar::hidden()).await?))
}

/// What became of a request's lines of money.
#[derive(Debug, Serialize)]
pub struct MoneyAnswer {
    #[serde(flatten)]
    report: MoneyReport,
    /// What became of each line that could be read.
    results: Vec<LineResult>,
}

/// `POST /v1/imports/repayments`: posts payments that were recorded elsewhere.
pub async fn repayments(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<MoneyAnswer>, Problem> {
    if query.provider.is_some() {
        return Err(Problem::validation("provider is of statements."));
    }
    money(&app, &by, &query, Kind::Repayments, (&headers, &body)).await.map(Json)
}

/// `POST /v1/imports/statements`: matches a provider's statement and posts the rest.
pub async fn statements(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Query(query): Query<ImportQuery>,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<MoneyAnswer>, Problem> {
    let provider = provider_code(query.provider.as_deref().unwrap_or_default());
    let provider = provider.map_err(|words| Problem::validation(format!("provider: {words}.")))?;
    money(&app, &by, &query, Kind::Statement(provider), (&headers, &body)).await.map(Json)
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
