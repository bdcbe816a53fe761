//! A repayment: money a customer gave to the officer, or proof of money sent.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, amount, field, optional_text};
use crate::ids::{AccountId, EntryId, InstallId};
use crate::money::Money;
use crate::time::Date;

crate::codes! {
    /// How the money came.
    Channel {
        /// Notes and coins in the officer's hand.
        Cash = "CASH",
        /// A mobile-money transfer.
        MobileMoney = "MOBILE_MONEY",
        /// A bank transfer.
        BankTransfer = "BANK_TRANSFER",
        /// A card.
        Card = "CARD",
        /// A cheque.
        Cheque = "CHEQUE",
        /// Through an agent.
        Agent = "AGENT",
        /// A voucher.
        Voucher = "VOUCHER",
    }

    /// How the customer confirmed the amount.
    CustomerAck {
        /// Signed.
        Signature = "SIGNATURE",
        /// A one-time code.
        Otp = "OTP",
        /// A text message.
        Sms = "SMS",
        /// Not at all.
        None = "NONE",
    }
}

/// The payer's number: a series of 2 to 8 capital letters and digits, a dash, six digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiptNumber {
    series: String,
    number: u32,
}

impl ReceiptNumber {
    /// The number `n` (at most 999,999) of a series.
    pub fn new(series: &str, number: u32) -> Option<Self> {
        let well_formed = (2..=8).contains(&series.len())
            && series.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && number <= 999_999;
        well_formed.then(|| Self { series: series.to_owned(), number })
    }

    /// The series of provisional numbers of an install: `P` and five characters of its id.
    pub fn provisional_series(install: InstallId) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let hash = crate::ids::sha256(&[b"daybook/provisional", install.as_bytes()]);
        let letters = hash.iter().take(5).map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
        std::iter::once('P').chain(letters).collect()
    }

    /// The series, which names the block's device.
    pub fn series(&self) -> &str {
        &self.series
    }

    /// The number within the series.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl fmt::Display for ReceiptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:06}", self.series, self.number)
    }
}

/// The text is not a receipt number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a receipt number is 2 to 8 capital letters or digits, a dash and six digits, for example AB12-000042")]
pub struct NotAReceiptNumber;

impl FromStr for ReceiptNumber {
    type Err = NotAReceiptNumber;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (series, digits) = text.split_once('-').ok_or(NotAReceiptNumber)?;
        let six_digits = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| six_digits).ok_or(NotAReceiptNumber)?;
        Self::new(series, number).ok_or(NotAReceiptNumber)
    }
}

impl Serialize for ReceiptNumber {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReceiptNumber {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl<C> Encode<C> for ReceiptNumber {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for ReceiptNumber {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        d.str()?.parse().map_err(|_| minicbor::decode::Error::message("not a receipt number").at(d.position()))
    }
}

/// A repayment as captured. It has no allocation: the phone never allocates.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[cbor(map)]
pub struct Repayment {
    /// The account it is for.
    #[n(0)]
    pub account: AccountId,
    /// How much, above zero.
    #[n(1)]
    pub amount: Money,
    /// How it came.
    #[n(2)]
    pub channel: Channel,
    /// The payer's number; required for cash.
    #[n(3)]
    pub receipt: Option<ReceiptNumber>,
    /// Provider code and reference, `MPESA:QF12AB34`; required for anything but cash.
    #[n(4)]
    pub external_ref: Option<String>,
    /// The day the money counts for, as the officer says.
    #[n(5)]
    pub value_date: Date,
    /// Who paid, when it was not the customer.
    #[n(6)]
    pub payer_name: Option<String>,
    /// The payer's phone.
    #[n(7)]
    pub payer_phone: Option<String>,
    /// The visit it belongs to; a link that never holds anything.
    #[n(8)]
    pub visit: Option<EntryId>,
    /// How the customer confirmed it.
    #[n(9)]
    pub customer_ack: CustomerAck,
    /// Why it was recorded beyond the cash limit or the lease: the supervisor's code, or the
    /// officer's statement that the cash is in his hand already.
    #[n(10)]
    pub over_limit: Option<String>,
}

impl Repayment {
    /// Notes and coins: a liability of the officer from the moment of capture.
    pub fn is_cash(&self) -> bool {
        self.channel == Channel::Cash
    }

    pub(super) fn check(&self) -> Result<(), EntryError> {
        amount(self.amount.minor)?;
        if self.is_cash() && self.receipt.is_none() {
            return Err(field("receipt", "cash needs a receipt number"));
        }
        if !self.is_cash() && self.external_ref.as_deref().is_none_or(str::is_empty) {
            return Err(field("external_ref", "anything but cash needs the provider's reference"));
        }
        optional_text("external_ref", self.external_ref.as_ref(), 80)?;
        optional_text("payer_name", self.payer_name.as_ref(), 100)?;
        optional_text("payer_phone", self.payer_phone.as_ref(), 20)?;
        optional_text("over_limit", self.over_limit.as_ref(), 100)
    }
}
