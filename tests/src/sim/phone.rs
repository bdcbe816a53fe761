//! A phone of a world: the real store on a real file, a session that is driven event by event, a clock
//! that may be wrong, and everything that can happen to such a thing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use daybook_mobile_sync::capture::{CaptureError, Captured, Draft, EditBoardError, NewFile};
use daybook_mobile_sync::session::HttpRequest;
use daybook_mobile_sync::store::{ChangeHandsError, KeptInMemory};
use daybook_mobile_sync::{Effect, Event, GenerationKeeper as _, Moment, Session, Store, SyncReport, enrol};
use daybook_shared::board::{BoardView, Edit};
use daybook_shared::ids::{BootId, DeviceId, DossierId, EntryId};
use daybook_shared::time::Timestamp;
use daybook_shared::wire::outcome::Outcome;
use daybook_shared::wire::sign::Signer;
use rand::Rng;

use super::server::Server;

/// The host app's key; worlds have nothing to hide.
const KEY: [u8; 32] = [7; 32];

/// How a phone's wall clock is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wall {
    /// Off by so many milliseconds.
    Off(i64),
    /// It stands at this instant at boot, whatever the time.
    At(Timestamp),
}

/// A phone.
#[derive(Debug)]
pub struct Phone {
    /// For people and traces.
    pub name: String,
    /// Its officer, by his place among the world's people.
    pub owner: usize,
    path: PathBuf,
    keeper: KeptInMemory,
    store: Option<Store>,
    /// The sync that is going on.
    pub session: Option<Session>,
    /// Numbers sessions, so that an answer to an old one is known.
    pub serial: u64,
    boot: BootId,
    booted_at: Timestamp,
    wall: Wall,
    backup: Option<Vec<u8>>,
    /// Every capture this store was ever told is durable, with its bytes.
    pub captured: BTreeMap<EntryId, Vec<u8>>,
    /// Those of them that were captured with files.
    pub filed: BTreeSet<EntryId>,
    /// What an answer said of them, newest word.
    pub told: BTreeMap<EntryId, Outcome>,
    /// The verdicts in the answer that is on its way down.
    coming: BTreeMap<EntryId, Outcome>,
    /// What was in envelopes when the store erased itself.
    pub handed_in: BTreeSet<EntryId>,
    /// Whose phone it last was: a store that erased itself is another device.
    pub enrolled_as: Option<(DeviceId, Signer)>,
}

impl Phone {
    /// A new phone, switched on, not enrolled.
    pub fn new(name: &str, owner: usize, folder: &Path, now: Timestamp, rng: &mut dyn Rng) -> Self {
        let mut phone = Self {
            name: name.to_owned(),
            owner,
            path: folder.join(format!("{name}.db")),
            keeper: KeptInMemory::default(),
            store: None,
            session: None,
            serial: 0,
            boot: BootId([0; 8]),
            booted_at: now,
            wall: Wall::Off(0),
            backup: None,
            captured: BTreeMap::new(),
            filed: BTreeSet::new(),
            told: BTreeMap::new(),
            coming: BTreeMap::new(),
            handed_in: BTreeSet::new(),
            enrolled_as: None,
        };
        phone.boot(Wall::Off(0), now, rng);
        phone
    }

    /// What the phone's clocks say.
    pub fn moment(&self, now: Timestamp) -> Moment {
        let up_ms = now.ms_since(self.booted_at);
        let wall = match self.wall {
            Wall::Off(ms) => now.plus_ms(ms),
            Wall::At(at) => at.plus_ms(up_ms),
        };
        Moment { wall, boot_id: self.boot, boot_ms: u64::try_from(up_ms).unwrap_or(0) + 20_000 }
    }

    /// Its store.
    pub fn store(&self) -> &Store {
        self.store.as_ref().expect("invariant: a phone that is asked is on")
    }

    /// Whether its store erased itself by order.
    pub fn is_wiped(&self) -> bool {
        self.store().wiped_at().expect("the store can be read").is_some()
    }

    /// Its store, to change it.
    pub fn store_mut(&mut self) -> &mut Store {
        self.store.as_mut().expect("invariant: a phone that is asked is on")
    }

    /// The app is killed: what was in memory is gone.
    pub fn kill(&mut self) {
        self.session = None;
        self.serial += 1;
        self.store = None;
    }

    /// The app starts again.
    pub fn open(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        let moment = self.moment(now);
        let keeper = Box::new(self.keeper.clone());
        let store = Store::open(&self.path, &KEY, keeper, moment, rng);
        self.store = Some(store.unwrap_or_else(|error| panic!("{}: the store does not open: {error}", self.name)));
    }

    /// The phone is switched off and on: another boot, perhaps with another wrong clock.
    pub fn boot(&mut self, wall: Wall, now: Timestamp, rng: &mut dyn Rng) {
        self.kill();
        rng.fill_bytes(&mut self.boot.0);
        (self.booted_at, self.wall) = (now, wall);
        self.open(now, rng);
    }

    /// Somebody changes the clock of the running phone.
    pub fn set_wall(&mut self, wall: Wall) {
        self.wall = wall;
    }

    /// From now on it asks for the smallest budget, as after many broken answers.
    pub fn ask_for_little(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        self.kill();
        let file = rusqlite::Connection::open(&self.path).expect("the store's file can be opened");
        file.execute("update phone set budget_bytes = 4096", []).expect("the budget is a plain column");
        drop(file);
        self.open(now, rng);
    }

    /// The phone's own backup runs: a copy of the store's file.
    pub fn back_up(&mut self, now: Timestamp, rng: &mut dyn Rng) {
        self.kill();
        self.backup = Some(std::fs::read(&self.path).expect("the store's file can be read"));
        self.open(now, rng);
    }

    /// Whether there is a backup.
    pub fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    /// The backup is put back. Gives the captures that nobody has any more, by their ids.
    pub fn restore(&mut self, now: Timestamp, rng: &mut dyn Rng) -> Vec<EntryId> {
        let backup = self.backup.take().expect("invariant: a phone with a backup is restored");
        let held = self.own_ids();
        self.kill();
        std::fs::write(&self.path, backup).expect("the store's file can be written");
        self.open(now, rng);
        let kept = self.own_ids();
        held.into_iter().filter(|id| !kept.contains(id)).collect()
    }

    /// The server has lost captures: what neither this phone's store nor an envelope it keeps holds is nowhere
    /// now, although it was answered.
    pub fn forget_what_nobody_holds(&mut self) -> usize {
        let own: BTreeSet<_> = self.own_ids().into_iter().collect();
        let kept = self.store().kept_entries().expect("the store can be read");
        let before = self.captured.len() + self.told.len();
        self.captured.retain(|id, _| own.contains(id) || kept.contains(id));
        self.told.retain(|id, _| own.contains(id) || kept.contains(id));
        before - self.captured.len() - self.told.len()
    }

    /// A second phone with a copy of this one's file and of what its keystore holds.
    #[must_use]
    pub fn cloned(&mut self, name: &str, now: Timestamp, rng: &mut dyn Rng) -> Self {
        self.kill();
        let path = self.path.with_file_name(format!("{name}.db"));
        std::fs::copy(&self.path, &path).expect("the store's file can be copied");
        let mut keeper = KeptInMemory::default();
        let generation = self.keeper.load().expect("a counter in memory");
        keeper.save(generation).expect("a counter in memory");
        self.open(now, rng);
        let mut clone = Self {
            name: name.to_owned(),
            path,
            keeper,
            store: None,
            session: None,
            backup: None,
            captured: self.captured.clone(),
            filed: self.filed.clone(),
            told: self.told.clone(),
            coming: BTreeMap::new(),
            handed_in: self.handed_in.clone(),
            enrolled_as: self.enrolled_as.clone(),
            owner: self.owner,
            serial: 0,
            boot: self.boot,
            booted_at: now,
            wall: self.wall,
        };
        clone.boot(Wall::Off(0), now, rng);
        clone
    }

    fn own_ids(&self) -> Vec<EntryId> {
        self.store().own_entries().expect("the store can be read").into_iter().map(|(id, ..)| id).collect()
    }

    /// Enrols this phone with a code.
    pub fn enrol(&mut self, server: &Server, code: &str, now: Timestamp, rng: &mut dyn Rng) {
        let request = enrol::enrolment_request(self.store(), code, "simulation").expect("a request can be made");
        let answer = server.answer(&request);
        let moment = self.moment(now);
        enrol::accept_enrolment(self.store_mut(), (answer.status, &answer.body), moment, rng)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let (device, signer) = (self.store().device(), self.store().signer());
        self.enrolled_as = device.ok().zip(signer.ok());
    }

    /// Logs in again.
    pub fn log_in(&mut self, server: &Server, login: &str, password: &str, rng: &mut dyn Rng) {
        let request = enrol::lease_request(self.store_mut(), login, password).expect("a request can be made");
        let answer = server.answer(&request);
        enrol::accept_lease(self.store_mut(), (answer.status, &answer.body), rng)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Records what happened.
    pub fn capture(
        &mut self,
        draft: impl Into<Draft>,
        now: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<Captured, CaptureError> {
        self.capture_with(draft, &[], now, rng)
    }

    /// Captures something with files.
    pub fn capture_with(
        &mut self,
        draft: impl Into<Draft>,
        files: &[NewFile],
        now: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<Captured, CaptureError> {
        let moment = self.moment(now);
        let captured = self.store_mut().capture_with(draft.into(), files, moment, rng)?;
        if !files.is_empty() {
            self.filed.insert(captured.id);
        }
        let entries = self.store().entries_of(captured.dossier).expect("the store can be read");
        let bytes = entries.into_iter().find(|(id, ..)| *id == captured.id).map(|(_, bytes, _)| bytes);
        self.captured.insert(captured.id, bytes.expect("what was captured is there"));
        Ok(captured)
    }

    /// Edits a board.
    pub fn edit(
        &mut self,
        dossier: DossierId,
        edits: &[Edit],
        now: Timestamp,
        rng: &mut dyn Rng,
    ) -> Result<BoardView, EditBoardError> {
        let moment = self.moment(now);
        self.store_mut().edit_board(dossier, edits, moment, rng)
    }

    /// Becomes another officer's. What it held is handed in, and is no capture of this phone any more.
    pub fn change_hands(&mut self, now: Timestamp, rng: &mut dyn Rng) -> Result<(), ChangeHandsError> {
        let moment = self.moment(now);
        self.store_mut().change_hands(moment, rng)?;
        self.captured.clear();
        self.told.clear();
        Ok(())
    }

    /// Begins a sync.
    pub fn begin_sync(&mut self, now: Timestamp, rng: &mut dyn Rng) -> Option<Step> {
        self.session = Some(Session::new());
        self.serial += 1;
        self.tell(Event::Start, now, rng)
    }

    /// Tells the session what happened; a session that is over hears nothing.
    pub fn tell(&mut self, event: Event<'_>, now: Timestamp, rng: &mut dyn Rng) -> Option<Step> {
        let moment = self.moment(now);
        let (session, store) = (self.session.as_mut()?, self.store.as_mut()?);
        let effects = session.handle(store, moment, rng, event);
        let effects = effects.unwrap_or_else(|error| panic!("{}: the session fails: {error}", self.name));
        self.note_told();
        match effects.into_iter().next()? {
            Effect::Send(request) => Some(Step::Send(request)),
            Effect::Wait { ms } => Some(Step::Wait(ms)),
            Effect::Finished(report) => {
                self.session = None;
                Some(Step::Finished(Box::new(report)))
            }
        }
    }

    /// An answer begins to come down.
    pub fn expect_verdicts(&mut self, verdicts: BTreeMap<EntryId, Outcome>) {
        self.coming = verdicts;
    }

    /// I5: what leaves the store has been answered, if only by the frame that let it be purged.
    fn note_told(&mut self) {
        // What a lost phone still held is in envelopes that only the server can read.
        if self.is_wiped() {
            self.handed_in.extend(self.captured.keys().copied());
            return;
        }
        let own = self.store().own_entries().expect("the store can be read");
        let held: BTreeMap<_, _> = own.into_iter().map(|(id, _, outcome)| (id, outcome)).collect();
        for id in self.captured.keys().filter(|id| !held.contains_key(id)) {
            if self.told.contains_key(id) || self.handed_in.contains(id) {
                continue;
            }
            let Some(verdict) = self.coming.get(id) else {
                panic!("I5: {}: the unanswered capture {id} is gone from the store", self.name);
            };
            self.told.insert(*id, verdict.clone());
        }
        self.told.extend(held.into_iter().filter_map(|(id, outcome)| Some((id, outcome?))));
    }
}

/// What a session wants next.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(HttpRequest),
    /// Wait so many milliseconds.
    Wait(u64),
    /// It is over.
    Finished(Box<SyncReport>),
}
