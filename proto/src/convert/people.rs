use renaksi_domain::command::Command;
use renaksi_domain::ids::{DeviceId, PersonId, UnitId};
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EndAssignments, EnrolDevice, FoundOffice, PeopleCommand,
    RevokeDevice,
};
use renaksi_domain::time::Zone;
use uuid::Uuid;

use super::common::{date_from, role_from, role_to};
use super::{DecodeError, field};
use crate::log;
use crate::log::command::Body;

pub(super) fn to(command: &PeopleCommand) -> Body {
    let unit_number = |unit: Option<UnitId>| unit.map_or(0, |unit| unit.0);
    match command {
        PeopleCommand::FoundOffice(found) => Body::FoundOffice(log::FoundOffice {
            office: found.office.as_bytes().to_vec(),
            name: found.name.to_string(),
            zone: found.zone.name().to_owned(),
            rehearsal: found.rehearsal,
            epoch: 1,
        }),
        PeopleCommand::AddUnit(add) => Body::AddUnit(log::AddUnit { name: add.name.to_string() }),
        PeopleCommand::AddPerson(AddPerson) => Body::AddPerson(log::AddPerson {}),
        PeopleCommand::Assign(assign) => Body::Assign(log::Assign {
            person: assign.person.0,
            role: role_to(assign.assignment.role).into(),
            unit: unit_number(assign.assignment.unit),
            from: assign.assignment.from.map(|date| date.days()),
            until: assign.assignment.until.map(|date| date.days()),
        }),
        PeopleCommand::EndAssignments(end) => Body::EndAssignments(log::EndAssignments {
            person: end.person.0,
            unit: unit_number(end.unit),
            last_day: end.last_day.days(),
        }),
        PeopleCommand::EnrolDevice(enrol) => Body::EnrolDevice(log::EnrolDevice {
            owner: enrol.owner.0,
            key: enrol.key.to_vec(),
            incarnation: enrol.incarnation.as_bytes().to_vec(),
        }),
        PeopleCommand::RevokeDevice(revoke) => {
            Body::RevokeDevice(log::RevokeDevice { device: revoke.device.0 })
        }
    }
}

pub(super) fn found_office(stored: log::FoundOffice) -> Result<Command, DecodeError> {
    people(PeopleCommand::FoundOffice(FoundOffice {
        office: field(Uuid::from_slice(&stored.office).ok(), "FoundOffice", "office")?,
        name: stored.name.into(),
        zone: field(Zone::from_name(&stored.zone), "FoundOffice", "zone")?,
        rehearsal: stored.rehearsal,
    }))
}

pub(super) fn add_unit(stored: log::AddUnit) -> Result<Command, DecodeError> {
    people(PeopleCommand::AddUnit(AddUnit { name: stored.name.into() }))
}

pub(super) fn add_person(_: log::AddPerson) -> Result<Command, DecodeError> {
    people(PeopleCommand::AddPerson(AddPerson))
}

pub(super) fn assign(stored: log::Assign) -> Result<Command, DecodeError> {
    let assignment = Assignment {
        role: role_from(stored.role)?,
        unit: unit(stored.unit),
        from: stored.from.map(date_from),
        until: stored.until.map(date_from),
    };
    people(PeopleCommand::Assign(Assign { person: PersonId(stored.person), assignment }))
}

pub(super) fn end_assignments(stored: log::EndAssignments) -> Result<Command, DecodeError> {
    people(PeopleCommand::EndAssignments(EndAssignments {
        person: PersonId(stored.person),
        unit: unit(stored.unit),
        last_day: date_from(stored.last_day),
    }))
}

pub(super) fn enrol_device(stored: log::EnrolDevice) -> Result<Command, DecodeError> {
    people(PeopleCommand::EnrolDevice(EnrolDevice {
        owner: PersonId(stored.owner),
        key: field(stored.key.try_into().ok(), "EnrolDevice", "key")?,
        incarnation: field(Uuid::from_slice(&stored.incarnation).ok(), "EnrolDevice", "incarnation")?,
    }))
}

pub(super) fn revoke_device(stored: log::RevokeDevice) -> Result<Command, DecodeError> {
    people(PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(stored.device) }))
}

fn people(command: PeopleCommand) -> Result<Command, DecodeError> {
    Ok(Command::People(command))
}

/// 0 stands for none.
pub(super) fn unit(number: u32) -> Option<UnitId> {
    (number != 0).then_some(UnitId(number))
}
