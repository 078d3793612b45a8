//! A device answers an invite with its key.

use std::sync::{Arc, PoisonError};

use renaksi_domain::ids::{DeviceId, Origin, PersonId};
use renaksi_domain::people::{EnrolDevice, EnrolmentProof, People, PeopleCommand};
use renaksi_proto::chain::{code_digest, verify_enroll};
use renaksi_proto::wire;
use renaksi_proto::wire::enrolment_server::Enrolment;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::open;
use crate::invites;
use crate::office::Office;
use crate::offices::Offices;
use crate::status::Fault;
use crate::writer::HostError;

/// The service.
#[derive(Debug)]
pub struct EnrolmentService {
    pub offices: Arc<Offices>,
    pub authority: [u8; 32],
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enroll(
        &self,
        request: Request<wire::EnrollRequest>,
    ) -> Result<Response<wire::EnrollResponse>, Status> {
        let request = request.into_inner();
        let key: [u8; 32] =
            request.device_key.try_into().map_err(|_| Fault::invalid("DEVICE_KEY_INVALID"))?;
        let incarnation =
            Uuid::from_slice(&request.incarnation).map_err(|_| Fault::invalid("INCARNATION_INVALID"))?;
        let (authority_sha256, code_sha256) = (self.authority, code_digest(&request.code));
        if !verify_enroll(&key, &request.proof, &authority_sha256, &code_sha256, incarnation) {
            return Err(Fault::unauthenticated("PROOF_INVALID").into());
        }
        let id = invites::office_of(&request.code).unwrap_or_else(|| self.offices.first());
        let office = open(&self.offices, id, Fault::denied("INVITE_UNKNOWN")).await?;
        let office = &*office;
        // Until the device is enrolled, so that one key never answers two people's invites at once.
        let _console = office.console.lock().await;
        let person = take_invite(office, &request.code, &key)?;
        let signature = request.proof.try_into().map_err(|_| Fault::unauthenticated("PROOF_INVALID"))?;
        let proof = Some(Box::new(EnrolmentProof { signature, code_sha256, authority_sha256 }));
        enrol_once(office, EnrolDevice { owner: person, key, incarnation, proof }).await?;
        let (device, origin) = enrolled(&office.shared.people(), &key, incarnation)?;
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
            log_key: office.log_key.to_vec(),
        }))
    }
}

/// Takes the invite for the key. A key that is another person's device answers nobody else's invite, and leaves it open.
fn take_invite(office: &Office, code: &str, key: &[u8; 32]) -> Result<PersonId, Fault> {
    let mut invites = office.invites.lock().unwrap_or_else(PoisonError::into_inner);
    let people = office.shared.people();
    let owner = people.devices.iter().find(|device| device.key == *key).map(|device| device.owner);
    if let (Some(owner), Some(person)) = (owner, invites.person(code))
        && owner != person
    {
        tracing::warn!(person = person.0, owner = owner.0, "a device answered another person's invite");
        return Err(Fault::denied("KEY_IN_USE"));
    }
    // If we crash after this: the invite is the device's, and the same device may answer it again.
    let answered = tokio::task::block_in_place(|| invites.answer(code, key, office.shared.clock.now()));
    answered.map_err(|error| Fault::internal(&error))?.map_err(|refused| {
        tracing::warn!(code = refused.code(), "an enrolment was refused");
        Fault::denied(refused.code())
    })
}

/// The device of a key, and its incarnation.
fn enrolled(people: &People, key: &[u8; 32], incarnation: Uuid) -> Result<(DeviceId, Origin), Fault> {
    let origin = people.incarnations.iter().position(|known| known.uuid == incarnation).map(Origin::after);
    let found = origin.and_then(|origin| {
        let device = people.incarnation(origin)?.device;
        (people.device(device)?.key == *key).then_some((device, origin))
    });
    // The key is enrolled under another incarnation.
    found.ok_or_else(|| Fault::denied("INVITE_USED"))
}

/// Enrols the device unless a first answer, lost on its way, already did.
async fn enrol_once(office: &Office, enrol: EnrolDevice) -> Result<(), Fault> {
    let act = Box::new(move |state: &renaksi_domain::State| {
        match state.people.devices.iter().any(|device| device.key == enrol.key) {
            true => Vec::new(),
            false => vec![PeopleCommand::EnrolDevice(enrol)],
        }
    });
    match office.host(act).await {
        Ok(_) => Ok(()),
        Err(HostError::Refused(cause)) => Err(Fault::denied(cause.code.name())),
        Err(HostError::Behind(gap)) => Err((*gap).into()),
        Err(HostError::Damaged(damage)) => Err(damage.into()),
        Err(HostError::NotDurable(cause)) => Err(cause.into()),
    }
}
