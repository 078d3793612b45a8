//! Restoring a data folder: whole into an empty place, or mended where a log of the same office is damaged or short.
//!
//! Everything is verified before anything is put in its place, and what was there is set aside, never deleted.

mod mend;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use renaksi_ledger::{LogBuilder, LogReader};

use crate::backup::{BackupError, Item, Reader};
use crate::behind::{self, Gap};
use crate::data::{Data, private_folder, write_private};
use crate::error::ServerError;
use crate::office::{self, Checked};

pub use mend::from_replica;

/// What a restore did.
#[derive(Clone, Debug)]
#[must_use = "say what was done, and what was set aside"]
pub struct Restored {
    /// What the folder now holds, verified and folded.
    pub checked: Checked,
    pub how: How,
    /// What was signed and is still missing: the office goes on taking no writes.
    pub gap: Option<Gap>,
}

/// How a folder came to be whole.
#[derive(Clone, Debug)]
pub enum How {
    /// It was empty.
    Fresh,
    /// It already had all that the source has.
    AlreadyWhole,
    Mended(Mended),
}

/// Where the records of a mended log came from.
#[derive(Clone, Debug, Default)]
pub struct Mended {
    /// Records that the damaged log still had.
    pub kept: u64,
    /// Records that only the source had.
    pub restored: u64,
    /// Each damage that was found, in words.
    pub damage: Vec<String>,
    /// Where the damaged log is now.
    pub log_set_aside: PathBuf,
    /// Files that came from the backup.
    pub files: Vec<String>,
}

/// Restores a backup into a data folder.
///
/// # Errors
/// [`BackupError`]; the folder's log in use. Nothing was changed then.
pub fn restore(backup: &Path, data: &Data) -> Result<Restored, ServerError> {
    let reader = Reader::open(backup)?;
    // Everything is read and hashed before the first byte is written.
    let contents = reader.contents()?;
    match is_empty(data.dir())? {
        true => fresh(&reader, data),
        false => mend::from_backup(&reader, &contents, data),
    }
}

fn is_empty(dir: &Path) -> Result<bool, ServerError> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(ServerError::file("list", dir)(error)),
    }
}

/// A folder that goes again unless it is put in its place.
struct Building(PathBuf);

impl Building {
    /// Its name is another folder's now.
    fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // Once it is in its place there is nothing here.
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Builds the folder beside its place, and gives it its name when all of it is there. If we crash before: there is a
/// folder that ends in `.restoring-N`, and nothing reads it.
fn fresh(reader: &Reader, data: &Data) -> Result<Restored, ServerError> {
    let dir = std::path::absolute(data.dir()).map_err(ServerError::file("find", data.dir()))?;
    let parent = dir.parent().ok_or_else(|| BackupError::NotEmpty(dir.clone()))?;
    private_folder(parent)?;
    let building = Building(free_name(&dir, "restoring"));
    let inside = Data::new(&building.0);
    private_folder(&building.0)?;
    build(reader, &inside)?;
    let checked = whole(&inside)?;
    fs::rename(&building.0, &dir).map_err(ServerError::file("make", &dir))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(ServerError::file("sync", parent))?;
    let gap = still_missing(data, &checked)?;
    Ok(Restored { checked, how: How::Fresh, gap })
}

/// Writes everything of a backup into an empty folder.
fn build(reader: &Reader, data: &Data) -> Result<(), ServerError> {
    let contents = reader.contents()?;
    let id = Data::log_id(contents.office);
    let failed = |source| ServerError::Log { id, source };
    let log = data.office("log");
    private_folder(&log)?;
    let mut parts = reader.parts()?;
    let mut pieces = Vec::new();
    let mut builder = None;
    while let Some(item) = parts.next_item()? {
        match item {
            Item::File(piece) => {
                pieces.extend_from_slice(&piece.bytes);
                if piece.last {
                    write_private(&data.dir().join(&piece.path), &std::mem::take(&mut pieces))?;
                }
            }
            Item::Commit(commit) => {
                let builder = match &mut builder {
                    Some(builder) => builder,
                    None => builder.insert(LogBuilder::create(&log, id, commit.epoch).map_err(failed)?),
                };
                builder.push(&commit).map_err(failed)?;
            }
        }
    }
    if let Some(builder) = builder {
        builder.finish(contents.head.epoch).map_err(failed)?;
    }
    Ok(())
}

/// Verifies and folds what a folder holds, as `check` does.
fn whole(data: &Data) -> Result<Checked, ServerError> {
    let file = data.server_file()?;
    let id = Data::log_id(file.office);
    let reader = LogReader::open_read_only(&data.office("log"), &id);
    let checked = office::check(&reader.map_err(|source| ServerError::Log { id, source })?, id, None)?;
    office::same_flag(data, &file, checked.rehearsal)?;
    Ok(checked)
}

/// Takes away the mark of an office that lacks nothing any more, and says what it still lacks.
fn still_missing(data: &Data, checked: &Checked) -> Result<Option<Gap>, ServerError> {
    let id = Data::log_id(checked.office);
    let reader = LogReader::open_read_only(&data.office("log"), &id);
    behind::settle(data, &reader.map_err(|source| ServerError::Log { id, source })?, checked)
}

/// `NAME.WORD-N` beside a file or folder, with the first N that is free.
fn free_name(path: &Path, word: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (1..)
        .map(|n| path.with_file_name(format!("{name}.{word}-{n}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| unreachable!("BUG: the numbers have no end"))
}
