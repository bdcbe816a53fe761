//! Decisions: what people rule online about what phones recorded.
//!
//! Each is one REST write with an id its maker chose, in one transaction with its effect and its
//! audit row; the first decision on a subject stands (ruling S22), the same one sent again has the
//! same answer. Who recorded something never decides on it (D6). The effect goes through the same
//! functions as a phone's envelope: [`crate::sync::load`], [`crate::sync::judge`],
//! [`crate::sync::persist`].
//!
//! * [`held`]: release or reject a held entry. * [`reversal`]: take a payment back, decide on a
//!   correction. * [`cash`]: count handed-over cash. * [`cases`]: show a dossier, edit its board,
//!   give it to a caseload; [`document`]: the same as one Automerge document. * [`quarantine`]: board changes that were not merged. * [`receipts`]:
//!   receipt numbers that were perhaps given out.

pub mod cases;
pub mod cash;
pub mod document;
pub mod held;
pub mod quarantine;
pub mod receipts;
pub mod reversal;

use daybook_shared::ids::DecisionId;
use daybook_shared::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::audit;
use crate::auth::User;
use crate::db::Tx;
use crate::http::problem::{Code, Problem};
use crate::on_db;

/// Who decides, under which id, when.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// The server.
    pub app: &'a App,
    /// The person.
    pub by: &'a User,
    /// The decision's id, made by who decides.
    pub id: DecisionId,
    /// Now.
    pub now: Timestamp,
}

/// Whether a decision is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// Its effect is to follow in this transaction.
    New,
    /// It was made before and has had its effect.
    Repeated,
}

const SELECT: &str = "select uid, kind, subject from decision where uid = $1 or (kind = $2 and subject = $3)";
const INSERT: &str = "insert into decision (uid, kind, subject, user_id, at, detail) values ($1, $2, $3, $4, $5, $6)
     on conflict do nothing";

impl Decider<'_> {
    /// Records the decision, if nobody decided on the subject before.
    async fn record(self, tx: &mut Tx, kind: &str, subject: Uuid, detail: Value) -> Result<Novelty, Problem> {
        let (id, user, now, text) = (self.id, self.by.id, self.now, detail.to_string());
        let inserted = on_db!(&mut *tx, conn => {
            sqlx::query(INSERT).bind(id).bind(kind).bind(subject).bind(user).bind(now).bind(text).execute(conn).await
                .map(|done| done.rows_affected())
        })?;
        if inserted == 1 {
            let action = format!("{kind}.decided");
            let actor = self.by.actor();
            audit::record(tx, now, actor, &action, subject, json!({ "decision": id, "detail": detail })).await?;
            return Ok(Novelty::New);
        }
        let known: Vec<(DecisionId, String, Uuid)> = on_db!(tx, conn => {
            sqlx::query_as(SELECT).bind(id).bind(kind).bind(subject).fetch_all(conn).await
        })?;
        match known.iter().find(|(known, _, _)| *known == id) {
            Some((_, known_kind, known_subject)) if known_kind == kind && *known_subject == subject => {
                Ok(Novelty::Repeated)
            }
            Some(_) => Err(Problem::new(Code::IdTaken, "The decision's id was used for another decision.")),
            None => Err(Problem::new(Code::AlreadyDecided, "Somebody decided on this before; that decision stands.")),
        }
    }
}
