//! Board changes: one of each edit, by the expected author and by others, and bent ones.

use daybook_shared::board::{ActorId, BoardRole, Confirmed, Edit, device_actor};
use daybook_shared::time::Timestamp;

use super::bodies::{TASK, stage};
use super::seeds::{Seed, seed};

const NEW_TASK: &str = "06060606-0606-8606-8606-060606060606";

fn change(board: &Confirmed, actor: ActorId, role: BoardRole, edit: Edit) -> (Vec<u8>, Confirmed) {
    let made = board.edited(actor, role, &[edit], Timestamp::from_millis(2_000_000)).expect("an edit of the seeds");
    (made.changes()[0].bytes().to_vec(), made.board().clone())
}

/// The seeds of the target `board`.
pub fn board() -> Vec<Seed> {
    let (start, expected) = stage();
    let edits = [
        ("note_splice", Edit::NoteSplice { at: 0, delete: 2, insert: "xy é".into() }),
        ("note_append", Edit::NoteSplice { at: 9, delete: 0, insert: ", call after six".into() }),
        ("note_replace", Edit::NoteReplace("a new note altogether".into())),
        ("tag_add", Edit::AddTag("dog".into())),
        ("tag_remove", Edit::RemoveTag("cat".into())),
        ("task_add", Edit::AddTask { id: NEW_TASK.parse().expect("a UUID"), text: "visit".into(), by: "me".into() }),
        ("task_done", Edit::SetTaskDone { id: TASK.parse().expect("a UUID"), done: true }),
        ("instruction", Edit::Instruction("stop".into())),
    ];
    let mut seeds = Vec::new();
    for (name, edit) in &edits {
        let role = if *name == "instruction" { BoardRole::Supervisor } else { expected.role };
        let (bytes, after) = change(start, expected.actor, role, edit.clone());
        seeds.push(seed(name, bytes));
        if *name == "tag_add" {
            seeds
                .push(seed("second_without_first", change(&after, expected.actor, role, Edit::AddTag("eel".into())).0));
        }
    }
    let other = device_actor([9; 16].into(), [1; 16].into(), [7; 16].into(), 0);
    seeds.push(seed("other_actor", change(start, other, expected.role, Edit::AddTag("fox".into())).0));
    let genesis = Confirmed::genesis(start.kind());
    seeds.push(seed("on_genesis", change(&genesis, expected.actor, expected.role, Edit::AddTag("gnu".into())).0));
    seeds.push(seed("genesis", daybook_shared::board::genesis(start.kind()).to_vec()));
    seeds.push(seed("saved_board", start.doc_bytes().to_vec()));
    let good = seeds[3].bytes.clone();
    for (name, place, byte) in [("deflated", 8, 2), ("document_chunk", 8, 0), ("length", 9, 0xff), ("deps", 10, 0xff)] {
        let mut bent = good.clone();
        bent[place] = byte;
        seeds.push(seed(name, bent));
    }
    seeds.push(seed("cut", good[..good.len() / 2].to_vec()));
    seeds.push(seed("longer", [good.as_slice(), &[0; 9]].concat()));
    seeds
}
