//! Figures over REST: the funnel in three forms, a frozen report that stays, a campaign's effect, the map's gaps.

use axum::http::{Method, header};
use daybook_server::auth::Role;
use daybook_server::reports::table::WORKBOOK;
use daybook_shared::ids::{CampaignId, ReportId};
use serde_json::{Value, json};

use crate::journey::{apply, four, id, offer, order, quote, shop, sign};
use crate::on_every_engine;

#[test]
fn figures_are_counted_frozen_and_compared() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let free = offer(&mut world, &shop, &four(false));
        let first = world.today();
        // Two checkouts of which one becomes a plan; a week later one that nobody chooses.
        for minor in [40_000, 60_001] {
            let order = order(&mut world, asha, minor);
            world.rest(asha, Method::GET, &format!("/v1/offers?order={order}"), &Value::Null);
            if minor == 40_000 {
                let made = quote(&mut world, asha, free, order).json();
                let application = apply(&mut world, asha, &made).json();
                let signed = sign(&world, asha, application["id"].as_str().unwrap());
                assert_eq!(signed.status, 201);
                // He objects to it twice.
                let path = format!("/v1/plans/{}/disputes", signed.json()["plan"].as_str().unwrap());
                for about in ["delivery", "charge"] {
                    let body = json!({ "id": id(&mut world), "about": about, "words": "No." });
                    assert_eq!(world.rest(asha, Method::POST, &path, &body).status, 201);
                }
            }
        }
        world.pass_days(40);
        let late = order(&mut world, asha, 50_000);
        world.rest(asha, Method::GET, &format!("/v1/offers?order={late}"), &Value::Null);
        let last = world.today();
        let path = |by: &str| format!("/v1/analytics/funnel?from={first}&to={last}&by={by}");
        let funnel = world.rest(shop.partner, Method::GET, &path("none"), &Value::Null).json();
        let line = &funnel["lines"][0];
        assert_eq!(
            (&line["checkouts"], &line["chose"], &line["activated"]),
            (&json!(3), &json!(1), &json!(1)),
            "{line}"
        );
        assert_eq!(line["selection"], json!({ "bp": 3_333, "n": 3 }));
        let experience = &line["experience"];
        assert_eq!(experience["complained"], json!({ "bp": 10_000, "n": 1 }));
        assert_eq!(experience["complaints"], json!({ "opened": 2 }));
        assert_eq!(experience["rating"], json!({ "hundredths": null, "n": 0 }));
        assert_eq!(line["cart_others"], json!({ "minor": 55_000, "n": 2 }), "between the two others");
        let by_day = world.rest(shop.partner, Method::GET, &path("day"), &Value::Null).json();
        assert_eq!(by_day["lines"].as_array().unwrap().len(), 2);
        // For somebody outside, so few are hidden.
        let outside = world.rest(shop.partner, Method::GET, &(path("none") + "&outside=true"), &Value::Null).json();
        assert_eq!(outside["lines"][0]["selection"], json!({ "bp": null, "n": 3 }));
        assert_eq!(outside["lines"][0]["experience"]["complaints"], json!({}));
        // As CSV and as a workbook.
        let csv = world.rest_accepting(shop.partner, &path("offer"), "text/csv");
        assert_eq!(csv.headers[header::CONTENT_TYPE], "text/csv");
        let text = String::from_utf8(csv.body).unwrap();
        assert!(text.lines().nth(1).unwrap().contains(&free.to_string()), "{text}");
        let workbook = world.rest_accepting(shop.partner, &path("none"), WORKBOOK);
        assert_eq!((workbook.status, &workbook.body[..2]), (200, b"PK".as_slice()));
        // A month that is over is frozen once; what happens later does not change it.
        let uid = ReportId::new(world.now(), &mut world.rng);
        let (year, month, _) = first.ymd();
        let starts_on = format!("{year:04}-{month:02}-01");
        let report = json!({ "id": uid, "kind": "monthly", "starts_on": starts_on });
        let frozen = world.rest(shop.partner, Method::POST, "/v1/reports", &report);
        assert_eq!(frozen.status, 201, "{}", frozen.json());
        assert_eq!(world.rest(shop.partner, Method::POST, "/v1/reports", &report).status, 200);
        let content = world.rest(shop.partner, Method::GET, &format!("/v1/reports/{uid}"), &Value::Null);
        assert_eq!(content.headers[header::ETAG], format!("\"{}\"", frozen.json()["hash"].as_str().unwrap()));
        assert_eq!(content.json()["funnels"][0]["lines"][0]["checkouts"], 2);
        let early =
            json!({ "id": ReportId::new(world.now(), &mut world.rng), "kind": "monthly", "starts_on": world.today() });
        assert_eq!(world.rest(shop.partner, Method::POST, "/v1/reports", &early).status, 422);
        let auditor = world.person("Omar", Role::Auditor);
        assert_eq!(world.rest(auditor, Method::POST, "/v1/reports", &report).status, 403);
        // A campaign against the days before it.
        let uid = CampaignId::new(world.now(), &mut world.rng);
        let campaign = json!({
            "id": uid, "name": "Late", "offers": [free], "starts_on": last, "ends_on": last, "target_bp": 1,
            "baseline_from": first, "baseline_to": first,
        });
        assert_eq!(world.rest(shop.partner, Method::POST, "/v1/campaigns", &campaign).status, 201);
        let effect = world.rest(shop.partner, Method::GET, &format!("/v1/campaigns/{uid}/effect"), &Value::Null).json();
        assert_eq!(
            (&effect["selection_gain_bp"], &effect["target_reached"]),
            (&json!(-5_000), &json!(false)),
            "{effect}"
        );
        // The map: nothing below 1.00 and above 100,000.00.
        let gaps = "/v1/offers-admin/coverage?currency=KES&amounts=50,100,10000001";
        let coverage = world.rest(shop.partner, Method::GET, gaps, &Value::Null).json();
        assert_eq!(
            (&coverage["cells"], coverage["gaps"].as_array().unwrap().len()),
            (&json!(2 * 3 * 12 * 3), 2 * 3 * 12 * 2)
        );
        let wrong = "/v1/offers-admin/coverage?currency=KES&amounts=100,50";
        assert_eq!(world.rest(shop.partner, Method::GET, wrong, &Value::Null).status, 422);
    });
}
