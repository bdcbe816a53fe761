//! The catalogue: which offers phones may quote from, and what of it a phone lacks.
//!
//! It is the same for every phone: all active offers that are made today or within the time a phone may go without a
//! new lease, each with the facts of its law. A server keeps the last one it made, by the business date and by a
//! number that changes with any offer, which every exchange asks the database for; so every replica sends what
//! the rows say. Which of them is for a customer is not asked here: phone and server ask it of a purchase.

use std::sync::{Arc, Mutex, PoisonError};

use daybook_shared::ids::Epoch;
use daybook_shared::quote::Offered;
use daybook_shared::time::Date;
use daybook_shared::wire::catalogue::{CatalogueHeld, CataloguePage, CatalogueRules, catalogue_hash};
use daybook_shared::wire::limits::{CATALOGUE_BYTES_MAX, CATALOGUE_OFFERS_MAX, LEASE_DAYS};

use crate::app::App;
use crate::db::Tx;
use crate::journey::offers::{self, Offer, Window};
use crate::journey::regimes;
use crate::journey::routes::shopping::OFFLINE_DAYS_MAX;

/// Offers in force that are looked at to make a catalogue.
const LOOKED_AT_MAX: i64 = 1_000;

/// The offers that phones get.
#[derive(Debug, PartialEq, Eq)]
pub struct Catalogue {
    hash: u64,
    rules: CatalogueRules,
    offers: Vec<Vec<u8>>,
}

/// What a catalogue was made from.
type Key = (Epoch, Date, i64);

/// The catalogue that was made last.
#[derive(Debug, Default)]
pub struct Newest(Mutex<Option<(Key, Arc<Catalogue>)>>);

/// A catalogue that a phone lacks, from this offer on.
#[derive(Debug)]
pub struct Lacking {
    catalogue: Arc<Catalogue>,
    from: usize,
}

/// What a phone lacks of the catalogue; nothing for one that keeps none, or that has it.
pub async fn lacking(tx: &mut Tx, app: &App, held: Option<CatalogueHeld>) -> sqlx::Result<Option<Lacking>> {
    let Some(held) = held else { return Ok(None) };
    let catalogue = newest(tx, app).await?;
    let from = if held.catalogue == catalogue.hash { usize::from(held.count) } else { 0 };
    let is_whole = held.catalogue == catalogue.hash && from >= catalogue.offers.len();
    Ok((!is_whole).then_some(Lacking { catalogue, from }))
}

async fn newest(tx: &mut Tx, app: &App) -> sqlx::Result<Arc<Catalogue>> {
    let today = app.settings.zone.date_of(app.now());
    let key = (app.epoch(), today, offers::version(tx).await?);
    let known = app.catalogue.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some((_, catalogue)) = known.filter(|(made_from, _)| *made_from == key) {
        return Ok(catalogue);
    }
    let last = today.plus_days(i32::try_from(LEASE_DAYS).expect("a lease lasts days"));
    let mut in_force = offers::in_force(tx, (today, last), LOOKED_AT_MAX).await?;
    in_force.retain(|offer| is_made(&offer.conditions.window, today, last));
    let catalogue = Arc::new(Catalogue::of(app, in_force));
    *app.catalogue.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, Arc::clone(&catalogue)));
    Ok(catalogue)
}

/// Whether an offer is made on any of these days.
fn is_made(window: &Window, first: Date, last: Date) -> bool {
    (0..=last.days_since(first)).any(|days| window.is_open(first.plus_days(days)))
}

impl Catalogue {
    fn of(app: &App, in_force: Vec<Offer>) -> Self {
        let of_law = in_force.into_iter().filter_map(|offer| {
            let regime = regimes::find(&app.settings, &offer.regime);
            if regime.is_none() {
                tracing::error!(offer = %offer.uid, regime = offer.regime, "an offer of no regime: no phone gets it");
            }
            Some(Offered {
                regime: regime?,
                id: offer.uid,
                version: offer.row_version.unsigned_abs(),
                name: offer.name,
                terms: offer.terms,
                conditions: offer.conditions,
                priority: offer.priority,
            })
        });
        let offers: Vec<Vec<u8>> = of_law.map(|offer| offer.to_bytes()).collect();
        let fitting = fitting(&offers);
        let left_out = offers.len() - fitting;
        if left_out > 0 {
            tracing::warn!(in_force = offers.len(), left_out, "more offers are in force than phones have room for");
        }
        let rules = CatalogueRules {
            left_out: u16::try_from(left_out).unwrap_or(u16::MAX),
            offline_days: OFFLINE_DAYS_MAX,
            quote_hours: u16::try_from(app.settings.quote_hours).unwrap_or(u16::MAX),
        };
        Self::new(rules, offers.into_iter().take(fitting).collect())
    }

    fn new(rules: CatalogueRules, offers: Vec<Vec<u8>>) -> Self {
        Self { hash: catalogue_hash(&rules, &offers), rules, offers }
    }
}

/// How many of them phones have room for, from the first.
fn fitting(offers: &[Vec<u8>]) -> usize {
    let mut bytes = 0;
    let fits = |offer: &&Vec<u8>| {
        bytes += offer.len();
        bytes <= CATALOGUE_BYTES_MAX
    };
    offers.iter().take(CATALOGUE_OFFERS_MAX).take_while(fits).count()
}

impl Lacking {
    /// The next page, of about so many bytes before compression and of one offer at least; none once all have
    /// been given. An empty catalogue is one page that says so.
    pub fn next_page(&mut self, bytes_aim: usize, first: bool) -> Option<CataloguePage> {
        let Catalogue { hash, rules, offers } = &*self.catalogue;
        if self.from >= offers.len() && !first {
            return None;
        }
        let mut bytes = 0;
        let fits = |(n, offer): &(usize, &Vec<u8>)| {
            bytes += offer.len();
            *n == 0 || bytes <= bytes_aim
        };
        let page = offers.iter().skip(self.from).enumerate().take_while(fits);
        let page: Vec<_> = page.map(|(_, offer)| offer.clone().into()).collect();
        let number = |n: usize| u16::try_from(n).expect("a catalogue has few offers");
        let (from, count) = (number(self.from), number(offers.len()));
        self.from += page.len();
        Some(CataloguePage { catalogue: *hash, from, count, rules: *rules, offers: page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(mut lacking: Lacking) -> Vec<CataloguePage> {
        let mut pages = Vec::new();
        while let Some(page) = lacking.next_page(100, pages.is_empty()) {
            pages.push(page);
        }
        pages
    }

    #[test]
    fn pages_follow_each_other_and_hold_one_offer_at_least() {
        let rules = CatalogueRules { left_out: 0, offline_days: 7, quote_hours: 24 };
        let offers = vec![vec![1; 60], vec![2; 40], vec![3; 300], vec![4; 10]];
        let catalogue = Arc::new(Catalogue::new(rules, offers));
        let spans = |from| {
            let pages = pages(Lacking { catalogue: Arc::clone(&catalogue), from });
            pages.iter().map(|page| (page.from, page.offers.len())).collect::<Vec<_>>()
        };
        assert_eq!(spans(0), [(0, 2), (2, 1), (3, 1)]);
        assert_eq!(spans(1), [(1, 1), (2, 1), (3, 1)]);
        assert_eq!(spans(3), [(3, 1)]);
        let empty = pages(Lacking { catalogue: Arc::new(Catalogue::new(rules, vec![])), from: 0 });
        assert_eq!((empty.len(), empty[0].catalogue, empty[0].count), (1, 0, 0));
    }

    #[test]
    fn what_phones_have_no_room_for_is_counted_by_number_and_by_bytes() {
        assert_eq!(fitting(&vec![vec![0; 10]; CATALOGUE_OFFERS_MAX + 3]), CATALOGUE_OFFERS_MAX);
        assert_eq!(fitting(&vec![vec![0; CATALOGUE_BYTES_MAX / 2]; 3]), 2);
        assert_eq!(fitting(&[vec![0; CATALOGUE_BYTES_MAX + 1]]), 0);
        assert_eq!(fitting(&[]), 0);
    }

    #[test]
    fn an_offer_that_begins_while_a_lease_lasts_is_made() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let (first, last) = (day("2026-11-20"), day("2026-12-04"));
        let from = |from: &str| Window { from: day(from), to: None, season: None };
        let season = |a: &str, b: &str| Some((a.parse().unwrap(), b.parse().unwrap()));
        for (window, made) in [
            (from("2026-12-04"), true),
            (from("2026-12-05"), false),
            (Window { to: Some(first), ..from("2026-01-01") }, true),
            (Window { to: Some(day("2026-11-19")), ..from("2026-01-01") }, false),
            (Window { season: season("12-01", "12-24"), ..from("2026-01-01") }, true),
            (Window { season: season("12-05", "12-24"), ..from("2026-01-01") }, false),
        ] {
            assert_eq!(is_made(&window, first, last), made, "{window:?}");
        }
    }
}
