//! What an app hands over to be recorded.

use daybook_shared::entry::{
    Attachment, CashHandover, Channel, Correction, CustomerAck, Gps, Promise, ReceiptNumber, Repayment,
    TransactionCheck, Visit,
};
use daybook_shared::ids::{AccountId, DossierId, EntryId};
use daybook_shared::money::Money;
use daybook_shared::time::Date;

/// Something to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// What happened.
    pub what: What,
    /// Where. A field visit needs it, or a reason why not.
    pub gps: Option<Gps>,
    /// Files that belong to it and travel apart.
    pub attachments: Vec<Attachment>,
    /// The phone's offset from universal time in minutes; the lender's zone when absent.
    pub offset_min: Option<i16>,
}

impl From<What> for Draft {
    /// A draft without position and attachments.
    fn from(what: What) -> Self {
        Self { what, gps: None, attachments: Vec::new(), offset_min: None }
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A visit about an account.
    Visit {
        /// The account.
        account: AccountId,
        /// The visit.
        visit: Visit,
    },
    /// Money a customer gave, or proof of money sent.
    Repayment(RepaymentDraft),
    /// A promise to pay towards an account.
    Promise {
        /// The account.
        account: AccountId,
        /// The promise.
        promise: Promise,
    },
    /// A request to undo or change an earlier entry.
    Correction {
        /// The target's dossier; looked up on this phone when absent.
        dossier: Option<DossierId>,
        /// The correction.
        correction: Correction,
    },
    /// Cash given to a cashier, a bank or an agent. Belongs to the officer's day.
    CashHandover(CashHandover),
    /// A look at one of an agent's transactions. Belongs to the agent's present quarter.
    TransactionCheck(TransactionCheck),
}

/// A repayment before it has its receipt number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepaymentDraft {
    /// The account it is for.
    pub account: AccountId,
    /// How much.
    pub amount: Money,
    /// How it came.
    pub channel: Channel,
    /// The number of a paper receipt; absent, cash gets the phone's next number.
    pub paper_receipt: Option<ReceiptNumber>,
    /// Provider code and reference; required for anything but cash.
    pub external_ref: Option<String>,
    /// The day the money counts for; today when absent.
    pub value_date: Option<Date>,
    /// Who paid, when it was not the customer.
    pub payer_name: Option<String>,
    /// The payer's phone.
    pub payer_phone: Option<String>,
    /// The visit it belongs to.
    pub visit: Option<EntryId>,
    /// How the customer confirmed it.
    pub customer_ack: CustomerAck,
    /// Used only when the cash is beyond what this phone may take.
    pub over_limit: Option<Override>,
}

/// What lets cash be recorded beyond the allowance or the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Override {
    /// The supervisor's offline code.
    Code(String),
    /// The officer's statement that the cash is in his hand already.
    CashInHand,
}

impl Override {
    /// What an entry says for [`Override::CashInHand`].
    pub const CASH_IN_HAND: &'static str = "CASH_IN_HAND";

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Code(code) => code,
            Self::CashInHand => Self::CASH_IN_HAND,
        }
    }
}

impl RepaymentDraft {
    /// Notes and coins, confirmed by nobody, for today.
    pub fn cash(account: AccountId, amount: Money) -> Self {
        Self {
            account,
            amount,
            channel: Channel::Cash,
            paper_receipt: None,
            external_ref: None,
            value_date: None,
            payer_name: None,
            payer_phone: None,
            visit: None,
            customer_ack: CustomerAck::None,
            over_limit: None,
        }
    }

    pub(super) fn is_cash(&self) -> bool {
        self.channel == Channel::Cash
    }

    pub(super) fn into_repayment(
        self,
        value_date: Date,
        receipt: Option<ReceiptNumber>,
        over_limit: Option<String>,
    ) -> Repayment {
        Repayment {
            account: self.account,
            amount: self.amount,
            channel: self.channel,
            receipt,
            external_ref: self.external_ref,
            value_date,
            payer_name: self.payer_name,
            payer_phone: self.payer_phone,
            visit: self.visit,
            customer_ack: self.customer_ack,
            over_limit,
        }
    }
}
