//! Folding a log: leaf bytes in, state out. The same on server, laptop and auditor's replay.

use renaksi_domain::command::{Record, apply};
use renaksi_domain::ids::{Origin, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::quarter::due_by_itself;
use renaksi_domain::{Command, Outcome, State};

use crate::chain::{self, ChainHash};
use crate::convert::{DecodeError, decode_record};
use crate::log;

/// A state with the chain heads of its incarnations. Memory grows with devices and live entries, not with records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fold {
    /// What the log says.
    pub state: State,
    chains: Vec<ChainHash>,
}

impl Fold {
    /// Folds the next leaf.
    ///
    /// # Errors
    /// [`DecodeError`] when the bytes are not a record this release can read; the state is then unchanged.
    pub fn absorb(&mut self, leaf: &[u8]) -> Result<(Record, log::Record), DecodeError> {
        let (record, stored) = decode_record(leaf)?;
        host_keeps_to_its_own(&self.state, &record)?;
        only_after_its_epoch(&self.state, &record)?;
        self.absorb_decoded(&record, &stored.command);
        Ok((record, stored))
    }

    /// Folds a record whose command bytes are at hand.
    pub fn absorb_decoded(&mut self, record: &Record, command_leaf: &[u8]) {
        apply(&mut self.state, record);
        if let (Command::People(PeopleCommand::EnrolDevice(enrol)), Outcome::Recorded(_)) =
            (&record.envelope.command, &record.outcome)
        {
            self.chains.push(chain::start(enrol.incarnation));
        }
        if let Some(head) = self.chains.get_mut(record.envelope.origin.index()) {
            *head = chain::link(head, command_leaf);
        }
    }

    /// The chain over all of an incarnation's commands in the log; `None` for an unknown one.
    pub fn chain(&self, origin: Origin) -> Option<&ChainHash> {
        self.chains.get(origin.index())
    }

    /// The chain heads of all incarnations, in their order.
    pub fn chains(&self) -> &[ChainHash] {
        &self.chains
    }

    /// A fold that goes on from a state and its chain heads.
    pub fn resume(state: State, chains: Vec<ChainHash>) -> Self {
        Self { state, chains }
    }
}

/// Folds the next leaf on to an office for its figures alone ([`State::for_figures`]).
///
/// # Errors
/// As [`Fold::absorb`].
pub fn absorb_figures(figures: &mut State, leaf: &[u8]) -> Result<(), DecodeError> {
    let (record, _) = decode_record(leaf)?;
    host_keeps_to_its_own(figures, &record)?;
    only_after_its_epoch(figures, &record)?;
    apply(figures, &record);
    Ok(())
}

/// What is offered again was recorded in an epoch that ended: no other record has a time of decision beside its own.
fn only_after_its_epoch(state: &State, record: &Record) -> Result<(), DecodeError> {
    let envelope = &record.envelope;
    let proper = envelope.restored.as_ref().is_none_or(|restored| {
        state.may_be_restored(envelope.origin, restored) && restored.time <= record.time
    });
    match proper {
        true => Ok(()),
        false => Err(DecodeError::Field { message: "Record", field: "restored" }),
    }
}

/// The server has no power over figures: what it records itself is about people and devices, or is due by itself because
/// two people said so before, and it is nobody's.
fn host_keeps_to_its_own(state: &State, record: &Record) -> Result<(), DecodeError> {
    let envelope = &record.envelope;
    let own = match &envelope.command {
        Command::People(_) => true,
        Command::Quarter(command) => due_by_itself(state, record.time).as_ref() == Some(command),
        _ => false,
    };
    let proper = envelope.sequence == 0
        && envelope.author == PersonId(0)
        && record.carrier.is_none()
        && (own || matches!(record.outcome, Outcome::Refused(_)));
    match envelope.origin == Origin::HOST && !proper {
        true => Err(DecodeError::Field { message: "Record", field: "device: the server recorded it itself" }),
        false => Ok(()),
    }
}
