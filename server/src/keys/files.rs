//! Key files: a seed in hex, readable by its owner only, written whole or not at all.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use rand::Rng;
use zeroize::Zeroizing;

use super::{Identity, KeysError};

pub(super) const ROOT: &str = "root.key";
pub(super) const TOKEN: &str = "token.key";
pub(super) const ENVELOPE: &str = "envelope.key";
pub(super) const REST: &str = "rest.key";
const DEPLOYMENT: &str = "deployment";

pub(super) fn make_dir(dir: &Path) -> Result<(), KeysError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(at(dir))
}

/// Makes a seed unless the file is there.
pub(super) fn make_seed(path: &Path, rng: &mut (impl Rng + ?Sized)) -> Result<(), KeysError> {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    let text = Zeroizing::new(seed.iter().fold(String::with_capacity(65), |text, byte| text + &format!("{byte:02x}")));
    write_new(path, &text)
}

pub(super) fn read_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeysError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o007 != 0 {
            return Err(KeysError::Exposed(path.to_owned()));
        }
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(at(path))?);
    parse_seed(text.trim()).ok_or_else(|| KeysError::Damaged(path.to_owned()))
}

fn parse_seed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut seed = Zeroizing::new([0; 32]);
    for (i, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(seed)
}

/// Writes whose keys they are, unless the folder says so already.
pub(super) fn write_identity(dir: &Path, identity: Identity) -> Result<(), KeysError> {
    let kind = if identity.is_test { "test" } else { "live" };
    write_new(&dir.join(DEPLOYMENT), &format!("{} {kind}", identity.deployment))
}

pub(super) fn read_identity(dir: &Path) -> Result<Option<Identity>, KeysError> {
    let path = dir.join(DEPLOYMENT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(&path)(error)),
    };
    let identity = text.trim().split_once(' ').and_then(|(id, kind)| {
        let is_test = match kind {
            "test" => true,
            "live" => false,
            _ => return None,
        };
        Some(Identity { deployment: id.parse().ok()?, is_test })
    });
    identity.map(Some).ok_or(KeysError::Damaged(path))
}

/// Writes a file that is not there yet: first under another name and to the disk, then linked to its
/// own, so that neither a crash nor a second process leaves half a key or replaces one.
fn write_new(path: &Path, text: &str) -> Result<(), KeysError> {
    if path.exists() {
        return Ok(());
    }
    let draft = PathBuf::from(format!("{}.{}", path.display(), std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft).map_err(at(&draft))?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(at(&draft))?;
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(at(path)(error)),
        _ => Ok(()),
    };
    fs::remove_file(&draft).map_err(at(&draft))?;
    linked?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn sync_dir(dir: &Path) -> Result<(), KeysError> {
    #[cfg(unix)]
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))?;
    Ok(())
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> KeysError {
    let path = path.to_owned();
    move |error| KeysError::Io { path, error }
}
