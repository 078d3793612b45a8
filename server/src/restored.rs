//! Commands that a device offers again after an epoch has ended, with the records that they had in it.
//!
//! *Architecture invariant*: a command is decided as of another time than now only where a record of exactly these bytes and this
//! number, of a device that the epochs have in common, is under a checkpoint that the log's own key signed in an epoch that
//! has ended.

use ed25519_dalek::VerifyingKey;
use renaksi_domain::epoch::Restored;
use renaksi_domain::{Outcome, State};
use renaksi_ledger::merkle::{Hash, leaf_hash};
use renaksi_ledger::{SignedCheckpoint, verify_inclusion};
use renaksi_proto::convert::decode_record;
use renaksi_proto::wire;

use crate::office::Office;
use crate::push::Push;
use crate::status::Fault;

/// Marks the commands of a push that ended epochs had received. May wait for a disk.
///
/// # Errors
/// `RECEIPT_INVALID` when a record does not prove what it is sent for: nothing of the push is taken then. `OFFICE_STOPPED`.
pub fn prove_all(push: &mut Push, old: Vec<wire::OldRecords>, office: &Office) -> Result<(), Fault> {
    let fold = office.shared.durable()?;
    old.into_iter().try_for_each(|old| prove(push, old, office, &fold.state))
}

fn prove(push: &mut Push, old: wire::OldRecords, office: &Office, state: &State) -> Result<(), Fault> {
    let invalid = |cause: &str| Fault::invalid("RECEIPT_INVALID").with("cause", cause);
    let key = VerifyingKey::from_bytes(&office.log_key).map_err(|_| invalid("the log has no key"))?;
    let signed = SignedCheckpoint::open(&old.checkpoint, office.shared.id.office, &key);
    let signed = signed.map_err(|error| invalid(&error.to_string()))?.checkpoint();
    if signed.epoch >= state.epoch() {
        return Err(invalid("its epoch has not ended"));
    }
    let path = |path: Vec<Vec<u8>>| {
        let path: Option<Vec<Hash>> =
            path.into_iter().map(|hash| Hash::try_from(hash.as_slice()).ok()).collect();
        path.ok_or_else(|| invalid("a hash does not have 32 bytes"))
    };
    let origin = push.origin;
    // Another device may have had its number in what is lost.
    let enrolled = state.people.incarnation(origin).map_or(0, |incarnation| incarnation.enrolled);
    let record = office.shared.reader.record(enrolled).map_err(|error| office.shared.log_failed(error))?;
    let leaf = record.map(|entry| leaf_hash(&entry.leaf));
    let enrolled_path = path(old.enrolled_path)?;
    let in_common = |leaf| verify_inclusion(&leaf, enrolled, signed.size, &enrolled_path, &signed.root);
    if !leaf.is_some_and(in_common) {
        return Err(invalid("the epochs do not have the device in common").with("origin", origin));
    }
    for proof in old.records {
        let (record, stored) = decode_record(&proof.leaf).map_err(|error| invalid(&error.to_string()))?;
        let path = path(proof.path)?;
        let leaf = leaf_hash(&proof.leaf);
        if !verify_inclusion(&leaf, record.position, signed.size, &path, &signed.root) {
            return Err(
                invalid("the record is not in the log that was signed").with("position", record.position)
            );
        }
        let index = record.envelope.sequence.checked_sub(push.first_sequence).map(|index| index as usize);
        let command = index.and_then(|index| push.commands.get_mut(index));
        let command = command.filter(|command| {
            let (own, old) = (&command.envelope, &record.envelope);
            (own.key(), own.author) == (old.key(), old.author) && command.leaf == stored.command
        });
        let command = command.ok_or_else(|| {
            invalid("the record is of another command").with("sequence", record.envelope.sequence)
        })?;
        let restored = Restored {
            epoch: signed.epoch,
            position: record.position,
            time: record.decided_at(),
            recorded: matches!(record.outcome, Outcome::Recorded(_)),
        };
        if !state.may_be_restored(origin, &restored) {
            return Err(invalid("the log has not left that epoch").with("origin", origin));
        }
        command.envelope.restored = Some(Box::new(restored));
    }
    Ok(())
}
