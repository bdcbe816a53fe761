//! What an offer says beside its terms: for how much it is made, to whom and when; and an offer as a phone has it.
//!
//! Phone and server ask the same of a purchase ([`Conditions::fits`]). What a phone cannot know of a customer or
//! of an order it leaves open, and says so ([`Conditions::left_open`]). Whether an offer is in force is the
//! server's: a phone has only those that were when it was last told.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::closed::closed;
use super::regime::Regime;
use super::terms::Terms;
use crate::cbor::{self, Malformed};
use crate::ids::OfferId;
use crate::money::Money;
use crate::time::Date;

closed! {
    /// Where an order was placed.
    Channel {
        /// In a store.
        Store = "store",
        /// In a web shop.
        Web = "web",
        /// In an app.
        App = "app",
    }

    /// What a customer is to us when he asks.
    Segment {
        /// He never had an account.
        New = "new",
        /// He had or has one.
        Returning = "returning",
    }

    /// Why an offer is not for a purchase.
    Ineligible {
        /// It is not made now.
        NotActive = "not_active",
        /// It is made at another time.
        OutOfSeason = "out_of_season",
        /// Another currency.
        Currency = "currency",
        /// Below what it is for.
        AmountTooLow = "amount_too_low",
        /// Above what it is for.
        AmountTooHigh = "amount_too_high",
        /// For orders of another channel.
        Channel = "channel",
        /// For other customers.
        Segment = "segment",
        /// For other goods.
        Category = "category",
        /// The law forbids it for this customer or amount.
        Regime = "regime",
    }
}

/// Whom an offer is for; what is empty is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Audience {
    /// Where the order was placed.
    #[n(0)]
    pub channels: BTreeSet<Channel>,
    /// What the customer is to us.
    #[n(1)]
    pub segments: BTreeSet<Segment>,
    /// Categories, one of which every line of the order is of.
    #[n(2)]
    pub categories: BTreeSet<String>,
}

/// A day of the year, `MM-DD`. 29 February is the day before 1 March in every year.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DayOfYear {
    month: u8,
    day: u8,
}

impl DayOfYear {
    /// The day of a date.
    pub fn of(date: Date) -> Self {
        let (_, month, day) = date.ymd();
        Self { month: month.unsigned_abs(), day: day.unsigned_abs() }
    }

    fn new(month: u8, day: u8) -> Option<Self> {
        // A leap year has every day.
        let exists = Date::from_ymd(2024, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        exists.map(|_| Self { month, day })
    }
}

impl std::str::FromStr for DayOfYear {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let two_digits =
            |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok());
        let (month, day) = text.split_once('-').ok_or(())?;
        let (month, day) = (two_digits(month).flatten().ok_or(())?, two_digits(day).flatten().ok_or(())?);
        Self::new(month, day).ok_or(())
    }
}

impl std::fmt::Display for DayOfYear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

impl serde::Serialize for DayOfYear {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// `MMDD` as a number.
impl<C> Encode<C> for DayOfYear {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.u16(u16::from(self.month) * 100 + u16::from(self.day))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for DayOfYear {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let number = d.u16()?;
        let parts = u8::try_from(number / 100).ok().zip(u8::try_from(number % 100).ok());
        let day = parts.and_then(|(month, day)| Self::new(month, day));
        day.ok_or_else(|| minicbor::decode::Error::message("not a day of the year").at(d.position()))
    }
}

/// When an offer is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Window {
    /// From this day on.
    #[n(0)]
    pub from: Date,
    /// The last day; none while it has no end.
    #[n(1)]
    pub to: Option<Date>,
    /// Only between these days of each year, both included; over the turn of the year when the first is the
    /// later.
    #[n(2)]
    pub season: Option<(DayOfYear, DayOfYear)>,
}

impl Window {
    /// Whether it is open on a day.
    pub fn is_open(&self, on: Date) -> bool {
        let in_season = self.season.is_none_or(|(from, to)| {
            let day = DayOfYear::of(on);
            if from <= to { from <= day && day <= to } else { day >= from || day <= to }
        });
        self.from <= on && self.to.is_none_or(|to| on <= to) && in_season
    }
}

/// For how much an offer is made, to whom and when.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Conditions {
    /// The least it is made for, minor units of its terms' currency.
    #[n(0)]
    pub amount_min_minor: i64,
    /// The most.
    #[n(1)]
    pub amount_max_minor: i64,
    /// Whom it is for.
    #[n(2)]
    pub audience: Audience,
    /// When it is made.
    #[n(3)]
    pub window: Window,
}

/// A purchase, as offers see it. What is not known where it is asked is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purchase {
    /// What it costs.
    pub amount: Money,
    /// Where it is placed.
    pub channel: Option<Channel>,
    /// What the customer is to us.
    pub segment: Option<Segment>,
    /// The categories of its lines; empty when nobody said.
    pub categories: Option<BTreeSet<String>>,
    /// The business date.
    pub on: Date,
}

impl Conditions {
    /// Whether a purchase keeps them, or the first that stands against it. The regime is asked with the quote.
    pub fn fits(&self, terms: &Terms, purchase: &Purchase) -> Result<(), Ineligible> {
        let against = |breach: bool, why| if breach { Err(why) } else { Ok(()) };
        let Audience { channels, segments, categories } = &self.audience;
        let other_channel = purchase.channel.is_some_and(|channel| !channels.contains(&channel));
        let other_segment = purchase.segment.is_some_and(|segment| !segments.contains(&segment));
        let other_goods = |known: &BTreeSet<String>| known.is_empty() || !known.is_subset(categories);
        against(!self.window.is_open(purchase.on), Ineligible::OutOfSeason)?;
        against(terms.currency != purchase.amount.currency, Ineligible::Currency)?;
        against(purchase.amount.minor < self.amount_min_minor, Ineligible::AmountTooLow)?;
        against(purchase.amount.minor > self.amount_max_minor, Ineligible::AmountTooHigh)?;
        against(!channels.is_empty() && other_channel, Ineligible::Channel)?;
        against(!segments.is_empty() && other_segment, Ineligible::Segment)?;
        against(!categories.is_empty() && purchase.categories.as_ref().is_some_and(other_goods), Ineligible::Category)
    }

    /// Why somebody who knows more of the purchase may still say that it does not keep them.
    pub fn left_open(&self, purchase: &Purchase) -> Vec<Ineligible> {
        let Audience { channels, segments, categories } = &self.audience;
        let open = [
            (!channels.is_empty() && purchase.channel.is_none(), Ineligible::Channel),
            (!segments.is_empty() && purchase.segment.is_none(), Ineligible::Segment),
            (!categories.is_empty() && purchase.categories.is_none(), Ineligible::Category),
        ];
        open.into_iter().filter_map(|(is_open, why)| is_open.then_some(why)).collect()
    }
}

/// An offer as a phone has it: everything that pricing and checking it needs, in one piece.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Offered {
    /// The offer.
    #[n(0)]
    pub id: OfferId,
    /// Its version on the server.
    #[n(1)]
    pub version: u64,
    /// What it is called.
    #[n(2)]
    pub name: String,
    /// What it says. They travel as their canonical bytes, so that nobody prices what he reads only in part.
    #[cbor(n(3), encode_with = "encode_terms", decode_with = "decode_terms")]
    pub terms: Terms,
    /// For how much it is made, to whom and when.
    #[n(4)]
    pub conditions: Conditions,
    /// The law it is made under.
    #[n(5)]
    pub regime: Regime,
    /// Of two that cost the same, the higher is shown first.
    #[n(6)]
    pub priority: i64,
}

/// Its fields, the conditions, the window in them, a season.
const DEPTH_MAX: usize = 4;

impl Offered {
    /// The bytes that travel and are kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        cbor::to_vec(self)
    }

    /// Reads an offer. One with a code or a term that this build does not know is not read: there is no guessing
    /// with money.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        cbor::decode(bytes, DEPTH_MAX)
    }

    /// The id of an offer that this build cannot read.
    pub fn id_of(bytes: &[u8]) -> Option<OfferId> {
        let mut decoder = minicbor::Decoder::new(bytes);
        decoder.array().ok()?;
        decoder.decode().ok()
    }
}

fn encode_terms<C, W: minicbor::encode::Write>(
    terms: &Terms,
    e: &mut minicbor::Encoder<W>,
    _: &mut C,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    e.bytes(&cbor::to_vec(terms))?.ok()
}

fn decode_terms<C>(d: &mut minicbor::Decoder<'_>, _: &mut C) -> Result<Terms, minicbor::decode::Error> {
    let bytes = d.bytes()?;
    let terms: Option<Terms> = cbor::decode(bytes, DEPTH_MAX).ok();
    let whole = terms.filter(|terms| cbor::to_vec(terms) == bytes);
    whole.ok_or_else(|| minicbor::decode::Error::message("terms of another build").at(d.position()))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{date, murabaha, riyal, zero_percent};
    use super::*;

    fn day(text: &str) -> DayOfYear {
        text.parse().unwrap()
    }

    #[test]
    fn a_season_may_go_over_the_turn_of_the_year() {
        let season = |from, to| Window {
            from: date("2026-01-01"),
            to: Some(date("2027-12-31")),
            season: Some((day(from), day(to))),
        };
        let (summer, winter) = (season("06-01", "08-31"), season("11-15", "02-29"));
        let cases = [
            ("2026-06-01", true, false),
            ("2026-08-31", true, false),
            ("2026-09-01", false, false),
            ("2026-11-15", false, true),
            ("2027-02-28", false, true),
            ("2026-03-01", false, false),
            ("2025-12-31", false, false),
            ("2028-01-01", false, false),
        ];
        for (on, in_summer, in_winter) in cases {
            assert_eq!((summer.is_open(date(on)), winter.is_open(date(on))), (in_summer, in_winter), "{on}");
        }
    }

    #[test]
    fn a_day_of_the_year_is_two_numbers_of_two_digits() {
        for good in ["02-29", "12-31", "01-01"] {
            let bytes = cbor::to_vec(&day(good));
            assert_eq!((day(good).to_string().as_str(), minicbor::decode(&bytes).ok()), (good, Some(day(good))));
        }
        for bad in ["2-3", "13-01", "02-30", "00-10", "0210", "+1-02", "02-29-"] {
            assert!(bad.parse::<DayOfYear>().is_err(), "{bad}");
        }
        for bad in [0_u16, 230, 1301, 1232, 65_535] {
            assert!(minicbor::decode::<DayOfYear>(&cbor::to_vec(&bad)).is_err(), "{bad}");
        }
    }

    fn conditions() -> Conditions {
        Conditions {
            amount_min_minor: 100,
            amount_max_minor: 1_000,
            audience: Audience {
                channels: [Channel::App].into(),
                segments: [Segment::Returning].into(),
                categories: ["phones".to_owned(), "solar".to_owned()].into(),
            },
            window: Window { from: date("2026-01-01"), to: None, season: None },
        }
    }

    fn purchase() -> Purchase {
        Purchase {
            amount: riyal(100),
            channel: Some(Channel::App),
            segment: Some(Segment::Returning),
            categories: Some(["phones".to_owned()].into()),
            on: date("2026-02-01"),
        }
    }

    #[test]
    fn the_first_that_stands_against_an_offer_is_why_it_is_not_for_a_purchase() {
        let good = purchase();
        let goods = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
        let cases = [
            (good.clone(), Ok(())),
            (Purchase { amount: riyal(99), ..good.clone() }, Err(Ineligible::AmountTooLow)),
            (Purchase { amount: riyal(1_001), ..good.clone() }, Err(Ineligible::AmountTooHigh)),
            (Purchase { amount: Money::new(100, "KWD".parse().unwrap()), ..good.clone() }, Err(Ineligible::Currency)),
            (Purchase { channel: Some(Channel::Web), ..good.clone() }, Err(Ineligible::Channel)),
            (Purchase { segment: Some(Segment::New), ..good.clone() }, Err(Ineligible::Segment)),
            (Purchase { categories: goods(&[]), ..good.clone() }, Err(Ineligible::Category)),
            (Purchase { categories: goods(&["phones", "beds"]), ..good.clone() }, Err(Ineligible::Category)),
            (Purchase { on: date("2025-12-31"), ..good.clone() }, Err(Ineligible::OutOfSeason)),
        ];
        let terms = zero_percent(4);
        for (purchase, expected) in cases {
            assert_eq!(conditions().fits(&terms, &purchase), expected, "{purchase:?}");
            assert_eq!(conditions().left_open(&purchase), []);
        }
        let anybody = Conditions { audience: Audience::default(), ..conditions() };
        assert_eq!(anybody.fits(&terms, &Purchase { categories: goods(&[]), ..good }), Ok(()));
    }

    #[test]
    fn what_is_not_known_of_a_purchase_is_left_open() {
        let unknown = Purchase { channel: None, segment: None, categories: None, ..purchase() };
        assert_eq!(conditions().fits(&zero_percent(4), &unknown), Ok(()));
        let open = conditions().left_open(&unknown);
        assert_eq!(open, [Ineligible::Channel, Ineligible::Segment, Ineligible::Category]);
        let anybody = Conditions { audience: Audience::default(), ..conditions() };
        assert_eq!(anybody.left_open(&unknown), []);
        let low = Purchase { amount: riyal(1), ..unknown };
        assert_eq!(conditions().fits(&zero_percent(4), &low), Err(Ineligible::AmountTooLow));
    }

    fn offered() -> Offered {
        let season = Some((day("11-15"), day("02-29")));
        Offered {
            id: OfferId::from([1; 16]),
            version: 3,
            name: "Twelve months".to_owned(),
            terms: murabaha(),
            conditions: Conditions {
                window: Window { from: date("2026-01-01"), to: Some(date("2026-12-31")), season },
                ..conditions()
            },
            regime: Regime::sama_bnpl(),
            priority: -5,
        }
    }

    /// Phones keep these bytes, and a server of another build sends them.
    #[test]
    fn an_offer_has_these_bytes() {
        let bytes = offered().to_bytes();
        insta::assert_snapshot!(cbor::hex(&bytes));
        assert_eq!(Offered::from_bytes(&bytes), Ok(offered()));
        assert_eq!(Offered::id_of(&bytes), Some(offered().id));
        // A field of a newer build is skipped, and the offer is priced as before.
        let mut newer = bytes.clone();
        newer[0] += 1;
        newer.push(0x01);
        assert_eq!(Offered::from_bytes(&newer), Ok(offered()));
    }

    #[test]
    fn an_offer_that_this_build_reads_only_in_part_is_not_read() {
        let terms = cbor::to_vec(&offered().terms);
        let bytes = offered().to_bytes();
        let at = bytes.windows(terms.len()).position(|window| window == terms).unwrap();
        // Terms with a field more: the hash of what is read here would be another.
        let mut newer = terms.clone();
        newer[0] += 1;
        newer.push(0x01);
        let length = [0x58, u8::try_from(newer.len()).unwrap()];
        let head_bytes = if terms.len() < 24 { 1 } else { 2 };
        let with_newer = [&bytes[..at - head_bytes], &length, &newer, &bytes[at + terms.len()..]].concat();
        assert_eq!(Offered::from_bytes(&with_newer), Err(Malformed::Shape));
        assert_eq!(Offered::id_of(&with_newer), Some(offered().id));
        // A code that is not known here.
        let replaced = |from: &[u8], to: &[u8]| {
            let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
            [&bytes[..at], to, &bytes[at + from.len()..]].concat()
        };
        assert_eq!(Offered::from_bytes(&replaced(b"\x63app", b"\x63tel")), Err(Malformed::Shape));
        assert_eq!(Offered::from_bytes(&replaced(b"hijri", b"solar")), Err(Malformed::Shape));
        for len in 0..bytes.len() {
            assert!(Offered::from_bytes(&bytes[..len]).is_err(), "{len} bytes");
        }
    }
}
