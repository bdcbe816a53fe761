//! The server's verdicts, as data. Codes are stable; each says whether anything can still change it.

use minicbor::{Decode, Encode};

crate::codes! {
    /// Why an entry is held or refused.
    Reason {
        /// Held: this receipt number was used for another repayment.
        DupReceipt = "DUP_RECEIPT",
        /// Held: the receipt number belongs to another device's block.
        ForeignBlock = "FOREIGN_BLOCK",
        /// Held: the dossier was never given to this user.
        NotEntitled = "NOT_ENTITLED",
        /// Held: it acts on an entry the server has not got yet.
        MissingRef = "MISSING_REF",
        /// Held: the money is not in the account's currency.
        CurrencyMismatch = "CURRENCY_MISMATCH",
        /// Held when absurdly high; refused when zero, negative or beyond any book.
        Amount = "AMOUNT",
        /// Held: the value date is more than seven days before the capture.
        Backdated = "BACKDATED",
        /// Held: captured after the user or the device was deactivated.
        AfterDeactivation = "AFTER_DEACTIVATION",
        /// Held: the device was reported lost or stolen.
        DeviceLost = "DEVICE_LOST",
        /// Held: money that a provider has to confirm.
        AwaitingProvider = "AWAITING_PROVIDER",
        /// Held: the provider has another amount, account or currency under this reference.
        ProviderDiffers = "PROVIDER_DIFFERS",
        /// Held: no such account, or one that was cancelled.
        UnknownAccount = "UNKNOWN_ACCOUNT",
        /// Held: a hand-over names something that is not cash in the officer's hand.
        NotInHand = "NOT_IN_HAND",
        /// Held: it is in a kind of dossier, or in somebody's, where such a record does not belong.
        WrongDossier = "WRONG_DOSSIER",
        /// Refused: what it acts on is a record of another kind, or about somebody else.
        WrongRef = "WRONG_REF",
        /// Refused: the bytes are not an entry.
        Malformed = "MALFORMED",
        /// Refused: a field breaks its rule.
        Field = "FIELD",
        /// Refused: recorded by another device than the one that sent it.
        Foreign = "FOREIGN",
        /// Refused: its id stands for another record already.
        IdTaken = "ID_TAKEN",
        /// Held, or refused where not even that could be written: the server failed with it; its bytes are
        /// kept.
        Failed = "FAILED",
        /// Refused by a person: the same payment was recorded twice.
        Duplicate = "DUPLICATE",
        /// Refused by a person.
        Rejected = "REJECTED",
        /// Refused by a person who recorded what is right in its place.
        Replaced = "REPLACED",
    }

    /// What people should know about an entry that was accepted all the same.
    Flag {
        /// The value date is before the day of capture.
        Backdated = "BACKDATED",
        /// The value date was ahead of the capture and was set back.
        ValueDateAhead = "VALUE_DATE_AHEAD",
        /// The case had been given to somebody else.
        PostReassign = "POST_REASSIGN",
        /// The capture time cannot be proven.
        TimeUnproven = "TIME_UNPROVEN",
        /// Another payment of the same account, amount and day.
        LikelyDuplicate = "LIKELY_DUPLICATE",
        /// The receipt number is in nobody's block.
        OutOfBlock = "OUT_OF_BLOCK",
        /// A provisional receipt number.
        ProvisionalReceipt = "PROVISIONAL_RECEIPT",
        /// A photo or signature has not arrived.
        EvidencePending = "EVIDENCE_PENDING",
        /// Over 1.2 times what is owed.
        OverPayoff = "OVER_PAYOFF",
        /// Taken beyond the officer's cash limit or lease.
        OverLimit = "OVER_LIMIT",
        /// The account was paid already; the money is the customer's credit.
        AccountClosed = "ACCOUNT_CLOSED",
        /// Paid before the account was disbursed.
        BeforeDisbursal = "BEFORE_DISBURSAL",
        /// Paid on an account that was written off: income, not repayment.
        Recovery = "RECOVERY",
        /// A supervisor took it back.
        Reversed = "REVERSED",
        /// A person released it.
        Released = "RELEASED",
        /// The provider's statement has it.
        ProviderConfirmed = "PROVIDER_CONFIRMED",
        /// The promised day is out of the lender's range.
        PromiseDate = "PROMISE_DATE",
        /// The phone's clock was off.
        ClockSkew = "CLOCK_SKEW",
        /// An entry of a type this server does not know.
        UnknownType = "UNKNOWN_TYPE",
    }

    /// Why a board change was not merged. The codes of the board's own checks come through as they
    /// are (see [`crate::board`]).
    BoardReason {
        /// A change of the same actor was quarantined before it.
        AfterQuarantined = "AFTER_QUARANTINED",
        /// The user did not hold the dossier.
        NotEntitled = "NOT_ENTITLED",
        /// The device's allowance of kept bytes is used up; the change itself was not kept.
        QuarantineFull = "QUARANTINE_FULL",
        /// It made the server fail.
        Failed = "FAILED",
    }
}

/// Where an entry ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum OutcomeState {
    /// Its money is in the ledger.
    #[n(0)]
    Posted,
    /// Accepted; it moves no money.
    #[n(1)]
    Noted,
    /// Kept, waiting for a person or another record. The only state that changes later.
    #[n(2)]
    Held,
    /// Kept, without effect.
    #[n(3)]
    Refused,
}

impl OutcomeState {
    /// The word used in SQL, JSON and texts.
    pub fn code(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Noted => "noted",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }

    /// The state with this word.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Posted, Self::Noted, Self::Held, Self::Refused].into_iter().find(|state| state.code() == code)
    }
}

/// The server's verdict on an entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Outcome {
    /// Where it ended.
    #[n(0)]
    pub state: OutcomeState,
    /// Why, when held or refused.
    #[n(1)]
    pub reason: Option<Reason>,
    /// What people should know; absent when there is nothing.
    #[n(2)]
    pub flags: Option<Vec<Flag>>,
}

impl Outcome {
    /// Accepted, with these flags.
    pub fn accepted(state: OutcomeState, flags: Vec<Flag>) -> Self {
        Self { state, reason: None, flags: (!flags.is_empty()).then_some(flags) }
    }

    /// Held for a reason.
    pub fn held(reason: Reason) -> Self {
        Self { state: OutcomeState::Held, reason: Some(reason), flags: None }
    }

    /// Refused for a reason.
    pub fn refused(reason: Reason) -> Self {
        Self { state: OutcomeState::Refused, reason: Some(reason), flags: None }
    }
}

/// The server's verdict on a board change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct BoardVerdict {
    /// Merged, known already, or quarantined.
    #[n(0)]
    pub state: BoardState,
    /// Why it was quarantined.
    #[n(1)]
    pub reason: Option<String>,
}

/// Where a board change ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum BoardState {
    /// Part of the board.
    #[n(0)]
    Merged,
    /// It was part of the board already.
    #[n(1)]
    Duplicate,
    /// Kept apart for a supervisor; the phone keeps the officer's words as a draft.
    #[n(2)]
    Quarantined,
}
