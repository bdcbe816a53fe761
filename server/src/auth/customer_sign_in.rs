//! Which customer it is who has proved a phone number, or whom a provider vouches for.
//!
//! One customer who has the number is he; with none, a new one is made, who says his name later. Where several
//! have it, nobody can say who it is, and a shop has to put it right.

use daybook_shared::ids::CustomerId;
use serde_json::json;

use super::customers::{self, NewCustomer};
use super::oidc::{Person, link};
use super::one_time::{self, Phone};
use super::party::Customer;
use super::session::{self, Method, Opened};
use super::users::UserRow;
use crate::app::App;
use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::on_db;

const SELECT_BY_PHONE: &str = "select id, uid from customer where phone = $1 and erased_at is null order by id limit 2";

/// Customers who have this number: two of them, if there are several.
pub async fn with_number(tx: &mut Tx, phone: &Phone) -> sqlx::Result<Vec<Customer>> {
    on_db!(tx, conn => sqlx::query_as(SELECT_BY_PHONE).bind(phone.as_str()).fetch_all(conn).await)
}

/// Signs in who proved a number, which this transaction has locked.
pub async fn by_number(tx: &mut Tx, app: &App, phone: &Phone, agent: Option<&str>) -> Result<Opened, Problem> {
    let user = login_of(tx, app, phone).await?;
    Ok(session::open(tx, app, (user.id, user.uid), (Method::Code, agent)).await?)
}

/// Signs in whom a provider vouches for: the customer he is linked with, or the first time whose number the
/// provider has verified.
pub async fn by_provider(
    tx: &mut Tx,
    app: &App,
    (issuer, person): (&str, &Person),
    agent: Option<&str>,
) -> Result<Opened, Problem> {
    let known = link::customers(tx, issuer, &person.subject).await?;
    let (id, uid) = match known {
        Some(user) if user.active => (user.id, user.uid),
        Some(_) => return Err(refused()),
        None => {
            let phone = person.phone.as_deref().and_then(|text| Phone::parse(app, text)).ok_or_else(refused)?;
            one_time::lock(tx, app, &phone).await?;
            let user = login_of(tx, app, &phone).await?;
            let subject = (issuer, person.subject.as_str());
            if !link::set(tx, app.now(), Actor::user(user.id), (user.id, user.uid), subject).await? {
                // Linked by a request at the same moment, or with a member of staff.
                return Err(refused());
            }
            (user.id, user.uid)
        }
    };
    Ok(session::open(tx, app, (id, uid), (Method::Token, agent)).await?)
}

/// The provider's person is nobody who may sign in here.
pub fn refused() -> Problem {
    Problem::new(Code::SignInRefused, "The token is not one of this app's login, or is nobody's who may sign in.")
}

/// The login of who has a number, made with the customer if there is none.
async fn login_of(tx: &mut Tx, app: &App, phone: &Phone) -> Result<UserRow, Problem> {
    let found = with_number(tx, phone).await?;
    let user = match found[..] {
        [] => create(tx, app, phone).await?,
        [customer] if customers::lock(tx, customer.id).await? => {
            customers::login(tx, (app.now(), &app.rng), customer).await?
        }
        // Erased just now: he begins anew with the next request.
        [_] => return Err(Problem::met_another()),
        _ => {
            let detail = "Several customers have this phone number: any shop can put it right.";
            return Err(Problem::new(Code::PhoneShared, detail));
        }
    };
    if user.active { Ok(user) } else { Err(refused()) }
}

async fn create(tx: &mut Tx, app: &App, phone: &Phone) -> sqlx::Result<UserRow> {
    let now = app.now();
    let uid = app.rng.with(|rng| CustomerId::new(now, rng));
    let new = NewCustomer { uid, name: "", phone: Some(phone.as_str()), unit_id: None };
    let customer = customers::create(tx, new).await?;
    let user = customers::login(tx, (now, &app.rng), customer).await?;
    audit::record(tx, now, Actor::user(user.id), "customer.created", uid, json!({ "by": "sign_in" })).await?;
    Ok(user)
}
