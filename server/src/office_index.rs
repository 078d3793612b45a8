//! What is quick to find: which record holds a device's command. Written behind the acknowledgement, rebuilt from the log
//! when it is behind, damaged or of another history.

use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_domain::ids::{CommandKey, Origin, Position};
use renaksi_ledger::{Hash, Head, Index, IndexBatch, IndexError, LogId, LogReader};
use renaksi_proto::log;

/// By (origin, first sequence): where a run of consecutive commands begins, and how many there are.
const RUNS: u8 = 1;
/// Rows a batch of a rebuild holds.
const REBUILD_ROWS: usize = 2_000;

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

    /// True when the command continues the run, which then includes it.
    fn extend(&mut self, origin: Origin, sequence: u32, position: Position) -> bool {
        let continues = self.origin == origin
            && self.first_sequence + self.length == sequence
            && self.first_position + u64::from(self.length) == position;
        self.length += u32::from(continues);
        continues
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
    /// False until somebody asked. Until then it need not keep up with the log.
    asked: bool,
    /// None while nobody asked, or while not even an empty one could be made.
    index: Option<Index>,
    /// A write failed: what the index covers has an end before the log's, and must not be moved past the hole.
    broken: bool,
}

impl OfficeIndex {
    /// The index in `dir`; nothing is opened yet.
    pub fn at(dir: PathBuf, id: LogId, reader: LogReader) -> OfficeIndex {
        OfficeIndex { dir, reader, id, asked: false, index: None, broken: false }
    }

    /// Makes the index ready to be asked: opens it and brings it up to the log, the first time.
    pub fn ready(&mut self) -> Result<(), IndexError> {
        if std::mem::replace(&mut self.asked, true) {
            return Ok(());
        }
        let opened = open(&self.dir, &self.id).and_then(|index| catch_up(index, &self.reader));
        self.broken = opened.is_err();
        self.index = Some(opened?);
        Ok(())
    }

    /// Makes the index cover a commit. If it fails, the next commit brings the index up from the log instead, so that
    /// nothing in between is missing.
    pub fn cover(&mut self, runs: &[Run], head: Head) -> Result<(), IndexError> {
        if !self.asked {
            return Ok(());
        }
        let covered = match &self.index {
            Some(index) if !self.broken => index.covered().and_then(|covered| match covered < head.size {
                true => index.write(batch(runs, head.size, head.root)),
                // Bringing the index up reached further than the commit it was for.
                false => Ok(()),
            }),
            _ => self.mend(),
        };
        self.broken = covered.is_err();
        covered
    }

    /// Builds the index anew from the first record: it did not know what the log has.
    pub fn rebuild(&mut self) -> Result<(), IndexError> {
        let rebuilt = match self.index.take() {
            Some(index) => index.clear(),
            None => open(&self.dir, &self.id),
        };
        // If we stop here: what was cleared says that it covers nothing, and the next start brings it up.
        let rebuilt = rebuilt.and_then(|index| catch_up(index, &self.reader));
        self.asked = true;
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

    /// Brings the index up to the log's head from where it stands; anew where it is damaged.
    fn mend(&mut self) -> Result<(), IndexError> {
        let Some(index) = &self.index else { return self.rebuild() };
        match index.covered().and_then(|covered| rebuild_from(index, &self.reader, covered + 1)) {
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
    if key.origin == Origin::HOST {
        return;
    }
    if !runs.last_mut().is_some_and(|run| run.extend(key.origin, key.sequence, position)) {
        runs.push(Run {
            origin: key.origin,
            first_sequence: key.sequence,
            first_position: position,
            length: 1,
        });
    }
}

/// The batch that makes the index cover a commit.
fn batch(runs: &[Run], covers_to: Position, root: Hash) -> IndexBatch {
    let mut batch = IndexBatch::new(covers_to, root);
    for run in runs {
        let mut value = run.first_position.to_le_bytes().to_vec();
        value.extend_from_slice(&run.length.to_le_bytes());
        batch.put(RUNS, &key(run.origin, run.first_sequence), &value);
    }
    batch
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
    let run = (|| {
        let origin = u32::from_be_bytes(found.get(..4)?.try_into().ok()?);
        let first = u32::from_be_bytes(found.get(4..8)?.try_into().ok()?);
        let position = u64::from_le_bytes(value.get(..8)?.try_into().ok()?);
        let length = u32::from_le_bytes(value.get(8..12)?.try_into().ok()?);
        Some((origin, first, position, length))
    })();
    Ok(run.and_then(|(origin, first, position, length)| {
        let offset = wanted.sequence.checked_sub(first)?;
        (origin == wanted.origin.0 && offset < length).then(|| position + u64::from(offset))
    }))
}

/// Brings the index up to the log's head; from nothing where it is of another history.
fn catch_up(mut index: Index, reader: &LogReader) -> Result<Index, IndexError> {
    let covered = index.covered()?;
    let known = match covered {
        0 => true,
        _ => match reader.root_at(covered) {
            Ok(Some(root)) => index.check(&root)?,
            _ => false,
        },
    };
    if !known {
        tracing::warn!(covered, "the index is of another history and is rebuilt");
        index = index.clear()?;
    }
    rebuild_from(&index, reader, index.covered()? + 1)?;
    Ok(index)
}

fn rebuild_from(index: &Index, reader: &LogReader, from: Position) -> Result<(), IndexError> {
    if reader.head().size < from {
        return Ok(());
    }
    tracing::info!(from, to = reader.head().size, "bringing the index up to the log");
    let mut runs = Vec::new();
    let mut covered = None;
    for commit in reader.iter(from) {
        let commit = commit.map_err(IndexError::Folder)?;
        for (position, entry) in (commit.first..).zip(&commit.entries) {
            // A record this release cannot read has no device command that it could be asked for.
            if let Ok(record) = log::Record::decode(entry.leaf.as_slice()) {
                push_run(&mut runs, CommandKey::new(Origin(record.origin), record.sequence), position);
            }
        }
        covered = Some((commit.size_after, commit.root_after));
        if runs.len() >= REBUILD_ROWS {
            index.write(batch(&runs, commit.size_after, commit.root_after))?;
            runs.clear();
            covered = None;
        }
    }
    match covered {
        Some((size, root)) => index.write(batch(&runs, size, root)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use renaksi_ledger::{Entry, Log};

    use super::*;

    #[test]
    fn commands_are_found_through_their_runs() {
        let dir = tempfile::tempdir().unwrap();
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let (index, _) = Index::open(dir.path(), &id).unwrap();
        let mut runs = Vec::new();
        for (position, (origin, sequence)) in (10..).zip([(1, 1), (1, 2), (2, 1), (1, 3), (1, 4), (0, 0)]) {
            push_run(&mut runs, CommandKey::new(Origin(origin), sequence), position);
        }
        assert_eq!(runs.len(), 3);
        index.write(batch(&runs, 15, [0; 32])).unwrap();
        let find = |origin, sequence| position_of(&index, CommandKey::new(Origin(origin), sequence)).unwrap();
        assert_eq!(find(1, 2), Some(11));
        assert_eq!(find(2, 1), Some(12));
        assert_eq!(find(1, 4), Some(14));
        assert_eq!(find(1, 5), None);
        assert_eq!(find(2, 2), None);
        assert_eq!(find(3, 1), None);
    }

    fn record(origin: u32, sequence: u32) -> Vec<Entry> {
        let stored = log::Record { origin, sequence, ..Default::default() };
        vec![Entry { leaf: stored.encode_to_vec(), aside: Vec::new() }]
    }

    #[test]
    fn an_index_that_nobody_asks_is_not_opened_and_the_first_question_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let mut log = Log::create(&dir.path().join("log"), id, 1).unwrap();
        let mut index = OfficeIndex::at(dir.path().join("index"), id, log.reader());
        let head = log.append(&record(1, 1)).unwrap();
        index.cover(&[], head).unwrap();
        assert!(!dir.path().join("index").exists());
        index.ready().unwrap();
        assert_eq!(index.position_of(CommandKey::new(Origin(1), 1)), Some(1));
        log.close().unwrap();
    }

    #[test]
    fn a_failed_write_leaves_no_hole_and_a_lost_row_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let mut log = Log::create(&dir.path().join("log"), id, 1).unwrap();
        let mut index = OfficeIndex::at(dir.path().join("index"), id, log.reader());
        index.ready().unwrap();
        let run = |sequence| Run {
            origin: Origin(1),
            first_sequence: sequence,
            first_position: u64::from(sequence),
            length: 1,
        };
        let heads: Vec<Head> = (1..=3).map(|sequence| log.append(&record(1, sequence)).unwrap()).collect();
        index.cover(&[run(1)], heads[0]).unwrap();
        // The second commit's write failed; the third mends it.
        index.broken = true;
        index.cover(&[run(3)], heads[2]).unwrap();
        let find = |index: &OfficeIndex, sequence| index.position_of(CommandKey::new(Origin(1), sequence));
        assert_eq!([1, 2, 3].map(|sequence| find(&index, sequence)), [Some(1), Some(2), Some(3)]);
        // A commit that the mending already reached changes nothing.
        index.cover(&[run(2)], heads[1]).unwrap();
        assert_eq!(index.index.as_ref().unwrap().covered().unwrap(), 3);
        let mut loses = IndexBatch::new(3, heads[2].root);
        loses.remove(RUNS, &key(Origin(1), 2));
        index.index.as_ref().unwrap().write(loses).unwrap();
        assert_ne!(find(&index, 2), Some(2));
        index.rebuild().unwrap();
        assert_eq!([1, 2, 3].map(|sequence| find(&index, sequence)), [Some(1), Some(2), Some(3)]);
        log.close().unwrap();
    }
}
