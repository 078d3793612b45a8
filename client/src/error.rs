//! What can go wrong, with the exit code of each kind. Texts for people are made in [`crate::text`] from code and details.

use renaksi_domain::Rejection;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not understood: usage, an unreadable number, an unknown or ambiguous name (exit 2). The rejection carries a code
    /// and the objects.
    #[error("not understood: {0}")]
    NotUnderstood(Rejected),
    /// Understood, but a rule or the file's content does not admit it (exit 4), or the person may not (exit 6).
    #[error("not admitted: {0}")]
    NotAdmitted(Rejected),
    /// The server did not answer, or what answered is not ours (exit 5). Local work is safe.
    #[error("server not reached: {0}")]
    Unreachable(Rejected),
    /// A hash, signature or proof does not hold (exit 7).
    #[error("integrity: {0}")]
    Integrity(Rejected),
    /// Anything else: a disk, a folder, an unexpected answer (exit 1).
    #[error("failed: {0}")]
    Failed(Rejected),
}

/// A stable code with the objects it names; the same shape as a rejection of the rules, open to the client's own codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// `QUARTER_LOCKED`, `SERVER_UNREACHABLE`, … listed in docs/errors.md.
    pub code: String,
    /// In a fixed order.
    pub details: Vec<(String, String)>,
    /// The server said that this person or device may not (exit 6).
    pub permission: bool,
}

impl Rejected {
    /// A cause that names nothing yet.
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), details: Vec::new(), permission: false }
    }

    /// The same, as a matter of who asks (exit 6).
    pub fn permission(self) -> Self {
        Self { permission: true, ..self }
    }

    /// The same, naming one more object.
    pub fn with(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.details.push((key.to_owned(), value.to_string()));
        self
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.code)?;
        self.details.iter().try_for_each(|(key, value)| write!(f, " {key}={value}"))
    }
}

impl From<&Rejection> for Rejected {
    fn from(rejection: &Rejection) -> Self {
        let details =
            rejection.details.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Self { details, permission: rejection.code.is_permission(), ..Self::new(rejection.code.name()) }
    }
}

impl ClientError {
    /// A refusal of the rules: exit 6 when the person may not, exit 4 otherwise.
    pub fn refused(rejection: &Rejection) -> Self {
        Self::NotAdmitted(rejection.into())
    }

    /// Code and details.
    pub fn cause(&self) -> &Rejected {
        match self {
            Self::NotUnderstood(cause)
            | Self::NotAdmitted(cause)
            | Self::Unreachable(cause)
            | Self::Integrity(cause)
            | Self::Failed(cause) => cause,
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::NotUnderstood(_) => 2,
            Self::NotAdmitted(cause)
                if cause.permission || renaksi_domain::Code::from_name(&cause.code).is_permission() =>
            {
                6
            }
            Self::NotAdmitted(_) => 4,
            Self::Unreachable(_) => 5,
            Self::Integrity(_) => 7,
        }
    }
}
