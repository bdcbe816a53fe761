//! What must hold once all is at rest, found out by SQL and by reading the phones' stores: nothing
//! lost, nothing posted twice, the ledger to the minor unit, phones and server of one mind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, bail};
use daybook_mobile_sync::Store;
use daybook_server::db::Tx;
use daybook_server::on_db;
use daybook_server::portfolio::import_kiva::ImportReport;
use daybook_server::sync::load::outcome_of;
use daybook_shared::ids::{CaseloadId, DossierId, EntryId};
use daybook_shared::time::Date;
use daybook_shared::wire::outcome::{Outcome, Reason};

use super::office::Office;
use super::report::Report;
use super::road::Road;
use super::{Engine, Options};
use crate::phone::Costs;
use crate::process;

/// Differences that are told one by one; of more only the number.
const TOLD_MAX: usize = 5;

const COUNT_ACCOUNTS: &str = "select count(*) from account";
const COUNT_OVERPAID: &str = "select count(*) from account where credit_minor > 0";
const COUNT_QUARANTINED: &str = "select count(*) from quarantine where resolved_at is null";
const COUNT_UNBALANCED: &str = "
    select count(*) from (select journal_id from line group by journal_id having sum(minor) <> 0) as unbalanced";
const LEDGER: &str = "
    select cast(coalesce(-sum(l.minor), 0) as bigint) from line l join journal j on j.id = l.journal_id
    where l.gl in ('plan_recv', 'credit', 'recovery') and j.kind not in ('import', 'activation')";
const OFFICERS_CASH: &str = "select cast(coalesce(sum(minor), 0) as bigint) from officer_cash";
const SUSPENSE: &str = "select cast(coalesce(-sum(minor), 0) as bigint) from line where gl = 'suspense'";
const COUNT_POSTED_TWICE: &str = "
    select cast(coalesce(sum(times - 1), 0) as bigint)
    from (select count(*) as times from journal where kind in ('repayment', 'recovery') group by event) as posted";
const SELECT_ENTRIES: &str = "
    select e.uid, d.uid, e.bytes, e.outcome, e.reason, e.flags from entry e join dossier d on d.id = e.dossier_id";
const SELECT_PAYMENTS: &str = "
    select p.uid, a.number, p.amount_minor, p.value_date, p.state
    from payment p left join account a on a.id = p.account_id";
const SELECT_ACCOUNTS: &str = "
    select number, paid_minor, credit_minor,
           outstanding_principal + outstanding_interest + outstanding_fee + outstanding_penalty from account";
const SELECT_DEALT: &str = "
    select c.uid, d.uid, d.version from dossier d join caseload c on c.id = d.caseload_id";

/// An entry as the server holds it: bytes and outcome.
type Held = (Vec<u8>, Outcome);

/// What the server holds.
struct Books {
    entries: BTreeMap<EntryId, (DossierId, Held)>,
    by_dossier: BTreeMap<DossierId, BTreeMap<EntryId, Held>>,
    payments: BTreeMap<EntryId, (Option<String>, i64, Date, String)>,
    accounts: BTreeMap<String, (i64, i64, i64)>,
    dealt: BTreeMap<CaseloadId, BTreeMap<DossierId, u64>>,
}

/// Checks everything but `daybook verify`.
pub async fn check(road: &Road<'_>, options: &Options, import: &ImportReport) -> anyhow::Result<Report> {
    let app = road.office.open(false).await?;
    let mut tx = app.db.read().await?;
    let books = Books::read(&mut tx).await?;
    let mut report = costs_of(road, options);
    report.loans_left_out = import.skipped.len();
    sums(&mut tx, &mut report).await?;
    drop(tx);
    app.db.close().await;
    expected(road, &mut report);
    outcomes(&books, road, &mut report);
    payments(&books, road, &mut report);
    accounts(&books, road, &mut report);
    let mut apart = Vec::new();
    for (number, phone) in road.phones.iter().enumerate() {
        let dealt = books.dealt.get(&road.officers[number].caseload).cloned().unwrap_or_default();
        let asked: BTreeSet<_> = dealt.keys().copied().collect();
        if asked != road.dealt_to(number) {
            apart.push(format!("phone {number}: the server's caseload is not what the office dealt"));
        }
        let difference = compare_with_books(phone.store(), &dealt, &books)?;
        apart.extend(difference.map(|difference| format!("phone {number}: {difference}")));
    }
    report.phones_converged = apart.is_empty();
    report.broken.extend(apart);
    Ok(report)
}

fn costs_of(road: &Road<'_>, options: &Options) -> Report {
    let mut costs = Costs::default();
    road.phones.iter().for_each(|phone| costs += phone.costs);
    Report {
        engine: match options.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
        },
        phones: options.phones,
        seed: options.seed,
        faults: options.faults,
        captured: road.captured.len(),
        reassigned: road.reassigned,
        server_kills: road.server_kills(),
        phone_kills: costs.kills,
        connections_harmed: road.harmed(),
        logins: costs.logins,
        syncs: costs.syncs,
        round_trips: costs.round_trips,
        bytes_up: costs.bytes_up,
        bytes_down: costs.bytes_down,
        ..Report::default()
    }
}

async fn sums(tx: &mut Tx, report: &mut Report) -> anyhow::Result<()> {
    report.accounts = number(tx, COUNT_ACCOUNTS).await?;
    report.overpaid_accounts = number(tx, COUNT_OVERPAID).await?;
    report.quarantined = number(tx, COUNT_QUARANTINED).await?;
    report.ledger_minor = number(tx, LEDGER).await?;
    report.duplicates_posted = number(tx, COUNT_POSTED_TWICE).await?;
    let unbalanced = number(tx, COUNT_UNBALANCED).await?;
    report.journals_balanced = unbalanced == 0;
    report.expect(unbalanced == 0, || format!("{unbalanced} journals do not sum to zero"));
    let (cash, suspense) = (number(tx, OFFICERS_CASH).await?, number(tx, SUSPENSE).await?);
    let booked = report.ledger_minor + suspense;
    report.expect(cash == booked, || format!("officers hold {cash}, but {booked} was booked against their cash"));
    Ok(())
}

async fn number(tx: &mut Tx, sql: &'static str) -> anyhow::Result<i64> {
    Ok(on_db!(tx, conn => sqlx::query_scalar(sql).fetch_one(conn).await)?)
}

/// What the folder itself says.
fn expected(road: &Road<'_>, report: &mut Report) {
    let mut paid: BTreeMap<u64, i64> = BTreeMap::new();
    for payment in road.kiva.payments.iter().filter(|payment| road.kiva.schedules.contains_key(&payment.loan)) {
        *paid.entry(payment.loan).or_default() += payment.amount_minor;
    }
    let owed = |loan: &u64| road.kiva.schedules[loan].iter().map(|line| line.amount_minor).sum::<i64>();
    report.expected_minor = paid.values().sum();
    let overpaid = paid.iter().filter(|(loan, paid)| **paid > owed(loan)).count();
    report.expected_overpaid_accounts = i64::try_from(overpaid).unwrap_or(i64::MAX);
    let (ledger, expected) = (report.ledger_minor, report.expected_minor);
    report.expect(ledger == expected, || format!("the ledger has {ledger}, the folder {expected}"));
    let (found, expected) = (report.overpaid_accounts, report.expected_overpaid_accounts);
    report.expect(found == expected, || format!("{found} accounts are overpaid, by the folder {expected}"));
    let schedules = i64::try_from(road.kiva.schedules.len()).unwrap_or(i64::MAX);
    let accounts = report.accounts;
    report.expect(accounts == schedules, || format!("{accounts} accounts for {schedules} schedules"));
}

/// Every capture has one outcome, which the phone that made it knows; there is nothing else.
fn outcomes(books: &Books, road: &Road<'_>, report: &mut Report) {
    for (_, (_, outcome)) in books.entries.values() {
        match outcome.state.code() {
            "posted" => report.posted += 1,
            "held" => report.held += 1,
            "refused" => report.refused += 1,
            _ => {}
        }
        for flag in outcome.flags.iter().flatten() {
            *report.flagged.entry(flag.code().to_owned()).or_default() += 1;
        }
    }
    let captured: BTreeSet<_> = road.captured.iter().map(|captured| captured.id).collect();
    let lost: Vec<_> = captured.iter().filter(|id| !books.entries.contains_key(id)).collect();
    report.lost = lost.len();
    report.expect(lost.is_empty(), || format!("{} captures are lost, such as {}", lost.len(), lost[0]));
    let strange = books.entries.keys().filter(|id| !captured.contains(id)).count();
    report.expect(strange == 0, || format!("the server has {strange} entries that nobody captured"));
    let (posted, all) = (report.posted, captured.len());
    report.expect(usize::try_from(posted) == Ok(all), || format!("{posted} of {all} captures are posted"));
}

/// Every posted payment is one capture's, with its amount and value date, and each once.
fn payments(books: &Books, road: &Road<'_>, report: &mut Report) {
    let mut wrong = Vec::new();
    for captured in &road.captured {
        let payment = captured.payment;
        let expected = (Some(payment.loan.to_string()), payment.amount_minor, payment.value_date, "posted".to_owned());
        match books.payments.get(&captured.id) {
            Some(found) if *found == expected => {}
            found => wrong.push(format!("payment {}: {found:?} instead of {expected:?}", payment.id)),
        }
    }
    tell(report, wrong, "payments are not what was captured");
    let extra = books.payments.len().saturating_sub(road.captured.len());
    report.duplicates_posted += i64::try_from(extra).unwrap_or(i64::MAX);
    let twice = report.duplicates_posted;
    report.expect(twice == 0, || format!("{twice} payments are there more than once"));
}

/// Every account is paid as the folder says.
fn accounts(books: &Books, road: &Road<'_>, report: &mut Report) {
    let mut paid: BTreeMap<u64, i64> = BTreeMap::new();
    for captured in &road.captured {
        *paid.entry(captured.payment.loan).or_default() += captured.payment.amount_minor;
    }
    let mut wrong = Vec::new();
    for (loan, lines) in &road.kiva.schedules {
        let owed: i64 = lines.iter().map(|line| line.amount_minor).sum();
        let paid = paid.get(loan).copied().unwrap_or(0);
        let expected = (paid.min(owed), (paid - owed).max(0), (owed - paid).max(0));
        match books.accounts.get(&loan.to_string()) {
            Some(found) if *found == expected => {}
            found => wrong.push(format!("account {loan}: {found:?} instead of {expected:?}")),
        }
    }
    tell(report, wrong, "accounts are not paid as the folder says");
}

fn tell(report: &mut Report, wrong: Vec<String>, what: &str) {
    let count = wrong.len();
    report.expect(count == 0, || format!("{count} {what}"));
    report.broken.extend(wrong.into_iter().take(TOLD_MAX));
}

/// Where a phone differs from what the server has for its caseload.
fn compare_with_books(
    store: &Store,
    dealt: &BTreeMap<DossierId, u64>,
    books: &Books,
) -> anyhow::Result<Option<String>> {
    let unanswered = store.unanswered()?;
    if !unanswered.is_empty() {
        return Ok(Some(format!("{} captures have no verdict", unanswered.len())));
    }
    let held: BTreeMap<_, _> = store.dossiers()?.into_iter().collect();
    if held != *dealt {
        let missing = dealt.keys().filter(|dossier| !held.contains_key(dossier)).count();
        let more = held.keys().filter(|dossier| !dealt.contains_key(dossier)).count();
        return Ok(Some(format!("{missing} cases are missing, {more} are not its own, or versions differ")));
    }
    for dossier in dealt.keys() {
        let found = entries_of(store, *dossier)?;
        let expected = books.by_dossier.get(dossier);
        if Some(&found) != expected && !(found.is_empty() && expected.is_none()) {
            let none = BTreeMap::new();
            return Ok(Some(differing_entries(*dossier, &found, expected.unwrap_or(&none))));
        }
    }
    Ok(None)
}

fn differing_entries(
    dossier: DossierId,
    found: &BTreeMap<EntryId, Held>,
    expected: &BTreeMap<EntryId, Held>,
) -> String {
    let missing = expected.keys().filter(|id| !found.contains_key(id)).count();
    let more = found.keys().filter(|id| !expected.contains_key(id)).count();
    let outcomes = found.iter().filter(|(id, held)| expected.get(id).is_some_and(|other| other != *held)).count();
    format!("of the entries of {dossier} {missing} are missing, {more} too many, {outcomes} with another outcome")
}

/// A dossier's entries with their outcomes; one without is not comparable with anything.
fn entries_of(store: &Store, dossier: DossierId) -> anyhow::Result<BTreeMap<EntryId, Held>> {
    let mut entries = BTreeMap::new();
    for (id, bytes, outcome) in store.entries_of(dossier)? {
        let outcome = outcome.with_context(|| format!("entry {id} has no outcome on the phone"))?;
        entries.insert(id, (bytes, outcome));
    }
    Ok(entries)
}

/// Where two stores of one officer differ.
pub fn compare_stores(one: &Store, other: &Store) -> anyhow::Result<Option<String>> {
    let (dossiers, others) = (one.dossiers()?, other.dossiers()?);
    if dossiers != others {
        return Ok(Some(format!("holds {} dossiers, a fresh phone {}", dossiers.len(), others.len())));
    }
    for (dossier, _) in dossiers {
        let differs = if entries_of(one, dossier)? != entries_of(other, dossier)? {
            "entries"
        } else if one.facts_of(dossier)? != other.facts_of(dossier)? {
            "facts"
        } else if one.board_of(dossier)? != other.board_of(dossier)? {
            "board"
        } else {
            continue;
        };
        return Ok(Some(format!("the {differs} of {dossier} differ from a fresh phone's")));
    }
    Ok(None)
}

type EntryRow = (EntryId, DossierId, Vec<u8>, String, Option<Reason>, Option<String>);
type PaymentRow = (EntryId, Option<String>, i64, Date, String);

impl Books {
    async fn read(tx: &mut Tx) -> anyhow::Result<Self> {
        let mut entries = BTreeMap::new();
        let mut by_dossier: BTreeMap<DossierId, BTreeMap<EntryId, Held>> = BTreeMap::new();
        let rows: Vec<EntryRow> = on_db!(&mut *tx, conn => sqlx::query_as(SELECT_ENTRIES).fetch_all(conn).await)?;
        for (id, dossier, bytes, state, reason, flags) in rows {
            let held = (bytes, outcome_of(&state, reason, flags.as_deref())?);
            by_dossier.entry(dossier).or_default().insert(id, held.clone());
            entries.insert(id, (dossier, held));
        }
        let rows: Vec<PaymentRow> = on_db!(&mut *tx, conn => sqlx::query_as(SELECT_PAYMENTS).fetch_all(conn).await)?;
        let payments = rows.into_iter().map(|(id, number, minor, date, state)| (id, (number, minor, date, state)));
        let payments = payments.collect();
        let rows: Vec<(String, i64, i64, i64)> =
            on_db!(&mut *tx, conn => sqlx::query_as(SELECT_ACCOUNTS).fetch_all(conn).await)?;
        let accounts = rows.into_iter().map(|(number, paid, credit, left)| (number, (paid, credit, left))).collect();
        let mut dealt: BTreeMap<CaseloadId, BTreeMap<DossierId, u64>> = BTreeMap::new();
        let rows: Vec<(CaseloadId, DossierId, i64)> =
            on_db!(&mut *tx, conn => sqlx::query_as(SELECT_DEALT).fetch_all(conn).await)?;
        for (caseload, dossier, version) in rows {
            dealt.entry(caseload).or_default().insert(dossier, version.cast_unsigned());
        }
        Ok(Self { entries, by_dossier, payments, accounts, dealt })
    }
}

/// Runs `daybook verify` on the database.
pub async fn verify(report: &mut Report, program: &Path, office: &Office) -> anyhow::Result<()> {
    let output = process::verify(program, &office.db_url, &office.keys).await?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    report.verified = output.status.success();
    match output.status.code() {
        Some(0) => Ok(()),
        Some(1) => {
            report.broken.push(format!("daybook verify: {}", said.trim()));
            Ok(())
        }
        _ => bail!("daybook verify ended with {}: {}", output.status, said.trim()),
    }
}
