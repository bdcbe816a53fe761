//! What the library costs a phone: its bytes in an app, and memory at the most.
//!
//! Memory is that of a process with nothing in it but a phone: it is this program once more, which gets a store
//! that is enrolled and the answers that the server gave it, takes the 500 cases from them, captures and shows.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use daybook_mobile_sync::capture::{RepaymentDraft, What};
use daybook_mobile_sync::store::KeptInMemory;
use daybook_mobile_sync::{Event, Moment, Session, Store};
use daybook_shared::ids::BootId;
use daybook_shared::money::Money;
use daybook_shared::time::Timestamp;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

use super::pocket::STORE_KEY;

/// Targets of phones, best first; without one installed, this machine's stands in.
const TARGETS: [&str; 2] = ["aarch64-linux-android", "armv7-linux-androideabi"];
/// Bytes that arrive together.
const CHUNK: usize = 16 * 1024;
const CAPTURES: usize = 50;

/// Bytes of the stripped library, and whether they are of a phone's target.
pub fn library_bytes() -> anyhow::Result<(u64, bool)> {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let installed = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let target = TARGETS.into_iter().find(|target| installed.lines().any(|line| line == *target));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/bench-library");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["rustc", "--quiet", "--release", "-p", "daybook-bindings", "--lib"]);
    cargo.args(["--crate-type", "cdylib", "--config", "profile.release.strip=true", "--target-dir"]).arg(&folder);
    cargo.args(target.iter().flat_map(|target| ["--target", target]));
    ensure!(cargo.status().context("cargo cannot be run")?.success(), "the library cannot be built");
    let built: PathBuf = target.map_or_else(|| folder.clone(), |target| folder.join(target));
    let library = std::fs::metadata(built.join("release/libdaybook_bindings.so")).context("no library was built")?;
    Ok((library.len(), target.is_some()))
}

/// Memory at the most of a process that is a phone with this store, which takes these answers.
pub fn peak_bytes(store: &Path, answers: &[Vec<u8>], now: Timestamp) -> anyhow::Result<u64> {
    let folder = store.with_extension("answers");
    std::fs::create_dir(&folder)?;
    for (number, answer) in answers.iter().enumerate() {
        std::fs::write(folder.join(number.to_string()), answer)?;
    }
    let mut child = Command::new(std::env::current_exe()?);
    let output = child.arg("memory-of").arg(store).arg(&folder).arg(now.to_string()).output()?;
    ensure!(output.status.success(), "the phone failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The child: prints its memory at the most, in bytes.
pub fn be_a_phone(arguments: &[String]) -> anyhow::Result<()> {
    let [store, folder, now] = arguments else { bail!("memory-of STORE ANSWERS NOW") };
    let now = Moment { wall: now.parse()?, boot_id: BootId([9; 8]), boot_ms: 1_000_000 };
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut store = Store::open(Path::new(store), &STORE_KEY, Box::<KeptInMemory>::default(), now, &mut rng)?;
    let mut session = Session::new();
    session.handle(&mut store, now, &mut rng, Event::Start)?;
    for number in 0.. {
        let Ok(answer) = std::fs::read(Path::new(folder).join(number.to_string())) else { break };
        session.handle(&mut store, now, &mut rng, Event::Status { status: 200, retry_after_ms: None })?;
        for chunk in answer.chunks(CHUNK) {
            session.handle(&mut store, now, &mut rng, Event::BodyBytes(chunk))?;
        }
        session.handle(&mut store, now, &mut rng, Event::BodyEnd)?;
    }
    let cases = store.view(now)?.caseload()?;
    ensure!(cases.len() >= super::lab::CASES, "{} cases are here", cases.len());
    for case in cases.iter().take(CAPTURES) {
        let draft = RepaymentDraft::cash(case.account, Money::new(1, case.outstanding.currency));
        store.capture(What::Repayment(draft).into(), now, &mut rng)?;
    }
    store.seal_pending(now, &mut rng)?;
    let view = store.view(now)?;
    for case in &cases {
        serde_json::to_string(&view.case(case.dossier)?)?;
    }
    serde_json::to_string(&(view.find("a")?, view.unsent()?, view.attention()?, view.cash()?))?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    println!("{}", kib * 1024);
    Ok(())
}
