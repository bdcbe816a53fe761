//! Writes what a group of envelopes brought about: one statement a table and batch, caseloads last.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::{Channel, EntryType};
use daybook_shared::ids::{ChangeHash, DossierId, EntryId, EnvelopeId, PaymentId};
use daybook_shared::money::Currency;
use daybook_shared::time::Timestamp;
use daybook_shared::wire::outcome::{Outcome, Reason};

use super::effects::{ChangedOutcome, Effects, MergedChange, NewEntry, NewTimelineEvent};
use super::records::rows;
use super::world::{About, Account, Dossier, LineMoney, World};
use crate::attachments::{self, settle};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::ledger::journal;
use crate::portfolio::account;
use crate::portfolio::feed::{self, FeedRow};
use crate::portfolio::settlement;
use crate::portfolio::versions::{self, NewVersion};

/// Writes everything that changed.
pub async fn persist(tx: &mut Tx, world: &mut World, mut effects: Effects, now: Timestamp) -> sqlx::Result<()> {
    insert_dossiers(tx, world).await?;
    update_installs(tx, world).await?;
    batch::execute(tx, &effects.envelopes, INSERT_ENVELOPES).await?;
    batch::execute(tx, &effects.acknowledgements, INSERT_ACKNOWLEDGEMENTS).await?;
    insert_entries(tx, world, &effects.entries).await?;
    attachments::insert_named(tx, &effects.attachments).await?;
    insert_typed(tx, &effects).await?;
    rows::insert(tx, &effects.records).await?;
    write_money(tx, world, &mut effects, now).await?;
    settle::correct(tx, &mut effects.outcomes).await?;
    write_outcomes(tx, &effects).await?;
    write_boards(tx, world, &effects).await?;
    batch::execute(tx, &timeline_rows(world, &effects.timeline), INSERT_TIMELINE).await?;
    upsert_cash(tx, &effects.cash).await?;
    update_dossiers(tx, world).await?;
    append_feed(tx, world).await
}

const INSERT_ENVELOPES: &str = "insert into envelope (install_id, number, uid, bytes, received_at, erased_at)
     select install_id, number, uid, bytes, received_at, erased_at from v where true";
const INSERT_ACKNOWLEDGEMENTS: &str = "insert into acknowledgement (device_id, hash, at)
     select device_id, hash, at from v where true on conflict do nothing";

batch_row! {
    struct DossierRow {
        uid: DossierId => "uuid",
        kind: String => "text",
        user_id: Option<i64> => "bigint",
        agent_id: Option<i64> => "bigint",
        caseload_id: Option<i64> => "bigint",
        epoch: i64 => "bigint",
    }
}
batch_row! {
    struct AssignmentRow {
        dossier_id: i64 => "bigint",
        epoch: i64 => "bigint",
        caseload_id: Option<i64> => "bigint",
        at: Timestamp => "timestamptz",
    }
}

/// Dossiers that their first entry opens. Two phones of one officer may open the same day at once:
/// the second finds it there.
const INSERT_DOSSIERS: &str =
    "insert into dossier (uid, kind, user_id, agent_id, caseload_id, epoch, version, profile_version,
       schedule_version, state_version, promises_version, timeline_version, board_version)
     select uid, kind, user_id, agent_id, caseload_id, epoch, 0, 0, 0, 0, 0, 0, 0 from v where true
     returning uid, id";
/// Dossiers that an entry had named before they were about anything.
const UPDATE_DOSSIERS_NAMED: &str = "update dossier set kind = v.kind, user_id = v.user_id, agent_id = v.agent_id,
       caseload_id = v.caseload_id, epoch = v.epoch from v where dossier.uid = v.uid";
const INSERT_ASSIGNMENTS: &str = "insert into assignment (dossier_id, epoch, caseload_id, at)
     select dossier_id, epoch, caseload_id, at from v where true";

async fn insert_dossiers(tx: &mut Tx, world: &mut World) -> sqlx::Result<()> {
    // One that nothing came to be in (its entries were refused, its envelope not taken) is not written.
    let opened = |dossier: &&Dossier| dossier.opened && dossier.dirty;
    let (named, new): (Vec<_>, Vec<_>) = world.dossiers.values().filter(opened).partition(|dossier| dossier.id != 0);
    let rows: Vec<_> = named.into_iter().map(dossier_row).collect();
    batch::execute(tx, &rows, UPDATE_DOSSIERS_NAMED).await?;
    let rows: Vec<_> = new.into_iter().map(dossier_row).collect();
    let keys: Vec<(DossierId, i64)> = batch::insert(tx, &rows, INSERT_DOSSIERS).await?;
    for (uid, id) in keys {
        world.dossiers.get_mut(&uid).ok_or(sqlx::Error::RowNotFound)?.id = id;
    }
    let assignments = world.dossiers.values().filter(opened).filter_map(|dossier| {
        let (at, caseload_id) = *dossier.history.first()?;
        Some(AssignmentRow { dossier_id: dossier.id, epoch: dossier.epoch, caseload_id, at })
    });
    batch::execute(tx, &assignments.collect::<Vec<_>>(), INSERT_ASSIGNMENTS).await?;
    Ok(())
}

fn dossier_row(dossier: &Dossier) -> DossierRow {
    let (kind, user_id, agent_id) = match dossier.about {
        About::Day(user) => ("day", Some(user), None),
        About::Agent(agent) => ("agent", None, Some(agent)),
        About::Case(_) | About::Unknown => ("unknown", None, None),
    };
    let (kind, caseload_id, epoch) = (kind.to_owned(), dossier.caseload, dossier.epoch);
    DossierRow { uid: dossier.uid, kind, user_id, agent_id, caseload_id, epoch }
}

batch_row! {
    struct InstallRow {
        id: i64 => "bigint",
        last_number: i64 => "bigint",
        last_envelope: EnvelopeId => "bytea",
        after_at: Option<Timestamp> => "timestamptz",
    }
}

const UPDATE_INSTALLS: &str = "update install set last_number = v.last_number, last_envelope = v.last_envelope,
       after_at = v.after_at, failures = 0 from v where install.id = v.id";

async fn update_installs(tx: &mut Tx, world: &World) -> sqlx::Result<()> {
    let changed = world.installs.values().filter(|install| install.dirty).map(|install| InstallRow {
        id: install.id,
        last_number: install.last_number,
        last_envelope: install.last_envelope,
        after_at: install.after_at,
    });
    batch::execute(tx, &changed.collect::<Vec<_>>(), UPDATE_INSTALLS).await?;
    Ok(())
}

batch_row! {
    struct EntryRow {
        uid: EntryId => "uuid",
        dossier_id: i64 => "bigint",
        version: i64 => "bigint",
        entry_type: EntryType => "text",
        device_id: i64 => "bigint",
        install_id: i64 => "bigint",
        user_id: i64 => "bigint",
        bytes: Vec<u8> => "bytea",
        confidential: bool => "boolean",
        captured_at: Timestamp => "timestamptz",
        received_at: Timestamp => "timestamptz",
        outcome: String => "text",
        reason: Option<Reason> => "text",
        flags: Option<String> => "text",
    }
}

const INSERT_ENTRIES: &str =
    "insert into entry (uid, dossier_id, version, outcome_version, entry_type, device_id, install_id,
       user_id, bytes, confidential, captured_at, received_at, outcome, reason, flags)
     select uid, dossier_id, version, version, entry_type, device_id, install_id, user_id, bytes, confidential,
       captured_at, received_at, outcome, reason, flags from v where true";

async fn insert_entries(tx: &mut Tx, world: &World, entries: &[NewEntry]) -> sqlx::Result<()> {
    let rows = entries.iter().map(|entry| EntryRow {
        uid: entry.uid,
        dossier_id: key_of(world, entry.dossier),
        version: entry.version,
        entry_type: entry.entry_type.clone(),
        device_id: entry.device_id,
        install_id: entry.install_id,
        user_id: entry.user_id,
        bytes: entry.bytes.clone(),
        confidential: entry.confidential,
        captured_at: entry.captured_at,
        received_at: entry.received_at,
        outcome: entry.outcome.state.code().to_owned(),
        reason: entry.outcome.reason.clone(),
        flags: flags_text(&entry.outcome),
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), INSERT_ENTRIES).await?;
    Ok(())
}

fn key_of(world: &World, dossier: DossierId) -> i64 {
    world.dossiers[&dossier].id
}

/// The flags as one column holds them; none when there are none.
fn flags_text(outcome: &Outcome) -> Option<String> {
    let flags = outcome.flags.as_ref()?;
    Some(flags.iter().map(daybook_shared::wire::outcome::Flag::code).collect::<Vec<_>>().join(" "))
}

const INSERT_VISITS: &str = "insert into visit (entry_uid, dossier_id, user_id, kind, outcome, person_met, identity_verified, started_at,
       ended_at, lat_e6, lon_e6)
     select v.entry_uid, d.id, v.user_id, v.kind, v.outcome, v.person_met, v.identity_verified, v.started_at, v.ended_at,
       v.lat_e6, v.lon_e6 from v join dossier d on d.uid = v.dossier where true";
const INSERT_CORRECTIONS: &str = "insert into correction (entry_uid, target, kind, user_id, captured_at, status)
     select entry_uid, target, kind, user_id, captured_at, 'requested' from v where true";
const INSERT_HANDOVERS: &str =
    "insert into cash_handover (entry_uid, user_id, recipient, declared_minor, currency, captured_at, status)
     select entry_uid, user_id, recipient, declared_minor, currency, captured_at, 'declared' from v where true";
const INSERT_HANDOVER_ITEMS: &str =
    "insert into handover_item (payment_uid, entry_uid) select payment_uid, entry_uid from v where true";
const INSERT_CHECKS: &str =
    "insert into transaction_check (entry_uid, agent_uid, user_id, txn_ref, txn_type, amount_minor, currency,
       txn_at, book_amount_minor, result)
     select entry_uid, agent_uid, user_id, txn_ref, txn_type, amount_minor, currency, txn_at, book_amount_minor, result
     from v where true";
const INSERT_PROMISES: &str =
    "insert into promise (entry_uid, account_id, user_id, amount_minor, promised_date, captured_at, status)
     select entry_uid, account_id, user_id, amount_minor, promised_date, captured_at, status from v where true";
const SUPERSEDE_PROMISES: &str = "update promise set status = 'SUPERSEDED' from v where promise.entry_uid = v.uid";

async fn insert_typed(tx: &mut Tx, effects: &Effects) -> sqlx::Result<()> {
    batch::execute(tx, &effects.visits, INSERT_VISITS).await?;
    batch::execute(tx, &effects.corrections, INSERT_CORRECTIONS).await?;
    batch::execute(tx, &effects.handovers, INSERT_HANDOVERS).await?;
    batch::execute(tx, &effects.handover_items, INSERT_HANDOVER_ITEMS).await?;
    batch::execute(tx, &effects.checks, INSERT_CHECKS).await?;
    batch::execute(tx, &effects.promises, INSERT_PROMISES).await?;
    let superseded: Vec<_> = effects.superseded.iter().map(|&uid| EntryKey { uid }).collect();
    batch::execute(tx, &superseded, SUPERSEDE_PROMISES).await?;
    Ok(())
}

batch_row! {
    struct EntryKey { uid: EntryId => "uuid" }
}
batch_row! {
    struct ClaimKey { receipt_no: String => "text", payment_uid: PaymentId => "uuid" }
}

const INSERT_PAYMENTS: &str =
    "insert into payment (uid, account_id, user_id, source, channel, amount_minor, currency, receipt_no,
       external_ref, value_date, booked_on, state, debited)
     select uid, account_id, user_id, 'field', channel, amount_minor, currency, receipt_no, external_ref, value_date,
       booked_on, state, debited from v where true";
const UPDATE_PAYMENTS: &str = "update payment set account_id = coalesce(v.account_id, payment.account_id),
       amount_minor = v.amount_minor, currency = v.currency, booked_on = v.booked_on, state = v.state,
       debited = v.debited, value_date = v.value_date, receipt_no = coalesce(v.receipt_no, payment.receipt_no),
       external_ref = coalesce(v.external_ref, payment.external_ref)
     from v where payment.uid = v.uid";
const MOVE_CLAIMS: &str =
    "update receipt_claim set payment_uid = v.payment_uid from v where receipt_claim.receipt_no = v.receipt_no";
const DROP_CLAIMS: &str = "delete from receipt_claim where receipt_no in (select receipt_no from v)";

async fn write_money(tx: &mut Tx, world: &mut World, effects: &mut Effects, now: Timestamp) -> sqlx::Result<()> {
    batch::execute(tx, &effects.payments, INSERT_PAYMENTS).await?;
    batch::execute(tx, &effects.payment_states, UPDATE_PAYMENTS).await?;
    let row = |(receipt_no, payment_uid): &(String, PaymentId)| ClaimKey {
        receipt_no: receipt_no.clone(),
        payment_uid: *payment_uid,
    };
    let moved: Vec<_> = effects.claims_moved.iter().map(row).collect();
    batch::execute(tx, &moved, MOVE_CLAIMS).await?;
    let unused = world.claims.iter().filter(|(_, claim)| claim.fresh);
    let unused: Vec<_> = unused.map(|(receipt, claim)| row(&(receipt.clone(), claim.payment))).collect();
    batch::execute(tx, &unused, DROP_CLAIMS).await?;
    match_lines(tx, world).await?;
    settlement::follow(tx, world, effects).await?;
    journal::insert(tx, &effects.journals, now).await?;
    let changed: Vec<&Account> = world.accounts.values().filter(|account| account.dirty).collect();
    let rows: Vec<_> = changed.iter().map(|account| account.row.clone()).collect();
    account::save_accounts(tx, &rows).await?;
    let mut instalments = Vec::new();
    let (new, changed_only): (Vec<&Account>, Vec<&Account>) =
        changed.iter().copied().partition(|account| account.rescheduled.is_some());
    let new = new.into_iter().filter_map(|account| {
        let (account_id, version) = (account.row.id, account.row.schedule_version);
        let earned = account.rescheduled.as_ref()?;
        Some(NewVersion { account_id, version, instalments: &account.instalments, earned })
    });
    versions::insert(tx, &new.collect::<Vec<_>>()).await?;
    for account in changed_only {
        let touched = account.instalments.iter().filter(|instalment| account.touched.contains(&instalment.n));
        instalments.extend(touched.map(|instalment| (account.row.id, account.row.schedule_version, *instalment)));
    }
    account::save_instalments(tx, &instalments).await?;
    let (replayed, appended): (Vec<_>, Vec<_>) = changed.into_iter().partition(|account| account.replayed);
    let rows =
        |accounts: &[&Account]| accounts.iter().flat_map(|account| account.allocated.clone()).collect::<Vec<_>>();
    account::insert_allocations(tx, &rows(&appended)).await?;
    let keys: Vec<_> = replayed.iter().map(|account| account.row.id).collect();
    account::replace_allocations(tx, &keys, &rows(&replayed)).await
}

batch_row! {
    struct LineRow {
        channel: Channel => "text",
        external_ref: String => "text",
        payment_uid: PaymentId => "uuid",
        entry_uid: EntryId => "uuid",
    }
}

const MATCH_LINES: &str =
    "update statement_line set payment_uid = v.payment_uid, entry_uid = v.entry_uid, reason = null
     from v where statement_line.channel = v.channel and statement_line.external_ref = v.external_ref";

/// Providers' lines that found their captures.
async fn match_lines(tx: &mut Tx, world: &World) -> sqlx::Result<()> {
    let rows = world.lines.iter().filter(|(_, line)| line.matched).filter_map(|((channel, external_ref), line)| {
        let LineMoney::Posted(payment_uid) = line.money else { return None };
        let (channel, external_ref) = (channel.clone(), external_ref.clone());
        Some(LineRow { channel, external_ref, payment_uid, entry_uid: line.entry? })
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), MATCH_LINES).await?;
    Ok(())
}

batch_row! {
    struct OutcomeRow {
        id: i64 => "bigint",
        outcome_version: i64 => "bigint",
        outcome: String => "text",
        reason: Option<Reason> => "text",
        flags: Option<String> => "text",
    }
}
batch_row! {
    struct NewsRow { device_id: i64 => "bigint", entry_id: i64 => "bigint" }
}
batch_row! {
    struct WaitingRow { reference: EntryId => "uuid", entry_uid: EntryId => "uuid" }
}
batch_row! {
    struct Key { id: i64 => "bigint" }
}

const UPDATE_OUTCOMES: &str =
    "update entry set outcome_version = v.outcome_version, outcome = v.outcome, reason = v.reason,
       flags = v.flags from v where entry.id = v.id";
const ADVANCE_NEWS: &str = "update device set news_seq = device.news_seq + 1 from v where device.id = v.id returning device.id, device.news_seq";
const INSERT_NEWS: &str = "insert into outcome_news (device_id, seq, entry_id)
     select d.id, d.news_seq, v.entry_id from v join device d on d.id = v.device_id where true";
const INSERT_WAITING: &str =
    "insert into waiting (ref, entry_id) select v.reference, e.id from v join entry e on e.uid = v.entry_uid where true
     on conflict do nothing";
const DELETE_WAITING: &str = "delete from waiting where entry_id in (select id from v)";

async fn write_outcomes(tx: &mut Tx, effects: &Effects) -> sqlx::Result<()> {
    let rows: Vec<_> = effects.outcomes.iter().map(outcome_row).collect();
    batch::execute(tx, &rows, UPDATE_OUTCOMES).await?;
    for changed in &effects.outcomes {
        // One number each: a device confirms its news by the highest it has seen.
        let device = [Key { id: changed.device_id }];
        let _: Vec<(i64, i64)> = batch::fetch(tx, &device, ADVANCE_NEWS).await?;
        batch::execute(tx, &[NewsRow { device_id: changed.device_id, entry_id: changed.entry_id }], INSERT_NEWS)
            .await?;
    }
    let waited: Vec<_> = effects.waited.iter().map(|&id| Key { id }).collect();
    batch::execute(tx, &waited, DELETE_WAITING).await?;
    let waiting = effects.waiting.iter().map(|&(reference, entry_uid)| WaitingRow { reference, entry_uid });
    batch::execute(tx, &waiting.collect::<Vec<_>>(), INSERT_WAITING).await?;
    Ok(())
}

fn outcome_row(changed: &ChangedOutcome) -> OutcomeRow {
    OutcomeRow {
        id: changed.entry_id,
        outcome_version: changed.outcome_version,
        outcome: changed.outcome.state.code().to_owned(),
        reason: changed.outcome.reason.clone(),
        flags: flags_text(&changed.outcome),
    }
}

batch_row! {
    struct BoardRow { dossier_id: i64 => "bigint", bytes: Vec<u8> => "bytea" }
}
batch_row! {
    struct BoardChangeRow {
        dossier_id: i64 => "bigint",
        version: i64 => "bigint",
        hash: ChangeHash => "bytea",
        bytes: Vec<u8> => "bytea",
        user_id: i64 => "bigint",
        install_id: Option<i64> => "bigint",
        at: Timestamp => "timestamptz",
    }
}
batch_row! {
    struct QuarantinedBytes { id: i64 => "bigint", bytes: i64 => "bigint" }
}

const UPSERT_BOARDS: &str = "insert into board (dossier_id, bytes) select dossier_id, bytes from v where true
     on conflict (dossier_id) do update set bytes = excluded.bytes";
const INSERT_BOARD_CHANGES: &str =
    "insert into board_change (dossier_id, version, hash, bytes, user_id, install_id, at)
     select dossier_id, version, hash, bytes, user_id, install_id, at from v where true";
const INSERT_QUARANTINE: &str = "insert into quarantine (uid, dossier_uid, dossier_id, install_id, user_id, number, position, actor_n, bytes,
       reason, at)
     select uid, dossier_uid, dossier_id, install_id, user_id, number, position, actor_n, bytes, reason, at from v where true";
const ADD_QUARANTINED_BYTES: &str = "update device set quarantined_bytes = device.quarantined_bytes + v.bytes from v, install i where i.id = v.id and device.id = i.device_id";

async fn write_boards(tx: &mut Tx, world: &World, effects: &Effects) -> sqlx::Result<()> {
    let boards =
        effects.boards.iter().map(|(uid, bytes)| BoardRow { dossier_id: key_of(world, *uid), bytes: bytes.clone() });
    batch::execute(tx, &boards.collect::<Vec<_>>(), UPSERT_BOARDS).await?;
    let rows = effects.board_changes.iter().map(|change| board_change_row(world, change));
    batch::execute(tx, &rows.collect::<Vec<_>>(), INSERT_BOARD_CHANGES).await?;
    batch::execute(tx, &effects.quarantined, INSERT_QUARANTINE).await?;
    let mut kept: BTreeMap<i64, i64> = BTreeMap::new();
    for row in &effects.quarantined {
        *kept.entry(row.install_id).or_default() += i64::try_from(row.bytes.len()).unwrap_or(i64::MAX);
    }
    let kept: Vec<_> = kept.into_iter().map(|(id, bytes)| QuarantinedBytes { id, bytes }).collect();
    batch::execute(tx, &kept, ADD_QUARANTINED_BYTES).await?;
    Ok(())
}

fn board_change_row(world: &World, change: &MergedChange) -> BoardChangeRow {
    BoardChangeRow {
        dossier_id: key_of(world, change.dossier),
        version: change.version,
        hash: change.hash,
        bytes: change.bytes.clone(),
        user_id: change.user_id,
        install_id: change.install_id,
        at: change.at,
    }
}

batch_row! {
    struct TimelineRow {
        dossier_id: i64 => "bigint",
        version: i64 => "bigint",
        at: Timestamp => "timestamptz",
        code: String => "text",
        amount_minor: Option<i64> => "bigint",
        user_id: i64 => "bigint",
    }
}

const INSERT_TIMELINE: &str = "insert into timeline_event (dossier_id, version, at, code, amount_minor, user_id)
     select dossier_id, version, at, code, amount_minor, user_id from v where true";

fn timeline_rows(world: &World, events: &[NewTimelineEvent]) -> Vec<TimelineRow> {
    let row = |event: &NewTimelineEvent| TimelineRow {
        dossier_id: key_of(world, event.dossier),
        version: event.version,
        at: event.at,
        code: event.code.to_owned(),
        amount_minor: event.amount_minor,
        user_id: event.user_id,
    };
    events.iter().map(row).collect()
}

batch_row! {
    struct CashRow { user_id: i64 => "bigint", currency: Currency => "text", minor: i64 => "bigint" }
}

const UPSERT_CASH: &str =
    "insert into officer_cash (user_id, currency, minor) select user_id, currency, minor from v where true
     on conflict (user_id, currency) do update set minor = officer_cash.minor + excluded.minor";

async fn upsert_cash(tx: &mut Tx, cash: &BTreeMap<(i64, Currency), i64>) -> sqlx::Result<()> {
    let rows = cash.iter().filter(|(_, minor)| **minor != 0);
    let rows = rows.map(|(&(user_id, currency), &minor)| CashRow { user_id, currency, minor });
    batch::execute(tx, &rows.collect::<Vec<_>>(), UPSERT_CASH).await?;
    Ok(())
}

batch_row! {
    struct DossierVersions {
        id: i64 => "bigint",
        version: i64 => "bigint",
        profile_version: Option<i64> => "bigint",
        schedule_version: Option<i64> => "bigint",
        state_version: Option<i64> => "bigint",
        promises_version: Option<i64> => "bigint",
        timeline_version: Option<i64> => "bigint",
        board_version: Option<i64> => "bigint",
    }
}

const UPDATE_DOSSIERS: &str = "update dossier set version = v.version,
       profile_version = coalesce(v.profile_version, dossier.profile_version),
       schedule_version = coalesce(v.schedule_version, dossier.schedule_version),
       state_version = coalesce(v.state_version, dossier.state_version),
       promises_version = coalesce(v.promises_version, dossier.promises_version),
       timeline_version = coalesce(v.timeline_version, dossier.timeline_version),
       board_version = coalesce(v.board_version, dossier.board_version)
     from v where dossier.id = v.id";

async fn update_dossiers(tx: &mut Tx, world: &World) -> sqlx::Result<()> {
    let rows = world.dossiers.values().filter(|dossier| dossier.dirty).map(|dossier| DossierVersions {
        id: dossier.id,
        version: dossier.version,
        profile_version: dossier.profile_changed.then_some(dossier.version),
        schedule_version: dossier.schedule_changed.then_some(dossier.version),
        state_version: dossier.state_changed.then_some(dossier.version),
        promises_version: dossier.promises_changed.then_some(dossier.version),
        timeline_version: dossier.timeline_changed.then_some(dossier.version),
        board_version: dossier.board_changed.then_some(dossier.version),
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), UPDATE_DOSSIERS).await?;
    Ok(())
}

async fn append_feed(tx: &mut Tx, world: &World) -> sqlx::Result<()> {
    let changed = world.dossiers.values().filter(|dossier| dossier.dirty);
    let rows = changed.filter_map(|dossier| {
        let (dossier_id, version, epoch) = (dossier.id, dossier.version, dossier.epoch);
        Some(FeedRow { caseload_id: dossier.caseload?, dossier_id, version, epoch, gone: None })
    });
    let rows: Vec<_> = rows.collect();
    debug_assert_eq!(rows.iter().map(|row| row.dossier_id).collect::<BTreeSet<_>>().len(), rows.len());
    feed::append(tx, rows).await?;
    Ok(())
}
