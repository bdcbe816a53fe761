//! What the tests of this crate share: a phone in a directory of its own, a server scripted with the
//! same wire types the real one uses, and a link that can be cut at any byte.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_shared::board::{BoardKind, Confirmed};
use daybook_shared::cbor;
use daybook_shared::entry::{Body, Entry, ReceiptNumber};
use daybook_shared::facts::{Profile, ScheduleFacts, SectionKind, State};
use daybook_shared::ids::{
    AccountId, BootId, CaseloadId, CustomerId, DeploymentId, DossierId, EntryId, EnvelopeId, Epoch, InstallId, UserId,
};
use daybook_shared::money::Money;
use daybook_shared::schedule::{DueLine, Portions};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::envelope::{Body as EnvelopeBody, Envelope};
use daybook_shared::wire::exchange::{
    Answer, Audience, BoardNews, CaseloadInfo, CursorBytes, Delta, End, EnvelopeAnswer, FeedEntry, Frame, Gone,
    GoneReason, NewCursor, Person, Request, Section,
};
use daybook_shared::wire::framing::{FrameWriter, inflate};
use daybook_shared::wire::outcome::{BoardState, BoardVerdict, Outcome, OutcomeState};
use daybook_shared::wire::sign::{
    Acknowledgement, Certificate, Context, DeviceState, PublicKey, ReceiptBlock, RequestProof, Signed, Signer,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;

use crate::capture::{Captured, Draft, RepaymentDraft, What};
use crate::session::{Effect, Event, HttpRequest, Session, SessionError, SyncReport};
use crate::store::{KeptInMemory, Store};
use crate::{Moment, enrol};

pub(crate) const KEY: [u8; 32] = [7; 32];
pub(crate) const BLOCK: &str = "AB12";

/// A generator whose seed decides everything.
pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn kes(minor: i64) -> Money {
    Money::new(minor, "KES".parse().unwrap())
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn account(n: u8) -> AccountId {
    AccountId::from([n; 16])
}

pub(crate) fn case(n: u8) -> DossierId {
    DossierId::case(account(n))
}

pub(crate) fn caseload(n: u8) -> CaseloadId {
    CaseloadId::from([0xc0 | n; 16])
}

/// A phone: its store, its file, its clock. Time passes only when a test says so.
pub(crate) struct Phone {
    pub dir: TempDir,
    pub keeper: KeptInMemory,
    pub store: Store,
    pub now: Moment,
    pub rng: ChaCha8Rng,
}

impl Phone {
    pub(crate) fn new() -> Self {
        // In memory where there is such a place: what is tested is the order of writes, not the disk.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let keeper = KeptInMemory::default();
        let now = Moment { wall: at("2026-11-22T08:00:00Z"), boot_id: BootId([1; 8]), boot_ms: 60_000 };
        let mut rng = rng(42);
        let store = Store::open(&dir.path().join("store"), &KEY, Box::new(keeper.clone()), now, &mut rng).unwrap();
        Self { dir, keeper, store, now, rng }
    }

    pub(crate) fn enrolled(server: &mut Server) -> Self {
        let mut phone = Self::new();
        let request = enrol::enrolment_request(&phone.store, "code", "test").unwrap();
        let answer = server.enrol(&request, &phone.store);
        enrol::accept_enrolment(&mut phone.store, (201, &answer), phone.now, &mut phone.rng).unwrap();
        phone
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Kills the app, does something to its file, and starts it again.
    fn while_dead(&mut self, act: impl FnOnce(&Path)) {
        let path = self.file();
        let aside = Store::open(Path::new(":memory:"), &KEY, Box::<KeptInMemory>::default(), self.now, &mut self.rng);
        drop(std::mem::replace(&mut self.store, aside.unwrap()));
        act(&path);
        self.store = Store::open(&path, &KEY, Box::new(self.keeper.clone()), self.now, &mut self.rng).unwrap();
    }

    /// Kills the app and starts it again.
    pub(crate) fn reopen(&mut self) {
        self.while_dead(|_| ());
    }

    /// A copy of the store as a backup would make it.
    pub(crate) fn back_up(&mut self, name: &str) -> PathBuf {
        let copy = self.dir.path().join(name);
        self.while_dead(|file| assert!(std::fs::copy(file, &copy).unwrap() > 0));
        copy
    }

    /// Puts a copy in the store's place.
    pub(crate) fn restore(&mut self, copy: &Path) {
        self.while_dead(|file| assert!(std::fs::copy(copy, file).unwrap() > 0));
    }

    pub(crate) fn pass_ms(&mut self, ms: u64) {
        self.now.boot_ms += ms;
        self.now.wall = self.now.wall.plus_ms(i64::try_from(ms).unwrap());
    }

    pub(crate) fn cash(&mut self, n: u8, minor: i64) -> Captured {
        self.pass_ms(1000);
        let draft = Draft::from(What::Repayment(RepaymentDraft::cash(account(n), kes(minor))));
        self.store.capture(draft, self.now, &mut self.rng).unwrap()
    }

    pub(crate) fn sync(&mut self, server: &mut Server) -> SyncReport {
        self.sync_over(server, &mut Link::default())
    }

    pub(crate) fn sync_over(&mut self, server: &mut Server, link: &mut Link) -> SyncReport {
        self.try_sync_over(server, link).unwrap()
    }

    pub(crate) fn try_sync_over(&mut self, server: &mut Server, link: &mut Link) -> Result<SyncReport, SessionError> {
        let mut session = Session::new();
        let mut effects = self.handle(&mut session, Event::Start)?;
        for _ in 0..5000 {
            let effect = effects.pop().expect("every event that ends something has an effect");
            effects = match effect {
                Effect::Finished(report) => return Ok(report),
                Effect::Wait { ms } => {
                    link.waits_ms.push(ms);
                    self.pass_ms(ms);
                    self.handle(&mut session, Event::TimerFired)?
                }
                Effect::Send(request) => self.exchange(&mut session, server, link, &request)?,
            };
        }
        panic!("the session does not end");
    }

    fn handle(&mut self, session: &mut Session, event: Event<'_>) -> Result<Vec<Effect>, SessionError> {
        session.handle(&mut self.store, self.now, &mut self.rng, event)
    }

    fn exchange(
        &mut self,
        session: &mut Session,
        server: &mut Server,
        link: &mut Link,
        request: &HttpRequest,
    ) -> Result<Vec<Effect>, SessionError> {
        self.pass_ms(50);
        let fault = link.faults.pop_front().unwrap_or(Fault::None);
        if fault == Fault::RequestLost {
            return self.handle(session, Event::TransportFailed);
        }
        let (status, body) = server.answer(request);
        if fault == Fault::AnswerLost {
            return self.handle(session, Event::TransportFailed);
        }
        let effects = self.handle(session, Event::Status { status, retry_after_ms: None })?;
        assert!(effects.is_empty());
        let (sent, cut) = match fault {
            Fault::CutAt(bytes) if bytes < body.len() => (&body[..bytes], true),
            _ => (&body[..], false),
        };
        link.lengths.push(body.len());
        for chunk in sent.chunks(link.chunk.max(1)) {
            let effects = self.handle(session, Event::BodyBytes(chunk))?;
            if !effects.is_empty() {
                return Ok(effects);
            }
        }
        self.handle(session, if cut { Event::TransportFailed } else { Event::BodyEnd })
    }
}

/// What happens to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    RequestLost,
    AnswerLost,
    CutAt(usize),
}

/// The way between phone and server: a fault for each exchange in turn.
#[derive(Debug)]
pub(crate) struct Link {
    pub faults: VecDeque<Fault>,
    /// Bytes that arrive together.
    pub chunk: usize,
    pub waits_ms: Vec<u64>,
    /// Lengths of the response bodies.
    pub lengths: Vec<usize>,
}

impl Default for Link {
    fn default() -> Self {
        Self { faults: VecDeque::new(), chunk: 100, waits_ms: Vec::new(), lengths: Vec::new() }
    }
}

impl Link {
    pub(crate) fn with(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { faults: faults.into_iter().collect(), ..Self::default() }
    }
}

/// What the server knows of an install.
#[derive(Debug, Default, Clone)]
pub(crate) struct Install {
    pub last: u64,
    pub request_last: u64,
    pub envelopes: BTreeMap<u64, EnvelopeId>,
}

/// A server that takes envelopes as the real one does, and hands out what a test scripted.
pub(crate) struct Server {
    pub signer: Signer,
    pub deployment: DeploymentId,
    pub epoch: Epoch,
    pub user: UserId,
    pub now: Timestamp,
    pub state: DeviceState,
    pub lapsed: bool,
    pub device_key: Option<PublicKey>,
    pub device: Option<daybook_shared::ids::DeviceId>,
    pub installs: BTreeMap<InstallId, Install>,
    /// Every entry taken, with how often it was taken for the first time in an envelope.
    pub taken: BTreeMap<EntryId, (Vec<u8>, u32)>,
    pub outcomes: BTreeMap<EntryId, Outcome>,
    pub quarantine: BTreeSet<u32>,
    pub boards: BTreeMap<DossierId, Confirmed>,
    /// Added to the head of the next response.
    pub head: Frame,
    /// What follows the head, for each response in turn; the last frame of each gets `end`.
    pub script: VecDeque<(Vec<Frame>, End)>,
    /// Answered instead of anything else.
    pub problems: VecDeque<(u16, String)>,
    /// Answers to the next envelope, instead of what the chain says.
    pub forced: VecDeque<Answer>,
    pub requests: Vec<(&'static str, Request)>,
    pub blocks: u32,
    /// What came of files, by their hash.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            signer: Signer::from_seed(&[9; 32]),
            deployment: DeploymentId::from([0xd0; 16]),
            epoch: Epoch([1; 8]),
            user: UserId::from([0xaa; 16]),
            now: at("2026-11-22T08:00:00Z"),
            state: DeviceState::Ok,
            lapsed: false,
            device_key: None,
            device: None,
            installs: BTreeMap::new(),
            taken: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            quarantine: BTreeSet::new(),
            boards: BTreeMap::new(),
            head: Frame::default(),
            script: VecDeque::new(),
            problems: VecDeque::new(),
            forced: VecDeque::new(),
            requests: Vec::new(),
            blocks: 0,
            files: BTreeMap::new(),
        }
    }

    pub(crate) fn lease(&self, days: i64) -> String {
        let claims = format!("{{\"exp\":{}}}", self.now.seconds() + days * 86_400);
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    pub(crate) fn block(&mut self, install: InstallId) -> Signed {
        let first = self.blocks * 50 + 1;
        self.blocks += 1;
        let first = ReceiptNumber::new(BLOCK, first).unwrap();
        let last = first.number() + 49;
        let device = self.device.unwrap();
        let block = ReceiptBlock { device, install, first, last, granted_at: self.now };
        Signed::seal(&self.signer, Context::Block, self.deployment, &block)
    }

    pub(crate) fn enrol(&mut self, request: &HttpRequest, store: &Store) -> Vec<u8> {
        let key = store.signer().unwrap().public();
        let (device, install) = (store.device().unwrap(), store.install().unwrap());
        let proof = proof_of(request);
        assert!(proof.verify(&key, DeploymentId(uuid::Uuid::nil()), "POST", "/v1/enrolments", &request.body));
        assert_eq!((proof.device, proof.install, proof.number), (device, install, 1));
        self.device_key = Some(key);
        self.device = Some(device);
        self.installs.entry(install).or_default();
        let certificate = Certificate { device, user: self.user, key, issued_at: self.now };
        let certificate = Signed::seal(&self.signer, Context::Certificate, self.deployment, &certificate);
        let base64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let block = self.block(install);
        let answer = serde_json::json!({
            "deployment": self.deployment,
            "epoch": self.epoch.to_string(),
            "user": { "id": self.user, "name": "Wanjiru Kamau" },
            "server_key": base64(&self.signer.public().bytes.0),
            "envelope_key": base64(&[9; 32]),
            "lease": self.lease(14),
            "certificate": base64(&cbor::to_vec(&certificate)),
            "receipt_block": base64(&cbor::to_vec(&block)),
            "zone": "Africa/Nairobi",
            "currency": "KES",
            "now": self.now,
        });
        serde_json::to_vec(&answer).unwrap()
    }

    pub(crate) fn answer(&mut self, http: &HttpRequest) -> (u16, Vec<u8>) {
        self.now = self.now.plus_ms(100);
        if let Some((status, body)) = self.problems.pop_front() {
            return (status, body.into_bytes());
        }
        let proof = proof_of(http);
        let key = self.device_key.unwrap();
        assert!(proof.verify(&key, self.deployment, http.method, &http.path, &http.body), "the proof fits");
        let install = self.installs.entry(proof.install).or_default();
        if proof.number <= install.request_last {
            return (409, format!("{{\"code\":\"stale-request\",\"last\":{}}}", install.request_last).into_bytes());
        }
        install.request_last = proof.number;
        if http.method == "PUT" {
            return self.take_piece(http);
        }
        let request: Request = minicbor::decode(&inflate(&http.body, 16 << 20).unwrap()).unwrap();
        let answers: Vec<_> = request.envelopes.iter().map(|bytes| self.take(bytes)).collect();
        let path = if http.path == "/v1/deposit" { "/v1/deposit" } else { "/v1/sync" };
        self.requests.push((path, request));
        let acknowledgement = Some(self.acknowledge(proof.install));
        if http.path == "/v1/deposit" {
            let frame = Frame { acknowledgement, end: Some(End::Complete), ..Frame::default() };
            return (200, written(&[frame]));
        }
        let head = Frame {
            epoch: Some(self.epoch),
            answers: (!answers.is_empty()).then_some(answers),
            acknowledgement,
            ..std::mem::take(&mut self.head)
        };
        if self.lapsed || self.state != DeviceState::Ok {
            return (200, written(&[Frame { login_required: Some(true), end: Some(End::Complete), ..head }]));
        }
        let (mut frames, end) = self.script.pop_front().unwrap_or((vec![], End::Complete));
        frames.insert(0, head);
        frames.last_mut().unwrap().end = Some(end);
        (200, written(&frames))
    }

    /// A piece of a file: taken if it begins where the one before ended.
    fn take_piece(&mut self, http: &HttpRequest) -> (u16, Vec<u8>) {
        let (path, query) = http.path.split_once('?').unwrap();
        let sha256 = path.rsplit('/').next().unwrap().to_owned();
        let value = |name: &str| -> usize {
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap().parse().unwrap()
        };
        let (offset, size) = (value("offset"), value("size"));
        let file = self.files.entry(sha256.clone()).or_default();
        if offset != file.len() && !http.body.is_empty() {
            return (409, format!("{{\"code\":\"conflict\",\"received\":{}}}", file.len()).into_bytes());
        }
        file.extend_from_slice(&http.body);
        let complete = file.len() == size;
        if complete && daybook_shared::ids::Hash(daybook_shared::ids::sha256(&[file])).to_string() != sha256 {
            file.clear();
            return (422, br#"{"code":"validation"}"#.to_vec());
        }
        (200, format!("{{\"received\":{},\"complete\":{complete}}}", file.len()).into_bytes())
    }

    fn take(&mut self, bytes: &[u8]) -> EnvelopeAnswer {
        let envelope = Envelope::decode(bytes).unwrap();
        assert!(envelope.verify(&self.device_key.unwrap(), self.deployment), "the envelope is signed");
        let number = envelope.header.number;
        if let Some(answer) = self.forced.pop_front() {
            return EnvelopeAnswer { number, answer };
        }
        let install = self.installs.entry(envelope.header.install).or_default();
        let previous = install.envelopes.get(&install.last).copied().unwrap_or(EnvelopeId::NONE);
        let known = install.envelopes.get(&number).copied();
        let answer = match known {
            Some(id) if id != envelope.id => Answer::Reactor,
            None if number != install.last + 1 => Answer::Expect { number: install.last + 1, previous },
            None if number > 1 && envelope.header.previous != previous => Answer::Reactor,
            known => {
                install.envelopes.insert(number, envelope.id);
                install.last = install.last.max(number);
                self.judge(&envelope.body, known.is_none())
            }
        };
        EnvelopeAnswer { number, answer }
    }

    fn judge(&mut self, body: &EnvelopeBody, new: bool) -> Answer {
        let outcomes = body.entries.iter().map(|bytes| {
            let entry = Entry::decode(bytes).unwrap();
            let known = self.taken.entry(entry.head.id).or_insert_with(|| (bytes.to_vec(), 0));
            assert_eq!(known.0.as_slice(), bytes.as_slice(), "an entry never changes");
            known.1 += u32::from(new);
            let state =
                if matches!(entry.body, Body::Repayment(_)) { OutcomeState::Posted } else { OutcomeState::Noted };
            let usual = Outcome::accepted(state, vec![]);
            self.outcomes.entry(entry.head.id).or_insert(usual).clone()
        });
        let outcomes = outcomes.collect();
        let board = body.board.iter().map(|change| {
            if self.quarantine.contains(&change.n) {
                return BoardVerdict { state: BoardState::Quarantined, reason: Some("NOT_ENTITLED".to_owned()) };
            }
            let board = self.boards.entry(change.dossier).or_insert_with(|| Confirmed::genesis(BoardKind::Case));
            match board.merged(&[&change.change]) {
                Ok(merged) => {
                    *board = merged;
                    BoardVerdict { state: BoardState::Merged, reason: None }
                }
                Err(_) => BoardVerdict { state: BoardState::Quarantined, reason: Some("MISSING_DEP".to_owned()) },
            }
        });
        Answer::Taken { outcomes, board: board.collect() }
    }

    pub(crate) fn acknowledge(&self, install: InstallId) -> Signed {
        let known = self.installs.get(&install).cloned().unwrap_or_default();
        let ack = Acknowledgement {
            epoch: self.epoch,
            device: self.device.unwrap(),
            install,
            number: known.last,
            envelope: known.envelopes.get(&known.last).copied().unwrap_or(EnvelopeId::NONE),
            at: self.now,
            state: self.state,
            audit_head: None,
            audit_seq: None,
            again: None,
        };
        Signed::seal(&self.signer, Context::Acknowledgement, self.deployment, &ack)
    }

    /// The next response hands these out.
    pub(crate) fn hand_out(&mut self, frames: Vec<Frame>) {
        self.script.push_back((frames, End::Complete));
    }
}

pub(crate) fn written(frames: &[Frame]) -> Vec<u8> {
    let mut writer = FrameWriter::new();
    for frame in frames {
        writer.push(frame);
    }
    writer.finish()
}

pub(crate) fn proof_of(request: &HttpRequest) -> RequestProof {
    let (_, value) = request.headers.iter().find(|(name, _)| *name == RequestProof::HEADER).unwrap();
    minicbor::decode(&BASE64_URL_SAFE_NO_PAD.decode(value).unwrap()).unwrap()
}

/// A list of caseloads.
pub(crate) fn listed(ids: &[u8]) -> Frame {
    let info = |n: &u8| CaseloadInfo { id: caseload(*n), name: format!("caseload {n}"), audience: Audience::Officer };
    Frame { caseloads: Some(ids.iter().map(info).collect()), ..Frame::default() }
}

/// A frame that says a case is present in a caseload, with facts that name the customer.
pub(crate) fn present(n: u8, in_caseload: u8, epoch: u64, version: u64) -> Frame {
    let section = |kind: SectionKind, bytes: Vec<u8>| Section { kind: kind.number(), bytes: bytes.into() };
    let facts = vec![
        section(SectionKind::Profile, cbor::to_vec(&profile(n))),
        section(SectionKind::Schedule, cbor::to_vec(&schedule())),
        section(SectionKind::State, cbor::to_vec(&state(0))),
    ];
    delta(n, in_caseload, epoch, version, facts, None)
}

pub(crate) fn delta(
    n: u8,
    in_caseload: u8,
    epoch: u64,
    version: u64,
    facts: Vec<Section>,
    board: Option<BoardNews>,
) -> Frame {
    let delta = Delta { dossier: 0, caseload: 0, epoch, version, facts, entries: vec![], outcomes: vec![], board };
    Frame {
        dossiers: Some(vec![case(n)]),
        feeds: Some(vec![caseload(in_caseload)]),
        deltas: Some(vec![delta]),
        cursors: Some(vec![cursor(version)]),
        ..Frame::default()
    }
}

/// A frame with what a colleague captured in a case.
pub(crate) fn fed(n: u8, version: u64, bytes: &[u8], outcome: Outcome) -> Frame {
    let mut frame = delta(n, 1, 1, version, vec![], None);
    frame.people = Some(vec![Person { id: UserId::from([0xbb; 16]), name: "Otieno Odhiambo".to_owned() }]);
    let entry = FeedEntry { bytes: bytes.to_vec().into(), author: 0, outcome };
    frame.deltas.as_mut().unwrap()[0].entries.push(entry);
    frame
}

pub(crate) fn gone(n: u8, in_caseload: u8, epoch: u64) -> Frame {
    Frame {
        dossiers: Some(vec![case(n)]),
        feeds: Some(vec![caseload(in_caseload)]),
        gone: Some(vec![Gone { dossier: 0, caseload: 0, epoch, reason: GoneReason::Moved }]),
        ..Frame::default()
    }
}

pub(crate) fn cursor(seq: u64) -> NewCursor {
    NewCursor { caseload: 0, cursor: CursorBytes(seq.to_be_bytes().to_vec().into()) }
}

pub(crate) fn profile(n: u8) -> Profile {
    Profile {
        account: account(n),
        customer: CustomerId::from([n / 2; 16]),
        account_number: format!("KE-{:04}", 1000 + u32::from(n)),
        customer_name: format!("Amina Njeri {n}"),
        phones: vec![format!("+2547000000{n:02}")],
        national_id_masked: None,
        language: Some("sw".to_owned()),
        address: Some("behind the school".to_owned()),
        lat_e6: Some(-1_286_389 + i32::from(n) * 1000),
        lon_e6: Some(36_817_223),
        product: "solar home".to_owned(),
        currency: "KES".parse().unwrap(),
    }
}

pub(crate) fn schedule() -> ScheduleFacts {
    let line = |n: u16, due: &str| DueLine {
        n,
        due_date: due.parse().unwrap(),
        principal: 1000,
        interest: 0,
        fee: 0,
        penalty: 0,
    };
    let lines = vec![line(1, "2026-10-22"), line(2, "2026-11-22"), line(3, "2026-12-22")];
    ScheduleFacts { version: 1, disbursed_on: "2026-09-22".parse().unwrap(), lines }
}

pub(crate) fn state(paid_minor: i64) -> State {
    let oldest: Option<Date> = (paid_minor < 1000).then(|| "2026-10-22".parse().unwrap());
    State {
        status: "active".to_owned(),
        outstanding: Portions { principal: 3000 - paid_minor, ..Portions::ZERO },
        paid_minor,
        credit_minor: 0,
        oldest_unmet_due: oldest.or_else(|| Some("2026-11-22".parse().unwrap())),
        last_paid_on: None,
        last_paid_minor: None,
        stage: "FIELD".to_owned(),
    }
}
