//! Retention and erasure: what is personal goes, from the server and from phones; money stays.

use axum::http::Method;
use daybook_mobile_sync::capture::{Draft, NewFile, What};
use daybook_server::auth::Role;
use daybook_server::jobs::{self, JOBS};
use daybook_server::on_db;
use daybook_server::rebuild::Rebuilt;
use daybook_server::verify::{Findings, verify};
use daybook_shared::board::Edit;
use daybook_shared::entry::{AttachmentKind, Body, ComplaintKind, Correction, CorrectionKind, Proposed};
use daybook_shared::ids::EntryId;
use daybook_shared::wire::envelope::Envelope;
use daybook_tests::records::{self, About};
use daybook_tests::sim::check::again;
use daybook_tests::sim::{Acc, Engine, On, Terms, Who, World};
use indicatif::ProgressBar;
use rand::Rng as _;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{on_every_engine, on_every_engine_with};

/// What is known of the customer, and what officers said of him. Nothing else in these stories has these words.
const PERSONAL: [&str; 15] = [
    "Zainabu Ubaidi",
    "+254799123456",
    "+254799654321",
    "*****7788",
    "Plot 77, Tsavo Close",
    "At home; asked to come back on Friday.",
    "Will pay after the market.",
    "pbx/77",
    "+254711000002",
    "Paid at the kiosk on Monday.",
    "To see it on the account.",
    "Three promises, then the shop was closed.",
    "The second stop.",
    "Counted wrongly at her gate.",
    "Gate is at the back.",
];

/// A customer of a name and address of his own, with one instalment of 1,000.
fn customer(world: &mut World, officer: Who) -> Acc {
    let acc = world.account(officer, Terms::months(1));
    let id = world.accounts[acc.0].customer;
    world.server.execute(&format!(
        "update customer set name = 'Zainabu Ubaidi', phone = '+254799123456', alt_phone = '+254799654321',
           national_id_masked = '*****7788', address = 'Plot 77, Tsavo Close' where id = {id}"
    ));
    acc
}

fn photo(world: &mut World) -> NewFile {
    let mut bytes = vec![0; 3_000];
    world.rng.fill_bytes(&mut bytes);
    NewFile { bytes, mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo }
}

/// All that an officer can say of a customer: in the case, in the day, on the board, and in pictures.
fn said(world: &mut World, on: On, acc: Acc, file: &NewFile) -> Vec<EntryId> {
    let (at, today, account) = (world.now(), world.today(), world.accounts[acc.0].uid);
    let unknown = EntryId::new(at, &mut world.rng);
    let about = About { account, agent: world.agents[0].0, issue: unknown, link: unknown, at, today };
    let mut said = vec![world.visit(on, acc)];
    let conduct = records::complaint(about, ComplaintKind::Conduct);
    for body in [
        Body::CallAttempt(records::call_attempt(about)),
        Body::ContactUpdate(records::contact_update()),
        Body::Complaint(records::complaint(about, ComplaintKind::PaidNotCredited)),
        Body::Complaint(conduct),
        Body::CaseHandover(records::case_handover()),
        Body::StopEvent(records::stop_event(about)),
    ] {
        said.push(world.record(on, records::draft(body, account)));
    }
    let note = records::draft(Body::CallAttempt(records::call_attempt(about)), account);
    said.push(world.record_with(on, note, std::slice::from_ref(file)));
    edit(world, on, acc, "Gate is at the back.");
    said
}

fn edit(world: &mut World, on: On, acc: Acc, note: &str) {
    let (now, dossier) = (world.now(), world.accounts[acc.0].dossier);
    world.phones[on.0].edit(dossier, &[Edit::NoteReplace(note.to_owned())], now, &mut world.rng).unwrap();
}

fn correction(world: &mut World, on: On, target: EntryId) -> EntryId {
    let proposed = Some(Proposed { amount_minor: Some(1_000), ..Proposed::default() });
    let reason = "Counted wrongly at her gate.".to_owned();
    let correction = Correction { target, kind: CorrectionKind::WrongAmount, proposed, reason };
    world.record(on, What::Correction { dossier: None, correction })
}

/// Runs a job; how many things it did.
fn job(world: &World, name: &str) -> u64 {
    let job = JOBS.iter().find(|job| job.name == name).unwrap();
    world.server.read(async |app, _| jobs::run(app, job).await.unwrap().unwrap())
}

fn uid_of(world: &World, acc: Acc) -> Uuid {
    let id = world.accounts[acc.0].customer;
    world.server.rows::<(Uuid,)>(&format!("select uid from customer where id = {id}"))[0].0
}

fn propose(world: &World, who: Who, acc: Acc, order: Uuid) -> (u16, String) {
    let path = format!("/v1/customers/{}/erasure", uid_of(world, acc));
    let answer = world.rest(who, Method::POST, &path, &json!({ "id": order }));
    (answer.status, answer.code())
}

fn rule(world: &mut World, who: Who, order: Uuid, approve: bool) -> (u16, String) {
    let answer = world.decide(who, &format!("/v1/erasures/{order}/decision"), json!({ "approve": approve }));
    (answer.status, answer.code())
}

fn states(world: &World, who: Who) -> Vec<String> {
    let answer = world.rest(who, Method::GET, "/v1/erasures", &Value::Null);
    let items = answer.json()["items"].as_array().unwrap().clone();
    items.iter().map(|item| item["state"].as_str().unwrap().to_owned()).collect()
}

fn done() -> (u16, String) {
    (204, String::new())
}

/// Two supervisors have a customer erased, and the job does it.
fn erase(world: &mut World, deka: Who, farah: Who, acc: Acc) {
    let order = Uuid::from_u128(77);
    assert_eq!(propose(world, deka, acc, order), done());
    assert_eq!(rule(world, farah, order, true), done());
    assert_ne!(job(world, "erase_customers"), 0);
    assert_eq!(states(world, deka), ["done"]);
}

/// Where the server's database holds these bytes: in any column of text or bytes, and in any envelope.
pub fn held_by_server(world: &World, needle: &[u8]) -> Vec<String> {
    let columns: Vec<(String, String, String)> = world.server.rows(match world.server.engine() {
        Engine::Sqlite => {
            "select m.name, c.name, c.type from sqlite_schema m, pragma_table_info(m.name) c
             where m.type = 'table' and c.type in ('TEXT', 'BLOB') order by 1, 2"
        }
        Engine::Postgres => {
            "select cast(table_name as text), cast(column_name as text), cast(data_type as text)
             from information_schema.columns
             where table_schema = current_schema() and data_type in ('text', 'bytea') order by 1, 2"
        }
    });
    assert!(columns.len() > 100, "{} columns", columns.len());
    let digits = needle.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let hex: String = digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect();
    let holds = |(table, column, kind): &(String, String, String)| {
        let is_there = match (world.server.engine(), kind.as_str()) {
            (Engine::Sqlite, _) => format!("instr(cast({column} as blob), x'{hex}') > 0"),
            (Engine::Postgres, "text") => format!("position('\\x{hex}'::bytea in convert_to({column}, 'UTF8')) > 0"),
            (Engine::Postgres, _) => format!("position('\\x{hex}'::bytea in {column}) > 0"),
        };
        let rows: Vec<(i64,)> =
            world.server.rows(&format!("select cast(count(*) as bigint) from {table} where {is_there}"));
        (rows[0].0 > 0).then(|| format!("{table}.{column}"))
    };
    let mut places: Vec<_> = columns.iter().filter_map(holds).collect();
    let envelopes: Vec<(Vec<u8>,)> = world.server.rows("select bytes from envelope where erased_at is null");
    let in_envelope = envelopes.iter().any(|(bytes,)| {
        let body = Envelope::decode(bytes).unwrap().body;
        let mut parts = body.entries.iter().map(|entry| entry.to_vec()).chain(body.board.into_iter().map(|b| b.change));
        parts.any(|part| has(&part, needle))
    });
    places.extend(in_envelope.then(|| "inside envelope.bytes".to_owned()));
    places
}

fn has(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

fn needles(file: &NewFile) -> Vec<(String, Vec<u8>)> {
    let words = PERSONAL.iter().map(|words| ((*words).to_owned(), words.as_bytes().to_vec()));
    words.chain([("the photo".to_owned(), file.bytes[..48].to_vec())]).collect()
}

/// What of the customer the server still holds, and where.
fn left_on_server(world: &World, file: &NewFile) -> Vec<String> {
    let found = needles(file).into_iter().map(|(name, needle)| (name, held_by_server(world, &needle)));
    found.filter(|(_, places)| !places.is_empty()).map(|(name, places)| format!("{name}: {places:?}")).collect()
}

/// What of the customer a phone still holds.
fn left_on_phone(world: &World, on: On, file: &NewFile) -> Vec<String> {
    let plain = world.phone(on).store().plain().unwrap();
    let found = needles(file).into_iter().filter(|(_, needle)| plain.iter().any(|bytes| has(bytes, needle)));
    found.map(|(name, _)| name).collect()
}

fn found(world: &World) -> Findings {
    let zone = &world.server.app().settings.zone;
    world.server.read(async |_, tx| verify(tx, zone, 20, &ProgressBar::hidden()).await.unwrap())
}

pub fn assert_whole(world: &World) {
    let found = found(world);
    assert_eq!(found.differing(), 0, "{found}");
    assert_eq!(world.server.rebuild(), Rebuilt::default(), "a rebuild changes nothing");
}

/// Money: every line, payment, allocation and receipt.
fn money(world: &World) -> Vec<(String, i64, i64)> {
    let of = |table: &str, sum: &str| {
        let sql =
            format!("select '{table}', cast(count(*) as bigint), cast(coalesce(sum({sum}), 0) as bigint) from {table}");
        world.server.rows(&sql)
    };
    let tables = [
        ("journal", "id"),
        ("line", "minor * (n + 1)"),
        ("payment", "amount_minor"),
        ("allocation", "principal + interest"),
        ("receipt_claim", "length(receipt_no)"),
        ("officer_cash", "minor"),
    ];
    tables.iter().flat_map(|(table, sum)| of(table, sum)).collect()
}

fn outcomes(world: &World) -> Vec<(EntryId, String)> {
    world.server.rows("select uid, outcome || coalesce(reason, '') || coalesce(flags, '') from entry order by uid")
}

/// Goal: after two people have agreed, nothing of who the customer was is anywhere, and money, verdicts and
/// other customers are as they were. Method: his words, numbers and picture are looked for in every column
/// and in every phone, before and after.
#[test]
fn an_erased_customer_is_found_nowhere_and_the_money_stays() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let (deka, farah) = (world.supervisor("Deka"), world.supervisor("Farah"));
        world.agent(amina);
        let (acc, neighbour) = (customer(&mut world, barasa), world.account(amina, Terms::months(3)));
        world.settle(&[on, other]);
        // One officer had the case before the other, and has envelopes about it.
        world.visit(other, acc);
        world.sync(other);
        world.pass_ms(60_000);
        assert_eq!(world.reassign(deka, acc, Some(amina)).status, 204);
        world.settle(&[on, other]);
        let file = photo(&mut world);
        said(&mut world, on, acc, &file);
        world.cash(on, neighbour, 1_000);
        let paid = world.cash(on, acc, 1_200);
        world.settle(&[on]);
        let asked = correction(&mut world, on, paid);
        world.settle(&[on]);
        assert_eq!(propose(&world, deka, acc, Uuid::from_u128(5)), (409, "conflict".into()), "a ruling is due");
        assert_eq!(world.rule_on(deka, asked, true).status, 204);
        assert_eq!(
            world.edit_online(deka, world.accounts[acc.0].dossier, &json!([{ "add_tag": "Tsavo" }])).status,
            200
        );
        world.settle(&[on, other]);
        world.check_all(&[on, other]);
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 0");
        assert_eq!(left_on_server(&world, &file).len(), PERSONAL.len() + 1, "it can be found");
        assert!(left_on_phone(&world, on, &file).len() > PERSONAL.len() - 2);
        assert_ne!(left_on_phone(&world, other, &file), Vec::<String>::new());
        let before = (money(&world), outcomes(&world), world.cash_in_hand(amina), world.stands(neighbour));

        // Who may, and who may not.
        let (halima, auditor) = (world.person("Halima", Role::CallOfficer), world.person("Ali", Role::Auditor));
        let order = Uuid::from_u128(6);
        for who in [amina, auditor] {
            assert_eq!(propose(&world, who, acc, order), (403, "forbidden".into()));
        }
        assert_eq!(propose(&world, deka, neighbour, order), (409, "conflict".into()), "his account is open");
        assert_eq!(propose(&world, halima, acc, order), done());
        assert_eq!(propose(&world, halima, acc, order), done(), "once");
        assert_eq!(propose(&world, deka, acc, Uuid::from_u128(8)), (409, "conflict".into()));
        assert_eq!(rule(&mut world, halima, order, true), (403, "forbidden".into()));
        assert_eq!(rule(&mut world, deka, order, false), done());
        let order = Uuid::from_u128(9);
        assert_eq!(propose(&world, deka, acc, order), done(), "what was rejected may be proposed again");
        assert_eq!(rule(&mut world, deka, order, true).1, "same-person");
        assert_eq!(job(&world, "erase_customers"), 0, "nobody has approved it");
        assert_eq!(rule(&mut world, farah, order, true), done());
        assert_eq!(rule(&mut world, farah, order, false).1, "already-decided");
        assert_eq!(states(&world, auditor), ["rejected", "approved"]);

        assert_ne!(job(&world, "erase_customers"), 0);
        assert_eq!(states(&world, auditor), ["rejected", "done"]);
        assert_eq!(job(&world, "erase_customers"), 0, "done again it changes nothing");
        assert_eq!(propose(&world, deka, acc, Uuid::from_u128(10)), (409, "conflict".into()));
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_eq!((money(&world), outcomes(&world), world.cash_in_hand(amina), world.stands(neighbour)), before);
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 0");
        assert_whole(&world);
        let dossier = world.accounts[acc.0].dossier;
        assert_eq!(world.rest(deka, Method::GET, &format!("/v1/dossiers/{dossier}"), &Value::Null).status, 404);

        // Phones hear of it, those that had the case long ago too.
        world.settle(&[on, other]);
        for phone in [on, other] {
            assert_eq!(left_on_phone(&world, phone, &file), Vec::<String>::new());
            let held = world.phone(phone).store().dossiers().unwrap();
            assert!(held.iter().all(|(held, _)| *held != dossier));
        }
        let store = world.phone(on).store();
        assert_eq!(store.cash_in_hand().unwrap()[0].minor, before.2, "the officer still has the cash");

        // Old bytes change nothing and are answered as before.
        again::check(&mut world);
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_whole(&world);
        damages(&world, dossier.0);
    });
}

/// What `verify` must find about what was erased.
fn damages(world: &World, dossier: Uuid) {
    let case = format!("(select id from dossier where uid = {})", literal(world, dossier));
    for damage in [
        format!("update entry set bytes = digest where dossier_id = {case} and erased_at is not null"),
        format!("update entry set digest = null where dossier_id = {case}"),
        "update customer set phone = '+2547' where erased_at is not null".to_owned(),
        "update complaint set text = 'No.' where entry_uid in (select uid from entry where erased_at is not null)"
            .into(),
        "update contact_update set lat_e6 = 1".to_owned(),
        "update envelope set bytes = uid where erased_at is not null".to_owned(),
        format!("update dossier set caseload_id = (select min(id) from caseload) where id = {case}"),
        format!("update dossier set erased_at = null where id = {case}"),
    ] {
        let found = world.server.undone(async |app, tx| {
            let done = on_db!(&mut *tx, conn => {
                sqlx::query(AssertSqlSafe(damage.clone())).execute(conn).await.map(|done| done.rows_affected())
            });
            assert_ne!(done.unwrap_or_else(|error| panic!("{damage}: {error}")), 0, "no row: {damage}");
            verify(tx, &app.settings.zone, 20, &ProgressBar::hidden()).await.unwrap()
        });
        assert_ne!(found.differing(), 0, "{damage}");
    }
}

fn literal(world: &World, uid: Uuid) -> String {
    match world.server.engine() {
        Engine::Sqlite => format!("x'{}'", uid.simple()),
        Engine::Postgres => format!("'{uid}'"),
    }
}

/// Goal: what a phone captured before it heard of the erasure counts as always, and does not stay. Method: a
/// phone without network holds cash, words, a picture and a board change; one of its captures is held.
#[test]
fn what_an_offline_phone_hands_in_later_counts_and_does_not_stay() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (deka, farah) = (world.supervisor("Deka"), world.supervisor("Farah"));
        world.agent(amina);
        let acc = customer(&mut world, amina);
        world.cash(on, acc, 1_000);
        world.settle(&[on]);
        // The phone has all of the case, and more that it has not sent yet.
        let file = photo(&mut world);
        let late = world.cash(on, acc, 300);
        let held = world.cash(on, acc, 20_000);
        said(&mut world, on, acc, &file);
        world.pass_ms(60_000);
        erase(&mut world, deka, farah, acc);
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());

        world.pass_ms(60_000);
        world.settle(&[on]);
        assert_eq!(world.outcome(late).split(' ').next(), Some("posted"), "{}", world.outcome(late));
        assert_eq!(world.outcome(held), "held(AMOUNT)");
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 300");
        assert_eq!(world.cash_in_hand(amina), 21_300);
        // Of the case nothing is there; of the day's stops and complaints the phone hears next.
        let of_the_day = ["Paid at the kiosk on Monday.", "To see it on the account.", "The second stop."];
        assert_eq!(left_on_phone(&world, on, &file), of_the_day);
        assert_eq!(world.phone(on).store().cash_in_hand().unwrap()[0].minor, 21_300);
        assert_whole(&world);
        let before = outcomes(&world);
        assert_ne!(job(&world, "erase_customers"), 0, "it came late");
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_eq!(outcomes(&world), before);
        assert_whole(&world);
        world.settle(&[on]);
        assert_eq!(left_on_phone(&world, on, &file), Vec::<String>::new());

        // What is held keeps its bytes for the person who rules on it.
        let bytes = |world: &World| world.entries()[&held].bytes.len();
        assert_ne!(bytes(&world), 0);
        assert_eq!(world.reject(deka, held, "REJECTED").status, 204);
        assert_eq!(job(&world, "erase_customers"), 1);
        assert_eq!((bytes(&world), world.outcome(held)), (0, "refused(REJECTED)".to_owned()));
        assert_eq!(job(&world, "erase_customers"), 0);
        world.settle(&[on]);
        again::check(&mut world);
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_whole(&world);
    });
}

/// Goal: old bytes in a new envelope are known by their digest. Method: the phone's store is a backup from
/// before it heard the answer, so that it hands everything in again in a new install.
#[test]
fn a_restored_phone_hands_in_erased_entries_again_and_brings_nothing_back() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (deka, farah) = (world.supervisor("Deka"), world.supervisor("Farah"));
        world.agent(amina);
        let acc = customer(&mut world, amina);
        world.settle(&[on]);
        let file = photo(&mut world);
        let entries = said(&mut world, on, acc, &file);
        let paid = world.cash(on, acc, 1_000);
        let now = world.now();
        world.phones[on.0].back_up(now, &mut world.rng);
        world.settle(&[on]);
        world.pass_ms(60_000);
        erase(&mut world, deka, farah, acc);
        let before = (money(&world), outcomes(&world));
        let envelopes = world.server.rows::<(i64,)>("select cast(count(*) as bigint) from envelope")[0].0;

        let now = world.now();
        let lost = world.phones[on.0].restore(now, &mut world.rng);
        assert_eq!(lost, Vec::<EntryId>::new());
        let verdicts: Vec<_> = entries.iter().map(|entry| world.outcome(*entry)).collect();
        world.settle(&[on]);
        let after = world.server.rows::<(i64,)>("select cast(count(*) as bigint) from envelope")[0].0;
        assert!(after > envelopes, "it came in envelopes of a new install");
        assert_eq!((money(&world), outcomes(&world)), before);
        assert_eq!(entries.iter().map(|entry| world.outcome(*entry)).collect::<Vec<_>>(), verdicts);
        assert_eq!(world.outcome(paid), "posted");
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_eq!(left_on_phone(&world, on, &file), Vec::<String>::new());
        assert_whole(&world);
    });
}

/// Goal: data goes by itself when its time has passed, and nothing before. Method: the lender's days pass.
#[test]
fn customers_and_envelopes_go_when_their_time_has_passed() {
    let days = [("closed_customer_days", "90"), ("envelope_days", "120")];
    on_every_engine_with(&days, |mut world| {
        let (amina, on) = world.officer("Amina");
        world.agent(amina);
        let (acc, open) = (customer(&mut world, amina), world.account(amina, Terms::months(3)));
        world.settle(&[on]);
        let file = photo(&mut world);
        said(&mut world, on, acc, &file);
        world.cash(on, acc, 1_000);
        world.cash(on, open, 500);
        world.settle(&[on]);
        let kept = |world: &World| {
            let sql = "select cast(count(*) as bigint) from envelope where erased_at is null";
            world.server.rows::<(i64,)>(sql)[0].0
        };
        let turn =
            |world: &World| ["order_erasures", "erase_customers", "empty_envelopes"].map(|name| job(world, name));
        world.pass_days(89);
        assert_eq!(turn(&world), [0, 0, 0]);
        assert_eq!(left_on_server(&world, &file).len(), PERSONAL.len());
        world.pass_days(3);
        let [ordered, erased, emptied] = turn(&world);
        assert_eq!((ordered, emptied), (1, 0));
        assert!(erased > 8, "{erased}");
        assert_eq!(left_on_server(&world, &file), Vec::<String>::new());
        assert_eq!(turn(&world), [0, 0, 0]);
        assert_eq!(world.stands(open), "active, owes 2500, paid 500, credit 0");
        world.pass_days(30);
        let left = kept(&world);
        assert_eq!(turn(&world), [0, 0, u64::try_from(left).unwrap()]);
        assert_eq!(kept(&world), 0);
        assert_eq!(turn(&world), [0, 0, 0]);
        world.log_in_again(on);
        world.settle(&[on]);
        assert_eq!(left_on_phone(&world, on, &file), Vec::<String>::new());
        again::check(&mut world);
        assert_whole(&world);
    });
}

/// Zero days: for ever.
#[test]
fn nothing_goes_by_itself_where_the_lender_says_never() {
    on_every_engine_with(&[("closed_customer_days", "0"), ("envelope_days", "0")], |mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = customer(&mut world, amina);
        world.settle(&[on]);
        world.record(on, Draft::from(What::Repayment(world.cash_draft(acc, 1_000))));
        world.settle(&[on]);
        world.pass_days(40_000);
        for name in ["order_erasures", "erase_customers", "empty_envelopes"] {
            assert_eq!(job(&world, name), 0, "{name}");
        }
        assert_eq!(held_by_server(&world, b"Zainabu Ubaidi"), ["customer.name"]);
    });
}

#[test]
fn who_is_owed_a_credit_is_not_erased() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = customer(&mut world, amina);
        world.sync(on);
        world.cash(on, acc, 1_200);
        world.settle(&[on]);
        assert_eq!(world.stands(acc), "closed(paid), owes 0, paid 1000, credit 200");
        assert_eq!(propose(&world, deka, acc, Uuid::from_u128(5)), (409, "conflict".into()));
    });
}
