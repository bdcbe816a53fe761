//! Room to hand in when the phone's storage is full.
//!
//! A capture that finds no room is refused before it answers, and nothing of it is in the file. What was
//! captured before must still get out: handing in needs room for the envelopes, for a while. Two things are
//! given up for that, in this order: the reserve, a file beside the store that holds nothing, and envelopes
//! that have their verdicts, which are kept only for a server that lost its database. The cases stay: an
//! officer in the field works with them, and he can free space himself.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Db, Store, StoreError};

/// Enough to seal and hand in a day's captures: their envelopes, and the log they go through.
const RESERVE_BYTES: usize = 256 * 1024;

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

    /// Whether there was one.
    fn give_up(&self) -> bool {
        self.0.as_ref().is_some_and(|path| fs::remove_file(path).is_ok())
    }
}

impl Store {
    /// A durable transaction that has to go through even when the storage is full, if giving up what can
    /// be given up helps. `is_full` says which errors are of that kind.
    pub(crate) fn write_in_need<T, E: From<StoreError>>(
        &mut self,
        is_full: fn(&E) -> bool,
        mut run: impl FnMut(Db<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.write(&mut run) {
            Err(error) if is_full(&error) && self.make_room() => self.write(run),
            done => done,
        }
    }

    /// Gives up what can be given up; whether there was anything.
    fn make_room(&mut self) -> bool {
        let reserve = self.reserve.give_up();
        let dropped =
            self.write(|db| Ok::<_, StoreError>(db.conn.execute("delete from envelope where answered = 1", [])?));
        reserve || dropped.is_ok_and(|rows| rows > 0)
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
