//! A device that does what its key allows, whatever a phone would do: for captures in any order, and
//! for everything a stranger with a stolen key could send.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use daybook_mobile_sync::session::HttpRequest;
use daybook_server::auth::{device, lease};
use daybook_shared::cbor;
use daybook_shared::ids::{AckHash, BootId, DeploymentId, DeviceId, EnvelopeId, Hash, InstallId};
use daybook_shared::wire::envelope::{BoardChange, Body, FORMAT, Header, PhoneTime, seal};
use daybook_shared::wire::exchange::{Answer as EnvelopeWord, Frame, MEDIA_TYPE, Request, VERSION};
use daybook_shared::wire::framing::deflate;
use daybook_shared::wire::outcome::Outcome;
use daybook_shared::wire::sign::{RequestProof, Signer};

use super::server::Answer;
use super::upload::frames_of;
use super::world::{On, World};

/// A device's key and where its numbers stand.
#[derive(Debug, Clone)]
pub struct Raw {
    /// The key.
    pub signer: Signer,
    /// The lender.
    pub deployment: DeploymentId,
    /// The device.
    pub device: DeviceId,
    /// The install.
    pub install: InstallId,
    /// The lease.
    pub lease: Option<String>,
    /// The last envelope sealed.
    pub number: u64,
    /// Its id.
    pub previous: EnvelopeId,
    /// The last request number used.
    pub request: u64,
    /// Envelopes are deposited first; the exchange then says what became of them.
    pub deposits: bool,
}

impl Raw {
    /// The identity of an enrolled phone, which must not sync by itself any more.
    pub fn of(world: &World, on: On) -> Self {
        let store = world.phone(on).store();
        let uid = store.device().expect("the store can be read");
        let lease = world.server.read(async |app, tx| {
            let device = device::find(tx, uid).await.expect("devices can be read").expect("the device exists");
            lease::issue(app, device.holder().expect("a device has a key"), app.now())
        });
        let install = store.install().expect("the store can be read");
        let taken: Vec<(InstallId, i64, EnvelopeId, i64)> =
            world.server.rows("select uid, last_number, last_envelope, last_request from install");
        let known = taken.into_iter().find(|row| row.0 == install);
        let (number, previous, request) = known.map_or((0, EnvelopeId::NONE, 0), |row| (row.1, row.2, row.3));
        Self {
            signer: store.signer().expect("the store can be read"),
            deployment: world.server.app().deployment.id,
            device: uid,
            install,
            lease: Some(lease),
            number: u64::try_from(number).unwrap_or_default(),
            previous,
            request: u64::try_from(request).unwrap_or_default(),
            deposits: false,
        }
    }

    /// The header of the next envelope, sealed at the epoch of computers: nothing depends on it.
    pub fn header(&self) -> Header {
        let sealed_at = PhoneTime { wall: daybook_shared::time::Timestamp::EPOCH, boot_id: BootId([1; 8]), boot_ms: 1 };
        Header {
            format: FORMAT,
            deployment: self.deployment,
            device: self.device,
            install: self.install,
            number: self.number + 1,
            previous: self.previous,
            after: AckHash::NONE,
            sealed_at,
            anchors: Vec::new(),
        }
    }

    /// Seals the next envelope and moves the chain on.
    pub fn seal(&mut self, entries: &[Vec<u8>], board: Vec<BoardChange>) -> Vec<u8> {
        let body = Body { entries: entries.iter().map(|bytes| bytes.clone().into()).collect(), board };
        let (id, bytes) = seal(&self.signer, &self.header(), &body);
        self.number += 1;
        self.previous = id;
        bytes
    }

    /// A request with these envelopes and nothing to read.
    pub fn request(envelopes: &[Vec<u8>]) -> Request {
        Request {
            version: VERSION,
            epoch: None,
            budget_bytes: 4096,
            cursors_hash: 0,
            cursors: Vec::new(),
            envelopes: envelopes.iter().map(|bytes| bytes.clone().into()).collect(),
            purged: Vec::new(),
            have: None,
            caseloads_hash: 0,
            news_seen: 0,
            receipt_last: u32::MAX,
            receipts_left: 50,
            ..Request::default()
        }
    }

    /// A signed body on its way to a path.
    pub fn signed(&mut self, path: &'static str, body: Vec<u8>) -> HttpRequest {
        self.request += 1;
        let who = (self.device, self.install, self.request);
        let proof = RequestProof::make(&self.signer, self.deployment, who, ("POST", path, &body));
        let mut headers = vec![
            ("content-type", MEDIA_TYPE.to_owned()),
            (RequestProof::HEADER, BASE64_URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof))),
        ];
        headers.extend(self.lease.as_ref().map(|lease| ("authorization", format!("Bearer {lease}"))));
        HttpRequest { method: "POST", path: path.into(), headers, body }
    }

    /// A signed piece of a file on its way: where it begins, and how long the whole file is.
    pub fn piece(&mut self, sha256: Hash, (offset, size): (usize, u32), bytes: &[u8]) -> HttpRequest {
        self.request += 1;
        let path = format!("/v1/attachments/{sha256}?offset={offset}&size={size}");
        let who = (self.device, self.install, self.request);
        let proof = RequestProof::make(&self.signer, self.deployment, who, ("PUT", &path, bytes));
        let proof = BASE64_URL_SAFE_NO_PAD.encode(cbor::to_vec(&proof));
        let headers = vec![("content-type", "application/octet-stream".to_owned()), (RequestProof::HEADER, proof)];
        HttpRequest { method: "PUT", path: path.into(), headers, body: bytes.to_vec() }
    }

    /// Sends a body as it is.
    pub fn post(&mut self, world: &World, path: &'static str, body: Vec<u8>) -> Answer {
        let request = self.signed(path, body);
        world.server.answer(&request)
    }

    /// Sends envelopes.
    pub fn send(&mut self, world: &World, envelopes: &[Vec<u8>]) -> Answer {
        let body = deflate(&cbor::to_vec(&Self::request(envelopes)));
        if self.deposits {
            let answer = self.post(world, "/v1/deposit", body.clone());
            assert!(words_of(&answer).is_empty(), "a deposit is answered by an acknowledgement");
        }
        self.post(world, "/v1/sync", body)
    }

    /// Sends envelopes and gives the server's word on each.
    pub fn words(&mut self, world: &World, envelopes: &[Vec<u8>]) -> Vec<EnvelopeWord> {
        let answer = self.send(world, envelopes);
        assert_eq!(answer.status, 200, "{}", answer.json());
        words_of(&answer)
    }

    /// Seals and sends one envelope, which is taken; gives its verdicts.
    pub fn upload(&mut self, world: &World, entries: &[Vec<u8>], board: Vec<BoardChange>) -> Verdicts {
        let envelope = self.seal(entries, board);
        let mut words = self.words(world, &[envelope]);
        match words.pop() {
            Some(EnvelopeWord::Taken { outcomes, board }) => Verdicts { outcomes, board },
            other => panic!("the envelope was not taken: {other:?}"),
        }
    }
}

/// Verdicts on an envelope's items.
#[derive(Debug, Clone)]
pub struct Verdicts {
    /// On its entries.
    pub outcomes: Vec<Outcome>,
    /// On its board changes.
    pub board: Vec<daybook_shared::wire::outcome::BoardVerdict>,
}

/// The server's word on each envelope of a request.
pub fn words_of(answer: &Answer) -> Vec<EnvelopeWord> {
    let frames: Vec<Frame> = frames_of(&answer.body);
    frames.into_iter().flat_map(|frame| frame.answers.unwrap_or_default()).map(|answer| answer.answer).collect()
}
