//! Recording what happened, where it happened.
//!
//! [`Store::capture`] checks a draft with the rules that need nothing but this phone, makes the entry,
//! and inserts it: one transaction, one fsync, durable when it returns. It needs no network and no
//! dossier. [`Store::edit_board`] does the same for notes, tags and tasks.
//!
//! A cash limit stops an officer from *taking* cash, never from *recording* it: beyond the allowance
//! or the lease the answer is [`CaptureError::OverrideRequired`], and the same draft with an
//! [`Override`] is stored, flagged, under a provisional receipt number.
//!
//! Not here: what the capture means for balances. The phone never allocates.

mod board;
mod draft;
pub(crate) mod home;
mod lookup;
mod rules;

use daybook_shared::entry::{
    Attachment, Body, Complaint, Entry, EntryError, EntryType, Head, ReceiptNumber, SCHEMA_VERSION,
};
use daybook_shared::facts::{Profile, SectionKind, State};
use daybook_shared::ids::{DossierId, EntryId, Hash, sha256};
use daybook_shared::money::{Currency, Money, MoneyError};
use daybook_shared::time::{Date, Timestamp, Zone};
use daybook_shared::wire::limits::ATTACHMENT_BYTES_MAX;
use rand::Rng;

pub use board::EditBoardError;
pub use draft::{Draft, NewFile, Override, RepaymentDraft, What};

use crate::Moment;
use crate::store::{Db, Enrolment, NewEntry, Phone, Store, StoreError};
use crate::view::cash;

/// What a capture gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The entry's id.
    pub id: EntryId,
    /// The dossier it belongs to.
    pub dossier: DossierId,
    /// The payer's receipt number, for a repayment that has one.
    pub receipt: Option<ReceiptNumber>,
    /// Whether that number is provisional: no block was at hand, or the capture was an override.
    pub provisional: bool,
    /// What the officer should look at again.
    pub warnings: Vec<Warning>,
}

/// Something to look at again. The capture is stored all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Over 1.2 times what is owed.
    #[error("{amount} is more than 1.2 times what is owed ({owed}): is the amount right?")]
    OverPayoff {
        /// What was captured.
        amount: Money,
        /// What is owed in all, as far as this phone knows.
        owed: Money,
    },
    /// The phone does not hold this case: the server may hold the entry back.
    #[error("this phone does not hold this case: the office has to release the entry")]
    NotHeld,
}

/// Why cash needs an override.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OverrideReason {
    /// More than this phone may still take.
    #[error("this phone may still take {left} in cash")]
    Allowance {
        /// What is left.
        left: Money,
    },
    /// The lease has run out.
    #[error("the login has run out")]
    LeaseLapsed,
    /// The money came more than a week ago.
    #[error("the money came more than {} days ago", rules::BACKDATED_DAYS_MAX)]
    Backdated,
}

/// Why a draft was not stored. Nothing is in the file.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The phone has to be enrolled first.
    #[error("this phone is not enrolled yet: enrol it with the code from the office")]
    NotEnrolled,
    /// The store erased itself by the server's order.
    #[error("this phone was reported lost and has erased itself: the office has to enrol it anew")]
    Wiped,
    /// The draft breaks a rule of its type.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The money is not in the account's currency.
    #[error("the account is in {expected}, not in {given}")]
    Currency {
        /// The account's.
        expected: Currency,
        /// The draft's.
        given: Currency,
    },
    /// The value date lies ahead.
    #[error("the value date {given} is ahead: today is {today}")]
    ValueDate {
        /// The draft's.
        given: Date,
        /// The business date.
        today: Date,
    },
    /// The promised day is out of range.
    #[error("a promise is for {earliest} to {latest}, not for {given}")]
    PromisedDate {
        /// The draft's.
        given: Date,
        /// The first day allowed.
        earliest: Date,
        /// The last day allowed.
        latest: Date,
    },
    /// Cash that this phone should not take. The same draft with an [`Override`] is stored.
    #[error("{0}. Ask the supervisor for a code, or say that the cash is in your hand already")]
    OverrideRequired(OverrideReason),
    /// The paper receipt's number is one of this phone's own numbers.
    #[error("{0} is a number of this phone: a paper receipt has another series")]
    OwnReceiptNumber(ReceiptNumber),
    /// A hand-over names an entry that is not cash this officer captured.
    #[error("{0} is not cash you captured")]
    NotCash(EntryId),
    /// A correction of an entry this phone does not know, and the draft does not name its dossier.
    #[error("{0} is not on this phone: say which case it belongs to")]
    UnknownTarget(EntryId),
    /// A file that is empty, or larger than an entry may name.
    #[error("a file has 1 to {ATTACHMENT_BYTES_MAX} bytes, and this one has {0}: take a smaller photo")]
    FileSize(usize),
    /// Too many files wait on this phone.
    #[error(
        "the files on this phone fill its share of the storage: sync, then try again, or record it without a photo"
    )]
    FilesFull,
    /// The amounts do not fit.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the rules need to know about the moment.
pub(crate) struct Circumstances {
    pub phone: Phone,
    pub enrolment: Enrolment,
    pub now: Moment,
    /// The best guess at the instant it is.
    pub at: Timestamp,
    /// The business date of that instant.
    pub today: Date,
}

impl Store {
    /// Records what happened. When this returns, it is durable and on its way.
    ///
    /// # Errors
    /// See [`CaptureError`]: the rules that need nothing but this phone. Nothing is stored.
    pub fn capture(&mut self, draft: Draft, now: Moment, rng: &mut dyn Rng) -> Result<Captured, CaptureError> {
        self.capture_with(draft, &[], now, rng)
    }

    /// As [`Store::capture`], with files, which are durable with it and sent after it.
    ///
    /// # Errors
    /// As [`Store::capture`]; [`CaptureError::FileSize`], [`CaptureError::FilesFull`].
    pub fn capture_with(
        &mut self,
        mut draft: Draft,
        files: &[NewFile],
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Captured, CaptureError> {
        let named = files.iter().map(attachment_of).collect::<Result<Vec<_>, _>>()?;
        draft.attachments.extend(named.iter().cloned());
        let uncounted = match self.uncounted_cash.take() {
            Some(known) => known,
            None => cash::uncounted(self.read())?,
        };
        let done = self.write(|db| {
            let stored = db.capture(draft, &uncounted, now, rng)?;
            db.keep_files(&stored.captured, files, &named, rng)?;
            Ok::<_, CaptureError>(stored)
        });
        let taken = done.as_ref().ok().and_then(|stored| stored.cash);
        let mut sums = uncounted;
        // A sum that does not fit is summed again, and fails there, where it can be reported.
        self.uncounted_cash = taken.map_or(Ok(()), |taken| cash::add(&mut sums, taken)).is_ok().then_some(sums);
        let stored = done?;
        if let Some(generation) = stored.generation {
            // A host that cannot keep it now must not make a stored capture look like a refused one,
            // which would be recorded twice. The next generation that is kept makes up for this one.
            let _ = self.keep_generation(generation);
        }
        Ok(stored.captured)
    }

    /// The business date now, in the lender's zone.
    ///
    /// # Errors
    /// [`CaptureError::NotEnrolled`] before the zone is known.
    pub fn business_date(&self, now: Moment) -> Result<Date, CaptureError> {
        self.read().circumstances(now).map(|circumstances| circumstances.today)
    }
}

impl Db<'_> {
    pub(crate) fn circumstances(self, now: Moment) -> Result<Circumstances, CaptureError> {
        let phone = self.phone()?;
        if phone.wiped_at.is_some() {
            return Err(CaptureError::Wiped);
        }
        let enrolment = phone.enrolment.clone().ok_or(CaptureError::NotEnrolled)?;
        let at = phone.estimated(now);
        let today = enrolment.zone.date_of(at);
        Ok(Circumstances { phone, enrolment, now, at, today })
    }

    /// Makes and inserts the entry. If it takes a receipt number, the generation moves on, so that a
    /// copy of the file made before can never give the same number to another payer.
    fn capture(
        self,
        draft: Draft,
        uncounted: &[Money],
        now: Moment,
        rng: &mut dyn Rng,
    ) -> Result<Stored, CaptureError> {
        let here = self.circumstances(now)?;
        let Draft { what, gps, attachments, offset_min } = draft;
        let dossier = self.dossier_for(&what, &here)?;
        let basis = self.version_of(dossier)?;
        let mut warnings = Vec::new();
        let made = self.body_of(what, dossier, &here, uncounted, &mut warnings)?;
        let id = EntryId::new(here.at, rng);
        let head = Head {
            id,
            entry_type: made.entry_type,
            schema_version: SCHEMA_VERSION,
            dossier,
            captured_at: now.wall,
            offset_min: offset_min.unwrap_or_else(|| offset_of(&here.enrolment.zone, here.at)),
            boot_id: now.boot_id,
            boot_ms: now.boot_ms,
            after: here.phone.after,
            device: here.phone.device,
            basis: basis.unwrap_or(0),
            gps,
            attachments: (!attachments.is_empty()).then_some(attachments),
        };
        let entry = Entry { head, body: made.body };
        entry.check()?;
        let bytes = entry.encode();
        // What a reader would not take must not be stored: length and depth are checked here.
        Entry::decode(&bytes)?;
        let cash = cash::of(&entry.body);
        if dossier == DossierId::day(here.enrolment.user, here.today) {
            self.open_day(dossier)?;
        } else if basis.is_none() && !self.is_new_quarter(dossier, here.today)? {
            warnings.push(Warning::NotHeld);
        }
        self.insert_capture(&NewEntry { id, dossier, bytes: &bytes, is_cash: cash.is_some() }, rng)?;
        self.keep_trusted(&here.phone, now)?;
        let generation = made.took_number.then(|| here.phone.generation.saturating_add(1));
        generation.map_or(Ok(()), |generation| self.set_generation(generation))?;
        let receipt = match entry.body {
            Body::Repayment(repayment) => repayment.receipt,
            _ => None,
        };
        let captured = Captured { id, dossier, receipt, provisional: made.provisional, warnings };
        Ok(Stored { captured, cash, generation })
    }

    /// Keeps what goes with a capture. The entry alone is never held up by what was kept before.
    fn keep_files(
        self,
        captured: &Captured,
        files: &[NewFile],
        named: &[Attachment],
        rng: &mut dyn Rng,
    ) -> Result<(), CaptureError> {
        for (file, named) in files.iter().zip(named) {
            self.insert_file(captured.id, named.sha256, &file.bytes, rng)?;
        }
        if !files.is_empty() && self.kept_file_bytes()? > FILES_KEPT_BYTES_MAX {
            return Err(CaptureError::FilesFull);
        }
        Ok(())
    }

    fn body_of(
        self,
        what: What,
        dossier: DossierId,
        here: &Circumstances,
        uncounted: &[Money],
        warnings: &mut Vec<Warning>,
    ) -> Result<Made, CaptureError> {
        let body = match what {
            What::Repayment(draft) => {
                let state = self.section::<State>(dossier, SectionKind::State)?;
                warnings.extend(rules::over_payoff(&draft.amount, state.as_ref()));
                return self.repayment_of(draft, dossier, here, uncounted);
            }
            record => record.into_body(),
        };
        match &body {
            Body::Promise(promise) => rules::promise(promise, self.currency_of(dossier)?, here.today)?,
            Body::Complaint(Complaint { account, amount: Some(amount), .. }) => {
                rules::currency(amount, self.currency_of(DossierId::case(*account))?)?;
            }
            Body::CashHandover(handover) => self.check_handover(&handover.repayments)?,
            _ => {}
        }
        Ok(Made::plain(body))
    }

    fn repayment_of(
        self,
        draft: RepaymentDraft,
        dossier: DossierId,
        here: &Circumstances,
        uncounted: &[Money],
    ) -> Result<Made, CaptureError> {
        let value_date = draft.value_date.unwrap_or(here.today);
        rules::currency(&draft.amount, self.currency_of(dossier)?)?;
        let reason = if draft.is_cash() {
            let allowance = self.officer()?.map(|officer| officer.allowance);
            let lapsed = here.phone.lease_lapsed(here.now);
            rules::override_reason(&draft.amount, value_date, here.today, allowance.as_deref(), uncounted, lapsed)?
        } else {
            rules::value_date(value_date, here.today)?;
            None
        };
        let over_limit = match (&reason, &draft.over_limit) {
            (None, _) => None,
            (Some(_), Some(given)) => Some(given.text().to_owned()),
            (Some(reason), None) => return Err(CaptureError::OverrideRequired(reason.clone())),
        };
        let (receipt, provisional) = self.receipt_for(&draft, over_limit.is_some(), here)?;
        let took_number = receipt.is_some() && draft.paper_receipt.is_none();
        let body = Body::Repayment(draft.into_repayment(value_date, receipt, over_limit));
        Ok(Made { entry_type: EntryType::Repayment, body, provisional, took_number })
    }

    /// The number for the payer: the paper's where there is one, else the next of the block, else a
    /// provisional one. Only cash needs one.
    fn receipt_for(
        self,
        draft: &RepaymentDraft,
        over_limit: bool,
        here: &Circumstances,
    ) -> Result<(Option<ReceiptNumber>, bool), CaptureError> {
        let install = here.phone.install;
        if let Some(paper) = &draft.paper_receipt {
            let own_series = ReceiptNumber::provisional_series(install) == paper.series();
            if own_series || self.in_own_block(paper)? {
                return Err(CaptureError::OwnReceiptNumber(paper.clone()));
            }
            return Ok((Some(paper.clone()), false));
        }
        if !draft.is_cash() {
            return Ok((None, false));
        }
        if !over_limit && let Some(number) = self.take_block_number(install)? {
            return Ok((Some(number), false));
        }
        Ok((Some(self.take_provisional_number(install)?), true))
    }

    fn currency_of(self, dossier: DossierId) -> Result<Option<Currency>, CaptureError> {
        let profile = self.section::<Profile>(dossier, SectionKind::Profile)?;
        Ok(profile.map(|profile| profile.currency))
    }

    /// What a hand-over names is cash of this officer's, as far as this phone knows the entries.
    fn check_handover(self, repayments: &[EntryId]) -> Result<(), CaptureError> {
        for id in repayments {
            let Some(entry) = self.entry(*id)? else { continue };
            let is_cash = Entry::decode(&entry.bytes).is_ok_and(|entry| cash::of(&entry.body).is_some());
            if !entry.own || !is_cash {
                return Err(CaptureError::NotCash(*id));
            }
        }
        Ok(())
    }
}

/// Bytes of files that a phone keeps, sent or not.
const FILES_KEPT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What an entry says of a file.
fn attachment_of(file: &NewFile) -> Result<Attachment, CaptureError> {
    let NewFile { bytes, mime, kind } = file;
    let size = u32::try_from(bytes.len()).ok().filter(|size| (1..=ATTACHMENT_BYTES_MAX).contains(size));
    let size = size.ok_or(CaptureError::FileSize(bytes.len()))?;
    Ok(Attachment { sha256: Hash(sha256(&[bytes])), mime: mime.clone(), bytes: size, kind: kind.clone() })
}

struct Made {
    entry_type: EntryType,
    body: Body,
    provisional: bool,
    /// The receipt's number is one that this phone gave.
    took_number: bool,
}

/// What a capture left in the file.
struct Stored {
    captured: Captured,
    /// The cash that it adds to the officer's hand.
    cash: Option<Money>,
    /// For the host to keep, when it moved on.
    generation: Option<u64>,
}

impl Made {
    fn plain(body: Body) -> Self {
        let entry_type = body.entry_type().expect("a draft is of a type this build knows");
        Self { entry_type, body, provisional: false, took_number: false }
    }
}

/// Minutes by which the lender's zone is ahead of universal time at an instant.
fn offset_of(zone: &Zone, at: Timestamp) -> i16 {
    let offset = jiff::tz::TimeZone::get(zone.name()).ok().zip(jiff::Timestamp::from_microsecond(at.micros()).ok());
    let seconds = offset.map_or(0, |(zone, at)| zone.to_offset(at).seconds());
    i16::try_from(seconds / 60).unwrap_or(0)
}

#[cfg(test)]
mod tests;
