//! What an app shows.
//!
//! [`Store::view`] opens the views for as long as the lease lasts, by trusted time; after that, and on
//! a phone the server has revoked, they are locked and nothing is deleted. [`Store::status`] is always
//! open: it names no customer.
//!
//! Views read and compute; they store nothing. What changes with the date (days past due, arrears) is
//! computed for the business date now, with the rule the server uses.

mod case;
pub mod cash;
mod entry;
mod files;
mod near;
mod offers;
mod quote;
mod said;
pub mod words;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use daybook_shared::entry::{Body, Entry, HANDOVER_REPAYMENTS_MAX};
use daybook_shared::ids::{AgentId, CustomerId, DossierId, EntryId, UserId};
use daybook_shared::messages::Language;
use daybook_shared::money::Money;
use daybook_shared::time::{Date, Timestamp};

use daybook_shared::wire::sign::DeviceState;
use serde::Serialize;

pub use case::{BoardShown, CaseSummary, CaseView, Due, PromiseView, TaskShown, TimelineView};
pub use entry::EntryView;
pub use files::{AgentSummary, AgentView, DayView};
pub use near::{Position, metres};
pub use offers::{OfferView, Offers};
pub use quote::{OfflineQuote, QuoteError, Wanted};

use crate::Moment;
use crate::store::{Db, Draft, Store, StoreError, StoredFile};

/// Why nothing is shown. Nothing was deleted.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The phone has to be enrolled first.
    #[error("this phone is not enrolled yet: enrol it with the code from the office")]
    NotEnrolled,
    /// The store erased itself by the server's order.
    #[error("this phone was reported lost and has erased itself: the office has to enrol it anew")]
    Wiped,
    /// The lease has run out.
    #[error("the login has run out: log in again; what you captured is safe, and you can go on capturing")]
    LeaseLapsed,
    /// The server has revoked this phone.
    #[error("the office has locked this phone; what you captured is safe and will be handed in")]
    Locked(DeviceState),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ViewError {
    /// The stable code, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Store(error) => error.code(),
            Self::NotEnrolled => "not_enrolled",
            Self::Wiped => "wiped",
            Self::LeaseLapsed => "login_required",
            Self::Locked(_) => "locked",
        }
    }
}

/// How this phone stands. Names no customer, so it is always shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Whose phone it is; absent before enrolment.
    pub user: Option<String>,
    /// Captures without a verdict.
    pub unsent: u64,
    /// Board changes without a verdict.
    pub unsent_board_changes: u64,
    /// Photos and signatures that have not arrived.
    pub unsent_files: u64,
    /// Bytes of them that have not gone.
    pub unsent_file_bytes: u64,
    /// When the last sync was complete, by the server's clock.
    pub last_sync: Option<Timestamp>,
    /// Until when the views are open.
    pub lease_until: Option<Timestamp>,
    /// Whether they are locked for want of a login.
    pub lease_lapsed: bool,
    /// `ok`, `revoked`, `wipe`, or `wiped` once the store has erased itself.
    pub state: &'static str,
    /// Receipt numbers left before they become provisional.
    pub receipt_numbers_left: u64,
}

/// Cash in the officer's hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cash {
    /// By currency: see [`cash`] for the formula.
    pub in_hand: Vec<Money>,
    /// What of it the server does not know yet.
    pub uncounted: Vec<Money>,
    /// What this phone may still take; a currency that is not named has no limit.
    pub allowance_left: Vec<Money>,
    /// Own cash in no hand-over yet: what a hand-over now would name, the oldest first.
    pub to_hand_over: Vec<EntryId>,
    /// How many more there are than one hand-over can name.
    pub left_to_hand_over: usize,
}

/// What an officer has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attention {
    /// Own captures that are held or refused, in the order of capture.
    pub entries: Vec<EntryView>,
    /// Own words that boards did not take.
    pub drafts: Vec<DraftView>,
}

/// A file of an own capture that has not arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// The capture.
    pub entry: EntryId,
    /// Its SHA-256, in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u32,
    /// How much of it the server has.
    pub sent: u32,
    /// Why the server will not take it, by the code of its answer.
    pub refused: Option<String>,
}

/// Own words that a board did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DraftView {
    /// Names the draft for [`Store::dismiss_draft`].
    pub number: i64,
    /// The board's dossier.
    pub dossier: DossierId,
    /// The words, one line an edit.
    pub words: String,
    /// The code of the reason.
    pub reason: String,
    /// The reason in words.
    pub reason_words: String,
}

/// A customer with all accounts this phone holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Customer {
    /// The customer.
    pub id: CustomerId,
    /// The name.
    pub name: String,
    /// All phones of all accounts, best first.
    pub phones: Vec<String>,
    /// The accounts, the most overdue first.
    pub accounts: Vec<CaseSummary>,
}

/// The open views. Holds nothing but the store, whose phone it is, and the business date.
#[derive(Clone, Copy)]
pub struct View<'a> {
    db: Db<'a>,
    user: UserId,
    today: Date,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View({})", self.today)
    }
}

impl Store {
    /// Opens the views.
    ///
    /// # Errors
    /// [`ViewError`]: not enrolled, lease run out, or locked by the server.
    pub fn view(&self, now: Moment) -> Result<View<'_>, ViewError> {
        let db = self.read();
        let phone = db.phone()?;
        if phone.wiped_at.is_some() {
            return Err(ViewError::Wiped);
        }
        let enrolment = phone.enrolment.as_ref().ok_or(ViewError::NotEnrolled)?;
        if phone.state != DeviceState::Ok {
            return Err(ViewError::Locked(phone.state));
        }
        if phone.lease_lapsed(now) {
            return Err(ViewError::LeaseLapsed);
        }
        Ok(View { db, user: enrolment.user, today: enrolment.zone.date_of(phone.estimated(now)) })
    }

    /// How this phone stands.
    pub fn status(&self, now: Moment) -> Result<Status, StoreError> {
        let db = self.read();
        let phone = db.phone()?;
        let (unsent_files, unsent_file_bytes) = db.count_unsent_files()?;
        Ok(Status {
            unsent_files,
            unsent_file_bytes,
            user: db.user_name()?,
            unsent: db.count_open_entries()?,
            unsent_board_changes: db.count_board_changes()?,
            last_sync: phone.synced_at,
            lease_until: phone.lease_exp_s.map(|exp_s| Timestamp::from_millis(exp_s.saturating_mul(1000))),
            lease_lapsed: phone.lease_lapsed(now),
            state: match phone.state {
                _ if phone.wiped_at.is_some() => "wiped",
                DeviceState::Ok => "ok",
                DeviceState::Revoked => "revoked",
                DeviceState::Wipe => "wipe",
            },
            receipt_numbers_left: db.receipt_numbers_left(phone.install)?,
        })
    }

    /// Forgets a draft the officer has read.
    pub fn dismiss_draft(&mut self, number: i64) -> Result<(), StoreError> {
        self.write(|db| db.delete_draft(number))
    }
}

impl View<'_> {
    /// The business date that is shown.
    pub fn today(&self) -> Date {
        self.today
    }

    /// All cases, the most overdue first.
    pub fn caseload(&self) -> Result<Vec<CaseSummary>, StoreError> {
        let mut cases = case::summaries(self.db, self.today)?;
        cases.sort_by(|a, b| {
            let key = |case: &CaseSummary| (Reverse(case.dpd), Reverse(case.arrears.minor));
            key(a).cmp(&key(b)).then_with(|| a.customer_name.cmp(&b.customer_name)).then(a.dossier.cmp(&b.dossier))
        });
        Ok(cases)
    }

    /// All cases whose place is known, the nearest first, with their distance in metres.
    pub fn near(&self, here: Position) -> Result<Vec<CaseSummary>, StoreError> {
        let mut cases = case::summaries(self.db, self.today)?;
        cases.retain_mut(|case| {
            case.distance_m = case.position.map(|position| metres(here, position));
            case.distance_m.is_some()
        });
        cases.sort_by_key(|case| (case.distance_m, case.dossier));
        Ok(cases)
    }

    /// Cases whose customer's name holds every word of the text, or whose phone or account number
    /// holds its digits; the most overdue first.
    pub fn find(&self, text: &str) -> Result<Vec<CaseSummary>, StoreError> {
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        let digits = digits_of(text);
        let asks_number = digits.len() >= 3 && !text.chars().any(char::is_alphabetic);
        let mut cases = self.caseload()?;
        cases.retain(|case| {
            let name = case.customer_name.to_lowercase();
            let by_name = !words.is_empty() && words.iter().all(|word| name.contains(word.as_str()));
            let by_phone = asks_number && case.phones.iter().any(|phone| digits_of(phone).contains(&digits));
            let number = case.account_number.to_lowercase();
            by_name || by_phone || words.iter().any(|word| word.len() >= 3 && number.contains(word.as_str()))
        });
        Ok(cases)
    }

    /// A customer with all accounts here; `None` if there is none.
    pub fn customer(&self, id: CustomerId) -> Result<Option<Customer>, StoreError> {
        let mut accounts = self.caseload()?;
        accounts.retain(|case| case.customer == id);
        let Some(name) = accounts.first().map(|case| case.customer_name.clone()) else { return Ok(None) };
        let mut seen = BTreeSet::new();
        let phones =
            accounts.iter().flat_map(|case| &case.phones).filter(|phone| seen.insert(*phone)).cloned().collect();
        Ok(Some(Customer { id, name, phones, accounts }))
    }

    /// One case with all there is about it; `None` if it is not here.
    pub fn case(&self, dossier: DossierId) -> Result<Option<CaseView>, StoreError> {
        case::case(self.db, dossier, self.today)
    }

    /// All agents with a file here, by code.
    pub fn agents(&self) -> Result<Vec<AgentSummary>, StoreError> {
        files::agents(self.db, self.today)
    }

    /// One agent with what was recorded; `None` if no file is here.
    pub fn agent(&self, agent: AgentId) -> Result<Option<AgentView>, StoreError> {
        files::agent(self.db, agent, self.today)
    }

    /// The officer's own day of this business date, with what belongs to it.
    pub fn day(&self, date: Date) -> Result<DayView, StoreError> {
        files::day(self.db, self.user, date)
    }

    /// Own captures without a verdict, in the order of capture.
    pub fn unsent(&self) -> Result<Vec<EntryView>, StoreError> {
        Ok(self.db.open_entries()?.iter().map(|entry| EntryView::of(entry, self.db.language)).collect())
    }

    /// Files of own captures that have not arrived, in the order of capture.
    pub fn unsent_files(&self) -> Result<Vec<FileView>, StoreError> {
        let view = |file: StoredFile| {
            let StoredFile { entry, sha256, size, sent, refused } = file;
            FileView { entry, sha256: sha256.to_string(), bytes: size, sent, refused }
        };
        Ok(self.db.unsent_files()?.into_iter().map(view).collect())
    }

    /// What is held, refused or was not merged, with the reasons in words.
    pub fn attention(&self) -> Result<Attention, StoreError> {
        let language = self.db.language;
        let entries = self.db.entries_needing_attention()?;
        let entries = entries.iter().map(|entry| EntryView::of(entry, language)).collect();
        let drafts = self.db.drafts()?.into_iter().map(|draft| draft_view(draft, language)).collect();
        Ok(Attention { entries, drafts })
    }

    /// Cash in the officer's hand.
    pub fn cash(&self) -> Result<Cash, StoreError> {
        let all = to_hand_over(self.db)?;
        Ok(Cash {
            in_hand: cash::in_hand(self.db)?,
            uncounted: cash::uncounted(self.db)?,
            allowance_left: cash::allowance_left(self.db)?,
            to_hand_over: all.iter().map(|(id, _)| *id).take(HANDOVER_REPAYMENTS_MAX).collect(),
            left_to_hand_over: all.len().saturating_sub(HANDOVER_REPAYMENTS_MAX),
        })
    }

    /// Own cash in no hand-over yet, with its amounts, in the order of capture: as much as one
    /// hand-over can name.
    pub fn to_hand_over(&self) -> Result<Vec<(EntryId, Money)>, StoreError> {
        let mut offered = to_hand_over(self.db)?;
        offered.truncate(HANDOVER_REPAYMENTS_MAX);
        Ok(offered)
    }
}

fn draft_view(draft: Draft, language: Language) -> DraftView {
    let Draft { number, dossier, words, reason, .. } = draft;
    DraftView { number, dossier, words, reason_words: words::of_board_code(language, &reason), reason }
}

fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Own cash in the officer's hand that no own hand-over names, whether or not its case is still here.
fn to_hand_over(db: Db<'_>) -> Result<Vec<(EntryId, Money)>, StoreError> {
    let kept = db.kept_cash()?.into_iter().filter(|(_, _, outcome)| cash::is_in_hand(outcome));
    let mut amounts: Vec<_> = kept.map(|(id, amount, _)| (id, amount)).collect();
    let kept = db.kept_handovers()?.into_iter().filter(|(_, outcome)| cash::stands(outcome));
    let mut handed: BTreeSet<_> = kept.map(|(repayment, _)| repayment).collect();
    for stored in db.own_entries()? {
        let outcome = stored.state.outcome();
        let Ok(entry) = Entry::decode(&stored.bytes) else { continue };
        match &entry.body {
            Body::CashHandover(handover) if outcome.is_none_or(cash::stands) => {
                handed.extend(handover.repayments.iter().copied());
            }
            body if outcome.is_none_or(cash::is_in_hand) => {
                amounts.extend(cash::of(body).map(|amount| (stored.id, amount)));
            }
            _ => {}
        }
    }
    amounts.retain(|(id, _)| !handed.contains(id));
    // Ids are UUIDv7: their first 48 bits are the milliseconds they were made at.
    amounts.sort_by_key(|(id, _)| id.as_bytes().first_chunk::<6>().copied());
    Ok(amounts)
}

#[cfg(test)]
mod tests;
