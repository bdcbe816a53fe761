//! What officers do in a storm: they capture and write on boards. (The office: [`super::office`].)

use daybook_mobile_sync::capture::{CaptureError, Draft, EditBoardError, NewFile, Override, What};
use daybook_shared::board::Edit;
use daybook_shared::entry::{
    AttachmentKind, Body, Channel, ComplaintKind, CorrectionKind, IssueCategory, Visit, VisitKind,
};
use daybook_shared::ids::{AgentId, DossierId, EntryId};
use daybook_shared::money::{Currency, Money};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use uuid::Uuid;

use super::world::{Acc, On, Who, World};
use crate::records::{self, About};

const USD: Currency = Currency::new(*b"USD").expect("three capital letters");
/// The longest note of a visit; entries fill frames then.
const NOTE_CHARS_MAX: usize = 900;

/// The longest photo: several pieces.
const PHOTO_BYTES_MAX: usize = 600_000;

/// What the workload remembers.
#[derive(Debug, Default)]
pub struct Work {
    /// Officers.
    pub officers: Vec<Who>,
    /// Who decides online: a supervisor and a cashier.
    pub deciders: Vec<Who>,
    /// Nobody writes paper receipts: which of two with one number is held depends on their arrival.
    pub no_paper: bool,
    /// The storm is near its end: people and phones may leave for good.
    pub is_late: bool,
    /// Cases that were given to somebody else.
    pub moved: Vec<Acc>,
    /// Officers whose access has ended, and phones that were ended.
    pub ended: (Vec<Who>, Vec<On>),
    /// Cash captures by phone, for hand-overs and corrections.
    cash: Vec<(On, EntryId, i64)>,
    /// Issues that were reported, and of which agent.
    issues: Vec<(AgentId, EntryId)>,
    /// Receipt numbers that were given out, for typing them again.
    receipts: Vec<String>,
}

impl Work {
    /// An officer does something on a phone.
    pub fn capture(&mut self, world: &mut World, on: On) {
        if world.phones[on.0].is_wiped() {
            return;
        }
        let acc = pick_account(world, on);
        match world.rng.random_range(0..100) {
            0..20 => visit(world, on, acc),
            20..45 => self.cash(world, on, acc),
            45..49 => other_money(world, on, acc),
            49..57 => promise(world, on, acc),
            57..62 => self.correction(world, on),
            62..67 => self.handover(world, on),
            67..71 => check(world, on),
            71..83 => self.record(world, on, acc),
            _ => write_on_board(world, on),
        }
    }

    fn cash(&mut self, world: &mut World, on: On, acc: Acc) {
        let minor = match world.rng.random_range(0..10) {
            0 => world.rng.random_range(10_000..200_000),
            1 => 1000,
            _ => world.rng.random_range(1..2_500),
        };
        let mut draft = world.cash_draft(acc, minor);
        let moment = world.phones[on.0].moment(world.now());
        let today = world.phones[on.0].store().business_date(moment).expect("an enrolled phone");
        if world.rng.random_ratio(1, 6) {
            draft.value_date = Some(today.plus_days(-world.rng.random_range(1..10)));
        }
        if !self.no_paper && world.rng.random_ratio(1, 12) {
            draft.paper_receipt = Some(self.typed_receipt(world));
        }
        if world.rng.random_ratio(1, 40) {
            draft.amount = Money::new(minor, USD);
        }
        draft.over_limit = Some(Override::CashInHand);
        if let Some((id, receipt)) = record(world, on, What::Repayment(draft)) {
            self.cash.push((on, id, minor));
            self.receipts.extend(receipt);
        }
    }

    /// Some record without money; of complaints and issues of any kind, so that some are confidential.
    fn record(&mut self, world: &mut World, on: On, acc: Acc) {
        let moment = world.phones[on.0].moment(world.now());
        let today = world.phones[on.0].store().business_date(moment).expect("an enrolled phone");
        let Some((agent, _)) = world.agents.choose(&mut world.rng).copied() else { return };
        let link = EntryId::new(moment.wall, &mut world.rng);
        let account = world.accounts[acc.0].uid;
        // A report that may be another phone's and come later, be another agent's, or never come.
        let known = self.issues.choose(&mut world.rng).copied().filter(|_| !world.rng.random_ratio(1, 10));
        let (agent, issue) = known.unwrap_or((agent, link));
        let about = About { account, agent, issue, link, at: moment.wall, today };
        let mut bodies = records::each(about);
        let (_, mut body) = bodies.swap_remove(world.rng.random_range(0..bodies.len()));
        match &mut body {
            Body::Complaint(complaint) => {
                complaint.kind = ComplaintKind::ALL.choose(&mut world.rng).expect("there are kinds").clone();
            }
            Body::IssueReport(report) => {
                report.category = IssueCategory::ALL.choose(&mut world.rng).expect("there are categories").clone();
            }
            _ => {}
        }
        let is_report = matches!(body, Body::IssueReport(_));
        let captured = record(world, on, records::draft(body, account));
        self.issues.extend(captured.filter(|_| is_report).map(|(id, _)| (agent, id)));
    }

    /// The number of a paper receipt, or of somebody else's by mistake.
    fn typed_receipt(&self, world: &mut World) -> daybook_shared::entry::ReceiptNumber {
        let known = self.receipts.choose(&mut world.rng).filter(|_| world.rng.random_ratio(1, 2)).cloned();
        let text = known.unwrap_or_else(|| format!("PAPER1-{:06}", world.rng.random_range(0..30)));
        text.parse().expect("a receipt number")
    }

    fn correction(&self, world: &mut World, on: On) {
        let Some((_, target, _)) = self.cash.choose(&mut world.rng).copied() else { return };
        let correction = daybook_shared::entry::Correction {
            target,
            kind: CorrectionKind::Void,
            proposed: None,
            reason: "Typed twice.".to_owned(),
        };
        let dossier = world.accounts.first().map(|account| account.dossier);
        record(world, on, What::Correction { dossier, correction });
    }

    fn handover(&self, world: &mut World, on: On) {
        let rng = &mut world.rng;
        let some = self.cash.iter().filter(|(by, ..)| rng.random_ratio(1, 3) && (*by == on || rng.random_ratio(1, 20)));
        let some: Vec<_> = some.take(5).collect();
        let declared: i64 = some.iter().map(|(.., minor)| minor).sum();
        if declared > 0 {
            let repayments: Vec<_> = some.iter().map(|(_, id, _)| *id).collect();
            let handover = daybook_shared::entry::CashHandover {
                to: daybook_shared::entry::HandoverTo::Cashier,
                declared: Money::new(declared, super::setup::KES),
                repayments,
                slip: None,
            };
            record(world, on, What::CashHandover(handover));
        }
    }
}

/// Mostly a case the phone holds, sometimes any.
fn pick_account(world: &mut World, on: On) -> Acc {
    let held = world.phones[on.0].store().dossiers().expect("the store can be read");
    let held: Vec<_> = (0..world.accounts.len())
        .filter(|index| held.iter().any(|(dossier, _)| *dossier == world.accounts[*index].dossier))
        .collect();
    let mine = held.choose(&mut world.rng).copied().filter(|_| !world.rng.random_ratio(1, 15));
    Acc(mine.unwrap_or_else(|| world.rng.random_range(0..world.accounts.len())))
}

/// Records a draft; what the phone's own rules refuse was never captured.
fn record(world: &mut World, on: On, what: impl Into<Draft>) -> Option<(EntryId, Option<String>)> {
    record_with(world, on, what, &[])
}

fn record_with(
    world: &mut World,
    on: On,
    what: impl Into<Draft>,
    files: &[NewFile],
) -> Option<(EntryId, Option<String>)> {
    let now = world.now();
    match world.phones[on.0].capture_with(what, files, now, &mut world.rng) {
        Ok(captured) => {
            world.note(format!("{} captures {}", world.phones[on.0].name, captured.id));
            Some((captured.id, captured.receipt.map(|receipt| receipt.to_string())))
        }
        Err(CaptureError::Store(error)) => panic!("{}: {error}", world.phones[on.0].name),
        Err(_) => None,
    }
}

fn visit(world: &mut World, on: On, acc: Acc) {
    let most = if world.rng.random_ratio(1, 6) { NOTE_CHARS_MAX } else { NOTE_CHARS_MAX / 8 };
    let chars = world.rng.random_range(0..most);
    let note: String = (0..chars).map(|_| char::from(world.rng.random_range(b'a'..=b'z'))).collect();
    let ended_at = world.phones[on.0].moment(world.now()).wall;
    let visit = Visit {
        kind: VisitKind::Phone,
        started_at: ended_at,
        ended_at,
        person_met: daybook_shared::entry::PersonMet::Spouse,
        identity_verified: false,
        outcome: daybook_shared::entry::VisitOutcome::Callback,
        reasons: None,
        note: Some(note),
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    };
    let files: Vec<_> = (0..world.rng.random_range(0..3)).map(|_| photo(world)).collect();
    record_with(world, on, What::Visit { account: world.accounts[acc.0].uid, visit }, &files);
}

/// Mostly small; some need several pieces; some are the same as others.
fn photo(world: &mut World) -> NewFile {
    let length = match world.rng.random_range(0..20) {
        0 => world.rng.random_range(1..PHOTO_BYTES_MAX),
        _ => world.rng.random_range(1..2_000),
    };
    let fill = world.rng.random_range(0..=u8::MAX);
    NewFile { bytes: vec![fill; length], mime: "image/jpeg".to_owned(), kind: AttachmentKind::Photo }
}

fn other_money(world: &mut World, on: On, acc: Acc) {
    let minor = world.rng.random_range(1..5_000);
    let mut draft = world.cash_draft(acc, minor);
    draft.channel = Channel::MobileMoney;
    draft.external_ref = Some(format!("MPESA:{minor:06}"));
    record(world, on, What::Repayment(draft));
}

fn promise(world: &mut World, on: On, acc: Acc) {
    let moment = world.phones[on.0].moment(world.now());
    let today = world.phones[on.0].store().business_date(moment).expect("an enrolled phone");
    let promise = daybook_shared::entry::Promise {
        amount: Money::new(world.rng.random_range(1..3_000), super::setup::KES),
        promised_date: today.plus_days(world.rng.random_range(0..30)),
        channel: daybook_shared::entry::PromiseChannel::Cash,
        contact_ref: None,
    };
    record(world, on, What::Promise { account: world.accounts[acc.0].uid, promise });
}

fn check(world: &mut World, on: On) {
    let Some((agent, _)) = world.agents.choose(&mut world.rng).copied() else { return };
    let check = daybook_shared::entry::TransactionCheck {
        agent,
        txn_ref: "QF12AB34".to_owned(),
        txn_type: daybook_shared::entry::CheckedTransaction::CashIn,
        amount: Money::new(50_000, super::setup::KES),
        txn_at: world.now(),
        book_amount_minor: None,
        customer_confirmed: None,
        result: daybook_shared::entry::CheckResult::NotFound,
    };
    record(world, on, What::TransactionCheck(check));
}

/// Some edit of a board the phone holds.
fn write_on_board(world: &mut World, on: On) {
    let held = world.phones[on.0].store().dossiers().expect("the store can be read");
    let Some((dossier, _)) = held.choose(&mut world.rng).copied() else { return };
    let Some(edit) = some_edit(world, on, dossier) else { return };
    let now = world.now();
    match world.phones[on.0].edit(dossier, &[edit], now, &mut world.rng) {
        Ok(_) => world.note(format!("{} writes on {dossier}", world.phones[on.0].name)),
        Err(EditBoardError::Store(error)) => panic!("{}: {error}", world.phones[on.0].name),
        Err(_) => {}
    }
}

fn some_edit(world: &mut World, on: On, dossier: DossierId) -> Option<Edit> {
    let board = world.phones[on.0].store().board_of(dossier).expect("the store can be read")?;
    let rng = &mut world.rng;
    let word = format!("w{} ", rng.random_range(0..1000));
    let length = board.note.chars().count();
    Some(match rng.random_range(0..6) {
        0 | 1 => Edit::NoteSplice { at: rng.random_range(0..=length), delete: 0, insert: word },
        2 if length > 3 => Edit::NoteSplice { at: rng.random_range(0..length - 2), delete: 2, insert: String::new() },
        3 => Edit::AddTag(format!("t{}", rng.random_range(0..8))),
        4 => Edit::RemoveTag(board.tags.choose(rng)?.clone()),
        5 if !board.tasks.is_empty() => Edit::SetTaskDone { id: board.tasks.choose(rng)?.id, done: rng.random() },
        _ => Edit::AddTask { id: Uuid::from_u128(rng.random()), text: word, by: String::new() },
    })
}
