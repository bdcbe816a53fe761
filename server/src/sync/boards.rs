//! Board changes: judged before the writer is taken, and again under their dossier's lock if the board
//! moved since.
//!
//! A change that fails is kept apart for a supervisor; an entry never waits for a board.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::board::{self, BoardKind, BoardRole, Confirmed, Expected, Verdict};
use daybook_shared::ids::{ChangeHash, DossierId, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::limits::QUARANTINED_BYTES_MAX;
use daybook_shared::wire::outcome::{BoardReason, BoardState, BoardVerdict};

use super::effects::{Effects, MergedChange, QuarantineRow};
use super::take::Item;
use super::world::World;
use crate::app::App;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// A board change and what its own checks said.
#[derive(Debug, Clone)]
pub struct PreparedChange {
    /// The version of the board it was judged against; none where there was no such dossier.
    pub base: Option<i64>,
    /// What the checks said.
    pub judged: Judged,
}

/// What the board's own checks said.
#[derive(Debug, Clone)]
pub enum Judged {
    /// Merges.
    Admitted {
        /// Its hash.
        hash: ChangeHash,
        /// The board with it, saved.
        board: Vec<u8>,
    },
    /// Part of the board already.
    Duplicate,
    /// Does not merge, with the stable code.
    Rejected(String),
}

batch_row! {
    struct DossierKey { uid: DossierId => "uuid" }
}

#[derive(sqlx::FromRow)]
struct BoardRow {
    uid: DossierId,
    kind: String,
    board_version: i64,
    bytes: Option<Vec<u8>>,
}

const SELECT_BOARDS: &str = "select d.uid, d.kind, d.board_version, b.bytes
     from v join dossier d on d.uid = v.uid left join board b on b.dossier_id = d.id";
const SELECT_QUARANTINED: &str =
    "select distinct q.dossier_uid, q.actor_n from quarantine q join install i on i.id = q.install_id
     where i.device_id = $1 and i.uid = $2";

/// Judges an envelope's board changes, each on top of the ones before it, on a read snapshot.
pub async fn prepare(tx: &mut Tx, item: &mut Item) -> sqlx::Result<()> {
    let Item { arrived, role, own_days, boards_excluded, .. } = &*item;
    let changes = &arrived.envelope.body.board;
    let header = &arrived.envelope.header;
    let uids: BTreeSet<_> = changes.iter().map(|change| change.dossier).collect();
    let keys: Vec<_> = uids.into_iter().map(|uid| DossierKey { uid }).collect();
    let rows: Vec<BoardRow> = batch::fetch(tx, &keys, SELECT_BOARDS).await?;
    let mut boards = BTreeMap::new();
    for row in rows {
        boards.insert(row.uid, (row.board_version, confirmed(&row.kind, row.bytes.as_deref())?));
    }
    let (device_id, install) = (arrived.device_id, header.install);
    let ended: Vec<(DossierId, i64)> = on_db!(tx, conn => {
        sqlx::query_as(SELECT_QUARANTINED).bind(device_id).bind(install).fetch_all(conn).await
    })?;
    let mut ended: BTreeSet<_> = ended.into_iter().collect();
    let prepared = changes.iter().map(|change| {
        if own_days.contains(&change.dossier) {
            // Nothing is in the day yet: it opens with this.
            boards.entry(change.dossier).or_insert_with(|| (0, Some(Confirmed::genesis(BoardKind::Day))));
        }
        let Some((base, board)) = boards.get_mut(&change.dossier) else {
            return PreparedChange { base: None, judged: Judged::Rejected(BoardReason::NotEntitled.code().to_owned()) };
        };
        if *boards_excluded {
            let reason = BoardReason::Failed.code().to_owned();
            return PreparedChange { base: Some(*base), judged: Judged::Rejected(reason) };
        }
        let actor = (change.dossier, i64::from(change.n));
        let judged = if ended.contains(&actor) {
            Judged::Rejected(BoardReason::AfterQuarantined.code().to_owned())
        } else {
            judge(board, change, (&header.device, install), *role)
        };
        if matches!(judged, Judged::Rejected(_)) {
            ended.insert(actor);
        }
        PreparedChange { base: Some(*base), judged }
    });
    item.boards = prepared.collect();
    Ok(())
}

/// The board as saved, or the genesis of its dossier's kind.
pub fn confirmed(kind: &str, bytes: Option<&[u8]>) -> sqlx::Result<Option<Confirmed>> {
    let kind = match kind {
        "case" => BoardKind::Case,
        "day" => BoardKind::Day,
        "agent" => BoardKind::Agent,
        _ => return Ok(None),
    };
    let corrupt = |error: board::BoardError| sqlx::Error::Decode(format!("table board: {error}").into());
    bytes.map_or_else(|| Ok(Confirmed::genesis(kind)), Confirmed::load).map(Some).map_err(corrupt)
}

fn judge(
    board: &mut Option<Confirmed>,
    change: &daybook_shared::wire::envelope::BoardChange,
    (device, install): (&daybook_shared::ids::DeviceId, InstallId),
    role: BoardRole,
) -> Judged {
    let Some(current) = board.as_ref() else {
        return Judged::Rejected(BoardReason::NotEntitled.code().to_owned());
    };
    let actor = board::device_actor(*device, install, change.dossier, change.n);
    match board::admit(current, &change.change, &Expected::new(actor, role)) {
        Ok(Verdict::Admitted(admitted)) => {
            let (hash, saved) = (admitted.hash(), admitted.doc_bytes().to_vec());
            let (_, after) = admitted.into_parts();
            *board = Some(after);
            Judged::Admitted { hash, board: saved }
        }
        Ok(Verdict::Duplicate) => Judged::Duplicate,
        Err(reject) => Judged::Rejected(reject.code().to_owned()),
    }
}

/// Judges an envelope's board changes again if one of their boards moved since, or if they are to be put
/// aside. The dossiers of `world`
/// are locked, so that none can move from now on.
pub async fn refresh(tx: &mut Tx, world: &World, item: &mut Item) -> sqlx::Result<()> {
    let changes = &item.arrived.envelope.body.board;
    let now = |dossier| world.dossiers.get(dossier).map(|dossier| dossier.board_version);
    let moved = changes.iter().zip(&item.boards).any(|(change, prepared)| now(&change.dossier) != prepared.base);
    if moved || item.boards_excluded { prepare(tx, item).await } else { Ok(()) }
}

/// Merges or quarantines the board changes of an envelope that is being taken.
pub fn take(
    world: &mut World,
    effects: &mut Effects,
    item: &Item,
    (install_id, number, received_at): (i64, i64, Timestamp),
    app: &App,
) -> Vec<BoardVerdict> {
    let header = &item.arrived.envelope.header;
    let device = &world.devices[&item.arrived.device_id];
    let (user_id, device_id, held_back) = (device.user_id, device.id, device.lost || device.deactivated_at.is_some());
    let since = world.acknowledgements.get(&(device_id, header.after)).copied().unwrap_or(Timestamp::EPOCH);
    let mut verdicts = Vec::with_capacity(item.boards.len());
    for (position, (change, prepared)) in item.arrived.envelope.body.board.iter().zip(&item.boards).enumerate() {
        let known = world.dossiers.get(&change.dossier);
        let erased = known.is_some_and(|dossier| dossier.erased);
        let entitled = !held_back && !erased && known.is_some_and(|dossier| world.held_since(user_id, dossier, since));
        let reason = match &prepared.judged {
            Judged::Rejected(reason) => reason.clone(),
            _ if !entitled => BoardReason::NotEntitled.code().to_owned(),
            Judged::Duplicate => {
                verdicts.push(BoardVerdict { state: BoardState::Duplicate, reason: None });
                continue;
            }
            Judged::Admitted { hash, board } => {
                let dossier = world.dossiers.get_mut(&change.dossier).expect("an entitled dossier is loaded");
                dossier.board_changed = true;
                let version = dossier.next_version();
                let (hash, bytes) = (*hash, change.change.clone());
                let install_id = Some(install_id);
                let dossier = change.dossier;
                effects.board_changes.push(MergedChange {
                    dossier,
                    version,
                    hash,
                    bytes,
                    user_id,
                    install_id,
                    at: received_at,
                });
                effects.boards.insert(dossier, board.clone());
                verdicts.push(BoardVerdict { state: BoardState::Merged, reason: None });
                continue;
            }
        };
        let device = world.devices.get_mut(&device_id).expect("the device is loaded");
        let length = i64::try_from(change.change.len()).unwrap_or(i64::MAX);
        let room = device.quarantined_bytes.saturating_add(length) <= QUARANTINED_BYTES_MAX;
        let (bytes, reason) = if erased {
            (Vec::new(), reason)
        } else if room {
            device.quarantined_bytes += length;
            (change.change.clone(), reason)
        } else {
            (Vec::new(), BoardReason::QuarantineFull.code().to_owned())
        };
        effects.quarantined.push(QuarantineRow {
            uid: app.rng.with(|rng| daybook_shared::ids::DecisionId::new(received_at, rng)).0,
            dossier_uid: change.dossier,
            dossier_id: world.dossiers.get(&change.dossier).map(|dossier| dossier.id),
            install_id,
            user_id,
            number,
            position: i64::try_from(position).unwrap_or(i64::MAX),
            actor_n: i64::from(change.n),
            bytes,
            reason: reason.clone(),
            at: received_at,
        });
        verdicts.push(BoardVerdict { state: BoardState::Quarantined, reason: Some(reason) });
    }
    verdicts
}
