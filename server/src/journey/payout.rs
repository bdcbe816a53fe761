//! How money gets back to a customer. Whoever pays out says what came of it in four words; a provider that cannot
//! say whether it paid has answered too: [`Paid::Unknown`], to be asked again and never to be paid twice.

use daybook_shared::entry::Channel;
use daybook_shared::ids::RefundId;
use daybook_shared::money::Money;

/// What is to be paid out.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// The refund, whose id a provider keeps as its reference, so that it is paid once.
    pub refund: RefundId,
    /// How much.
    pub amount: Money,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Paid {
    /// It is on its way.
    Submitted,
    /// The customer has it; under this reference, from where this channel's money is.
    Succeeded {
        /// How.
        channel: Channel,
        /// The bank's or operator's reference.
        reference: String,
    },
    /// The customer does not have it and will not.
    Failed,
    /// Nobody knows.
    Unknown,
}

/// Something that pays out.
pub trait Payout {
    /// Pays.
    fn pay(&self, order: Order) -> impl Future<Output = Paid> + Send;
}

/// By hand: somebody paid at the bank or the operator, or tried to, and says so.
#[derive(Debug, Clone)]
pub struct ByHand(pub Paid);

impl Payout for ByHand {
    async fn pay(&self, _: Order) -> Paid {
        self.0.clone()
    }
}
