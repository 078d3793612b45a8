//! What is quick to find: which record holds a device's command. Written behind the acknowledgement, rebuilt from the log
//! when it is behind, damaged or of another history.

use std::collections::BTreeMap;
use std::mem;
use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_domain::ids::{CommandKey, Origin, Position};
use renaksi_ledger::{
    CommitView, Head, Index, IndexBatch, IndexError, LogId, LogReader, put_varint, take_varint,
};
use renaksi_proto::log;

use crate::unindexed::{Learned, Work};

/// By (origin, first sequence): runs of consecutive commands, one after the other; where each begins and how many there
/// are. A list goes on where it ended, so that devices that push one command at a time do not make a row each.
const RUNS: u8 = 1;
/// The table and the row that say how the others are written.
const ABOUT: u8 = 0;
const FORMAT_KEY: &[u8] = b"runs";
const FORMAT: &[u8] = &[2];
/// Runs of one row.
const ROW_RUNS: usize = 64;
/// Runs that are read from the log before they are written.
const REBUILD_RUNS: usize = 20_000;
/// Records of the log after which bringing the index up to it says how far it is.
const TELL_EVERY_RECORDS: u64 = 500_000;

/// Commands of one origin with consecutive sequences at consecutive positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub origin: Origin,
    pub first_sequence: u32,
    pub first_position: Position,
    pub length: u32,
}

impl Run {
    /// True when the command is one of the run.
    pub fn holds(&self, key: CommandKey) -> bool {
        let offset = key.sequence.checked_sub(self.first_sequence);
        self.origin == key.origin && offset.is_some_and(|offset| offset < self.length)
    }

    /// Adds a later run to some, as one with the last where it continues it.
    pub fn add_to(self, runs: &mut Vec<Run>) {
        match runs.last_mut() {
            Some(last) if last.is_continued_by(&self) => last.length += self.length,
            _ => runs.push(self),
        }
    }

    fn is_continued_by(&self, run: &Run) -> bool {
        self.is_followed_by(run) && self.end_position() == run.first_position
    }

    /// True when it has the origin's next sequences.
    fn is_followed_by(&self, run: &Run) -> bool {
        self.origin == run.origin && self.end_sequence() == run.first_sequence
    }

    fn end_sequence(&self) -> u32 {
        self.first_sequence + self.length
    }

    fn end_position(&self) -> Position {
        self.first_position + u64::from(self.length)
    }
}

/// The index of an office, with what it takes to mend it. Whatever it does not know can be found in the log.
///
/// It is opened when somebody first asks it: most offices of a server are never asked, and sled takes more memory than
/// all the rest of a small one.
#[derive(Debug)]
pub struct OfficeIndex {
    dir: PathBuf,
    reader: LogReader,
    id: LogId,
    /// None while nobody asked, or while not even an empty one could be made.
    index: Option<Index>,
    /// A write failed: what the index covers has an end before the log's, and must not be moved past the hole.
    broken: bool,
}

impl OfficeIndex {
    /// The index in `dir`; nothing is opened yet.
    pub fn at(dir: PathBuf, id: LogId, reader: LogReader) -> OfficeIndex {
        OfficeIndex { dir, reader, id, index: None, broken: false }
    }

    /// Learns what became durable, and is at the log's head where somebody asks. What did not fit into the queue, or failed
    /// to be written before, is read from the log, so that nothing in between is missing.
    pub fn learn(&mut self, work: &Work) -> Result<(), IndexError> {
        if work.rebuild {
            return self.rebuild();
        }
        let must_reach = match (work.questions.is_empty(), work.skipped, work.learned.head) {
            (true, false, Some(head)) => head.size,
            (true, false, None) => return Ok(()),
            _ => self.reader.head().size,
        };
        let learned = self.write(&work.learned).and_then(|()| match self.covers() < must_reach {
            true => self.mend(),
            false => Ok(()),
        });
        self.broken = learned.is_err();
        learned
    }

    /// How far it reaches; 0 while it is not open.
    pub fn covers(&self) -> Position {
        self.index.as_ref().and_then(|index| index.covered().ok()).unwrap_or(0)
    }

    /// Writes what was learned, where the index ends exactly before it.
    fn write(&mut self, learned: &Learned) -> Result<(), IndexError> {
        let (Some(index), Some(head), false) = (&self.index, learned.head, self.broken) else {
            return Ok(());
        };
        match index.covered()? == learned.after {
            true => write_runs(index, &learned.runs, head),
            false => Ok(()),
        }
    }

    /// Builds the index anew from the first record: it did not know what the log has.
    pub fn rebuild(&mut self) -> Result<(), IndexError> {
        let rebuilt = match self.index.take() {
            Some(index) => index.clear(),
            None => open(&self.dir, &self.id),
        };
        // If we stop here: what was cleared says that it covers nothing, and the next start brings it up.
        let rebuilt = rebuilt.and_then(|index| catch_up(index, &self.reader));
        self.broken = rebuilt.is_err();
        self.index = Some(rebuilt?);
        Ok(())
    }

    /// Where a command is, if the index has it. An index that does not answer has nothing: the log has it all.
    pub fn position_of(&self, wanted: CommandKey) -> Option<Position> {
        let found = position_of(self.index.as_ref()?, wanted);
        found.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the index does not answer");
            None
        })
    }

    /// Brings the index up to the log's head from where it stands; anew where it is damaged. Opens it the first time.
    fn mend(&mut self) -> Result<(), IndexError> {
        let Some(index) = &self.index else {
            self.index = Some(open(&self.dir, &self.id).and_then(|index| catch_up(index, &self.reader))?);
            return Ok(());
        };
        match index.covered().and_then(|covered| read_from(index, &self.reader, covered + 1)) {
            Err(IndexError::Damaged { .. }) => self.rebuild(),
            brought_up => brought_up,
        }
    }
}

fn open(dir: &Path, id: &LogId) -> Result<Index, IndexError> {
    let (index, opened) = Index::open(dir, id)?;
    if let Some(aside) = &opened.set_aside {
        tracing::warn!(to = %aside.to.display(), cause = %aside.cause, "the index was set aside and is rebuilt");
    }
    Ok(index)
}

/// Adds a command to the runs of a commit.
pub fn push_run(runs: &mut Vec<Run>, key: CommandKey, position: Position) {
    let CommandKey { origin, sequence: first_sequence } = key;
    if origin != Origin::HOST {
        Run { origin, first_sequence, first_position: position, length: 1 }.add_to(runs);
    }
}

/// Makes the index cover the records up to `head`, whose runs follow what it covers.
fn write_runs(index: &Index, runs: &[Run], head: Head) -> Result<(), IndexError> {
    let mut by_origin: BTreeMap<Origin, Vec<Run>> = BTreeMap::new();
    for run in runs {
        by_origin.entry(run.origin).or_default().push(*run);
    }
    let mut batch = IndexBatch::new(head.size, head.root);
    batch.put(ABOUT, FORMAT_KEY, FORMAT);
    for (origin, runs) in by_origin {
        let mut row = last_row(index, origin)?;
        for run in runs {
            let goes_on = row.last().is_none_or(|last| last.is_followed_by(&run)) && row.len() < ROW_RUNS;
            if !goes_on {
                put_row(&mut batch, &row);
                row.clear();
            }
            run.add_to(&mut row);
        }
        put_row(&mut batch, &row);
    }
    index.write(batch)
}

/// The runs that an origin's next ones go on from.
fn last_row(index: &Index, origin: Origin) -> Result<Vec<Run>, IndexError> {
    let last = index.last_at_or_before(RUNS, &key(origin, u32::MAX))?;
    let row = last.and_then(|(key, value)| row_from(&key, &value)).unwrap_or_default();
    Ok(row.into_iter().filter(|run| run.origin == origin).collect())
}

/// Position of the first run, then its length; of each further one how far it lies behind the one before, and its length.
fn put_row(batch: &mut IndexBatch, row: &[Run]) {
    let Some(first) = row.first() else { return };
    let (mut value, mut end) = (Vec::new(), 0);
    for run in row {
        put_varint(&mut value, run.first_position - end);
        put_varint(&mut value, u64::from(run.length));
        end = run.end_position();
    }
    batch.put(RUNS, &key(first.origin, first.first_sequence), &value);
}

fn row_from(key: &[u8], mut value: &[u8]) -> Option<Vec<Run>> {
    let origin = Origin(u32::from_be_bytes(key.get(..4)?.try_into().ok()?));
    let mut first_sequence = u32::from_be_bytes(key.get(4..8)?.try_into().ok()?);
    let (mut row, mut end) = (Vec::new(), 0);
    while !value.is_empty() {
        let first_position = take_varint(&mut value)?.checked_add(end)?;
        let length = u32::try_from(take_varint(&mut value)?).ok()?;
        let run = Run { origin, first_sequence, first_position, length };
        end = first_position.checked_add(u64::from(length))?;
        first_sequence = first_sequence.checked_add(length)?;
        row.push(run);
    }
    Some(row)
}

fn key(origin: Origin, sequence: u32) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&origin.0.to_be_bytes());
    key[4..].copy_from_slice(&sequence.to_be_bytes());
    key
}

/// Where a command is, if the index has it.
fn position_of(index: &Index, wanted: CommandKey) -> Result<Option<Position>, IndexError> {
    let Some((found, value)) = index.last_at_or_before(RUNS, &key(wanted.origin, wanted.sequence))? else {
        return Ok(None);
    };
    let run = row_from(&found, &value).and_then(|row| row.into_iter().find(|run| run.holds(wanted)));
    Ok(run.map(|run| run.first_position + u64::from(wanted.sequence - run.first_sequence)))
}

/// Brings the index up to the log's head; from nothing where it is of another history.
fn catch_up(mut index: Index, reader: &LogReader) -> Result<Index, IndexError> {
    let covered = index.covered()?;
    let known = match covered {
        0 => true,
        _ => match reader.root_at(covered) {
            Ok(Some(root)) if index.get(ABOUT, FORMAT_KEY)?.as_deref() == Some(FORMAT) => {
                index.check(&root)?
            }
            _ => false,
        },
    };
    if !known {
        tracing::warn!(covered, "the index is of another history or release and is rebuilt");
        index = index.clear()?;
    }
    read_from(&index, reader, index.covered()? + 1)?;
    Ok(index)
}

/// Learns from the log what it holds from a position on.
fn read_from(index: &Index, reader: &LogReader, from: Position) -> Result<(), IndexError> {
    let to = reader.head().size;
    if to < from {
        return Ok(());
    }
    tracing::info!(from, to, "bringing the index up to the log");
    let (mut commits, mut runs, mut told) = (reader.iter(from), Vec::new(), from);
    let mut head = Head { size: from - 1, ..reader.head() };
    let mut read = |commit: CommitView<'_>| {
        for (position, leaf) in (commit.first()..).zip(commit.leaves()) {
            // A record this release cannot read has no device command that it could be asked for.
            if let Ok(record) = log::Record::decode(leaf) {
                push_run(&mut runs, CommandKey::new(Origin(record.origin), record.sequence), position);
            }
        }
        let (size, root) = (commit.size_after(), commit.root_after());
        head = Head { size, root, ..head };
        let full = if runs.len() >= REBUILD_RUNS { mem::take(&mut runs) } else { Vec::new() };
        (full, head)
    };
    while let Some((full, head)) = commits.see(&mut read).map_err(IndexError::Folder)? {
        if !full.is_empty() {
            write_runs(index, &full, head)?;
        }
        if head.size >= told + TELL_EVERY_RECORDS {
            told = head.size;
            tracing::info!(position = told, to, "the index is on its way");
        }
    }
    if index.covered()? < head.size {
        write_runs(index, &runs, head)?;
    }
    // A long way is not gone twice because the process was killed.
    index.flush()
}

#[cfg(test)]
mod tests {
    use renaksi_ledger::{Entry, Log};

    use super::*;

    fn id() -> LogId {
        crate::data::Data::log_id(uuid::Uuid::from_u128(1))
    }

    fn run(origin: u32, first_sequence: u32, first_position: u64, length: u32) -> Run {
        Run { origin: Origin(origin), first_sequence, first_position, length }
    }

    #[test]
    fn commands_are_found_through_their_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), &id()).unwrap();
        let mut runs = Vec::new();
        for (position, (origin, sequence)) in (10..).zip([(1, 1), (1, 2), (2, 1), (1, 3), (1, 4), (0, 0)]) {
            push_run(&mut runs, CommandKey::new(Origin(origin), sequence), position);
        }
        assert_eq!(runs, [run(1, 1, 10, 2), run(2, 1, 12, 1), run(1, 3, 13, 2)]);
        write_runs(&index, &runs, Head { size: 15, ..Head::empty(1) }).unwrap();
        // One row a device.
        assert_eq!(index.range(RUNS, &[]).count(), 2);
        let find = |origin, sequence| position_of(&index, CommandKey::new(Origin(origin), sequence)).unwrap();
        assert_eq!(find(1, 2), Some(11));
        assert_eq!(find(2, 1), Some(12));
        assert_eq!(find(1, 4), Some(14));
        assert_eq!(find(1, 5), None);
        assert_eq!(find(2, 2), None);
        assert_eq!(find(3, 1), None);
    }

    /// Two devices in turns, a command at a time, each batch a few; one of them once lets a sequence out.
    #[test]
    fn rows_go_on_where_they_ended_until_they_are_full() {
        let dir = tempfile::tempdir().unwrap();
        let (index, _) = Index::open(dir.path(), &id()).unwrap();
        let key_at = |position: u64| {
            let sequence = (position / 2) as u32 + if position > 600 { 2 } else { 1 };
            CommandKey::new(Origin(1 + (position % 2) as u32), sequence)
        };
        let positions: Vec<u64> = (1..=1_000).collect();
        for (batch, positions) in positions.chunks(3).enumerate() {
            let mut runs = Vec::new();
            positions.iter().for_each(|position| push_run(&mut runs, key_at(*position), *position));
            let size = *positions.last().unwrap();
            write_runs(&index, &runs, Head { size, ..Head::empty(1) }).unwrap();
            assert_eq!(index.covered().unwrap(), size, "batch {batch}");
        }
        for position in positions {
            assert_eq!(position_of(&index, key_at(position)).unwrap(), Some(position));
        }
        assert_eq!(position_of(&index, CommandKey::new(Origin(1), 302)).unwrap(), None);
        let rows = index.range(RUNS, &[]).count();
        assert!((1_000 / ROW_RUNS..=1_000 / ROW_RUNS + 4).contains(&rows), "{rows} rows");
    }

    /// A log of so many commits, each a command of device 1.
    fn log_of(dir: &Path, commits: u32) -> (Log, Vec<Head>) {
        let mut log = Log::create(&dir.join("log"), id(), 1).unwrap();
        let heads = (1..=commits).map(|sequence| log.append(&record(1, sequence)).unwrap()).collect();
        (log, heads)
    }

    fn record(origin: u32, sequence: u32) -> Vec<Entry> {
        let stored = log::Record { origin, sequence, ..Default::default() };
        vec![Entry { leaf: stored.encode_to_vec(), aside: Vec::new() }]
    }

    fn question() -> Work {
        Work { questions: vec![std::sync::mpsc::channel().0], ..Work::default() }
    }

    fn learned(after: Position, runs: Vec<Run>, head: Head) -> Work {
        Work { learned: Learned { after, runs, head: Some(head) }, ..Work::default() }
    }

    fn find(index: &OfficeIndex, sequence: u32) -> Option<Position> {
        index.position_of(CommandKey::new(Origin(1), sequence))
    }

    #[test]
    fn an_index_that_nobody_asks_is_not_opened_and_the_first_question_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let (log, _) = log_of(dir.path(), 1);
        let mut index = OfficeIndex::at(dir.path().join("index"), id(), log.reader());
        assert!(!dir.path().join("index").exists());
        assert_eq!(index.covers(), 0);
        index.learn(&question()).unwrap();
        assert_eq!((find(&index, 1), index.covers()), (Some(1), 1));
        log.close().unwrap();
    }

    #[test]
    fn a_failed_write_leaves_no_hole_and_a_lost_row_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = log_of(dir.path(), 0);
        let mut index = OfficeIndex::at(dir.path().join("index"), id(), log.reader());
        index.learn(&question()).unwrap();
        let heads: Vec<Head> = (1..=3).map(|sequence| log.append(&record(1, sequence)).unwrap()).collect();
        index.learn(&learned(0, vec![run(1, 1, 1, 1)], heads[0])).unwrap();
        // The second commit's write failed; the third mends it.
        index.broken = true;
        index.learn(&learned(2, vec![run(1, 3, 3, 1)], heads[2])).unwrap();
        assert_eq!([1, 2, 3].map(|sequence| find(&index, sequence)), [Some(1), Some(2), Some(3)]);
        // A commit that the mending already reached changes nothing.
        index.learn(&learned(1, vec![run(1, 2, 2, 1)], heads[1])).unwrap();
        assert_eq!(index.covers(), 3);
        let mut loses = IndexBatch::new(3, heads[2].root);
        loses.remove(RUNS, &key(Origin(1), 1));
        index.index.as_ref().unwrap().write(loses).unwrap();
        assert_eq!(find(&index, 2), None);
        index.learn(&Work { rebuild: true, ..Work::default() }).unwrap();
        assert_eq!([1, 2, 3].map(|sequence| find(&index, sequence)), [Some(1), Some(2), Some(3)]);
        log.close().unwrap();
    }

    /// What did not fit into the queue, all of it or what came first, is read from the log.
    #[test]
    fn what_was_skipped_is_read_from_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = log_of(dir.path(), 2);
        let mut index = OfficeIndex::at(dir.path().join("index"), id(), log.reader());
        index.learn(&question()).unwrap();
        for sequence in 3..=9 {
            log.append(&record(1, sequence)).unwrap();
        }
        index.learn(&Work { skipped: true, ..Work::default() }).unwrap();
        assert_eq!((index.covers(), find(&index, 7)), (9, Some(7)));
        log.append(&record(1, 10)).unwrap();
        let head = log.append(&record(1, 11)).unwrap();
        // Of the tenth it was told nothing.
        index.learn(&learned(10, vec![run(1, 11, 11, 1)], head)).unwrap();
        assert_eq!([10, 11].map(|sequence| find(&index, sequence)), [Some(10), Some(11)]);
        log.close().unwrap();
    }

    /// Rows of the release before are not read as this one's.
    #[test]
    fn an_index_of_another_form_is_built_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (log, heads) = log_of(dir.path(), 2);
        {
            let (index, _) = Index::open(&dir.path().join("index"), &id()).unwrap();
            let mut batch = IndexBatch::new(2, heads[1].root);
            let older: Vec<u8> = [&1u64.to_le_bytes()[..], &2u32.to_le_bytes()].concat();
            batch.put(RUNS, &key(Origin(1), 1), &older);
            index.write(batch).unwrap();
        }
        let mut index = OfficeIndex::at(dir.path().join("index"), id(), log.reader());
        index.learn(&question()).unwrap();
        assert_eq!([1, 2, 3].map(|sequence| find(&index, sequence)), [Some(1), Some(2), None]);
        log.close().unwrap();
    }
}
