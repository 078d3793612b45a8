//! What both programs must say the same way, beside the messages themselves.

/// A command leaf may have this many bytes; with what its record adds it stays a leaf of the log.
pub const COMMAND_BYTES_MAX: usize = 60_000;
/// Texts and salt of one command, in bytes.
pub const ASIDE_BYTES_MAX: usize = 16_384;
/// Metadata of a session's first call: office ‖ device ‖ nonce ‖ signature.
pub const SESSION_KEY: &str = "renaksi-session-bin";
/// Metadata of its answer: the token for the calls that follow.
pub const TOKEN_KEY: &str = "renaksi-token";

/// Lower-case hex, the form of every hash and key that is shown.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
