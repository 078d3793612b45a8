//! What ends a server command, with its exit code.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use renaksi_domain::{Code, Rejection};
use renaksi_ledger::{LogId, SignError};

use crate::backup::BackupError;
use crate::behind::Gap;

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
    /// `office add` with a name that is taken.
    #[error("the folder already holds an office of the name {0}; nothing was changed")]
    NameTaken(String),
    /// `--office` names none of the folder's.
    #[error("no office of the folder is called {wanted}; it holds {}", listed(known))]
    UnknownOffice { wanted: String, known: Vec<String> },
    /// Several offices, and nothing says which is meant.
    #[error("several offices may be meant: {}", listed(known))]
    AmbiguousOffice { known: Vec<String> },
    /// Another process serves the folder.
    #[error("another renaksid uses {}", .0.display())]
    InUse(PathBuf),
    /// As many offices as may be open are in use.
    #[error("{0} offices are open and in use, which is as many as may be")]
    AllInUse(u16),
    /// Our own mistake, and of one office only.
    #[error("opening the office {0} ended in a panic")]
    Panicked(uuid::Uuid),
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
    /// Damage of the log that was met while the office was open.
    #[error("the log of office {}", id.office)]
    Damaged {
        id: LogId,
        #[source]
        source: Arc<renaksi_ledger::Error>,
    },
    /// The log is not the one that was signed, or what was signed is not known.
    #[error("the log of office {office} does not agree with its checkpoint")]
    Checkpoint {
        office: uuid::Uuid,
        #[source]
        source: SignError,
    },
    /// The log lacks what its key signed.
    #[error(
        "the log of office {} ends at {}, but a checkpoint was signed at {}: the office takes no writes",
        _0.here.office, _0.here, _0.seen
    )]
    Behind(Box<Gap>),
    /// A record that cannot be folded.
    #[error("record {position} of the log cannot be read")]
    Record {
        position: u64,
        #[source]
        source: renaksi_proto::convert::DecodeError,
    },
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
            Self::Usage(_) | Self::UnknownOffice { .. } | Self::AmbiguousOffice { .. } => 2,
            Self::Refused(cause) if cause.code.is_permission() => 6,
            Self::Refused(_) | Self::OfficeExists(_) | Self::NameTaken(_) | Self::NoOffice(_) => 4,
            Self::Checkpoint { source: SignError::Log(source), .. } if !is_damage(source) => 1,
            Self::Checkpoint { .. } | Self::Behind(_) => 7,
            Self::Differs { .. } | Self::Record { .. } | Self::LogLost(_) | Self::Damaged { .. } => 7,
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
            Self::OfficeExists(_) | Self::NameTaken(_) => "OFFICE_EXISTS".into(),
            Self::UnknownOffice { .. } => "UNKNOWN_OFFICE".into(),
            Self::AmbiguousOffice { .. } => "AMBIGUOUS_OFFICE".into(),
            Self::InUse(_) => "DATA_IN_USE".into(),
            Self::AllInUse(_) => "OFFICES_IN_USE".into(),
            Self::Usage(_) => "USAGE".into(),
            Self::Refused(cause) => cause.stored_code().into(),
            Self::Differs { .. } => "STATE_DIFFERS".into(),
            Self::Record { .. } => "RECORD_UNREADABLE".into(),
            Self::LogLost(_) | Self::Damaged { .. } => "LOG_DAMAGED".into(),
            Self::Unreadable { .. } | Self::RehearsalFlag { .. } => "FILE_DAMAGED".into(),
            Self::NewerRules { .. } => "RELEASE_TOO_OLD".into(),
            Self::Running { code, .. } => code.clone(),
            Self::Behind(_) | Self::Checkpoint { source: SignError::Behind { .. }, .. } => {
                "LOG_BEHIND".into()
            }
            Self::Checkpoint { source: SignError::Contradicts { .. }, .. } => {
                "LOG_CONTRADICTS_CHECKPOINT".into()
            }
            Self::Checkpoint { source: SignError::Damaged { .. }, .. } => "FILE_DAMAGED".into(),
            Self::Checkpoint { source: SignError::Log(source), .. } if is_damage(source) => {
                "LOG_DAMAGED".into()
            }
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
            Self::NameTaken(_) => "give it a name of its own; renaksid office list shows all".into(),
            Self::UnknownOffice { .. } | Self::AmbiguousOffice { .. } => {
                "name one with --office, by its id or more of its name; renaksid office list shows all".into()
            }
            Self::AllInUse(_) => "try again; serve --open-offices allows more".into(),
            Self::Panicked(_) => "report what stands on the server's stderr".into(),
            Self::InUse(_) => "another renaksid uses this folder; stop it, or ask it".into(),
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
            Self::Log { source, .. } if is_damage(source) => damaged_log_hint(),
            Self::Damaged { .. } => damaged_log_hint(),
            Self::Log { .. } => "start the server again; if it stays, keep the folder and report it".into(),
            Self::Behind(_)
            | Self::Checkpoint { source: SignError::Behind { .. } | SignError::Contradicts { .. }, .. } => {
                "stop the server and take what is missing from a device that has it, or from a newer backup: renaksid \
                 restore --from-replica DEVICE --data DIR; where nobody has it, go on without: renaksid epoch new \
                 --reason R --data DIR, and devices offer again what they have"
                    .into()
            }
            Self::Checkpoint { source: SignError::Damaged { file, .. }, .. } => damaged_file_hint(file),
            Self::Checkpoint { source: SignError::Log(source), .. } if is_damage(source) => {
                "nothing was changed; restore the folder from a backup, or keep it and report the place".into()
            }
            Self::Checkpoint { .. } => "look at the disk and at who owns the folder office/log".into(),
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
    pub fn details(&self) -> Vec<(&str, String)> {
        match self {
            Self::Refused(cause) => {
                cause.stored_details().map(|(key, value)| (&**key, value.to_string())).collect()
            }
            Self::Behind(gap) => vec![
                ("here", gap.here.size.to_string()),
                ("seen", gap.seen.size.to_string()),
                ("epoch", gap.seen.epoch.to_string()),
            ],
            Self::UnknownOffice { known, .. } | Self::AmbiguousOffice { known } => {
                vec![("candidates", known.join(", "))]
            }
            _ => Vec::new(),
        }
    }

    /// What a [`renaksi_ledger::Disk`] answers.
    pub(crate) fn disk(error: renaksi_ledger::Error) -> Self {
        match error {
            renaksi_ledger::Error::Io { action, path, source } => Self::File { what: action, path, source },
            other => unreachable!("BUG: a disk has no log that could be wrong: {other}"),
        }
    }

    pub(crate) fn file(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}

fn damaged_log_hint() -> String {
    "nothing was changed; stop the server and mend the log: renaksid restore BACKUP --data DIR, or renaksid restore \
     --from-replica DEVICE --data DIR; what is whole is kept"
        .into()
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

/// At most ten names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        shown.push_str(&format!(", and {} more", names.len() - SHOWN));
    }
    shown
}

fn kind(rehearsal: bool) -> &'static str {
    if rehearsal { "rehearsal" } else { "real" }
}

pub(crate) fn is_damage(error: &renaksi_ledger::Error) -> bool {
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
