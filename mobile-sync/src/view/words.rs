//! What people read for each code, in the language that the host app chose: the catalogue's words.

use daybook_shared::messages::{Language, say};
use daybook_shared::wire::outcome::{Flag, Reason};

/// Why an entry is held or refused, and what to do about it.
pub fn of_reason(language: Language, reason: &Reason) -> String {
    say(language, "reason", reason.code())
}

/// What people should know about an entry that was accepted.
pub fn of_flag(language: Language, flag: &Flag) -> String {
    say(language, "flag", flag.code())
}

/// Why words on a board were not merged, by the reason's stable code. What a phone found by itself and what
/// the server said of the same thing are told by one message.
pub fn of_board_code(language: Language, code: &str) -> String {
    let message = match code {
        "BOARD_SET_BACK" | "BOARD_UNKNOWN" => "SET_BACK",
        "TEXT" | "TOO_MANY" | "OUT_OF_RANGE" | "TASK_EXISTS" | "NO_SUCH_TASK" => "CHANGED",
        other => other,
    };
    say(language, "board", message)
}
