//! What only the records tell, not the state folded from them: texts beside entries, and the author's refused work.

use std::collections::{HashMap, HashSet};

use renaksi_domain::command::{Command, Record};
use renaksi_domain::ids::CommandKey;
use renaksi_domain::{Outcome, Rejection};
use renaksi_proto::convert::decode_record;
use renaksi_proto::log::{self, Texts};

use crate::device::Device;
use crate::error::ClientError;

/// The texts of the given commands, from one pass over the replica.
///
/// # Errors
/// When the replica cannot be read.
pub fn texts(
    device: &Device,
    wanted: &HashSet<CommandKey>,
) -> Result<HashMap<CommandKey, Texts>, ClientError> {
    let mut found = HashMap::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    each(device, |record, stored, aside| {
        let key = record.envelope.key();
        if wanted.contains(&key)
            && let Some(texts) = device.texts_of(stored, aside)
        {
            found.insert(key, texts);
        }
    })?;
    Ok(found)
}

/// A command of the device's owner that the server refused.
#[derive(Clone, Debug)]
pub struct RefusedWork {
    pub key: CommandKey,
    pub command: Command,
    pub cause: Rejection,
    pub position: u64,
}

/// The owner's refused entry commands, oldest first.
///
/// # Errors
/// When the replica cannot be read.
pub fn refused(device: &Device) -> Result<Vec<RefusedWork>, ClientError> {
    let person = device.identity().person;
    let mut found = Vec::new();
    each(device, |record, _, _| {
        let envelope = &record.envelope;
        if let Outcome::Refused(cause) = &record.outcome
            && envelope.author == person
            && envelope.command.works_offline()
        {
            found.push(RefusedWork {
                key: envelope.key(),
                command: envelope.command.clone(),
                cause: cause.clone(),
                position: record.position,
            });
        }
    })?;
    Ok(found)
}

/// Every record that this release can read. What a newer release wrote is passed over: the device says so elsewhere.
pub(super) fn each(
    device: &Device,
    mut on_record: impl FnMut(&Record, &log::Record, &[u8]),
) -> Result<(), ClientError> {
    for commit in device.replica().iter(1) {
        let commit = commit.map_err(damaged)?;
        for entry in &commit.entries {
            if let Ok((record, stored)) = decode_record(&entry.leaf) {
                on_record(&record, &stored, &entry.aside);
            }
        }
    }
    Ok(())
}

fn damaged(error: impl std::fmt::Display) -> ClientError {
    ClientError::Integrity(crate::error::Rejected::new("REPLICA_DAMAGED").with("cause", error))
}
