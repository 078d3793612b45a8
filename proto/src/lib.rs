//! The stored and wire formats, and the only place where they meet the rules.
//!
//! [`log`] are the permanent messages, [`wire`] what goes over the network. [`convert`] turns stored bytes into the types
//! of the rules and back; [`fold`] folds a log's leaves into a state; [`chain`] holds the hashes and signatures that a
//! device puts on its work; [`trail`] says what a record concerns.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agreed;
pub mod chain;
pub mod clock;
pub mod convert;
pub mod fold;
pub mod snapshot;
pub mod trail;

mod generated {
    #![allow(missing_debug_implementations, clippy::large_enum_variant)]
    pub mod backup {
        pub mod v1 {
            tonic::include_proto!("renaksi.backup.v1");
        }
    }
    pub mod log {
        pub mod v1 {
            tonic::include_proto!("renaksi.log.v1");
        }
    }
    pub mod wire {
        pub mod v1 {
            tonic::include_proto!("renaksi.wire.v1");
        }
    }
}

/// Generated from `proto/renaksi/backup/v1`: what is in a backup.
pub use generated::backup::v1 as backup;
/// Generated from `proto/renaksi/log/v1`: the permanent contract of stored bytes.
pub use generated::log::v1 as log;
/// Generated from `proto/renaksi/wire/v1`: what goes over the network.
pub use generated::wire::v1 as wire;

/// The compiled descriptors of all messages and services, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
