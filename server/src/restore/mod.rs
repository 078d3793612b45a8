//! Restoring a data folder: whole into an empty place, or mended where a log of the same office is damaged or short. An
//! office that a folder lost is put back beside the others.
//!
//! Everything is verified before anything is put in its place, and what was there is set aside, never deleted.

mod mend;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use renaksi_ledger::{LogBuilder, LogReader};
use uuid::Uuid;

use crate::backup::{BackupError, Contents, Item, Reader};
use crate::behind::{self, Gap};
use crate::catalog::{self, Listed};
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

/// What became of one office of a backup.
#[derive(Debug)]
pub struct Outcome {
    pub office: Uuid,
    pub name: String,
    /// Of one that failed nothing was changed.
    pub restored: Result<Restored, ServerError>,
}

/// An office in a backup.
#[derive(Clone, Copy, Debug)]
struct OfOffice<'a> {
    reader: &'a Reader,
    contents: &'a Contents,
}

/// Restores the offices of a backup, or the one that is named, into a data folder. An empty folder gets all of them or
/// none. In one that is not empty each is mended for itself: what is wrong with one keeps no other from being restored.
///
/// # Errors
/// [`BackupError`]; a server that runs on the folder. Nothing was changed then.
pub fn restore(backup: &Path, data: &Data, office: Option<&str>) -> Result<Vec<Outcome>, ServerError> {
    let reader = Reader::open(backup)?;
    // Everything is read and hashed before the first byte is written.
    let contents = reader.contents()?;
    let chosen = chosen(&contents, data, office)?;
    if is_empty(data.dir())? {
        return fresh(&reader, &chosen, data);
    }
    let _lock = lock(data)?;
    let one = |contents: &Contents| {
        let (office, name) = (contents.office, contents.office_name.clone());
        Outcome { office, name, restored: into_server(OfOffice { reader: &reader, contents }, data) }
    };
    Ok(chosen.into_iter().map(one).collect())
}

/// The offices that are meant: all, or the one of that id or name.
fn chosen<'a>(
    contents: &'a [Contents],
    data: &Data,
    office: Option<&str>,
) -> Result<Vec<&'a Contents>, ServerError> {
    let Some(wanted) = office else { return Ok(contents.iter().collect()) };
    let listed = |contents: &Contents| Listed {
        id: contents.office,
        name: contents.office_name.clone(),
        rehearsal: contents.rehearsal,
        data: data.clone(),
    };
    let listed: Vec<Listed> = contents.iter().map(listed).collect();
    let meant = catalog::meant(&listed, wanted)?.id;
    Ok(contents.iter().filter(|contents| contents.office == meant).collect())
}

/// Held while offices are put into a folder: one that is closed has no other lock. Where no server ever ran there is none
/// to keep away.
fn lock(data: &Data) -> Result<Option<File>, ServerError> {
    match data.was_served() {
        true => data.lock().map(Some),
        false => Ok(None),
    }
}

/// Puts one office into a folder that is not empty.
fn into_server(backup: OfOffice<'_>, data: &Data) -> Result<Restored, ServerError> {
    let contents = backup.contents;
    if !contents.added {
        return mend::from_backup(backup, &data.first());
    }
    // What offices share is not in its part of a backup.
    match data.first().server_file() {
        Err(ServerError::NoOffice(_)) => return Err(needs_server(backup)),
        Err(ServerError::Unreadable { .. }) | Ok(_) => {}
        Err(error) => return Err(error),
    }
    let place = data.added(contents.office);
    match place.office("").exists() {
        true => mend::from_backup(backup, &place),
        false => back_again(backup, &place),
    }
}

fn needs_server(backup: OfOffice<'_>) -> ServerError {
    let (source_path, office) = (backup.reader.path().to_owned(), backup.contents.office);
    BackupError::NeedsServer { source_path, office }.into()
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
fn fresh(reader: &Reader, chosen: &[&Contents], data: &Data) -> Result<Vec<Outcome>, ServerError> {
    if let Some(contents) = chosen.first()
        && chosen.iter().all(|contents| contents.added)
    {
        return Err(needs_server(OfOffice { reader, contents }));
    }
    let dir = std::path::absolute(data.dir()).map_err(ServerError::file("find", data.dir()))?;
    let parent = dir.parent().ok_or_else(|| BackupError::NotEmpty(dir.clone()))?;
    private_folder(parent)?;
    let building = Building(free_name(&dir, "restoring"));
    let inside = Data::new(&building.0);
    private_folder(&building.0)?;
    let place = |contents: &Contents| match contents.added {
        true => inside.added(contents.office),
        false => inside.clone(),
    };
    for contents in chosen {
        build(OfOffice { reader, contents }, &place(contents), |path| inside.dir().join(path))?;
    }
    // Only now: an office that was added is known with what the first one says.
    let outcome = |contents: &&Contents| {
        let checked = whole(&place(contents))?;
        let gap = still_missing(&place(contents), &checked)?;
        let restored = Restored { checked, how: How::Fresh, gap };
        let (office, name) = (contents.office, contents.office_name.clone());
        Ok(Outcome { office, name, restored: Ok(restored) })
    };
    let done = chosen.iter().map(outcome).collect::<Result<Vec<_>, ServerError>>()?;
    put_in_place(building, &dir, parent)?;
    Ok(done)
}

/// Puts an office back that the folder does not have any more, beside those that it has.
fn back_again(backup: OfOffice<'_>, place: &Data) -> Result<Restored, ServerError> {
    let (folder, all) = (place.office(""), place.offices());
    private_folder(&all)?;
    let building = Building(free_name(&place.folder(), "restoring"));
    let inside = place.at(&building.0);
    private_folder(&building.0)?;
    let root = place.dir().to_owned();
    build(backup, &inside, |path| {
        let path = root.join(path);
        building.0.join(path.strip_prefix(&folder).unwrap_or(&path))
    })?;
    let checked = whole(&inside)?;
    let gap = still_missing(&inside, &checked)?;
    put_in_place(building, &place.folder(), &all)?;
    Ok(Restored { checked, how: How::Fresh, gap })
}

fn put_in_place(building: Building, to: &Path, parent: &Path) -> Result<(), ServerError> {
    fs::rename(&building.0, to).map_err(ServerError::file("make", to))?;
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(ServerError::file("sync", parent))
}

/// Writes everything of an office: its log, and each file to where `place_of` says, by its path from the data folder.
fn build(backup: OfOffice<'_>, data: &Data, place_of: impl Fn(&str) -> PathBuf) -> Result<(), ServerError> {
    let OfOffice { reader, contents } = backup;
    let id = Data::log_id(contents.office);
    let failed = |source| ServerError::Log { id, source };
    let log = data.office("log");
    private_folder(&log)?;
    let mut parts = reader.parts(contents)?;
    let mut pieces = Vec::new();
    let mut builder = None;
    while let Some(item) = parts.next_item()? {
        match item {
            Item::File(piece) => {
                pieces.extend_from_slice(&piece.bytes);
                if piece.last {
                    write_private(&place_of(&piece.path), &std::mem::take(&mut pieces))?;
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
