//! Random histories: small numbers that become plausible commands against whatever the office is by then.

use proptest::prelude::*;
use renaksi_domain::indicator::{Level, Polarity};
use renaksi_domain::people::GrantState;
use renaksi_domain::quarter::{QuarterCommand, QuarterState, due_by_itself};
use renaksi_domain::revision::RevisionState;
use renaksi_domain::state::State;
use renaksi_domain::time::Date;

use crate::office::{Office, PLAN, key};

/// One step: who, what, and four numbers to make it from.
pub type Step = (u8, u8, u8, u8, u8, u8);

/// Up to `most` steps.
pub fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(any::<Step>(), 0..most)
}

/// Plays the steps on the established office from 10 January on; commands may be recorded, held or refused.
pub fn play(steps: &[Step]) -> Office {
    let mut office = Office::established();
    office.at("2024-01-10 08:00");
    for step in steps {
        // Up to about ten days a step, so that a history of sixty meets every quarter.
        office.now = office.now.plus_micros(i64::from(step.5) * 3_600_000_000);
        // As the writer does: what is due by itself comes first.
        while let Some(QuarterCommand::Relock(due)) = due_by_itself(&office.state, office.now) {
            office.does(&format!("host relock {}", due.quarter.number()));
        }
        let words = words(&office.state, *step, office.state.day(office.now));
        office.ask(&words);
    }
    office
}

/// Plays the steps on the draft plan from 10 January on: every fourth is about the draft itself.
pub fn play_draft(steps: &[Step]) -> Office {
    let mut office = Office::draft();
    office.at("2024-01-10 08:00");
    for step in steps {
        office.now = office.now.plus_micros(i64::from(step.5) * 3_600_000_000);
        while let Some(QuarterCommand::Relock(due)) = due_by_itself(&office.state, office.now) {
            office.does(&format!("host relock {}", due.quarter.number()));
        }
        match step.1 % 4 {
            0 if step.4.is_multiple_of(8) => import_again(&mut office),
            0 => drop(office.ask(&of_a_draft(*step))),
            _ => drop(office.ask(&words(&office.state, *step, office.state.day(office.now)))),
        }
    }
    office
}

/// Plays the steps from July on, with two quarters locked: mostly they are opened again, filled and left to lock.
pub fn play_reopened(steps: &[Step]) -> Office {
    let mut office = Office::established();
    for (day, quarter) in [("2024-03-20", 1), ("2024-05-20", 2)] {
        office.at(&format!("{day} 08:00"));
        for words in ["citra add koperasi 39", "ayu add uttp 70", "ayu add tera 12,5", "citra add aktif 3/4"]
        {
            office.does(&format!("{words} {day}"));
        }
        office.lock(quarter);
    }
    office.at("2024-07-10 08:00");
    for step in steps {
        office.now = office.now.plus_micros(i64::from(step.5) * 3_600_000_000);
        while let Some(QuarterCommand::Relock(due)) = due_by_itself(&office.state, office.now) {
            office.does(&format!("host relock {}", due.quarter.number()));
        }
        let words = of_reopened(&office.state, *step, office.state.day(office.now));
        office.ask(&words);
    }
    office
}

fn of_reopened(state: &State, step: Step, today: Date) -> String {
    let (who, what, a, b, c, d) = step;
    let requested = state.plans[0].quarters.iter().position(|q| q.name() == "reopen requested");
    let (officer, indicator) =
        [("ayu", "uttp"), ("citra", "koperasi"), ("ayu", "tera"), ("citra", "aktif")][usize::from(a % 4)];
    let value = if indicator == "aktif" { format!("{c}/{}", 1 + u32::from(b)) } else { c.to_string() };
    let on = format!("2024-{:02}-{:02}", 1 + b % 6, 1 + d % 28);
    match what % 12 {
        0 | 1 => {
            format!("kabid request-reopen {} {}T17:00", 1 + a % 2, today.plus_days(5 + i32::from(b % 30)))
        }
        2 | 3 => format!("admin grant-reopen {}", 1 + requested.unwrap_or(0)),
        4..=7 => format!("{officer} add {indicator} {value} {on}"),
        8 => format!("{} verify {}", pick(&["kabid", "kabidkop"], who), entry(state, a, officer)),
        9 => format!("{officer} void {}", entry(state, a, officer)),
        _ => words(state, (who, b, a, c, d, who), today),
    }
}

/// The whole import once more, whether or not it is still admitted.
fn import_again(office: &mut Office) {
    office.ask("admin start-import 2024");
    for (name, level, ..) in PLAN {
        if level == Level::Strategic {
            office.ask("admin objective");
        }
        office.ask(&format!("admin row {name}"));
    }
    office.ask("admin finish-import 2024 2 10");
}

fn of_a_draft((_, _, a, b, c, d): Step) -> String {
    // What was imported again has other ids: sometimes those of the second import.
    let which = usize::from(a) % PLAN.len();
    let indicator = if a.is_multiple_of(3) { (which + 11).to_string() } else { PLAN[which].0.to_owned() };
    let kinds = ["sum", "cumulative", "latest", "average", "ratio"];
    match c % 8 {
        0 => format!("admin set {indicator} kind {}", pick(&kinds, b)),
        1 => format!(
            "admin set {indicator} target {}={}",
            1 + b % 4,
            pick(&["-", "blank", "0", "7,5", "40"], d)
        ),
        2 => format!("admin set {indicator} polarity {} cap 120", pick(&["higher", "lower"], b)),
        3 => format!("admin set {indicator} year-target {} unit {}", pick(&["none", "945"], b), 1 + d % 3),
        4 | 5 => "admin establish 2024".to_owned(),
        6 => format!("{} 2024", pick(&["head send-back", "admin recall"], b)),
        _ => "head approve-plan 2024".to_owned(),
    }
}

fn pick<'a>(of: &[&'a str], number: u8) -> &'a str {
    of[usize::from(number) % of.len()]
}

fn words(state: &State, (who, what, a, b, c, d): Step, today: Date) -> String {
    let first_day = Date::new(2024, 1, 1).unwrap();
    let officer = pick(&["ayu", "ayu", "ayu2", "budi", "citra", "kabid", "kabidkop"], who);
    // Mostly an indicator of the officer's own unit, so that most facts are admitted.
    let own = if officer.starts_with('c') || officer == "kabidkop" { 5 } else { 0 };
    let named = PLAN[if d % 6 == 0 { usize::from(a) % PLAN.len() } else { own + usize::from(a) % 5 }].0;
    // Sometimes one that a revision added.
    let added = state.indicators.len() > PLAN.len() && d.is_multiple_of(9);
    let indicator = &if added { state.indicators.len().to_string() } else { named.to_owned() };
    let value = pick(&["12", "1,5", "7,25", "0", "0,00", "3/4", "1,0/2,50", "-2", "\"WTP\"", "100"], b);
    let on = match d % 8 {
        0 => format!("2024-{:02}-{:02}", 1 + c % 12, 1 + d % 28),
        1..=3 => today.to_string(),
        _ => today.plus_days(-i32::from(c % 120)).max(first_day).to_string(),
    };
    let entry = entry(state, a, officer);
    let held = state.held.keys().nth(usize::from(a) % state.held.len().max(1));
    let name_of = |origin: u32| match origin {
        10 => "ayu2",
        origin => crate::office::PEOPLE[origin as usize - 1].0,
    };
    let held = held.map_or("ayu/1".to_owned(), |key| format!("{}/{}", name_of(key.origin.0), key.sequence));
    let quarter = 1 + c % 4;
    let last =
        |wanted: RevisionState| 1 + state.revisions.iter().rposition(|r| r.state == wanted).unwrap_or(0);
    let (draft, submitted) = (last(RevisionState::Draft), last(RevisionState::Submitted));
    let has_draft = state.revisions.iter().any(|r| r.state == RevisionState::Draft);
    let requested = |q: &QuarterState| matches!(q, QuarterState::LockRequested { .. });
    let to_lock = 1 + state.plans[0].quarters.iter().position(requested).unwrap_or(0);
    let in_state =
        |name: &str| 1 + state.plans[0].quarters.iter().position(|q| q.name() == name).unwrap_or(0);
    let waiting = state.people.grants.iter().position(|grant| grant.state == GrantState::Waiting);
    let grant = 1 + waiting.unwrap_or(0);
    match what % 44 {
        0..=8 => format!("{officer} add {indicator} {value} {on}"),
        9 | 10 => format!("{officer} amend {entry} {value} {on}"),
        11 => format!("{officer} void {entry}"),
        12 | 13 => format!("{officer} amend {officer}/{} {value} {on}", 1 + b % 30),
        14..=17 => format!("{} verify {entry}", pick(&["kabid", "kabidkop", "head"], who)),
        18 => format!("{} return {entry}", pick(&["kabid", "kabidkop", "head"], who)),
        19 => format!("admin release {held}"),
        20 => format!("admin release {held} to {indicator}"),
        21 => format!("admin release {held} in {quarter}"),
        22 => format!("admin dismiss {held}"),
        23 => format!("{officer} withdraw {held}"),
        24 => format!("admin lock {}", 1 + c % 2),
        25 => format!("head {}-lock {to_lock}", pick(&["approve", "approve", "approve", "reject"], d)),
        26 if !has_draft => format!("admin draft R{} {quarter}", state.revisions.len() + 1),
        26 | 27 => format!("admin change {draft} {}", change(state, indicator, a, b, quarter)),
        28 => format!("admin submit {draft}"),
        29 => format!("head {} {submitted}", pick(&["approve", "approve", "reject"], d)),
        30 => format!(
            "operator {}",
            pick(&["end 6 2 2024-05-01", "assign 6 officer 3 2024-05-02", "add-person", "revoke 6"], b)
        ),
        31 => format!("admin set {indicator} kind {}", pick(&["sum", "cumulative", "latest", "ratio"], d)),
        32 | 33 => format!(
            "{} request-reopen {} {}T17:00",
            pick(&["kabid", "admin", "kabidkop"], who),
            in_state("locked"),
            today.plus_days(i32::from(d % 40))
        ),
        34 | 35 => format!(
            "admin {}-reopen {}",
            pick(&["grant", "grant", "grant", "decline"], d),
            in_state("reopen requested")
        ),
        36 => narrate(state, pick(&["kabid", "kabidkop", "admin"], who), indicator, quarter, d),
        37 => pick(&["admin bands a=..50 b=50..", "admin bands c=..", "admin bands a=..50 b=60.."], d)
            .to_owned(),
        38 => pick(&["admin due-days 9", "admin holidays +2024-04-10 -2024-07-06", "admin due-days 5"], d)
            .to_owned(),
        39 => format!("operator assign {} {} 1", 7 + a % 2, pick(&["administrator", "head-of-office"], d)),
        40 => format!("head {} {grant}", pick(&["confirm", "confirm", "decline"], d)),
        41 => format!("admin change {draft} {}", addition(state, a, b)),
        42 => format!("admin lock {quarter}"),
        _ => format!("admin {} 2024", pick(&["recall", "establish"], d)),
    }
}

fn narrate(state: &State, who: &str, indicator: &str, quarter: u8, text: u8) -> String {
    let known = renaksi_domain::time::Quarter::from_number(quarter.into()).unwrap();
    let base = state.narrative(crate::office::id(indicator), known).map_or(0, |current| current.position);
    format!("{who} narrate {indicator} {quarter} {base} pendorong{} penghambat tindak", text % 5)
}

/// A change that adds, caps or states.
fn addition(state: &State, a: u8, b: u8) -> String {
    let indicator = PLAN[usize::from(a) % PLAN.len()].0;
    let known = state.indicator(crate::office::id(indicator)).unwrap();
    let old = |number: Option<renaksi_domain::quantity::Quantity>| {
        number.map_or("none".to_owned(), |number| number.plain())
    };
    match b % 3 {
        0 => format!("add {} activity baru{a} - - - {}", pick(&["tera", "koperasi"], a), 1 + b % 9),
        1 => format!("cap {indicator} {} {}", old(known.settings[3].cap), 100 + b % 50),
        _ => format!("year-target {indicator} {} {}", old(known.year_target), 100 + a % 50),
    }
}

/// An entry of the office, preferably the officer's own, in its present or an older version.
fn entry(state: &State, number: u8, officer: &str) -> String {
    let own = crate::office::who(officer).1;
    let mine: Vec<_> =
        state.entries.iter().filter(|entry| entry.author == own || number.is_multiple_of(5)).collect();
    let Some(entry) = mine.get(usize::from(number) % mine.len().max(1)) else {
        return format!("{officer}/1");
    };
    let name = match entry.key.origin.0 {
        10 => "ayu2",
        origin => crate::office::PEOPLE[origin as usize - 1].0,
    };
    let text = format!("{name}/{}", entry.key.sequence);
    debug_assert_eq!(key(&text), entry.key);
    if number.is_multiple_of(7) { format!("{text}@{text}") } else { text }
}

fn change(state: &State, indicator: &str, a: u8, b: u8, quarter: u8) -> String {
    let known = state.indicator(crate::office::id(indicator)).unwrap();
    let settings = known.settings[usize::from(quarter) - 1];
    match b % 9 {
        5 => {
            let new = if settings.polarity == Polarity::Higher { Polarity::Lower } else { Polarity::Higher };
            format!("polarity {indicator} {} {}", settings.polarity.name(), new.name())
        }
        6 => format!("formula {indicator} {} {}", settings.formula.name(), pick(&["mirrored", "inverse"], a)),
        7 => {
            let measure = &known.facets[usize::from(quarter) - 1].measure;
            format!("rename {indicator} {measure} nama-{}", a % 5)
        }
        0 => format!("retire {indicator}"),
        1 => {
            format!("kind {indicator} {} {}", settings.kind.name(), pick(&["sum", "cumulative", "latest"], a))
        }
        2 => format!("reassign {indicator} {} {}", known.facet().unit.unwrap().0, 1 + a % 3),
        _ => {
            let old = known.targets[usize::from(quarter) - 1].current().label();
            let old = match old.as_str() {
                "not planned" => "-",
                "missing" => "blank",
                other => other,
            };
            // The plain form has dots, which `parse_cell` may find ambiguous; plan cells have at most two decimals.
            format!("target {indicator} {quarter} {old} {}", 10 + a % 50)
        }
    }
}
