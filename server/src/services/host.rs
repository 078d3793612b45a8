//! What the programs on the server's own machine ask of a running server, through the socket in its data folder. The
//! folder's file permissions are the authentication.

use std::sync::Arc;

use renaksi_proto::wire;
use renaksi_proto::wire::host_server::Host;
use tonic::{Request, Response, Status};

use crate::error::ServerError;
use crate::office::{self, Office};
use crate::people;

/// The service.
#[derive(Debug)]
pub struct HostService(pub Arc<Office>);

#[tonic::async_trait]
impl Host for HostService {
    async fn invite(
        &self,
        request: Request<wire::InviteRequest>,
    ) -> Result<Response<wire::InviteResponse>, Status> {
        let asked = request.into_inner();
        let unit = Some(asked.unit.as_str()).filter(|unit| !unit.is_empty());
        let invited = people::invite(&self.0, &asked.user, &asked.role, unit).await.map_err(status)?;
        Ok(Response::new(wire::InviteResponse {
            invite: invited.text,
            person: invited.person.0,
            expires_us: invited.expires.0,
        }))
    }

    async fn check(&self, _: Request<wire::CheckRequest>) -> Result<Response<wire::CheckResponse>, Status> {
        let office = Arc::clone(&self.0);
        let checked = tokio::task::spawn_blocking(move || {
            office::check(&office.shared.reader, office.shared.id, Some(&office.shared))
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
}

/// The message goes to a person at the same machine, so it is whole; the exit code rides along.
fn status(error: ServerError) -> Status {
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    let code = match error.exit_code() {
        2 => tonic::Code::InvalidArgument,
        4 => tonic::Code::FailedPrecondition,
        6 => tonic::Code::PermissionDenied,
        7 => tonic::Code::DataLoss,
        _ => tonic::Code::Internal,
    };
    Status::new(code, message)
}
