//! The names of backups in a folder, and how many stay.

use std::fs;
use std::path::{Path, PathBuf};

use renaksi_domain::time::Timestamp;
use renaksi_ledger::Disk;
use uuid::Uuid;

use super::Contents;
use crate::error::ServerError;

const SUFFIX: &str = ".backup";

/// Whose a backup is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    One(Uuid),
    /// All offices of the server that `init` made with this one.
    All(Uuid),
}

/// `renaksi-OFFICE-TIME-POSITION.backup`, with `all-` before the office where it is of several, and all their positions
/// added up: names of the same offices sort as the backups were made.
pub(super) fn name(of: Of, offices: &[Contents]) -> String {
    let made_at = offices.iter().map(|office| office.made_at_us).max().unwrap_or_default();
    let position: u64 = offices.iter().map(|office| office.head.size).sum();
    let time: String =
        Timestamp(made_at).rfc3339().chars().filter(|character| !matches!(character, '-' | ':')).collect();
    format!("{}{time}-{position:012}{SUFFIX}", prefix(of))
}

fn prefix(of: Of) -> String {
    match of {
        Of::One(office) => format!("renaksi-{office}-"),
        Of::All(first) => format!("renaksi-all-{first}-"),
    }
}

/// Removes the oldest backups of the same offices beyond `keep`, oldest first. Files with other names are left alone.
pub(super) fn remove_oldest(
    disk: &Disk,
    folder: &Path,
    of: Of,
    keep: usize,
) -> Result<Vec<PathBuf>, ServerError> {
    let prefix = prefix(of);
    let mut ours = Vec::new();
    for entry in fs::read_dir(folder).map_err(ServerError::file("list", folder))? {
        let name = entry.map_err(ServerError::file("list", folder))?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(SUFFIX) {
            ours.push(folder.join(&*name));
        }
    }
    ours.sort_unstable();
    ours.truncate(ours.len().saturating_sub(keep));
    for path in &ours {
        disk.remove(path).map_err(ServerError::disk)?;
    }
    Ok(ours)
}
