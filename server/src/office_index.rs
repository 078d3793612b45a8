//! What is quick to find: which record holds a device's command. Written behind the acknowledgement, rebuilt from the log
//! when it is behind, damaged or of another history.

use renaksi_domain::ids::{CommandKey, Origin, Position};
use renaksi_ledger::{Hash, Index, IndexBatch, IndexError, LogReader};
use renaksi_proto::log;

use prost::Message;

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
    /// True when the command continues the run, which then includes it.
    fn extend(&mut self, origin: Origin, sequence: u32, position: Position) -> bool {
        let continues = self.origin == origin
            && self.first_sequence + self.length == sequence
            && self.first_position + u64::from(self.length) == position;
        self.length += u32::from(continues);
        continues
    }
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
pub fn batch(runs: &[Run], covers_to: Position, root: Hash) -> IndexBatch {
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
pub fn position_of(index: &Index, wanted: CommandKey) -> Result<Option<Position>, IndexError> {
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
pub fn catch_up(mut index: Index, reader: &LogReader) -> Result<Index, IndexError> {
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
}
