//! Rows of what is recorded of agents, and of those who want to become one.

use daybook_shared::entry::{
    AgentMet, AgentRegistration, Attachment, AttachmentKind, FloatCheck, FloatSource, IdKind, IssueCategory,
    IssueEvent, IssueEventKind, IssueReport, Personal, RebalancingDirection, Training, WeeklyContact, WeeklyMode,
};
use daybook_shared::ids::{AgentId, DossierId, EntryId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};

use super::rows::{Source, count};
use crate::batch_row;

batch_row! {
    /// A row of `weekly_contact`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct WeeklyContactRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// Year of the week it counts for.
        iso_year: i64 => "bigint",
        /// The week.
        iso_week: i64 => "bigint",
        /// How.
        mode: WeeklyMode => "text",
        /// Who was met.
        met: AgentMet => "text",
        /// `question=answer`, a space between.
        checklist: Option<String> => "text",
        /// Latitude.
        lat_e6: Option<i64> => "bigint",
        /// Longitude.
        lon_e6: Option<i64> => "bigint",
    }
}
batch_row! {
    /// A row of `float_check`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct FloatCheckRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// Currency.
        currency: Currency => "text",
        /// E-money.
        e_money_minor: i64 => "bigint",
        /// Cash.
        cash_minor: i64 => "bigint",
        /// At the bank.
        bank_minor: Option<i64> => "bigint",
        /// When, by the phone's clock.
        counted_at: Timestamp => "timestamptz",
        /// How the e-money was read.
        e_money_source: FloatSource => "text",
        /// Which way to exchange.
        rebalancing: Option<RebalancingDirection> => "text",
        /// How much of it.
        rebalancing_minor: Option<i64> => "bigint",
    }
}
batch_row! {
    /// A row of `issue_report`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct IssueReportRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// What it is about.
        category: IssueCategory => "text",
        /// 1 to 4.
        severity: i64 => "bigint",
        /// What is wrong.
        text: Personal => "text",
        /// How many transactions it names.
        txn_refs: i64 => "bigint",
        /// Since when, by the phone's clock.
        first_seen_at: Timestamp => "timestamptz",
    }
}
batch_row! {
    /// A row of `issue_event`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct IssueEventRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// The report.
        issue_uid: EntryId => "uuid",
        /// What happened.
        kind: IssueEventKind => "text",
        /// More.
        text: Option<Personal> => "text",
        /// Whose it is.
        assignee: Option<Personal> => "text",
    }
}
batch_row! {
    /// A row of `training`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct TrainingRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Agent.
        agent_uid: AgentId => "uuid",
        /// What was taught.
        module: String => "text",
        /// Who taught.
        trainer: Personal => "text",
        /// Who was taught.
        attendee: Personal => "text",
        /// The day.
        held_on: Date => "date",
        /// Percent.
        score: Option<i64> => "bigint",
        /// Whether it was passed.
        passed: bool => "boolean",
        /// Until when it counts.
        valid_to: Option<Date> => "date",
    }
}
batch_row! {
    /// A row of `agent_registration`.
    #[derive(PartialEq, Eq, sqlx::FromRow)]
    pub struct AgentRegistrationRow {
        /// Entry.
        entry_uid: EntryId => "uuid",
        /// Dossier.
        dossier: DossierId => "uuid",
        /// Author.
        user_id: i64 => "bigint",
        /// Corrected capture time.
        captured_at: Timestamp => "timestamptz",
        /// Phone number.
        phone: Personal => "text",
        /// Name.
        name: Personal => "text",
        /// The document that was shown.
        id_kind: IdKind => "text",
        /// Its number, masked.
        id_number_masked: Personal => "text",
        /// Outlet.
        outlet: Personal => "text",
        /// Latitude.
        lat_e6: Option<i64> => "bigint",
        /// Longitude.
        lon_e6: Option<i64> => "bigint",
        /// How many photos belong to it.
        photos: i64 => "bigint",
    }
}

impl WeeklyContactRow {
    /// What a weekly contact says. The week is that of the corrected capture time, whatever the phone's
    /// clock said.
    pub fn of(source: Source<'_>, contact: &WeeklyContact) -> Self {
        let (year, week) = source.captured_on.iso_week();
        let (lat_e6, lon_e6) = source.position();
        let checklist = contact.checklist.as_ref().map(|list| {
            let answers = list.answers().map(|(question, answer)| format!("{question}={answer}"));
            answers.join(" ")
        });
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            agent_uid: contact.agent,
            iso_year: year.into(),
            iso_week: week.into(),
            mode: contact.mode.clone(),
            met: contact.met.clone(),
            checklist,
            lat_e6,
            lon_e6,
        }
    }
}

impl FloatCheckRow {
    /// What a float check says.
    pub fn of(source: Source<'_>, check: &FloatCheck) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            agent_uid: check.agent,
            currency: check.e_money.currency,
            e_money_minor: check.e_money.minor,
            cash_minor: check.cash_minor,
            bank_minor: check.bank_minor,
            counted_at: check.counted_at,
            e_money_source: check.e_money_source.clone(),
            rebalancing: check.rebalancing.as_ref().map(|wanted| wanted.direction.clone()),
            rebalancing_minor: check.rebalancing.as_ref().map(|wanted| wanted.amount_minor),
        }
    }
}

impl IssueReportRow {
    /// What an issue report says.
    pub fn of(source: Source<'_>, report: &IssueReport) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            agent_uid: report.agent,
            category: report.category.clone(),
            severity: report.severity.into(),
            text: report.text.clone(),
            txn_refs: count(report.txn_refs.as_deref().unwrap_or_default().iter()),
            first_seen_at: report.first_seen,
        }
    }
}

impl IssueEventRow {
    /// What an issue event says.
    pub fn of(source: Source<'_>, event: &IssueEvent) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            agent_uid: event.agent,
            issue_uid: event.issue,
            kind: event.kind.clone(),
            text: event.text.clone(),
            assignee: event.assignee.clone(),
        }
    }
}

impl TrainingRow {
    /// What a training says.
    pub fn of(source: Source<'_>, training: &Training) -> Self {
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            agent_uid: training.agent,
            module: training.module.clone(),
            trainer: training.trainer.clone(),
            attendee: training.attendee.clone(),
            held_on: training.held_on,
            score: training.score.map(i64::from),
            passed: training.passed,
            valid_to: training.valid_to,
        }
    }
}

impl AgentRegistrationRow {
    /// What a registration says.
    pub fn of(source: Source<'_>, registration: &AgentRegistration) -> Self {
        let (lat_e6, lon_e6) = source.position();
        let attachments = source.entry.head.attachments.as_deref().unwrap_or_default();
        let is_photo = |file: &&Attachment| file.kind == AttachmentKind::Photo;
        Self {
            entry_uid: source.entry_uid(),
            dossier: source.dossier(),
            user_id: source.user_id,
            captured_at: source.captured_at,
            phone: registration.phone.clone(),
            name: registration.name.clone(),
            id_kind: registration.id_kind.clone(),
            id_number_masked: registration.id_number_masked.clone(),
            outlet: registration.outlet.clone(),
            lat_e6,
            lon_e6,
            photos: count(attachments.iter().filter(is_photo)),
        }
    }
}
