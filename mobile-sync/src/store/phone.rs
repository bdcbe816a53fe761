//! The one row about the phone itself: who it is, and where it stands with the server.

use daybook_shared::cbor;
use daybook_shared::ids::{AckHash, BootId, DeploymentId, DeviceId, EnvelopeId, Epoch, Hash, InstallId, UserId};
use daybook_shared::money::Currency;
use daybook_shared::time::{DAY_MS, Timestamp, Zone};
use daybook_shared::wire::envelope::Anchor;
use daybook_shared::wire::exchange::OfficerBlock;
use daybook_shared::wire::limits::{ANCHORS_MAX, ENVELOPE_KEPT_DAYS};
use daybook_shared::wire::sign::{Acknowledgement, Algorithm, DeviceState, PublicKey, Signed, Signer};
use rand::Rng;
use rusqlite::{Row, params};

use super::rewind::signed_bytes;
use super::{BUDGET_BYTES_AT_FIRST, CHECK_VALUE, Db, Place, StoreError, bytes, bytes_or_null};
use crate::Moment;
use crate::time::{Heard, estimated, trusted};

const TABLE: &str = "phone";
pub(super) const CHECK: Place<'static> = Place { table: "phone.check_value", row: b"1" };
const SEED: Place<'static> = Place { table: "phone.seed", row: b"1" };
const USER_NAME: Place<'static> = Place { table: "phone.user_name", row: b"1" };
const LEASE: Place<'static> = Place { table: "phone.lease", row: b"1" };
const OFFICER: Place<'static> = Place { table: "phone.officer", row: b"1" };
/// Anchors kept however many envelopes name them.
const ANCHORS_KEPT_MAX: i64 = 4096;
/// Anchors kept however old they are; the header of an envelope carries at most [`ANCHORS_MAX`] of them.
const ANCHORS_KEPT: i64 = 64;

/// What enrolment gave the phone.
#[derive(Debug, Clone)]
pub(crate) struct Enrolment {
    pub deployment: DeploymentId,
    pub user: UserId,
    pub server_key: PublicKey,
    /// Missing where the server did not hand it out.
    pub envelope_key: Option<[u8; 32]>,
    pub zone: Zone,
    pub currency: Currency,
}

/// The phone's row, but for its secrets and names.
#[expect(clippy::struct_excessive_bools, reason = "columns that change each on its own")]
#[derive(Debug, Clone)]
pub(crate) struct Phone {
    /// When this build was made, not of the row: no instant is before it.
    pub built: Timestamp,
    pub generation: u64,
    pub device: DeviceId,
    pub install: InstallId,
    pub number_last: u64,
    pub envelope_last: EnvelopeId,
    pub acked_number: u64,
    pub enrolment: Option<Enrolment>,
    pub epoch: Option<Epoch>,
    pub lease_exp_s: Option<i64>,
    pub login_required: bool,
    pub state: DeviceState,
    pub after: AckHash,
    pub heard: Option<Heard>,
    pub caseloads_hash: u64,
    pub news_seen: u64,
    pub budget_bytes: u32,
    pub whole_responses: u32,
    pub upload_bytes: u32,
    pub whole_uploads: u32,
    pub send_cursors: bool,
    pub send_have: bool,
    /// What the server has to learn again travels with the next request.
    pub relearn: bool,
    /// What was heard under another epoch is not all confirmed yet.
    pub rewound: bool,
    /// The server asked for the newest acknowledgement.
    pub show_acknowledgement: bool,
    pub synced_at: Option<Timestamp>,
    /// When the store erased itself by order.
    pub wiped_at: Option<Timestamp>,
}

impl Phone {
    /// The earliest instant it can be.
    pub(crate) fn trusted(&self, now: Moment) -> Timestamp {
        trusted(self.built, self.heard, now)
    }

    /// The best guess at the instant it is.
    pub(crate) fn estimated(&self, now: Moment) -> Timestamp {
        estimated(self.built, self.heard, now)
    }

    /// Whether the right to see data has run out, or the server asked for a login.
    pub(crate) fn lease_lapsed(&self, now: Moment) -> bool {
        self.login_required || self.lease_exp_s.is_none_or(|exp_s| self.trusted(now).seconds() >= exp_s)
    }
}

impl Db<'_> {
    pub(super) fn insert_phone(self, generation: u64, now: Moment, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const SQL: &str = "insert into phone (id, check_value, generation, device, seed, install, envelope_last, \
            acked_envelope, after, budget_bytes) values (1, ?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8)";
        let made_at = estimated(self.built, None, now);
        let (device, install) = (DeviceId::new(made_at, rng), InstallId::new(made_at, rng));
        let seed = Signer::generate(rng).seed();
        let check = self.vault.seal(CHECK, CHECK_VALUE, rng);
        let seed = self.vault.seal(SEED, &seed, rng);
        let none = (EnvelopeId::NONE.0, AckHash::NONE.0);
        self.execute_one(
            SQL,
            params![
                check,
                generation.cast_signed(),
                device.as_bytes(),
                seed,
                install.as_bytes(),
                none.0,
                none.1,
                BUDGET_BYTES_AT_FIRST
            ],
        )
    }

    pub(crate) fn phone(self) -> Result<Phone, StoreError> {
        const SQL: &str = "select generation, device, install, number_last, envelope_last, acked_number, deployment, \
            user_id, server_key, envelope_key, zone, currency, epoch, lease_exp, login_required, state, after, trusted_at, \
            trusted_boot_id, trusted_boot_ms, caseloads_hash, news_seen, budget_bytes, whole_responses, upload_bytes, \
            whole_uploads, send_cursors, send_have, relearn, rewound, show_acknowledgement, synced_at, wiped_at from phone";
        self.first(SQL, [], |row| phone_of(row, self.built))?.ok_or(StoreError::BadRow { table: TABLE })
    }

    pub(crate) fn signer(self) -> Result<Signer, StoreError> {
        let sealed: Vec<u8> = self.conn.prepare_cached("select seed from phone")?.query_row([], |row| row.get(0))?;
        let seed = self.open(SEED, &sealed)?;
        let seed = seed.as_slice().try_into().map_err(|_| StoreError::BadRow { table: SEED.table })?;
        Ok(Signer::from_seed(seed))
    }

    pub(crate) fn user_name(self) -> Result<Option<String>, StoreError> {
        let sealed = self.first("select user_name from phone where user_name is not null", [], |row| {
            Ok(row.get::<_, Vec<u8>>(0)?)
        })?;
        sealed.map(|sealed| self.open_text(USER_NAME, &sealed)).transpose()
    }

    /// The lease, for the header of a request.
    pub(crate) fn lease(self) -> Result<Option<String>, StoreError> {
        let sealed =
            self.first("select lease from phone where lease is not null", [], |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
        sealed.map(|sealed| self.open_text(LEASE, &sealed)).transpose()
    }

    /// Keeps a lease and when it runs out, in seconds since 1970.
    pub(crate) fn set_lease(self, lease: &str, exp_s: i64, rng: &mut dyn Rng) -> Result<(), StoreError> {
        const SQL: &str = "update phone set lease = ?1, lease_exp = ?2, login_required = 0";
        self.execute_one(SQL, params![self.vault.seal(LEASE, lease.as_bytes(), rng), exp_s])
    }

    pub(crate) fn set_enrolment(
        self,
        enrolment: &Enrolment,
        user_name: &str,
        certificate: &Signed,
        rng: &mut dyn Rng,
    ) -> Result<(), StoreError> {
        const SQL: &str = "update phone set deployment = ?1, user_id = ?2, server_key = ?3, zone = ?4, currency = ?5, \
            user_name = ?6, certificate = ?7, envelope_key = coalesce(?8, envelope_key), \
            request_number = max(request_number, 1), wiped_at = null";
        self.execute_one(
            SQL,
            params![
                enrolment.deployment.as_bytes(),
                enrolment.user.as_bytes(),
                enrolment.server_key.bytes.0,
                enrolment.zone.name(),
                enrolment.currency.code(),
                self.vault.seal(USER_NAME, user_name.as_bytes(), rng),
                cbor::to_vec(certificate),
                enrolment.envelope_key,
            ],
        )
    }

    pub(crate) fn set_epoch(self, epoch: Epoch) -> Result<(), StoreError> {
        self.execute_one("update phone set epoch = ?1", params![epoch.0])
    }

    pub(crate) fn set_login_required(self, required: bool) -> Result<(), StoreError> {
        self.execute_one("update phone set login_required = ?1", params![required])
    }

    pub(crate) fn set_state(self, state: DeviceState) -> Result<(), StoreError> {
        self.execute_one("update phone set state = ?1", params![state_number(state)])
    }

    /// The newest server time, to judge leases and certificates by. An older one than what is trusted
    /// by now only says that the server was heard in this boot.
    pub(crate) fn set_heard(self, server: Timestamp, now: Moment) -> Result<(), StoreError> {
        self.write_heard(Heard::again(self.phone()?.heard, server, now))
    }

    /// Writes down how far trusted time has come in this boot, so that the next one begins there.
    pub(crate) fn keep_trusted(self, phone: &Phone, now: Moment) -> Result<(), StoreError> {
        phone.heard.and_then(|heard| heard.kept(now)).map_or(Ok(()), |heard| self.write_heard(heard))
    }

    pub(super) fn write_heard(self, heard: Heard) -> Result<(), StoreError> {
        const SQL: &str = "update phone set trusted_at = ?1, trusted_boot_id = ?2, trusted_boot_ms = ?3";
        let Heard { server, arrived } = heard;
        self.execute_one(SQL, params![server.micros(), arrived.boot_id.0, arrived.boot_ms.cast_signed()])
    }

    /// Keeps an acknowledgement of the server's: what entries name as `after`, and an anchor in time. As it
    /// was signed it is kept as long as an envelope that names it.
    pub(crate) fn set_acknowledgement(
        self,
        signed: &Signed,
        ack: &Acknowledgement,
        now: Moment,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into anchor (ack, server_at, wall, boot_id, boot_ms, epoch, signed) \
            values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        const PRUNE: &str = "delete from anchor where (seq <= (select max(seq) from anchor) - ?1 and server_at < ?2) \
            or seq <= (select max(seq) from anchor) - ?3";
        let hash = Acknowledgement::hash(signed);
        self.execute_one("update phone set after = ?1", params![hash.0])?;
        self.set_heard(ack.at, now)?;
        self.set_state(ack.state)?;
        self.execute_one(
            INSERT,
            params![
                hash.0,
                ack.at.micros(),
                now.wall.micros(),
                now.boot_id.0,
                now.boot_ms.cast_signed(),
                ack.epoch.0,
                signed_bytes(signed)
            ],
        )?;
        let before = ack.at.plus_ms(-(ENVELOPE_KEPT_DAYS + 1) * DAY_MS);
        self.execute(PRUNE, params![ANCHORS_KEPT, before.micros(), ANCHORS_KEPT_MAX])
    }

    /// The anchors of an envelope's header: the newest of each boot, oldest first.
    pub(crate) fn anchors(self) -> Result<Vec<Anchor>, StoreError> {
        const SQL: &str = "select ack, wall, boot_id, boot_ms from anchor \
            where seq in (select max(seq) from anchor group by boot_id) order by seq desc limit ?1";
        let limit = i64::try_from(ANCHORS_MAX).expect("a handful");
        let mut anchors = self.all(SQL, params![limit], |row| {
            let arrived = Moment {
                wall: Timestamp::from_micros(row.get(1)?),
                boot_id: BootId(bytes(row, 2, "anchor")?),
                boot_ms: row.get::<_, i64>(3)?.cast_unsigned(),
            };
            Ok(Anchor { ack: AckHash(bytes(row, 0, "anchor")?), arrived })
        })?;
        anchors.reverse();
        Ok(anchors)
    }

    pub(crate) fn officer(self) -> Result<Option<OfficerBlock>, StoreError> {
        let sealed =
            self.first("select officer from phone where officer is not null", [], |row| Ok(row.get::<_, Vec<u8>>(0)?))?;
        let Some(sealed) = sealed else { return Ok(None) };
        let block = minicbor::decode(&self.open(OFFICER, &sealed)?);
        block.map(Some).map_err(|_| StoreError::BadRow { table: OFFICER.table })
    }

    /// Keeps the server's figures. They hold every capture that has its verdict by now, so those stop
    /// being added to them.
    pub(crate) fn set_officer(self, block: &OfficerBlock, rng: &mut dyn Rng) -> Result<(), StoreError> {
        let sealed = self.vault.seal(OFFICER, &cbor::to_vec(block), rng);
        self.execute_one("update phone set officer = ?1", params![sealed])?;
        self.execute("update entry set uncounted = 0 where uncounted = 1 and state = 2", [])
    }

    /// The next request number, durable once the transaction is.
    pub(crate) fn next_request_number(self) -> Result<u64, StoreError> {
        const SQL: &str = "update phone set request_number = request_number + 1 returning request_number";
        let number: i64 = self.conn.prepare_cached(SQL)?.query_row([], |row| row.get(0))?;
        Ok(number.cast_unsigned())
    }

    /// Makes the request number at least this one, when the server has seen it.
    pub(crate) fn raise_request_number(self, last: u64) -> Result<(), StoreError> {
        let last = i64::try_from(last).unwrap_or(i64::MAX - 1);
        self.execute_one("update phone set request_number = max(request_number, ?1)", params![last])
    }

    pub(crate) fn set_budget(self, budget_bytes: u32, whole_responses: u32) -> Result<(), StoreError> {
        const SQL: &str = "update phone set budget_bytes = ?1, whole_responses = ?2";
        self.execute_one(SQL, params![budget_bytes, whole_responses])
    }

    /// How much goes up in one request, and the whole responses since that last changed.
    pub(crate) fn set_upload_budget(self, upload_bytes: u32, whole_uploads: u32) -> Result<(), StoreError> {
        const SQL: &str = "update phone set upload_bytes = ?1, whole_uploads = ?2";
        self.execute_one(SQL, params![upload_bytes, whole_uploads])
    }

    pub(crate) fn set_wishes(self, send_cursors: bool, send_have: bool) -> Result<(), StoreError> {
        const SQL: &str = "update phone set send_cursors = ?1, send_have = ?2";
        self.execute_one(SQL, params![send_cursors, send_have])
    }

    pub(crate) fn set_caseloads_hash(self, hash: u64) -> Result<(), StoreError> {
        self.execute_one("update phone set caseloads_hash = ?1", params![hash.cast_signed()])
    }

    /// How far the later verdicts on own entries are applied.
    pub(crate) fn set_news_seen(self, number: u64) -> Result<(), StoreError> {
        self.execute_one("update phone set news_seen = ?1", params![number.cast_signed()])
    }

    pub(crate) fn set_synced_at(self, at: Timestamp) -> Result<(), StoreError> {
        self.execute_one("update phone set synced_at = ?1", params![at.micros()])
    }
}

fn phone_of(row: &Row<'_>, built: Timestamp) -> Result<Phone, StoreError> {
    let count = |column: &str| Ok::<_, StoreError>(row.get::<_, i64>(column)?.cast_unsigned());
    Ok(Phone {
        built,
        generation: count("generation")?,
        device: bytes(row, "device", TABLE)?.into(),
        install: bytes(row, "install", TABLE)?.into(),
        number_last: count("number_last")?,
        envelope_last: EnvelopeId(bytes(row, "envelope_last", TABLE)?),
        acked_number: count("acked_number")?,
        enrolment: enrolment_of(row)?,
        epoch: bytes_or_null(row, "epoch", TABLE)?.map(Epoch),
        lease_exp_s: row.get("lease_exp")?,
        login_required: row.get("login_required")?,
        state: state_of(row.get("state")?),
        after: AckHash(bytes(row, "after", TABLE)?),
        heard: heard_of(row)?,
        caseloads_hash: count("caseloads_hash")?,
        news_seen: count("news_seen")?,
        budget_bytes: row.get("budget_bytes")?,
        whole_responses: row.get("whole_responses")?,
        upload_bytes: row.get("upload_bytes")?,
        whole_uploads: row.get("whole_uploads")?,
        send_cursors: row.get("send_cursors")?,
        send_have: row.get("send_have")?,
        relearn: row.get("relearn")?,
        rewound: row.get("rewound")?,
        show_acknowledgement: row.get("show_acknowledgement")?,
        synced_at: row.get::<_, Option<i64>>("synced_at")?.map(Timestamp::from_micros),
        wiped_at: row.get::<_, Option<i64>>("wiped_at")?.map(Timestamp::from_micros),
    })
}

fn enrolment_of(row: &Row<'_>) -> Result<Option<Enrolment>, StoreError> {
    let bad = StoreError::BadRow { table: TABLE };
    let Some(deployment) = bytes_or_null::<16>(row, "deployment", TABLE)? else { return Ok(None) };
    let (zone, currency): (String, String) = (row.get("zone")?, row.get("currency")?);
    let (Ok(zone), Ok(currency)) = (Zone::named(&zone), currency.parse()) else { return Err(bad) };
    let server_key = PublicKey { algorithm: Algorithm::Ed25519, bytes: Hash(bytes(row, "server_key", TABLE)?) };
    let envelope_key = bytes_or_null(row, "envelope_key", TABLE)?;
    let user = bytes(row, "user_id", TABLE)?.into();
    Ok(Some(Enrolment { deployment: deployment.into(), user, server_key, envelope_key, zone, currency }))
}

fn heard_of(row: &Row<'_>) -> Result<Option<Heard>, StoreError> {
    let Some(server) = row.get::<_, Option<i64>>("trusted_at")?.map(Timestamp::from_micros) else { return Ok(None) };
    let boot_id = BootId(bytes(row, "trusted_boot_id", TABLE)?);
    let boot_ms = row.get::<_, i64>("trusted_boot_ms")?.cast_unsigned();
    Ok(Some(Heard { server, arrived: Moment { wall: server, boot_id, boot_ms } }))
}

fn state_number(state: DeviceState) -> i64 {
    match state {
        DeviceState::Ok => 0,
        DeviceState::Revoked => 1,
        DeviceState::Wipe => 2,
    }
}

fn state_of(number: i64) -> DeviceState {
    match number {
        0 => DeviceState::Ok,
        1 => DeviceState::Revoked,
        _ => DeviceState::Wipe,
    }
}
