//! The lender's side of the workload: people, caseloads and the accounts in them.

use daybook_server::app::App;
use daybook_server::audit::Actor;
use daybook_server::auth::Role;
use daybook_server::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::{self, Holding, NewUser, UserRow};
use daybook_server::ledger::posting::{self, Event};
use daybook_server::portfolio::assign::assign;
use daybook_server::portfolio::opening::{self, Receivable};
use daybook_server::portfolio::versions;
use rand_chacha::ChaCha20Rng;

use super::history::{Case, date_of};
use super::people;

/// Accounts opened in one transaction: large ones are quick, very large ones only hold memory.
const ACCOUNTS_A_TRANSACTION: usize = 5_000;

/// The settings of the workload's lender: the cash limit is out of the way, because officers here
/// never hand in.
pub const SETTINGS: [(&str, &str); 3] =
    [("zone", people::ZONE), ("currency", "KES"), ("cash_limit_minor", "1000000000000")];

/// A branch.
pub async fn branch(app: &App) -> anyhow::Result<Unit> {
    let mut tx = app.db.write().await?;
    let by = (app.now(), &app.rng);
    let unit = units::create(&mut tx, by, Actor::OPERATOR, None, (UnitKind::Company, "Lender")).await?;
    tx.commit().await?;
    Ok(unit)
}

/// An officer of the branch. He has no password: hashing takes time.
pub async fn officer(app: &App, rng: &mut ChaCha20Rng, unit: &Unit, login: &str) -> anyhow::Result<UserRow> {
    let mut tx = app.db.write().await?;
    let name = people::name(rng);
    let new = NewUser { login, name: &name, password_hash: "none".to_owned() };
    let user = users::create(&mut tx, (app.now(), &app.rng), Actor::OPERATOR, new).await?;
    users::set_role(&mut tx, app.now(), Actor::OPERATOR, &user, (Role::Officer, unit, Holding::Held)).await?;
    tx.commit().await?;
    Ok(user)
}

/// A caseload held by these officers.
pub async fn caseload(app: &App, unit: &Unit, holders: &[UserRow], name: &str) -> anyhow::Result<Caseload> {
    let mut tx = app.db.write().await?;
    let by = (app.now(), &app.rng);
    let caseload = caseloads::create(&mut tx, by, Actor::OPERATOR, unit, (name, CaseloadAudience::Officer)).await?;
    for holder in holders {
        let member = (holder, Membership::Member);
        caseloads::set_member(&mut tx, app.now(), Actor::OPERATOR, &caseload, member).await?;
    }
    tx.commit().await?;
    Ok(caseload)
}

/// Takes `count` accounts over in each of the caseloads, as an import does: what fell due before was earned in other
/// books. Gives their cases, caseload by caseload.
pub async fn accounts(
    app: &App,
    rng: &mut ChaCha20Rng,
    unit: &Unit,
    caseloads: &[Caseload],
    count: usize,
) -> anyhow::Result<Vec<Vec<Case>>> {
    let now = app.now();
    let today = date_of(now);
    let mut cases = vec![Vec::with_capacity(count); caseloads.len()];
    let places: Vec<usize> = (0..caseloads.len()).flat_map(|place| std::iter::repeat_n(place, count)).collect();
    for (chunk, places) in places.chunks(ACCOUNTS_A_TRANSACTION).enumerate() {
        let first = chunk * ACCOUNTS_A_TRANSACTION;
        let new: Vec<_> =
            (0..places.len()).map(|i| people::account(rng, first + i + 1, unit.id, (now, today))).collect();
        for (account, &place) in new.iter().zip(places) {
            let (lat_e6, lon_e6) = (account.customer.lat_e6.unwrap_or(0), account.customer.lon_e6.unwrap_or(0));
            cases[place].push(Case { account: account.uid, lat_e6, lon_e6 });
        }
        let order: Vec<_> = new.iter().map(|account| account.uid).collect();
        let mut tx = app.db.write().await?;
        let opened =
            opening::open_booked(&mut tx, now, new, |account, Receivable { account_id, original_minor, .. }| {
                let event = Event {
                    id: account.uid.0,
                    correlation: account.uid.0,
                    booked_on: today,
                    currency: account.currency,
                };
                let unearned =
                    account.lines.iter().filter(|line| line.due_date > today).map(|line| line.interest).sum();
                posting::import(event, account_id, original_minor, unearned)
            });
        let opened = opened.await?;
        let keys: Vec<_> = opened.values().map(|opened| opened.account).collect();
        versions::earned_before(&mut tx, &keys, today).await?;
        let moves = order.iter().zip(places);
        let moves: Vec<_> = moves.map(|(uid, &place)| (opened[uid].dossier, Some(caseloads[place].id))).collect();
        assign(&mut tx, now, None, &moves).await?;
        tx.commit().await?;
    }
    Ok(cases)
}
