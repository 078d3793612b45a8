//! An office whose log lacks what its key signed: somebody put an older copy in place. It takes no writes until an operator
//! has restored what is missing, or has begun a new epoch.
//!
//! *Architecture invariant*: that it is so is durable in `behind.json`, beside the log, before anybody is told. A note that
//! the log's own key did not sign, or of another office, stops nothing; nor does one of which an epoch that began since says
//! that it is lost.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use renaksi_domain::State;
use renaksi_domain::epoch::BeginEpoch;
use renaksi_ledger::{Checkpoint, LogReader, SignError, SignedCheckpoint, Signer};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::data::{Data, read_json, write_json};
use crate::error::ServerError;
use crate::log_key;
use crate::office::{Checked, Office};
use crate::status::Fault;

/// `behind.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stored {
    /// The largest checkpoint that was shown and that the log lacks, as it was signed.
    note: Option<String>,
    /// An epoch that is being begun. Whoever opens the office goes on with it.
    beginning: Option<Beginning>,
}

/// What an operator asked for. The log has it a moment later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    pub epoch: u32,
    pub reason: String,
}

/// How far the log reaches, and how far it was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub here: Checkpoint,
    pub seen: Checkpoint,
}

impl From<Gap> for Fault {
    fn from(gap: Gap) -> Fault {
        let fault = Fault::precondition("LOG_BEHIND");
        fault.with("here", gap.here.size).with("seen", gap.seen.size).with("epoch", gap.seen.epoch)
    }
}

/// What is known to be missing from an office's log.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    seen: watch::Sender<Option<SignedCheckpoint>>,
    /// Held over every change of the file too, so that the two say the same.
    beginning: Mutex<Option<Beginning>>,
    /// Notes that the log was found to have: a device shows the same one with each call until it pulls. An open log loses
    /// nothing, so what it had it has.
    held: Mutex<HashSet<String>>,
}

/// Notes remembered; then all are forgotten.
const HELD_MAX: usize = 1_000;

impl Mark {
    /// Reads the mark, and compares it and what was signed last with the log.
    ///
    /// # Errors
    /// [`ServerError::Unreadable`] when the mark is damaged: nobody knows then what is missing.
    pub fn open(data: &Data, signer: &Signer, log: &LogReader, state: &State) -> Result<Mark, ServerError> {
        let (path, office) = (path(data), signer.office());
        let stored: Stored = read_json(&path)?.unwrap_or_default();
        let seen = stored.note.map(|note| signer.read(&note)).transpose().map_err(|error| {
            let (path, cause) = (path.clone(), error.to_string());
            ServerError::Unreadable { path, what: "what the log lacks", cause }
        })?;
        let (seen, beginning) = (watch::Sender::new(seen), stored.beginning.into());
        let mark = Mark { path, seen, beginning, held: Mutex::default() };
        if let Some(seen) = mark.seen().filter(|_| mark.beginning().is_none())
            && !is_missing(signer, log, &state.epochs, &seen).map_err(log_failed(office))?
        {
            // It was restored.
            mark.clear()?;
        }
        match signer.check() {
            Ok(()) => {}
            Err(SignError::Behind { .. } | SignError::Contradicts { .. }) => {
                let last = signer.last().expect("BUG: something was signed, or there were nothing to lack");
                mark.set(last.clone())?;
            }
            Err(source) => return Err(ServerError::Checkpoint { office, source }),
        }
        Ok(mark)
    }

    /// The largest checkpoint that the log lacks. While there is one nothing is written.
    pub fn seen(&self) -> Option<Checkpoint> {
        self.seen.borrow().as_ref().map(SignedCheckpoint::checkpoint)
    }

    /// True when nothing has to be asked about a note that a device shows: there is none, or it was looked at before.
    pub fn is_held(&self, note: &str) -> bool {
        note.is_empty() || self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(note)
    }

    fn hold(&self, note: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= HELD_MAX {
            held.clear();
        }
        held.insert(note.to_owned());
    }

    /// Tells when that changes.
    pub fn watch(&self) -> watch::Receiver<Option<SignedCheckpoint>> {
        self.seen.subscribe()
    }

    /// An epoch that somebody began to begin.
    pub fn beginning(&self) -> Option<Beginning> {
        self.lock().clone()
    }

    /// The log lacks this. Durable when it returns; of several the largest stays.
    fn set(&self, signed: SignedCheckpoint) -> Result<(), ServerError> {
        let beginning = self.lock();
        let reaches = |at: Checkpoint| (at.epoch, at.size);
        if self.seen().is_some_and(|known| reaches(known) >= reaches(signed.checkpoint())) {
            return Ok(());
        }
        let note = Some(signed.note().to_owned());
        write_json(&self.path, &Stored { note, beginning: beginning.clone() })?;
        self.seen.send_replace(Some(signed));
        Ok(())
    }

    /// An operator's word. If we crash after it: the next opening begins the epoch.
    pub(crate) fn intend(&self, beginning: Beginning) -> Result<(), ServerError> {
        let mut known = self.lock();
        let note = self.seen.borrow().as_ref().map(|seen| seen.note().to_owned());
        write_json(&self.path, &Stored { note, beginning: Some(beginning.clone()) })?;
        *known = Some(beginning);
        Ok(())
    }

    /// Nothing is missing any more. If we crash before: the next opening sees that it is so.
    pub(crate) fn clear(&self) -> Result<(), ServerError> {
        let mut beginning = self.lock();
        remove(&self.path)?;
        *beginning = None;
        self.seen.send_replace(None);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Beginning>> {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Office {
    /// Looks at the checkpoint that a device holds. Where this log lacks what its own key signed, the office takes no more
    /// writes. May wait for a disk.
    ///
    /// # Errors
    /// `LOG_BEHIND`, for the device that brings the news; `OFFICE_STOPPED` when it could not be noted.
    pub fn consider(&self, note: &str) -> Result<(), Fault> {
        let signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if signer.last().is_some_and(|last| last.note() == note) {
            self.shared.mark.hold(note);
            return Ok(());
        }
        let signed = match signer.read(note) {
            Ok(signed) => signed,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a device showed a checkpoint that this log's key did not sign");
                return Ok(());
            }
        };
        let at = signed.checkpoint();
        let epochs = match at.epoch < self.shared.reader.head().epoch {
            true => self.shared.durable()?.state.epochs.clone(),
            false => Vec::new(),
        };
        let missing = is_missing(&signer, &self.shared.reader, &epochs, &at);
        if !missing.map_err(|error| self.shared.log_failed(error))? {
            self.shared.mark.hold(note);
            return Ok(());
        }
        drop(signer);
        tracing::error!(seen = %signed.checkpoint(), "the log lacks what its key signed; the office takes no more writes");
        if let Err(error) = self.shared.mark.set(signed) {
            tracing::error!(error = error.whole(), "what the log lacks could not be noted");
            self.shared.stop();
            return Err(Fault::stopped());
        }
        self.shared.gap().map_or(Ok(()), |gap| Err(gap.into()))
    }
}

/// What an office's folder says of it that nobody has open: the checkpoint that its log lacks.
///
/// # Errors
/// [`ServerError::Unreadable`] when mark or key are damaged.
pub fn noted(data: &Data, log: &LogReader, checked: &Checked) -> Result<Option<Gap>, ServerError> {
    let office = checked.office;
    let Some(note) = read_json::<Stored>(&path(data))?.and_then(|stored| stored.note) else {
        return Ok(None);
    };
    let signer = log_key::signer(data, log, office)?;
    let seen = signer.read(&note).map_err(|error| ServerError::Unreadable {
        path: path(data),
        what: "what the log lacks",
        cause: error.to_string(),
    })?;
    let seen = seen.checkpoint();
    let missing = is_missing(&signer, log, &checked.epochs, &seen).map_err(log_failed(office))?;
    Ok(missing.then(|| Gap { here: here(log, office), seen }))
}

/// Whether the folder says so, looked at from outside.
pub fn is_noted(data: &Data) -> bool {
    path(data).exists()
}

/// Takes the mark away, where the log has what it lacked. Answers whether one stands.
///
/// # Errors
/// As [`noted`].
pub fn settle(data: &Data, log: &LogReader, checked: &Checked) -> Result<Option<Gap>, ServerError> {
    let path = path(data);
    let gap = noted(data, log, checked)?;
    let pending = read_json::<Stored>(&path)?.is_some_and(|stored| stored.beginning.is_some());
    if gap.is_none() && !pending {
        remove(&path)?;
    }
    Ok(gap)
}

/// How far a log reaches.
pub(crate) fn here(log: &LogReader, office: Uuid) -> Checkpoint {
    let head = log.head();
    Checkpoint { office, epoch: head.epoch, size: head.size, root: head.root }
}

/// Whether the log lacks what a checkpoint says, and no epoch that began since has said so.
fn is_missing(
    signer: &Signer,
    log: &LogReader,
    epochs: &[BeginEpoch],
    seen: &Checkpoint,
) -> Result<bool, renaksi_ledger::Error> {
    if epochs.iter().any(|begun| begun.tells_of(seen.epoch, seen.size)) {
        return Ok(false);
    }
    Ok(seen.epoch > log.head().epoch || !signer.holds(seen)?)
}

fn path(data: &Data) -> PathBuf {
    data.office("behind.json")
}

fn remove(path: &Path) -> Result<(), ServerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        removed => removed.map_err(ServerError::file("remove", path))?,
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(ServerError::file("sync", parent))
}

fn log_failed(office: Uuid) -> impl FnOnce(renaksi_ledger::Error) -> ServerError {
    move |source| ServerError::Log { id: Data::log_id(office), source }
}
