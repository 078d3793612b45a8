//! Reads a file that somebody names on the command line.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::error::{ClientError, Rejected};
use crate::text;

/// Reads no more than one byte over the limit: what has no end (a device, a pipe) ends there too.
///
/// # Errors
/// Exit 2 `FILE_NOT_FOUND`; exit 1 `IO_FAILED`.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ClientError> {
    let about = |code| Rejected::new(code).with("path", path.display());
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => ClientError::NotUnderstood(about("FILE_NOT_FOUND")),
        _ => ClientError::Failed(about("IO_FAILED").with("cause", error)),
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        let cause = about("IO_FAILED").with("cause", text::say("common.is_folder"));
        return Err(ClientError::Failed(cause));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
