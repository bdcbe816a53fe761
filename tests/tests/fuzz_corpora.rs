//! The fuzz targets on stable: every file of `fuzz/corpus`, and deterministic mutants of each.
//!
//! The corpora hold the seeds that `daybook_tests::fuzzing::seeds` makes, and beside them whatever the
//! fuzzer found and somebody fixed. `DAYBOOK_WRITE_CORPORA=1 cargo test -p daybook-tests --test
//! fuzz_corpora` writes the seeds anew.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use daybook_tests::fuzzing::bodies::TARGETS;
use daybook_tests::fuzzing::{mutate, seeds};

/// Mutants of one file.
const MUTANTS: usize = 500;
/// What all corpora may take in the repository.
const FILES_MAX: usize = 300;
const BYTES_MAX: usize = 300 * 1024;

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fuzz", "corpus", target].iter().collect()
}

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("the corpus of {target}: {error}"));
    let files = files.map(|file| file.unwrap().path());
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

/// Runs a target's corpus and its mutants; what fails is printed in hex, to become a file.
fn run(target: &str) {
    let (_, body) = *TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let check = |name: &str, bytes: &[u8]| {
        let panicked = std::panic::catch_unwind(|| body(bytes)).is_err();
        assert!(!panicked, "{target} breaks a promise on {name}: {bytes:02x?}");
    };
    let corpus = corpus(target);
    let all: Vec<Vec<u8>> = corpus.values().cloned().collect();
    for (name, bytes) in &corpus {
        check(name, bytes);
        for (n, mutant) in mutate::mutants(name, bytes, &all, MUTANTS).enumerate() {
            check(&format!("{name}, mutant {n}"), &mutant);
        }
    }
}

#[test]
fn corpora_hold_the_seeds_and_stay_small() {
    let (mut files, mut bytes) = (0, 0);
    for (target, _) in TARGETS {
        let seeds = seeds::of(target);
        if std::env::var_os("DAYBOOK_WRITE_CORPORA").is_some() {
            std::fs::create_dir_all(folder(target)).unwrap();
            for seed in &seeds {
                std::fs::write(folder(target).join(&seed.name), &seed.bytes).unwrap();
            }
        }
        let corpus = corpus(target);
        let missing: Vec<_> = seeds.iter().filter(|seed| corpus.get(&seed.name) != Some(&seed.bytes)).collect();
        let missing: Vec<_> = missing.into_iter().map(|seed| &seed.name).collect();
        assert!(missing.is_empty(), "{target}: {missing:?} differ from what the encoders make today");
        files += corpus.len();
        bytes += corpus.values().map(Vec::len).sum::<usize>();
    }
    assert!(files <= FILES_MAX && bytes <= BYTES_MAX, "{files} files, {bytes} bytes");
}

#[test]
fn envelope() {
    run("envelope");
}

#[test]
fn frames() {
    run("frames");
}

#[test]
fn entry() {
    run("entry");
}

#[test]
fn board() {
    run("board");
}

#[test]
fn request() {
    run("request");
}

/// The seeds are worth something only if the good ones get past the first check.
#[test]
fn good_seeds_are_accepted() {
    use daybook_shared::entry::Entry;
    use daybook_shared::wire::envelope::Envelope;
    use daybook_shared::wire::exchange::Request;
    use daybook_shared::wire::framing::FrameReader;
    let accepted = |target: &str, accepts: &dyn Fn(&[u8]) -> bool| {
        let seeds = seeds::of(target);
        seeds.into_iter().filter(|seed| accepts(&seed.bytes)).map(|seed| seed.name).collect::<Vec<_>>()
    };
    let envelopes = accepted("envelope", &|bytes| Envelope::decode(bytes).is_ok());
    assert!(envelopes.contains(&"one_of_each".into()) && envelopes.contains(&"compressed".into()), "{envelopes:?}");
    let entries = accepted("entry", &|bytes| Entry::decode(bytes).is_ok_and(|entry| entry.check().is_ok()));
    assert!(entries.len() >= 8, "{entries:?}");
    assert!(!entries.contains(&"nul_in_a_code".into()));
    let frames = accepted("frames", &|bytes| FrameReader::new().push(bytes).is_ok_and(|frames| !frames.is_empty()));
    assert!(frames.contains(&"whole".into()) && frames.contains(&"many_empty".into()), "{frames:?}");
    let requests = accepted("request", &|bytes| Request::decode(bytes).is_ok());
    assert!(requests.contains(&"full_plain".into()) && !requests.contains(&"sixty_five".into()), "{requests:?}");
    let (board, expected) = daybook_tests::fuzzing::bodies::stage();
    let changes = accepted("board", &|bytes| daybook_shared::board::admit(board, bytes, expected).is_ok());
    assert!(changes.len() >= 7, "{changes:?}");
}
