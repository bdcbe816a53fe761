//! Runs a file of money through [`super::receive`], some lines in a transaction: whatever ends it in
//! between, running it again goes on.

use indicatif::ProgressBar;
use serde_json::json;

use super::bad::{BadLine, BadLines};
use super::money_in::{Kind, Line, Reading};
use super::receive::{Came, LineResult, Note, receive};
use super::rows::Rows;
use super::take_over::Mode;
use super::{ImportError, RETRIES_MAX, Scope};
use crate::app::App;
use crate::audit;
use crate::db;

/// Lines of one transaction. On PostgreSQL phones wait for it.
const BATCH_LINES: usize = 100;

/// What an import of money did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct MoneyReport {
    /// Rows read.
    pub rows: u64,
    /// Lines posted to the account they name.
    pub posted: u64,
    /// Lines that confirmed what a phone recorded.
    pub confirmed: u64,
    /// Lines that wait in suspense.
    pub suspense: u64,
    /// Lines that came before.
    pub present: u64,
    /// Lines that came before with other content: nothing was changed.
    pub conflicts: u64,
    /// Lines under whose reference another amount was posted: nothing was changed.
    pub differing: u64,
    /// Lines left out for what is wrong with them.
    pub refused: u64,
    /// Lines with something wrong, or to be known; the first of them follow.
    pub bad_lines: u64,
    /// The first of them.
    pub lines: Vec<BadLine>,
}

impl MoneyReport {
    /// Lines that a person should look at.
    pub fn unclear(&self) -> u64 {
        self.suspense + self.conflicts + self.differing + self.refused
    }

    fn count(&mut self, came: Came) {
        let counter = match came {
            Came::Posted => &mut self.posted,
            Came::Confirmed => &mut self.confirmed,
            Came::Suspense => &mut self.suspense,
            Came::Present => &mut self.present,
            Came::Conflict => &mut self.conflicts,
            Came::Differs => &mut self.differing,
            Came::Refused => &mut self.refused,
        };
        *counter += 1;
    }
}

/// Who imports, how the file is read, and whether it counts.
#[derive(Debug, Clone)]
pub struct TakeIn<'a> {
    /// The server.
    pub app: &'a App,
    /// Who imports.
    pub scope: &'a Scope,
    /// How the file is read.
    pub reading: Reading,
    /// Whether it writes.
    pub mode: Mode,
}

impl TakeIn<'_> {
    /// Takes the lines of a file. What became of each goes to `each`.
    pub async fn run(
        &self,
        mut rows: Rows,
        mut bad: BadLines,
        progress: &ProgressBar,
        mut each: impl FnMut(LineResult),
    ) -> Result<MoneyReport, ImportError> {
        let mut report = MoneyReport::default();
        loop {
            let mut lines = Vec::with_capacity(BATCH_LINES);
            while lines.len() < BATCH_LINES {
                let Some(row) = rows.next_row()? else { break };
                report.rows += 1;
                let wrong = match row.map(|row| self.reading.line(&row)) {
                    Ok(Ok(line)) => {
                        lines.push(line);
                        continue;
                    }
                    Ok(Err(wrong)) => wrong,
                    Err((wrong, _)) => vec![wrong],
                };
                report.refused += 1;
                bad.extend(wrong)?;
            }
            progress.set_position(rows.bytes());
            if lines.is_empty() {
                break;
            }
            for result in self.batch(&lines).await? {
                report.count(result.came);
                if let Some(Note { column, reason }) = &result.note {
                    bad.push(BadLine::new(result.line, column, &result.external_ref, reason.as_str()))?;
                }
                each(result);
            }
        }
        progress.finish_and_clear();
        bad.flush()?;
        (report.bad_lines, report.lines) = (bad.count, bad.first);
        Ok(report)
    }

    /// One transaction; line by line when one of them makes it fail.
    async fn batch(&self, lines: &[Line]) -> Result<Vec<LineResult>, ImportError> {
        match self.attempt(lines).await {
            Err(error) if error.blames_the_rows() => {}
            other => return other,
        }
        let mut results = Vec::with_capacity(lines.len());
        for line in lines {
            match self.attempt(std::slice::from_ref(line)).await {
                Ok(done) => results.extend(done),
                Err(error) if error.blames_the_rows() => {
                    let note = Some(Note { column: "amount", reason: error.to_string() });
                    let (line, external_ref) = (line.line, line.external_ref.clone());
                    results.push(LineResult { line, external_ref, came: Came::Refused, payment: None, note });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(results)
    }

    async fn attempt(&self, lines: &[Line]) -> Result<Vec<LineResult>, ImportError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(lines).await {
                Err(ImportError::Sql(error)) if db::is_transient(&error) && tries < RETRIES_MAX => {}
                other => return other,
            }
        }
    }

    /// What is only checked is done and taken back.
    async fn once(&self, lines: &[Line]) -> Result<Vec<LineResult>, ImportError> {
        let mut tx = self.app.db.write().await?;
        let results = receive(&mut tx, self.app, self.scope, lines).await?;
        let new =
            results.iter().filter(|result| matches!(result.came, Came::Posted | Came::Confirmed | Came::Suspense));
        let new = new.count();
        if self.mode == Mode::Check || new == 0 && results.iter().all(|result| result.came != Came::Differs) {
            tx.rollback().await?;
            return Ok(results);
        }
        let action = match self.reading.kind {
            Kind::Repayments => "repayments.imported",
            Kind::Statement(_) => "statement.imported",
        };
        let subject = match &self.reading.kind {
            Kind::Repayments => "repayments",
            Kind::Statement(provider) => provider.as_str(),
        };
        audit::record(&mut tx, self.app.now(), self.scope.actor, action, subject, json!({ "lines": new })).await?;
        tx.commit().await?;
        Ok(results)
    }
}
