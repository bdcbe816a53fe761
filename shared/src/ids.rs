//! Identifiers. Every id is a newtype, made by who makes the record.
//!
//! Records are named by UUIDv7 (time-ordered), dossiers by a hash of what they are about, so that
//! two phones which open the same one without network mean the same one.

use rand::Rng;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::time::{Date, Timestamp};

/// Declares a 16-byte id: display and JSON as a hyphenated UUID, CBOR as 16 bytes, and in SQL the
/// engine's own form (`BLOB` on SQLite, `UUID` on PostgreSQL).
macro_rules! id {
    ($($(#[doc = $doc:literal])* $name:ident;)+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new time-ordered id (UUIDv7) for a record made at `now`.
            pub fn new(now: Timestamp, rng: &mut (impl Rng + ?Sized)) -> Self {
                Self(uuid_v7(now, rng))
            }

            /// The 16 bytes.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(self.as_bytes())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                crate::cbor::array::<16>(d).map(Self::from)
            }
        }

        #[cfg(feature = "sql")]
        crate::ids::sql_as!($name, Uuid, |id| id.0, |raw| Ok(Self(raw)));

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                crate::openapi::id(concat!($($doc),*).trim())
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}
    )+};
}

/// sqlx encodings of a newtype through the type that both engines already know.
#[cfg(feature = "sql")]
macro_rules! sql_as {
    ($name:ty, $raw:ty, |$value:ident| $to:expr, |$read:ident| $from:expr) => {
        impl<DB: sqlx::Database> sqlx::Type<DB> for $name
        where
            $raw: sqlx::Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$raw as sqlx::Type<DB>>::type_info()
            }
            fn compatible(ty: &DB::TypeInfo) -> bool {
                <$raw as sqlx::Type<DB>>::compatible(ty)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name
        where
            $raw: sqlx::Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let $read = <$raw as sqlx::Decode<'r, DB>>::decode(value)?;
                $from
            }
        }

        impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for $name
        where
            $raw: sqlx::Encode<'q, DB>,
        {
            fn encode_by_ref(
                &self,
                buf: &mut DB::ArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                let $value = self;
                let raw: $raw = $to;
                <$raw as sqlx::Encode<'q, DB>>::encode(raw, buf)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $name {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                <$raw as sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }
    };
}
#[cfg(feature = "sql")]
pub(crate) use sql_as;

id! {
    /// One lender's installation of Daybook. Every signature covers it.
    DeploymentId;
    /// A person who signs in or carries a phone.
    UserId;
    /// A node of the organisation's tree.
    UnitId;
    /// An enrolled phone: one key pair.
    DeviceId;
    /// One life of the on-device store. A restored or cloned store gets a new one.
    InstallId;
    /// The unit of assignment and replication.
    CaseloadId;
    /// A dossier; derived, see [`DossierId::case`], [`DossierId::day`], [`DossierId::agent`].
    DossierId;
    /// An immutable captured record.
    EntryId;
    /// A payment; for a capture it is the entry's id.
    PaymentId;
    /// A receivable: a customer owes us along a schedule.
    AccountId;
    /// Who owes.
    CustomerId;
    /// A mobile-money agent.
    AgentId;
    /// A person's ruling made online.
    DecisionId;
    /// A sign-in of a person: the family of refresh tokens that began with it.
    SessionId;
    /// What a customer buys: an order of a shop, a web shop or an app.
    OrderId;
    /// Terms on which a customer may pay in instalments.
    OfferId;
    /// An offer worked out for an amount: schedule, cost and APR, with a hash of its content.
    QuoteId;
    /// A customer's request to buy on the terms of a quote.
    ApplicationId;
    /// A customer's word that something may be done with what is known of him.
    ConsentId;
    /// A message to a customer.
    MessageId;
    /// An agreement on what paying off early costs.
    SettlementId;
    /// Goods that come back.
    ReturnId;
    /// Money that goes back to a customer.
    RefundId;
    /// A customer's objection to us.
    ComplaintId;
    /// Offers put forward for a time.
    CampaignId;
    /// Figures of a period, frozen.
    ReportId;
}

impl DossierId {
    /// The dossier of an own-book account.
    pub fn case(account: AccountId) -> Self {
        derived(b"daybook/dossier/case", &[account.as_bytes()])
    }

    /// The dossier of an officer's business date.
    pub fn day(officer: UserId, date: Date) -> Self {
        derived(b"daybook/dossier/day", &[officer.as_bytes(), &date.days().to_be_bytes()])
    }

    /// The dossier of an agent in one quarter, named by its year and number (1 to 4).
    pub fn agent(agent: AgentId, year: i16, quarter: u8) -> Self {
        derived(b"daybook/dossier/agent", &[agent.as_bytes(), &year.to_be_bytes(), &[quarter]])
    }
}

impl From<EntryId> for PaymentId {
    fn from(entry: EntryId) -> Self {
        Self(entry.0)
    }
}

/// A name-based id: the first 16 bytes of SHA-256 over the context and the parts, marked as UUIDv8.
fn derived(context: &[u8], parts: &[&[u8]]) -> DossierId {
    let mut hash = Sha256::new_with_prefix(context);
    for part in parts {
        hash.update(part);
    }
    DossierId(uuid_v8(&hash.finalize().into()))
}

/// The first 16 bytes of a hash as a UUIDv8: for ids that are derived, not drawn.
pub fn uuid_v8(hash: &[u8; 32]) -> Uuid {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn uuid_v7(now: Timestamp, rng: &mut (impl Rng + ?Sized)) -> Uuid {
    let mut random = [0; 10];
    rng.fill_bytes(&mut random);
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Declares a fixed-size byte string (a hash or a short random name): hex in text, bytes in CBOR.
macro_rules! bytes_id {
    ($($(#[$doc:meta])* $name:ident($len:literal);)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                crate::cbor::array::<$len>(d).map(Self)
            }
        }

        #[cfg(feature = "sql")]
        crate::ids::sql_as!($name, Vec<u8>, |id| id.0.to_vec(), |raw| {
            let len = raw.len();
            <[u8; $len]>::try_from(raw)
                .map(Self)
                .map_err(|_| format!("{} bytes where {} holds {}", len, stringify!($name), $len).into())
        });
    )+};
}

bytes_id! {
    /// SHA-256 of an envelope's header and clear body.
    EnvelopeId(32);
    /// SHA-256 of an Automerge change.
    ChangeHash(32);
    /// A full SHA-256.
    Hash(32);
    /// The first 8 bytes of the SHA-256 of an acknowledgement: what a device had last heard.
    AckHash(8);
    /// One run of a device between two boots; random, drawn by the host app at boot.
    BootId(8);
    /// Which history of the database a cursor belongs to; a restore draws a new one.
    Epoch(8);
    /// The first 8 bytes of the SHA-256 of a public key.
    KeyId(8);
}

impl AckHash {
    /// What a device that never heard an acknowledgement holds.
    pub const NONE: Self = Self([0; 8]);
}

impl EnvelopeId {
    /// The "previous" of a device's very first envelope.
    pub const NONE: Self = Self([0; 32]);
}

/// SHA-256 of the concatenated parts.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_never_changes() {
        let account = AccountId::from([7; 16]);
        insta::assert_snapshot!(DossierId::case(account));
        insta::assert_snapshot!(DossierId::day(UserId::from([9; 16]), Date::from_days(20_000)));
        insta::assert_snapshot!(DossierId::agent(AgentId::from([3; 16]), 2026, 4));
    }
}
