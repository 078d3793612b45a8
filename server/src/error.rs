//! What ends a server command, with its exit code.

use std::path::{Path, PathBuf};

use renaksi_domain::{Code, Rejection};
use renaksi_ledger::{IndexError, LogId};

use crate::backup::BackupError;

/// Why a server command failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder holds no office yet.
    #[error("{0} holds no office")]
    NoOffice(PathBuf),
    /// The log has no records, though an office was founded.
    #[error("{} holds no records, but an office was founded there: they are lost", .0.display())]
    LogLost(PathBuf),
    /// `init` on a folder that has one.
    #[error("{0} already holds an office; nothing was changed")]
    OfficeExists(PathBuf),
    /// A file of the data folder could not be read or written.
    #[error("cannot {what} {}", path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file of the data folder is not what it should be.
    #[error("{} is not readable as {what}: {cause}", path.display())]
    Unreadable { path: PathBuf, what: &'static str, cause: String },
    /// The log.
    #[error("the log of office {}", id.office)]
    Log {
        id: LogId,
        #[source]
        source: renaksi_ledger::Error,
    },
    /// A record that cannot be folded.
    #[error("record {position} of the log cannot be read")]
    Record {
        position: u64,
        #[source]
        source: renaksi_proto::convert::DecodeError,
    },
    /// The index would not be made even anew.
    #[error("the index beside the log")]
    Index(#[source] IndexError),
    /// The state folded from the log is not the state that runs.
    #[error(
        "replayed state {replayed} differs from the live state {live} at record {position}; keep the folder as it is and report it"
    )]
    Differs { position: u64, replayed: String, live: String },
    /// The certificate authority could not be made.
    #[error("the certificate authority in {}", path.display())]
    Authority {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    /// The network layer.
    #[error("serving on {address}")]
    Serve {
        address: String,
        #[source]
        source: tonic::transport::Error,
    },
    /// The network layer ended by itself.
    #[error("serving on {address} ended: {cause}")]
    ServeEnded { address: String, cause: String },
    /// `server.json` was changed by hand.
    #[error(
        "{} says that this is a {} office, but it was founded as a {} office",
        path.display(), kind(*written), kind(*founded)
    )]
    RehearsalFlag { path: PathBuf, written: bool, founded: bool },
    /// A newer release has taken the office over.
    #[error("the office is decided by rules {rules}, and this release knows {known}")]
    NewerRules { rules: u32, known: u32 },
    /// The running server answered no.
    #[error("the running server says: {message}")]
    Running { code: String, message: String, hint: String, exit: u8 },
    /// A backup, or what would be restored from one.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The machine has no random bytes to give.
    #[error("no randomness")]
    Random(#[source] getrandom::Error),
    /// The rules said no.
    #[error("not admitted: {0}")]
    Refused(Rejection),
    /// Words that are not understood.
    #[error("{0}")]
    Usage(String),
    /// The writer stopped after a fault of the disk.
    #[error(
        "the office stopped taking writes after a fault of its disk; mend the disk and start the server again"
    )]
    Stopped,
    /// The log does not take the commit.
    #[error("nothing was recorded: the log does not take records that long")]
    NotTaken,
}

impl ServerError {
    /// Exit codes as docs/errors.md lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused(cause) if cause.code.is_permission() => 6,
            Self::Refused(_) | Self::OfficeExists(_) | Self::NoOffice(_) => 4,
            Self::Differs { .. } | Self::Record { .. } | Self::LogLost(_) => 7,
            Self::Running { exit, .. } => *exit,
            Self::Backup(error) => error.exit_code(),
            Self::Log { source, .. } if is_damage(source) => 7,
            _ => 1,
        }
    }

    /// A stable name.
    pub fn code(&self) -> String {
        match self {
            Self::NoOffice(_) => "NO_OFFICE".into(),
            Self::OfficeExists(_) => "OFFICE_EXISTS".into(),
            Self::Usage(_) => "USAGE".into(),
            Self::Refused(cause) => cause.stored_code().into(),
            Self::Differs { .. } => "STATE_DIFFERS".into(),
            Self::Record { .. } => "RECORD_UNREADABLE".into(),
            Self::LogLost(_) => "LOG_DAMAGED".into(),
            Self::Unreadable { .. } | Self::RehearsalFlag { .. } => "FILE_DAMAGED".into(),
            Self::NewerRules { .. } => "RELEASE_TOO_OLD".into(),
            Self::Running { code, .. } => code.clone(),
            Self::Backup(error) => error.code().into(),
            Self::Log { source, .. } if is_damage(source) => "LOG_DAMAGED".into(),
            Self::Log { source: renaksi_ledger::Error::Locked { .. }, .. } => "DATA_IN_USE".into(),
            Self::Listen { .. } => "ADDRESS_IN_USE".into(),
            Self::Stopped => "OFFICE_STOPPED".into(),
            _ => "FAILED".into(),
        }
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        use renaksi_ledger::Error as E;
        match self {
            Self::NoOffice(dir) => {
                format!("make one: renaksid init --data {} --office NAME --operator NAME", dir.display())
            }
            Self::LogLost(dir) => format!(
                "nothing was changed; put {} back: renaksid restore BACKUP --data DIR, with the server stopped",
                dir.display()
            ),
            Self::OfficeExists(_) => {
                "name another folder with --data, or serve the office that is there".into()
            }
            Self::File { path, .. } => {
                format!("look at who owns {}, at its permissions, and at the disk", path.display())
            }
            Self::Unreadable { path, .. } => damaged_file_hint(path),
            Self::Differs { .. } => "keep the folder as it is, and report it".into(),
            Self::NewerRules { .. } => "a newer release has served this office; install it again".into(),
            Self::Listen { .. } => {
                "another server may run there; name a free address with --listen or --web".into()
            }
            Self::RehearsalFlag { path, founded, .. } => {
                format!("write \"rehearsal\": {founded} in {} again", path.display())
            }
            Self::Stopped => "mend the disk, then start the server again".into(),
            Self::Record { .. } => "a newer release may have written it; update renaksid".into(),
            Self::Log { source: E::Locked { .. }, .. } => {
                "another renaksid uses this folder; stop it, or ask it".into()
            }
            Self::Log { source: E::Io { path, .. }, .. } => {
                format!("look at who owns {}, at its permissions, and at the disk", path.display())
            }
            Self::Log { source: E::UnknownFormat { .. }, .. } => "use the release that wrote it".into(),
            Self::Log { source, .. } if is_damage(source) => {
                "nothing was changed; stop the server and mend the log: renaksid restore BACKUP --data DIR, or \
                 renaksid restore --from-replica DEVICE --data DIR; what is whole is kept"
                    .into()
            }
            Self::Log { .. } => "start the server again; if it stays, keep the folder and report it".into(),
            Self::Index(_) => {
                "stop the server and remove office/index of the data folder: it is made anew from the log"
                    .into()
            }
            Self::Authority { path, .. } => {
                format!("look whether --address names a host; {} was not finished", path.display())
            }
            Self::Serve { .. } | Self::ServeEnded { .. } => {
                "look at the certificate and key in the folder authority, and start the server again".into()
            }
            Self::Running { hint, .. } => hint.clone(),
            Self::Backup(error) => error.hint(),
            Self::Random(_) => "mend the machine's source of random bytes, and try again".into(),
            Self::Refused(cause) if cause.code == Code::RoleMayNot => {
                "an operator holds no other role; invite under another --user".into()
            }
            Self::Refused(cause) => {
                format!("nothing was recorded; docs/errors.md says what to do about {}", cause.stored_code())
            }
            Self::Usage(_) => "renaksid COMMAND --help lists the options".into(),
            Self::NotTaken => "shorten the names, and try again".into(),
        }
    }

    /// The message with its causes.
    pub fn whole(&self) -> String {
        let mut message = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            message.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        message
    }

    /// The objects that the error names.
    pub fn details(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Refused(cause) => cause.stored_details().map(|(key, value)| (&**key, &**value)).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

/// What mends a file of the data folder that cannot be read.
fn damaged_file_hint(path: &Path) -> String {
    let restore = format!("nothing was changed; restore {} from a backup", path.display());
    match path.file_name().and_then(|name| name.to_str()) {
        Some("server.json") => format!(
            "{restore}, or write it again: {{\"office\": UUID, \"rehearsal\": false, \"address\": \"HOST:PORT\", \
             \"founded\": true}}; any device of the office knows its UUID"
        ),
        Some("invites.json") => {
            format!(
                "{restore}, or move it away: open invites are then void, and are made again with `renaksid invite`"
            )
        }
        Some("directory.json") => format!("{restore}: only it holds the names of people"),
        _ => restore,
    }
}

fn kind(rehearsal: bool) -> &'static str {
    if rehearsal { "rehearsal" } else { "real" }
}

fn is_damage(error: &renaksi_ledger::Error) -> bool {
    use renaksi_ledger::Error as E;
    matches!(
        error,
        E::Damaged { .. }
            | E::ShorterThanHead { .. }
            | E::MissingSegment { .. }
            | E::RootMismatch { .. }
            | E::Foreign { .. }
    )
}
