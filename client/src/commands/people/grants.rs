//! Roles: giving them with their dates, and the second person that an administrator or a head of office needs.

use clap::Args;
use renaksi_domain::State;
use renaksi_domain::ids::GrantId;
use renaksi_domain::people::{Assign, Assignment, Grant, GrantState, PeopleCommand, Role};
use renaksi_proto::log::Texts;
use serde_json::{Value, json};

use super::{assignment_json, command};
use crate::commands::audit::unit_name;
use crate::commands::revision::{ask, fresh};
use crate::context::{Context, Done};
use crate::device::{Device, Receipt};
use crate::error::{ClientError, Rejected};
use crate::render::{self, Align};
use crate::{find, text};

/// A role with its dates.
#[derive(Clone, Debug, Args)]
pub struct AssignArgs {
    /// The person's name
    pub name: String,
    /// officer, head-of-unit, administrator, head-of-office, auditor or operator
    #[arg(long)]
    pub role: String,
    /// The unit, for an officer or a head of unit
    #[arg(long)]
    pub unit: Option<String>,
    /// The first day; without it today
    #[arg(long, value_name = "DATE")]
    pub from: Option<String>,
    /// The last day, as for a Plt. or Plh.; without it until further notice
    #[arg(long, value_name = "DATE")]
    pub until: Option<String>,
}

pub(super) async fn assign(ctx: &Context, args: &AssignArgs) -> Result<Done, ClientError> {
    let unclear = |code: &str| Rejected::new(code).with("role", &args.role);
    let role = Role::from_name(&args.role).ok_or_else(|| ClientError::NotUnderstood(unclear("BAD_ROLE")))?;
    if args.unit.is_none() && matches!(role, Role::Officer | Role::HeadOfUnit) {
        return Err(ClientError::NotUnderstood(unclear("ROLE_NEEDS_UNIT")));
    }
    let day = |text: &Option<String>| text.as_deref().map(find::date).transpose();
    let (from, until) = (day(&args.from)?, day(&args.until)?);
    if let Some((from, until)) = from.zip(until).filter(|(from, until)| until < from) {
        let cause = Rejected::new("DATES_BACKWARDS").with("from", from).with("until", until);
        return Err(ClientError::NotUnderstood(cause));
    }
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let person = find::person(&device, &args.name)?;
    let unit = args.unit.as_deref().map(|name| find::unit(state, name)).transpose()?;
    let from = from.or(Some(state.day(device.now())));
    let assignment = Assignment { role, unit, from, until };
    let given = PeopleCommand::Assign(Assign { person, assignment: assignment.clone() });
    let receipts = ask(&mut device, vec![command(given)]).await?;
    let state = &device.view().confirmed;
    let waiting = made_by(state, &receipts).next();
    if ctx.json {
        let mut answer = assignment_json(state, &assignment, state.day(device.now()));
        answer["person"] = json!(device.name_of(person));
        answer["waiting_for_confirmation"] = json!(waiting.is_some());
        answer["grant"] = json!(waiting.map(|grant| grant.0));
        ctx.print_json(&answer);
        return Ok(Done::Well);
    }
    let said = in_words(state, &assignment);
    let (name, number) = (device.name_of(person), waiting.map_or(0, |grant| grant.0));
    let key = if waiting.is_some() { "people.assigned_waiting" } else { "people.assigned" };
    ctx.print(&text::with(key, &[("person", &name), ("role", &said), ("grant", &number)]));
    Ok(Done::Well)
}

/// Every role that needed a second person, with its number.
pub(crate) fn numbered(state: &State) -> impl Iterator<Item = (GrantId, &Grant)> {
    (1..).map(GrantId).zip(&state.people.grants)
}

/// The roles that these records asked for and that wait for a second person. By record: the same role may wait from before.
pub(super) fn made_by<'a>(state: &'a State, receipts: &'a [Receipt]) -> impl Iterator<Item = GrantId> + 'a {
    let theirs = |grant: &Grant| receipts.iter().any(|receipt| receipt.position == grant.position);
    numbered(state)
        .filter(move |(_, grant)| grant.state == GrantState::Waiting && theirs(grant))
        .map(|(id, _)| id)
}

/// A role with its unit and its dates, as people read it.
pub(crate) fn in_words(state: &State, assignment: &Assignment) -> String {
    let role = text::term("role", assignment.role.name());
    let unit = assignment.unit.map(|unit| unit_name(state, unit));
    let day = |day: Option<renaksi_domain::time::Date>| day.map(|day| day.to_string());
    let dates = match (day(assignment.from), day(assignment.until)) {
        (None, None) => None,
        (from, until) => Some(format!("{} → {}", from.unwrap_or_default(), until.unwrap_or_default())),
    };
    [Some(role), unit, dates].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

pub(super) fn list(ctx: &Context, all: bool) -> Result<Done, ClientError> {
    let device = ctx.device()?;
    let state = &device.view().confirmed;
    let grants: Vec<(GrantId, &Grant)> =
        numbered(state).filter(|(_, grant)| all || grant.state == GrantState::Waiting).collect();
    if ctx.json {
        let one = |(id, grant): &(GrantId, &Grant)| grant_json(&device, *id, grant);
        ctx.print_json(&json!({ "grants": Value::from_iter(grants.iter().map(one)) }));
        return Ok(Done::Well);
    }
    if grants.is_empty() {
        ctx.print(&text::say("people.no_grants"));
        return Ok(Done::Well);
    }
    let heads =
        ["people.number", "people.name", "people.role", "people.given_by", "column.state"].map(text::say);
    let columns: Vec<(&str, Align)> = heads.iter().map(|head| (head.as_str(), Align::Left)).collect();
    let rows = grants.iter().map(|(id, grant)| {
        vec![
            id.to_string(),
            device.name_of(grant.person),
            in_words(state, &grant.assignment),
            given_by(&device, grant),
            text::term("state", grant.state.name()),
        ]
    });
    ctx.print(&render::table(ctx.color, &columns, rows));
    Ok(Done::Well)
}

fn given_by(device: &Device, grant: &Grant) -> String {
    match grant.given_by.0 {
        0 => text::say("people.at_the_server"),
        _ => device.name_of(grant.given_by),
    }
}

fn grant_json(device: &Device, id: GrantId, grant: &Grant) -> Value {
    let state = &device.view().confirmed;
    let mut value = assignment_json(state, &grant.assignment, state.day(device.now()));
    value["grant"] = json!(id.0);
    value["person"] = json!(device.name_of(grant.person));
    value["given_by"] = json!(given_by(device, grant));
    value["state"] = json!(grant.state.name());
    value["position"] = json!(grant.position);
    value
}

pub(super) async fn confirm(ctx: &Context, grant: u32) -> Result<Done, ClientError> {
    decide(ctx, PeopleCommand::ConfirmGrant(GrantId(grant)), GrantId(grant), String::new()).await
}

pub(super) async fn decline(ctx: &Context, grant: u32, reason: &str) -> Result<Done, ClientError> {
    let reason = find::said("--reason", reason)?;
    decide(ctx, PeopleCommand::DeclineGrant(GrantId(grant)), GrantId(grant), reason).await
}

async fn decide(
    ctx: &Context,
    asked: PeopleCommand,
    id: GrantId,
    reason: String,
) -> Result<Done, ClientError> {
    let mut device = fresh(ctx).await?;
    let texts = Texts { reason, ..Texts::default() };
    ask(&mut device, vec![(command(asked).0, texts)]).await?;
    let Some(grant) = device.view().confirmed.people.grant(id) else { return Ok(Done::Well) };
    match ctx.json {
        true => ctx.print_json(&grant_json(&device, id, grant)),
        false => ctx.print(&text::with(
            &format!("people.grant_{}", grant.state.name()),
            &[
                ("person", &device.name_of(grant.person)),
                ("role", &in_words(&device.view().confirmed, &grant.assignment)),
            ],
        )),
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::command::{Command, Effect, Outcome};
    use renaksi_domain::ids::{PersonId, UnitId};

    use super::*;
    use crate::commands::audit::fixture::Office;
    use crate::device::ReceiptOutcome;

    const SECOND: Assignment =
        Assignment { role: Role::Administrator, unit: Some(UnitId(1)), from: None, until: None };

    /// What a device is told about the last record.
    fn last(office: &Office) -> Receipt {
        let record = office.log.last().unwrap();
        Receipt {
            key: record.envelope.key(),
            position: record.position,
            outcome: ReceiptOutcome::Recorded,
            duplicate: false,
        }
    }

    #[test]
    fn a_role_waits_by_the_record_that_asked_for_it() {
        let mut office = Office::established();
        let assign = |role| {
            let assignment = Assignment { role, ..SECOND };
            Command::People(PeopleCommand::Assign(Assign { person: PersonId(3), assignment }))
        };
        office.done(assign(Role::Administrator));
        let first = last(&office);
        office.done(assign(Role::Administrator));
        let second = last(&office);
        office.done(assign(Role::Auditor));
        let third = last(&office);
        let made = |receipts: &[Receipt]| made_by(&office.state, receipts).collect::<Vec<_>>();
        assert_eq!(made(std::slice::from_ref(&first)), [GrantId(1)]);
        assert_eq!(made(std::slice::from_ref(&second)), [GrantId(2)], "the same role, asked for again");
        assert_eq!(made(&[third]), [], "nobody has to confirm an auditor");
        assert_eq!(made(&[first.clone(), second.clone()]), [GrantId(1), GrantId(2)]);
        let confirm = Command::People(PeopleCommand::ConfirmGrant(GrantId(1)));
        office.with(confirm, Outcome::Recorded(Effect::default()));
        assert_eq!(made_by(&office.state, &[first, second]).collect::<Vec<_>>(), [GrantId(2)]);
    }

    #[test]
    fn a_role_in_words_has_its_unit_and_its_dates() {
        let office = Office::established();
        let days = |from: Option<&str>, until: Option<&str>| {
            let day = |text: Option<&str>| text.and_then(renaksi_domain::time::Date::parse);
            in_words(&office.state, &Assignment { from: day(from), until: day(until), ..SECOND })
        };
        assert!(days(None, None).ends_with("Bidang Perdagangan"));
        let whole = days(Some("2024-05-10"), Some("2024-05-12"));
        assert!(whole.ends_with("Bidang Perdagangan, 2024-05-10 → 2024-05-12"), "{whole}");
    }
}
