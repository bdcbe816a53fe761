//! Money: integer minor units and a currency, checked arithmetic, no floats.

use std::fmt;
use std::str::FromStr;

/// An ISO 4217 code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// A currency by its three capital letters.
    pub const fn new(code: [u8; 3]) -> Option<Self> {
        let mut i = 0;
        while i < 3 {
            if !code[i].is_ascii_uppercase() {
                return None;
            }
            i += 1;
        }
        Some(Self(code))
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII letters")
    }

    /// How many digits the minor unit has (ISO 4217): 0, 2 or 3.
    pub fn exponent(self) -> u32 {
        match &self.0 {
            b"XOF" | b"XAF" | b"RWF" | b"UGX" | b"JPY" | b"BIF" | b"DJF" | b"GNF" | b"KMF" | b"VND" | b"KRW"
            | b"CLP" | b"PYG" | b"XPF" | b"VUV" | b"ISK" => 0,
            b"KWD" | b"BHD" | b"OMR" | b"JOD" | b"TND" | b"IQD" | b"LYD" => 3,
            _ => 2,
        }
    }
}

/// The text is not three capital letters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a currency is three capital letters (ISO 4217), not {0:?}")]
pub struct NotACurrency(String);

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = text.as_bytes().try_into().ok().and_then(Self::new);
        code.ok_or_else(|| NotACurrency(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> minicbor::Encode<C> for Currency {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(self.code())?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Currency {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a currency").at(d.position()))
    }
}

#[cfg(feature = "sql")]
crate::ids::sql_as!(Currency, String, |currency| currency.code().to_owned(), |raw| Ok(raw.parse()?));

/// An amount: minor units (cents, fils, whole shillings where there are none) of one currency.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, minicbor::Encode, minicbor::Decode,
)]
#[cbor(array)]
pub struct Money {
    /// Integer minor units.
    #[n(0)]
    pub minor: i64,
    /// The currency.
    #[n(1)]
    pub currency: Currency,
}

/// Money arithmetic that has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies in one sum.
    #[error("{0} and {1} cannot be added")]
    CurrencyMismatch(Currency, Currency),
    /// Beyond what 64 bits hold.
    #[error("the amount does not fit")]
    Overflow,
}

impl Money {
    /// The largest amount JSON clients can hold exactly: 2^53 - 1 minor units.
    pub const MINOR_MAX: i64 = (1 << 53) - 1;

    /// So many minor units of a currency.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// The sum, if both are of one currency and it fits.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// The difference, if both are of one currency and it fits.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }
}

impl Money {
    /// The amount alone, with all digits of its currency: `1234.50`. [`Money::parse`] reads it back.
    pub fn decimal(self) -> String {
        let digits = self.currency.exponent();
        let unit = 10_u64.pow(digits);
        let (sign, minor) = (if self.minor < 0 { "-" } else { "" }, self.minor.unsigned_abs());
        if digits == 0 {
            return format!("{sign}{minor}");
        }
        format!("{sign}{}.{:0width$}", minor / unit, minor % unit, width = digits as usize)
    }
}

/// For people: `KES 1234.50`. Never parsed back.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an amount in {currency}: whole units and at most {digits} decimals, for example {example}")]
pub struct NotAnAmount {
    text: String,
    currency: Currency,
    digits: u32,
    example: &'static str,
}

impl Money {
    /// Reads a decimal text exactly: `12.3` and `12.30` are KES 12.30, `12.345` is an error and not
    /// a rounding.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, NotAnAmount> {
        let digits = currency.exponent();
        let example = match digits {
            0 => "1250",
            3 => "12.500",
            _ => "12.50",
        };
        let error = || NotAnAmount { text: text.chars().take(32).collect(), currency, digits, example };
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let well_formed = !whole.is_empty()
            && all_digits(whole)
            && all_digits(fraction)
            && fraction.len() <= digits as usize
            && !unsigned.ends_with('.');
        if !well_formed {
            return Err(error());
        }
        let joined = format!("{whole}{fraction:0<width$}", width = digits as usize);
        let minor: i64 = joined.parse().map_err(|_| error())?;
        if minor > Self::MINOR_MAX {
            return Err(error());
        }
        Ok(Self::new(if negative { -minor } else { minor }, currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        let cases: &[(&str, &str, Option<i64>)] = &[
            ("12", "KES", Some(1200)),
            ("12.3", "KES", Some(1230)),
            ("12.30", "KES", Some(1230)),
            ("-0.05", "KES", Some(-5)),
            ("12.345", "SAR", None),
            ("12.345", "KWD", Some(12_345)),
            ("12.5", "UGX", None),
            ("1250", "UGX", Some(1250)),
            ("", "KES", None),
            (".5", "KES", None),
            ("5.", "KES", None),
            ("1e3", "KES", None),
            ("１２", "KES", None),
            ("90071992547410", "KES", None),
            ("999999999999999999999", "KES", None),
        ];
        for (text, code, expected) in cases {
            let read = Money::parse(text, currency(code)).ok().map(|money| money.minor);
            assert_eq!(read, *expected, "{text} {code}");
        }
    }

    #[test]
    fn money_shows_its_currencys_digits() {
        for (minor, code, text) in
            [(-5, "SAR", "-0.05"), (5, "KWD", "0.005"), (1250, "UGX", "1250"), (0, "KES", "0.00")]
        {
            let money = Money::new(minor, currency(code));
            assert_eq!(money.decimal(), text);
            assert_eq!(Money::parse(text, money.currency), Ok(money));
        }
        assert_eq!(Money::new(123_450, currency("KES")).to_string(), "KES 1234.50");
        assert_eq!(Money::new(-5, currency("KWD")).to_string(), "KWD -0.005");
        assert_eq!(Money::new(1250, currency("UGX")).to_string(), "UGX 1250");
    }

    #[test]
    fn sums_never_mix_currencies_or_wrap() {
        let (kes, usd) = (currency("KES"), currency("USD"));
        assert_eq!(Money::new(1, kes).checked_add(Money::new(1, usd)), Err(MoneyError::CurrencyMismatch(kes, usd)));
        assert_eq!(Money::new(i64::MAX, kes).checked_add(Money::new(1, kes)), Err(MoneyError::Overflow));
        assert_eq!(Money::new(i64::MIN, kes).checked_sub(Money::new(1, kes)), Err(MoneyError::Overflow));
    }
}
