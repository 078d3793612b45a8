//! Typed ids. Inside one office everything the log creates is numbered from 1 in the order of its record, so an id is
//! a few bytes on the wire and an index in memory; only what must be known outside the office is a UUID.

use std::fmt;

use uuid::Uuid;

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// The id that follows `count` created ones.
            pub fn after(count: usize) -> Self {
                Self(u32::try_from(count + 1).expect("fewer than 2^32 objects in one office"))
            }

            /// Where the object stands in the list of its kind.
            pub fn index(self) -> usize {
                (self.0 as usize).wrapping_sub(1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

numbered! {
    /// A person known to the office. Their name lies in the directory beside the log, never in it.
    PersonId,
    /// An organisational unit (bidang, sub bagian) that answers for indicators.
    UnitId,
    /// An enrolled device.
    DeviceId,
    /// One incarnation of a device: a stretch of its history with one gapless sequence.
    Origin,
    /// An indicator, for its whole life, whatever its code or name.
    IndicatorId,
    /// A revision of a plan.
    RevisionId,
    /// A role that was given and waits for a second person.
    GrantId,
}

impl Origin {
    /// The office's own server: enrolments and timed events, which no device signed.
    pub const HOST: Origin = Origin(0);
}

/// A place in the office's log, gapless from 1.
pub type Position = u64;

/// Names one command for ever: which incarnation made it, and its place in that incarnation's order. An entry is
/// named by the command that added it, a version of an entry by the command that made the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandKey {
    /// The incarnation.
    pub origin: Origin,
    /// Gapless from 1 within the incarnation.
    pub sequence: u32,
}

impl CommandKey {
    /// A key from its two parts.
    pub fn new(origin: Origin, sequence: u32) -> Self {
        Self { origin, sequence }
    }
}

/// The public id of an entry: UUIDv5 (RFC 9562) in the namespace of the incarnation's UUID, over the decimal
/// sequence. Stable, made offline, and never sent.
pub fn entry_id(incarnation: Uuid, sequence: u32) -> Uuid {
    Uuid::new_v5(&incarnation, sequence.to_string().as_bytes())
}
