//! The plain parts: numbers, texts, options, lists, and commands in the log's own format.

use renaksi_domain::command::Command;
use renaksi_domain::ids::{CommandKey, Origin, PersonId};
use renaksi_domain::plan::PLAN_YEARS;
use renaksi_domain::time::{Date, Quarter, Timestamp};

use super::wrong;
use crate::convert::{DecodeError, command_leaf, decode_command};
use crate::log;

pub(super) struct Writer(pub(super) Vec<u8>);

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Writer {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(super) fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The place of a value in its list of all values.
    pub(super) fn choice<T: PartialEq>(&mut self, value: T, all: &[T]) {
        let at = all.iter().position(|known| *known == value).expect("BUG: the list names every value");
        self.byte(at as u8);
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(super) fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    pub(super) fn key(&mut self, key: CommandKey) {
        self.number(key.origin.0.into());
        self.number(key.sequence.into());
    }

    pub(super) fn date(&mut self, date: Date) {
        self.signed(date.days().into());
    }

    pub(super) fn time(&mut self, time: Timestamp) {
        self.signed(time.0);
    }

    pub(super) fn quarter(&mut self, quarter: Quarter) {
        self.choice(quarter, &Quarter::ALL);
    }

    /// A command in the log's own format.
    pub(super) fn command(&mut self, command: &Command) {
        let leaf = command_leaf(command, Timestamp(0), &log::Texts::default(), [0; 16]).leaf;
        self.number(leaf.len() as u64);
        self.0.extend_from_slice(&leaf);
    }
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(wrong("length"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| wrong("length"))
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        self.choice(&[false, true])
    }

    pub(super) fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(wrong("number"));
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(wrong("number"))
    }

    pub(super) fn small(&mut self) -> Result<u32, DecodeError> {
        self.number()?.try_into().map_err(|_| wrong("number"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| wrong("length"))?;
        self.take(length)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, DecodeError> {
        std::str::from_utf8(self.bytes()?).map(Into::into).map_err(|_| wrong("text"))
    }

    pub(super) fn choice<T: Copy>(&mut self, all: &[T]) -> Result<T, DecodeError> {
        all.get(usize::from(self.byte()?)).copied().ok_or(wrong("choice"))
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    /// Every item takes at least a byte, so a list longer than what is left is no list; room is made as items come.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.number()?;
        if count > self.0.len() as u64 {
            return Err(wrong("length"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub(super) fn four<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<[T; 4], DecodeError> {
        Ok([read(self)?, read(self)?, read(self)?, read(self)?])
    }

    pub(super) fn key(&mut self) -> Result<CommandKey, DecodeError> {
        Ok(CommandKey::new(Origin(self.small()?), self.small()?))
    }

    pub(super) fn date(&mut self) -> Result<Date, DecodeError> {
        i32::try_from(self.signed()?).map(Date::from_days).map_err(|_| wrong("date"))
    }

    pub(super) fn year(&mut self) -> Result<i16, DecodeError> {
        let year = i16::try_from(self.signed()?).map_err(|_| wrong("year"))?;
        PLAN_YEARS.contains(&year).then_some(year).ok_or(wrong("year"))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, DecodeError> {
        self.signed().map(Timestamp)
    }

    pub(super) fn quarter(&mut self) -> Result<Quarter, DecodeError> {
        self.choice(&Quarter::ALL)
    }

    pub(super) fn person(&mut self) -> Result<PersonId, DecodeError> {
        self.small().map(PersonId)
    }

    pub(super) fn command(&mut self) -> Result<Command, DecodeError> {
        Ok(decode_command(self.bytes()?, Origin::HOST, 0, PersonId(0))?.0.command)
    }
}
