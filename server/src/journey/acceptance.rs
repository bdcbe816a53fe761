//! Acceptance: a signed contract becomes an account. What is paid before anything is delivered holds it back:
//! until then it is pending, has no case and is not in the books.

use daybook_shared::ids::{AccountId, CustomerId};
use daybook_shared::money::Money;
use daybook_shared::schedule::Portions;
use daybook_shared::time::Timestamp;
use rand::Rng;
use serde_json::json;

use super::applications::{self, Application};
use super::contract::{self, Signing};
use super::offers::{self, Offer};
use super::quotes::{self, Made};
use crate::app::App;
use crate::auth::Party;
use crate::db::Tx;
use crate::http::problem::Problem;
use crate::ledger::posting::{self, Event, PostingError};
use crate::on_db;
use crate::portfolio::account::Stage;
use crate::portfolio::opening::{self, NewAccount, NewCustomer};
use crate::sync::judge;

const INSERT_ORIGIN: &str =
    "insert into account_origin (account_id, application_id, offer_id, quote_id, down_payment_minor,
       accepted_at) values ($1, $2, $3, $4, $5, $6)";
const ACTIVATED: &str = "update account_origin set activated_at = $2 where account_id = $1 and activated_at is null";

/// The account that a signed application becomes. The caller has checked that it may be signed and holds the
/// customer's lock.
pub async fn accept(
    tx: &mut Tx,
    app: &App,
    party: &Party,
    (application, method): (&Application, Signing),
) -> Result<AccountId, Problem> {
    let now = app.now();
    let made = quotes::by_key(tx, application.quote_id).await?;
    let offer = offers::by_key(tx, made.offer_id).await?;
    let uid = app.rng.with(|rng| AccountId::new(now, rng));
    let number = app.rng.with(number);
    let account_id = opening::write_pending(tx, account(uid, number, party.customer.uid, (application, &made, &offer)))
        .await
        .map_err(|error| Problem::internal(&error))?;
    let held_back_minor = made.quote.at_acceptance_minor();
    on_db!(&mut *tx, conn => {
        sqlx::query(INSERT_ORIGIN)
            .bind(account_id)
            .bind(application.id)
            .bind(made.offer_id)
            .bind(made.id)
            .bind(held_back_minor)
            .bind(now)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    contract::sign(tx, now, application.id, (method, party.user.id)).await?;
    if !applications::accept(tx, now, application.id, account_id).await? {
        return Err(Problem::met_another());
    }
    if held_back_minor == 0 {
        activate(tx, app, (uid, account_id), &made).await?;
    }
    let detail = json!({ "account": uid, "method": method.code() });
    party.audit(tx, now, "application.accepted", application.uid, detail).await?;
    Ok(uid)
}

/// Why an account cannot begin: the database, or sums beyond what 64 bits hold.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The journal.
    #[error(transparent)]
    Posting(#[from] PostingError),
}

impl From<BeginError> for Problem {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Sql(error) => error.into(),
            BeginError::Posting(error) => Self::internal(&error),
        }
    }
}

// What waits for its down payment and has it all: by the payment that was begun, or the one that is its money.
const PAID: &str = "select a.uid, n.quote_id from account_origin n join account a on a.id = n.account_id
     where n.account_id = $1 and n.activated_at is null and n.down_payment_minor <=
       (select coalesce(cast(sum(p.amount_minor) as bigint), 0) from app_payment b join payment p
          on p.uid = coalesce(b.same_as, b.payment_uid)
        where b.account_id = n.account_id and b.purpose = 'down_payment' and p.state = 'posted')";

/// An account whose down payment has come begins. Done again it changes nothing.
pub async fn begin_if_paid(tx: &mut Tx, app: &App, account_id: i64) -> Result<(), BeginError> {
    let paid: Option<(AccountId, i64)> =
        on_db!(&mut *tx, conn => sqlx::query_as(PAID).bind(account_id).fetch_optional(conn).await)?;
    let Some((uid, quote_id)) = paid else { return Ok(()) };
    let made = quotes::by_key(tx, quote_id).await?;
    activate(tx, app, (uid, account_id), &made).await
}

/// An account begins: it is in the books, and has its case.
async fn activate(tx: &mut Tx, app: &App, (uid, account_id): (AccountId, i64), made: &Made) -> Result<(), BeginError> {
    let (now, settings) = (app.now(), &app.settings);
    let mut owed = Portions::ZERO;
    for line in &made.quote.instalments {
        owed = owed.checked_add(line.with_paid(Portions::ZERO).due).map_err(PostingError::from)?;
    }
    let booked_on = judge::booked_on(settings, settings.zone.date_of(now));
    let event = Event { id: uid.0, correlation: uid.0, booked_on, currency: made.quote.currency };
    let booked = posting::sale(event, account_id, owed, made.quote.fee_at_acceptance_minor)?;
    if opening::begin(tx, now, (uid, account_id), booked).await? {
        activated(tx, now, account_id).await?;
    }
    Ok(())
}

async fn activated(tx: &mut Tx, now: Timestamp, account_id: i64) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(ACTIVATED).bind(account_id).bind(now).execute(conn).await.map(|_| ()))
}

fn account(
    uid: AccountId,
    number: String,
    customer: CustomerId,
    (application, made, offer): (&Application, &Made, &Offer),
) -> NewAccount {
    NewAccount {
        uid,
        number,
        // Who is known stays as he is.
        customer: NewCustomer {
            uid: customer,
            name: String::new(),
            phone: None,
            national_id_masked: None,
            language: None,
            address: None,
            lat_e6: None,
            lon_e6: None,
        },
        unit_id: application.unit_id,
        product: offer.name.clone(),
        currency: made.quote.currency,
        disbursed_on: made.quote.anchor,
        stage: Stage::Call,
        lines: made.quote.instalments.clone(),
        waterfall: offer.terms.waterfall,
    }
}

/// A number that a customer can read out: twelve characters without look-alikes. 60 random bits; should two
/// ever meet, the second request is answered as a conflict and made again.
fn number(rng: &mut (impl Rng + ?Sized)) -> String {
    let random = u64::from_be_bytes({
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        bytes
    });
    let text = crate::auth::codes::of_number(random >> 4);
    format!("P-{text:0>12}")
}

/// What is still to be paid before a pending account begins.
pub fn held_back(made: &Made) -> Money {
    Money::new(made.quote.at_acceptance_minor(), made.quote.currency)
}
