//! What there is before a story begins: units, people, caseloads, accounts, agents.

use daybook_mobile_sync::enrol;
use daybook_server::audit::Actor;
use daybook_server::auth::caseloads::{self, Caseload, CaseloadAudience, Membership};
use daybook_server::auth::customers;
use daybook_server::auth::units::{self, Unit, UnitKind};
use daybook_server::auth::users::{self, Holding, NewUser, UserRow};
use daybook_server::auth::{Role, device, enrolment, lease, token};
use daybook_server::ledger::posting;
use daybook_server::on_db;
use daybook_server::portfolio::account::Stage;
use daybook_server::portfolio::assign;
use daybook_server::portfolio::dossier::{self, NewDossier};
use daybook_server::portfolio::opening::{self, NewAccount, NewCustomer};
use daybook_shared::ids::{AccountId, AgentId, CustomerId, DossierId, UserId};
use daybook_shared::money::Currency;
use daybook_shared::schedule::DueLine;

use super::world::{Acc, Account, On, Person, Who, World};
use daybook_server::portfolio::allocation::Waterfall;

/// The lender's currency.
pub const KES: Currency = Currency::new(*b"KES").expect("three capital letters");

/// What an account owes: equal instalments, monthly, the first a month after it began.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// How many.
    pub count: u16,
    /// Principal of each, minor units.
    pub principal: i64,
    /// Interest of each, minor units.
    pub interest: i64,
    /// How many days ago it began.
    pub days_ago: i32,
}

impl Terms {
    /// So many instalments of KES 10.00, a tenth of it interest, begun 45 days ago.
    pub fn months(count: u16) -> Self {
        Self { count, principal: 900, interest: 100, days_ago: 45 }
    }
}

impl World {
    /// The lender's own unit.
    pub(super) fn open_unit(&mut self) -> i64 {
        self.server.write(async |app, tx| {
            let by = (app.now(), &app.rng);
            let unit = units::create(tx, by, Actor::OPERATOR, None, (UnitKind::Company, "Lender")).await;
            unit.expect("a unit can be made").id
        })
    }

    fn root(&self) -> Unit {
        self.server.read(async |_, tx| units::root(tx).await.expect("units can be read").expect("there is a root"))
    }

    /// A person with a role, without phone or caseload.
    pub fn person(&mut self, name: &str, role: Role) -> Who {
        let root = self.root();
        let login = name.to_lowercase();
        let user = self.server.write(async |app, tx| {
            let by = (app.now(), &app.rng);
            if role == Role::Customer {
                let uid = app.rng.with(|rng| CustomerId::new(app.now(), rng));
                let new = customers::NewCustomer { uid, name, phone: None, unit_id: Some(root.id) };
                let customer = customers::create(tx, new).await.expect("a customer can be made");
                return customers::login(tx, by, customer).await.expect("a login can be made");
            }
            let new = NewUser { login: &login, name, password_hash: "none".to_owned() };
            let user = users::create(tx, by, Actor::OPERATOR, new).await.expect("a user can be made");
            let held = (role, &root, Holding::Held);
            users::set_role(tx, app.now(), Actor::OPERATOR, &user, held).await.expect("a role can be given");
            user
        });
        self.people.push(Person { name: name.to_owned(), id: user.id, uid: user.uid, caseload: None });
        Who(self.people.len() - 1)
    }

    /// The id of a person who is a customer.
    pub fn customer_id(&self, who: Who) -> CustomerId {
        let sql = "select u.uid, c.uid from app_user u join customer c on c.id = u.customer_id";
        let rows = self.server.rows::<(UserId, CustomerId)>(sql);
        let user = self.people[who.0].uid;
        rows.into_iter().find(|row| row.0 == user).expect("he is a customer").1
    }

    /// Gives a person one more role.
    pub fn give_role(&mut self, who: Who, role: Role) {
        let (root, user) = (self.root(), self.user_row(who));
        self.server.write(async |app, tx| {
            let held = (role, &root, Holding::Held);
            users::set_role(tx, app.now(), Actor::OPERATOR, &user, held).await.expect("a role can be given");
        });
    }

    /// A field officer with a caseload and an enrolled phone that has synced once.
    pub fn officer(&mut self, name: &str) -> (Who, On) {
        let who = self.person(name, Role::Officer);
        self.caseload(who, CaseloadAudience::Officer);
        let on = self.enrolled(who);
        self.sync(on);
        (who, on)
    }

    /// A supervisor who signs in online.
    pub fn supervisor(&mut self, name: &str) -> Who {
        self.person(name, Role::Supervisor)
    }

    /// Makes a caseload and gives it to somebody.
    pub fn caseload(&mut self, holder: Who, audience: CaseloadAudience) {
        let root = self.root();
        let name = format!("{}'s", self.people[holder.0].name);
        let made = self.server.write(async |app, tx| {
            let by = (app.now(), &app.rng);
            let made = caseloads::create(tx, by, Actor::OPERATOR, &root, (&name, audience)).await;
            made.expect("a caseload can be made")
        });
        self.people[holder.0].caseload = Some((made.id, made.uid));
        self.set_member(holder, holder, Membership::Member);
    }

    /// Gives the caseload made for one person to another, or takes it away.
    pub fn set_member(&mut self, of: Who, user: Who, membership: Membership) {
        let (id, uid) = self.people[of.0].caseload.expect("invariant: only officers' caseloads are given");
        let unit = self.root().uid;
        let caseload = Caseload { id, uid, name: String::new(), audience: CaseloadAudience::Officer, unit };
        let user = self.user_row(user);
        self.server.write(async |app, tx| {
            let set = caseloads::set_member(tx, app.now(), Actor::OPERATOR, &caseload, (&user, membership)).await;
            set.expect("members can be set");
        });
    }

    /// A person's row.
    pub fn user_row(&self, who: Who) -> UserRow {
        let login = self.people[who.0].name.to_lowercase();
        self.server
            .read(async |_, tx| users::by_login(tx, &login).await.expect("users can be read").expect("the user exists"))
    }

    /// An access token.
    pub fn token(&self, who: Who) -> String {
        token::issue(self.server.app(), self.people[who.0].uid, self.now())
    }

    /// A new code with which a phone becomes a person's device.
    pub fn enrolment_code(&self, who: Who) -> String {
        let user = self.user_row(who);
        self.server.write(async |app, tx| {
            let issued = enrolment::issue_code(tx, app.now(), app, Actor::OPERATOR, &user).await;
            issued.expect("a code can be issued").code
        })
    }

    /// Ends a person's access.
    pub fn deactivate(&mut self, who: Who) {
        let user = self.user_row(who);
        self.server.write(async |app, tx| {
            users::deactivate(tx, app.now(), Actor::OPERATOR, &user).await.expect("a user can be deactivated");
        });
    }

    /// Its user logs in on a phone: a new lease, without the seconds that a password's hash takes.
    pub fn log_in_again(&mut self, on: On) {
        let uid = self.device(on);
        let lease = self.server.read(async |app, tx| {
            let device = device::find(tx, uid).await.expect("devices can be read").expect("the device exists");
            lease::issue(app, device.holder().expect("a device has a key"), app.now())
        });
        let body = serde_json::json!({ "lease": lease }).to_string();
        let store = self.phones[on.0].store_mut();
        enrol::accept_lease(store, (200, body.as_bytes()), &mut self.rng).expect("a lease is taken");
    }

    /// Retires a phone, or notes its loss.
    pub fn end_device(&mut self, on: On, ending: device::Ending) {
        let uid = self.device(on);
        self.server.write(async |app, tx| {
            let device = device::find(tx, uid).await.expect("devices can be read").expect("the device exists");
            device::end(tx, app.now(), Actor::OPERATOR, &device, ending).await.expect("a device can be ended");
        });
    }

    /// An account in an officer's caseload.
    pub fn account(&mut self, officer: Who, terms: Terms) -> Acc {
        let uid = AccountId::new(self.now(), &mut self.rng);
        self.account_as(uid, officer, terms)
    }

    /// An account with this id in an officer's caseload.
    pub fn account_as(&mut self, uid: AccountId, officer: Who, terms: Terms) -> Acc {
        let number = self.accounts.len() + 1;
        let (now, began) = (self.now(), self.today().plus_days(-terms.days_ago));
        let customer = CustomerId::new(now, &mut self.rng);
        let lines = (1..=terms.count).map(|n| DueLine {
            n,
            due_date: began.plus_days(30 * i32::from(n)),
            principal: terms.principal,
            interest: terms.interest,
            fee: 0,
            penalty: 0,
        });
        let account = NewAccount {
            uid,
            number: format!("A-{number:04}"),
            customer: NewCustomer {
                uid: customer,
                name: format!("Customer {number}"),
                phone: Some(format!("+2547000{number:05}")),
                national_id_masked: None,
                language: None,
                address: Some("Kibera, stage 8".to_owned()),
                lat_e6: Some(-1_311_000),
                lon_e6: Some(36_788_000),
            },
            unit_id: self.unit,
            product: "Smartphone".to_owned(),
            currency: KES,
            disbursed_on: began,
            stage: Stage::Field,
            lines: lines.collect(),
            waterfall: Waterfall::default(),
        };
        let opened = self.server.write(async |app, tx| {
            let opened = opening::open(tx, app.now(), vec![account], posting::activation).await;
            opened.expect("an account can be opened")[&uid]
        });
        let dossier = DossierId::case(uid);
        let (id, customer, dossier_id) = (opened.account, opened.customer, opened.dossier);
        self.accounts.push(Account { uid, id, customer, dossier_id, dossier });
        let acc = Acc(self.accounts.len() - 1);
        self.assign(acc, Some(officer));
        acc
    }

    /// Gives a case to an officer's caseload, or takes it out of any.
    pub fn assign(&mut self, acc: Acc, to: Option<Who>) {
        let dossier = self.accounts[acc.0].dossier_id;
        self.assign_dossier(dossier, to);
    }

    /// Gives a dossier (by row key) to an officer's caseload, or takes it out of any.
    pub fn assign_dossier(&mut self, dossier: i64, to: Option<Who>) {
        let caseload = to.and_then(|to| self.people[to.0].caseload).map(|(id, _)| id);
        self.server.write(async |app, tx| {
            assign::assign(tx, app.now(), None, &[(dossier, caseload)]).await.expect("a dossier can be assigned");
        });
    }

    /// A mobile-money agent whose file is in an officer's caseload.
    pub fn agent(&mut self, officer: Who) -> AgentId {
        let now = self.now();
        let uid = AgentId::new(now, &mut self.rng);
        let (year, month, _) = self.today().ymd();
        let quarter = u8::try_from((month - 1) / 3 + 1).expect("a month is 1 to 12");
        let code = format!("AG-{}", self.agents.len() + 1);
        let dossier = self.server.write(async |_, tx| {
            let id: i64 = on_db!(&mut *tx, conn => {
                sqlx::query_scalar("insert into agent (uid, code, name, outlet) values ($1, $2, $3, null) returning id")
                    .bind(uid)
                    .bind(&code)
                    .bind("Mama Njeri")
                    .fetch_one(conn)
                    .await
            })
            .expect("an agent can be added");
            let made = dossier::insert(tx, &[NewDossier::agent(uid, id, (year, quarter))]).await;
            made.expect("a dossier can be opened")[&DossierId::agent(uid, year, quarter)]
        });
        self.agents.push((uid, dossier));
        self.assign_dossier(dossier, Some(officer));
        uid
    }
}
