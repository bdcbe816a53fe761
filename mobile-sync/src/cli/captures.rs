//! Commands that record something.

use std::convert::Infallible;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};
use daybook_shared::board::Edit;
use daybook_shared::entry::{
    AttachmentKind, CashHandover, Channel, CheckResult, CheckedTransaction, Correction, CorrectionKind, CustomerAck,
    Gps, HandoverTo, PersonMet, Promise, PromiseChannel, Proposed, TransactionCheck, Visit, VisitKind, VisitOutcome,
    VisitReason,
};
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::money::{Currency, Money};
use daybook_shared::time::Date;
use serde_json::json;
use uuid::Uuid;

use super::args::{Command, Task};
use super::{Phone, board_hint, hint, say};
use crate::capture::{Captured, Draft, NewFile, Override, RepaymentDraft, What};
use crate::view::Position;

impl Phone<'_> {
    pub(super) fn capture_command(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::Note { case, text } => self.edit(case, Edit::NoteReplace(text.clone())),
            Command::Tag { case, tag, remove: false } => self.edit(case, Edit::AddTag(tag.clone())),
            Command::Tag { case, tag, remove: true } => self.edit(case, Edit::RemoveTag(tag.clone())),
            Command::Task { task: Task::Add { case, text, by } } => {
                let id = EntryId::new(self.clock.now().wall, &mut self.rng).0;
                self.edit(case, Edit::AddTask { id, text: text.clone(), by: by.clone() })
            }
            Command::Task { task: Task::Done { case, task } } => {
                let id = self.task_named(case, task)?;
                self.edit(case, Edit::SetTaskDone { id, done: true })
            }
            command => {
                let draft = self.draft_of(command)?;
                let now = self.clock.now();
                let files = photos_of(command)?;
                let captured = self.store.capture_with(draft, &files, now, &mut self.rng).map_err(hint)?;
                let left = self.cash_left(command)?;
                self.say_captured(&captured, left)
            }
        }
    }

    fn draft_of(&self, command: &Command) -> Result<Draft> {
        Ok(match command {
            Command::Visit { case, outcome, met, kind, gps, no_fix, reasons, note, minutes, .. } => {
                let gps = fix(gps.as_ref())?;
                let ended_at = self.clock.now().wall;
                let person_met = code("--met", met, PersonMet::ALL)?;
                let reasons = reasons.iter().map(|reason| code("--reason", reason, VisitReason::ALL));
                let reasons = reasons.collect::<Result<Vec<_>>>()?;
                let visit = Visit {
                    kind: code("--kind", kind, VisitKind::ALL)?,
                    started_at: ended_at.plus_ms(-i64::from(*minutes) * 60_000),
                    ended_at,
                    identity_verified: person_met == PersonMet::Customer,
                    person_met,
                    outcome: code("--outcome", outcome, VisitOutcome::ALL)?,
                    reasons: (!reasons.is_empty()).then_some(reasons),
                    note: note.clone(),
                    next_action: None,
                    no_fix_reason: no_fix.clone(),
                    stop: None,
                    witness: None,
                    id_shown: None,
                    customer_invited: None,
                };
                Draft { gps, ..Draft::from(What::Visit { account: self.account(case)?, visit }) }
            }
            Command::Repay { .. } => self.repayment_of(command)?,
            Command::Promise { case, amount, date, channel } => {
                let account = self.account(case)?;
                let amount = self.money(amount, self.currency_of(account)?)?;
                let channel = code("--channel", channel, PromiseChannel::ALL)?;
                let promise = Promise { amount, promised_date: day(date)?, channel, contact_ref: None };
                What::Promise { account, promise }.into()
            }
            Command::Correct { entry, kind, reason, amount, case } => {
                let amount = amount.as_deref().map(|amount| self.money(amount, self.currency()?)).transpose()?;
                let proposed =
                    amount.map(|amount| Proposed { amount_minor: Some(amount.minor), ..Proposed::default() });
                let target = entry.parse().context("an entry is named by its id")?;
                let kind = code("KIND", kind, CorrectionKind::ALL)?;
                let correction = Correction { target, kind, proposed, reason: reason.clone() };
                let dossier = case.as_deref().map(|case| self.account(case).map(DossierId::case)).transpose()?;
                What::Correction { dossier, correction }.into()
            }
            Command::Check { agent, txn_ref, amount, txn_type, result, book } => {
                let book = book.as_deref().map(|book| self.money(book, self.currency()?)).transpose()?;
                What::TransactionCheck(TransactionCheck {
                    agent: self.agent_named(agent)?,
                    txn_ref: txn_ref.clone(),
                    txn_type: code("--type", txn_type, CheckedTransaction::ALL)?,
                    amount: self.money(amount, self.currency()?)?,
                    txn_at: self.clock.now().wall,
                    book_amount_minor: book.map(|book| book.minor),
                    customer_confirmed: None,
                    result: code("--result", result, CheckResult::ALL)?,
                })
                .into()
            }
            Command::Handover { to, slip, declared } => self.handover_of(to, slip.as_ref(), declared.as_deref())?,
            _ => unreachable!("invariant: every other command was taken before"),
        })
    }

    fn repayment_of(&self, command: &Command) -> Result<Draft> {
        let Command::Repay {
            case,
            amount,
            channel,
            reference,
            date,
            receipt,
            currency,
            visit,
            code: override_code,
            in_hand,
        } = command
        else {
            unreachable!("invariant: asked for a repayment only");
        };
        let account = self.account(case)?;
        let currency = match currency {
            Some(currency) => currency.parse()?,
            None => self.currency_of(account)?,
        };
        let over_limit = match override_code {
            Some(given) => Some(Override::Code(given.clone())),
            None => in_hand.then_some(Override::CashInHand),
        };
        Ok(What::Repayment(RepaymentDraft {
            account,
            amount: self.money(amount, currency)?,
            channel: code("--channel", channel, Channel::ALL)?,
            paper_receipt: receipt.as_deref().map(str::parse).transpose()?,
            external_ref: reference.clone(),
            value_date: date.as_deref().map(day).transpose()?,
            payer_name: None,
            payer_phone: None,
            visit: visit.as_deref().map(str::parse).transpose().context("a visit is named by its entry's id")?,
            customer_ack: CustomerAck::None,
            over_limit,
        })
        .into())
    }

    fn handover_of(&self, to: &str, slip: Option<&String>, declared: Option<&str>) -> Result<Draft> {
        let view = self.store.view(self.clock.now())?;
        let cash = view.to_hand_over()?;
        let currency = cash.first().map_or_else(|| self.currency(), |(_, amount)| Ok(amount.currency))?;
        let (mut sum, mut repayments) = (Money::new(0, currency), Vec::new());
        for (id, amount) in cash.into_iter().filter(|(_, amount)| amount.currency == currency) {
            sum = sum.checked_add(amount)?;
            repayments.push(id);
        }
        let declared = declared.map_or(Ok(sum), |declared| self.money(declared, currency))?;
        if declared.minor == 0 {
            bail!("there is no cash of yours to hand over");
        }
        let to = code("--to", to, HandoverTo::ALL)?;
        let handover = CashHandover { to, declared, repayments, slip: slip.cloned() };
        Ok(What::CashHandover(handover).into())
    }

    fn edit(&mut self, case: &str, edit: Edit) -> Result<()> {
        let dossier = DossierId::case(self.account(case)?);
        let now = self.clock.now();
        self.store.edit_board(dossier, &[edit], now, &mut self.rng).map_err(board_hint)?;
        self.say_stored()
    }

    fn task_named(&self, case: &str, task: &str) -> Result<Uuid> {
        let dossier = DossierId::case(self.account(case)?);
        let board = self.store.board_of(dossier)?.ok_or_else(|| anyhow!("this phone does not hold {case}"))?;
        let mut named = board.tasks.iter().filter(|known| known.id.to_string().starts_with(task));
        match (named.next(), named.next()) {
            (Some(known), None) => Ok(known.id),
            (None, _) => bail!("no task of {case} begins with {task} (daybook-phone case {case})"),
            (Some(_), Some(_)) => bail!("several tasks of {case} begin with {task}: type more of it"),
        }
    }

    /// After a hand-over: whether there is cash that it did not name, because it is in another currency
    /// or more than one hand-over can name.
    fn cash_left(&self, command: &Command) -> Result<Option<String>> {
        if !matches!(command, Command::Handover { .. }) {
            return Ok(None);
        }
        let cash = self.store.view(self.clock.now())?.cash()?;
        let left = cash.to_hand_over.len() + cash.left_to_hand_over;
        Ok((left > 0).then(|| format!("{left} more repayments are to be handed over: run handover again")))
    }

    pub(super) fn say_captured(&self, captured: &Captured, more: Option<String>) -> Result<()> {
        let Captured { id, dossier, receipt, provisional, warnings } = captured;
        let receipt = receipt.as_ref().map(ToString::to_string);
        let mut warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
        warnings.extend(more);
        if self.args.json {
            let unsent = self.unsent()?;
            return say(&json!({
                "id": id,
                "dossier": dossier,
                "receipt": receipt,
                "provisional": provisional,
                "warnings": warnings,
                "unsent": unsent,
            })
            .to_string());
        }
        for warning in warnings {
            say(&format!("note: {warning}"))?;
        }
        let word = if *provisional { " (provisional)" } else { "" };
        let receipt = receipt.map(|receipt| format!("receipt {receipt}{word}; ")).unwrap_or_default();
        say(&format!("{id} {receipt}stored; {} unsent; run sync", self.unsent()?))
    }

    fn say_stored(&self) -> Result<()> {
        let unsent = self.unsent()?;
        if self.args.json {
            return say(&json!({ "stored": true, "unsent": unsent }).to_string());
        }
        say(&format!("stored; {unsent} unsent; run sync"))
    }

    fn unsent(&self) -> Result<u64> {
        let status = self.store.status(self.clock.now())?;
        Ok(status.unsent + status.unsent_board_changes)
    }

    pub(super) fn account(&self, named: &str) -> Result<AccountId> {
        let account = self.store.account_named(named)?;
        account.ok_or_else(|| anyhow!("this phone holds no case {named:?} (daybook-phone list, or find TEXT)"))
    }

    pub(super) fn currency_of(&self, account: AccountId) -> Result<Currency> {
        let known = self.store.currency_of(DossierId::case(account))?;
        known.map_or_else(|| self.currency(), Ok)
    }

    pub(super) fn currency(&self) -> Result<Currency> {
        self.store.currency()?.ok_or_else(|| anyhow!("this phone is not enrolled yet (daybook-phone enrol URL CODE)"))
    }

    #[expect(clippy::unused_self, reason = "reads as what the phone makes of a text")]
    pub(super) fn money(&self, text: &str, currency: Currency) -> Result<Money> {
        Ok(Money::parse(text, currency)?)
    }
}

/// The photos that go with a record.
fn photos_of(command: &Command) -> Result<Vec<NewFile>> {
    let Command::Visit { photos, .. } = command else { return Ok(Vec::new()) };
    let photo = |path: &PathBuf| {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mime = media_type(&bytes).to_owned();
        Ok(NewFile { bytes, mime, kind: AttachmentKind::Photo })
    };
    photos.iter().map(photo).collect()
}

/// What a file is, by how it begins.
fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'%', b'P', b'D', b'F', ..] => "application/pdf",
        _ => "application/octet-stream",
    }
}

/// A code as typed, in any case. The library keeps codes it does not know, because newer apps send
/// them; what is typed here and not known is a slip, and would be on its way to the office for good.
pub(super) fn code<T>(what: &str, text: &str, known: &[T]) -> Result<T>
where
    T: FromStr<Err = Infallible> + PartialEq + Display,
{
    let Ok(code) = text.to_uppercase().parse::<T>();
    if known.contains(&code) {
        return Ok(code);
    }
    let names: Vec<_> = known.iter().map(ToString::to_string).collect();
    bail!("not stored: {what} {text:?} is not known; it is one of {}", names.join(", "))
}

pub(super) fn day(text: &str) -> Result<Date> {
    text.parse().map_err(|_| anyhow!("{text:?} is not a day: it looks like 2026-12-01"))
}

/// A fix at a position that was typed.
pub(super) fn fix(typed: Option<&String>) -> Result<Option<Gps>> {
    let position = typed.map(|text| position(text)).transpose()?;
    let fix = |Position { lat_e6, lon_e6 }| Gps { lat_e6, lon_e6, accuracy_m: 10, age_s: 0, mock: false };
    Ok(position.map(fix))
}

/// `LAT,LON` in decimal degrees.
pub(super) fn position(text: &str) -> Result<Position> {
    let parsed = text.split_once(',').and_then(|(lat, lon)| Some((micro_degrees(lat)?, micro_degrees(lon)?)));
    let (lat_e6, lon_e6) =
        parsed.ok_or_else(|| anyhow!("{text:?} is not a position: it looks like -1.286389,36.817223"))?;
    Ok(Position { lat_e6, lon_e6 })
}

/// Millionths of a degree from decimal degrees, exactly.
fn micro_degrees(text: &str) -> Option<i32> {
    let text = text.trim();
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let fraction = format!("{fraction:0<6}");
    let value: i32 = format!("{whole}{}", fraction.get(..6)?).parse().ok()?;
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_are_refused_with_the_known_ones() {
        assert_eq!(code("--channel", "mobile_money", Channel::ALL).unwrap(), Channel::MobileMoney);
        for kind in CorrectionKind::ALL {
            assert_eq!(code("KIND", kind.code(), CorrectionKind::ALL).unwrap(), *kind);
        }
        let told = code("--channel", "BITCOIN", Channel::ALL).unwrap_err().to_string();
        assert!(told.contains("--channel \"BITCOIN\"") && told.contains("CASH, "), "{told}");
    }

    #[test]
    fn positions_are_read_exactly() {
        for (text, expected) in [
            ("-1.286389,36.817223", Some((-1_286_389, 36_817_223))),
            ("1, 36.8", Some((1_000_000, 36_800_000))),
            ("0.12345678,-0.5", Some((123_456, -500_000))),
            ("1.2", None),
            ("north,south", None),
            (",", None),
        ] {
            let read = position(text).ok().map(|position| (position.lat_e6, position.lon_e6));
            assert_eq!(read, expected, "{text}");
        }
    }
}
