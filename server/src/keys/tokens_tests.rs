//! Rotation: what signs when, what is still believed, what another replica sees.

use daybook_shared::ids::DeploymentId;
use daybook_shared::time::Timestamp;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use super::tokens::{Overlap, Rotation};
use super::{Identity, Keys, TokenKind};

struct Folder {
    dir: tempfile::TempDir,
    rng: ChaCha20Rng,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), rng: ChaCha20Rng::seed_from_u64(1) }
    }

    /// A replica on this folder.
    fn keys(&mut self) -> Keys {
        let identity = Identity { deployment: DeploymentId::from([1; 16]), is_test: false };
        Keys::create(self.dir.path(), identity, &mut self.rng).unwrap().0
    }

    fn rotate(&mut self, keys: &Keys, now: Timestamp, overlap: Overlap) -> Rotation {
        keys.access.rotate(now, overlap, &mut self.rng).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).unwrap().map(|file| file.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.starts_with("token"));
        names.sort();
        names
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((1_800_000_000 + seconds) * 1000)
}

fn sign(keys: &Keys, seconds: i64) -> String {
    keys.encode(TokenKind::Access, at(seconds), &json!({ "at": seconds }))
}

fn believes(keys: &Keys, seconds: i64, token: &str) -> bool {
    keys.decode::<Value>(TokenKind::Access, at(seconds), token).is_some()
}

fn kid(token: &str) -> String {
    jsonwebtoken::decode_header(token).unwrap().kid.unwrap()
}

fn published(keys: &Keys, seconds: i64) -> Vec<String> {
    let jwks = keys.access.jwks(at(seconds));
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_key_is_published_before_it_signs_and_the_old_one_until_its_tokens_ended() {
    let mut folder = Folder::new();
    let keys = folder.keys();
    let (root, lease) = (keys.public(), keys.encode(TokenKind::Lease, at(0), &json!({})));
    let before = sign(&keys, 0);
    let rotation = folder.rotate(&keys, at(0), Overlap::Seconds(300));
    assert_eq!((rotation.begins_at, rotation.removed.len()), (at(300), 0));
    let new = rotation.key.to_string();

    assert_eq!(published(&keys, 1), [kid(&before), new.clone()]);
    let last = sign(&keys, 299);
    assert_eq!(kid(&last), kid(&before));
    let first = sign(&keys, 300);
    assert_eq!(kid(&first), new);
    for token in [&last, &first] {
        assert!(believes(&keys, 300 + 15 * 60, token), "until the old key's last token has ended");
    }
    assert!(!believes(&keys, 300 + 17 * 60, &last), "and not for ever");
    assert_eq!(published(&keys, 300 + 17 * 60), std::slice::from_ref(&new));

    let next = folder.rotate(&keys, at(3600), Overlap::Seconds(300));
    assert_eq!(next.removed.len(), 1);
    assert_eq!(folder.files().len(), 2, "{:?}", folder.files());
    assert_eq!(published(&keys, 3600), [new, next.key.to_string()]);
    assert_eq!(keys.public(), root, "phones notice nothing");
    assert!(keys.decode::<Value>(TokenKind::Lease, at(3600), &lease).is_some());
}

/// Goal: replicas that share the folder need no restart. Method: one rotates and signs; the other was
/// opened before.
#[test]
fn another_replica_takes_a_rotation_up_by_itself() {
    let mut folder = Folder::new();
    let (one, other) = (folder.keys(), folder.keys());
    assert!(believes(&other, 0, &sign(&one, 0)));
    let rotation = folder.rotate(&one, at(10), Overlap::Seconds(0));
    let token = sign(&one, 20);
    assert_eq!(kid(&token), rotation.key.to_string());
    assert!(believes(&other, 20, &token), "the unknown key is looked for");
    assert_eq!(kid(&sign(&other, 20)), rotation.key.to_string(), "and signs there too");

    // A stranger's key makes nobody read the folder with every request.
    let strange = Folder::new().keys_of_another();
    assert!(!believes(&other, 30, &sign(&strange, 30)));
    let second = folder.rotate(&one, at(31), Overlap::Seconds(0));
    let token = sign(&one, 32);
    assert_eq!(kid(&token), second.key.to_string());
    assert!(!believes(&other, 32, &token), "it was looked at two seconds ago");
    assert!(believes(&other, 36, &token));
}

impl Folder {
    fn keys_of_another(mut self) -> Keys {
        self.rng = ChaCha20Rng::seed_from_u64(99);
        self.keys()
    }
}

#[test]
fn a_key_that_somebody_else_has_is_worth_nothing_at_once() {
    let mut folder = Folder::new();
    let keys = folder.keys();
    let upcoming = folder.rotate(&keys, at(0), Overlap::Seconds(300));
    let stolen = sign(&keys, 1);
    let rotation = folder.rotate(&keys, at(2), Overlap::None);
    assert!(rotation.removed.len() + 1 >= 2 && !upcoming.path.exists(), "{rotation:?}");
    assert_eq!((published(&keys, 2), folder.files().len()), (vec![rotation.key.to_string()], 1));
    assert!(!believes(&keys, 2, &stolen));
    assert_eq!(kid(&sign(&keys, 2)), rotation.key.to_string());
    assert!(believes(&folder.keys(), 3, &sign(&keys, 3)), "a restart makes no other first key");
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn two_rotations_of_one_second_are_two_keys() {
    let mut folder = Folder::new();
    let keys = folder.keys();
    let (one, two) =
        (folder.rotate(&keys, at(0), Overlap::Seconds(300)), folder.rotate(&keys, at(0), Overlap::Seconds(300)));
    assert!(one.key != two.key && one.path != two.path && one.begins_at < two.begins_at);
}
