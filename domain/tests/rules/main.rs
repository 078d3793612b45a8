//! Given/when/then on the rules, one file a feature. Commands are written as an officer would say them; see
//! [`words::parse`]. Every scenario ends with a fresh fold of its records (see `Drop` of [`office::Office`]).

#![allow(clippy::unwrap_used)]

mod corners;
mod delivery;
mod devices;
mod entries;
mod epochs;
mod figures;
mod held;
mod histories;
mod history;
mod office;
mod page;
mod plan;
mod promises;
mod quarters;
mod rejections;
mod reopening;
mod revisions;
mod roles;
mod running;
mod sentences;
mod settings;
mod words;
