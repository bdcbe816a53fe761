//! Instants, business dates and the lender's time zone.

use std::fmt;
use std::str::FromStr;

use jiff::civil;
use jiff::tz::TimeZone;

/// An instant: microseconds since 1970-01-01T00:00:00Z.
///
/// `TIMESTAMPTZ` on PostgreSQL, `INTEGER` microseconds on SQLite, RFC 3339 in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Milliseconds of a day.
pub const DAY_MS: i64 = 86_400_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The last instant a `Timestamp` can hold: in every zone still in the year 9999.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// From microseconds since the epoch, kept within the years a `TIMESTAMPTZ` and RFC 3339 can say.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(0, Self::MAX.0))
    }

    /// From milliseconds since the epoch, kept within the same bounds.
    pub fn from_millis(millis: i64) -> Self {
        Self::from_micros(millis.saturating_mul(1000))
    }

    /// Microseconds since the epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds since the epoch, rounded down.
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since the epoch, rounded down: what a token's `exp` counts.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant moved by `ms` milliseconds.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self::from_micros(self.0.saturating_add(ms.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to this instant, negative when it is the other way round.
    pub fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(1000)
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).expect("a Timestamp is within the years 1970 to 9999")
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.jiff().fmt(f)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(|t| Self::from_micros(t.as_microsecond()))
    }
}

/// A calendar day in the lender's zone: days since 1970-01-01.
///
/// `DATE` on PostgreSQL, ISO text on SQLite and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(i32);

impl Date {
    /// The last day a `Date` can hold, 9999-12-31.
    pub const MAX: Self = Self(2_932_896);
    /// The first day a `Date` can hold, 0001-01-01.
    pub const MIN: Self = Self(-719_528 + 366);

    /// From days since 1970-01-01, kept within the years 1 to 9999.
    pub fn from_days(days: i32) -> Self {
        Self(days.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Days since 1970-01-01.
    pub fn days(self) -> i32 {
        self.0
    }

    /// A day by year, month and day of the month.
    pub fn from_ymd(year: i16, month: i8, day: i8) -> Option<Self> {
        civil::Date::new(year, month, day).ok().filter(|date| date.year() >= 1).map(Self::of)
    }

    /// Year, month and day of the month.
    pub fn ymd(self) -> (i16, i8, i8) {
        let date = self.civil();
        (date.year(), date.month(), date.day())
    }

    /// The week as ISO 8601 counts it: its year, which is not always the day's, and its number from 1.
    pub fn iso_week(self) -> (i16, i8) {
        let week = self.civil().iso_week_date();
        (week.year(), week.week())
    }

    /// This day moved by `days`.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        Self::from_days(self.0.saturating_add(days))
    }

    /// Days from `earlier` to this day, negative when it is the other way round.
    pub fn days_since(self, earlier: Self) -> i32 {
        self.0 - earlier.0
    }

    fn civil(self) -> civil::Date {
        civil::date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(self.0))
            .expect("a Date is within the years 1 to 9999")
    }

    fn of(date: civil::Date) -> Self {
        let span = civil::date(1970, 1, 1).until(date).expect("two civil dates are a span of days apart");
        Self(span.get_days())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.civil().fmt(f)
    }
}

impl fmt::Debug for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Date {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::of)
    }
}

/// The lender's time zone, by its IANA name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Universal time.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this IANA name, for example `Africa/Nairobi`.
    pub fn named(name: &str) -> Result<Self, jiff::Error> {
        if name == "UTC" { Ok(Self::utc()) } else { TimeZone::get(name).map(Self) }
    }

    /// The zone's IANA name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The business date of an instant.
    pub fn date_of(&self, at: Timestamp) -> Date {
        Date::of(at.jiff().to_zoned(self.0.clone()).date())
    }

    /// The instant at which a business date begins.
    pub fn start_of(&self, date: Date) -> Timestamp {
        let start = self.0.to_zoned(date.civil().to_datetime(civil::Time::midnight()));
        // Only the last days of the year 9999 begin after every instant.
        start.map_or(Timestamp::MAX, |zoned| Timestamp::from_micros(zoned.timestamp().as_microsecond()))
    }
}

/// Where a program reads the time. Rules take a [`Timestamp`]; only the edge holds a clock.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

macro_rules! text_and_number {
    ($name:ident, $raw:ty, $to:ident, $from:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                ctx: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                self.$to().encode(e, ctx)
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, ctx: &mut C) -> Result<Self, minicbor::decode::Error> {
                <$raw as minicbor::Decode<'b, C>>::decode(d, ctx).map(Self::$from)
            }
        }
    };
}
text_and_number!(Timestamp, i64, millis, from_millis);
text_and_number!(Date, i32, days, from_days);

/// The two engines' own types: PostgreSQL counts from 2000-01-01, SQLite has integers and text.
#[cfg(feature = "sql")]
mod sql {
    use sqlx::encode::IsNull;
    use sqlx::error::BoxDynError;
    use sqlx::postgres::types::Oid;
    use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
    use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo, SqliteValueRef};
    use sqlx::{Decode, Encode, Postgres, Sqlite, Type};

    use super::{Date, Timestamp};

    const MICROS_TO_2000: i64 = 946_684_800_000_000;
    const DAYS_TO_2000: i32 = 10_957;

    macro_rules! postgres_type {
        ($name:ty, $raw:ty, $oid:literal, $array_oid:literal, |$value:ident| $to:expr, |$read:ident| $from:expr) => {
            impl Type<Postgres> for $name {
                fn type_info() -> PgTypeInfo {
                    PgTypeInfo::with_oid(Oid($oid))
                }
            }
            impl PgHasArrayType for $name {
                fn array_type_info() -> PgTypeInfo {
                    PgTypeInfo::with_oid(Oid($array_oid))
                }
            }
            impl Encode<'_, Postgres> for $name {
                fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                    let $value = self;
                    let raw: $raw = $to;
                    <$raw as Encode<Postgres>>::encode(raw, buf)
                }
            }
            impl Decode<'_, Postgres> for $name {
                fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
                    match value.format() {
                        PgValueFormat::Binary => {
                            let $read = <$raw>::from_be_bytes(value.as_bytes()?.try_into()?);
                            Ok($from)
                        }
                        PgValueFormat::Text => Ok(value.as_str()?.parse()?),
                    }
                }
            }
        };
    }
    postgres_type!(Timestamp, i64, 1184, 1185, |at| at.0 - MICROS_TO_2000, |raw| {
        Timestamp::from_micros(raw.saturating_add(MICROS_TO_2000))
    });
    postgres_type!(Date, i32, 1082, 1182, |date| date.0 - DAYS_TO_2000, |raw| {
        Date::from_days(raw.saturating_add(DAYS_TO_2000))
    });

    macro_rules! sqlite_type {
        ($name:ty, $raw:ty, |$value:ident| $to:expr, |$read:ident| $from:expr) => {
            impl Type<Sqlite> for $name {
                fn type_info() -> SqliteTypeInfo {
                    <$raw as Type<Sqlite>>::type_info()
                }
                fn compatible(ty: &SqliteTypeInfo) -> bool {
                    <$raw as Type<Sqlite>>::compatible(ty)
                }
            }
            impl Encode<'_, Sqlite> for $name {
                fn encode_by_ref(&self, buf: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
                    let $value = self;
                    let raw: $raw = $to;
                    <$raw as Encode<Sqlite>>::encode(raw, buf)
                }
            }
            impl Decode<'_, Sqlite> for $name {
                fn decode(value: SqliteValueRef<'_>) -> Result<Self, BoxDynError> {
                    let $read = <$raw as Decode<Sqlite>>::decode(value)?;
                    $from
                }
            }
        };
    }
    sqlite_type!(Timestamp, i64, |at| at.0, |raw| Ok(Timestamp::from_micros(raw)));
    sqlite_type!(Date, String, |date| date.to_string(), |raw| Ok(raw.parse()?));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_instants_round_trip_through_text() {
        for (text, days) in
            [("1970-01-01", 0), ("2000-01-01", 10_957), ("2026-11-22", 20_779), ("9999-12-31", 2_932_896)]
        {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.days(), date.to_string().as_str()), (days, text));
        }
        let at: Timestamp = "2026-11-22T05:51:17.25Z".parse().unwrap();
        assert_eq!((at.millis(), at.to_string().as_str()), (1_795_326_677_250, "2026-11-22T05:51:17.25Z"));
        assert_eq!(Date::from_days(i32::MIN).to_string(), "0001-01-01");
    }

    #[test]
    fn weeks_are_those_of_iso_8601() {
        for (text, week) in [
            ("2026-12-31", (2026, 53)),
            ("2027-01-03", (2026, 53)),
            ("2027-01-04", (2027, 1)),
            ("2024-12-30", (2025, 1)),
            ("0001-01-01", (1, 1)),
            ("9999-12-31", (9999, 52)),
        ] {
            assert_eq!(text.parse::<Date>().unwrap().iso_week(), week, "{text}");
        }
    }

    #[test]
    fn the_first_and_the_last_instant_can_be_said_in_every_zone() {
        assert_eq!(Timestamp::from_millis(i64::MIN), Timestamp::EPOCH);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.plus_ms(i64::MAX).to_string(), "9999-12-30T22:00:00Z");
        for zone in [Zone::utc(), Zone::named("Pacific/Kiritimati").unwrap(), Zone::named("Pacific/Pago_Pago").unwrap()]
        {
            assert!(zone.date_of(Timestamp::MAX) <= Date::MAX);
            assert!(zone.date_of(Timestamp::EPOCH) >= Date::MIN);
            assert!(zone.start_of(Date::MAX) >= zone.start_of(Date::MAX.plus_days(-3)));
            assert_eq!(zone.start_of(Date::MIN), Timestamp::EPOCH);
        }
    }

    #[test]
    fn the_business_date_is_the_lenders_not_the_servers() {
        let nairobi = Zone::named("Africa/Nairobi").unwrap();
        let late: Timestamp = "2026-03-01T21:30:00Z".parse().unwrap();
        assert_eq!(nairobi.date_of(late).to_string(), "2026-03-02");
        assert_eq!(Zone::utc().date_of(late).to_string(), "2026-03-01");
        assert_eq!(nairobi.start_of("2026-03-02".parse().unwrap()).to_string(), "2026-03-01T21:00:00Z");
    }
}
