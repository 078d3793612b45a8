//! Commands that reach a running server through its socket, or open the data folder themselves when none runs.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use renaksi_domain::ids::{GrantId, PersonId};
use renaksi_domain::time::Timestamp;
use renaksi_ledger::LogReader;
use renaksi_proto::clock::Clock;
use renaksi_proto::wire;
use renaksi_proto::wire::host_client::HostClient;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

use crate::backup;
use crate::data::Data;
use crate::error::ServerError;
use crate::office::{self, Checked, Office};
use crate::people::{self, Invited};
use crate::services::host::from_status;

/// A connection to the server that runs on this folder; `None` when none does.
pub(crate) async fn running(data: &Data) -> Option<HostClient<Channel>> {
    let socket = Arc::new(data.socket());
    let endpoint = Endpoint::from_static("http://control.invalid");
    let connector = tower::service_fn(move |_| {
        let socket = Arc::clone(&socket);
        async move { UnixStream::connect(&*socket).await.map(TokioIo::new) }
    });
    let channel = endpoint.connect_with_connector(connector).await.ok()?;
    Some(HostClient::new(channel).max_decoding_message_size(backup::PART_BYTES_MAX))
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
        let answer = client.invite(request).await.map_err(|status| from_status(&status))?.into_inner();
        return Ok(Invited {
            unit_added: answer.unit_added,
            unit_idle: answer.unit_idle.then_some(answer.near),
            grant: (answer.grant != 0).then_some(GrantId(answer.grant)),
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
        let answer =
            client.check(wire::CheckRequest {}).await.map_err(|status| from_status(&status))?.into_inner();
        return Ok(Checked {
            rehearsal: Some(data.server_file()?.rehearsal),
            office: Uuid::from_slice(&answer.office).unwrap_or_default(),
            office_name: answer.office_name,
            position: answer.position,
            root: answer.root.try_into().unwrap_or_default(),
            epoch: answer.epoch,
            state_hash: answer.state_hash.try_into().unwrap_or_default(),
            live_entries: answer.live_entries,
            // Whoever opened the log set it aside, and said so.
            tail_bytes: 0,
        });
    }
    let file = data.server_file()?;
    let id = Data::log_id(file.office);
    let checked = match LogReader::open_read_only(&data.office("log"), &id) {
        Ok(reader) => office::check(&reader, id, None)?,
        Err(renaksi_ledger::Error::NotFound { .. }) => {
            return Err(data.no_records(&file));
        }
        Err(source) => return Err(ServerError::Log { id, source }),
    };
    office::same_flag(data, &file, checked.rehearsal)?;
    match checked.rehearsal {
        Some(_) => Ok(checked),
        None => Err(data.no_records(&file)),
    }
}
