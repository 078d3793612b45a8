//! People, units and devices, as the operator sees and moves them. New people come by an invite from the server
//! (`renaksid invite`), so there is no `user add` here.

mod grants;
mod revoke;

use std::collections::BTreeMap;

use clap::Subcommand;
use renaksi_domain::State;
use renaksi_domain::command::{Command, Outcome};
use renaksi_domain::ids::{DeviceId, GrantId, PersonId, UnitId};
use renaksi_domain::people::{AddUnit, Assign, Assignment, EndAssignments, PeopleCommand, Person};
use renaksi_domain::time::{Date, Timestamp};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::audit::words::office_time;
use super::audit::{each_record, unit_name};
use super::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::device::Device;
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::render::{self, Align};
use crate::text;

pub use grants::AssignArgs;
pub(crate) use grants::{in_words, numbered};

/// `renaksi user …`
#[derive(Clone, Debug, Subcommand)]
pub enum UserCommandLine {
    /// Everybody: roles with their dates, units, devices
    List,
    /// Moves a person to another unit from a day on (operator)
    Move {
        /// The person's name
        name: String,
        /// The new unit
        #[arg(long)]
        unit: String,
        /// The first day there; the last day in the old unit is the one before
        #[arg(long)]
        from: String,
        /// The unit to leave, where the person has several
        #[arg(long, value_name = "UNIT")]
        leave: Option<String>,
    },
    /// Takes all roles and devices from a person, from today on (operator)
    Revoke {
        /// The person's name
        name: String,
        /// Leaves the person's devices enrolled
        #[arg(long)]
        keep_devices: bool,
    },
    /// Gives a person a role, from a day until a day where it is for a time (operator)
    Assign(AssignArgs),
    /// Roles that wait until the head of office confirms them
    Grants {
        /// Those that are decided, too
        #[arg(long)]
        all: bool,
    },
    /// Lets a role hold that somebody else gave (head of office)
    Confirm {
        /// The number of the role, from `user grants`
        grant: u32,
    },
    /// Declines a role that somebody gave (head of office)
    Decline {
        /// The number of the role, from `user grants`
        grant: u32,
        /// Why
        #[arg(long)]
        reason: String,
    },
}

/// `renaksi device …`
#[derive(Clone, Debug, Subcommand)]
pub enum DeviceCommandLine {
    /// Every device: owner, when it was enrolled, when it was revoked
    List,
    /// Takes a device's rights away (operator)
    Revoke {
        /// The device's number
        device: u32,
    },
}

/// `renaksi unit …`
#[derive(Clone, Debug, Subcommand)]
pub enum UnitCommandLine {
    /// Every unit with its indicators and people
    List,
    /// Adds a unit (operator)
    Add {
        /// The unit's name
        name: String,
    },
}

/// Runs a `user` command.
///
/// # Errors
/// As the command's own; a refusal of the rules is exit 4 or 6, an unreachable server exit 5 with nothing queued.
pub async fn run_user(ctx: &Context, command: UserCommandLine) -> Result<Done, ClientError> {
    match command {
        UserCommandLine::List => list_users(ctx),
        UserCommandLine::Move { name, unit, from, leave } => {
            move_user(ctx, &name, &unit, &from, leave.as_deref()).await
        }
        UserCommandLine::Revoke { name, keep_devices } => revoke::user(ctx, &name, keep_devices).await,
        UserCommandLine::Assign(args) => grants::assign(ctx, &args).await,
        UserCommandLine::Grants { all } => grants::list(ctx, all),
        UserCommandLine::Confirm { grant } => grants::confirm(ctx, grant).await,
        UserCommandLine::Decline { grant, reason } => grants::decline(ctx, grant, &reason).await,
    }
}

/// Runs a `device` command.
///
/// # Errors
/// As [`run_user`].
pub async fn run_device(ctx: &Context, command: DeviceCommandLine) -> Result<Done, ClientError> {
    match command {
        DeviceCommandLine::List => list_devices(ctx),
        DeviceCommandLine::Revoke { device } => revoke::device(ctx, DeviceId(device)).await,
    }
}

/// Runs a `unit` command.
///
/// # Errors
/// As [`run_user`].
pub async fn run_unit(ctx: &Context, command: UnitCommandLine) -> Result<Done, ClientError> {
    match command {
        UnitCommandLine::List => list_units(ctx),
        UnitCommandLine::Add { name } => add_unit(ctx, &name).await,
    }
}

fn command(command: PeopleCommand) -> (Command, Texts) {
    (Command::People(command), Texts::default())
}

fn everybody(state: &State) -> impl Iterator<Item = (PersonId, &Person)> {
    state.people.persons.iter().enumerate().map(|(index, person)| (PersonId::after(index), person))
}

/// The devices of a person that are not revoked.
fn devices_of(state: &State, person: PersonId) -> Vec<DeviceId> {
    let devices = state.people.devices.iter().enumerate();
    let own = devices.filter(|(_, device)| device.owner == person && device.revoked.is_none());
    own.map(|(index, _)| DeviceId::after(index)).collect()
}

fn list_users(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let today = state.day(device.now());
    if ctx.json {
        let users: Vec<Value> = everybody(state)
            .map(|(id, person)| {
                let roles: Vec<Value> =
                    person.assignments.iter().map(|a| assignment_json(state, a, today)).collect();
                let devices: Vec<u32> = devices_of(state, id).into_iter().map(|id| id.0).collect();
                json!({ "id": id.0, "name": device.name_of(id), "roles": roles, "devices": devices })
            })
            .collect();
        ctx.print_json(&json!({ "users": users }));
        return Ok(Done::Well);
    }
    let heads = [
        "people.number",
        "people.name",
        "people.role",
        "people.unit",
        "people.from",
        "people.until",
        "people.devices",
    ];
    let heads = heads.map(text::say);
    let columns: Vec<(&str, Align)> = heads.iter().map(|head| (head.as_str(), Align::Left)).collect();
    let mut rows = Vec::new();
    for (id, person) in everybody(state) {
        let devices: Vec<String> = devices_of(state, id).iter().map(ToString::to_string).collect();
        let mut first = vec![id.to_string(), device.name_of(id)];
        let mut last = devices.join(", ");
        if person.assignments.is_empty() {
            rows.push([std::mem::take(&mut first), vec![String::new(); 4], vec![last]].concat());
            continue;
        }
        for assignment in &person.assignments {
            let start = if first.is_empty() { vec![String::new(); 2] } else { std::mem::take(&mut first) };
            let day = |day: Option<Date>| day.map_or_else(|| "–".to_owned(), |day| day.to_string());
            let middle = vec![
                text::term("role", assignment.role.name()),
                assignment.unit.map_or_else(String::new, |unit| unit_name(state, unit)),
                day(assignment.from),
                day(assignment.until),
            ];
            rows.push([start, middle, vec![std::mem::take(&mut last)]].concat());
        }
    }
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

fn assignment_json(state: &State, assignment: &Assignment, today: Date) -> Value {
    json!({
        "role": assignment.role.name(),
        "unit": assignment.unit.map(|unit| unit_name(state, unit)),
        "from": assignment.from.map(|day| day.to_string()),
        "until": assignment.until.map(|day| day.to_string()),
        "holds": assignment.holds_on(today),
    })
}

async fn move_user(
    ctx: &Context,
    name: &str,
    unit: &str,
    from: &str,
    leave: Option<&str>,
) -> Result<Done, ClientError> {
    let from = find::date(from)?;
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let (person, to) = (find::person(&device, name)?, find::unit(state, unit)?);
    let leave = leave.map(|unit| find::unit(state, unit)).transpose()?;
    let commands = moving(state, person, to, from, leave).map_err(|cause| {
        let cause = cause.with("person", device.name_of(person));
        if cause.code == "SEVERAL_UNITS" {
            ClientError::NotUnderstood(cause)
        } else {
            ClientError::NotAdmitted(cause)
        }
    })?;
    let receipts = ask(&mut device, commands.into_iter().map(command).collect()).await?;
    let name = device.name_of(person);
    let state = &device.view().confirmed;
    let unit = unit_name(state, to);
    // The old role has ended all the same.
    let waiting: Vec<GrantId> = grants::made_by(state, &receipts).collect();
    if ctx.json {
        ctx.print_json(&json!({
            "person": name,
            "id": person.0,
            "unit": unit,
            "from": from.to_string(),
            "waiting_for_confirmation": !waiting.is_empty(),
            "grants": waiting.iter().map(|grant| grant.0).collect::<Vec<_>>(),
        }));
        return Ok(Done::Well);
    }
    ctx.print(&text::with("people.moved", &[("person", &name), ("unit", &unit), ("from", &from)]));
    for id in waiting {
        let Some(grant) = state.people.grant(id) else { continue };
        let role = grants::in_words(state, &grant.assignment);
        ctx.print(&text::with(
            "people.assigned_waiting",
            &[("person", &name), ("role", &role), ("grant", &id)],
        ));
    }
    Ok(Done::Well)
}

/// Ends the roles in the old unit the day before, and gives the same roles in the new one.
fn moving(
    state: &State,
    person: PersonId,
    to: UnitId,
    from: Date,
    leave: Option<UnitId>,
) -> Result<Vec<PeopleCommand>, Rejected> {
    let held: Vec<&Assignment> = state
        .people
        .assignments_on(person, from)
        .filter(|assignment| assignment.unit.is_some() && (leave.is_none() || assignment.unit == leave))
        .collect();
    let mut units: Vec<UnitId> = held.iter().filter_map(|assignment| assignment.unit).collect();
    units.sort_unstable();
    units.dedup();
    match units.as_slice() {
        [] => Err(Rejected::new("NO_UNIT_TO_LEAVE").with("from", from)),
        [unit] if *unit == to => Err(Rejected::new("NOTHING_TO_CHANGE").with("unit", unit_name(state, to))),
        [unit] => {
            let end = EndAssignments { person, role: None, unit: Some(*unit), last_day: from.plus_days(-1) };
            let assign = held.iter().map(|assignment| {
                let assignment = Assignment {
                    role: assignment.role,
                    unit: Some(to),
                    from: Some(from),
                    until: assignment.until,
                };
                PeopleCommand::Assign(Assign { person, assignment })
            });
            Ok([PeopleCommand::EndAssignments(end)].into_iter().chain(assign).collect())
        }
        several => {
            let names: Vec<String> = several.iter().map(|unit| unit_name(state, *unit)).collect();
            Err(Rejected::new("SEVERAL_UNITS").with("units", names.join(", ")))
        }
    }
}

/// When each device was enrolled and revoked: the log knows, the state only which record revoked it.
fn device_times(device: &Device) -> Result<BTreeMap<DeviceId, (Timestamp, Option<Timestamp>)>, ClientError> {
    let mut times: BTreeMap<DeviceId, (Timestamp, Option<Timestamp>)> = BTreeMap::new();
    each_record(device, &mut |stored| {
        let Some((record, _)) = &stored.record else { return Ok(true) };
        match (&record.envelope.command, &record.outcome) {
            (Command::People(PeopleCommand::EnrolDevice(_)), Outcome::Recorded(_)) => {
                times.insert(DeviceId::after(times.len()), (record.time, None));
            }
            (Command::People(PeopleCommand::RevokeDevice(revoke)), Outcome::Recorded(_)) => {
                if let Some((_, revoked)) = times.get_mut(&revoke.device) {
                    *revoked = Some(record.time);
                }
            }
            _ => {}
        }
        Ok(true)
    })?;
    Ok(times)
}

fn list_devices(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let times = device_times(&device)?;
    let all = state.people.devices.iter().enumerate().map(|(index, known)| {
        let id = DeviceId::after(index);
        let (enrolled, revoked) = times.get(&id).copied().unwrap_or((Timestamp(0), None));
        (id, known, enrolled, revoked)
    });
    let own = device.identity().device;
    if ctx.json {
        let devices: Vec<Value> = all
            .map(|(id, known, enrolled, revoked)| {
                json!({
                    "device": id.0,
                    "owner": device.name_of(known.owner),
                    "owner_id": known.owner.0,
                    "this": id == own,
                    "enrolled": enrolled.rfc3339(),
                    "revoked": revoked.map(Timestamp::rfc3339),
                    "revoked_position": known.revoked,
                    "commands": commands_of(state, id),
                })
            })
            .collect();
        ctx.print_json(&json!({ "devices": devices }));
        return Ok(Done::Well);
    }
    let heads = ["people.device", "people.owner", "people.enrolled", "people.revoked_at", "people.commands"]
        .map(text::say);
    let columns: Vec<(&str, Align)> = heads.iter().map(|head| (head.as_str(), Align::Left)).collect();
    let rows = all.map(|(id, known, enrolled, revoked)| {
        let mark = if id == own { " *" } else { "" };
        vec![
            format!("{id}{mark}"),
            device.name_of(known.owner),
            office_time(state.zone(), enrolled),
            revoked.map_or_else(|| "–".to_owned(), |time| office_time(state.zone(), time)),
            commands_of(state, id).to_string(),
        ]
    });
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

/// How many commands of a device the log holds, over all its incarnations.
fn commands_of(state: &State, device: DeviceId) -> u64 {
    let own = state.people.incarnations.iter().filter(|incarnation| incarnation.device == device);
    own.map(|incarnation| u64::from(incarnation.last_sequence)).sum()
}

fn list_units(ctx: &Context) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let today = state.day(device.now());
    // Before the first plan there are units and no indicators.
    let year = match ctx.year {
        Some(_) => Some(ctx.year(state, device.now())?),
        None => state.default_year(device.now()),
    };
    let indicators_of = indicators_by_unit(state, year);
    let all = state.people.units.iter().enumerate().map(|(index, unit)| {
        let id = UnitId::after(index);
        let indicators = indicators_of.get(&id).copied().unwrap_or(0);
        let holds =
            |person: &Person| person.assignments.iter().any(|a| a.unit == Some(id) && a.holds_on(today));
        let people: Vec<String> = everybody(state)
            .filter(|(_, person)| holds(person))
            .map(|(person, _)| device.name_of(person))
            .collect();
        (id, unit.name.to_string(), indicators, people)
    });
    if ctx.json {
        let units: Vec<Value> = all
            .map(|(id, name, indicators, people)| {
                json!({ "id": id.0, "name": name, "indicators": indicators, "people": people })
            })
            .collect();
        ctx.print_json(&json!({ "year": year, "units": units }));
        return Ok(Done::Well);
    }
    let heads =
        [("people.unit", Align::Left), ("people.indicators", Align::Right), ("people.people", Align::Left)]
            .map(|(key, align)| (text::say(key), align));
    let columns: Vec<(&str, Align)> = heads.iter().map(|(head, align)| (head.as_str(), *align)).collect();
    let rows = all.map(|(_, name, indicators, people)| vec![name, indicators.to_string(), people.join(", ")]);
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

/// How many indicators of a year's plan each unit answers for; retired ones and those of a replaced import do not count.
fn indicators_by_unit(state: &State, year: Option<i16>) -> BTreeMap<UnitId, usize> {
    let plan = year.and_then(|year| state.plan(year));
    let indicators = plan.into_iter().flat_map(|plan| &plan.indicators).filter_map(|id| state.indicator(*id));
    let mut counts = BTreeMap::new();
    for unit in indicators.filter(|indicator| indicator.retired.is_none()).filter_map(|i| i.facet().unit) {
        *counts.entry(unit).or_insert(0) += 1;
    }
    counts
}

async fn add_unit(ctx: &Context, name: &str) -> Result<Done, ClientError> {
    let name = find::said("NAME", name)?.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        return Err(ClientError::NotUnderstood(Rejected::new("UNKNOWN_UNIT").with("unit", name)));
    }
    let mut device = fresh(ctx).await?;
    ask(&mut device, vec![command(PeopleCommand::AddUnit(AddUnit { name: name.as_str().into() }))]).await?;
    let id = device.view().confirmed.people.unit_named(&name);
    match ctx.json {
        true => ctx.print_json(&json!({ "unit": name, "id": id.map(|id| id.0) })),
        false => ctx.print(&text::with("people.unit_added", &[("unit", &name)])),
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::people::{Role, Unit};
    use renaksi_domain::revision::Change;

    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    fn office(units: &[u32]) -> State {
        let mut state = State::default();
        state.people.units =
            ["Perdagangan", "Koperasi", "UKM"].map(|name| Unit { name: name.into() }).to_vec();
        let assignments = units
            .iter()
            .map(|unit| Assignment {
                role: Role::Officer,
                unit: Some(UnitId(*unit)),
                from: None,
                until: None,
            })
            .collect();
        state.people.persons.push(Person { assignments });
        state
    }

    #[test]
    fn v5_a_move_ends_the_old_unit_the_day_before() {
        let commands = moving(&office(&[1]), PersonId(1), UnitId(2), day("2024-07-01"), None).unwrap();
        let [PeopleCommand::EndAssignments(end), PeopleCommand::Assign(assign)] = commands.as_slice() else {
            panic!("{commands:?}");
        };
        assert_eq!((end.unit, end.last_day), (Some(UnitId(1)), day("2024-06-30")));
        assert_eq!(assign.assignment.unit, Some(UnitId(2)));
        assert_eq!(
            (assign.assignment.role, assign.assignment.from),
            (Role::Officer, Some(day("2024-07-01")))
        );
    }

    #[test]
    fn who_has_several_units_says_which_to_leave() {
        let state = office(&[1, 3]);
        let asked = |leave| moving(&state, PersonId(1), UnitId(2), day("2024-07-01"), leave);
        assert_eq!(asked(None).unwrap_err().code, "SEVERAL_UNITS");
        assert_eq!(asked(Some(UnitId(3))).unwrap().len(), 2);
        assert_eq!(asked(Some(UnitId(2))).unwrap_err().code, "NO_UNIT_TO_LEAVE");
        let same = moving(&office(&[2]), PersonId(1), UnitId(2), day("2024-07-01"), None);
        assert_eq!(same.unwrap_err().code, "NOTHING_TO_CHANGE");
    }

    #[test]
    fn a_unit_answers_for_what_the_plan_has_now() {
        let mut office = crate::commands::audit::fixture::Office::established();
        let count = |state: &State, year| indicators_by_unit(state, year).into_values().sum::<usize>();
        assert_eq!(count(&office.state, Some(2024)), 3);
        assert_eq!((count(&office.state, Some(2025)), count(&office.state, None)), (0, 0));
        let id = office.draft("P-1");
        let retire = Change::Retire { indicator: crate::commands::audit::fixture::UTTP };
        office.done(Command::Revision(renaksi_domain::revision::RevisionCommand::AddChange(id, retire)));
        office.done(Command::Revision(renaksi_domain::revision::RevisionCommand::Approve(id)));
        assert_eq!(count(&office.state, Some(2024)), 2);
    }
}
