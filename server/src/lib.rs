//! The server `renaksid`: one writer per office behind gRPC.
//!
//! A write's path: [`services::sync`] → [`writer`] (decide → append → apply) → answer → [`unindexed`] →
//! [`office_index`]. Nothing is acknowledged before it is durable.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod alarm;
pub mod authority;
pub mod backup;
pub mod behind;
pub mod catalog;
pub mod check;
pub mod damage;
pub mod data;
pub mod directory;
pub mod epoch;
pub mod error;
pub mod folding;
pub mod founding;
pub mod identity;
pub mod invites;
pub mod log_key;
pub mod office;
pub mod office_index;
pub mod offices;
pub mod people;
pub mod push;
pub mod receipts;
pub mod restore;
pub mod restored;
pub mod scrub;
pub mod serve;
pub mod services;
pub mod sightings;
pub mod status;
pub mod unindexed;
pub mod web;
pub mod writer;
