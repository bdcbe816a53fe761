//! What a store holds, without rules, locks or words: for comparing a phone with its server in
//! tests and in support. An app shows people [`crate::view`].

use std::collections::BTreeSet;

use daybook_shared::board::BoardView;
use daybook_shared::facts::{Profile, SectionKind};
use daybook_shared::ids::{DossierId, EntryId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::wire::envelope::Envelope;
use daybook_shared::wire::exchange::CaseloadInfo;
use daybook_shared::wire::outcome::Outcome;

use super::{Store, StoreError, entry_id};

/// An entry: its id, the bytes its phone made, and the verdict where there is one.
pub type EntryRow = (EntryId, Vec<u8>, Option<Outcome>);

impl Store {
    /// The dossiers here and the version of each, by id.
    pub fn dossiers(&self) -> Result<Vec<(DossierId, u64)>, StoreError> {
        Ok(self.read().held()?.into_iter().map(|held| (held.dossier, held.version)).collect())
    }

    /// A dossier's entries by id: the bytes their phones made, and the verdict where there is one.
    pub fn entries_of(&self, dossier: DossierId) -> Result<Vec<EntryRow>, StoreError> {
        let entries = self.read().entries_of(dossier)?;
        let mut entries: Vec<_> =
            entries.into_iter().map(|entry| (entry.id, entry.bytes, entry.state.outcome().cloned())).collect();
        entries.sort_unstable_by_key(|(id, ..)| *id);
        Ok(entries)
    }

    /// A dossier's facts: each section's CBOR with its number
    /// ([`daybook_shared::facts::SectionKind::number`]), ascending.
    pub fn facts_of(&self, dossier: DossierId) -> Result<Vec<(u8, Vec<u8>)>, StoreError> {
        Ok(self.read().sections_of(dossier)?.into_iter().collect())
    }

    /// A dossier's board with this phone's own changes on top; `None` for a dossier whose kind is not
    /// known, which has no board.
    pub fn board_of(&self, dossier: DossierId) -> Result<Option<BoardView>, StoreError> {
        Ok(self.read().working_board(dossier)?.map(|working| working.board.view()))
    }

    /// Own captures without a verdict, in the order of capture.
    pub fn unanswered(&self) -> Result<Vec<EntryId>, StoreError> {
        Ok(self.read().open_entries()?.into_iter().map(|entry| entry.id).collect())
    }

    /// Every own capture this store holds, in the order of capture, with its verdict where there is one.
    pub fn own_entries(&self) -> Result<Vec<EntryRow>, StoreError> {
        let own = self.read().own_entries()?;
        Ok(own.into_iter().map(|entry| (entry.id, entry.bytes, entry.state.outcome().cloned())).collect())
    }

    /// Own board changes without a verdict, on all boards.
    pub fn unanswered_board_changes(&self) -> Result<u64, StoreError> {
        self.read().count_board_changes()
    }

    /// The envelopes of the present install that wait for a verdict, oldest first, as they are sent.
    pub fn unanswered_envelopes(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let install = self.install()?;
        let envelopes = self.read().envelopes_to_send(install, 0, (usize::MAX, usize::MAX))?;
        Ok(envelopes.into_iter().map(|envelope| envelope.bytes).collect())
    }

    /// The envelopes that [`Self::unanswered_envelopes`] gives, read.
    pub fn unanswered_envelopes_read(&self) -> Result<Vec<Envelope>, StoreError> {
        let bad = |_| StoreError::BadRow { table: "envelope" };
        self.unanswered_envelopes()?.iter().map(|bytes| Envelope::decode(bytes).map_err(bad)).collect()
    }

    /// Entries in envelopes that are kept, answered or not: what a server that lost them is handed again.
    pub fn kept_entries(&self) -> Result<BTreeSet<EntryId>, StoreError> {
        let db = self.read();
        let mut ids = BTreeSet::new();
        for (install, number) in db.kept_envelopes()? {
            let kept = db.envelope(install, number)?.ok_or(StoreError::BadRow { table: "envelope" })?;
            let body = Envelope::decode(&kept.bytes).map_err(|_| StoreError::BadRow { table: "envelope" })?.body;
            ids.extend(body.entries.iter().filter_map(|entry| entry_id(entry)));
        }
        Ok(ids)
    }

    /// What is kept here of people, in the clear: entries, facts, boards, words put aside, what is in kept
    /// envelopes, and files. Shows that something is gone.
    pub fn plain(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let db = self.read();
        let mut plain: Vec<Vec<u8>> = db.every_entry()?.into_iter().map(|entry| entry.bytes).collect();
        for held in db.held()? {
            plain.extend(db.sections_of(held.dossier)?.into_values());
            let board = db.working_board(held.dossier)?.map(|working| format!("{:?}", working.board.view()));
            plain.extend(board.map(String::into_bytes));
        }
        plain.extend(db.drafts()?.into_iter().map(|draft| draft.words.into_bytes()));
        for (install, number) in db.kept_envelopes()? {
            let kept = db.envelope(install, number)?.ok_or(StoreError::BadRow { table: "envelope" })?;
            let body = Envelope::decode(&kept.bytes).map_err(|_| StoreError::BadRow { table: "envelope" })?.body;
            plain.extend(body.entries.into_iter().map(|entry| entry.to_vec()));
            plain.extend(body.board.into_iter().map(|change| change.change));
        }
        plain.extend(db.every_file()?);
        Ok(plain)
    }

    /// The caseloads of this device, in the server's order.
    pub fn caseloads(&self) -> Result<Vec<CaseloadInfo>, StoreError> {
        self.read().caseloads()
    }

    /// The offers to quote from, in the server's order, as they travelled.
    pub fn offers(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read().catalogue().map(|catalogue| catalogue.offers)
    }

    /// The lender's currency; `None` before enrolment.
    pub fn currency(&self) -> Result<Option<Currency>, StoreError> {
        Ok(self.read().phone()?.enrolment.map(|enrolment| enrolment.currency))
    }

    /// The currency of a case's account; `None` if the case is not here.
    pub fn currency_of(&self, dossier: DossierId) -> Result<Option<Currency>, StoreError> {
        let profile = self.read().section::<Profile>(dossier, SectionKind::Profile)?;
        Ok(profile.map(|profile| profile.currency))
    }

    /// Cash in hand by currency: see [`crate::view::cash`] for the formula.
    pub fn cash_in_hand(&self) -> Result<Vec<Money>, StoreError> {
        crate::view::cash::in_hand(self.read())
    }

    /// What a request asks for in bytes of compressed response: halved and doubled by experience.
    pub fn budget_bytes(&self) -> Result<u32, StoreError> {
        self.read().phone().map(|phone| phone.budget_bytes)
    }
}
