//! What business code may expect of the database, the same on both engines: one suite, run on each.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "conformance/probe.rs"]
mod probe;
mod support;

use daybook_server::db::{self, Db, Tx, batch};
use daybook_server::on_db;
use daybook_shared::ids::{AckHash, DossierId, EntryId, EnvelopeId};
use daybook_shared::time::{Date, Timestamp};
use daybook_shared::wire::outcome::Reason;
use probe::{INSERT, Probe, bare, count, full, insert, keys, load, make_table, rows};
use sqlx::error::DatabaseError;
use support::for_each_engine;

/// Around the sizes at which SQLite's batches are split and filled up.
const SIZES: [i64; 10] = [0, 1, 2, 5, 17, 63, 64, 65, 127, 1_000];

#[tokio::test]
async fn batches_of_every_size_are_written_and_read_whole() {
    for_each_engine(async |db| {
        make_table(db).await;
        for size in SIZES {
            let mut tx = db.write().await.unwrap();
            let rows = rows(0..size);
            let written = batch::execute(&mut tx, &rows, INSERT).await.unwrap();
            assert_eq!(written, rows.len() as u64, "{size} inserted");
            assert_eq!(load(&mut tx, &keys(0..size)).await, rows, "{size} read back");
            assert_eq!(load(&mut tx, &keys(size..size + 3)).await, [], "others are not there");

            let update = "update probe set number = probe.number + 1, flag = true from v where probe.id = v.id";
            let touched = batch::execute(&mut tx, &keys(0..size + 5), update).await.unwrap();
            assert_eq!(touched, rows.len() as u64, "{size} updated, 5 that do not exist are not counted");
            let raised = |row: &Probe| Probe { number: row.number.map(|n| n + 1), flag: true, ..row.clone() };
            let expected: Vec<_> = rows.iter().map(raised).collect();
            assert_eq!(load(&mut tx, &keys(0..size)).await, expected, "{size} after the update");

            let update = format!("{update} returning probe.id");
            let mut returned: Vec<(i64,)> = batch::fetch(&mut tx, &keys(0..size + 5), &update).await.unwrap();
            returned.sort_unstable();
            assert_eq!(returned, (0..size).map(|id| (id,)).collect::<Vec<_>>(), "{size} updated and returned");

            let delete = "delete from probe where id in (select id from v)";
            assert_eq!(batch::execute(&mut tx, &keys(0..size), delete).await.unwrap(), rows.len() as u64);
            assert_eq!(count(&mut tx).await, 0);
            tx.rollback().await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn every_value_comes_back_as_it_went() {
    let reasons = Reason::ALL.iter().cloned().chain([Reason::from_code("A_CODE_OF_TOMORROW"), Reason::from_code("")]);
    let mut rows: Vec<Probe> =
        (1_000..).zip(reasons).map(|(id, code)| Probe { reason: Some(code), ..bare(id) }).collect();
    let first_day = Date::from_days(i32::MIN);
    assert_eq!(first_day.to_string(), "0001-01-01");
    let days = [first_day, Date::from_days(-1), Date::from_days(0), Date::from_days(10_957), Date::MAX];
    rows.extend((2_000..).zip(days).map(|(id, day)| Probe { day: Some(day), ..bare(id) }));
    let instants = [0, 1, 999, 946_684_800_000_000, 1_795_326_677_250_001].map(Timestamp::from_micros);
    let instants = instants.into_iter().chain([Timestamp::MAX]);
    rows.extend((3_000..).zip(instants).map(|(id, at)| Probe { at: Some(at), ..bare(id) }));
    let numbers = [i64::MIN, -1, 0, 1, (1 << 53) + 1, i64::MAX];
    rows.extend((4_000..).zip(numbers).map(|(id, number)| Probe { number: Some(number), ..bare(id) }));
    let bytes = [vec![], vec![0], vec![0xff; 300], (0..=255).collect(), vec![0; 100_000]];
    rows.extend((5_000..).zip(bytes).map(|(id, bytes)| Probe { bytes: Some(bytes), ..bare(id) }));
    let labels = ["", " ", "null", "\u{1}\u{7f}", "🦀 é ية", "{a,b}", "line\nline\ttab", "'; drop table probe; --"];
    rows.extend((6_000..).zip(labels).map(|(id, label)| Probe { label: Some(label.into()), ..bare(id) }));
    let currencies = ["KES", "XOF", "KWD", "ZZZ"].map(|code| code.parse().ok());
    rows.extend((7_000..).zip(currencies).map(|(id, currency)| Probe { currency, ..bare(id) }));
    for (id, byte) in (8_000..).zip([0, 0x7f, 0x80, 0xff]) {
        let (dossier, envelope) = (Some(DossierId::from([byte; 16])), Some(EnvelopeId([byte; 32])));
        rows.push(Probe {
            uid: EntryId::from([byte ^ 1; 16]),
            dossier,
            envelope,
            ack: Some(AckHash([byte; 8])),
            ..bare(id)
        });
    }
    rows.push(full(9_000));
    let keys: Vec<_> = rows.iter().map(|row| probe::Key { id: row.id }).collect();
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows).await;
        let mut tx = db.read().await.unwrap();
        for (loaded, row) in load(&mut tx, &keys).await.iter().zip(&rows) {
            assert_eq!(loaded, row);
        }
        assert_eq!(count(&mut tx).await, i64::try_from(rows.len()).unwrap());
    })
    .await;
}

#[tokio::test]
async fn order_of_instants_days_and_ids_is_the_engines_order_too() {
    for_each_engine(async |db| {
        make_table(db).await;
        let mut expected = Vec::new();
        for id in 0..40_i64 {
            let scrambled = (id * 17) % 40;
            let at = Some(Timestamp::from_micros(scrambled * 1_000_003));
            let day = Some(Date::from_days(i32::try_from(scrambled * 300 - 6_000).unwrap()));
            let byte = u8::try_from(scrambled * 6).unwrap();
            expected.push(Probe { at, day, uid: EntryId::from([byte; 16]), ..bare(id) });
        }
        insert(db, &expected).await;
        expected.sort_by_key(|row| row.at);
        let expected: Vec<i64> = expected.iter().map(|row| row.id).collect();
        let mut tx = db.read().await.unwrap();
        for sql in [
            "select id from probe order by at",
            "select id from probe order by day",
            "select id from probe order by uid",
        ] {
            let ids: Vec<i64> = on_db!(&mut tx, conn => sqlx::query_scalar(sql).fetch_all(conn).await).unwrap();
            assert_eq!(ids, expected, "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn conflicts_are_merged_or_left_and_returning_says_which() {
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows(0..100)).await;
        let mut tx = db.write().await.unwrap();
        let again: Vec<_> = (50..150).map(|id| Probe { label: Some("again".into()), ..full(id) }).collect();

        let leave = format!("{INSERT} on conflict do nothing returning id");
        let mut new: Vec<(i64,)> = batch::insert(&mut tx, &again, &leave).await.unwrap();
        new.sort_unstable();
        assert_eq!(new, (100..150).map(|id| (id,)).collect::<Vec<_>>(), "only what is new is returned");
        assert_eq!(load(&mut tx, &keys(0..100)).await, rows(0..100), "what was there stays");
        let leave = format!("{INSERT} on conflict (id) do nothing");
        assert_eq!(batch::execute(&mut tx, &again, &leave).await.unwrap(), 0);

        let merge =
            format!("{INSERT} on conflict (id) do update set label = excluded.label, number = probe.number + 1");
        assert_eq!(batch::execute(&mut tx, &again, &merge).await.unwrap(), 100);
        let merged = load(&mut tx, &keys(50..150)).await;
        for (row, wanted) in merged.iter().zip(&again) {
            let before = if row.id < 100 { rows(row.id..row.id + 1).remove(0) } else { wanted.clone() };
            assert_eq!((&row.label, row.number), (&wanted.label, before.number.map(|n| n + 1)), "{}", row.id);
        }
        tx.commit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_transaction_that_is_dropped_or_rolled_back_leaves_nothing() {
    for_each_engine(async |db| {
        make_table(db).await;
        let mut tx = db.write().await.unwrap();
        batch::execute(&mut tx, &rows(0..70), INSERT).await.unwrap();
        assert_eq!(count(&mut tx).await, 70, "it sees its own rows");
        drop(tx);
        let mut tx = db.write().await.unwrap();
        assert_eq!(count(&mut tx).await, 0);
        batch::execute(&mut tx, &rows(0..70), INSERT).await.unwrap();
        tx.rollback().await.unwrap();
        insert(db, &rows(0..1)).await;
        assert_eq!(count(&mut db.read().await.unwrap()).await, 1, "the writer works on");
    })
    .await;
}

/// After a statement failed, PostgreSQL takes no more in that transaction; nobody may rely on SQLite's
/// leave to go on. Either way nothing of it stays once it is dropped.
#[tokio::test]
async fn a_failed_batch_leaves_nothing_once_its_transaction_ends() {
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows(99..100)).await;
        let mut tx = db.write().await.unwrap();
        let error = batch::execute(&mut tx, &rows(0..200), INSERT).await.unwrap_err();
        assert!(db::is_constraint_violation(&error), "{error}");
        drop(tx);
        assert_eq!(count(&mut db.write().await.unwrap()).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_reader_sees_one_snapshot_and_a_later_one_the_commit() {
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows(0..10)).await;
        let mut before = db.read().await.unwrap();
        assert_eq!(count(&mut before).await, 10);
        let mut writer = db.write().await.unwrap();
        batch::execute(&mut writer, &rows(10..20), INSERT).await.unwrap();
        assert_eq!(count(&mut db.read().await.unwrap()).await, 10, "not committed");
        writer.commit().await.unwrap();
        assert_eq!(count(&mut before).await, 10, "committed after the snapshot");
        assert_eq!(load(&mut before, &keys(10..20)).await, []);
        assert_eq!(count(&mut db.read().await.unwrap()).await, 20);
        before.rollback().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_reads_cannot_write() {
    for_each_engine(async |db| {
        make_table(db).await;
        let mut reader = db.read().await.unwrap();
        let error = batch::execute(&mut reader, &rows(0..1), INSERT).await.unwrap_err();
        assert!(!db::is_constraint_violation(&error) && !db::is_transient(&error), "{error}");
        drop(reader);
        assert_eq!(count(&mut db.read().await.unwrap()).await, 0);
    })
    .await;
}

/// Read, add one, write, by many at once: on SQLite the writer is alone, on PostgreSQL the row is locked.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_lose_no_update() {
    async fn raise(db: &Db) {
        let mut tx = db.write().await.unwrap();
        let select = if tx.is_postgres() {
            "select number from probe where id = 0 for no key update"
        } else {
            "select number from probe where id = 0"
        };
        let number: i64 = on_db!(&mut tx, conn => sqlx::query_scalar(select).fetch_one(conn).await).unwrap();
        tokio::task::yield_now().await;
        let update = "update probe set number = $1 where id = 0";
        on_db!(&mut tx, conn => sqlx::query(update).bind(number + 1).execute(conn).await.map(drop)).unwrap();
        tx.commit().await.unwrap();
    }
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &[Probe { number: Some(0), ..bare(0) }]).await;
        let workers = (0..8).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    raise(&db).await;
                }
            })
        });
        for worker in workers.collect::<Vec<_>>() {
            worker.await.unwrap();
        }
        let mut tx = db.read().await.unwrap();
        assert_eq!(load(&mut tx, &keys(0..1)).await[0].number, Some(80));
    })
    .await;
}

/// What a statement's values did wrong, and what the world did.
#[tokio::test]
async fn faults_of_values_are_told_from_faults_of_the_world() {
    let at_fault = [
        ("a key twice", "insert into probe (id, uid, flag) select 1, dossier, true from probe where id = 2"),
        ("a unique value twice", "insert into probe (id, uid, flag) select 9, uid, true from probe where id = 1"),
        ("a null where none may be", "update probe set uid = null where id = 1"),
        ("a check", "update probe set number = -13 where id = 1"),
        ("a reference to nothing", "update probe set parent = 77 where id = 1"),
        ("a number too large", "update probe set number = 9223372036854775807 + number where id = 1"),
    ];
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows(1..3)).await;
        for (what, sql) in at_fault {
            let mut tx = db.write().await.unwrap();
            let done: sqlx::Result<()> = on_db!(&mut tx, conn => sqlx::query(sql).execute(conn).await.map(drop));
            // SQLite makes a float of a sum that is too large, and STRICT refuses it.
            let error = done.expect_err(what);
            assert!(db::is_constraint_violation(&error), "{what}: {error}");
            assert!(!db::is_transient(&error), "{what}: {error}");
        }
        let mut tx = db.write().await.unwrap();
        let unknown = on_db!(&mut tx, conn => sqlx::query("select nothing from nowhere").execute(conn).await.map(drop));
        let world = [unknown.unwrap_err(), sqlx::Error::PoolTimedOut, sqlx::Error::RowNotFound];
        for error in world {
            assert!(!db::is_constraint_violation(&error) && !db::is_transient(&error), "{error}");
        }
    })
    .await;
}

/// PostgreSQL stores no NUL in a text; SQLite does. Nothing that takes a stranger's text may let one
/// through, and if it did, the statement would be at fault and not the database.
#[tokio::test]
async fn a_nul_in_a_text_is_the_values_fault() {
    for_each_engine(async |db| {
        make_table(db).await;
        let mut tx = db.write().await.unwrap();
        let row = Probe { label: Some("a\0b".into()), ..bare(1) };
        match batch::execute(&mut tx, &[row], INSERT).await {
            Ok(written) => assert_eq!((written, tx.is_postgres()), (1, false)),
            Err(error) => assert!(tx.is_postgres() && db::is_constraint_violation(&error), "{error}"),
        }
    })
    .await;
}

/// Two transactions that cannot both be; PostgreSQL says so to one of them, and running it again helps.
#[tokio::test]
async fn what_a_retry_helps_is_told_apart() {
    for_each_engine(async |db| {
        make_table(db).await;
        insert(db, &rows(1..3)).await;
        if !matches!(db, Db::Postgres(_)) {
            return;
        }
        let (mut one, mut other) = (begin(db).await, begin(db).await);
        run(&mut one, "set transaction isolation level serializable").await.unwrap();
        run(&mut other, "set transaction isolation level serializable").await.unwrap();
        assert_eq!((count(&mut one).await, count(&mut other).await), (2, 2));
        run(&mut one, "update probe set label = 'one' where id = 1").await.unwrap();
        one.commit().await.unwrap();
        let error = run(&mut other, "update probe set label = 'other' where id = 1").await.unwrap_err();
        assert_eq!(error.as_database_error().and_then(DatabaseError::code).as_deref(), Some("40001"));
        assert!(db::is_transient(&error) && !db::is_constraint_violation(&error), "{error}");
        drop(other);

        let (mut one, mut other) = (begin(db).await, begin(db).await);
        for tx in [&mut one, &mut other] {
            run(tx, "set local deadlock_timeout = '20ms'").await.unwrap();
        }
        run(&mut one, "update probe set label = 'one' where id = 1").await.unwrap();
        run(&mut other, "update probe set label = 'other' where id = 2").await.unwrap();
        let both = tokio::join!(
            ended(one, "update probe set label = 'one' where id = 2"),
            ended(other, "update probe set label = 'other' where id = 1"),
        );
        let ((Ok(()), Err(error)) | (Err(error), Ok(()))) = both else { panic!("one of them gives way: {both:?}") };
        assert_eq!(error.as_database_error().and_then(DatabaseError::code).as_deref(), Some("40P01"));
        assert!(db::is_transient(&error) && !db::is_constraint_violation(&error), "{error}");
    })
    .await;
}

async fn begin(db: &Db) -> Tx {
    db.write().await.unwrap()
}

async fn run(tx: &mut Tx, sql: &'static str) -> sqlx::Result<()> {
    on_db!(tx, conn => sqlx::query(sql).execute(conn).await.map(drop))
}

/// Runs a transaction's last statement and commits, or gives it up.
async fn ended(mut tx: Tx, sql: &'static str) -> sqlx::Result<()> {
    run(&mut tx, sql).await?;
    tx.commit().await
}
