//! The one exchange, `POST /v1/sync`: a request up, frames down.
//!
//! Ids of users, devices and dossiers are numbers into a table of the frame that names them, so a
//! frame can be read alone. Every frame ends with the cursors that hold once it is applied.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::catalogue::{CatalogueHeld, CataloguePage};
use super::limits::{CASELOADS_MAX, REQUEST_ENVELOPES_MAX};
use super::outcome::{BoardVerdict, Outcome};
use super::sign::Signed;
use crate::cbor::{self, Malformed};
use crate::ids::{AckHash, CaseloadId, DossierId, EntryId, EnvelopeId, Epoch, UserId, sha256};
use crate::money::Money;
use crate::time::Timestamp;

/// The media type of the exchange.
pub const MEDIA_TYPE: &str = "application/vnd.daybook.sync+cbor";
/// The version of the exchange.
pub const VERSION: u8 = 1;

/// Where a reader of a caseload stands. Opaque to the phone; at most 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct CursorBytes(#[n(0)] pub ByteVec);

/// A caseload and how far the phone has read it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CaseloadCursor {
    /// The caseload.
    #[n(0)]
    pub caseload: CaseloadId,
    /// How far.
    #[n(1)]
    pub cursor: CursorBytes,
}

/// What a phone says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Request {
    /// [`VERSION`].
    #[n(0)]
    pub version: u8,
    /// The history the cursors belong to; absent before the first answer.
    #[n(1)]
    pub epoch: Option<Epoch>,
    /// How many bytes (compressed) the phone wants from the caseload list on.
    #[n(2)]
    pub budget_bytes: u32,
    /// Hash of all cursors ([`cursors_hash`]), so that unchanged ones need not travel.
    #[n(3)]
    pub cursors_hash: u64,
    /// Cursors that differ from the ones in the last request that was answered.
    #[cbor(n(4), decode_with = "cbor::at_most::<_, _, { CASELOADS_MAX }>")]
    pub cursors: Vec<CaseloadCursor>,
    /// Sealed envelopes, oldest first.
    #[cbor(n(5), decode_with = "cbor::at_most::<_, _, { REQUEST_ENVELOPES_MAX }>")]
    pub envelopes: Vec<ByteVec>,
    /// Dossiers purged since the last answered request.
    #[n(6)]
    pub purged: Vec<DossierId>,
    /// What the phone holds, when the server asked for it.
    #[n(7)]
    pub have: Option<Vec<Held>>,
    /// The hash of the caseload list the phone has ([`caseloads_hash`]); 0 for none.
    #[n(8)]
    pub caseloads_hash: u64,
    /// The number of the newest [`News`] applied; 0 before the first.
    #[n(9)]
    pub news_seen: u64,
    /// The last number of the newest receipt block this install holds; 0 for none.
    #[n(10)]
    pub receipt_last: u32,
    /// Receipt numbers it has left.
    #[n(11)]
    pub receipts_left: u32,
    /// The newest acknowledgement of this epoch: a server that has not got it was set back.
    #[n(12)]
    pub after: Option<AckHash>,
    /// Signed [`super::sign::Acknowledgement`]s: the newest, when the server asked for it, and those of
    /// other epochs that the envelopes of this request name or were acknowledged by.
    #[n(13)]
    pub acknowledgements: Option<Vec<Signed>>,
    /// The newest grants of receipt numbers (signed [`super::sign::ReceiptBlock`]s), with the first
    /// request of a rewind.
    #[n(14)]
    pub blocks: Option<Vec<Signed>>,
    /// Kept envelopes are left to be handed in again: nothing is to come down yet.
    #[n(15)]
    pub rewinding: Option<bool>,
    /// It holds what the server of this epoch has said nothing of: see [`Frame::settled`].
    #[n(16)]
    pub unsettled: Option<bool>,
    /// What the phone still holds beside what this request carries; absent when that is nothing, and from a
    /// phone that does not say.
    #[n(17)]
    pub unsent: Option<Unsent>,
    /// The phone has erased itself by order; what it still sends is all it has.
    #[n(18)]
    pub wiped: Option<bool>,
    /// The offers it has to quote from; absent from a phone that keeps none.
    #[n(19)]
    pub catalogue: Option<CatalogueHeld>,
}

/// Captures that a request leaves on the phone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Unsent {
    /// How many.
    #[n(0)]
    pub count: u32,
    /// When the oldest was captured, by the phone's clock.
    #[n(1)]
    pub oldest_at: Timestamp,
}

/// How deep a request nests: its fields, a list, an item of it.
const REQUEST_DEPTH_MAX: usize = 3;

impl Request {
    /// Reads a request from a stranger's inflated bytes: one item, nothing beyond its limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        cbor::decode(bytes, REQUEST_DEPTH_MAX)
    }
}

/// A dossier the phone holds, and its version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Held {
    /// The dossier.
    #[n(0)]
    pub dossier: DossierId,
    /// The version.
    #[n(1)]
    pub version: u64,
}

/// The server's word on one envelope of the request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct EnvelopeAnswer {
    /// The envelope's number.
    #[n(0)]
    pub number: u64,
    /// What became of it.
    #[n(1)]
    pub answer: Answer,
}

/// What became of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Answer {
    /// Taken, now or before: a verdict for every entry and every board change, in their order.
    #[n(0)]
    Taken {
        /// Verdicts on the entries.
        #[n(0)]
        outcomes: Vec<Outcome>,
        /// Verdicts on the board changes.
        #[n(1)]
        board: Vec<BoardVerdict>,
    },
    /// Not taken: the server expects this number. A phone that cannot supply it starts a new install.
    #[n(1)]
    Expect {
        /// The number expected.
        #[n(0)]
        number: u64,
        /// The id of the last envelope taken.
        #[n(1)]
        previous: EnvelopeId,
    },
    /// Not taken: this number was used for other content, or the install ended. Start a new install.
    #[n(2)]
    Reactor,
    /// Not taken: malformed or wrongly signed. Nothing was consumed.
    #[n(3)]
    Refused {
        /// The stable code.
        #[n(0)]
        code: String,
    },
}

/// Whether a caseload's rows are shown to this kind of reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Audience {
    /// A field officer.
    #[n(0)]
    Officer,
    /// A call officer.
    #[n(1)]
    CallOfficer,
    /// A supervisor in the field.
    #[n(2)]
    Supervisor,
}

/// A caseload of the device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct CaseloadInfo {
    /// The caseload.
    #[n(0)]
    pub id: CaseloadId,
    /// Its name for people.
    #[n(1)]
    pub name: String,
    /// What its facts show.
    #[n(2)]
    pub audience: Audience,
}

/// What an officer's app needs beside the dossiers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct OfficerBlock {
    /// Cash in hand by currency, as far as the server knows.
    #[n(0)]
    pub cash_in_hand: Vec<Money>,
    /// What this device may still take, by currency.
    #[n(1)]
    pub allowance: Vec<Money>,
}

/// A user named in a frame.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Person {
    /// The user.
    #[n(0)]
    pub id: UserId,
    /// The name colleagues see.
    #[n(1)]
    pub name: String,
}

/// An entry of another install, with its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct FeedEntry {
    /// The bytes its phone made.
    #[n(0)]
    pub bytes: ByteVec,
    /// Who captured it: an index into the frame's people.
    #[n(1)]
    pub author: u16,
    /// The verdict.
    #[n(2)]
    pub outcome: Outcome,
}

/// A verdict that changed after the entry had travelled.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct NewOutcome {
    /// The entry.
    #[n(0)]
    pub entry: EntryId,
    /// Its verdict now.
    #[n(1)]
    pub outcome: Outcome,
}

/// Verdicts on the device's own entries that changed later. Repeated until the device names their
/// number in a request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct News {
    /// Goes up.
    #[n(0)]
    pub number: u64,
    /// The verdicts.
    #[n(1)]
    pub outcomes: Vec<NewOutcome>,
}

/// News of a board.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum BoardNews {
    /// The whole board, saved.
    #[n(0)]
    Snapshot(#[n(0)] ByteVec),
    /// Changes to add, each after what it depends on.
    #[n(1)]
    Changes(#[n(0)] Vec<ByteVec>),
}

/// A section of a dossier's facts, newer than the phone's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Section {
    /// Which one ([`crate::facts::SectionKind`]'s number).
    #[n(0)]
    pub kind: u8,
    /// Its CBOR.
    #[n(1)]
    pub bytes: ByteVec,
}

/// News of one dossier, or the next part of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Delta {
    /// The dossier: an index into the frame's dossiers.
    #[n(0)]
    pub dossier: u16,
    /// Through which caseload it is held: an index into the frame's caseloads.
    #[n(1)]
    pub caseload: u16,
    /// The membership's epoch.
    #[n(2)]
    pub epoch: u64,
    /// The dossier's version once this part is applied.
    #[n(3)]
    pub version: u64,
    /// Facts sections that changed.
    #[n(4)]
    pub facts: Vec<Section>,
    /// Entries of other installs, oldest first.
    #[n(5)]
    pub entries: Vec<FeedEntry>,
    /// Verdicts that changed, on other devices' entries.
    #[n(6)]
    pub outcomes: Vec<NewOutcome>,
    /// News of the board.
    #[n(7)]
    pub board: Option<BoardNews>,
}

/// Why a dossier left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum GoneReason {
    /// Given to another caseload.
    #[n(0)]
    Moved,
    /// Closed.
    #[n(1)]
    Closed,
    /// Erased by order.
    #[n(2)]
    Erased,
}

/// A dossier that left a caseload.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Gone {
    /// The dossier: an index into the frame's dossiers.
    #[n(0)]
    pub dossier: u16,
    /// The caseload: an index into the frame's caseloads.
    #[n(1)]
    pub caseload: u16,
    /// It ends memberships of this epoch and older ones.
    #[n(2)]
    pub epoch: u64,
    /// Why.
    #[n(3)]
    pub reason: GoneReason,
}

/// Entries to erase from the phone, kept envelopes included.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Drop {
    /// The dossier: an index into the frame's dossiers.
    #[n(0)]
    pub dossier: u16,
    /// The entries.
    #[n(1)]
    pub entries: Vec<EntryId>,
}

/// A page of a caseload's full membership, for a cursor older than the feed's memory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct Relist {
    /// The caseload: an index into the frame's caseloads.
    #[n(0)]
    pub caseload: u16,
    /// Members: indices into the frame's dossiers, with their epochs.
    #[n(1)]
    pub members: Vec<(u16, u64)>,
    /// The list ends here: what it did not name has left.
    #[n(2)]
    pub last: bool,
}

/// A cursor that holds once the frame is applied.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct NewCursor {
    /// The caseload: an index into the frame's caseloads.
    #[n(0)]
    pub caseload: u16,
    /// How far.
    #[n(1)]
    pub cursor: CursorBytes,
}

/// One step of a response. A phone applies a whole frame in one local transaction, or none of it.
/// Empty sections are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Frame {
    /// The database's history, in a response's first frame.
    #[n(0)]
    pub epoch: Option<Epoch>,
    /// Answers to the request's envelopes, in their order.
    #[n(1)]
    pub answers: Option<Vec<EnvelopeAnswer>>,
    /// The newest acknowledgement (a signed [`super::sign::Acknowledgement`]).
    #[n(2)]
    pub acknowledgement: Option<Signed>,
    /// The server lost its copy of the phone's cursors: send all of them.
    #[n(3)]
    pub send_cursors: Option<bool>,
    /// A new lease (JWT).
    #[n(4)]
    pub lease: Option<String>,
    /// A new grant of receipt numbers (a signed [`super::sign::ReceiptBlock`]).
    #[n(5)]
    pub receipt_block: Option<Signed>,
    /// Cash and allowance.
    #[n(6)]
    pub officer: Option<OfficerBlock>,
    /// All caseloads of the device, when the list changed.
    #[n(7)]
    pub caseloads: Option<Vec<CaseloadInfo>>,
    /// Reserved: a first look at what is most urgent.
    #[n(8)]
    pub preview: Option<Vec<Delta>>,
    /// People this frame names.
    #[n(9)]
    pub people: Option<Vec<Person>>,
    /// Dossiers this frame names.
    #[n(10)]
    pub dossiers: Option<Vec<DossierId>>,
    /// Caseloads this frame names.
    #[n(11)]
    pub feeds: Option<Vec<CaseloadId>>,
    /// Dossiers that left.
    #[n(12)]
    pub gone: Option<Vec<Gone>>,
    /// News of dossiers.
    #[n(13)]
    pub deltas: Option<Vec<Delta>>,
    /// Entries to erase.
    #[n(14)]
    pub drop: Option<Vec<Drop>>,
    /// Pages of full memberships.
    #[n(15)]
    pub relist: Option<Vec<Relist>>,
    /// The cursors that hold once this frame is applied.
    #[n(16)]
    pub cursors: Option<Vec<NewCursor>>,
    /// Only in the last frame: whether the budget cut the response short, so that there is more.
    #[n(17)]
    pub end: Option<End>,
    /// Ask for [`Request::have`] in the next request.
    #[n(18)]
    pub send_have: Option<bool>,
    /// The lease has lapsed: what was sent is taken, nothing is handed out until a new login.
    #[n(19)]
    pub login_required: Option<bool>,
    /// New verdicts on this device's own entries, whether it still holds their dossiers or not.
    #[n(20)]
    pub news: Option<News>,
    /// Send the acknowledgement that [`Request::after`] names: the server does not know it.
    #[n(21)]
    pub show_acknowledgement: Option<bool>,
    /// People have looked at what a restore lost: what this epoch has said nothing of has left the phone's
    /// caseloads.
    #[n(22)]
    pub settled: Option<bool>,
    /// The order that this phone erase itself (a signed [`super::sign::WipeOrder`]).
    #[n(23)]
    pub wipe: Option<Signed>,
    /// The next part of the offers to quote from, once everything else is here.
    #[n(24)]
    pub catalogue: Option<CataloguePage>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum End {
    /// The phone is up to date with the snapshot this response was read from.
    #[n(0)]
    Complete,
    /// The budget is used up; ask again.
    #[n(1)]
    More,
}

/// Hash of all cursors of a device, in caseload order.
pub fn cursors_hash<'a>(cursors: impl IntoIterator<Item = (&'a CaseloadId, &'a [u8])>) -> u64 {
    let sorted: std::collections::BTreeMap<_, _> = cursors.into_iter().collect();
    let mut bytes = Vec::new();
    for (caseload, cursor) in sorted {
        bytes.extend_from_slice(caseload.as_bytes());
        bytes.extend_from_slice(&(cursor.len() as u64).to_be_bytes());
        bytes.extend_from_slice(cursor);
    }
    first_u64(&bytes)
}

/// Hash of a caseload list, by which a phone says which one it has. Never 0.
pub fn caseloads_hash(list: &[CaseloadInfo]) -> u64 {
    first_u64(&cbor::to_vec(&list)).max(1)
}

fn first_u64(bytes: &[u8]) -> u64 {
    let hash = sha256(&[bytes]);
    hash[..8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}
