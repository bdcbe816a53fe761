//! Verifies the chain, row by row, against itself and against heads that others kept.
//!
//! Who changes, removes, inserts or reorders sealed rows breaks the chain, and the row where it breaks is
//! named. Who writes the whole chain anew behind his change, or cuts its tail and mends the head, breaks
//! nothing in it: that shows against a head that a phone holds (acknowledgements carry it, signed) or that
//! somebody noted. What is not sealed yet cannot be verified, and is counted.

use std::fmt;

use daybook_shared::ids::{DeploymentId, Hash};
use daybook_shared::time::Timestamp;
use serde::Serialize;

use super::chain::{self, Head, Written};
use super::seal;
use crate::db::Tx;
use crate::on_db;

/// Rows read at a time.
const PAGE_ROWS: i64 = 1_000;
/// Faults that are kept; all are counted.
const FAULTS_MAX: usize = 100;
/// A row sealed so long after it was written is mentioned: the server did not run, or somebody wrote it
/// later than it says.
const LATE_MS: i64 = 24 * 3_600_000;

/// A head that somebody outside of the database kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Its place, when it is known.
    pub seq: Option<i64>,
    /// The hash.
    pub hash: Hash,
}

/// What is wrong, and at which row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// The row is not what was sealed.
    Changed {
        /// Its place.
        seq: i64,
        /// Its key.
        id: i64,
    },
    /// Rows are gone.
    Removed {
        /// The first.
        from: i64,
        /// The last.
        to: i64,
    },
    /// The row does not follow the one in front of it: another was put there, or it was moved.
    Unlinked {
        /// Its place.
        seq: i64,
        /// Its key.
        id: i64,
    },
    /// The chain ends before a head that was given out or noted.
    Cut {
        /// Its last row now.
        last: i64,
        /// A row that it had.
        had: i64,
    },
    /// The head's row is not the last row's.
    HeadDiffers {
        /// The last row.
        last: i64,
        /// What the head says.
        head: i64,
    },
    /// Somebody kept another hash of this row: it, or one in front of it, was written anew.
    Rewritten {
        /// Its place.
        seq: i64,
    },
    /// Somebody kept a head that no row has, and not its place.
    Unknown {
        /// The hash.
        hash: String,
    },
}

impl Fault {
    /// The place it is at; 0 for what has none.
    pub fn seq(&self) -> i64 {
        match *self {
            Self::Changed { seq, .. } | Self::Unlinked { seq, .. } | Self::Rewritten { seq } => seq,
            Self::Removed { from, .. } => from,
            Self::Cut { last, .. } | Self::HeadDiffers { last, .. } => last,
            Self::Unknown { .. } => 0,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { seq, id } => write!(f, "row {seq} (id {id}) is not what was sealed"),
            Self::Removed { from, to } if from == to => write!(f, "row {from} is gone"),
            Self::Removed { from, to } => write!(f, "rows {from} to {to} are gone"),
            Self::Unlinked { seq, id } => write!(f, "row {seq} (id {id}) does not follow the one in front of it"),
            Self::Cut { last, had } => write!(f, "the chain ends at row {last}, and had a row {had}"),
            Self::HeadDiffers { last, head } => write!(f, "the head says row {head}, the chain ends at {last}"),
            Self::Rewritten { seq } => write!(f, "row {seq}, or one in front of it, was written anew"),
            Self::Unknown { hash } => write!(f, "no row has the hash {hash} that was given out"),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Rows of the chain.
    pub sealed: u64,
    /// Rows that wait for their place.
    pub unsealed: u64,
    /// Rows sealed more than a day after they say they were written.
    pub late: u64,
    /// Heads of others that were compared.
    pub compared: u64,
    /// How much is wrong.
    pub wrong: u64,
    /// The first of it.
    pub faults: Vec<Fault>,
    /// The last row.
    pub last: i64,
    /// Its hash: note it somewhere else.
    pub hash: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "WRONG {fault}")?;
        }
        let Self { sealed, unsealed, late, compared, wrong, last, hash, .. } = self;
        writeln!(f, "{sealed} rows sealed, {unsealed} not yet, {late} sealed late, {compared} heads compared")?;
        match wrong {
            0 => write!(f, "the chain is whole; its head is {last}:{hash}"),
            wrong => write!(f, "{wrong} faults"),
        }
    }
}

/// A row of the chain, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Stored {
    #[sqlx(flatten)]
    row: Written,
    seq: i64,
    previous: Option<Hash>,
    hash: Option<Hash>,
    sealed_at: Option<Timestamp>,
}

/// Walks along the chain.
#[derive(Debug)]
struct Walk<'a> {
    deployment: DeploymentId,
    last: Head,
    claims: &'a [Claim],
    met: Vec<bool>,
    report: Report,
}

impl<'a> Walk<'a> {
    fn new(deployment: DeploymentId, claims: &'a [Claim]) -> Self {
        Self { deployment, last: Head::NONE, claims, met: vec![false; claims.len()], report: Report::default() }
    }

    fn wrong(&mut self, fault: Fault) {
        self.report.wrong += 1;
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(fault);
        }
    }

    fn row(&mut self, stored: &Stored) {
        let Stored { row, seq, previous, hash, sealed_at } = stored;
        let (seq, id) = (*seq, row.id);
        self.report.sealed += 1;
        let follows = seq == self.last.seq + 1;
        if !follows {
            self.wrong(Fault::Removed { from: self.last.seq + 1, to: seq - 1 });
        } else if *previous != Some(self.last.hash) {
            self.wrong(Fault::Unlinked { seq, id });
        }
        let fits =
            previous.zip(*sealed_at).map(|(previous, at)| chain::hash(self.deployment, (seq, previous, at), row));
        if fits.is_none() || fits != *hash {
            self.wrong(Fault::Changed { seq, id });
        }
        if sealed_at.is_some_and(|sealed_at| sealed_at.ms_since(row.at) > LATE_MS) {
            self.report.late += 1;
        }
        self.last = Head { seq, hash: hash.unwrap_or(Head::NONE.hash) };
        for i in 0..self.claims.len() {
            let Claim { seq: claimed, hash: kept } = self.claims[i];
            let same = self.last.hash == kept;
            if claimed == Some(seq) || (claimed.is_none() && same) {
                self.met[i] = true;
                if !same {
                    self.wrong(Fault::Rewritten { seq });
                }
            }
        }
    }

    fn finish(mut self, head: Head, unsealed: u64) -> Report {
        let last = self.last;
        if head.seq > last.seq {
            self.wrong(Fault::Cut { last: last.seq, had: head.seq });
        } else if head != last {
            self.wrong(Fault::HeadDiffers { last: last.seq, head: head.seq });
        }
        for i in 0..self.claims.len() {
            let Claim { seq, hash } = self.claims[i];
            match seq {
                _ if self.met[i] => {}
                Some(had) if had > last.seq => self.wrong(Fault::Cut { last: last.seq, had }),
                // One that is gone from the middle was told above.
                Some(seq) => self.wrong(Fault::Rewritten { seq }),
                None => self.wrong(Fault::Unknown { hash: hash.to_string() }),
            }
        }
        let compared = self.claims.len() as u64;
        Report { unsealed, compared, last: last.seq, hash: last.hash.to_string(), ..self.report }
    }
}

const PAGE: &str = "
    select id, at, user_id, device_id, action, subject, detail, seq, previous, hash, sealed_at
    from audit where seq > $1 order by seq limit $2";
const UNSEALED: &str = "select cast(count(*) as bigint) from audit where seq is null";

/// Verifies the chain in the snapshot of `tx`.
pub async fn check(tx: &mut Tx, deployment: DeploymentId, claims: &[Claim]) -> sqlx::Result<Report> {
    let mut walk = Walk::new(deployment, claims);
    let mut after = i64::MIN;
    loop {
        let page: Vec<Stored> =
            on_db!(&mut *tx, conn => sqlx::query_as(PAGE).bind(after).bind(PAGE_ROWS).fetch_all(conn).await)?;
        for stored in &page {
            walk.row(stored);
        }
        match page.last() {
            Some(stored) if page.len() as u64 == PAGE_ROWS.unsigned_abs() => after = stored.seq,
            _ => break,
        }
    }
    let unsealed: i64 = on_db!(&mut *tx, conn => sqlx::query_scalar(UNSEALED).fetch_one(conn).await)?;
    Ok(walk.finish(seal::head(tx).await?, unsealed.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::super::chain::tests::row;
    use super::*;

    const DEPLOYMENT: DeploymentId = DeploymentId(uuid::Uuid::from_bytes([7; 16]));

    fn chain(rows: i64) -> Vec<Stored> {
        let mut last = Head::NONE;
        let sealed_at = Timestamp::from_millis(5_000);
        let stored = (1..=rows).map(|id| {
            let (row, previous) = (row(id), last.hash);
            last = last.followed_by(DEPLOYMENT, sealed_at, &row);
            Stored { row, seq: last.seq, previous: Some(previous), hash: Some(last.hash), sealed_at: Some(sealed_at) }
        });
        stored.collect()
    }

    /// Seals the rows anew from `from` on, as somebody would who knows how.
    fn mended(mut rows: Vec<Stored>, from: usize) -> Vec<Stored> {
        for i in from..rows.len() {
            let before = match i {
                0 => Head::NONE,
                i => Head { seq: rows[i - 1].seq, hash: rows[i - 1].hash.unwrap() },
            };
            let next = before.followed_by(DEPLOYMENT, rows[i].sealed_at.unwrap(), &rows[i].row);
            (rows[i].seq, rows[i].previous, rows[i].hash) = (next.seq, Some(before.hash), Some(next.hash));
        }
        rows
    }

    fn head_of(rows: &[Stored]) -> Head {
        rows.last().map_or(Head::NONE, |row| Head { seq: row.seq, hash: row.hash.unwrap_or(Head::NONE.hash) })
    }

    fn found(rows: &[Stored], head: Head, claims: &[Claim]) -> Vec<Fault> {
        let mut walk = Walk::new(DEPLOYMENT, claims);
        for row in rows {
            walk.row(row);
        }
        walk.finish(head, 0).faults
    }

    #[test]
    fn a_whole_chain_has_no_fault_and_an_empty_one_neither() {
        let rows = chain(5);
        let kept = |i: usize| Claim { seq: Some(rows[i].seq), hash: rows[i].hash.unwrap() };
        let claims = [kept(4), kept(1), Claim { seq: None, ..kept(2) }];
        assert_eq!(found(&rows, head_of(&rows), &claims), []);
        assert_eq!(found(&[], Head::NONE, &[]), []);
    }

    /// A damage done to five rows, and what is found.
    type Case = (&'static str, fn(&mut Vec<Stored>), Vec<Fault>);

    #[test]
    fn every_damage_is_found_with_its_row() {
        let cases: Vec<Case> = vec![
            ("changed", |rows| rows[2].row.detail.push(' '), vec![Fault::Changed { seq: 3, id: 3 }]),
            ("its time", |rows| rows[2].row.at = rows[2].row.at.plus_ms(1), vec![Fault::Changed { seq: 3, id: 3 }]),
            (
                "unsealed",
                |rows| rows[2].hash = None,
                vec![Fault::Changed { seq: 3, id: 3 }, Fault::Unlinked { seq: 4, id: 4 }],
            ),
            (
                "changed and its own hash mended",
                |rows| {
                    rows[2].row.user_id = Some(9);
                    let whole = mended(rows[..3].to_vec(), 2);
                    rows[2] = whole[2].clone();
                },
                vec![Fault::Unlinked { seq: 4, id: 4 }],
            ),
            ("removed", |rows| drop(rows.remove(2)), vec![Fault::Removed { from: 3, to: 3 }]),
            ("two removed", |rows| drop(rows.drain(1..3)), vec![Fault::Removed { from: 2, to: 3 }]),
            ("the first removed", |rows| drop(rows.remove(0)), vec![Fault::Removed { from: 1, to: 1 }]),
            (
                "removed and closed up",
                |rows| {
                    rows.remove(2);
                    for row in &mut rows[2..] {
                        row.seq -= 1;
                    }
                },
                vec![
                    Fault::Unlinked { seq: 3, id: 4 },
                    Fault::Changed { seq: 3, id: 4 },
                    Fault::Changed { seq: 4, id: 5 },
                    Fault::Cut { last: 4, had: 5 },
                ],
            ),
            (
                "inserted",
                |rows| {
                    let mut strange = rows[1].clone();
                    strange.row.id = 77;
                    rows.insert(2, strange);
                    for row in &mut rows[2..] {
                        row.seq += 1;
                    }
                },
                vec![
                    Fault::Unlinked { seq: 3, id: 77 },
                    Fault::Changed { seq: 3, id: 77 },
                    Fault::Changed { seq: 4, id: 3 },
                    Fault::Changed { seq: 5, id: 4 },
                    Fault::Changed { seq: 6, id: 5 },
                    Fault::HeadDiffers { last: 6, head: 5 },
                ],
            ),
            (
                "reordered",
                |rows| {
                    rows.swap(1, 2);
                    (rows[1].seq, rows[2].seq) = (2, 3);
                },
                vec![
                    Fault::Unlinked { seq: 2, id: 3 },
                    Fault::Changed { seq: 2, id: 3 },
                    Fault::Unlinked { seq: 3, id: 2 },
                    Fault::Changed { seq: 3, id: 2 },
                    Fault::Unlinked { seq: 4, id: 4 },
                ],
            ),
            ("cut", |rows| rows.truncate(3), vec![Fault::Cut { last: 3, had: 5 }]),
            ("all cut", |rows| rows.clear(), vec![Fault::Cut { last: 0, had: 5 }]),
        ];
        for (name, damage, mut expected) in cases {
            let mut rows = chain(5);
            let head = head_of(&rows);
            damage(&mut rows);
            let mut faults = found(&rows, head, &[]);
            // What the head says beside it is told in the cases of its own.
            if name != "removed and closed up" && name != "inserted" {
                faults.retain(|fault| !matches!(fault, Fault::HeadDiffers { .. }));
            }
            let key = |fault: &Fault| format!("{fault:?}");
            faults.sort_by_key(key);
            expected.sort_by_key(key);
            assert_eq!(faults, expected, "{name}");
        }
    }

    /// Goal: who mends everything in the database is found by what is outside of it. Method: a chain that
    /// is whole in itself after each, against what was kept.
    #[test]
    fn what_was_mended_throughout_shows_against_a_kept_head() {
        let rows = chain(5);
        let kept = Claim { seq: Some(4), hash: rows[3].hash.unwrap() };
        let without_place = Claim { seq: None, ..kept };
        let unknown = Fault::Unknown { hash: kept.hash.to_string() };
        let mut changed = rows.clone();
        changed[1].row.user_id = Some(9);
        let changed = mended(changed, 1);
        let mut removed = rows.clone();
        removed.remove(1);
        let removed = mended(removed, 1);
        let cut = rows[..3].to_vec();
        for (damaged, expected) in [
            (changed, Fault::Rewritten { seq: 4 }),
            (removed, Fault::Rewritten { seq: 4 }),
            (cut, Fault::Cut { last: 3, had: 4 }),
        ] {
            let head = head_of(&damaged);
            assert_eq!(found(&damaged, head, &[]), [], "whole in itself");
            assert_eq!(found(&damaged, head, &[kept]), [expected]);
            assert_eq!(found(&damaged, head, &[without_place]), std::slice::from_ref(&unknown));
        }
    }

    #[test]
    fn what_says_that_it_is_old_and_was_sealed_lately_is_counted() {
        let mut rows = chain(2);
        rows[1].sealed_at = Some(rows[1].row.at.plus_ms(LATE_MS + 1));
        let rows = mended(rows, 1);
        let mut walk = Walk::new(DEPLOYMENT, &[]);
        for row in &rows {
            walk.row(row);
        }
        assert_eq!(
            walk.finish(head_of(&rows), 3),
            Report {
                sealed: 2,
                unsealed: 3,
                late: 1,
                last: 2,
                hash: head_of(&rows).hash.to_string(),
                ..Report::default()
            }
        );
    }
}
