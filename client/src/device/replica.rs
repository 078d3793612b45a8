//! The device's copy of the office's log, and the state that it folds to.

use std::mem;

use prost::Message;
use renaksi_domain::ids::Origin;
use renaksi_domain::{Record, State};
use renaksi_ledger::merkle::{Frontier, leaf_hash};
use renaksi_ledger::{CommitView, Entry, Error, Head, Log, LogId, LogKind, LogReader, Opened};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::DecodeError;
use renaksi_proto::fold::Fold;
use renaksi_proto::{log, wire};

use super::epoch::begun_by;
use super::home::{Home, Identity};
use super::outbox::log_error;
use super::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};

/// Is shown each record with the state after it, its stored form and what lies beside it.
pub type OnState<'a> = dyn FnMut(&State, &Record, &log::Record, &[u8]) + 'a;

/// Where the fold of the replica ended before the replica did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldStopped {
    /// The record that could not be folded. It and what follows is kept, and counts nowhere on this device.
    pub position: u64,
    /// A newer release wrote it; this one has to be updated.
    pub newer: bool,
    /// Why, in words.
    pub cause: String,
}

/// How far the office's log has this device's commands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) sequence: u32,
    /// The chain after that command.
    pub(super) chain: ChainHash,
}

/// The replica and what is kept beside the folded state.
#[derive(Debug)]
pub(super) struct Replica {
    log: Log,
    origin: Origin,
    /// The chain heads of the fold; the state itself lives in the view.
    chains: Vec<ChainHash>,
    known: Known,
    /// Made when the first page comes; a sync that brings nothing never hashes.
    frontier: Option<Frontier>,
    pub(super) stopped: Option<FoldStopped>,
}

impl Replica {
    /// Makes the replica of a device that is being enrolled.
    pub(super) fn create(home: &Home, identity: &Identity) -> Result<Log, ClientError> {
        let opened = Log::open_or_create(&home.replica(), id(identity), identity.epoch);
        opened.map(|(log, _)| log).map_err(|error| replica_error(&error))
    }

    /// Opens the replica and folds it. A replica that cannot be read is set aside whole and pulled again; what was wrong
    /// is then the third part of the answer.
    pub(super) fn open(
        home: &Home,
        identity: &Identity,
    ) -> Result<(Replica, State, Option<Rejected>), ClientError> {
        match Replica::load(home, identity) {
            Ok((replica, state)) => Ok((replica, state, None)),
            Err(error @ (Error::Io { .. } | Error::Locked { .. } | Error::Stopped { .. })) => {
                Err(replica_error(&error))
            }
            Err(error) => {
                let mut damage = replica_error(&error).cause().clone();
                if home.replica().exists() {
                    let aside = home.set_aside(&home.replica())?;
                    damage = damage.with("set_aside", aside.display());
                }
                tracing::warn!(%damage, "the replica cannot be read; the next sync pulls it again");
                let log = Replica::create(home, identity)?;
                Ok((Replica::empty(log, identity), State::default(), Some(damage)))
            }
        }
    }

    fn empty(log: Log, identity: &Identity) -> Replica {
        let known = Known { sequence: 0, chain: chain::start(identity.incarnation) };
        Replica { log, origin: identity.origin, chains: Vec::new(), known, frontier: None, stopped: None }
    }

    fn load(home: &Home, identity: &Identity) -> Result<(Replica, State), Error> {
        let (log, opened) = Log::open(&home.replica(), id(identity))?;
        report(&opened);
        let mut replica = Replica::empty(log, identity);
        let mut fold = Fold::default();
        let mut commits = replica.log.reader().iter(1);
        let mut absorb = |commit: CommitView<'_>| {
            let leaves = (commit.first()..).zip(commit.leaves());
            leaves.for_each(|(position, leaf)| replica.absorb(&mut fold, position, leaf));
        };
        while commits.see(&mut absorb)?.is_some() {}
        let state = replica.keep(fold);
        Ok((replica, state))
    }

    /// Folds one leaf, or past the point where the fold stopped only notes how far the device's own commands are.
    fn absorb(&mut self, fold: &mut Fold, position: u64, leaf: &[u8]) {
        if self.stopped.is_none() {
            let Err(error) = fold.absorb(leaf) else { return };
            tracing::warn!(position, %error, "the log cannot be folded from here on");
            let newer = matches!(error, DecodeError::Newer);
            self.note_known(fold);
            self.stopped = Some(FoldStopped { position, newer, cause: error.to_string() });
        }
        if let Some(record) = log::Record::decode(leaf).ok().filter(|record| record.origin == self.origin.0) {
            let chain = chain::link(&self.known.chain, &record.command);
            self.known = Known { sequence: record.sequence, chain };
        }
    }

    fn note_known(&mut self, fold: &Fold) {
        if let (Some(incarnation), Some(chain)) =
            (fold.state.people.incarnation(self.origin), fold.chain(self.origin))
        {
            self.known = Known { sequence: incarnation.last_sequence, chain: *chain };
        }
    }

    /// Takes a fold apart: the chains stay here, the state goes to the view.
    fn keep(&mut self, fold: Fold) -> State {
        if self.stopped.is_none() {
            self.note_known(&fold);
        }
        self.chains = fold.chains().to_vec();
        fold.state
    }

    pub(super) fn known(&self) -> Known {
        self.known
    }

    pub(super) fn head(&self) -> Head {
        self.log.head()
    }

    pub(super) fn reader(&self) -> LogReader {
        self.log.reader()
    }

    /// Appends one commit of the office's log, if it continues this one and hashes to the root it came with. Durable,
    /// and folded into `state`, when this returns.
    ///
    /// If we crash before the append: the cursor still says the old head, and the commit comes again.
    pub(super) fn append(&mut self, page: wire::CommitPage, state: &mut State) -> Result<(), ClientError> {
        let head = self.log.head();
        let first = page.first;
        if first != head.size + 1 || page.records.is_empty() {
            return Err(diverged(first, "the commit does not continue the replica"));
        }
        let mut frontier = match self.frontier.take() {
            Some(frontier) => frontier,
            None => self.hashed()?,
        };
        page.records.iter().for_each(|record| frontier.append(leaf_hash(&record.leaf)));
        if frontier.root().as_slice() != page.root_after {
            return Err(diverged(first, "the records do not hash to the root that was sent with them"));
        }
        let entry = |record: wire::Stored| Entry { leaf: record.leaf, aside: record.aside };
        let entries: Vec<Entry> = page.records.into_iter().map(entry).collect();
        if let Some(epoch) = begun_by(&entries[0].leaf).filter(|epoch| *epoch > head.epoch) {
            // If we crash after this: the epoch is there without a record, and its first one comes again.
            self.log.begin_epoch(epoch).map_err(|error| replica_error(&error))?;
        }
        self.log.append(&entries).map_err(|error| replica_error(&error))?;
        self.frontier = Some(frontier);
        let mut fold = Fold::resume(mem::take(state), mem::take(&mut self.chains));
        for (position, entry) in (first..).zip(&entries) {
            self.absorb(&mut fold, position, &entry.leaf);
        }
        *state = self.keep(fold);
        Ok(())
    }

    /// The tree over what is there.
    fn hashed(&self) -> Result<Frontier, ClientError> {
        let mut frontier = Frontier::default();
        let mut commits = self.log.reader().iter(1);
        let mut hash =
            |commit: CommitView<'_>| commit.leaves().for_each(|leaf| frontier.append(leaf_hash(leaf)));
        while commits.see(&mut hash).map_err(|error| replica_error(&error))?.is_some() {}
        match frontier.root() == self.log.head().root {
            true => Ok(frontier),
            false => Err(diverged(frontier.size(), "the replica does not hash to its own head")),
        }
    }
}

impl Device {
    /// Reads the replica of the office's log.
    pub fn replica(&self) -> LogReader {
        self.replica.reader()
    }

    /// The last record up to a point; 0 when the point lies before the first.
    ///
    /// # Errors
    /// NotUnderstood `POSITION_UNKNOWN` past the head; Integrity `RECORD_UNREADABLE` or `REPLICA_DAMAGED`.
    pub fn position_of(&self, point: ReplayTo) -> Result<u64, ClientError> {
        let head = self.replica.head().size;
        let until = match point {
            ReplayTo::Head => return Ok(head),
            ReplayTo::Position(position) if position > head => {
                let cause = Rejected::new("POSITION_UNKNOWN").with("position", position).with("last", head);
                return Err(ClientError::NotUnderstood(cause));
            }
            ReplayTo::Position(position) => return Ok(position),
            ReplayTo::Time(time) if self.replica.stopped.is_none() && time >= self.view.confirmed.time => {
                return Ok(head);
            }
            ReplayTo::Time(time) => time,
        };
        for commit in self.replica.reader().iter(1) {
            let commit = commit.map_err(|error| replica_error(&error))?;
            for (position, entry) in (commit.first..).zip(&commit.entries) {
                let record = log::Record::decode(&*entry.leaf).map_err(|source| {
                    unreadable(position, &DecodeError::Malformed { message: "Record", source })
                })?;
                if record.time_us > until.0 {
                    return Ok(position - 1);
                }
            }
        }
        Ok(head)
    }

    /// Folds the replica again from its first record, showing each record as it is folded.
    ///
    /// # Errors
    /// NotUnderstood `POSITION_UNKNOWN` past the head; Integrity `RECORD_UNREADABLE` or `REPLICA_DAMAGED`.
    pub fn replay(
        &self,
        to: ReplayTo,
        on_record: &mut dyn FnMut(&Record, &log::Record, &[u8]),
    ) -> Result<Fold, ClientError> {
        self.replay_states(to, &mut |_, record, stored, aside| on_record(record, stored, aside))
    }

    /// The same, showing with each record the state after it.
    ///
    /// # Errors
    /// As [`Device::replay`].
    pub fn replay_states(&self, to: ReplayTo, on_record: &mut OnState<'_>) -> Result<Fold, ClientError> {
        let last = self.position_of(to)?;
        let mut fold = Fold::default();
        if last == 0 {
            return Ok(fold);
        }
        for commit in self.replica.reader().iter(1) {
            let commit = commit.map_err(|error| replica_error(&error))?;
            for (position, entry) in (commit.first..).zip(&commit.entries) {
                if position > last {
                    return Ok(fold);
                }
                let (record, stored) =
                    fold.absorb(&entry.leaf).map_err(|error| unreadable(position, &error))?;
                on_record(&fold.state, &record, &stored, &entry.aside);
            }
        }
        Ok(fold)
    }
}

pub(super) fn id(identity: &Identity) -> LogId {
    LogId { office: identity.office, kind: LogKind::Replica }
}

fn report(opened: &Opened) {
    if let Some(cut) = &opened.cut {
        tracing::warn!(file = %cut.file.display(), bytes = cut.bytes, "an unfinished commit was taken out of the replica");
    }
}

pub(super) fn replica_error(error: &Error) -> ClientError {
    log_error(error, "REPLICA_DAMAGED")
}

pub(super) fn unreadable(position: u64, error: &DecodeError) -> ClientError {
    let cause = Rejected::new("RECORD_UNREADABLE").with("position", position).with("cause", error);
    ClientError::Integrity(cause)
}

pub(super) fn diverged(position: u64, cause: &str) -> ClientError {
    ClientError::Integrity(Rejected::new("REPLICA_DIVERGED").with("position", position).with("cause", cause))
}
