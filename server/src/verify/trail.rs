//! The audit trail is the chain that was sealed. Heads that phones hold are `daybook audit verify`'s.

use daybook_shared::ids::DeploymentId;

use super::findings::{Findings, Place};
use crate::audit::check;
use crate::db::Tx;
use crate::on_db;

const CHECK: &str = "audit: chain";
const SELECT_DEPLOYMENT: &str = "select uid from deployment where id = 1";

/// Verifies the chain in itself.
pub async fn verify(tx: &mut Tx, findings: &mut Findings) -> sqlx::Result<()> {
    let deployment: Option<DeploymentId> =
        on_db!(&mut *tx, conn => sqlx::query_scalar(SELECT_DEPLOYMENT).fetch_optional(conn).await)?;
    let Some(deployment) = deployment else { return Ok(()) };
    let report = check::check(tx, deployment, &[]).await?;
    findings.agree(CHECK, report.sealed.saturating_sub(report.wrong));
    for fault in &report.faults {
        let place = Place { check: CHECK, table: "audit", key: &fault.seq() };
        findings.differs(place, "the chain", "what was sealed", fault);
    }
    Ok(())
}
