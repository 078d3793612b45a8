//! The command line `renaksi`: a device of one person. It records where there is no network, and keeps a replica of the
//! office's log from which every question is answered.
//!
//! [`device`] is the lower half: key, feed (outbox), replica, sync. [`commands`] is the upper half, one file per command;
//! [`find`] understands what people name, [`as_of`] what was known when, [`view`] makes the rows of figures, [`text`] and [`render`] say it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod as_of;
pub mod cli;
pub mod commands;
pub mod context;
pub mod device;
pub mod error;
pub mod find;
pub mod render;
pub mod text;
pub mod view;

rust_i18n::i18n!("locales");
