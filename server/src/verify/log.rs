//! The log: every entry's row is what its bytes say, and every typed row has its entry.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::{Body, Entry, EntryType};
use daybook_shared::ids::{DeviceId, DossierId, EntryId, Hash, PaymentId};
use daybook_shared::time::{Timestamp, Zone};
use daybook_shared::wire::outcome::{Flag, Reason};
use indicatif::ProgressBar;

use super::findings::{Findings, Place};
use super::{PAGE_ROWS, attachments, captures, erased, records};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// A row of the log.
#[derive(Debug, sqlx::FromRow)]
pub struct LogRow {
    id: i64,
    /// The entry.
    pub uid: EntryId,
    dossier_uid: DossierId,
    /// Key of its dossier.
    pub dossier_id: i64,
    entry_type: EntryType,
    device: DeviceId,
    /// Key of its author.
    pub user_id: i64,
    bytes: Vec<u8>,
    digest: Option<Hash>,
    erased: bool,
    confidential: bool,
    /// Corrected capture time.
    pub captured_at: Timestamp,
    /// Where it ended.
    pub outcome: String,
    /// Why, where it is held or refused.
    pub reason: Option<Reason>,
    /// What people should know: codes with a space between.
    pub flags: Option<String>,
}

impl LogRow {
    /// Whether its outcome has this flag.
    pub fn flagged(&self, flag: &Flag) -> bool {
        self.flags.iter().flat_map(|flags| flags.split(' ')).any(|code| code == flag.code())
    }
}

const SELECT_PAGE: &str = "select e.id, e.uid, d.uid as dossier_uid, e.dossier_id, e.entry_type, v.uid as device,
       e.user_id, e.bytes, e.digest, e.erased_at is not null as erased, e.confidential, e.captured_at, e.outcome, e.reason, e.flags
     from entry e join dossier d on d.id = e.dossier_id join device v on v.id = e.device_id
     where e.id > $1 order by e.id limit $2";

/// Reads the whole log again.
pub async fn verify(tx: &mut Tx, zone: &Zone, findings: &mut Findings, progress: &ProgressBar) -> sqlx::Result<()> {
    let waiting = Waiting::load(tx).await?;
    let mut after = 0;
    loop {
        let rows: Vec<LogRow> = on_db!(tx, conn => {
            sqlx::query_as(SELECT_PAGE).bind(after).bind(PAGE_ROWS).fetch_all(conn).await
        })?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        let read = rows.len() as u64;
        let entries: Vec<_> = rows.into_iter().filter_map(|row| decoded(row, findings)).collect();
        captures::verify(tx, zone, &entries, findings).await?;
        records::verify(tx, zone, &entries, findings).await?;
        attachments::verify_named(tx, &entries, findings).await?;
        waiting.verify(tx, &entries, findings).await?;
        progress.inc(read);
    }
    strays(tx, findings).await?;
    claims(tx, findings).await
}

/// An entry with its row; none of one that was erased, whose bytes are not there to compare anything with.
fn decoded(row: LogRow, findings: &mut Findings) -> Option<(LogRow, Entry)> {
    let place = Place { check: "log: outcomes have their reason", table: "entry", key: &row.uid };
    let has_reason = matches!(row.outcome.as_str(), "held" | "refused");
    findings.compare(place, "has a reason", &has_reason, &row.reason.is_some());
    if row.erased {
        let place = Place { check: erased::CHECK, table: "entry", key: &row.uid };
        let left = (row.bytes.len(), row.digest.is_some(), row.outcome == "held");
        findings.compare(place, "bytes, digest, held", &(0, true, false), &left);
        return None;
    }
    let place = Place { check: "log: entries are what their bytes say", table: "entry", key: &row.uid };
    match Entry::decode(&row.bytes) {
        Ok(entry) => {
            let said = (entry.head.id, entry.head.dossier, &entry.head.entry_type, entry.head.device);
            let stored = (row.uid, row.dossier_uid, &row.entry_type, row.device);
            findings.compare(place, "id, dossier, type, device", &said, &stored);
            findings.compare(place, "confidential", &entry.is_confidential(), &row.confidential);
            Some((row, entry))
        }
        Err(error) => {
            findings.differs(place, "bytes", "an entry", error);
            None
        }
    }
}

/// What held entries wait for, by the entry's key. Few do.
struct Waiting(BTreeMap<i64, BTreeSet<EntryId>>);

batch_row! {
    struct Key { uid: EntryId => "uuid" }
}

const SELECT_WAITING: &str = "select entry_id, ref from waiting";
const SELECT_ARRIVED: &str = "select v.uid from v join entry e on e.uid = v.uid";

impl Waiting {
    async fn load(tx: &mut Tx) -> sqlx::Result<Self> {
        let rows: Vec<(i64, EntryId)> = on_db!(tx, conn => sqlx::query_as(SELECT_WAITING).fetch_all(conn).await)?;
        let mut waiting: BTreeMap<i64, BTreeSet<EntryId>> = BTreeMap::new();
        for (entry, reference) in rows {
            waiting.entry(entry).or_default().insert(reference);
        }
        Ok(Self(waiting))
    }

    /// An entry that is held for what it acts on waits for whatever of that has not arrived; it may go on
    /// waiting for one that has. Others wait for nothing.
    async fn verify(&self, tx: &mut Tx, entries: &[(LogRow, Entry)], findings: &mut Findings) -> sqlx::Result<()> {
        let waits = |row: &LogRow| row.outcome == "held" && row.reason == Some(Reason::MissingRef);
        let waiting = entries.iter().filter(|(row, _)| waits(row));
        let named: BTreeSet<EntryId> = waiting.flat_map(|(_, entry)| acts_on(entry)).copied().collect();
        let keys: Vec<_> = named.into_iter().map(|uid| Key { uid }).collect();
        let arrived: Vec<(EntryId,)> = batch::fetch(tx, &keys, SELECT_ARRIVED).await?;
        let arrived: BTreeSet<_> = arrived.into_iter().map(|(uid,)| uid).collect();
        let none = BTreeSet::new();
        for (row, entry) in entries {
            let stored = self.0.get(&row.id).unwrap_or(&none);
            let acts_on = acts_on(entry).iter().filter(|_| waits(row));
            let expected = acts_on.filter(|uid| !arrived.contains(uid) || stored.contains(uid)).copied().collect();
            let place = Place { check: "log: what waits", table: "waiting", key: &row.uid };
            findings.compare(place, "ref", &expected, stored);
        }
        Ok(())
    }
}

/// The entries without which one has no effect.
fn acts_on(entry: &Entry) -> &[EntryId] {
    match &entry.body {
        Body::Correction(correction) => std::slice::from_ref(&correction.target),
        Body::CashHandover(handover) => &handover.repayments,
        Body::IssueEvent(event) => std::slice::from_ref(&event.issue),
        _ => &[],
    }
}

/// Rows that derive from the log and have no entry in it, table by table. What a person put in place of a
/// payment has a decision instead.
const STRAYS: [(&str, &str); 18] = [
    (
        "payment",
        "select p.uid from payment p left join entry e on e.uid = p.uid left join decision d on d.uid = p.uid
         where p.source = 'field' and e.id is null and d.uid is null",
    ),
    ("visit", "select t.entry_uid from visit t left join entry e on e.uid = t.entry_uid where e.id is null"),
    (
        "promise",
        "select t.entry_uid from promise t left join entry e on e.uid = t.entry_uid
         where (e.id is null) <> (t.source = 'app')",
    ),
    ("correction", "select t.entry_uid from correction t left join entry e on e.uid = t.entry_uid where e.id is null"),
    (
        "cash_handover",
        "select t.entry_uid from cash_handover t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "transaction_check",
        "select t.entry_uid from transaction_check t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "call_attempt",
        "select t.entry_uid from call_attempt t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "contact_update",
        "select t.entry_uid from contact_update t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    ("complaint", "select t.entry_uid from complaint t left join entry e on e.uid = t.entry_uid where e.id is null"),
    (
        "case_handover",
        "select t.entry_uid from case_handover t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    ("stop_event", "select t.entry_uid from stop_event t left join entry e on e.uid = t.entry_uid where e.id is null"),
    (
        "device_event",
        "select t.entry_uid from device_event t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "weekly_contact",
        "select t.entry_uid from weekly_contact t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "float_check",
        "select t.entry_uid from float_check t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "issue_report",
        "select t.entry_uid from issue_report t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    (
        "issue_event",
        "select t.entry_uid from issue_event t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
    ("training", "select t.entry_uid from training t left join entry e on e.uid = t.entry_uid where e.id is null"),
    (
        "agent_registration",
        "select t.entry_uid from agent_registration t left join entry e on e.uid = t.entry_uid where e.id is null",
    ),
];

async fn strays(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    for (table, sql) in STRAYS {
        let uids: Vec<EntryId> = on_db!(tx, conn => sqlx::query_scalar(sql).fetch_all(conn).await)?;
        for uid in uids {
            let place = Place { check: "log: typed rows have an entry", table, key: &uid };
            findings.differs(place, "entry", "one in the log", "none");
        }
    }
    Ok(())
}

const WRONG_CLAIMS: &str = "select c.receipt_no, c.payment_uid from receipt_claim c
     left join payment p on p.uid = c.payment_uid
     where p.receipt_no is null or p.receipt_no <> c.receipt_no order by c.receipt_no";
const UNCLAIMED: &str = "select p.receipt_no, p.uid, c.payment_uid from payment p
     left join receipt_claim c on c.receipt_no = p.receipt_no
     left join decision d on d.uid = p.uid
     where p.state = 'posted' and p.receipt_no is not null and d.uid is null order by p.receipt_no, p.uid";

/// A receipt number stands for one payment, which has it; a posted payment has its own. (What a person put
/// in place of a payment has the receipt of that one.)
async fn claims(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let wrong: Vec<(String, PaymentId)> = on_db!(tx, conn => sqlx::query_as(WRONG_CLAIMS).fetch_all(conn).await)?;
    for (receipt, payment) in wrong {
        let place = Place { check: "log: receipt numbers", table: "receipt_claim", key: &receipt };
        findings.differs(place, "payment_uid", "a payment with this number", payment);
    }
    let posted: Vec<(String, PaymentId, Option<PaymentId>)> =
        on_db!(tx, conn => sqlx::query_as(UNCLAIMED).fetch_all(conn).await)?;
    for (receipt, payment, claimed) in posted {
        let place = Place { check: "log: receipt numbers", table: "receipt_claim", key: &receipt };
        findings.compare(place, "payment_uid", &Some(payment), &claimed);
    }
    Ok(())
}
