//! Exact causes. Every message names the object, says what is wrong and what mends it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::types::LogId;

/// What the log, its readers and its snapshots answer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a log could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused. The source says why.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as it reads before the path: "write", "make durable".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        #[source]
        source: io::Error,
    },

    /// Another process, or another handle in this one, writes there.
    #[error("{} is in use by another process; stop it, or wait until it ends", dir.display())]
    Locked {
        /// The folder of the log or the index.
        dir: PathBuf,
    },

    /// There is no log in the folder.
    #[error("{} holds no log; give the folder of an existing one, or create it", dir.display())]
    NotFound {
        /// The folder.
        dir: PathBuf,
    },

    /// There already is a log in the folder.
    #[error("{} already holds a log; open it, or choose an empty folder", dir.display())]
    AlreadyExists {
        /// The folder.
        dir: PathBuf,
    },

    /// The file belongs to another log.
    #[error("{} belongs to the {found}, not to the {expected}; put the right folder back", file.display())]
    Foreign {
        /// The segment file.
        file: PathBuf,
        /// Whose it is.
        found: LogId,
        /// Whose it should be.
        expected: LogId,
    },

    /// Written by a release that this one cannot read.
    #[error("{} has format {found}, which this release does not know; use the release that wrote it", file.display())]
    UnknownFormat {
        /// The segment file.
        file: PathBuf,
        /// The format number found.
        found: u32,
    },

    /// An append without entries. Nothing was written.
    #[error("a commit needs at least one record; nothing was written")]
    EmptyCommit,

    /// A record over the limit. Nothing was written.
    #[error(
        "record {index} of the commit has {bytes} bytes, more than 65535; nothing was written, split the record"
    )]
    LeafTooLarge {
        /// Index in the slice given to append, from 0.
        index: usize,
        /// Its leaf's length.
        bytes: usize,
    },

    /// A commit over the limit. Nothing was written.
    #[error(
        "the commit would take {bytes} bytes, more than {}; nothing was written, split the commit",
        crate::COMMIT_BYTES_MAX
    )]
    CommitTooLarge {
        /// What its frame would take.
        bytes: u64,
    },

    /// A new epoch must be larger than the one before.
    #[error("{} is in epoch {current}; epoch {asked} does not come after it", dir.display())]
    EpochNotLater {
        /// The folder.
        dir: PathBuf,
        /// The log's epoch.
        current: u32,
        /// The one asked for.
        asked: u32,
    },

    /// A commit that does not follow what is there. Nothing was written.
    #[error("the commit begins at position {first}, but position {expected} is next; nothing was written")]
    NotContinuing {
        /// The next position.
        expected: u64,
        /// The commit's.
        first: u64,
    },

    /// A write or sync failed, so nothing more is written. What was not acknowledged may or may not be there.
    #[error("{} stopped taking writes after a failure; mend the disk and open the log again", dir.display())]
    Stopped {
        /// The folder.
        dir: PathBuf,
        /// The failure that stopped it.
        #[source]
        cause: Arc<Error>,
    },

    /// Records that were durable are gone from the end.
    #[error(
        "{} ends at position {size}, but its head says that position {head_size} was durable; \
         restore the missing bytes from a backup or a replica", file.display()
    )]
    ShorterThanHead {
        /// The last segment file.
        file: PathBuf,
        /// The last position that the frames prove.
        size: u64,
        /// The position that the head proves was there.
        head_size: u64,
    },

    /// Bytes are not what was written. Nothing was changed or cut.
    #[error(
        "{} is damaged at byte {offset}, position {position}: {cause}; \
         restore this file from a backup or a replica (what follows the damage is still readable)", file.display()
    )]
    Damaged {
        /// The segment file.
        file: PathBuf,
        /// Byte offset of the damaged header, slot or frame.
        offset: u64,
        /// The first position that cannot be read because of it.
        position: u64,
        /// What does not hold.
        cause: &'static str,
    },

    /// A segment file is missing from the folder.
    #[error("{} lacks the segment that begins at position {position}; restore it from a backup or a replica", dir.display())]
    MissingSegment {
        /// The folder.
        dir: PathBuf,
        /// The first position of the missing segment.
        position: u64,
    },

    /// Re-hashing the records does not give the stored root.
    #[error(
        "the records {first} to {last} in {} do not hash to the root stored with them: \
         a record at or before {last} was changed; restore the log from a replica that verifies", dir.display()
    )]
    RootMismatch {
        /// The folder.
        dir: PathBuf,
        /// First position of the first commit that does not hold.
        first: u64,
        /// Its last position.
        last: u64,
    },

    /// A position or size that the log has not reached, or a tree older than the one it should come after.
    #[error("{} holds {size} records and has none to prove at {asked}", dir.display())]
    NotReached {
        /// The folder.
        dir: PathBuf,
        /// The last position there is.
        size: u64,
        /// The position or size asked for.
        asked: u64,
    },

    /// The log is not the one that a checkpoint was signed for.
    #[error(
        "the first {size} records in {} are not those of the checkpoint that was given; \
         give the log and the checkpoint of one office", dir.display()
    )]
    OtherCheckpoint {
        /// The folder.
        dir: PathBuf,
        /// The checkpoint's size.
        size: u64,
    },

    /// An export goes into a folder of its own.
    #[error("{} is not empty; name a new folder", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io { action, path: path.to_owned(), source }
    }
}

/// Why the index could not answer. It is a cache: the mend is always to clear it and rebuild it from the log.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Its folder cannot be made, moved or locked.
    #[error("the index cannot use its folder")]
    Folder(#[source] Error),

    /// sled answered with an error.
    #[error("the index in {} failed; clear it and rebuild it from the log", path.display())]
    Failed {
        /// The index's folder.
        path: PathBuf,
        /// sled's answer.
        #[source]
        source: sled::Error,
    },

    /// sled panicked, or a row is not what was written.
    #[error("the index in {} is damaged ({cause}); clear it and rebuild it from the log", path.display())]
    Damaged {
        /// The index's folder.
        path: PathBuf,
        /// What was seen.
        cause: String,
    },
}
