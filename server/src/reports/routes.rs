//! REST of figures, reports and campaigns. They are of the whole lender: who reads them at a branch only is
//! refused.

#![expect(unused_qualifications, reason = "the macro that describes a route spells its parameters' type out")]

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use daybook_shared::ids::{CampaignId, OfferId, ReportId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::campaigns::{self, Campaign};
use super::frozen::{self, Kind, Report};
use super::funnel::{self, By, DAYS_MAX, Funnel};
use super::table;
use crate::app::App;
use crate::audit;
use crate::auth::{Permission, User, units};
use crate::http::answer::Answer;
use crate::http::etag::{IfMatch, IfNoneMatch, of_version};
use crate::http::extract::{Json, Path, Query};
use crate::http::idempotency::Effect;
use crate::http::paging::{Page, PageQuery, Paging};
use crate::http::problem::{Code, Problem};
use crate::journey::coverage::{self, Coverage, EDGES_MAX};
use crate::journey::offers;

/// Which checkouts, and by what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FunnelQuery {
    /// The first day of the checkouts.
    #[param(example = "2026-02-01")]
    from: Date,
    /// The last; at most 366 days are looked at.
    #[param(example = "2026-02-28")]
    to: Date,
    /// none, day, channel, offer or segment.
    #[param(example = "channel")]
    by: Option<String>,
    /// For somebody outside: rates of fewer than twenty are hidden.
    #[serde(default)]
    outside: bool,
}

fn check_days((from, to): (Date, Date)) -> Result<(), Problem> {
    if (0..DAYS_MAX).contains(&to.days_since(from)) {
        return Ok(());
    }
    Err(Problem::invalid("?to", "range", format!("to is not before from, and at most {DAYS_MAX} days are looked at.")))
}

/// In which form an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Csv,
    Workbook,
}

impl Form {
    fn asked(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let first = accept.split(',').next().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match first {
            table::CSV => Self::Csv,
            table::WORKBOOK => Self::Workbook,
            _ => Self::Json,
        }
    }
}

fn as_table(form: Form, funnels: &[Funnel]) -> Result<Response, Problem> {
    let (media, bytes) = match form {
        Form::Workbook => (table::WORKBOOK, table::workbook(funnels).map_err(|error| Problem::internal(&error))?),
        Form::Csv | Form::Json => (table::CSV, table::csv(funnels)),
    };
    Ok(([(header::CONTENT_TYPE, media)], bytes).into_response())
}

fn varied(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// What CSV or a workbook is: bytes.
#[derive(Debug, ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "it describes an answer that is bytes")]
pub struct TableBytes(Vec<u8>);

/// From checkouts to plans, as JSON, CSV or a workbook: whatever `Accept` names first.
#[utoipa::path(
    get,
    path = "/v1/analytics/funnel",
    tag = "analytics",
    params(FunnelQuery),
    responses((
        status = 200,
        description = "The funnel.",
        content(
            (Funnel = "application/json"),
            (TableBytes = "text/csv"),
            (TableBytes = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        )
    ))
)]
pub async fn funnel(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    headers: HeaderMap,
    Query(query): Query<FunnelQuery>,
) -> Result<Response, Problem> {
    let days = (query.from, query.to);
    check_days(days)?;
    let dimension: By = match query.by.as_deref() {
        None => By::Nothing,
        Some(code) => code
            .parse()
            .map_err(|_| Problem::invalid("?by", "unknown", "by is none, day, channel, offer or segment."))?,
    };
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadAnalytics).await?;
    let mut funnel = funnel::funnel(&mut tx, &app, days, dimension).await?;
    if query.outside {
        funnel.lines = funnel.lines.into_iter().map(funnel::Line::for_outsiders).collect();
    }
    match Form::asked(&headers) {
        Form::Json => Ok(varied(Json(funnel).into_response())),
        form => Ok(varied(as_table(form, &[funnel])?)),
    }
}

/// Which cells.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CoverageQuery {
    #[param(example = "KES")]
    currency: Currency,
    /// Lower edges of amounts, minor units, ascending, with commas between: at most 12.
    #[param(example = "10000,50000,200000")]
    amounts: String,
}

/// Where there is no offer: cells of segment, channel, month and amount, for the next twelve months.
#[utoipa::path(
    get,
    path = "/v1/offers-admin/coverage",
    tag = "offers",
    params(CoverageQuery),
    responses((status = 200, description = "The gaps.", body = Coverage))
)]
pub async fn coverage(
    State(app): State<Arc<App>>,
    Query(query): Query<CoverageQuery>,
) -> Result<Json<Coverage>, Problem> {
    let edges: Result<Vec<i64>, _> = query.amounts.split(',').take(EDGES_MAX + 1).map(str::parse).collect();
    let wrong = || {
        let detail = format!("amounts are 1 to {EDGES_MAX} numbers above zero, ascending, with commas between.");
        Problem::invalid("?amounts", "shape", detail)
    };
    let edges = edges.map_err(|_| wrong())?;
    let ascending = edges.windows(2).all(|pair| pair[0] < pair[1]) && edges[0] > 0;
    if !ascending || edges.len() > EDGES_MAX {
        return Err(wrong());
    }
    let mut tx = app.db.read().await?;
    let offers = offers::live(&mut tx).await?;
    Ok(Json(coverage::coverage(&offers, query.currency, &edges, app.settings.zone.date_of(app.now()))))
}

/// A frozen report.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    id: ReportId,
    /// weekly or monthly.
    kind: &'static str,
    starts_on: Date,
    /// Of the content, hexadecimal.
    hash: String,
    created_at: Timestamp,
}

impl From<&Report> for ReportView {
    fn from(report: &Report) -> Self {
        Self {
            id: report.uid,
            kind: report.kind.code(),
            starts_on: report.starts_on,
            hash: report.hash.to_string(),
            created_at: report.created_at,
        }
    }
}

/// A report to be frozen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000017", "kind": "monthly", "starts_on": "2026-02-01",
}))]
pub struct ReportRequest {
    /// Its id, which its maker chose: sent again, it is the same report.
    id: ReportId,
    /// weekly or monthly.
    #[schema(example = "monthly")]
    kind: String,
    /// The first day: a Monday, or the first of a month.
    starts_on: Date,
}

/// Freezes the figures of a week or a month that is over.
#[utoipa::path(
    post,
    path = "/v1/reports",
    tag = "analytics",
    request_body = ReportRequest,
    responses(
        (status = 201, description = "It is frozen.", body = ReportView),
        (status = 200, description = "It was frozen before.", body = ReportView)
    )
)]
pub async fn freeze(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<ReportRequest>,
) -> Result<Response, Problem> {
    let ReportRequest { id, kind, starts_on } = request;
    let kind: Kind =
        kind.parse().map_err(|_| Problem::invalid("/kind", "unknown", "A report is weekly or monthly."))?;
    let ends_on = kind.ends_on(starts_on).ok_or_else(|| {
        Problem::invalid("/starts_on", "range", "A week begins on a Monday, a month on its first day.")
    })?;
    if ends_on >= app.settings.zone.date_of(app.now()) {
        return Err(Problem::invalid("/starts_on", "range", "The period is not over."));
    }
    let mut tx = effect.begin().await?;
    units::must_reach_all(&mut tx, &by, Permission::FreezeReports).await?;
    let known = frozen::find(&mut tx, id).await?;
    let is_new = known.is_none();
    if is_new && !frozen::freeze(&mut tx, &app, (id, kind), (starts_on, ends_on), by.id).await? {
        return Err(Problem::met_another());
    }
    let report = match known {
        Some(known) => known,
        None => frozen::find(&mut tx, id).await?.ok_or_else(|| Problem::internal(&"a report that is not there"))?,
    };
    if (report.kind, report.starts_on) != (kind, starts_on) {
        return Err(Problem::new(Code::IdTaken, "The report's id was used for another report."));
    }
    let view = ReportView::from(&report);
    let answer = if is_new {
        audit::record(&mut tx, app.now(), by.actor(), "report.frozen", id, json!({ "hash": view.hash })).await?;
        Answer::created(&view).at(format!("/v1/reports/{id}"))
    } else {
        Answer::ok(&view)
    };
    effect.commit(tx, answer).await
}

/// Frozen reports, the newest first.
#[utoipa::path(
    get,
    path = "/v1/reports",
    tag = "analytics",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<ReportView>))
)]
pub async fn reports(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<ReportId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadAnalytics).await?;
    let rows = frozen::page(&mut tx, (page.after, page.rows())).await?;
    Ok(page.page(rows.iter().map(ReportView::from).collect(), |view: &ReportView| view.id))
}

/// A report's content.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ReportContent {
    /// The form of the content.
    #[schema(example = "daybook/report/1")]
    format: String,
    /// weekly or monthly.
    kind: String,
    /// The period as a whole, by channel, by offer and by segment.
    #[schema(value_type = Vec<Funnel>)]
    funnels: serde_json::Value,
    /// The newest row of the audit trail when it was frozen: its number and hash.
    #[schema(value_type = Object)]
    audit_head: serde_json::Value,
}

/// A frozen report, as it was frozen: its hash is the ETag.
#[utoipa::path(
    get,
    path = "/v1/reports/{id}",
    tag = "analytics",
    params(
        ("id" = ReportId, Path, description = "The report."),
        ("If-None-Match" = Option<String>, Header, description = "What the caller has.")
    ),
    responses(
        (status = 200, description = "The report.", body = ReportContent, headers(("ETag" = String, description = "Its hash, hexadecimal."))),
        (status = 304, description = "The caller has it.")
    )
)]
pub async fn report(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(report): Path<ReportId>,
    known: IfNoneMatch,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadAnalytics).await?;
    let report = frozen::find(&mut tx, report).await?.ok_or_else(Problem::not_found)?;
    let etag = format!("\"{}\"", report.hash);
    Ok(known.answer(&etag, ([(header::CONTENT_TYPE, "application/json")], report.content)))
}

/// A campaign.
#[derive(Debug, Serialize, ToSchema)]
pub struct CampaignView {
    id: CampaignId,
    name: String,
    offers: Vec<OfferId>,
    starts_on: Date,
    ends_on: Date,
    /// The days it is compared with.
    baseline_from: Date,
    baseline_to: Date,
    /// The share of checkouts that should choose, in hundredths of a percent.
    target_bp: Option<i64>,
    created_at: Timestamp,
}

impl From<Campaign> for CampaignView {
    fn from(campaign: Campaign) -> Self {
        Self {
            id: campaign.uid,
            name: campaign.name,
            offers: campaign.offers,
            starts_on: campaign.days.0,
            ends_on: campaign.days.1,
            baseline_from: campaign.baseline.0,
            baseline_to: campaign.baseline.1,
            target_bp: campaign.target_bp,
            created_at: campaign.created_at,
        }
    }
}

/// A campaign to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000016", "name": "Planting season",
    "offers": ["019cad21-cf00-7000-8000-c11e00000014"], "starts_on": "2026-03-16", "ends_on": "2026-04-12",
    "target_bp": 3500,
}))]
pub struct CampaignRequest {
    /// Its id, which its maker chose: sent again, it is the same campaign.
    id: CampaignId,
    #[schema(min_length = 1, max_length = 100, example = "Planting season")]
    name: String,
    #[schema(min_items = 1, max_items = 20)]
    offers: Vec<OfferId>,
    starts_on: Date,
    ends_on: Date,
    /// The days it is compared with: as many as it has, just before it, when they are left out.
    baseline_from: Option<Date>,
    baseline_to: Option<Date>,
    #[schema(minimum = 0, maximum = 10000)]
    target_bp: Option<i64>,
}

impl CampaignRequest {
    fn campaign(self, now: Timestamp) -> Result<Campaign, Problem> {
        let invalid = |pointer: &'static str, detail: &str| Err(Problem::invalid(pointer, "range", detail.to_owned()));
        let days = (self.starts_on, self.ends_on);
        let length = self.ends_on.days_since(self.starts_on);
        if !(0..DAYS_MAX).contains(&length) {
            return invalid("/ends_on", "It is not before starts_on, and at most 366 days are looked at.");
        }
        let baseline = match (self.baseline_from, self.baseline_to) {
            (Some(from), Some(to)) if (0..DAYS_MAX).contains(&to.days_since(from)) => (from, to),
            (None, None) => (self.starts_on.plus_days(-length - 1), self.starts_on.plus_days(-1)),
            _ => return invalid("/baseline_to", "A baseline has a first and a last day, at most 366 days of them."),
        };
        if !(1..=100).contains(&self.name.trim().chars().count()) {
            return invalid("/name", "A name has 1 to 100 characters.");
        }
        if !(1..=20).contains(&self.offers.len()) {
            return invalid("/offers", "A campaign puts 1 to 20 offers forward.");
        }
        if self.target_bp.is_some_and(|bp| !(0..=10_000).contains(&bp)) {
            return invalid("/target_bp", "It is 0 to 10,000 hundredths of a percent.");
        }
        Ok(Campaign {
            uid: self.id,
            name: self.name,
            offers: self.offers,
            days,
            baseline,
            target_bp: self.target_bp,
            row_version: 1,
            created_at: now,
        })
    }
}

/// Makes a campaign.
#[utoipa::path(
    post,
    path = "/v1/campaigns",
    tag = "campaigns",
    request_body = CampaignRequest,
    responses(
        (status = 201, description = "The campaign.", body = CampaignView),
        (status = 200, description = "It was made before.", body = CampaignView)
    )
)]
pub async fn create_campaign(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    effect: Effect,
    Json(request): Json<CampaignRequest>,
) -> Result<Response, Problem> {
    let campaign = request.campaign(app.now())?;
    let mut tx = effect.begin().await?;
    units::must_reach_all(&mut tx, &by, Permission::ManageCampaigns).await?;
    for offer in &campaign.offers {
        if offers::find(&mut tx, *offer).await?.is_none() {
            return Err(Problem::invalid("/offers", "unknown", "There is no such offer."));
        }
    }
    let inserted = campaigns::insert(&mut tx, &campaign, by.id).await?;
    let known = campaigns::find(&mut tx, campaign.uid).await?;
    let known = known.ok_or_else(|| Problem::internal(&"a campaign that is not there"))?;
    let etag = of_version(known.row_version);
    let same = (&known.offers, known.days.0, known.baseline) == (&campaign.offers, campaign.days.0, campaign.baseline);
    if !inserted && !same {
        return Err(Problem::new(Code::IdTaken, "The campaign's id was used for another campaign."));
    }
    let answer = if inserted {
        audit::record(&mut tx, app.now(), by.actor(), "campaign.made", campaign.uid, json!({})).await?;
        let location = format!("/v1/campaigns/{}", campaign.uid);
        Answer::created(&CampaignView::from(known)).at(location)
    } else {
        Answer::ok(&CampaignView::from(known))
    };
    effect.commit(tx, answer.tagged(etag)).await
}

/// Campaigns, the newest first.
#[utoipa::path(
    get,
    path = "/v1/campaigns",
    tag = "campaigns",
    params(PageQuery),
    responses((status = 200, description = "A page.", body = Page<CampaignView>))
)]
pub async fn campaigns_page(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    page: Paging<CampaignId>,
) -> Result<Response, Problem> {
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadAnalytics).await?;
    let rows = campaigns::page(&mut tx, (page.after, page.rows())).await?;
    Ok(page.page(rows.into_iter().map(CampaignView::from).collect(), |view: &CampaignView| view.id))
}

/// What may change of a campaign; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "ends_on": "2026-04-19", "target_bp": 4000 }))]
pub struct CampaignChange {
    #[schema(min_length = 1, max_length = 100)]
    name: Option<String>,
    ends_on: Option<Date>,
    #[schema(minimum = 0, maximum = 10000)]
    target_bp: Option<i64>,
}

/// Renames a campaign, says when it ends, or what it is to reach.
#[utoipa::path(
    patch,
    path = "/v1/campaigns/{id}",
    tag = "campaigns",
    params(
        ("id" = CampaignId, Path, description = "The campaign."),
        ("If-Match" = String, Header, description = "The version that is meant, or *.")
    ),
    request_body = CampaignChange,
    responses((status = 200, description = "The campaign.", body = CampaignView, headers(("ETag" = String, description = "Its new version."))))
)]
pub async fn change_campaign(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(campaign): Path<CampaignId>,
    meant: IfMatch,
    Json(request): Json<CampaignChange>,
) -> Result<Response, Problem> {
    let mut tx = app.db.write().await?;
    units::must_reach_all(&mut tx, &by, Permission::ManageCampaigns).await?;
    let mut campaign = campaigns::find(&mut tx, campaign).await?.ok_or_else(Problem::not_found)?;
    meant.check(&of_version(campaign.row_version))?;
    if let Some(name) = request.name {
        if !(1..=100).contains(&name.trim().chars().count()) {
            return Err(Problem::invalid("/name", "length", "A name has 1 to 100 characters."));
        }
        campaign.name = name;
    }
    if let Some(ends_on) = request.ends_on {
        check_days((campaign.days.0, ends_on))?;
        campaign.days.1 = ends_on;
    }
    if let Some(target) = request.target_bp {
        if !(0..=10_000).contains(&target) {
            return Err(Problem::invalid("/target_bp", "range", "It is 0 to 10,000 hundredths of a percent."));
        }
        campaign.target_bp = Some(target);
    }
    if !campaigns::update(&mut tx, &campaign).await? {
        return Err(Problem::met_another());
    }
    campaign.row_version += 1;
    audit::record(&mut tx, app.now(), by.actor(), "campaign.changed", campaign.uid, json!({})).await?;
    tx.commit().await?;
    let etag = of_version(campaign.row_version);
    Ok(Answer::ok(&CampaignView::from(campaign)).tagged(etag).into_response())
}

/// What came of a campaign by now, against its baseline.
#[utoipa::path(
    get,
    path = "/v1/campaigns/{id}/effect",
    tag = "campaigns",
    params(("id" = CampaignId, Path, description = "The campaign.")),
    responses((status = 200, description = "The effect.", body = campaigns::Effect))
)]
pub async fn campaign_effect(
    State(app): State<Arc<App>>,
    Extension(by): Extension<User>,
    Path(campaign): Path<CampaignId>,
) -> Result<Json<campaigns::Effect>, Problem> {
    let mut tx = app.db.read().await?;
    units::must_reach_all(&mut tx, &by, Permission::ReadAnalytics).await?;
    let campaign = campaigns::find(&mut tx, campaign).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(campaigns::effect(&mut tx, &app, &campaign).await?))
}
