//! One value of every message, with every field that can be filled, all from fixed ids and keys.

use minicbor::bytes::ByteVec;

use crate::facts::{AgentProfile, Profile, PromiseFact, Promises, ScheduleFacts, State, Timeline, TimelineEvent};
use crate::ids::{
    AccountId, AckHash, AgentId, BootId, CaseloadId, CustomerId, DeploymentId, DeviceId, DossierId, EntryId,
    EnvelopeId, Epoch, Hash, InstallId, UserId,
};
use crate::money::{Currency, Money};
use crate::schedule::{DueLine, Portions};
use crate::time::{Date, Timestamp};
use crate::wire::catalogue::{CatalogueHeld, CataloguePage, CatalogueRules};
use crate::wire::envelope::{Anchor, BoardChange, Body, FORMAT, Header, PhoneTime};
use crate::wire::exchange::{
    Answer, Audience, BoardNews, CaseloadCursor, CaseloadInfo, CursorBytes, Delta, Drop, End, EnvelopeAnswer,
    FeedEntry, Frame, Gone, GoneReason, Held, NewCursor, NewOutcome, News, OfficerBlock, Person, Relist, Request,
    Section, Unsent, VERSION,
};
use crate::wire::outcome::{BoardState, BoardVerdict, Flag, Outcome, OutcomeState, Reason};
use crate::wire::sign::{
    Acknowledgement, Certificate, Context, DeviceState, ReceiptBlock, Signed, Signer, TakenBefore, WipeOrder,
};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_326_677_000 + seconds * 1000)
}

/// The phone's key.
pub fn phone() -> Signer {
    Signer::from_seed(&[11; 32])
}

/// The server's key.
pub fn server() -> Signer {
    Signer::from_seed(&[12; 32])
}

pub fn deployment() -> DeploymentId {
    DeploymentId::from([1; 16])
}

pub fn device() -> DeviceId {
    DeviceId::from([2; 16])
}

pub fn install() -> InstallId {
    InstallId::from([3; 16])
}

fn kes() -> Currency {
    "KES".parse().unwrap()
}

fn day(days: i32) -> Date {
    Date::from_days(20_779 + days)
}

pub fn phone_time(seconds: i64) -> PhoneTime {
    PhoneTime { wall: at(seconds), boot_id: BootId([4; 8]), boot_ms: 86_400_000 }
}

pub fn anchor() -> Anchor {
    Anchor { ack: AckHash([5; 8]), arrived: phone_time(-60) }
}

pub fn header() -> Header {
    Header {
        format: FORMAT,
        deployment: deployment(),
        device: device(),
        install: install(),
        number: 7,
        previous: EnvelopeId([6; 32]),
        after: AckHash([5; 8]),
        sealed_at: phone_time(0),
        anchors: vec![anchor()],
    }
}

/// A change for the dossier of this number.
pub fn board_change(dossier: u8) -> BoardChange {
    BoardChange { dossier: DossierId::from([dossier; 16]), n: 1, change: vec![0x85, 0x6f, 0x4a, 0x83] }
}

pub fn body() -> Body {
    Body {
        entries: vec![ByteVec::from(vec![0xa0]), ByteVec::from(vec![0xa1, 0x00, 0x01])],
        board: vec![board_change(9)],
    }
}

pub fn request() -> Request {
    Request {
        version: VERSION,
        epoch: Some(Epoch([7; 8])),
        budget_bytes: 65_536,
        cursors_hash: 0x0123_4567_89ab_cdef,
        cursors: vec![CaseloadCursor { caseload: CaseloadId::from([8; 16]), cursor: cursor() }],
        envelopes: vec![ByteVec::from(vec![1, 2, 3])],
        purged: vec![DossierId::from([9; 16])],
        have: Some(vec![Held { dossier: DossierId::from([9; 16]), version: 17 }]),
        caseloads_hash: 42,
        news_seen: 3,
        receipt_last: 50,
        receipts_left: 21,
        ..Request::default()
    }
}

/// The first request of a rewind, with every field.
pub fn rewinding_request() -> Request {
    Request {
        after: Some(AckHash([5; 8])),
        acknowledgements: Some(vec![signed_acknowledgement()]),
        blocks: Some(vec![Signed::seal(&server(), Context::Block, deployment(), &receipt_block())]),
        rewinding: Some(true),
        unsettled: Some(true),
        ..request()
    }
}

/// What a server says of a rewind.
pub fn rewind_frame() -> Frame {
    Frame {
        epoch: Some(Epoch([7; 8])),
        show_acknowledgement: Some(true),
        settled: Some(true),
        end: Some(End::More),
        ..Frame::default()
    }
}

/// The request of a phone that cannot send all it has at once.
pub fn request_with_more() -> Request {
    Request { unsent: Some(Unsent { count: 140, oldest_at: at(-7_200) }), wiped: Some(true), ..request() }
}

/// The request of a phone that has nothing to say but which offers it has.
pub fn request_with_offers() -> Request {
    Request { catalogue: Some(CatalogueHeld { catalogue: 0x1122_3344_5566_7788, count: 3 }), ..idle_request() }
}

/// The last of its offers.
pub fn frame_of_offers() -> Frame {
    let rules = CatalogueRules { left_out: 2, offline_days: 7, quote_hours: 24 };
    let offers = vec![ByteVec::from(vec![0x81, 0x01])];
    let page = CataloguePage { catalogue: 0x1122_3344_5566_7788, from: 3, count: 4, rules, offers };
    Frame { catalogue: Some(page), end: Some(End::Complete), ..Frame::default() }
}

/// The request of a phone that has nothing to say.
pub fn idle_request() -> Request {
    Request { cursors: vec![], envelopes: vec![], purged: vec![], have: None, ..request() }
}

fn cursor() -> CursorBytes {
    CursorBytes(ByteVec::from(vec![0x82, 0x18, 0x2a, 0x80]))
}

pub fn posted() -> Outcome {
    Outcome::accepted(OutcomeState::Posted, vec![Flag::Backdated, Flag::PostReassign])
}

pub fn held() -> Outcome {
    Outcome::held(Reason::DupReceipt)
}

pub fn quarantined() -> BoardVerdict {
    BoardVerdict { state: BoardState::Quarantined, reason: Some("AFTER_QUARANTINED".into()) }
}

/// One of each answer to an envelope.
pub fn answers() -> Vec<EnvelopeAnswer> {
    let merged = BoardVerdict { state: BoardState::Merged, reason: None };
    let answers = [
        Answer::Taken {
            outcomes: vec![posted(), Outcome::accepted(OutcomeState::Noted, vec![]), held()],
            board: vec![merged, quarantined()],
        },
        Answer::Expect { number: 9, previous: EnvelopeId([6; 32]) },
        Answer::Reactor,
        Answer::Refused { code: "envelope_malformed".into() },
    ];
    (7..).zip(answers).map(|(number, answer)| EnvelopeAnswer { number, answer }).collect()
}

fn delta() -> Delta {
    let outcome = NewOutcome { entry: EntryId::from([21; 16]), outcome: held() };
    Delta {
        dossier: 0,
        caseload: 0,
        epoch: 2,
        version: 18,
        facts: vec![Section { kind: 2, bytes: ByteVec::from(crate::cbor::to_vec(&state())) }],
        entries: vec![FeedEntry { bytes: ByteVec::from(vec![0xa0]), author: 0, outcome: posted() }],
        outcomes: vec![outcome],
        board: Some(BoardNews::Changes(vec![ByteVec::from(vec![0x85, 0x6f])])),
    }
}

/// A frame with every section.
pub fn frame() -> Frame {
    let snapshot = Some(BoardNews::Snapshot(ByteVec::from(vec![0x85])));
    let first_look = Delta { facts: vec![], entries: vec![], outcomes: vec![], board: snapshot, ..delta() };
    let news = NewOutcome { entry: EntryId::from([22; 16]), outcome: Outcome::refused(Reason::Rejected) };
    Frame {
        epoch: Some(Epoch([7; 8])),
        answers: Some(answers()),
        acknowledgement: Some(signed_acknowledgement()),
        send_cursors: Some(true),
        lease: Some("eyJ.eyJ.c2ln".into()),
        receipt_block: Some(Signed::seal(&server(), Context::Block, deployment(), &receipt_block())),
        officer: Some(OfficerBlock {
            cash_in_hand: vec![Money::new(150_000, kes())],
            allowance: vec![Money::new(4_850_000, kes())],
        }),
        caseloads: Some(caseloads()),
        preview: Some(vec![first_look]),
        people: Some(vec![Person { id: UserId::from([13; 16]), name: "Wanjiru".into() }]),
        dossiers: Some(vec![DossierId::from([9; 16])]),
        feeds: Some(vec![CaseloadId::from([8; 16])]),
        gone: Some(vec![Gone { dossier: 0, caseload: 0, epoch: 1, reason: GoneReason::Moved }]),
        deltas: Some(vec![delta()]),
        drop: Some(vec![Drop { dossier: 0, entries: vec![EntryId::from([23; 16])] }]),
        relist: Some(vec![Relist { caseload: 0, members: vec![(0, 2)], last: true }]),
        cursors: Some(vec![NewCursor { caseload: 0, cursor: cursor() }]),
        end: Some(End::More),
        send_have: Some(true),
        login_required: Some(false),
        news: Some(News { number: 4, outcomes: vec![news] }),
        ..Frame::default()
    }
}

pub fn wipe_order() -> WipeOrder {
    WipeOrder { device: device(), install: install(), epoch: Epoch([7; 8]), at: at(6), envelope_key: Hash([15; 32]) }
}

/// What a lost device is told.
pub fn frame_of_a_loss() -> Frame {
    let wipe = Signed::seal(&server(), Context::Wipe, deployment(), &wipe_order());
    Frame { wipe: Some(wipe), end: Some(End::Complete), ..Frame::default() }
}

/// A small frame that differs from any other number's.
pub fn numbered_frame(number: u64) -> Frame {
    Frame { news: Some(News { number, outcomes: vec![] }), ..Frame::default() }
}

pub fn caseloads() -> Vec<CaseloadInfo> {
    let audiences = [Audience::Officer, Audience::CallOfficer, Audience::Supervisor];
    let info = |(n, audience)| CaseloadInfo { id: CaseloadId::from([n; 16]), name: format!("Caseload {n}"), audience };
    (8..).zip(audiences).map(info).collect()
}

pub fn acknowledgement() -> Acknowledgement {
    Acknowledgement {
        epoch: Epoch([7; 8]),
        device: device(),
        install: install(),
        number: 7,
        envelope: EnvelopeId([6; 32]),
        at: at(5),
        state: DeviceState::Ok,
        audit_head: Some(Hash([14; 32])),
        audit_seq: None,
        again: None,
    }
}

/// One that also says where in the chain its head is.
pub fn acknowledgement_of_a_chain() -> Acknowledgement {
    Acknowledgement { audit_seq: Some(812), ..acknowledgement() }
}

/// One that says again what was said before.
pub fn acknowledgement_again() -> Acknowledgement {
    Acknowledgement { again: Some(TakenBefore { number: 6, at: at(4) }), ..acknowledgement_of_a_chain() }
}

pub fn signed_acknowledgement() -> Signed {
    Signed::seal(&server(), Context::Acknowledgement, deployment(), &acknowledgement())
}

pub fn receipt_block() -> ReceiptBlock {
    let first = "AB12-000051".parse().unwrap();
    ReceiptBlock { device: device(), install: install(), first, last: 100, granted_at: at(5) }
}

pub fn certificate() -> Certificate {
    Certificate { device: device(), user: UserId::from([13; 16]), key: phone().public(), issued_at: at(-86_400) }
}

pub fn profile() -> Profile {
    Profile {
        account: AccountId::from([15; 16]),
        customer: CustomerId::from([16; 16]),
        account_number: "KE-000123".into(),
        customer_name: "Achieng Otieno".into(),
        phones: vec!["+254700000001".into()],
        national_id_masked: Some("****5678".into()),
        language: Some("sw".into()),
        address: Some("behind the market, blue gate".into()),
        lat_e6: Some(-1_292_066),
        lon_e6: Some(36_821_945),
        product: "solar lamp".into(),
        currency: kes(),
    }
}

pub fn schedule() -> ScheduleFacts {
    let line = DueLine { n: 1, due_date: day(30), principal: 100_000, interest: 5_000, fee: 0, penalty: 0 };
    ScheduleFacts { version: 1, disbursed_on: day(0), lines: vec![line] }
}

pub fn state() -> State {
    State {
        status: "active".into(),
        outstanding: Portions { principal: 80_000, interest: 4_000, fee: 0, penalty: 0 },
        paid_minor: 21_000,
        credit_minor: 0,
        oldest_unmet_due: Some(day(30)),
        last_paid_on: Some(day(3)),
        last_paid_minor: Some(21_000),
        stage: "FIELD".into(),
    }
}

pub fn promises() -> Promises {
    let (id, status) = (EntryId::from([24; 16]), "ACTIVE".to_owned());
    Promises(vec![PromiseFact { id, amount_minor: 50_000, promised_date: day(5), status }])
}

pub fn timeline() -> Timeline {
    let (code, by) = ("REVERSED".to_owned(), Some("Njoroge".to_owned()));
    Timeline(vec![TimelineEvent { at: at(9), code, amount_minor: Some(-21_000), by }])
}

pub fn agent_profile() -> AgentProfile {
    let (code, name) = ("AG-17".to_owned(), "Mama Njeri".to_owned());
    AgentProfile { agent: AgentId::from([17; 16]), code, name, outlet: Some("Gikomba, stall 4".into()) }
}
