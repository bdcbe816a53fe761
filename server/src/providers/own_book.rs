//! The lender's own book as a provider: it decides by the lender's policy and how the customer stands.
//!
//! It keeps nothing of its own. Its answer is written down in the transaction it is asked in, so what it was
//! asked and has no answer to in our rows it never decided: it has nothing to look up, and is asked again.

use axum::http::HeaderMap;
use daybook_shared::time::{Date, Timestamp};

use super::{
    Action, Call, Calling, Capabilities, Inbound, Lookup, ParseError, Provider, Remote, SettlementLine, StartRequest,
    WebhookError,
};
use crate::journey::policy::{Policy, Purchase, Standing};
use crate::journey::states::AttemptState;

/// Its code.
pub const CODE: &str = "own_book";

/// The own book, as one customer stands to it.
#[derive(Debug, Clone)]
pub struct OwnBook {
    capabilities: Capabilities,
    policy: Policy,
    standing: Standing,
    today: Date,
}

impl OwnBook {
    /// The own book under a policy, asked about a customer on a business date.
    pub fn new(policy: Policy, standing: Standing, today: Date) -> Self {
        let capabilities = Capabilities {
            code: CODE,
            currencies: Vec::new(),
            local: true,
            lookup_by_reference: true,
            partial_refund: true,
            idempotent_actions: true,
        };
        Self { capabilities, policy, standing, today }
    }

    fn decide(&self, request: &StartRequest) -> Remote {
        let (financed_minor, owed_minor) = (request.financed.minor, request.owed.minor);
        let purchase = Purchase { application: request.application, financed_minor, owed_minor, today: self.today };
        match self.policy.decide(&self.standing, &purchase) {
            Ok(()) => Remote { state: AttemptState::Approved, reason: None, raw_code: None, expires_at: None },
            Err(reason) => {
                Remote { state: AttemptState::Declined, reason: Some(reason), raw_code: None, expires_at: None }
            }
        }
    }
}

impl Provider for OwnBook {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn start<'a>(&'a self, _: &'a Call, request: &'a StartRequest) -> Calling<'a, Remote> {
        Box::pin(async { Ok(self.decide(request)) })
    }

    fn fetch<'a>(&'a self, _: &'a Call, _: Lookup<'a>) -> Calling<'a, Option<Remote>> {
        Box::pin(async { Ok(None) })
    }

    /// What is done to a purchase of the own book is done in our own rows; there is nobody to be told.
    fn act<'a>(&'a self, _: &'a Call, action: &'a Action) -> Calling<'a, Remote> {
        let state = match action {
            Action::Confirm { .. } | Action::Capture { .. } | Action::Refund { .. } => AttemptState::Approved,
            Action::Void { .. } => AttemptState::Voided,
        };
        Box::pin(async move { Ok(Remote { state, reason: None, raw_code: None, expires_at: None }) })
    }

    fn webhook(&self, _: &HeaderMap, _: &[u8], _: Timestamp) -> Result<Inbound, WebhookError> {
        Err(WebhookError::NotOffered)
    }

    fn settlement(&self, _: &str, _: &[u8]) -> Result<Vec<SettlementLine>, ParseError> {
        Err(ParseError::NotOffered)
    }
}

#[cfg(test)]
mod tests {
    use daybook_shared::ids::ApplicationId;
    use daybook_shared::money::Money;
    use uuid::Uuid;

    use super::*;
    use crate::journey::states::Reason;

    #[tokio::test]
    async fn it_decides_by_the_policy_and_knows_nothing_afterwards() {
        let currency = "SAR".parse().unwrap();
        let policy = Policy { outstanding_max_minor: Some(500_000), ..Policy::default() };
        let ask = async |outstanding_minor| {
            let standing = Standing { outstanding_minor, ..Standing::default() };
            let book = OwnBook::new(policy.clone(), standing, "2026-03-01".parse().unwrap());
            let call = Call { now: Timestamp::EPOCH, deadline: Timestamp::EPOCH };
            let (financed, owed) = (Money::new(100_000, currency), Money::new(110_000, currency));
            let (reference, application) = (Uuid::from_u128(1), ApplicationId::from([1; 16]));
            let request = StartRequest { reference, application, financed, owed, instalments: 4 };
            assert_eq!(book.fetch(&call, Lookup::Reference(reference)).await, Ok(None));
            let remote = book.start(&call, &request).await.unwrap();
            assert_eq!(book.start(&call, &request).await.unwrap(), remote);
            (remote.state, remote.reason)
        };
        assert_eq!(ask(390_000).await, (AttemptState::Approved, None));
        assert_eq!(ask(390_001).await, (AttemptState::Declined, Some(Reason::LimitExhausted)));
    }
}
