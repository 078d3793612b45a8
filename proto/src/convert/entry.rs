use renaksi_domain::command::{Command, Counted, Effect};
use renaksi_domain::entry::{AddEntry, AmendEntry, EntryCommand, EntryVersion};
use renaksi_domain::held::{HeldCommand, ReleaseHeld};
use renaksi_domain::ids::{CommandKey, IndicatorId};

use super::common::{
    date_from, entry_state_from, entry_state_to, key_from, key_to, quarter_from, reading_from, reading_to,
};
use super::{DecodeError, field};
use crate::log;
use crate::log::command::Body;

pub(super) fn to(command: &EntryCommand) -> Body {
    let version =
        |v: &EntryVersion| log::EntryVersion { entry: Some(key_to(v.entry)), base: Some(key_to(v.base)) };
    match command {
        EntryCommand::Add(add) => Body::AddEntry(log::AddEntry {
            indicator: add.indicator.0,
            on: add.on.days(),
            reading: Some(reading_to(&add.reading)),
        }),
        EntryCommand::Amend(amend) => Body::AmendEntry(log::AmendEntry {
            entry: Some(key_to(amend.entry)),
            base: Some(key_to(amend.base)),
            on: amend.on.days(),
            reading: Some(reading_to(&amend.reading)),
        }),
        EntryCommand::Void(v) => Body::VoidEntry(version(v)),
        EntryCommand::Verify(v) => Body::VerifyEntry(version(v)),
        EntryCommand::Return(v) => Body::ReturnEntry(version(v)),
    }
}

pub(super) fn add(stored: log::AddEntry) -> Result<Command, DecodeError> {
    Ok(Command::Entry(EntryCommand::Add(AddEntry {
        indicator: IndicatorId(stored.indicator),
        on: date_from(stored.on),
        reading: reading_from(stored.reading)?,
    })))
}

pub(super) fn amend(stored: log::AmendEntry) -> Result<Command, DecodeError> {
    Ok(Command::Entry(EntryCommand::Amend(AmendEntry {
        entry: key_from(stored.entry)?,
        base: key_from(stored.base)?,
        on: date_from(stored.on),
        reading: reading_from(stored.reading)?,
    })))
}

pub(super) fn version(
    stored: log::EntryVersion,
    make: impl FnOnce(EntryVersion) -> EntryCommand,
) -> Result<Command, DecodeError> {
    Ok(Command::Entry(make(EntryVersion { entry: key_from(stored.entry)?, base: key_from(stored.base)? })))
}

pub(super) fn held_to(command: &HeldCommand) -> Body {
    match command {
        HeldCommand::Release(release) => Body::ReleaseHeld(log::ReleaseHeld {
            held: Some(key_to(release.held)),
            to: release.to.map_or(0, |id| id.0),
            count_in: release.count_in.map_or(0, |quarter| u32::from(quarter.number())),
        }),
        HeldCommand::Dismiss(key) => Body::DismissHeld(key_to(*key)),
        HeldCommand::Withdraw(key) => Body::WithdrawHeld(key_to(*key)),
    }
}

pub(super) fn release(stored: log::ReleaseHeld) -> Result<Command, DecodeError> {
    Ok(Command::Held(HeldCommand::Release(ReleaseHeld {
        held: key_from(stored.held)?,
        to: (stored.to != 0).then_some(IndicatorId(stored.to)),
        count_in: (stored.count_in != 0).then(|| quarter_from(stored.count_in)).transpose()?,
    })))
}

pub(super) fn held(
    stored: log::CommandKey,
    make: impl FnOnce(CommandKey) -> HeldCommand,
) -> Result<Command, DecodeError> {
    Ok(Command::Held(make(key_from(Some(stored))?)))
}

pub(super) fn effect_to(effect: &Effect) -> log::Effect {
    log::Effect {
        late: effect.late,
        before: effect.before.as_ref().map(counted_to),
        after: effect.after.as_ref().map(counted_to),
        reported_left: effect.reported_left.as_deref().map(counted_to),
        verified_left: effect.verified_left.as_deref().map(counted_to),
        frozen: effect.frozen.as_deref().map_or_else(Vec::new, |digest| digest.to_vec()),
    }
}

pub(super) fn effect_from(stored: log::Effect) -> Result<Effect, DecodeError> {
    Ok(Effect {
        late: stored.late,
        before: stored.before.map(counted_from).transpose()?,
        after: stored.after.map(counted_from).transpose()?,
        reported_left: stored.reported_left.map(counted_from).transpose()?.map(Box::new),
        verified_left: stored.verified_left.map(counted_from).transpose()?.map(Box::new),
        frozen: frozen_from(&stored.frozen)?,
    })
}

fn frozen_from(stored: &[u8]) -> Result<Option<Box<[u8; 32]>>, DecodeError> {
    match stored.is_empty() {
        true => Ok(None),
        false => field(stored.try_into().ok(), "Effect", "frozen").map(|digest| Some(Box::new(digest))),
    }
}

fn counted_to(counted: &Counted) -> log::Counted {
    log::Counted {
        indicator: counted.indicator.0,
        quarter: u32::from(counted.quarter.number()),
        on: counted.on.days(),
        reading: Some(reading_to(&counted.reading)),
        state: entry_state_to(counted.state).into(),
        position: counted.position,
    }
}

fn counted_from(stored: log::Counted) -> Result<Counted, DecodeError> {
    Ok(Counted {
        indicator: IndicatorId(stored.indicator),
        quarter: quarter_from(stored.quarter)?,
        on: date_from(stored.on),
        reading: reading_from(stored.reading)?,
        state: entry_state_from(stored.state)?,
        position: stored.position,
    })
}
