//! A call attempt: somebody tried to reach a customer without going there.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::personal::check_optional;
use super::{EntryError, Personal, field, optional_text};
use crate::time::Timestamp;

crate::codes! {
    /// By what means.
    CallChannel {
        /// A telephone call.
        Call = "CALL",
        /// A text message.
        Sms = "SMS",
        /// A message or call in WhatsApp.
        Whatsapp = "WHATSAPP",
        /// A letter by e-mail.
        Email = "EMAIL",
        /// A message of the lender's own app.
        AppPush = "APP_PUSH",
    }

    /// Which of the customer's numbers: the number itself is in the profile, not in the attempt.
    NumberRef {
        /// The first.
        Phone = "PHONE",
        /// The other.
        AltPhone = "ALT_PHONE",
        /// The employer's.
        Employer = "EMPLOYER",
        /// The next of kin's.
        NextOfKin = "NEXT_OF_KIN",
    }

    /// What came of it. NO_ANSWER and BUSY count as attempts, not as contacts; the RPC codes say that the
    /// customer or an authorised payer was spoken to, and proved to be it.
    Disposition {
        /// Failed: the number is not in use.
        Disconnected = "DISCONNECTED",
        /// Failed: somebody else's number.
        WrongNumber = "WRONG_NUMBER",
        /// Failed: the number takes no calls.
        Barred = "BARRED",
        /// Nobody answered.
        NoAnswer = "NO_ANSWER",
        /// The line was busy.
        Busy = "BUSY",
        /// A recording answered.
        Voicemail = "VOICEMAIL",
        /// Somebody else answered, and was told nothing of the debt.
        ThirdParty = "THIRD_PARTY",
        /// Promised to pay.
        RpcPromised = "RPC_PROMISED",
        /// Says it was paid already.
        RpcClaimsPaid = "RPC_CLAIMS_PAID",
        /// Refused to pay.
        RpcRefused = "RPC_REFUSED",
        /// Disputes what is owed.
        RpcDispute = "RPC_DISPUTE",
        /// In hardship.
        RpcHardship = "RPC_HARDSHIP",
        /// To be called back.
        RpcCallback = "RPC_CALLBACK",
        /// Was told what is owed.
        RpcInformed = "RPC_INFORMED",
    }
}

/// The longest call, in seconds.
pub const CALL_SECONDS_MAX: u32 = 4 * 3600;

/// An attempt to reach a customer (domain: "attempt"). Whether it was permitted and what it counts for
/// is the server's to say.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct CallAttempt {
    /// By what means.
    #[n(0)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub channel: CallChannel,
    /// Which of the customer's numbers.
    #[n(1)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub number_ref: NumberRef,
    /// When, by the phone's clock.
    #[n(2)]
    pub dialled_at: Timestamp,
    /// How long was spoken, in seconds, at most four hours; 0 for what is not spoken.
    #[n(3)]
    pub duration_s: u32,
    /// What came of it.
    #[n(4)]
    #[serde(deserialize_with = "crate::codes::known")]
    pub disposition: Disposition,
    /// The script that was read, as a code of the lender's, at most 40 characters.
    #[n(5)]
    pub script: Option<String>,
    /// Where the recording is, as a reference of the telephone system's, at most 100 characters.
    #[n(6)]
    pub recording: Option<String>,
    /// The caller's words, at most 1,000 characters.
    #[n(7)]
    pub note: Option<Personal>,
}

impl CallAttempt {
    pub(super) fn check(&self) -> Result<(), EntryError> {
        if self.duration_s > CALL_SECONDS_MAX {
            return Err(field("duration_s", "at most four hours"));
        }
        let is_written = matches!(self.channel, CallChannel::Sms | CallChannel::Email | CallChannel::AppPush);
        if is_written && self.duration_s > 0 {
            return Err(field("duration_s", "a written message has none"));
        }
        optional_text("script", self.script.as_ref(), 40)?;
        optional_text("recording", self.recording.as_ref(), 100)?;
        check_optional("note", self.note.as_ref(), 1000)
    }
}
