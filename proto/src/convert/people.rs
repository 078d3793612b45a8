use renaksi_domain::command::Command;
use renaksi_domain::epoch::{BeginEpoch, Seen};
use renaksi_domain::ids::{DeviceId, PersonId, UnitId};
use renaksi_domain::people::{
    AddPerson, AddUnit, Assign, Assignment, EndAssignments, EnrolDevice, EnrolmentProof, FoundOffice,
    PeopleCommand, RevokeDevice,
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
            // 1 is not written: what the first release wrote reads the same.
            rules: if found.rules == 1 { 0 } else { found.rules },
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
            role: end.role.map_or(0, |role| role_to(role).into()),
        }),
        PeopleCommand::EnrolDevice(enrol) => Body::EnrolDevice(log::EnrolDevice {
            owner: enrol.owner.0,
            key: enrol.key.to_vec(),
            incarnation: enrol.incarnation.as_bytes().to_vec(),
            proof: enrol.proof.as_ref().map_or_else(Vec::new, |proof| proof.signature.to_vec()),
            code_sha256: enrol.proof.as_ref().map_or_else(Vec::new, |proof| proof.code_sha256.to_vec()),
            authority_sha256: enrol
                .proof
                .as_ref()
                .map_or_else(Vec::new, |proof| proof.authority_sha256.to_vec()),
        }),
        PeopleCommand::RevokeDevice(revoke) => {
            Body::RevokeDevice(log::RevokeDevice { device: revoke.device.0 })
        }
        PeopleCommand::ConfirmGrant(id) => Body::ConfirmGrant(id.0),
        PeopleCommand::DeclineGrant(id) => Body::DeclineGrant(id.0),
        PeopleCommand::AdoptRules(rules) => Body::AdoptRules(*rules),
        PeopleCommand::BeginEpoch(begin) => Body::BeginEpoch(log::BeginEpoch {
            epoch: begin.epoch,
            reason: begin.reason.to_string(),
            size: begin.size,
            root: begin.root.to_vec(),
            seen: begin.seen.map(|seen| log::SeenCheckpoint {
                epoch: seen.epoch,
                size: seen.size,
                root: seen.root.to_vec(),
            }),
        }),
    }
}

pub(super) fn found_office(stored: log::FoundOffice) -> Result<Command, DecodeError> {
    people(PeopleCommand::FoundOffice(FoundOffice {
        office: field(Uuid::from_slice(&stored.office).ok(), "FoundOffice", "office")?,
        name: stored.name.into(),
        zone: Zone::from_name(&stored.zone).ok_or(DecodeError::Newer)?,
        rehearsal: stored.rehearsal,
        rules: stored.rules.max(1),
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
        role: (stored.role != 0).then(|| role_from(stored.role)).transpose()?,
    }))
}

pub(super) fn enrol_device(stored: log::EnrolDevice) -> Result<Command, DecodeError> {
    people(PeopleCommand::EnrolDevice(EnrolDevice {
        owner: PersonId(stored.owner),
        key: field(stored.key.try_into().ok(), "EnrolDevice", "key")?,
        incarnation: field(Uuid::from_slice(&stored.incarnation).ok(), "EnrolDevice", "incarnation")?,
        proof: proof_from(stored.proof, stored.code_sha256, stored.authority_sha256)?,
    }))
}

fn proof_from(
    signature: Vec<u8>,
    code_sha256: Vec<u8>,
    authority_sha256: Vec<u8>,
) -> Result<Option<Box<EnrolmentProof>>, DecodeError> {
    if signature.is_empty() {
        return Ok(None);
    }
    Ok(Some(Box::new(EnrolmentProof {
        signature: field(signature.try_into().ok(), "EnrolDevice", "proof")?,
        code_sha256: field(code_sha256.try_into().ok(), "EnrolDevice", "code_sha256")?,
        authority_sha256: field(authority_sha256.try_into().ok(), "EnrolDevice", "authority_sha256")?,
    })))
}

pub(super) fn revoke_device(stored: log::RevokeDevice) -> Result<Command, DecodeError> {
    people(PeopleCommand::RevokeDevice(RevokeDevice { device: DeviceId(stored.device) }))
}

pub(super) fn begin_epoch(stored: log::BeginEpoch) -> Result<Command, DecodeError> {
    let seen = |seen: log::SeenCheckpoint| {
        let root = field(seen.root.try_into().ok(), "SeenCheckpoint", "root")?;
        Ok(Seen { epoch: seen.epoch, size: seen.size, root })
    };
    people(PeopleCommand::BeginEpoch(Box::new(BeginEpoch {
        epoch: stored.epoch,
        reason: stored.reason.into(),
        size: stored.size,
        root: field(stored.root.try_into().ok(), "BeginEpoch", "root")?,
        seen: stored.seen.map(seen).transpose()?,
    })))
}

pub(super) fn people(command: PeopleCommand) -> Result<Command, DecodeError> {
    Ok(Command::People(command))
}

/// 0 stands for none.
pub(super) fn unit(number: u32) -> Option<UnitId> {
    (number != 0).then_some(UnitId(number))
}
