//! What the programs on the server's own machine ask of a running server, through the socket in its data folder. The
//! folder's file permissions are the authentication.

use std::sync::Arc;

use prost::Message;
use renaksi_proto::backup::Part;
use renaksi_proto::clock::Clock;
use renaksi_proto::convert::{rejection_from, rejection_to};
use renaksi_proto::wire::host_server::Host;
use renaksi_proto::{log, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::backup::Taken;
use crate::data::Data;
use crate::epoch;
use crate::error::ServerError;
use crate::founding::Founding;
use crate::office::{self, Office};
use crate::offices::Offices;
use crate::people::{self, Invited};

/// Parts under way to a backup; one is at most a commit.
const PARTS_UNDERWAY: usize = 4;
const HINT: &str = "hint";
const LOOK: &str = "look at what the running server wrote to its stderr";

/// The service, with the folder that it is reached through.
#[derive(Debug)]
pub struct HostService(pub Arc<Offices>, pub Data);

impl HostService {
    /// The office that a request names; the one that `init` made where it names none.
    async fn office(&self, named: &[u8]) -> Result<Arc<Office>, Status> {
        let id = match named {
            [] => self.0.first(),
            named => Uuid::from_slice(named).map_err(|error| Status::invalid_argument(error.to_string()))?,
        };
        self.0.get(id).await.map_err(status)
    }
}

#[tonic::async_trait]
impl Host for HostService {
    async fn invite(
        &self,
        request: Request<wire::InviteRequest>,
    ) -> Result<Response<wire::InviteResponse>, Status> {
        let asked = request.into_inner();
        let unit = Some(asked.unit.as_str()).filter(|unit| !unit.is_empty());
        let office = self.office(&asked.office).await?;
        let invited = people::invite(&office, &asked.user, &asked.role, unit).await.map_err(status)?;
        Ok(Response::new(invite_response(invited)))
    }

    async fn add_office(
        &self,
        request: Request<wire::AddOfficeRequest>,
    ) -> Result<Response<wire::AddOfficeResponse>, Status> {
        let asked = request.into_inner();
        let founding = Founding::read(&asked.name, &asked.zone, &asked.operator, asked.rehearsal);
        let (office, invited) = self.0.add(founding.map_err(status)?).await.map_err(status)?;
        let invite = Some(invite_response(invited));
        Ok(Response::new(wire::AddOfficeResponse { office: office.as_bytes().to_vec(), invite }))
    }

    async fn list_offices(
        &self,
        _: Request<wire::ListOfficesRequest>,
    ) -> Result<Response<wire::ListOfficesResponse>, Status> {
        let state =
            |(office, state): (Uuid, String)| wire::OfficeState { office: office.as_bytes().to_vec(), state };
        let offices = self.0.states().into_iter().map(state).collect();
        Ok(Response::new(wire::ListOfficesResponse { offices }))
    }

    async fn check(
        &self,
        request: Request<wire::CheckRequest>,
    ) -> Result<Response<wire::CheckResponse>, Status> {
        let office = self.office(&request.into_inner().office).await?;
        let checked = tokio::task::spawn_blocking(move || {
            let shared = &office.shared;
            let checked = office::check(&shared.reader, shared.id, Some(shared));
            let checked = checked.map_err(|error| shared.heed(error))?;
            match (shared.why_stopped(), shared.gap()) {
                (Some(stop), _) => Err(stop.into()),
                (None, Some(gap)) => Err(ServerError::Behind(Box::new(gap))),
                (None, None) => Ok(checked),
            }
        })
        .await
        .map_err(|error| Status::internal(error.to_string()))?
        .map_err(status)?;
        Ok(Response::new(wire::CheckResponse {
            office: checked.office.as_bytes().to_vec(),
            office_name: checked.office_name,
            position: checked.position,
            root: checked.root.to_vec(),
            epoch: checked.epoch,
            state_hash: checked.state_hash.to_vec(),
            live_entries: checked.live_entries,
        }))
    }

    async fn begin_epoch(
        &self,
        request: Request<wire::BeginEpochRequest>,
    ) -> Result<Response<wire::BeginEpochResponse>, Status> {
        let asked = request.into_inner();
        let office = self.office(&asked.office).await?;
        let begun = office.begin_epoch(&asked.reason).await.map_err(status)?;
        Ok(Response::new(epoch::answer(&begun)))
    }

    type BackupStream = ReceiverStream<Result<Part, Status>>;

    async fn backup(
        &self,
        request: Request<wire::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let office = self.office(&request.into_inner().office).await?;
        let id = office.shared.id.office;
        let data = if id == self.0.first() { self.1.first() } else { self.1.added(id) };
        let taken = take(&office, &data).await.map_err(status)?;
        let (parts, stream) = mpsc::channel(PARTS_UNDERWAY);
        tokio::task::spawn_blocking(move || {
            // An office that is held is not closed.
            let shared = &office.shared;
            let sent =
                taken.send(&mut |part| parts.blocking_send(Ok(part)).map_err(|_| ServerError::Stopped));
            if let Err(error) = sent {
                // Whoever hung up needs no answer.
                let _ = parts.blocking_send(Err(status(shared.heed(error))));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// Takes the moment of a backup. No invite or enrolment is under way in it, so that the log and the files beside it agree.
async fn take(office: &Office, data: &Data) -> Result<Taken, ServerError> {
    let _console = office.console.lock().await;
    let (shared, now) = (&office.shared, Clock::System.now());
    tokio::task::block_in_place(|| Taken::take(data, shared.reader.clone(), shared.id, now))
}

fn invite_response(invited: Invited) -> wire::InviteResponse {
    wire::InviteResponse {
        invite: invited.text,
        person: invited.person.0,
        expires_us: invited.expires.0,
        unit_added: invited.unit_added,
        unit_idle: invited.unit_idle.is_some(),
        near: invited.unit_idle.unwrap_or_default(),
        grant: invited.grant.map_or(0, |grant| grant.0),
    }
}

/// The message goes to a person at the same machine, so it is whole; the code, its objects and the hint ride along.
fn status(error: ServerError) -> Status {
    let (code, message) = (grpc_code(error.exit_code()), error.whole());
    let details = match &error {
        ServerError::Refused(cause) => rejection_to(cause),
        _ => {
            let hint = log::Detail { key: HINT.to_owned(), value: error.hint() };
            log::Rejection { code: error.code(), details: vec![hint] }
        }
    };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn grpc_code(exit: u8) -> tonic::Code {
    match exit {
        2 => tonic::Code::InvalidArgument,
        4 => tonic::Code::FailedPrecondition,
        6 => tonic::Code::PermissionDenied,
        7 => tonic::Code::DataLoss,
        _ => tonic::Code::Internal,
    }
}

/// What a running server answered, as if it had happened here.
pub(crate) fn from_status(status: &Status) -> ServerError {
    let message = status.message().to_owned();
    let exit = match status.code() {
        tonic::Code::InvalidArgument => return ServerError::Usage(message),
        tonic::Code::FailedPrecondition => 4,
        tonic::Code::PermissionDenied => 6,
        tonic::Code::DataLoss => 7,
        _ => 1,
    };
    match log::Rejection::decode(status.details()) {
        // A refusal by the rules has objects; whatever else went wrong has a hint.
        Ok(cause)
            if matches!(exit, 4 | 6)
                && !cause.code.is_empty()
                && cause.details.iter().all(|detail| detail.key != HINT) =>
        {
            ServerError::Refused(rejection_from(cause))
        }
        Ok(cause) if !cause.code.is_empty() => {
            let hint = cause.details.into_iter().find(|detail| detail.key == HINT);
            let hint = hint.map_or_else(|| LOOK.to_owned(), |detail| detail.value);
            ServerError::Running { code: cause.code, message, hint, exit }
        }
        _ => ServerError::Running { code: "FAILED".into(), message, hint: LOOK.to_owned(), exit },
    }
}
