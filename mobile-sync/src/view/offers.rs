//! Offers to quote from.

use daybook_shared::ids::OfferId;
use daybook_shared::money::Money;
use daybook_shared::quote::offered::{Channel, DayOfYear, Segment};
use daybook_shared::quote::{Offered, Terms};
use daybook_shared::time::Date;
use serde::Serialize;

use super::View;
use crate::store::StoreError;

/// What this phone can quote from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Offers {
    /// Offers that are made on the business date that is shown, those of the highest priority first.
    pub offers: Vec<OfferView>,
    /// Offers in force that this phone has no room for: the office quotes them, or an app that is online.
    pub left_out: u16,
    /// Offers that only a newer version of the app can work out.
    pub unreadable: Vec<OfferId>,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfferView {
    /// The offer.
    pub id: OfferId,
    /// Its version on the server, when this phone was told of it.
    pub version: u64,
    /// What it is called.
    pub name: String,
    /// The least it is made for.
    pub amount_min: Money,
    /// The most.
    pub amount_max: Money,
    /// What it says about money and time.
    pub terms: Terms,
    /// The hash of that, which its quotes name.
    pub terms_hash: String,
    /// The code of the law it is made under.
    pub regime: String,
    /// Only for orders of these channels; empty is all.
    pub channels: Vec<Channel>,
    /// Only for such customers; empty is all.
    pub segments: Vec<Segment>,
    /// Only for goods of these categories; empty is all.
    pub categories: Vec<String>,
    /// The first day it is made.
    pub valid_from: Date,
    /// The last one; none while it has no end.
    pub valid_to: Option<Date>,
    /// Only from this day of each year.
    pub season_from: Option<DayOfYear>,
    /// To this one.
    pub season_to: Option<DayOfYear>,
}

impl View<'_> {
    /// Offers to quote from on the business date that is shown.
    pub fn offers(&self) -> Result<Offers, StoreError> {
        let catalogue = self.db.catalogue()?;
        let (mut offers, mut unreadable) = (Vec::new(), Vec::new());
        for bytes in &catalogue.offers {
            match Offered::from_bytes(bytes) {
                Ok(offer) if offer.conditions.window.is_open(self.today) => offers.push(offer.into()),
                Ok(_) => {}
                Err(_) => unreadable.extend(Offered::id_of(bytes)),
            }
        }
        Ok(Offers { offers, left_out: catalogue.rules.left_out, unreadable })
    }
}

impl From<Offered> for OfferView {
    fn from(offer: Offered) -> Self {
        let Offered { id, version, name, terms, conditions, regime, priority: _ } = offer;
        let money = |minor| Money::new(minor, terms.currency);
        let (audience, window) = (conditions.audience, conditions.window);
        Self {
            id,
            version,
            name,
            amount_min: money(conditions.amount_min_minor),
            amount_max: money(conditions.amount_max_minor),
            terms_hash: terms.hash().to_string(),
            terms,
            regime: regime.code.into(),
            channels: audience.channels.into_iter().collect(),
            segments: audience.segments.into_iter().collect(),
            categories: audience.categories.into_iter().collect(),
            valid_from: window.from,
            valid_to: window.to,
            season_from: window.season.map(|(from, _)| from),
            season_to: window.season.map(|(_, to)| to),
        }
    }
}
