//! Taking a portfolio over: opens the accounts of a file with what is paid on them, gives them to
//! caseloads, and remembers what the file said, so that a second import of it does nothing.
//!
//! An account is taken over whole or not at all, some hundred in a transaction: whatever ends an import
//! in between, running it again goes on. Books: the whole schedule comes in from `opening` (line 0), with
//! the interest that falls due after the balances' day unearned; what is paid is a payment whose other
//! side is `opening` too. So the receivable is what is owed, and every balance can be derived again.

use std::collections::{BTreeMap, BTreeSet};

use daybook_shared::entry::Channel;
use daybook_shared::ids::{AccountId, CaseloadId, CustomerId, PaymentId, sha256};
use daybook_shared::schedule::{DueLine, Portions};
use daybook_shared::time::{Date, Timestamp};
use indicatif::ProgressBar;
use serde_json::json;

use super::bad::{BadLine, BadLines};
use super::portfolio::{Accounts, FileAccount, GoesTo, account_id};
use super::{ImportError, RETRIES_MAX, Scope, dated_id};
use crate::app::App;
use crate::audit;
use crate::auth::units;
use crate::batch_row;
use crate::db::{self, Tx, batch};
use crate::ledger::journal;
use crate::ledger::posting::{self, Applied, Event, GlAccount};
use crate::on_db;
use crate::portfolio::account::{
    AllocationRow, Lock, insert_allocations, load_accounts, save_accounts, save_instalments,
};
use crate::portfolio::allocation::{Payment, Waterfall, allocate};
use crate::portfolio::assign;
use crate::portfolio::opening::{self, NewAccount, Opened};
use crate::portfolio::payment::{self, NewPayment, PaymentSource, PaymentState};
use crate::portfolio::versions;
use crate::sync::judge;

/// Accounts of one transaction.
const BATCH_ACCOUNTS: usize = 128;
/// Instalments of one transaction, beyond which it takes no further account.
const BATCH_INSTALMENTS: usize = 8_192;
/// Names of units and caseloads that are kept at hand.
const NAMES_MAX: usize = 10_000;

/// What an import of a portfolio did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct PortfolioReport {
    /// Rows read.
    pub rows: u64,
    /// Accounts opened now; with `--check`, that would be.
    pub opened: u64,
    /// Accounts that an import took over before, with the same content.
    pub present: u64,
    /// Accounts that are there with other content: nothing was changed.
    pub conflicts: u64,
    /// Accounts left out for what is wrong with their rows.
    pub refused: u64,
    /// Lines with something wrong, or to be known; the first of them follow.
    pub bad_lines: u64,
    /// The first of them.
    pub lines: Vec<BadLine>,
}

/// Whether an import writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It says what it would do, and does nothing.
    Check,
    /// It does it.
    Import,
}

/// Who imports, as of which day, and whether it counts.
#[derive(Debug, Clone)]
pub struct TakeOver<'a> {
    /// The server.
    pub app: &'a App,
    /// Who imports.
    pub scope: &'a Scope,
    /// The day of the balances.
    pub as_of: Date,
    /// Whether it writes.
    pub mode: Mode,
}

impl TakeOver<'_> {
    /// Takes over the accounts of a file.
    pub async fn run(
        &self,
        mut accounts: Accounts,
        mut bad: BadLines,
        progress: &ProgressBar,
    ) -> Result<PortfolioReport, ImportError> {
        let mut report = PortfolioReport::default();
        let mut names = Names::default();
        loop {
            let (mut taken, mut instalments) = (Vec::new(), 0);
            while taken.len() < BATCH_ACCOUNTS && instalments < BATCH_INSTALMENTS {
                let Some(account) = accounts.next_account(&mut bad)? else { break };
                instalments += account.lines.len();
                taken.push(account);
            }
            progress.set_position(accounts.bytes());
            if taken.is_empty() {
                break;
            }
            self.batch(&taken, &mut names, &mut report, &mut bad).await?;
        }
        progress.finish_and_clear();
        bad.flush()?;
        (report.rows, report.refused) = (accounts.read, report.refused + accounts.refused);
        (report.bad_lines, report.lines) = (bad.count, bad.first);
        Ok(report)
    }

    /// One transaction; account by account when one of them makes it fail.
    async fn batch(
        &self,
        accounts: &[FileAccount],
        names: &mut Names,
        report: &mut PortfolioReport,
        bad: &mut BadLines,
    ) -> Result<(), ImportError> {
        let whole = self.attempt(accounts, names).await;
        match whole {
            Ok(done) => return done.count(report, bad),
            Err(error) if !error.blames_the_rows() => return Err(error),
            Err(_) => {}
        }
        for account in accounts {
            match self.attempt(std::slice::from_ref(account), names).await {
                Ok(done) => done.count(report, bad)?,
                Err(error) if error.blames_the_rows() => {
                    report.refused += 1;
                    bad.push(BadLine::new(account.line, "account", &account.number, error.to_string()))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn attempt(&self, accounts: &[FileAccount], names: &mut Names) -> Result<Done, ImportError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut tx = match self.mode {
                Mode::Check => self.app.db.read().await?,
                Mode::Import => self.app.db.write().await?,
            };
            let done = self.take(&mut tx, accounts, names).await;
            let done = match done {
                Ok(done) if self.mode == Mode::Import => tx.commit().await.map(|()| done).map_err(Into::into),
                other => other,
            };
            match done {
                Err(ImportError::Sql(error)) if db::is_transient(&error) && tries < RETRIES_MAX => {}
                other => return other,
            }
        }
    }

    async fn take(&self, tx: &mut Tx, accounts: &[FileAccount], names: &mut Names) -> Result<Done, ImportError> {
        let known = Known::load(tx, accounts).await?;
        let mut done = Done::default();
        let mut new = Vec::new();
        let mut customers = known.customers.clone();
        for account in accounts {
            let wrong = |column, value: &str, reason: &str| BadLine::new(account.line, column, value, reason);
            match (known.accounts.get(&account.number), known.numbers.contains(&account.number)) {
                (Some(content), _) if *content == account.content() => {
                    done.present += 1;
                    continue;
                }
                (Some(_), _) | (None, true) => {
                    done.conflicts += 1;
                    done.bad.push(wrong("account", &account.number, CONFLICT));
                    continue;
                }
                (None, false) => {}
            }
            if known.erased.contains(&account.customer.uid) {
                done.refused += 1;
                done.bad.push(wrong("customer", &account.customer_number, CUSTOMER_ERASED));
                continue;
            }
            let unit = names.unit(tx, self.scope, account.unit.as_deref()).await?;
            let caseload = match &account.goes_to {
                Some(goes_to) => names.caseload(tx, self.scope, goes_to).await?.map(Some),
                None => Ok(None),
            };
            match (unit, caseload) {
                (Ok(unit), Ok(caseload)) => {
                    let told = account.customer_content();
                    let kept = customers.entry(account.customer_number.clone()).or_insert(told);
                    if *kept != told {
                        done.bad.push(wrong("customer", &account.customer_number, CUSTOMER_DIFFERS));
                    }
                    new.push((account, unit, caseload));
                }
                (unit, caseload) => {
                    done.refused += 1;
                    done.bad
                        .extend(unit.err().map(|reason| wrong("unit", account.unit.as_deref().unwrap_or(""), &reason)));
                    let (column, value) = match &account.goes_to {
                        Some(GoesTo::Officer(login)) => ("officer", login.as_str()),
                        Some(GoesTo::Caseload(name)) => ("caseload", name.as_str()),
                        None => ("caseload", ""),
                    };
                    done.bad.extend(caseload.err().map(|reason| wrong(column, value, &reason)));
                }
            }
        }
        done.opened = new.len() as u64;
        if self.mode == Mode::Import && !new.is_empty() {
            self.open(tx, &new, &known).await?;
        }
        Ok(done)
    }

    /// Opens accounts with what is paid on them. Caseloads last.
    async fn open(
        &self,
        tx: &mut Tx,
        new: &[(&FileAccount, i64, Option<i64>)],
        known: &Known,
    ) -> Result<(), ImportError> {
        let (now, settings) = (self.app.now(), &self.app.settings);
        let booked_on = judge::booked_on(settings, self.as_of);
        let accounts = new.iter().map(|(account, unit, _)| new_account(account, *unit)).collect();
        let opened = opening::open_booked(tx, now, accounts, |account, receivable| {
            let event = Event { id: account.uid.0, correlation: account.uid.0, booked_on, currency: account.currency };
            let unearned_minor = unearned(&account.lines, self.as_of).min(receivable.interest_minor);
            posting::import(event, receivable.account_id, receivable.original_minor, unearned_minor)
        });
        let opened = opened.await?;
        let keys: Vec<_> = opened.values().map(|opened| opened.account).collect();
        versions::earned_before(tx, &keys, self.as_of).await?;
        self.pay(tx, new, &opened, booked_on).await?;
        remember(tx, new, known, (now, self.scope.actor.user_id)).await?;
        let detail = json!({ "accounts": new.len(), "as_of": self.as_of.to_string() });
        audit::record(tx, now, self.scope.actor, "portfolio.imported", "portfolio", detail).await?;
        let moves = new.iter().filter_map(|(account, _, caseload)| {
            Some((opened.get(&account_id(&account.number))?.dossier, Some((*caseload)?)))
        });
        let moves: Vec<_> = moves.collect();
        assign::assign(tx, now, self.scope.actor.user_id, &moves).await?;
        Ok(())
    }

    /// Books what is paid: one payment an account, with the day of the last.
    async fn pay(
        &self,
        tx: &mut Tx,
        new: &[(&FileAccount, i64, Option<i64>)],
        opened: &BTreeMap<AccountId, Opened>,
        booked_on: Date,
    ) -> Result<(), ImportError> {
        let paid: Vec<_> = new.iter().map(|(account, ..)| *account).filter(|account| account.paid_minor > 0).collect();
        let keys = paid.iter().filter_map(|account| opened.get(&account_id(&account.number)));
        let keys: Vec<_> = keys.map(|opened| opened.account).collect();
        let rows = load_accounts(tx, &keys, Lock::No).await?;
        let mut rows: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row)).collect();
        let (mut payments, mut allocations, mut instalments, mut journals) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for account in paid {
            let Opened { account: key, customer, .. } = opened[&account_id(&account.number)];
            let value_date = account.last_paid_on.unwrap_or(self.as_of);
            let hash = sha256(&[b"daybook/import/paid/", account.number.as_bytes()]);
            let id = PaymentId(dated_id(self.app.settings.zone.start_of(value_date), &hash));
            let amount_minor = account.paid_minor;
            let mut schedule: Vec<_> = account.lines.iter().map(|line| line.with_paid(Portions::ZERO)).collect();
            let allocation = allocate(&mut schedule, amount_minor, Waterfall::default(), value_date)?;
            let row = rows.get_mut(&key).ok_or(sqlx::Error::RowNotFound)?;
            row.restate(&schedule, allocation.credit_minor, Some(Payment { value_date, id, amount_minor }))?;
            let to_plan_minor = allocation.to_plan()?.total()?;
            let to_credit_minor = allocation.credit_minor;
            let applied = Applied { account: key, customer, to_plan_minor, to_credit_minor };
            let event = Event { id: id.0, correlation: id.0, booked_on, currency: account.currency };
            journals.push(posting::repayment(event, GlAccount::OPENING, amount_minor, applied)?);
            allocations.extend(AllocationRow::of(key, id, &allocation));
            let touched = schedule.into_iter().filter(|instalment| !instalment.paid.is_zero());
            instalments.extend(touched.map(|instalment| (key, 1, instalment)));
            payments.push(NewPayment {
                uid: id,
                account_id: Some(key),
                user_id: None,
                source: PaymentSource::Import,
                channel: Channel::from_code("OPENING"),
                amount_minor,
                currency: account.currency,
                receipt_no: None,
                external_ref: None,
                value_date,
                booked_on: Some(booked_on),
                state: PaymentState::Posted,
                debited: false,
            });
        }
        payment::insert(tx, &payments).await?;
        journal::insert(tx, &journals, self.app.now()).await?;
        save_accounts(tx, &rows.into_values().collect::<Vec<_>>()).await?;
        save_instalments(tx, &instalments).await?;
        insert_allocations(tx, &allocations).await?;
        Ok(())
    }
}

const CONFLICT: &str = "an account with this number is there with other content; nothing was changed";
const CUSTOMER_ERASED: &str =
    "the customer with this number was erased, for good: whoever buys now has a number of his own";
const CUSTOMER_DIFFERS: &str = "the customer is known with other details, which were kept; the account was opened";

/// Profit in the schedule that is earned after a day.
fn unearned(lines: &[DueLine], as_of: Date) -> i64 {
    lines.iter().filter(|line| line.due_date > as_of).map(|line| line.interest).fold(0, i64::saturating_add)
}

fn new_account(account: &FileAccount, unit_id: i64) -> NewAccount {
    NewAccount {
        uid: account_id(&account.number),
        number: account.number.clone(),
        customer: account.customer.clone(),
        unit_id,
        product: account.product.clone(),
        currency: account.currency,
        disbursed_on: account.disbursed_on,
        stage: account.stage,
        waterfall: Waterfall::default(),
        lines: account.lines.clone(),
    }
}

/// What one transaction did.
#[derive(Debug, Default)]
struct Done {
    opened: u64,
    present: u64,
    conflicts: u64,
    refused: u64,
    bad: Vec<BadLine>,
}

impl Done {
    fn count(self, report: &mut PortfolioReport, bad: &mut BadLines) -> Result<(), ImportError> {
        report.opened += self.opened;
        report.present += self.present;
        report.conflicts += self.conflicts;
        report.refused += self.refused;
        bad.extend(self.bad)?;
        Ok(())
    }
}

batch_row! {
    struct NumberKey { kind: String => "text", number: String => "text" }
}
batch_row! {
    struct CustomerKey { uid: CustomerId => "uuid" }
}
batch_row! {
    struct ImportedRow {
        kind: String => "text",
        number: String => "text",
        content: Vec<u8> => "bytea",
        imported_at: Timestamp => "timestamptz",
        by_user: Option<i64> => "int8",
    }
}

const SELECT_IMPORTED: &str = "select i.kind, i.number, i.content from v
     join imported i on i.kind = v.kind and i.number = v.number";
const SELECT_NUMBERS: &str = "select a.number from v join account a on a.number = v.number";
const SELECT_ERASED: &str = "select c.uid from v join customer c on c.uid = v.uid where c.erased_at is not null";
const INSERT_IMPORTED: &str = "insert into imported (kind, number, content, imported_at, by_user)
     select kind, number, content, imported_at, by_user from v where true";

/// What is there of a batch's accounts and customers.
#[derive(Debug, Default)]
struct Known {
    accounts: BTreeMap<String, [u8; 32]>,
    customers: BTreeMap<String, [u8; 32]>,
    numbers: BTreeSet<String>,
    erased: BTreeSet<CustomerId>,
}

impl Known {
    async fn load(tx: &mut Tx, accounts: &[FileAccount]) -> sqlx::Result<Self> {
        let key = |kind: &str, number: &String| NumberKey { kind: kind.to_owned(), number: number.clone() };
        let of_accounts: Vec<_> = accounts.iter().map(|account| key("account", &account.number)).collect();
        let customers: BTreeSet<_> = accounts.iter().map(|account| &account.customer_number).collect();
        let keys = customers.into_iter().map(|number| key("customer", number)).chain(of_accounts.iter().cloned());
        let keys: Vec<_> = keys.collect();
        let rows: Vec<(String, String, Vec<u8>)> = batch::fetch(tx, &keys, SELECT_IMPORTED).await?;
        let numbers: Vec<(String,)> = batch::fetch(tx, &of_accounts, SELECT_NUMBERS).await?;
        let keys: BTreeSet<_> = accounts.iter().map(|account| account.customer.uid).collect();
        let keys: Vec<_> = keys.into_iter().map(|uid| CustomerKey { uid }).collect();
        let erased: Vec<(CustomerId,)> = batch::fetch(tx, &keys, SELECT_ERASED).await?;
        let mut known = Self {
            numbers: numbers.into_iter().map(|(number,)| number).collect(),
            erased: erased.into_iter().map(|(uid,)| uid).collect(),
            ..Self::default()
        };
        for (kind, number, content) in rows {
            let content = content.try_into().unwrap_or([0; 32]);
            if kind == "account" { &mut known.accounts } else { &mut known.customers }.insert(number, content);
        }
        Ok(known)
    }
}

/// Keeps what the file said of accounts and of customers that were not known.
async fn remember(
    tx: &mut Tx,
    new: &[(&FileAccount, i64, Option<i64>)],
    known: &Known,
    (imported_at, by_user): (Timestamp, Option<i64>),
) -> sqlx::Result<()> {
    let mut contents: BTreeMap<(&str, &str), [u8; 32]> = BTreeMap::new();
    for (account, ..) in new {
        contents.insert(("account", &account.number), account.content());
        if !known.customers.contains_key(&account.customer_number) {
            contents.entry(("customer", &account.customer_number)).or_insert_with(|| account.customer_content());
        }
    }
    let rows = contents.into_iter().map(|((kind, number), content)| ImportedRow {
        kind: kind.to_owned(),
        number: number.to_owned(),
        content: content.to_vec(),
        imported_at,
        by_user,
    });
    batch::execute(tx, &rows.collect::<Vec<_>>(), INSERT_IMPORTED).await?;
    Ok(())
}

/// Units and caseloads by what a file calls them: their keys, or why there is none.
#[derive(Debug, Default)]
struct Names {
    units: BTreeMap<Option<String>, Result<i64, String>>,
    caseloads: BTreeMap<GoesTo, Result<i64, String>>,
}

const SELECT_CASELOADS: &str = "select id, unit_id from caseload where name = $1 or uid = $2 order by id limit 2";
const SELECT_HELD: &str = "select c.id, c.unit_id from caseload_member m
       join app_user u on u.id = m.user_id join caseload c on c.id = m.caseload_id
     where u.login = $1 and u.active and m.member
       and m.at = (select max(x.at) from caseload_member x
                   where x.user_id = m.user_id and x.caseload_id = m.caseload_id)
     order by c.id limit 2";

impl Names {
    async fn unit(&mut self, tx: &mut Tx, scope: &Scope, name: Option<&str>) -> sqlx::Result<Result<i64, String>> {
        let key = name.map(str::to_owned);
        if let Some(known) = self.units.get(&key) {
            return Ok(known.clone());
        }
        let found = match name {
            Some(name) => units::named(tx, name).await?,
            None => units::root(tx).await?.into_iter().collect(),
        };
        let found: Vec<_> = found.into_iter().filter(|unit| scope.reaches(unit.id)).map(|unit| unit.id).collect();
        let found = match (&found[..], name) {
            ([unit], _) => Ok(*unit),
            ([], Some(_)) => Err("there is no such unit".to_owned()),
            ([], None) => {
                Err("name a unit: the lender's own is not there yet (an import without --check makes it), or not yours"
                    .to_owned())
            }
            _ => Err("several units have this name: give the unit's id".to_owned()),
        };
        if self.units.len() < NAMES_MAX {
            self.units.insert(key, found.clone());
        }
        Ok(found)
    }

    async fn caseload(&mut self, tx: &mut Tx, scope: &Scope, goes_to: &GoesTo) -> sqlx::Result<Result<i64, String>> {
        if let Some(known) = self.caseloads.get(goes_to) {
            return Ok(known.clone());
        }
        let (found, none, several): (Vec<(i64, i64)>, _, _) = match goes_to {
            GoesTo::Officer(login) => (
                on_db!(tx, conn => sqlx::query_as(SELECT_HELD).bind(login).fetch_all(conn).await)?,
                "there is no active user with this login who holds a caseload",
                "the officer holds several caseloads: name one in the column caseload",
            ),
            GoesTo::Caseload(name) => {
                let uid = name.parse::<CaseloadId>().ok();
                (
                    on_db!(tx, conn => sqlx::query_as(SELECT_CASELOADS).bind(name).bind(uid).fetch_all(conn).await)?,
                    "there is no such caseload",
                    "several caseloads have this name: give the caseload's id",
                )
            }
        };
        let found: Vec<_> = found.into_iter().filter(|(_, unit)| scope.reaches(*unit)).collect();
        let found = match found[..] {
            [(caseload, _)] => Ok(caseload),
            [] => Err(none.to_owned()),
            _ => Err(several.to_owned()),
        };
        if self.caseloads.len() < NAMES_MAX {
            self.caseloads.insert(goes_to.clone(), found.clone());
        }
        Ok(found)
    }
}
