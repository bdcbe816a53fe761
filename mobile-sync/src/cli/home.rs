//! The directory of a command-line phone.
//!
//! | file | what it holds | on a real phone |
//! |---|---|---|
//! | `store.sqlite` | everything, sealed | the same file |
//! | `key` | the store's key in hex, readable by its owner only | the keystore |
//! | `generation` | the store's generation | a keystore entry, outside of backups |
//! | `server` | the server's address | the app's settings |
//!
//! Whoever can read the directory can read the phone: this is a tool for trials and tests.
//!
//! A backup of a real phone holds neither the key nor the generation. Here a copy of the directory
//! holds both, so put back as a whole it cannot be told from the phone it was made of, and gives its
//! receipt numbers again. To put back an older `store.sqlite`, leave `generation` as it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use daybook_shared::ids::Hash;
use rand::Rng;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::client::Roots;
use crate::store::GenerationKeeper;

/// A phone's directory.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

impl Home {
    /// The phone in this directory; both are made if they are missing.
    pub fn at(dir: &Path, rng: &mut dyn Rng) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
        let home = Self { dir: dir.to_owned() };
        if !home.dir.join("key").exists() {
            if home.store_file().exists() {
                bail!("{} has a store but its key is gone: nothing can open it", dir.display());
            }
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            let hex = Hash(key).to_string();
            write_private(&home.dir.join("key"), hex.as_bytes()).context("the key cannot be kept")?;
        }
        Ok(home)
    }

    /// The store's file.
    pub fn store_file(&self) -> PathBuf {
        self.dir.join("store.sqlite")
    }

    /// The store's key.
    pub fn key(&self) -> Result<[u8; 32]> {
        let path = self.dir.join("key");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let digits = text.trim();
        let mut key = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            bail!("{} is not 64 hexadecimal digits", path.display());
        }
        for (byte, pair) in key.iter_mut().zip(digits.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair)?, 16)?;
        }
        Ok(key)
    }

    /// Where the generation is kept.
    pub fn keeper(&self) -> KeptInFile {
        KeptInFile(self.dir.join("generation"))
    }

    /// The server this phone is enrolled with.
    pub fn server(&self) -> Result<String> {
        let path = self.dir.join("server");
        match fs::read_to_string(&path) {
            Ok(url) => Ok(url.trim().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!(
                    "this phone is not enrolled yet: enrol it with the code from the office (daybook-phone enrol URL CODE)"
                )
            }
            Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
        }
    }

    /// Keeps the server's address.
    pub fn keep_server(&self, url: &str) -> Result<()> {
        Ok(fs::write(self.dir.join("server"), url)?)
    }
}

/// A generation in a file of its own.
#[derive(Debug, Clone)]
pub struct KeptInFile(PathBuf);

impl GenerationKeeper for KeptInFile {
    fn load(&mut self) -> io::Result<u64> {
        match fs::read_to_string(&self.0) {
            Ok(text) => {
                text.trim().parse().map_err(|_| io::Error::other(format!("{} is not a number", self.0.display())))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    fn save(&mut self, generation: u64) -> io::Result<()> {
        let new = self.0.with_extension("new");
        write_private(&new, generation.to_string().as_bytes())?;
        fs::rename(&new, &self.0)
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The certificate authorities in a PEM file.
pub fn certificates(path: &Path) -> Result<Roots> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", path.display()))?;
    if certificates.is_empty() {
        bail!("{} holds no certificate", path.display());
    }
    Ok(Roots::These(certificates.into_iter().map(|certificate| certificate.to_vec()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::rng;

    #[test]
    fn without_a_server_people_are_told_to_enrol() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path(), &mut rng(1)).unwrap();
        let told = format!("{:#}", home.server().unwrap_err());
        assert!(told.contains("daybook-phone enrol") && !told.contains("os error"), "{told}");
        home.keep_server("http://127.0.0.1:8080").unwrap();
        assert_eq!(home.server().unwrap(), "http://127.0.0.1:8080");
    }
}
