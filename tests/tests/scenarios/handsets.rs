//! Several officers on one handset: one install is one user.

use daybook_mobile_sync::capture::{NewFile, Override, What};
use daybook_mobile_sync::enrol::{self, EnrolError};
use daybook_mobile_sync::session::SyncEnd;
use daybook_mobile_sync::store::ChangeHandsError;
use daybook_server::auth::Role;
use daybook_server::auth::caseloads::CaseloadAudience;
use daybook_shared::entry::AttachmentKind;
use daybook_tests::sim::{Acc, On, Terms, Who, World};

use crate::on_every_engine;

/// Sends the enrolment with a code, as the client does first.
fn enrol(world: &mut World, on: On, code: &str) -> Result<(), EnrolError> {
    let request = enrol::enrolment_request(world.phone(on).store(), code, "handset").unwrap();
    let answer = world.server.answer(&request);
    let moment = world.phone(on).moment(world.now());
    let (phones, rng) = (&mut world.phones, &mut world.rng);
    enrol::accept_enrolment(phones[on.0].store_mut(), (answer.status, &answer.body), moment, rng)
}

fn change_hands(world: &mut World, on: On) -> Result<(), ChangeHandsError> {
    let now = world.now();
    world.phones[on.0].change_hands(now, &mut world.rng)
}

/// Two officers, each with a case; the handset is the first one's, and there is no other.
fn two(world: &mut World) -> (Who, On, Acc, Who, Acc) {
    let (amina, on) = world.officer("Amina");
    let baraka = world.person("Baraka", Role::Officer);
    world.caseload(baraka, CaseloadAudience::Officer);
    let hers = world.account(amina, Terms::months(3));
    let his = world.account(baraka, Terms::months(3));
    world.sync(on);
    (amina, on, hers, baraka, his)
}

#[test]
fn a_handset_changes_hands_once_what_was_captured_is_handed_in() {
    on_every_engine(|mut world| {
        let (amina, on, hers, baraka, his) = two(&mut world);
        let paid = world.cash(on, hers, 300);
        // Given a good code of Baraka's, the server knows the device as Amina's, and nothing is changed.
        let code = world.enrolment_code(baraka);
        let refused = enrol(&mut world, on, &code).unwrap_err();
        assert!(refused.needs_change_of_hands(), "{refused}");
        let kept = change_hands(&mut world, on).unwrap_err();
        assert!(matches!(kept, ChangeHandsError::NotHandedIn { captures: 1, board_changes: 0, .. }), "{kept}");
        assert!(kept.to_string().contains("sync this phone"), "{kept}");
        assert_eq!(world.shown(on, paid), "pending");
        // When it is handed in, the store is new, and the same code enrols it.
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        change_hands(&mut world, on).unwrap();
        assert!(world.phone(on).store().own_entries().unwrap().is_empty());
        enrol(&mut world, on, &code).unwrap();
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        // Then Baraka has his cases, none of Amina's, and his own cash; the money of each is there once.
        let (hers_dossier, his_dossier) = (world.accounts[hers.0].dossier, world.accounts[his.0].dossier);
        let moment = world.phone(on).moment(world.now());
        let view = world.phone(on).store().view(moment).unwrap();
        assert_eq!(view.caseload().unwrap().iter().map(|line| line.dossier).collect::<Vec<_>>(), [his_dossier]);
        assert!(view.case(hers_dossier).unwrap().is_none());
        assert!(view.cash().unwrap().to_hand_over.is_empty());
        let next = world.cash(on, his, 200);
        world.sync(on);
        assert_eq!((world.outcome(paid), world.outcome(next)), ("posted".to_owned(), "posted".to_owned()));
        assert_eq!((world.cash_in_hand(amina), world.cash_in_hand(baraka)), (300, 200));
        daybook_tests::sim::check::ledger::check(&world);
    });
}

#[test]
fn a_handset_of_somebody_who_left_changes_hands_after_the_deposit() {
    on_every_engine(|mut world| {
        let (amina, on, hers, baraka, _) = two(&mut world);
        world.deactivate(amina);
        world.pass_ms(3_600_000);
        assert!(matches!(world.sync(on).end, SyncEnd::Locked(_)));
        // Captured while locked: it gets no verdict, only the server's word that it is held, and so its photo goes.
        let mut draft = world.cash_draft(hers, 50);
        draft.over_limit = Some(Override::CashInHand);
        let photo = NewFile { bytes: vec![7; 300_000], mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo };
        let late = world.record_with(on, What::Repayment(draft).into(), &[photo]);
        let kept = change_hands(&mut world, on).unwrap_err();
        assert!(matches!(kept, ChangeHandsError::NotHandedIn { captures: 1, files: 1, .. }), "{kept}");
        let report = world.sync(on);
        assert!(matches!(report.end, SyncEnd::Locked(_)));
        assert_eq!((report.files_sent, report.files_left), (1, 0));
        change_hands(&mut world, on).unwrap();
        let code = world.enrolment_code(baraka);
        enrol(&mut world, on, &code).unwrap();
        assert_eq!(world.sync(on).end, SyncEnd::UpToDate);
        assert_eq!(world.outcome(late), "held(AFTER_DEACTIVATION)");
        daybook_tests::sim::check::ledger::check(&world);
    });
}
