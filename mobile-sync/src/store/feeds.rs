//! Caseloads, how far each has been read, and what there is to report about dossiers that left.

use std::collections::BTreeSet;

use daybook_shared::ids::{CaseloadId, DossierId};
use daybook_shared::wire::exchange::{Audience, CaseloadCursor, CaseloadInfo, CursorBytes};
use rand::Rng;
use rusqlite::params;

use super::{Db, Place, StoreError, bytes};

const TABLE: &str = "caseload";

impl Db<'_> {
    /// Replaces the list of caseloads. One that is missing ends all its memberships.
    pub(crate) fn set_caseloads(self, list: &[CaseloadInfo], rng: &mut dyn Rng) -> Result<(), StoreError> {
        const LEFT: [&str; 3] = [
            "delete from membership where caseload not in (select id from caseload) and stale = 0",
            "delete from cursor where caseload not in (select id from caseload)",
            "delete from relisted where caseload not in (select id from caseload)",
        ];
        const SQL: &str = "insert into caseload (id, name, audience, place) values (?1, ?2, ?3, ?4)";
        self.execute("delete from caseload", [])?;
        for (place_in_list, caseload) in list.iter().enumerate() {
            let name = self.vault.seal(place(&caseload.id), caseload.name.as_bytes(), rng);
            let place_in_list = i64::try_from(place_in_list).expect("a short list");
            self.execute_one(
                SQL,
                params![caseload.id.as_bytes(), name, audience_number(caseload.audience), place_in_list],
            )?;
        }
        LEFT.iter().try_for_each(|sql| self.execute(sql, []))
    }

    /// The caseloads of this device, in the server's order.
    pub(crate) fn caseloads(self) -> Result<Vec<CaseloadInfo>, StoreError> {
        self.all("select id, name, audience from caseload order by place", [], |row| {
            let id = CaseloadId::from(bytes(row, 0, TABLE)?);
            let name = self.open_text(place(&id), &row.get::<_, Vec<u8>>(1)?)?;
            let audience = audience_of(row.get(2)?).ok_or(StoreError::BadRow { table: TABLE })?;
            Ok(CaseloadInfo { id, name, audience })
        })
    }

    /// Moves a caseload's cursor; false if it stood there already.
    pub(crate) fn set_cursor(self, caseload: CaseloadId, cursor: &CursorBytes) -> Result<bool, StoreError> {
        const SQL: &str = "insert into cursor (caseload, cursor) values (?1, ?2) \
            on conflict (caseload) do update set cursor = ?2 where cursor <> ?2";
        Ok(self.conn.prepare_cached(SQL)?.execute(params![caseload.as_bytes(), cursor.0.as_slice()])? > 0)
    }

    /// All cursors, or those that differ from what the server was left with, by caseload.
    pub(crate) fn cursors(self, only_changed: bool) -> Result<Vec<CaseloadCursor>, StoreError> {
        const SQL: &str = "select caseload, cursor from cursor \
            where ?1 = 0 or confirmed is null or confirmed <> cursor order by caseload";
        self.all(SQL, params![only_changed], |row| {
            let cursor: Vec<u8> = row.get(1)?;
            Ok(CaseloadCursor { caseload: bytes(row, 0, "cursor")?.into(), cursor: CursorBytes(cursor.into()) })
        })
    }

    /// The server has answered a request that carried these cursors.
    pub(crate) fn confirm_cursors(self, sent: &[CaseloadCursor]) -> Result<(), StoreError> {
        const SQL: &str = "update cursor set confirmed = ?2 where caseload = ?1";
        sent.iter()
            .try_for_each(|cursor| self.execute(SQL, params![cursor.caseload.as_bytes(), cursor.cursor.0.as_slice()]))
    }

    pub(crate) fn forget_cursors(self) -> Result<(), StoreError> {
        self.execute("delete from cursor", [])?;
        self.execute("delete from relisted", [])
    }

    /// Dossiers purged and not yet reported.
    pub(crate) fn purged(self) -> Result<Vec<DossierId>, StoreError> {
        self.all("select dossier from purged order by dossier", [], |row| Ok(bytes(row, 0, "purged")?.into()))
    }

    pub(crate) fn forget_purged(self, reported: &[DossierId]) -> Result<(), StoreError> {
        const SQL: &str = "delete from purged where dossier = ?1";
        reported.iter().try_for_each(|dossier| self.execute(SQL, params![dossier.as_bytes()]))
    }

    /// Adds a page of a full membership list.
    pub(crate) fn add_relisted(self, caseload: CaseloadId, members: &[(DossierId, u64)]) -> Result<(), StoreError> {
        const SQL: &str = "insert into relisted (caseload, dossier, epoch) values (?1, ?2, ?3) \
            on conflict (caseload, dossier) do update set epoch = max(epoch, ?3)";
        members.iter().try_for_each(|(dossier, epoch)| {
            self.execute(SQL, params![caseload.as_bytes(), dossier.as_bytes(), epoch.cast_signed()])
        })
    }

    /// The full list has ended: what it did not name has left the caseload.
    pub(crate) fn finish_relist(self, caseload: CaseloadId) -> Result<(), StoreError> {
        const LEFT: &str = "delete from membership where caseload = ?1 and stale = 0 \
            and dossier not in (select dossier from relisted where caseload = ?1)";
        self.execute(LEFT, params![caseload.as_bytes()])?;
        self.execute("delete from relisted where caseload = ?1", params![caseload.as_bytes()])
    }

    /// Ids of the caseloads here.
    pub(crate) fn caseload_ids(self) -> Result<BTreeSet<CaseloadId>, StoreError> {
        let ids = self.all("select id from caseload", [], |row| Ok(CaseloadId::from(bytes(row, 0, TABLE)?)))?;
        Ok(ids.into_iter().collect())
    }
}

fn audience_number(audience: Audience) -> i64 {
    match audience {
        Audience::Officer => 0,
        Audience::CallOfficer => 1,
        Audience::Supervisor => 2,
    }
}

pub(super) fn audience_of(number: i64) -> Option<Audience> {
    [Audience::Officer, Audience::CallOfficer, Audience::Supervisor]
        .into_iter()
        .find(|audience| audience_number(*audience) == number)
}

fn place(id: &CaseloadId) -> Place<'_> {
    Place { table: "caseload.name", row: id.as_bytes() }
}
