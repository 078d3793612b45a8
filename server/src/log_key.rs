//! The key that signs checkpoints of the office's log. Devices pin its public half when they enrol.

use std::path::Path;

use ed25519_dalek::SigningKey;
use renaksi_ledger::{Checkpoint, LogReader, SignedCheckpoint, Signer};
use uuid::Uuid;

use crate::data::{Data, write_private};
use crate::error::ServerError;

/// The signer of an office's log, with its key; makes the key of a log that was never signed. Whether the log is the one that
/// was signed, its caller has to ask.
///
/// # Errors
/// [`ServerError::Checkpoint`] when what was signed cannot be read.
/// [`ServerError::Unreadable`] when the key is damaged, or missing though something was signed with it.
pub fn signer(data: &Data, reader: &LogReader, office: Uuid) -> Result<Signer, ServerError> {
    let key = read_or_make(&data.office("log.key"), reader.dir())?;
    Signer::open_unchecked(reader, office, key).map_err(|source| ServerError::Checkpoint { office, source })
}

/// Compares a log that nobody serves with what was signed for it; changes nothing.
///
/// # Errors
/// [`ServerError::Checkpoint`] when the log is not the one that was signed; as [`signer`].
pub fn check(data: &Data, reader: &LogReader, office: Uuid) -> Result<(), ServerError> {
    let Some(key) = read(&data.office("log.key"), reader.dir())? else { return Ok(()) };
    let checked = renaksi_ledger::check_signed(reader, office, &key.verifying_key());
    checked.map(|_| ()).map_err(|source| ServerError::Checkpoint { office, source })
}

/// What a checkpoint says that was signed with the key beside it; `None` where one of the two cannot be read.
pub fn signed(data: &Data, office: Uuid, note: &[u8]) -> Option<Checkpoint> {
    let key = read(&data.office("log.key"), &data.office("log")).ok()??;
    let signed = SignedCheckpoint::open(std::str::from_utf8(note).ok()?, office, &key.verifying_key());
    signed.ok().map(|signed| signed.checkpoint())
}

fn read_or_make(path: &Path, log: &Path) -> Result<SigningKey, ServerError> {
    if let Some(key) = read(path, log)? {
        return Ok(key);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(ServerError::Random)?;
    write_private(path, &seed)?;
    Ok(SigningKey::from_bytes(&seed))
}

/// None where nothing was ever signed.
fn read(path: &Path, log: &Path) -> Result<Option<SigningKey>, ServerError> {
    let unreadable = |cause: &str| ServerError::Unreadable {
        path: path.to_owned(),
        what: "the key of the log",
        cause: cause.to_owned(),
    };
    match std::fs::read(path) {
        Ok(bytes) => {
            let seed: Result<[u8; 32], _> = bytes.try_into();
            let seed = seed.map_err(|_| unreadable("it does not have 32 bytes"))?;
            Ok(Some(SigningKey::from_bytes(&seed)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match log.join("checkpoint").exists() {
            true => Err(unreadable("it is missing, and checkpoints were signed with it")),
            false => Ok(None),
        },
        Err(error) => Err(ServerError::file("read", path)(error)),
    }
}
