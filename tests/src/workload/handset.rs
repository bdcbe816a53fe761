//! A phone without a store: it seals, signs and chains as a phone does, and forgets what it is told
//! about others. It fills a server with history by the real road, quickly.

use anyhow::{Context as _, ensure};
use axum::http::StatusCode;
use daybook_server::auth::users::UserRow;
use daybook_server::sync::cursor::Cursor;
use daybook_server::testing::{Answer as HttpAnswer, TestPhone, TestServer};
use daybook_shared::board::{BoardKind, BoardRole, Confirmed, Edit, device_actor};
use daybook_shared::cbor;
use daybook_shared::entry::{Entry, Head, ReceiptNumber, SCHEMA_VERSION};
use daybook_shared::ids::{AckHash, BootId, CaseloadId, DossierId, EntryId, EnvelopeId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::envelope::{Anchor, BoardChange, Body, FORMAT, Header, PhoneTime, seal};
use daybook_shared::wire::exchange::{Answer, CaseloadCursor, Frame, Request, VERSION, cursors_hash};
use daybook_shared::wire::framing::{FrameReader, deflate};
use daybook_shared::wire::limits::{ANCHORS_MAX, BUDGET_BYTES_MIN};
use daybook_shared::wire::outcome::OutcomeState;
use daybook_shared::wire::sign::{Acknowledgement, ReceiptBlock};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;

use super::history::{Case, Recorded};
use super::words;

/// An enrolled handset.
pub struct Handset {
    phone: TestPhone,
    request_number: u64,
    number: u64,
    previous: EnvelopeId,
    after: AckHash,
    anchors: Vec<Anchor>,
    series: String,
    receipt_next: u32,
    receipt_last: u32,
    boot: BootId,
    booted_at: Timestamp,
}

/// A request as it will be sent.
pub struct Sealed {
    number: u64,
    body: Vec<u8>,
}

impl Handset {
    /// Enrols a handset of this user.
    pub async fn enrol(server: &TestServer, user: &UserRow, rng: &mut ChaCha20Rng) -> anyhow::Result<Self> {
        let phone = server.phone(user).await;
        let mut handset = Self {
            phone,
            request_number: 1,
            number: 0,
            previous: EnvelopeId::NONE,
            after: AckHash::NONE,
            anchors: Vec::new(),
            series: String::new(),
            receipt_next: 0,
            receipt_last: 0,
            boot: BootId(rng.random()),
            booted_at: server.now(),
        };
        handset.log_in(server).await?;
        Ok(handset)
    }

    /// Hears from the server for the first time: receipt numbers and an acknowledgement.
    async fn log_in(&mut self, server: &TestServer) -> anyhow::Result<()> {
        let block = self.phone.enrolment["receipt_block"].as_str().context("an enrolled phone has receipt numbers")?;
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, block)?;
        let signed: daybook_shared::wire::sign::Signed = minicbor::decode(&bytes)?;
        self.granted(&minicbor::decode(&signed.payload)?);
        let request = self.request(server.now(), &Body::default(), None);
        self.send(server, request).await.map(drop)
    }

    fn granted(&mut self, block: &ReceiptBlock) {
        if self.series.is_empty() {
            block.first.series().clone_into(&mut self.series);
            self.receipt_next = block.first.number();
        }
        self.receipt_last = block.last;
    }

    /// The next receipt number.
    ///
    /// # Panics
    /// When a series is used up, which no workload comes near to.
    fn receipt(&mut self) -> ReceiptNumber {
        let number = ReceiptNumber::new(&self.series, self.receipt_next).expect("a series lasts a workload");
        self.receipt_next += 1;
        number
    }

    /// An entry as this handset makes it.
    pub fn entry(&mut self, rng: &mut ChaCha20Rng, case: &Case, at: Timestamp, what: Recorded) -> Vec<u8> {
        let (entry_type, body, gps) = what.body(case.account, at, || self.receipt());
        let head = Head {
            id: EntryId::new(at, rng),
            entry_type,
            schema_version: SCHEMA_VERSION,
            dossier: DossierId::case(case.account),
            captured_at: at,
            offset_min: 180,
            boot_id: self.boot,
            boot_ms: self.boot_ms(at),
            after: self.after,
            device: self.phone.device,
            basis: rng.random_range(1..60),
            gps,
            attachments: None,
        };
        Entry { head, body }.encode()
    }

    /// A case's first board: a note, two tags and a task.
    pub fn board(&self, rng: &mut ChaCha20Rng, case: &Case, at: Timestamp) -> anyhow::Result<Vec<BoardChange>> {
        let dossier = DossierId::case(case.account);
        let actor = device_actor(self.phone.device, self.phone.install, dossier, 0);
        let id = uuid::Builder::from_random_bytes(rng.random()).into_uuid();
        let edits = [
            Edit::NoteReplace(words::note(rng)),
            Edit::AddTag(words::phrase(rng, 1)),
            Edit::AddTag(words::phrase(rng, 2)),
            Edit::AddTask { id, text: words::phrase(rng, 5), by: String::new() },
        ];
        let edited = Confirmed::genesis(BoardKind::Case).edited(actor, BoardRole::Officer, &edits, at)?;
        let change = |change: &daybook_shared::board::AdmittedChange| BoardChange {
            dossier,
            n: 0,
            change: change.bytes().to_vec(),
        };
        Ok(edited.changes().iter().map(change).collect())
    }

    /// Seals a body into the next envelope, if it holds anything, and that into a request. `cursor`:
    /// the caseload it has read to this sequence.
    pub fn request(&mut self, now: Timestamp, body: &Body, cursor: Option<(CaseloadId, i64)>) -> Sealed {
        let deployment = self.phone.enrolment["deployment"].as_str().and_then(|id| id.parse().ok());
        let deployment = deployment.expect("an enrolled phone knows its deployment");
        let mut envelopes = Vec::new();
        if !(body.entries.is_empty() && body.board.is_empty()) {
            self.number += 1;
            let header = Header {
                format: FORMAT,
                deployment,
                device: self.phone.device,
                install: self.phone.install,
                number: self.number,
                previous: self.previous,
                after: self.after,
                sealed_at: self.moment(now),
                anchors: self.anchors.clone(),
            };
            let (id, bytes) = seal(&self.phone.signer, &header, body);
            self.previous = id;
            envelopes.push(bytes.into());
        }
        let cursors: Vec<_> = cursor
            .into_iter()
            .map(|(caseload, seq)| CaseloadCursor { caseload, cursor: Cursor::at(seq).encode() })
            .collect();
        let all = cursors.iter().map(|cursor| (&cursor.caseload, cursor.cursor.0.as_slice()));
        let request = Request {
            version: VERSION,
            epoch: None,
            budget_bytes: BUDGET_BYTES_MIN,
            cursors_hash: cursors_hash(all),
            cursors,
            envelopes,
            purged: Vec::new(),
            have: None,
            caseloads_hash: 0,
            news_seen: 0,
            receipt_last: self.receipt_last,
            receipts_left: (self.receipt_last + 1).saturating_sub(self.receipt_next),
            unsent: None,
            wiped: None,
        };
        self.request_number += 1;
        Sealed { number: self.request_number, body: deflate(&cbor::to_vec(&request)) }
    }

    /// Sends a request and takes in what its answer grants: every entry must have been accepted.
    pub async fn send(&mut self, server: &TestServer, request: Sealed) -> anyhow::Result<Vec<Frame>> {
        let answer = self.post(server, request).await;
        self.answered(server, &answer)
    }

    /// Sends a request; what comes is for [`Self::answered`].
    pub async fn post(&self, server: &TestServer, request: Sealed) -> HttpAnswer {
        server.post_signed(&self.phone, request.number, "/v1/sync", request.body).await
    }

    /// Takes in what an answer grants: every entry must have been accepted.
    pub fn answered(&mut self, server: &TestServer, answer: &HttpAnswer) -> anyhow::Result<Vec<Frame>> {
        ensure!(answer.status == StatusCode::OK, "the server said {}: {}", answer.status, answer.json());
        let frames = FrameReader::new().push(&answer.body)?;
        for frame in &frames {
            self.take_in(server, frame)?;
        }
        Ok(frames)
    }

    fn take_in(&mut self, server: &TestServer, frame: &Frame) -> anyhow::Result<()> {
        for answer in frame.answers.iter().flatten() {
            let Answer::Taken { outcomes, .. } = &answer.answer else { anyhow::bail!("not taken: {answer:?}") };
            let accepted = |state| matches!(state, OutcomeState::Posted | OutcomeState::Noted);
            let other = outcomes.iter().find(|outcome| !accepted(outcome.state));
            ensure!(other.is_none(), "an entry of the workload was not accepted: {other:?}");
        }
        if let Some(signed) = &frame.acknowledgement {
            self.after = Acknowledgement::hash(signed);
            if self.anchors.len() == ANCHORS_MAX {
                self.anchors.remove(0);
            }
            self.anchors.push(Anchor { ack: self.after, arrived: self.moment(server.now()) });
        }
        if let Some(signed) = &frame.receipt_block {
            self.granted(&minicbor::decode(&signed.payload)?);
        }
        if let Some(lease) = &frame.lease {
            self.phone.enrolment["lease"] = lease.clone().into();
        }
        Ok(())
    }

    fn moment(&self, at: Timestamp) -> PhoneTime {
        PhoneTime { wall: at, boot_id: self.boot, boot_ms: self.boot_ms(at) }
    }

    fn boot_ms(&self, at: Timestamp) -> u64 {
        u64::try_from(at.ms_since(self.booted_at)).unwrap_or(0)
    }
}
