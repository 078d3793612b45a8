//! The operator's acts at the server's console: inviting people.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use renaksi_domain::State;
use renaksi_domain::command::Command;
use renaksi_domain::ids::{GrantId, PersonId, UnitId};
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, Grant, GrantState, PeopleCommand, Role, folded,
};
use renaksi_domain::time::Timestamp;

use crate::error::ServerError;
use crate::invites;
use crate::office::Office;
use crate::writer::{HostError, NotDurable};

/// A new invite.
#[derive(Clone, Debug)]
pub struct Invited {
    pub text: String,
    pub person: PersonId,
    pub expires: Timestamp,
    /// The unit was new.
    pub unit_added: bool,
    /// With a plan, and a unit that is new: units of the plan whose names are near. None where nobody needs to look.
    pub unit_idle: Option<Vec<String>>,
    /// The role waits under this number until the head of office confirms it.
    pub grant: Option<GrantId>,
}

/// A name as it is kept: trimmed, printable, not too long.
pub fn user_name(name: &str) -> Result<&str, ServerError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 80 || name.chars().any(char::is_control) {
        return Err(ServerError::Usage("a user's name has 1 to 80 printable characters".into()));
    }
    Ok(name)
}

/// Invites a person into a role: adds person and unit where they are new, gives the role, makes the code.
pub async fn invite(
    office: &Office,
    user: &str,
    role: &str,
    unit: Option<&str>,
) -> Result<Invited, ServerError> {
    let user = user_name(user)?;
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
    // Two invites of a new name at once are two of one person.
    let _console = office.console.lock().await;
    let known = office.directory.lock().unwrap_or_else(PoisonError::into_inner).person(user);
    let now = office.shared.clock.now();
    let act = Box::new(move |state: &State| assigning(state, known, role, unit, now));
    let records = office.host(act).await.map_err(host_error)?;
    let assigned = records.iter().find_map(|record| match &record.envelope.command {
        Command::People(PeopleCommand::Assign(assign)) => Some(assign.person),
        _ => None,
    });
    let person = assigned.or(known).ok_or(ServerError::Stopped)?;
    if known.is_none() {
        // If we crash before the name is kept: the log has a person without one, whom nobody can become.
        office.directory.lock().unwrap_or_else(PoisonError::into_inner).set(person, user)?;
    }
    let added = records.iter().find_map(|record| match &record.envelope.command {
        Command::People(PeopleCommand::AddUnit(add)) => Some(add.name.to_string()),
        _ => None,
    });
    let unit_idle = match &added {
        Some(name) => tokio::task::block_in_place(|| idle_unit(office, name)),
        None => None,
    };
    let grant = tokio::task::block_in_place(|| waiting(office, person, role));
    let mut random = [0; 20];
    getrandom::fill(&mut random).map_err(ServerError::Random)?;
    let made = office.invites.lock().unwrap_or_else(PoisonError::into_inner).make(person, now, random);
    let (code, expires) = made?;
    let text = invites::text(&office.file.address, &code, &office.authority);
    Ok(Invited { text, person, expires, unit_added: added.is_some(), unit_idle, grant })
}

/// The grant that the head of office has to confirm before the person has the role.
fn waiting(office: &Office, person: PersonId, role: Role) -> Option<GrantId> {
    let fold = office.shared.durable().ok()?;
    let grants = &fold.state.people.grants;
    grants.iter().rposition(|grant| waits(grant, person, role)).map(GrantId::after)
}

fn waits(grant: &Grant, person: PersonId, role: Role) -> bool {
    (grant.state, grant.person, grant.assignment.role) == (GrantState::Waiting, person, role)
}

/// Where there is a plan, a unit that it does not know has no indicators: the units that may have been meant.
fn idle_unit(office: &Office, name: &str) -> Option<Vec<String>> {
    let fold = office.shared.durable().ok()?;
    let state = &fold.state;
    if state.plans.is_empty() {
        return None;
    }
    let used: BTreeSet<UnitId> =
        state.indicators.iter().filter_map(|indicator| indicator.facet().unit).collect();
    let names = used.into_iter().filter_map(|unit| state.people.unit(unit)).map(|unit| &*unit.name);
    Some(near(name, names))
}

/// At most three names that are spelled nearly so, nearest first.
fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let pairs = |name: &str| -> BTreeSet<(char, char)> {
        let letters: Vec<char> = folded(name).chars().collect();
        letters.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let wanted = pairs(wanted);
    let mut found: Vec<(usize, &str)> = names
        .map(|name| {
            let own = pairs(name);
            (200 * own.intersection(&wanted).count() / (own.len() + wanted.len()).max(1), name)
        })
        .filter(|(likeness, _)| *likeness >= 40)
        .collect();
    found.sort_by_key(|(likeness, _)| std::cmp::Reverse(*likeness));
    found.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// What makes somebody hold a role. Their first one holds since ever: what they did before they were invited is theirs. A
/// later one holds from today, or it would change who was what in quarters gone by.
fn assigning(
    state: &State,
    known: Option<PersonId>,
    role: Role,
    unit: Option<String>,
    now: Timestamp,
) -> Vec<PeopleCommand> {
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
    let today = state.day(now.max(state.time));
    let held = state.people.person(person).map_or(&[][..], |known| &known.assignments);
    let holds_it = |held: &Assignment| {
        (held.role, held.unit) == (role, unit) && held.holds_on(today) && held.until.is_none()
    };
    // Asked for again before the head of office has decided, it still is one role.
    let asked = state.people.grants.iter().any(|grant| waits(grant, person, role));
    if !asked && !held.iter().any(holds_it) {
        let from = if held.is_empty() { None } else { Some(today) };
        let assignment = Assignment { role, unit, from, until: None };
        commands.push(PeopleCommand::Assign(Assign { person, assignment }));
    }
    commands
}

/// A host's act that was not recorded.
pub fn host_error(error: HostError) -> ServerError {
    match error {
        HostError::Refused(cause) => ServerError::Refused(cause),
        HostError::Behind(gap) => ServerError::Behind(gap),
        HostError::Damaged(damage) => damage.into(),
        HostError::NotDurable(NotDurable::Stopped) => ServerError::Stopped,
        HostError::NotDurable(NotDurable::NotTaken) => ServerError::NotTaken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_that_may_have_been_meant_are_the_nearest() {
        let units =
            ["Kepala Bidang Industri", "Kepala Bidang Perdagangan", "Sekretaris", "Kepala UPTD Metrologi"];
        let near = |name| near(name, units.into_iter());
        assert_eq!(near("Kabid Industri")[0], "Kepala Bidang Industri");
        assert_eq!(near("Sekertaris"), ["Sekretaris"]);
        assert!(near("XYZ").is_empty());
        assert!(near("").is_empty());
    }
}
