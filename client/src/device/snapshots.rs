//! What the replica folds to, kept so that neither a start nor a look at an earlier point folds it from its first record. A
//! cache: each file may be deleted, what is not usable is passed over, and a disk that takes none only costs time.
//!
//! Whole states are few: they are as large as the office. Figures are small, whatever the number of entries, and are kept
//! all along the log.

use std::path::Path;

use renaksi_domain::{FOLD_VERSION, State};
use renaksi_ledger::merkle::Hash;
use renaksi_ledger::{CommitView, Error, LogId, LogReader, NewSnapshot, Snapshots};
use renaksi_proto::fold::{Fold, absorb_figures};
use renaksi_proto::snapshot;

use super::replica::{replica_error, unreadable};
use crate::error::ClientError;

/// Records after which a whole state is kept again.
const WHOLE_EVERY: u64 = 1_000;
/// Whole states kept; the one before is there if a crash spoils the last.
const WHOLE_MAX: usize = 2;
/// Records from one figure snapshot to the next: what a look at an earlier point folds at most, beside the commit it is in.
const FIGURES_EVERY: u64 = 10_000;

/// The snapshots of one replica.
#[derive(Debug)]
pub(super) struct Kept {
    whole: Snapshots,
    figures: Snapshots,
    /// Position of the newest usable one; 0 without one.
    whole_at: u64,
    /// Of the newest, usable or not: a look at an earlier point makes good what is not.
    figures_at: u64,
}

impl Kept {
    /// Those beside the replica in `dir`. Errors: Io.
    pub(super) fn open(dir: &Path, id: LogId) -> Result<Kept, Error> {
        let whole = Snapshots::open(&dir.join("snapshots"), id)?;
        let figures = Snapshots::open(&dir.join("figures"), id)?;
        let figures_at = figures.positions()?.last().copied().unwrap_or(0);
        Ok(Kept { whole, figures, whole_at: 0, figures_at })
    }

    /// The newest whole state of this history; the empty one when there is none.
    ///
    /// Its checksum says that it is what this release wrote. Whether that is the fold is asked by whoever audits: they fold
    /// from the first record.
    pub(super) fn newest(&mut self, reader: &LogReader) -> Result<Fold, Error> {
        let found = self.whole.latest(reader.head().size, FOLD_VERSION, root_in(reader))?;
        let fold = found.and_then(|found| {
            let fold = snapshot::decode(&found.payload).ok()?;
            (fold.state.position == found.position).then_some(fold)
        });
        let fold = fold.unwrap_or_default();
        self.whole_at = fold.state.position;
        Ok(fold)
    }

    /// Keeps the figures at the end of a commit, if it is time.
    pub(super) fn after_commit(&mut self, state: &State, root: Hash) {
        if state.position >= self.figures_at + FIGURES_EVERY {
            self.figures_at = state.position;
            put(&self.figures, state.position, root, &snapshot::encode_figures(state));
        }
    }

    /// Keeps the whole state at the replica's end, if it is time.
    pub(super) fn after_fold(&mut self, fold: &Fold, root: Hash) {
        let position = fold.state.position;
        if position >= self.whole_at + WHOLE_EVERY {
            self.whole_at = position;
            put(&self.whole, position, root, &snapshot::encode(fold));
            if let Err(error) = self.whole.keep(WHOLE_MAX) {
                tracing::debug!(error = &error as &dyn std::error::Error, "an old snapshot stays");
            }
        }
    }

    /// The office as it was known at a record, for its figures alone.
    ///
    /// # Errors
    /// Integrity `RECORD_UNREADABLE` or `REPLICA_DAMAGED`.
    pub(super) fn figures_at(&self, reader: &LogReader, position: u64) -> Result<State, ClientError> {
        let found = self.figures.latest(position, FOLD_VERSION, root_in(reader));
        let found = found.map_err(|error| replica_error(&error))?;
        let kept = found.and_then(|found| {
            let state = snapshot::decode_figures(&found.payload).ok()?;
            (state.position == found.position).then_some(state)
        });
        let mut state = kept.unwrap_or_else(|| State::default().for_figures());
        let mut next_kept = state.position + FIGURES_EVERY;
        let mut commits = reader.iter(state.position + 1);
        while state.position < position {
            let seen = commits.see(|commit| {
                absorb_until(&mut state, &commit, position)?;
                if state.position == commit.size_after() && state.position >= next_kept {
                    // Older than this cache, or somebody deleted them.
                    next_kept = state.position + FIGURES_EVERY;
                    let payload = snapshot::encode_figures(&state);
                    put(&self.figures, state.position, commit.root_after(), &payload);
                }
                Ok(())
            });
            match seen.map_err(|error| replica_error(&error))? {
                Some(absorbed) => absorbed?,
                None => break,
            }
        }
        Ok(state)
    }
}

fn absorb_until(state: &mut State, commit: &CommitView<'_>, last: u64) -> Result<(), ClientError> {
    for (position, leaf) in (commit.first()..=last).zip(commit.leaves()) {
        absorb_figures(state, leaf).map_err(|error| unreadable(position, &error))?;
    }
    Ok(())
}

fn root_in(reader: &LogReader) -> impl FnMut(u64) -> Option<Hash> {
    |position| reader.root_at(position).ok().flatten()
}

fn put(snapshots: &Snapshots, position: u64, root: Hash, payload: &[u8]) {
    // Nobody on a device would compare it; hashing a large office takes longer than all the rest of this.
    let state_hash = [0; 32];
    let new = NewSnapshot { position, root, fold_version: FOLD_VERSION, state_hash, payload };
    if let Err(error) = snapshots.put(new) {
        tracing::debug!(error = &error as &dyn std::error::Error, position, "no snapshot was left");
    }
}
