//! A dossier as one Automerge document, for any tool that reads those.
//!
//! The document is a pure function of the dossier's entries and board: the same ones give the same bytes, in
//! whatever order they come. It is a view, made when asked for. It is never the road: no phone sends it, and what is
//! edited in it goes nowhere.
//!
//! ```text
//! format      1
//! dossier     its id
//! entries     by id: type, schema_version, captured_at, offset_min, device, gps, attachments, and
//!               fields   the type's own, as JSON has them; absent for a type this build does not know
//!               raw      the bytes the phone made: the record itself
//! board       note, instruction, sc_note (Text), tags (by name), tasks (by id: text, by, done), officer_seq
//! ```
//!
//! What an entry or a board does not have is absent, not null. Times are RFC 3339, money is minor units and a
//! currency. Notes are Text objects; all other texts are strings (`ImmutableString` in JavaScript).

use std::collections::{BTreeMap, HashMap};

use automerge::hydrate::{Map, Text, Value};
use automerge::transaction::{CommitOptions, Transactable as _};
use automerge::{ActorId, AutoCommit, AutomergeError, ObjType, ROOT, ScalarValue, TextEncoding};
use serde::Serialize as _;
use serde_json::Value as Json;

use crate::board::{BoardView, Task};
use crate::entry::Entry;
use crate::ids::{DossierId, EntryId};

/// The version of the document's shape.
pub const FORMAT: i64 = 1;
/// The author of every such document.
const ACTOR: [u8; 16] = *b"daybook/dossier1";
/// Entries of one change of the document.
const ENTRIES_A_CHANGE: usize = 200;

/// Renders a dossier. Of two entries with one id, which no dossier holds, the smaller bytes are shown.
pub fn document<'a>(
    dossier: DossierId,
    entries: impl IntoIterator<Item = (EntryId, &'a [u8])>,
    board: Option<&BoardView>,
) -> Vec<u8> {
    let mut by_id: BTreeMap<EntryId, &[u8]> = BTreeMap::new();
    for (id, bytes) in entries {
        by_id.entry(id).and_modify(|known| *known = (*known).min(bytes)).or_insert(bytes);
    }
    let mut document =
        AutoCommit::new_with_encoding(TextEncoding::UnicodeCodePoint).with_actor(ActorId::from(&ACTOR[..]));
    render(&mut document, dossier, &by_id, board).expect("a document of one author takes any tree");
    document.save()
}

/// Entry by entry, with a change every so often: what is not committed yet takes several times the memory.
fn render(
    document: &mut AutoCommit,
    dossier: DossierId,
    entries: &BTreeMap<EntryId, &[u8]>,
    board: Option<&BoardView>,
) -> Result<(), AutomergeError> {
    document.put(ROOT, "format", FORMAT)?;
    document.put(ROOT, "dossier", dossier.to_string())?;
    if let Some(board) = board {
        document.batch_create_object(ROOT, "board", &of_board(board), false)?;
    }
    let shown = document.put_object(ROOT, "entries", ObjType::Map)?;
    for (nth, (id, bytes)) in entries.iter().enumerate() {
        if nth.is_multiple_of(ENTRIES_A_CHANGE) {
            document.commit_with(CommitOptions::default().with_time(0));
        }
        document.batch_create_object(&shown, id.to_string(), &entry(bytes), false)?;
    }
    document.commit_with(CommitOptions::default().with_time(0));
    Ok(())
}

fn entry(bytes: &[u8]) -> Value {
    let mut shown = vec![("raw".to_owned(), Value::Scalar(ScalarValue::Bytes(bytes.to_vec())))];
    if let Ok(Entry { head, body }) = Entry::decode(bytes) {
        let known = [
            ("type", head.entry_type.serialize(serde_json::value::Serializer)),
            ("schema_version", head.schema_version.serialize(serde_json::value::Serializer)),
            ("captured_at", head.captured_at.serialize(serde_json::value::Serializer)),
            ("offset_min", head.offset_min.serialize(serde_json::value::Serializer)),
            ("device", head.device.serialize(serde_json::value::Serializer)),
            ("gps", head.gps.serialize(serde_json::value::Serializer)),
            ("attachments", head.attachments.serialize(serde_json::value::Serializer)),
            ("fields", body.serialize(serde_json::value::Serializer)),
        ];
        let known = known.into_iter().filter_map(|(name, json)| {
            // A field of ours is a number, a text or a list: JSON has a place for each.
            json.ok().and_then(of_json).map(|value| (name.to_owned(), value))
        });
        shown.extend(known);
    }
    map(shown)
}

/// JSON as Automerge has it; nothing for null.
fn of_json(json: Json) -> Option<Value> {
    match json {
        Json::Null => None,
        Json::Bool(flag) => Some(Value::Scalar(ScalarValue::Boolean(flag))),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Some(Value::from(number)),
            None => number.as_u64().map(Value::from),
        },
        Json::String(text) => Some(string(&text)),
        Json::Array(items) => Some(Value::from(items.into_iter().filter_map(of_json).collect::<Vec<_>>())),
        Json::Object(fields) => {
            let fields = fields.into_iter().filter_map(|(name, value)| Some((name, of_json(value)?)));
            Some(map(fields))
        }
    }
}

fn of_board(board: &BoardView) -> Value {
    let tags = board.tags.iter().map(|tag| (tag.clone(), Value::Scalar(ScalarValue::Boolean(true))));
    let tasks = board.tasks.iter().map(|task| (task.id.to_string(), of_task(task)));
    let shown: HashMap<&str, Value> = HashMap::from([
        ("note", text(&board.note)),
        ("tags", map(tags)),
        ("tasks", map(tasks)),
        ("instruction", text(&board.instruction)),
        ("officer_seq", string(&board.officer_seq)),
        ("sc_note", text(&board.sc_note)),
    ]);
    Value::from(shown)
}

fn of_task(task: &Task) -> Value {
    Value::from(HashMap::from([
        ("text", string(&task.text)),
        ("by", string(&task.by)),
        ("done", Value::Scalar(ScalarValue::Boolean(task.done))),
    ]))
}

fn map(fields: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Map(Map::from(fields.into_iter().collect::<HashMap<_, _>>()))
}

fn string(text: &str) -> Value {
    Value::Scalar(ScalarValue::Str(text.into()))
}

fn text(text: &str) -> Value {
    Value::Text(Text::new(TextEncoding::UnicodeCodePoint, text))
}

#[cfg(test)]
mod tests {
    use automerge::ReadDoc as _;
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Head, record_tests, tests};

    fn board() -> BoardView {
        BoardView {
            note: "mkulima – sells maize 🌽 after the harvest".to_owned(),
            tags: vec!["call first".to_owned(), "near the market".to_owned()],
            tasks: vec![Task {
                id: uuid::Uuid::from_bytes([7; 16]),
                text: "bring the form".to_owned(),
                by: "Amina".to_owned(),
                done: true,
            }],
            instruction: "visit on Monday".to_owned(),
            ..BoardView::default()
        }
    }

    /// Every type of entry, under an id of its own, as a phone made it.
    fn entries() -> Vec<(EntryId, Vec<u8>)> {
        let first = tests::one_of_each().into_iter().map(|(_, entry)| entry.body);
        let numbered = (1_u8..).zip(first.chain(record_tests::one_of_each()));
        let made = numbered.map(|(n, body)| {
            let entry_type = body.entry_type().expect("a type of this build");
            let head = Head { id: EntryId::from([n; 16]), ..tests::head(entry_type) };
            (head.id, Entry { head, body }.encode())
        });
        made.collect()
    }

    fn of(entries: &[(EntryId, Vec<u8>)], board: Option<&BoardView>) -> Vec<u8> {
        document(DossierId::from([2; 16]), entries.iter().map(|(id, bytes)| (*id, bytes.as_slice())), board)
    }

    #[test]
    fn every_entry_and_the_board_are_found_by_name() {
        let entries = entries();
        let document = AutoCommit::load(&of(&entries, Some(&board()))).unwrap();
        let shown = serde_json::to_value(automerge::AutoSerde::from(&document)).unwrap();
        assert_eq!(
            (&shown["format"], &shown["dossier"]),
            (&Json::from(FORMAT), &Json::from(DossierId::from([2; 16]).to_string()))
        );
        for (id, bytes) in &entries {
            let entry = Entry::decode(bytes).unwrap();
            let shown = &shown["entries"][id.to_string()];
            assert_eq!(shown["type"], entry.head.entry_type.code());
            assert_eq!(of_json(shown["fields"].clone()), of_json(serde_json::to_value(&entry.body).unwrap()));
        }
        assert_eq!(shown["board"]["note"], board().note);
        assert_eq!(shown["board"]["tags"]["call first"], true);
        let (_, entries_object) = document.get(ROOT, "entries").unwrap().unwrap();
        let (_, first) = document.get(&entries_object, entries[0].0.to_string()).unwrap().unwrap();
        let (raw, _) = document.get(&first, "raw").unwrap().unwrap();
        assert_eq!(raw.into_bytes().unwrap(), entries[0].1);
    }

    #[test]
    fn what_is_not_known_keeps_its_bytes() {
        let id = EntryId::from([1; 16]);
        let document = AutoCommit::load(&of(&[(id, b"of tomorrow".to_vec())], None)).unwrap();
        let (_, entries) = document.get(ROOT, "entries").unwrap().unwrap();
        let (_, entry) = document.get(&entries, id.to_string()).unwrap().unwrap();
        assert_eq!(document.keys(&entry).collect::<Vec<_>>(), ["raw"]);
        assert!(document.get(ROOT, "board").unwrap().is_none());
    }

    proptest! {
        #[test]
        fn the_order_and_the_repetition_of_entries_change_nothing(order in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
            let all = entries();
            let mut shuffled = all.clone();
            for (at, index) in order.iter().enumerate() {
                let len = shuffled.len();
                shuffled.swap(at % len, index.index(len));
                shuffled.push(all[index.index(all.len())].clone());
            }
            prop_assert_eq!(of(&shuffled, Some(&board())), of(&all, Some(&board())));
        }
    }
}
