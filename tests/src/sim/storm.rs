//! One seed: a world is built, the storm blows, the road clears, and everything is checked.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

use daybook_mobile_sync::session::SyncEnd;
use daybook_server::auth::Role;
use daybook_shared::time::Timestamp;
use rand::RngExt as _;

use super::check::books;
use super::database::Engine;
use super::phone::{Phone, Wall};
use super::road::{Road, reopen};
use super::says::words;
use super::setup::Terms;
use super::weather::{Weather, happens};
use super::workload::Work;
use super::world::{On, Who, World};

/// Steps of a storm: enough that every fault meets every other over a few hundred seeds.
const STEPS: u32 = 600;
/// Things on the road that move in one step.
const MOVES_MAX: u32 = 25;
/// Lines of the trace that are shown of a seed that fails.
const TRACE_SHOWN: usize = 60;
/// What clocks say that lost their battery or were set by hand.
pub const WRONG_CLOCKS: [&str; 2] = ["1970-01-01T00:00:00Z", "2030-06-01T00:00:00Z"];
/// Restores of a phone: with its first, four installs a month.
const RESTORES_MAX: usize = 2;
/// Losses of the server's database in one storm.
const LOSSES_MAX: usize = 3;

/// Runs a seed, and says how to run it again when it fails.
pub fn run(engine: Engine, seed: u64) {
    tell(engine, seed, story);
}

/// Runs a seed in which the server is lost when all is calm, and a backup from the middle of the storm is
/// put back: I9.
pub fn run_with_loss(engine: Engine, seed: u64) {
    tell(engine, seed, story_with_loss);
}

fn tell(engine: Engine, seed: u64, story: fn(&mut World)) {
    let mut world = World::with_settings(engine, seed, &[("lease_days", "14"), ("cash_limit_minor", "300000")]);
    let done = catch_unwind(AssertUnwindSafe(|| story(&mut world)));
    if let Err(panic) = done {
        let shown = std::env::var("SIM_TRACE").ok().and_then(|text| text.parse().ok()).unwrap_or(TRACE_SHOWN);
        for line in world.trace.iter().skip(world.trace.len().saturating_sub(shown)) {
            eprintln!("  {line}");
        }
        eprintln!("seed {seed} on {engine:?} fails; to see it again:");
        eprintln!("  SIM_SEED={seed} cargo test -p daybook-tests --test simulation -- --nocapture");
        resume_unwind(panic);
    }
}

struct Storm {
    weather: Weather,
    road: Road,
    work: Work,
    /// Restores so far, and phones that share an identity.
    restores: usize,
    twins: Vec<On>,
    /// A backup of the server's database, and how often one was put back.
    server_backup: Option<PathBuf>,
    losses: usize,
}

impl Storm {
    fn new(weather: Weather, work: Work) -> Self {
        let (twins, server_backup) = (Vec::new(), None);
        Self { weather, road: Road::default(), work, restores: 0, twins, server_backup, losses: 0 }
    }
}

fn story(world: &mut World) {
    let weather = Weather::drawn(&mut world.rng);
    world.note(format!("{weather:?}"));
    let mut storm = Storm::new(weather, Work::default());
    storm.people(world);
    for step in 0..STEPS {
        storm.work.is_late = step > STEPS * 3 / 4;
        storm.step(world);
    }
    storm.calm(world);
}

/// The server's own backup is taken somewhere in the storm. From then on people decide nothing online, which
/// phones could not bring back, and no phone loses what it has. When all is calm the server is lost.
fn story_with_loss(world: &mut World) {
    let weather = Weather { clone: false, server_lost: 0, ..Weather::drawn(&mut world.rng) };
    world.note(format!("{weather:?}"));
    let mut storm = Storm::new(weather, Work::default());
    storm.work.no_paper = true;
    storm.people(world);
    let backup_at = world.rng.random_range(0..STEPS);
    let mut backup = PathBuf::new();
    for step in 0..STEPS {
        if step == backup_at {
            backup = world.back_up();
            storm.weather = Weather { office: 0, backup: 0, ..storm.weather };
        }
        storm.step(world);
    }
    storm.calm(world);
    let officers = storm.work.officers.clone();
    let before = books::of(world, &officers);
    world.restore(&backup);
    let phones: Vec<On> = (0..world.phones.len()).map(On).collect();
    world.settle(&phones);
    let after = books::of(world, &officers);
    let differences = before.differences(&after);
    assert!(differences.is_empty(), "I9: {} differences\n{}", differences.len(), differences.join("\n"));
    world.confirm_recovery();
    world.settle(&phones);
    world.check_all(&phones);
}

impl Storm {
    /// Three officers, one of them with two phones; a dozen accounts; an agent.
    fn people(&mut self, world: &mut World) {
        for name in ["Amina", "Barasa", "Chebet"] {
            let (who, _) = world.officer(name);
            self.work.officers.push(who);
        }
        let second = world.enrolled(Who(0));
        world.sync(second);
        for index in 0..12 {
            let officer = self.work.officers[index % self.work.officers.len()];
            world.account(officer, Terms::months(2 + u16::try_from(index).expect("a small number")));
        }
        world.agent(self.work.officers[1]);
        let supervisor = world.supervisor("Deka");
        let cashier = world.person("Esther", Role::Cashier);
        self.work.deciders = vec![supervisor, cashier];
        world.settle(&(0..world.phones.len()).map(On).collect::<Vec<_>>());
        if self.weather.small_budgets {
            for index in 0..world.phones.len() {
                let now = world.now();
                world.phones[index].ask_for_little(now, &mut world.rng);
            }
        }
    }

    fn step(&mut self, world: &mut World) {
        // Hours pass while nothing is under way: an answer that is hours old when it arrives says little
        // about the time.
        let most = if !self.road.is_busy() && world.rng.random_ratio(1, 4) { 3 * 3_600_000 } else { 20_000 };
        let ms = world.rng.random_range(0..most);
        world.pass_ms(ms);
        let on = On(world.rng.random_range(0..world.phones.len()));
        match world.rng.random_range(0..100) {
            0..30 => self.work.capture(world, on),
            30..45 => self.road.begin(world, on),
            _ => {
                // Several at once, or no sync would ever come to its end between two captures.
                for _ in 0..world.rng.random_range(1..=MOVES_MAX) {
                    self.road.advance(world, &self.weather);
                }
            }
        }
        self.mishaps(world, on);
    }

    fn mishaps(&mut self, world: &mut World, on: On) {
        let weather = self.weather;
        if happens(&mut world.rng, weather.office) {
            self.work.office(world);
        }
        if happens(&mut world.rng, weather.server_killed) {
            world.note("the server is killed between two requests");
            world.server.restart();
        }
        if happens(&mut world.rng, weather.phone_killed) {
            reopen(world, on);
        }
        if happens(&mut world.rng, weather.phone_rebooted) {
            reboot(world, on);
        }
        if happens(&mut world.rng, weather.backup) {
            self.backup(world, on);
        }
        if happens(&mut world.rng, weather.server_lost) {
            self.lose_server(world);
        }
        if weather.clone && self.twins.is_empty() && world.rng.random_ratio(1, 100) {
            self.clone(world, on);
        }
    }

    fn backup(&mut self, world: &mut World, on: On) {
        let now = world.now();
        let phone = &mut world.phones[on.0];
        if phone.has_backup() && self.restores < RESTORES_MAX && !self.twins.contains(&on) {
            let lost = phone.restore(now, &mut world.rng);
            assert!(phone.store().began_new_install(), "a restored store is noticed when it is opened");
            for id in &lost {
                phone.captured.remove(id);
            }
            if self.losses > 0 {
                // What the server lost and this phone had not handed in again yet is nowhere either.
                phone.forget_what_nobody_holds();
            }
            self.restores += 1;
            let name = phone.name.clone();
            world.note(format!("{name} is restored; {} captures are nowhere now", lost.len()));
        } else {
            phone.back_up(now, &mut world.rng);
        }
    }

    /// The server's database is backed up, or lost and the backup put back; not once people or phones have
    /// left, who would be back.
    fn lose_server(&mut self, world: &mut World) {
        let left = !self.work.ended.0.is_empty() || !self.work.ended.1.is_empty();
        match self.server_backup.take() {
            Some(backup) if self.losses < LOSSES_MAX && !left => {
                world.restore(&backup);
                let nowhere: usize = world.phones.iter_mut().map(Phone::forget_what_nobody_holds).sum();
                world.note(format!("{nowhere} captures are nowhere now"));
                self.losses += 1;
            }
            _ => self.server_backup = Some(world.back_up()),
        }
    }

    fn clone(&mut self, world: &mut World, on: On) {
        let now = world.now();
        let clone = world.phones[on.0].cloned("clone", now, &mut world.rng);
        world.note(format!("{} is cloned", world.phones[on.0].name));
        let clone = world.add_phone(clone);
        self.twins = vec![on, clone];
        self.restores = RESTORES_MAX;
    }

    /// The road clears, clocks are right again, everybody logs in and syncs until nothing is new.
    fn calm(&mut self, world: &mut World) {
        world.note("the storm is over");
        self.road.clear(world);
        world.server.restart();
        let all: Vec<On> = (0..world.phones.len()).map(On).collect();
        for on in &all {
            let now = world.now();
            world.phones[on.0].boot(Wall::Off(0), now, &mut world.rng);
        }
        let ended =
            |on: &On| self.work.ended.1.contains(on) || self.work.ended.0.contains(&Who(world.phones[on.0].owner));
        let (gone, alive): (Vec<On>, Vec<On>) = all.iter().partition(|on| ended(on));
        // A phone that answers `reactor` may have met the limit of installs: a month passes.
        if !self.twins.is_empty() {
            world.pass_days(31);
        }
        for on in &alive {
            world.log_in_again(*on);
        }
        for on in &gone {
            let report = world.sync(*on);
            assert!(matches!(report.end, SyncEnd::Locked(_)), "a phone without rights hands in: {report:?}");
        }
        world.settle(&alive);
        if self.losses > 0 {
            world.confirm_recovery();
            world.settle(&alive);
        }
        self.sum_up(world);
        let compared: Vec<On> = alive.into_iter().filter(|on| !self.twins.contains(on)).collect();
        world.check_all(&compared);
    }
}

impl Storm {
    /// What the seed came to, for people who want to know whether a storm is one.
    fn sum_up(&self, world: &mut World) {
        let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
        for entry in world.entries().values() {
            for word in words(&entry.outcome).split(' ') {
                *outcomes.entry(word.to_owned()).or_default() += 1;
            }
        }
        let count = |table: &str| -> i64 {
            let rows: Vec<(i64,)> = world.server.rows(&format!("select cast(count(*) as bigint) from {table}"));
            rows[0].0
        };
        let (changes, aside, installs) = (count("board_change"), count("quarantine"), count("install"));
        let files = count("attachment");
        let (exchanges, (up, down)) = (world.uploads.exchanges, world.uploads.bytes);
        world.note(format!(
            "{exchanges} exchanges, {up} bytes up, {down} down, {} garbled; {installs} installs; \
             {changes} board changes and {aside} put aside; {files} files; {outcomes:?}",
            self.road.garbled
        ));
    }
}

fn reboot(world: &mut World, on: On) {
    let at = |text: &str| Wall::At(text.parse::<Timestamp>().expect("a time"));
    let wall = match world.rng.random_range(0..16) {
        0 => at(WRONG_CLOCKS[0]),
        1 => at(WRONG_CLOCKS[1]),
        2 => Wall::Off(world.rng.random_range(-6..6) * daybook_shared::time::DAY_MS),
        _ => Wall::Off(world.rng.random_range(-300_000..300_000)),
    };
    let now = world.now();
    world.note(format!("{} is switched off and on, its clock is {wall:?}", world.phones[on.0].name));
    world.phones[on.0].boot(wall, now, &mut world.rng);
}
