//! Deciding applications: which provider is asked, and what his answer makes of an application.
//!
//! An attempt is written down before its provider is asked. The own book is asked in the same transaction: it
//! has no network, so the application, the attempt and the answer are there together or not at all. A provider
//! with a network is asked after the commit, by whoever holds the attempt; nobody else is asked while it is
//! unknown what came of one.

use daybook_shared::money::Money;
use daybook_shared::time::{Date, Timestamp};
use uuid::Uuid;

use super::applications::{self, Application, Attempt, Decided};
use super::quotes::{self, Made};
use super::states::{ApplicationState, AttemptState, Event, Reason};
use super::{contract, policies, standing};
use crate::app::App;
use crate::db::Tx;
use crate::http::problem::Problem;
use crate::providers::own_book::{self, OwnBook};
use crate::providers::{Call, CallError, Provider, Remote, StartRequest};

/// How long a call of a local provider may take; it takes none.
const LOCAL_MS: i64 = 1_000;

/// Asks a provider about an application that is being decided. The caller holds the customer's lock.
pub async fn decide(tx: &mut Tx, app: &App, application: &Application) -> Result<(), Problem> {
    let made = quotes::by_key(tx, application.quote_id).await?;
    let asked = applications::attempts(tx, application.id).await?;
    let n = i64::try_from(asked.len()).unwrap_or(i64::MAX) + 1;
    let now = app.now();
    // There is only the own book: whom it declines nobody else takes.
    let provider = own_book(tx, (application, &made), app.settings.zone.date_of(now)).await?;
    let reference = app.rng.with(|rng| uuid(now, rng));
    let attempt = applications::begin_attempt(tx, now, application.id, (reference, n, own_book::CODE)).await?;
    let request = StartRequest {
        reference,
        application: application.uid,
        financed: Money::new(made.quote.financed_minor, made.quote.currency),
        owed: Money::new(made.quote.receivable_minor(), made.quote.currency),
        instalments: u16::try_from(made.quote.instalments.len()).unwrap_or(u16::MAX),
    };
    let call = Call { now, deadline: now.plus_ms(LOCAL_MS) };
    let answer = provider.start(&call, &request).await;
    hear(tx, app, (application, &made), (&attempt, answer)).await
}

fn uuid(now: Timestamp, rng: &mut (impl rand::Rng + ?Sized)) -> Uuid {
    daybook_shared::ids::DecisionId::new(now, rng).0
}

async fn own_book(tx: &mut Tx, (application, made): (&Application, &Made), today: Date) -> Result<OwnBook, Problem> {
    let mut standing = standing::of(tx, application.customer_id, (today, made.quote.currency)).await?;
    let open = applications::others_open(tx, application.customer_id, application.id).await?;
    standing.open_applications = u32::try_from(open).unwrap_or(u32::MAX);
    let policy = policies::current(tx).await?.map(|policy| policy.rules).unwrap_or_default();
    Ok(OwnBook::new(policy, standing, today))
}

/// What a provider's answer makes of an attempt and of its application.
async fn hear(
    tx: &mut Tx,
    app: &App,
    (application, made): (&Application, &Made),
    (attempt, answer): (&Attempt, Result<Remote, CallError>),
) -> Result<(), Problem> {
    let now = app.now();
    let (state, reason, raw_code) = heard(answer);
    if !attempt.state.gives_way_to(state) {
        return Ok(());
    }
    applications::heard(tx, now, attempt.id, (state, reason, raw_code.as_deref())).await?;
    let event = match state {
        AttemptState::Approved => Event::AttemptApproved,
        AttemptState::Declined | AttemptState::Expired => Event::AttemptsExhausted,
        _ => return Ok(()),
    };
    let Some(next) = application.state.after(event) else { return Ok(()) };
    let approval_expires_at =
        (next == ApplicationState::Approved).then(|| now.plus_ms(app.settings.approval_hours * 3_600_000));
    let decided = Decided { state: next, reason, approval_expires_at };
    if applications::decide(tx, now, application.id, decided).await? && next == ApplicationState::Approved {
        contract::draw_up(tx, app, application, made).await?;
    }
    Ok(())
}

/// The state that an answer is, the reason, and the provider's own word.
fn heard(answer: Result<Remote, CallError>) -> (AttemptState, Option<Reason>, Option<String>) {
    match answer {
        Ok(remote) => {
            let silent = (remote.state == AttemptState::Declined).then_some(Reason::Undisclosed);
            (remote.state, remote.reason.or(silent), remote.raw_code)
        }
        Err(CallError::Declined(reason)) => (AttemptState::Declined, Some(reason), None),
        Err(CallError::NotSent(why)) => (AttemptState::NotSent, None, Some(why)),
        // A person looks at what we ask wrongly; the customer's application waits for him.
        Err(CallError::Refused(why) | CallError::Unknown(why)) => (AttemptState::Unknown, None, Some(why)),
    }
}
