//! `daybook verify` finds what it promises to find: a table of damage, each done to a database that real
//! phones filled and that was clean, on every engine.
//!
//! A damage is done and looked at in one transaction that is rolled back: so it is undone, and what
//! verification finds afterwards is nothing again.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod damages;
mod file_damages;
mod record_damages;
mod story;

use damages::{CASES, Case};
use daybook_server::db::Tx;
use daybook_server::on_db;
use daybook_server::verify::{Findings, verify};
use daybook_tests::sim::{Engine, World};
use indicatif::ProgressBar;
use sqlx::AssertSqlSafe;

/// Differences kept of each check: more than there are.
const LINES_MAX: usize = 1_000;

async fn db_verify(world: &World, tx: &mut Tx) -> Findings {
    let zone = &world.server.app().settings.zone;
    verify(tx, zone, LINES_MAX, &ProgressBar::hidden()).await.unwrap()
}

/// What verification finds now.
fn found(world: &World) -> Findings {
    world.server.read(async |_, tx| db_verify(world, tx).await)
}

/// What verification finds after a damage, which is undone.
fn found_after(world: &World, sql: &str) -> Findings {
    world.server.undone(async |_, tx| {
        for statement in sql.split(';') {
            let done = on_db!(&mut *tx, conn => {
                sqlx::query(AssertSqlSafe(statement.to_owned())).execute(conn).await.map(|done| done.rows_affected())
            });
            assert_ne!(done.unwrap_or_else(|error| panic!("{statement}: {error}")), 0, "no row: {statement}");
        }
        db_verify(world, tx).await
    })
}

fn notices(findings: &Findings, Case { check, table, .. }: &Case) -> bool {
    let check = findings.checks.get(check);
    check.is_some_and(|check| check.differences.iter().any(|difference| difference.table == *table))
}

/// The damages of a case that are not found, with what is found instead.
fn missed(world: &World, case: &Case) -> Vec<String> {
    let missed = case.damages.iter().filter_map(|sql| {
        let findings = found_after(world, sql);
        let Case { check, table, .. } = case;
        (!notices(&findings, case)).then(|| format!("{sql}\nshould be found by \"{check}\" in {table}\n{findings}"))
    });
    missed.collect()
}

#[test]
fn every_damage_of_the_table_is_found_and_nothing_else_is_wrong() {
    for engine in Engine::all() {
        let world = story::told(engine);
        let whole = found(&world);
        assert_eq!(whole.differing(), 0, "{engine:?}\n{whole}");
        let missed: Vec<_> = CASES.iter().copied().flatten().flat_map(|case| missed(&world, case)).collect();
        assert!(missed.is_empty(), "{engine:?}: {} damages\n{}", missed.len(), missed.join("\n\n"));
        let again = found(&world);
        assert_eq!(again, whole, "{engine:?}");
    }
}

/// Damages of what can be derived, each of which a rebuild mends.
const MENDED: [&str; 9] = [
    "update officer_cash set minor = minor + 7",
    "update account set paid_minor = paid_minor + 1, status = 'active', closed_as = null",
    "update instalment set paid_principal = paid_principal + 1",
    "delete from allocation",
    "update promise set status = 'ACTIVE'",
    "update account set active_promise = null, active_promise_at = null",
    "delete from board",
    "delete from feed where seq = (select max(f.seq) from feed f where f.caseload_id = feed.caseload_id)",
    "update feed set present = not present where seq = (select max(f.seq) from feed f where f.caseload_id = feed.caseload_id)",
];

/// Goal: what was damaged and can be derived is as it was after a rebuild, phones are told of it, and a
/// rebuild of what is whole writes nothing.
#[test]
fn a_rebuild_mends_what_can_be_derived() {
    for engine in Engine::all() {
        let mut world = story::told(engine);
        let phones: Vec<_> = (0..world.phones.len()).map(daybook_tests::sim::On).collect();
        let whole = world.server.rebuild();
        assert_eq!(whole, daybook_server::rebuild::Rebuilt::default(), "{engine:?}");
        for damage in MENDED {
            world.server.execute(damage);
            assert_ne!(found(&world).differing(), 0, "{engine:?}: {damage}");
            let rebuilt = world.server.rebuild();
            let after = found(&world);
            assert_eq!(after.differing(), 0, "{engine:?}: {damage}: {rebuilt:?}\n{after}");
        }
        world.settle(&phones);
        world.check_all(&phones);
    }
}
