//! A device event: something about the phone itself that people should know.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{EntryError, ReceiptNumber, field, optional_text};
use crate::time::Timestamp;

crate::codes! {
    /// What happened.
    DeviceEventKind {
        /// The phone was enrolled.
        Enrolled = "ENROLLED",
        /// Its clock was set.
        ClockChanged = "CLOCK_CHANGED",
        /// The platform said that positions are simulated.
        MockLocation = "MOCK_LOCATION",
        /// The phone looks as if its owner, or somebody else, had taken it over.
        RootSuspect = "ROOT_SUSPECT",
        /// It received receipt numbers.
        ReceiptBlockGranted = "RECEIPT_BLOCK_GRANTED",
        /// It was wiped.
        Wiped = "WIPED",
        /// It was lost, or found again.
        Lost = "LOST",
    }
}

/// Receipt numbers of one series, from the first to the last.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(array)]
pub struct ReceiptRange {
    /// The first.
    #[n(0)]
    pub first: ReceiptNumber,
    /// The last.
    #[n(1)]
    pub last: ReceiptNumber,
}

/// Something about the phone. It changes nothing by itself: what the server knows of a device it knows
/// from the office and from what the device signs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct DeviceEvent {
    /// What happened.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub kind: DeviceEventKind,
    /// When, by the phone's clock.
    #[n(1)]
    pub happened_at: Timestamp,
    /// By how many milliseconds the clock was set ahead (or, negative, back), of a clock that was set, and
    /// only of one.
    #[n(2)]
    pub clock_ms: Option<i64>,
    /// The numbers, of a block that was granted, and only of one.
    #[n(3)]
    pub receipts: Option<ReceiptRange>,
    /// More, at most 200 characters.
    #[n(4)]
    pub detail: Option<String>,
}

impl DeviceEvent {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if (self.kind == DeviceEventKind::ClockChanged) != self.clock_ms.is_some() {
            return Err(field("clock_ms", "of a clock that was set, and only of one"));
        }
        if (self.kind == DeviceEventKind::ReceiptBlockGranted) != self.receipts.is_some() {
            return Err(field("receipts", "of a block that was granted, and only of one"));
        }
        let in_order = |range: &ReceiptRange| {
            range.first.series() == range.last.series() && range.first.number() <= range.last.number()
        };
        if !self.receipts.as_ref().is_none_or(in_order) {
            return Err(field("receipts", "of one series, the first before the last"));
        }
        optional_text("detail", self.detail.as_ref(), 200)
    }
}
