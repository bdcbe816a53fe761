//! A dossier as one Automerge document, opened by another Automerge than ours: the JavaScript one.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use axum::body::Body;
use axum::http::{Method, Request, header};
use daybook_shared::board::Edit;
use daybook_shared::entry::{self, ComplaintKind};
use daybook_shared::ids::{AgentId, DossierId, EntryId};
use daybook_tests::records;
use daybook_tests::sim::server::Answer;
use daybook_tests::sim::{Terms, Who, World};
use serde_json::{Value, json};

use crate::on_every_engine;
use crate::records::about;

const MEDIA_TYPE: &str = "application/vnd.automerge";

/// What the JavaScript Automerge finds in a document.
fn in_javascript(document: &[u8]) -> Value {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = Command::new(repository.join("scripts/javascript")).stderr(Stdio::inherit()).output().unwrap();
    assert!(folder.status.success(), "scripts/javascript sets up what this test runs; it needs Node and npm");
    let folder = String::from_utf8(folder.stdout).unwrap();
    let mut node = Command::new("node")
        .arg("dossier.js")
        .current_dir(folder.trim())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Node runs");
    node.stdin.take().unwrap().write_all(document).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "the document cannot be read");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn document(world: &World, who: Who, dossier: DossierId, known: Option<&str>) -> Answer {
    let mut request = Request::get(format!("/v1/dossiers/{dossier}"))
        .header(header::AUTHORIZATION, format!("Bearer {}", world.token(who)))
        .header(header::ACCEPT, MEDIA_TYPE);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    world.server.call(request.body(Body::empty()).unwrap())
}

/// The ids of the entries that a document shows, in their order.
fn ids(document: &Value) -> Vec<String> {
    document["entries"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn another_automerge_finds_every_visit_repayment_and_note() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let visit = world.visit(on, acc);
        let payments = [world.cash(on, acc, 1_500), world.mobile_money(on, acc, 2_500, "QF12AB34")];
        let dossier = world.accounts[acc.0].dossier;
        let now = world.now();
        let edits = [Edit::NoteReplace("sells maize 🌽 – call first".to_owned()), Edit::AddTag("market".to_owned())];
        world.phones[on.0].edit(dossier, &edits, now, &mut world.rng).unwrap();
        world.sync(on);

        let answer = document(&world, deka, dossier, None);
        let value = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!((answer.status, value("content-type"), value("vary")), (200, MEDIA_TYPE, "accept"));
        let shown = in_javascript(&answer.body);
        assert_eq!(shown["dossier"], dossier.to_string());
        let mut all = [visit, payments[0], payments[1]];
        all.sort();
        assert_eq!(ids(&shown), all.iter().map(ToString::to_string).collect::<Vec<_>>());
        let of = |entry: EntryId| &shown["entries"][entry.to_string()];
        assert_eq!(of(visit)["type"], "VISIT");
        assert_eq!(of(visit)["fields"]["note"], "At home; asked to come back on Friday.");
        let amounts = payments.map(|payment| of(payment)["fields"]["amount"].clone());
        assert_eq!(
            amounts,
            [json!({ "minor": 1_500, "currency": "KES" }), json!({ "minor": 2_500, "currency": "KES" })]
        );
        assert_eq!(of(payments[1])["fields"]["external_ref"], "QF12AB34");
        assert_eq!(
            (&shown["board"]["note"], &shown["noteIsText"]),
            (&json!("sells maize 🌽 – call first"), &json!(true))
        );
        assert_eq!(shown["board"]["tags"], json!({ "market": true }));

        // The same bytes again, and nothing at all for who has them.
        assert_eq!(document(&world, deka, dossier, None).body, answer.body);
        assert_eq!(document(&world, deka, dossier, Some(value("etag"))).status, 304);
        let json = world.rest(deka, Method::GET, &format!("/v1/dossiers/{dossier}"), &Value::Null);
        assert_ne!(json.headers[header::ETAG.as_str()], answer.headers[header::ETAG.as_str()], "one tag, one form");
    });
}

#[test]
fn what_is_confidential_is_in_the_document_of_its_author_and_of_who_reviews() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, _) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        let acc = world.account(amina, Terms::months(3));
        world.sync(on);
        let about = about(&mut world, acc, AgentId::from([1; 16]));
        let body = entry::Body::Complaint(records::complaint(about, ComplaintKind::Conduct));
        let said = world.record(on, records::draft(body, about.account));
        world.sync(on);
        let day = DossierId::day(world.people[amina.0].uid, about.today);
        let found = [amina, deka, barasa].map(|who| ids(&in_javascript(&document(&world, who, day, None).body)));
        assert_eq!(found, [vec![said.to_string()], vec![said.to_string()], Vec::new()]);
    });
}
