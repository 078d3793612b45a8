//! What goes wrong with backups and restores.

use std::path::PathBuf;

use uuid::Uuid;

/// Why a backup was not made, or nothing was restored from one.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A backup never takes another file's place.
    #[error("{} is there already, and is not overwritten", .0.display())]
    Exists(PathBuf),
    /// Something else.
    #[error("{} is no backup of a renaksid", .0.display())]
    Foreign(PathBuf),
    /// A folder without a device's copy of the log.
    #[error("{} holds no device's copy of an office's log", .0.display())]
    NoReplica(PathBuf),
    /// Of a release that this one cannot read.
    #[error("{} has backup format {format}, and this release knows 1 and 2", path.display())]
    Newer { path: PathBuf, format: String },
    /// Not what was written.
    #[error("{} is damaged: {cause}", path.display())]
    Damaged { path: PathBuf, cause: String },
    /// What offices share is with the one that `init` made.
    #[error("{} has of office {office} only what is its own, not the server that it was added to", source_path.display())]
    NeedsServer { source_path: PathBuf, office: Uuid },
    /// There is no folder at the place of a file, or the like.
    #[error("{} is not empty, and holds no office", .0.display())]
    NotEmpty(PathBuf),
    /// The folder's office is another one.
    #[error("{} is of office {theirs}, but {} holds office {ours}", source_path.display(), dir.display())]
    OtherOffice { source_path: PathBuf, dir: PathBuf, theirs: Uuid, ours: Uuid },
    /// The source and the folder's log are not one history.
    #[error(
        "{} does not continue the log in {}: their records differ at or before position {position}",
        source_path.display(), dir.display()
    )]
    Diverged { source_path: PathBuf, dir: PathBuf, position: u64 },
    /// What is whole does not reach what the damaged log proves.
    #[error(
        "the log in {} proves that position {proven} was durable, but with {} it can be restored only to position {reached}",
        dir.display(), source_path.display()
    )]
    TooShort { source_path: PathBuf, dir: PathBuf, proven: u64, reached: u64 },
}

impl BackupError {
    /// As [`crate::error::ServerError::exit_code`].
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Exists(_)
            | Self::Foreign(_)
            | Self::NoReplica(_)
            | Self::NotEmpty(_)
            | Self::NeedsServer { .. }
            | Self::OtherOffice { .. } => 4,
            Self::Newer { .. } => 1,
            Self::Damaged { .. } | Self::Diverged { .. } | Self::TooShort { .. } => 7,
        }
    }

    /// As [`crate::error::ServerError::code`].
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Exists(_) => "BACKUP_EXISTS",
            Self::Foreign(_) => "NOT_A_BACKUP",
            Self::NoReplica(_) => "NOT_A_REPLICA",
            Self::Newer { .. } => "BACKUP_NEWER",
            Self::Damaged { .. } => "BACKUP_DAMAGED",
            Self::NotEmpty(_) => "DATA_NOT_EMPTY",
            Self::NeedsServer { .. } => "BACKUP_NEEDS_SERVER",
            Self::OtherOffice { .. } => "OTHER_OFFICE",
            Self::Diverged { .. } => "RESTORE_DIVERGED",
            Self::TooShort { .. } => "RESTORE_TOO_SHORT",
        }
    }

    /// As [`crate::error::ServerError::hint`].
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Exists(_) => "name another file, or a folder: in a folder each backup gets a name of its own".into(),
            Self::Foreign(_) => "give a file that `renaksid backup` made; for a device's copy use --from-replica".into(),
            Self::NoReplica(_) => "give the folder of a device, the one that its --home names".into(),
            Self::Newer { .. } => "restore it with the release that made it, or a later one".into(),
            Self::Damaged { .. } => "nothing was changed; take another backup, or copy this one again from where it came".into(),
            Self::NeedsServer { .. } => {
                "nothing was changed; restore all offices of a backup, or this one into its server's folder".into()
            }
            Self::NotEmpty(_) => "nothing was changed; name a folder that is empty or not there".into(),
            Self::OtherOffice { .. } => "nothing was changed; take the backup of this office".into(),
            Self::Diverged { .. } => "nothing was changed; take a backup or a replica of this very log; keep all of them and report it".into(),
            Self::TooShort { .. } => {
                "nothing was changed; take a newer backup, or the replica of a device that has synchronised since \
                 (--from-replica); with neither, restore into an empty folder, and tell everybody up to which position"
                    .into()
            }
        }
    }
}
