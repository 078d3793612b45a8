//! Every no of the server as a gRPC status. Its details are an encoded [`log::Rejection`]: a stable code and the objects.

use std::fmt;

use prost::Message;
use renaksi_proto::log;
use tonic::{Code, Status};

use crate::error::ServerError;

/// A no, with its code and objects.
#[derive(Clone, Debug)]
pub struct Fault {
    status: Code,
    cause: log::Rejection,
}

impl Fault {
    fn new(status: Code, code: &str) -> Self {
        Self { status, cause: log::Rejection { code: code.to_owned(), details: Vec::new() } }
    }

    /// The request itself is wrong.
    pub fn invalid(code: &str) -> Self {
        Self::new(Code::InvalidArgument, code)
    }

    /// Right, but not in this state of the log or of this release.
    pub fn precondition(code: &str) -> Self {
        Self::new(Code::FailedPrecondition, code)
    }

    /// Who asks is not known.
    pub fn unauthenticated(code: &str) -> Self {
        Self::new(Code::Unauthenticated, code)
    }

    /// Who asks is known and may not.
    pub fn denied(code: &str) -> Self {
        Self::new(Code::PermissionDenied, code)
    }

    /// There is no such object.
    pub fn not_found(code: &str) -> Self {
        Self::new(Code::NotFound, code)
    }

    /// Something that was stored is not as it was.
    pub fn lost(code: &str) -> Self {
        Self::new(Code::DataLoss, code)
    }

    /// The office takes no writes.
    pub fn stopped() -> Self {
        Self::new(Code::Unavailable, "OFFICE_STOPPED")
    }

    /// The caller's office cannot be opened. What the network is told names no path.
    pub fn unopened(error: &ServerError) -> Self {
        match error {
            ServerError::Stopped => Self::stopped(),
            _ if error.exit_code() == 7 => Self::lost(&error.code()),
            _ => Self::new(Code::Unavailable, "OFFICE_UNAVAILABLE").with("cause", error.code()),
        }
    }

    /// The log, the index or a file beside them could not be read or written.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed inside");
        Self::failed()
    }

    /// Something failed inside that was told to the trace where it happened.
    pub fn failed() -> Self {
        Self::new(Code::Internal, "SERVER_FAILED")
    }

    /// The same, naming one more object.
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.cause.details.push(log::Detail { key: key.to_owned(), value: value.to_string() });
        self
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.cause.code
    }
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let mut message = fault.cause.code.clone();
        for detail in &fault.cause.details {
            message.push_str(&format!(" {}={}", detail.key, detail.value));
        }
        Status::with_details(fault.status, message, fault.cause.encode_to_vec().into())
    }
}
