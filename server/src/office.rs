//! One open office: its log, the state folded from it, and the threads that write.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::JoinHandle;

use renaksi_domain::epoch::BeginEpoch;
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, Position};
use renaksi_domain::people::People;
use renaksi_domain::{FOLD_VERSION, RULES_VERSION, State};
use renaksi_ledger::{Log, LogId, LogOptions, LogReader, NewSnapshot, Signer, Snapshots};
use renaksi_proto::agreed::hex;
use renaksi_proto::clock::Clock;
use renaksi_proto::fold::Fold;
use renaksi_proto::snapshot;
use tokio::sync::{oneshot, watch};

use crate::alarm::{Alarm, Alarms};
use crate::behind::{self, Gap, Mark};
use crate::damage::Stop;
use crate::data::{Data, ServerFile, private_folder};
use crate::directory::Directory;
use crate::error::ServerError;
use crate::folding::{fold_commits, fold_rest};
use crate::invites::Invites;
use crate::log_key;
use crate::office_index::OfficeIndex;
use crate::people::host_error;
use crate::push::Push;
use crate::scrub::Scrub;
use crate::sightings::Sightings;
use crate::status::Fault;
use crate::unindexed::{self, Follower, Unindexed};
use crate::writer::{HostAct, HostError, Job, NotDurable, PushAnswer, Writer};

/// Jobs that may wait; beyond, callers wait to hand theirs over.
const QUEUE_JOBS: usize = 1_024;
/// Snapshots kept.
const SNAPSHOTS: usize = 3;

/// What readers and the writer share.
#[derive(Debug)]
pub struct Shared {
    pub id: LogId,
    pub clock: Clock,
    pub reader: LogReader,
    /// Behind a lock that the writer holds until what it decided is durable. The writer may wait for the index thread
    /// meanwhile, so that thread never takes it.
    pub fold: RwLock<Fold>,
    /// A copy for authentication, which must not wait for a disk.
    people: RwLock<Arc<People>>,
    index: Mutex<OfficeIndex>,
    /// Beside the lock, which the index thread holds while it writes.
    index_covers: AtomicU64,
    snapshots: Snapshots,
    /// What the log lacks of what was signed; while it lacks something the office takes no writes.
    pub mark: Mark,
    /// Why the office takes no writes any more; None while it does.
    stopped: watch::Sender<Option<Stop>>,
}

impl Shared {
    /// The durable state. May wait for a disk: from async code, within `block_in_place`.
    ///
    /// # Errors
    /// `OFFICE_STOPPED` after a fault of the disk or a panic: what was decided last may not be in the log.
    pub fn durable(&self) -> Result<RwLockReadGuard<'_, Fold>, Fault> {
        let fold = self.fold.read().map_err(|_| Fault::stopped())?;
        match self.why_stopped() {
            Some(Stop::Failed) => Err(Fault::stopped()),
            // What is damaged on the disk was whole when it was folded.
            Some(Stop::Damaged(_)) | None => Ok(fold),
        }
    }

    /// True once the office takes no writes.
    pub fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// Why it does not.
    pub fn why_stopped(&self) -> Option<Stop> {
        self.stopped.borrow().clone()
    }

    /// How far the log is behind what its key signed. While it is, nothing is written.
    pub fn gap(&self) -> Option<Gap> {
        self.mark.seen().map(|seen| Gap { here: behind::here(&self.reader, self.id.office), seen })
    }

    /// Takes no writes from now on, and wakes whoever watches: what was decided last may not be in the log.
    pub(crate) fn stop(&self) {
        self.stop_for(Stop::Failed);
    }

    /// The same for any reason. A failure says more than damage; else the first reason stays. True if it was news.
    pub(crate) fn stop_for(&self, stop: Stop) -> bool {
        self.stopped.send_if_modified(|known| {
            let is_news = match known {
                None => true,
                Some(Stop::Damaged(_)) => matches!(stop, Stop::Failed),
                Some(Stop::Failed) => false,
            };
            if is_news {
                *known = Some(stop);
            }
            is_news
        })
    }

    /// Tells when the office stops.
    pub fn watch_stopped(&self) -> watch::Receiver<Option<Stop>> {
        self.stopped.subscribe()
    }

    /// Everybody and every device, as of the last durable commit.
    pub fn people(&self) -> Arc<People> {
        Arc::clone(&self.people.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a durable change of people to authentication.
    pub fn publish_people(&self, state: &State) {
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state.people.clone());
    }

    /// Where devices' commands are, as far as the index knows once it has caught up with what is durable.
    pub(crate) fn positions_of(
        &self,
        keys: impl Iterator<Item = CommandKey>,
        unindexed: &Unindexed,
    ) -> Vec<Option<Position>> {
        unindexed.catch_up();
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        keys.map(|key| index.position_of(key)).collect()
    }

    /// How far the index reached when it last learned something; 0 while nobody asked it anything.
    pub fn index_covers(&self) -> Position {
        self.index_covers.load(Ordering::Relaxed)
    }

    /// The state that the log says, folded anew.
    pub(crate) fn durable_fold(&self) -> Result<Fold, ServerError> {
        let start = start_of(&self.reader, &self.snapshots, self.id)?;
        match start.unproved {
            Some(hash) if state_hash(&start.fold.state) != hash => self.fold_from_zero(),
            _ => Ok(start.fold),
        }
    }

    /// The state that the log says, from its first record.
    pub(crate) fn fold_from_zero(&self) -> Result<Fold, ServerError> {
        fold_rest(&self.reader, Fold::default(), self.id)
    }

    /// Keeps the present state as a snapshot. Only the writer calls it, when it holds no lock.
    pub(crate) fn snapshot(&self) {
        if let Err(error) = self.try_snapshot() {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "no snapshot was left; the next start folds more");
        }
    }

    fn try_snapshot(&self) -> Result<(), renaksi_ledger::Error> {
        let (position, hash, payload) = match self.durable() {
            Ok(fold) if fold.state.position > 0 => {
                (fold.state.position, state_hash(&fold.state), snapshot::encode(&fold))
            }
            _ => return Ok(()),
        };
        let Some(root) = self.reader.root_at(position)? else { return Ok(()) };
        let new =
            NewSnapshot { position, root, fold_version: FOLD_VERSION, state_hash: hash, payload: &payload };
        self.snapshots.put(new)?;
        self.snapshots.keep(SNAPSHOTS)
    }
}

/// An open office. Dropping it without [`Office::close`] is a crash, which loses nothing acknowledged.
#[derive(Debug)]
pub struct Office {
    pub shared: Arc<Shared>,
    pub file: ServerFile,
    pub name: String,
    pub authority: [u8; 32],
    pub directory: Mutex<Directory>,
    pub invites: Mutex<Invites>,
    pub sightings: Mutex<Sightings>,
    pub signer: Mutex<Signer>,
    /// The public half of the signer's key.
    pub log_key: [u8; 32],
    /// Held over an invite or an enrolment from its first look at the people to its last file, so that two at once never
    /// both find that somebody is new.
    pub console: tokio::sync::Mutex<()>,
    /// None once the office is closed.
    jobs: Mutex<Option<tokio::sync::mpsc::Sender<Job>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// None where opening read all of the log, and once the office is closed.
    scrub: Mutex<Option<Scrub>>,
}

impl Office {
    /// Opens the office of a data folder: recovers the log, folds the state, brings the index up to it.
    ///
    /// # Errors
    /// [`ServerError::NoOffice`] where `init` was cut before it founded one, [`ServerError::LogLost`] where one was.
    pub fn open(data: &Data, clock: Clock) -> Result<Office, ServerError> {
        Office::open_with(data, clock, LogOptions::default())
    }

    /// As [`Office::open`], with options of the log.
    pub fn open_with(data: &Data, clock: Clock, options: LogOptions) -> Result<Office, ServerError> {
        Office::open_among(data, clock, options, Arc::default())
    }

    /// As [`Office::open_with`], telling `alarms` when something is due by itself.
    pub fn open_among(
        data: &Data,
        clock: Clock,
        options: LogOptions,
        alarms: Arc<Alarms>,
    ) -> Result<Office, ServerError> {
        let mut file = data.server_file()?;
        let id = Data::log_id(file.office);
        let log = match open_log(data, id, options) {
            Err(renaksi_ledger::Error::NotFound { .. }) => return Err(data.no_records(&file)),
            opened => opened.map_err(|source| ServerError::Log { id, source })?,
        };
        if log.head().size == 0 {
            return Err(data.no_records(&file));
        }
        if !file.founded {
            file.founded = true;
            data.write_server_file(&file)?;
        }
        Office::on(data, clock, file, log, alarms)
    }

    /// For `init`: makes the log, or goes on with the empty one of an `init` that was cut.
    pub fn create(data: &Data, clock: Clock) -> Result<Office, ServerError> {
        Office::create_with(data, clock, LogOptions::default())
    }

    /// As [`Office::create`], with options of the log.
    pub fn create_with(data: &Data, clock: Clock, options: LogOptions) -> Result<Office, ServerError> {
        let file = data.server_file()?;
        if file.founded {
            return Err(data.no_records(&file));
        }
        let id = Data::log_id(file.office);
        private_folder(&data.office("log"))?;
        let log = match open_log(data, id, options.clone()) {
            Err(renaksi_ledger::Error::NotFound { .. }) => {
                Log::create_with(&data.office("log"), id, 1, options)
            }
            opened => opened,
        };
        let log = log.map_err(|source| ServerError::Log { id, source })?;
        Office::on(data, clock, file, log, Arc::default())
    }

    fn on(
        data: &Data,
        clock: Clock,
        file: ServerFile,
        log: Log,
        alarms: Arc<Alarms>,
    ) -> Result<Office, ServerError> {
        let id = Data::log_id(file.office);
        let failed = |source| ServerError::Log { id, source };
        private_folder(&data.office("snapshots"))?;
        private_folder(&data.office("index"))?;
        let reader = log.reader();
        let signer = log_key::signer(data, &reader, id.office)?;
        let snapshots = Snapshots::open(&data.office("snapshots"), id).map_err(failed)?;
        let Start { fold, snapshot_at, unproved } = start_of(&reader, &snapshots, id)?;
        same_flag(data, &file, rehearsal(&fold.state))?;
        let mark = Mark::open(data, &signer, &reader, &fold.state)?;
        if fold.state.rules > RULES_VERSION {
            return Err(ServerError::NewerRules { rules: fold.state.rules, known: RULES_VERSION });
        }
        let name = office_name(&fold.state);
        let index = OfficeIndex::at(data.office("index"), id, reader.clone());
        let shared = Arc::new(Shared {
            id,
            clock,
            people: RwLock::new(Arc::new(fold.state.people.clone())),
            fold: RwLock::new(fold),
            reader,
            index: Mutex::new(index),
            index_covers: AtomicU64::new(0),
            snapshots,
            mark,
            stopped: watch::Sender::new(None),
        });
        let authority = crate::authority::load(&data.authority())?.fingerprint;
        let named = data.is_added().then_some(id.office);
        let directory = Mutex::new(Directory::open(data.office("directory.json"))?);
        let invites = Mutex::new(Invites::open(data.office("invites.json"), named)?);
        let sightings = Mutex::new(Sightings::open(data.office("seen.json")));
        let alarm = Alarm::new(alarms, id.office, data);
        let (jobs, threads) = start(&shared, |unindexed| {
            Writer::new(log, Arc::clone(&shared), unindexed, alarm, snapshot_at, unproved)
        })?;
        let scrub = Mutex::new(shared.scrub()?);
        Ok(Office {
            shared,
            scrub,
            file,
            name,
            authority,
            directory,
            invites,
            sightings,
            log_key: signer.verifying_key().to_bytes(),
            signer: Mutex::new(signer),
            console: tokio::sync::Mutex::new(()),
            jobs: Mutex::new(Some(jobs)),
            threads: Mutex::new(threads),
        })
    }

    /// Records a push; answers when it is durable.
    pub async fn push(&self, push: Push) -> Result<PushAnswer, Fault> {
        let (answer, answered) = oneshot::channel();
        self.queue(Job::Push(push, answer)).await.map_err(Fault::from)?;
        answered.await.map_err(|_| Fault::stopped())?
    }

    /// Records the server's own acts; answers when they are durable.
    pub async fn host(&self, act: HostAct) -> Result<Vec<renaksi_domain::Record>, HostError> {
        let (answer, answered) = oneshot::channel();
        self.queue(Job::Host(act, answer)).await.map_err(HostError::NotDurable)?;
        answered.await.map_err(|_| HostError::NotDurable(NotDurable::Stopped))?
    }

    /// Begins a new epoch; answers when its first record is durable.
    ///
    /// # Errors
    /// [`ServerError::Refused`] without a reason; [`ServerError::Stopped`].
    pub async fn begin_epoch(self: &Arc<Self>, reason: &str) -> Result<BeginEpoch, ServerError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Epoch(reason.to_owned(), answer);
        self.queue(job).await.map_err(|cause| host_error(HostError::NotDurable(cause)))?;
        let begun = answered.await.unwrap_or(Err(HostError::NotDurable(NotDurable::Stopped)));
        let begun = begun.map_err(host_error)?;
        let office = Arc::clone(self);
        // What an ended epoch signed is out of force once the new one has signed.
        let signing = tokio::task::spawn_blocking(move || {
            office.signer.lock().unwrap_or_else(PoisonError::into_inner).sign().map(|_| ())
        });
        if let Ok(Err(error)) = signing.await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the new epoch is not signed yet; the next pull signs it");
        }
        Ok(begun)
    }

    /// Records what may be due by itself, once the writer comes to it.
    pub async fn ring(&self) {
        // An office that stopped records nothing more.
        let _ = self.queue(Job::Due).await;
    }

    async fn queue(&self, job: Job) -> Result<(), NotDurable> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let jobs = jobs.ok_or(NotDurable::Stopped)?;
        jobs.send(job).await.map_err(|_| NotDurable::Stopped)
    }

    /// Answers what was accepted and closes the log. Whoever still holds the office finds it stopped.
    pub fn stop(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(scrub) = self.scrub.lock().unwrap_or_else(PoisonError::into_inner).take() {
            scrub.end();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has said so on stderr; the rest is closed all the same.
            let _ = thread.join();
        }
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner).write();
    }

    /// Stops, and lets go of the folder.
    pub fn close(self) {
        self.stop();
    }
}

/// Opens the log, and tells what opening set aside.
pub(crate) fn open_log(data: &Data, id: LogId, options: LogOptions) -> Result<Log, renaksi_ledger::Error> {
    let (log, opened) = Log::open_with(&data.office("log"), id, options)?;
    if let Some(cut) = &opened.cut {
        tracing::warn!(
            position = cut.position,
            "an unfinished commit was taken off the end of the log, not yet acknowledged unless the file was damaged \
             otherwise; its {} bytes are kept in {}",
            cut.bytes,
            cut.file.display()
        );
    }
    Ok(log)
}

/// Only a rehearsal office may play its clock. Its first record says which it is; a file that can be edited does not.
pub fn same_flag(data: &Data, file: &ServerFile, founded: Option<bool>) -> Result<(), ServerError> {
    match founded {
        Some(founded) if founded != file.rehearsal => {
            Err(ServerError::RehearsalFlag { path: data.server_path(), written: file.rehearsal, founded })
        }
        _ => Ok(()),
    }
}

fn rehearsal(state: &State) -> Option<bool> {
    state.office.as_ref().map(|office| office.rehearsal)
}

type Started = (tokio::sync::mpsc::Sender<Job>, Vec<JoinHandle<()>>);

fn start(shared: &Arc<Shared>, writer: impl FnOnce(Unindexed) -> Writer) -> Result<Started, ServerError> {
    let (jobs, queue) = tokio::sync::mpsc::channel(QUEUE_JOBS);
    let (unindexed, follower) = unindexed::queue();
    let index = spawn("index", {
        let shared = Arc::clone(shared);
        move || follow(&shared, &follower)
    })?;
    let writer = writer(unindexed);
    // If this fails, the other thread ends with the writer's end of its queue.
    let writer = spawn("writer", move || writer.run(queue))?;
    Ok((jobs, vec![writer, index]))
}

pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ServerError> {
    let path = PathBuf::from(name);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(ServerError::file("start the thread", path))
}

/// The index thread: writes behind the acknowledgement. It never takes the fold's lock: the writer, who holds it, may be
/// waiting for this thread.
fn follow(shared: &Shared, follower: &Follower) {
    while let Some(work) = follower.next() {
        let mut index = shared.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = index.learn(&work) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the index is behind the log; the next commit brings it up");
        }
        shared.index_covers.store(index.covers(), Ordering::Relaxed);
        // Whoever waited and went away needs no answer.
        for reached in work.questions {
            let _ = reached.send(());
        }
    }
}

/// The state at the log's head.
struct Start {
    fold: Fold,
    /// Position of the snapshot that it is from; 0 where it was folded from the first record.
    snapshot_at: Position,
    /// The hash that the state must have, where it is a snapshot's own and nobody has hashed it yet. Hashing takes as long
    /// as all the rest of an opening, and a reader need not wait for it: the snapshot's checksum holds.
    unproved: Option<[u8; 32]>,
}

/// The state at the log's head: from the newest usable snapshot, else from the first record. What is folded on to a snapshot
/// is folded on to one that proved to be what it says.
fn start_of(reader: &LogReader, snapshots: &Snapshots, id: LogId) -> Result<Start, ServerError> {
    let failed = |source| ServerError::Log { id, source };
    let root_at = |position| reader.root_at(position).ok().flatten();
    let head = reader.head().size;
    let found = snapshots.latest(head, FOLD_VERSION, root_at).map_err(failed)?;
    let resumed = found.and_then(|found| {
        let fold = snapshot::decode(&found.payload).ok()?;
        let whole = fold.state.position == found.position
            && (found.position == head || state_hash(&fold.state) == found.state_hash);
        if !whole {
            tracing::warn!(
                position = found.position,
                "a snapshot is not the state it names and is passed over"
            );
        }
        whole.then_some((fold, found.state_hash))
    });
    let unproved = resumed.as_ref().and_then(|(fold, hash)| (fold.state.position == head).then_some(*hash));
    let fold = resumed.map_or_else(Fold::default, |(fold, _)| fold);
    let snapshot_at = fold.state.position;
    Ok(Start { fold: fold_rest(reader, fold, id)?, snapshot_at, unproved })
}

/// What `check` tells.
#[derive(Clone, Debug)]
pub struct Checked {
    pub office: uuid::Uuid,
    pub office_name: String,
    /// None before an office is founded.
    pub rehearsal: Option<bool>,
    pub position: u64,
    pub root: [u8; 32],
    pub epoch: u32,
    /// Those after the first.
    pub epochs: Vec<BeginEpoch>,
    pub state_hash: [u8; 32],
    pub live_entries: u64,
    /// Bytes behind the last whole commit: an interrupted write, which the next opening sets aside.
    pub tail_bytes: u64,
}

fn office_name(state: &State) -> String {
    state.office.as_ref().map_or_else(String::new, |office| office.name.to_string())
}

/// Re-hashes a log, folds it from the first record, and compares with the state that runs, where there is one.
///
/// # Errors
/// The damage, by file and position; [`ServerError::Differs`] when replay and live state are not the same.
pub fn check(reader: &LogReader, id: LogId, live: Option<&Shared>) -> Result<Checked, ServerError> {
    let failed = |source| ServerError::Log { id, source };
    let verified = renaksi_ledger::verify(reader).map_err(failed)?;
    let mut fold = Fold::default();
    let mut commits = reader.iter(1);
    loop {
        fold_commits(reader, &mut commits, &mut fold, id)?;
        let Some(live) = live else { break };
        let running = live.durable().map_err(|_| ServerError::Stopped)?;
        if running.state.position == fold.state.position {
            same_state(&fold.state, &running.state)?;
            break;
        }
        // Records came meanwhile: fold them too, until both stand at the same one.
    }
    let position = fold.state.position;
    Ok(Checked {
        office: id.office,
        office_name: office_name(&fold.state),
        rehearsal: rehearsal(&fold.state),
        position,
        root: reader.root_at(position).map_err(failed)?.unwrap_or(verified.root),
        epoch: reader.head().epoch,
        state_hash: state_hash(&fold.state),
        live_entries: fold.state.entries.len() as u64,
        epochs: fold.state.epochs,
        tail_bytes: if live.is_some() { 0 } else { reader.tail_bytes() },
    })
}

fn same_state(replayed: &State, live: &State) -> Result<(), ServerError> {
    let (replayed_hash, live_hash) = (state_hash(replayed), state_hash(live));
    match replayed_hash == live_hash {
        true => Ok(()),
        false => Err(ServerError::Differs {
            position: live.position,
            replayed: hex(&replayed_hash),
            live: hex(&live_hash),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_snapshot_there_is_no_hash_to_prove() {
        let (dir, id) = (tempfile::tempdir().unwrap(), Data::log_id(uuid::Uuid::from_u128(1)));
        let log = Log::create(&dir.path().join("log"), id, 1).unwrap();
        let snapshots = Snapshots::open(&dir.path().join("snapshots"), id).unwrap();
        let start = start_of(&log.reader(), &snapshots, id).unwrap();
        assert_eq!((start.snapshot_at, start.unproved), (0, None));
    }
}
