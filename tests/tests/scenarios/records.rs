//! Records without money: each is noted, kept in its table, told and shown; what is confidential is read
//! by its author and by who reviews; a record in the wrong place waits; and S36, S40 for them.

use axum::http::Method;
use daybook_mobile_sync::view::EntryView;
use daybook_server::auth::caseloads::Membership;
use daybook_shared::entry::{Body, ComplaintKind, Entry, EntryType, IssueCategory, IssueEvent};
use daybook_shared::ids::{AgentId, DossierId, EntryId};
use daybook_tests::records::{self, About};
use daybook_tests::sim::phone::Wall;
use daybook_tests::sim::raw::{Raw, Verdicts};
use daybook_tests::sim::says::words;
use daybook_tests::sim::{Acc, On, Terms, Who, World, forge};
use serde_json::{Value, json};

use crate::on_every_engine;

/// What records of this moment are about.
pub fn about(world: &mut World, acc: Acc, agent: AgentId) -> About {
    let (at, today, account) = (world.now(), world.today(), world.accounts[acc.0].uid);
    let issue = EntryId::new(at, &mut world.rng);
    About { account, agent, issue, link: issue, at, today }
}

fn record(world: &mut World, on: On, about: About, body: Body) -> EntryId {
    world.record(on, records::draft(body, about.account))
}

/// The rows of a table.
fn count(world: &World, table: &str) -> i64 {
    let rows: Vec<(i64,)> = world.server.rows(&format!("select cast(count(*) as bigint) from {table}"));
    rows[0].0
}

/// Verdicts in words. (A device that sends nothing but envelopes cannot prove its time.)
fn without_flags(verdicts: &Verdicts) -> Vec<String> {
    let bare = |outcome| words(outcome).split(' ').next().unwrap_or_default().to_owned();
    verdicts.outcomes.iter().map(bare).collect()
}

fn own_day(world: &World, who: Who) -> DossierId {
    DossierId::day(world.people[who.0].uid, world.today())
}

/// Ids of a dossier's entries on a phone.
fn held(world: &World, on: On, dossier: DossierId) -> Vec<EntryId> {
    let entries = world.phone(on).store().entries_of(dossier).unwrap();
    entries.into_iter().map(|(id, ..)| id).collect()
}

/// What a person is shown of a dossier online: type and outcome of each entry.
fn online(world: &World, who: Who, dossier: DossierId) -> Vec<String> {
    let answer = world.rest(who, Method::GET, &format!("/v1/dossiers/{dossier}"), &Value::Null);
    assert_eq!(answer.status, 200, "{}", answer.json());
    let entries = answer.json()["entries"].as_array().unwrap().clone();
    let text =
        |entry: &Value| format!("{} {}", entry["entry_type"].as_str().unwrap(), entry["outcome"].as_str().unwrap());
    entries.iter().map(text).collect()
}

#[test]
fn every_record_is_noted_kept_told_and_shown() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        world.set_member(amina, barasa, Membership::Member);
        let acc = world.account(amina, Terms::months(3));
        let agent = world.agent(amina);
        world.settle(&[on, other]);
        // When one of each is captured, the report of the issue before its event.
        let mut about = about(&mut world, acc, agent);
        let mut captured = Vec::new();
        for (name, body) in records::each(about) {
            let body = match body {
                Body::IssueEvent(event) => Body::IssueEvent(IssueEvent { issue: about.issue, ..event }),
                body => body,
            };
            let id = record(&mut world, on, about, body);
            if name == "issue_report" {
                about.issue = id;
            }
            captured.push((name, id));
        }
        let moment = world.phone(on).moment(world.now());
        let case = world.accounts[acc.0].dossier;
        let shown = |world: &World, on: On| -> Vec<EntryView> {
            let view = world.phone(on).store().view(moment).unwrap();
            let mut all = view.case(case).unwrap().unwrap().entries;
            all.extend(view.agent(agent).unwrap().unwrap().entries);
            all.extend(view.day(view.today()).unwrap().entries);
            all
        };
        let before = shown(&world, on);
        assert_eq!(before.len(), captured.len());
        assert!(before.iter().all(|entry| entry.state == "pending" && entry.text.len() > 10), "{before:?}");
        world.settle(&[on, other]);
        // Then each is noted, has its row, and is shown to the other holder of the caseload.
        for (table, id) in &captured {
            assert_eq!(world.outcome(*id), "noted", "{table}");
            assert_eq!(count(&world, table), 1, "{table}");
        }
        assert!(shown(&world, on).iter().all(|entry| entry.state == "noted"));
        let view = world.phone(other).store().view(moment).unwrap();
        let told: Vec<_> = view.case(case).unwrap().unwrap().timeline.into_iter().map(|event| event.code).collect();
        assert_eq!(told, ["CASE_HANDOVER", "COMPLAINT", "CONTACT_UPDATE", "CALL_ATTEMPT"]);
        assert_eq!(view.case(case).unwrap().unwrap().entries.len(), 4);
        assert_eq!(view.agents().unwrap().len(), 1);
        assert_eq!(view.agent(agent).unwrap().unwrap().entries.len(), 5);
        assert_eq!(held(&world, other, own_day(&world, amina)).len(), 3);
        let cases = ["CASE_HANDOVER noted", "COMPLAINT noted", "CONTACT_UPDATE noted", "CALL_ATTEMPT noted"];
        assert_eq!(online(&world, deka, case), cases);
        assert_eq!(online(&world, deka, own_day(&world, amina)).len(), 3);
        world.check_all(&[on, other]);
    });
}

#[test]
fn a_confidential_record_is_read_by_its_author_and_by_who_reviews() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        world.set_member(amina, barasa, Membership::Member);
        let acc = world.account(amina, Terms::months(3));
        let agent = world.agent(amina);
        let second = world.enrolled(amina);
        world.settle(&[on, other, second]);
        // Given what the phone puts into its officer's day by itself, and an event of a report there.
        let about = about(&mut world, acc, agent);
        let complaint =
            record(&mut world, on, about, Body::Complaint(records::complaint(about, ComplaintKind::Conduct)));
        let report =
            record(&mut world, on, about, Body::IssueReport(records::issue_report(about, IssueCategory::Fraud)));
        let event = IssueEvent { issue: report, ..records::issue_event(about) };
        let event = record(&mut world, on, about, Body::IssueEvent(event));
        let stop = record(&mut world, on, about, Body::StopEvent(records::stop_event(about)));
        world.settle(&[on, other, second]);
        let day = own_day(&world, amina);
        for id in [complaint, report, event, stop] {
            assert_eq!(world.outcome(id), "noted");
            assert!(held(&world, on, day).contains(&id) && held(&world, second, day).contains(&id));
        }
        // Then a colleague who holds the day gets the rest of it, and no case says a word.
        let mut rest = [event, stop];
        rest.sort_unstable();
        let mut theirs = held(&world, other, day);
        theirs.sort_unstable();
        assert_eq!(theirs, rest);
        let moment = world.phone(other).moment(world.now());
        let case =
            world.phone(other).store().view(moment).unwrap().case(world.accounts[acc.0].dossier).unwrap().unwrap();
        assert!(case.timeline.is_empty() && case.entries.is_empty());
        assert_eq!(online(&world, barasa, day).len(), 2);
        assert_eq!(online(&world, amina, day).len(), 4);
        assert_eq!(online(&world, deka, day).len(), 4);
        world.check_all(&[on, other, second]);
    });
}

#[test]
fn a_conduct_complaint_that_an_app_put_into_the_case_is_held_and_shown_to_nobody_else() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let (barasa, other) = world.officer("Barasa");
        let deka = world.supervisor("Deka");
        world.set_member(amina, barasa, Membership::Member);
        let acc = world.account(amina, Terms::months(3));
        let agent = world.agent(amina);
        world.settle(&[on, other]);
        let mut raw = Raw::of(&world, on);
        let about = about(&mut world, acc, agent);
        let case = world.accounts[acc.0].dossier;
        let head = forge::head(&mut world, &raw, acc, EntryType::Complaint);
        let entry = Entry { head, body: Body::Complaint(records::complaint(about, ComplaintKind::Conduct)) };
        let verdicts = raw.upload(&world, &[entry.encode()], Vec::new());
        assert_eq!(words(&verdicts.outcomes[0]), "held(WRONG_DOSSIER)");
        let unseen = |world: &mut World| {
            world.settle(&[other]);
            assert!(held(world, other, case).is_empty());
            assert!(online(world, barasa, case).is_empty());
        };
        unseen(&mut world);
        // It waits for a person, who lets it stand; nobody else sees it then either.
        let listed = world.rest(deka, Method::GET, "/v1/held", &Value::Null).json();
        assert_eq!(listed["items"][0]["reason"], "WRONG_DOSSIER", "{listed}");
        assert_eq!(world.release(deka, entry.head.id, json!({})).status, 204);
        assert_eq!(world.outcome(entry.head.id), "noted RELEASED");
        assert_eq!((count(&world, "complaint"), count(&world, "timeline_event")), (1, 0));
        unseen(&mut world);
        world.check_all(&[other]);
    });
}

const WRONG: &str = "held(WRONG_DOSSIER)";
const UNKNOWN: &str = "held(UNKNOWN_ACCOUNT)";
const RELEASED: u16 = 204;
const STAYS_HELD: u16 = 409;

/// A record in a dossier, what the server says, and what a release comes to.
type Misplaced = (&'static str, DossierId, Body, &'static str, u16);

/// Records that are not at home; `nobodys` are about what does not exist, `elsewhere` about another account.
fn misplaced([about, nobodys, elsewhere]: [About; 3], [case, day, file]: [DossierId; 3]) -> Vec<Misplaced> {
    let complaint = |about, kind| Body::Complaint(records::complaint(about, kind));
    let fraud = records::issue_report(about, IssueCategory::Fraud);
    let fee = ComplaintKind::Fee;
    vec![
        ("a call in a day", day, Body::CallAttempt(records::call_attempt(about)), WRONG, STAYS_HELD),
        ("a contact in a file", file, Body::ContactUpdate(records::contact_update()), WRONG, STAYS_HELD),
        ("a case hand-over in a day", day, Body::CaseHandover(records::case_handover()), WRONG, STAYS_HELD),
        ("a complaint in another case", case, complaint(elsewhere, fee.clone()), WRONG, RELEASED),
        ("a complaint in a day", day, complaint(about, fee), WRONG, RELEASED),
        ("a complaint of nobody's", day, complaint(nobodys, ComplaintKind::Conduct), UNKNOWN, STAYS_HELD),
        ("a stop in a case", case, Body::StopEvent(records::stop_event(about)), WRONG, RELEASED),
        ("a device event in a case", case, Body::DeviceEvent(records::device_event(about)), WRONG, RELEASED),
        ("a registration in a case", case, Body::AgentRegistration(records::agent_registration()), WRONG, RELEASED),
        ("a weekly contact in a case", case, Body::WeeklyContact(records::weekly_contact(about)), WRONG, RELEASED),
        ("a float check in a day", day, Body::FloatCheck(records::float_check(about)), WRONG, RELEASED),
        ("a float check of nobody", day, Body::FloatCheck(records::float_check(nobodys)), UNKNOWN, STAYS_HELD),
        ("nobody's training in a file", file, Body::Training(records::training(nobodys)), UNKNOWN, STAYS_HELD),
        ("fraud in the agent's file", file, Body::IssueReport(fraud), WRONG, RELEASED),
        ("an event in a case", case, Body::IssueEvent(records::issue_event(about)), WRONG, STAYS_HELD),
    ]
}

#[test]
fn a_record_in_the_wrong_place_waits_and_is_released_where_it_says_what_it_is_about() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let deka = world.supervisor("Deka");
        let (acc, other) = (world.account(amina, Terms::months(3)), world.account(amina, Terms::months(3)));
        let agent = world.agent(amina);
        world.settle(&[on]);
        let mut raw = Raw::of(&world, on);
        let about = about(&mut world, acc, agent);
        let nobodys = About { agent: AgentId::from([9; 16]), account: [9; 16].into(), ..about };
        let elsewhere = About { account: world.accounts[other.0].uid, ..about };
        let dossiers = [world.accounts[acc.0].dossier, own_day(&world, amina), DossierId::agent(agent, 2027, 1)];
        for (what, dossier, body, expected, released) in misplaced([about, nobodys, elsewhere], dossiers) {
            let mut head = forge::head_in(&mut world, &raw, dossier, body.entry_type().unwrap());
            head.gps = Some(records::GPS);
            let entry = Entry { head, body };
            let verdicts = raw.upload(&world, &[entry.encode()], Vec::new());
            assert_eq!(without_flags(&verdicts), [expected], "{what}");
            assert_eq!(world.release(deka, entry.head.id, json!({})).status, released, "{what}");
            let now = if released == RELEASED { "noted RELEASED" } else { expected };
            assert!(world.outcome(entry.head.id).starts_with(now), "{what}");
        }
        let fresh = world.enrolled(amina);
        world.settle(&[fresh]);
        world.check_all(&[fresh]);
    });
}

#[test]
fn s36_an_event_that_comes_before_its_report_waits_for_it() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        let (agent, stranger) = (world.agent(amina), world.agent(amina));
        world.settle(&[on]);
        let visit = world.visit(on, acc);
        world.sync(on);
        let mut raw = Raw::of(&world, on);
        let about = about(&mut world, acc, agent);
        let file = DossierId::agent(agent, 2027, 1);
        let made = |world: &mut World, raw: &Raw, body: Body| {
            let head = forge::head_in(world, raw, file, body.entry_type().unwrap());
            Entry { head, body }
        };
        let report = made(&mut world, &raw, Body::IssueReport(records::issue_report(about, IssueCategory::Float)));
        let event = |world: &mut World, raw: &Raw, issue: EntryId| {
            made(world, raw, Body::IssueEvent(IssueEvent { issue, ..records::issue_event(about) }))
        };
        let (early, wrong) = (event(&mut world, &raw, report.head.id), event(&mut world, &raw, visit));
        let verdicts = raw.upload(&world, &[early.encode(), wrong.encode()], Vec::new());
        assert_eq!(without_flags(&verdicts), ["held(MISSING_REF)", "refused(WRONG_REF)"]);
        assert_eq!(count(&world, "issue_event"), 0);
        // When the report comes, in an envelope of its own.
        raw.upload(&world, &[report.encode()], Vec::new());
        assert!(world.outcome(report.head.id).starts_with("noted"));
        assert!(world.outcome(early.head.id).starts_with("noted"));
        assert_eq!((count(&world, "issue_event"), count(&world, "waiting")), (1, 0));
        // Within one envelope the order does not matter; another agent's report is none.
        let second = made(&mut world, &raw, Body::IssueReport(records::issue_report(about, IssueCategory::App)));
        let before = event(&mut world, &raw, second.head.id);
        let about_stranger = About { agent: stranger, ..about };
        let body = Body::IssueEvent(IssueEvent { issue: second.head.id, ..records::issue_event(about_stranger) });
        let theirs = DossierId::agent(stranger, 2027, 1);
        let theirs = Entry { head: forge::head_in(&mut world, &raw, theirs, EntryType::IssueEvent), body };
        let verdicts = raw.upload(&world, &[before.encode(), second.encode(), theirs.encode()], Vec::new());
        assert_eq!(without_flags(&verdicts), ["noted", "noted", "refused(WRONG_REF)"]);
        let fresh = world.enrolled(amina);
        world.settle(&[fresh]);
        world.check_all(&[fresh]);
    });
}

#[test]
fn s40_a_weekly_contact_of_sunday_night_counts_for_its_week_whatever_the_phones_clock_says() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        let agent = world.agent(amina);
        world.settle(&[on]);
        // Given a Sunday at 23:50 in Nairobi, offline: 2027-03-07 is in week 9.
        let sunday: daybook_shared::time::Timestamp = "2027-03-07T20:50:00Z".parse().unwrap();
        world.pass_ms(sunday.ms_since(world.now()));
        // And a phone whose clock was set a month ahead since it heard the server.
        world.phones[on.0].set_wall(Wall::Off(30 * daybook_shared::time::DAY_MS));
        let about = about(&mut world, acc, agent);
        let contact = record(&mut world, on, about, Body::WeeklyContact(records::weekly_contact(about)));
        // When it syncs on Tuesday.
        world.pass_days(2);
        world.sync(on);
        assert!(world.outcome(contact).starts_with("noted"), "{}", world.outcome(contact));
        let weeks: Vec<(i64, i64)> = world.server.rows("select iso_year, iso_week from weekly_contact");
        assert_eq!(weeks, [(2027, 9)]);
        world.settle(&[on]);
        world.check_all(&[on]);
    });
}

#[test]
fn an_agents_file_that_a_phone_opens_says_who_the_agent_is() {
    on_every_engine(|mut world| {
        let (amina, on) = world.officer("Amina");
        let acc = world.account(amina, Terms::months(3));
        let agent = world.agent(amina);
        world.settle(&[on]);
        // Given the next quarter, of which the office has opened no file.
        world.pass_days(40);
        world.log_in_again(on);
        let about = about(&mut world, acc, agent);
        let check = record(&mut world, on, about, Body::FloatCheck(records::float_check(about)));
        let file = DossierId::agent(agent, 2027, 2);
        let moment = world.phone(on).moment(world.now());
        let of_agent = |world: &World, on: On| {
            let view = world.phone(on).store().view(moment).unwrap();
            view.agent(agent).unwrap().unwrap().entries.len()
        };
        assert_eq!(of_agent(&world, on), 1, "it is shown with the agent before the office knows of it");
        world.settle(&[on]);
        assert_eq!(world.outcome(check), "noted");
        // Then its profile comes, to this phone and to a new one.
        let fresh = world.enrolled(amina);
        world.settle(&[fresh]);
        for on in [on, fresh] {
            let facts = world.phone(on).store().facts_of(file).unwrap();
            assert_eq!(facts.len(), 1, "{facts:?}");
            assert_eq!(of_agent(&world, on), 1);
        }
        world.check_all(&[on, fresh]);
    });
}
