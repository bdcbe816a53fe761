//! A table with a column for every kind of value that rows hold, and rows for it.

use daybook_server::batch_row;
use daybook_server::db::{Db, Tx, batch};
use daybook_server::on_db;
use daybook_shared::ids::{AckHash, DossierId, EntryId, EnvelopeId};
use daybook_shared::money::Currency;
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::Reason;

const SQLITE: &str = "create table probe (
    id integer primary key, uid blob not null unique, dossier blob, at integer, day text, currency text,
    bytes blob, envelope blob, ack blob, flag integer not null, reason text, number integer check (number <> -13),
    label text, parent integer references probe (id)) strict";
const POSTGRES: &str = "create table probe (
    id bigint primary key, uid uuid not null unique, dossier uuid, at timestamptz, day date, currency text,
    bytes bytea, envelope bytea, ack bytea, flag boolean not null, reason text, number bigint check (number <> -13),
    label text, parent bigint references probe (id))";

pub const INSERT: &str = "insert into probe
      (id, uid, dossier, at, day, currency, bytes, envelope, ack, flag, reason, number, label)
    select id, uid, dossier, at, day, currency, bytes, envelope, ack, flag, reason, number, label from v where true";
pub const SELECT: &str = "select p.id, p.uid, p.dossier, p.at, p.day, p.currency, p.bytes, p.envelope, p.ack, p.flag,
      p.reason, p.number, p.label
    from v join probe p on p.id = v.id";
const COUNT: &str = "select count(*) from probe";

batch_row! {
    /// A row.
    #[derive(PartialEq, sqlx::FromRow)]
    pub struct Probe {
        id: i64 => "bigint",
        uid: EntryId => "uuid",
        dossier: Option<DossierId> => "uuid",
        at: Option<Timestamp> => "timestamptz",
        day: Option<Date> => "date",
        currency: Option<Currency> => "text",
        bytes: Option<Vec<u8>> => "bytea",
        envelope: Option<EnvelopeId> => "bytea",
        ack: Option<AckHash> => "bytea",
        flag: bool => "boolean",
        reason: Option<Reason> => "text",
        number: Option<i64> => "bigint",
        label: Option<String> => "text",
    }
}

batch_row! {
    /// A row's key.
    pub struct Key {
        id: i64 => "bigint",
    }
}

/// Makes the table.
pub async fn make_table(db: &Db) {
    let mut tx = db.write().await.unwrap();
    let sql = if tx.is_postgres() { POSTGRES } else { SQLITE };
    on_db!(&mut tx, conn => sqlx::query(sql).execute(conn).await.map(drop)).unwrap();
    tx.commit().await.unwrap();
}

/// A row with nothing in it that may be null.
pub fn bare(id: i64) -> Probe {
    let mut uid = [0; 16];
    uid[8..].copy_from_slice(&id.to_be_bytes());
    Probe {
        id,
        uid: EntryId::from(uid),
        dossier: None,
        at: None,
        day: None,
        currency: None,
        bytes: None,
        envelope: None,
        ack: None,
        flag: false,
        reason: None,
        number: None,
        label: None,
    }
}

/// A row with a value everywhere, by its number.
pub fn full(id: i64) -> Probe {
    let byte = u8::try_from(id.rem_euclid(256)).unwrap();
    Probe {
        dossier: Some(DossierId::from([byte; 16])),
        at: Some(Timestamp::from_millis(1_795_326_677_250 + id)),
        day: Some(Date::from_days(20_779).plus_days(i32::from(byte))),
        currency: "KES".parse().ok(),
        bytes: Some(vec![byte; usize::from(byte)]),
        envelope: Some(EnvelopeId([byte; 32])),
        ack: Some(AckHash([byte; 8])),
        flag: byte % 2 == 0,
        reason: Some(Reason::ALL[usize::from(byte) % Reason::ALL.len()].clone()),
        number: Some(id * 1_000),
        label: Some(format!("row {id}, 'quoted' \"twice\" \\ ü 水")),
        ..bare(id)
    }
}

/// Rows, some of them bare.
pub fn rows(ids: std::ops::Range<i64>) -> Vec<Probe> {
    ids.map(|id| if id % 7 == 3 { bare(id) } else { full(id) }).collect()
}

pub fn keys(ids: std::ops::Range<i64>) -> Vec<Key> {
    ids.map(|id| Key { id }).collect()
}

/// The rows with these keys, in the order of their keys.
pub async fn load(tx: &mut Tx, keys: &[Key]) -> Vec<Probe> {
    let mut found: Vec<Probe> = batch::fetch(tx, keys, SELECT).await.unwrap();
    found.sort_by_key(|row| row.id);
    found
}

/// Adds rows in a transaction of its own.
pub async fn insert(db: &Db, rows: &[Probe]) {
    let mut tx = db.write().await.unwrap();
    batch::execute(&mut tx, rows, INSERT).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn count(tx: &mut Tx) -> i64 {
    on_db!(tx, conn => sqlx::query_scalar(COUNT).fetch_one(conn).await).unwrap()
}
