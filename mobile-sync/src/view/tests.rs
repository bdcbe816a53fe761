//! What an officer sees.

use daybook_shared::entry::HANDOVER_REPAYMENTS_MAX;
use daybook_shared::facts::SectionKind;
use daybook_shared::ids::CustomerId;
use daybook_shared::messages::Language;
use daybook_shared::wire::exchange::{OfficerBlock, Section};
use daybook_shared::wire::outcome::{Flag, Outcome, OutcomeState, Reason};

use super::{Due, Position, ViewError, words};
use crate::capture::What;
use crate::testing::{Phone, Server, case, delta, fed, gone, kes, listed, present, state};

fn holding() -> (Server, Phone) {
    let mut server = Server::new();
    let mut phone = Phone::enrolled(&mut server);
    let paid = Section { kind: SectionKind::State.number(), bytes: daybook_shared::cbor::to_vec(&state(1500)).into() };
    let frames = vec![
        listed(&[1]),
        present(1, 1, 1, 3),
        present(2, 1, 1, 4),
        present(3, 1, 1, 5),
        delta(2, 1, 1, 6, vec![paid], None),
    ];
    server.hand_out(frames);
    phone.sync(&mut server);
    (server, phone)
}

#[test]
fn a_caseload_begins_with_the_most_overdue() {
    let (_, phone) = holding();
    let cases = phone.store.view(phone.now).unwrap().caseload().unwrap();
    assert_eq!(cases.iter().map(|line| line.dossier).collect::<Vec<_>>(), [case(1), case(3), case(2)]);
    assert_eq!((cases[0].dpd, cases[0].arrears, cases[0].outstanding), (31, kes(1000), kes(3000)));
    assert_eq!(cases[0].next_due, Some(Due { on: "2026-11-22".parse().unwrap(), amount: kes(1000) }));
    let partly = &cases[2];
    assert_eq!((partly.dpd, partly.arrears, partly.overdue_since), (0, kes(0), None));
    assert_eq!(partly.next_due, Some(Due { on: "2026-11-22".parse().unwrap(), amount: kes(500) }));
    // The next day, without any news: what was due today is overdue.
    let mut tomorrow = phone.now;
    tomorrow.boot_ms += 86_400_000;
    let cases = phone.store.view(tomorrow).unwrap().caseload().unwrap();
    assert_eq!((cases[2].dossier, cases[2].dpd, cases[2].arrears), (case(2), 1, kes(500)));
    assert_eq!((cases[0].dpd, cases[0].arrears), (32, kes(2000)));
}

#[test]
fn cases_are_found_by_name_phone_number_and_place() {
    let (_, phone) = holding();
    let view = phone.store.view(phone.now).unwrap();
    let found =
        |text: &str| view.find(text).unwrap().iter().map(|line| line.account_number.clone()).collect::<Vec<_>>();
    assert_eq!(found("amina 2"), ["KE-1002"]);
    assert_eq!(found("NJERI").len(), 3);
    assert_eq!(found("0700000003").len(), 0, "a national number is another spelling");
    assert_eq!(found("700 000 003"), ["KE-1003"]);
    assert_eq!(found("ke-1001"), ["KE-1001"]);
    assert!(found("otieno").is_empty() && found("").is_empty());
    let near = view.near(Position { lat_e6: -1_283_389, lon_e6: 36_817_223 }).unwrap();
    assert_eq!(near.iter().map(|line| line.distance_m.unwrap()).collect::<Vec<_>>(), [0, 111, 222]);
    assert_eq!(near[0].dossier, case(3));
}

#[test]
fn a_customer_has_all_accounts() {
    let (_, phone) = holding();
    let view = phone.store.view(phone.now).unwrap();
    let customer = view.customer(CustomerId::from([1; 16])).unwrap().unwrap();
    assert_eq!(customer.accounts.iter().map(|line| line.dossier).collect::<Vec<_>>(), [case(3), case(2)]);
    assert_eq!(customer.phones.len(), 2);
    assert_eq!(view.customer(CustomerId::from([9; 16])).unwrap(), None);
}

#[test]
fn a_case_marks_what_is_pending_sent_and_held() {
    let (mut server, mut phone) = holding();
    let held = phone.cash(1, 100);
    server.outcomes.insert(held.id, Outcome::held(Reason::DupReceipt));
    phone.sync(&mut server);
    phone.cash(1, 200);
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    phone.cash(1, 300);
    let view = phone.store.view(phone.now).unwrap();
    let shown = view.case(case(1)).unwrap().unwrap();
    let states: Vec<_> = shown.entries.iter().map(|entry| (entry.state, entry.amount)).collect();
    assert_eq!(states, [("held", Some(kes(100))), ("sent", Some(kes(200))), ("pending", Some(kes(300)))]);
    assert_eq!(shown.summary.unsent, 2);
    assert_eq!(shown.schedule.len(), 3);
    let attention = view.attention().unwrap();
    assert_eq!(attention.entries[0].reason_words, Some(words::of_reason(Language::English, &Reason::DupReceipt)));
    assert_eq!(view.unsent().unwrap().len(), 2);
    assert_eq!(view.case(case(9)).unwrap(), None);
}

#[test]
fn cash_in_hand_is_the_servers_figure_and_what_it_does_not_hold() {
    let (mut server, mut phone) = holding();
    let cash = |phone: &Phone| phone.store.view(phone.now).unwrap().cash().unwrap();
    let a = phone.cash(1, 100);
    let b = phone.cash(1, 200);
    assert_eq!((cash(&phone).in_hand, cash(&phone).uncounted), (vec![kes(300)], vec![kes(300)]));
    // Verdicts without a figure: what was refused is no cash, the rest still is.
    server.outcomes.insert(b.id, Outcome::refused(Reason::Amount));
    phone.sync(&mut server);
    assert_eq!(cash(&phone).in_hand, [kes(100)]);
    server.head.officer = Some(OfficerBlock { cash_in_hand: vec![kes(100)], allowance: vec![kes(900)] });
    phone.sync(&mut server);
    assert_eq!((cash(&phone).in_hand, cash(&phone).uncounted), (vec![kes(100)], vec![]));
    let c = phone.cash(1, 50);
    assert_eq!((cash(&phone).in_hand, cash(&phone).allowance_left), (vec![kes(150)], vec![kes(850)]));
    assert_eq!(cash(&phone).to_hand_over, [a.id, c.id]);
    let d = phone.cash(1, 70);
    server.outcomes.insert(d.id, Outcome::held(Reason::DupReceipt));
    server.head.officer = Some(OfficerBlock { cash_in_hand: vec![kes(150)], allowance: vec![kes(850)] });
    phone.sync(&mut server);
    assert_eq!(cash(&phone).to_hand_over, [a.id, c.id], "a second use of a receipt is not debited");
    let handover = daybook_shared::entry::CashHandover {
        to: daybook_shared::entry::HandoverTo::Cashier,
        declared: kes(150),
        repayments: vec![a.id, c.id],
        slip: None,
    };
    phone.store.capture(What::CashHandover(handover).into(), phone.now, &mut phone.rng).unwrap();
    assert_eq!(cash(&phone).in_hand, [kes(150)], "only a count relieves the officer");
    assert!(cash(&phone).to_hand_over.is_empty());
}

#[test]
fn what_is_offered_for_a_hand_over_follows_the_verdicts() {
    let (mut server, mut phone) = holding();
    let (a, b) = (phone.cash(1, 100), phone.cash(1, 200));
    let named = daybook_shared::entry::CashHandover {
        to: daybook_shared::entry::HandoverTo::Cashier,
        declared: kes(300),
        repayments: vec![a.id, b.id],
        slip: None,
    };
    let handover = phone.store.capture(What::CashHandover(named).into(), phone.now, &mut phone.rng).unwrap();
    let offered = |phone: &Phone| phone.store.view(phone.now).unwrap().cash().unwrap().to_hand_over;
    assert!(offered(&phone).is_empty(), "pending");
    phone.store.seal_pending(phone.now, &mut phone.rng).unwrap();
    assert!(offered(&phone).is_empty(), "sealed");
    server.outcomes.insert(handover.id, Outcome::held(Reason::NotInHand));
    let failed = phone.cash(1, 666);
    server.outcomes.insert(failed.id, Outcome::held(Reason::Failed));
    server.outcomes.insert(b.id, Outcome::accepted(OutcomeState::Posted, vec![Flag::Reversed]));
    phone.sync(&mut server);
    assert_eq!(offered(&phone), [a.id], "a held hand-over hands nothing over; b was taken back");
    assert_eq!(phone.store.cash_in_hand().unwrap(), [kes(100)]);
    let noted = daybook_shared::wire::exchange::NewOutcome {
        entry: handover.id,
        outcome: Outcome::accepted(OutcomeState::Noted, vec![]),
    };
    server.head.news = Some(daybook_shared::wire::exchange::News { number: 3, outcomes: vec![noted] });
    phone.sync(&mut server);
    assert!(offered(&phone).is_empty(), "noted");
}

/// Goal: the officer's cash is offered for a hand-over as long as he holds it, wherever its case is, and
/// nothing is kept of it for ever.
#[test]
fn cash_outlives_its_case_until_a_hand_over_names_it() {
    let (mut server, mut phone) = holding();
    let (a, b, c) = (phone.cash(1, 100), phone.cash(2, 200), phone.cash(3, 300));
    let refused = phone.cash(3, 50);
    server.outcomes.insert(refused.id, Outcome::refused(Reason::Amount));
    phone.sync(&mut server);
    let entry_of = |phone: &Phone, id| phone.store.read().entry(id).unwrap().unwrap();
    let (entry, handed_over) = (entry_of(&phone, b.id), entry_of(&phone, a.id));
    server.hand_out(vec![gone(1, 1, 1), gone(2, 1, 1), gone(3, 1, 1)]);
    assert_eq!(phone.sync(&mut server).purged.len(), 3);
    assert!(phone.store.own_entries().unwrap().is_empty());
    let offered = |phone: &Phone| super::to_hand_over(phone.store.read()).unwrap();
    assert_eq!(offered(&phone), [(a.id, kes(100)), (b.id, kes(200)), (c.id, kes(300))]);
    // A case that comes back brings its entry, and the cash is still there once.
    let posted = Outcome::accepted(OutcomeState::Posted, vec![]);
    server.hand_out(vec![present(2, 1, 2, 9), fed(2, 10, &entry.bytes, posted.clone())]);
    phone.sync(&mut server);
    assert_eq!(offered(&phone), [(a.id, kes(100)), (b.id, kes(200)), (c.id, kes(300))]);
    let named = daybook_shared::entry::CashHandover {
        to: daybook_shared::entry::HandoverTo::Cashier,
        declared: kes(300),
        repayments: vec![a.id, b.id],
        slip: None,
    };
    let handover = phone.store.capture(What::CashHandover(named).into(), phone.now, &mut phone.rng).unwrap();
    phone.sync(&mut server);
    assert_eq!(offered(&phone), [(c.id, kes(300))]);
    phone.store.write(|db| db.purge(handover.dossier)).unwrap();
    assert_eq!(offered(&phone), [(c.id, kes(300))], "the hand-over has left too");
    assert!(phone.store.read().kept_cash().unwrap().iter().any(|(id, ..)| *id == a.id));
    let ms = 31 * daybook_shared::time::DAY_MS;
    server.now = server.now.plus_ms(ms);
    phone.pass_ms(ms.unsigned_abs());
    phone.sync(&mut server);
    phone.sync(&mut server);
    assert_eq!(offered(&phone), [(c.id, kes(300))], "nobody else's cash, however old");
    let kept: Vec<_> = phone.store.read().kept_cash().unwrap().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(kept, [c.id]);
    // The case of cash that was handed over comes back, and the hand-over does not.
    server.hand_out(vec![present(1, 1, 2, 9), fed(1, 10, &handed_over.bytes, posted)]);
    phone.sync(&mut server);
    assert_eq!(phone.store.own_entries().unwrap().iter().filter(|(id, ..)| *id == a.id).count(), 1);
    assert_eq!(offered(&phone), [(c.id, kes(300))], "it is not handed over twice");
}

#[test]
fn one_hand_over_is_offered_what_it_can_name() {
    let (_, mut phone) = holding();
    let first = phone.cash(1, 1);
    for _ in 0..HANDOVER_REPAYMENTS_MAX + 2 {
        phone.cash(1, 1);
    }
    let view = phone.store.view(phone.now).unwrap();
    let cash = view.cash().unwrap();
    assert_eq!((cash.to_hand_over.len(), cash.left_to_hand_over), (HANDOVER_REPAYMENTS_MAX, 3));
    assert_eq!((cash.to_hand_over[0], view.to_hand_over().unwrap().len()), (first.id, HANDOVER_REPAYMENTS_MAX));
}

#[test]
fn the_status_is_always_shown_and_names_no_customer() {
    let mut phone = Phone::new();
    assert!(matches!(phone.store.view(phone.now), Err(ViewError::NotEnrolled)));
    assert_eq!(phone.store.status(phone.now).unwrap().user, None);
    let (mut server, enrolled) = holding();
    phone = enrolled;
    phone.cash(1, 100);
    let status = phone.store.status(phone.now).unwrap();
    assert_eq!((status.unsent, status.lease_lapsed, status.state), (1, false, "ok"));
    assert!(status.last_sync.is_some());
    phone.sync(&mut server);
    phone.pass_ms(20 * 86_400_000);
    assert!(matches!(phone.store.view(phone.now), Err(ViewError::LeaseLapsed)));
    let status = phone.store.status(phone.now).unwrap();
    assert!(status.lease_lapsed);
    assert!(!serde_json::to_string(&status).unwrap().contains("Amina"));
}

#[test]
fn every_code_has_its_words() {
    for language in [Language::English, Language::Swahili] {
        let reasons = Reason::ALL.iter().map(|reason| words::of_reason(language, reason));
        let all: Vec<_> = reasons.chain(Flag::ALL.iter().map(|flag| words::of_flag(language, flag))).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
    let other = words::of_board_code(Language::English, "A_CODE_OF_TOMORROW");
    for reject in daybook_shared::board::Reject::ALL {
        assert!(!words::of_board_code(Language::English, reject.code()).is_empty());
    }
    for code in ["BOARD_SET_BACK", "BOARD_UNKNOWN", "TEXT", "NO_SUCH_TASK", "MAY_HAVE_ARRIVED", "BOARD_FULL"] {
        assert_ne!(words::of_board_code(Language::English, code), other, "{code}");
    }
    assert_eq!(words::of_flag(Language::English, &Flag::Other("NEW".into())), "flagged by the office");
}

#[test]
fn words_are_in_the_language_that_the_host_chose_and_codes_are_not() {
    let (mut server, mut phone) = holding();
    let held = phone.cash(1, 100);
    server.outcomes.insert(held.id, Outcome::held(Reason::DupReceipt));
    phone.sync(&mut server);
    let shown = |phone: &Phone| phone.store.view(phone.now).unwrap().attention().unwrap().entries.remove(0);
    let english = shown(&phone);
    phone.store.speak(Language::Swahili);
    let swahili = shown(&phone);
    assert_eq!(swahili.reason_words, Some(words::of_reason(Language::Swahili, &Reason::DupReceipt)));
    assert_ne!(swahili.reason_words, english.reason_words);
    assert_eq!((swahili.reason, swahili.flag_codes), (english.reason, english.flag_codes));
}
