//! The key that signs checkpoints of the office's log. Devices pin its public half when they enrol.

use std::path::Path;

use ed25519_dalek::SigningKey;
use renaksi_ledger::{LogReader, Signer};
use uuid::Uuid;

use crate::data::{Data, write_private};
use crate::error::ServerError;

/// The signer of an office's log, with its key; makes the key of a log that was never signed.
///
/// # Errors
/// [`ServerError::Checkpoint`] when the log is not the one that was signed: it must not be written to then.
/// [`ServerError::Unreadable`] when the key is damaged, or missing though something was signed with it.
pub fn signer(data: &Data, reader: &LogReader, office: Uuid) -> Result<Signer, ServerError> {
    let key = read_or_make(&data.office("log.key"), reader.dir())?;
    Signer::open(reader, office, key).map_err(|source| ServerError::Checkpoint { office, source })
}

fn read_or_make(path: &Path, log: &Path) -> Result<SigningKey, ServerError> {
    let unreadable = |cause: &str| ServerError::Unreadable {
        path: path.to_owned(),
        what: "the key of the log",
        cause: cause.to_owned(),
    };
    match std::fs::read(path) {
        Ok(bytes) => match bytes.try_into() {
            Ok(seed) => Ok(SigningKey::from_bytes(&seed)),
            Err(_) => Err(unreadable("it does not have 32 bytes")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if log.join("checkpoint").exists() {
                return Err(unreadable("it is missing, and checkpoints were signed with it"));
            }
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(ServerError::Random)?;
            write_private(path, &seed)?;
            Ok(SigningKey::from_bytes(&seed))
        }
        Err(error) => Err(ServerError::file("read", path)(error)),
    }
}
