//! Commands of the program that have a file of their own: their options, and how they tell what was done.

pub mod backup;
pub mod epoch;
pub mod restore;
