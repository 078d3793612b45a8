//! A report's file: whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{ClientError, Rejected};
use crate::text;

/// Links that lead to links are followed this far, as the system does.
const LINKS_MAX: usize = 40;

/// Writes beside the file and puts it in place at once: nobody ever sees half a report. A link stays a link and its target
/// is written; what is no regular file is left alone.
///
/// # Errors
/// `IO_FAILED` with the path; the file that was there is as it was.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ClientError> {
    write(path, bytes).map_err(|error| {
        ClientError::Failed(Rejected::new("IO_FAILED").with("path", path.display()).with("cause", error))
    })
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let earlier = match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(io::Error::other(text::say("common.is_folder"))),
        Ok(there) if !there.is_file() => return Err(io::Error::other(text::say("common.not_a_file"))),
        Ok(there) => Some(there.permissions()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let target = target(path)?;
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = target.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = fresh(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| earlier.map_or(Ok(()), |permissions| fs::set_permissions(&beside, permissions)))
        .and_then(|()| fs::rename(&beside, &target));
    written.inspect_err(|_| {
        // What is left of a failed write is of no use; the failure itself is what gets told.
        let _ = fs::remove_file(&beside);
    })
}

/// Nothing that lies in the way is followed or opened.
fn fresh(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// The file that a path means, behind every link.
fn target(path: &Path) -> io::Result<PathBuf> {
    let mut at = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::symlink_metadata(&at) {
            Ok(there) if there.is_symlink() => {
                let link = fs::read_link(&at)?;
                at = at.parent().unwrap_or(Path::new("")).join(link);
            }
            Ok(_) => return Ok(at),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(at),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from(ErrorKind::InvalidInput))
}
