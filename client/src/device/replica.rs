//! The device's copy of the office's log, and the state that it folds to.

use std::mem;

use prost::Message;
use renaksi_domain::ids::Origin;
use renaksi_domain::time::Timestamp;
use renaksi_domain::{Record, State};
use renaksi_ledger::merkle::{Frontier, Hash, leaf_hash};
use renaksi_ledger::{CommitView, Entry, Error, Head, Log, LogId, LogKind, LogReader, Opened};
use renaksi_proto::chain::{self, ChainHash};
use renaksi_proto::convert::DecodeError;
use renaksi_proto::fold::Fold;
use renaksi_proto::{log, wire};

use super::epoch::begun_by;
use super::home::{Home, Identity};
use super::outbox::log_error;
use super::snapshots::Kept;
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
    kept: Kept,
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
                let kept =
                    Kept::open(&home.replica(), id(identity)).map_err(|error| replica_error(&error))?;
                Ok((Replica::empty(log, kept, identity), State::default(), Some(damage)))
            }
        }
    }

    fn empty(log: Log, kept: Kept, identity: &Identity) -> Replica {
        let known = Known { sequence: 0, chain: chain::start(identity.incarnation) };
        let origin = identity.origin;
        Replica { log, origin, chains: Vec::new(), known, frontier: None, kept, stopped: None }
    }

    fn load(home: &Home, identity: &Identity) -> Result<(Replica, State), Error> {
        let (log, opened) = Log::open(&home.replica(), id(identity))?;
        report(&opened);
        let mut kept = Kept::open(&home.replica(), id(identity))?;
        let mut fold = kept.newest(&log.reader())?;
        let mut replica = Replica::empty(log, kept, identity);
        let mut commits = replica.log.reader().iter(fold.state.position + 1);
        let mut absorb = |commit: CommitView<'_>| {
            let leaves = (commit.first()..).zip(commit.leaves());
            leaves.for_each(|(position, leaf)| replica.absorb(&mut fold, position, leaf));
            replica.after_commit(&fold.state, commit.root_after());
        };
        while commits.see(&mut absorb)?.is_some() {}
        let mut state = replica.keep(fold);
        replica.after_fold(&mut state);
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

    fn after_commit(&mut self, state: &State, root: Hash) {
        if self.stopped.is_none() {
            self.kept.after_commit(state, root);
        }
    }

    /// Keeps the state that the replica folds to, if it is time.
    pub(super) fn after_fold(&mut self, state: &mut State) {
        if self.stopped.is_none() {
            let fold = Fold::resume(mem::take(state), mem::take(&mut self.chains));
            self.kept.after_fold(&fold, self.log.head().root);
            *state = self.keep(fold);
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
        self.after_commit(&fold.state, self.log.head().root);
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
    /// NotUnderstood `POSITION_UNKNOWN` past the head; Integrity `REPLICA_DAMAGED`.
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
        last_until(&self.replica.reader(), head, until).map_err(|error| replica_error(&error))
    }

    /// The first record of a time or after it; one past the head when there is none yet.
    ///
    /// # Errors
    /// Integrity `REPLICA_DAMAGED`.
    pub fn first_at(&self, time: Timestamp) -> Result<u64, ClientError> {
        let before = ReplayTo::Time(time.plus_micros(-1));
        Ok(self.position_of(before)? + 1)
    }

    /// The office as it was known at a record of the replica, for its figures alone: without entries and held work.
    ///
    /// # Errors
    /// As [`Device::replay`].
    pub fn figures_at(&self, position: u64) -> Result<State, ClientError> {
        self.replica.kept.figures_at(&self.replica.reader(), self.position_of(ReplayTo::Position(position))?)
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

/// The last of the first `head` records whose time is not after `until`. Time never runs backwards within a log, so a few
/// records tell.
fn last_until(reader: &LogReader, head: u64, until: Timestamp) -> Result<u64, Error> {
    let (mut low, mut high) = (0, head);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match is_after(reader, low, middle, until)? {
            Some(position) => high = position - 1,
            None => low = middle,
        }
    }
    Ok(low)
}

/// Whether the time at `middle` is after `until`; then with a position of that time. What no release can read has the time
/// of the record before it, as far as `low`.
fn is_after(reader: &LogReader, low: u64, middle: u64, until: Timestamp) -> Result<Option<u64>, Error> {
    for position in (low + 1..=middle).rev() {
        let Some(entry) = reader.record(position)? else { continue };
        if let Ok(record) = log::Record::decode(&*entry.leaf) {
            return Ok((record.time_us > until.0).then_some(position));
        }
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    /// Times that stand still and jump, with leaves in between that no release can read.
    #[test]
    fn the_last_record_until_a_time_is_the_one_that_a_scan_finds() {
        let id = LogId { office: Uuid::from_u128(1), kind: LogKind::Replica };
        for seed in 0..8u64 {
            let dir = tempfile::tempdir().unwrap();
            let mut log = Log::create(dir.path(), id, 1).unwrap();
            let (mut time, mut times) = (100, Vec::new());
            let draw = |n: u64| (n * 7 + seed * 13) * 2_654_435_761 % 1_000 / 10;
            for n in 0..60 {
                time += [0, 0, 1, 7][draw(n) as usize % 4];
                let unreadable = draw(n) % 11 < 3;
                times.push(if unreadable { None } else { Some(time) });
                let record = log::Record { time_us: time, ..Default::default() };
                let leaf = if unreadable { vec![0xFF; 3] } else { record.encode_to_vec() };
                log.append(&[Entry { leaf, aside: Vec::new() }]).unwrap();
            }
            for until in 95..time + 3 {
                // What cannot be read has the time of the record before it.
                let first_after = times.iter().position(|time| time.is_some_and(|time| time > until));
                let found = last_until(&log.reader(), 60, Timestamp(until)).unwrap();
                assert_eq!(found, first_after.map_or(60, |at| at as u64), "{seed}: {until}");
            }
        }
    }
}
