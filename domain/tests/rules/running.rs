//! How quarters come together, as it is shown: also with what was carried over, and with quarters that were opened, filled
//! and locked again. And logs of which records are missing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use renaksi_domain::command::{apply, decide};
use renaksi_domain::entry::{Entry, Reading, State as EntryState};
use renaksi_domain::figures::{Period, Realised, current_line, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::indicator::Indicator;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand, due_by_itself};
use renaksi_domain::state::State;
use renaksi_domain::time::Quarter;

use crate::history::{play, play_draft, play_reopened, steps};
use crate::office::{Office, realised};

/// A figure as printed, in millionths; nothing for what is not reported. `None` for what is no number.
fn millionths(shown: &Realised) -> Option<i128> {
    match shown {
        Realised::NotReported => Some(0),
        Realised::Number(_) => {
            let text = realised(shown);
            let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
            let sign = if whole.starts_with('-') { -1 } else { 1 };
            let whole: i128 = whole.parse().unwrap();
            Some(whole * 1_000_000 + sign * format!("{rest:0<6}").parse::<i128>().unwrap())
        }
        Realised::Text(_) | Realised::DenominatorZero => None,
    }
}

/// What is shown, reported and verified.
fn shown(state: &State, indicator: &Indicator, period: Period) -> [Realised; 2] {
    let basis = line(state, indicator, period).basis;
    [basis.realised, basis.realised_verified]
}

fn is_locked(state: &State, indicator: &Indicator, quarter: Quarter) -> bool {
    state.is_locked(PlanQuarter { year: indicator.year, quarter })
}

fn of_kind(state: &State, kind: Kind) -> impl Iterator<Item = &Indicator> {
    state.indicators.iter().filter(move |i| i.settings.iter().all(|settings| settings.kind == kind))
}

/// Of kind sum: until a lock says otherwise, the year to date is what the quarters are shown to be.
fn quarters_add_up(state: &State) -> Result<(), TestCaseError> {
    for indicator in of_kind(state, Kind::Sum) {
        for quarter in Quarter::ALL.into_iter().filter(|quarter| !is_locked(state, indicator, *quarter)) {
            let to_date = shown(state, indicator, Period::ToDate(quarter));
            for (figure, to_date) in to_date.iter().enumerate() {
                let own = |q: &Quarter| shown(state, indicator, Period::Quarter(*q))[figure].clone();
                let parts: Vec<Realised> = quarter.up_to().iter().map(own).collect();
                let sum: Option<i128> = parts.iter().map(millionths).sum();
                let none = parts.iter().all(|part| *part == Realised::NotReported);
                prop_assert_eq!(millionths(to_date), sum, "{} {}", indicator.code, quarter);
                prop_assert_eq!(*to_date == Realised::NotReported, none, "{} {}", indicator.code, quarter);
            }
        }
        if !is_locked(state, indicator, Quarter::Q4) {
            let year = shown(state, indicator, Period::Year);
            prop_assert_eq!(year, shown(state, indicator, Period::ToDate(Quarter::Q4)));
        }
    }
    Ok(())
}

/// The entries that count of the quarters from index `from` up to `to`.
fn counting<'a>(
    state: &'a State,
    indicator: &'a Indicator,
    from: usize,
    to: Quarter,
    verified: bool,
) -> impl Iterator<Item = &'a Entry> {
    state.entries.iter().filter(move |entry| {
        let counts = match verified {
            true => entry.state == EntryState::Verified,
            false => matches!(entry.state, EntryState::Recorded | EntryState::Verified),
        };
        let of = state.indicator(entry.indicator).is_some_and(|own| std::ptr::eq(own, indicator));
        counts && of && (from..=to.index()).contains(&entry.quarter.index())
    })
}

/// What they come to, in millionths.
fn counted<'a>(entries: impl Iterator<Item = &'a Entry>) -> i128 {
    let value = |entry: &Entry| match entry.reading {
        Reading::Quantity(quantity) => {
            let (mantissa, scale) = quantity.parts();
            i128::from(mantissa) * 10_i128.pow(6 - u32::from(scale))
        }
        Reading::Ratio { .. } | Reading::Text(_) => 0,
    };
    entries.map(value).sum()
}

/// Running totals go on from the last total that a lock froze.
fn totals_go_on(state: &State) -> Result<(), TestCaseError> {
    for indicator in of_kind(state, Kind::Cumulative) {
        for quarter in Quarter::ALL.into_iter().filter(|quarter| !is_locked(state, indicator, *quarter)) {
            let before = quarter.up_to().iter().rev().skip(1);
            let locked = before
                .copied()
                .find(|q| is_locked(state, indicator, *q) && indicator.frozen[q.index()].is_some());
            let to_date = shown(state, indicator, Period::ToDate(quarter));
            for (figure, to_date) in to_date.iter().enumerate() {
                let frozen = locked.map(|q| shown(state, indicator, Period::ToDate(q))[figure].clone());
                let base = frozen.as_ref().map_or(Some(0), millionths);
                let since = locked.map_or(0, |q| q.index() + 1);
                let sum =
                    base.map(|base| base + counted(counting(state, indicator, since, quarter, figure == 1)));
                prop_assert_eq!(millionths(to_date), sum, "{} {} {:?}", indicator.code, quarter, locked);
            }
        }
    }
    Ok(())
}

/// What is shown of a locked quarter and of the year to it stays until its next lock.
fn shown_as_frozen(office: &Office) -> Result<(), TestCaseError> {
    let mut state = State::default();
    let mut told: BTreeMap<(u32, u8), (u64, String)> = BTreeMap::new();
    for record in &office.records {
        apply(&mut state, record);
        let Some(plan) = state.plans.first() else { continue };
        for quarter in Quarter::ALL {
            let Some(lock) = plan.quarters[quarter.index()].lock() else { continue };
            for id in &plan.indicators {
                let indicator = state.indicator(*id).unwrap();
                if indicator.frozen[quarter.index()].is_none() {
                    continue;
                }
                let lines =
                    [Period::Quarter(quarter), Period::ToDate(quarter)].map(|p| line(&state, indicator, p));
                let now = (lock.at, format!("{lines:?}"));
                let before = told.entry((id.0, quarter.number())).or_insert_with(|| now.clone());
                if before.0 == lock.at {
                    prop_assert_eq!(&*before, &now);
                } else {
                    *before = now;
                }
            }
        }
    }
    Ok(())
}

/// Records that no state of ours would make: no panic in deciding, applying and showing, and what is derived stays what
/// it is derived from.
fn holes_do_no_harm(office: &Office, without: &[u16]) -> Result<(), TestCaseError> {
    let mut state = State::default();
    let left_out: Vec<usize> = without.iter().map(|at| usize::from(*at) % office.records.len()).collect();
    for (at, record) in office.records.iter().enumerate() {
        if left_out.contains(&at) {
            continue;
        }
        decide(&state, &record.envelope, record.time);
        apply(&mut state, record);
    }
    let mut anew = state.clone();
    anew.rebuild_derived();
    prop_assert!(anew == state, "without {:?}", left_out);
    prop_assert_eq!(state_hash(&anew), state_hash(&state));
    for indicator in &state.indicators {
        for quarter in Quarter::ALL {
            for period in [Period::Quarter(quarter), Period::ToDate(quarter), Period::Year] {
                line(&state, indicator, period);
                current_line(&state, indicator, period);
            }
        }
    }
    Ok(())
}

/// Two quarters are locked; again and again one is opened, filled, corrected, judged and locked, and the third goes on.
fn play_filled(steps: &[(u8, u8, u8)]) -> Office {
    let mut office = Office::established();
    for (day, quarter) in [("2024-03-20", 1), ("2024-05-20", 2)] {
        office.at(&format!("{day} 08:00"));
        office.does(&format!("citra add koperasi 39 {day}"));
        office.does(&format!("kabidkop verify citra/{quarter}"));
        office.lock(quarter);
    }
    office.at("2024-07-10 08:00");
    for (what, a, b) in steps {
        let (quarter, entry) = (1 + a % 2, 1 + a % 12);
        let words = match what % 10 {
            0 => {
                let until = office.state.day(office.now).plus_days(3);
                office.ask(&format!("kabidkop request-reopen {quarter} {until}T17:00"));
                format!("admin grant-reopen {quarter}")
            }
            1 => {
                office.now = office.now.plus_micros(3 * 86_400_000_000);
                while let Some(QuarterCommand::Relock(due)) = due_by_itself(&office.state, office.now) {
                    office.does(&format!("host relock {}", due.quarter.number()));
                }
                continue;
            }
            2 | 3 => format!("kabidkop verify citra/{entry}"),
            4 => format!("citra amend citra/{entry} {b} 2024-0{}-11", [2, 5, 7][usize::from(b % 3)]),
            5 => format!("citra void citra/{entry}"),
            _ => format!("citra add koperasi {b} 2024-0{}-10", [2, 5, 7][usize::from(a % 3)]),
        };
        office.ask(&words);
    }
    office
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn shown_quarters_add_up_to_the_shown_year(steps in steps(160)) {
        quarters_add_up(&play(&steps).state)?;
    }

    #[test]
    fn reopened_quarters_add_up_too(steps in steps(80)) {
        let office = play_reopened(&steps);
        quarters_add_up(&office.state)?;
        shown_as_frozen(&office)?;
    }

    #[test]
    fn running_totals_go_on_from_what_was_frozen(
        steps in proptest::collection::vec(any::<(u8, u8, u8)>(), 10..60),
    ) {
        let office = play_filled(&steps);
        totals_go_on(&office.state)?;
        shown_as_frozen(&office)?;
    }

    #[test]
    fn a_log_with_holes_does_no_harm(steps in steps(100), without in proptest::collection::vec(any::<u16>(), 1..8)) {
        holes_do_no_harm(&play(&steps), &without)?;
    }

    #[test]
    fn a_log_of_a_draft_with_holes_does_no_harm(
        steps in steps(60),
        without in proptest::collection::vec(any::<u16>(), 1..8),
    ) {
        holes_do_no_harm(&play_draft(&steps), &without)?;
    }

    #[test]
    fn a_log_of_reopened_quarters_with_holes_does_no_harm(
        steps in steps(80),
        without in proptest::collection::vec(any::<u16>(), 1..8),
    ) {
        holes_do_no_harm(&play_reopened(&steps), &without)?;
    }
}
