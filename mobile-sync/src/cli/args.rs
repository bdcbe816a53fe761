//! What can be typed.

pub(crate) mod records;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use daybook_shared::messages::Language;

/// A field officer's phone on the command line: captures work without a network, sync hands them in.
#[derive(Debug, Parser)]
#[command(name = "daybook-phone", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The phone's directory: its store, and its key (whoever can read it can read the phone). See below
    /// before you copy it.
    #[arg(long, env = "DAYBOOK_PHONE_HOME", default_value = "daybook-phone-home", global = true)]
    pub home: PathBuf,
    /// Refuse every command that needs the network.
    #[arg(long, global = true)]
    pub offline: bool,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Trust only the certificate authorities in this PEM file.
    #[arg(long, env = "DAYBOOK_PHONE_CA", value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Allow plain http to other hosts than this one. For test networks only.
    #[arg(long, global = true)]
    pub plain_http: bool,
    /// The language of the words beside the office's codes: en, sw, ar.
    #[arg(long, env = "DAYBOOK_PHONE_LANGUAGE", value_name = "TAG", default_value = "en", global = true,
          value_parser = language)]
    pub language: Language,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn language(tag: &str) -> Result<Language, String> {
    Language::from_tag(tag).ok_or_else(|| {
        let known: Vec<_> = Language::ALL.iter().map(|language| language.tag()).collect();
        format!("there are words in {}", known.join(", "))
    })
}

const EXAMPLES: &str = "\
A day with a phone:
  daybook-phone enrol http://127.0.0.1:8080 CODE   the code comes from the office
  daybook-phone sync                               receive the caseload
  daybook-phone list                               the most overdue first
  daybook-phone list --near -1.286,36.817          the nearest first
  daybook-phone visit KE-1001 --outcome PTP --met CUSTOMER --gps -1.286,36.817
  daybook-phone visit KE-1001 --outcome NOT_HOME --met NOBODY --gps -1.286,36.817 --photo gate.jpg
  daybook-phone promise KE-1001 500 2026-12-01
  daybook-phone repay KE-1001 250                  cash; prints the receipt number
  daybook-phone repay KE-1001 250 --channel MOBILE_MONEY --ref MPESA:QF12AB34
  daybook-phone call KE-1001 RPC_PROMISED --seconds 95
  daybook-phone contact KE-1001 PHONE +254711000002 --source NEIGHBOUR --consent
  daybook-phone weekly AG-17 --check branding=Y --check float_ok=N --gps -1.286,36.817
  daybook-phone note KE-1001 'gate is behind the school'
  daybook-phone offers                             what you can offer today
  daybook-phone quote 'Twelve months' 12000        what it costs; --json has the body for POST /v1/quotes
  daybook-phone cash                               what is in your hand
  daybook-phone handover --to CASHIER              all of it
  daybook-phone sync                               hand everything in
  daybook-phone held                               what the office held back, and why

A case is named by its account's number, or by the id of its account or dossier.
Codes are the ones of the office; a code that this version does not know is not taken.

The home directory (--home) is the whole phone:
  store.sqlite   everything, sealed: captures, cases, receipt numbers
  key            the store's key; without it nobody can open the store
  generation     a counter that stands for what an app keeps outside of its backups
  server         the server's address
Putting a copy back needs care. A copy may lack receipts that are on paper already. An older
store.sqlite beside the present generation file, or without one, is noticed: the phone goes on under a
new install, with provisional receipt numbers until the next sync. An older generation file put back with
it hides that it is old, and receipt numbers are given twice. Never use two copies at the same time.";

/// Commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make this phone known to a server, with the office's one-time code. Safe to repeat.
    Enrol {
        /// The server, for example https://daybook.example.com
        url: String,
        /// The code from the office.
        code: String,
    },
    /// Log in again when the lease has run out. The password comes from DAYBOOK_PASSWORD or is asked for.
    Login {
        /// Your login.
        login: String,
    },
    /// Hand in what was captured, and receive what is new.
    Sync,
    /// Sync now, and whenever the server says that something moved, until you stop it.
    Watch {
        /// Stop after so many syncs.
        #[arg(long, value_name = "SYNCS")]
        times: Option<u32>,
    },
    /// The cases of this phone, the most overdue first.
    List {
        /// The nearest first, seen from here.
        #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
        near: Option<String>,
    },
    /// Cases by the customer's name or phone, or by the account's number.
    Find {
        /// Words of the name, or digits of the phone.
        #[arg(required = true)]
        text: Vec<String>,
    },
    /// One case with all there is about it.
    Case {
        /// The case.
        case: String,
    },
    /// The offers that are made today, as far as this phone knows.
    Offers,
    /// Work an offer out, without a connection: the schedule, the cost, and what is to be posted later.
    Quote {
        /// The offer's id or its beginning, or its name.
        offer: String,
        /// What the goods cost, for example 12000 or 11999.50
        price: String,
        /// The currency of the price, when it is another than the lender's.
        #[arg(long)]
        currency: Option<String>,
        /// The day of the acceptance, at most seven days back; today when absent.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
        /// Where the goods are bought, while there is no order: store, web or app.
        #[arg(long, conflicts_with = "order")]
        channel: Option<String>,
        /// The customer's order.
        #[arg(long, value_name = "ID")]
        order: Option<String>,
    },
    /// The agents of this phone.
    Agents,
    /// One agent with what was recorded.
    Agent {
        /// The agent's code or id.
        agent: String,
    },
    /// What belongs to a day of yours: hand-overs, stops, registrations, confidential complaints.
    Day {
        /// The business date; today when absent.
        #[arg(value_name = "YYYY-MM-DD")]
        date: Option<String>,
    },
    /// Record a visit.
    Visit {
        /// The case.
        case: String,
        /// What came of it: PTP, PAID_PARTIAL, NOT_HOME, ...
        #[arg(long)]
        outcome: String,
        /// Who was met: CUSTOMER, SPOUSE, NEIGHBOUR, NOBODY, ...
        #[arg(long, default_value = "CUSTOMER")]
        met: String,
        /// FIELD, PHONE or BRANCH.
        #[arg(long, default_value = "FIELD")]
        kind: String,
        /// Where.
        #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
        gps: Option<String>,
        /// Why a field visit has no position.
        #[arg(long, value_name = "REASON")]
        no_fix: Option<String>,
        /// Why the customer is behind; up to three times.
        #[arg(long = "reason", value_name = "CODE")]
        reasons: Vec<String>,
        /// Your words.
        #[arg(long)]
        note: Option<String>,
        /// How long it took.
        #[arg(long, default_value_t = 10)]
        minutes: u16,
        /// A photo that goes with it; up to eight times.
        #[arg(long = "photo", value_name = "FILE")]
        photos: Vec<PathBuf>,
    },
    /// Record money: cash gets a receipt number, anything else names the provider's reference.
    Repay {
        /// The case.
        case: String,
        /// How much, for example 250 or 249.50
        amount: String,
        /// CASH, MOBILE_MONEY, BANK_TRANSFER, ...
        #[arg(long, default_value = "CASH")]
        channel: String,
        /// Provider code and reference, for example MPESA:QF12AB34
        #[arg(long = "ref", value_name = "REF")]
        reference: Option<String>,
        /// The day it counts for, at most seven days back; today when absent.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
        /// The number of a paper receipt, instead of the phone's next one.
        #[arg(long, value_name = "NUMBER")]
        receipt: Option<String>,
        /// Another currency than the account's.
        #[arg(long)]
        currency: Option<String>,
        /// The visit it belongs to.
        #[arg(long, value_name = "ENTRY")]
        visit: Option<String>,
        /// The supervisor's code, when the cash is beyond the limit or the login.
        #[arg(long, conflicts_with = "in_hand")]
        code: Option<String>,
        /// The cash is in your hand already, beyond the limit or the login.
        #[arg(long)]
        in_hand: bool,
    },
    /// Record a promise to pay.
    Promise {
        /// The case.
        case: String,
        /// How much.
        amount: String,
        /// For when: today to 30 days from now.
        date: String,
        /// CASH, MOBILE_MONEY, BANK_TRANSFER or BRANCH.
        #[arg(long, default_value = "CASH")]
        channel: String,
    },
    /// Ask for an entry to be undone or changed; a supervisor decides.
    Correct {
        /// The entry.
        entry: String,
        /// VOID, WRONG_AMOUNT, WRONG_ACCOUNT, WRONG_DATE, WRONG_CHANNEL or DUPLICATE.
        kind: String,
        /// Why.
        reason: String,
        /// The right amount.
        #[arg(long)]
        amount: Option<String>,
        /// The case, when the entry is not on this phone.
        #[arg(long)]
        case: Option<String>,
    },
    /// Record a look at one of an agent's transactions.
    Check {
        /// The agent's code or id.
        agent: String,
        /// The operator's reference.
        txn_ref: String,
        /// The amount in the operator's message.
        amount: String,
        /// CASH_IN, CASH_OUT, TRANSFER, BILL, AIRTIME or ACCOUNT_REPAYMENT.
        #[arg(long = "type", default_value = "CASH_OUT")]
        txn_type: String,
        /// MATCH, AMOUNT_DIFF, NOT_FOUND, DUPLICATE, REVERSED or SUSPECT.
        #[arg(long, default_value = "MATCH")]
        result: String,
        /// The amount in the agent's book.
        #[arg(long)]
        book: Option<String>,
    },
    #[command(flatten)]
    Record(records::Record),
    /// Write the shared note of a case; what colleagues write meanwhile is merged.
    Note {
        /// The case.
        case: String,
        /// The whole note.
        text: String,
    },
    /// Tasks of a case.
    Task {
        /// What to do with it.
        #[command(subcommand)]
        task: Task,
    },
    /// Add a tag to a case, or remove one.
    Tag {
        /// The case.
        case: String,
        /// The tag.
        tag: String,
        /// Remove it.
        #[arg(long)]
        remove: bool,
    },
    /// Declare cash you give away: all that is in your hand, unless you say how much.
    Handover {
        /// CASHIER, BANK or AGENT.
        #[arg(long, default_value = "CASHIER")]
        to: String,
        /// The deposit slip's number.
        #[arg(long)]
        slip: Option<String>,
        /// What you say it is, when it is not the sum.
        #[arg(long)]
        declared: Option<String>,
    },
    /// What was captured and has no answer yet.
    Pending,
    /// What the office held back or refused, and notes it could not merge, with the reasons.
    Held,
    /// Cash in your hand.
    Cash,
    /// How this phone stands: always shown, even when the views are locked.
    Status,
    /// Forget a note that `held` showed.
    Dismiss {
        /// Its number.
        number: i64,
    },
}

/// Task commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Add a task.
    Add {
        /// The case.
        case: String,
        /// What to do.
        text: String,
        /// Who is to do it.
        #[arg(long, default_value = "")]
        by: String,
    },
    /// Mark a task done.
    Done {
        /// The case.
        case: String,
        /// The task's id, or its beginning.
        task: String,
    },
}
