//! A backup's bytes: a line that says what it is, then one zstd stream of items. Each item is its length (4
//! bytes, big-endian) and its CBOR: the manifest, rows, and the end with counts and a SHA-256 over all items
//! before it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use daybook_shared::cbor;
use daybook_shared::ids::Hash;
use minicbor::{Decode, Decoder, Encode, Encoder};
use sha2::{Digest as _, Sha256};

use super::{BackupError, Manifest};

/// The version of the format.
pub const VERSION: u8 = 1;
const MAGIC: &[u8] = b"daybook backup 1\n";
/// The longest item that is read: far above a row with the largest envelope.
const ITEM_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Levels above take longer and save little.
const LEVEL: i32 = 3;

/// A value as SQLite keeps it: times in microseconds, dates as text, flags as 0 and 1, ids as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl<C> Encode<C> for Value {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Null => e.null()?,
            Self::Int(value) => e.i64(*value)?,
            Self::Text(value) => e.str(value)?,
            Self::Bytes(value) => e.bytes(value)?,
        }
        .ok()
    }
}

impl<'b, C> Decode<'b, C> for Value {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        use minicbor::data::Type;
        match d.datatype()? {
            Type::Null => d.null().map(|()| Self::Null),
            Type::String => d.str().map(|value| Self::Text(value.to_owned())),
            Type::Bytes => d.bytes().map(|value| Self::Bytes(value.to_vec())),
            _ => d.i64().map(Self::Int),
        }
    }
}

/// A part of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Item {
    /// The first.
    #[n(0)]
    Manifest(#[n(0)] Manifest),
    /// Rows of a table.
    #[n(1)]
    Rows {
        /// The table's place in the manifest.
        #[n(0)]
        table: u32,
        /// The rows.
        #[n(1)]
        rows: Vec<Vec<Value>>,
    },
    /// The last.
    #[n(2)]
    End {
        /// How many rows each table has.
        #[n(0)]
        counts: Vec<u64>,
        /// Over all items before.
        #[n(1)]
        sha256: Hash,
    },
}

/// Writes a backup.
pub struct Writer {
    path: PathBuf,
    stream: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    hash: Sha256,
}

impl Writer {
    /// Begins a new file.
    pub fn begin(path: &Path, file: File) -> Result<Self, BackupError> {
        let failed = |error| BackupError::Io { path: path.to_owned(), error };
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC).map_err(failed)?;
        let stream = zstd::stream::write::Encoder::new(file, LEVEL).map_err(failed)?;
        Ok(Self { path: path.to_owned(), stream, hash: Sha256::new() })
    }

    /// Adds an item.
    pub fn push(&mut self, item: &Item) -> Result<(), BackupError> {
        let bytes = cbor::to_vec(item);
        let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= ITEM_BYTES_MAX);
        let length = length.expect("invariant: rows are far smaller than an item may be").to_be_bytes();
        for part in [&length[..], &bytes] {
            self.hash.update(part);
            self.stream.write_all(part).map_err(|error| BackupError::Io { path: self.path.clone(), error })?;
        }
        Ok(())
    }

    /// Writes the end and makes the file durable.
    pub fn finish(mut self, counts: Vec<u64>) -> Result<(), BackupError> {
        let sha256 = Hash(self.hash.clone().finalize().into());
        self.push(&Item::End { counts, sha256 })?;
        let failed = |error| BackupError::Io { path: self.path.clone(), error };
        let file = self.stream.finish().map_err(failed)?;
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(failed)
    }
}

/// Reads a backup.
pub struct Reader {
    path: PathBuf,
    stream: zstd::stream::read::Decoder<'static, BufReader<File>>,
    hash: Sha256,
}

impl Reader {
    /// Opens a backup and reads its manifest.
    pub fn open(path: &Path) -> Result<(Self, Manifest), BackupError> {
        let failed = |error| BackupError::Io { path: path.to_owned(), error };
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact(&mut magic);
        if read.is_err() || magic != MAGIC {
            return Err(BackupError::Damaged { path: path.to_owned(), why: "it does not begin as one of version 1" });
        }
        let stream = zstd::stream::read::Decoder::new(file).map_err(failed)?;
        let mut reader = Self { path: path.to_owned(), stream, hash: Sha256::new() };
        match reader.read_item()? {
            Item::Manifest(manifest) if manifest.format == VERSION => Ok((reader, manifest)),
            _ => Err(reader.damaged("it has no manifest of version 1")),
        }
    }

    /// The next item; the end is checked against all before it.
    pub fn read_item(&mut self) -> Result<Item, BackupError> {
        let before = self.hash.clone();
        let mut length = [0; 4];
        self.read(&mut length)?;
        if u32::from_be_bytes(length) > ITEM_BYTES_MAX {
            return Err(self.damaged("an item is longer than any may be"));
        }
        let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
        self.read(&mut bytes)?;
        let item: Item = minicbor::decode(&bytes).map_err(|_| self.damaged("an item cannot be read"))?;
        if let Item::End { sha256, .. } = &item
            && sha256.0 != <[u8; 32]>::from(before.finalize())
        {
            return Err(self.damaged("its contents are not those that its end speaks of"));
        }
        Ok(item)
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<(), BackupError> {
        if self.stream.read_exact(buffer).is_err() {
            return Err(self.damaged("it is cut off, or cannot be inflated"));
        }
        self.hash.update(buffer);
        Ok(())
    }

    fn damaged(&self, why: &'static str) -> BackupError {
        BackupError::Damaged { path: self.path.clone(), why }
    }
}

/// Reads a backup to its end and checks all of it: its manifest, how many rows each table has, and its
/// SHA-256.
pub fn check(path: &Path) -> Result<(Manifest, Vec<u64>, Hash), BackupError> {
    let (mut reader, manifest) = Reader::open(path)?;
    let mut found = vec![0_u64; manifest.tables.len()];
    loop {
        match reader.read_item()? {
            Item::Rows { table, rows } => {
                let known = manifest.tables.get(table as usize).map(|info| info.columns.len());
                if known.is_none_or(|columns| rows.iter().any(|row| row.len() != columns)) {
                    return Err(reader.damaged("it has rows of no table of its manifest"));
                }
                found[table as usize] += rows.len() as u64;
            }
            Item::End { counts, sha256 } if counts == found => return Ok((manifest, counts, sha256)),
            Item::End { .. } => return Err(reader.damaged("it lacks rows that its end speaks of")),
            Item::Manifest(_) => return Err(reader.damaged("it has two manifests")),
        }
    }
}
