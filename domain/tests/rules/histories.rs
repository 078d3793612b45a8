//! What holds after every history.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use renaksi_domain::command::{Command, Counted, Outcome, Record};
use renaksi_domain::entry::{EntryCommand, Reading, State as EntryState};
use renaksi_domain::figures::{Line, Period, Realised, current_line};
use renaksi_domain::held::HeldCommand;
use renaksi_domain::ids::IndicatorId;
use renaksi_domain::proposal::Kind;
use renaksi_domain::state::State;
use renaksi_domain::tally::Figure;
use renaksi_domain::time::Quarter;
use renaksi_domain::{apply, decide};

use crate::history::{play, steps};
use crate::office::{Office, realised};

/// An exact sum with the scale of its most exact part, made without `Decimal`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Naive {
    millionths: i128,
    scale: u32,
}

impl Naive {
    fn add(&mut self, quantity: renaksi_domain::quantity::Quantity) {
        let (mantissa, scale) = quantity.parts();
        self.millionths += i128::from(mantissa) * 10_i128.pow(6 - u32::from(scale));
        self.scale = self.scale.max(u32::from(scale));
    }

    fn plain(self) -> String {
        let sign = if self.millionths < 0 { "-" } else { "" };
        let (whole, rest) = (self.millionths.abs() / 1_000_000, self.millionths.abs() % 1_000_000);
        match self.scale {
            0 => format!("{sign}{whole}"),
            scale => format!("{sign}{whole}.{}", &format!("{rest:06}")[..scale as usize]),
        }
    }
}

/// `count ratio_count sum numerator denominator latest` of one quarter, from the entries alone.
fn naive(state: &State, id: IndicatorId, quarter: Quarter, figure: Figure) -> String {
    let (mut sum, mut numerator, mut denominator) = (Naive::default(), Naive::default(), Naive::default());
    let (mut count, mut ratios, mut latest) = (0, 0, None);
    for entry in state.entries.iter() {
        let counts = match figure {
            Figure::Reported => matches!(entry.state, EntryState::Recorded | EntryState::Verified),
            Figure::Verified => entry.state == EntryState::Verified,
        };
        if entry.indicator != id || entry.quarter != quarter || !counts {
            continue;
        }
        count += 1;
        match &entry.reading {
            Reading::Quantity(quantity) => sum.add(*quantity),
            Reading::Ratio { numerator: above, denominator: below } => {
                ratios += 1;
                numerator.add(*above);
                denominator.add(*below);
            }
            Reading::Text(_) => {}
        }
        if latest.as_ref().is_none_or(|(on, at, _)| (*on, *at) < (entry.on, entry.position)) {
            latest = Some((entry.on, entry.position, format!("{:?}", entry.reading)));
        }
    }
    format!("{count} {ratios} {} {} {} {latest:?}", sum.plain(), numerator.plain(), denominator.plain())
}

fn kept(state: &State, id: IndicatorId, quarter: Quarter, figure: Figure) -> String {
    let tally = &state.indicator(id).unwrap().tally.of(figure)[quarter.index()];
    let latest =
        tally.latest.as_ref().map(|latest| (latest.on, latest.position, format!("{:?}", latest.reading)));
    format!(
        "{} {} {} {} {} {latest:?}",
        tally.count, tally.ratio_count, tally.sum, tally.numerator, tally.denominator
    )
}

/// How an entry counts after a record, and before it, from the record alone: what figure snapshots rely on.
fn told(record: &Record) -> Option<(Option<Counted>, Counted)> {
    let Outcome::Recorded(effect) = &record.outcome else { return None };
    let before = effect.before.clone();
    let moved = |on: renaksi_domain::time::Date, reading: &Reading| {
        let before = effect.before.clone().unwrap();
        let quarter = if before.on.quarter() == on.quarter() { before.quarter } else { on.quarter() };
        Counted { quarter, on, reading: reading.clone(), state: EntryState::Recorded, ..before }
    };
    let after = match &record.envelope.command {
        Command::Entry(EntryCommand::Add(add)) => effect.after.clone().unwrap_or_else(|| Counted {
            indicator: add.indicator,
            quarter: add.on.quarter(),
            on: add.on,
            reading: add.reading.clone(),
            state: EntryState::Recorded,
            position: 0,
        }),
        Command::Entry(EntryCommand::Amend(amend)) => moved(amend.on, &amend.reading),
        Command::Entry(EntryCommand::Void(_)) => {
            Counted { state: EntryState::Voided, ..effect.before.clone().unwrap() }
        }
        Command::Entry(_) | Command::Held(HeldCommand::Release(_)) => effect.after.clone().unwrap(),
        _ => return None,
    };
    Some((before, after))
}

/// Count and millionths per indicator, quarter and whether verified, from the records' own words.
fn from_records(records: &[Record]) -> BTreeMap<(u32, u8, bool), (i64, i128)> {
    let mut sums = BTreeMap::new();
    let mut shift = |counted: &Counted, by: i64| {
        for verified in [false, true] {
            let counts = match counted.state {
                EntryState::Recorded => !verified,
                EntryState::Verified => true,
                EntryState::Returned | EntryState::Voided => false,
            };
            if counts {
                let mut value = Naive::default();
                if let Reading::Quantity(quantity) = counted.reading {
                    value.add(quantity);
                }
                let key = (counted.indicator.0, counted.quarter.number(), verified);
                let sum: &mut (i64, i128) = sums.entry(key).or_default();
                *sum = (sum.0 + by, sum.1 + i128::from(by) * value.millionths);
            }
        }
    };
    for (before, after) in records.iter().filter_map(told) {
        before.iter().for_each(|before| shift(before, -1));
        shift(&after, 1);
    }
    sums
}

fn counts_in(state: EntryState) -> &'static [bool] {
    match state {
        EntryState::Recorded => &[false],
        EntryState::Verified => &[false, true],
        EntryState::Returned | EntryState::Voided => &[],
    }
}

type Place = (u32, u8, bool);

/// The latest reading per indicator, quarter and whether verified, from the records' own words: where the one that stood
/// leaves, its record names the one that then stands.
fn latest_from_records(records: &[Record]) -> BTreeMap<Place, Counted> {
    let mut standing: BTreeMap<Place, Counted> = BTreeMap::new();
    for record in records {
        let (Some((before, mut after)), Outcome::Recorded(effect)) = (told(record), &record.outcome) else {
            continue;
        };
        if after.position == 0 {
            after.position = record.position;
        }
        let place = |counted: &Counted, verified| (counted.indicator.0, counted.quarter.number(), verified);
        for (verified, left) in [(false, &effect.reported_left), (true, &effect.verified_left)] {
            let was = before.as_ref().filter(|before| counts_in(before.state).contains(&verified));
            let is = counts_in(after.state).contains(&verified).then_some(&after);
            if let Some(was) = was {
                let stays =
                    is.is_some_and(|is| (place(is, verified), is.on) == (place(was, verified), was.on));
                let stood = standing.get(&place(was, verified)).is_some_and(|s| s.position == was.position);
                match left {
                    Some(left) => drop(standing.insert(place(was, verified), (**left).clone())),
                    None if stood && !stays => drop(standing.remove(&place(was, verified))),
                    None => {}
                }
            }
            if let Some(is) = is {
                let stands = standing.entry(place(is, verified)).or_insert_with(|| is.clone());
                if (stands.on, stands.position) <= (is.on, is.position) {
                    *stands = is.clone();
                }
            }
        }
    }
    standing
}

fn check(office: &Office) -> Result<(), TestCaseError> {
    let from_records = from_records(&office.records);
    let latest = latest_from_records(&office.records);
    for number in 1..=office.state.indicators.len() as u32 {
        let id = IndicatorId(number);
        for quarter in Quarter::ALL {
            for figure in [Figure::Reported, Figure::Verified] {
                let naive = naive(&office.state, id, quarter, figure);
                prop_assert_eq!(kept(&office.state, id, quarter, figure), naive, "{} {}", number, quarter);
                let key = (number, quarter.number(), figure == Figure::Verified);
                let (count, millionths) = from_records.get(&key).copied().unwrap_or_default();
                let tally = &office.state.indicator(id).unwrap().tally.of(figure)[quarter.index()];
                prop_assert_eq!(i64::from(tally.count), count);
                let told = latest.get(&key).map(|latest| (latest.on, latest.reading.clone()));
                let kept = tally.latest.as_ref().map(|latest| (latest.on, latest.reading.clone()));
                prop_assert_eq!(kept, told, "latest of {} {}", number, quarter);
                let sum = Naive { millionths, scale: 6 }.plain();
                prop_assert_eq!(format!("{:.6}", tally.sum), sum, "{} {}", number, quarter);
            }
        }
    }
    Ok(())
}

/// For kind sum the year is what the quarters add up to, reported and verified.
fn check_sums(state: &State) -> Result<(), TestCaseError> {
    check_sums_of(state, |line| line.basis.realised)?;
    check_sums_of(state, |line| line.basis.realised_verified)
}

fn check_sums_of(state: &State, of: fn(Line) -> Realised) -> Result<(), TestCaseError> {
    for indicator in state.indicators.iter().filter(|i| i.settings.iter().all(|s| s.kind == Kind::Sum)) {
        let quarters = Quarter::ALL.map(|q| of(current_line(state, indicator, Period::Quarter(q))));
        let mut sum = Naive::default();
        let numbers = quarters.iter().filter(|realised| matches!(realised, Realised::Number(_)));
        for number in numbers.clone() {
            sum.add(renaksi_domain::quantity::Quantity::parse(&realised(number).replace('.', ",")).unwrap());
        }
        let year = of(current_line(state, indicator, Period::Year));
        if matches!(year, Realised::Number(_)) {
            prop_assert_eq!(realised(&year), sum.plain());
        } else {
            prop_assert_eq!(numbers.count(), 0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// `Drop` of the office adds: state and hash equal those of a fresh fold, and of what is derived made anew.
    #[test]
    fn figures_are_what_the_entries_and_what_the_records_say(steps in steps(120)) {
        let office = play(&steps);
        check(&office)?;
        check_sums(&office.state)?;
        for indicator in &office.state.indicators {
            for quarter in Quarter::ALL {
                for period in [Period::Quarter(quarter), Period::ToDate(quarter), Period::Year] {
                    renaksi_domain::figures::line(&office.state, indicator, period);
                }
            }
        }
    }

    /// From any record on the figures can be folded without the entries: the state is then the whole one without them.
    #[test]
    fn figures_fold_without_the_entries(steps in steps(120), cut in 0.0..1.0) {
        let office = play(&steps);
        let cut = (office.records.len() as f64 * cut) as usize;
        for cut in [0, cut] {
            let (before, after) = office.records.split_at(cut);
            let mut whole = State::default();
            before.iter().for_each(|record| apply(&mut whole, record));
            let mut figures = whole.for_figures();
            after.iter().for_each(|record| apply(&mut figures, record));
            prop_assert!(figures == office.state.clone().for_figures(), "from {cut} on");
        }
    }

    /// Records that no state of ours would make are applied without a panic: replicas read what a server sends.
    #[test]
    fn apply_is_total(steps in steps(60), without in 1_usize..40) {
        let office = play(&steps);
        let (mut state, mut figures) = (State::default(), State::default().for_figures());
        for record in office.records.iter().enumerate().filter(|(at, _)| at % 40 != without).map(|(_, r)| r) {
            decide(&state, &record.envelope, record.time);
            apply(&mut state, record);
            renaksi_domain::hash::state_hash(&state);
            apply(&mut figures, record);
        }
    }
}

/// The histories are worth playing: every command they speak of is recorded somewhere, facts are held, and what waited
/// for its entry counts with it.
#[test]
fn histories_meet_every_outcome() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut met = BTreeMap::new();
    for _ in 0..200 {
        let steps = steps(160).new_tree(&mut runner).unwrap().current();
        let office = play(&steps);
        for record in office.records.iter().skip(40) {
            let name = record.envelope.command.name();
            match &record.outcome {
                Outcome::Recorded(effect) if name == "entry.added" && effect.after.is_some() => {
                    *met.entry("with what waited".to_owned()).or_insert(0) += 1;
                }
                Outcome::Recorded(_) => *met.entry(name.to_owned()).or_insert(0) += 1,
                Outcome::Held(cause) => *met.entry(cause.code.name().to_owned()).or_insert(0) += 1,
                Outcome::Refused(_) => {}
            }
        }
    }
    for wanted in [
        "entry.added",
        "entry.amended",
        "entry.voided",
        "entry.verified",
        "entry.returned",
        "held.released",
        "held.dismissed",
        "held.withdrawn",
        "quarter.lock_requested",
        "quarter.locked",
        "quarter.lock_rejected",
        "revision.drafted",
        "revision.change_added",
        "revision.submitted",
        "revision.approved",
        "revision.rejected",
        "person.assigned",
        "device.revoked",
        "quarter.reopen_requested",
        "quarter.reopened",
        "quarter.reopen_declined",
        "quarter.relocked",
        "narrative.set",
        "config.bands_set",
        "config.due_days_set",
        "config.holidays_set",
        "grant.confirmed",
        "grant.declined",
        "QUARTER_LOCKED",
        "INDICATOR_RETIRED",
        "NOT_ASSIGNED",
        "CLOCK_IMPLAUSIBLE",
        "VERSION_MOVED",
        "ENTRY_NOT_YET_KNOWN",
        "DEVICE_REVOKED",
        "with what waited",
    ] {
        assert!(met.contains_key(wanted), "{wanted} never happened: {met:?}");
    }
}
