//! Roll-ups: what the rows below an objective, a strategic indicator or a program come to together. They stand beside its
//! own achievement and never replace it.

use std::sync::Arc;

use crate::achievement::NoFigure;
use crate::figures::{Line, Period, bands_of, line};
use crate::ids::IndicatorId;
use crate::indicator::{Indicator, Level};
use crate::plan::Plan;
use crate::quarter::PlanQuarter;
use crate::quotient::Quotient;
use crate::state::State;

/// What has rows below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Under {
    /// An index into the plan's objectives: its strategic indicators.
    Objective(u32),
    /// A strategic indicator: its programs; a program: its activities.
    Indicator(IndicatorId),
}

/// The mean of what can be computed, and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mean {
    /// In percent; `None` when nothing can be computed.
    pub achievement: Option<Quotient>,
    pub counted: u32,
    pub left_out: u32,
}

/// The mean of the children's achievements over a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollUp {
    /// Of the verified realisations: the official one.
    pub verified: Mean,
    pub reported: Mean,
    /// The band of the official mean.
    pub rating: Option<Arc<str>>,
}

/// The roll-up of the direct children over a period; `None` when there are none.
pub fn roll_up(state: &State, year: i16, under: Under, period: Period) -> Option<RollUp> {
    let lines: Vec<Line> = children(state, state.plan(year)?, under)
        .map(|(_, indicator)| line(state, indicator, period))
        .collect();
    if lines.is_empty() {
        return None;
    }
    let verified = mean(lines.iter().map(|line| &line.achievement));
    let bands = bands_of(state, PlanQuarter { year, quarter: period.last() });
    Some(RollUp {
        rating: verified.achievement.as_ref().and_then(|percent| bands.rating(percent)),
        reported: mean(lines.iter().map(|line| &line.achievement_reported)),
        verified,
    })
}

/// The direct children, in the plan's order.
pub fn children<'a>(
    state: &'a State,
    plan: &'a Plan,
    under: Under,
) -> impl Iterator<Item = (IndicatorId, &'a Indicator)> {
    plan.indicators.iter().filter_map(|id| Some((*id, state.indicator(*id)?))).filter(
        move |(_, indicator)| match under {
            Under::Objective(number) => indicator.level == Level::Strategic && indicator.objective == number,
            Under::Indicator(parent) => indicator.parent == Some(parent),
        },
    )
}

fn mean<'a>(achievements: impl Iterator<Item = &'a Result<Quotient, NoFigure>> + Clone) -> Mean {
    let counted = achievements.clone().filter(|achievement| achievement.is_ok()).count() as u32;
    let left_out = achievements.clone().count() as u32 - counted;
    let sum: Quotient = achievements.filter_map(|achievement| achievement.clone().ok()).sum();
    Mean { achievement: sum.over(&Quotient::from(counted)), counted, left_out }
}
