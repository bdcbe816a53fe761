//! Offers: the terms on which customers may pay in instalments, whom each is for, and its life.
//!
//! An offer's terms never change, so a quote or a contract that names an offer names its terms; other terms are
//! another offer. What may change is its state, until when it is made, and how it is ranked.

use std::collections::BTreeSet;

use daybook_shared::ids::OfferId;
use daybook_shared::money::Money;
use daybook_shared::quote::Terms;
use daybook_shared::time::{Date, Timestamp};

use super::orders::Channel;
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

    /// What a customer is to us when he asks.
    Segment {
        /// He never had an account.
        New = "new",
        /// He had or has one.
        Returning = "returning",
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

/// Whom an offer is for; what is empty is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// Where the order was placed.
    pub channels: BTreeSet<Channel>,
    /// What the customer is to us.
    pub segments: BTreeSet<Segment>,
    /// Categories, one of which every line of the order is of.
    pub categories: BTreeSet<String>,
}

/// A day of the year, `MM-DD`. 29 February is the day before 1 March in every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayOfYear {
    month: u8,
    day: u8,
}

impl DayOfYear {
    /// The day of a date.
    pub fn of(date: Date) -> Self {
        let (_, month, day) = date.ymd();
        Self { month: month.unsigned_abs(), day: day.unsigned_abs() }
    }
}

impl std::str::FromStr for DayOfYear {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let two_digits =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok());
        let (month, day) = text.split_once('-').ok_or(())?;
        let (month, day) = (two_digits(month).flatten().ok_or(())?, two_digits(day).flatten().ok_or(())?);
        // A leap year has every day.
        let exists = Date::from_ymd(2024, i8::try_from(month).map_err(|_| ())?, i8::try_from(day).map_err(|_| ())?);
        exists.map(|_| Self { month, day }).ok_or(())
    }
}

impl std::fmt::Display for DayOfYear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// When an offer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From this day on.
    pub from: Date,
    /// The last day; none while it has no end.
    pub to: Option<Date>,
    /// Only between these days of each year, both included; over the turn of the year when the first is the
    /// later.
    pub season: Option<(DayOfYear, DayOfYear)>,
}

impl Window {
    /// Whether it is open on a day.
    pub fn is_open(&self, on: Date) -> bool {
        let in_season = self.season.is_none_or(|(from, to)| {
            let day = DayOfYear::of(on);
            if from <= to { from <= day && day <= to } else { day >= from || day <= to }
        });
        self.from <= on && self.to.is_none_or(|to| on <= to) && in_season
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
    /// The least it is made for, minor units.
    pub amount_min_minor: i64,
    /// The most.
    pub amount_max_minor: i64,
    /// Whom it is for.
    pub audience: Audience,
    /// When it is made.
    pub window: Window,
    /// Of two that cost the customer the same, the higher is shown first.
    pub priority: i64,
    /// Its version, for ETag.
    pub row_version: i64,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A purchase, as offers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// What it costs.
    pub amount: Money,
    /// Where it is placed.
    pub channel: Channel,
    /// What the customer is to us.
    pub segment: Segment,
    /// The categories of its lines; empty when nobody said.
    pub categories: BTreeSet<String>,
    /// The business date.
    pub on: Date,
}

spelled! {
    /// Why an offer is not for a purchase.
    Ineligible {
        /// It is not made now.
        NotActive = "not_active",
        /// It is made at another time.
        OutOfSeason = "out_of_season",
        /// Another currency.
        Currency = "currency",
        /// Below what it is for.
        AmountTooLow = "amount_too_low",
        /// Above what it is for.
        AmountTooHigh = "amount_too_high",
        /// For orders of another channel.
        Channel = "channel",
        /// For other customers.
        Segment = "segment",
        /// For other goods.
        Category = "category",
        /// The law forbids it for this customer or amount.
        Regime = "regime",
    }
}

impl Offer {
    /// Whether it is for a purchase, or the first that stands against it. The regime is asked with the quote.
    pub fn fits(&self, purchase: &Purchase) -> Result<(), Ineligible> {
        let against = |breach: bool, why| if breach { Err(why) } else { Ok(()) };
        let Audience { channels, segments, categories } = &self.audience;
        against(self.state != OfferState::Active, Ineligible::NotActive)?;
        against(!self.window.is_open(purchase.on), Ineligible::OutOfSeason)?;
        against(self.terms.currency != purchase.amount.currency, Ineligible::Currency)?;
        against(purchase.amount.minor < self.amount_min_minor, Ineligible::AmountTooLow)?;
        against(purchase.amount.minor > self.amount_max_minor, Ineligible::AmountTooHigh)?;
        against(!channels.is_empty() && !channels.contains(&purchase.channel), Ineligible::Channel)?;
        against(!segments.is_empty() && !segments.contains(&purchase.segment), Ineligible::Segment)?;
        let of_category = !purchase.categories.is_empty() && purchase.categories.is_subset(categories);
        against(!categories.is_empty() && !of_category, Ineligible::Category)
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

/// All offers, the newest first.
pub async fn page(tx: &mut Tx, (after, limit): (Option<OfferId>, i64)) -> sqlx::Result<Vec<Offer>> {
    let rows: Vec<OfferRow> = on_db!(tx, conn => sqlx::query_as(PAGE).bind(after).bind(limit).fetch_all(conn).await)?;
    rows.into_iter().map(read).collect()
}

/// Writes a new offer down; false when its id is in use.
pub async fn insert(tx: &mut Tx, offer: &Offer, by_user: i64) -> sqlx::Result<bool> {
    let Offer { audience, window, .. } = offer;
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
            .bind(offer.amount_min_minor)
            .bind(offer.amount_max_minor)
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
            .bind(offer.window.to)
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
        amount_min_minor: row.amount_min_minor,
        amount_max_minor: row.amount_max_minor,
        audience,
        window: Window { from: row.valid_from, to: row.valid_to, season },
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
    use daybook_shared::quote::DueRule;

    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn day(text: &str) -> DayOfYear {
        text.parse().unwrap()
    }

    #[test]
    fn a_season_may_go_over_the_turn_of_the_year() {
        let season = |from, to| Window {
            from: date("2026-01-01"),
            to: Some(date("2027-12-31")),
            season: Some((day(from), day(to))),
        };
        let (summer, winter) = (season("06-01", "08-31"), season("11-15", "02-29"));
        let cases = [
            ("2026-06-01", true, false),
            ("2026-08-31", true, false),
            ("2026-09-01", false, false),
            ("2026-11-15", false, true),
            ("2027-02-28", false, true),
            ("2026-03-01", false, false),
            ("2025-12-31", false, false),
            ("2028-01-01", false, false),
        ];
        for (on, in_summer, in_winter) in cases {
            assert_eq!((summer.is_open(date(on)), winter.is_open(date(on))), (in_summer, in_winter), "{on}");
        }
    }

    #[test]
    fn a_day_of_the_year_is_two_numbers_of_two_digits() {
        for good in ["02-29", "12-31", "01-01"] {
            assert_eq!(day(good).to_string(), good);
        }
        for bad in ["2-3", "13-01", "02-30", "00-10", "0210", "+1-02", "02-29-"] {
            assert!(bad.parse::<DayOfYear>().is_err(), "{bad}");
        }
    }

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

    fn offer() -> Offer {
        let terms = serde_json::json!({
            "currency": "SAR", "kind": "zero_percent", "instalments": 4, "due": DueRule::MonthsAfter(0),
            "increment_minor": 1, "early_settlement": "declining_rebate", "waterfall": "instalment_first",
            "apr_method": "sama_2023",
        });
        Offer {
            id: 1,
            uid: OfferId::from([1; 16]),
            name: "four".to_owned(),
            state: OfferState::Active,
            regime: "open".to_owned(),
            terms: serde_json::from_value(terms).unwrap(),
            amount_min_minor: 100,
            amount_max_minor: 1_000,
            audience: Audience {
                channels: [Channel::App].into(),
                segments: [Segment::Returning].into(),
                categories: ["phones".to_owned(), "solar".to_owned()].into(),
            },
            window: Window { from: date("2026-01-01"), to: None, season: None },
            priority: 0,
            row_version: 1,
            created_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn the_first_that_stands_against_an_offer_is_why_it_is_not_for_a_purchase() {
        let sar = "SAR".parse().unwrap();
        let good = Purchase {
            amount: Money::new(100, sar),
            channel: Channel::App,
            segment: Segment::Returning,
            categories: ["phones".to_owned()].into(),
            on: date("2026-02-01"),
        };
        let cases = [
            (good.clone(), Ok(())),
            (Purchase { amount: Money::new(99, sar), ..good.clone() }, Err(Ineligible::AmountTooLow)),
            (Purchase { amount: Money::new(1_001, sar), ..good.clone() }, Err(Ineligible::AmountTooHigh)),
            (Purchase { amount: Money::new(100, "KWD".parse().unwrap()), ..good.clone() }, Err(Ineligible::Currency)),
            (Purchase { channel: Channel::Web, ..good.clone() }, Err(Ineligible::Channel)),
            (Purchase { segment: Segment::New, ..good.clone() }, Err(Ineligible::Segment)),
            (Purchase { categories: BTreeSet::new(), ..good.clone() }, Err(Ineligible::Category)),
            (
                Purchase { categories: ["phones".to_owned(), "beds".to_owned()].into(), ..good.clone() },
                Err(Ineligible::Category),
            ),
            (Purchase { on: date("2025-12-31"), ..good.clone() }, Err(Ineligible::OutOfSeason)),
        ];
        for (purchase, expected) in cases {
            assert_eq!(offer().fits(&purchase), expected, "{purchase:?}");
        }
        assert_eq!(Offer { state: OfferState::Paused, ..offer() }.fits(&good), Err(Ineligible::NotActive));
        assert_eq!(
            Offer { audience: Audience::default(), ..offer() }.fits(&Purchase { categories: BTreeSet::new(), ..good }),
            Ok(())
        );
    }
}
