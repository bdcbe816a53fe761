//! The phone: a store, its server, and one lock around them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daybook_mobile_sync::capture::NewFile;
use daybook_mobile_sync::client::{self, Client, ClientError, Roots};
use daybook_mobile_sync::{Effect, Session, Store};
use daybook_shared::board::Edit;
use daybook_shared::ids::EntryId;
use daybook_shared::messages::Language;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::draft;
use crate::error::PhoneError;
use crate::host::{Host, Keeper, Progress, moment};
use crate::records::{Captured, File, Note, Synced};

/// How a phone is opened.
#[derive(Debug, uniffi::Record)]
pub struct Options {
    /// The store's file; it is made if it is missing.
    pub path: String,
    /// The server's address, for example `https://daybook.example.com`.
    pub server: String,
    /// The language of the words beside codes, as a tag such as `sw`; English if there is no such catalogue.
    #[uniffi(default = "en")]
    pub language: String,
    /// The certificate authorities to trust (PEM) instead of the system's.
    #[uniffi(default = None)]
    pub authorities: Option<String>,
    /// Allow plain HTTP to other hosts than this one. For test networks only.
    #[uniffi(default = false)]
    pub plain_http: bool,
}

/// A phone.
#[derive(uniffi::Object)]
pub struct Phone {
    /// None once it is shut.
    open: Mutex<Option<Open>>,
    /// One exchange with the server at a time.
    network: Mutex<()>,
    client: Client,
    pub(crate) host: Arc<dyn Host>,
}

pub(crate) struct Open {
    pub store: Store,
    pub rng: StdRng,
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone")
    }
}

impl Phone {
    /// Does something with the open store. A call that panicked before left no transaction behind.
    pub(crate) fn with<T, E: Into<PhoneError>>(
        &self,
        work: impl FnOnce(&mut Open) -> Result<T, E>,
    ) -> Result<T, PhoneError> {
        let mut open = locked(&self.open);
        work(open.as_mut().ok_or_else(shut)?).map_err(Into::into)
    }
}

fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shut() -> PhoneError {
    PhoneError::of("shut", "this phone was shut: open it again")
}

#[uniffi::export]
impl Phone {
    /// Opens the store and makes it if it is missing. No network is needed. `key` is 32 bytes from the
    /// platform's keystore, which seal the store; it is no option, so that no print of options shows it.
    #[uniffi::constructor]
    pub fn open(options: Options, key: Vec<u8>, host: Arc<dyn Host>) -> Result<Arc<Self>, PhoneError> {
        let Options { path, server, language, authorities, plain_http } = options;
        let key = key.try_into().map_err(|_| PhoneError::argument("a key has 32 bytes"))?;
        let roots = authorities.as_deref().map_or(Ok(Roots::Native), certificates)?;
        let client = Client::new(&server, client::Options { roots, plain_http, ..client::Options::default() })?;
        let rng = StdRng::try_from_rng(&mut SysRng);
        let mut rng = rng.map_err(|error| PhoneError::of("randomness", error))?;
        let keeper = Box::new(Keeper(Arc::clone(&host)));
        let mut store = Store::open(Path::new(&path), &key, keeper, moment(&*host), &mut rng)?;
        store.speak(Language::from_tag(&language).unwrap_or_default());
        let open = Mutex::new(Some(Open { store, rng }));
        Ok(Arc::new(Self { open, network: Mutex::new(()), client, host }))
    }

    /// Closes the store's file. What was captured is in it; every later call says `shut`.
    pub fn shut(&self) {
        locked(&self.open).take();
    }

    /// Enrols this phone with the office's one-time code; `platform` names the device for people. On a phone
    /// that is enrolled, the code's officer takes the handset over, once all that the one before captured is
    /// handed in: `not_handed_in` if that is not possible now.
    pub fn enrol(&self, code: String, platform: String) -> Result<(), PhoneError> {
        let _alone = locked(&self.network);
        let client = &self.client;
        self.with(|Open { store, rng }| {
            let now = || moment(&*self.host);
            block_on(client.enrol(store, (&code, &platform), &now, rng))
        })
    }

    /// Logs in for a new lease, which opens the views again.
    pub fn login(&self, login: String, password: String) -> Result<(), PhoneError> {
        let _alone = locked(&self.network);
        let client = &self.client;
        self.with(|Open { store, rng }| {
            let now = || moment(&*self.host);
            block_on(client.login(store, (&login, &password), &now, rng))
        })
    }

    /// Hands in what was captured and receives what is new, until nothing is left or there is no use in
    /// trying. Captures and views go on meanwhile.
    pub fn sync(&self, progress: Option<Arc<dyn Progress>>) -> Result<Synced, PhoneError> {
        let _alone = locked(&self.network);
        let http = self.with(|open| self.client.http(&open.store, moment(&*self.host)))?;
        let mut session = Session::new();
        let mut frames = 0;
        let mut handle = |event: daybook_mobile_sync::Event<'_>| {
            let mut open = locked(&self.open);
            let Some(Open { store, rng }) = open.as_mut() else { return Ok(vec![session.stop()]) };
            let effects = session.handle(store, moment(&*self.host), rng, event)?;
            drop(open);
            let report = session.report();
            if let Some(progress) = progress.as_ref() {
                if report.frames > frames {
                    frames = report.frames;
                    progress.received(frames, report.bytes_up, report.bytes_down);
                }
                if let Some(Effect::Wait { ms }) = effects.first() {
                    progress.waiting(session.last_failure().to_string(), *ms);
                }
            }
            Ok(effects)
        };
        Ok(block_on(self.client.drive(&http, &mut handle))?.into())
    }

    /// Records what happened, from a JSON draft, with files that belong to it. When this returns, all of it is
    /// durable and on its way.
    #[uniffi::method(default(files = []))]
    pub fn capture(&self, draft: String, files: Vec<File>) -> Result<Captured, PhoneError> {
        let draft = draft::read(&draft)?;
        let files = files.into_iter().map(NewFile::try_from).collect::<Result<Vec<_>, _>>()?;
        let captured = self.with(|Open { store, rng }| store.capture_with(draft, &files, moment(&*self.host), rng));
        captured.map(Captured::from)
    }

    /// Edits a dossier's board: all of the edits or none.
    pub fn edit_board(&self, dossier: String, edits: Vec<Note>) -> Result<(), PhoneError> {
        let dossier = dossier.parse().map_err(PhoneError::argument)?;
        self.with(|Open { store, rng }| {
            let now = moment(&*self.host);
            let edits: Result<Vec<_>, _> = edits.into_iter().map(|note| edit(note, now, rng)).collect();
            store.edit_board(dossier, &edits?, now, rng).map_err(PhoneError::from)?;
            Ok::<_, PhoneError>(())
        })
    }

    /// Forgets a draft of `attention` that the officer has read.
    pub fn dismiss_draft(&self, number: i64) -> Result<(), PhoneError> {
        self.with(|open| open.store.dismiss_draft(number))
    }
}

fn edit(note: Note, now: daybook_mobile_sync::Moment, rng: &mut StdRng) -> Result<Edit, PhoneError> {
    Ok(match note {
        Note::Text { text } => Edit::NoteReplace(text),
        Note::AddTag { tag } => Edit::AddTag(tag),
        Note::RemoveTag { tag } => Edit::RemoveTag(tag),
        Note::AddTask { text, by } => Edit::AddTask { id: EntryId::new(now.wall, rng).0, text, by },
        Note::TaskDone { id, done } => {
            let id: EntryId = id.parse().map_err(PhoneError::argument)?;
            Edit::SetTaskDone { id: id.0, done }
        }
    })
}

fn certificates(pem: &str) -> Result<Roots, PhoneError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates =
        read.map_err(|error| PhoneError::argument(format!("the authorities cannot be read: {error}")))?;
    Ok(Roots::These(certificates.into_iter().map(|certificate| certificate.to_vec()).collect()))
}

fn block_on<T>(work: impl Future<Output = Result<T, ClientError>>) -> Result<T, PhoneError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| PhoneError::of("network", error))?;
    Ok(runtime.block_on(work)?)
}
