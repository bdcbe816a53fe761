//! What a frame does to the store. The caller gives it one transaction: a whole frame or nothing.

use std::collections::BTreeSet;

use daybook_shared::board::{BoardKind, Confirmed};
use daybook_shared::entry::Head;
use daybook_shared::ids::{CaseloadId, DossierId, EnvelopeId, InstallId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::exchange::{
    BoardNews, Delta, Drop, End, Frame, GoneReason, NewOutcome, News, Relist, caseloads_hash,
};
use daybook_shared::wire::sign::{Acknowledgement, Context, ReceiptBlock, Signed, WipeOrder};
use rand::Rng;

use super::request::Sent;
use crate::Moment;
use crate::store::{Db, Enrolment, PageTaken, StoreError};

/// Why a frame was not applied. Nothing of it is in the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApplyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The frame breaks the protocol, or is not signed by the pinned key. Says how.
    #[error("{0}")]
    Protocol(&'static str),
}

impl ApplyError {
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_full())
    }
}

/// How much of a frame is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// What it says of what was sent up; the rest finds no room, and comes again as no cursor moves.
    Answers,
}

/// What a frame did.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub envelopes_answered: u32,
    pub entries_answered: u32,
    pub deltas: u32,
    pub quarantined: u32,
    pub new_installs: u32,
    pub purged: Vec<DossierId>,
    pub refused: Option<(u64, String)>,
    /// The store erased itself.
    pub wiped: bool,
    /// Something was new to this phone.
    pub news: bool,
    /// The database has another epoch: nothing else of this response counts.
    pub rewound: bool,
}

/// One frame on its way into the store.
pub(super) struct Applying<'a> {
    pub db: Db<'a>,
    pub sent: &'a Sent,
    pub enrolment: Enrolment,
    pub now: Moment,
    /// The best guess at the instant it is, before this frame.
    pub at: Timestamp,
    pub applied: Applied,
}

/// Applies a frame. `first` says that it is the response's first one: the request has been answered.
pub(super) fn frame(
    db: Db<'_>,
    frame: &Frame,
    sent: &Sent,
    (first, extent): (bool, Extent),
    now: Moment,
    rng: &mut dyn Rng,
) -> Result<Applied, ApplyError> {
    let phone = db.phone()?;
    let at = phone.estimated(now);
    let enrolment = phone.enrolment.ok_or(ApplyError::Protocol("not enrolled"))?;
    let mut applying = Applying { db, sent, enrolment, now, at, applied: Applied::default() };
    if applying.rewinds(frame)? {
        return Ok(applying.applied);
    }
    if first {
        applying.request_answered(frame)?;
    }
    for answer in frame.answers.iter().flatten() {
        applying.answer(answer, rng)?;
    }
    applying.server_state(frame, rng)?;
    let whole = extent == Extent::Whole && !sent.deposit;
    if whole {
        applying.caseloads(frame, rng)?;
        applying.dossiers(frame, rng)?;
        applying.cursors(frame)?;
        applying.catalogue(frame, rng)?;
    }
    if frame.end == Some(End::Complete) && whole && !db.phone()?.login_required {
        applying.complete(frame, rng)?;
    }
    if let Some(signed) = &frame.wipe {
        applying.wipe(signed, rng)?;
    }
    Ok(applying.applied)
}

impl Applying<'_> {
    /// Another history of the database: cursors, versions and numbers belong to the old one. Nothing is
    /// purged; what is kept is handed in again, the feed is read from its start, and what it brings merges
    /// with what is here.
    fn rewinds(&mut self, frame: &Frame) -> Result<bool, ApplyError> {
        let Some(epoch) = frame.epoch else { return Ok(false) };
        match self.db.phone()?.epoch {
            Some(known) if known == epoch => Ok(false),
            None => {
                self.db.set_epoch(epoch)?;
                Ok(false)
            }
            Some(_) => {
                self.db.rewind(epoch)?;
                self.db.send_files_again()?;
                (self.applied.rewound, self.applied.news) = (true, true);
                Ok(true)
            }
        }
    }

    /// The phone has all the server had for it.
    fn complete(&mut self, frame: &Frame, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let rewound = self.db.phone()?.rewound;
        if rewound && !self.sent.rewinding && self.db.count_envelopes_again()? == 0 {
            self.db.finish_rewind(self.at, rng)?;
            self.applied.news = true;
        }
        if frame.settled == Some(true) && !self.db.phone()?.rewound {
            self.db.settle()?;
        }
        self.purge()
    }

    /// The server has the request: what it carried need not travel again.
    fn request_answered(&mut self, frame: &Frame) -> Result<(), ApplyError> {
        if self.sent.relearns {
            self.db.set_relearn(false)?;
        }
        self.db.set_show_acknowledgement(frame.show_acknowledgement == Some(true))?;
        if self.sent.deposit {
            return Ok(());
        }
        self.db.set_login_required(frame.login_required == Some(true))?;
        self.db.confirm_cursors(&self.sent.cursors)?;
        self.db.forget_purged(&self.sent.purged)?;
        self.db.set_wishes(false, false)?;
        Ok(())
    }

    /// Acknowledgement, wishes, lease, receipt numbers, cash.
    fn server_state(&mut self, frame: &Frame, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        if let Some(signed) = &frame.acknowledgement {
            self.acknowledgement(signed)?;
        }
        let wishes = (frame.send_cursors == Some(true), frame.send_have == Some(true));
        if wishes.0 || wishes.1 {
            let phone = self.db.phone()?;
            self.db.set_wishes(phone.send_cursors || wishes.0, phone.send_have || wishes.1)?;
        }
        if let Some(lease) = &frame.lease {
            let exp_s = crate::enrol::lease_exp_s(lease).ok_or(ApplyError::Protocol("a lease without exp"))?;
            self.db.set_lease(lease, exp_s, rng)?;
        }
        if let Some(signed) = &frame.receipt_block {
            self.receipt_block(signed)?;
        }
        if let Some(block) = &frame.officer {
            self.db.set_officer(block, rng)?;
        }
        if let Some(news) = &frame.news {
            self.later_verdicts(news)?;
        }
        Ok(())
    }

    /// New verdicts on own entries, repeated until a request names their number.
    fn later_verdicts(&mut self, news: &News) -> Result<(), ApplyError> {
        if news.number <= self.db.phone()?.news_seen {
            return Ok(());
        }
        for NewOutcome { entry, outcome } in &news.outcomes {
            self.applied.entries_answered += u32::from(self.db.set_outcome(*entry, outcome)?);
        }
        self.db.set_news_seen(news.number)?;
        self.applied.news = true;
        Ok(())
    }

    fn acknowledgement(&mut self, signed: &Signed) -> Result<(), ApplyError> {
        let ack: Acknowledgement = self.open(signed, Context::Acknowledgement)?;
        let phone = self.db.phone()?;
        if ack.device != phone.device {
            return Err(ApplyError::Protocol("an acknowledgement for another device"));
        }
        self.db.set_acknowledgement(signed, &ack, self.now)?;
        // One of another epoch is a moment in time, and says nothing of what is held.
        if phone.epoch.is_some_and(|epoch| epoch != ack.epoch) {
            return Ok(());
        }
        // A deposit has no verdicts: what it handed in again is held by what is acknowledged.
        if self.sent.deposit && ack.install == self.sent.upload_install && self.knows(ack.install, &ack)? {
            self.db.set_held_again(ack.install, ack.number)?;
        }
        if ack.install == phone.install && ack.number > phone.acked_number && self.knows(phone.install, &ack)? {
            self.db.set_acked_up_to(phone.install, ack.number, ack.at)?;
            self.applied.news = true;
        }
        Ok(())
    }

    /// Whether the acknowledged envelope is the one this phone sent under that number. A clone's may
    /// have another id; then the answers say `reactor`, and this number means nothing here.
    fn knows(&self, install: InstallId, ack: &Acknowledgement) -> Result<bool, StoreError> {
        let kept = self.db.envelope(install, ack.number)?;
        Ok(kept.is_some_and(|kept| kept.id == ack.envelope && ack.envelope != EnvelopeId::NONE))
    }

    /// The order to erase everything: for this life of this store, in the history it knows, or for nobody here.
    fn wipe(&mut self, signed: &Signed, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let order: WipeOrder = self.open(signed, Context::Wipe)?;
        let phone = self.db.phone()?;
        if (order.device, order.install, Some(order.epoch)) != (phone.device, phone.install, phone.epoch) {
            return Err(ApplyError::Protocol("an order for another store"));
        }
        if phone.wiped_at.is_none() {
            self.db.wipe(&order.envelope_key.0, self.now, rng)?;
            self.applied.wiped = true;
        }
        Ok(())
    }

    fn receipt_block(&mut self, signed: &Signed) -> Result<(), ApplyError> {
        let block: ReceiptBlock = self.open(signed, Context::Block)?;
        let phone = self.db.phone()?;
        // A grant to an install that has ended is closed before it is opened.
        if block.device == phone.device && block.install == phone.install {
            self.db.insert_receipt_block(&block, signed)?;
        }
        Ok(())
    }

    fn open<T: for<'b> minicbor::Decode<'b, ()>>(&self, signed: &Signed, context: Context) -> Result<T, ApplyError> {
        let Enrolment { server_key, deployment, .. } = &self.enrolment;
        signed
            .open(server_key, context, *deployment)
            .map_err(|_| ApplyError::Protocol("not signed by the enrolled server"))
    }

    fn caseloads(&mut self, frame: &Frame, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let Some(list) = &frame.caseloads else { return Ok(()) };
        self.db.set_caseloads(list, rng)?;
        self.db.set_caseloads_hash(caseloads_hash(list))?;
        self.applied.news = true;
        Ok(())
    }

    /// Departures before arrivals: a dossier that moved between two caseloads of this phone is in both.
    fn dossiers(&mut self, frame: &Frame, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        for gone in frame.gone.iter().flatten() {
            let (dossier, caseload) = (dossier(frame, gone.dossier)?, caseload(frame, gone.caseload)?);
            self.db.end_membership(dossier, caseload, gone.epoch)?;
            if gone.reason == GoneReason::Erased {
                self.db.order_erasure(dossier)?;
            }
            self.applied.news = true;
        }
        for delta in frame.deltas.iter().flatten() {
            self.delta(frame, delta, rng)?;
        }
        for drop in frame.drop.iter().flatten() {
            self.drop_entries(frame, drop)?;
        }
        for relist in frame.relist.iter().flatten() {
            self.relist(frame, relist)?;
        }
        Ok(())
    }

    fn delta(&mut self, frame: &Frame, delta: &Delta, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let (dossier, caseload) = (dossier(frame, delta.dossier)?, caseload(frame, delta.caseload)?);
        self.db.hold(dossier, caseload, delta.epoch, delta.version)?;
        for section in &delta.facts {
            self.db.set_section(dossier, section.kind, &section.bytes, rng)?;
        }
        self.learn_day(dossier)?;
        let device = self.db.phone()?.device;
        for entry in &delta.entries {
            let author = frame.people.iter().flatten().nth(usize::from(entry.author));
            let author = author.ok_or(ApplyError::Protocol("an author that the frame does not name"))?;
            let head: Head =
                minicbor::decode(&entry.bytes).map_err(|_| ApplyError::Protocol("an entry without a head"))?;
            let own = head.device == device;
            self.db.insert_fed((head.id, dossier, own), &entry.bytes, &author.name, &entry.outcome, rng)?;
        }
        for NewOutcome { entry, outcome } in &delta.outcomes {
            self.db.set_outcome(*entry, outcome)?;
        }
        if let Some(news) = &delta.board {
            self.board_news(dossier, news, rng)?;
        }
        self.applied.deltas += 1;
        self.applied.news = true;
        Ok(())
    }

    /// A day dossier has no profile: its id says whose day it is, if it is one of the officer's own.
    fn learn_day(&self, dossier: DossierId) -> Result<(), ApplyError> {
        const DAYS_AROUND: i32 = 62;
        if self.db.dossier_kind(dossier)?.is_some() || !self.db.sections_of(dossier)?.is_empty() {
            return Ok(());
        }
        let today = self.enrolment.zone.date_of(self.at);
        let mut days = (-DAYS_AROUND..=DAYS_AROUND).map(|days| today.plus_days(days));
        if days.any(|day| DossierId::day(self.enrolment.user, day) == dossier) {
            self.db.set_dossier_kind(dossier, BoardKind::Day)?;
        }
        Ok(())
    }

    fn board_news(&mut self, dossier: DossierId, news: &BoardNews, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let damaged = |_| ApplyError::Protocol("a board that does not load");
        let board = match news {
            BoardNews::Snapshot(bytes) => Confirmed::load(bytes).map_err(damaged)?,
            BoardNews::Changes(changes) => {
                let changes: Vec<&[u8]> = changes.iter().map(|change| change.as_slice()).collect();
                match self.db.confirmed_board(dossier)? {
                    Some(board) => board.merged(&changes).map_err(damaged)?,
                    // A colleague's day has no profile that says what it is. Its first change does: it
                    // builds on the genesis of one kind.
                    None => BoardKind::ALL
                        .into_iter()
                        .find_map(|kind| Confirmed::genesis(kind).merged(&changes).ok())
                        .ok_or(ApplyError::Protocol("changes of a board of unknown kind"))?,
                }
            }
        };
        self.db.set_dossier_kind(dossier, board.kind())?;
        self.db.set_confirmed_board(dossier, &board, rng)?;
        // Own changes build on what the server had admitted. If it has lost that, they are drafts.
        if self.db.phone()?.rewound {
            self.db.redo_on_new_board(dossier, self.at, rng)?;
        } else if !self.db.own_changes_fit(dossier, &board)? {
            let n = self.db.board_n(dossier)?;
            let first = self.db.quarantine_board(dossier, n, "BOARD_SET_BACK", self.at, rng)?;
            self.applied.quarantined += u32::from(first);
        }
        Ok(())
    }

    /// Erases entries by order, kept envelopes included. What has no verdict yet stays until it has.
    fn drop_entries(&mut self, frame: &Frame, drop: &Drop) -> Result<(), ApplyError> {
        dossier(frame, drop.dossier)?;
        let ids: BTreeSet<_> = drop.entries.iter().copied().collect();
        self.db.drop_envelopes_with(&ids)?;
        ids.into_iter().try_for_each(|id| self.db.erase_entry_with_files(id))?;
        self.applied.news = true;
        Ok(())
    }

    fn relist(&mut self, frame: &Frame, relist: &Relist) -> Result<(), ApplyError> {
        let id = caseload(frame, relist.caseload)?;
        let members = relist.members.iter().map(|(index, epoch)| Ok((dossier(frame, *index)?, *epoch)));
        let members = members.collect::<Result<Vec<_>, ApplyError>>()?;
        self.db.add_relisted(id, &members)?;
        if relist.last {
            self.db.finish_relist(id)?;
        }
        self.applied.news = true;
        Ok(())
    }

    fn cursors(&mut self, frame: &Frame) -> Result<(), ApplyError> {
        // A feed that was read for an install that has ended left out what that install had made.
        if self.db.phone()?.install != self.sent.install {
            return Ok(());
        }
        let known = self.db.caseload_ids()?;
        for new in frame.cursors.iter().flatten() {
            let id = caseload(frame, new.caseload)?;
            // A caseload that the list has taken away is not read on.
            if known.contains(&id) {
                self.applied.news |= self.db.set_cursor(id, &new.cursor)?;
            }
        }
        Ok(())
    }

    /// A page of the offers to quote from.
    fn catalogue(&mut self, frame: &Frame, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let Some(page) = &frame.catalogue else { return Ok(()) };
        if self.db.add_catalogue_page(page, rng)? == PageTaken::OutOfPlace {
            return Err(ApplyError::Protocol("offers that do not follow those that are here"));
        }
        self.applied.news = true;
        Ok(())
    }

    /// Drain, then purge: what no caseload holds leaves once nothing of it waits for a verdict. What is to be
    /// erased takes along whatever else of it is here.
    fn purge(&mut self) -> Result<(), ApplyError> {
        // What is handed in again after a rewind goes first.
        let erasable = if self.db.phone()?.rewound { Vec::new() } else { self.db.erasable()? };
        // Each envelope is opened once, however many dossiers go.
        if !erasable.is_empty() {
            self.db.drop_envelopes_about(&erasable.iter().copied().collect())?;
        }
        for dossier in erasable {
            if self.db.erase_dossier(dossier)? {
                self.applied.purged.push(dossier);
            }
        }
        for dossier in self.db.purgeable()? {
            self.db.purge(dossier)?;
            self.applied.purged.push(dossier);
        }
        Ok(())
    }
}

fn dossier(frame: &Frame, index: u16) -> Result<DossierId, ApplyError> {
    let named = frame.dossiers.iter().flatten().nth(usize::from(index));
    named.copied().ok_or(ApplyError::Protocol("a dossier that the frame does not name"))
}

fn caseload(frame: &Frame, index: u16) -> Result<CaseloadId, ApplyError> {
    let named = frame.feeds.iter().flatten().nth(usize::from(index));
    named.copied().ok_or(ApplyError::Protocol("a caseload that the frame does not name"))
}
