//! How the values of this crate look in JSON, for the description of the REST API.

use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::money::{Currency, Money};
use crate::time::{Date, Timestamp};

/// A text of this format.
pub(crate) fn text(format: Option<KnownFormat>, about: &str, example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(format.map(SchemaFormat::KnownFormat))
        .description(Some(about))
        .examples([example])
}

/// An id.
pub(crate) fn id(about: &str) -> RefOr<Schema> {
    text(Some(KnownFormat::Uuid), about, "01890a5d-ac96-774b-bcce-b302099a8057").into()
}

/// One of a closed list of codes.
pub(crate) fn one_of(about: &str, codes: &[&str]) -> RefOr<Schema> {
    let codes = Some(codes.iter().copied());
    ObjectBuilder::new().schema_type(Type::String).description(Some(about)).enum_values(codes).into()
}

impl PartialSchema for Currency {
    fn schema() -> RefOr<Schema> {
        text(None, "A currency, by the three letters of ISO 4217.", "KES").pattern(Some("^[A-Z]{3}$")).into()
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        let minor = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("In the currency's minor unit; at most 2^53 - 1 either way."))
            .minimum(Some(-Money::MINOR_MAX))
            .maximum(Some(Money::MINOR_MAX));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("An amount of money."))
            .property("minor", minor)
            .required("minor")
            .property("currency", Currency::schema())
            .required("currency")
            .into()
    }
}

impl PartialSchema for Date {
    fn schema() -> RefOr<Schema> {
        text(Some(KnownFormat::Date), "A day of the lender's calendar.", "2026-03-02").into()
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        text(Some(KnownFormat::DateTime), "An instant, to the microsecond, in UTC.", "2026-03-02T06:00:00Z").into()
    }
}

impl ToSchema for Currency {}
impl ToSchema for Money {}
impl ToSchema for Date {}
impl ToSchema for Timestamp {}
