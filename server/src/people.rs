//! The operator's acts at the server's console: inviting people.

use renaksi_domain::command::Command;
use renaksi_domain::ids::{PersonId, UnitId};
use renaksi_domain::people::{AddPerson, AddUnit, Assign, Assignment, PeopleCommand, Role};
use renaksi_domain::time::Timestamp;

use crate::error::ServerError;
use crate::invites;
use crate::office::Office;
use crate::writer::HostError;

/// A new invite.
#[derive(Clone, Debug)]
pub struct Invited {
    pub text: String,
    pub person: PersonId,
    pub expires: Timestamp,
}

/// Invites a person into a role: adds person and unit where they are new, gives the role, makes the code.
pub async fn invite(
    office: &Office,
    user: &str,
    role: &str,
    unit: Option<&str>,
) -> Result<Invited, ServerError> {
    let user = user.trim().to_owned();
    if user.is_empty() || user.chars().count() > 80 || user.chars().any(char::is_control) {
        return Err(ServerError::Usage("a user's name has 1 to 80 printable characters".into()));
    }
    let role = Role::from_name(role).ok_or_else(|| {
        let names = Role::ALL.map(Role::name).join(", ");
        ServerError::Usage(format!("unknown role `{role}`; the roles are {names}"))
    })?;
    let unit = unit.map(str::trim).filter(|unit| !unit.is_empty()).map(str::to_owned);
    if unit.is_none() && matches!(role, Role::Officer | Role::HeadOfUnit) {
        return Err(ServerError::Usage(format!(
            "the role {} belongs to a unit; add --unit \"Kepala Bidang …\" as the plan names it",
            role.name()
        )));
    }
    let known = office.directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).person(&user);
    let records = office
        .host(Box::new(move |state| {
            let mut commands = Vec::new();
            let unit = unit.map(|name| {
                state.people.unit_named(&name).unwrap_or_else(|| {
                    commands.push(PeopleCommand::AddUnit(AddUnit { name: name.into() }));
                    UnitId::after(state.people.units.len())
                })
            });
            let person = known.unwrap_or_else(|| {
                commands.push(PeopleCommand::AddPerson(AddPerson));
                PersonId::after(state.people.persons.len())
            });
            let assignment = Assignment { role, unit, from: None, until: None };
            let held =
                state.people.person(person).is_some_and(|known| known.assignments.contains(&assignment));
            if !held {
                commands.push(PeopleCommand::Assign(Assign { person, assignment }));
            }
            commands
        }))
        .await
        .map_err(host_error)?;
    let assigned = records.iter().find_map(|record| match &record.envelope.command {
        Command::People(PeopleCommand::Assign(assign)) => Some(assign.person),
        _ => None,
    });
    let person = assigned.or(known).ok_or(ServerError::Stopped)?;
    office.directory.lock().unwrap_or_else(std::sync::PoisonError::into_inner).set(person, &user)?;
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(|error| ServerError::Running(format!("no randomness: {error}")))?;
    let now = office.shared.clock.now();
    let (code, expires) =
        office.invites.lock().unwrap_or_else(std::sync::PoisonError::into_inner).make(person, now, random)?;
    let text = invites::text(&office.file.address, &code, &office.authority);
    Ok(Invited { text, person, expires })
}

/// A host's act that was not recorded.
pub fn host_error(error: HostError) -> ServerError {
    match error {
        HostError::Refused(cause) => ServerError::Refused(cause),
        HostError::Stopped => ServerError::Stopped,
    }
}
