//! S5, S6 and S11 for money that others say came in: statements and phones in every order, and payments
//! recorded elsewhere.

use daybook_server::auth::Role;
use daybook_server::import::Scope;
use daybook_server::import::bad::BadLines;
use daybook_server::import::money_in::{Kind, Reading};
use daybook_server::import::receive::{Came, LineResult};
use daybook_server::import::rows::Rows;
use daybook_server::import::take_in::TakeIn;
use daybook_server::import::take_over::Mode;
use daybook_server::on_db;
use daybook_server::verify::verify;
use daybook_shared::ids::EntryId;
use daybook_tests::sim::{Acc, Terms, World};
use indicatif::ProgressBar;
use serde_json::json;

use crate::on_every_engine;

/// Imports a file of money: its header is the kind's own.
fn import(world: &World, kind: Kind, rows: &str) -> Vec<LineResult> {
    let header = match kind {
        Kind::Repayments => "external_ref,account,amount,currency,value_date,channel,cashier",
        Kind::Statement(_) => "reference,at,amount,currency,account",
    };
    let file = format!("{header}\n{rows}\n").into_bytes();
    let rows = Rows::body(file, kind.columns()).unwrap();
    world.server.read(async |app, _| {
        let zone = app.settings.zone.clone();
        let reading = Reading { kind, today: zone.date_of(app.now()), zone, country: None };
        let take_in = TakeIn { app, scope: &Scope::OPERATOR, reading, mode: Mode::Import };
        let mut results = Vec::new();
        let report =
            take_in.run(rows, BadLines::default(), &ProgressBar::hidden(), |result| results.push(result)).await;
        let report = report.unwrap();
        assert_eq!(report.lines.iter().filter(|bad| bad.column == "line").count(), 0);
        results
    })
}

/// A line of M-Pesa's statement of today.
fn stated(world: &World, reference: &str, amount: &str, account: &str) -> Came {
    let today = world.today();
    let row = format!("{reference},{today},{amount},KES,{account}");
    import(world, Kind::Statement("MPESA".to_owned()), &row)[0].came
}

fn number(acc: Acc) -> String {
    format!("A-{:04}", acc.0 + 1)
}

/// How many payments are in the ledger, and what they are of each source.
fn posted(world: &World) -> Vec<(String, i64)> {
    world.server.rows("select source, amount_minor from payment where state = 'posted' order by source, amount_minor")
}

#[test]
fn s6_mobile_money_waits_for_the_provider_and_his_statement_releases_it_once() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        let paid = world.mobile_money(on, acc, 1000, "mpesa: qf12ab34");
        world.sync(on);
        assert_eq!((world.outcome(paid), world.cash_in_hand(amina)), ("held(AWAITING_PROVIDER)".to_owned(), 0));
        assert_eq!(stated(&world, "QF12AB34", "10.00", ""), Came::Confirmed);
        assert_eq!(stated(&world, "QF12AB34", "10.00", ""), Came::Present);
        assert_eq!(stated(&world, "QF12AB34", "10.01", ""), Came::Conflict);
        assert_eq!(world.outcome(paid), "posted PROVIDER_CONFIRMED");
        assert_eq!(world.lines(paid), ["repayment: Dr momo 1000", "repayment: Cr plan_recv 1000"]);
        world.sync(on);
        assert_eq!(world.shown(on, paid), "posted PROVIDER_CONFIRMED");
        assert_eq!(world.stands(acc), "active, owes 1000, paid 1000, credit 0");
        world.check_all(&[on]);
    });
}

#[test]
fn s5_a_statement_that_comes_first_is_the_money_of_the_capture_that_follows() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (named, unnamed) = (world.account(amina, Terms::months(2)), world.account(amina, Terms::months(2)));
        world.sync(on);
        assert_eq!(stated(&world, "A1", "10.00", &number(named)), Came::Posted);
        assert_eq!(stated(&world, "A2", "5.00", "0722 my phone"), Came::Suspense);
        assert_eq!(world.stands(named), "active, owes 1000, paid 1000, credit 0");
        let first = world.mobile_money(on, named, 1000, "MPESA:A1");
        let second = world.mobile_money(on, unnamed, 500, "MPESA:A2");
        // Somebody records the same transfer for another customer too.
        let again = world.mobile_money(on, unnamed, 1000, "MPESA:A1");
        world.sync(on);
        assert_eq!((world.outcome(first), world.outcome(second)), (CONFIRMED.to_owned(), CONFIRMED.to_owned()));
        assert_eq!(world.outcome(again), "held(DUP_RECEIPT)");
        assert!(world.lines(first).is_empty() && world.lines(second).is_empty());
        assert_eq!(world.stands(named), "active, owes 1000, paid 1000, credit 0");
        assert_eq!(world.stands(unnamed), "active, owes 1500, paid 500, credit 0");
        assert_eq!(posted(&world), [("statement".to_owned(), 500), ("statement".to_owned(), 1000)]);
        world.check_all(&[on]);
    });
}

const CONFIRMED: &str = "posted PROVIDER_CONFIRMED";

#[test]
fn what_the_provider_has_otherwise_stays_held_until_a_person_puts_it_right() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let (acc, other) = (world.account(amina, Terms::months(3)), world.account(amina, Terms::months(3)));
        world.sync(on);
        let before = world.mobile_money(on, acc, 1000, "MPESA:B1");
        world.sync(on);
        assert_eq!(stated(&world, "B1", "9.00", ""), Came::Suspense);
        assert_eq!(stated(&world, "B2", "10.00", &number(other)), Came::Posted);
        let after = world.mobile_money(on, acc, 1000, "MPESA:B2");
        world.sync(on);
        for held in [before, after] {
            assert_eq!(world.outcome(held), "held(PROVIDER_DIFFERS)");
            assert_eq!(world.release(deka, held, json!({})).code(), "still-held");
        }
        assert_eq!(world.stands(acc), "active, owes 3000, paid 0, credit 0");
        // What the provider has is what counts.
        let amount = json!({ "minor": 900, "currency": "KES" });
        assert_eq!(world.release(deka, before, json!({ "amount": amount })).status, 204);
        let account = world.accounts[other.0].uid;
        assert_eq!(world.release(deka, after, json!({ "account": account })).status, 204);
        world.sync(on);
        assert_eq!(world.stands(acc), "active, owes 2100, paid 900, credit 0");
        assert_eq!(world.stands(other), "active, owes 2000, paid 1000, credit 0");
        assert_eq!(posted(&world), [("statement".to_owned(), 900), ("statement".to_owned(), 1000)]);
        world.check_all(&[on]);
    });
}

#[test]
fn a_capture_that_a_person_released_is_the_money_of_the_statement_that_follows() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        let same = world.mobile_money(on, acc, 500, "MPESA:C1");
        let less = world.mobile_money(on, acc, 600, "MPESA:C2");
        world.sync(on);
        assert_eq!(world.release(deka, same, json!({})).status, 204);
        assert_eq!(world.release(deka, less, json!({})).status, 204);
        assert_eq!(stated(&world, "C1", "5.00", &number(acc)), Came::Confirmed);
        assert_eq!(stated(&world, "C2", "5.99", &number(acc)), Came::Differs);
        assert_eq!(world.stands(acc), "active, owes 900, paid 1100, credit 0");
        world.sync(on);
        world.check_all(&[on]);
    });
}

#[test]
fn a_confirmed_payment_is_taken_back_by_its_capture_from_where_the_provider_has_it() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        assert_eq!(stated(&world, "D1", "10.00", ""), Came::Suspense);
        let paid = world.mobile_money(on, acc, 1000, "MPESA:D1");
        world.sync(on);
        assert_eq!(world.reverse(deka, paid).status, 204);
        world.sync(on);
        assert_eq!(world.outcome(paid), "posted PROVIDER_CONFIRMED REVERSED");
        assert_eq!(world.stands(acc), "active, owes 2000, paid 0, credit 0");
        let momo: Vec<(i64,)> = world.server.rows("select cast(sum(minor) as bigint) from line where gl = 'momo'");
        assert_eq!((momo[0].0, world.cash_in_hand(amina)), (0, 0));
        world.check_all(&[on]);
    });
}

const LINES: &str = "imports: lines of money have their payment";

/// What is damaged after a confirmed capture, a posted line and one in suspense; each is noticed.
const DAMAGES: &[&str] = &[
    "update statement_line set amount_minor = amount_minor + 1 where external_ref = 'MPESA:F1'",
    "update statement_line set entry_uid = null where external_ref = 'MPESA:F2'",
    "update statement_line set payment_uid = null where external_ref = 'MPESA:F1'",
    "update statement_line set reason = null where external_ref = 'MPESA:F3'",
    "update statement_line set reason = 'UNKNOWN_ACCOUNT' where external_ref = 'MPESA:F4'",
    "delete from statement_line where external_ref = 'MPESA:F4'",
    "update payment set value_date = '2020-01-01' where external_ref = 'MPESA:F3'",
    "update payment set state = 'posted' where state = 'matched'",
];

#[test]
fn verify_finds_what_is_damaged_of_what_was_imported() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        world.mobile_money(on, acc, 100, "MPESA:F1");
        world.sync(on);
        for (reference, account) in
            [("F1", String::new()), ("F2", number(acc)), ("F3", String::new()), ("F4", number(acc))]
        {
            stated(&world, reference, "1.00", &account);
        }
        world.mobile_money(on, acc, 100, "MPESA:F2");
        world.sync(on);
        world.check_all(&[on]);
        for damage in DAMAGES {
            let found = world.server.undone(async |app, tx| {
                let done = on_db!(&mut *tx, conn => {
                    sqlx::query(sqlx::AssertSqlSafe(*damage)).execute(conn).await.map(|done| done.rows_affected())
                });
                assert_ne!(done.unwrap(), 0, "{damage}");
                verify(tx, &app.settings.zone, 5, &ProgressBar::hidden()).await.unwrap()
            });
            assert!(found.checks[LINES].differing > 0, "{damage} should be noticed\n{found}");
        }
    });
}

/// Every order of two captures under two references, of their lines and of a cash payment comes to the
/// same accounts, outcomes and books.
#[test]
fn captures_and_statements_come_to_the_same_in_every_order() {
    on_every_engine_in_orders(5, |world, on, [acc, other], step| match step {
        0 => Some(world.mobile_money(on, acc, 700, "MPESA:E1")),
        1 => Some(world.mobile_money(on, other, 400, "MPESA:E2")),
        2 => {
            stated(world, "E1", "7.00", &number(acc));
            None
        }
        3 => {
            stated(world, "E2", "2.00", &number(acc));
            None
        }
        _ => Some(world.cash(on, acc, 300)),
    });
}

/// Runs steps in every order whose first step rotates, and compares what they come to.
fn on_every_engine_in_orders(
    steps: usize,
    step: impl Fn(&mut World, daybook_tests::sim::On, [Acc; 2], usize) -> Option<EntryId>,
) {
    let mut told: Option<(Vec<String>, Vec<String>)> = None;
    for order in orders(steps) {
        let mut world = World::new(daybook_tests::sim::Engine::all()[0], 1);
        let (amina, on) = world.officer("Amina");
        let accs = [world.account(amina, Terms::months(2)), world.account(amina, Terms::months(2))];
        world.sync(on);
        let mut entries = vec![None; steps];
        for at in &order {
            entries[*at] = step(&mut world, on, accs, *at);
            world.sync(on);
        }
        world.sync(on);
        world.check_all(&[on]);
        let outcomes = entries.into_iter().flatten().map(|entry| world.outcome(entry)).collect();
        let came = (accs.map(|acc| world.stands(acc)).to_vec(), outcomes);
        let first = told.get_or_insert_with(|| came.clone());
        assert_eq!(*first, came, "in the order {order:?}");
    }
}

/// Some orders of so many steps, among them each step before and after every other.
fn orders(steps: usize) -> Vec<Vec<usize>> {
    let mut orders = Vec::new();
    for first in 0..steps {
        let order: Vec<usize> = (0..steps).map(|at| (at + first) % steps).collect();
        orders.push(order.iter().rev().copied().collect());
        orders.push(order);
    }
    orders
}

#[test]
fn s11_payments_recorded_elsewhere_are_posted_once_and_wait_in_suspense_without_an_account() {
    use Came::{Posted, Present, Refused, Suspense};
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let grace = world.person("grace", Role::Cashier);
        let acc = world.account(amina, Terms::months(2));
        world.sync(on);
        let (today, login) = (world.today(), world.user_row(grace).login);
        let rows = |acc: &str| {
            format!(
                "T-1,{acc},3.00,KES,{today},CASH,{login}\nB-1,{acc},4.00,KES,{today},BANK_TRANSFER,\nB-1,{acc},4.00,KES,{today},CHEQUE,\nX-1,A-0002,1.00,KES,{today},BANK_TRANSFER,\nT-2,{acc},1.00,KES,{today},CASH,nobody"
            )
        };
        let came = |world: &World| {
            let came = import(world, Kind::Repayments, &rows(&number(acc)));
            came.into_iter().map(|result| result.came).collect::<Vec<_>>()
        };
        assert_eq!(came(&world), [Posted, Posted, Posted, Suspense, Refused]);
        assert_eq!(came(&world), [Present, Present, Present, Present, Refused]);
        assert_eq!(world.stands(acc), "active, owes 900, paid 1100, credit 0");
        // The account comes; the same file takes its money out of suspense, and again does nothing.
        let late = world.account(amina, Terms::months(2));
        assert_eq!(came(&world), [Present, Present, Present, Posted, Refused]);
        assert_eq!(came(&world), [Present, Present, Present, Present, Refused]);
        assert_eq!(world.stands(late), "active, owes 1900, paid 100, credit 0");
        let gl: Vec<(String, i64)> = world.server.rows(
            "select gl, cast(sum(minor) as bigint) from line where gl in ('till', 'bank', 'suspense') group by gl order by gl",
        );
        assert_eq!(gl, [("bank".to_owned(), 900), ("suspense".to_owned(), 0), ("till".to_owned(), 300)]);
        world.sync(on);
        world.check_all(&[on]);
    });
}
