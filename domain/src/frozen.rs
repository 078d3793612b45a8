//! What a lock freezes: of each indicator the figures of the quarter and of the year to date, as they were used. What
//! happens later, also to an earlier quarter that is opened again, does not reach them.

use rust_decimal::Decimal;

use crate::figures::{Basis, Period, basis_at_lock};
use crate::ids::IndicatorId;
use crate::quarter::PlanQuarter;
use crate::state::State;

/// One indicator's figures at the lock of one quarter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    pub quarter: Basis,
    pub to_date: Basis,
    /// What had been counted since 1 January, reported and verified: running totals go on from here.
    pub totals: [Decimal; 2],
}

/// What a lock of the quarter now freezes, in the plan's order.
pub(crate) fn freeze(state: &State, quarter: PlanQuarter) -> Vec<(IndicatorId, Frozen)> {
    let ids = state.plan(quarter.year).map_or(&[][..], |plan| &plan.indicators);
    let frozen = |id: &IndicatorId| {
        let indicator = state.indicator(*id)?;
        let basis = |period| basis_at_lock(state, indicator, period);
        Some((
            *id,
            Frozen {
                quarter: basis(Period::Quarter(quarter.quarter)),
                to_date: basis(Period::ToDate(quarter.quarter)),
                totals: crate::figures::totals(state, indicator, quarter.quarter),
            },
        ))
    };
    ids.iter().filter_map(frozen).collect()
}
