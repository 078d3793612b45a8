//! Quarters: what is still missing from each, when it is due, its lock by two people and its reopening by two people.

mod unseen;

use clap::Subcommand;
use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::entry::{Entry, EntryCommand, State as EntryState};
use renaksi_domain::held::Held;
use renaksi_domain::ids::CommandKey;
use renaksi_domain::indicator::Indicator;
use renaksi_domain::quarter::{PlanQuarter, QuarterCommand, QuarterState};
use renaksi_domain::time::{Quarter, Timestamp, Zone};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::audit::words::office_time;
use super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::render::{self, Align, Column};
use crate::text;
use crate::view;

/// `renaksi quarter …`
#[derive(Clone, Debug, Subcommand)]
pub enum QuarterCommandLine {
    /// Due date, state, and what is late, unverified or held, quarter by quarter
    Status {
        /// Only this quarter
        #[arg(long)]
        quarter: Option<u32>,
    },
    /// When each quarter's entries are due
    Due,
    /// Asks for a quarter's lock, after showing what is unverified or held (administrator)
    Lock {
        /// 1 to 4
        quarter: u32,
    },
    /// Locks a quarter: its figures are frozen (head of office)
    ApproveLock {
        /// 1 to 4
        quarter: u32,
    },
    /// Declines a quarter's lock (head of office)
    RejectLock {
        /// 1 to 4
        quarter: u32,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Asks to open a locked quarter until a time; then it locks by itself (head of unit, administrator)
    RequestReopen {
        /// 1 to 4
        quarter: u32,
        /// Until when: a date (the end of that day) or a time, such as "2024-07-20 17:00"
        #[arg(long, value_name = "TIME")]
        until: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Opens a locked quarter as another person asked (administrator)
    GrantReopen {
        /// 1 to 4
        quarter: u32,
    },
    /// Declines to open a locked quarter (administrator)
    DeclineReopen {
        /// 1 to 4
        quarter: u32,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// Runs a `quarter` command.
///
/// # Errors
/// As the command's own; a refusal of the rules is exit 4 or 6, an unreachable server exit 5 with nothing queued.
pub async fn run(ctx: &Context, command: QuarterCommandLine) -> Result<Done, ClientError> {
    match command {
        QuarterCommandLine::Status { quarter } => status(ctx, quarter),
        QuarterCommandLine::Due => due(ctx),
        QuarterCommandLine::Lock { quarter } => lock(ctx, quarter).await,
        QuarterCommandLine::ApproveLock { quarter } => {
            decide(ctx, quarter, |about, _| Ok(QuarterCommand::Approve(about)), None).await
        }
        QuarterCommandLine::RejectLock { quarter, reason } => {
            decide(ctx, quarter, |about, _| Ok(QuarterCommand::Reject(about)), Some(reason)).await
        }
        QuarterCommandLine::RequestReopen { quarter, until, reason } => {
            let ask = |about, zone| Ok(QuarterCommand::RequestReopen(about, find::time(&until, zone)?));
            decide(ctx, quarter, ask, Some(reason)).await
        }
        QuarterCommandLine::GrantReopen { quarter } => {
            decide(ctx, quarter, |about, _| Ok(QuarterCommand::GrantReopen(about)), None).await
        }
        QuarterCommandLine::DeclineReopen { quarter, reason } => {
            decide(ctx, quarter, |about, _| Ok(QuarterCommand::DeclineReopen(about)), Some(reason)).await
        }
    }
}

/// What a quarter's entries look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    entries: u32,
    late: u32,
    unverified: u32,
    returned: u32,
    held: u32,
}

fn tallies(state: &State, year: i16) -> [Tally; 4] {
    let mut tallies: [Tally; 4] = Default::default();
    for entry in state.entries.iter().filter(|entry| is_of_year(state, entry, year)) {
        let tally = &mut tallies[entry.quarter.index()];
        let counts = matches!(entry.state, EntryState::Recorded | EntryState::Verified);
        tally.entries += u32::from(counts);
        tally.late += u32::from(counts && entry.late);
        tally.unverified += u32::from(entry.state == EntryState::Recorded);
        tally.returned += u32::from(entry.state == EntryState::Returned);
    }
    for (_, _, quarter) in waiting(state, year) {
        tallies[quarter.index()].held += 1;
    }
    tallies
}

fn is_of_year(state: &State, entry: &Entry, year: i16) -> bool {
    state.indicator(entry.indicator).is_some_and(|indicator| indicator.year == year)
}

/// Held work that waits for a person, with the quarter it is about.
fn waiting(state: &State, year: i16) -> impl Iterator<Item = (CommandKey, &Held, Quarter)> {
    state.held.iter().filter(|(_, held)| held.is_waiting()).filter_map(move |(key, held)| {
        let (of_year, quarter) = match &held.command {
            EntryCommand::Add(add) => (add.on.year(), add.on.quarter()),
            EntryCommand::Amend(amend) => (amend.on.year(), amend.on.quarter()),
            other => {
                let entry = state.entries.get(other.entry()?)?;
                (entry.on.year(), entry.quarter)
            }
        };
        (of_year == year).then_some((*key, held, quarter))
    })
}

fn status(ctx: &Context, only: Option<u32>) -> Result<Done, ClientError> {
    let only = only.map(find::quarter).transpose()?;
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let wanted = |quarter: &Quarter| only.is_none_or(|only| only == *quarter);
    let tallies = tallies(state, year);
    let quarters = Quarter::ALL.into_iter().filter(wanted);
    if ctx.json {
        let all: Vec<Value> = quarters
            .map(|quarter| quarter_json(&device, PlanQuarter { year, quarter }, &tallies[quarter.index()]))
            .collect();
        ctx.print_json(&json!({ "year": year, "quarters": all }));
        return Ok(Done::Well);
    }
    let column = |key: &str, align| Column::new(text::say(key), align);
    let columns = [
        column("column.quarter", Align::Left),
        column("quarter.due", Align::Left),
        column("column.state", Align::Left),
        column("quarter.entries", Align::Right).drop(3),
        column("quarter.late", Align::Right).drop(2),
        column("quarter.unverified", Align::Right),
        column("quarter.returned", Align::Right).drop(1),
        column("quarter.held", Align::Right),
    ];
    let rows = quarters.map(|quarter| {
        let (about, tally) = (PlanQuarter { year, quarter }, &tallies[quarter.index()]);
        let counts = [tally.entries, tally.late, tally.unverified, tally.returned, tally.held];
        let mut cells = vec![
            quarter.number().to_string(),
            state.config.due_date(about).to_string(),
            state_in_words(state, state.quarter_state(about)),
        ];
        cells.extend(counts.map(|count| count.to_string()));
        cells
    });
    ctx.print(&render::table(ctx.color, &columns, rows));
    for quarter in Quarter::ALL.into_iter().filter(wanted) {
        let count = differing(state, PlanQuarter { year, quarter });
        if count > 0 {
            ctx.notice(&text::count("quarter.differs", count as u64, &[("quarter", &quarter.number())]));
        }
    }
    Ok(Done::Well)
}

fn state_in_words(state: &State, quarter: QuarterState) -> String {
    let word = text::term("state", quarter.name());
    match quarter {
        QuarterState::Locked(lock) => format!("{word} {}", office_time(state.zone(), lock.time)),
        QuarterState::Reopened { until } | QuarterState::ReopenRequested { until, .. } => {
            format!("{word} → {}", office_time(state.zone(), until))
        }
        QuarterState::Open | QuarterState::LockRequested { .. } => word,
    }
}

/// Until when a quarter is open again, or shall be.
fn until_of(quarter: QuarterState) -> Option<Timestamp> {
    match quarter {
        QuarterState::Reopened { until } | QuarterState::ReopenRequested { until, .. } => Some(until),
        QuarterState::Open | QuarterState::LockRequested { .. } | QuarterState::Locked(_) => None,
    }
}

/// Indicators whose entries now give other figures than the lock froze, because an earlier quarter was opened again.
fn differing(state: &State, about: PlanQuarter) -> usize {
    let indicators = state.plan(about.year).into_iter().flat_map(|plan| &plan.indicators);
    let differs = |indicator: &&Indicator| {
        view::differences(state, indicator).iter().any(|differing| differing.period.last() == about.quarter)
    };
    match state.is_locked(about) {
        true => indicators.filter_map(|id| state.indicator(*id)).filter(differs).count(),
        false => 0,
    }
}

fn quarter_json(device: &Device, about: PlanQuarter, tally: &Tally) -> Value {
    let state = &device.view().confirmed;
    let quarter = state.quarter_state(about);
    let lock = quarter.lock();
    let requested_by = match quarter {
        QuarterState::LockRequested { by } | QuarterState::ReopenRequested { by, .. } => {
            Some(device.name_of(by))
        }
        QuarterState::Open | QuarterState::Locked(_) | QuarterState::Reopened { .. } => None,
    };
    json!({
        "quarter": about.quarter.number(),
        "ends": about.quarter.last_day(about.year).to_string(),
        "due": state.config.due_date(about).to_string(),
        "state": quarter.name(),
        "requested_by": requested_by,
        "until": until_of(quarter).map(Timestamp::rfc3339),
        "differing": differing(state, about),
        "locked_at": lock.map(|lock| lock.time.rfc3339()),
        "locked_position": lock.map(|lock| lock.at),
        "entries": tally.entries,
        "late": tally.late,
        "unverified": tally.unverified,
        "returned": tally.returned,
        "held": tally.held,
    })
}

fn due(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let year = ctx.year(state, device.now())?;
    let today = state.day(device.now());
    let each = Quarter::ALL.map(|quarter| {
        let due = state.config.due_date(PlanQuarter { year, quarter });
        (quarter, due, i64::from(due.days()) - i64::from(today.days()))
    });
    if ctx.json {
        let all = each.map(|(quarter, due, days_left)| {
            json!({ "quarter": quarter.number(), "due": due.to_string(), "days_left": days_left })
        });
        ctx.print_json(&json!({ "year": year, "today": today.to_string(), "due": all }));
        return Ok(Done::Well);
    }
    for (quarter, due, days_left) in each {
        let when = match days_left {
            0 => text::say("quarter.due_today"),
            days if days > 0 => text::with("quarter.days_left", &[("days", &days)]),
            days => text::with("quarter.days_past", &[("days", &-days)]),
        };
        ctx.print(&format!("{quarter}  {due}  {when}"));
    }
    Ok(Done::Well)
}

async fn lock(ctx: &Context, number: u32) -> Result<Done, ClientError> {
    let quarter = find::quarter(number)?;
    let mut device = fresh(ctx).await?;
    let about = PlanQuarter { year: ctx.year(&device.view().confirmed, device.now())?, quarter };
    let open = list_what_is_open(ctx, &device, about);
    let unseen = unseen::devices(&device, about).await;
    unseen::tell(ctx, &device, &unseen);
    ask(&mut device, vec![(Command::Quarter(QuarterCommand::Request(about)), Texts::default())]).await?;
    let name = device.view().confirmed.quarter_state(about).name();
    match ctx.json {
        true => ctx.print_json(&json!({
            "year": about.year,
            "quarter": quarter.number(),
            "state": name,
            "unverified": open.unverified,
            "returned": open.returned,
            "held": open.held,
            "not_synchronised": unseen::json(&device, &unseen),
        })),
        false => ctx.print(&text::with(
            "quarter.lock_requested",
            &[("quarter", &quarter.number()), ("year", &about.year)],
        )),
    }
    Ok(Done::Well)
}

/// Public ids of what a lock leaves as it is.
struct StillOpen {
    unverified: Vec<String>,
    returned: Vec<String>,
    held: Vec<String>,
}

/// What the lock would leave unverified, returned or held, listed on stderr.
fn list_what_is_open(ctx: &Context, device: &Device, about: PlanQuarter) -> StillOpen {
    let unverified = list_entries(ctx, device, about, EntryState::Recorded, "quarter.lists_unverified");
    let returned = list_entries(ctx, device, about, EntryState::Returned, "quarter.lists_returned");
    let state = &device.view().confirmed;
    let held: Vec<(CommandKey, &Held)> = waiting(state, about.year)
        .filter(|(_, _, quarter)| *quarter == about.quarter)
        .map(|(key, held, _)| (key, held))
        .collect();
    if !held.is_empty() {
        ctx.notice(&text::count("quarter.lists_held", held.len() as u64, &[]));
        for (key, held) in &held {
            let cause = text::message(&Rejected::from(&held.cause));
            ctx.notice(&format!(
                "  {}  {}  {cause}",
                render::short_id(state, *key),
                device.name_of(held.author)
            ));
        }
    }
    let held = held.into_iter().map(|(key, _)| state.public_id(key)).collect();
    StillOpen { unverified, returned, held }
}

/// The quarter's entries in a state, by indicator; answers their public ids.
fn list_entries(
    ctx: &Context,
    device: &Device,
    about: PlanQuarter,
    wanted: EntryState,
    heading: &str,
) -> Vec<String> {
    let state = &device.view().confirmed;
    let mut entries: Vec<(&str, &Entry)> = state
        .entries
        .iter()
        .filter(|entry| entry.state == wanted && entry.quarter == about.quarter)
        .filter(|entry| is_of_year(state, entry, about.year))
        .map(|entry| (state.indicator(entry.indicator).map_or("", |indicator| &indicator.code), entry))
        .collect();
    entries.sort_by_key(|(code, _)| *code);
    if !entries.is_empty() {
        ctx.notice(&text::count(heading, entries.len() as u64, &[]));
    }
    for (code, entry) in &entries {
        ctx.notice(&format!(
            "  {code}  {}  {}  {}  {}",
            render::short_id(state, entry.key),
            entry.on,
            render::reading(&entry.reading),
            device.name_of(entry.author),
        ));
    }
    entries.into_iter().map(|(_, entry)| state.public_id(entry.key)).collect()
}

/// `make` is given the office's zone, which only an open device knows: what can be understood without one comes first, and
/// the device is opened once.
async fn decide(
    ctx: &Context,
    number: u32,
    make: impl FnOnce(PlanQuarter, Zone) -> Result<QuarterCommand, ClientError>,
    reason: Option<String>,
) -> Result<Done, ClientError> {
    let quarter = find::quarter(number)?;
    let texts = Texts { reason: find::said_maybe("--reason", reason.as_deref())?, ..Texts::default() };
    let mut device = fresh(ctx).await?;
    let about = PlanQuarter { year: ctx.year(&device.view().confirmed, device.now())?, quarter };
    let command = make(about, device.view().confirmed.zone())?;
    let key = format!("quarter.done.{}", Command::Quarter(command.clone()).name().replace("quarter.", ""));
    let receipts = ask(&mut device, vec![(Command::Quarter(command), texts)]).await?;
    let state = &device.view().confirmed;
    let now = state.quarter_state(about);
    let position = receipts.first().map(|receipt| receipt.position);
    match ctx.json {
        true => ctx.print_json(&json!({
            "year": about.year,
            "quarter": quarter.number(),
            "state": now.name(),
            "until": until_of(now).map(Timestamp::rfc3339),
            "position": position,
        })),
        false => {
            let until = until_of(now).map_or_else(String::new, |until| office_time(state.zone(), until));
            let said = [
                ("quarter", &quarter.number() as &dyn std::fmt::Display),
                ("year", &about.year),
                ("until", &until),
            ];
            ctx.print(&text::with(&key, &said));
        }
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::Code;
    use renaksi_domain::Rejection;
    use renaksi_domain::entry::{AddEntry, Reading};
    use renaksi_domain::held::Fate;
    use renaksi_domain::ids::{IndicatorId, Origin, PersonId};
    use renaksi_domain::quantity::Quantity;
    use renaksi_domain::time::Date;

    use super::*;
    use crate::commands::audit::fixture::Office;

    #[test]
    fn held_work_waits_in_the_quarter_of_its_day() {
        let mut state = State::default();
        for (sequence, day, fate) in [
            (1, "2024-03-31", Fate::Waiting),
            (2, "2024-04-01", Fate::Waiting),
            (3, "2024-04-02", Fate::Dismissed),
        ] {
            let add = AddEntry {
                indicator: IndicatorId(1),
                on: Date::parse(day).unwrap(),
                reading: Reading::Quantity(Quantity::ZERO),
            };
            state.held.insert(
                CommandKey::new(Origin(1), sequence),
                Held {
                    author: PersonId(1),
                    command: EntryCommand::Add(add),
                    cause: Rejection::new(Code::QuarterLocked),
                    position: u64::from(sequence),
                    time: Timestamp(0),
                    fate,
                },
            );
        }
        assert_eq!(tallies(&state, 2024).map(|tally| tally.held), [1, 1, 0, 0]);
        assert_eq!(tallies(&state, 2025).map(|tally| tally.held), [0; 4]);
    }

    #[test]
    fn a_quarter_says_until_when_it_is_open_again_or_shall_be() {
        let mut office = Office::established();
        office.lock(Quarter::Q1);
        let about = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
        let until = find::time("2024-07-20 17:00", office.state.zone()).unwrap();
        let said = |office: &Office| {
            let now = office.state.quarter_state(about);
            (state_in_words(&office.state, now), until_of(now).map(Timestamp::rfc3339))
        };
        assert_eq!(said(&office).1, None);
        for ask in [QuarterCommand::RequestReopen(about, until), QuarterCommand::GrantReopen(about)] {
            office.done(Command::Quarter(ask));
            let (words, when) = said(&office);
            assert!(words.ends_with("→ 2024-07-20 17:00"), "{words}");
            assert_eq!(when.as_deref(), Some("2024-07-20T10:00:00Z"));
        }
    }
}
