//! One open office: its log, the state folded from it, and the threads that write.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, mpsc};
use std::thread::JoinHandle;

use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{CommandKey, Position};
use renaksi_domain::people::People;
use renaksi_domain::{FOLD_VERSION, State};
use renaksi_ledger::{Index, IndexError, Log, LogId, LogReader, NewSnapshot, Snapshots};
use renaksi_proto::clock::Clock;
use renaksi_proto::fold::Fold;
use renaksi_proto::snapshot;
use tokio::sync::oneshot;

use crate::data::{Data, ServerFile};
use crate::directory::Directory;
use crate::error::ServerError;
use crate::invites::{Invites, hex};
use crate::office_index::{batch, catch_up, position_of};
use crate::push::Push;
use crate::status::Fault;
use crate::writer::{Behind, HostAct, HostError, Job, PushAnswer, Writer};

/// Jobs that may wait; beyond, callers wait to hand theirs over.
const QUEUE_JOBS: usize = 1_024;
/// Records after which a snapshot is taken while running.
const SNAPSHOT_EVERY: u64 = 50_000;
/// Snapshots kept.
const SNAPSHOTS: usize = 3;

/// What readers and the writer share.
#[derive(Debug)]
pub struct Shared {
    pub id: LogId,
    pub clock: Clock,
    pub reader: LogReader,
    /// Behind a lock that the writer holds until what it decided is durable.
    pub fold: RwLock<Fold>,
    /// A copy for authentication, which must not wait for a disk.
    people: RwLock<Arc<People>>,
    index: Mutex<Index>,
    snapshots: Snapshots,
    /// Set when the disk failed; the office then takes no writes.
    pub stopped: AtomicBool,
}

impl Shared {
    /// The durable state.
    ///
    /// # Errors
    /// `OFFICE_STOPPED` after a fault of the disk: what was decided last may not be in the log.
    pub fn durable(&self) -> Result<RwLockReadGuard<'_, Fold>, Fault> {
        let fold = self.fold.read().unwrap_or_else(PoisonError::into_inner);
        match self.stopped.load(Ordering::Acquire) {
            true => Err(Fault::stopped()),
            false => Ok(fold),
        }
    }

    /// Everybody and every device, as of the last durable commit.
    pub fn people(&self) -> Arc<People> {
        Arc::clone(&self.people.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a durable change of people to authentication.
    pub fn publish_people(&self, state: &State) {
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state.people.clone());
    }

    /// Where a device's command is, once the index has caught up with what is durable.
    pub fn position_of(
        &self,
        key: CommandKey,
        behind: &mpsc::Sender<Behind>,
    ) -> Result<Option<Position>, IndexError> {
        let (reached, wait) = mpsc::channel();
        if behind.send(Behind::Barrier(reached)).is_ok() {
            // Without an answer the index thread is gone, and the index says what it knows.
            let _ = wait.recv();
        }
        position_of(&self.index.lock().unwrap_or_else(PoisonError::into_inner), key)
    }

    /// Keeps the present state as a snapshot.
    fn snapshot(&self) -> Result<(), renaksi_ledger::Error> {
        let (position, hash, payload) = match self.durable() {
            Ok(fold) => (fold.state.position, state_hash(&fold.state), snapshot::encode(&fold)),
            Err(_) => return Ok(()),
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
    jobs: tokio::sync::mpsc::Sender<Job>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Office {
    /// Opens the office of a data folder: recovers the log, folds the state, brings the index up to it.
    pub fn open(data: &Data, clock: Clock) -> Result<Office, ServerError> {
        let file = data.server_file()?;
        let id = Data::log_id(file.office);
        let failed = |source| ServerError::Log { id, source };
        let (log, opened) = Log::open_or_create(&data.office("log"), id, 1).map_err(failed)?;
        if let Some(cut) = &opened.cut {
            tracing::warn!(
                position = cut.position,
                bytes = cut.bytes,
                file = %cut.file.display(),
                "an unfinished commit at the end of the log was set aside; nothing acknowledged was in it"
            );
        }
        let reader = log.reader();
        let snapshots = Snapshots::open(&data.office("snapshots"), id).map_err(failed)?;
        let fold = fold_from_snapshot(&reader, &snapshots, id)?;
        let index = open_index(data, &id, &reader)?;
        let shared = Arc::new(Shared {
            id,
            clock,
            people: RwLock::new(Arc::new(fold.state.people.clone())),
            fold: RwLock::new(fold),
            reader,
            index: Mutex::new(index),
            snapshots,
            stopped: AtomicBool::new(false),
        });
        let authority = crate::authority::load(&data.authority())?.fingerprint;
        let (jobs, queue) = tokio::sync::mpsc::channel(QUEUE_JOBS);
        let (behind, commits) = mpsc::channel();
        let threads = vec![
            spawn("index", {
                let shared = Arc::clone(&shared);
                move || follow(&shared, &commits)
            })?,
            spawn("writer", {
                let writer = Writer { log, shared: Arc::clone(&shared), behind };
                move || writer.run(queue)
            })?,
        ];
        let name = office_name(&shared.fold.read().unwrap_or_else(PoisonError::into_inner).state);
        Ok(Office {
            shared,
            file,
            name,
            authority,
            directory: Mutex::new(Directory::open(data.office("directory.json"))?),
            invites: Mutex::new(Invites::open(data.office("invites.json"))?),
            jobs,
            threads: Mutex::new(threads),
        })
    }

    /// Records a push; answers when it is durable.
    pub async fn push(&self, push: Push) -> Result<PushAnswer, Fault> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Push(push, answer)).await.map_err(|_| Fault::stopped())?;
        answered.await.map_err(|_| Fault::stopped())?
    }

    /// Records the server's own acts; answers when they are durable.
    pub async fn host(&self, act: HostAct) -> Result<Vec<renaksi_domain::Record>, HostError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Host(act, answer)).await.map_err(|_| HostError::Stopped)?;
        answered.await.map_err(|_| HostError::Stopped)?
    }

    /// Answers what was accepted, closes the log and leaves a snapshot, so that the next start is quick.
    pub fn close(self) {
        let Office { shared, jobs, threads, .. } = self;
        drop(jobs);
        for thread in threads.into_inner().unwrap_or_else(PoisonError::into_inner) {
            // A thread that panicked has said so on stderr; the rest is closed all the same.
            let _ = thread.join();
        }
        if let Err(error) = shared.snapshot() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no snapshot was left; the next start folds more"
            );
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ServerError> {
    let path = PathBuf::from(name);
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(ServerError::file("start the thread", path))
}

/// The index thread: writes behind the acknowledgement, takes a snapshot now and then.
fn follow(shared: &Shared, commits: &mpsc::Receiver<Behind>) {
    let mut last_snapshot = shared.reader.head().size;
    while let Ok(message) = commits.recv() {
        match message {
            Behind::Barrier(reached) => {
                let _ = reached.send(());
            }
            Behind::Commit { head, runs } => {
                let index = shared.index.lock().unwrap_or_else(PoisonError::into_inner);
                if let Err(error) = index.write(batch(&runs, head.size, head.root)) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the index is behind the log");
                }
                drop(index);
                if head.size - last_snapshot >= SNAPSHOT_EVERY {
                    last_snapshot = head.size;
                    if let Err(error) = shared.snapshot() {
                        tracing::warn!(error = &error as &dyn std::error::Error, "no snapshot was taken");
                    }
                }
            }
        }
    }
}

fn open_index(data: &Data, id: &LogId, reader: &LogReader) -> Result<Index, ServerError> {
    let (index, opened) = Index::open(&data.office("index"), id).map_err(ServerError::Index)?;
    if let Some(aside) = &opened.set_aside {
        tracing::warn!(to = %aside.to.display(), cause = %aside.cause, "the index was set aside and is rebuilt");
    }
    catch_up(index, reader).map_err(ServerError::Index)
}

/// The state at the log's head: from the newest snapshot that proves to be what it says, else from the first record.
fn fold_from_snapshot(reader: &LogReader, snapshots: &Snapshots, id: LogId) -> Result<Fold, ServerError> {
    let failed = |source| ServerError::Log { id, source };
    let root_at = |position| reader.root_at(position).ok().flatten();
    let found = snapshots.latest(reader.head().size, FOLD_VERSION, root_at).map_err(failed)?;
    let resumed = found.and_then(|found| {
        let fold = snapshot::decode(&found.payload).ok()?;
        let whole = fold.state.position == found.position && state_hash(&fold.state) == found.state_hash;
        if !whole {
            tracing::warn!(
                position = found.position,
                "a snapshot is not the state it names and is passed over"
            );
        }
        whole.then_some(fold)
    });
    fold_rest(reader, resumed.unwrap_or_default(), id)
}

/// Folds what follows a state.
pub fn fold_rest(reader: &LogReader, mut fold: Fold, id: LogId) -> Result<Fold, ServerError> {
    for commit in reader.iter(fold.state.position + 1) {
        let commit = commit.map_err(|source| ServerError::Log { id, source })?;
        for (position, entry) in (commit.first..).zip(&commit.entries) {
            fold.absorb(&entry.leaf).map_err(|source| ServerError::Record { position, source })?;
        }
    }
    Ok(fold)
}

/// What `check` tells.
#[derive(Clone, Debug)]
pub struct Checked {
    pub office: uuid::Uuid,
    pub office_name: String,
    pub position: u64,
    pub root: [u8; 32],
    pub epoch: u32,
    pub state_hash: [u8; 32],
    pub live_entries: u64,
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
        for commit in commits.by_ref() {
            let commit = commit.map_err(failed)?;
            for (position, entry) in (commit.first..).zip(&commit.entries) {
                fold.absorb(&entry.leaf).map_err(|source| ServerError::Record { position, source })?;
            }
        }
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
        position,
        root: reader.root_at(position).map_err(failed)?.unwrap_or(verified.root),
        epoch: reader.head().epoch,
        state_hash: state_hash(&fold.state),
        live_entries: fold.state.entries.len() as u64,
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
