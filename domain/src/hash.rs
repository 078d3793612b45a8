//! The state hash: one number by which server, laptop and auditor know that they folded the same office.
//!
//! SHA-256 over the ordered digests of the sections: plan, revisions, quarters, people, then one per indicator. Each
//! section is written in a canonical form: integers big-endian, texts with their length, options with a tag. Held work
//! belongs to its indicator. What is only an index or a running sum of these is left out.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::FOLD_VERSION;
use crate::achievement::{NoFigure, two_decimals};
use crate::entry::{Entry, EntryCommand, Reading};
use crate::figures::{Period, Realised, line};
use crate::held::Held;
use crate::ids::{CommandKey, IndicatorId};
use crate::indicator::{Indicator, Settings, TargetCell};
use crate::people::{Assignment, People};
use crate::plan::{Plan, Staging};
use crate::quantity::{Quantity, Target};
use crate::quarter::{PlanQuarter, QuarterState};
use crate::quotient::Quotient;
use crate::rejection::Rejection;
use crate::revision::{Change, Revision};
use crate::state::State;
use crate::time::Quarter;

/// SHA-256.
pub type StateHash = [u8; 32];

/// The hash of the whole office.
pub fn state_hash(state: &State) -> StateHash {
    let mut whole = Canon::new("state");
    whole.number(u64::from(FOLD_VERSION));
    whole.digest(plans(state));
    whole.digest(revisions(state));
    whole.digest(quarters(state));
    whole.digest(people(state));
    let mut held: Vec<Vec<(&CommandKey, &Held)>> = vec![Vec::new(); state.indicators.len()];
    let mut homeless = Vec::new();
    for (key, work) in &state.held {
        match indicator_of(state, &work.command).and_then(|id| held.get_mut(id.index())) {
            Some(of_indicator) => of_indicator.push((key, work)),
            None => homeless.push((key, work)),
        }
    }
    for (indicator, held) in state.indicators.iter().zip(&held) {
        whole.digest(indicator_section(state, indicator, held));
    }
    homeless.into_iter().for_each(|(key, work)| whole.held(*key, work));
    whole.digest(sequences(state));
    whole.finish()
}

/// The digest of a quarter's figures: of each indicator of the plan its code, how it is computed, and target, reported
/// and verified realisation and achievement of the quarter and of the year to date, as they are printed.
pub fn figures_hash(state: &State, quarter: PlanQuarter) -> StateHash {
    let mut canon = Canon::new("figures");
    canon.signed(i64::from(quarter.year));
    canon.quarter(quarter.quarter);
    let ids = state.plan(quarter.year).map_or(&[][..], |plan| &plan.indicators);
    canon.list(ids.iter().filter_map(|id| state.indicator(*id)).collect::<Vec<_>>(), |canon, indicator| {
        canon.text(&indicator.code);
        canon.settings(&indicator.settings_in(quarter.quarter));
        for period in [Period::Quarter(quarter.quarter), Period::ToDate(quarter.quarter)] {
            let line = line(state, indicator, period);
            canon.text(&line.target.label());
            canon.realised(&line.realised);
            canon.realised(&line.realised_verified);
            canon.achievement(&line.achievement);
            canon.achievement(&line.achievement_reported);
        }
    });
    canon.finish()
}

fn indicator_of(state: &State, command: &EntryCommand) -> Option<IndicatorId> {
    match command {
        EntryCommand::Add(add) => Some(add.indicator),
        other => state.entries.get(other.entry()?).map(|entry| entry.indicator),
    }
}

fn plans(state: &State) -> StateHash {
    let mut canon = Canon::new("plan");
    if let Some(office) = &state.office {
        canon.uuid(office.office);
        canon.text(&office.name);
        canon.text(office.zone.name());
        canon.flag(office.rehearsal);
    }
    canon.list(&state.plans, Canon::plan);
    canon.list(&state.staging, |canon, (origin, staging)| {
        canon.number(u64::from(origin.0));
        canon.staging(staging);
    });
    canon.finish()
}

fn revisions(state: &State) -> StateHash {
    let mut canon = Canon::new("revisions");
    canon.list(&state.revisions, Canon::revision);
    canon.finish()
}

fn quarters(state: &State) -> StateHash {
    let mut canon = Canon::new("quarters");
    canon.list(&state.plans, |canon, plan| {
        for quarter in plan.quarters {
            canon.text(quarter.name());
            match quarter {
                QuarterState::Open => {}
                QuarterState::LockRequested { by } => canon.number(u64::from(by.0)),
                QuarterState::Locked { at, time } => {
                    canon.number(at);
                    canon.signed(time.0);
                }
            }
        }
    });
    canon.finish()
}

fn people(state: &State) -> StateHash {
    let mut canon = Canon::new("people");
    let People { persons, units, devices, incarnations } = &state.people;
    canon.list(persons, |canon, person| canon.list(&person.assignments, Canon::assignment));
    canon.list(units, |canon, unit| canon.text(&unit.name));
    canon.list(devices, |canon, device| {
        canon.number(u64::from(device.owner.0));
        canon.0.update(device.key);
        canon.option(device.revoked, Canon::number);
    });
    canon.list(incarnations, |canon, incarnation| {
        canon.number(u64::from(incarnation.device.0));
        canon.uuid(incarnation.uuid);
    });
    canon.finish()
}

/// How far each device has come. Apart from the people, because a replica of one unit does not see the others' commands.
fn sequences(state: &State) -> StateHash {
    let mut canon = Canon::new("sequences");
    canon.list(&state.people.incarnations, |canon, incarnation| {
        canon.number(u64::from(incarnation.last_sequence));
    });
    canon.list(&state.people.devices, |canon, device| canon.number(u64::from(device.after_revocation)));
    canon.finish()
}

fn indicator_section(state: &State, indicator: &Indicator, held: &[(&CommandKey, &Held)]) -> StateHash {
    let mut canon = Canon::new("indicator");
    canon.signed(i64::from(indicator.year));
    canon.text(indicator.level.name());
    canon.text(&indicator.code);
    canon.text(&indicator.name);
    canon.text(&indicator.measure);
    canon.option(indicator.satuan.as_deref(), Canon::text);
    canon.option(indicator.responsible.as_deref(), Canon::text);
    canon.option(indicator.parent, |canon, id| canon.number(u64::from(id.0)));
    canon.option(indicator.unit, |canon, id| canon.number(u64::from(id.0)));
    canon.flag(indicator.confirmed);
    canon.option(indicator.retired, |canon, (id, quarter)| {
        canon.number(u64::from(id.0));
        canon.quarter(quarter);
    });
    indicator.settings.iter().for_each(|settings| canon.settings(settings));
    indicator.targets.iter().for_each(|cell| canon.cell(cell));
    canon.list(&indicator.entries, |canon, slot| {
        if let Some(entry) = state.entries.at(*slot) {
            canon.entry(entry);
        }
    });
    canon.list(held, |canon, (key, work)| canon.held(**key, work));
    canon.finish()
}

/// Writes values so that different values never give the same bytes.
struct Canon(Sha256);

impl Canon {
    fn new(section: &str) -> Self {
        let mut canon = Canon(Sha256::new());
        canon.text(section);
        canon
    }

    fn finish(self) -> StateHash {
        self.0.finalize().into()
    }

    fn digest(&mut self, digest: StateHash) {
        self.0.update(digest);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn signed(&mut self, number: i64) {
        self.0.update(number.to_be_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.0.update([u8::from(flag)]);
    }

    fn uuid(&mut self, uuid: Uuid) {
        self.0.update(uuid.as_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.update(text.as_bytes());
    }

    fn quarter(&mut self, quarter: Quarter) {
        self.0.update([quarter.number()]);
    }

    fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        write: impl Fn(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
    }

    fn key(&mut self, key: CommandKey) {
        self.number(u64::from(key.origin.0) << 32 | u64::from(key.sequence));
    }

    fn quantity(&mut self, quantity: Quantity) {
        self.text(&quantity.plain());
    }

    fn target(&mut self, target: &Target) {
        self.0.update([match target {
            Target::Value(_) => 1,
            Target::Text(_) => 2,
            Target::NotPlanned => 3,
            Target::Missing => 4,
        }]);
        match target {
            Target::Value(value) => self.quantity(*value),
            Target::Text(text) => self.text(text),
            Target::NotPlanned | Target::Missing => {}
        }
    }

    fn cell(&mut self, cell: &TargetCell) {
        self.option(cell.original, |canon, index| canon.number(u64::from(index)));
        self.list(&cell.versions, |canon, version| {
            canon.target(&version.target);
            canon.option(version.revision, |canon, id| canon.number(u64::from(id.0)));
            canon.number(version.position);
            canon.signed(version.time.0);
        });
    }

    fn realised(&mut self, realised: &Realised) {
        match realised {
            Realised::Number(number) => self.text(&number.plain()),
            Realised::Text(text) => self.text(text),
            Realised::NotReported => self.text("not reported"),
            Realised::DenominatorZero => self.text("denominator zero"),
        }
    }

    fn achievement(&mut self, achievement: &Result<Quotient, NoFigure>) {
        match achievement {
            Ok(percent) => self.text(&two_decimals(percent)),
            Err(reason) => self.text(reason.name()),
        }
    }

    fn settings(&mut self, settings: &Settings) {
        self.text(settings.kind.name());
        self.text(settings.polarity.name());
        self.text(settings.formula.name());
        self.option(settings.cap, Canon::quantity);
    }

    fn plan(&mut self, plan: &Plan) {
        self.signed(i64::from(plan.year));
        self.text(plan.state.name());
        self.text(&plan.title);
        self.list(&plan.objectives, |canon, name| canon.text(name));
        self.list(&plan.indicators, |canon, id| canon.number(u64::from(id.0)));
        self.option(plan.basis.as_deref(), Canon::text);
        self.option(plan.submitted_by, |canon, id| canon.number(u64::from(id.0)));
        self.option(plan.established_at, Canon::number);
    }

    fn staging(&mut self, staging: &Staging) {
        self.signed(i64::from(staging.start.year));
        self.text(&staging.start.title);
        self.0.update(staging.start.source_sha256);
        self.number(staging.position);
        self.list(&staging.objectives, |canon, name| canon.text(name));
        self.list(&staging.indicators, |canon, (objective, row)| {
            canon.number(u64::from(*objective));
            canon.text(row.level.name());
            canon.text(&row.name);
            canon.text(&row.measure);
            canon.option(row.satuan.as_deref(), Canon::text);
            canon.option(row.responsible.as_deref(), Canon::text);
            canon.text(row.kind.name());
            row.targets.iter().for_each(|target| canon.target(target));
        });
    }

    fn assignment(&mut self, assignment: &Assignment) {
        self.text(assignment.role.name());
        self.option(assignment.unit, |canon, id| canon.number(u64::from(id.0)));
        self.option(assignment.from, |canon, date| canon.signed(i64::from(date.days())));
        self.option(assignment.until, |canon, date| canon.signed(i64::from(date.days())));
    }

    fn revision(&mut self, revision: &Revision) {
        let draft = &revision.draft;
        self.signed(i64::from(draft.year));
        self.text(&draft.number);
        self.text(&draft.reason);
        self.text(&draft.basis.title);
        self.text(&draft.basis.number);
        self.signed(i64::from(draft.basis.date.days()));
        self.quarter(draft.effective);
        self.text(revision.state.name());
        self.number(u64::from(revision.drafted_by.0));
        self.list(&revision.authors, |canon, id| canon.number(u64::from(id.0)));
        self.option(revision.submitted_by, |canon, id| canon.number(u64::from(id.0)));
        self.option(revision.decided_by, |canon, id| canon.number(u64::from(id.0)));
        self.number(revision.position);
        self.signed(revision.time.0);
        self.list(&revision.changes, Canon::change);
    }

    fn change(&mut self, change: &Change) {
        self.text(change.name());
        self.number(u64::from(change.indicator().0));
        match change {
            Change::Target { quarter, old, new, .. } => {
                self.quarter(*quarter);
                self.target(old);
                self.target(new);
            }
            Change::Kind { old, new, .. } => {
                self.text(old.name());
                self.text(new.name());
            }
            Change::Polarity { old, new, .. } => {
                self.text(old.name());
                self.text(new.name());
            }
            Change::Formula { old, new, .. } => {
                self.text(old.name());
                self.text(new.name());
            }
            Change::Rename { old, new, .. } => {
                self.text(old);
                self.text(new);
            }
            Change::Reassign { old, new, .. } => {
                self.option(*old, |canon, id| canon.number(u64::from(id.0)));
                self.number(u64::from(new.0));
            }
            Change::Retire { .. } => {}
        }
    }

    /// Under the name that was stored, whether or not this release knows it.
    fn cause(&mut self, cause: &Rejection) {
        self.text(cause.stored_code());
        self.list(cause.stored_details().collect::<Vec<_>>(), |canon, (name, value)| {
            canon.text(name);
            canon.text(value);
        });
    }

    fn reading(&mut self, reading: &Reading) {
        match reading {
            Reading::Quantity(quantity) => {
                self.0.update([1]);
                self.quantity(*quantity);
            }
            Reading::Ratio { numerator, denominator } => {
                self.0.update([2]);
                self.quantity(*numerator);
                self.quantity(*denominator);
            }
            Reading::Text(text) => {
                self.0.update([3]);
                self.text(text);
            }
        }
    }

    fn entry(&mut self, entry: &Entry) {
        self.key(entry.key);
        self.key(entry.version);
        self.number(u64::from(entry.author.0));
        self.signed(i64::from(entry.on.days()));
        self.reading(&entry.reading);
        self.quarter(entry.quarter);
        self.text(entry.state.name());
        self.flag(entry.late);
        self.number(entry.position);
    }

    fn held(&mut self, key: CommandKey, held: &Held) {
        self.key(key);
        self.number(u64::from(held.author.0));
        self.cause(&held.cause);
        self.number(held.position);
        self.signed(held.time.0);
        self.text(held.fate.name());
        match &held.command {
            EntryCommand::Add(add) => {
                self.number(u64::from(add.indicator.0));
                self.signed(i64::from(add.on.days()));
                self.reading(&add.reading);
            }
            EntryCommand::Amend(amend) => {
                self.key(amend.entry);
                self.key(amend.base);
                self.signed(i64::from(amend.on.days()));
                self.reading(&amend.reading);
            }
            EntryCommand::Void(version) | EntryCommand::Verify(version) | EntryCommand::Return(version) => {
                self.key(version.entry);
                self.key(version.base);
            }
        }
    }
}
