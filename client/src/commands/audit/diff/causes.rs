//! Which records may have changed what: each is looked at once, with the state that it left behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use renaksi_domain::State;
use renaksi_domain::command::{Command, Counted, Outcome, Record};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::figures::Period;
use renaksi_domain::held::HeldCommand;
use renaksi_domain::ids::{IndicatorId, Position};
use renaksi_domain::indicator::SetIndicator;
use renaksi_domain::plan::{ApprovePlan, EstablishPlan, PlanCommand};
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_domain::time::{Quarter, Timestamp};
use serde_json::{Value, json};

use super::changes::{IndicatorChanges, SettingChange};
use crate::commands::audit::Event;

/// A record that may have changed a figure.
#[derive(Clone, Debug)]
pub(super) struct Cause {
    pub(super) position: Position,
    pub(super) time: Timestamp,
    pub(super) actor: String,
    pub(super) kind: String,
    pub(super) summary: String,
    device: Value,
}

impl Cause {
    fn of(record: &Record, event: &Event) -> Cause {
        let text = |key: &str| event.fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Cause {
            position: record.position,
            time: record.time,
            actor: text("actor"),
            kind: text("type"),
            summary: event.summary.clone(),
            device: event.fields.get("device").cloned().unwrap_or_default(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "position": self.position,
            "type": self.kind,
            "actor": self.actor,
            "device": self.device,
            "time": self.time.rfc3339(),
            "summary": self.summary,
        })
    }
}

/// A set of quarters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Quarters(u8);

impl Quarters {
    const ALL: Quarters = Quarters(0b1111);

    fn of(quarters: impl IntoIterator<Item = Quarter>) -> Quarters {
        Quarters(quarters.into_iter().fold(0, |set, quarter| set | 1 << quarter.index()))
    }

    fn meets(self, other: Quarters) -> bool {
        self.0 & other.0 != 0
    }
}

/// What a record touches of one indicator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Touch {
    targets: Quarters,
    readings: Quarters,
    /// Verified, which changes nothing of what was reported.
    verified: Quarters,
    /// Kind, polarity, formula, cap.
    settings: Quarters,
    /// Name, post and unit.
    facets: Quarters,
    narratives: Quarters,
    /// What has no quarter: confirmation, retirement, the stated target of the year.
    about: bool,
}

impl Touch {
    const ALL: Touch = Touch {
        targets: Quarters::ALL,
        readings: Quarters::ALL,
        verified: Quarters::ALL,
        settings: Quarters::ALL,
        facets: Quarters::ALL,
        narratives: Quarters(0),
        about: true,
    };

    fn readings(quarter: Quarter) -> Touch {
        Touch { readings: Quarters::of([quarter]), ..Touch::default() }
    }
}

/// The records between two points, by what they touch.
#[derive(Debug, Default)]
pub(super) struct Causes {
    known: BTreeMap<Position, Cause>,
    indicators: HashMap<IndicatorId, Vec<(Position, Touch)>>,
    plans: HashMap<i16, Vec<Position>>,
    config: Vec<Position>,
    quarters: HashMap<PlanQuarter, Vec<Position>>,
}

impl Causes {
    /// Looks at a record; `state` is the one that it left behind. What was held or refused changed nothing.
    pub(super) fn note(&mut self, state: &State, record: &Record, event: &Event) {
        let Outcome::Recorded(effect) = &record.outcome else { return };
        let position = record.position;
        match &record.envelope.command {
            Command::Entry(command) => {
                let own = command.entry().unwrap_or_else(|| record.envelope.key());
                if let Some(entry) = state.entries.get(own) {
                    let touch = match command {
                        EntryCommand::Verify(_) => {
                            Touch { verified: Quarters::of([entry.quarter]), ..Touch::default() }
                        }
                        _ => Touch::readings(entry.quarter),
                    };
                    self.touch(position, entry.indicator, touch);
                }
                // A judgement says nothing about where the entry was before.
                if !matches!(command, EntryCommand::Verify(_) | EntryCommand::Return(_)) {
                    self.counted(position, [&effect.before, &effect.after]);
                }
            }
            Command::Held(HeldCommand::Release(_)) => {
                self.counted(position, [&effect.before, &effect.after]);
            }
            Command::Held(_) => {}
            Command::Indicator(set) => {
                if let Some(id) = set.indicator {
                    self.touch(position, id, set_touches(set));
                }
            }
            Command::Revision(RevisionCommand::Approve(id)) => {
                let Some(revision) = state.revision(*id) else { return };
                for change in &revision.changes {
                    match change.indicator() {
                        Some(id) => {
                            self.touch(position, id, change_touches(change, revision.draft.effective))
                        }
                        None => self.added(position, state, revision.draft.year),
                    }
                }
            }
            Command::Revision(_) => {}
            Command::Plan(PlanCommand::FinishImport(finish)) => {
                self.plans.entry(finish.year).or_default().push(position);
                for id in state.plan(finish.year).into_iter().flat_map(|plan| &plan.indicators) {
                    self.touch(position, *id, Touch::ALL);
                }
            }
            Command::Plan(PlanCommand::EstablishPlan(EstablishPlan { year, .. }))
            | Command::Plan(PlanCommand::ApprovePlan(ApprovePlan { year }))
            | Command::Plan(PlanCommand::SendBackPlan(year) | PlanCommand::RecallPlan(year)) => {
                self.plans.entry(*year).or_default().push(position);
            }
            Command::Narrative(set) => {
                let narratives = Quarters::of([set.quarter]);
                self.touch(position, set.indicator, Touch { narratives, ..Touch::default() });
            }
            Command::Config(_) => self.config.push(position),
            Command::Quarter(command) => self.quarters.entry(command.quarter()).or_default().push(position),
            // An import's own rows, and whatever else names indicators.
            _ => event.indicators.iter().for_each(|id| self.touch(position, *id, Touch::ALL)),
        }
        self.known.insert(position, Cause::of(record, event));
    }

    fn touch(&mut self, position: Position, id: IndicatorId, touch: Touch) {
        self.indicators.entry(id).or_default().push((position, touch));
    }

    /// The indicators that a record of a revision brought.
    fn added(&mut self, position: Position, state: &State, year: i16) {
        for id in state.plan(year).into_iter().flat_map(|plan| &plan.indicators) {
            let first = state.indicator(*id).and_then(|indicator| indicator.targets[0].versions.first());
            if first.is_some_and(|version| version.position == position) {
                self.touch(position, *id, Touch::ALL);
            }
        }
    }

    fn counted(&mut self, position: Position, counted: [&Option<Counted>; 2]) {
        for counted in counted.into_iter().flatten() {
            self.touch(position, counted.indicator, Touch::readings(counted.quarter));
        }
    }

    fn told(&self, positions: impl IntoIterator<Item = Position>) -> Vec<&Cause> {
        let positions: BTreeSet<Position> = positions.into_iter().collect();
        positions.iter().filter_map(|position| self.known.get(position)).collect()
    }

    /// Who changed a plan's state, title, basis or objectives.
    pub(super) fn of_plan(&self, year: i16, what: &str) -> Vec<&Cause> {
        let did = |cause: &&Cause| match what {
            "title" | "objectives" => cause.kind == "plan.imported",
            "basis" => !matches!(cause.kind.as_str(), "plan.imported" | "plan.established"),
            _ => true,
        };
        self.told(self.plans.get(&year).into_iter().flatten().copied()).into_iter().filter(did).collect()
    }

    /// Who opened or locked a quarter.
    pub(super) fn of_quarter(&self, quarter: PlanQuarter) -> Vec<&Cause> {
        self.told(self.quarters.get(&quarter).into_iter().flatten().copied())
    }

    fn of(&self, changed: &IndicatorChanges, wanted: impl Fn(&Touch) -> bool) -> Vec<Position> {
        let touches = changed.ids.iter().filter_map(|id| self.indicators.get(id)).flatten();
        touches.filter(|(_, touch)| wanted(touch)).map(|(position, _)| *position).collect()
    }

    /// Who changed the office's bands, holidays or due days.
    pub(super) fn of_config(&self, what: &str) -> Vec<&Cause> {
        let kind = format!("config.{what}_set");
        self.told(self.config.iter().copied()).into_iter().filter(|cause| cause.kind == kind).collect()
    }

    /// Who changed a name or a setting.
    pub(super) fn of_setting(&self, changed: &IndicatorChanges, setting: &SettingChange) -> Vec<&Cause> {
        let quarters = Quarters::of(setting.quarters.iter().copied());
        self.told(self.of(changed, |touch| match setting.change.what {
            "measure" | "responsible" | "unit" => touch.facets.meets(quarters),
            "driver" | "obstacle" | "follow_up" => touch.narratives.meets(quarters),
            "kind" | "polarity" | "formula" | "cap" => touch.settings.meets(quarters),
            _ => touch.about,
        }))
    }

    /// Who changed a value of a period.
    pub(super) fn of_figure(
        &self,
        changed: &IndicatorChanges,
        year: i16,
        period: Period,
        what: &str,
    ) -> Vec<&Cause> {
        let (upto, own) = spans(period, changed.cumulative);
        let target = |touch: &Touch| touch.targets.meets(own) || touch.settings.meets(own);
        let reading = |touch: &Touch| touch.readings.meets(own) || touch.settings.meets(own);
        let verified = |touch: &Touch| touch.verified.meets(own) || reading(touch);
        let mut found = match what {
            "target" => self.of(changed, target),
            "realised" => self.of(changed, reading),
            "realised_verified" => self.of(changed, verified),
            "achievement_reported" => self.of(changed, |touch| target(touch) || reading(touch)),
            _ => self.of(changed, |touch| target(touch) || verified(touch)),
        };
        let quarters = |span: Quarters| {
            let within = Quarter::ALL.into_iter().filter(move |quarter| span.meets(Quarters::of([*quarter])));
            within.flat_map(|quarter| self.quarters.get(&PlanQuarter { year, quarter })).flatten().copied()
        };
        let running = Quarters::of(Quarter::ALL.into_iter().filter(|q| changed.cumulative[q.index()]));
        // A running total stands in a locked quarter without an entry of its own.
        if what != "target" {
            found.extend(quarters(Quarters(own.0 & running.0)));
        }
        if what == "rating" {
            found.extend(self.of_config("bands").iter().map(|cause| cause.position));
        }
        // Means are of the quarters that have a target.
        if found.is_empty() {
            found = self.of(changed, |touch| touch.targets.meets(upto) || touch.readings.meets(upto));
        }
        // What a lock froze is no longer what is there, until the quarter is opened.
        if found.is_empty() {
            found.extend(quarters(upto));
        }
        self.told(found)
    }
}

/// The quarters up to a period's end, and those whose records make its figures.
fn spans(period: Period, cumulative: [bool; 4]) -> (Quarters, Quarters) {
    let upto = |quarter: Quarter| Quarters::of(quarter.up_to().iter().copied());
    match period {
        Period::Quarter(quarter) if !cumulative[quarter.index()] => (upto(quarter), Quarters::of([quarter])),
        Period::Quarter(quarter) | Period::ToDate(quarter) => (upto(quarter), upto(quarter)),
        Period::Year => (Quarters::ALL, Quarters::ALL),
    }
}

fn set_touches(set: &SetIndicator) -> Touch {
    let all = |set: bool| if set { Quarters::ALL } else { Quarters::default() };
    Touch {
        targets: Quarters::of(set.targets.iter().map(|(quarter, _)| *quarter)),
        settings: all(set.kind.is_some()
            || set.polarity.is_some()
            || set.formula.is_some()
            || set.cap.is_some()),
        facets: all(set.unit.is_some()),
        // A kind that is set is confirmed.
        about: set.kind.is_some() || set.year_target.is_some(),
        ..Touch::default()
    }
}

fn change_touches(change: &Change, effective: Quarter) -> Touch {
    let later = Quarters::of(Quarter::ALL.into_iter().filter(|quarter| *quarter >= effective));
    let nothing = Touch::default();
    match change {
        Change::Target { quarter, .. } => Touch { targets: Quarters::of([*quarter]), ..nothing },
        // A new kind is a confirmed one; what is retired is no longer measured.
        Change::Kind { .. } | Change::Retire { .. } => Touch { settings: later, about: true, ..nothing },
        Change::Polarity { .. } | Change::Formula { .. } | Change::Cap { .. } => {
            Touch { settings: later, ..nothing }
        }
        Change::Rename { .. } | Change::Reassign { .. } => Touch { facets: later, ..nothing },
        Change::YearTarget { .. } => Touch { about: true, ..nothing },
        Change::Add(_) => Touch::ALL,
    }
}
