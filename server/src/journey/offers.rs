//! Offers: the terms on which customers may pay in instalments, whom each is for, and its life.
//!
//! To whom an offer is made, for how much and when is asked by phones too, and lives in
//! [`daybook_shared::quote::offered`].
//!
//! An offer's terms never change, so a quote or a contract that names an offer names its terms; other terms are
//! another offer. What may change is its state, until when it is made, and how it is ranked.

use std::collections::BTreeSet;

use daybook_shared::ids::OfferId;
use daybook_shared::money::Money;
use daybook_shared::quote::Terms;
pub use daybook_shared::quote::offered::{
    Audience, Channel, Conditions, DayOfYear, Ineligible, Purchase, Segment, Window,
};
use daybook_shared::time::{Date, Timestamp};

use crate::db::Tx;
use crate::on_db;
use crate::spelled::spelled;

spelled! {
    /// How far an offer is.
    OfferState {
        /// Being written; nobody sees it.
        Draft = "draft",
        /// Made to whom it is for.
        Active = "active",
        /// Not made for the moment.
        Paused = "paused",
        /// Made never again.
        Retired = "retired",
    }
}

impl OfferState {
    /// Whether it may become another. What is retired stays so, and nothing becomes a draft again.
    pub fn may_become(self, other: Self) -> bool {
        match (self, other) {
            (Self::Retired, _) | (_, Self::Draft) | (Self::Draft, Self::Paused) => false,
            (now, other) => now != other,
        }
    }
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Key.
    pub id: i64,
    /// Id.
    pub uid: OfferId,
    /// What colleagues call it.
    pub name: String,
    /// How far it is.
    pub state: OfferState,
    /// The code of the regime it was checked against.
    pub regime: String,
    /// What it says.
    pub terms: Terms,
    /// For how much it is made, to whom and when.
    pub conditions: Conditions,
    /// Of two that cost the customer the same, the higher is shown first.
    pub priority: i64,
    /// Its version, for ETag.
    pub row_version: i64,
    /// When it was written.
    pub created_at: Timestamp,
}

impl Offer {
    /// Whether it is for a purchase, or the first that stands against it. The regime is asked with the quote.
    pub fn fits(&self, purchase: &Purchase) -> Result<(), Ineligible> {
        if self.state != OfferState::Active {
            return Err(Ineligible::NotActive);
        }
        self.conditions.fits(&self.terms, purchase)
    }
}

#[derive(sqlx::FromRow)]
struct OfferRow {
    id: i64,
    uid: OfferId,
    name: String,
    state: OfferState,
    regime: String,
    terms: String,
    amount_min_minor: i64,
    amount_max_minor: i64,
    channels: Option<String>,
    segments: Option<String>,
    categories: Option<String>,
    valid_from: Date,
    valid_to: Option<Date>,
    season_from: Option<String>,
    season_to: Option<String>,
    priority: i64,
    row_version: i64,
    created_at: Timestamp,
}

macro_rules! columns {
    () => {
        "select id, uid, name, state, regime, terms, amount_min_minor, amount_max_minor, channels, segments, categories,
           valid_from, valid_to, season_from, season_to, priority, row_version, created_at from offer "
    };
}
const SELECT: &str = concat!(columns!(), "where uid = $1");
const SELECT_BY_KEY: &str = concat!(columns!(), "where id = $1");
const SELECT_ACTIVE: &str = concat!(
    columns!(),
    "where state = 'active' and currency = $1 and amount_min_minor <= $2 and amount_max_minor >= $2 order by id limit $3"
);
const SELECT_LIVE: &str = concat!(columns!(), "where state = 'active' order by id limit $1");
const SELECT_IN_FORCE: &str = concat!(
    columns!(),
    "where state = 'active' and valid_from <= $2 and (valid_to is null or valid_to >= $1)
     order by priority desc, id desc limit $3"
);
/// Rows are never deleted and their versions only rise, so that no two states of the table have one sum.
const SELECT_VERSION: &str = "select cast(coalesce(sum(row_version), 0) as bigint) from offer";
const PAGE: &str = concat!(
    columns!(),
    "where id < coalesce((select id from offer where uid = $1), 9223372036854775807) order by id desc limit $2"
);
const INSERT: &str = "insert into offer (uid, name, state, regime, terms, currency, amount_min_minor, amount_max_minor, channels,
       segments, categories, valid_from, valid_to, season_from, season_to, priority, row_version, created_at, created_by)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1, $17, $18)
     on conflict (uid) do nothing";
const UPDATE: &str =
    "update offer set name = $2, state = $3, valid_to = $4, priority = $5, row_version = row_version + 1
     where id = $1 and row_version = $6";

/// Offers that are considered for one purchase.
const CONSIDERED_MAX: i64 = 500;

/// The offer with this id.
pub async fn find(tx: &mut Tx, offer: OfferId) -> sqlx::Result<Option<Offer>> {
    let row: Option<OfferRow> = on_db!(tx, conn => sqlx::query_as(SELECT).bind(offer).fetch_optional(conn).await)?;
    row.map(read).transpose()
}

/// The offer with this key.
pub async fn by_key(tx: &mut Tx, id: i64) -> sqlx::Result<Offer> {
    read(on_db!(tx, conn => sqlx::query_as(SELECT_BY_KEY).bind(id).fetch_one(conn).await)?)
}

/// Active offers for an amount.
pub async fn for_amount(tx: &mut Tx, amount: Money) -> sqlx::Result<Vec<Offer>> {
    let rows: Vec<OfferRow> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_ACTIVE).bind(amount.currency).bind(amount.minor).bind(CONSIDERED_MAX).fetch_all(conn).await
    })?;
    rows.into_iter().map(read).collect()
}

/// All active offers.
pub async fn live(tx: &mut Tx) -> sqlx::Result<Vec<Offer>> {
    let rows: Vec<OfferRow> =
        on_db!(tx, conn => sqlx::query_as(SELECT_LIVE).bind(CONSIDERED_MAX).fetch_all(conn).await)?;
    rows.into_iter().map(read).collect()
}

/// Active offers whose time has a day from the first of these to the last, those of the highest priority and the
/// newest first; at most so many.
pub async fn in_force(tx: &mut Tx, (from, to): (Date, Date), limit: i64) -> sqlx::Result<Vec<Offer>> {
    let rows: Vec<OfferRow> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_IN_FORCE).bind(from).bind(to).bind(limit).fetch_all(conn).await
    })?;
    rows.into_iter().map(read).collect()
}

/// A number that changes whenever any offer does.
pub async fn version(tx: &mut Tx) -> sqlx::Result<i64> {
    on_db!(tx, conn => sqlx::query_scalar(SELECT_VERSION).fetch_one(conn).await)
}

/// All offers, the newest first.
pub async fn page(tx: &mut Tx, (after, limit): (Option<OfferId>, i64)) -> sqlx::Result<Vec<Offer>> {
    let rows: Vec<OfferRow> = on_db!(tx, conn => sqlx::query_as(PAGE).bind(after).bind(limit).fetch_all(conn).await)?;
    rows.into_iter().map(read).collect()
}

/// Writes a new offer down; false when its id is in use.
pub async fn insert(tx: &mut Tx, offer: &Offer, by_user: i64) -> sqlx::Result<bool> {
    let Conditions { amount_min_minor, amount_max_minor, audience, window } = &offer.conditions;
    let terms = serde_json::to_string(&offer.terms).expect("terms are JSON");
    let day = |day: DayOfYear| day.to_string();
    let inserted = on_db!(tx, conn => {
        sqlx::query(INSERT)
            .bind(offer.uid)
            .bind(&offer.name)
            .bind(offer.state)
            .bind(&offer.regime)
            .bind(terms)
            .bind(offer.terms.currency)
            .bind(amount_min_minor)
            .bind(amount_max_minor)
            .bind(words(audience.channels.iter()))
            .bind(words(audience.segments.iter()))
            .bind(words(audience.categories.iter()))
            .bind(window.from)
            .bind(window.to)
            .bind(window.season.map(|(from, _)| day(from)))
            .bind(window.season.map(|(_, to)| day(to)))
            .bind(offer.priority)
            .bind(offer.created_at)
            .bind(by_user)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(inserted == 1)
}

/// Writes down what may change of an offer that was read at this version; false when it changed meanwhile.
pub async fn update(tx: &mut Tx, offer: &Offer) -> sqlx::Result<bool> {
    let updated = on_db!(tx, conn => {
        sqlx::query(UPDATE)
            .bind(offer.id)
            .bind(&offer.name)
            .bind(offer.state)
            .bind(offer.conditions.window.to)
            .bind(offer.priority)
            .bind(offer.row_version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
    })?;
    Ok(updated == 1)
}

fn words(items: impl Iterator<Item = impl std::fmt::Display>) -> Option<String> {
    let words: Vec<_> = items.map(|item| item.to_string()).collect();
    if words.is_empty() { None } else { Some(words.join(" ")) }
}

fn read(row: OfferRow) -> sqlx::Result<Offer> {
    let wrong = |what: &str| sqlx::Error::Decode(format!("table offer, id {}: {what}", row.id).into());
    let terms = serde_json::from_str(&row.terms).map_err(|error| wrong(&format!("terms: {error}")))?;
    let season = match (&row.season_from, &row.season_to) {
        (Some(from), Some(to)) => {
            Some((from.parse().map_err(|()| wrong("season_from"))?, to.parse().map_err(|()| wrong("season_to"))?))
        }
        _ => None,
    };
    let audience = Audience {
        channels: codes(row.channels.as_deref()).ok_or_else(|| wrong("channels"))?,
        segments: codes(row.segments.as_deref()).ok_or_else(|| wrong("segments"))?,
        categories: codes(row.categories.as_deref()).ok_or_else(|| wrong("categories"))?,
    };
    Ok(Offer {
        id: row.id,
        uid: row.uid,
        name: row.name,
        state: row.state,
        regime: row.regime,
        terms,
        conditions: Conditions {
            amount_min_minor: row.amount_min_minor,
            amount_max_minor: row.amount_max_minor,
            audience,
            window: Window { from: row.valid_from, to: row.valid_to, season },
        },
        priority: row.priority,
        row_version: row.row_version,
        created_at: row.created_at,
    })
}

fn codes<T: std::str::FromStr + Ord>(text: Option<&str>) -> Option<BTreeSet<T>> {
    text.unwrap_or_default().split_whitespace().map(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_lives_forward() {
        use OfferState as S;
        let moves = [
            (S::Draft, S::Active),
            (S::Draft, S::Retired),
            (S::Active, S::Paused),
            (S::Active, S::Retired),
            (S::Paused, S::Active),
            (S::Paused, S::Retired),
        ];
        for from in S::ALL {
            for to in S::ALL {
                assert_eq!(from.may_become(*to), moves.contains(&(*from, *to)), "{from} to {to}");
            }
        }
    }

    #[test]
    fn an_offer_that_is_not_active_is_for_nobody() {
        let terms = serde_json::json!({
            "currency": "SAR", "kind": "zero_percent", "instalments": 4, "due": { "months_after": 0 },
            "increment_minor": 1, "early_settlement": "declining_rebate", "waterfall": "instalment_first",
            "apr_method": "sama_2023",
        });
        let from = "2026-01-01".parse().unwrap();
        let offer = |state| Offer {
            id: 1,
            uid: OfferId::from([1; 16]),
            name: "four".to_owned(),
            state,
            regime: "open".to_owned(),
            terms: serde_json::from_value(terms.clone()).unwrap(),
            conditions: Conditions {
                amount_min_minor: 100,
                amount_max_minor: 1_000,
                audience: Audience::default(),
                window: Window { from, to: None, season: None },
            },
            priority: 0,
            row_version: 1,
            created_at: Timestamp::EPOCH,
        };
        let amount = Money::new(100, "SAR".parse().unwrap());
        let purchase = Purchase { amount, channel: None, segment: None, categories: None, on: from };
        for state in OfferState::ALL {
            let expected = if *state == OfferState::Active { Ok(()) } else { Err(Ineligible::NotActive) };
            assert_eq!(offer(*state).fits(&purchase), expected, "{state}");
        }
        let early = Purchase { on: from.plus_days(-1), ..purchase };
        assert_eq!(offer(OfferState::Active).fits(&early), Err(Ineligible::OutOfSeason));
    }
}
