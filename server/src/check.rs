//! Commands that reach a running server through its socket, or open the data folder themselves when none runs.

use std::collections::HashMap;
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
use crate::behind;
use crate::catalog::{self, Listed};
use crate::data::Data;
use crate::error::ServerError;
use crate::founding::{self, Founding};
use crate::log_key;
use crate::office::{self, Checked, Office};
use crate::people::{self, Invited};
use crate::services::host::from_status;

/// An office that nobody uses, or that no server serves.
const CLOSED: &str = "closed";

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
            office: data.server_file()?.office.as_bytes().to_vec(),
        };
        let answer = client.invite(request).await.map_err(|status| from_status(&status))?.into_inner();
        return Ok(invited(answer));
    }
    let office = Office::open(data, clock)?;
    let invited = people::invite(&office, user, role, unit).await;
    tokio::task::block_in_place(|| office.close());
    invited
}

fn invited(answer: wire::InviteResponse) -> Invited {
    Invited {
        unit_added: answer.unit_added,
        unit_idle: answer.unit_idle.then_some(answer.near),
        grant: (answer.grant != 0).then_some(GrantId(answer.grant)),
        text: answer.invite,
        person: PersonId(answer.person),
        expires: Timestamp(answer.expires_us),
    }
}

/// Adds an office, through the running server or in the folder itself.
pub async fn add(data: &Data, clock: Clock, founding: &Founding) -> Result<(Uuid, Invited), ServerError> {
    let file = data.server_file()?;
    if let Some(mut client) = running(data).await {
        let request = wire::AddOfficeRequest {
            name: founding.name.clone(),
            zone: founding.zone.name().to_owned(),
            operator: founding.operator.clone(),
            rehearsal: founding.rehearsal,
        };
        let answer = client.add_office(request).await.map_err(|status| from_status(&status))?.into_inner();
        let id = Uuid::from_slice(&answer.office).unwrap_or_default();
        return Ok((id, invited(answer.invite.unwrap_or_default())));
    }
    // No server begins meanwhile, and nobody else adds one of the same name.
    let _lock = data.lock()?;
    founding::add(data, founding, clock, &file.address).await
}

/// An office of the folder, as `office list` shows it.
#[derive(Clone, Debug)]
pub struct OfficeLine {
    pub id: Uuid,
    pub name: String,
    pub rehearsal: bool,
    /// `open`, `closed`, or the code of what keeps it from being served.
    pub state: String,
}

/// The folder's offices; what a running server says of each.
pub async fn list(data: &Data) -> Result<Vec<OfficeLine>, ServerError> {
    let offices = catalog::offices(data)?;
    let mut states = HashMap::new();
    if let Some(mut client) = running(data).await {
        let request = wire::ListOfficesRequest {};
        let answer = client.list_offices(request).await.map_err(|status| from_status(&status))?;
        states.extend(answer.into_inner().offices.into_iter().map(|office| (office.office, office.state)));
    }
    let line = |office: Listed| OfficeLine {
        state: match states.remove(office.id.as_bytes().as_slice()) {
            Some(state) => state,
            None if behind::is_noted(&office.data) => "LOG_BEHIND".to_owned(),
            None => CLOSED.to_owned(),
        },
        id: office.id,
        name: office.name,
        rehearsal: office.rehearsal,
    };
    Ok(offices.into_iter().map(line).collect())
}

/// Verifies the whole store: the running server's against its live state, or the folder's files.
pub async fn check(data: &Data) -> Result<Checked, ServerError> {
    if let Some(mut client) = running(data).await {
        let answer = client
            .check(wire::CheckRequest { office: data.server_file()?.office.as_bytes().to_vec() })
            .await
            .map_err(|status| from_status(&status))?
            .into_inner();
        return Ok(Checked {
            rehearsal: Some(data.server_file()?.rehearsal),
            office: Uuid::from_slice(&answer.office).unwrap_or_default(),
            office_name: answer.office_name,
            position: answer.position,
            root: answer.root.try_into().unwrap_or_default(),
            epoch: answer.epoch,
            // Nobody asks.
            epochs: Vec::new(),
            state_hash: answer.state_hash.try_into().unwrap_or_default(),
            live_entries: answer.live_entries,
            // Whoever opened the log set it aside, and said so.
            tail_bytes: 0,
        });
    }
    let file = data.server_file()?;
    let id = Data::log_id(file.office);
    let checked = match LogReader::open_read_only(&data.office("log"), &id) {
        Ok(reader) => {
            let checked = office::check(&reader, id, None)?;
            if let Some(gap) = behind::noted(data, &reader, &checked)? {
                return Err(ServerError::Behind(Box::new(gap)));
            }
            log_key::check(data, &reader, file.office)?;
            checked
        }
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
