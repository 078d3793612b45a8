//! Between the rules and the stored messages, one file a feature.

mod common;
mod config;
mod entry;
mod narrative;
mod people;
mod plan;
mod record;
mod revision;

pub use common::{rejection_from, rejection_to};
pub use record::{Leaf, TextMask, command_leaf, decode_command, decode_record, encode_record, unreadable};

/// Why stored bytes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are no such message.
    #[error("the stored bytes are not a {message}")]
    Malformed {
        message: &'static str,
        #[source]
        source: prost::DecodeError,
    },
    /// A field lies outside what the format allows.
    #[error("{message} has no valid {field}")]
    Field { message: &'static str, field: &'static str },
    /// A newer release wrote it.
    #[error("a newer release wrote this record; update renaksi to read on")]
    Newer,
}

pub(crate) fn field<T>(
    value: Option<T>,
    message: &'static str,
    field: &'static str,
) -> Result<T, DecodeError> {
    value.ok_or(DecodeError::Field { message, field })
}
