//! What the API's description shows of a purchase: a phone on four monthly instalments. It stands here once, for
//! the offers, the quote and the contract repeat the same figures, and a test works them out.
//!
//! Other examples are at their types.

use serde_json::{Value, json};

const OFFER: &str = "019cad21-cf00-7000-8000-c11e00000014";
const ORDER: &str = "019cad21-cf00-7000-8000-c11e00000001";
const QUOTE_HASH: &str = "adfc203dfd61e185664f65369d2e697d785cf4a36ea05ca582aa52f8575e974e";

fn kes(minor: i64) -> Value {
    json!({ "minor": minor, "currency": "KES" })
}

fn terms() -> Value {
    json!({
        "currency": "KES", "kind": { "murabaha": { "profit_bp": 600 } }, "instalments": 4, "due": { "months_after": 1 },
        "weights": null, "down_payment": { "basis_points": 2_500 }, "increment_minor": 100, "fee": null,
        "late_fee": { "amount_minor": 20_000, "after_days": 7, "goes_to": "charity" },
        "early_settlement": "declining_rebate", "waterfall": "instalment_first", "apr_method": "eu_ccd",
    })
}

fn figures() -> Value {
    let instalment = |n: u32, due_date: &str, principal: i64, profit: i64| {
        json!({
            "n": n, "due_date": due_date, "amount": kes(principal + profit),
            "principal_minor": principal, "profit_minor": profit, "fee_minor": 0,
        })
    };
    json!({
        "price": kes(2_400_000), "at_acceptance": kes(600_000), "down_payment": kes(600_000),
        "financed": kes(1_800_000), "profit": kes(108_000), "fee": kes(0), "total": kes(2_508_000),
        "apr": { "value": "32.49", "method": "eu_ccd" }, "anchor": "2026-03-02", "ends_on": "2026-07-02",
        "instalments": [
            instalment(1, "2026-04-02", 434_300, 42_700),
            instalment(2, "2026-05-02", 444_603, 32_397),
            instalment(3, "2026-06-02", 455_150, 21_850),
            instalment(4, "2026-07-02", 465_947, 11_053),
        ],
    })
}

/// With the figures beside them.
fn with_figures(mut more: Value) -> Value {
    if let (Value::Object(members), Value::Object(figures)) = (&mut more, figures()) {
        members.extend(figures);
    }
    more
}

/// An offer to be written.
pub fn new_offer() -> Value {
    json!({
        "id": OFFER, "name": "Four months", "regime": "open", "terms": terms(),
        "amount_min_minor": 200_000, "amount_max_minor": 10_000_000,
        "channels": ["app", "store"], "categories": ["phones"], "valid_from": "2026-03-01", "valid_to": "2026-12-31",
    })
}

/// The offers for a purchase.
pub fn offers() -> Value {
    json!({ "items": [with_figures(json!({ "id": OFFER, "name": "Four months" }))] })
}

/// A quote.
pub fn quote() -> Value {
    with_figures(json!({
        "id": "019cad21-cf00-7000-8000-c11e00000002", "offer": OFFER, "order": ORDER, "hash": QUOTE_HASH,
        "created_at": "2026-03-02T06:00:00Z", "expires_at": "2026-03-03T06:00:00Z",
    }))
}

/// A contract.
pub fn contract() -> Value {
    json!({
        "format": "daybook/contract/1", "application": "019cad21-cf00-7000-8000-c11e00000003", "order": ORDER,
        "offer": OFFER, "regime": "open", "quote_hash": QUOTE_HASH, "figures": figures(), "terms": terms(),
    })
}

#[cfg(test)]
mod tests {
    use daybook_shared::money::Money;
    use daybook_shared::quote::{Quote, Terms};

    use super::*;
    use crate::journey::quotes::Figures;

    #[test]
    fn the_figures_are_what_the_offers_terms_come_to() {
        let terms: Terms = serde_json::from_value(terms()).unwrap();
        let price: Money = serde_json::from_value(figures()["price"].clone()).unwrap();
        let quote = Quote::make(&terms, price, "2026-03-02".parse().unwrap()).unwrap();
        assert_eq!(serde_json::to_value(Figures::of(&quote)).unwrap(), figures());
        assert_eq!(quote.hash().to_string(), QUOTE_HASH);
    }
}
