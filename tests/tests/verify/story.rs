//! A lender's day: every type of entry and every kind of decision, through real phones and the real
//! server.

use daybook_mobile_sync::capture::{NewFile, What};
use daybook_server::audit::seal::seal_all;
use daybook_server::auth::Role;
use daybook_shared::board::Edit;
use daybook_shared::entry::{AttachmentKind, Body, ComplaintKind, Correction, CorrectionKind, IssueCategory, Proposed};
use daybook_shared::ids::EntryId;
use daybook_tests::records::{self, About};
use daybook_tests::sim::{Acc, Engine, On, Terms, World};
use serde_json::json;

/// The world when everything has come to rest.
pub fn told(engine: Engine) -> World {
    let mut world = World::new(engine, 1);
    let (amina, on) = world.officer("Amina");
    let (barasa, other) = world.officer("Barasa");
    let (deka, esther) = (world.supervisor("Deka"), world.person("Esther", Role::Cashier));
    let (acc, left) = (world.account(amina, Terms::months(3)), world.account(amina, Terms::months(3)));
    let paid_off = world.account(amina, Terms::months(1));
    world.agent(amina);
    world.settle(&[on, other]);

    let paid = captures(&mut world, on, acc);
    let much = world.cash(on, paid_off, 1_200);
    let handed = world.handover(on, &[paid, much], 2_700);
    board(&mut world, on, acc);
    world.sync(on);
    assert_eq!(world.outcome(handed), "noted");
    assert_eq!(world.count(esther, amina, 2_600, Some(handed)).status, 204);
    assert_eq!(world.stands(paid_off), "closed(paid), owes 0, paid 1000, credit 200");

    // What waits, what was released and what was rejected.
    let waits = world.cash(on, acc, 30_001);
    let released = world.mobile_money(on, acc, 300, "MPESA-1");
    let rejected = world.mobile_money(on, acc, 400, "MPESA-2");
    world.sync(on);
    assert_eq!(world.outcome(waits), "held(AMOUNT)");
    assert_eq!(world.release(deka, released, json!({})).status, 204);
    assert_eq!(world.reject(deka, rejected, "REJECTED").status, 204);

    // What was put right, what is asked for, and what acts on an entry that has not come.
    let wrong = world.cash(on, acc, 700);
    world.sync(on);
    let asked = correct(&mut world, on, acc, wrong, Some(70));
    world.sync(on);
    assert_eq!(world.rule_on(deka, asked, true).status, 204);
    correct(&mut world, on, acc, paid, Some(15));
    let unknown = EntryId::new(world.now(), &mut world.rng);
    let waiting = correct(&mut world, on, acc, unknown, None);
    let later = world.cash(on, acc, 250);
    world.handover(on, &[later], 250);
    world.sync(on);
    assert_eq!(world.outcome(waiting), "held(MISSING_REF)");

    every_record(&mut world, on, acc);
    world.sync(on);

    world.pass_ms(60_000);
    assert_eq!(world.reassign(deka, left, Some(barasa)).status, 204);
    world.settle(&[on, other]);
    world.check_all(&[on, other]);
    // What a running server does meanwhile; a day later, so that the rows' own time is another.
    world.pass_ms(86_400_000 / 2);
    world.server.read(async |app, _| seal_all(app).await.unwrap());
    world
}

/// A visit, two promises, a check and cash.
fn captures(world: &mut World, on: On, acc: Acc) -> EntryId {
    world.visit(on, acc);
    world.promise(on, acc, 500, 3);
    world.pass_ms(60_000);
    world.promise(on, acc, 600, 5);
    let (agent, _) = world.agents[0];
    world.transaction_check(on, agent);
    world.cash(on, acc, 1_500)
}

/// One of each record without money, and the event of a report that has not come.
fn every_record(world: &mut World, on: On, acc: Acc) {
    let (at, today, account) = (world.now(), world.today(), world.accounts[acc.0].uid);
    let unknown = EntryId::new(at, &mut world.rng);
    let mut about = About { account, agent: world.agents[0].0, issue: unknown, link: unknown, at, today };
    world.record(on, records::draft(Body::IssueEvent(records::issue_event(about)), account));
    about.issue =
        world.record(on, records::draft(Body::IssueReport(records::issue_report(about, IssueCategory::App)), account));
    let others = records::each(about).into_iter().filter(|(name, _)| *name != "issue_report");
    for (name, body) in others {
        let files = if name == "call_attempt" { photos() } else { Vec::new() };
        world.record_with(on, records::draft(body, account), &files);
    }
    let conduct = records::complaint(about, ComplaintKind::Conduct);
    world.record(on, records::draft(Body::Complaint(conduct), account));
}

/// Two files; the first goes in two pieces.
fn photos() -> Vec<NewFile> {
    let photo = |bytes| NewFile { bytes, mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo };
    vec![photo(vec![7; 300_000]), photo(vec![8])]
}

fn correct(world: &mut World, on: On, acc: Acc, target: EntryId, amount_minor: Option<i64>) -> EntryId {
    let proposed = Some(Proposed { amount_minor, ..Proposed::default() });
    let reason = "Counted again.".to_owned();
    let correction = Correction { target, kind: CorrectionKind::WrongAmount, proposed, reason };
    let dossier = Some(world.accounts[acc.0].dossier);
    world.record(on, What::Correction { dossier, correction })
}

fn board(world: &mut World, on: On, acc: Acc) {
    let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
    for edit in [Edit::NoteReplace("Gate is at the back.".to_owned()), Edit::AddTag("market day".to_owned())] {
        world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng).unwrap();
    }
}
