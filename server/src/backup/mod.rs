//! A backup: one file with everything of a data folder that cannot be rebuilt, of each office as of one moment.
//!
//! Offices know nothing of each other, so each has its own moment, and one at a time is read: memory does not grow with
//! their number. What they share, certificate and settings, is with the one that `init` made. The log comes as its commits up to the head of that moment. Index, snapshots and sockets are left out: a server makes
//! them anew. Every other file of the folder is in, also one of a kind that this code does not know.

mod error;
mod file;
mod folder;
mod names;
mod parts;

use std::path::{Path, PathBuf};

use renaksi_ledger::merkle::{Frontier, Hash, leaf_hash};
use renaksi_ledger::{Commit, Disk, Entry, Head, Log, LogOptions};
use renaksi_proto::backup::part::Part as Kind;
use renaksi_proto::backup::{self as message, Part};
use renaksi_proto::clock::Clock;
use renaksi_proto::wire::host_client::HostClient;
use renaksi_proto::{convert, wire};
use tonic::transport::Channel;
use uuid::Uuid;

use crate::catalog;
use crate::check::running;
use crate::data::Data;
use crate::error::ServerError;
use crate::office::open_log;
use crate::services::host::from_status;

pub use error::BackupError;
pub(crate) use file::{Format, Reader, Writer};
pub(crate) use folder::{Taken, is_in};
pub(crate) use parts::{Item, Parts};

/// The longest commit of a log, and what its parts cost beside it.
pub(crate) const PART_BYTES_MAX: usize = 80 << 20;

/// A backup that was made, and read back.
#[derive(Clone, Debug)]
#[must_use = "say where it is and how far it reaches"]
pub struct Made {
    pub file: PathBuf,
    /// Of the file.
    pub bytes: u64,
    pub offices: Vec<Contents>,
    /// Older ones that were removed, oldest first.
    pub removed: Vec<PathBuf>,
}

/// What a backup holds of an office, once all of it was read and hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    pub office: Uuid,
    pub office_name: String,
    pub rehearsal: bool,
    /// Microseconds since 1970.
    pub made_at_us: i64,
    /// Paths from the data folder.
    pub files: Vec<String>,
    pub head: Head,
    /// It was added to a server: what offices share is not with it.
    pub added: bool,
    /// Where in the file its parts begin.
    pub(crate) at: u64,
}

/// Backs up the offices of a data folder, or the one that is named, into `target`: a file that is not there yet, or a
/// folder, in which it gets a name of its own. In a folder, `keep` is how many backups of the same offices stay.
///
/// If we crash in here: there is at most a file that ends in `.new`, which the next backup removes, and no older backup is
/// missing unless this one is in its place.
///
/// # Errors
/// [`BackupError::Exists`]; what reading the folder gives; what reading the backup back gives.
pub async fn backup(
    data: &Data,
    office: Option<&str>,
    target: &Path,
    keep: Option<u32>,
) -> Result<Made, ServerError> {
    backup_on(&Disk::default(), data, office, target, keep).await
}

/// As [`backup`], written to a disk that may be watched.
pub async fn backup_on(
    disk: &Disk,
    data: &Data,
    office: Option<&str>,
    target: &Path,
    keep: Option<u32>,
) -> Result<Made, ServerError> {
    let offices = match office {
        Some(_) => vec![catalog::choose(data, office)?],
        None => all_of(data)?,
    };
    let first = offices[0].server_file()?.office;
    let in_folder = target.is_dir();
    match keep {
        Some(0) => return Err(ServerError::Usage("--keep needs at least 1".into())),
        Some(_) if !in_folder => {
            let target = target.display();
            return Err(ServerError::Usage(format!("--keep needs a folder, and {target} is none")));
        }
        _ => {}
    }
    let alone = offices.len() == 1;
    // Any release can restore the only office of a server.
    let format = if alone && !offices[0].is_added() { Format::OneOffice } else { Format::Offices };
    let mut writer = Writer::create(disk, target, format)?;
    for office in &offices {
        match running(data).await {
            Some(client) => from_server(client, office.server_file()?.office, &mut writer).await?,
            None => tokio::task::block_in_place(|| from_folder(office, &mut writer))?,
        }
    }
    let written = tokio::task::block_in_place(|| writer.finish())?;
    // Nobody is told of a backup that was not read back.
    let contents = tokio::task::block_in_place(|| Reader::open(written.path())?.contents())?;
    let bytes = std::fs::metadata(written.path()).map_err(ServerError::file("read", written.path()))?.len();
    let of = if alone { names::Of::One(first) } else { names::Of::All(first) };
    let file = match in_folder {
        true => target.join(names::name(of, &contents)),
        false => target.to_owned(),
    };
    written.put_in_place(&file)?;
    let removed = match keep {
        Some(keep) => names::remove_oldest(disk, target, of, keep as usize)?,
        None => Vec::new(),
    };
    Ok(Made { file, bytes, offices: contents, removed })
}

/// The folder as each of its offices sees it; the one that `init` made first.
fn all_of(data: &Data) -> Result<Vec<Data>, ServerError> {
    let first = data.first();
    // Without a server there is nothing to back up, whatever lies in the folder.
    first.server_file()?;
    let added = catalog::added(&first)?.into_iter().map(|id| first.added(id));
    Ok([first.clone()].into_iter().chain(added).collect())
}

/// A running server reads an office for us, whether it is open or not.
async fn from_server(
    mut client: HostClient<Channel>,
    office: Uuid,
    writer: &mut Writer,
) -> Result<(), ServerError> {
    let request = wire::BackupRequest { office: office.as_bytes().to_vec() };
    let refused = |status| from_status(&status);
    let mut parts = client.backup(request).await.map_err(refused)?.into_inner();
    while let Some(part) = parts.message().await.map_err(refused)? {
        if let Some(Kind::Start(start)) = &part.part
            && start.office != office.as_bytes()
        {
            // That of the release before knows one office only.
            let cause = "the running server is of an older release, and backs up another office";
            return Err(ServerError::Usage(format!("{cause}; stop it first, or start this release's")));
        }
        tokio::task::block_in_place(|| writer.put(&part))?;
    }
    Ok(())
}

/// Without a running server we are the log's only writer while this lasts.
fn from_folder(data: &Data, writer: &mut Writer) -> Result<(), ServerError> {
    let file = data.server_file()?;
    let id = Data::log_id(file.office);
    let log = match open_log(data, id, LogOptions::default()) {
        Err(renaksi_ledger::Error::NotFound { .. }) => return Err(data.no_records(&file)),
        opened => opened.map_err(|source| ServerError::Log { id, source })?,
    };
    let taken = Taken::take(data, log.reader(), id, Clock::System.now())?;
    taken.send(&mut |part| writer.put(&part))?;
    Log::close(log).map_err(|source| ServerError::Log { id, source })
}

/// A commit as a backup has it.
pub(crate) fn commit_to(commit: Commit) -> Part {
    let entry = |entry: Entry| message::Entry { leaf: entry.leaf, aside: entry.aside };
    let records = commit.entries.into_iter().map(entry).collect();
    let root_after = commit.root_after.to_vec();
    let stored = message::Commit { first: commit.first, records, root_after, epoch: commit.epoch };
    Part { part: Some(Kind::Commit(stored)) }
}

/// `None` when it has no records or no root.
pub(crate) fn commit_from(stored: message::Commit) -> Option<Commit> {
    let entry = |entry: message::Entry| Entry { leaf: entry.leaf, aside: entry.aside };
    let entries: Vec<Entry> = stored.records.into_iter().map(entry).collect();
    let size_after = stored.first.checked_add(entries.len() as u64)?.checked_sub(1)?;
    let root_after = stored.root_after.try_into().ok()?;
    (stored.first > 0 && !entries.is_empty()).then_some(Commit {
        first: stored.first,
        entries,
        size_after,
        root_after,
        epoch: stored.epoch,
    })
}

/// Hashes commits as they pass, so that none passes that does not continue those before it.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    frontier: Frontier,
    epoch: u32,
}

impl Hashed {
    /// False when the commit does not continue the others, or does not hash to its own root.
    #[must_use]
    pub(crate) fn follows(&mut self, commit: &Commit) -> bool {
        if commit.first != self.frontier.size() + 1 || commit.epoch < self.epoch {
            return false;
        }
        commit.entries.iter().for_each(|entry| self.frontier.append(leaf_hash(&entry.leaf)));
        self.epoch = commit.epoch;
        self.frontier.root() == commit.root_after
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }
}

/// The office that a log's first record founded: its name, and whether it is for training.
pub(crate) fn founded(first: &Commit) -> Option<(String, bool)> {
    use renaksi_domain::command::Command;
    use renaksi_domain::people::PeopleCommand;
    let (record, _) = convert::decode_record(&first.entries.first()?.leaf).ok()?;
    match record.envelope.command {
        Command::People(PeopleCommand::FoundOffice(found)) => Some((found.name.to_string(), found.rehearsal)),
        _ => None,
    }
}
