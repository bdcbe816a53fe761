//! What the writer does about panics, on both engines, and what it locks. (What fails in the database is a scenario.)

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use daybook_shared::cbor;
use daybook_shared::entry::{Body, Entry, EntryType, Head, PersonMet, SCHEMA_VERSION, Visit, VisitKind, VisitOutcome};
use daybook_shared::ids::{AckHash, BootId, DossierId, EntryId, EnvelopeId};
use daybook_shared::time::{Clock, Timestamp};
use daybook_shared::wire::envelope::{self, FORMAT, Header, PhoneTime, seal};
use daybook_shared::wire::exchange::{Answer, Request, VERSION};
use daybook_shared::wire::framing::{FrameReader, deflate};
use daybook_shared::wire::outcome::OutcomeState;
use tower::ServiceExt as _;

use super::{Beside, SUBJECTS_MAX, Subject, lock};
use crate::app::{App, ClockChoice, Options};
use crate::auth::Role;
use crate::clock::ManualClock;
use crate::db::{Db, Tx};
use crate::http;
use crate::testing::{TestPhone, TestServer, for_each_engine};

/// A clock that panics at some of its readings, counted since it was last set: the one thing of a test's
/// that the writer calls inside its transaction.
struct Panics {
    inner: Arc<ManualClock>,
    reading: AtomicU32,
    at: Range<u32>,
}

impl Clock for Panics {
    fn now(&self) -> Timestamp {
        let reading = self.reading.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(!self.at.contains(&reading), "the test's own panic");
        self.inner.now()
    }
}

fn visit(server: &TestServer, phone: &TestPhone, dossier: DossierId) -> Entry {
    let at = server.now();
    let head = Head {
        id: server.app.rng.with(|rng| EntryId::new(at, rng)),
        entry_type: EntryType::Visit,
        schema_version: SCHEMA_VERSION,
        dossier,
        captured_at: at,
        offset_min: 0,
        boot_id: BootId([1; 8]),
        boot_ms: 1,
        after: AckHash::NONE,
        device: phone.device,
        basis: 0,
        gps: None,
        attachments: None,
    };
    let visit = Visit {
        kind: VisitKind::Phone,
        started_at: at,
        ended_at: at,
        person_met: PersonMet::Customer,
        identity_verified: true,
        outcome: VisitOutcome::Callback,
        reasons: None,
        note: None,
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    };
    Entry { head, body: Body::Visit(visit) }
}

fn request(server: &TestServer, phone: &TestPhone, entries: &[Entry]) -> Vec<u8> {
    let header = Header {
        format: FORMAT,
        deployment: server.app.deployment.id,
        device: phone.device,
        install: phone.install,
        number: 1,
        previous: EnvelopeId::NONE,
        after: AckHash::NONE,
        sealed_at: PhoneTime { wall: server.now(), boot_id: BootId([1; 8]), boot_ms: 1 },
        anchors: Vec::new(),
    };
    let entries = entries.iter().map(|entry| entry.encode().into()).collect();
    let (_, bytes) = seal(&phone.signer, &header, &envelope::Body { entries, board: Vec::new() });
    let request = Request {
        version: VERSION,
        epoch: None,
        budget_bytes: 4096,
        cursors_hash: 0,
        cursors: Vec::new(),
        envelopes: vec![bytes.into()],
        purged: Vec::new(),
        have: None,
        caseloads_hash: 0,
        news_seen: 0,
        receipt_last: u32::MAX,
        receipts_left: 50,
        ..Request::default()
    };
    deflate(&cbor::to_vec(&request))
}

/// Goal: a panic takes nothing with it, and after three the envelope is looked at item by item, where
/// nothing may be wrong any more. Method: the clock panics in the transaction of three requests.
#[tokio::test]
async fn an_envelope_that_panics_three_times_is_taken_item_by_item() {
    for_each_engine(async |server| {
        let root = server.root().await;
        let (user, _) = server.user("amina", Role::Officer, &root).await;
        let phone = server.phone(&user).await;
        let day = DossierId::day(user.uid, server.app.settings.zone.date_of(server.now()));
        let entries = [visit(server, &phone, day), visit(server, &phone, day)];
        // The first reading is of the lease. On SQLite the group is tried first, then the envelope alone.
        let at = if matches!(server.app.db, Db::Sqlite { .. }) { 2..4 } else { 2..3 };
        let clock = Arc::new(Panics { inner: Arc::clone(&server.clock), reading: AtomicU32::new(0), at });
        let given = ClockChoice::Given(Arc::clone(&clock) as _);
        let app = App::open(&Options { clock: given, ..server.options.clone() }).await.unwrap();
        let router = http::router(&app);
        let body = request(server, &phone, &entries);
        let mut statuses = Vec::new();
        let mut last = Vec::new();
        for number in 1..=3 {
            clock.reading.store(0, Ordering::SeqCst);
            let lease = phone.enrolment["lease"].as_str();
            let sent = phone.signed(app.deployment.id, number, "/v1/sync", lease, body.clone());
            let answer = router.clone().oneshot(sent).await.unwrap();
            statuses.push(answer.status().as_u16());
            last = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes().to_vec();
        }
        assert_eq!(statuses, [500, 500, 200]);
        let frames = FrameReader::new().push(&last).unwrap();
        let answers: Vec<_> = frames.into_iter().flat_map(|frame| frame.answers.unwrap_or_default()).collect();
        let Answer::Taken { outcomes, .. } = &answers[0].answer else { panic!("{answers:?}") };
        assert!(outcomes.iter().all(|outcome| outcome.state == OutcomeState::Noted), "{outcomes:?}");
        assert_eq!(outcomes.len(), 2);
        app.db.close().await;
    })
    .await;
}

const HELD: &str = "select mode from pg_locks where pid = pg_backend_pid() and relation = 'waiting'::regclass";

/// Goal: who has more subjects than locks can be taken for is alone, and nobody else. Method: what PostgreSQL says a
/// transaction holds.
#[tokio::test]
async fn who_has_too_many_subjects_is_alone() {
    for_each_engine(async |server| {
        let among = |count: usize| Beside::Others((0..count).map(|n| Subject::Account(n.to_string())).collect());
        let expected = [
            (among(0), "RowShareLock"),
            (among(SUBJECTS_MAX), "RowShareLock"),
            (among(SUBJECTS_MAX + 1), "ExclusiveLock"),
            (Beside::None, "ExclusiveLock"),
        ];
        for (beside, mode) in expected {
            let mut tx = server.app.db.write().await.unwrap();
            lock(&mut tx, &beside).await.unwrap();
            let Tx::Postgres(connection) = &mut tx else { return };
            let held: Vec<String> = sqlx::query_scalar(HELD).fetch_all(&mut **connection).await.unwrap();
            assert_eq!(held, [mode]);
        }
    })
    .await;
}
