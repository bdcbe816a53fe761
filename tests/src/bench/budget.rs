//! What the library costs a phone: its bytes in an app, and memory at the most.
//!
//! Memory is that of a process with nothing in it but a phone: it is this program once more, which gets a store
//! that is enrolled and the answers that the server gave it, takes the 500 cases from them, captures and shows.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
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

/// Targets of phones, and what the figure of each is called.
const TARGETS: [(&str, &str); 2] =
    [("aarch64-linux-android", "library_arm64_mb"), ("armv7-linux-androideabi", "library_arm32_mb")];
/// Without a phone's target this machine's stands in, and is called what it is.
const HERE: &str = if cfg!(target_arch = "x86_64") { "library_x86_64_mb" } else { "library_here_mb" };
/// Bytes that arrive together.
const CHUNK: usize = 16 * 1024;
const CAPTURES: usize = 50;

/// Bytes of the stripped library for each phone's target that is installed with its C compiler; for this machine
/// if there is none.
pub fn library_bytes() -> anyhow::Result<Vec<(&'static str, u64)>> {
    let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
    let installed = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let mut libraries = Vec::new();
    for (target, name) in TARGETS.into_iter().filter(|(target, _)| installed.lines().any(|line| line == *target)) {
        match built(Some(target)) {
            Ok(bytes) => libraries.push((name, bytes)),
            Err(error) => eprintln!("phone: {target} is installed, and does not build: {error}"),
        }
    }
    if libraries.is_empty() {
        eprintln!("phone: no target of a phone is installed; {HERE} stands in, which is this machine's");
        libraries.push((HERE, built(None)?));
    }
    Ok(libraries)
}

fn built(target: Option<&str>) -> anyhow::Result<u64> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&root).args(["rustc", "--quiet", "--release", "-p", "daybook-bindings", "--lib"]);
    cargo.args(target.iter().flat_map(|target| ["--target", target]));
    cargo.args(["--crate-type", "cdylib", "--", "-C", "strip=symbols"]);
    ensure!(cargo.status().context("cargo cannot be run")?.success(), "the library cannot be built");
    let built = target.map_or_else(|| folder.clone(), |target| folder.join(target));
    let library = built.join("release").join(format!("{DLL_PREFIX}daybook_bindings{DLL_SUFFIX}"));
    Ok(std::fs::metadata(library).context("no library was built")?.len())
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
