//! Damaged bytes are an error or another value, never a panic.

use proptest::prelude::*;
use renaksi_domain::figures::{Period, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::{Origin, PersonId};
use renaksi_domain::state::State;
use renaksi_domain::time::Quarter;
use renaksi_proto::chain::open_aside;
use renaksi_proto::convert::{command_leaf, decode_command, decode_record};
use renaksi_proto::fold::Fold;

use crate::history::{play, steps};
use crate::samples::{MADE_AT, SALT, commands, records, texts};
use crate::stored::leaves;

/// One change to some bytes.
#[derive(Clone, Copy, Debug)]
pub enum Damage {
    Flip(usize, u8),
    Cut(usize),
    Insert(usize, u8),
    Remove(usize),
}

pub fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<usize>(), 1_u8..).prop_map(|(at, by)| Damage::Flip(at, by)),
        any::<usize>().prop_map(Damage::Cut),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        any::<usize>().prop_map(Damage::Remove),
    ]
}

pub fn damaged(bytes: &[u8], damage: &[Damage]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for one in damage.iter().copied() {
        let length = bytes.len().max(1);
        match one {
            _ if bytes.is_empty() => {}
            Damage::Flip(at, by) => bytes[at % length] ^= by,
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Insert(at, byte) => bytes.insert(at % length, byte),
            Damage::Remove(at) => drop(bytes.remove(at % length)),
        }
    }
    bytes
}

/// Everything that reads a state, on one that no office ever had.
pub fn read_all(state: &State) {
    state_hash(state);
    for indicator in &state.indicators {
        for quarter in Quarter::ALL {
            for period in [Period::Quarter(quarter), Period::ToDate(quarter), Period::Year] {
                line(state, indicator, period);
            }
        }
    }
}

#[test]
fn truncated_leaves_never_panic() {
    for (_, command) in commands() {
        let leaf = command_leaf(&command, MADE_AT, &texts(), SALT);
        for length in 0..leaf.leaf.len() {
            assert!(decode_command(&leaf.leaf[..length], Origin(1), 1, PersonId(1)).is_err());
        }
        for length in 0..leaf.aside.len() {
            assert_eq!(open_aside(&[0; 32], &leaf.aside[..length]), None);
        }
    }
    for (_, stored) in records() {
        let leaf = stored.leaf();
        for length in 0..leaf.len() {
            let _ = decode_record(&leaf[..length]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_commands_never_panic(which in any::<usize>(), damage in proptest::collection::vec(damage(), 1..4)) {
        let all = commands();
        let (_, command) = &all[which % all.len()];
        let leaf = command_leaf(command, MADE_AT, &texts(), SALT).leaf;
        let _ = decode_command(&damaged(&leaf, &damage), Origin(1), 1, PersonId(1));
    }

    /// What still reads as a record is folded and shown: replicas apply what a server sends them.
    #[test]
    fn damaged_logs_never_panic(
        steps in steps(40),
        damages in proptest::collection::vec((any::<usize>(), damage()), 1..12),
    ) {
        let mut all = leaves(&play(&steps));
        for (which, damage) in damages {
            let at = which % all.len();
            all[at] = damaged(&all[at], &[damage]);
        }
        let mut fold = Fold::default();
        for leaf in &all {
            let before = fold.state.position;
            if fold.absorb(leaf).is_err() {
                prop_assert_eq!(fold.state.position, before);
            }
        }
        read_all(&fold.state);
    }
}
