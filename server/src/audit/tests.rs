//! The chain on both engines: sealed in batches and once, found out when it was touched.

use daybook_shared::ids::{DeviceId, EnvelopeId, InstallId};
use daybook_shared::wire::sign::{Acknowledgement, Context, DeviceState};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::check::{Claim, Fault, Report, check};
use super::seal::{self, seal_all};
use super::{Actor, record};
use crate::on_db;
use crate::sync::take;
use crate::testing::{TestServer, for_each_engine};

/// What is done, whether it is found, what undoes it.
type Case = (&'static str, fn(&Report) -> bool, &'static str);

async fn write(server: &TestServer, rows: i64) {
    let mut tx = server.write().await;
    for n in 0..rows {
        record(&mut tx, server.now(), Actor::OPERATOR, "test.done", n, json!({ "n": n })).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn found(server: &TestServer, claims: &[Claim]) -> Report {
    check(&mut server.read().await, server.app.deployment.id, claims).await.unwrap()
}

async fn db_execute(server: &TestServer, sql: &str) {
    let mut tx = server.write().await;
    for sql in sql.split(';') {
        let done = on_db!(&mut tx, conn => {
            sqlx::query(AssertSqlSafe(sql.to_owned())).execute(conn).await.map(|done| done.rows_affected())
        });
        assert_ne!(done.unwrap(), 0, "{sql}");
    }
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn rows_are_sealed_once_in_batches_and_the_head_is_known() {
    for_each_engine(async |server| {
        assert_eq!(seal_all(&server.app).await.unwrap(), 0);
        assert_eq!(server.app.audit_head.get(), None);
        write(server, 1_203).await;
        let before = found(server, &[]).await;
        assert_eq!((before.sealed, before.unsealed, before.wrong), (0, 1_203, 0));
        // Two replicas seal at once: each row has one place.
        let (one, other) = tokio::join!(seal_all(&server.app), seal_all(&server.app));
        assert_eq!(one.unwrap() + other.unwrap(), 1_203);
        let report = found(server, &[]).await;
        assert_eq!((report.sealed, report.unsealed, report.wrong, report.last), (1_203, 0, 0, 1_203));
        let head = server.app.audit_head.get().unwrap();
        assert_eq!((head.seq, head.hash.to_string()), (report.last, report.hash));
        write(server, 1).await;
        assert_eq!(seal_all(&server.app).await.unwrap(), 1);
        assert_eq!(found(server, &[Claim { seq: Some(1_203), hash: head.hash }]).await.wrong, 0);
    })
    .await;
}

/// Goal: a phone's newest acknowledgement proves that a tail was cut. Method: what the server signs before
/// and after sealing, and the chain cut so that it is whole in itself.
#[tokio::test]
async fn acknowledgements_carry_the_head_that_was_known() {
    for_each_engine(async |server| {
        let said = || -> Acknowledgement {
            let (who, what) = ((DeviceId::from([1; 16]), InstallId::from([2; 16])), (3, EnvelopeId([4; 32])));
            let signed = take::acknowledgement(&server.app, who, what, DeviceState::Ok, (server.now(), None));
            signed.open(&server.app.keys.public(), Context::Acknowledgement, server.app.deployment.id).unwrap()
        };
        assert_eq!((said().audit_head, said().audit_seq), (None, None));
        write(server, 5).await;
        seal_all(&server.app).await.unwrap();
        let ack = said();
        let claim = Claim { seq: ack.audit_seq.map(u64::cast_signed), hash: ack.audit_head.unwrap() };
        assert_eq!((claim.seq, found(server, &[claim]).await.wrong), (Some(5), 0));
        let cut = "delete from audit where seq > 3; update audit_head set seq = 3, hash = (select hash from audit where seq = 3)";
        db_execute(server, cut).await;
        assert_eq!(found(server, &[]).await.wrong, 0, "it is whole in itself");
        assert_eq!(found(server, &[claim]).await.faults, [Fault::Cut { last: 3, had: 5 }]);
    })
    .await;
}

#[tokio::test]
async fn what_is_done_to_the_table_is_found_and_named() {
    for_each_engine(async |server| {
        write(server, 6).await;
        seal_all(&server.app).await.unwrap();
        let head = seal::head(&mut server.read().await).await.unwrap();
        let claim = Claim { seq: Some(head.seq), hash: head.hash };
        let cases: [Case; 4] = [
            (
                "update audit set detail = '{\"n\":9}' where seq = 3",
                |report| matches!(report.faults[..], [Fault::Changed { seq: 3, .. }]),
                "update audit set detail = '{\"n\":2}' where seq = 3",
            ),
            (
                "update audit set seq = 99 where seq = 2; update audit set seq = 2 where seq = 3; update audit set seq = 3 where seq = 99",
                |report| matches!(report.faults[..], [Fault::Unlinked { seq: 2, .. }, Fault::Changed { seq: 2, .. }, ..]),
                "update audit set seq = 99 where seq = 2; update audit set seq = 2 where seq = 3; update audit set seq = 3 where seq = 99",
            ),
            (
                "update audit set seq = null where seq = 4",
                |report| report.unsealed == 1 && report.faults == [Fault::Removed { from: 4, to: 4 }],
                "update audit set seq = 4 where seq is null",
            ),
            (
                "update audit set seq = null where seq > 4; update audit_head set seq = 4, hash = (select hash from audit where seq = 4)",
                |report| report.faults == [Fault::Cut { last: 4, had: 6 }],
                "update audit set seq = id - (select max(id) from audit) + 6 where seq is null; update audit_head set seq = 6, hash = (select hash from audit where seq = 6)",
            ),
        ];
        for (damage, is_found, undo) in cases {
            db_execute(server, damage).await;
            let report = found(server, &[claim]).await;
            assert!(is_found(&report), "{damage}: {report:?}");
            db_execute(server, undo).await;
            assert_eq!(found(server, &[claim]).await.wrong, 0, "{undo}");
        }
        db_execute(server, "delete from audit where seq = 2").await;
        assert_eq!(found(server, &[]).await.faults, [Fault::Removed { from: 2, to: 2 }]);
    })
    .await;
}
