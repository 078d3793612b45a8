//! What every random history keeps: nothing recorded is lost, only facts are held, what a lock froze stays, a state that
//! was put aside and taken up again goes on as if it never was.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use renaksi_domain::command::{Command, Outcome, apply};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::figures::{Period, current_line, line};
use renaksi_domain::hash::state_hash;
use renaksi_domain::held::{Fate, HeldCommand};
use renaksi_domain::ids::Origin;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand};
use renaksi_domain::revision::{Change, RevisionState};
use renaksi_domain::state::State;
use renaksi_domain::time::Quarter;

use crate::history::{Step, play, play_draft, play_reopened, steps};
use crate::office::Office;

/// Every figure of every indicator, as it is shown and as the entries give it now.
fn all_figures(state: &State) -> Vec<String> {
    let periods = Quarter::ALL.into_iter().flat_map(|q| [Period::Quarter(q), Period::ToDate(q)]);
    let periods: Vec<Period> = periods.chain([Period::Year]).collect();
    let of = |indicator| {
        let shown = periods.iter().map(move |period| format!("{:?}", line(state, indicator, *period)));
        shown
            .chain(periods.iter().map(move |period| format!("{:?}", current_line(state, indicator, *period))))
    };
    state.indicators.iter().flat_map(of).collect()
}

/// Each signed fact is an entry, waits, was decided, or was refused: nothing is lost and nothing counts twice.
fn every_fact_is_somewhere(office: &Office) -> Result<(), TestCaseError> {
    let state = &office.state;
    let (mut entries, mut held) = (BTreeSet::new(), BTreeSet::new());
    for record in &office.records {
        let key = record.envelope.key();
        match (&record.envelope.command, &record.outcome) {
            (Command::Entry(EntryCommand::Add(_)), Outcome::Recorded(_)) => {
                prop_assert!(entries.insert(key));
            }
            (Command::Entry(command), Outcome::Held(_)) => {
                let fact =
                    matches!(command, EntryCommand::Add(_) | EntryCommand::Amend(_) | EntryCommand::Void(_));
                prop_assert!(fact, "only facts are held: {:?}", command);
                prop_assert!(held.insert(key));
            }
            (other, Outcome::Held(_)) => prop_assert!(false, "only facts are held: {:?}", other),
            (Command::Held(HeldCommand::Release(release)), Outcome::Recorded(_)) => {
                if matches!(state.held[&release.held].command, EntryCommand::Add(_)) {
                    prop_assert!(entries.insert(release.held), "released once");
                }
            }
            _ => {}
        }
    }
    let known: BTreeSet<_> = state.entries.iter().map(|entry| entry.key).collect();
    prop_assert_eq!(state.entries.len(), known.len());
    prop_assert_eq!(known, entries.clone());
    prop_assert_eq!(state.held.keys().copied().collect::<BTreeSet<_>>(), held);
    for (key, held) in &state.held {
        let is_add = matches!(held.command, EntryCommand::Add(_));
        prop_assert_eq!(is_add && held.fate == Fate::Released, entries.contains(key));
    }
    Ok(())
}

/// What is kept of each lock changes with the next lock of the same quarter and with nothing else, also while the quarter
/// is open again.
fn frozen_changes_with_its_lock_alone(office: &Office) -> Result<(), TestCaseError> {
    let mut state = State::default();
    for record in &office.records {
        let before: Vec<_> = state.indicators.iter().map(|i| i.frozen.clone()).collect();
        apply(&mut state, record);
        let locked = match (&record.envelope.command, &record.outcome) {
            (
                Command::Quarter(QuarterCommand::Approve(quarter) | QuarterCommand::Relock(quarter)),
                Outcome::Recorded(effect),
            ) => {
                prop_assert!(effect.frozen.is_some(), "a lock tells what it froze");
                Some(*quarter)
            }
            _ => None,
        };
        for (indicator, before) in state.indicators.iter().zip(before) {
            for quarter in Quarter::ALL {
                if locked != Some(PlanQuarter { year: indicator.year, quarter }) {
                    prop_assert!(indicator.frozen[quarter.index()] == before[quarter.index()]);
                }
            }
        }
    }
    Ok(())
}

/// A refused command changes how far its device has come, and a revoked device's count; nothing else.
fn refusals_leave_no_trace(office: &Office) -> Result<(), TestCaseError> {
    let mut state = State::default();
    for record in &office.records {
        let before = state.clone();
        apply(&mut state, record);
        if !matches!(record.outcome, Outcome::Refused(_)) {
            continue;
        }
        let mut after = state.clone();
        (after.position, after.time) = (before.position, before.time);
        let origin = record.envelope.origin;
        if origin != Origin::HOST {
            let index = origin.0 as usize - 1;
            let (was, is) = (&before.people.incarnations[index], &mut after.people.incarnations[index]);
            prop_assert_eq!(is.last_sequence, was.last_sequence + 1);
            prop_assert_eq!(is.last_time, record.time);
            (is.last_sequence, is.last_time) = (was.last_sequence, was.last_time);
            let device = was.device.0 as usize - 1;
            after.people.devices[device].after_revocation = before.people.devices[device].after_revocation;
        }
        prop_assert!(after == before, "{:?}", record);
        prop_assert_eq!(all_figures(&after), all_figures(&before));
    }
    Ok(())
}

/// Folds with a pause at each of the positions: the state is copied, what is derived is made anew, and it goes on.
fn pauses_change_nothing(office: &Office, pauses: &[u16]) -> Result<(), TestCaseError> {
    let pauses: BTreeSet<usize> = pauses.iter().map(|at| usize::from(*at) % office.records.len()).collect();
    let mut resumed = State::default();
    for (at, record) in office.records.iter().enumerate() {
        apply(&mut resumed, record);
        if !pauses.contains(&at) {
            continue;
        }
        let mut fresh = State::default();
        office.records[..=at].iter().for_each(|record| apply(&mut fresh, record));
        let mut copy = resumed.clone();
        copy.rebuild_derived();
        prop_assert!(copy == fresh, "at {}", at);
        prop_assert_eq!(state_hash(&copy), state_hash(&fresh));
        prop_assert_eq!(all_figures(&copy), all_figures(&fresh));
        resumed = copy;
    }
    prop_assert!(resumed == office.state);
    Ok(())
}

/// Entries of one device, each corrected in turn by the other device of the same person: the two queues.
fn two_devices(work: &[(u8, u8, u8, u8)]) -> [Vec<String>; 2] {
    let (mut adds, mut changes) = (Vec::new(), Vec::new());
    for (number, (what, quantity, day, turns)) in (1..).zip(work) {
        let indicator = ["uttp", "asn", "laporan", "tera"][usize::from(what % 4)];
        adds.push(format!("ayu add {indicator} {quantity} 2024-05-{:02}", 1 + day % 28));
        let mut base = format!("ayu/{number}");
        for turn in 0..turns % 4 {
            let on = 1 + (day % 28 + turn) % 28;
            changes.push(match (turns % 100 + turn) % 7 {
                0 => format!("ayu2 void ayu/{number}@{base}"),
                _ => format!("ayu2 amend ayu/{number}@{base} {} 2024-05-{on:02}", quantity / 2 + turn),
            });
            base = format!("ayu2/{}", changes.len());
            if changes.last().is_some_and(|words| words.contains(" void ")) {
                break;
            }
        }
    }
    [adds, changes]
}

/// Plays two queues, each in its own order, as the turns say.
fn interleaved(queues: &[Vec<String>; 2], turns: &[bool]) -> Office {
    let mut office = Office::established();
    office.at("2024-06-01 08:00");
    let mut queues = queues.each_ref().map(|queue| queue.iter());
    let rest = [false, true].into_iter().flat_map(|turn| std::iter::repeat_n(turn, 400));
    for turn in turns.iter().copied().chain(rest) {
        if let Some(words) = queues[usize::from(turn)].next() {
            office.ask(words);
        }
    }
    office
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_recorded_is_lost_and_only_facts_are_held(steps in steps(160)) {
        every_fact_is_somewhere(&play(&steps))?;
    }

    #[test]
    fn what_a_lock_kept_changes_with_the_next_lock_of_its_quarter_alone(steps in steps(160)) {
        frozen_changes_with_its_lock_alone(&play(&steps))?;
    }

    /// Earlier quarters are opened, filled and locked again; what was locked after them keeps its figures.
    #[test]
    fn reopening_moves_no_later_lock(steps in steps(60), pauses in proptest::collection::vec(any::<u16>(), 1..4)) {
        let office = play_reopened(&steps);
        frozen_changes_with_its_lock_alone(&office)?;
        every_fact_is_somewhere(&office)?;
        pauses_change_nothing(&office, &pauses)?;
    }

    #[test]
    fn a_state_put_aside_and_taken_up_again_goes_on_as_if_it_never_was(
        steps in steps(120),
        pauses in proptest::collection::vec(any::<u16>(), 1..6),
    ) {
        pauses_change_nothing(&play(&steps), &pauses)?;
    }

    /// A correction that overtakes its entry waits for it: whichever device synchronises first, every count is the same
    /// and nothing stays waiting.
    #[test]
    fn r3_corrections_from_the_other_device_end_the_same_whoever_comes_first(
        work in proptest::collection::vec(any::<(u8, u8, u8, u8)>(), 1..40),
        turns in proptest::collection::vec(any::<bool>(), 0..120),
    ) {
        let queues = two_devices(&work);
        let (in_order, mixed) = (interleaved(&queues, &[]), interleaved(&queues, &turns));
        let overtaken = interleaved(&queues, &[true; 120]);
        for office in [&in_order, &mixed, &overtaken] {
            prop_assert_eq!(office.state.entries.len(), work.len());
            prop_assert!(office.state.held.values().all(|held| !held.is_waiting()));
            every_fact_is_somewhere(office)?;
        }
        prop_assert_eq!(all_figures_of_sums(&in_order.state), all_figures_of_sums(&mixed.state));
        prop_assert_eq!(all_figures_of_sums(&in_order.state), all_figures_of_sums(&overtaken.state));
        let entries = |office: &Office| {
            let told = office.state.entries.iter().map(|e| format!("{:?} {:?} {} {:?}", e.key, e.version, e.on, e.reading));
            told.collect::<BTreeSet<_>>()
        };
        prop_assert_eq!(entries(&in_order), entries(&mixed));
        prop_assert_eq!(entries(&in_order), entries(&overtaken));
    }
}

/// Slots follow the order of arrival and decide readings of one day, so only what adds up is compared.
fn all_figures_of_sums(state: &State) -> Vec<String> {
    let sums = state.indicators.iter().filter(|i| i.settings.iter().all(|s| s.kind == Kind::Sum));
    let periods = Quarter::ALL.map(Period::ToDate).into_iter().chain(Quarter::ALL.map(Period::Quarter));
    let periods: Vec<Period> = periods.chain([Period::Year]).collect();
    sums.flat_map(|i| periods.iter().map(move |period| format!("{:?}", line(state, i, *period)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 25, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_refused_command_leaves_no_trace(steps in steps(60)) {
        refusals_leave_no_trace(&play(&steps))?;
    }

    /// Histories that begin with the draft: set and imported again, handed in, given back, recalled, established.
    #[test]
    fn a_draft_keeps_the_same_promises(
        steps in steps(80),
        pauses in proptest::collection::vec(any::<u16>(), 1..4),
    ) {
        let office = play_draft(&steps);
        every_fact_is_somewhere(&office)?;
        refusals_leave_no_trace(&office)?;
        frozen_changes_with_its_lock_alone(&office)?;
        pauses_change_nothing(&office, &pauses)?;
    }
}

/// The promises are about something: every way to revise is approved, work is carried over, and drafts live.
#[test]
fn histories_meet_every_kind_of_change_and_the_life_of_a_draft() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut history = |play: fn(&[Step]) -> Office| {
        let steps = steps(160).new_tree(&mut runner).unwrap().current();
        play(&steps)
    };
    let mut met = BTreeSet::new();
    for _ in 0..120 {
        let office = history(play);
        let approved = office.state.revisions.iter().filter(|r| r.state == RevisionState::Approved);
        met.extend(approved.flat_map(|r| r.changes.iter().map(Change::name)));
        for record in office.records.iter().filter(|r| matches!(r.outcome, Outcome::Recorded(_))) {
            match &record.envelope.command {
                Command::Held(HeldCommand::Release(release)) if release.count_in.is_some() => {
                    met.insert("carried over");
                }
                Command::Held(HeldCommand::Release(release)) if release.to.is_some() => {
                    met.insert("given to another");
                }
                _ => {}
            }
        }
    }
    for _ in 0..60 {
        let office = history(play_draft);
        let recorded = office.records.iter().filter(|r| matches!(r.outcome, Outcome::Recorded(_))).skip(50);
        met.extend(recorded.map(|record| record.envelope.command.name()));
    }
    for _ in 0..60 {
        let office = history(play_reopened);
        let mut state = State::default();
        for record in &office.records {
            apply(&mut state, record);
            let [first, second, ..] = state.plans.first().map(|plan| plan.quarters).unwrap_or_default();
            let relocked = record.envelope.command.name() == "quarter.relocked";
            let moved = |name: &str| {
                let indicator = state.indicator(crate::office::id(name)).unwrap();
                format!("{:?}", line(&state, indicator, Period::ToDate(Quarter::Q2)).basis)
                    != format!("{:?}", current_line(&state, indicator, Period::ToDate(Quarter::Q2)).basis)
            };
            if relocked && first.is_locked() && second.is_locked() && (moved("uttp") || moved("koperasi")) {
                met.insert("an earlier quarter filled and locked again below a later lock");
            }
        }
    }
    for wanted in [
        "an earlier quarter filled and locked again below a later lock",
        "target",
        "kind",
        "polarity",
        "formula",
        "rename",
        "reassign",
        "cap",
        "year_target",
        "retire",
        "add",
        "carried over",
        "given to another",
        "indicator.set",
        "plan.imported",
        "plan.establishment_requested",
        "plan.sent_back",
        "plan.recalled",
        "plan.established",
    ] {
        assert!(met.contains(wanted), "{wanted} never happened: {met:?}");
    }
}
