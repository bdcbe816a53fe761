//! Writing a payment down before anybody is asked for money: what may be begun, and that an id is one payment's for
//! ever.

use daybook_shared::ids::{AccountId, PaymentId};
use daybook_shared::money::Money;
use serde_json::json;

use super::rows::{self, NewAppPayment, channel_of};
use super::state::{Purpose, expires_at};
use crate::app::App;
use crate::auth::Party;
use crate::auth::oidc::is_address;
use crate::db::{self, Tx};
use crate::gateways::GatewayName;
use crate::http::problem::{Code, Problem};
use crate::on_db;
use crate::portfolio::account::{self, AccountRow, Lock};
use crate::portfolio::payment::{self, NewPayment, PaymentSource, PaymentState};
use crate::portfolio::status::AccountStatus;

/// The longest address that a browser goes back to.
const RETURN_URL_BYTES_MAX: usize = 1_024;

/// A payment to be begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Its id, which its maker chose.
    pub id: PaymentId,
    /// What it is for.
    pub purpose: Purpose,
    /// How much.
    pub amount: Money,
    /// How.
    pub by: Paying,
}

/// How a customer pays, with what that needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paying {
    /// By mobile money.
    MobileMoney {
        /// The phone that is asked, in its international form.
        phone: String,
    },
    /// On the card page.
    Card {
        /// Where the browser goes back to.
        return_url: String,
    },
}

impl Paying {
    /// Through whom.
    pub fn gateway(&self) -> GatewayName {
        match self {
            Self::MobileMoney { .. } => GatewayName::MobileMoney,
            Self::Card { .. } => GatewayName::Card,
        }
    }

    fn check(&self) -> Result<(), Problem> {
        match self {
            Self::MobileMoney { phone } if !is_phone(phone) => {
                let detail = "phone has its country's code, as in +254712345678.";
                Err(Problem::invalid("/method/mobile_money/phone", "phone", detail))
            }
            Self::Card { return_url } if return_url.len() > RETURN_URL_BYTES_MAX || !is_address(return_url) => {
                let detail = format!("return_url is an https address of at most {RETURN_URL_BYTES_MAX} bytes.");
                Err(Problem::invalid("/method/card/return_url", "address", detail))
            }
            Self::MobileMoney { .. } | Self::Card { .. } => Ok(()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::MobileMoney { phone } => phone,
            Self::Card { return_url } => return_url,
        }
    }
}

fn is_phone(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or_default().as_bytes();
    (8..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0'
}

/// Whether a payment is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// It was written down now, and is due.
    New,
    /// It was there, with the same content.
    Known,
}

const ACCOUNT: &str = "select id from account where uid = $1 and customer_id = $2";

/// The key of the customer's account with this id; another's is as if it did not exist.
pub async fn account_of(tx: &mut Tx, party: &Party, plan: AccountId) -> Result<i64, Problem> {
    let id: Option<i64> = on_db!(tx, conn => {
        sqlx::query_scalar(ACCOUNT).bind(plan).bind(party.customer.id).fetch_optional(conn).await
    })?;
    id.ok_or_else(Problem::not_found)
}

/// Writes a payment on the customer's own account down. What is begun as an instalment of an account that waits for
/// its down payment is that.
pub async fn begin(tx: &mut Tx, app: &App, party: &Party, account_id: i64, new: &Begin) -> Result<Novelty, Problem> {
    // Held until the end: of two that begin at once the second counts the first.
    let accounts = account::load_accounts(tx, &[account_id], Lock::ForUpdate).await?;
    let account = accounts.first().ok_or_else(Problem::not_found)?;
    let content = content(app, account_id, new);
    if let Some(novelty) = known(tx, new.id, &content).await? {
        return Ok(novelty);
    }
    let purpose = match account.status {
        AccountStatus::Active => new.purpose.once_active(),
        AccountStatus::Pending if new.purpose != Purpose::Settlement => down_payment(tx, account, new.amount).await?,
        AccountStatus::Pending | AccountStatus::Closed => return Err(nothing_to_pay(account)),
    };
    bounds(app, account, new)?;
    under_way(tx, app, account_id).await?;
    write(tx, app, party, account_id, (new, purpose), content).await?;
    Ok(Novelty::New)
}

fn nothing_to_pay(account: &AccountRow) -> Problem {
    let from = account.status_text();
    let detail = format!("The plan is {from}: there is nothing to pay on it now.");
    Problem::new(Code::IllegalTransition, detail).with("from", from).with("event", "pay")
}

/// What is paid before an account begins, less what was paid of it or is under way.
const DUE: &str = "select n.down_payment_minor - coalesce((select cast(sum(p.amount_minor) as bigint)
         from app_payment b join payment p on p.uid = b.payment_uid where b.account_id = n.account_id
           and b.purpose = 'down_payment' and p.state in ('pending', 'held', 'posted', 'matched')), 0)
     from account_origin n where n.account_id = $1 and n.activated_at is null";

/// A down payment is paid whole.
async fn down_payment(tx: &mut Tx, account: &AccountRow, amount: Money) -> Result<Purpose, Problem> {
    let due: Option<i64> = on_db!(tx, conn => sqlx::query_scalar(DUE).bind(account.id).fetch_optional(conn).await)?;
    let due = due.filter(|due| *due > 0).ok_or_else(|| nothing_to_pay(account))?;
    if amount.minor == due {
        return Ok(Purpose::DownPayment);
    }
    let detail = format!("The plan begins with {}, paid at once.", Money::new(due, account.currency));
    Err(Problem::invalid("/amount/minor", "down-payment", detail))
}

/// What an id stands for; keyed, because a phone number can be tried out.
fn content(app: &App, account_id: i64, new: &Begin) -> Vec<u8> {
    let Begin { amount, by, .. } = new;
    let words = format!("{account_id} {} {} {}", amount.minor, amount.currency, by.gateway());
    app.keys.rest.fingerprint(&[b"daybook/app-payment/1", words.as_bytes(), by.text().as_bytes()]).0.to_vec()
}

/// Entries share their ids with payments: one that is an entry's is taken too.
const KNOWN: &str = "select b.content from payment p left join app_payment b on b.payment_uid = p.uid where p.uid = $1
     union all select null from entry e where e.uid = $1";

async fn known(tx: &mut Tx, id: PaymentId, content: &[u8]) -> Result<Option<Novelty>, Problem> {
    let known: Vec<Option<Vec<u8>>> = on_db!(tx, conn => sqlx::query_scalar(KNOWN).bind(id).fetch_all(conn).await)?;
    match known.first() {
        None => Ok(None),
        Some(Some(known)) if known == content => Ok(Some(Novelty::Known)),
        Some(_) => Err(Problem::new(Code::IdTaken, "The payment's id was used for something else.")),
    }
}

fn bounds(app: &App, account: &AccountRow, new: &Begin) -> Result<(), Problem> {
    new.by.check()?;
    let (name, amount) = (new.by.gateway(), new.amount);
    let Some(gateway) = app.gateways.get(name) else {
        let detail = format!("This lender does not offer payments by {} in the app.", name.code().replace('_', " "));
        return Err(Problem::invalid("/method", "not-offered", detail));
    };
    if amount.currency != account.currency {
        let detail = format!("The plan is in {}.", account.currency);
        return Err(Problem::invalid("/amount/currency", "currency", detail));
    }
    let increment = gateway.adapter.increment_minor(amount.currency);
    if amount.minor <= 0 || amount.minor % increment != 0 {
        let detail = format!("The amount is above zero, in steps of {}.", Money::new(increment, amount.currency));
        return Err(Problem::invalid("/amount/minor", "increment", detail));
    }
    let limit = app.settings.app_payment_limit_minor;
    if amount.minor > limit {
        let detail = format!("At most {} is paid at once.", Money::new(limit, amount.currency));
        return Err(Problem::new(Code::LimitExceeded, detail).with("limit", limit).with("used", amount.minor));
    }
    Ok(())
}

const UNDER_WAY: &str = "select cast(count(*) as bigint) from app_payment b join payment p on p.uid = b.payment_uid
     where b.account_id = $1 and p.state = 'pending'";

async fn under_way(tx: &mut Tx, app: &App, account_id: i64) -> Result<(), Problem> {
    let used: i64 = on_db!(tx, conn => sqlx::query_scalar(UNDER_WAY).bind(account_id).fetch_one(conn).await)?;
    let limit = app.settings.app_payments_pending_max;
    if used < limit {
        return Ok(());
    }
    let detail = "Too many payments of this plan are under way: wait until one of them is over.";
    Err(Problem::new(Code::LimitExceeded, detail).with("limit", limit).with("used", used))
}

async fn write(
    tx: &mut Tx,
    app: &App,
    party: &Party,
    account_id: i64,
    (new, purpose): (&Begin, Purpose),
    content: Vec<u8>,
) -> Result<(), Problem> {
    let now = app.now();
    let gateway = new.by.gateway();
    let minutes = app.gateways.get(gateway).map_or(0, |gateway| gateway.adapter.minutes());
    let row = NewPayment {
        uid: new.id,
        account_id: Some(account_id),
        user_id: None,
        source: PaymentSource::App,
        channel: channel_of(gateway),
        amount_minor: new.amount.minor,
        currency: new.amount.currency,
        receipt_no: None,
        external_ref: None,
        value_date: app.settings.zone.date_of(now),
        booked_on: None,
        state: PaymentState::Pending,
        debited: false,
    };
    // Somebody else took the id at this moment: the next run finds it.
    let met = |error: sqlx::Error| {
        if db::is_constraint_violation(&error) { Problem::met_another() } else { error.into() }
    };
    payment::insert(tx, &[row]).await.map_err(met)?;
    let (phone, return_url) = match &new.by {
        Paying::MobileMoney { phone } => (Some(phone.clone()), None),
        Paying::Card { return_url } => (None, Some(return_url.clone())),
    };
    let row = NewAppPayment {
        payment: new.id,
        account_id,
        purpose,
        gateway,
        content,
        phone,
        return_url,
        begun_by: party.user.id,
        begun_at: now,
        expires_at: expires_at(now, minutes),
    };
    rows::insert(tx, &row).await.map_err(met)?;
    let detail = json!({ "gateway": gateway.code(), "amount_minor": new.amount.minor, "purpose": purpose.code() });
    party.audit(tx, now, "payment.begun", new.id, detail).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_has_its_countrys_code() {
        for (text, fits) in [
            ("+254712345678", true),
            ("+96650123456", true),
            ("254712345678", false),
            ("+0254712345678", false),
            ("+2547", false),
            ("+2547123456789012", false),
            ("+25471234567x", false),
            ("", false),
        ] {
            assert_eq!(is_phone(text), fits, "{text}");
        }
    }
}
