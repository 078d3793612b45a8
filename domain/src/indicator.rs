//! Indicators: what is measured, in which unit, how entries add up, and the target of each quarter with all its versions.

use std::fmt;

use crate::command::{Effect, Outcome, Record};
use crate::frozen::Frozen;
use crate::ids::{IndicatorId, Position, RevisionId, UnitId};
use crate::plan::PlanState;
use crate::proposal::{Kind, is_percent};
use crate::quantity::{Quantity, Target};
use crate::rejection::{Code, Rejection};
use crate::state::State;
use crate::tally::Tally;
use crate::time::{Quarter, Timestamp};

/// Where an indicator stands in the plan's tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    Strategic,
    Program,
    Activity,
    SubActivity,
}

impl Level {
    /// The name used in JSON and the log.
    pub fn name(self) -> &'static str {
        match self {
            Level::Strategic => "strategic",
            Level::Program => "program",
            Level::Activity => "activity",
            Level::SubActivity => "sub_activity",
        }
    }
}

/// Which direction is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Polarity {
    #[default]
    Higher,
    Lower,
}

impl Polarity {
    /// The name used in commands and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Polarity::Higher => "higher",
            Polarity::Lower => "lower",
        }
    }

    /// The polarity of a name.
    pub fn from_name(name: &str) -> Option<Polarity> {
        [Polarity::Higher, Polarity::Lower].into_iter().find(|polarity| polarity.name() == name)
    }
}

/// How achievement is computed where lower is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LowerFormula {
    /// (2T − R) / T.
    #[default]
    Mirrored,
    /// T / R.
    Inverse,
}

impl LowerFormula {
    /// The name used in commands and JSON.
    pub fn name(self) -> &'static str {
        match self {
            LowerFormula::Mirrored => "mirrored",
            LowerFormula::Inverse => "inverse",
        }
    }

    /// The formula of a name.
    pub fn from_name(name: &str) -> Option<LowerFormula> {
        [LowerFormula::Mirrored, LowerFormula::Inverse].into_iter().find(|formula| formula.name() == name)
    }
}

/// How an indicator is computed in one quarter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub kind: Kind,
    pub polarity: Polarity,
    pub formula: LowerFormula,
    /// Achievement in percent above which it is cut, when the office wants one.
    pub cap: Option<Quantity>,
}

/// One version of a quarter's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetVersion {
    pub target: Target,
    /// The revision that made it; `None` for import and direct setting while the plan is draft.
    pub revision: Option<RevisionId>,
    /// The record that made it known.
    pub position: Position,
    pub time: Timestamp,
}

/// A quarter's target with its whole history, oldest first; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetCell {
    pub versions: Vec<TargetVersion>,
    /// Index of the established version (*target murni*), once the plan is established.
    pub original: Option<u32>,
}

impl TargetCell {
    /// What holds now.
    pub fn current(&self) -> &Target {
        &self.versions.last().expect("BUG: a cell has its imported version").target
    }

    /// The established target; the current one while the plan is draft.
    pub fn original(&self) -> &Target {
        match self.original {
            Some(index) => &self.versions[index as usize].target,
            None => self.current(),
        }
    }
}

/// What an indicator is called in one quarter, and who answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facet {
    /// What is measured.
    pub measure: Box<str>,
    /// Penanggung jawab: as written, or the unit's name where it was set later.
    pub responsible: Option<Box<str>>,
    pub unit: Option<UnitId>,
}

/// An indicator with everything folded about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    pub year: i16,
    pub level: Level,
    /// Index into the plan's objectives.
    pub objective: u32,
    /// The strategic indicator of a program, the program of a row.
    pub parent: Option<IndicatorId>,
    /// `1.1.2.2`: given at import, never moved or given again.
    pub code: Box<str>,
    /// Name of the program, activity or sub-activity; for a strategic indicator that of its objective.
    pub name: Box<str>,
    /// Satuan, as written.
    pub satuan: Option<Box<str>>,
    pub facets: [Facet; 4],
    pub settings: [Settings; 4],
    /// False while the kind is only a proposal of the import.
    pub confirmed: bool,
    pub targets: [TargetCell; 4],
    /// The year's target where one is stated; what counts is what the quarters come to.
    pub year_target: Option<Quantity>,
    /// The revision that retired it, and from which quarter.
    pub retired: Option<(RevisionId, Quarter)>,
    /// What the latest lock of each quarter froze.
    pub frozen: [Option<Box<Frozen>>; 4],
    pub tally: Tally,
    /// Slots of its entries in [`crate::entry::Entries`], in the order they were first recorded.
    pub entries: Vec<u32>,
}

impl Indicator {
    /// True when the unit of measure is a percentage.
    pub fn is_percentage(&self) -> bool {
        self.satuan.as_deref().is_some_and(is_percent)
    }

    /// The settings in effect in a quarter.
    pub fn settings_in(&self, quarter: Quarter) -> Settings {
        self.settings[quarter.index()]
    }

    /// Its name and its unit in a quarter.
    pub fn facet_in(&self, quarter: Quarter) -> &Facet {
        &self.facets[quarter.index()]
    }

    /// Its name and its unit at the end of the year.
    pub fn facet(&self) -> &Facet {
        self.facet_in(Quarter::Q4)
    }

    /// The target that holds in a quarter.
    pub fn target(&self, quarter: Quarter) -> &Target {
        self.targets[quarter.index()].current()
    }

    /// Puts it under another unit from a quarter on.
    pub(crate) fn reassign(&mut self, from: Quarter, unit: UnitId, name: &str) {
        for facet in &mut self.facets[from.index()..] {
            facet.unit = Some(unit);
            facet.responsible = Some(name.into());
        }
    }

    /// True when it is retired in that quarter.
    pub fn is_retired_in(&self, quarter: Quarter) -> bool {
        self.retired.is_some_and(|(_, from)| from <= quarter)
    }
}

/// What `indicator set` may change while the plan is draft; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetIndicator {
    pub indicator: Option<IndicatorId>,
    pub kind: Option<Kind>,
    pub polarity: Option<Polarity>,
    pub formula: Option<LowerFormula>,
    /// `Some(None)` takes it away.
    pub cap: Option<Option<Quantity>>,
    pub unit: Option<UnitId>,
    pub targets: Vec<(Quarter, Target)>,
    /// The stated target of the year; `Some(None)` takes it away.
    pub year_target: Option<Option<Quantity>>,
}

impl SetIndicator {
    fn is_only_confirming(&self, indicator: &Indicator) -> bool {
        self.kind.is_some_and(|kind| indicator.settings.iter().all(|settings| settings.kind == kind))
            && self.polarity.is_none()
            && self.formula.is_none()
            && self.cap.is_none()
            && self.unit.is_none()
            && self.targets.is_empty()
            && self.year_target.is_none()
    }
}

/// A cap is above 0: any other would rate everything 0.
pub(crate) fn cap_admissible(cap: Option<Quantity>) -> Result<(), Rejection> {
    match cap.filter(|cap| cap.is_negative() || cap.is_zero()) {
        Some(cap) => Err(Rejection::new(Code::CapInvalid).with("cap", cap.plain())),
        None => Ok(()),
    }
}

pub(crate) fn decide(state: &State, command: &SetIndicator) -> Result<Outcome, Rejection> {
    let indicator = state.indicator_in_plan(command.indicator)?;
    let nothing = SetIndicator { indicator: command.indicator, ..SetIndicator::default() };
    if *command == nothing {
        return Err(Rejection::new(Code::NothingToChange).with("indicator", &indicator.code));
    }
    if let Some(unit) = command.unit
        && state.people.unit(unit).is_none()
    {
        return Err(Rejection::new(Code::UnknownUnit).with("unit", unit));
    }
    cap_admissible(command.cap.flatten())?;
    let plan = state.known_plan(indicator.year)?;
    // Confirming the proposed kind changes no figure, so it stays possible after the plan is established.
    if command.is_only_confirming(indicator) {
        return Ok(Outcome::Recorded(Effect::default()));
    }
    if plan.state != PlanState::Draft {
        return Err(Rejection::new(Code::PlanEstablished)
            .with("year", plan.year)
            .with("indicator", &indicator.code));
    }
    let settings = command.kind.is_some()
        || command.polarity.is_some()
        || command.formula.is_some()
        || command.cap.is_some();
    let touches = |quarter| settings || command.targets.iter().any(|(of, _)| *of == quarter);
    let locked = Quarter::ALL.into_iter().find(|q| plan.quarters[q.index()].is_locked() && touches(*q));
    match locked {
        Some(quarter) => Err(Rejection::new(Code::CellLocked)
            .with("indicator", &indicator.code)
            .with("quarter", quarter.number())),
        None => Ok(Outcome::Recorded(Effect::default())),
    }
}

pub(crate) fn apply(state: &mut State, record: &Record, command: &SetIndicator) {
    let unit = command.unit.and_then(|id| Some((id, state.people.unit(id)?.name.clone())));
    let Some(indicator) = command.indicator.and_then(|id| state.indicators.get_mut(id.index())) else {
        return;
    };
    for settings in &mut indicator.settings {
        settings.kind = command.kind.unwrap_or(settings.kind);
        settings.polarity = command.polarity.unwrap_or(settings.polarity);
        settings.formula = command.formula.unwrap_or(settings.formula);
        settings.cap = command.cap.unwrap_or(settings.cap);
    }
    indicator.confirmed |= command.kind.is_some();
    indicator.year_target = command.year_target.unwrap_or(indicator.year_target);
    if let Some((unit, name)) = unit {
        indicator.reassign(Quarter::Q1, unit, &name);
    }
    for (quarter, target) in &command.targets {
        let version = TargetVersion {
            target: target.clone(),
            revision: None,
            position: record.position,
            time: record.time,
        };
        indicator.targets[quarter.index()].versions.push(version);
    }
}

impl State {
    /// An indicator by id.
    pub fn indicator(&self, id: IndicatorId) -> Option<&Indicator> {
        self.indicators.get(id.index())
    }

    /// An indicator that a plan shows: not one of a draft that was imported anew.
    pub(crate) fn indicator_in_plan(&self, id: Option<IndicatorId>) -> Result<&Indicator, Rejection> {
        let indicator = self.known_indicator(id)?;
        match id.is_some_and(|id| self.is_in_plan(id)) {
            true => Ok(indicator),
            false => Err(Rejection::new(Code::UnknownIndicator).with("indicator", id.map_or(0, |id| id.0))),
        }
    }

    fn is_in_plan(&self, id: IndicatorId) -> bool {
        let plan = self.indicator(id).and_then(|indicator| self.plan(indicator.year));
        // The first row of a plan is the first that its import brought; what a later revision adds has a higher id,
        // what an earlier import brought a lower one.
        plan.and_then(|plan| plan.indicators.first()).is_some_and(|first| *first <= id)
    }

    /// True when entries of a quarter may count for it: it is in its plan and not retired by then.
    pub(crate) fn takes_entries(&self, id: IndicatorId, quarter: Quarter) -> bool {
        self.is_in_plan(id) && self.indicator(id).is_some_and(|indicator| !indicator.is_retired_in(quarter))
    }

    pub(crate) fn known_indicator(&self, id: Option<IndicatorId>) -> Result<&Indicator, Rejection> {
        id.and_then(|id| self.indicator(id))
            .ok_or_else(|| Rejection::new(Code::UnknownIndicator).with("indicator", id.map_or(0, |id| id.0)))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
