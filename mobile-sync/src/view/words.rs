//! What people read for each code: one table, English.

use daybook_shared::wire::outcome::{BoardReason, Flag, Reason};

/// Why an entry is held or refused, and what to do about it.
pub fn of_reason(reason: &Reason) -> &'static str {
    match reason {
        Reason::DupReceipt => "the receipt number was used before; the office will ask you which payment it belongs to",
        Reason::ForeignBlock => "the receipt number belongs to another phone; tell the office where it comes from",
        Reason::NotEntitled => "the case was never given to you; the office has to release the entry",
        Reason::MissingRef => "it refers to a record the office has not got yet; nothing to do",
        Reason::CurrencyMismatch => "the money is not in the account's currency; the office will post or return it",
        Reason::Amount => "the amount cannot be right; the office will ask you",
        Reason::Backdated => "the date is more than seven days back; a supervisor has to release it",
        Reason::AfterDeactivation => {
            "it was recorded after this phone or user was deactivated; the office has to release it"
        }
        Reason::DeviceLost => "this phone was reported lost; the office compares the paper receipts",
        Reason::AwaitingProvider => "the provider has not confirmed the money yet; nothing to do",
        Reason::ProviderDiffers => {
            "the provider has another amount or account for this reference; the office will ask you"
        }
        Reason::UnknownAccount => "there is no such account, or it was cancelled; the office will ask you",
        Reason::NotInHand => "the hand-over names something that is not cash in your hand; check the list",
        Reason::WrongDossier => "it is in the wrong place; the office will release it, or ask you to record it again",
        Reason::WrongRef => "what it is about is another kind of record; look at it, and record it again",
        Reason::Malformed => "the record was damaged; record it again and tell the office",
        Reason::Field => "a field breaks its rule; record it again",
        Reason::Foreign => "it was recorded by another phone than the one that sent it; the office looks into it",
        Reason::IdTaken => "its id stands for another record; the office looks into it",
        Reason::Failed => "the office could not process it; it is kept and people look into it",
        Reason::Duplicate => "the same payment was recorded twice; the other record stands",
        Reason::Rejected => "the office rejected it; ask your supervisor",
        Reason::Replaced => "the office recorded what is right in its place",
        Reason::Other(_) => "for a reason this version of the app does not know; ask the office",
    }
}

/// What people should know about an entry that was accepted.
pub fn of_flag(flag: &Flag) -> &'static str {
    match flag {
        Flag::Backdated => "counts for an earlier day",
        Flag::ValueDateAhead => "the date was ahead and was set back",
        Flag::PostReassign => "the case had been given to a colleague",
        Flag::TimeUnproven => "the time of capture cannot be proven",
        Flag::LikelyDuplicate => "looks like another payment of the same day",
        Flag::OutOfBlock => "the receipt number is in nobody's block",
        Flag::ProvisionalReceipt => "the receipt number is provisional",
        Flag::EvidencePending => "a photo or signature has not arrived",
        Flag::OverPayoff => "more than 1.2 times what was owed",
        Flag::OverLimit => "taken beyond the cash limit or the login",
        Flag::AccountClosed => "the account was paid already; the money is the customer's credit",
        Flag::BeforeDisbursal => "paid before the account began",
        Flag::Recovery => "the account was written off; counted as recovery",
        Flag::Reversed => "taken back by a supervisor",
        Flag::Released => "released by the office",
        Flag::ProviderConfirmed => "confirmed by the provider",
        Flag::PromiseDate => "the promised day is out of range",
        Flag::ClockSkew => "the phone's clock was off",
        Flag::UnknownType => "a kind of record the office does not know yet",
        Flag::Other(_) => "flagged by the office",
    }
}

/// Why words on a board were not merged, by the reason's stable code.
pub fn of_board_code(code: &str) -> &'static str {
    match code {
        "BOARD_SET_BACK" | "BOARD_UNKNOWN" => {
            "the office's copy of this board was set back; write it again if it still matters"
        }
        "MAY_HAVE_ARRIVED" => "the office may have it already; look at the board, and write it again if it is missing",
        "BOARD_FULL" => "the board is full; remove something first",
        "TEXT" | "TOO_MANY" | "OUT_OF_RANGE" | "TASK_EXISTS" | "NO_SUCH_TASK" => {
            "the board had changed meanwhile; write it again if it still matters"
        }
        "KEY_NOT_OWNED" => "this part of the board is not yours to write",
        other => match BoardReason::from_code(other) {
            BoardReason::NotEntitled => "the case had been given to a colleague",
            BoardReason::AfterQuarantined => "something you wrote before it could not be merged",
            BoardReason::QuarantineFull | BoardReason::Failed | BoardReason::Other(_) => {
                "it could not be merged; write it again, and tell the office if it happens twice"
            }
        },
    }
}
