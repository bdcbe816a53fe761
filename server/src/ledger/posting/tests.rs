//! The examples of journey.md 5, and what holds for every journal.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const OFFICER: i64 = 12;
const CASHIER: i64 = 7;
const ACCOUNT: i64 = 100;
const CUSTOMER: i64 = 55;

fn event() -> Event {
    let booked_on = "2026-03-05".parse().unwrap();
    let currency = "SAR".parse().unwrap();
    Event { id: Uuid::from_bytes([1; 16]), correlation: Uuid::from_bytes([2; 16]), booked_on, currency }
}

fn applied(to_plan_minor: i64, to_credit_minor: i64) -> Applied {
    Applied { account: ACCOUNT, customer: CUSTOMER, to_plan_minor, to_credit_minor }
}

fn handed_over(declared_minor: i64, counted_minor: i64) -> HandedOver {
    HandedOver { officer: OFFICER, cashier: CASHIER, declared_minor, counted_minor }
}

fn check(journal: Result<Journal, PostingError>, kind: &str, expected: &[(&str, i64)]) {
    let journal = journal.unwrap();
    let lines: Vec<_> = journal.lines().iter().map(|line| (line.account.to_string(), line.minor)).collect();
    let expected: Vec<_> = expected.iter().map(|(account, minor)| ((*account).to_owned(), *minor)).collect();
    assert_eq!((journal.kind().code(), lines), (kind, expected));
    assert_eq!(journal.event(), event());
}

/// The examples of journey.md 5, in halalas, and the lines that model.md adds.
#[test]
fn every_event_makes_its_lines() {
    let (cash, momo) = (GlAccount::officer_cash(OFFICER), GlAccount::MOMO);
    check(
        import(event(), ACCOUNT, 660_000, 33_259),
        "import",
        &[("plan_recv:100", 660_000), ("opening", -626_741), ("unearned:100", -33_259)],
    );
    check(
        activation(event(), ACCOUNT, 1_320_000, 120_000),
        "activation",
        &[("plan_recv:100", 1_320_000), ("orders", -1_200_000), ("unearned:100", -120_000)],
    );
    check(activation(event(), ACCOUNT, 40_000, 0), "activation", &[("plan_recv:100", 40_000), ("orders", -40_000)]);
    check(
        repayment(event(), cash, 110_000, applied(110_000, 0)),
        "repayment",
        &[("officer_cash:12", 110_000), ("plan_recv:100", -110_000)],
    );
    check(
        repayment(event(), GlAccount::CARD_CLEARING, 110_000, applied(110_000, 0)),
        "repayment",
        &[("card_clearing", 110_000), ("plan_recv:100", -110_000)],
    );
    check(
        repayment(event(), momo, 130_000, applied(110_000, 20_000)),
        "repayment",
        &[("momo", 130_000), ("plan_recv:100", -110_000), ("credit:55", -20_000)],
    );
    check(
        repayment(event(), cash, 500, applied(0, 500)),
        "repayment",
        &[("officer_cash:12", 500), ("credit:55", -500)],
    );
    check(
        credit_applied(event(), CUSTOMER, ACCOUNT, 20_000),
        "credit_applied",
        &[("credit:55", 20_000), ("plan_recv:100", -20_000)],
    );
    check(suspense(event(), momo, 900), "suspense", &[("momo", 900), ("suspense", -900)]);
    check(
        identified(event(), 900, applied(600, 300)),
        "identified",
        &[("suspense", 900), ("plan_recv:100", -600), ("credit:55", -300)],
    );
    check(sent_back(event(), momo, 900), "sent_back", &[("suspense", 900), ("momo", -900)]);
    check(recovery(event(), momo, 900), "recovery", &[("momo", 900), ("recovery", -900)]);
    check(down_payment(event(), momo, 30_000), "down_payment", &[("momo", 30_000), ("orders", -30_000)]);
    check(channel_cost(event(), momo, 1_100), "channel_cost", &[("channel_cost", 1_100), ("momo", -1_100)]);
    check(
        payout(event(), 110_000, 2_750),
        "payout",
        &[("bank", 107_250), ("channel_cost", 2_750), ("card_clearing", -110_000)],
    );
    check(payout(event(), 500, 0), "payout", &[("bank", 500), ("card_clearing", -500)]);
    check(
        count(event(), handed_over(110_000, 110_000)),
        "count",
        &[("till:7", 110_000), ("officer_cash:12", -110_000)],
    );
    check(
        count(event(), handed_over(110_000, 105_000)),
        "count",
        &[("till:7", 105_000), ("officer_recv:12", 5000), ("officer_cash:12", -110_000)],
    );
    check(
        count(event(), handed_over(110_000, 111_000)),
        "count",
        &[("till:7", 111_000), ("officer_cash:12", -110_000), ("suspense", -1000)],
    );
}

#[test]
fn what_does_not_balance_is_not_a_journal() {
    let bank = GlAccount::BANK;
    let amount = |minor| repayment(event(), bank, minor, applied(60, 30));
    assert_eq!(amount(100), Err(PostingError::Unbalanced(10)));
    assert_eq!(amount(-90), Err(PostingError::Negative(-90)));
    assert_eq!(suspense(event(), bank, 0), Err(PostingError::NothingToBook));
    assert_eq!(count(event(), handed_over(0, 0)), Err(PostingError::NothingToBook));
    assert_eq!(payout(event(), 500, 501), Err(PostingError::Negative(-1)));
    assert_eq!(channel_cost(event(), bank, 0), Err(PostingError::NothingToBook));
    let unearned = PostingError::Unearned { unearned_minor: 11, receivable_minor: 10 };
    assert_eq!(activation(event(), ACCOUNT, 10, 11), Err(unearned));
    let wrapping = vec![dr(bank, i64::MAX), dr(bank, i64::MAX), dr(bank, 2)];
    assert_eq!(Journal::new(JournalKind::Count, event(), wrapping), Err(MoneyError::Overflow.into()));
}

#[test]
fn a_reversal_keeps_the_correlation_and_names_its_own_event() {
    let journal = suspense(event(), GlAccount::MOMO, 900).unwrap();
    let (id, booked_on) = (Uuid::from_bytes([9; 16]), "2026-04-01".parse().unwrap());
    let reversed = reversal(&journal, id, booked_on).unwrap();
    assert_eq!(reversed.event(), Event { id, booked_on, ..event() });
    assert_eq!(reversed.kind(), JournalKind::Reversal);
}

#[test]
fn codes_are_read_as_they_are_spelled() {
    assert!(GlCode::ALL.iter().all(|code| code.code().parse() == Ok(*code)));
    assert!(JournalKind::ALL.iter().all(|kind| kind.code().parse() == Ok(*kind)));
    assert!("cash_short".parse::<GlCode>().is_err());
}

fn journals() -> impl Strategy<Value = Result<Journal, PostingError>> {
    (0..13_u8, 0..=i64::MAX / 2, 0..=i64::MAX / 2).prop_map(|(which, a, b)| {
        let (event, cash) = (event(), GlAccount::officer_cash(OFFICER));
        match which {
            0 => import(event, ACCOUNT, a.max(b), a.min(b)),
            1 => activation(event, ACCOUNT, a.max(b), a.min(b)),
            2 => repayment(event, cash, a + b, applied(a, b)),
            3 => identified(event, a + b, applied(a, b)),
            4 => suspense(event, cash, a),
            5 => sent_back(event, cash, a),
            6 => recovery(event, cash, a),
            7 => credit_applied(event, CUSTOMER, ACCOUNT, a),
            8 => count(event, handed_over(a, b)),
            9 => down_payment(event, cash, a),
            10 => channel_cost(event, cash, a),
            11 => payout(event, a.max(b), a.min(b)),
            _ => count(event, handed_over(b, b)),
        }
    })
}

proptest! {
    #[test]
    fn every_journal_balances_and_its_reversal_undoes_it_on_every_account(journal in journals()) {
        prop_assume!(journal != Err(PostingError::NothingToBook));
        let journal = journal.unwrap();
        let reversed = reversal(&journal, Uuid::from_bytes([9; 16]), journal.event().booked_on).unwrap();
        let mut balances: BTreeMap<GlAccount, i128> = BTreeMap::new();
        for line in journal.lines() {
            prop_assert_ne!(line.minor, 0);
            *balances.entry(line.account).or_default() += i128::from(line.minor);
        }
        prop_assert_eq!(balances.values().sum::<i128>(), 0);
        for line in reversed.lines() {
            *balances.entry(line.account).or_default() += i128::from(line.minor);
        }
        prop_assert!(balances.values().all(|balance| *balance == 0));
    }
}
