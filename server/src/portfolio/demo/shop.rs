//! Who sells in the demo, and on which terms: people of the shop, two offers in force and a policy.

use daybook_shared::ids::OfferId;
use daybook_shared::quote::Terms;
use daybook_shared::time::Timestamp;
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use uuid::Uuid;

use super::people::{BRANCHES, Market};
use super::{DemoError, Hiring};
use crate::auth::roles::Role;
use crate::auth::units::Unit;
use crate::db::Tx;
use crate::journey::offers::{self, Audience, Conditions, Offer, OfferState, Window};
use crate::journey::policies::{self, InForce};
use crate::journey::policy::Policy;

/// What is financed at most, minor units.
const FINANCED_MAX_MINOR: i64 = 10_000_000;

/// People of the shop: their company, and the unit of each branch. The key of who makes offers.
pub(super) async fn hire(
    tx: &mut Tx,
    hiring: &mut Hiring<'_>,
    (company, branches): (&Unit, &[Unit]),
) -> Result<i64, DemoError> {
    let partner = hiring.user(tx, "partner", Role::PartnerManager, company).await?;
    hiring.user(tx, "risk", Role::Risk, company).await?;
    hiring.user(tx, "finance", Role::Finance, company).await?;
    for (n, branch) in (1..).zip(branches).take(BRANCHES.len()) {
        hiring.user(tx, &format!("seller{n}"), Role::ShopStaff, branch).await?;
    }
    Ok(partner.id)
}

/// Two offers in force, and who is approved.
pub(super) async fn open(
    tx: &mut Tx,
    now: Timestamp,
    rng: &mut ChaCha20Rng,
    (market, partner): (Market<'_>, i64),
) -> Result<(), DemoError> {
    let four = json!({
        "currency": market.currency, "kind": "zero_percent", "instalments": 4, "due": { "fortnightly": 1 },
        "down_payment": { "basis_points": 2500 }, "increment_minor": 100, "early_settlement": "full_profit",
        "waterfall": "instalment_first", "apr_method": "eu_ccd",
    });
    let year = json!({
        "currency": market.currency, "kind": { "murabaha": { "profit_bp": 1800 } }, "instalments": 12,
        "due": { "months_after": 1 }, "increment_minor": 100, "early_settlement": "declining_rebate",
        "waterfall": "instalment_first", "apr_method": "eu_ccd",
    });
    for (name, terms, least) in [("Four payments, no cost", four, 200_000), ("Twelve months", year, 500_000)] {
        let terms: Terms = serde_json::from_value(terms).expect("the demo's terms are terms");
        let offer = Offer {
            id: 0,
            uid: OfferId::new(now, rng),
            name: name.to_owned(),
            state: OfferState::Active,
            regime: "open".to_owned(),
            terms,
            conditions: Conditions {
                amount_min_minor: least,
                amount_max_minor: FINANCED_MAX_MINOR,
                audience: Audience::default(),
                window: Window { from: market.today.plus_days(-30), to: None, season: None },
            },
            priority: 0,
            row_version: 1,
            created_at: now,
        };
        offers::insert(tx, &offer, partner).await?;
    }
    let rules = Policy {
        amount_max_minor: Some(FINANCED_MAX_MINOR),
        accounts_max: Some(2),
        dpd_max: Some(15),
        ..Policy::default()
    };
    let uid = Uuid::from_bytes(*OfferId::new(now, rng).as_bytes());
    policies::insert(tx, &InForce { uid, rules, since: now }, partner).await?;
    Ok(())
}
