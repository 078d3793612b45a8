//! A device answers an invite with its key.

use std::sync::{Arc, PoisonError};

use renaksi_domain::ids::{DeviceId, Origin};
use renaksi_domain::people::{EnrolDevice, PeopleCommand};
use renaksi_proto::chain::verify_enroll;
use renaksi_proto::wire;
use renaksi_proto::wire::enrolment_server::Enrolment;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::office::Office;
use crate::status::Fault;
use crate::writer::HostError;

/// The service.
#[derive(Debug)]
pub struct EnrolmentService(pub Arc<Office>);

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enroll(
        &self,
        request: Request<wire::EnrollRequest>,
    ) -> Result<Response<wire::EnrollResponse>, Status> {
        let office = &self.0;
        let request = request.into_inner();
        let key: [u8; 32] =
            request.device_key.try_into().map_err(|_| Fault::invalid("DEVICE_KEY_INVALID"))?;
        let incarnation =
            Uuid::from_slice(&request.incarnation).map_err(|_| Fault::invalid("INCARNATION_INVALID"))?;
        if !verify_enroll(&key, &request.proof, &request.code, incarnation) {
            return Err(Fault::unauthenticated("PROOF_INVALID").into());
        }
        // If we crash after this: the invite is the device's, and the same device may answer it again.
        let answered = office.invites.lock().unwrap_or_else(PoisonError::into_inner).answer(
            &request.code,
            &key,
            office.shared.clock.now(),
        );
        let person = match answered.map_err(|error| Fault::internal(&error))? {
            Ok(person) => person,
            Err(refused) => {
                tracing::warn!(code = refused.code(), "an enrolment was refused");
                return Err(Fault::denied(refused.code()).into());
            }
        };
        enrol_once(office, person, key, incarnation).await?;
        let people = office.shared.people();
        let origin =
            people.incarnations.iter().position(|known| known.uuid == incarnation).map(Origin::after);
        let origin = origin.ok_or_else(|| Fault::denied("INVITE_USED"))?;
        let device = people.incarnation(origin).map_or(DeviceId(0), |known| known.device);
        tracing::info!(office = %office.shared.id.office, device = device.0, person = person.0, "device enrolled");
        let person_name =
            office.directory.lock().unwrap_or_else(PoisonError::into_inner).name(person).to_owned();
        Ok(Response::new(wire::EnrollResponse {
            office: office.shared.id.office.as_bytes().to_vec(),
            office_name: office.name.clone(),
            person: person.0,
            person_name,
            device: device.0,
            origin: origin.0,
            epoch: office.shared.reader.head().epoch,
            rehearsal: office.file.rehearsal,
        }))
    }
}

/// Enrols the device unless a first answer, lost on its way, already did.
async fn enrol_once(
    office: &Office,
    owner: renaksi_domain::ids::PersonId,
    key: [u8; 32],
    incarnation: Uuid,
) -> Result<(), Fault> {
    let act = Box::new(move |state: &renaksi_domain::State| {
        match state.people.devices.iter().any(|device| device.key == key) {
            true => Vec::new(),
            false => vec![PeopleCommand::EnrolDevice(EnrolDevice { owner, key, incarnation })],
        }
    });
    match office.host(act).await {
        Ok(_) => Ok(()),
        Err(HostError::Refused(cause)) => Err(Fault::denied(cause.code.name())),
        Err(HostError::Stopped) => Err(Fault::stopped()),
    }
}
