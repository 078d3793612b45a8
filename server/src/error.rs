//! What ends a server command, with its exit code.

use std::path::PathBuf;

use renaksi_domain::Rejection;
use renaksi_ledger::{IndexError, LogId};

/// Why a server command failed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The data folder holds no office yet.
    #[error("{0} holds no office")]
    NoOffice(PathBuf),
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
    /// The running server answered no.
    #[error("the running server says: {0}")]
    Running(String),
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
}

impl ServerError {
    /// Exit codes as docs/errors.md lists them.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Refused(cause) if cause.code.is_permission() => 6,
            Self::Refused(_) | Self::OfficeExists(_) | Self::NoOffice(_) => 4,
            Self::Differs { .. } | Self::Record { .. } => 7,
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
            Self::Refused(cause) => cause.code.name().into(),
            Self::Differs { .. } => "STATE_DIFFERS".into(),
            Self::Record { .. } => "RECORD_UNREADABLE".into(),
            Self::Log { source, .. } if is_damage(source) => "LOG_DAMAGED".into(),
            Self::Log { source: renaksi_ledger::Error::Locked { .. }, .. } => "DATA_IN_USE".into(),
            Self::Listen { .. } => "ADDRESS_IN_USE".into(),
            Self::Stopped => "OFFICE_STOPPED".into(),
            _ => "FAILED".into(),
        }
    }

    /// What to do next, where the message does not say it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoOffice(dir) => {
                format!("make one: renaksid init --data {} --office NAME --operator NAME", dir.display())
            }
            Self::OfficeExists(_) => {
                "name another folder with --data, or serve the office that is there".into()
            }
            Self::Differs { .. } => "keep the folder as it is, and report it".into(),
            Self::Listen { .. } => "another server may run there; name a free address with --listen".into(),
            Self::Stopped => "mend the disk, then start the server again".into(),
            Self::Record { .. } => "a newer release may have written it; update renaksid".into(),
            Self::Log { source: renaksi_ledger::Error::Locked { .. }, .. } => {
                "another renaksid uses this folder; stop it, or ask it".into()
            }
            Self::Log { source, .. } if is_damage(source) => {
                "nothing was changed; restore the folder from a backup, or keep it and report the place"
                    .into()
            }
            _ => return None,
        })
    }

    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
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
