//! Mending a log: the longest verified history that the folder and a source have together.
//!
//! A record of the folder's own log is taken where it is whole, because texts may have been erased there since; the source
//! fills the gaps and what is missing at the end. Every tree that the folder's headers and head slots vouch for, and every
//! whole commit, must be in the result by hash, or nothing is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use renaksi_ledger::{
    Checkpoint, Claim, Commit, Commits, Error, Found, Head, LogBuilder, LogId, LogKind, LogReader, claims,
    exchange, hold, salvage, verify,
};

use super::{Building, How, Mended, OfOffice, Restored, free_name, lock, still_missing, whole};
use crate::authority;
use crate::backup::{BackupError, Contents, Item, Parts};
use crate::data::{Data, private_folder, read_json, write_private};
use crate::error::ServerError;
use crate::log_key;
use crate::office;

/// Where the records come from that the folder lacks.
struct Source<'a> {
    path: &'a Path,
    head: Head,
    commits: Box<dyn FnMut() -> Result<Option<Commit>, ServerError> + 'a>,
}

/// Mends from a backup; the folder is not empty.
pub(super) fn from_backup(backup: OfOffice<'_>, data: &Data) -> Result<Restored, ServerError> {
    let OfOffice { reader, contents } = backup;
    let own = match data.server_file() {
        Ok(file) => Some(file.office),
        Err(ServerError::Unreadable { .. }) => None,
        Err(ServerError::NoOffice(_)) if data.has_log() => None,
        Err(ServerError::NoOffice(dir)) => return Err(BackupError::NotEmpty(dir).into()),
        Err(error) => return Err(error),
    };
    let own = own.map_or_else(|| office_of(data, contents), Ok)?;
    if own != contents.office {
        return Err(other_office(reader.path(), data, contents.office, own));
    }
    let mut parts: Parts<'_> = reader.parts(contents)?;
    let source =
        Source { path: reader.path(), head: contents.head, commits: Box::new(move || parts.next_commit()) };
    mend(data, Data::log_id(own), source, Some(backup))
}

/// Without a readable `server.json` the log says whose it is.
fn office_of(data: &Data, contents: &Contents) -> Result<uuid::Uuid, ServerError> {
    let id = Data::log_id(contents.office);
    match claims(&data.office("log"), &id) {
        Ok(_) => Ok(contents.office),
        Err(Error::Foreign { found, .. }) => Ok(found.office),
        Err(source) => Err(ServerError::Log { id, source }),
    }
}

fn other_office(source: &Path, data: &Data, theirs: uuid::Uuid, ours: uuid::Uuid) -> ServerError {
    let dir = data.dir().to_owned();
    BackupError::OtherOffice { source_path: source.to_owned(), dir, theirs, ours }.into()
}

/// Mends from a device's copy of the log: the device's folder, or `replica` in it.
///
/// # Errors
/// [`BackupError`]; the folder's log in use. Nothing was changed then.
pub fn from_replica(replica: &Path, data: &Data) -> Result<Restored, ServerError> {
    let _lock = lock(data)?;
    let id = Data::log_id(data.server_file()?.office);
    let inside = replica.join("replica");
    let folder = if inside.is_dir() { inside } else { replica.to_owned() };
    let theirs = LogId { office: id.office, kind: LogKind::Replica };
    let reader = match LogReader::open_read_only(&folder, &theirs) {
        Ok(reader) => reader,
        Err(Error::NotFound { .. }) => return Err(BackupError::NoReplica(replica.to_owned()).into()),
        Err(Error::Foreign { found, .. }) if found.kind != LogKind::Replica => {
            return Err(BackupError::NoReplica(replica.to_owned()).into());
        }
        Err(Error::Foreign { found, .. }) => {
            return Err(other_office(replica, data, found.office, id.office));
        }
        Err(source) => return Err(ServerError::Log { id: theirs, source }),
    };
    let failed = move |source| ServerError::Log { id: theirs, source };
    // All of it is hashed before anything is written.
    let _ = verify(&reader).map_err(failed)?;
    let mut commits: Commits = reader.iter(1);
    let source = Source {
        path: replica,
        head: reader.head(),
        commits: Box::new(move || commits.next().transpose().map_err(failed)),
    };
    mend(data, id, source, None)
}

fn mend(
    data: &Data,
    id: LogId,
    source: Source<'_>,
    backup: Option<OfOffice<'_>>,
) -> Result<Restored, ServerError> {
    let failed = |source| ServerError::Log { id, source };
    let log = data.office("log");
    private_folder(&data.office(""))?;
    let _hold = hold(&log).map_err(failed)?;
    let own = whole_log(&log, &id);
    let signed = signed_claim(data, id);
    let holds_what_was_signed = |own: &LogReader| match signed {
        Some(claim) => own.root_at(claim.size).is_ok_and(|root| root == Some(claim.root)),
        None => true,
    };
    let has_all = |own: &&LogReader| own.head().size >= source.head.size && holds_what_was_signed(own);
    if let Some(own) = own.as_ref().filter(has_all) {
        return match own.root_at(source.head.size).map_err(failed)? == Some(source.head.root) {
            true => already_whole(data, own, id, backup),
            false => Err(diverged(source.path, data, source.head.size)),
        };
    }
    let building = Building(free_name(&log, "aside"));
    private_folder(&building.0)?;
    let path = source.path.to_owned();
    let mut merge = Merge::begin(&log, &building.0, id, source)?;
    merge.claims.extend(signed);
    merge.run(&log).map_err(|misfit| misfit.told(&path, data))?;
    let (head, mut mended) = merge.finish().map_err(|misfit| misfit.told(&path, data))?;
    // Folded too: what cannot be folded does not take the damaged log's place.
    let reader = LogReader::open_read_only(&building.0, &id).map_err(failed)?;
    let checked = office::check(&reader, id, None)?;
    assert_eq!(
        (checked.position, checked.root),
        (head.size, head.root),
        "BUG: the log is not what was built"
    );
    if let Some(backup) = backup {
        // A log that was short, and not damaged, was an older copy: so are the files beside it.
        mended.files = restore_files(backup, data, id.office, own.is_some())?;
    }
    office::same_flag(data, &data.server_file()?, checked.rehearsal)?;
    // What was signed stays signed, whatever becomes of the log that lay beside it.
    match fs::read(log.join(CHECKPOINT)) {
        Ok(note) => write_private(&building.0.join(CHECKPOINT), &note)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(ServerError::file("read", log.join(CHECKPOINT))(error)),
    }
    exchange(&building.0, &log).map_err(failed)?;
    mended.log_set_aside = building.keep();
    let gap = still_missing(data, &checked)?;
    Ok(Restored { checked, how: How::Mended(mended), gap })
}

/// In the log's folder.
const CHECKPOINT: &str = "checkpoint";

/// What the checkpoint in the folder proves to have been durable.
fn signed_claim(data: &Data, id: LogId) -> Option<Claim> {
    let note = fs::read(data.office("log").join(CHECKPOINT)).ok()?;
    let Checkpoint { size, epoch, root, .. } = log_key::signed(data, id.office, &note)?;
    (size > 0).then_some(Claim { size, epoch, root })
}

/// The folder's own log, if nothing is wrong with it.
fn whole_log(log: &Path, id: &LogId) -> Option<LogReader> {
    let reader = LogReader::open_read_only(log, id).ok()?;
    verify(&reader).is_ok().then_some(reader)
}

/// The log has all that the source has; a file beside it may still be missing or damaged.
fn already_whole(
    data: &Data,
    own: &LogReader,
    id: LogId,
    backup: Option<OfOffice<'_>>,
) -> Result<Restored, ServerError> {
    let files = backup.map_or(Ok(Vec::new()), |backup| restore_files(backup, data, id.office, false))?;
    let checked = office::check(own, id, None)?;
    let checked = match files.is_empty() {
        true => checked,
        false => whole(data)?,
    };
    let how = match files.is_empty() {
        true => How::AlreadyWhole,
        false => How::Mended(Mended { kept: checked.position, files, ..Mended::default() }),
    };
    let gap = still_missing(data, &checked)?;
    Ok(Restored { checked, how, gap })
}

fn diverged(source: &Path, data: &Data, position: u64) -> ServerError {
    BackupError::Diverged { source_path: source.to_owned(), dir: data.dir().to_owned(), position }.into()
}

/// Why source and folder do not come to one log.
enum Misfit {
    Diverged { position: u64 },
    TooShort { proven: u64, reached: u64 },
    Failed(ServerError),
}

impl From<ServerError> for Misfit {
    fn from(error: ServerError) -> Misfit {
        Misfit::Failed(error)
    }
}

impl Misfit {
    fn told(self, source: &Path, data: &Data) -> ServerError {
        let (source_path, dir) = (source.to_owned(), data.dir().to_owned());
        match self {
            Misfit::Diverged { position } => diverged(source, data, position),
            Misfit::TooShort { proven, reached } => {
                BackupError::TooShort { source_path, dir, proven, reached }.into()
            }
            Misfit::Failed(error) => error,
        }
    }
}

/// Puts a log together from the folder's whole commits and the source's.
struct Merge<'a> {
    id: LogId,
    builder: LogBuilder,
    source: Source<'a>,
    /// What the result must contain and does not yet.
    claims: BTreeSet<Claim>,
    /// The epoch that the folder's log had reached by here.
    epoch: u32,
    mended: Mended,
}

impl<'a> Merge<'a> {
    fn begin(log: &Path, building: &Path, id: LogId, source: Source<'a>) -> Result<Merge<'a>, ServerError> {
        let failed = |source| ServerError::Log { id, source };
        let claims: BTreeSet<Claim> = claims(log, &id).map_err(failed)?.into_iter().collect();
        // The first epoch of every office.
        let epoch = claims.first().filter(|claim| claim.size == 0).map_or(1, |claim| claim.epoch);
        let builder = LogBuilder::create(building, id, epoch).map_err(failed)?;
        let claims = claims.into_iter().filter(|claim| claim.size > 0).collect();
        Ok(Merge { id, builder, source, claims, epoch, mended: Mended::default() })
    }

    fn run(&mut self, log: &Path) -> Result<(), Misfit> {
        let mut misfit = None;
        let salvaged = salvage(log, &{ self.id }, |found| match found {
            _ if misfit.is_some() => {}
            Found::Commit(commit) => misfit = self.own(commit).err(),
            Found::Damage { file, offset, bytes, position, cause } => {
                let file = file.display();
                let damage =
                    format!("{file}: {bytes} bytes from byte {offset}, position {position}: {cause}");
                self.mended.damage.push(damage);
            }
        });
        match (misfit, salvaged) {
            (Some(misfit), _) => return Err(misfit),
            // Nothing is there to take anything from.
            (None, Ok(()) | Err(Error::NotFound { .. })) => {}
            (None, Err(source)) => return Err(Misfit::Failed(ServerError::Log { id: self.id, source })),
        }
        self.fill(u64::MAX)
    }

    /// Takes a whole commit of the folder's own log, once the source has filled what lies before it.
    fn own(&mut self, commit: Commit) -> Result<(), Misfit> {
        self.fill(commit.first - 1)?;
        let claim = Claim { size: commit.size_after, epoch: commit.epoch, root: commit.root_after };
        if commit.first == self.builder.head().size + 1 {
            self.claims.insert(claim);
            let records = commit.entries.len() as u64;
            match self.push(commit) {
                // It may be the source that has it as it was. If not, the claim stays open.
                Err(Misfit::Failed(ServerError::Log { source: Error::RootMismatch { .. }, .. })) => {}
                pushed => {
                    pushed?;
                    self.mended.kept += records;
                }
            }
        } else if commit.size_after > self.builder.head().size {
            self.claims.insert(claim);
        }
        Ok(())
    }

    /// Takes commits of the source until the log reaches `size`, or the source ends.
    fn fill(&mut self, size: u64) -> Result<(), Misfit> {
        while self.builder.head().size < size {
            let Some(commit) = (self.source.commits)()? else { return Ok(()) };
            if commit.size_after <= self.builder.head().size {
                continue;
            }
            if commit.first != self.builder.head().size + 1 {
                return Err(Misfit::Diverged { position: commit.size_after });
            }
            let (records, position) = (commit.entries.len() as u64, commit.size_after);
            self.push(commit).map_err(|misfit| match misfit {
                // The source was verified, so it is the folder's part that another history made.
                Misfit::Failed(ServerError::Log { source: Error::RootMismatch { .. }, .. }) => {
                    Misfit::Diverged { position }
                }
                misfit => misfit,
            })?;
            self.mended.restored += records;
        }
        Ok(())
    }

    fn push(&mut self, mut commit: Commit) -> Result<(), Misfit> {
        commit.epoch = commit.epoch.max(self.epoch);
        self.builder.push(&commit).map_err(|source| ServerError::Log { id: self.id, source })?;
        let head = self.builder.head();
        while let Some(claim) = self.claims.first().copied().filter(|claim| claim.size <= head.size) {
            if (claim.size, claim.root) != (head.size, head.root) {
                return Err(Misfit::Diverged { position: claim.size });
            }
            self.epoch = self.epoch.max(claim.epoch);
            self.claims.remove(&claim);
        }
        Ok(())
    }

    fn finish(self) -> Result<(Head, Mended), Misfit> {
        let reached = self.builder.head().size;
        if let Some(claim) = self.claims.last() {
            return Err(Misfit::TooShort { proven: claim.size, reached });
        }
        let epoch = self.epoch.max(self.builder.head().epoch).max(self.source.head.epoch);
        let head = self.builder.finish(epoch).map_err(|source| ServerError::Log { id: self.id, source })?;
        Ok((head, self.mended))
    }
}

/// Puts back files that are missing or cannot be read, and with `older` those of the office that differ. What was there
/// is set aside. Answers which, by their paths from the data folder.
///
/// If we crash in here: each file is the old or the restored one, whole.
fn restore_files(
    backup: OfOffice<'_>,
    data: &Data,
    office: uuid::Uuid,
    older: bool,
) -> Result<Vec<String>, ServerError> {
    let authority_is_whole = authority::load(&data.authority()).is_ok();
    let (mut restored, mut bytes) = (Vec::new(), Vec::new());
    let mut parts = backup.reader.parts(backup.contents)?;
    while let Some(Item::File(piece)) = parts.next_item()? {
        bytes.extend_from_slice(&piece.bytes);
        if !piece.last {
            continue;
        }
        let bytes = std::mem::take(&mut bytes);
        let path = data.dir().join(&piece.path);
        let of_authority = path.starts_with(data.authority());
        let of_log = path.starts_with(data.office("log"));
        let reaches = |note: &[u8]| log_key::signed(data, office, note).map(|signed| signed.size);
        let there = fs::read(&path);
        let stays = match &there {
            Err(_) => false,
            Ok(there) if *there == bytes => true,
            Ok(_) if of_authority => authority_is_whole,
            // A checkpoint never goes back.
            Ok(there) if of_log => reaches(there).is_some() && reaches(there) >= reaches(&bytes),
            Ok(_) if older && path.starts_with(data.office("")) => false,
            Ok(_) => is_readable(&path),
        };
        if stays {
            continue;
        }
        let aside: PathBuf = free_name(&path, "aside");
        match there {
            // A copy, so that one of the two is under the name at every moment.
            Ok(there) => write_private(&aside, &there)?,
            Err(_) if path.exists() => {
                fs::rename(&path, &aside).map_err(ServerError::file("set aside", &path))?;
            }
            Err(_) => {}
        }
        write_private(&path, &bytes)?;
        restored.push(piece.path);
    }
    Ok(restored)
}

/// Only of files whose form is known it can be said that they are damaged.
fn is_readable(path: &Path) -> bool {
    let json = path.extension().is_some_and(|extension| extension == "json");
    !json || read_json::<serde_json::Value>(path).is_ok()
}
