//! The names of backups in a folder, and how many stay.

use std::fs;
use std::path::{Path, PathBuf};

use renaksi_domain::time::Timestamp;
use renaksi_ledger::Disk;
use uuid::Uuid;

use crate::error::ServerError;

const SUFFIX: &str = ".backup";

/// `renaksi-OFFICE-TIME-POSITION.backup`: names of one office sort as the backups were made.
pub(super) fn name(office: Uuid, made_at_us: i64, position: u64) -> String {
    let time: String =
        Timestamp(made_at_us).rfc3339().chars().filter(|character| !matches!(character, '-' | ':')).collect();
    format!("{}{time}-{position:012}{SUFFIX}", prefix(office))
}

fn prefix(office: Uuid) -> String {
    format!("renaksi-{office}-")
}

/// Removes the oldest backups of the office beyond `keep`, oldest first. Files with other names are left alone.
pub(super) fn remove_oldest(
    disk: &Disk,
    folder: &Path,
    office: Uuid,
    keep: usize,
) -> Result<Vec<PathBuf>, ServerError> {
    let prefix = prefix(office);
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
