//! Renders the facts of dossiers from rows, when they are read: nothing of it is stored.

use std::collections::BTreeMap;

use daybook_shared::cbor;
use daybook_shared::facts::{
    AgentProfile, Profile, PromiseFact, Promises, ScheduleFacts, SectionKind, State, Timeline, TimelineEvent,
};
use daybook_shared::ids::{AgentId, CustomerId, EntryId};
use daybook_shared::schedule::Instalment;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::exchange::Section;

use super::read::Member;
use crate::batch_row;
use crate::db::{Tx, batch};
use crate::portfolio::account::{self, AccountRow, Lock};

/// Promises shown of one account.
const PROMISES_SHOWN: usize = 5;
/// Events shown of one case.
const EVENTS_SHOWN: usize = 10;

batch_row! {
    struct Key { id: i64 => "bigint" }
}

#[derive(sqlx::FromRow)]
struct CustomerRow {
    id: i64,
    uid: CustomerId,
    name: String,
    phone: Option<String>,
    alt_phone: Option<String>,
    national_id_masked: Option<String>,
    language: Option<String>,
    address: Option<String>,
    lat_e6: Option<i64>,
    lon_e6: Option<i64>,
}

const SELECT_CUSTOMERS: &str =
    "select c.id, c.uid, c.name, c.phone, c.alt_phone, c.national_id_masked, c.language, c.address, c.lat_e6, c.lon_e6
     from v join customer c on c.id = v.id";
const SELECT_PROMISES: &str =
    "select p.account_id, p.entry_uid, p.amount_minor, p.promised_date, p.status, p.captured_at
     from v join promise p on p.account_id = v.id
     where p.entry_uid in (select q.entry_uid from promise q where q.account_id = v.id
       order by q.captured_at desc, q.entry_uid desc limit 5)";
const SELECT_EVENTS: &str = "select t.dossier_id, t.version, t.at, t.code, t.amount_minor, u.name
     from v join timeline_event t on t.dossier_id = v.id left join app_user u on u.id = t.user_id
     where t.version in (select s.version from timeline_event s where s.dossier_id = v.id
       order by s.at desc, s.version desc limit 10)";
const SELECT_AGENTS: &str = "select g.id, g.uid, g.code, g.name, g.outlet from v join agent g on g.id = v.id";

/// What the sections of some dossiers are rendered from.
#[derive(Default)]
struct Rows {
    accounts: BTreeMap<i64, AccountRow>,
    schedules: BTreeMap<i64, Vec<Instalment>>,
    customers: BTreeMap<i64, CustomerRow>,
    promises: BTreeMap<i64, Vec<(Timestamp, PromiseFact)>>,
    events: BTreeMap<i64, Vec<(i64, TimelineEvent)>>,
    agents: BTreeMap<i64, AgentProfile>,
}

/// The sections of these dossiers that are newer than what the phone has, by dossier key.
pub async fn newer(tx: &mut Tx, members: &[Member]) -> sqlx::Result<BTreeMap<i64, Vec<Section>>> {
    let rows = load(tx, members).await?;
    let mut sections: BTreeMap<i64, Vec<Section>> = BTreeMap::new();
    for member in members {
        for kind in SectionKind::ALL {
            if let Some(bytes) = member.wants(kind).then(|| render(&rows, member, kind)).flatten() {
                sections
                    .entry(member.dossier_id)
                    .or_default()
                    .push(Section { kind: kind.number(), bytes: bytes.into() });
            }
        }
    }
    Ok(sections)
}

async fn load(tx: &mut Tx, members: &[Member]) -> sqlx::Result<Rows> {
    let mut rows = Rows::default();
    let wanting = |kinds: &[SectionKind]| {
        let wanting = members.iter().filter(|member| kinds.iter().any(|kind| member.wants(*kind)));
        wanting.filter_map(|member| member.account_id).collect::<Vec<i64>>()
    };
    let accounts = wanting(&[SectionKind::Profile, SectionKind::Schedule, SectionKind::State]);
    let accounts = account::load_accounts(tx, &accounts, Lock::No).await?;
    let scheduled = wanting(&[SectionKind::Schedule]);
    let versions = accounts.iter().filter(|account| scheduled.contains(&account.id));
    let versions: Vec<_> = versions.map(|account| (account.id, account.schedule_version)).collect();
    rows.schedules = account::load_instalments(tx, &versions).await?;
    let profiled = wanting(&[SectionKind::Profile]);
    let customers = accounts.iter().filter(|account| profiled.contains(&account.id));
    let customers: std::collections::BTreeSet<_> = customers.map(|account| account.customer_id).collect();
    let keys: Vec<_> = customers.into_iter().map(|id| Key { id }).collect();
    let customers: Vec<CustomerRow> = batch::fetch(tx, &keys, SELECT_CUSTOMERS).await?;
    rows.customers = customers.into_iter().map(|row| (row.id, row)).collect();
    rows.accounts = accounts.into_iter().map(|row| (row.id, row)).collect();
    load_promises(tx, &wanting(&[SectionKind::Promises]), &mut rows).await?;
    let timelines = members.iter().filter(|member| member.wants(SectionKind::Timeline));
    load_events(tx, &timelines.map(|member| member.dossier_id).collect::<Vec<_>>(), &mut rows).await?;
    let agents =
        members.iter().filter(|member| member.wants(SectionKind::Profile)).filter_map(|member| member.agent_id);
    let agents: Vec<_> = agents.map(|id| Key { id }).collect();
    let agents: Vec<(i64, AgentId, String, String, Option<String>)> = batch::fetch(tx, &agents, SELECT_AGENTS).await?;
    let profile = |(id, agent, code, name, outlet)| (id, AgentProfile { agent, code, name, outlet });
    rows.agents = agents.into_iter().map(profile).collect();
    Ok(rows)
}

async fn load_promises(tx: &mut Tx, accounts: &[i64], rows: &mut Rows) -> sqlx::Result<()> {
    let keys: Vec<_> = accounts.iter().map(|&id| Key { id }).collect();
    let found: Vec<(i64, EntryId, i64, Date, String, Timestamp)> = batch::fetch(tx, &keys, SELECT_PROMISES).await?;
    for (account, id, amount_minor, promised_date, status, at) in found {
        let fact = PromiseFact { id, amount_minor, promised_date, status };
        rows.promises.entry(account).or_default().push((at, fact));
    }
    for promises in rows.promises.values_mut() {
        promises.sort_unstable_by_key(|(at, fact)| std::cmp::Reverse((*at, fact.id)));
        promises.truncate(PROMISES_SHOWN);
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct EventRow {
    dossier_id: i64,
    version: i64,
    at: Timestamp,
    code: String,
    amount_minor: Option<i64>,
    name: Option<String>,
}

async fn load_events(tx: &mut Tx, dossiers: &[i64], rows: &mut Rows) -> sqlx::Result<()> {
    let keys: Vec<_> = dossiers.iter().map(|&id| Key { id }).collect();
    let found: Vec<EventRow> = batch::fetch(tx, &keys, SELECT_EVENTS).await?;
    for EventRow { dossier_id, version, at, code, amount_minor, name: by } in found {
        rows.events.entry(dossier_id).or_default().push((version, TimelineEvent { at, code, amount_minor, by }));
    }
    for events in rows.events.values_mut() {
        // By when they happened, not by when they came: what a phone hands in late takes its place.
        events.sort_unstable_by_key(|(version, event)| std::cmp::Reverse((event.at, *version)));
        events.truncate(EVENTS_SHOWN);
    }
    Ok(())
}

/// One section as CBOR; none where the dossier has nothing of the kind.
fn render(rows: &Rows, member: &Member, kind: SectionKind) -> Option<Vec<u8>> {
    if let Some(agent) = member.agent_id {
        let profile = rows.agents.get(&agent).filter(|_| kind == SectionKind::Profile)?;
        return Some(cbor::to_vec(profile));
    }
    let account_id = member.account_id?;
    Some(match kind {
        SectionKind::Profile => cbor::to_vec(&profile(rows, rows.accounts.get(&account_id)?)?),
        SectionKind::Schedule => {
            let account = rows.accounts.get(&account_id)?;
            let lines = rows.schedules.get(&account_id)?.iter().map(Instalment::due_line).collect();
            let version = u32::try_from(account.schedule_version).ok()?;
            cbor::to_vec(&ScheduleFacts { version, disbursed_on: account.disbursed_on, lines })
        }
        SectionKind::State => cbor::to_vec(&state(rows.accounts.get(&account_id)?)),
        SectionKind::Promises => {
            let promises = rows.promises.get(&account_id)?;
            cbor::to_vec(&Promises(promises.iter().map(|(_, fact)| fact.clone()).collect()))
        }
        SectionKind::Timeline => {
            let events = rows.events.get(&member.dossier_id)?;
            cbor::to_vec(&Timeline(events.iter().map(|(_, event)| event.clone()).collect()))
        }
    })
}

fn profile(rows: &Rows, account: &AccountRow) -> Option<Profile> {
    let customer = rows.customers.get(&account.customer_id)?;
    let phones = [&customer.phone, &customer.alt_phone];
    Some(Profile {
        account: account.uid,
        customer: customer.uid,
        account_number: account.number.clone(),
        customer_name: customer.name.clone(),
        phones: phones.into_iter().flatten().cloned().collect(),
        national_id_masked: customer.national_id_masked.clone(),
        language: customer.language.clone(),
        address: customer.address.clone(),
        lat_e6: customer.lat_e6.and_then(|e6| i32::try_from(e6).ok()),
        lon_e6: customer.lon_e6.and_then(|e6| i32::try_from(e6).ok()),
        product: account.product.clone(),
        currency: account.currency,
    })
}

fn state(account: &AccountRow) -> State {
    State {
        status: account.status_text(),
        outstanding: account.outstanding(),
        paid_minor: account.paid_minor,
        credit_minor: account.credit_minor,
        oldest_unmet_due: account.oldest_unmet_due,
        last_paid_on: account.last_value_date,
        last_paid_minor: account.last_paid_minor,
        stage: account.stage.to_string(),
    }
}
