//! Commands that reach a running server through its socket, or open the data folder themselves when none runs.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use renaksi_domain::ids::PersonId;
use renaksi_domain::time::Timestamp;
use renaksi_ledger::LogReader;
use renaksi_proto::clock::Clock;
use renaksi_proto::wire;
use renaksi_proto::wire::host_client::HostClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::data::Data;
use crate::error::ServerError;
use crate::office::{self, Checked, Office};
use crate::people::{self, Invited};

/// A connection to the server that runs on this folder; `None` when none does.
async fn running(data: &Data) -> Option<HostClient<Channel>> {
    let socket = Arc::new(data.socket());
    let endpoint = Endpoint::from_static("http://control.invalid");
    let connector = tower::service_fn(move |_| {
        let socket = Arc::clone(&socket);
        async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
    });
    endpoint.connect_with_connector(connector).await.ok().map(HostClient::new)
}

/// Invites a person, through the running server or on the folder itself.
pub async fn invite(
    data: &Data,
    clock: Clock,
    user: &str,
    role: &str,
    unit: Option<&str>,
) -> Result<Invited, ServerError> {
    if let Some(mut client) = running(data).await {
        let request = wire::InviteRequest {
            user: user.to_owned(),
            role: role.to_owned(),
            unit: unit.unwrap_or_default().to_owned(),
        };
        let answer = client.invite(request).await.map_err(running_error)?.into_inner();
        return Ok(Invited {
            text: answer.invite,
            person: PersonId(answer.person),
            expires: Timestamp(answer.expires_us),
        });
    }
    let office = Office::open(data, clock)?;
    let invited = people::invite(&office, user, role, unit).await;
    tokio::task::block_in_place(|| office.close());
    invited
}

/// Verifies the whole store: the running server's against its live state, or the folder's files.
pub async fn check(data: &Data) -> Result<Checked, ServerError> {
    if let Some(mut client) = running(data).await {
        let answer = client.check(wire::CheckRequest {}).await.map_err(running_error)?.into_inner();
        return Ok(Checked {
            office: Uuid::from_slice(&answer.office).unwrap_or_default(),
            office_name: answer.office_name,
            position: answer.position,
            root: answer.root.try_into().unwrap_or_default(),
            epoch: answer.epoch,
            state_hash: answer.state_hash.try_into().unwrap_or_default(),
            live_entries: answer.live_entries,
        });
    }
    let id = Data::log_id(data.server_file()?.office);
    let reader = LogReader::open_read_only(&data.office("log"), &id)
        .map_err(|source| ServerError::Log { id, source })?;
    office::check(&reader, id, None)
}

fn running_error(status: tonic::Status) -> ServerError {
    match status.code() {
        tonic::Code::InvalidArgument => ServerError::Usage(status.message().to_owned()),
        _ => ServerError::Running(status.message().to_owned()),
    }
}
