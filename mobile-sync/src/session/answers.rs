//! The server's word on each envelope, and what becomes of its items.

use daybook_shared::ids::ChangeHash;
use daybook_shared::wire::envelope::{BoardChange, Envelope};
use daybook_shared::wire::exchange::{Answer, EnvelopeAnswer};
use daybook_shared::wire::outcome::{BoardState, BoardVerdict, Outcome};
use rand::Rng;

use super::apply::{ApplyError, Applying};
use crate::store::{WayOut, entry_id};

impl Applying<'_> {
    /// Takes the answer to one envelope of the request.
    pub(super) fn answer(&mut self, answer: &EnvelopeAnswer, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        // Once a new install has begun, the other answers of this response speak of the old one.
        let phone = self.db.phone()?;
        if phone.install != self.sent.install || !self.sent.envelopes.contains(&answer.number) {
            return Ok(());
        }
        match &answer.answer {
            Answer::Taken { outcomes, board } => self.taken(answer.number, outcomes, board, rng),
            Answer::Expect { number, previous } => {
                // What was sent before this envelope in the same request may have been refused: then
                // a gap is no news.
                if self.applied.refused.is_some() {
                    return Ok(());
                }
                let install = self.sent.upload_install;
                let kept = self.db.envelope(install, *number)?;
                let kept = kept.map(|kept| Envelope::decode(&kept.bytes)).transpose();
                let fits = kept.ok().flatten().is_some_and(|kept| kept.header.previous == *previous);
                // Asking for what this very request began with cannot be met by sending it again.
                let asked_in_vain = self.sent.envelopes.first() == Some(number);
                if fits && !asked_in_vain {
                    self.db.reopen_envelopes(install, *number)?;
                    self.applied.news = true;
                    Ok(())
                } else {
                    self.not_acceptable(rng)
                }
            }
            Answer::Reactor => self.not_acceptable(rng),
            // An older install that the server does not open again.
            Answer::Refused { .. } if self.sent.upload_install != phone.install => self.not_acceptable(rng),
            Answer::Refused { code } => {
                if self.applied.refused.is_none() {
                    self.db.set_envelope_refused(phone.install, answer.number, code)?;
                    self.applied.refused = Some((answer.number, code.clone()));
                }
                Ok(())
            }
        }
    }

    /// The server cannot take the envelopes of the upload's install. What was handed in before and lost by a
    /// restore is packed anew; the present install comes to its end.
    fn not_acceptable(&mut self, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        let install = self.sent.upload_install;
        if install == self.sent.install {
            self.way_out(rng)?;
        }
        self.db.repack_kept(install, rng)?;
        self.applied.news = true;
        Ok(())
    }

    /// Somebody else has used this install's numbers. What the feed left out as this install's own may
    /// be that somebody's, so the new install reads it from the start.
    fn way_out(&mut self, rng: &mut dyn Rng) -> Result<(), ApplyError> {
        self.db.begin_install(WayOut::Numbering, self.now, rng)?;
        self.db.forget_cursors()?;
        self.applied.new_installs += 1;
        self.applied.news = true;
        Ok(())
    }

    fn taken(
        &mut self,
        number: u64,
        outcomes: &[Outcome],
        verdicts: &[BoardVerdict],
        rng: &mut dyn Rng,
    ) -> Result<(), ApplyError> {
        let install = self.sent.upload_install;
        let kept = self.db.envelope(install, number)?.ok_or(ApplyError::Protocol("an answer to nothing"))?;
        let body = Envelope::decode(&kept.bytes).map_err(|_| ApplyError::Protocol("a kept envelope is damaged"))?.body;
        if outcomes.len() != body.entries.len() || verdicts.len() != body.board.len() {
            return Err(ApplyError::Protocol("verdicts on other items than were sent"));
        }
        for (entry, outcome) in body.entries.iter().zip(outcomes) {
            let id = entry_id(entry).ok_or(ApplyError::Protocol("a kept entry is damaged"))?;
            // An entry that the server had erased meanwhile is not here; its verdict is moot.
            self.applied.entries_answered += u32::from(self.db.set_outcome(id, outcome)?);
        }
        for (change, verdict) in body.board.iter().zip(verdicts) {
            self.board_verdict(change, verdict, rng)?;
        }
        self.db.set_envelope_answered(install, number)?;
        if install == self.sent.install {
            let at = self.db.phone()?.trusted(self.now);
            self.db.set_acked_up_to(install, number, at)?;
        }
        self.applied.envelopes_answered += 1;
        self.applied.news = true;
        Ok(())
    }

    fn board_verdict(
        &mut self,
        change: &BoardChange,
        verdict: &BoardVerdict,
        rng: &mut dyn Rng,
    ) -> Result<(), ApplyError> {
        match verdict.state {
            BoardState::Merged | BoardState::Duplicate => {
                let hash = hash_of(&change.change).ok_or(ApplyError::Protocol("a kept change is damaged"))?;
                self.db.confirm_change(change.dossier, hash, &change.change, rng)?;
            }
            BoardState::Quarantined => {
                let reason = verdict.reason.as_deref().unwrap_or("UNKNOWN");
                let (dossier, n) = (change.dossier, change.n);
                if self.db.phone()?.rewound {
                    self.db.redo_later(dossier, n, reason, self.at, rng)?;
                } else {
                    let first = self.db.quarantine_board(dossier, n, reason, self.at, rng)?;
                    self.applied.quarantined += u32::from(first);
                }
            }
        }
        Ok(())
    }
}

fn hash_of(change: &[u8]) -> Option<ChangeHash> {
    daybook_shared::board::prescan(change, &daybook_shared::board::Limits::default()).ok().map(|scan| scan.hash)
}
