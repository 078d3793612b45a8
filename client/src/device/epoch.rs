//! What a device does when its epoch has ended: it goes back to where the epochs are one log, keeps what it had beyond, and
//! offers its own part of it again, with what the ended epoch had signed.

use std::fs;
use std::path::{Path, PathBuf};

use prost::Message;
use renaksi_domain::epoch::BeginEpoch;
use renaksi_ledger::merkle::Hash;
use renaksi_ledger::{Checkpoint, LogBuilder, LogReader, SignedCheckpoint, Tree};
use renaksi_proto::{log, wire};
use serde_json::{Value, json};

use super::Device;
use super::home::{digest_from, storage, sync_dir, write_durable};
use super::outbox::Batch;
use super::replica::{Replica, id, replica_error};
use super::sync::bad_answer;
use crate::error::{ClientError, Rejected};

/// In a copy of the log that was set aside because its epoch ended.
const OFFERS: &str = "offers.json";
/// Commands of a push that carry what an ended epoch says of them: each with a record and its way to the root.
pub(super) const OFFERED_MAX: usize = 500;

/// A copy of the log that was set aside, as far as it proves something.
struct Ended {
    folder: PathBuf,
    /// The checkpoint that the device held then, as it was signed.
    note: String,
    at: Checkpoint,
    /// The last command of this device in it.
    last_sequence: u32,
}

impl Device {
    /// Leaves an epoch that has ended, for the reason that the server gives: the replica goes back to the last record that the
    /// epochs have in common, or to nothing where it does not have that. What it was is kept whole, with the checkpoint that
    /// it ended with. Nothing is believed: the next pull must show the new epoch, signed, and its first record.
    ///
    /// If we crash in here: the replica is the old one, or missing and pulled again.
    pub(super) fn leave_epoch(&mut self, cause: &Rejected) -> Result<(), ClientError> {
        let detail = |name| cause.details.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let size: Option<u64> = detail("size").and_then(|size| size.parse().ok());
        let root = detail("root").and_then(|root| digest_from(root));
        let (Some(size), Some(root)) = (size, root) else {
            return Err(bad_answer("an epoch ended, and the server does not say where"));
        };
        let (reader, folder) = (self.replica.reader(), self.home.replica());
        let has_it = size > 0 && reader.root_at(size).map_err(|error| replica_error(&error))? == Some(root);
        let building = folder.with_extension("new");
        if building.exists() {
            fs::remove_dir_all(&building).map_err(storage("remove", &building))?;
        }
        if has_it {
            self.build(&reader, size, &building)?;
        }
        if let Some(held) = &self.checkpoint {
            let offers = json!({ "checkpoint": held.note(), "last_sequence": self.replica.known().sequence });
            write_durable(&folder.join(OFFERS), format!("{offers:#}\n").as_bytes(), 0o600)?;
        }
        let aside = self.home.set_aside(&folder)?;
        match has_it {
            true => fs::rename(&building, &folder).map_err(storage("make", &folder))?,
            false => drop(Replica::create(&self.home, &self.identity)?),
        }
        sync_dir(self.home.dir())?;
        tracing::warn!(folder = %aside.display(), size, "the epoch ended; what this device had was set aside");
        let (replica, confirmed, damage) = Replica::open(&self.home, &self.identity)?;
        (self.replica, self.replica_damage) = (replica, damage);
        self.view.confirmed = confirmed;
        self.refresh()
    }

    /// The replica's first records as a log of their own.
    fn build(&self, reader: &LogReader, size: u64, folder: &Path) -> Result<(), ClientError> {
        let failed = |error| replica_error(&error);
        let mut builder =
            LogBuilder::create(folder, id(&self.identity), self.identity.epoch).map_err(failed)?;
        for commit in reader.iter(1) {
            let commit = commit.map_err(failed)?;
            if commit.size_after > size {
                break;
            }
            builder.push(&commit).map_err(failed)?;
        }
        let epoch = builder.head().epoch;
        builder.finish(epoch).map(|_| ()).map_err(failed)
    }

    /// True while commands that wait may have been received in an epoch that ended.
    pub(super) fn offers_again(&self, first: u32) -> Result<bool, ClientError> {
        Ok(self.ended()?.iter().any(|ended| ended.last_sequence >= first))
    }

    /// What ended epochs say of the commands of a batch, for those that were signed for then.
    pub(super) fn old_records(&self, batch: &Batch) -> Result<Vec<wire::OldRecords>, ClientError> {
        let mut all = Vec::new();
        for ended in self.ended()?.into_iter().filter(|ended| ended.last_sequence >= batch.first) {
            all.extend(self.records_of(ended, batch)?);
        }
        Ok(all)
    }

    fn records_of(&self, ended: Ended, batch: &Batch) -> Result<Option<wire::OldRecords>, ClientError> {
        let failed = |error| replica_error(&error);
        let reader = LogReader::open_read_only(&ended.folder, &id(&self.identity)).map_err(failed)?;
        let tree = Tree::open(&reader).map_err(failed)?;
        let path = |position| {
            let path = tree.inclusion(position, ended.at.size).map_err(failed)?;
            Ok::<_, ClientError>(path.iter().map(|hash| hash.to_vec()).collect())
        };
        let mut records = Vec::new();
        for commit in reader.iter(1) {
            let commit = commit.map_err(failed)?;
            // What came after the checkpoint nobody has signed for.
            let signed = (commit.first..=ended.at.size).zip(commit.entries);
            for (position, entry) in signed {
                let record = log::Record::decode(entry.leaf.as_slice()).ok();
                let offered = record.is_some_and(|record| {
                    let index = record.sequence.checked_sub(batch.first).map(|index| index as usize);
                    let command = index.and_then(|index| batch.commands.get(index));
                    record.origin == self.identity.origin.0
                        && command.is_some_and(|command| command.leaf == record.command)
                });
                if offered {
                    records.push(wire::OldRecord { leaf: entry.leaf, path: path(position)? });
                }
            }
        }
        let own = self.view.confirmed.people.incarnation(self.identity.origin);
        let own = own.map(|own| own.enrolled).filter(|enrolled| *enrolled <= ended.at.size);
        match own {
            Some(enrolled) if !records.is_empty() => {
                Ok(Some(wire::OldRecords { enrolled_path: path(enrolled)?, checkpoint: ended.note, records }))
            }
            _ => Ok(None),
        }
    }

    /// The copies that were set aside because their epoch ended, and that end with a checkpoint of this office.
    fn ended(&self) -> Result<Vec<Ended>, ClientError> {
        let dir = self.home.dir();
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).map_err(storage("list", dir))? {
            let folder = entry.map_err(storage("list", dir))?.path();
            // One that cannot be read proves nothing; what waits is then decided as of today.
            if let Some(ended) = fs::read(folder.join(OFFERS)).ok().and_then(|text| self.read(folder, &text))
            {
                found.push(ended);
            }
        }
        // The record of the newest epoch is the last word.
        found.sort_by_key(|ended| ended.at.epoch);
        Ok(found)
    }

    fn read(&self, folder: PathBuf, text: &[u8]) -> Option<Ended> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let note = value.get("checkpoint")?.as_str()?.to_owned();
        let last_sequence = value.get("last_sequence")?.as_u64()?.try_into().ok()?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&self.identity.log_key?).ok()?;
        let at = SignedCheckpoint::open(&note, self.identity.office, &key).ok()?.checkpoint();
        Some(Ended { folder, note, at, last_sequence })
    }
}

/// The epoch that a commit begins, if it begins one.
pub(super) fn begun_by(first_leaf: &[u8]) -> Option<u32> {
    let record = log::Record::decode(first_leaf).ok().filter(|record| record.origin == 0)?;
    let recorded = matches!(record.outcome, Some(log::record::Outcome::Recorded(_)));
    match log::Command::decode(record.command.as_slice()).ok()?.body? {
        log::command::Body::BeginEpoch(begin) if recorded => Some(begin.epoch),
        _ => None,
    }
}

/// Whether a later epoch keeps to what a checkpoint says: the log has what it was signed for, or says that it may be lost.
pub(super) fn continues(begun: &[BeginEpoch], held: &Checkpoint, root_there: Option<Hash>) -> bool {
    root_there == Some(held.root) || begun.iter().any(|begun| begun.tells_of(held.epoch, held.size))
}
