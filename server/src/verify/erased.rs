//! What was erased has left nothing: of an erased entry there are no words, places or files, of an erased
//! customer no name, of an erased case no board and no caseload. (Bytes of entries: [`super::log`].)

use super::findings::{Findings, Place};
use crate::db::Tx;
use crate::on_db;

pub(super) const CHECK: &str = "erasure: what was erased has left nothing";

/// What is left where nothing should be, table by table, with the row's key.
const LEFT: [(&str, &str); 17] = [
    (
        "visit",
        "select e.id from entry e join visit t on t.entry_uid = e.uid
         where e.erased_at is not null and (t.lat_e6 is not null or t.lon_e6 is not null)",
    ),
    (
        "call_attempt",
        "select e.id from entry e join call_attempt t on t.entry_uid = e.uid
         where e.erased_at is not null and t.recording is not null",
    ),
    (
        "contact_update",
        "select e.id from entry e join contact_update t on t.entry_uid = e.uid where e.erased_at is not null
           and (t.old_seen is not null or t.new_value is not null or t.lat_e6 is not null or t.lon_e6 is not null)",
    ),
    (
        "complaint",
        "select e.id from entry e join complaint t on t.entry_uid = e.uid
         where e.erased_at is not null and (t.text <> '' or t.desired is not null)",
    ),
    (
        "case_handover",
        "select e.id from entry e join case_handover t on t.entry_uid = e.uid
         where e.erased_at is not null and t.summary <> ''",
    ),
    (
        "entry_attachment",
        "select e.id from entry e join entry_attachment t on t.entry_uid = e.uid where e.erased_at is not null",
    ),
    ("envelope", "select t.install_id from envelope t where t.erased_at is not null and length(t.bytes) > 0"),
    (
        "customer",
        "select t.id from customer t where t.erased_at is not null and (t.name <> '' or t.phone is not null
           or t.alt_phone is not null or t.national_id_masked is not null or t.language is not null
           or t.address is not null or t.birth_date is not null or t.lat_e6 is not null or t.lon_e6 is not null)",
    ),
    (
        "app_user",
        "select u.id from app_user u join customer k on k.id = u.customer_id where k.erased_at is not null and u.active",
    ),
    (
        "identity_link",
        "select l.user_id from identity_link l join app_user u on u.id = l.user_id
           join customer k on k.id = u.customer_id where k.erased_at is not null",
    ),
    (
        "idempotency",
        "select i.id from idempotency i join app_user u on u.uid = i.subject
           join customer k on k.id = u.customer_id where k.erased_at is not null and i.status < 300",
    ),
    ("message", "select m.id from message m join customer k on k.id = m.customer_id where k.erased_at is not null"),
    (
        "consent",
        "select c.id from consent c join customer k on k.id = c.customer_id
         where k.erased_at is not null and c.text_version <> ''",
    ),
    (
        "statement_line",
        "select t.id from statement_line t join account a on a.number = t.account_number
           join customer k on k.id = a.customer_id where k.erased_at is not null and t.payer is not null",
    ),
    (
        "dossier",
        "select t.id from dossier t left join account a on a.id = t.account_id left join customer k on k.id = a.customer_id
         where t.kind = 'case' and (k.erased_at is null) <> (t.erased_at is null)
           or t.erased_at is not null and t.caseload_id is not null",
    ),
    (
        "board_change",
        "select t.dossier_id from board_change t join dossier d on d.id = t.dossier_id where d.erased_at is not null",
    ),
    (
        "quarantine",
        "select t.id from quarantine t join dossier d on d.id = t.dossier_id
         where d.erased_at is not null and length(t.bytes) > 0",
    ),
];
const ERASED: &str = "select cast(count(*) as bigint) from customer where erased_at is not null";

/// Looks for what is left.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let erased: i64 = on_db!(tx, conn => sqlx::query_scalar(ERASED).fetch_one(conn).await)?;
    findings.agree(CHECK, erased.unsigned_abs());
    for (table, sql) in LEFT {
        let keys: Vec<i64> = on_db!(tx, conn => sqlx::query_scalar(sql).fetch_all(conn).await)?;
        for key in keys {
            let place = Place { check: CHECK, table, key: &key };
            findings.differs(place, "words, places, files", "nothing", "something");
        }
    }
    Ok(())
}
