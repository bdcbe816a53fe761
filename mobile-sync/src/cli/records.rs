//! Commands that record something without money.

use anyhow::{Context, Result, anyhow, bail};
use daybook_shared::entry::{
    AgentMet, AgentRegistration, Body, CallAttempt, CallChannel, CaseHandover, CaseHandoverReason, CaseLevel,
    CheckAnswer, Checklist, Complaint, ComplaintKind, ContactChange, ContactField, ContactSource, ContactUpdate,
    DeviceEvent, DeviceEventKind, Disposition, Entry, FloatCheck, FloatSource, IdKind, IssueCategory, IssueEvent,
    IssueEventKind, IssueReport, NumberRef, Personal, Rebalancing, RebalancingDirection, ReceiptRange, SkipReason,
    StopEvent, StopEventKind, Training, WeeklyContact, WeeklyMode, masked,
};
use daybook_shared::ids::{AgentId, EntryId};

use super::args::records::Record;
use super::captures::{code, day, fix};
use super::{Phone, hint};
use crate::capture::{Draft, What};

impl Phone<'_> {
    pub(super) fn record_command(&mut self, record: &Record) -> Result<()> {
        let draft = self.record_of(record)?;
        let now = self.clock.now();
        let captured = self.store.capture(draft, now, &mut self.rng).map_err(hint)?;
        self.say_captured(&captured, None)
    }

    fn record_of(&self, record: &Record) -> Result<Draft> {
        match record {
            Record::Call { .. } | Record::Contact { .. } | Record::Complain { .. } | Record::CaseHandover { .. } => {
                self.of_case(record)
            }
            Record::Stop { .. } | Record::DeviceEvent { .. } | Record::RegisterAgent { .. } => self.of_day(record),
            _ => self.of_agent(record),
        }
    }

    fn of_case(&self, record: &Record) -> Result<Draft> {
        Ok(match record {
            Record::Call { case, disposition, channel, number, seconds, script, note } => {
                let call = CallAttempt {
                    channel: code("--channel", channel, CallChannel::ALL)?,
                    number_ref: code("--number", number, NumberRef::ALL)?,
                    dialled_at: self.clock.now().wall.plus_ms(-i64::from(*seconds) * 1000),
                    duration_s: *seconds,
                    disposition: code("DISPOSITION", disposition, Disposition::ALL)?,
                    script: script.clone(),
                    recording: None,
                    note: personal(note.as_ref()),
                };
                What::CallAttempt { account: self.account(case)?, call }.into()
            }
            Record::Contact { case, field, value, old, invalid, source, consent, otp, gps } => {
                let update = ContactUpdate {
                    field: code("FIELD", field, ContactField::ALL)?,
                    change: if *invalid { ContactChange::Invalid } else { ContactChange::New },
                    old_seen: personal(old.as_ref()),
                    new_value: personal(value.as_ref()),
                    source: code("--source", source, ContactSource::ALL)?,
                    consent: *consent,
                    confirmed_by_otp: *otp,
                };
                let what = What::ContactUpdate { account: self.account(case)?, update };
                Draft { gps: fix(gps.as_ref())?, ..what.into() }
            }
            Record::Complain { case, kind, text, amount, wants } => {
                let account = self.account(case)?;
                let currency = self.currency_of(account)?;
                let amount = amount.as_deref().map(|amount| self.money(amount, currency)).transpose()?;
                let kind = code("KIND", kind, ComplaintKind::ALL)?;
                let (text, desired) = (text.as_str().into(), personal(wants.as_ref()));
                What::Complaint(Complaint { account, kind, text, amount, desired }).into()
            }
            Record::CaseHandover { case, to, summary, from, reasons } => {
                let reasons = reasons.iter().map(|reason| code("--reason", reason, CaseHandoverReason::ALL));
                let handover = CaseHandover {
                    from: code("--from", from, CaseLevel::ALL)?,
                    to: code("TO", to, CaseLevel::ALL)?,
                    reasons: reasons.collect::<Result<_>>()?,
                    summary: summary.as_str().into(),
                    attempts: None,
                };
                What::CaseHandover { account: self.account(case)?, handover }.into()
            }
            _ => unreachable!("invariant: asked for a record of a case only"),
        })
    }

    fn of_day(&self, record: &Record) -> Result<Draft> {
        Ok(match record {
            Record::Stop { stop, kind, reason, visit, case, note } => What::StopEvent(StopEvent {
                stop: entry_id(stop)?,
                kind: code("KIND", kind, StopEventKind::ALL)?,
                reason: reason.as_deref().map(|reason| code("--reason", reason, SkipReason::ALL)).transpose()?,
                visit: visit.as_deref().map(entry_id).transpose()?,
                account: case.as_deref().map(|case| self.account(case)).transpose()?,
                note: note.clone(),
            })
            .into(),
            Record::DeviceEvent { kind, clock_ms, first, last, detail } => {
                let receipts = first.as_deref().zip(last.as_deref());
                let receipts = receipts
                    .map(|(first, last)| anyhow::Ok(ReceiptRange { first: first.parse()?, last: last.parse()? }))
                    .transpose()?;
                What::DeviceEvent(DeviceEvent {
                    kind: code("KIND", kind, DeviceEventKind::ALL)?,
                    happened_at: self.clock.now().wall,
                    clock_ms: *clock_ms,
                    receipts,
                    detail: detail.clone(),
                })
                .into()
            }
            Record::RegisterAgent { phone, name, outlet, id_kind, id_number, consent, place } => {
                let what = What::AgentRegistration(AgentRegistration {
                    phone: phone.as_str().into(),
                    name: name.as_str().into(),
                    id_kind: code("--id-kind", id_kind, IdKind::ALL)?,
                    id_number_masked: masked(id_number),
                    outlet: outlet.as_str().into(),
                    consent: *consent,
                    no_fix_reason: place.no_fix.clone(),
                });
                Draft { gps: fix(place.gps.as_ref())?, ..what.into() }
            }
            _ => unreachable!("invariant: asked for a record of a day only"),
        })
    }

    fn of_agent(&self, record: &Record) -> Result<Draft> {
        Ok(match record {
            Record::Weekly { agent, mode, met, checks, complaints, competitors, place } => {
                let met = code("--met", met, AgentMet::ALL)?;
                let what = What::WeeklyContact(WeeklyContact {
                    agent: self.agent_named(agent)?,
                    mode: code("--mode", mode, WeeklyMode::ALL)?,
                    checklist: if met == AgentMet::Nobody && checks.is_empty() {
                        None
                    } else {
                        Some(checklist(checks)?)
                    },
                    met,
                    complaints: personal(complaints.as_ref()),
                    competitor_notes: personal(competitors.as_ref()),
                    next_action: None,
                    no_fix_reason: place.no_fix.clone(),
                });
                Draft { gps: fix(place.gps.as_ref())?, ..what.into() }
            }
            Record::Float { agent, e_money, cash, bank, source, exchange, amount } => {
                let currency = self.currency()?;
                let money = |text: &str| self.money(text, currency);
                let wanted = exchange.as_deref().zip(amount.as_deref()).map(|(direction, amount)| {
                    let direction = code("--exchange", direction, RebalancingDirection::ALL)?;
                    anyhow::Ok(Rebalancing { direction, amount_minor: money(amount)?.minor })
                });
                What::FloatCheck(FloatCheck {
                    agent: self.agent_named(agent)?,
                    e_money: money(e_money)?,
                    cash_minor: money(cash)?.minor,
                    bank_minor: bank.as_deref().map(money).transpose()?.map(|bank| bank.minor),
                    counted_at: self.clock.now().wall,
                    e_money_source: code("--source", source, FloatSource::ALL)?,
                    rebalancing: wanted.transpose()?,
                })
                .into()
            }
            Record::Issue { agent, category, text, severity, txns } => What::IssueReport(IssueReport {
                agent: self.agent_named(agent)?,
                category: code("CATEGORY", category, IssueCategory::ALL)?,
                severity: *severity,
                text: text.as_str().into(),
                txn_refs: (!txns.is_empty()).then(|| txns.clone()),
                first_seen: self.clock.now().wall,
            })
            .into(),
            Record::IssueEvent { issue, kind, text, to, agent } => {
                let issue = entry_id(issue)?;
                What::IssueEvent(IssueEvent {
                    agent: self.agent_of_issue(issue, agent.as_deref())?,
                    issue,
                    kind: code("KIND", kind, IssueEventKind::ALL)?,
                    text: personal(text.as_ref()),
                    assignee: personal(to.as_ref()),
                })
                .into()
            }
            Record::Training { agent, module, attendee, trainer, date, score, failed, valid_to } => {
                let now = self.clock.now();
                let held_on = date.as_deref().map_or_else(|| Ok(self.store.business_date(now)?), day)?;
                let own_name = || Ok::<_, anyhow::Error>(self.store.status(now)?.user.unwrap_or_default());
                What::Training(Training {
                    agent: self.agent_named(agent)?,
                    module: module.clone(),
                    trainer: Personal(trainer.clone().map_or_else(own_name, Ok)?),
                    attendee: attendee.as_str().into(),
                    held_on,
                    score: *score,
                    passed: !failed,
                    valid_to: valid_to.as_deref().map(day).transpose()?,
                })
                .into()
            }
            _ => unreachable!("invariant: every other record was taken before"),
        })
    }

    pub(super) fn agent_named(&self, named: &str) -> Result<AgentId> {
        let agent = self.store.agent_named(named)?;
        agent.ok_or_else(|| anyhow!("this phone holds no agent {named:?} (daybook-phone agents)"))
    }

    /// The agent of a report, from the report itself where it is here.
    fn agent_of_issue(&self, issue: EntryId, named: Option<&str>) -> Result<AgentId> {
        if let Some(named) = named {
            return self.agent_named(named);
        }
        let report = self.store.read().entry(issue)?.map(|stored| Entry::decode(&stored.bytes));
        match report {
            Some(Ok(Entry { body: Body::IssueReport(report), .. })) => Ok(report.agent),
            Some(_) => bail!("not stored: {issue} is no report of an issue"),
            None => bail!("not stored: the report {issue} is not on this phone (add --agent AGENT)"),
        }
    }
}

fn personal(text: Option<&String>) -> Option<Personal> {
    text.map(|text| text.as_str().into())
}

fn entry_id(text: &str) -> Result<EntryId> {
    text.parse().with_context(|| format!("not stored: {text:?} is not an id"))
}

/// The list with these answers; what is not answered does not apply.
fn checklist(checks: &[String]) -> Result<Checklist> {
    let none = || CheckAnswer::NotApplicable;
    let mut list = Checklist {
        branding: none(),
        tariff_displayed: none(),
        receipt_printer: none(),
        device_ok: none(),
        float_ok: none(),
        trained_attendant: none(),
        aml_poster: none(),
    };
    let questions = list.answers().map(|(question, _)| question).join(", ");
    for check in checks {
        let (question, answer) = check.split_once('=').ok_or_else(|| anyhow!("{check:?} looks like branding=Y"))?;
        let answer = code("--check", answer, CheckAnswer::ALL)?;
        let place = match question {
            "branding" => &mut list.branding,
            "tariff_displayed" => &mut list.tariff_displayed,
            "receipt_printer" => &mut list.receipt_printer,
            "device_ok" => &mut list.device_ok,
            "float_ok" => &mut list.float_ok,
            "trained_attendant" => &mut list.trained_attendant,
            "aml_poster" => &mut list.aml_poster,
            _ => bail!("not stored: --check {question:?} is not known; it is one of {questions}"),
        };
        *place = answer;
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_checklist_says() {
        let list = checklist(&["branding=y".to_owned(), "float_ok=N".to_owned()]).unwrap();
        assert_eq!((&list.branding, &list.float_ok), (&CheckAnswer::Yes, &CheckAnswer::No));
        assert_eq!(list.aml_poster, CheckAnswer::NotApplicable);
        for bad in ["branding", "branding=MAYBE", "colour=Y"] {
            assert!(checklist(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
