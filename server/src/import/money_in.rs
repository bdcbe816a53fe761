//! Files of money that came in: payments recorded in other books, and statements of mobile-money
//! operators. Their columns, and how a row becomes a [`Line`]. Pure; what becomes of lines is
//! [`super::receive`]'s.

use daybook_shared::entry::Channel;
use daybook_shared::ids::PaymentId;
use daybook_shared::money::Money;
use daybook_shared::time::{Date, Timestamp, Zone};

use super::bad::BadLine;
use super::cell::Cells;
use super::sheet::{Column, Row, may, needed};
use crate::portfolio::payment::{PaymentSource, plain_reference};

/// The columns of a file of payments recorded elsewhere.
pub const REPAYMENTS: &[Column] = &[
    needed("external_ref", "MPESA:QF12AB34", "its reference where it was recorded; with the channel it is one payment"),
    needed("account", "L-1001", "the account's number; empty, or not known, it waits in suspense"),
    needed("amount", "1100.00", "how much"),
    needed("currency", "KES", "ISO 4217"),
    needed("value_date", "2026-02-14", "the day it counts for"),
    needed("channel", "MOBILE_MONEY", "CASH, MOBILE_MONEY, BANK_TRANSFER, CARD, CHEQUE, AGENT or VOUCHER"),
    may("payer", "+254712345678", "the payer's phone, with the country's code"),
    may("cashier", "", "for cash: login of the cashier in whose till it is"),
];

/// The columns of a mobile-money statement.
pub const STATEMENT: &[Column] = &[
    needed("reference", "QF12AB34", "the operator's reference of the transaction"),
    needed("at", "2026-02-14T11:05:00+03:00", "when, with its offset; or the day"),
    needed("amount", "1100.00", "how much came in"),
    needed("currency", "KES", "ISO 4217"),
    may("account", "L-1001", "what the payer wrote: the account's number"),
    may("payer", "+254712345678", "the payer's phone, with the country's code"),
];

/// Money that others say came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The line of the file.
    pub line: u64,
    /// Where it is from.
    pub source: PaymentSource,
    /// How it came.
    pub channel: Channel,
    /// Its reference, in capitals and without spaces; a provider's with the provider's code.
    pub external_ref: String,
    /// How much.
    pub amount: Money,
    /// The day it counts for.
    pub value_date: Date,
    /// When, if the file says it.
    pub at: Option<Timestamp>,
    /// The payer's phone.
    pub payer: Option<String>,
    /// What it says it is for.
    pub account_number: Option<String>,
    /// Login of the cashier who has it.
    pub cashier: Option<String>,
    /// The payment begun in the app that it is, where a gateway says so.
    pub confirms: Option<Confirmed>,
}

/// A payment in the app whose gateway says that its money came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirmed {
    /// The payment.
    pub payment: PaymentId,
    /// Until when who asked the gateway has it in hand.
    pub in_hand: Timestamp,
}

/// How a file of money is read.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What kind of file it is.
    pub kind: Kind,
    /// The lender's zone.
    pub zone: Zone,
    /// Today: nothing counts for a later day.
    pub today: Date,
    /// The country's calling code for phone numbers without one.
    pub country: Option<String>,
}

/// A kind of file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Payments recorded elsewhere.
    Repayments,
    /// The statement of the operator with this code.
    Statement(String),
}

impl Kind {
    /// Its columns.
    pub fn columns(&self) -> &'static [Column] {
        match self {
            Self::Repayments => REPAYMENTS,
            Self::Statement(_) => STATEMENT,
        }
    }
}

/// The code of a provider, as references begin with it: `MPESA`.
pub fn provider_code(text: &str) -> Result<String, &'static str> {
    let code = plain_reference(text);
    let good =
        (2..=16).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if good { Ok(code) } else { Err("a provider's code is 2 to 16 letters and digits, as in MPESA:QF12AB34") }
}

impl Reading {
    /// The line of a row, or all that is wrong with it.
    pub fn line(&self, row: &Row) -> Result<Line, Vec<BadLine>> {
        let mut cells = Cells::of(row);
        let line = match &self.kind {
            Kind::Repayments => self.repayment(&mut cells, row.line),
            Kind::Statement(code) => self.statement(&mut cells, row.line, code),
        };
        match line {
            Some(line) if cells.bad.is_empty() => Ok(line),
            _ => Err(cells.bad),
        }
    }

    fn repayment(&self, cells: &mut Cells<'_>, line: u64) -> Option<Line> {
        let external_ref = cells.name("external_ref", 80).map(|text| plain_reference(&text));
        let value_date = cells.date("value_date");
        let value_date = value_date.filter(|day| self.not_ahead(cells, "value_date", *day));
        let channel = Channel::from_code(&cells.optional_text("channel", 20).unwrap_or_default().to_uppercase());
        let cashier = cells.optional_text("cashier", 100);
        match (&channel, &cashier) {
            (Channel::Other(_), _) => cells.wrong("channel", CHANNELS),
            (Channel::Cash, None) => cells.wrong(
                "cashier",
                "cash is in a cashier's till: whose? (Cash that an officer has is captured, not imported)",
            ),
            (channel, Some(_)) if *channel != Channel::Cash => cells.wrong("cashier", "only cash is in a till"),
            _ => {}
        }
        let (amount, account_number, payer) = self.common(cells);
        Some(Line {
            line,
            source: PaymentSource::Import,
            // What comes through an operator's agent is on the operator's statement.
            channel: if channel == Channel::Agent { Channel::MobileMoney } else { channel },
            external_ref: external_ref?,
            amount: amount?,
            value_date: value_date?,
            at: None,
            payer,
            account_number,
            cashier,
            confirms: None,
        })
    }

    fn statement(&self, cells: &mut Cells<'_>, line: u64, code: &str) -> Option<Line> {
        let reference = cells.name("reference", 60).map(|text| plain_reference(&text));
        let moment = cells.moment("at", &self.zone);
        let moment = moment.filter(|(_, day)| self.not_ahead(cells, "at", *day));
        let (amount, account_number, payer) = self.common(cells);
        let (reference, (at, value_date)) = (reference?, moment?);
        let prefix = format!("{code}:");
        let external_ref = if reference.starts_with(&prefix) { reference } else { prefix + &reference };
        Some(Line {
            line,
            source: PaymentSource::Statement,
            channel: Channel::MobileMoney,
            external_ref,
            amount: amount?,
            value_date,
            at,
            payer,
            account_number,
            cashier: None,
            confirms: None,
        })
    }

    fn common(&self, cells: &mut Cells<'_>) -> (Option<Money>, Option<String>, Option<String>) {
        let currency = cells.currency("currency");
        let amount = currency.and_then(|currency| Some(Money::new(cells.positive("amount", currency)?, currency)));
        let account_number = cells.optional_name("account", 64);
        (amount, account_number, cells.phone("payer", self.country.as_deref()))
    }

    fn not_ahead(&self, cells: &mut Cells<'_>, column: &str, day: Date) -> bool {
        if day > self.today {
            cells.wrong(column, format!("is after today, {}", self.today));
        }
        day <= self.today
    }
}

const CHANNELS: &str = "it is one of CASH, MOBILE_MONEY, BANK_TRANSFER, CARD, CHEQUE, AGENT, VOUCHER";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, cells: &[(&'static str, &str)]) -> Result<Line, String> {
        let row = Row::new(7, cells.iter().map(|(name, text)| (*name, (*text).to_owned())));
        let zone = Zone::named("Africa/Nairobi").unwrap();
        let reading = Reading { kind, zone, today: "2026-03-02".parse().unwrap(), country: Some("254".to_owned()) };
        reading.line(&row).map_err(|bad| bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// A good row with one text replaced.
    fn with(
        good: &[(&'static str, &'static str)],
        column: &str,
        text: &'static str,
    ) -> Vec<(&'static str, &'static str)> {
        let mut cells: Vec<_> = good.iter().filter(|(name, _)| *name != column).copied().collect();
        let known = REPAYMENTS.iter().chain(STATEMENT).find(|known| known.name == column).unwrap();
        cells.push((known.name, text));
        cells
    }

    const STATED: &[(&str, &str)] = &[
        ("reference", "qf12 ab34"),
        ("at", "2026-02-28T22:30:00Z"),
        ("amount", "1100.5"),
        ("currency", "KES"),
        ("account", "L-1"),
        ("payer", "0712345678"),
    ];
    const RECORDED: &[(&str, &str)] = &[
        ("external_ref", "B-77"),
        ("account", "L-1"),
        ("amount", "5"),
        ("currency", "KES"),
        ("value_date", "2026-02-14"),
        ("channel", "BANK_TRANSFER"),
    ];

    #[test]
    fn a_statements_row_counts_for_the_day_in_the_lenders_zone() {
        let line = read(Kind::Statement("MPESA".to_owned()), STATED).unwrap();
        assert_eq!(
            (line.external_ref.as_str(), line.value_date.to_string().as_str()),
            ("MPESA:QF12AB34", "2026-03-01")
        );
        assert_eq!((line.amount.minor, line.payer.as_deref()), (110_050, Some("+254712345678")));
    }

    #[test]
    fn bad_rows_say_what_is_wrong() {
        let statement = || Kind::Statement("MPESA".to_owned());
        let cases = [
            (statement(), with(STATED, "reference", ""), "line 7, column reference: it is missing"),
            (statement(), with(STATED, "reference", "1.2E+10"), "scientific notation"),
            (statement(), with(STATED, "at", "2026-02-28 22:30"), "with its offset"),
            (statement(), with(STATED, "at", "2026-03-02T21:00:00Z"), "is after today"),
            (statement(), with(STATED, "amount", "-5.00"), "it is not negative"),
            (statement(), with(STATED, "amount", "0"), "it is above zero"),
            (statement(), with(STATED, "amount", "5.123"), "not an amount in KES"),
            (statement(), with(STATED, "payer", "x"), "digits only"),
            (Kind::Repayments, with(RECORDED, "channel", "PIGEON"), "it is one of CASH"),
            (Kind::Repayments, with(RECORDED, "channel", "CASH"), "column cashier: cash is in a cashier's till"),
            (Kind::Repayments, with(RECORDED, "cashier", "grace"), "only cash is in a till"),
            (Kind::Repayments, with(RECORDED, "value_date", "14/02/2026"), "which is the month"),
            (Kind::Repayments, with(RECORDED, "currency", ""), "three capital letters"),
        ];
        for (kind, cells, words) in cases {
            let said = read(kind, &cells).unwrap_err();
            assert!(said.contains(words), "{said} should say {words}");
        }
        assert!(read(Kind::Repayments, RECORDED).is_ok());
        assert!(provider_code("m-pesa").is_ok() && provider_code("M:").is_err() && provider_code("").is_err());
    }
}
