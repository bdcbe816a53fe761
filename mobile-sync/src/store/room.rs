//! Room to hand in when the phone's storage is full.
//!
//! A capture that finds no room is refused before it answers, and nothing of it is in the file. What was
//! captured before must still get out: handing in needs room for the envelopes, for a while. What is given up
//! for that is the reserve, a file beside the store that holds nothing; the log of writes, which is emptied
//! into the store; and what is past its time, which every sync drops anyway.
//!
//! Nothing else. An envelope that has its verdict is what brings a lender's books back when the server is the
//! one that was lost, and the README promises the last 30 days of them: none goes before. The cases stay too:
//! an officer in the field works with them. He can free space himself, and until then captures are refused
//! aloud, which loses nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Db, Store, StoreError};
use crate::Moment;

/// Enough to seal and hand in some weeks' captures: their envelopes, and the log they go through.
const RESERVE_BYTES: usize = 1024 * 1024;

/// A file that holds nothing, to be given up when there is no room.
#[derive(Debug)]
pub(crate) struct Reserve(Option<PathBuf>);

impl Reserve {
    pub(super) fn beside(store: &Path) -> Self {
        let mut name = store.as_os_str().to_owned();
        name.push("-reserve");
        Self((store != Path::new(":memory:")).then(|| name.into()))
    }

    /// Makes the reserve if it is not there. Without room for it there is none, which is no error.
    pub(crate) fn fill(&self) {
        let Some(path) = self.0.as_ref().filter(|path| !path.exists()) else { return };
        // Not of zeros, which a file system may choose not to store.
        let made = File::create(path).and_then(|mut file| file.write_all(&vec![0xa5; RESERVE_BYTES]));
        if made.is_err() {
            self.give_up();
        }
    }

    /// Removes it, if it is there.
    fn give_up(&self) {
        let _ = self.0.as_ref().map(fs::remove_file);
    }
}

impl Store {
    /// A durable transaction that has to go through even when the storage is full, if giving up what can
    /// be given up helps. `is_full` says which errors are of that kind.
    pub(crate) fn write_in_need<T, E: From<StoreError>>(
        &mut self,
        now: Moment,
        is_full: fn(&E) -> bool,
        mut run: impl FnMut(Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.write(&mut run) {
            Err(error) if is_full(&error) => {
                self.make_room(now);
                self.write(run)
            }
            done => done,
        }
    }

    /// Gives up what can be given up. What of it fails has made no room, and the caller finds out.
    fn make_room(&mut self, now: Moment) {
        self.reserve.give_up();
        let _ = self.conn.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
        let _ = self.write(|db| db.drop_old(db.phone()?.trusted(now)));
    }
}

impl StoreError {
    /// Whether there is no room: on the disk, or where the host keeps the generation.
    pub fn is_full(&self) -> bool {
        match self {
            Self::DiskFull => true,
            Self::Keeper(error) => error.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }
}
