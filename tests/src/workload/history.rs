//! What is recorded about cases, and when. Pure: a seed decides everything.

use daybook_mobile_sync::capture::{Draft, RepaymentDraft, What};
use daybook_shared::entry::{
    Body, Channel, CustomerAck, EntryType, Gps, PersonMet, Promise, PromiseChannel, ReceiptNumber, Repayment, Visit,
    VisitKind, VisitOutcome, VisitReason,
};
use daybook_shared::ids::AccountId;
use daybook_shared::money::Money;
use daybook_shared::time::{DAY_MS, Date, Timestamp};
use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha20Rng;

use super::people::CURRENCY;
use super::words;

/// The most entries of one case; the fewest are 0, so the mean is 20.
pub const ENTRIES_MAX: usize = 40;
/// Devices that record about a case.
pub const DEVICES: usize = 3;
/// Days over which a history spreads.
pub const DAYS: i64 = 60;
/// A day's work begins this long after midnight UTC and takes [`WORKDAY_MS`].
const MORNING_MS: i64 = 5 * 3_600_000;
const WORKDAY_MS: i64 = 10 * 3_600_000;

/// Where and what a case is about, as far as records need it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The account.
    pub account: AccountId,
    /// Latitude of the customer, millionths of a degree.
    pub lat_e6: i64,
    /// Longitude of the customer, millionths of a degree.
    pub lon_e6: i64,
}

/// Something recorded.
#[derive(Debug, Clone)]
pub enum Recorded {
    /// A visit with its position.
    Visit(Box<Visit>, Gps),
    /// Cash, minor units, and how the customer confirmed it.
    Repayment(i64, CustomerAck),
    /// A promise.
    Promise(Promise),
}

/// One record of a history.
#[derive(Debug, Clone)]
pub struct Record {
    /// Which case, by its place.
    pub case: usize,
    /// Which of the devices.
    pub device: usize,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Recorded,
}

/// The history of all cases, by time: `days` working days from `begin` (a midnight, UTC) on.
pub fn draw(rng: &mut ChaCha20Rng, cases: &[Case], begin: Timestamp) -> Vec<Record> {
    let mut records = Vec::new();
    for (case, about) in cases.iter().enumerate() {
        for _ in 0..rng.random_range(0..=ENTRIES_MAX) {
            let day = rng.random_range(0..DAYS);
            let at = begin.plus_ms(day * DAY_MS + MORNING_MS + rng.random_range(0..WORKDAY_MS));
            let device = rng.random_range(0..DEVICES);
            records.push(Record { case, device, at, what: record(rng, about, at) });
        }
    }
    records.sort_by_key(|record| record.at);
    records
}

/// One record about a case: 55 % visits, 35 % repayments, 10 % promises.
pub fn record(rng: &mut ChaCha20Rng, case: &Case, at: Timestamp) -> Recorded {
    match rng.random_range(0..100) {
        0..55 => visit(rng, case, at),
        55..90 => repayment(rng),
        _ => promise(rng, at),
    }
}

/// A visit at the customer's place.
pub fn visit(rng: &mut ChaCha20Rng, case: &Case, at: Timestamp) -> Recorded {
    const REASONS: [VisitReason; 6] = [
        VisitReason::SeasonalIncome,
        VisitReason::JobLoss,
        VisitReason::Illness,
        VisitReason::ProductFault,
        VisitReason::NetworkPaymentFail,
        VisitReason::OverIndebted,
    ];
    const OUTCOMES: [VisitOutcome; 7] = [
        VisitOutcome::PaidPartial,
        VisitOutcome::PaidFull,
        VisitOutcome::Ptp,
        VisitOutcome::NotHome,
        VisitOutcome::Refused,
        VisitOutcome::Callback,
        VisitOutcome::Hardship,
    ];
    const MET: [PersonMet; 4] = [PersonMet::Customer, PersonMet::Customer, PersonMet::Spouse, PersonMet::Nobody];
    let reasons: Vec<_> = (0..rng.random_range(0..=2)).filter_map(|_| REASONS.choose(rng).cloned()).collect();
    let person_met = MET.choose(rng).cloned().unwrap_or(PersonMet::Nobody);
    let near = |rng: &mut ChaCha20Rng, e6: i64| i32::try_from(e6 + rng.random_range(-18_000..=18_000)).unwrap_or(0);
    let gps = Gps {
        lat_e6: near(rng, case.lat_e6),
        lon_e6: near(rng, case.lon_e6),
        accuracy_m: rng.random_range(3..40),
        age_s: rng.random_range(0..60),
        mock: false,
    };
    let visit = Visit {
        kind: VisitKind::Field,
        started_at: at.plus_ms(-rng.random_range(120_000..1_500_000)),
        ended_at: at,
        identity_verified: person_met == PersonMet::Customer,
        person_met,
        outcome: OUTCOMES.choose(rng).cloned().unwrap_or(VisitOutcome::Callback),
        reasons: (!reasons.is_empty()).then_some(reasons),
        note: Some(words::note(rng)),
        next_action: None,
        no_fix_reason: None,
        stop: None,
        witness: None,
        id_shown: None,
        customer_invited: None,
    };
    Recorded::Visit(Box::new(visit), gps)
}

/// Cash: 200 to 1,900 shillings.
pub fn repayment(rng: &mut ChaCha20Rng) -> Recorded {
    let ack = [CustomerAck::Sms, CustomerAck::Sms, CustomerAck::None].choose(rng).cloned();
    Recorded::Repayment(rng.random_range(4..=38) * 5_000, ack.unwrap_or(CustomerAck::None))
}

fn promise(rng: &mut ChaCha20Rng, at: Timestamp) -> Recorded {
    let channel = [PromiseChannel::Cash, PromiseChannel::MobileMoney].choose(rng).cloned();
    Recorded::Promise(Promise {
        amount: Money::new(rng.random_range(4..=38) * 5_000, CURRENCY),
        promised_date: date_of(at).plus_days(rng.random_range(1..=21)),
        channel: channel.unwrap_or(PromiseChannel::Cash),
        contact_ref: None,
    })
}

/// The business date of an instant in Nairobi, three hours ahead of UTC all year.
pub fn date_of(at: Timestamp) -> Date {
    let days = at.plus_ms(3 * 3_600_000).millis().div_euclid(DAY_MS);
    Date::from_days(i32::try_from(days).unwrap_or(0))
}

impl Recorded {
    /// The entry's type, body and position, as a handset makes them.
    pub fn body(
        self,
        account: AccountId,
        at: Timestamp,
        receipt: impl FnOnce() -> ReceiptNumber,
    ) -> (EntryType, Body, Option<Gps>) {
        match self {
            Self::Visit(visit, gps) => (EntryType::Visit, Body::Visit(*visit), Some(gps)),
            Self::Promise(promise) => (EntryType::Promise, Body::Promise(promise), None),
            Self::Repayment(minor, customer_ack) => {
                let repayment = Repayment {
                    account,
                    amount: Money::new(minor, CURRENCY),
                    channel: Channel::Cash,
                    receipt: Some(receipt()),
                    external_ref: None,
                    value_date: date_of(at),
                    payer_name: None,
                    payer_phone: None,
                    visit: None,
                    customer_ack,
                    over_limit: None,
                };
                (EntryType::Repayment, Body::Repayment(repayment), None)
            }
        }
    }

    /// The draft an app hands to its store.
    pub fn draft(self, account: AccountId) -> Draft {
        match self {
            Self::Visit(visit, gps) => Draft { gps: Some(gps), ..Draft::from(What::Visit { account, visit: *visit }) },
            Self::Promise(promise) => What::Promise { account, promise }.into(),
            Self::Repayment(minor, customer_ack) => {
                let cash = RepaymentDraft::cash(account, Money::new(minor, CURRENCY));
                What::Repayment(RepaymentDraft { customer_ack, ..cash }).into()
            }
        }
    }
}
