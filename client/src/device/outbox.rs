//! The device's feed: every command it ever made, in its own order, durable before anything is said of it. The position
//! in the feed is the device's sequence.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use renaksi_ledger::{Commit, Entry, Error, Found, Log, LogId, LogKind, salvage};
use renaksi_proto::agreed::{ASIDE_BYTES_MAX, COMMAND_BYTES_MAX};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::Leaf;
use renaksi_proto::wire;

use super::home::{Home, Identity, causes};
use crate::error::{ClientError, Rejected};

/// How long another process may hold the device before we give up.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(10);
const BUSY_POLL: Duration = Duration::from_millis(50);

/// What a command costs on the wire beside its bytes.
const COMMAND_OVERHEAD_BYTES: usize = 12;

/// How much one push carries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) commands: usize,
}

impl Limits {
    pub(super) const MAX: Limits = Limits { bytes: 2 << 20, commands: 5_000 };
    const BYTES_MIN: usize = 16 << 10;

    /// After a cut: what did not get through in one piece goes in smaller ones.
    pub(super) fn smaller(self) -> Option<Limits> {
        (self.bytes > Self::BYTES_MIN)
            .then(|| Limits { bytes: (self.bytes / 4).max(Self::BYTES_MIN), ..self })
    }

    /// After a batch got through.
    pub(super) fn larger(self) -> Limits {
        Limits { bytes: (self.bytes * 2).min(Self::MAX.bytes), ..self }
    }
}

/// A run of commands for one push.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) first: u32,
    pub(super) previous: ChainHash,
    pub(super) commands: Vec<wire::Stored>,
    /// The chain after the last command.
    pub(super) chain: ChainHash,
}

impl Batch {
    pub(super) fn last(&self) -> u32 {
        self.first + u32::try_from(self.commands.len()).unwrap_or(u32::MAX) - 1
    }

    pub(super) fn bytes(&self) -> usize {
        self.commands.iter().map(|stored| stored.leaf.len() + stored.aside.len()).sum()
    }
}

/// The feed, held exclusively: whoever has it open is the device.
///
/// A damaged feed takes no more commands. Those before the damage are read all the same, and sent; nothing of it is cut.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Taken only when it is dropped. A feed that is damaged at its end does not open.
    log: Option<Log>,
    damage: Option<Damage>,
    appended: bool,
    /// What opening took off the feed's end: bytes that were never acknowledged, or that the disk changed since.
    cut: Option<PathBuf>,
}

/// What is wrong with the feed, and what stands before it.
#[derive(Debug)]
struct Damage {
    cause: Rejected,
    readable: Arc<Vec<Commit>>,
}

impl Drop for Outbox {
    /// Writes how far the feed reaches, so that damage to its last command is seen as damage, not taken for a write that
    /// was interrupted. If we crash before this: the commands are durable all the same.
    fn drop(&mut self) {
        if let (true, Some(log)) = (self.appended, self.log.take())
            && let Err(error) = log.close()
        {
            tracing::warn!(error = causes(&error), "the feed was not closed");
        }
    }
}

impl Outbox {
    /// Makes the feed of a device that is being enrolled, or takes the empty one of an enrolment that was interrupted.
    pub(super) fn create(home: &Home, identity: &Identity) -> Result<Outbox, ClientError> {
        let (log, _) =
            Log::open_or_create(&home.feed(), id(identity), identity.epoch).map_err(|e| feed_error(&e))?;
        Ok(Outbox { log: Some(log), damage: None, appended: false, cut: None })
    }

    fn log(&self) -> &Log {
        self.log
            .as_ref()
            .expect("BUG: a feed that did not open is damaged, and else it is taken only when dropped")
    }

    /// What is wrong with the feed: its file, offset and the first sequence that cannot be read.
    pub(super) fn damage(&self) -> Option<&Rejected> {
        self.damage.as_ref().map(|damage| &damage.cause)
    }

    /// Goes on with what stands before the damage that reading came upon.
    pub(super) fn read_up_to_damage(
        &mut self,
        home: &Home,
        identity: &Identity,
        cause: Rejected,
    ) -> Result<(), ClientError> {
        let readable = Arc::new(before_damage(home, identity)?);
        self.damage = Some(Damage { cause, readable });
        Ok(())
    }

    /// Opens the feed, waiting for a process that has it.
    pub(super) fn open(home: &Home, identity: &Identity, wait: Duration) -> Result<Outbox, ClientError> {
        let started = Instant::now();
        let mut told = false;
        loop {
            match Log::open(&home.feed(), id(identity)) {
                Ok((log, opened)) => {
                    if let Some(cut) = &opened.cut {
                        let file = cut.file.display();
                        tracing::warn!(%file, bytes = cut.bytes, "an unfinished command was taken out of the feed");
                    }
                    let cut = opened.cut.map(|cut| cut.file);
                    return Ok(Outbox { log: Some(log), damage: None, appended: false, cut });
                }
                Err(Error::Locked { .. }) if started.elapsed() < wait => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::info!(folder = %home.dir().display(), "waiting for another process with this device");
                    }
                    std::thread::sleep(BUSY_POLL);
                }
                Err(error) => match feed_error(&error) {
                    ClientError::Integrity(cause) => {
                        tracing::warn!(%cause, "the feed is damaged; what stands before the damage is used");
                        let mut outbox = Outbox { log: None, damage: None, appended: false, cut: None };
                        outbox.read_up_to_damage(home, identity, cause)?;
                        return Ok(outbox);
                    }
                    error => return Err(error),
                },
            }
        }
    }

    /// Where an unfinished end of the feed was set aside by this opening.
    pub(super) fn cut(&self) -> Option<&Path> {
        self.cut.as_deref()
    }

    /// The last sequence that can be read; 0 before the first command.
    pub(super) fn last(&self) -> u32 {
        let size = match &self.damage {
            Some(damage) => damage.readable.last().map_or(0, |commit| commit.size_after),
            None => self.log().head().size,
        };
        u32::try_from(size).unwrap_or(u32::MAX)
    }

    /// The runs of commands from the one that holds a sequence on.
    fn commits(&self, from: u32) -> Box<dyn Iterator<Item = Result<Commit, ClientError>>> {
        let from = u64::from(from);
        match &self.damage {
            Some(damage) => {
                let readable = Arc::clone(&damage.readable);
                let first = readable.partition_point(|commit| commit.size_after < from);
                Box::new((first..readable.len()).map(move |index| Ok(readable[index].clone())))
            }
            None => Box::new(self.log().reader().iter(from).map(|c| c.map_err(|error| feed_error(&error)))),
        }
    }

    /// Appends commands as one run: all or none, durable when this returns. Answers the first one's sequence.
    pub(super) fn append(&mut self, leaves: &[Leaf]) -> Result<u32, ClientError> {
        if let Some(damage) = &self.damage {
            return Err(ClientError::Integrity(damage.cause.clone()));
        }
        let first = self.last() + 1;
        let entry = |leaf: &Leaf| Entry { leaf: leaf.leaf.clone(), aside: leaf.aside.clone() };
        let entries: Vec<Entry> = leaves.iter().map(entry).collect();
        let log = self.log.as_mut().expect("BUG: the feed is taken only when it is dropped");
        log.append(&entries).map_err(|error| feed_error(&error))?;
        self.appended = true;
        Ok(first)
    }

    /// The commands from a sequence on, one at a time.
    pub(super) fn commands(
        &self,
        from: u32,
    ) -> impl Iterator<Item = Result<(u32, Entry), ClientError>> + use<> {
        let from = from.max(1);
        self.commits(from).flat_map(move |commit| {
            let (first, entries, error) = match commit {
                Ok(commit) => (commit.first, commit.entries, None),
                Err(error) => (0, Vec::new(), Some(Err(error))),
            };
            let first = u32::try_from(first).unwrap_or(u32::MAX);
            let numbered = (first..=u32::MAX).zip(entries).filter(move |(sequence, _)| *sequence >= from);
            numbered.map(Ok).chain(error)
        })
    }

    /// The next push, from a sequence on, up to and with `last`. What was queued at once stays together as long as it
    /// fits into one push.
    pub(super) fn batch(
        &self,
        from: u32,
        last: u32,
        previous: ChainHash,
        limits: Limits,
    ) -> Result<Batch, ClientError> {
        let mut batch = Batch { first: from, previous, commands: Vec::new(), chain: previous };
        let mut bytes = 0;
        let size = |entry: &Entry| entry.leaf.len() + entry.aside.len() + COMMAND_OVERHEAD_BYTES;
        for commit in self.commits(from) {
            let commit = commit?;
            if commit.first > u64::from(last) {
                break;
            }
            let skip = usize::try_from(u64::from(from).saturating_sub(commit.first)).unwrap_or(usize::MAX);
            let run: Vec<Entry> = commit.entries.into_iter().skip(skip).collect();
            let run_bytes: usize = run.iter().map(size).sum();
            let run_fits =
                bytes + run_bytes <= limits.bytes && batch.commands.len() + run.len() <= limits.commands;
            if !batch.commands.is_empty() && !run_fits {
                break;
            }
            for entry in run {
                let fits = bytes + size(&entry) <= limits.bytes && batch.commands.len() < limits.commands;
                if !batch.commands.is_empty() && !fits {
                    return Ok(batch);
                }
                bytes += size(&entry);
                batch.chain = chain::link(&batch.chain, &entry.leaf);
                batch.commands.push(wire::Stored { leaf: entry.leaf, aside: entry.aside });
            }
        }
        Ok(batch)
    }

    /// The chain before a sequence, from the chain before an earlier one.
    pub(super) fn chain_before(
        &self,
        sequence: u32,
        from: u32,
        previous: ChainHash,
    ) -> Result<ChainHash, ClientError> {
        let mut chain = previous;
        for command in self.commands(from) {
            let (at, entry) = command?;
            if at >= sequence {
                break;
            }
            chain = chain::link(&chain, &entry.leaf);
        }
        Ok(chain)
    }
}

/// Refuses what the server could not take, before it is queued.
pub(super) fn check_size(leaf: &Leaf) -> Result<(), ClientError> {
    let too_large = |what: &str, bytes: usize, limit: usize| {
        let cause = Rejected::new("COMMAND_TOO_LARGE").with("what", what);
        Err(ClientError::NotAdmitted(cause.with("bytes", bytes).with("bytes_max", limit)))
    };
    if leaf.leaf.len() > COMMAND_BYTES_MAX {
        return too_large("command", leaf.leaf.len(), COMMAND_BYTES_MAX);
    }
    if leaf.aside.len() > ASIDE_BYTES_MAX {
        return too_large("texts", leaf.aside.len(), ASIDE_BYTES_MAX);
    }
    Ok(())
}

/// The whole commits of a damaged feed, from its first command to the first that cannot be read.
fn before_damage(home: &Home, identity: &Identity) -> Result<Vec<Commit>, ClientError> {
    let (mut readable, mut damaged) = (Vec::<Commit>::new(), false);
    let found = salvage(&home.feed(), &id(identity), |found| match found {
        Found::Commit(commit) if !damaged => {
            let next = readable.last().map_or(1, |commit| commit.size_after + 1);
            damaged = commit.first != next;
            readable.extend((!damaged).then_some(commit));
        }
        Found::Commit(_) | Found::Damage { .. } => damaged = true,
    });
    match found {
        Ok(()) => Ok(readable),
        Err(error) => match feed_error(&error) {
            // There is no feed, or another device's.
            ClientError::Integrity(_) => Ok(Vec::new()),
            error => Err(error),
        },
    }
}

fn id(identity: &Identity) -> LogId {
    LogId { office: identity.office, kind: LogKind::Feed }
}

fn feed_error(error: &Error) -> ClientError {
    match error {
        Error::UnknownFormat { file, found } => {
            let cause = Rejected::new("OUTBOX_NEWER").with("file", file.display()).with("format", found);
            ClientError::Failed(cause)
        }
        error => log_error(error, "FEED_DAMAGED"),
    }
}

/// A log's error with the client's codes; `damaged` names whose damage it is.
pub(super) fn log_error(error: &Error, damaged: &str) -> ClientError {
    let cause = match error {
        Error::Locked { dir } => {
            let folder: PathBuf = dir.parent().map_or_else(|| dir.clone(), Into::into);
            return ClientError::Failed(Rejected::new("DEVICE_BUSY").with("folder", folder.display()));
        }
        Error::Damaged { file, offset, position, cause } => Rejected::new(damaged)
            .with("file", file.display())
            .with("position", position)
            .with("offset", offset)
            .with("cause", cause),
        Error::ShorterThanHead { file, size, head_size } => Rejected::new(damaged)
            .with("file", file.display())
            .with("position", size + 1)
            .with("expected", head_size),
        Error::NotFound { dir } => Rejected::new(damaged).with("file", dir.display()).with("position", 1),
        Error::MissingSegment { dir, position } => {
            Rejected::new(damaged).with("file", dir.display()).with("position", position)
        }
        Error::RootMismatch { dir, first, last } => {
            Rejected::new(damaged).with("file", dir.display()).with("position", first).with("last", last)
        }
        Error::Foreign { file, .. } | Error::UnknownFormat { file, .. } => {
            Rejected::new(damaged).with("file", file.display()).with("cause", error)
        }
        Error::Io { path, .. } | Error::Stopped { dir: path, .. } => {
            let cause = Rejected::new("IO_FAILED").with("path", path.display());
            return ClientError::Failed(cause.with("cause", causes(error)));
        }
        other => return ClientError::Failed(Rejected::new("FAILED").with("cause", causes(other))),
    };
    ClientError::Integrity(cause)
}
