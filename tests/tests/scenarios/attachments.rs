//! Files that entries name: a photo comes after its visit, and what it is evidence of says so until then.

use axum::body::Body;
use axum::http::{Method, Request, header};
use daybook_mobile_sync::Event;
use daybook_mobile_sync::capture::{Draft, NewFile, What};
use daybook_mobile_sync::session::SyncEnd;
use daybook_server::auth::Role;
use daybook_server::auth::caseloads::Membership;
use daybook_shared::entry::{self, AttachmentKind, ComplaintKind};
use daybook_shared::ids::{AgentId, EntryId, Hash, sha256};
use daybook_tests::records;
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Acc, On, Terms, Who, World};
use rand::Rng as _;
use serde_json::Value;

use crate::on_every_engine;
use crate::records::about;

/// A file of so many random bytes.
fn photo(world: &mut World, length: usize) -> NewFile {
    let mut bytes = vec![0; length];
    world.rng.fill_bytes(&mut bytes);
    NewFile { bytes, mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo }
}

fn name_of(file: &NewFile) -> String {
    Hash(sha256(&[&file.bytes])).to_string()
}

/// Cash with files.
fn cash_with(world: &mut World, on: On, acc: Acc, files: &[NewFile]) -> EntryId {
    let draft = world.cash_draft(acc, 1_000);
    world.record_with(on, Draft::from(What::Repayment(draft)), files)
}

fn get(world: &World, who: Who, file: &NewFile) -> Answer {
    world.rest(who, Method::GET, &format!("/v1/attachments/{}", name_of(file)), &Value::Null)
}

fn missing(world: &World, who: Who) -> Vec<String> {
    let answer = world.rest(who, Method::GET, "/v1/attachments/missing", &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| format!("{} {}", item["entry"].as_str().unwrap(), item["missing"])).collect()
}

#[test]
fn a_photo_goes_after_its_payment_and_the_flag_goes_with_the_last_one() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (_, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let cashier = world.person("Esther", Role::Cashier);
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[on, other]);
        let files = [photo(&mut world, 300_000), photo(&mut world, 1)];
        let paid = cash_with(&mut world, on, acc, &files);
        let moment = world.phone(on).moment(world.now());
        assert_eq!(world.phone(on).store().status(moment).unwrap().unsent_files, 2);
        assert_eq!(get(&world, deka, &files[0]).status, 404, "it is not here");
        let report = world.sync(on);
        assert_eq!((report.end, report.files_sent, report.files_left), (SyncEnd::UpToDate, 2, 0));
        assert_eq!(world.outcome(paid), "posted");
        assert_eq!(world.shown(on, paid), "posted EVIDENCE_PENDING", "until the next sync");
        world.settle(&[on, other]);
        assert_eq!(world.shown(on, paid), "posted");
        world.check_all(&[on, other]);
        for file in &files {
            let answer = get(&world, deka, file);
            assert_eq!((answer.status, &answer.body), (200, &file.bytes));
        }
        assert_eq!(get(&world, amina, &files[0]).status, 200, "the officer's own case");
        assert_eq!(get(&world, cashier, &files[0]).status, 403);
        let request = |tag: &str| {
            let request = Request::get(format!("/v1/attachments/{}", name_of(&files[0])));
            let request = request.header(header::AUTHORIZATION, format!("Bearer {}", world.token(deka)));
            request.header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap()
        };
        let whole = world.server.call(request("\"another\""));
        let value = |name: &str| whole.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!(value("content-type"), "image/jpeg");
        assert_eq!((value("content-length"), value("x-content-type-options")), ("300000", "nosniff"));
        assert!(value("content-disposition").starts_with("attachment;"), "{}", value("content-disposition"));
        let tag = value("etag").to_owned();
        assert_eq!(world.server.call(request(&tag)).status, 304);
    });
}

/// Goal: nothing is lost and nothing sent for nothing, wherever both ends die. Method: server and phone are
/// killed after each piece was taken, before the phone hears of it.
#[test]
fn a_photo_arrives_though_both_ends_die_after_every_piece() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let file = photo(&mut world, 700_000);
        let paid = cash_with(&mut world, on, acc, std::slice::from_ref(&file));
        let mut pieces = Vec::new();
        for _ in 0..20 {
            let now = world.now();
            let mut step = world.phones[on.0].begin_sync(now, &mut world.rng);
            let killed = loop {
                let now = world.now();
                let request = match step {
                    Some(Step::Send(request)) => request,
                    Some(Step::Finished(_)) => break false,
                    _ => panic!("nothing fails on this road"),
                };
                let answer = world.deliver(on, &request);
                if request.method == "PUT" && answer.status == 200 {
                    pieces.push(request.body.len());
                    break true;
                }
                let status = Event::Status { status: answer.status, retry_after_ms: answer.retry_after_ms };
                let mut heard = world.phones[on.0].tell(status, now, &mut world.rng);
                for event in [Event::BodyBytes(&answer.body), Event::BodyEnd] {
                    heard = heard.or_else(|| world.phones[on.0].tell(event, now, &mut world.rng));
                }
                step = heard;
            };
            if !killed {
                break;
            }
            world.server.restart();
            daybook_tests::sim::road::reopen(&mut world, on);
            if pieces.iter().sum::<usize>() == file.bytes.len() {
                break;
            }
        }
        assert!(pieces.len() >= 3, "{pieces:?}");
        assert_eq!(pieces.iter().sum::<usize>(), file.bytes.len(), "each byte was taken once");
        world.settle(&[on]);
        assert_eq!((world.outcome(paid).as_str(), world.shown(on, paid).as_str()), ("posted", "posted"));
        let moment = world.phone(on).moment(world.now());
        assert_eq!(world.phone(on).store().status(moment).unwrap().unsent_files, 0);
        let deka = world.supervisor("Deka");
        assert_eq!(get(&world, deka, &file).body, file.bytes);
        world.check_all(&[on]);
    });
}

#[test]
fn what_is_confidential_stays_so_with_its_files() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        world.set_member(amina, barasa, Membership::Member);
        let acc = world.account(amina, Terms::months(3));
        world.settle(&[on, other]);
        let about = about(&mut world, acc, AgentId::from([1; 16]));
        let body = entry::Body::Complaint(records::complaint(about, ComplaintKind::Conduct));
        let file = photo(&mut world, 2_000);
        let said = world.record_with(on, records::draft(body, about.account), std::slice::from_ref(&file));
        world.settle(&[on, other]);
        assert_eq!(world.outcome(said), "noted");
        let read: Vec<u16> = [amina, deka, barasa].iter().map(|who| get(&world, *who, &file).status).collect();
        assert_eq!(read, [200, 200, 404]);
    });
}

/// Goal: evidence that does not come is on a list after three days, and a file that came before its held
/// entry was released does not make it pending again.
#[test]
fn missing_evidence_is_listed_after_three_days_and_a_release_sees_what_came() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let (acc, theirs) = (world.account(amina, Terms::months(3)), world.account(barasa, Terms::months(3)));
        world.settle(&[on, other]);
        let file = photo(&mut world, 5_000);
        let held = cash_with(&mut world, on, theirs, std::slice::from_ref(&file));
        // The app of the first version names a photo and never sends it.
        let mut draft = Draft::from(What::Repayment(world.cash_draft(acc, 500)));
        draft.attachments = vec![entry::Attachment {
            sha256: Hash([9; 32]),
            mime: "image/jpeg".to_owned(),
            bytes: 40_000,
            kind: AttachmentKind::Receipt,
        }];
        let never = world.record(on, draft);
        world.sync(on);
        assert_eq!(world.outcome(held), "held(NOT_ENTITLED)");
        assert_eq!(world.outcome(never), "posted EVIDENCE_PENDING");
        assert_eq!(world.release(deka, held, Value::Null).status, 204);
        assert_eq!(world.outcome(held), "posted RELEASED", "the file was here before");
        assert_eq!(missing(&world, deka), Vec::<String>::new());
        world.pass_ms(72 * 3_600_000 + 1);
        assert_eq!(missing(&world, deka), [format!("{never} 1")]);
        assert_eq!(world.rest(amina, Method::GET, "/v1/attachments/missing", &Value::Null).status, 403);
        daybook_tests::sim::check::ledger::check(&world);
    });
}
