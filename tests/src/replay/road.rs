//! Lets the plan happen: time moves, customers pay, phones capture and sync, things go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use daybook_mobile_sync::SyncEnd;
use daybook_mobile_sync::capture::{Draft, Override, RepaymentDraft, What};
use daybook_mobile_sync::session::GaveUp;
use daybook_server::portfolio::kiva::{CURRENCY, Kiva, KivaPayment};
use daybook_shared::ids::{DecisionId, DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use futures_util::future::join_all;
use indicatif::ProgressBar;
use rand::RngExt as _;

use super::check;
use super::office::{Office, Officer, PASSWORD};
use super::plan::{Act, Plan};
use crate::link::Link;
use crate::phone::{Phone, Synced};
use crate::process::Server;

/// Syncs of a phone in a row until it must be up to date.
const SYNCS_TO_QUIET_MAX: usize = 50;
/// Clocks of phones in a bad network are ahead by at most this. Not behind: some real payments came
/// within seconds after midnight, and the day a phone believes it is counts when it is the earlier one.
const SKEW_MS_MAX: i64 = 45_000;

/// A payment and the entry that captured it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Captured {
    /// The entry.
    pub id: EntryId,
    /// The payment.
    pub payment: KivaPayment,
}

/// Everything that takes part.
#[derive(Debug)]
pub struct Road<'a> {
    /// The data.
    pub kiva: &'a Kiva,
    /// The office.
    pub office: Office,
    /// The officers, by the number of their phones.
    pub officers: Vec<Officer>,
    /// The phones.
    pub phones: Vec<Phone>,
    /// Every capture.
    pub captured: Vec<Captured>,
    /// Cases that changed hands.
    pub reassigned: usize,
    links: Vec<Link>,
    server: Arc<Server>,
    plan: Plan,
    /// Whose case it is, as the office sees it.
    dealt: BTreeMap<u64, usize>,
    now: Timestamp,
}

impl<'a> Road<'a> {
    /// Everybody is there, nothing has happened.
    pub fn new(
        kiva: &'a Kiva,
        plan: Plan,
        office: Office,
        officers: Vec<Officer>,
        phones: Vec<Phone>,
        links: Vec<Link>,
        server: Arc<Server>,
    ) -> Self {
        let (dealt, now) = (plan.dealt.clone(), plan.begins);
        Self { kiva, office, officers, phones, captured: Vec::new(), reassigned: 0, links, server, plan, dealt, now }
    }

    /// How often the server was killed.
    pub fn server_kills(&self) -> u32 {
        self.server.kills()
    }

    /// Connections that something happened to.
    pub fn harmed(&self) -> u64 {
        self.links.iter().map(Link::harmed).sum()
    }

    fn faulty(&self) -> bool {
        !self.links.is_empty()
    }

    /// From enrolment to the last answer.
    pub async fn travel(&mut self, progress: &ProgressBar) -> anyhow::Result<()> {
        progress.set_message("enrolling the phones");
        for (phone, officer) in self.phones.iter_mut().zip(&self.officers) {
            phone.enrol(&officer.code, self.now).await?;
            if !self.links.is_empty() {
                let skew_ms = phone.rng.random_range(0..=SKEW_MS_MAX);
                phone.set_skew_ms(skew_ms);
            }
        }
        let all: Vec<_> = (0..self.phones.len()).map(|phone| (phone, None)).collect();
        self.sync(&all).await?;
        progress.set_message("replaying");
        progress.set_length(self.plan.acts.len() as u64);
        let mut syncing = Vec::new();
        for (at, act) in std::mem::take(&mut self.plan.acts) {
            progress.inc(1);
            match act {
                // Syncs with nothing in between go out together.
                Act::Sync { phone, killed_after } => {
                    if syncing.iter().any(|(other, _)| *other == phone) {
                        self.sync(&std::mem::take(&mut syncing)).await?;
                    }
                    self.set_time(at)?;
                    syncing.push((phone, killed_after));
                }
                act => {
                    self.sync(&std::mem::take(&mut syncing)).await?;
                    self.set_time(at)?;
                    self.act(act).await?;
                }
            }
        }
        self.sync(&syncing).await?;
        self.set_time(self.plan.ends)?;
        self.come_to_rest(progress).await
    }

    fn set_time(&mut self, at: Timestamp) -> anyhow::Result<()> {
        self.now = self.now.max(at);
        self.office.set_clock(self.now)
    }

    async fn act(&mut self, act: Act) -> anyhow::Result<()> {
        match act {
            Act::Capture(payment) => self.capture(payment),
            Act::Reboot { phone } => self.phones[phone].reboot(self.now),
            Act::Reassign { loans, to } => {
                let mut decisions = Vec::new();
                for loan in loans {
                    if self.dealt.insert(loan, to) != Some(to) {
                        let decision = DecisionId::new(self.now, &mut self.phones[to].rng);
                        decisions.push((decision, DossierId::case(self.kiva.loans[&loan].account_id())));
                    }
                }
                self.reassigned += decisions.len();
                self.office.reassign(self.server.address(), &decisions, &self.officers[to]).await
            }
            Act::Sync { .. } => unreachable!("syncs are gathered first"),
        }
    }

    /// A customer pays: the phone that holds his case captures it, or one of them; without any, that of
    /// the officer to whom the office gave it.
    fn capture(&mut self, payment: KivaPayment) -> anyhow::Result<()> {
        let account = self.kiva.loans[&payment.loan].account_id();
        let mut by = self.dealt[&payment.loan];
        if self.faulty() {
            let mut holders = Vec::new();
            for (number, phone) in self.phones.iter().enumerate() {
                if phone.store().currency_of(DossierId::case(account))?.is_some() {
                    holders.push(number);
                }
            }
            if !holders.is_empty() {
                by = holders[self.phones[by].rng.random_range(0..holders.len())];
            }
        }
        let draft = RepaymentDraft {
            over_limit: Some(Override::CashInHand),
            ..RepaymentDraft::cash(account, Money::new(payment.amount_minor, CURRENCY))
        };
        let moment = self.phones[by].moment(self.now);
        let (store, rng) = self.phones[by].store_mut();
        let captured = store.capture(Draft::from(What::Repayment(draft)), moment, rng);
        let captured = captured.with_context(|| format!("payment {} of loan {}", payment.id, payment.loan))?;
        self.captured.push(Captured { id: captured.id, payment });
        Ok(())
    }

    /// These phones sync at once.
    async fn sync(&mut self, which: &[(usize, Option<u32>)]) -> anyhow::Result<bool> {
        let which: BTreeMap<usize, Option<u32>> = which.iter().copied().collect();
        let (now, faulty) = (self.now, self.faulty());
        let phones = self.phones.iter_mut().zip(&self.officers).enumerate();
        let syncing = phones.filter_map(|(number, (phone, officer))| {
            let steps = *which.get(&number)?;
            Some(async move {
                let synced = sync_one(phone, officer, now, steps, faulty).await;
                synced.with_context(|| format!("phone {number} at {now}"))
            })
        });
        let mut news = false;
        for synced in join_all(syncing).await {
            news |= synced?;
        }
        Ok(news)
    }

    /// The network is good again: all phones sync until none of them has anything new.
    async fn come_to_rest(&mut self, progress: &ProgressBar) -> anyhow::Result<()> {
        progress.set_message("coming to rest");
        self.links.iter().for_each(Link::calm);
        let all: Vec<_> = (0..self.phones.len()).map(|phone| (phone, None)).collect();
        for _ in 0..SYNCS_TO_QUIET_MAX {
            self.set_time(self.now.plus_ms(60_000))?;
            if !self.sync(&all).await? {
                return Ok(());
            }
        }
        bail!("after {SYNCS_TO_QUIET_MAX} rounds phones still have something new")
    }

    /// A fresh phone of each officer reads everything from the start; where it holds something else
    /// than the phone that lived through it all, says so.
    pub async fn compare_with_fresh_phones(&mut self, dir: &Path) -> anyhow::Result<Vec<String>> {
        let codes = self.office.more_codes(&self.officers).await?;
        let mut differences = Vec::new();
        for (number, code) in codes.iter().enumerate() {
            let path = dir.join(format!("fresh{number}.db"));
            let mut fresh = Phone::new(path, self.server.address(), self.now, number as u64)?;
            fresh.enrol(code, self.now).await?;
            while sync_one(&mut fresh, &self.officers[number], self.now, None, false).await? {}
            let found = check::compare_stores(self.phones[number].store(), fresh.store())?;
            differences.extend(found.map(|found| format!("phone {number}: {found}")));
        }
        Ok(differences)
    }

    /// The caseload of each phone, with the dossiers the office sees in it.
    pub fn dealt_to(&self, phone: usize) -> BTreeSet<DossierId> {
        let mine = self.dealt.iter().filter(|(_, holder)| **holder == phone);
        mine.map(|(loan, _)| DossierId::case(self.kiva.loans[loan].account_id())).collect()
    }
}

/// One sync of a phone, with a login where the server asks for one; whether it brought anything new.
async fn sync_one(
    phone: &mut Phone,
    officer: &Officer,
    now: Timestamp,
    steps: Option<u32>,
    faulty: bool,
) -> anyhow::Result<bool> {
    match phone.sync(now, steps).await? {
        Synced::Ended { end: SyncEnd::UpToDate, news } => Ok(news),
        Synced::Ended { end: SyncEnd::LoginRequired, .. } => {
            phone.login(&officer.login, PASSWORD).await?;
            Box::pin(sync_one(phone, officer, now, steps, faulty)).await.map(|_| true)
        }
        Synced::Killed => Ok(true),
        Synced::Ended { end: SyncEnd::GaveUp(GaveUp::Unreachable | GaveUp::ServerError(_)), .. } if faulty => Ok(true),
        Synced::Ended { end, .. } => bail!("the sync ended with {end:?}"),
    }
}
