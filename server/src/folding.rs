//! Folding a log from the disk. One thread reads and decodes while another applies, so that it takes little more than decoding.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use renaksi_domain::Record;
use renaksi_domain::ids::Position;
use renaksi_ledger::{CommitView, Commits, LogId, LogReader};
use renaksi_proto::convert::decode_record;
use renaksi_proto::fold::Fold;

use crate::error::ServerError;

/// Records handed over at once.
const BATCH_RECORDS: usize = 512;
/// Batches that may wait: with those at hand about a megabyte.
const BATCHES_WAITING: usize = 3;
/// Where fewer follow, a thread would cost more than it saves.
const ALONE_RECORDS: u64 = 2_000;

/// A record with where it was read and the bytes of its command.
type Read = (Position, Record, Vec<u8>);

/// Folds what follows a state.
///
/// # Errors
/// [`ServerError::Log`] where the log cannot be read, [`ServerError::Record`] where a record cannot.
pub fn fold_rest(reader: &LogReader, mut fold: Fold, id: LogId) -> Result<Fold, ServerError> {
    let mut commits = reader.iter(fold.state.position + 1);
    fold_commits(reader, &mut commits, &mut fold, id)?;
    Ok(fold)
}

/// Folds all that is durable by now. `commits` are those of `reader` that follow the state.
pub(crate) fn fold_commits(
    reader: &LogReader,
    commits: &mut Commits,
    fold: &mut Fold,
    id: LogId,
) -> Result<(), ServerError> {
    if reader.head().size < fold.state.position + ALONE_RECORDS {
        return each_record(commits, id, |read| absorb(fold, &read));
    }
    thread::scope(|scope| {
        let (batches, waiting) = sync_channel(BATCHES_WAITING);
        let (used, again) = channel();
        let reading = scope.spawn(move || read_ahead(commits, id, &batches, &again));
        let folded = fold_batches(fold, &waiting, &used);
        // Where a record did not fold, the other thread finds nobody there.
        drop(waiting);
        let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        folded.and(read)
    })
}

fn fold_batches(
    fold: &mut Fold,
    waiting: &Receiver<Vec<Read>>,
    used: &Sender<Vec<Read>>,
) -> Result<(), ServerError> {
    for batch in waiting {
        batch.iter().try_for_each(|read| absorb(fold, read))?;
        // Freed by the thread that allocated it: the other way about costs more than folding.
        let _ = used.send(batch);
    }
    Ok(())
}

fn read_ahead(
    commits: &mut Commits,
    id: LogId,
    batches: &SyncSender<Vec<Read>>,
    again: &Receiver<Vec<Read>>,
) -> Result<(), ServerError> {
    let mut batch = Vec::with_capacity(BATCH_RECORDS);
    let read = each_record(commits, id, |read| {
        batch.push(read);
        if batch.len() < BATCH_RECORDS {
            return Ok(());
        }
        let mut next = again.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_RECORDS));
        next.clear();
        // Whoever does not wait any more has an error of its own to tell.
        batches.send(std::mem::replace(&mut batch, next)).map_err(|_| ServerError::Stopped)
    });
    // What was read before an error is folded, and an error in there comes first.
    let _ = batches.send(batch);
    read
}

fn absorb(fold: &mut Fold, (position, record, command): &Read) -> Result<(), ServerError> {
    let position = *position;
    fold.absorb_read(record, command).map_err(|source| ServerError::Record { position, source })
}

fn each_record(
    commits: &mut Commits,
    id: LogId,
    mut each: impl FnMut(Read) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let mut see = |commit: CommitView<'_>| {
        (commit.first()..).zip(commit.leaves()).try_for_each(|(position, leaf)| match decode_record(leaf) {
            Ok((record, stored)) => each((position, record, stored.command)),
            Err(source) => Err(ServerError::Record { position, source }),
        })
    };
    while let Some(seen) = commits.see(&mut see).map_err(|source| ServerError::Log { id, source })? {
        seen?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use renaksi_domain::ids::{Origin, PersonId};
    use renaksi_domain::people::{AddPerson, PeopleCommand};
    use renaksi_domain::time::Timestamp;
    use renaksi_domain::{Command, Envelope, Outcome};
    use renaksi_ledger::{Entry, Log};
    use renaksi_proto::convert::{command_leaf, encode_record};
    use renaksi_proto::log::Texts;

    use super::*;

    fn id() -> LogId {
        crate::data::Data::log_id(uuid::Uuid::from_u128(1))
    }

    fn leaf(position: Position) -> Vec<u8> {
        let command = Command::People(PeopleCommand::AddPerson(AddPerson));
        let stored = command_leaf(&command, Timestamp(0), &Texts::default(), [0; 16]);
        let (origin, author, made_at) = (Origin::HOST, PersonId(0), Timestamp(0));
        let envelope =
            Envelope { origin, sequence: 0, author, made_at, has_reason: false, restored: None, command };
        let outcome = Outcome::Recorded(renaksi_domain::command::Effect::default());
        let record = Record { position, time: Timestamp(0), carrier: None, envelope, outcome };
        encode_record(&record, &stored.leaf, None, None)
    }

    /// Commits of a hundred; `wrong` is no record.
    fn log(dir: &std::path::Path, records: u64, wrong: Option<Position>) -> LogReader {
        let mut log = Log::create(dir, id(), 1).unwrap();
        for first in (1..=records).step_by(100) {
            let leaf = |position| if Some(position) == wrong { vec![0xFF; 20] } else { leaf(position) };
            let entries: Vec<Entry> = (first..(first + 100).min(records + 1))
                .map(|position| Entry { leaf: leaf(position), aside: Vec::new() })
                .collect();
            log.append(&entries).unwrap();
        }
        log.reader()
    }

    #[test]
    fn two_threads_fold_what_one_folds() {
        for records in [1, ALONE_RECORDS - 1, ALONE_RECORDS, ALONE_RECORDS + 1, 10_000] {
            let dir = tempfile::tempdir().unwrap();
            let reader = log(dir.path(), records, None);
            let mut alone = Fold::default();
            for entry in reader.iter(1).flat_map(|commit| commit.unwrap().entries) {
                alone.absorb(&entry.leaf).unwrap();
            }
            let folded = fold_rest(&reader, Fold::default(), id()).unwrap();
            assert_eq!(folded.state.people.persons.len() as u64, records);
            assert!(folded == alone, "{records}");
        }
    }

    #[test]
    fn the_record_that_cannot_be_read_is_named() {
        for wrong in [1, 2_000, 4_096, 10_000] {
            let dir = tempfile::tempdir().unwrap();
            let reader = log(dir.path(), 10_000, Some(wrong));
            match fold_rest(&reader, Fold::default(), id()) {
                Err(ServerError::Record { position, .. }) => assert_eq!(position, wrong),
                other => panic!("{:?}", other.map(|fold| fold.state.position)),
            }
        }
    }

    #[test]
    fn damage_is_told_after_what_stands_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let reader = log(dir.path(), 10_000, Some(5_000));
        let segment = dir.path().join("segment-00000000000000000001.log");
        let mut bytes = std::fs::read(&segment).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[end - 40] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        match fold_rest(&reader, Fold::default(), id()) {
            Err(ServerError::Record { position: 5_000, .. }) => {}
            other => panic!("{:?}", other.map(|fold| fold.state.position)),
        }
        let mut behind_it = Fold::default();
        behind_it.state.position = 5_000;
        match fold_rest(&reader, behind_it, id()) {
            Err(ServerError::Log { source: renaksi_ledger::Error::Damaged { position, .. }, .. }) => {
                assert_eq!(position, 9_901);
            }
            other => panic!("{:?}", other.map(|fold| fold.state.position)),
        }
    }
}
