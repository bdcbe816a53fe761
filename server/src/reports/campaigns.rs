//! Campaigns: offers put forward for a time, and what came of it against the days before.

use daybook_shared::ids::{CampaignId, OfferId};
use daybook_shared::time::{Date, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::funnel::{self, By, Line};
use crate::app::App;
use crate::db::Tx;
use crate::on_db;

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Id.
    pub uid: CampaignId,
    /// What colleagues call it.
    pub name: String,
    /// The offers it puts forward.
    pub offers: Vec<OfferId>,
    /// Its days, both included.
    pub days: (Date, Date),
    /// The days it is compared with, both included.
    pub baseline: (Date, Date),
    /// The share of checkouts that should choose, in hundredths of a percent.
    pub target_bp: Option<i64>,
    /// Its version, for ETag.
    pub row_version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    uid: CampaignId,
    name: String,
    offers: String,
    starts_on: Date,
    ends_on: Date,
    baseline_from: Date,
    baseline_to: Date,
    target_bp: Option<i64>,
    row_version: i64,
    created_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select uid, name, offers, starts_on, ends_on, baseline_from, baseline_to, target_bp, row_version, created_at
         from campaign "
    };
}
const FIND: &str = concat!(columns!(), "where uid = $1");
const PAGE: &str = concat!(
    columns!(),
    "where id < coalesce((select id from campaign where uid = $1), 9223372036854775807) order by id desc limit $2"
);
const INSERT: &str =
    "insert into campaign (uid, name, offers, starts_on, ends_on, baseline_from, baseline_to, target_bp,
       row_version, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10) on conflict (uid) do nothing";
const UPDATE: &str = "update campaign set name = $2, ends_on = $3, target_bp = $4, row_version = row_version + 1
     where uid = $1 and row_version = $5";

/// The campaign with this id.
pub async fn find(tx: &mut Tx, campaign: CampaignId) -> sqlx::Result<Option<Campaign>> {
    let row: Option<Row> = on_db!(tx, conn => sqlx::query_as(FIND).bind(campaign).fetch_optional(conn).await)?;
    row.map(read).transpose()
}

/// All campaigns, the newest first.
pub async fn page(tx: &mut Tx, (after, limit): (Option<CampaignId>, i64)) -> sqlx::Result<Vec<Campaign>> {
    let rows: Vec<Row> = on_db!(tx, conn => sqlx::query_as(PAGE).bind(after).bind(limit).fetch_all(conn).await)?;
    rows.into_iter().map(read).collect()
}

/// Writes a campaign down; false when its id is in use.
pub async fn insert(tx: &mut Tx, campaign: &Campaign, by_user: i64) -> sqlx::Result<bool> {
    let offers: Vec<_> = campaign.offers.iter().map(ToString::to_string).collect();
    let inserted = on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(campaign.uid)
            .bind(&campaign.name)
            .bind(offers.join(" "))
            .bind(campaign.days.0)
            .bind(campaign.days.1)
            .bind(campaign.baseline.0)
            .bind(campaign.baseline.1)
            .bind(campaign.target_bp)
            .bind(campaign.created_at)
            .bind(by_user)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

/// Writes down what may change of a campaign that was read at this version; false when it changed meanwhile.
pub async fn update(tx: &mut Tx, campaign: &Campaign) -> sqlx::Result<bool> {
    let updated = on_db!(tx, conn => {
        sqlx::query(UPDATE)
            .bind(campaign.uid)
            .bind(&campaign.name)
            .bind(campaign.days.1)
            .bind(campaign.target_bp)
            .bind(campaign.row_version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(updated == 1)
}

fn read(row: Row) -> sqlx::Result<Campaign> {
    let offers: Result<Vec<_>, _> = row.offers.split_whitespace().map(str::parse).collect();
    let offers = offers.map_err(|_| sqlx::Error::Decode(format!("table campaign, {}: offers", row.uid).into()))?;
    Ok(Campaign {
        uid: row.uid,
        name: row.name,
        offers,
        days: (row.starts_on, row.ends_on),
        baseline: (row.baseline_from, row.baseline_to),
        target_bp: row.target_bp,
        row_version: row.row_version,
        created_at: row.created_at,
    })
}

/// What came of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Effect {
    /// All checkouts of its days.
    pub campaign: Option<Line>,
    /// All checkouts of the days it is compared with.
    pub baseline: Option<Line>,
    /// How much more of a hundred checkouts chose instalments, in hundredths of a percent; null where one of the
    /// two has no checkout.
    pub selection_gain_bp: Option<i64>,
    /// How much more of a hundred checkouts became plans.
    pub conversion_gain_bp: Option<i64>,
    /// Whether the share that chose reached the target; null without one.
    pub target_reached: Option<bool>,
    /// Its offers, of its days.
    pub offers: Vec<Line>,
}

/// What came of a campaign by now, against its baseline.
pub async fn effect(tx: &mut Tx, app: &App, campaign: &Campaign) -> sqlx::Result<Effect> {
    let whole = async |tx: &mut Tx, days| -> sqlx::Result<Option<Line>> {
        Ok(funnel::funnel(tx, app, days, By::Nothing).await?.lines.pop())
    };
    let of_campaign = whole(tx, campaign.days).await?;
    let baseline = whole(tx, campaign.baseline).await?;
    let names: Vec<_> = campaign.offers.iter().map(ToString::to_string).collect();
    let mut offers = funnel::funnel(tx, app, campaign.days, By::Offer).await?.lines;
    offers.retain(|line| names.contains(&line.key));
    let selection = |line: &Option<Line>| line.as_ref().and_then(|line| line.selection?.bp);
    let conversion = |line: &Option<Line>| line.as_ref().and_then(|line| line.conversion_of_checkouts?.bp);
    let gain = |of: &dyn Fn(&Option<Line>) -> Option<i64>| Some(of(&of_campaign)? - of(&baseline)?);
    Ok(Effect {
        selection_gain_bp: gain(&selection),
        conversion_gain_bp: gain(&conversion),
        target_reached: campaign.target_bp.map(|target| selection(&of_campaign).is_some_and(|bp| bp >= target)),
        campaign: of_campaign,
        baseline,
        offers,
    })
}
