//! What the office does in a storm: it moves cases, caseloads, people and devices about, and decides.

use daybook_server::auth::caseloads::Membership;
use daybook_server::auth::device::Ending;
use daybook_shared::ids::EntryId;
use daybook_shared::wire::outcome::OutcomeState;
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use serde_json::json;

use super::server::Answer;
use super::workload::Work;
use super::world::{Acc, On, World};

impl Work {
    /// The office does something.
    pub fn office(&mut self, world: &mut World) {
        match world.rng.random_range(0..100) {
            0..35 => self.reassign(world),
            35..45 => self.swap_caseload(world),
            45..60 => self.rule_on_held(world),
            60..70 => self.reverse(world),
            70..75 => self.count(world),
            75..88 => self.write_online(world),
            88..92 => {
                let days = world.rng.random_range(1..4);
                world.pass_days(days);
            }
            92..95 if self.is_late => self.deactivate(world),
            95..98 if self.is_late => self.end_device(world),
            _ => self.move_agent(world),
        }
    }

    fn move_agent(&self, world: &mut World) {
        let agent = world.agents.choose(&mut world.rng).map(|(_, dossier)| *dossier);
        let to = self.officers.choose(&mut world.rng).copied();
        if let Some(dossier) = agent {
            world.assign_dossier(dossier, to);
        }
    }

    /// A supervisor releases or rejects something that is held; whether it may be is the server's to say.
    fn rule_on_held(&self, world: &mut World) {
        let held = world.entries().into_iter().filter(|(_, entry)| entry.outcome.state == OutcomeState::Held);
        let held: Vec<_> = held.map(|(id, _)| id).collect();
        let Some(entry) = held.choose(&mut world.rng).copied() else { return };
        let supervisor = self.deciders[0];
        let answer = match world.rng.random_range(0..4) {
            0 => world.reject(supervisor, entry, "REJECTED"),
            1 => {
                let receipt = format!("OFFICE-{:06}", world.rng.random_range(0..900_000));
                world.release(supervisor, entry, json!({ "receipt": receipt }))
            }
            2 => {
                let account = world.accounts.choose(&mut world.rng).map(|account| account.uid);
                world.release(supervisor, entry, json!({ "account": account }))
            }
            _ => world.release(supervisor, entry, json!({})),
        };
        expect_decision(world, "held", entry, &answer);
    }

    fn reverse(&self, world: &mut World) {
        let posted = world.entries().into_iter().filter(|(_, entry)| entry.outcome.state == OutcomeState::Posted);
        let posted: Vec<_> = posted.map(|(id, _)| id).collect();
        let Some(entry) = posted.choose(&mut world.rng).copied() else { return };
        let answer = world.reverse(self.deciders[0], entry);
        expect_decision(world, "reversal", entry, &answer);
    }

    fn count(&self, world: &mut World) {
        let Some(officer) = self.officers.choose(&mut world.rng).copied() else { return };
        let minor = world.rng.random_range(1..5_000);
        let answer = world.count(self.deciders[1], officer, minor, None);
        assert_eq!(answer.status, 204, "a count: {}", answer.json());
    }

    fn write_online(&self, world: &mut World) {
        let Some(account) = world.accounts.choose(&mut world.rng).copied() else { return };
        let edit = match world.rng.random_range(0..3) {
            0 => json!([{ "note_splice": { "at": 0, "insert": "online " } }]),
            1 => json!([{ "add_tag": format!("t{}", world.rng.random_range(0..8)) }]),
            _ => json!([{ "instruction": format!("Call first, {}.", world.rng.random_range(0..100)) }]),
        };
        let answer = world.edit_online(self.deciders[0], account.dossier, &edit);
        assert_eq!(answer.status, 200, "an edit: {}", answer.json());
        world.note(format!("online: {edit} on {}", account.dossier));
    }

    /// Half of the moves take a case that moved before, so that cases come back.
    fn reassign(&mut self, world: &mut World) {
        let moved = self.moved.choose(&mut world.rng).copied().filter(|_| world.rng.random_ratio(1, 2));
        let acc = moved.unwrap_or_else(|| Acc(world.rng.random_range(0..world.accounts.len())));
        let to = self.officers.choose(&mut world.rng).copied().filter(|_| !world.rng.random_ratio(1, 8));
        world.note(format!("case {} goes to {to:?}", world.accounts[acc.0].dossier));
        let answer = world.reassign(self.deciders[0], acc, to);
        assert_eq!(answer.status, 204, "an assignment: {}", answer.json());
        self.moved.push(acc);
    }

    /// A whole caseload is taken away, or given to somebody.
    fn swap_caseload(&self, world: &mut World) {
        let (Some(of), Some(user)) =
            (self.officers.choose(&mut world.rng).copied(), self.officers.choose(&mut world.rng).copied())
        else {
            return;
        };
        let membership = if world.rng.random_ratio(1, 2) { Membership::Gone } else { Membership::Member };
        world.note(format!("the caseload of {of:?}: {user:?} is {membership:?}"));
        world.set_member(of, user, membership);
    }

    fn deactivate(&mut self, world: &mut World) {
        if self.ended.0.is_empty() && self.officers.len() > 2 {
            let who = self.officers[world.rng.random_range(1..self.officers.len())];
            world.note(format!("{who:?} is deactivated"));
            world.deactivate(who);
            self.ended.0.push(who);
        }
    }

    fn end_device(&mut self, world: &mut World) {
        if self.ended.1.is_empty() && world.phones.len() > 2 {
            let on = On(world.rng.random_range(1..world.phones.len()));
            let ending = if world.rng.random_ratio(1, 2) { Ending::Loss } else { Ending::Retirement };
            world.note(format!("{}: {ending:?}", world.phones[on.0].name));
            world.end_device(on, ending);
            self.ended.1.push(on);
        }
    }
}

/// A decision is made, or refused for a reason of the business; it never fails.
fn expect_decision(world: &mut World, what: &str, subject: EntryId, answer: &Answer) {
    world.note(format!("{what} of {subject}: {} {}", answer.status, answer.code()));
    assert!(matches!(answer.status, 204 | 404 | 409 | 422), "{what} of {subject}: {}", answer.json());
}
