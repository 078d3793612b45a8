//! Commands that a device offers again after an epoch has ended, with the records that they had in it.
//!
//! *Architecture invariant*: a command is decided as of another time than now only where a record of exactly these bytes, of
//! this device and this number, is under a checkpoint that the log's own key signed in an epoch that has ended.

use ed25519_dalek::VerifyingKey;
use renaksi_domain::Outcome;
use renaksi_domain::epoch::Restored;
use renaksi_ledger::merkle::{Hash, leaf_hash};
use renaksi_ledger::{SignedCheckpoint, verify_inclusion};
use renaksi_proto::convert::decode_record;
use renaksi_proto::wire;
use uuid::Uuid;

use crate::push::Push;
use crate::status::Fault;

/// Whose log it is, with which key it is signed, and in which epoch it is.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    pub office: Uuid,
    pub key: &'a [u8; 32],
    pub epoch: u32,
}

/// Marks the commands of a push that an ended epoch had received.
///
/// # Errors
/// `RECEIPT_INVALID` when a record does not prove what it is sent for. Nothing of the push is taken then.
pub fn prove(push: &mut Push, old: wire::OldRecords, log: Log<'_>) -> Result<(), Fault> {
    let invalid = |cause: &str| Fault::invalid("RECEIPT_INVALID").with("cause", cause);
    let key = VerifyingKey::from_bytes(log.key).map_err(|_| invalid("the log has no key"))?;
    let signed = SignedCheckpoint::open(&old.checkpoint, log.office, &key);
    let signed = signed.map_err(|error| invalid(&error.to_string()))?.checkpoint();
    if signed.epoch >= log.epoch {
        return Err(invalid("its epoch has not ended"));
    }
    for proof in old.records {
        let (record, stored) = decode_record(&proof.leaf).map_err(|error| invalid(&error.to_string()))?;
        let path: Option<Vec<Hash>> =
            proof.path.into_iter().map(|hash| Hash::try_from(hash.as_slice()).ok()).collect();
        let path = path.ok_or_else(|| invalid("a hash does not have 32 bytes"))?;
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
        command.envelope.restored = Some(Box::new(Restored {
            epoch: signed.epoch,
            position: record.position,
            time: record.decided_at(),
            recorded: matches!(record.outcome, Outcome::Recorded(_)),
        }));
    }
    Ok(())
}
