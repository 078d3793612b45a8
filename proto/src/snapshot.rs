//! Snapshots: a whole [`Fold`] as bytes and back. They are a cache of one release, never a stored contract: whoever
//! keeps one writes [`FORMAT`], the fold version and the state hash beside it and makes a new one when any differs.
//!
//! Plain fields follow one another: integers as LEB128 (signed ones zigzag), texts and lists with their length first,
//! options with a flag. What a command already says in the log's format (a revision's changes, held work, staged rows) is
//! stored as that command. What follows from the rest (figures, indexes) is left out and made anew.
//!
//! Reading is total: any bytes give a fold or an error, and memory stays in proportion to their number.

use renaksi_domain::command::Command;
use renaksi_domain::entry::{Entries, Entry, EntryCommand, Reading, State as EntryState};
use renaksi_domain::held::{Fate, Held};
use renaksi_domain::ids::{CommandKey, DeviceId, IndicatorId, Origin, PersonId, RevisionId, UnitId};
use renaksi_domain::indicator::{
    Indicator, Level, LowerFormula, Polarity, Settings, TargetCell, TargetVersion,
};
use renaksi_domain::people::{Assignment, Device, Incarnation, PeopleCommand, Person, Role, Unit};
use renaksi_domain::plan::{ImportIndicator, PLAN_YEARS, Plan, PlanCommand, PlanState, Staging};
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::{Quantity, Target};
use renaksi_domain::quarter::QuarterState;
use renaksi_domain::rejection::{Code, Rejection};
use renaksi_domain::revision::{Change, Revision, RevisionCommand, RevisionState};
use renaksi_domain::tally::Tally;
use renaksi_domain::time::{Date, Quarter, Timestamp};
use renaksi_domain::{FOLD_VERSION, State};
use uuid::Uuid;

use crate::convert::{DecodeError, command_leaf, decode_command};
use crate::fold::Fold;
use crate::log;

/// The version of these bytes. It grows with every change to this file's order of fields.
pub const FORMAT: u32 = 1;

/// The fold as bytes.
pub fn encode(fold: &Fold) -> Vec<u8> {
    let state = &fold.state;
    let mut out = Writer(Vec::with_capacity(64 * 1024 + 32 * state.entries.len()));
    out.number(FORMAT.into());
    out.number(FOLD_VERSION.into());
    out.number(state.position);
    out.signed(state.time.0);
    out.option(state.office.as_ref(), |out, office| {
        out.command(&Command::People(PeopleCommand::FoundOffice(office.clone())));
    });
    out.list(&state.people.persons, |out, person| out.list(&person.assignments, Writer::assignment));
    out.list(&state.people.units, |out, unit| out.text(&unit.name));
    out.list(&state.people.devices, Writer::device);
    out.list(&state.people.incarnations, Writer::incarnation);
    out.list(&state.plans, Writer::plan);
    out.list(&state.indicators, Writer::indicator);
    out.list(&state.revisions, Writer::revision);
    let mut before = 0;
    out.list(state.entries.iter(), |out, entry| {
        out.entry(entry, before);
        before = entry.position;
    });
    out.list(&state.held, |out, (key, held)| {
        out.key(*key);
        out.held(held);
    });
    out.list(&state.staging, |out, (origin, staging)| {
        out.number(origin.0.into());
        out.staging(staging);
    });
    out.list(fold.chains(), |out, chain| out.0.extend_from_slice(chain));
    out.0
}

/// Reads a fold.
///
/// # Errors
/// [`DecodeError`] when the bytes are not a snapshot of this format and fold version, whole and nothing more.
pub fn decode(bytes: &[u8]) -> Result<Fold, DecodeError> {
    let mut from = Reader(bytes);
    if from.number()? != u64::from(FORMAT) || from.number()? != u64::from(FOLD_VERSION) {
        return Err(wrong("format and fold version of this release"));
    }
    let mut state = State::default();
    state.position = from.number()?;
    state.time = Timestamp(from.signed()?);
    state.office = from.option(|from| match from.command()? {
        Command::People(PeopleCommand::FoundOffice(office)) => Ok(office),
        _ => Err(wrong("office")),
    })?;
    state.people.persons = from.list(|from| Ok(Person { assignments: from.list(Reader::assignment)? }))?;
    state.people.units = from.list(|from| Ok(Unit { name: from.text()? }))?;
    state.people.devices = from.list(Reader::device)?;
    state.people.incarnations = from.list(Reader::incarnation)?;
    state.plans = from.list(Reader::plan)?;
    state.indicators = from.list(Reader::indicator)?;
    state.revisions = from.list(Reader::revision)?;
    let mut before = 0;
    let table = from.list(|from| {
        let entry = from.entry(before)?;
        before = entry.position;
        Ok(entry)
    })?;
    state.entries = Entries::from_table(table).ok_or(wrong("entry keys"))?;
    state.held = from.list(|from| Ok((from.key()?, from.held()?)))?.into_iter().collect();
    state.staging = from.list(|from| Ok((Origin(from.small()?), from.staging()?)))?.into_iter().collect();
    let chains = from.list(Reader::array)?;
    if !from.0.is_empty() {
        return Err(wrong("end"));
    }
    state.rebuild_derived();
    Ok(Fold::resume(state, chains))
}

fn wrong(field: &'static str) -> DecodeError {
    DecodeError::Field { message: "snapshot", field }
}

const LEVELS: [Level; 4] = [Level::Strategic, Level::Program, Level::Activity, Level::SubActivity];
const KINDS: [Kind; 5] = [Kind::Sum, Kind::Cumulative, Kind::Latest, Kind::Average, Kind::Ratio];
const POLARITIES: [Polarity; 2] = [Polarity::Higher, Polarity::Lower];
const FORMULAS: [LowerFormula; 2] = [LowerFormula::Mirrored, LowerFormula::Inverse];
const PLAN_STATES: [PlanState; 3] = [PlanState::Draft, PlanState::Submitted, PlanState::Established];
const REVISION_STATES: [RevisionState; 5] = [
    RevisionState::Draft,
    RevisionState::Submitted,
    RevisionState::Approved,
    RevisionState::Rejected,
    RevisionState::Withdrawn,
];
const ENTRY_STATES: [EntryState; 4] =
    [EntryState::Recorded, EntryState::Verified, EntryState::Returned, EntryState::Voided];
const FATES: [Fate; 4] = [Fate::Waiting, Fate::Released, Fate::Dismissed, Fate::Withdrawn];

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// The place of a value in its list of all values.
    fn choice<T: PartialEq>(&mut self, value: T, all: &[T]) {
        let at = all.iter().position(|known| *known == value).expect("BUG: the list names every value");
        self.byte(at as u8);
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(value.is_some().into());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    fn key(&mut self, key: CommandKey) {
        self.number(key.origin.0.into());
        self.number(key.sequence.into());
    }

    fn date(&mut self, date: Date) {
        self.signed(date.days().into());
    }

    fn quarter(&mut self, quarter: Quarter) {
        self.choice(quarter, &Quarter::ALL);
    }

    /// A command in the log's own format.
    fn command(&mut self, command: &Command) {
        let leaf = command_leaf(command, Timestamp(0), &log::Texts::default(), [0; 16]).leaf;
        self.number(leaf.len() as u64);
        self.0.extend_from_slice(&leaf);
    }

    fn quantity(&mut self, quantity: Quantity) {
        let (mantissa, scale) = quantity.parts();
        self.signed(mantissa);
        self.byte(scale);
    }

    fn reading(&mut self, reading: &Reading) {
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

    fn target(&mut self, target: &Target) {
        match target {
            Target::Value(quantity) => {
                self.byte(0);
                self.quantity(*quantity);
            }
            Target::Text(text) => {
                self.byte(1);
                self.text(text);
            }
            Target::NotPlanned => self.byte(2),
            Target::Missing => self.byte(3),
        }
    }

    fn assignment(&mut self, assignment: &Assignment) {
        self.choice(assignment.role, &Role::ALL);
        self.option(assignment.unit, |out, unit| out.number(unit.0.into()));
        self.option(assignment.from, Self::date);
        self.option(assignment.until, Self::date);
    }

    fn device(&mut self, device: &Device) {
        self.number(device.owner.0.into());
        self.0.extend_from_slice(&device.key);
        self.option(device.revoked, Self::number);
        self.number(device.after_revocation.into());
    }

    fn incarnation(&mut self, incarnation: &Incarnation) {
        self.number(incarnation.device.0.into());
        self.0.extend_from_slice(incarnation.uuid.as_bytes());
        self.number(incarnation.last_sequence.into());
    }

    fn plan(&mut self, plan: &Plan) {
        self.signed(plan.year.into());
        self.choice(plan.state, &PLAN_STATES);
        self.text(&plan.title);
        self.list(&plan.objectives, |out, name| out.text(name));
        self.list(&plan.indicators, |out, id| out.number(id.0.into()));
        self.option(plan.basis.as_deref(), Self::text);
        self.option(plan.submitted_by, |out, id| out.number(id.0.into()));
        self.option(plan.established_at, Self::number);
        for quarter in plan.quarters {
            match quarter {
                QuarterState::Open => self.byte(0),
                QuarterState::LockRequested { by } => {
                    self.byte(1);
                    self.number(by.0.into());
                }
                QuarterState::Locked { at, time } => {
                    self.byte(2);
                    self.number(at);
                    self.signed(time.0);
                }
            }
        }
    }

    fn indicator(&mut self, indicator: &Indicator) {
        self.signed(indicator.year.into());
        self.choice(indicator.level, &LEVELS);
        self.number(indicator.objective.into());
        self.option(indicator.parent, |out, id| out.number(id.0.into()));
        self.text(&indicator.code);
        self.text(&indicator.name);
        self.text(&indicator.measure);
        self.option(indicator.satuan.as_deref(), Self::text);
        self.option(indicator.responsible.as_deref(), Self::text);
        self.option(indicator.unit, |out, id| out.number(id.0.into()));
        for settings in &indicator.settings {
            self.choice(settings.kind, &KINDS);
            self.choice(settings.polarity, &POLARITIES);
            self.choice(settings.formula, &FORMULAS);
            self.option(settings.cap, Self::quantity);
        }
        self.byte(indicator.confirmed.into());
        for cell in &indicator.targets {
            self.list(&cell.versions, |out, version| {
                out.target(&version.target);
                out.option(version.revision, |out, id| out.number(id.0.into()));
                out.number(version.position);
                out.signed(version.time.0);
            });
            self.option(cell.original, |out, index| out.number(index.into()));
        }
        self.option(indicator.retired, |out, (id, quarter)| {
            out.number(id.0.into());
            out.quarter(quarter);
        });
    }

    fn revision(&mut self, revision: &Revision) {
        self.command(&Command::Revision(RevisionCommand::Draft(revision.draft.clone())));
        self.list(&revision.changes, |out, change| {
            out.command(&Command::Revision(RevisionCommand::AddChange(RevisionId(1), change.clone())));
        });
        self.choice(revision.state, &REVISION_STATES);
        self.number(revision.drafted_by.0.into());
        self.list(&revision.authors, |out, id| out.number(id.0.into()));
        self.option(revision.submitted_by, |out, id| out.number(id.0.into()));
        self.option(revision.decided_by, |out, id| out.number(id.0.into()));
        self.number(revision.position);
        self.signed(revision.time.0);
    }

    /// `before` is the position of the entry before it, which is mostly near.
    fn entry(&mut self, entry: &Entry, before: u64) {
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

    fn held(&mut self, held: &Held) {
        self.number(held.author.0.into());
        self.command(&Command::Entry(held.command.clone()));
        self.text(held.cause.code.name());
        self.list(&held.cause.details, |out, (key, value)| {
            out.text(key);
            out.text(value);
        });
        self.number(held.position);
        self.signed(held.time.0);
        self.choice(held.fate, &FATES);
    }

    fn staging(&mut self, staging: &Staging) {
        self.command(&Command::Plan(PlanCommand::StartImport(staging.start.clone())));
        self.list(&staging.objectives, |out, name| out.text(name));
        self.list(&staging.indicators, |out, (objective, row)| {
            out.number((*objective).into());
            out.command(&Command::Plan(PlanCommand::ImportIndicator(Box::new(row.clone()))));
        });
        self.number(staging.position);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(wrong("length"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.take(N)?.try_into().map_err(|_| wrong("length"))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        self.choice(&[false, true])
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
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

    fn small(&mut self) -> Result<u32, DecodeError> {
        self.number()?.try_into().map_err(|_| wrong("number"))
    }

    fn signed(&mut self) -> Result<i64, DecodeError> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| wrong("length"))?;
        self.take(length)
    }

    fn text(&mut self) -> Result<Box<str>, DecodeError> {
        std::str::from_utf8(self.bytes()?).map(Into::into).map_err(|_| wrong("text"))
    }

    fn choice<T: Copy>(&mut self, all: &[T]) -> Result<T, DecodeError> {
        all.get(usize::from(self.byte()?)).copied().ok_or(wrong("choice"))
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    /// Every item takes at least a byte, so a list longer than what is left is no list; room is made as items come.
    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.number()?;
        if count > self.0.len() as u64 {
            return Err(wrong("length"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn four<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<[T; 4], DecodeError> {
        Ok([read(self)?, read(self)?, read(self)?, read(self)?])
    }

    fn key(&mut self) -> Result<CommandKey, DecodeError> {
        Ok(CommandKey::new(Origin(self.small()?), self.small()?))
    }

    fn date(&mut self) -> Result<Date, DecodeError> {
        i32::try_from(self.signed()?).map(Date::from_days).map_err(|_| wrong("date"))
    }

    fn year(&mut self) -> Result<i16, DecodeError> {
        let year = i16::try_from(self.signed()?).map_err(|_| wrong("year"))?;
        PLAN_YEARS.contains(&year).then_some(year).ok_or(wrong("year"))
    }

    fn quarter(&mut self) -> Result<Quarter, DecodeError> {
        self.choice(&Quarter::ALL)
    }

    fn person(&mut self) -> Result<PersonId, DecodeError> {
        self.small().map(PersonId)
    }

    fn command(&mut self) -> Result<Command, DecodeError> {
        Ok(decode_command(self.bytes()?, Origin::HOST, 0, PersonId(0))?.0.command)
    }

    fn quantity(&mut self) -> Result<Quantity, DecodeError> {
        Quantity::from_parts(self.signed()?, self.byte()?).map_err(|_| wrong("quantity"))
    }

    fn reading(&mut self) -> Result<Reading, DecodeError> {
        Ok(match self.byte()? {
            0 => Reading::Quantity(self.quantity()?),
            1 => Reading::Ratio { numerator: self.quantity()?, denominator: self.quantity()? },
            2 => Reading::Text(self.text()?),
            _ => return Err(wrong("reading")),
        })
    }

    fn target(&mut self) -> Result<Target, DecodeError> {
        Ok(match self.byte()? {
            0 => Target::Value(self.quantity()?),
            1 => Target::Text(self.text()?),
            2 => Target::NotPlanned,
            3 => Target::Missing,
            _ => return Err(wrong("target")),
        })
    }

    fn assignment(&mut self) -> Result<Assignment, DecodeError> {
        Ok(Assignment {
            role: self.choice(&Role::ALL)?,
            unit: self.option(|from| from.small().map(UnitId))?,
            from: self.option(Self::date)?,
            until: self.option(Self::date)?,
        })
    }

    fn device(&mut self) -> Result<Device, DecodeError> {
        Ok(Device {
            owner: self.person()?,
            key: self.array()?,
            revoked: self.option(Self::number)?,
            after_revocation: self.small()?,
        })
    }

    fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        Ok(Incarnation {
            device: DeviceId(self.small()?),
            uuid: Uuid::from_bytes(self.array()?),
            last_sequence: self.small()?,
        })
    }

    fn plan(&mut self) -> Result<Plan, DecodeError> {
        Ok(Plan {
            year: self.year()?,
            state: self.choice(&PLAN_STATES)?,
            title: self.text()?,
            objectives: self.list(Self::text)?,
            indicators: self.list(|from| from.small().map(IndicatorId))?,
            basis: self.option(Self::text)?,
            submitted_by: self.option(Self::person)?,
            established_at: self.option(Self::number)?,
            quarters: self.four(|from| {
                Ok(match from.byte()? {
                    0 => QuarterState::Open,
                    1 => QuarterState::LockRequested { by: from.person()? },
                    2 => QuarterState::Locked { at: from.number()?, time: Timestamp(from.signed()?) },
                    _ => return Err(wrong("quarter")),
                })
            })?,
        })
    }

    fn indicator(&mut self) -> Result<Indicator, DecodeError> {
        Ok(Indicator {
            year: self.year()?,
            level: self.choice(&LEVELS)?,
            objective: self.small()?,
            parent: self.option(|from| from.small().map(IndicatorId))?,
            code: self.text()?,
            name: self.text()?,
            measure: self.text()?,
            satuan: self.option(Self::text)?,
            responsible: self.option(Self::text)?,
            unit: self.option(|from| from.small().map(UnitId))?,
            settings: self.four(|from| {
                Ok(Settings {
                    kind: from.choice(&KINDS)?,
                    polarity: from.choice(&POLARITIES)?,
                    formula: from.choice(&FORMULAS)?,
                    cap: from.option(Self::quantity)?,
                })
            })?,
            confirmed: self.flag()?,
            targets: self.four(Self::cell)?,
            retired: self.option(|from| Ok((RevisionId(from.small()?), from.quarter()?)))?,
            tally: Tally::default(),
            entries: Vec::new(),
        })
    }

    fn cell(&mut self) -> Result<TargetCell, DecodeError> {
        let versions = self.list(|from| {
            Ok(TargetVersion {
                target: from.target()?,
                revision: from.option(|from| from.small().map(RevisionId))?,
                position: from.number()?,
                time: Timestamp(from.signed()?),
            })
        })?;
        let original = self.option(Self::small)?;
        // The rules count on both: a cell has a version, and the established one is among them.
        match original.unwrap_or(0) as usize >= versions.len() {
            true => Err(wrong("target version")),
            false => Ok(TargetCell { versions, original }),
        }
    }

    fn revision(&mut self) -> Result<Revision, DecodeError> {
        let draft = match self.command()? {
            Command::Revision(RevisionCommand::Draft(draft)) => draft,
            _ => return Err(wrong("revision")),
        };
        Ok(Revision {
            draft,
            changes: self.list(Self::change)?,
            state: self.choice(&REVISION_STATES)?,
            drafted_by: self.person()?,
            authors: self.list(Self::person)?,
            submitted_by: self.option(Self::person)?,
            decided_by: self.option(Self::person)?,
            position: self.number()?,
            time: Timestamp(self.signed()?),
        })
    }

    fn change(&mut self) -> Result<Change, DecodeError> {
        match self.command()? {
            Command::Revision(RevisionCommand::AddChange(_, change)) => Ok(change),
            _ => Err(wrong("change")),
        }
    }

    fn entry(&mut self, before: u64) -> Result<Entry, DecodeError> {
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

    fn held(&mut self) -> Result<Held, DecodeError> {
        Ok(Held {
            author: self.person()?,
            command: self.entry_command()?,
            cause: Rejection {
                code: Code::from_name(&self.text()?),
                details: self.list(|from| Ok((from.text()?, from.text()?)))?,
            },
            position: self.number()?,
            time: Timestamp(self.signed()?),
            fate: self.choice(&FATES)?,
        })
    }

    fn entry_command(&mut self) -> Result<EntryCommand, DecodeError> {
        match self.command()? {
            Command::Entry(command) => Ok(command),
            _ => Err(wrong("held command")),
        }
    }

    fn staging(&mut self) -> Result<Staging, DecodeError> {
        let start = match self.command()? {
            Command::Plan(PlanCommand::StartImport(start)) => start,
            _ => return Err(wrong("import")),
        };
        Ok(Staging {
            start,
            objectives: self.list(Self::text)?,
            indicators: self.list(|from| Ok((from.small()?, from.row()?)))?,
            position: self.number()?,
        })
    }

    fn row(&mut self) -> Result<ImportIndicator, DecodeError> {
        match self.command()? {
            Command::Plan(PlanCommand::ImportIndicator(row)) => Ok(*row),
            _ => Err(wrong("import row")),
        }
    }
}
