//! A customer's profile: its row, and who learns of a change.

use daybook_shared::ids::CustomerId;
use daybook_shared::messages::Language;
use daybook_shared::time::{DAY_MS, Date};
use serde_json::json;

use crate::app::App;
use crate::auth::Party;
use crate::auth::one_time::Phone;
use crate::db::Tx;
use crate::messages::{self, NewMessage, Template, To};
use crate::on_db;
use crate::portfolio::dossier::{self, LockedCase};

/// How long the number he had is told that he has another.
const TOLD_MS: i64 = DAY_MS;

/// Who a customer is, as he sees it.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow, serde::Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "id": "019cad21-cf00-7000-8000-c11e00000020", "name": "Wanjiku Kamau", "phone": "+254712345678",
    "alt_phone": null, "language": "sw", "birth_date": "1994-05-17", "address": "Kisii, behind the market",
    "national_id_masked": "****5678",
}))]
pub struct Profile {
    /// The customer.
    pub id: CustomerId,
    /// Empty until he says it.
    pub name: String,
    /// The number he signs in with.
    pub phone: Option<String>,
    /// Another number he can be reached at.
    pub alt_phone: Option<String>,
    /// A tag such as sw.
    pub language: Option<String>,
    /// The day he was born.
    pub birth_date: Option<Date>,
    /// Where he lives, in words.
    pub address: Option<String>,
    /// All but the last digits hidden.
    pub national_id_masked: Option<String>,
    /// How often it changed.
    #[serde(skip)]
    pub row_version: i64,
}

const SELECT: &str = "select uid as id, name, phone, alt_phone, language, birth_date, address, national_id_masked,
       row_version from customer where id = $1 and erased_at is null";
const UPDATE: &str = "update customer set name = $3, alt_phone = $4, language = $5, birth_date = $6, address = $7,
       phone = $8, row_version = row_version + 1 where id = $1 and row_version = $2 and erased_at is null";

/// The profile; none of a customer who is erased.
pub async fn find(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Option<Profile>> {
    on_db!(tx, conn => sqlx::query_as(SELECT).bind(customer_id).fetch_optional(conn).await)
}

/// A profile whose customer's cases this transaction has locked, in their order before anything else.
#[derive(Debug)]
pub struct Held {
    /// As it is.
    pub profile: Profile,
    customer_id: i64,
    cases: Vec<LockedCase>,
}

/// Takes hold of a profile that is to be changed.
pub async fn hold(tx: &mut Tx, customer_id: i64) -> sqlx::Result<Option<Held>> {
    let cases = dossier::lock_cases(tx, customer_id).await?;
    Ok(find(tx, customer_id).await?.map(|profile| Held { profile, customer_id, cases }))
}

impl Held {
    /// Replaces the profile. False when another changed it since it was read. What phones show of it they learn
    /// as facts of every case. The last thing a transaction does.
    pub async fn replace(self, tx: &mut Tx, app: &App, party: &Party, new: Profile) -> sqlx::Result<bool> {
        let Self { profile: old, customer_id, cases } = self;
        let changed = changed(&old, &new);
        if changed.is_empty() {
            return Ok(true);
        }
        let updated = on_db!(&mut *tx, conn => {
            sqlx::query(UPDATE)
                .bind(customer_id)
                .bind(old.row_version)
                .bind(&new.name)
                .bind(&new.alt_phone)
                .bind(&new.language)
                .bind(new.birth_date)
                .bind(&new.address)
                .bind(&new.phone)
                .execute(conn)
                .await
                .map(|done| done.rows_affected())
        })?;
        if updated != 1 {
            return Ok(false);
        }
        party.audit(tx, app.now(), "customer.profile_changed", old.id, json!({ "fields": changed })).await?;
        if let Some(had) = old.phone.as_deref().filter(|_| changed.contains(&"phone")) {
            tell(tx, app, (customer_id, had), old.language.as_deref()).await?;
        }
        // No fact holds the day of birth.
        if changed.iter().any(|field| *field != "birth_date") {
            dossier::renew_profiles(tx, &cases).await?;
        }
        Ok(true)
    }

    /// Gives the customer the number that he proved.
    pub async fn move_to(self, tx: &mut Tx, app: &App, party: &Party, phone: &Phone) -> sqlx::Result<bool> {
        let new = Profile { phone: Some(phone.as_str().to_owned()), ..self.profile.clone() };
        self.replace(tx, app, party, new).await
    }
}

/// The names of the fields that differ.
fn changed(old: &Profile, new: &Profile) -> Vec<&'static str> {
    let fields = [
        ("name", old.name != new.name),
        ("phone", old.phone != new.phone),
        ("alt_phone", old.alt_phone != new.alt_phone),
        ("language", old.language != new.language),
        ("birth_date", old.birth_date != new.birth_date),
        ("address", old.address != new.address),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Tells the number he had that it is no more his: somebody else may have taken his account.
async fn tell(tx: &mut Tx, app: &App, (customer_id, had): (i64, &str), language: Option<&str>) -> sqlx::Result<()> {
    let language = language.and_then(Language::from_tag).unwrap_or_default();
    let (to, template) = (To::CustomerAt(customer_id, had), Template::PhoneChanged);
    let expires_at = app.now().plus_ms(TOLD_MS);
    messages::enqueue(tx, app, NewMessage { to, template, language, params: &[], expires_at }).await.map(|_| ())
}
