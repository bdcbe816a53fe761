//! Dossiers this phone holds: memberships, facts, purges.

use std::collections::BTreeMap;

use daybook_shared::board::BoardKind;
use daybook_shared::facts::{AgentProfile, Profile, SectionKind};
use daybook_shared::ids::{CaseloadId, DossierId};
use daybook_shared::wire::exchange::{Audience, Held};
use rand::Rng;
use rusqlite::params;

use super::boards::{kind_number, kind_of};
use super::{Db, Place, StoreError, bytes};

const TABLE: &str = "dossier";
const SECTION: &str = "section";

impl Db<'_> {
    /// Opens a day of the officer's own, if it is not here yet.
    pub(crate) fn open_day(self, dossier: DossierId) -> Result<(), StoreError> {
        const SQL: &str = "insert into dossier (id, kind, opened_here) values (?1, ?2, 1) on conflict (id) do nothing";
        self.execute(SQL, params![dossier.as_bytes(), kind_number(BoardKind::Day)])
    }

    /// Notes that a caseload holds a dossier under a membership epoch, and up to which version this
    /// phone has it. From now on the server says how long it stays.
    pub(crate) fn hold(
        self,
        dossier: DossierId,
        caseload: CaseloadId,
        epoch: u64,
        version: u64,
    ) -> Result<(), StoreError> {
        const DOSSIER: &str = "insert into dossier (id, version) values (?1, ?2) \
            on conflict (id) do update set version = max(version, ?2), opened_here = 0";
        const MEMBERSHIP: &str = "insert into membership (dossier, caseload, epoch) values (?1, ?2, ?3) \
            on conflict (dossier, caseload) do update set epoch = max(epoch, ?3), stale = 0";
        self.execute(DOSSIER, params![dossier.as_bytes(), version.cast_signed()])?;
        self.execute(MEMBERSHIP, params![dossier.as_bytes(), caseload.as_bytes(), epoch.cast_signed()])
    }

    /// Ends a caseload's membership of this epoch or an older one; not one that the server of this database
    /// epoch has not confirmed.
    pub(crate) fn end_membership(self, dossier: DossierId, caseload: CaseloadId, epoch: u64) -> Result<(), StoreError> {
        const SQL: &str = "delete from membership where dossier = ?1 and caseload = ?2 and epoch <= ?3 and stale = 0";
        self.execute(SQL, params![dossier.as_bytes(), caseload.as_bytes(), epoch.cast_signed()])
    }

    /// Whether the dossier is here.
    pub(crate) fn holds(self, dossier: DossierId) -> Result<bool, StoreError> {
        Ok(self.version_of(dossier)?.is_some())
    }

    pub(crate) fn version_of(self, dossier: DossierId) -> Result<Option<u64>, StoreError> {
        const SQL: &str = "select version from dossier where id = ?1";
        self.first(SQL, params![dossier.as_bytes()], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
    }

    /// The dossiers here and their versions, by id.
    pub(crate) fn held(self) -> Result<Vec<Held>, StoreError> {
        self.all("select id, version from dossier order by id", [], |row| {
            Ok(Held { dossier: bytes(row, 0, TABLE)?.into(), version: row.get::<_, i64>(1)?.cast_unsigned() })
        })
    }

    /// Versions belong to the server's epoch; under another one they start over.
    pub(crate) fn forget_versions(self) -> Result<(), StoreError> {
        self.execute("update dossier set version = 0", [])
    }

    pub(crate) fn dossier_kind(self, dossier: DossierId) -> Result<Option<BoardKind>, StoreError> {
        const SQL: &str = "select kind from dossier where id = ?1";
        let number = self.first(SQL, params![dossier.as_bytes()], |row| Ok(row.get::<_, Option<i64>>(0)?))?;
        Ok(number.flatten().and_then(kind_of))
    }

    pub(crate) fn set_dossier_kind(self, dossier: DossierId, kind: BoardKind) -> Result<(), StoreError> {
        self.execute("update dossier set kind = ?2 where id = ?1", params![dossier.as_bytes(), kind_number(kind)])
    }

    /// What the facts of the dossier's caseload show.
    pub(crate) fn audience_of(self, dossier: DossierId) -> Result<Option<Audience>, StoreError> {
        const SQL: &str = "select c.audience from membership m join caseload c on c.id = m.caseload \
            where m.dossier = ?1 order by m.epoch desc limit 1";
        let number = self.first(SQL, params![dossier.as_bytes()], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(number.and_then(super::feeds::audience_of))
    }

    /// Replaces a section of a dossier's facts, and learns the dossier's kind from a profile.
    pub(crate) fn set_section(
        self,
        dossier: DossierId,
        kind: u8,
        section: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str = "insert into section (dossier, kind, bytes) values (?1, ?2, ?3) \
            on conflict (dossier, kind) do update set bytes = ?3, stale = 0";
        let sealed = self.vault.seal(place(&row_of(dossier, kind)), section, rng);
        self.execute_one(SQL, params![dossier.as_bytes(), kind, sealed])?;
        if kind != SectionKind::Profile.number() {
            return Ok(());
        }
        if minicbor::decode::<Profile>(section).is_ok_and(|profile| DossierId::case(profile.account) == dossier) {
            self.set_dossier_kind(dossier, BoardKind::Case)
        } else if minicbor::decode::<AgentProfile>(section).is_ok() {
            self.set_dossier_kind(dossier, BoardKind::Agent)
        } else {
            Ok(())
        }
    }

    /// A dossier's facts: each section's CBOR by its number.
    pub(crate) fn sections_of(self, dossier: DossierId) -> Result<BTreeMap<u8, Vec<u8>>, StoreError> {
        const SQL: &str = "select kind, bytes from section where dossier = ?1";
        let sections = self.all(SQL, params![dossier.as_bytes()], |row| {
            let kind: u8 = row.get(0)?;
            let plain = self.open(place(&row_of(dossier, kind)), &row.get::<_, Vec<u8>>(1)?)?;
            Ok((kind, plain))
        })?;
        Ok(sections.into_iter().collect())
    }

    /// One section of the facts, if it is here and of the known shape.
    pub(crate) fn section<T: for<'b> minicbor::Decode<'b, ()>>(
        self,
        dossier: DossierId,
        kind: SectionKind,
    ) -> Result<Option<T>, StoreError> {
        const SQL: &str = "select bytes from section where dossier = ?1 and kind = ?2";
        let sealed =
            self.first(SQL, params![dossier.as_bytes(), kind.number()], |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let plain = self.open(place(&row_of(dossier, kind.number())), &sealed)?;
        Ok(minicbor::decode(&plain).ok())
    }

    /// Case dossiers here with their profiles, by id.
    pub(crate) fn profiles(self) -> Result<Vec<(DossierId, Profile)>, StoreError> {
        const SQL: &str = "select s.dossier, s.bytes from section s join dossier d on d.id = s.dossier \
            where s.kind = ?1 and d.kind = ?2 order by s.dossier";
        let kind = SectionKind::Profile.number();
        let profiles = self.all(SQL, params![kind, kind_number(BoardKind::Case)], |row| {
            let dossier = DossierId::from(bytes(row, 0, SECTION)?);
            let plain = self.open(place(&row_of(dossier, kind)), &row.get::<_, Vec<u8>>(1)?)?;
            let profile = minicbor::decode(&plain).map_err(|_| StoreError::BadRow { table: SECTION })?;
            Ok((dossier, profile))
        })?;
        Ok(profiles)
    }

    /// Agents' files here with their profiles, by id.
    pub(crate) fn agent_profiles(self) -> Result<Vec<(DossierId, AgentProfile)>, StoreError> {
        const SQL: &str = "select s.dossier, s.bytes from section s join dossier d on d.id = s.dossier \
            where s.kind = ?1 and d.kind = ?2 order by s.dossier";
        let kind = SectionKind::Profile.number();
        self.all(SQL, params![kind, kind_number(BoardKind::Agent)], |row| {
            let dossier = DossierId::from(bytes(row, 0, SECTION)?);
            let plain = self.open(place(&row_of(dossier, kind)), &row.get::<_, Vec<u8>>(1)?)?;
            let profile = minicbor::decode(&plain).map_err(|_| StoreError::BadRow { table: SECTION })?;
            Ok((dossier, profile))
        })
    }

    /// Dossiers that no caseload holds any more and of which nothing waits for a verdict.
    pub(crate) fn purgeable(self) -> Result<Vec<DossierId>, StoreError> {
        const SQL: &str = "select id from dossier d where opened_here = 0 \
            and not exists (select 1 from membership m where m.dossier = d.id) \
            and not exists (select 1 from entry e where e.dossier = d.id and e.state < 2) \
            and not exists (select 1 from board_change c where c.dossier = d.id) order by id";
        self.all(SQL, [], |row| Ok(bytes(row, 0, TABLE)?.into()))
    }

    /// Removes a dossier with all that belongs to it, and notes it for the next request. Its own
    /// unanswered captures were drained before; the officer's drafts are his and stay, and so does what a
    /// hand-over needs of the cash he holds.
    pub(crate) fn purge(self, dossier: DossierId) -> Result<(), StoreError> {
        const STATEMENTS: [&str; 5] = [
            "delete from entry where dossier = ?1 and state = 2",
            "delete from section where dossier = ?1",
            "delete from board where dossier = ?1",
            "delete from dossier where id = ?1",
            "insert into purged (dossier) values (?1) on conflict do nothing",
        ];
        self.keep_cash_of(dossier)?;
        STATEMENTS.iter().try_for_each(|sql| self.execute(sql, params![dossier.as_bytes()]))?;
        self.drop_files_of_nobody()
    }
}

fn row_of(dossier: DossierId, kind: u8) -> Vec<u8> {
    [dossier.as_bytes().as_slice(), &[kind]].concat()
}

fn place(row: &[u8]) -> Place<'_> {
    Place { table: SECTION, row }
}
