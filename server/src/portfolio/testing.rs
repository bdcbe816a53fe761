//! Databases for the tests of this folder: a fresh one of each engine.

use crate::db::Db;

pub(crate) async fn for_each_engine(test: impl AsyncFn(&Db)) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite:{}", dir.path().join("t.db").display())).await.unwrap();
    test(&db).await;
    db.close().await;
    if let Ok(server) = std::env::var("PF_POSTGRES") {
        let name = format!(
            "t{}",
            uuid::Uuid::from_u128(std::ptr::from_ref(&dir) as u128 ^ u128::from(std::process::id())).simple()
        );
        let admin = sqlx::PgPool::connect(&format!("{server}/postgres")).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("drop database if exists {name}"))).execute(&admin).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}"))).execute(&admin).await.unwrap();
        let db = Db::open(&format!("{server}/{name}")).await.unwrap();
        test(&db).await;
        db.close().await;
        sqlx::query(sqlx::AssertSqlSafe(format!("drop database {name}"))).execute(&admin).await.unwrap();
    }
}
