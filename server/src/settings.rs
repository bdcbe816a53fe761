//! The lender's settings: one row a setting in table `setting`, where it differs from its default.
//!
//! They are read when the server starts, so a change takes effect with the next start. Every change
//! is audited. What is a property of the process and not of the lender (addresses, files, log
//! format) is configuration, see [`crate::config`].

use daybook_shared::money::{Currency, Money};
use daybook_shared::time::{Date, Timestamp, Zone};
use serde_json::json;

use crate::audit::{self, Actor};
use crate::db::Tx;
use crate::messages::gateway::{self, GatewayKind};
use crate::on_db;

/// Declares the settings: name, type, default, rule, and what it says, in one place.
macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $default:expr, $rule:expr;)+) => {
        /// All settings of the lender.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings { $($(#[doc = $doc])+ pub $name: $ty,)+ }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Settings {
            /// The names of all settings and what each means.
            pub const ALL: &'static [(&'static str, &'static str)] =
                &[$((stringify!($name), concat!($($doc),+)),)+];

            /// The value of a setting as text.
            pub fn get(&self, name: &str) -> Option<String> {
                match name {
                    $(stringify!($name) => Some(self.$name.show()),)+
                    _ => None,
                }
            }

            /// Changes a setting from its text.
            pub fn put(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
                match name {
                    $(stringify!($name) => {
                        let value = <$ty as Value>::read(text).filter($rule);
                        self.$name = value.ok_or_else(|| SettingError::Value {
                            name: stringify!($name),
                            text: text.chars().take(64).collect(),
                            doc: concat!($($doc),+),
                        })?;
                        Ok(())
                    })+
                    _ => Err(SettingError::Unknown(name.chars().take(64).collect())),
                }
            }
        }
    };
}

const UNITED_STATES_DOLLAR: Currency = Currency::new(*b"USD").expect("three capital letters");

settings! {
    /// The time zone of business dates, by its IANA name, for example Africa/Nairobi.
    zone: Zone = Zone::utc(), |_| true;
    /// The currency of cash limits, allowances and imports, three letters of ISO 4217.
    currency: Currency = UNITED_STATES_DOLLAR, |_| true;
    /// The most cash an officer should hold, in minor units: above it a phone asks for an override
    /// before it takes more. The server never refuses real cash for it.
    cash_limit_minor: i64 = 50_000_000, |v| (0..=Money::MINOR_MAX).contains(v);
    /// An absurd amount, in minor units: a repayment above it is held until a person looks.
    amount_limit_minor: i64 = 1_000_000_000, |v| (1..=Money::MINOR_MAX).contains(v);
    /// How many days before its capture a repayment's value date may lie without being held.
    backdated_days_max: i32 = 7, |v| (0..=366).contains(v);
    /// How many days ahead a promise may lie.
    promise_days_max: i32 = 30, |v| (1..=366).contains(v);
    /// The last day of the last closed accounting period: postings are booked after it. Empty while
    /// no period is closed.
    closed_through: Option<Date> = None, |_| true;
    /// How many days a device may work without a new lease.
    lease_days: i64 = daybook_shared::wire::limits::LEASE_DAYS, |v| (1..=90).contains(v);
    /// After how many days without a sync a device in use is silent, which raises an alarm.
    silent_device_days: i64 = 3, |v| (1..=90).contains(v);
    /// How many hours an enrolment code is good for.
    enrolment_code_hours: i64 = 72, |v| (1..=24 * 31).contains(v);
    /// How many days a sign-in lasts at most.
    session_days: i64 = 7, |v| (1..=90).contains(v);
    /// How many hours a sign-in lasts while nobody uses it.
    session_idle_hours: i64 = 12, |v| (1..=24 * 90).contains(v);
    /// The identity provider that staff may sign in with, by its issuer URL, for example
    /// <https://login.example.com/realms/staff>. Empty: none.
    oidc_issuer: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// What the identity provider calls this server.
    oidc_client_id: String = String::new(), |v| v.len() <= 255;
    /// Where the identity provider sends browsers back to, as it is registered there, for example
    /// <https://daybook.example.com/v1/oidc/callback>.
    oidc_redirect_url: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// Whether somebody who signs in with the identity provider for the first time may become the user
    /// whose login is his verified e-mail address. Otherwise users are linked by hand.
    oidc_link_by_email: bool = false, |_| true;
    /// The identity provider of a shop's app, whose identity tokens customers may sign in with, by its issuer
    /// URL. Empty: none.
    customer_oidc_issuer: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// Whom the tokens of that provider are for: what it calls the app.
    customer_oidc_audience: String = String::new(), |v| v.len() <= 255;
    /// How many days a customer's sign-in lasts at most.
    customer_session_days: i64 = 90, |v| (1..=400).contains(v);
    /// How many hours a customer's sign-in lasts while he does not use it.
    customer_session_idle_hours: i64 = 720, |v| (1..=24 * 400).contains(v);
    /// How many minutes a one-time code is good for.
    sign_in_code_minutes: i64 = 5, |v| (1..=60).contains(v);
    /// The most one-time codes that go to one phone number in a day.
    sign_in_codes_day: i64 = 10, |v| (1..=100).contains(v);
    /// The most one-time codes that go out in an hour to all numbers together: what somebody who asks for
    /// strangers' codes can cost.
    sign_in_codes_hour: i64 = 5_000, |v| (1..=1_000_000).contains(v);
    /// The country's calling code, for example 254, for phone numbers that customers write without one. Empty:
    /// they must write it.
    phone_country_code: String = String::new(), |v| v.len() <= 3 && v.bytes().all(|byte| byte.is_ascii_digit());
    /// Who carries messages to customers: none, log (this server's log, for development only) or http (an SMS
    /// gateway). Without one nobody signs in by a code.
    message_gateway: GatewayKind = GatewayKind::None, |_| true;
    /// Where the SMS gateway takes messages by POST, for example <https://sms.example.com/v1/messages>.
    sms_url: String = String::new(), |v| gateway::is_url(v);
    /// The header in which it expects the secret that `--sms-secret-file` names.
    sms_header: String = "authorization".to_owned(), |v| gateway::is_header(v);
    /// The JSON that it expects, with {to} for the number in a text and {text} as a text of its own.
    sms_body: String = r#"{"to":"{to}","text":"{text}"}"#.to_owned(), |v| gateway::is_body(v);
    /// The most bytes of a file that an entry names: a photo, a signature.
    attachment_bytes_max: i64 = i64::from(daybook_shared::wire::limits::ATTACHMENT_BYTES_MAX), |v| (1_024..=64 * 1_024 * 1_024).contains(v);
    /// The most bytes of files that a device hands in on one day; the rest comes later.
    attachment_day_bytes_max: i64 = 104_857_600, |v| (1_024..=1_024 * 1_024 * 1_024 * 1_024).contains(v);
    /// How many days a request that is repeated with its Idempotency-Key has the same answer.
    idempotency_days: i64 = 90, |v| (90..=3_650).contains(v);
    /// How many days after anything was last heard of a customer whose accounts are all closed he is erased:
    /// who he is, and what was recorded about him but money. 0: never.
    closed_customer_days: i64 = 2_555, |v| *v == 0 || (90..=36_500).contains(v);
    /// How many hours a quote stands.
    quote_hours: i64 = 24, |v| (1..=24 * 31).contains(v);
    /// How many hours a customer has to sign once he is approved.
    approval_hours: i64 = 72, |v| (1..=24 * 31).contains(v);
    /// How many days we have to answer a complaint before it rises a level.
    complaint_answer_days: i64 = 5, |v| (1..=90).contains(v);
    /// Regulation that offers are made under, beside `open` (none) and `sama_bnpl`: a JSON array of regimes.
    regimes: String = String::new(), |v| v.len() <= 65_536 && crate::journey::regimes::read(v).is_some();
    /// The gateway that asks customers' phones for mobile money, by its address. Empty: payments in the app by mobile
    /// money are not offered.
    momo_url: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// The operator's code, as in the references of its statements: MPESA.
    momo_code: String = String::new(), |v| is_code(v);
    /// How many minutes a customer has to confirm on his phone.
    momo_minutes: i64 = 5, |v| (1..=60).contains(v);
    /// The gateway whose card page customers pay on, by its address. Empty: payments in the app by card are not
    /// offered.
    card_url: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// The acquirer's code, for references to its payments.
    card_code: String = "CARD".to_owned(), |v| is_code(v);
    /// How many minutes a customer has to pay on the card page.
    card_minutes: i64 = 30, |v| (1..=24 * 60).contains(v);
    /// This server's address as gateways reach it, which they are told for their callbacks. Empty: they are not told.
    gateway_callback_url: String = String::new(), |v| v.is_empty() || crate::auth::oidc::is_address(v);
    /// The most that a customer pays at once in the app, in minor units.
    app_payment_limit_minor: i64 = 50_000_000, |v| (1..=Money::MINOR_MAX).contains(v);
    /// How many payments of one account may be under way in the app at once.
    app_payments_pending_max: i64 = 3, |v| (1..=20).contains(v);
    /// How many days envelopes are kept as phones sealed them, beside the entries that were in them. 0: for ever.
    envelope_days: i64 = 365, |v| *v == 0 || (90..=36_500).contains(v);
}

/// Nothing, or a provider's code.
fn is_code(text: &str) -> bool {
    text.is_empty() || crate::import::money_in::provider_code(text).as_deref() == Ok(text)
}

/// Why a setting cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such setting.
    #[error("there is no setting {0:?}; `daybook settings list` shows all")]
    Unknown(String),
    /// The text is not a value of it.
    #[error("{text:?} is not a value of {name}:{doc}")]
    Value {
        /// The setting.
        name: &'static str,
        /// What was given.
        text: String,
        /// What it means.
        doc: &'static str,
    },
}

/// Why settings cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The name or the value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The database.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

const SELECT: &str = "select name, value from setting order by name";
const UPSERT: &str = "
    insert into setting (name, value, set_at, set_by) values ($1, $2, $3, $4)
    on conflict (name) do update set value = excluded.value, set_at = excluded.set_at, set_by = excluded.set_by";

impl Settings {
    /// Reads all settings. A row this build does not know is left alone: a newer one may.
    pub async fn load(tx: &mut Tx) -> Result<Self, SettingsError> {
        let rows: Vec<(String, String)> = on_db!(tx, conn => sqlx::query_as(SELECT).fetch_all(conn).await)?;
        let mut settings = Self::default();
        for (name, value) in rows {
            match settings.put(&name, &value) {
                Err(SettingError::Unknown(_)) => tracing::warn!(setting = name, "an unknown setting is ignored"),
                other => other?,
            }
        }
        Ok(settings)
    }

    /// Stores one setting and its audit row.
    pub async fn set(
        tx: &mut Tx,
        now: Timestamp,
        actor: Actor,
        (name, text): (&str, &str),
    ) -> Result<(), SettingsError> {
        let mut settings = Self::load(tx).await?;
        let before = settings.get(name);
        settings.put(name, text)?;
        let after = settings.get(name);
        on_db!(tx, conn => {
            sqlx::query(UPSERT).bind(name).bind(after.as_deref()).bind(now).bind(actor.user_id).execute(conn).await.map(|_| ())
        })?;
        audit::record(tx, now, actor, "setting.changed", name, json!({ "from": before, "to": after })).await?;
        Ok(())
    }
}

/// A type of setting: its text and back.
trait Value: Sized {
    fn show(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! plain_value {
    ($($ty:ty),+) => {$(
        impl Value for $ty {
            fn show(&self) -> String {
                self.to_string()
            }
            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )+};
}
plain_value!(bool, i32, i64, Currency, GatewayKind);

impl Value for String {
    fn show(&self) -> String {
        self.clone()
    }
    fn read(text: &str) -> Option<Self> {
        (text.len() <= 1024 && !text.chars().any(char::is_control)).then(|| text.to_owned())
    }
}

impl Value for Zone {
    fn show(&self) -> String {
        self.name().to_owned()
    }
    fn read(text: &str) -> Option<Self> {
        Self::named(text).ok()
    }
}

impl Value for Option<Date> {
    fn show(&self) -> String {
        self.map(|date| date.to_string()).unwrap_or_default()
    }
    fn read(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_its_setting() {
        let defaults = Settings::default();
        let mut read_back = Settings::default();
        for (name, doc) in Settings::ALL {
            assert!(!doc.is_empty());
            read_back.put(name, &defaults.get(name).unwrap()).unwrap();
        }
        assert_eq!(read_back, defaults);
    }

    #[test]
    fn a_value_outside_its_bounds_changes_nothing() {
        let mut settings = Settings::default();
        for (name, text) in [
            ("zone", "Mars/Olympus"),
            ("currency", "kes"),
            ("cash_limit_minor", "-1"),
            ("amount_limit_minor", "0"),
            ("backdated_days_max", "1e3"),
            ("closed_through", "2026-02-30"),
            ("lease_days", "0"),
            ("oidc_issuer", "http://login.example.com"),
            ("oidc_link_by_email", "maybe"),
            ("closed_customer_days", "1"),
            ("momo_url", "http://gateway.example.com"),
            ("momo_code", "m pesa"),
            ("app_payments_pending_max", "0"),
            ("envelope_days", "-1"),
            ("customer_oidc_issuer", "http://login.example.com"),
            ("sign_in_codes_day", "0"),
            ("phone_country_code", "+254"),
            ("message_gateway", "pigeon"),
            ("sms_url", "http://sms.example.com"),
            ("sms_header", "two words"),
            ("sms_body", "{}"),
            ("no_such", "1"),
        ] {
            assert!(settings.put(name, text).is_err(), "{name} {text}");
        }
        assert_eq!(settings, Settings::default());
        settings.put("closed_through", "2026-02-28").unwrap();
        assert_eq!(settings.closed_through.unwrap().to_string(), "2026-02-28");
    }
}
