//! Typed rows from the bytes phones made: what a visit, a repayment, a promise, a correction, a
//! hand-over and a check say is what their rows hold. A record that was accepted has a row, one that is
//! held or refused has none; a repayment has one whatever became of it, unless it was refused or failed.

use std::collections::BTreeMap;

use daybook_shared::entry::{Body, Channel, CheckResult, CheckedTransaction, CorrectionKind, Entry, HandoverTo};
use daybook_shared::entry::{PersonMet, Repayment, VisitKind, VisitOutcome};
use daybook_shared::ids::{AccountId, AgentId, DossierId, EntryId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp, Zone};
use daybook_shared::wire::outcome::{Flag, Reason};
use sqlx::FromRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::findings::{Findings, Place};
use super::log::LogRow;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::portfolio::payment::{PaymentState, plain_reference};

batch_row! {
    struct Key { uid: EntryId => "uuid" }
}

/// Compares the typed rows of a page of the log.
pub async fn verify(
    tx: &mut Tx,
    zone: &Zone,
    entries: &[(LogRow, Entry)],
    findings: &mut Findings,
) -> sqlx::Result<()> {
    payments(tx, zone, entries, findings).await?;
    records(tx, ("visit", VISITS), entries, findings, visit).await?;
    records(tx, ("promise", PROMISES), entries, findings, promise).await?;
    records(tx, ("correction", CORRECTIONS), entries, findings, correction).await?;
    records(tx, ("cash_handover", HANDOVERS), entries, findings, handover).await?;
    records(tx, ("transaction_check", CHECKS), entries, findings, check).await?;
    handover_items(tx, entries, findings).await
}

/// Compares one kind of record: `derive` says what row an accepted entry has; none for other types.
pub(super) async fn records<T>(
    tx: &mut Tx,
    (table, sql): (&'static str, &str),
    entries: &[(LogRow, Entry)],
    findings: &mut Findings,
    derive: impl Fn(&LogRow, &Entry) -> Option<T>,
) -> sqlx::Result<()>
where
    T: PartialEq + std::fmt::Debug + Send + Unpin,
    Keyed<T>: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>,
{
    let derived = entries.iter().filter_map(|(row, entry)| Some((row, derive(row, entry)?)));
    let derived: Vec<_> = derived.collect();
    let keys: Vec<_> = derived.iter().map(|(row, _)| Key { uid: row.uid }).collect();
    let stored: Vec<Keyed<T>> = batch::fetch(tx, &keys, sql).await?;
    let stored: BTreeMap<_, _> = stored.into_iter().map(|keyed| (keyed.uid, keyed.row)).collect();
    for (row, derived) in derived {
        let place = Place { check: "log: typed rows are what their entries say", table, key: &row.uid };
        // What was of a type nobody knew when it came has no row.
        let known = !row.flagged(&Flag::UnknownType);
        let expected = (row.outcome == "noted" && known).then_some(&derived);
        findings.compare(place, "row", &expected, &stored.get(&row.uid));
    }
    Ok(())
}

/// A typed row with its entry's id.
pub(super) struct Keyed<T> {
    uid: EntryId,
    row: T,
}

impl<'r, R: sqlx::Row, T: FromRow<'r, R>> FromRow<'r, R> for Keyed<T>
where
    EntryId: sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
    &'static str: sqlx::ColumnIndex<R>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self { uid: row.try_get("uid")?, row: T::from_row(row)? })
    }
}

const VISITS: &str = "select t.entry_uid as uid, t.dossier_id, t.user_id, t.kind, t.outcome, t.person_met,
       t.identity_verified, t.started_at, t.ended_at, t.lat_e6, t.lon_e6
     from v join visit t on t.entry_uid = v.uid";

#[derive(Debug, PartialEq, FromRow)]
struct VisitRow {
    dossier_id: i64,
    user_id: i64,
    kind: VisitKind,
    outcome: VisitOutcome,
    person_met: PersonMet,
    identity_verified: bool,
    started_at: Timestamp,
    ended_at: Timestamp,
    lat_e6: Option<i64>,
    lon_e6: Option<i64>,
}

fn visit(row: &LogRow, entry: &Entry) -> Option<VisitRow> {
    let Body::Visit(visit) = &entry.body else { return None };
    let gps = entry.head.gps.as_ref();
    Some(VisitRow {
        dossier_id: row.dossier_id,
        user_id: row.user_id,
        kind: visit.kind.clone(),
        outcome: visit.outcome.clone(),
        person_met: visit.person_met.clone(),
        identity_verified: visit.identity_verified,
        started_at: visit.started_at,
        ended_at: visit.ended_at,
        lat_e6: gps.map(|gps| gps.lat_e6.into()),
        lon_e6: gps.map(|gps| gps.lon_e6.into()),
    })
}

const PROMISES: &str = "select t.entry_uid as uid, t.user_id, t.amount_minor, t.promised_date, t.captured_at,
       d.id as dossier_id
     from v join promise t on t.entry_uid = v.uid join dossier d on d.account_id = t.account_id";

#[derive(Debug, PartialEq, FromRow)]
struct PromiseRow {
    dossier_id: i64,
    user_id: i64,
    amount_minor: i64,
    promised_date: Date,
    captured_at: Timestamp,
}

fn promise(row: &LogRow, entry: &Entry) -> Option<PromiseRow> {
    let Body::Promise(promise) = &entry.body else { return None };
    let (amount_minor, promised_date) = (promise.amount.minor, promise.promised_date);
    let (dossier_id, user_id, captured_at) = (row.dossier_id, row.user_id, row.captured_at);
    Some(PromiseRow { dossier_id, user_id, amount_minor, promised_date, captured_at })
}

const CORRECTIONS: &str = "select t.entry_uid as uid, t.target, t.kind, t.user_id, t.captured_at
     from v join correction t on t.entry_uid = v.uid";

#[derive(Debug, PartialEq, FromRow)]
struct CorrectionRow {
    target: EntryId,
    kind: CorrectionKind,
    user_id: i64,
    captured_at: Timestamp,
}

fn correction(row: &LogRow, entry: &Entry) -> Option<CorrectionRow> {
    let Body::Correction(correction) = &entry.body else { return None };
    let (target, kind) = (correction.target, correction.kind.clone());
    Some(CorrectionRow { target, kind, user_id: row.user_id, captured_at: row.captured_at })
}

const HANDOVERS: &str = "select t.entry_uid as uid, t.user_id, t.recipient, t.declared_minor, t.currency, t.captured_at
     from v join cash_handover t on t.entry_uid = v.uid";

#[derive(Debug, PartialEq, FromRow)]
struct HandoverRow {
    user_id: i64,
    recipient: HandoverTo,
    declared_minor: i64,
    currency: Currency,
    captured_at: Timestamp,
}

fn handover(row: &LogRow, entry: &Entry) -> Option<HandoverRow> {
    let Body::CashHandover(handover) = &entry.body else { return None };
    Some(HandoverRow {
        user_id: row.user_id,
        recipient: handover.to.clone(),
        declared_minor: handover.declared.minor,
        currency: handover.declared.currency,
        captured_at: row.captured_at,
    })
}

const CHECKS: &str =
    "select t.entry_uid as uid, t.agent_uid, t.user_id, t.txn_ref, t.txn_type, t.amount_minor, t.currency,
       t.txn_at, t.book_amount_minor, t.result
     from v join transaction_check t on t.entry_uid = v.uid";

#[derive(Debug, PartialEq, FromRow)]
struct CheckRow {
    agent_uid: AgentId,
    user_id: i64,
    txn_ref: String,
    txn_type: CheckedTransaction,
    amount_minor: i64,
    currency: Currency,
    txn_at: Timestamp,
    book_amount_minor: Option<i64>,
    result: CheckResult,
}

fn check(row: &LogRow, entry: &Entry) -> Option<CheckRow> {
    let Body::TransactionCheck(check) = &entry.body else { return None };
    Some(CheckRow {
        agent_uid: check.agent,
        user_id: row.user_id,
        txn_ref: check.txn_ref.clone(),
        txn_type: check.txn_type.clone(),
        amount_minor: check.amount.minor,
        currency: check.amount.currency,
        txn_at: check.txn_at,
        book_amount_minor: check.book_amount_minor,
        result: check.result.clone(),
    })
}

const ITEMS: &str = "select h.entry_uid, i.payment_uid from v join cash_handover h on h.entry_uid = v.uid
     left join handover_item i on i.entry_uid = h.entry_uid where h.status <> 'sent_back'";

/// A hand-over holds the repayments it names, until it is sent back.
async fn handover_items(tx: &mut Tx, entries: &[(LogRow, Entry)], findings: &mut Findings) -> sqlx::Result<()> {
    let named = entries.iter().filter_map(|(row, entry)| match &entry.body {
        Body::CashHandover(handover) => Some((row.uid, &handover.repayments)),
        _ => None,
    });
    let named: BTreeMap<_, _> = named.collect();
    let keys: Vec<_> = named.keys().map(|uid| Key { uid: *uid }).collect();
    let rows: Vec<(EntryId, Option<EntryId>)> = batch::fetch(tx, &keys, ITEMS).await?;
    let mut stored: BTreeMap<EntryId, Vec<EntryId>> = BTreeMap::new();
    for (handover, payment) in rows {
        stored.entry(handover).or_default().extend(payment);
    }
    for (uid, mut found) in stored {
        let mut expected = named.get(&uid).map(|repayments| (*repayments).clone()).unwrap_or_default();
        expected.sort_unstable();
        found.sort_unstable();
        let place = Place { check: "log: typed rows are what their entries say", table: "handover_item", key: &uid };
        findings.compare(place, "repayments", &expected, &found);
    }
    Ok(())
}

const PAYMENTS: &str =
    "select p.uid, p.source, p.state, p.user_id, p.channel, p.amount_minor, p.currency, p.receipt_no,
       p.external_ref, p.value_date, a.uid as account
     from v join payment p on p.uid = v.uid left join account a on a.id = p.account_id";

#[derive(Debug, FromRow)]
struct PaymentRow {
    uid: EntryId,
    source: String,
    state: PaymentState,
    user_id: Option<i64>,
    channel: Channel,
    amount_minor: i64,
    currency: Currency,
    receipt_no: Option<String>,
    external_ref: Option<String>,
    value_date: Date,
    account: Option<AccountId>,
}

async fn payments(tx: &mut Tx, zone: &Zone, entries: &[(LogRow, Entry)], findings: &mut Findings) -> sqlx::Result<()> {
    let repayments = entries.iter().filter_map(|(row, entry)| match &entry.body {
        Body::Repayment(repayment) => Some((row, entry, repayment)),
        _ => None,
    });
    let repayments: Vec<_> = repayments.collect();
    let keys: Vec<_> = repayments.iter().map(|(row, ..)| Key { uid: row.uid }).collect();
    let stored: Vec<PaymentRow> = batch::fetch(tx, &keys, PAYMENTS).await?;
    let stored: BTreeMap<_, _> = stored.into_iter().map(|payment| (payment.uid, payment)).collect();
    for (row, entry, repayment) in repayments {
        let place = Place { check: "log: payments are what their entries say", table: "payment", key: &row.uid };
        match stored.get(&row.uid) {
            Some(payment) => compare_payment(place, zone, (row, entry, repayment), payment, findings),
            None if row.outcome == "refused" || row.reason == Some(Reason::Failed) => findings.agree(place.check, 1),
            None => findings.differs(place, "row", format_args!("a payment that is {}", row.outcome), "none"),
        }
    }
    Ok(())
}

fn compare_payment(
    place: Place<'_>,
    zone: &Zone,
    (row, entry, repayment): (&LogRow, &Entry, &Repayment),
    payment: &PaymentRow,
    findings: &mut Findings,
) {
    let state = match payment.state {
        PaymentState::Reversed | PaymentState::Matched => "posted",
        state => state.code(),
    };
    findings.compare(place, "state", &row.outcome.as_str(), &state);
    findings.compare(place, "source", &"field", &payment.source.as_str());
    findings.compare(place, "user_id", &Some(row.user_id), &payment.user_id);
    findings.compare(place, "channel", &repayment.channel, &payment.channel);
    let external_ref = repayment.external_ref.as_deref().map(plain_reference);
    findings.compare(place, "external_ref", &external_ref, &payment.external_ref);
    findings.compare(place, "reversed", &row.flagged(&Flag::Reversed), &(payment.state == PaymentState::Reversed));
    // A person who releases may put the rest right, and may reject it altogether.
    if row.flagged(&Flag::Released) || row.outcome == "refused" {
        return;
    }
    let amount = (repayment.amount.minor, repayment.amount.currency);
    findings.compare(place, "amount", &amount, &(payment.amount_minor, payment.currency));
    findings.compare(place, "receipt_no", &repayment.receipt.as_ref().map(ToString::to_string), &payment.receipt_no);
    let value_date = repayment.value_date.min(zone.date_of(row.captured_at));
    // What a provider confirmed counts for the provider's day: `statements` compares that.
    if !row.flagged(&Flag::ProviderConfirmed) {
        findings.compare(place, "value_date", &value_date, &payment.value_date);
    }
    // A repayment that names another account than its dossier is about has none, and is held.
    let own = DossierId::case(repayment.account) == entry.head.dossier;
    let may_lack = payment.account.is_none() && row.outcome != "posted";
    let account = Some(repayment.account).filter(|_| own && !may_lack);
    findings.compare(place, "account", &account, &payment.account);
}
