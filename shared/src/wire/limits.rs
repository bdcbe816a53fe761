//! Limits of the exchange. All are enforced before the work they bound.

/// Compressed body of a request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A request's body once inflated, in bytes.
pub const INFLATED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Inflated bytes of all bodies a server reads at one time.
pub const INFLATED_PERMITS_BYTES: usize = 64 * 1024 * 1024;
/// Entries and board changes of one envelope together.
pub const ENVELOPE_ITEMS_MAX: usize = 1_000;
/// Bytes of items a phone puts into one envelope, so that a poor link gets through piece by piece.
pub const ENVELOPE_BYTES_AIM: usize = 256 * 1024;
/// Envelopes of one request.
pub const REQUEST_ENVELOPES_MAX: usize = 64;
/// Board changes of one envelope.
pub const ENVELOPE_BOARD_CHANGES_MAX: usize = 200;
/// Board changes of one envelope for one dossier.
pub const DOSSIER_BOARD_CHANGES_MAX: usize = 32;
/// One board change, in bytes.
pub const BOARD_CHANGE_BYTES_MAX: usize = 16 * 1024;
/// Time anchors of an envelope's header.
pub const ANCHORS_MAX: usize = 8;
/// What a frame aims at before compression; one larger item still travels, alone.
pub const FRAME_BYTES_AIM: usize = 8 * 1024;
/// What a phone accepts as one frame.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The smallest budget a phone may name for what follows the caseload list.
pub const BUDGET_BYTES_MIN: u32 = 4 * 1024;
/// The largest budget a server honours.
pub const BUDGET_BYTES_MAX: u32 = 4 * 1024 * 1024;
/// Caseloads of one device.
pub const CASELOADS_MAX: usize = 64;
/// A cursor's length in bytes.
pub const CURSOR_BYTES_MAX: usize = 256;
/// (dossier, version) pairs in a cursor.
pub const CURSOR_PAIRS_MAX: usize = 8;
/// Bytes of refused board changes kept for one device.
pub const QUARANTINED_BYTES_MAX: i64 = 1024 * 1024;
/// Receipt numbers of one block.
pub const RECEIPT_BLOCK_SIZE: u32 = 50;
/// Numbers left at which the next block is granted.
pub const RECEIPT_BLOCK_RENEW_AT: u32 = 20;
/// New installs of a device in a month without a person's leave.
pub const INSTALLS_A_MONTH_MAX: i64 = 4;
/// One piece of a file that travels apart from the exchange.
pub const ATTACHMENT_CHUNK_BYTES_MAX: usize = 256 * 1024;
/// A file that an entry names, in bytes, unless the lender set another limit: the most a phone attaches.
pub const ATTACHMENT_BYTES_MAX: u32 = 5 * 1024 * 1024;
/// How long a lease lasts.
pub const LEASE_DAYS: i64 = 14;
/// How long a phone keeps sealed envelopes after their acknowledgement.
pub const ENVELOPE_KEPT_DAYS: i64 = 30;
/// Acknowledgements of one request that a restored server learns again.
pub const SHOWN_ACKNOWLEDGEMENTS_MAX: usize = 1_024;
/// Receipt blocks of one request that a restored server learns again, the newest of a device.
pub const SHOWN_BLOCKS_MAX: usize = 64;
/// Dossiers of one request that a phone says it holds.
pub const HELD_DOSSIERS_MAX: usize = 10_000;
/// Offers that phones get to quote from, those of the highest priority and the newest first; of how many more
/// are in force a phone is told the number, and their quotes are made online.
pub const CATALOGUE_OFFERS_MAX: usize = 200;
/// Bytes of all of them before compression, for a phone on a slow link.
pub const CATALOGUE_BYTES_MAX: usize = 64 * 1024;
