//! What the office's log key signed. The newest checkpoint that the replica agrees with is kept beside it, so that a server
//! can never take back what it once showed to this device.

use ed25519_dalek::VerifyingKey;
use renaksi_ledger::{Checkpoint, CheckpointError, Head, LogReader, SignedCheckpoint};
use renaksi_proto::wire;

use super::Device;
use super::epoch::continues;
use super::home::Identity;
use super::replica::replica_error;
use crate::error::{ClientError, Rejected};

/// A checkpoint that a pull begins with: signed, and not yet compared with all that the pull brings.
#[derive(Debug)]
pub(super) struct Offered {
    signed: SignedCheckpoint,
    key: VerifyingKey,
}

impl Device {
    /// Looks at the checkpoint before anything of the pull is taken. A device that was enrolled before there were any
    /// takes the key from the server, whose certificate it pinned.
    ///
    /// # Errors
    /// Integrity `CHECKPOINT_INVALID`, `LOG_CONTRADICTS_CHECKPOINT`. Nothing was changed.
    pub(super) fn offered(&self, page: &wire::SignedCheckpoint) -> Result<Offered, ClientError> {
        let key = match self.identity.log_key {
            Some(key) => key,
            None => page.log_key.as_slice().try_into().map_err(|_| invalid("the server sent no key"))?,
        };
        let key = VerifyingKey::from_bytes(&key).map_err(|_| invalid("the server sent no key"))?;
        let signed = SignedCheckpoint::open(&page.note, self.identity.office, &key).map_err(invalid)?;
        let (new, head) = (signed.checkpoint(), self.replica.head());
        if let Some(held) = self.checkpoint.as_ref().map(SignedCheckpoint::checkpoint) {
            let taken_back = new.epoch < held.epoch || (new.epoch == held.epoch && new.size < held.size);
            if taken_back {
                return Err(contradicts(&held, &new));
            }
        }
        let offered = Offered { signed, key };
        offered.agrees_with(head.size, &head.root)?;
        Ok(offered)
    }

    /// The checkpoint that is shown to the server, as it was signed; empty when there is none yet.
    pub(super) fn held_note(&self) -> String {
        self.checkpoint.as_ref().map_or_else(String::new, |held| held.note().to_owned())
    }

    /// Keeps what the replica now ends with. `None` is a server of an earlier release, which must stay one.
    ///
    /// If we crash here: the replica has the records, and the next pull brings a checkpoint again.
    ///
    /// # Errors
    /// As [`Device::offered`]; then the checkpoint from before stays.
    pub(super) fn keep(&mut self, offered: Option<Offered>) -> Result<(), ClientError> {
        let held = self.checkpoint.as_ref().map(SignedCheckpoint::checkpoint);
        let Some(Offered { signed, key }) = offered else {
            return match held {
                Some(_) => Err(invalid("the server signs no more")),
                None => Ok(()),
            };
        };
        let (new, head) = (signed.checkpoint(), self.replica.head());
        if (new.size, new.root) != (head.size, head.root) {
            return Err(contradicts(&new, &at_head(&self.identity, head)));
        }
        if let Some(held) = held.filter(|held| held.epoch == new.epoch)
            && self.replica.reader().root_at(held.size).map_err(|error| replica_error(&error))?
                != Some(held.root)
        {
            return Err(contradicts(&held, &new));
        }
        let begun = &self.view.confirmed.epochs;
        let root_there = |held: &Checkpoint| match held.size <= head.size {
            true => self.replica.reader().root_at(held.size).map_err(|error| replica_error(&error)),
            false => Ok(None),
        };
        // An epoch begins with a record, or there is none; and up to there nothing that was signed is taken back.
        let is_begun = self.replica.stopped.is_some() || self.view.confirmed.epoch() == new.epoch;
        if let Some(held) = held.filter(|held| held.epoch < new.epoch)
            && !(is_begun && continues(begun, &held, root_there(&held)?))
        {
            return Err(contradicts(&held, &new));
        }
        if self.identity.log_key.is_none() {
            let identity = Identity { log_key: Some(key.to_bytes()), ..self.identity.clone() };
            self.home.write_identity(&identity)?;
            self.identity = identity;
        }
        if self.checkpoint.as_ref() != Some(&signed) {
            signed.store(&self.home.checkpoint()).map_err(|error| replica_error(&error))?;
            self.checkpoint = Some(signed);
        }
        Ok(())
    }
}

impl Offered {
    /// What the log is up to `size` must fit into what was signed, as far as that can be told.
    pub(super) fn agrees_with(&self, size: u64, root: &[u8]) -> Result<(), ClientError> {
        let new = self.signed.checkpoint();
        match size > new.size || (size == new.size && root != new.root) {
            true => {
                let cause = Rejected::new("LOG_CONTRADICTS_CHECKPOINT").with("checkpoint", new);
                Err(ClientError::Integrity(cause.with("other", format!("position {size}"))))
            }
            false => Ok(()),
        }
    }
}

/// Whether a log still begins with what a checkpoint says: the first position that cannot be so, and the cause.
pub(super) fn first_missing(
    reader: &LogReader,
    head: Head,
    held: &Checkpoint,
) -> Result<Option<(u64, Rejected)>, ClientError> {
    let cause = |code: &str, position: u64| {
        Some((position, Rejected::new(code).with("position", position).with("checkpoint", held)))
    };
    if held.size > head.size {
        return Ok(cause("RECORDS_MISSING", head.size + 1));
    }
    let root = reader.root_at(held.size).map_err(|error| replica_error(&error))?;
    Ok(match root == Some(held.root) {
        true => None,
        false => cause("CHECKPOINT_DIFFERS", held.size),
    })
}

/// Reads the checkpoint that was kept. One that is damaged is set aside: the next pull brings another.
pub(super) fn kept(
    home: &super::home::Home,
    identity: &Identity,
) -> Result<Option<SignedCheckpoint>, ClientError> {
    let (Some(note), Some(key)) = (home.read_checkpoint()?, identity.log_key) else { return Ok(None) };
    let opened = VerifyingKey::from_bytes(&key)
        .map_err(|_| CheckpointError::Malformed("the key in identity.json is not one"))
        .and_then(|key| SignedCheckpoint::open(&note, identity.office, &key));
    match opened {
        Ok(signed) => Ok(Some(signed)),
        Err(error) => {
            let aside = home.set_aside(&home.checkpoint())?;
            tracing::warn!(file = %aside.display(), %error, "the checkpoint that was kept is damaged");
            Ok(None)
        }
    }
}

fn at_head(identity: &Identity, head: Head) -> Checkpoint {
    Checkpoint { office: identity.office, epoch: head.epoch, size: head.size, root: head.root }
}

fn invalid(cause: impl std::fmt::Display) -> ClientError {
    ClientError::Integrity(Rejected::new("CHECKPOINT_INVALID").with("cause", cause))
}

fn contradicts(checkpoint: &Checkpoint, other: &Checkpoint) -> ClientError {
    let cause = Rejected::new("LOG_CONTRADICTS_CHECKPOINT").with("checkpoint", checkpoint);
    ClientError::Integrity(cause.with("other", other))
}
