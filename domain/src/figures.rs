//! Every figure people read: target, realisation, achievement and rating of a quarter, of the year to date, of the year.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::achievement::{Exact, NoFigure, achievement};
use crate::config::Bands;
use crate::entry::Reading;
use crate::frozen::Frozen;
use crate::indicator::{Indicator, Settings};
use crate::proposal::Kind;
use crate::quantity::{Quantity, Target};
use crate::quarter::PlanQuarter;
use crate::quotient::Quotient;
use crate::state::State;
use crate::sum::Sum;
use crate::tally::{Figure, QuarterTally};
use crate::time::Quarter;

/// The span a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Quarter(Quarter),
    /// From January to the end of the quarter.
    ToDate(Quarter),
    Year,
}

impl Period {
    /// The quarter it ends with.
    pub fn last(self) -> Quarter {
        match self {
            Period::Quarter(quarter) | Period::ToDate(quarter) => quarter,
            Period::Year => Quarter::Q4,
        }
    }
}

/// What was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Realised {
    Number(Exact),
    Text(Box<str>),
    /// Nobody has reported; not the same as 0.
    NotReported,
    /// Numerators over a sum of denominators that is 0.
    DenominatorZero,
}

/// A target over several quarters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeriodTarget {
    Number(Exact),
    Text(Box<str>),
    NotPlanned,
    /// A cell is missing; with what the others add up to.
    Missing(Option<Exact>),
}

impl PeriodTarget {
    /// The contract's cell form.
    pub fn label(&self) -> String {
        match self {
            PeriodTarget::Number(number) => number.plain(),
            PeriodTarget::Text(text) => text.to_string(),
            PeriodTarget::NotPlanned => "not planned".to_owned(),
            PeriodTarget::Missing(_) => "missing".to_owned(),
        }
    }

    /// The number, also one that is incomplete.
    pub fn number(&self) -> Option<&Exact> {
        match self {
            PeriodTarget::Number(number) | PeriodTarget::Missing(Some(number)) => Some(number),
            PeriodTarget::Text(_) | PeriodTarget::NotPlanned | PeriodTarget::Missing(None) => None,
        }
    }

    fn quotient(&self) -> Result<Quotient, NoFigure> {
        match self {
            PeriodTarget::Number(number) => Ok(number.quotient()),
            PeriodTarget::Text(_) => Err(NoFigure::TargetIsText),
            PeriodTarget::NotPlanned => Err(NoFigure::TargetNotPlanned),
            PeriodTarget::Missing(_) => Err(NoFigure::TargetMissing),
        }
    }
}

/// What a line is computed from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    pub target: PeriodTarget,
    /// By the established targets (*target murni*).
    pub target_original: PeriodTarget,
    pub realised: Realised,
    pub realised_verified: Realised,
    /// The kind and formula that were used.
    pub settings: Settings,
    /// The readings came without their parts, so the later replaced the earlier across officers.
    pub not_aggregable: bool,
    /// Nothing is measured any more.
    pub retired: bool,
}

/// All that is shown of one indicator over one period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub basis: Basis,
    /// Of the verified realisation: the official one. In percent.
    pub achievement: Result<Quotient, NoFigure>,
    pub achievement_reported: Result<Quotient, NoFigure>,
    /// The band of the official achievement, by the bands that hold for the period.
    pub rating: Option<Arc<str>>,
}

impl std::ops::Deref for Line {
    type Target = Basis;

    fn deref(&self) -> &Basis {
        &self.basis
    }
}

impl Line {
    pub(crate) fn of(basis: Basis, bands: &Bands) -> Line {
        let achievement = verified_percent(&basis);
        let achievement_reported = percent(&basis, &basis.realised);
        let rating = achievement.as_ref().ok().and_then(|percent| bands.rating(percent));
        Line { achievement, achievement_reported, rating, basis }
    }
}

/// The figures of an indicator over a period: those that its lock froze, else those of now.
pub fn line(state: &State, indicator: &Indicator, period: Period) -> Line {
    let closing = PlanQuarter { year: indicator.year, quarter: period.last() };
    match &indicator.frozen[period.last().index()] {
        Some(frozen) if state.is_locked(closing) => {
            let basis = match period {
                Period::Quarter(_) => &frozen.quarter,
                Period::ToDate(_) | Period::Year => &frozen.to_date,
            };
            Line::of(basis.clone(), bands_of(state, closing))
        }
        _ => current_line(state, indicator, period),
    }
}

/// The bands of a quarter's ratings: those that held at its lock, else those of now.
pub(crate) fn bands_of(state: &State, quarter: PlanQuarter) -> &Bands {
    match state.quarter_state(quarter).lock() {
        Some(lock) => state.config.bands_at(lock.at),
        None => state.config.bands(),
    }
}

/// The figures as the entries give them now, also where a lock froze others.
pub fn current_line(state: &State, indicator: &Indicator, period: Period) -> Line {
    Line::of(basis(state, indicator, period, None), state.config.bands())
}

/// What the lock of the period's last quarter would freeze now.
pub(crate) fn basis_at_lock(state: &State, indicator: &Indicator, period: Period) -> Basis {
    basis(state, indicator, period, Some(period.last()))
}

/// `locking`: a quarter that counts as locked already.
fn basis(state: &State, indicator: &Indicator, period: Period, locking: Option<Quarter>) -> Basis {
    let source = Source { state, indicator, locking };
    let kind = indicator.settings_in(period.last()).kind;
    Basis {
        target: target(kind, period, |quarter| source.target(quarter)),
        target_original: target(kind, period, |quarter| indicator.targets[quarter.index()].original()),
        realised: source.realised(period, Figure::Reported),
        realised_verified: source.realised(period, Figure::Verified),
        settings: indicator.settings_in(period.last()),
        not_aggregable: is_not_aggregable(indicator, period),
        retired: matches!(period, Period::Quarter(quarter) if indicator.is_retired_in(quarter)),
    }
}

fn verified_percent(basis: &Basis) -> Result<Quotient, NoFigure> {
    percent(basis, &basis.realised_verified).map_err(|reason| match basis.realised {
        Realised::NotReported => reason,
        _ if reason == NoFigure::NotReported => NoFigure::NotVerified,
        _ => reason,
    })
}

fn percent(basis: &Basis, realised: &Realised) -> Result<Quotient, NoFigure> {
    if basis.retired {
        return Err(NoFigure::IndicatorRetired);
    }
    let target = basis.target.quotient()?;
    match realised {
        Realised::Number(number) => achievement(&target, number, basis.settings),
        // What is wrong with the target comes first, whether or not anything was reported.
        _ if target.is_zero() => Err(NoFigure::TargetZero),
        _ if target.is_negative() => Err(NoFigure::TargetNegative),
        Realised::Text(_) => Err(NoFigure::TargetIsText),
        Realised::NotReported => Err(NoFigure::NotReported),
        Realised::DenominatorZero => Err(NoFigure::DenominatorZero),
    }
}

/// A percentage recorded without its parts, and not alone: a later reading stands for it, or only the parts count.
fn is_not_aggregable(indicator: &Indicator, period: Period) -> bool {
    if !indicator.is_percentage() {
        return false;
    }
    let quarters: &[Quarter] = match &period {
        Period::Quarter(quarter) => std::slice::from_ref(quarter),
        Period::ToDate(_) | Period::Year => period.last().up_to(),
    };
    let tally = |quarter: &Quarter| &indicator.tally.reported[quarter.index()];
    let replaced = |count: u32, with_parts: u32| count > 1 && count > with_parts;
    // Over several quarters a ratio is one of all their parts.
    let together = indicator.settings_in(period.last()).kind == Kind::Ratio
        && replaced(
            quarters.iter().map(|quarter| tally(quarter).count).sum(),
            quarters.iter().map(|quarter| tally(quarter).ratio_count).sum(),
        );
    together
        || quarters.iter().any(|quarter| {
            matches!(indicator.settings_in(*quarter).kind, Kind::Latest | Kind::Ratio)
                && replaced(tally(quarter).count, tally(quarter).ratio_count)
        })
}

/// The target over a period: sum, last, last, mean, last over the planned cells.
fn target<'a>(kind: Kind, period: Period, cell: impl Fn(Quarter) -> &'a Target) -> PeriodTarget {
    if let Period::Quarter(quarter) = period {
        return match cell(quarter) {
            Target::Value(value) => PeriodTarget::Number(Exact::Decimal(value.as_decimal())),
            Target::Text(text) => PeriodTarget::Text(text.clone()),
            Target::NotPlanned => PeriodTarget::NotPlanned,
            Target::Missing => PeriodTarget::Missing(None),
        };
    }
    let quarters = period.last().up_to().iter();
    let cells = || quarters.clone().map(|quarter| cell(*quarter));
    let together = combine(kind, cells().filter_map(Target::value));
    if cells().any(|cell| matches!(cell, Target::Missing)) {
        return PeriodTarget::Missing(together);
    }
    // A year that goes from `B` to a number, or back, is what its last planned quarter asks for.
    let last = cells().rev().find(|cell| matches!(cell, Target::Value(_) | Target::Text(_)));
    match (last, together) {
        (Some(Target::Text(text)), _) => PeriodTarget::Text(text.clone()),
        (_, Some(number)) => PeriodTarget::Number(number),
        (_, None) => PeriodTarget::NotPlanned,
    }
}

fn combine(kind: Kind, planned: impl DoubleEndedIterator<Item = Quantity> + Clone) -> Option<Exact> {
    let last = planned.clone().next_back()?;
    let mut sum = Sum::default();
    planned.clone().for_each(|quantity| sum.add(quantity));
    Some(match kind {
        Kind::Sum => Exact::Decimal(sum.decimal()),
        Kind::Cumulative | Kind::Latest | Kind::Ratio => Exact::Decimal(last.as_decimal()),
        Kind::Average => Exact::Quotient(mean(&sum.into(), planned.count() as u32)),
    })
}

/// Of nothing, the sum itself, which is 0.
fn mean(sum: &Quotient, count: u32) -> Quotient {
    sum.over(&Quotient::from(count)).unwrap_or_else(|| sum.clone())
}

/// The entries of an indicator, and what the locks of its quarters made of them.
#[derive(Clone, Copy)]
struct Source<'a> {
    state: &'a State,
    indicator: &'a Indicator,
    locking: Option<Quarter>,
}

impl<'a> Source<'a> {
    /// Nothing is due of what is retired.
    fn target(self, quarter: Quarter) -> &'a Target {
        match self.indicator.is_retired_in(quarter) {
            true => &Target::NotPlanned,
            false => self.indicator.target(quarter),
        }
    }

    fn is_locked(self, quarter: Quarter) -> bool {
        self.locking == Some(quarter)
            || self.state.is_locked(PlanQuarter { year: self.indicator.year, quarter })
    }

    /// What was reached over a period. The kind of the period's last quarter says how quarters come together.
    fn realised(self, period: Period, figure: Figure) -> Realised {
        let indicator = self.indicator;
        let tallies = indicator.tally.of(figure);
        let kind = indicator.settings_in(period.last()).kind;
        let upto = &tallies[..=period.last().index()];
        match (kind, period) {
            (Kind::Ratio, Period::Quarter(quarter)) => ratio(std::slice::from_ref(&tallies[quarter.index()])),
            (Kind::Ratio, _) => ratio(upto),
            (_, Period::Quarter(quarter)) => self.of_quarter(quarter, figure),
            (Kind::Sum | Kind::Cumulative | Kind::Average, _) if ends_in_text(upto) => last_reading(upto),
            (Kind::Cumulative, _) if adds_up(indicator, upto.len()) => self.running(period.last(), figure),
            (Kind::Sum | Kind::Cumulative, _) if upto.iter().all(nothing_to_add) => Realised::NotReported,
            (Kind::Sum | Kind::Cumulative, _) => sum_of_quarters(indicator, upto),
            (Kind::Latest, _) => last_reading(upto),
            (Kind::Average, _) => self.mean_of_quarters(upto),
        }
    }

    fn of_quarter(self, quarter: Quarter, figure: Figure) -> Realised {
        let tally = &self.indicator.tally.of(figure)[quarter.index()];
        let own = std::slice::from_ref(tally);
        match self.indicator.settings_in(quarter).kind {
            Kind::Latest | Kind::Ratio => last_reading(own),
            _ if ends_in_text(own) => last_reading(own),
            Kind::Cumulative if nothing_to_add(tally) => self.total_at_lock(quarter, figure),
            Kind::Cumulative => self.running(quarter, figure),
            Kind::Sum | Kind::Average if nothing_to_add(tally) => Realised::NotReported,
            Kind::Sum => Realised::Number(Exact::Decimal(tally.sum.decimal())),
            Kind::Average => Realised::Number(Exact::Quotient(mean_of(tally))),
        }
    }

    /// The mean of the quarters that have a target and a reading.
    fn mean_of_quarters(self, upto: &[QuarterTally]) -> Realised {
        let means = upto
            .iter()
            .zip(Quarter::ALL)
            .filter(|(tally, quarter)| {
                !nothing_to_add(tally) && matches!(self.target(*quarter), Target::Value(_))
            })
            .map(|(tally, _)| mean_of(tally));
        match means.clone().count() {
            0 => Realised::NotReported,
            count => Realised::Number(Exact::Quotient(mean(&means.sum(), count as u32))),
        }
    }

    /// A cumulative quarter without an entry takes the running total once it is locked.
    fn total_at_lock(self, quarter: Quarter, figure: Figure) -> Realised {
        if self.is_locked(quarter) { self.running(quarter, figure) } else { Realised::NotReported }
    }

    /// The running total, where there is one: an entry that counts, or what an earlier lock froze.
    fn running(self, quarter: Quarter, figure: Figure) -> Realised {
        let (frozen, since) = self.frozen_before(quarter, figure);
        let reached = frozen.map(|frozen| match figure {
            Figure::Reported => &frozen.to_date.realised,
            Figure::Verified => &frozen.to_date.realised_verified,
        });
        let reported_before = matches!(reached, Some(Realised::Number(_)));
        match reported_before || !since.iter().all(nothing_to_add) {
            true => Realised::Number(Exact::Decimal(self.total(quarter, figure).decimal())),
            false => Realised::NotReported,
        }
    }

    /// What was counted from 1 January to the end of a quarter. It goes on from the last total that a lock froze before.
    fn total(self, quarter: Quarter, figure: Figure) -> Sum {
        let (frozen, since) = self.frozen_before(quarter, figure);
        let start = frozen.map(|frozen| Sum::from(frozen.totals[figure as usize])).unwrap_or_default();
        [&start].into_iter().chain(since.iter().map(|tally| &tally.sum)).sum()
    }

    /// What the last lock before a quarter froze, and the quarters since, up to and including it.
    fn frozen_before(self, quarter: Quarter, figure: Figure) -> (Option<&'a Frozen>, &'a [QuarterTally]) {
        let tallies = &self.indicator.tally.of(figure)[..=quarter.index()];
        let before = quarter.up_to().iter().rev().skip(1).copied();
        let mut locked = before.filter(|earlier| self.is_locked(*earlier));
        let frozen =
            locked.find_map(|at| Some((at.index() + 1, self.indicator.frozen[at.index()].as_deref()?)));
        match frozen {
            Some((from, frozen)) => (Some(frozen), &tallies[from..]),
            None => (None, tallies),
        }
    }
}

/// What was counted since 1 January, reported and verified, as a lock of the quarter now freezes it.
pub(crate) fn totals(state: &State, indicator: &Indicator, quarter: Quarter) -> [Decimal; 2] {
    let source = Source { state, indicator, locking: Some(quarter) };
    Figure::ALL.map(|figure| source.total(quarter, figure).decimal())
}

/// The stated target of the year and what the quarters come to, where they differ.
pub fn year_target_differs(indicator: &Indicator) -> Option<(Quantity, String)> {
    let kind = indicator.settings_in(Quarter::Q4).kind;
    stated_differs(indicator.year_target?, kind, Quarter::ALL.map(|quarter| indicator.target(quarter)))
}

/// A stated target of the year and what the quarters come to by a kind, where they differ.
pub fn stated_differs(stated: Quantity, kind: Kind, quarters: [&Target; 4]) -> Option<(Quantity, String)> {
    let derived = target(kind, Period::Year, |quarter| quarters[quarter.index()]);
    let same = match &derived {
        PeriodTarget::Number(number) => number.quotient() == Quotient::from(stated.as_decimal()),
        // What is missing is a warning of its own.
        PeriodTarget::Missing(_) => true,
        PeriodTarget::Text(_) | PeriodTarget::NotPlanned => false,
    };
    (!same).then(|| (stated, derived.label()))
}

fn adds_up(indicator: &Indicator, quarters: usize) -> bool {
    indicator.settings[..quarters].iter().all(|s| matches!(s.kind, Kind::Sum | Kind::Cumulative))
}

fn total(tallies: &[QuarterTally]) -> Realised {
    let sum: Sum = tallies.iter().map(|tally| &tally.sum).sum();
    Realised::Number(Exact::Decimal(sum.decimal()))
}

/// Neither an increment nor a plain reading: parts of a ratio and texts add up to nothing.
fn nothing_to_add(tally: &QuarterTally) -> bool {
    tally.quantity_count == 0
}

fn mean_of(tally: &QuarterTally) -> Quotient {
    mean(&tally.sum.into(), tally.quantity_count)
}

fn ends_in_text(tallies: &[QuarterTally]) -> bool {
    let latest = tallies.iter().rev().find_map(|tally| tally.latest.as_ref());
    matches!(latest.map(|latest| &latest.reading), Some(Reading::Text(_)))
}

fn last_reading(tallies: &[QuarterTally]) -> Realised {
    match tallies.iter().rev().find_map(|tally| tally.latest.as_ref()).map(|latest| &latest.reading) {
        None => Realised::NotReported,
        Some(Reading::Quantity(quantity)) => Realised::Number(Exact::Decimal(quantity.as_decimal())),
        Some(Reading::Text(text)) => Realised::Text(text.clone()),
        Some(Reading::Ratio { numerator, denominator }) => {
            quotient(numerator.as_decimal().into(), denominator.as_decimal().into())
        }
    }
}

/// What the quarters come to together, each by the kind that held in it.
fn sum_of_quarters(indicator: &Indicator, upto: &[QuarterTally]) -> Realised {
    if adds_up(indicator, upto.len()) {
        return total(upto);
    }
    let own = |(quarter, tally): (&Quarter, &QuarterTally)| match indicator.settings_in(*quarter).kind {
        Kind::Sum | Kind::Cumulative => Some(tally.sum.into()),
        Kind::Average => Some(mean_of(tally)),
        Kind::Latest | Kind::Ratio => match ratio(std::slice::from_ref(tally)) {
            Realised::Number(number) => Some(number.quotient()),
            _ => None,
        },
    };
    let quarters = Quarter::ALL.iter().zip(upto);
    Realised::Number(Exact::Quotient(quarters.filter_map(own).sum()))
}

/// Σ numerator / Σ denominator × 100. A reading without parts cannot be combined with anything: where it is the last,
/// it stands alone.
fn ratio(tallies: &[QuarterTally]) -> Realised {
    let last = tallies.iter().rev().find_map(|tally| tally.latest.as_ref());
    if !matches!(last.map(|latest| &latest.reading), Some(Reading::Ratio { .. })) {
        return last_reading(tallies);
    }
    let add = |part: fn(&QuarterTally) -> &Sum| tallies.iter().map(part).sum::<Sum>().into();
    quotient(add(|tally| &tally.numerator), add(|tally| &tally.denominator))
}

fn quotient(numerator: Quotient, denominator: Quotient) -> Realised {
    match (&numerator * &Quotient::from(100)).over(&denominator) {
        None => Realised::DenominatorZero,
        Some(percent) => Realised::Number(Exact::Quotient(percent)),
    }
}

impl State {
    /// The quarter that `plan show` speaks of when nobody names one: the last that has begun in the plan's year.
    pub fn default_quarter(&self, year: i16, now: crate::time::Timestamp) -> Quarter {
        let today = self.day(now);
        match today.year().cmp(&year) {
            std::cmp::Ordering::Less => Quarter::Q1,
            std::cmp::Ordering::Equal => today.quarter(),
            std::cmp::Ordering::Greater => Quarter::Q4,
        }
    }
}
