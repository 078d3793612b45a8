//! What of a data folder goes into a backup, all of one moment.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use renaksi_domain::time::Timestamp;
use renaksi_ledger::{Head, LogId, LogReader};
use renaksi_proto::backup::part::Part as Kind;
use renaksi_proto::backup::{End, FilePiece, Part, Start};

use super::{Hashed, commit_to};
use crate::data::Data;
use crate::error::ServerError;

const PIECE_BYTES: u64 = 1 << 20;

/// What is made anew from the rest, or belongs to a process that runs. A name with more after a point is an older one of it
/// that was set aside.
const LEFT_OUT: &[&str] = &["index", "snapshots"];
/// Where the offices lie that were added.
const OFFICES: &str = "offices";
/// The key of the log.
const LOG_KEY: &str = "log.key";
/// What lies in the log's folder and is no part of the log: the log itself comes as its commits.
const CHECKPOINT: &str = "checkpoint";

/// True for what belongs into a backup, by its path from the data folder.
pub(crate) fn is_in(path: &Path) -> bool {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    let stem = |name: &str| name.split(['.', '-']).next().unwrap_or_default().to_owned();
    let left_out = names.iter().enumerate().any(|(at, name)| match &**name {
        "log" => names.get(at + 1).is_some_and(|inside| inside != CHECKPOINT),
        LOG_KEY => false,
        name => stem(name) == "log" || LEFT_OUT.contains(&&*stem(name)),
    });
    !left_out && path.extension().is_none_or(|extension| extension != "new" && extension != "sock")
}

/// A moment of a data folder. Files are only ever replaced whole, so a file that is open stays what it was.
#[derive(Debug)]
pub(crate) struct Taken {
    id: LogId,
    added: bool,
    files: Vec<(String, PathBuf, File)>,
    reader: LogReader,
    head: Head,
    made_at: Timestamp,
}

impl Taken {
    /// Takes the moment. The caller sees to it that nobody changes log and files together meanwhile.
    pub(crate) fn take(
        data: &Data,
        reader: LogReader,
        id: LogId,
        now: Timestamp,
    ) -> Result<Taken, ServerError> {
        let (mut files, added, folder) = (Vec::new(), data.is_added(), data.office(""));
        let under = folder.strip_prefix(data.dir()).unwrap_or(&folder);
        // Before the head is looked at, so that no checkpoint is of more than the commits.
        open_files(data.dir(), if added { under } else { Path::new("") }, &mut files)?;
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Taken { id, added, files, head: reader.head(), reader, made_at: now })
    }

    /// Hands everything to `put`, one part at a time.
    ///
    /// # Errors
    /// What `put` answers; a file or record that cannot be read. A log that does not hash to its own roots is not backed
    /// up.
    pub(crate) fn send(
        mut self,
        put: &mut dyn FnMut(Part) -> Result<(), ServerError>,
    ) -> Result<(), ServerError> {
        let mut put = |kind| put(Part { part: Some(kind) });
        put(Kind::Start(Start {
            office: self.id.office.as_bytes().to_vec(),
            made_at_us: self.made_at.0,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            added: self.added,
        }))?;
        for (name, path, file) in &mut self.files {
            loop {
                let mut bytes = Vec::new();
                let piece = file.take(PIECE_BYTES).read_to_end(&mut bytes);
                let last = (piece.map_err(ServerError::file("read", &**path))? as u64) < PIECE_BYTES;
                put(Kind::File(FilePiece { path: name.clone(), bytes, last }))?;
                if last {
                    break;
                }
            }
        }
        let failed = |source| ServerError::Log { id: self.id, source };
        let mut hashed = Hashed::default();
        for commit in self.reader.iter(1) {
            let commit = commit.map_err(failed)?;
            if !hashed.follows(&commit) {
                let dir = self.reader.dir().to_owned();
                let (first, last) = (commit.first, commit.size_after);
                return Err(failed(renaksi_ledger::Error::RootMismatch { dir, first, last }));
            }
            if let Some(kind) = commit_to(commit).part {
                put(kind)?;
            }
            if hashed.size() >= self.head.size {
                break;
            }
        }
        let Head { size, root, epoch } = self.head;
        let files = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        put(Kind::End(End { files, position: size, root: root.to_vec(), epoch }))
    }
}

fn open_files(dir: &Path, under: &Path, files: &mut Vec<(String, PathBuf, File)>) -> Result<(), ServerError> {
    let folder = dir.join(under);
    for entry in fs::read_dir(&folder).map_err(ServerError::file("list", &folder))? {
        let entry = entry.map_err(ServerError::file("list", &folder))?;
        let (name, path) = (under.join(entry.file_name()), entry.path());
        let kind = entry.file_type().map_err(ServerError::file("read", &path))?;
        // Other offices are not this one's.
        if !is_in(&name) || name == Path::new(OFFICES) {
            continue;
        } else if kind.is_dir() {
            open_files(dir, &name, files)?;
        } else if kind.is_file() || kind.is_symlink() {
            let file = File::open(&path).map_err(ServerError::file("read", &path))?;
            files.push((name.to_string_lossy().into_owned(), path, file));
        }
    }
    Ok(())
}
