//! The receipts that commands were given when they first arrived, given again when they arrive again.

use prost::Message;
use renaksi_domain::ids::{CommandKey, Position};
use renaksi_ledger::Commit;
use renaksi_proto::convert::decode_record;
use renaksi_proto::{log, wire};

use crate::office::Shared;
use crate::push;
use crate::status::Fault;
use crate::unindexed::Unindexed;

/// Receipts of commands that the office already has, in their order, each once it is found.
struct Found<'a> {
    commands: &'a [push::Command],
    receipts: Vec<Option<wire::Receipt>>,
}

/// The first receipts of commands that the state says were recorded. `in_batch` gives the record of a command that was
/// decided and is not yet in the log.
///
/// # Errors
/// `DEVICE_FORKED` when another command was recorded under the same number, `RECORD_NOT_FOUND` when the log lacks one.
pub fn first_receipts<'b>(
    shared: &Shared,
    unindexed: &Unindexed,
    commands: &[push::Command],
    in_batch: impl Fn(CommandKey) -> Option<&'b [u8]>,
) -> Result<Vec<wire::Receipt>, Fault> {
    let mut found = Found { commands, receipts: vec![None; commands.len()] };
    for (index, command) in commands.iter().enumerate() {
        if let Some(leaf) = in_batch(command.envelope.key()) {
            found.try_leaf(index, leaf)?;
        }
    }
    if found.missing().next().is_some() {
        found.through_index(shared, unindexed)?;
    }
    if found.missing().next().is_some() && found.through_log(shared)? {
        tracing::error!("the index lacks what the log has, and is rebuilt");
        // Where the server stops before it is done, this comes again.
        unindexed.rebuild();
    }
    let lacking = found.missing().next();
    match lacking {
        Some(index) => {
            Err(Fault::precondition("RECORD_NOT_FOUND").with("sequence", commands[index].envelope.sequence))
        }
        None => Ok(found.receipts.into_iter().flatten().collect()),
    }
}

impl Found<'_> {
    fn missing(&self) -> impl Iterator<Item = usize> {
        self.receipts.iter().enumerate().filter(|(_, receipt)| receipt.is_none()).map(|(index, _)| index)
    }

    /// Takes the receipt from a record, if it is the command's own.
    fn try_leaf(&mut self, index: usize, leaf: &[u8]) -> Result<(), Fault> {
        let command = &self.commands[index];
        let (record, stored) = decode_record(leaf).map_err(|error| Fault::internal(&error))?;
        if record.envelope.key() != command.envelope.key() {
            return Ok(());
        }
        if stored.command != command.leaf {
            return Err(forked(command.envelope.key()));
        }
        self.receipts[index] = Some(push::receipt(command.envelope.sequence, &record, true));
        Ok(())
    }

    /// Finds what the index knows, once it has caught up with what is durable. Each commit is read once.
    fn through_index(&mut self, shared: &Shared, unindexed: &Unindexed) -> Result<(), Fault> {
        let missing: Vec<usize> = self.missing().collect();
        let keys = missing.iter().map(|index| self.commands[*index].envelope.key());
        let positions = shared.positions_of(keys, unindexed);
        let mut last: Option<Commit> = None;
        for (index, position) in missing.into_iter().zip(positions) {
            let Some(position) = position else { continue };
            if !last.as_ref().is_some_and(|commit| holds(commit, position)) {
                // A limit that the first commit reaches: exactly one is read.
                let page = shared.reader.read_from(position, 1).map_err(|error| shared.log_failed(error))?;
                last = page.into_iter().next();
            }
            if let Some(leaf) = last.as_ref().and_then(|commit| leaf_at(commit, position)) {
                self.try_leaf(index, leaf)?;
            }
        }
        Ok(())
    }

    /// Walks the whole log for what is missing: slow, and independent of every cache. Answers whether it found any.
    fn through_log(&mut self, shared: &Shared) -> Result<bool, Fault> {
        let Some(first) = self.commands.first().map(|command| command.envelope.key()) else {
            return Ok(false);
        };
        let (mut found, mut wanted) = (0, self.missing().count());
        for commit in shared.reader.iter(1) {
            let commit = commit.map_err(|error| shared.log_failed(error))?;
            for entry in &commit.entries {
                let Ok(stored) = log::Record::decode(entry.leaf.as_slice()) else { continue };
                // A push is of one origin, its sequences are consecutive.
                let index = stored.sequence.checked_sub(first.sequence).map(|offset| offset as usize);
                let index = index.filter(|index| {
                    stored.origin == first.origin.0 && self.receipts.get(*index).is_some_and(Option::is_none)
                });
                if let Some(index) = index {
                    self.try_leaf(index, &entry.leaf)?;
                    (found, wanted) = (found + 1, wanted - 1);
                }
            }
            if wanted == 0 {
                break;
            }
        }
        Ok(found > 0)
    }
}

fn holds(commit: &Commit, position: Position) -> bool {
    (commit.first..=commit.size_after).contains(&position)
}

fn leaf_at(commit: &Commit, position: Position) -> Option<&[u8]> {
    let index = usize::try_from(position.checked_sub(commit.first)?).ok()?;
    commit.entries.get(index).map(|entry| entry.leaf.as_slice())
}

/// What a device is told that used a number for two different commands.
pub fn forked(key: CommandKey) -> Fault {
    Fault::precondition("DEVICE_FORKED").with("origin", key.origin).with("sequence", key.sequence)
}
