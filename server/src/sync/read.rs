//! Reads the feed: turns cursors into frames, one snapshot a response.

use std::collections::BTreeMap;

use daybook_shared::facts::SectionKind;
use daybook_shared::ids::{CaseloadId, DossierId, EntryId};
use daybook_shared::wire::exchange::{BoardNews, Delta, End, FeedEntry, Gone, GoneReason, NewOutcome};
use daybook_shared::wire::outcome::{Outcome, Reason};

use super::cursor::Cursor;
use super::facts;
use super::frames::Frames;
use super::load::outcome_of;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::on_db;

/// Dossiers whose items are read together.
const DOSSIERS_A_PAGE: usize = 128;
/// Versions (entries, board changes) read together, whatever the number of dossiers.
const VERSIONS_A_PAGE: i64 = 2_000;

/// A caseload the asking device reads.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Row key.
    pub caseload_id: i64,
    /// Its id.
    pub caseload: CaseloadId,
    /// The newest sequence of this snapshot.
    pub seq: i64,
    /// Where the device stands.
    pub cursor: Cursor,
}

/// Who asks: what this install recorded itself is left out of a difference.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// Install.
    pub install_id: i64,
}

/// A dossier of a caseload that has news.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Member {
    /// Row key.
    pub dossier_id: i64,
    /// Its newest row's sequence.
    pub seq: i64,
    /// Whether it is in the caseload.
    pub present: bool,
    /// The membership's epoch.
    pub epoch: i64,
    reason: Option<String>,
    uid: DossierId,
    /// The account it is about.
    pub account_id: Option<i64>,
    /// The agent it is about.
    pub agent_id: Option<i64>,
    version: i64,
    profile_version: i64,
    schedule_version: i64,
    state_version: i64,
    promises_version: i64,
    timeline_version: i64,
    board_version: i64,
    /// The version it had when the sweep began, if it was in the caseload.
    from_version: Option<i64>,
    /// Whether it was there where the sweep has come to.
    was_present: Option<bool>,
    /// What the phone has.
    #[sqlx(skip)]
    base: i64,
    /// The phone began with nothing of it: it never had it, or was told that it left and purged it,
    /// its own entries too.
    #[sqlx(skip)]
    from_nothing: bool,
    /// How far this page goes.
    #[sqlx(skip)]
    upto: i64,
}

impl Member {
    /// Whether a section is newer than what the phone has.
    pub fn wants(&self, kind: SectionKind) -> bool {
        let version = match kind {
            SectionKind::Profile => self.profile_version,
            SectionKind::Schedule => self.schedule_version,
            SectionKind::State => self.state_version,
            SectionKind::Promises => self.promises_version,
            SectionKind::Timeline => self.timeline_version,
        };
        self.present && version > self.base
    }
}

const SELECT_NEWS: &str =
    "select f.dossier_id, f.seq, f.present, f.epoch, f.reason, d.uid, d.account_id, d.agent_id, d.version,
       d.profile_version, d.schedule_version, d.state_version, d.promises_version, d.timeline_version, d.board_version,
       (select case when g.present then g.version end from feed g where g.caseload_id = $1
          and g.dossier_id = newest.dossier_id and g.seq <= $2 order by g.seq desc limit 1) as from_version,
       (select g.present from feed g where g.caseload_id = $1
          and g.dossier_id = newest.dossier_id and g.seq <= $3 order by g.seq desc limit 1) as was_present
     from (select dossier_id, max(seq) as seq from feed where caseload_id = $1 and seq > $2 group by dossier_id) newest
     join feed f on f.caseload_id = $1 and f.seq = newest.seq
     join dossier d on d.id = f.dossier_id
     where newest.seq > $3 order by newest.seq limit $4";

/// Adds the news of a caseload to the response until they end or the budget does.
pub async fn news(tx: &mut Tx, reader: &Reader, asking: Asking, frames: &mut Frames) -> sqlx::Result<End> {
    let mut cursor = reader.cursor.clone();
    if cursor.done == reader.seq {
        return Ok(End::Complete);
    }
    loop {
        let (from, done) = (cursor.from, cursor.done);
        let limit = i64::try_from(DOSSIERS_A_PAGE).expect("a small number");
        let mut page: Vec<Member> = on_db!(tx, conn => {
            sqlx::query_as(SELECT_NEWS).bind(reader.caseload_id).bind(from).bind(done).bind(limit).fetch_all(conn).await
        })?;
        if page.is_empty() {
            frames.cursor(reader.caseload, &Cursor::at(reader.seq));
            return Ok(End::Complete);
        }
        set_bases(&cursor, &mut page);
        bound(&mut page);
        if !send_page(tx, reader, asking, &page, &mut cursor, frames).await? {
            return Ok(End::More);
        }
    }
}

/// What the phone has of each dossier: the pair where there is one, as a departure ends the pair;
/// nothing where it was told that the dossier left; else the version it had when the sweep began.
fn set_bases(cursor: &Cursor, page: &mut [Member]) {
    for member in page {
        let told_gone = member.was_present == Some(false);
        let at_from = member.from_version.filter(|_| !told_gone);
        let pair = cursor.pairs.iter().find(|(dossier, _)| *dossier == member.dossier_id);
        // A stranger's pair, or one from before a restore, may name a version that is not there.
        member.base = pair.map(|(_, version)| *version).or(at_from).unwrap_or(0).clamp(0, member.version);
        member.from_nothing = at_from.is_none();
    }
}

/// Bounds how much of the page is read at once: a large dossier comes in several pages.
fn bound(page: &mut Vec<Member>) {
    let mut left = VERSIONS_A_PAGE;
    let mut keep = 0;
    for member in page.iter_mut() {
        if left <= 0 {
            break;
        }
        let wanted = if member.present { member.version.saturating_sub(member.base).max(0) } else { 0 };
        member.upto = member.base.saturating_add(wanted.min(left));
        left -= wanted;
        keep += 1;
    }
    page.truncate(keep);
}

async fn send_page(
    tx: &mut Tx,
    reader: &Reader,
    asking: Asking,
    page: &[Member],
    cursor: &mut Cursor,
    frames: &mut Frames,
) -> sqlx::Result<bool> {
    let mut facts = facts::newer(tx, page).await?;
    let mut items = load_items(tx, asking, page).await?;
    let mut erased = load_erased(tx, asking, page).await?;
    frames.people(tx, items.values().flatten()).await?;
    for member in page {
        let dossier = frames.dossier(member.uid);
        if !member.present {
            let caseload = frames.caseload(reader.caseload);
            let gone = Gone { dossier, caseload, epoch: unsigned(member.epoch), reason: gone_reason(member) };
            cursor.passed(member.dossier_id, member.seq);
            frames.gone(gone);
            if !frames.close_if_full(reader.caseload, cursor) {
                return Ok(false);
            }
            continue;
        }
        if let Some(entries) = erased.remove(&member.dossier_id) {
            frames.erased(member.uid, entries);
        }
        let first = First {
            facts: facts.remove(&member.dossier_id).unwrap_or_default(),
            outcomes: items.get_mut(&member.dossier_id).map(take_outcomes).unwrap_or_default(),
            board: snapshot(tx, member).await?,
        };
        let parts = items.remove(&member.dossier_id).unwrap_or_default();
        if !send_dossier(reader, member, first, parts, cursor, frames) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What leads the parts of a dossier.
struct First {
    facts: Vec<daybook_shared::wire::exchange::Section>,
    outcomes: Vec<NewOutcome>,
    board: Option<BoardNews>,
}

/// Sends one dossier in as many parts as its items take; false when the budget ended.
fn send_dossier(
    reader: &Reader,
    member: &Member,
    first: First,
    items: Vec<Item>,
    cursor: &mut Cursor,
    frames: &mut Frames,
) -> bool {
    let mut delta = frames.delta(reader.caseload, member.uid, unsigned(member.epoch), unsigned(member.base));
    delta.facts = first.facts;
    delta.outcomes = first.outcomes;
    delta.board = first.board;
    let has_snapshot = matches!(delta.board, Some(BoardNews::Snapshot(_)));
    let mut size = Frames::size_of(&delta);
    // A part holds at least one item, so that its version is above the one before: a response whose
    // budget ends with it has brought the reader forward, however large facts and board are.
    let mut has_item = false;
    for item in items {
        let (version, bytes) = (item.version, item.bytes_len());
        if has_item && frames.would_overflow(size + bytes) {
            let next = frames.part(reader.caseload, member.uid, &mut delta, cursor, member.dossier_id);
            if !next {
                return false;
            }
            size = 0;
        }
        size += bytes;
        has_item = true;
        delta.version = unsigned(version);
        add(&mut delta, item, has_snapshot, frames);
    }
    let whole = member.upto == member.version;
    delta.version = unsigned(member.upto);
    if whole {
        cursor.passed(member.dossier_id, member.seq);
    } else {
        cursor.reached(member.dossier_id, member.upto);
    }
    frames.push_delta(delta);
    frames.close_if_full(reader.caseload, cursor)
}

fn add(delta: &mut Delta, item: Item, has_snapshot: bool, frames: &mut Frames) {
    match item.what {
        What::Entry { bytes, author, outcome, .. } => {
            let author = frames.person(author);
            delta.entries.push(FeedEntry { bytes: bytes.into(), author, outcome });
        }
        // A snapshot holds every change already.
        What::Change(_) if has_snapshot => {}
        What::Change(bytes) => match &mut delta.board {
            Some(BoardNews::Changes(changes)) => changes.push(bytes.into()),
            _ => delta.board = Some(BoardNews::Changes(vec![bytes.into()])),
        },
        What::Outcome { entry, outcome } => delta.outcomes.push(NewOutcome { entry, outcome }),
    }
}

/// One item of a dossier, at its version.
#[derive(Debug)]
pub struct Item {
    version: i64,
    what: What,
}

#[derive(Debug)]
enum What {
    Entry { bytes: Vec<u8>, author: i64, outcome: Outcome },
    Change(Vec<u8>),
    Outcome { entry: EntryId, outcome: Outcome },
}

impl Item {
    /// Who captured it, if it is an entry.
    pub fn author(&self) -> Option<i64> {
        if let What::Entry { author, .. } = self.what { Some(author) } else { None }
    }

    fn bytes_len(&self) -> usize {
        match &self.what {
            What::Entry { bytes, .. } | What::Change(bytes) => bytes.len() + 8,
            What::Outcome { .. } => 32,
        }
    }
}

fn take_outcomes(items: &mut Vec<Item>) -> Vec<NewOutcome> {
    let (outcomes, rest) =
        std::mem::take(items).into_iter().partition(|item| matches!(item.what, What::Outcome { .. }));
    *items = rest;
    let outcomes: Vec<Item> = outcomes;
    let new = outcomes.into_iter().filter_map(|item| match item.what {
        What::Outcome { entry, outcome } => Some(NewOutcome { entry, outcome }),
        _ => None,
    });
    new.collect()
}

batch_row! {
    struct Window {
        id: i64 => "bigint",
        base: i64 => "bigint",
        upto: i64 => "bigint",
        install_id: i64 => "bigint",
        from_nothing: bool => "boolean",
    }
}

#[derive(sqlx::FromRow)]
struct EntryRow {
    dossier_id: i64,
    version: i64,
    bytes: Vec<u8>,
    user_id: i64,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
}

#[derive(sqlx::FromRow)]
struct OutcomeRow {
    dossier_id: i64,
    uid: EntryId,
    outcome_version: i64,
    outcome: String,
    reason: Option<Reason>,
    flags: Option<String>,
}

/// What is confidential goes to its author only, whoever else holds the dossier.
const SELECT_ENTRIES: &str = "select e.dossier_id, e.version, e.bytes, e.user_id, e.outcome, e.reason, e.flags
     from v join entry e on e.dossier_id = v.id and e.version > v.base and e.version <= v.upto
     where (v.from_nothing or e.install_id <> v.install_id) and e.erased_at is null
       and (not e.confidential or e.user_id = (select r.user_id from install i join device r on r.id = i.device_id
                                               where i.id = v.install_id))";
const SELECT_OUTCOMES: &str = "select e.dossier_id, e.uid, e.outcome_version, e.outcome, e.reason, e.flags
     from v join entry e on e.dossier_id = v.id and e.outcome_version > v.base and e.version <= v.base
     where e.outcome_version > e.version and e.install_id <> v.install_id and e.erased_at is null
       and (not e.confidential or e.user_id = (select r.user_id from install i join device r on r.id = i.device_id
                                               where i.id = v.install_id))";
/// Own ones as well, wherever the phone has come to: it may hold them in an envelope.
const SELECT_ERASED: &str =
    "select e.dossier_id, e.uid from v join entry e on e.dossier_id = v.id and e.erased_version > v.base
     where not e.confidential or e.user_id = (select r.user_id from install i join device r on r.id = i.device_id
                                              where i.id = v.install_id)";
const SELECT_CHANGES: &str = "select c.dossier_id, c.version, c.bytes
     from v join board_change c on c.dossier_id = v.id and c.version > v.base and c.version <= v.upto
     where c.install_id is null or c.install_id <> v.install_id";
const SELECT_BOARD: &str = "select bytes from board where dossier_id = $1";

fn windows<'a>(Asking { install_id }: Asking, page: impl Iterator<Item = &'a Member>) -> Vec<Window> {
    let window = |member: &Member| {
        let Member { dossier_id: id, base, upto, from_nothing, .. } = *member;
        Window { id, base, upto, install_id, from_nothing }
    };
    page.filter(|member| member.present).map(window).collect()
}

/// Entries of a page by dossier that were erased since the phone read it.
async fn load_erased(tx: &mut Tx, asking: Asking, page: &[Member]) -> sqlx::Result<BTreeMap<i64, Vec<EntryId>>> {
    let rows: Vec<(i64, EntryId)> = batch::fetch(tx, &windows(asking, page.iter()), SELECT_ERASED).await?;
    let mut erased: BTreeMap<i64, Vec<EntryId>> = BTreeMap::new();
    for (dossier, entry) in rows {
        erased.entry(dossier).or_default().push(entry);
    }
    Ok(erased)
}

/// The items of a page by dossier, in the order of their versions.
async fn load_items(tx: &mut Tx, asking: Asking, page: &[Member]) -> sqlx::Result<BTreeMap<i64, Vec<Item>>> {
    let windows = windows(asking, page.iter());
    let mut items: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
    let entries: Vec<EntryRow> = batch::fetch(tx, &windows, SELECT_ENTRIES).await?;
    for row in entries {
        let outcome = outcome_of(&row.outcome, row.reason, row.flags.as_deref())?;
        let what = What::Entry { bytes: row.bytes, author: row.user_id, outcome };
        items.entry(row.dossier_id).or_default().push(Item { version: row.version, what });
    }
    let known: Vec<_> = windows.iter().filter(|window| window.base > 0).cloned().collect();
    let outcomes: Vec<OutcomeRow> = batch::fetch(tx, &known, SELECT_OUTCOMES).await?;
    for row in outcomes {
        let what =
            What::Outcome { entry: row.uid, outcome: outcome_of(&row.outcome, row.reason, row.flags.as_deref())? };
        items.entry(row.dossier_id).or_default().push(Item { version: row.outcome_version, what });
    }
    let changed = page.iter().filter(|member| member.present && member.base > 0 && member.board_version > member.base);
    let changed = self::windows(asking, changed);
    let changes: Vec<(i64, i64, Vec<u8>)> = batch::fetch(tx, &changed, SELECT_CHANGES).await?;
    for (dossier, version, bytes) in changes {
        items.entry(dossier).or_default().push(Item { version, what: What::Change(bytes) });
    }
    for items in items.values_mut() {
        items.sort_by_key(|item| item.version);
    }
    Ok(items)
}

/// The whole board, for a phone that has nothing of the dossier.
async fn snapshot(tx: &mut Tx, member: &Member) -> sqlx::Result<Option<BoardNews>> {
    if member.base > 0 || member.board_version == 0 {
        return Ok(None);
    }
    let bytes: Option<Vec<u8>> = on_db!(tx, conn => {
        sqlx::query_scalar(SELECT_BOARD).bind(member.dossier_id).fetch_optional(conn).await
    })?;
    Ok(bytes.map(|bytes| BoardNews::Snapshot(bytes.into())))
}

fn gone_reason(member: &Member) -> GoneReason {
    match member.reason.as_deref() {
        Some("closed") => GoneReason::Closed,
        Some("erased") => GoneReason::Erased,
        _ => GoneReason::Moved,
    }
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
