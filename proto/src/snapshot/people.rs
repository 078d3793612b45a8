//! People, their roles and devices.

use renaksi_domain::ids::{DeviceId, UnitId};
use renaksi_domain::people::{Assignment, Device, Grant, GrantState, Incarnation, Role};
use uuid::Uuid;

use super::bytes::{Reader, Writer};
use crate::convert::DecodeError;

const GRANT_STATES: [GrantState; 3] = [GrantState::Waiting, GrantState::Confirmed, GrantState::Declined];

impl Writer {
    pub(super) fn assignment(&mut self, assignment: &Assignment) {
        self.choice(assignment.role, &Role::ALL);
        self.option(assignment.unit, |out, unit| out.number(unit.0.into()));
        self.option(assignment.from, Self::date);
        self.option(assignment.until, Self::date);
    }

    pub(super) fn device(&mut self, device: &Device) {
        self.number(device.owner.0.into());
        self.0.extend_from_slice(&device.key);
        self.option(device.revoked, Self::number);
        self.number(device.after_revocation.into());
    }

    pub(super) fn incarnation(&mut self, incarnation: &Incarnation) {
        self.number(incarnation.device.0.into());
        self.0.extend_from_slice(incarnation.uuid.as_bytes());
        self.number(incarnation.enrolled);
        self.number(incarnation.last_sequence.into());
        self.time(incarnation.last_time);
    }

    pub(super) fn grant(&mut self, grant: &Grant) {
        self.number(grant.person.0.into());
        self.assignment(&grant.assignment);
        self.number(grant.given_by.0.into());
        self.choice(grant.state, &GRANT_STATES);
        self.number(grant.position);
    }
}

impl Reader<'_> {
    pub(super) fn assignment(&mut self) -> Result<Assignment, DecodeError> {
        Ok(Assignment {
            role: self.choice(&Role::ALL)?,
            unit: self.option(|from| from.small().map(UnitId))?,
            from: self.option(Self::date)?,
            until: self.option(Self::date)?,
        })
    }

    pub(super) fn device(&mut self) -> Result<Device, DecodeError> {
        Ok(Device {
            owner: self.person()?,
            key: self.array()?,
            revoked: self.option(Self::number)?,
            after_revocation: self.small()?,
        })
    }

    pub(super) fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        Ok(Incarnation {
            device: DeviceId(self.small()?),
            uuid: Uuid::from_bytes(self.array()?),
            enrolled: self.number()?,
            last_sequence: self.small()?,
            last_time: self.time()?,
        })
    }

    pub(super) fn grant(&mut self) -> Result<Grant, DecodeError> {
        Ok(Grant {
            person: self.person()?,
            assignment: self.assignment()?,
            given_by: self.person()?,
            state: self.choice(&GRANT_STATES)?,
            position: self.number()?,
        })
    }
}
