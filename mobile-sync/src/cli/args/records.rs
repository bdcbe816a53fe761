//! What can be typed to record something without money.

use clap::{Args, Subcommand};

/// Where something is recorded.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Where.
    #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
    pub gps: Option<String>,
    /// Why there is no position.
    #[arg(long, value_name = "REASON")]
    pub no_fix: Option<String>,
}

/// Commands. An agent is named by its code, or by its id.
#[derive(Debug, Subcommand)]
pub(crate) enum Record {
    /// Record an attempt to reach a customer.
    Call {
        /// The case.
        case: String,
        /// What came of it: NO_ANSWER, BUSY, WRONG_NUMBER, THIRD_PARTY, RPC_PROMISED, ...
        disposition: String,
        /// CALL, SMS, WHATSAPP, EMAIL or APP_PUSH.
        #[arg(long, default_value = "CALL")]
        channel: String,
        /// Which number: PHONE, ALT_PHONE, EMPLOYER or NEXT_OF_KIN.
        #[arg(long, default_value = "PHONE")]
        number: String,
        /// How long was spoken.
        #[arg(long, default_value_t = 0)]
        seconds: u32,
        /// The script that was read.
        #[arg(long)]
        script: Option<String>,
        /// Your words.
        #[arg(long)]
        note: Option<String>,
    },
    /// Propose where a customer can be reached, or say that a number leads nowhere.
    Contact {
        /// The case.
        case: String,
        /// PHONE, ALT_PHONE, ADDRESS, GPS, EMPLOYER, NEXT_OF_KIN or LANGUAGE.
        field: String,
        /// The new value; a phone as +254700000001. None for GPS, which is where you stand (--gps).
        value: Option<String>,
        /// What you saw in its place.
        #[arg(long)]
        old: Option<String>,
        /// The old value (--old) is not valid any more.
        #[arg(long, conflicts_with = "value")]
        invalid: bool,
        /// Who said so: CUSTOMER, FAMILY, GUARANTOR, NEIGHBOUR, EMPLOYER, DOCUMENT or OFFICER.
        #[arg(long, default_value = "CUSTOMER")]
        source: String,
        /// The customer agreed to be reached there.
        #[arg(long)]
        consent: bool,
        /// The number answered with a one-time code.
        #[arg(long)]
        otp: bool,
        /// Where.
        #[arg(long, value_name = "LAT,LON", allow_hyphen_values = true)]
        gps: Option<String>,
    },
    /// Take down a complaint. One about CONDUCT or FRAUD is read by nobody but you and the office.
    Complain {
        /// The case.
        case: String,
        /// BALANCE, PAID_NOT_CREDITED, PRODUCT, FEE, CONDUCT, FRAUD, IDENTITY or RETURN.
        kind: String,
        /// The customer's words.
        text: String,
        /// The amount in dispute.
        #[arg(long)]
        amount: Option<String>,
        /// What the customer wants.
        #[arg(long)]
        wants: Option<String>,
    },
    /// Ask for a case to go to another level.
    CaseHandover {
        /// The case.
        case: String,
        /// CALL_CENTRE, FIELD, CITY_MANAGER or LEGAL.
        to: String,
        /// What the next one should know.
        summary: String,
        /// Where it is now.
        #[arg(long, default_value = "FIELD")]
        from: String,
        /// Why, one to three times: DPD, BROKEN_PTP, NO_RPC, NOT_TRACEABLE, UNSAFE, REQUESTED or OTHER.
        #[arg(long = "reason", value_name = "CODE", required = true)]
        reasons: Vec<String>,
    },
    /// Say what became of a stop of your day plan.
    Stop {
        /// The stop's id.
        stop: String,
        /// ARRIVED, SKIPPED or DONE.
        kind: String,
        /// Why it was skipped: NO_TIME, NO_TRANSPORT, UNSAFE, WEATHER, PAID, POSTPONED or OTHER.
        #[arg(long)]
        reason: Option<String>,
        /// The visit that was made.
        #[arg(long, value_name = "ENTRY")]
        visit: Option<String>,
        /// The case the stop is about.
        #[arg(long)]
        case: Option<String>,
        /// Your words.
        #[arg(long)]
        note: Option<String>,
    },
    /// Record something about this phone.
    DeviceEvent {
        /// ENROLLED, CLOCK_CHANGED, MOCK_LOCATION, ROOT_SUSPECT, RECEIPT_BLOCK_GRANTED, WIPED or LOST.
        kind: String,
        /// By how many milliseconds the clock was set ahead, or back.
        #[arg(long, allow_hyphen_values = true)]
        clock_ms: Option<i64>,
        /// The first receipt number of a block.
        #[arg(long, requires = "last")]
        first: Option<String>,
        /// The last one.
        #[arg(long, requires = "first")]
        last: Option<String>,
        /// More.
        #[arg(long)]
        detail: Option<String>,
    },
    /// Record the weekly contact with an agent.
    Weekly {
        /// The agent.
        agent: String,
        /// VISIT, CALL or VIDEO.
        #[arg(long, default_value = "VISIT")]
        mode: String,
        /// AGENT, ATTENDANT or NOBODY.
        #[arg(long, default_value = "AGENT")]
        met: String,
        /// An answer of the list, for example branding=Y or float_ok=N; what is not answered does not apply.
        #[arg(long = "check", value_name = "QUESTION=ANSWER")]
        checks: Vec<String>,
        /// What the agent complains about.
        #[arg(long)]
        complaints: Option<String>,
        /// What competitors do.
        #[arg(long)]
        competitors: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Record what an agent has at hand.
    Float {
        /// The agent.
        agent: String,
        /// E-money.
        e_money: String,
        /// Cash.
        cash: String,
        /// At the bank.
        #[arg(long)]
        bank: Option<String>,
        /// How the e-money was read: SCREEN, API or SMS.
        #[arg(long, default_value = "SCREEN")]
        source: String,
        /// Which way the agent wants to exchange: CASH_TO_E_MONEY or E_MONEY_TO_CASH.
        #[arg(long, requires = "amount")]
        exchange: Option<String>,
        /// How much of it.
        #[arg(long, requires = "exchange")]
        amount: Option<String>,
    },
    /// Report an issue of an agent. One about FRAUD or CONDUCT is read by nobody but you and the office.
    Issue {
        /// The agent.
        agent: String,
        /// NETWORK, TERMINAL, FAILED_TXN, SETTLEMENT, COMMISSION, FLOAT, FRAUD, ...
        category: String,
        /// What is wrong.
        text: String,
        /// 1 (all stands still) to 4 (a wish).
        #[arg(long, default_value_t = 3)]
        severity: u8,
        /// The operator's reference of a transaction; up to ten times.
        #[arg(long = "txn", value_name = "REF")]
        txns: Vec<String>,
    },
    /// Record what happened to an issue.
    IssueEvent {
        /// The report's entry.
        issue: String,
        /// ACK, ASSIGN, COMMENT, STILL_FAILING, FIX, VERIFY, REOPEN or CLOSE.
        kind: String,
        /// Your words.
        #[arg(long)]
        text: Option<String>,
        /// Whose it is, of ASSIGN.
        #[arg(long)]
        to: Option<String>,
        /// The agent, when the report is not on this phone.
        #[arg(long)]
        agent: Option<String>,
    },
    /// Record a training of somebody at an agent's.
    Training {
        /// The agent.
        agent: String,
        /// What was taught.
        module: String,
        /// Who was taught.
        attendee: String,
        /// Who taught; you, when absent.
        #[arg(long)]
        trainer: Option<String>,
        /// The day; today when absent.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: Option<String>,
        /// The result of an examination, in percent.
        #[arg(long)]
        score: Option<u8>,
        /// It was not passed.
        #[arg(long)]
        failed: bool,
        /// Until when it counts.
        #[arg(long, value_name = "YYYY-MM-DD")]
        valid_to: Option<String>,
    },
    /// Register somebody who wants to become an agent; the office decides.
    RegisterAgent {
        /// The phone, as +254700000001.
        phone: String,
        /// The person's name.
        name: String,
        /// The outlet's name.
        outlet: String,
        /// NATIONAL_ID, PASSPORT, DRIVING_LICENCE, VOTER_CARD or RESIDENCE_PERMIT.
        #[arg(long, default_value = "NATIONAL_ID")]
        id_kind: String,
        /// The document's number. Only its last characters are kept.
        #[arg(long, value_name = "NUMBER")]
        id_number: String,
        /// The person agreed to the registration and to what is kept of it.
        #[arg(long)]
        consent: bool,
        #[command(flatten)]
        place: Place,
    },
}
