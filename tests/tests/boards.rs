//! Two phones and an online user edit the note, tags and tasks of one board, in any order, with a
//! change put aside in between: all converge, nothing that was typed is lost, keys stay with their
//! owners.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use daybook_mobile_sync::Event;
use daybook_mobile_sync::capture::EditBoardError;
use daybook_server::auth::caseloads::Membership;
use daybook_shared::board::{BoardKey, BoardView, Edit, EditError};
use daybook_tests::sim::phone::Step;
use daybook_tests::sim::upload::first_frame_bytes;
use daybook_tests::sim::{Acc, Engine, On, Terms, Who, World};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// What somebody does next.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A phone writes a word into the note, in front or at the end.
    Note(usize, bool),
    /// A phone adds a tag.
    Tag(usize),
    /// A phone adds a task.
    Task(usize),
    /// A phone marks the first task done.
    Done(usize),
    /// A phone tries to write the supervisor's instruction.
    Overreach(usize),
    /// A phone syncs.
    Sync(usize),
    /// The supervisor writes online: note, tag, task or instruction.
    Online(u8),
    /// The case leaves and comes back while a phone, which heard of neither, writes.
    PutAside(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let phone = 0..2_usize;
    prop_oneof![
        4 => (phone.clone(), any::<bool>()).prop_map(|(on, front)| Act::Note(on, front)),
        2 => phone.clone().prop_map(Act::Tag),
        2 => phone.clone().prop_map(Act::Task),
        1 => phone.clone().prop_map(Act::Done),
        1 => phone.clone().prop_map(Act::Overreach),
        4 => phone.clone().prop_map(Act::Sync),
        3 => (0..4_u8).prop_map(Act::Online),
        1 => phone.prop_map(Act::PutAside),
    ]
}

/// The board's people, and everything they ever typed.
struct Table {
    world: World,
    amina: Who,
    chebet: Who,
    deka: Who,
    phones: [On; 2],
    acc: Acc,
    other: Acc,
    words: Vec<String>,
    instruction: String,
}

impl Table {
    /// Amina's caseload, which Barasa holds too; Chebet, to whom a case can go; Deka online.
    fn set(engine: Engine) -> Self {
        let mut world = World::new(engine, 1);
        let (amina, on) = world.officer("Amina");
        let (barasa, barasa_on) = world.officer("Barasa");
        let (chebet, _) = world.officer("Chebet");
        let deka = world.supervisor("Deka");
        world.set_member(amina, barasa, Membership::Member);
        let (acc, other) = (world.account(amina, Terms::months(3)), world.account(amina, Terms::months(3)));
        world.settle(&[on, barasa_on]);
        let phones = [on, barasa_on];
        let (words, instruction) = (Vec::new(), String::new());
        Self { world, amina, chebet, deka, phones, acc, other, words, instruction }
    }

    fn word(&mut self) -> String {
        let word = format!("w{:03}", self.words.len());
        self.words.push(word.clone());
        word
    }

    fn edit(&mut self, phone: usize, edit: Edit) -> Result<BoardView, EditBoardError> {
        let (on, dossier, now) = (self.phones[phone], self.world.accounts[self.acc.0].dossier, self.world.now());
        self.world.phones[on.0].edit(dossier, &[edit], now, &mut self.world.rng)
    }

    fn view(&self, phone: usize) -> BoardView {
        let dossier = self.world.accounts[self.acc.0].dossier;
        let store = self.world.phone(self.phones[phone]).store();
        store.board_of(dossier).unwrap().expect("the phone holds the case")
    }

    fn act(&mut self, act: Act) {
        self.world.pass_ms(60_000);
        match act {
            Act::Note(phone, front) => {
                let at = if front { 0 } else { self.view(phone).note.chars().count() };
                let insert = format!("{} ", self.word());
                self.edit(phone, Edit::NoteSplice { at, delete: 0, insert }).unwrap();
            }
            Act::Tag(phone) => {
                let tag = self.word();
                self.edit(phone, Edit::AddTag(tag)).unwrap();
            }
            Act::Task(phone) => {
                let (text, id) = (self.word(), Uuid::from_u128(self.words.len() as u128));
                self.edit(phone, Edit::AddTask { id, text, by: String::new() }).unwrap();
            }
            Act::Done(phone) => {
                if let Some(task) = self.view(phone).tasks.first() {
                    self.edit(phone, Edit::SetTaskDone { id: task.id, done: true }).unwrap();
                }
            }
            Act::Overreach(phone) => {
                let refused = self.edit(phone, Edit::Instruction("Leave him alone.".to_owned()));
                let owned = matches!(refused, Err(EditBoardError::Edit(EditError::KeyNotOwned(BoardKey::Instruction))));
                assert!(owned, "{refused:?}");
            }
            Act::Sync(phone) => drop(self.world.sync(self.phones[phone])),
            Act::Online(what) => self.online(what),
            Act::PutAside(phone) => self.put_aside(phone),
        }
    }

    fn online(&mut self, what: u8) {
        let word = self.word();
        let edit = match what {
            0 => json!([{ "note_splice": { "at": 0, "insert": format!("{word} ") } }]),
            1 => json!([{ "add_tag": word }]),
            2 => json!([{ "add_task": { "id": Uuid::from_u128(self.words.len() as u128), "text": word } }]),
            _ => {
                self.words.pop();
                self.instruction.clone_from(&word);
                json!([{ "instruction": word }])
            }
        };
        let dossier = self.world.accounts[self.acc.0].dossier;
        let answer = self.world.edit_online(self.deka, dossier, &edit);
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    /// The phone learns that time has passed, not that the case has gone; what it writes then is put
    /// aside.
    fn put_aside(&mut self, phone: usize) {
        let on = self.phones[phone];
        self.world.sync(on);
        self.world.assign(self.acc, Some(self.chebet));
        self.world.pass_ms(1000);
        self.world.visit(on, self.other);
        self.cut_sync(on);
        let insert = format!("{} ", self.word());
        self.edit(phone, Edit::NoteSplice { at: 0, delete: 0, insert }).unwrap();
        let report = self.world.sync(on);
        assert_eq!(report.quarantined, 1, "{report:?}");
        self.world.assign(self.acc, Some(self.amina));
        self.world.settle(&self.phones.clone());
    }

    fn cut_sync(&mut self, on: On) {
        let now = self.world.now();
        let world = &mut self.world;
        let Some(Step::Send(request)) = world.phones[on.0].begin_sync(now, &mut world.rng) else { panic!("a request") };
        let answer = world.deliver(on, &request);
        let first = first_frame_bytes(&answer.body);
        world.phones[on.0].tell(Event::Status { status: 200, retry_after_ms: None }, now, &mut world.rng);
        world.phones[on.0].tell(Event::BodyBytes(&answer.body[..first]), now, &mut world.rng);
        world.phones[on.0].kill();
        world.phones[on.0].open(now, &mut world.rng);
    }

    /// All converge, nothing typed is lost, keys stay with their owners.
    fn check(mut self) {
        let phones = self.phones;
        self.world.settle(&phones);
        let (one, other) = (self.view(0), self.view(1));
        assert_eq!(one, other);
        let path = format!("/v1/dossiers/{}", self.world.accounts[self.acc.0].dossier);
        let shown = self.world.rest(self.deka, axum::http::Method::GET, &path, &Value::Null).json();
        let board = &shown["board"];
        assert_eq!(board["note"], json!(one.note));
        assert_eq!(board["tags"], json!(one.tags));
        let ids: Vec<_> = one.tasks.iter().map(|task| (task.id.to_string(), task.text.clone(), task.done)).collect();
        let online = board["tasks"].as_array().unwrap().iter();
        let online: Vec<_> = online
            .map(|task| {
                (task["id"].as_str().unwrap().into(), task["text"].as_str().unwrap().into(), task["done"] == true)
            })
            .collect();
        assert_eq!(ids, online);
        assert_eq!(
            (one.instruction.as_str(), &board["instruction"]),
            (self.instruction.as_str(), &json!(one.instruction))
        );

        let mut found: BTreeSet<String> = one.note.split_whitespace().map(str::to_owned).collect();
        found.extend(one.tags.iter().cloned());
        found.extend(one.tasks.iter().map(|task| task.text.clone()));
        for on in phones {
            let moment = self.world.phone(on).moment(self.world.now());
            let drafts = self.world.phone(on).store().view(moment).unwrap().attention().unwrap().drafts;
            found.extend(drafts.iter().flat_map(|draft| draft.words.split_whitespace().map(str::to_owned)));
        }
        for word in &self.words {
            assert!(found.contains(word), "{word} was typed and is nowhere: {one:?}");
        }
        self.world.check_all(&phones);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn everybody_sees_one_board_and_every_word_is_somewhere(acts in prop::collection::vec(act(), 1..30)) {
        for engine in Engine::all() {
            let mut table = Table::set(engine);
            for act in &acts {
                table.act(*act);
            }
            table.check();
        }
    }
}

#[test]
fn a_change_put_aside_between_others_costs_nobody_a_word() {
    for engine in Engine::all() {
        let mut table = Table::set(engine);
        let acts = [
            Act::Note(0, true),
            Act::Online(0),
            Act::Note(1, false),
            Act::Sync(1),
            Act::PutAside(0),
            Act::Note(0, false),
            Act::Task(1),
            Act::Online(3),
            Act::PutAside(1),
            Act::Tag(0),
        ];
        for act in acts {
            table.act(act);
        }
        table.check();
    }
}
