//! Entries and held work.

use renaksi_domain::command::Command;
use renaksi_domain::entry::{Entry, EntryCommand, Reading, State as EntryState};
use renaksi_domain::held::{Fate, Held};
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::rejection::{Code, Rejection};

use super::bytes::{Reader, Writer};
use super::wrong;
use crate::convert::DecodeError;

const ENTRY_STATES: [EntryState; 4] =
    [EntryState::Recorded, EntryState::Verified, EntryState::Returned, EntryState::Voided];
const FATES: [Fate; 4] = [Fate::Waiting, Fate::Released, Fate::Dismissed, Fate::Withdrawn];

impl Writer {
    pub(super) fn quantity(&mut self, quantity: Quantity) {
        let (mantissa, scale) = quantity.parts();
        self.signed(mantissa);
        self.byte(scale);
    }

    pub(super) fn reading(&mut self, reading: &Reading) {
        match reading {
            Reading::Quantity(quantity) => {
                self.byte(0);
                self.quantity(*quantity);
            }
            Reading::Ratio { numerator, denominator } => {
                self.byte(1);
                self.quantity(*numerator);
                self.quantity(*denominator);
            }
            Reading::Text(text) => {
                self.byte(2);
                self.text(text);
            }
        }
    }

    /// `before` is the position of the entry before it, which is mostly near.
    pub(super) fn entry(&mut self, entry: &Entry, before: u64) {
        self.key(entry.key);
        self.option((entry.version != entry.key).then_some(entry.version), Self::key);
        self.number(entry.indicator.0.into());
        self.number(entry.author.0.into());
        self.date(entry.on);
        self.reading(&entry.reading);
        self.quarter(entry.quarter);
        self.choice(entry.state, &ENTRY_STATES);
        self.byte(entry.late.into());
        self.signed(entry.position.wrapping_sub(before) as i64);
    }

    pub(super) fn held(&mut self, held: &Held) {
        self.number(held.author.0.into());
        self.command(&Command::Entry(held.command.clone()));
        self.text(held.cause.code.name());
        self.list(&held.cause.details, |out, (key, value)| {
            out.text(key);
            out.text(value);
        });
        self.number(held.position);
        self.time(held.time);
        self.choice(held.fate, &FATES);
    }
}

impl Reader<'_> {
    pub(super) fn quantity(&mut self) -> Result<Quantity, DecodeError> {
        Quantity::from_parts(self.signed()?, self.byte()?).map_err(|_| wrong("quantity"))
    }

    pub(super) fn reading(&mut self) -> Result<Reading, DecodeError> {
        Ok(match self.byte()? {
            0 => Reading::Quantity(self.quantity()?),
            1 => Reading::Ratio { numerator: self.quantity()?, denominator: self.quantity()? },
            2 => Reading::Text(self.text()?),
            _ => return Err(wrong("reading")),
        })
    }

    pub(super) fn entry(&mut self, before: u64) -> Result<Entry, DecodeError> {
        let key = self.key()?;
        Ok(Entry {
            key,
            version: self.option(Self::key)?.unwrap_or(key),
            indicator: IndicatorId(self.small()?),
            author: self.person()?,
            on: self.date()?,
            reading: self.reading()?,
            quarter: self.quarter()?,
            state: self.choice(&ENTRY_STATES)?,
            late: self.flag()?,
            position: before.wrapping_add(self.signed()? as u64),
        })
    }

    pub(super) fn held(&mut self) -> Result<Held, DecodeError> {
        Ok(Held {
            author: self.person()?,
            command: self.entry_command()?,
            cause: Rejection {
                code: Code::from_name(&self.text()?),
                details: self.list(|from| Ok((from.text()?, from.text()?)))?,
            },
            position: self.number()?,
            time: self.time()?,
            fate: self.choice(&FATES)?,
        })
    }

    pub(super) fn entry_command(&mut self) -> Result<EntryCommand, DecodeError> {
        match self.command()? {
            Command::Entry(command) => Ok(command),
            _ => Err(wrong("held command")),
        }
    }
}
