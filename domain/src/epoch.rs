//! Epochs: stretches of the log within which everything that its key signed agrees. Where signed records are lost, an operator
//! begins the next one, with a reason; devices then offer again what the log lacks.

use crate::command::{Envelope, Outcome};
use crate::ids::{Origin, Position};
use crate::quarter::Locks;
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::time::Timestamp;

/// The epoch in which every log begins.
pub const FIRST_EPOCH: u32 = 1;

/// Begins an epoch: its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BeginEpoch {
    pub epoch: u32,
    pub reason: Box<str>,
    /// The last record that the epochs have in common.
    pub size: Position,
    /// The tree's root there.
    pub root: [u8; 32],
    /// The largest checkpoint that was signed over records which the log lacks; `None` where nothing is known to be lost.
    pub seen: Option<Seen>,
}

/// A checkpoint that somebody showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub epoch: u32,
    pub size: Position,
    pub root: [u8; 32],
}

impl BeginEpoch {
    /// True when whoever reads it knows that what was signed at that size of an earlier epoch may be lost: it lies beyond what
    /// the epochs have in common, or the record says that something of that epoch is.
    pub fn tells_of(&self, epoch: u32, size: Position) -> bool {
        let said = self.seen.is_some_and(|seen| seen.epoch >= epoch);
        self.epoch > epoch && (size > self.size || said)
    }
}

/// Where a command that is offered again stood in an epoch that ended. Its record there is under a checkpoint that the log's
/// key signed: nobody chooses the time by which they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    pub epoch: u32,
    pub position: Position,
    /// The server's time of that record.
    pub time: Timestamp,
    /// It was recorded there, not held or refused.
    pub recorded: bool,
}

pub(crate) fn decide(state: &State, envelope: &Envelope, begin: &BeginEpoch) -> Result<Outcome, Rejection> {
    if begin.reason.trim().is_empty() {
        return Err(Rejection::new(Code::ReasonMissing).with("command", envelope.command.name()));
    }
    if begin.epoch <= state.epoch() || begin.size != state.position {
        let cause = Rejection::new(Code::NothingToChange).with("epoch", begin.epoch);
        return Err(cause.with("position", state.position));
    }
    Ok(Outcome::Recorded(Default::default()))
}

impl State {
    /// The epoch that the log is in.
    pub fn epoch(&self) -> u32 {
        self.epochs.last().map_or(FIRST_EPOCH, |begun| begun.epoch)
    }

    /// True when what an ended epoch says of an origin's commands may be of this origin: it was enrolled in a record that the
    /// epochs have in common. One that was enrolled since may have the number of another whose enrolment is lost.
    pub fn may_be_restored(&self, origin: Origin, restored: &Restored) -> bool {
        let next = self.epochs.iter().find(|begun| begun.epoch > restored.epoch);
        let incarnation = self.people.incarnation(origin);
        next.zip(incarnation).is_some_and(|(begun, incarnation)| incarnation.enrolled <= begun.size)
    }

    /// The locks that may stand in a command's way. Since it was recorded in an epoch that ended, a quarter may have been
    /// locked, and its author came in time.
    pub(crate) fn locks_for(&self, envelope: &Envelope) -> Locks {
        let recorded = envelope.restored.as_deref().filter(|restored| restored.recorded);
        let next =
            recorded.and_then(|old| Some((old, self.epochs.iter().find(|new| new.epoch > old.epoch)?)));
        next.map_or(Locks::ALL, |(old, begun)| Locks { position: begun.size, time: old.time })
    }
}
