//! The state hash: one number by which server, laptop and auditor know that they folded the same office.
//!
//! SHA-256 over the ordered digests of the sections: plan, revisions, quarters, people, then one per indicator. Each
//! section is written in a canonical form: integers big-endian, texts with their length, options with a tag. Held work
//! belongs to its indicator. What is only an index or a running sum of these is left out.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::FOLD_VERSION;
use crate::achievement::{NoFigure, two_decimals};
use crate::config::{Band, Config};
use crate::entry::{Entry, EntryCommand, Reading};
use crate::epoch::BeginEpoch;
use crate::figures::{Basis, Line, Realised};
use crate::frozen::Frozen;
use crate::held::Held;
use crate::ids::{CommandKey, IndicatorId};
use crate::indicator::{Facet, Indicator, Settings, TargetCell};
use crate::narrative::Narrative;
use crate::people::{Assignment, Grant, People};
use crate::plan::{ImportIndicator, Plan, Staging};
use crate::quantity::{Quantity, Target};
use crate::quarter::{Lock, PlanQuarter, QuarterState};
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
    for (number, (indicator, held)) in (1..).zip(state.indicators.iter().zip(&held)) {
        whole.digest(indicator_section(state, IndicatorId(number), indicator, held));
    }
    homeless.into_iter().for_each(|(key, work)| whole.held(*key, work));
    whole.digest(sequences(state));
    whole.finish()
}

/// The digest of what a lock froze: of each indicator of the plan its code, how it is computed, and target, reported and
/// verified realisation and achievement of the quarter and of the year to date, as they are printed.
pub(crate) fn frozen_digest(
    state: &State,
    quarter: PlanQuarter,
    frozen: &[(IndicatorId, Frozen)],
) -> StateHash {
    let mut canon = Canon::new("figures");
    canon.signed(i64::from(quarter.year));
    canon.quarter(quarter.quarter);
    canon.list(frozen, |canon, (id, frozen)| {
        canon.text(state.indicator(*id).map_or("", |indicator| &indicator.code));
        canon.settings(&frozen.quarter.settings);
        for basis in [&frozen.quarter, &frozen.to_date] {
            let line = Line::of(basis.clone(), state.config.bands());
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
        canon.number(u64::from(office.rules));
    }
    canon.number(u64::from(state.rules));
    canon.config(&state.config);
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
                QuarterState::Locked(lock) => canon.lock(lock),
                QuarterState::ReopenRequested { lock, by, until } => {
                    canon.lock(lock);
                    canon.number(u64::from(by.0));
                    canon.signed(until.0);
                }
                QuarterState::Reopened { until } => canon.signed(until.0),
            }
        }
    });
    canon.finish()
}

fn people(state: &State) -> StateHash {
    let mut canon = Canon::new("people");
    let People { persons, units, devices, incarnations, grants } = &state.people;
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
    canon.list(grants, Canon::grant);
    // Most logs have one epoch, and the hash that they had before there could be more.
    if !state.epochs.is_empty() {
        canon.list(&state.epochs, Canon::epoch);
    }
    canon.finish()
}

/// How far each device has come. Apart from the people, because a replica of one unit does not see the others' commands.
fn sequences(state: &State) -> StateHash {
    let mut canon = Canon::new("sequences");
    canon.list(&state.people.incarnations, |canon, incarnation| {
        canon.number(u64::from(incarnation.last_sequence));
        canon.signed(incarnation.last_time.0);
    });
    canon.list(&state.people.devices, |canon, device| canon.number(u64::from(device.after_revocation)));
    canon.finish()
}

fn indicator_section(
    state: &State,
    id: IndicatorId,
    indicator: &Indicator,
    held: &[(&CommandKey, &Held)],
) -> StateHash {
    let mut canon = Canon::new("indicator");
    canon.signed(i64::from(indicator.year));
    canon.text(indicator.level.name());
    canon.text(&indicator.code);
    canon.text(&indicator.name);
    canon.option(indicator.satuan.as_deref(), Canon::text);
    canon.option(indicator.parent, |canon, id| canon.number(u64::from(id.0)));
    indicator.facets.iter().for_each(|facet| canon.facet(facet));
    canon.flag(indicator.confirmed);
    canon.option(indicator.retired, |canon, (id, quarter)| {
        canon.number(u64::from(id.0));
        canon.quarter(quarter);
    });
    indicator.settings.iter().for_each(|settings| canon.settings(settings));
    indicator.targets.iter().for_each(|cell| canon.cell(cell));
    canon.option(indicator.year_target, Canon::quantity);
    for (frozen, quarter) in indicator.frozen.iter().zip(Quarter::ALL) {
        canon.option(frozen.as_deref(), Canon::frozen);
        canon.option(state.narrative(id, quarter), Canon::narrative);
    }
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

    fn lock(&mut self, lock: Lock) {
        self.number(lock.at);
        self.signed(lock.time.0);
    }

    fn config(&mut self, config: &Config) {
        self.list(&config.bands, |canon, (since, bands)| {
            canon.number(*since);
            canon.list(bands.iter(), Canon::band);
        });
        self.list(&config.days, |canon, (day, holiday)| {
            canon.signed(i64::from(day.days()));
            canon.flag(*holiday);
        });
        self.number(u64::from(config.due_working_days));
    }

    fn band(&mut self, band: &Band) {
        self.text(&band.name);
        self.option(band.above, Canon::quantity);
        self.option(band.up_to, Canon::quantity);
    }

    fn facet(&mut self, facet: &Facet) {
        self.text(&facet.measure);
        self.option(facet.responsible.as_deref(), Canon::text);
        self.option(facet.unit, |canon, id| canon.number(u64::from(id.0)));
    }

    fn narrative(&mut self, narrative: &Narrative) {
        self.text(&narrative.texts.driver);
        self.text(&narrative.texts.obstacle);
        self.text(&narrative.texts.follow_up);
        self.number(u64::from(narrative.author.0));
        self.number(narrative.position);
        self.signed(narrative.time.0);
        self.number(u64::from(narrative.version));
    }

    fn frozen(&mut self, frozen: &Frozen) {
        for basis in [&frozen.quarter, &frozen.to_date] {
            self.basis(basis);
        }
        frozen.totals.iter().for_each(|total| self.text(&total.to_string()));
    }

    /// Quotients exactly, not as they are printed.
    fn basis(&mut self, basis: &Basis) {
        for target in [&basis.target, &basis.target_original] {
            self.text(&target.label());
            self.option(target.number(), |canon, number| canon.text(&number.exact()));
        }
        for realised in [&basis.realised, &basis.realised_verified] {
            self.realised(realised);
            if let Realised::Number(number) = realised {
                self.text(&number.exact());
            }
        }
        self.settings(&basis.settings);
        self.flag(basis.not_aggregable);
        self.flag(basis.retired);
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
            canon.row(row);
        });
    }

    fn row(&mut self, row: &ImportIndicator) {
        self.text(row.level.name());
        self.text(&row.name);
        self.text(&row.measure);
        self.option(row.satuan.as_deref(), Canon::text);
        self.option(row.responsible.as_deref(), Canon::text);
        self.text(row.kind.name());
        row.targets.iter().for_each(|target| self.target(target));
        self.option(row.year_target, Canon::quantity);
    }

    fn grant(&mut self, grant: &Grant) {
        self.number(u64::from(grant.person.0));
        self.assignment(&grant.assignment);
        self.number(u64::from(grant.given_by.0));
        self.text(grant.state.name());
        self.number(grant.position);
    }

    fn epoch(&mut self, begun: &BeginEpoch) {
        self.number(u64::from(begun.epoch));
        self.text(&begun.reason);
        self.number(begun.size);
        self.0.update(begun.root);
        self.option(begun.seen, |canon, seen| {
            canon.number(u64::from(seen.epoch));
            canon.number(seen.size);
            canon.0.update(seen.root);
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
        self.option(change.indicator(), |canon, id| canon.number(u64::from(id.0)));
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
            Change::Cap { old, new, .. } | Change::YearTarget { old, new, .. } => {
                self.option(*old, Canon::quantity);
                self.option(*new, Canon::quantity);
            }
            Change::Retire { .. } => {}
            Change::Add(add) => {
                self.option(add.parent, |canon, id| canon.number(u64::from(id.0)));
                self.number(u64::from(add.objective));
                self.row(&add.row);
                self.text(add.polarity.name());
                self.text(add.formula.name());
                self.option(add.cap, Canon::quantity);
            }
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
