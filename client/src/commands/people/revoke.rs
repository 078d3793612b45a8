//! Taking roles and devices away: `user revoke` and `device revoke`. An office always keeps an operator with a device.

use renaksi_domain::State;
use renaksi_domain::ids::{DeviceId, PersonId};
use renaksi_domain::people::{EndAssignments, PeopleCommand, RevokeDevice, Role};
use renaksi_domain::time::Date;
use serde_json::json;

use super::super::revision::{ask, fresh, refusal, submit_all};
use super::{command, devices_of, everybody};
use crate::context::{Context, Done};
use crate::error::{ClientError, Rejected};
use crate::find;
use crate::text;

pub(super) async fn user(ctx: &Context, name: &str, keep_devices: bool) -> Result<Done, ClientError> {
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let person = find::person(&device, name)?;
    let name = device.name_of(person);
    // Yesterday is the last day, so that nothing of today counts any more.
    let today = state.day(device.now());
    let last_day = today.plus_days(-1);
    let commands = revoking(state, today, device.identity().person, person, keep_devices)
        .map_err(|cause| ClientError::NotAdmitted(cause.with("person", &name)))?;
    let receipts = submit_all(&mut device, commands.iter().cloned().map(command).collect()).await?;
    let recorded = commands.iter().zip(&receipts).filter(|(_, receipt)| refusal(receipt).is_none());
    let recorded: Vec<&PeopleCommand> = recorded.map(|(command, _)| command).collect();
    if let Some(cause) = receipts.iter().find_map(refusal) {
        return Err(ClientError::NotAdmitted(Rejected::from(cause).with("done", in_words(&recorded))));
    }
    let devices: Vec<u32> = recorded.iter().filter_map(|command| revoked_device(command)).collect();
    match ctx.json {
        true => ctx.print_json(&json!({
            "person": name,
            "id": person.0,
            "last_day": last_day.to_string(),
            "devices_revoked": devices,
        })),
        false => ctx.print(&text::with("people.revoked", &[("person", &name), ("devices", &devices.len())])),
    }
    Ok(Done::Well)
}

/// Devices first: whoever may revoke them may not be let down half way by their own lost role. The roles end last.
fn revoking(
    state: &State,
    today: Date,
    own: PersonId,
    person: PersonId,
    keep_devices: bool,
) -> Result<Vec<PeopleCommand>, Rejected> {
    let devices = devices_of(state, person);
    // Who is no operator is told that, by the rules.
    let may = state.people.has_role(own, Role::Operator, today);
    if may
        && state.people.has_role(person, Role::Operator, today)
        && !operators_left(state, today, |owner, _| owner != person)
    {
        return Err(Rejected::new("LAST_OPERATOR"));
    }
    // Without the device the roles cannot be ended from it, and without the roles the device cannot be revoked.
    if may && person == own && !keep_devices {
        return Err(Rejected::new("SELF_REVOCATION"));
    }
    let devices = if keep_devices { Vec::new() } else { devices };
    let revoke = devices.into_iter().map(|device| PeopleCommand::RevokeDevice(RevokeDevice { device }));
    let last_day = today.plus_days(-1);
    let end = PeopleCommand::EndAssignments(EndAssignments { person, role: None, unit: None, last_day });
    Ok(revoke.chain([end]).collect())
}

/// True when an operator with a device remains among those that stay.
fn operators_left(state: &State, today: Date, stays: impl Fn(PersonId, DeviceId) -> bool) -> bool {
    let operators = everybody(state).filter(|(id, _)| state.people.has_role(*id, Role::Operator, today));
    let mut devices =
        operators.flat_map(|(id, _)| devices_of(state, id).into_iter().map(move |device| (id, device)));
    devices.any(|(owner, device)| stays(owner, device))
}

fn revoked_device(command: &PeopleCommand) -> Option<u32> {
    match command {
        PeopleCommand::RevokeDevice(revoke) => Some(revoke.device.0),
        _ => None,
    }
}

fn in_words(recorded: &[&PeopleCommand]) -> String {
    if recorded.is_empty() {
        return text::say("common.nothing");
    }
    let words = recorded.iter().map(|command| match revoked_device(command) {
        Some(device) => text::with("people.this_device_revoked", &[("device", &device)]),
        None => text::say("people.role_ended"),
    });
    words.collect::<Vec<_>>().join(", ")
}

pub(super) async fn device(ctx: &Context, id: DeviceId) -> Result<Done, ClientError> {
    let mut device = fresh(ctx).await?;
    let state = &device.view().confirmed;
    let today = state.day(device.now());
    let own = device.identity().person;
    if let Some(known) = state.people.device(id)
        && state.people.has_role(own, Role::Operator, today)
        && known.revoked.is_none()
        && state.people.has_role(known.owner, Role::Operator, today)
        && !operators_left(state, today, |_, device| device != id)
    {
        let cause = Rejected::new("LAST_OPERATOR").with("person", device.name_of(known.owner));
        return Err(ClientError::NotAdmitted(cause));
    }
    ask(&mut device, vec![command(PeopleCommand::RevokeDevice(RevokeDevice { device: id }))]).await?;
    let owner = device
        .view()
        .confirmed
        .people
        .device(id)
        .map(|known| device.name_of(known.owner))
        .unwrap_or_default();
    match ctx.json {
        true => ctx.print_json(&json!({ "device": id.0, "owner": owner, "revoked": true })),
        false => ctx.print(&text::with("people.device_revoked", &[("device", &id), ("person", &owner)])),
    }
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use renaksi_domain::people::{Assignment, Device, Person};

    use super::*;

    fn day(text: &str) -> Date {
        Date::parse(text).unwrap()
    }

    /// Two operators, one of them with two devices, and an officer with one.
    fn operators() -> State {
        let mut state = State::default();
        let person = |role| {
            let assignment = Assignment { role, unit: None, from: None, until: None };
            Person { assignments: vec![assignment] }
        };
        state.people.persons = vec![person(Role::Operator), person(Role::Operator), person(Role::Officer)];
        let device =
            |owner| Device { owner: PersonId(owner), key: [0; 32], revoked: None, after_revocation: 0 };
        state.people.devices = vec![device(1), device(1), device(2), device(3)];
        state
    }

    #[test]
    fn devices_are_revoked_before_the_roles_end() {
        let state = operators();
        let today = day("2024-07-10");
        let commands = revoking(&state, today, PersonId(2), PersonId(1), false).unwrap();
        assert_eq!(commands.iter().filter_map(revoked_device).collect::<Vec<_>>(), [1, 2]);
        let Some(PeopleCommand::EndAssignments(end)) = commands.last() else { panic!("{commands:?}") };
        assert_eq!(end.last_day, day("2024-07-09"));
        let kept = revoking(&state, today, PersonId(2), PersonId(1), true).unwrap();
        assert!(matches!(kept.as_slice(), [PeopleCommand::EndAssignments(_)]));
    }

    #[test]
    fn nobody_takes_the_last_operator_away_nor_the_device_in_hand() {
        let mut state = operators();
        let today = day("2024-07-10");
        let code = |state: &State, person, keep| {
            let asked = revoking(state, today, PersonId(1), PersonId(person), keep);
            asked.map(|commands| commands.len()).map_err(|cause| cause.code)
        };
        assert_eq!(code(&state, 1, false), Err("SELF_REVOCATION".to_owned()));
        assert_eq!(code(&state, 1, true), Ok(1));
        assert_eq!(code(&state, 3, false), Ok(2));
        state.people.devices[2].revoked = Some(9);
        assert_eq!(code(&state, 1, true), Err("LAST_OPERATOR".to_owned()));
        assert_eq!(code(&state, 2, false), Ok(1), "an operator without a device is no loss");
        let asked = revoking(&state, today, PersonId(3), PersonId(1), false).map(|commands| commands.len());
        assert_eq!(asked, Ok(3), "an officer is refused by the rules: ROLE_MAY_NOT");
    }
}
