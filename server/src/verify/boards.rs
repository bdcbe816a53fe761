//! Boards from their changes: every change that was merged, onto the genesis of the kind, gives the
//! board that is stored.

use daybook_shared::board::{BoardKind, Confirmed, heads};
use daybook_shared::ids::ChangeHash;
use indicatif::ProgressBar;

use super::findings::{Findings, Place};
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;
use crate::portfolio::dossier::DossierKind;

/// Boards read at a time: each may be 256 KB.
const PAGE_BOARDS: i64 = 64;

batch_row! {
    struct Key { id: i64 => "int8" }
}

const SELECT_PAGE: &str = "select d.id, d.kind, b.bytes from dossier d left join board b on b.dossier_id = d.id
     where d.id > $1 and d.board_version > 0 order by d.id limit $2";
const SELECT_CHANGES: &str =
    "select c.dossier_id, c.version, c.bytes from v join board_change c on c.dossier_id = v.id";
const STRAY: &str = "select b.dossier_id from board b join dossier d on d.id = b.dossier_id where d.board_version = 0";

/// Merges every board again.
pub async fn verify(tx: &mut Tx, findings: &mut Findings, progress: &ProgressBar) -> sqlx::Result<()> {
    let stray: Vec<i64> = on_db!(tx, conn => sqlx::query_scalar(STRAY).fetch_all(conn).await)?;
    for dossier in stray {
        let place = Place { check: "boards: merged from their changes", table: "board", key: &dossier };
        findings.differs(place, "bytes", "none: its dossier has no board change", "a board");
    }
    let mut after = 0;
    loop {
        let page: Vec<(i64, DossierKind, Option<Vec<u8>>)> = on_db!(tx, conn => {
            sqlx::query_as(SELECT_PAGE).bind(after).bind(PAGE_BOARDS).fetch_all(conn).await
        })?;
        let Some((last, ..)) = page.last() else { return Ok(()) };
        after = *last;
        let keys: Vec<_> = page.iter().map(|(id, ..)| Key { id: *id }).collect();
        let mut changes: Vec<(i64, i64, Vec<u8>)> = batch::fetch(tx, &keys, SELECT_CHANGES).await?;
        changes.sort_unstable_by_key(|(dossier, version, _)| (*dossier, *version));
        for (dossier, kind, bytes) in &page {
            let of_board = changes.iter().filter(|(of, ..)| of == dossier);
            let of_board: Vec<_> = of_board.map(|(.., bytes)| bytes.as_slice()).collect();
            compare(*dossier, *kind, bytes.as_deref(), &of_board, findings);
        }
        progress.inc(page.len() as u64);
    }
}

fn compare(dossier: i64, kind: DossierKind, stored: Option<&[u8]>, changes: &[&[u8]], findings: &mut Findings) {
    let place = Place { check: "boards: merged from their changes", table: "board", key: &dossier };
    let kind = match kind {
        DossierKind::Case => BoardKind::Case,
        DossierKind::Day => BoardKind::Day,
        DossierKind::Agent => BoardKind::Agent,
        DossierKind::Unknown => return findings.differs(place, "bytes", "none: its dossier is of no kind", "a board"),
    };
    let Some(stored) = stored else { return findings.differs(place, "bytes", "a board", "none") };
    let merged = Confirmed::genesis(kind).merged(changes).map(|board| sorted(board.heads()));
    match (merged, heads(stored).map(sorted)) {
        (Ok(merged), Ok(stored)) => findings.compare(place, "heads", &merged, &stored),
        (Err(error), _) => findings.differs(place, "its changes", "changes that merge", error),
        (_, Err(error)) => findings.differs(place, "bytes", "a board that loads", error),
    }
}

fn sorted(mut heads: Vec<ChangeHash>) -> Vec<ChangeHash> {
    heads.sort_unstable();
    heads
}
