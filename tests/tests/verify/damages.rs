//! The table: what is damaged, the check that must notice, and the table it must name.
//!
//! Statements are the same on both engines. A damage is one statement, or several with `;` between where
//! rows depend on each other. What the keys and amounts stand for is in `story.rs`.

use super::file_damages::FILES;
use super::record_damages::RECORDS;

/// Damages, each of which the same check must notice in the same table.
pub struct Case {
    /// The check.
    pub check: &'static str,
    /// The table it names.
    pub table: &'static str,
    /// What is done, one at a time.
    pub damages: &'static [&'static str],
}

pub const fn case(check: &'static str, table: &'static str, damages: &'static [&'static str]) -> Case {
    Case { check, table, damages }
}

/// All of it.
pub const CASES: &[&[Case]] =
    &[JOURNAL, ACCOUNTS, PAYMENTS, PROMISES, TYPED, LOG, DECIDED, FEEDS, RECORDS, FILES, TRAIL];

const BALANCE: &str = "ledger: journals balance";
const UNEARNED: &str = "ledger: profit not earned";
const CREDIT: &str = "ledger: credit of customers";
const SUSPENSE: &str = "ledger: suspense is held cash";
const OWNERS: &str = "ledger: balances have an owner";
const CASH: &str = "ledger: cash of officers";
const BOOKED: &str = "ledger: payments are booked once";
const OUTSTANDING: &str = "ledger: outstanding of accounts";
const STATE: &str = "accounts: state";
const INSTALMENTS: &str = "accounts: instalments";
const ALLOCATIONS: &str = "accounts: allocations";
const PAYMENT: &str = "log: payments are what their entries say";
const RECEIPTS: &str = "log: receipt numbers";
pub const STRAY: &str = "log: typed rows have an entry";
const PROMISE: &str = "accounts: promises";
const ACTIVE: &str = "accounts: active promise";
pub const ROWS: &str = "log: typed rows are what their entries say";
pub const ENTRIES: &str = "log: entries are what their bytes say";
const OUTCOMES: &str = "log: outcomes have their reason";
pub const WAITING: &str = "log: what waits";
const BOARDS: &str = "boards: merged from their changes";
const RULED: &str = "decisions: what was ruled";
pub const TIMELINE: &str = "decisions: timeline";
const SEQUENCE: &str = "feeds: sequence";
const PRESENT: &str = "feeds: dossiers are present";
const VERSIONS: &str = "feeds: versions";
pub const SECTIONS: &str = "feeds: versions of sections";
const GONE: &str = "feeds: who left is gone";
const ASSIGNED: &str = "feeds: assignments";
const CHAIN: &str = "audit: chain";

/// The books: lines, journals, and what officers owe.
const JOURNAL: &[Case] = &[
    case(
        BALANCE,
        "journal",
        &[
            "update line set minor = minor + 1 where gl = 'suspense' and minor < 0",
            "delete from line where gl = 'till'",
            "delete from line where journal_id = (select min(id) from journal)",
        ],
    ),
    case(
        UNEARNED,
        "instalment",
        &[
            "update instalment set earned_interest = 1 where account_id = 1 and n = 1",
            "update instalment set earned_interest = interest + 1 where account_id = 1 and n = 1",
            "update line set minor = minor - 5 where gl = 'unearned' and subject = 1",
        ],
    ),
    case(CREDIT, "account", &["update line set gl = 'recovery', subject = null where gl = 'credit'"]),
    case(SUSPENSE, "line", &["update line set gl = 'till', subject = null where gl = 'suspense' and minor < 0"]),
    case(
        OWNERS,
        "line",
        &["update line set subject = 77 where gl = 'plan_recv' and minor < 0", "delete from officer_cash"],
    ),
    case(
        CASH,
        "officer_cash",
        &[
            "update journal set currency = 'USD' where kind = 'count'",
            "delete from line where journal_id = (select id from journal where kind = 'count');
             delete from journal where kind = 'count'",
            "update officer_cash set minor = minor + 7",
        ],
    ),
    case(
        BOOKED,
        "payment",
        &[
            "update journal set event = (select uid from agent) where kind = 'suspense'",
            "delete from line where journal_id = (select id from journal where kind = 'suspense');
             delete from journal where kind = 'suspense'",
            "update journal set correlation = (select uid from agent) where kind = 'reversal'",
        ],
    ),
    case(
        OUTSTANDING,
        "account",
        &["delete from line where journal_id = (select min(id) from journal where kind = 'activation');
             delete from journal where id = (select min(id) from journal where kind = 'activation')"],
    ),
];

/// Where accounts stand: 1 is being paid, 3 is paid off and has credit.
const ACCOUNTS: &[Case] = &[
    case(
        OUTSTANDING,
        "account",
        &["update account set outstanding_principal = outstanding_principal + 1 where id = 1"],
    ),
    case(
        STATE,
        "account",
        &[
            "update account set outstanding_principal = outstanding_principal + 1,
               outstanding_interest = outstanding_interest - 1
             where id = 1",
            "update account set outstanding_fee = 1 where id = 1",
            "update account set outstanding_penalty = 1 where id = 1",
            "update account set paid_minor = paid_minor + 1 where id = 1",
            "update account set credit_minor = credit_minor + 1 where id = 3",
            "update account set oldest_unmet_due = null where id = 1",
            "update account set last_value_date = '2027-01-01' where id = 1",
            "update account set last_payment = null where id = 1",
            "update account set last_paid_minor = last_paid_minor + 1 where id = 1",
            "update account set status = 'active', closed_as = null where id = 3",
            "update account set schedule_version = 2 where id = 1",
            "update instalment set principal = principal + 1 where account_id = 1 and n = 3",
        ],
    ),
    case(CREDIT, "account", &["update account set credit_minor = credit_minor + 1 where id = 3"]),
    case(OWNERS, "line", &["update account set status = 'pending' where id = 1"]),
    case(
        INSTALMENTS,
        "instalment",
        &[
            "update instalment set paid_principal = paid_principal + 1 where account_id = 1 and n = 1",
            "update instalment set paid_interest = paid_interest - 1 where account_id = 1 and n = 1",
            "update instalment set paid_fee = 1 where account_id = 1 and n = 2",
            "update instalment set paid_penalty = 1 where account_id = 1 and n = 2",
        ],
    ),
    case(
        ALLOCATIONS,
        "allocation",
        &[
            "update allocation set principal = principal + 1 where account_id = 1 and n = 1",
            "delete from allocation where account_id = 1 and n = 1",
            "update allocation set n = 3 where account_id = 3",
            "insert into allocation (account_id, payment_uid, n, principal, interest, fee, penalty)
             select account_id, payment_uid, 3, 1, 0, 0, 0 from allocation where account_id = 3",
        ],
    ),
];

/// Payments and their receipt numbers.
const PAYMENTS: &[Case] = &[
    case(
        BOOKED,
        "payment",
        &[
            "update payment set state = 'held' where amount_minor = 1500",
            "update payment set state = 'posted' where state = 'reversed'",
            "update payment set amount_minor = amount_minor + 1 where amount_minor = 70",
            "update payment set debited = not debited where amount_minor = 1500",
        ],
    ),
    case(
        PAYMENT,
        "payment",
        &[
            "update payment set state = 'posted' where state = 'refused'",
            "update payment set amount_minor = amount_minor + 1 where amount_minor = 1500",
            "update payment set user_id = (select id from app_user where login = 'barasa')
             where amount_minor = 1500",
            "update payment set account_id = 2 where amount_minor = 1500",
            "update payment set channel = 'MOBILE_MONEY' where amount_minor = 1500",
            "update payment set currency = 'USD' where amount_minor = 1500",
            "update payment set external_ref = 'MPESA-9' where amount_minor = 300",
            "update payment set value_date = '2027-02-01' where amount_minor = 1500",
            "delete from payment where amount_minor = 30001",
            "update payment set source = 'app' where amount_minor = 1500",
        ],
    ),
    case(
        RECEIPTS,
        "receipt_claim",
        &[
            "update receipt_claim set payment_uid = (select uid from payment where amount_minor = 300)
             where receipt_no = (select receipt_no from payment where amount_minor = 1500)",
            "delete from receipt_claim where receipt_no = (select receipt_no from payment
             where amount_minor = 1500)",
        ],
    ),
    case(STRAY, "payment", &["update payment set uid = (select uid from agent) where amount_minor = 1500"]),
];

/// Promises: 600 came after 500.
const PROMISES: &[Case] = &[
    case(PROMISE, "promise", &["update promise set status = 'ACTIVE'", "update promise set status = 'SUPERSEDED'"]),
    case(
        ACTIVE,
        "account",
        &[
            "update account set active_promise = null where id = 1",
            "update account set active_promise_at = null where id = 1",
        ],
    ),
    case(
        ROWS,
        "promise",
        &[
            "update promise set amount_minor = amount_minor + 1 where amount_minor = 500",
            "update promise set promised_date = '2027-04-01' where amount_minor = 500",
            "update promise set captured_at = (select min(created_at) from app_user) where amount_minor = 600",
            "delete from promise where amount_minor = 500",
        ],
    ),
    case(STRAY, "promise", &["update promise set entry_uid = (select uid from agent) where amount_minor = 500"]),
];

/// The other typed rows.
const TYPED: &[Case] = &[
    case(
        ROWS,
        "visit",
        &[
            "update visit set kind = 'PHONE'",
            "update visit set outcome = 'PTP'",
            "update visit set person_met = 'NOBODY'",
            "update visit set identity_verified = not identity_verified",
            "update visit set started_at = ended_at",
            "update visit set lat_e6 = 1",
            "update visit set dossier_id = (select max(id) from dossier)",
            "delete from visit",
        ],
    ),
    case(STRAY, "visit", &["update visit set entry_uid = (select uid from agent)"]),
    case(
        ROWS,
        "correction",
        &[
            "update correction set target = entry_uid",
            "update correction set kind = 'VOID'",
            "update correction set user_id = (select max(id) from app_user)",
            "delete from correction where status = 'requested'",
        ],
    ),
    case(
        ROWS,
        "cash_handover",
        &[
            "update cash_handover set declared_minor = declared_minor + 1 where status = 'counted'",
            "update cash_handover set recipient = 'SUPERVISOR' where status = 'counted'",
            "update cash_handover set currency = 'USD' where status = 'counted'",
            "delete from cash_handover where status = 'counted'",
        ],
    ),
    case(
        ROWS,
        "handover_item",
        &[
            "delete from handover_item where payment_uid = (select uid from payment where amount_minor = 1500)",
            "update handover_item set payment_uid = (select uid from agent) where payment_uid = (select uid
             from payment where amount_minor = 1500)",
        ],
    ),
    case(
        ROWS,
        "transaction_check",
        &[
            "update transaction_check set amount_minor = amount_minor + 1",
            "update transaction_check set txn_ref = 'QF12AB35'",
            "update transaction_check set book_amount_minor = null",
            "update transaction_check set result = 'MISMATCH'",
            "delete from transaction_check",
        ],
    ),
    case(
        STRAY,
        "correction",
        &["update correction set entry_uid = (select uid from agent) where status = 'requested'"],
    ),
    case(
        STRAY,
        "cash_handover",
        &["update cash_handover set entry_uid = (select uid from agent) where status = 'declared'"],
    ),
    case(STRAY, "transaction_check", &["update transaction_check set entry_uid = (select uid from agent)"]),
];

/// The log itself, what waits in it, and boards.
const LOG: &[Case] = &[
    case(
        ENTRIES,
        "entry",
        &[
            "update entry set bytes = (select uid from envelope order by number limit 1)
             where entry_type = 'VISIT'",
            "update entry set bytes = (select bytes from entry where entry_type = 'TRANSACTION_CHECK')
             where entry_type = 'VISIT'",
            "update entry set entry_type = 'PROMISE' where entry_type = 'VISIT'",
            "update entry set dossier_id = (select max(id) from dossier) where entry_type = 'VISIT'",
            "update entry set device_id = (select max(id) from device) where entry_type = 'VISIT'",
        ],
    ),
    case(
        ROWS,
        "visit",
        &[
            "update entry set user_id = (select id from app_user where login = 'barasa')
             where entry_type = 'VISIT'",
            "update entry set outcome = 'held', reason = 'NOT_ENTITLED' where entry_type = 'VISIT'",
            "update entry set outcome = 'refused', reason = 'FIELD' where entry_type = 'VISIT'",
        ],
    ),
    case(ROWS, "promise", &["update entry set captured_at = received_at where entry_type = 'PROMISE'"]),
    case(STRAY, "visit", &["delete from entry where entry_type = 'VISIT'"]),
    case(
        PAYMENT,
        "payment",
        &[
            "update entry set outcome = 'noted' where outcome = 'posted'",
            "update entry set outcome = 'posted', reason = null where outcome = 'held'
             and entry_type = 'REPAYMENT'",
            "update entry set flags = null where flags = 'REVERSED'",
        ],
    ),
    case(
        OUTCOMES,
        "entry",
        &[
            "update entry set reason = null where outcome = 'held' and entry_type = 'REPAYMENT'",
            "update entry set reason = 'AMOUNT' where outcome = 'noted'",
        ],
    ),
    case(
        WAITING,
        "waiting",
        &[
            "delete from waiting",
            "update waiting set ref = (select uid from agent)",
            "update waiting set entry_id = (select min(id) from entry)",
        ],
    ),
    case(
        BOARDS,
        "board",
        &[
            "update board set bytes = (select bytes from board_change order by version limit 1)",
            "delete from board",
            "delete from board_change where version = (select max(version) from board_change)",
            "update board_change set bytes = (select bytes from envelope order by number limit 1)
             where version = (select max(version) from board_change)",
            "update dossier set board_version = 0",
        ],
    ),
];

/// What people decided, and the timeline.
const DECIDED: &[Case] = &[
    case(
        RULED,
        "correction",
        &[
            "update correction set status = 'requested' where status = 'approved'",
            "update correction set status = 'approved' where status = 'requested'",
        ],
    ),
    case(
        RULED,
        "cash_handover",
        &[
            "update cash_handover set status = 'declared', counted_minor = null where status = 'counted'",
            "update cash_handover set counted_minor = counted_minor + 1 where status = 'counted'",
            "update cash_handover set status = 'sent_back' where status = 'declared'",
        ],
    ),
    case(
        RULED,
        "entry",
        &[
            "update entry set outcome = 'held', reason = 'AWAITING_PROVIDER' where outcome = 'refused'",
            "update entry set reason = 'DUPLICATE' where outcome = 'refused'",
            "update entry set flags = null where flags like '%RELEASED%'",
        ],
    ),
    case(
        TIMELINE,
        "timeline_event",
        &[
            "delete from timeline_event where code = 'REVERSED'",
            "update timeline_event set code = 'REVERSED' where code = 'ASSIGNED'",
            "update timeline_event set amount_minor = amount_minor + 1 where code = 'REVERSED'",
            "update timeline_event set user_id = null where code = 'ASSIGNED'",
            "update timeline_event set dossier_id = 1 where code = 'ASSIGNED'",
        ],
    ),
];

/// Feeds, and the versions of dossiers: 1 is in caseload 1, 2 went from there to caseload 2.
const FEEDS: &[Case] = &[
    case(SEQUENCE, "caseload", &["update caseload set seq = seq + 1 where id = 1"]),
    case(
        PRESENT,
        "feed",
        &[
            "update dossier set version = version + 1 where account_id = 1",
            "delete from feed where dossier_id = 1",
            "update feed set version = version + 1 where dossier_id = 1",
            "update feed set present = not present where dossier_id = 1",
            "update feed set epoch = epoch + 1 where dossier_id = 1",
        ],
    ),
    case(
        VERSIONS,
        "dossier",
        &[
            "update dossier set version = version + 1 where account_id = 1",
            "update dossier set version = version - 1 where account_id = 1",
            "update entry set version = version + 100 where entry_type = 'VISIT'",
            "update entry set outcome_version = outcome_version + 100 where entry_type = 'VISIT'",
            "update board_change set version = version + 100",
            "update timeline_event set version = version + 100 where code = 'ASSIGNED'",
            "update dossier set profile_version = version + 1 where account_id = 1",
            "update dossier set state_version = version + 1 where account_id = 1",
            "update dossier set board_version = version + 1 where account_id = 1",
        ],
    ),
    case(
        SECTIONS,
        "dossier",
        &[
            "update dossier set profile_version = 0 where account_id = 1",
            "update dossier set schedule_version = 0 where account_id = 1",
            "update dossier set state_version = 1 where account_id = 1",
            "update dossier set promises_version = 1 where account_id = 1",
            "update dossier set timeline_version = 1 where account_id = 1",
            "update dossier set board_version = 1 where account_id = 1",
        ],
    ),
    case(
        GONE,
        "feed",
        &[
            "update feed set present = not present where dossier_id = 2 and reason is not null",
            "delete from feed where dossier_id = 2 and caseload_id = 1",
            "update feed set epoch = epoch + 1 where dossier_id = 2 and reason is not null",
            "insert into feed (caseload_id, seq, dossier_id, version, present, epoch)
             select 2, 1000, dossier_id, version, present, epoch from feed where caseload_id = 1 and seq = 1",
        ],
    ),
    case(
        ASSIGNED,
        "dossier",
        &[
            "update dossier set epoch = epoch + 1 where account_id = 2",
            "update dossier set caseload_id = 1 where account_id = 2",
            "delete from assignment where dossier_id = 1",
            "delete from assignment where dossier_id = 2 and epoch = 1",
        ],
    ),
];

/// The audit trail.
const TRAIL: &[Case] = &[case(
    CHAIN,
    "audit",
    &[
        "update audit set detail = '{}' where seq = 2",
        "update audit set user_id = 1 where seq = 1",
        "update audit set sealed_at = at where seq = 2",
        "delete from audit where seq = 2",
        "delete from audit where seq = (select max(seq) from audit)",
        "update audit set seq = null where seq = (select max(seq) from audit)",
        "update audit_head set seq = seq - 1",
        "update audit_head set hash = (select hash from audit where seq = 1)",
    ],
)];
