//! What happens to a plan after its sale: profit, late fees, early settlement, returns, refunds, complaints; over
//! the real router, with real phones, on every engine. Numbers are those of journey.md 4.4 and 5.

use axum::http::Method;
use daybook_server::auth::Role;
use daybook_server::verify::verify;
use daybook_shared::time::Date;
use daybook_tests::sim::{Acc, Answer, On, Who, World};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::journey::{Shop, account_of, apply, balance, four, id, murabaha, offer, order, quote, shop, sign};
use crate::on_every_engine;

/// A plan on these terms for a price; its id.
pub fn bought(world: &mut World, shop: &Shop, terms: &Value, price_minor: i64) -> String {
    let offer = offer(world, shop, terms);
    let order = order(world, shop.customer, price_minor);
    let made = quote(world, shop.customer, offer, order).json();
    let application = apply(world, shop.customer, &made).json()["id"].as_str().unwrap().to_owned();
    let signed = sign(world, shop.customer, &application);
    assert_eq!(signed.status, 201, "{}", signed.json());
    signed.json()["plan"].as_str().unwrap().to_owned()
}

pub fn plan(world: &World, who: Who, plan: &str) -> Value {
    world.rest(who, Method::GET, &format!("/v1/plans/{plan}"), &Value::Null).json()
}

/// What a plan is and owes: `active, owes 100`.
fn stands(world: &World, who: Who, id: &str) -> String {
    let plan = plan(world, who, id);
    format!("{}, owes {}", plan["status"].as_str().unwrap(), plan["outstanding"]["minor"])
}

/// Mobile money on a plan, as the books elsewhere have it.
fn pay(world: &World, people: (Who, Who), id: &str, amount: &str, on: Date) {
    let answer = import(world, people, id, (amount, &format!("{amount}-{on}")), on);
    assert_eq!((answer.status, &answer.json()["report"]["posted"]), (200, &json!(1)), "{}", answer.json());
}

/// The same, whatever becomes of it.
pub fn pay_any(world: &World, people: (Who, Who), id: &str, (minor, reference): (i64, &str), on: Date) {
    let amount = format!("{}.{:02}", minor / 100, minor % 100);
    let answer = import(world, people, id, (&amount, reference), on);
    assert_eq!(answer.status, 200, "{}", answer.json());
}

fn import(world: &World, (deka, asha): (Who, Who), id: &str, (amount, reference): (&str, &str), on: Date) -> Answer {
    let number = plan(world, asha, id)["number"].clone();
    let row = json!({
        "external_ref": reference, "account": number, "amount": amount, "currency": "KES",
        "value_date": on, "channel": "MOBILE_MONEY",
    });
    world.rest(deka, Method::POST, "/v1/imports/repayments", &json!({ "rows": [row] }))
}

/// The days on which a plan's instalments fall due.
fn due_dates(world: &World, who: Who, id: &str) -> Vec<Date> {
    let path = format!("/v1/plans/{id}/schedule");
    let schedule = world.rest(who, Method::GET, &path, &Value::Null).json();
    let dates = schedule["instalments"].as_array().unwrap().iter();
    dates.map(|one| one["due_date"].as_str().unwrap().parse().unwrap()).collect()
}

/// Everything that can be derived is as it is derived, and all accounts together are zero.
pub fn verified(world: &World) {
    let findings =
        world.server.read(async |app, tx| verify(tx, &app.settings.zone, 100, &ProgressBar::hidden()).await.unwrap());
    assert_eq!(findings.differing(), 0, "{findings}");
    let all = world.server.rows::<(i64,)>("select cast(coalesce(sum(minor), 0) as bigint) from line");
    assert_eq!(all[0].0, 0);
}

fn refused(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

/// Agrees to what paying off costs today; the figure that was shown.
fn agree(world: &mut World, who: Who, plan: &str) -> Value {
    let path = format!("/v1/plans/{plan}/early-settlement");
    let figure = world.rest(who, Method::GET, &path, &Value::Null).json();
    let body = json!({ "id": id(world), "hash": figure["hash"], "on": figure["on"] });
    let agreed = world.rest(who, Method::POST, &path, &body);
    assert_eq!(agreed.status, 201, "{}", agreed.json());
    assert_eq!(world.rest(who, Method::POST, &path, &body).status, 200, "sent again it is the same agreement");
    figure
}

/// Goal: line 2, each day of it once, however late the job comes; and line 9 of journey.md 5, to the minor unit.
#[test]
fn profit_is_earned_on_its_day_and_what_is_not_is_given_up_when_a_plan_is_paid_off() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, deka) = (shop.customer, world.supervisor("Deka"));
        let plan = bought(&mut world, &shop, &murabaha(), 1_200_000);
        assert_eq!(world.job("earn_profit"), 0);
        let due = due_dates(&world, asha, &plan);
        world.pass_days(due[5].days_since(world.today()) + 6);
        for on in &due[..6] {
            pay(&world, (deka, asha), &plan, "1100.00", *on);
        }
        assert_eq!(world.job("earn_profit"), 6);
        assert_eq!(world.job("earn_profit"), 0);
        assert_eq!(["unearned", "profit"].map(|gl| balance(&world, gl)), [-33_259, -86_741]);
        let booked =
            world.server.rows::<(Date,)>("select booked_on from journal where kind = 'profit' order by booked_on");
        assert_eq!(booked.iter().map(|row| row.0).collect::<Vec<_>>(), due[..6]);
        verified(&world);
        // The figure of the design, and nothing but that.
        let path = format!("/v1/plans/{plan}/early-settlement");
        let wrong = json!({ "id": id(&mut world), "hash": "0".repeat(64), "on": world.today() });
        let answer = world.rest(asha, Method::POST, &path, &wrong);
        assert_eq!(refused(&answer), (409, "quote-changed".to_owned()));
        assert_eq!(answer.json()["figure"]["figure"]["minor"], 626_741);
        let yesterday = format!("{path}?on={}", world.today().plus_days(-1));
        assert_eq!(world.rest(asha, Method::GET, &yesterday, &Value::Null).status, 422);
        let figure = agree(&mut world, asha, &plan);
        let minor = |what: &str| figure[what]["minor"].as_i64().unwrap();
        assert_eq!(["gross", "rebate", "figure"].map(minor), [660_000, 33_259, 626_741]);
        assert_eq!(figure["valid_until"], json!(due[6].plus_days(-1)));
        // In two parts, the second on the last day; the first alone settles nothing.
        pay(&world, (deka, asha), &plan, "6000.00", world.today());
        assert_eq!(stands(&world, asha, &plan), "active, owes 60000");
        world.pass_days(due[6].days_since(world.today()) + 1);
        world.job("earn_profit");
        // It comes in after more profit was earned, with its own day: that profit was not earned.
        pay(&world, (deka, asha), &plan, "267.41", due[6].plus_days(-1));
        assert_eq!(stands(&world, asha, &plan), "closed(early_settled), owes 0");
        assert_eq!(["plan_recv", "unearned", "profit", "credit"].map(|gl| balance(&world, gl)), [0, 0, -86_741, 0]);
        assert_eq!(world.job("earn_profit"), 0);
        verified(&world);
        let again = world.rest(asha, Method::GET, &path, &Value::Null);
        assert_eq!(refused(&again), (409, "illegal-transition".to_owned()));
    });
}

/// An officer with a plan of the customer's on his phone.
fn collected(world: &mut World, plan: &str) -> (On, Who, Acc) {
    let (amina, on) = world.officer("Amina");
    let deka = world.supervisor("Deka");
    let acc = account_of(world, plan);
    world.assign(acc, None);
    assert_eq!(world.reassign(deka, acc, Some(amina)).status, 204);
    world.sync(on);
    (on, deka, acc)
}

#[test]
fn cash_that_settles_a_plan_and_is_taken_back_opens_it_again_as_it_was() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let plan = bought(&mut world, &shop, &murabaha(), 1_200_000);
        let (on, deka, acc) = collected(&mut world, &plan);
        let figure = agree(&mut world, asha, &plan);
        assert_eq!(figure["figure"]["minor"], 1_200_000);
        let first = world.cash(on, acc, 200_000);
        world.sync(on);
        assert_eq!(stands(&world, asha, &plan), "active, owes 1120000");
        let second = world.cash(on, acc, 1_000_500);
        world.sync(on);
        // What is more than the figure is the customer's.
        assert_eq!(stands(&world, asha, &plan), "closed(early_settled), owes 0");
        assert_eq!(["plan_recv", "unearned", "credit"].map(|gl| balance(&world, gl)), [0, 0, -500]);
        verified(&world);
        // The office finds that half of it was never paid.
        assert_eq!(world.reverse(deka, second).status, 204);
        assert_eq!(stands(&world, asha, &plan), "active, owes 1120000");
        assert_eq!(
            ["plan_recv", "unearned", "credit", "profit"].map(|gl| balance(&world, gl)),
            [1_120_000, -120_000, 0, 0]
        );
        verified(&world);
        // Paid after all, in time.
        let third = world.cash(on, acc, 1_000_000);
        world.sync(on);
        assert_eq!(stands(&world, asha, &plan), "closed(early_settled), owes 0");
        for payment in [first, third] {
            assert_eq!(world.outcome(payment), "posted");
        }
        verified(&world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn what_is_paid_after_the_day_settles_nothing() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, deka) = (shop.customer, world.supervisor("Deka"));
        let plan = bought(&mut world, &shop, &murabaha(), 1_200_000);
        agree(&mut world, asha, &plan);
        let due = due_dates(&world, asha, &plan);
        world.pass_days(due[0].days_since(world.today()));
        pay(&world, (deka, asha), &plan, "12000.00", world.today());
        assert_eq!(stands(&world, asha, &plan), "active, owes 120000");
        verified(&world);
    });
}

/// Four payments; more than five days late costs 5.00, for charity.
pub fn with_late_fee() -> Value {
    let mut terms = four(false);
    terms["late_fee"] = json!({ "amount_minor": 500, "after_days": 5, "goes_to": "charity" });
    terms
}

#[test]
fn being_late_costs_once_and_a_payment_that_comes_in_late_takes_the_fee_back() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let asha = shop.customer;
        let plan = bought(&mut world, &shop, &with_late_fee(), 40_000);
        let free = bought(&mut world, &shop, &four(false), 20_000);
        let (on, deka, _) = collected(&mut world, &plan);
        let due = due_dates(&world, asha, &plan);
        world.pass_days(due[0].days_since(world.today()) + 5);
        assert_eq!(world.job("charge_late_fees"), 0, "five days are not more than five");
        world.pass_days(3);
        assert_eq!(world.job("charge_late_fees"), 1);
        assert_eq!(world.job("charge_late_fees"), 0);
        assert_eq!(["charity", "fees"].map(|gl| balance(&world, gl)), [-500, 0]);
        assert_eq!(stands(&world, asha, &plan), "active, owes 40500");
        assert_eq!(stands(&world, asha, &free), "active, owes 20000", "never without the term");
        let dates = due_dates(&world, asha, &plan);
        assert_eq!((dates.len(), dates[1]), (5, due[0].plus_days(6)));
        verified(&world);
        // The officer sees it.
        world.log_in_again(on);
        world.settle(&[on]);
        world.check_all(&[on]);
        // The customer had paid in time; it comes in today.
        pay(&world, (deka, asha), &plan, "100.00", due[0].plus_days(2));
        assert_eq!(world.job("charge_late_fees"), 1);
        assert_eq!(world.job("charge_late_fees"), 0);
        assert_eq!(balance(&world, "charity"), 0);
        assert_eq!(stands(&world, asha, &plan), "active, owes 30000");
        assert_eq!(due_dates(&world, asha, &plan), due);
        verified(&world);
        world.settle(&[on]);
        world.check_all(&[on]);
        // The next one is late for good, and is paid with its fee.
        world.pass_days(due[1].days_since(world.today()) + 10);
        assert_eq!(world.job("charge_late_fees"), 1);
        pay(&world, (deka, asha), &plan, "105.00", world.today());
        assert_eq!(world.job("charge_late_fees"), 0);
        assert_eq!((stands(&world, asha, &plan), balance(&world, "charity")), ("active, owes 20000".to_owned(), -500));
        verified(&world);
    });
}

fn ask_return(world: &mut World, who: Who, plan: &str, mut body: Value) -> Answer {
    body["id"] = json!(id(world));
    body["reason"] = json!("The screen flickers.");
    world.rest(who, Method::POST, &format!("/v1/plans/{plan}/returns"), &body)
}

fn rule(world: &World, who: Who, goods_return: &Value, ruling: &str) -> Answer {
    let path = format!("/v1/returns/{}/decision", goods_return.as_str().unwrap());
    world.rest(who, Method::POST, &path, &json!({ "ruling": ruling }))
}

/// A ledger's journal as the REST shows it: kind and lines without subjects.
fn journals(world: &World, who: Who, of: &Value) -> Vec<(String, Vec<(String, i64)>)> {
    let path = format!("/v1/ledger/journals?ref={}", of.as_str().unwrap());
    let page = world.rest(who, Method::GET, &path, &Value::Null).json();
    let lines = |journal: &Value| {
        let line = |line: &Value| {
            let account = line["account"].as_str().unwrap().split(':').next().unwrap().to_owned();
            (account, line["minor"].as_i64().unwrap())
        };
        journal["lines"].as_array().unwrap().iter().map(line).collect()
    };
    let items = page["items"].as_array().unwrap().iter();
    items.map(|journal| (journal["kind"].as_str().unwrap().to_owned(), lines(journal))).collect()
}

/// Goal: line 13 of journey.md 5 to the minor unit, and line 13b; nobody does two of its steps.
#[test]
fn goods_that_come_back_undo_the_sale_and_what_was_paid_goes_back() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, deka, zuri) = (shop.customer, world.supervisor("Deka"), world.person("Zuri", Role::ShopStaff));
        let (faraj, fatma) = (world.person("Faraj", Role::Finance), world.person("Fatma", Role::Finance));
        world.give_role(zuri, Role::Finance);
        let plan = bought(&mut world, &shop, &murabaha(), 1_200_000);
        let due = due_dates(&world, asha, &plan);
        world.pass_days(due[2].days_since(world.today()) + 1);
        for on in &due[..3] {
            pay(&world, (deka, asha), &plan, "1100.00", *on);
        }
        world.job("earn_profit");
        let asked = ask_return(&mut world, asha, &plan, json!({}));
        assert_eq!((asked.status, &asked.json()["state"]), (201, &json!("requested")), "{}", asked.json());
        let goods = asked.json()["id"].clone();
        // There is nothing left to ask for.
        let more = ask_return(&mut world, asha, &plan, json!({ "amount": { "minor": 5, "currency": "KES" } }));
        assert_eq!(more.status, 422);
        assert_eq!(refused(&rule(&world, zuri, &goods, "receive")), (409, "illegal-transition".to_owned()));
        assert_eq!(rule(&world, zuri, &goods, "approve").json()["state"], "approved");
        assert_eq!(refused(&rule(&world, zuri, &goods, "receive")), (403, "same-person".to_owned()));
        assert_eq!(stands(&world, asha, &plan), "active, owes 990000", "nothing moves before the goods are here");
        let received = rule(&world, shop.partner, &goods, "receive");
        assert_eq!((received.status, &received.json()["state"]), (200, &json!("received")), "{}", received.json());
        assert_eq!(received.json()["refund_amount"]["minor"], 330_000);
        assert_eq!(stands(&world, asha, &plan), "closed(rescinded), owes 0");
        let lines = [
            ("plan_recv", -990_000),
            ("unearned", 70_239),
            ("orders", 1_200_000),
            ("refund_payable", -330_000),
            ("profit", 49_761),
        ];
        let lines: Vec<_> = lines.iter().map(|(gl, minor)| ((*gl).to_owned(), *minor)).collect();
        assert_eq!(journals(&world, faraj, &goods), [("return".to_owned(), lines)]);
        verified(&world);
        // The money.
        let refund = received.json()["refund"].as_str().unwrap().to_owned();
        let path = format!("/v1/refunds/{refund}");
        let bilal = world.person("Bilal", Role::Customer);
        assert_eq!(world.rest(bilal, Method::GET, &path, &Value::Null).status, 404);
        assert_eq!(world.rest(asha, Method::GET, &path, &Value::Null).json()["state"], "pending");
        let cash = json!({ "outcome": "succeeded", "channel": "CASH", "reference": "X" });
        assert_eq!(world.rest(faraj, Method::POST, &format!("{path}/payout"), &cash).status, 422);
        let failed = json!({ "outcome": "failed" });
        assert_eq!(world.rest(faraj, Method::POST, &format!("{path}/payout"), &failed).json()["state"], "failed");
        let paid = json!({ "outcome": "succeeded", "channel": "BANK_TRANSFER", "reference": "TT-1" });
        let late = world.rest(faraj, Method::POST, &format!("{path}/payout"), &paid);
        assert_eq!(refused(&late), (409, "illegal-transition".to_owned()));
        // Another takes its place, once, and another person pays it.
        let made = json!({ "id": id(&mut world), "replaces": refund });
        let second = world.rest(faraj, Method::POST, "/v1/refunds", &made);
        assert_eq!(second.status, 201, "{}", second.json());
        assert_eq!(world.rest(faraj, Method::POST, "/v1/refunds", &made).status, 200);
        verified(&world);
        let path = format!("/v1/refunds/{}/payout", second.json()["id"].as_str().unwrap());
        assert_eq!(refused(&world.rest(faraj, Method::POST, &path, &paid)), (403, "same-person".to_owned()));
        let done = world.rest(fatma, Method::POST, &path, &paid);
        assert_eq!((done.status, &done.json()["state"]), (200, &json!("succeeded")), "{}", done.json());
        let path = format!("/v1/returns/{}", goods.as_str().unwrap());
        assert_eq!(world.rest(asha, Method::GET, &path, &Value::Null).json()["state"], "closed");
        assert_eq!(["refund_payable", "bank"].map(|gl| balance(&world, gl)), [0, -330_000]);
        let kinds: Vec<_> = journals(&world, faraj, &goods).into_iter().map(|journal| journal.0).collect();
        assert_eq!(kinds, ["return", "refund_paid"]);
        verified(&world);
        world.server.execute("update refund set state = 'pending' where state = 'succeeded'");
        let findings = world
            .server
            .read(async |app, tx| verify(tx, &app.settings.zone, 100, &ProgressBar::hidden()).await.unwrap());
        assert_eq!(findings.checks["ledger: refunds owed"].differences.len(), 1);
    });
}

#[test]
fn a_part_that_comes_back_goes_off_the_end_and_the_rest_undoes_the_sale() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, zuri) = (shop.customer, world.person("Zuri", Role::ShopStaff));
        let plan = bought(&mut world, &shop, &murabaha(), 1_200_000);
        let (on, ..) = collected(&mut world, &plan);
        let line = json!({ "lines": [{ "n": 1, "amount_minor": 300_000 }] });
        let part = ask_return(&mut world, asha, &plan, line).json()["id"].clone();
        rule(&world, zuri, &part, "approve");
        let received = rule(&world, shop.partner, &part, "receive");
        assert_eq!((received.status, &received.json()["state"]), (200, &json!("closed")), "{}", received.json());
        // A quarter of the price and of the profit, off the last instalments.
        assert_eq!(stands(&world, asha, &plan), "active, owes 990000");
        assert_eq!(["orders", "unearned", "profit"].map(|gl| balance(&world, gl)), [-900_000, -90_000, 0]);
        let path = format!("/v1/plans/{plan}/schedule");
        let schedule = world.rest(asha, Method::GET, &path, &Value::Null).json();
        let amount = |n: usize| schedule["instalments"][n]["amount"]["minor"].as_i64().unwrap();
        assert_eq!((schedule["version"].as_i64(), amount(0), amount(11)), (Some(2), 110_000, 0));
        verified(&world);
        world.settle(&[on]);
        world.check_all(&[on]);
        // More than is left of the line is refused; the rest by amount.
        let more = json!({ "lines": [{ "n": 1, "amount_minor": 900_001 }] });
        assert_eq!(ask_return(&mut world, asha, &plan, more).status, 422);
        let rest = json!({ "amount": { "minor": 900_000, "currency": "KES" } });
        let rest = ask_return(&mut world, asha, &plan, rest).json()["id"].clone();
        rule(&world, zuri, &rest, "approve");
        assert_eq!(rule(&world, shop.partner, &rest, "receive").json()["state"], "closed");
        assert_eq!(stands(&world, asha, &plan), "closed(rescinded), owes 0");
        assert_eq!(["orders", "unearned", "profit", "plan_recv"].map(|gl| balance(&world, gl)), [0; 4]);
        verified(&world);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn what_a_customer_paid_too_much_goes_back_and_not_more() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, deka) = (shop.customer, world.supervisor("Deka"));
        let (faraj, fatma) = (world.person("Faraj", Role::Finance), world.person("Fatma", Role::Finance));
        let plan = bought(&mut world, &shop, &four(false), 40_000);
        pay(&world, (deka, asha), &plan, "410.00", world.today());
        assert_eq!(stands(&world, asha, &plan), "closed(paid), owes 0");
        let refund = |world: &mut World, minor: i64| json!({ "id": id(world), "plan": plan, "amount": { "minor": minor, "currency": "KES" } });
        let more = refund(&mut world, 1_001);
        let answer = world.rest(faraj, Method::POST, "/v1/refunds", &more);
        assert_eq!(refused(&answer), (409, "limit-exceeded".to_owned()));
        // Two at the same moment: only one of them is of money that is there.
        let (one, other) = (refund(&mut world, 600), refund(&mut world, 600));
        let path = "/v1/refunds".to_owned();
        let answers = world.at_once(&[(faraj, path.clone(), one), (fatma, path, other)]);
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        let made = answers.iter().find(|answer| answer.status == 201).unwrap().json();
        assert_eq!(["credit", "refund_payable", "plan_recv"].map(|gl| balance(&world, gl)), [-400, -600, 0]);
        assert_eq!(plan_credit(&world, asha, &plan), 400);
        verified(&world);
        let by = if answers[0].status == 201 { fatma } else { faraj };
        let paid = json!({ "outcome": "succeeded", "channel": "MOBILE_MONEY", "reference": "B2C-7" });
        let path = format!("/v1/refunds/{}/payout", made["id"].as_str().unwrap());
        assert_eq!(world.rest(by, Method::POST, &path, &paid).json()["state"], "succeeded");
        assert_eq!(["momo", "refund_payable"].map(|gl| balance(&world, gl)), [41_000 - 600, 0]);
        verified(&world);
    });
}

fn plan_credit(world: &World, who: Who, id: &str) -> i64 {
    plan(world, who, id)["credit"]["minor"].as_i64().unwrap()
}

#[test]
fn a_complaint_is_answered_or_rises_and_its_words_go_with_the_customer() {
    on_every_engine(|mut world| {
        let shop = shop(&mut world);
        let (asha, deka) = (shop.customer, world.supervisor("Deka"));
        let bilal = world.person("Bilal", Role::Customer);
        let plan = bought(&mut world, &shop, &four(false), 40_000);
        let path = format!("/v1/plans/{plan}/disputes");
        let body = json!({ "id": id(&mut world), "about": "delivery", "words": "Nothing has come." });
        assert_eq!(world.rest(bilal, Method::POST, &path, &body).status, 404);
        let answers = world.at_once(&vec![(asha, path.clone(), body.clone()); 4]);
        assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 201)));
        let mut other = body.clone();
        other["words"] = json!("Something else.");
        assert_eq!(refused(&world.rest(asha, Method::POST, &path, &other)), (409, "id-taken".to_owned()));
        let complaint = format!("/v1/disputes/{}", body["id"].as_str().unwrap());
        assert_eq!(world.rest(bilal, Method::GET, &complaint, &Value::Null).status, 404);
        // Nobody answers.
        world.pass_days(6);
        assert_eq!(world.job("escalate_complaints"), 1);
        assert_eq!(world.job("escalate_complaints"), 0);
        let listed = world.rest(deka, Method::GET, "/v1/disputes", &Value::Null).json();
        let first = &listed["items"][0];
        assert_eq!((&first["level"], &first["state"], &first["messages"]), (&json!(2), &json!("opened"), &Value::Null));
        // Somebody does, and then nothing rises.
        let said = json!({ "id": id(&mut world), "words": "It left the store today." });
        let answered = world.rest(deka, Method::POST, &format!("{complaint}/answers"), &said);
        assert_eq!((answered.status, &answered.json()["state"]), (200, &json!("answered")), "{}", answered.json());
        world.pass_days(30);
        assert_eq!(world.job("escalate_complaints"), 0);
        let more = json!({ "id": id(&mut world), "words": "It did not." });
        let added = world.rest(asha, Method::POST, &format!("{complaint}/messages"), &more).json();
        assert_eq!((&added["state"], added["messages"].as_array().unwrap().len()), (&json!("opened"), 3));
        let decision = json!({ "id": id(&mut world), "upheld": true, "words": "You are right." });
        let decided = world.rest(deka, Method::POST, &format!("{complaint}/decision"), &decision);
        assert_eq!((decided.status, &decided.json()["state"]), (200, &json!("upheld")), "{}", decided.json());
        let late = world.rest(asha, Method::POST, &format!("{complaint}/withdrawal"), &Value::Null);
        assert_eq!(refused(&late), (409, "illegal-transition".to_owned()));
        // Erased with everything about him.
        pay(&world, (deka, asha), &plan, "400.00", world.today());
        let erasure = json!({ "id": id(&mut world) });
        let customer = world.customer_id(asha);
        let caller = world.person("Cleo", Role::CallOfficer);
        let proposed = world.rest(caller, Method::POST, &format!("/v1/customers/{customer}/erasure"), &erasure);
        assert!(proposed.status < 300, "{}", proposed.json());
        let ruling = json!({ "approve": true });
        let order = erasure["id"].as_str().unwrap();
        let approved = world.decide(deka, &format!("/v1/erasures/{order}/decision"), ruling);
        assert!(approved.status < 300, "{}", approved.json());
        world.job("erase_customers");
        let words = world.server.rows::<(i64,)>("select count(*) from plan_complaint_message where words is not null");
        assert_eq!(words[0].0, 0);
        verified(&world);
    });
}
