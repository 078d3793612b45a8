//! When each device was last seen by the server, for whoever locks a quarter.

use renaksi_domain::ids::{DeviceId, PersonId};
use renaksi_domain::time::Timestamp;
use renaksi_proto::wire::{self, views_client::ViewsClient};

use super::Device;
use super::connect::{Failure, unreachable};
use crate::error::ClientError;

/// A device as the server saw it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    pub device: DeviceId,
    pub owner: PersonId,
    /// It had brought what it held by then.
    pub last_seen: Timestamp,
    pub revoked: bool,
}

impl Device {
    /// Every device of the office, as the server saw it last. One try: whoever asks can do without.
    ///
    /// # Errors
    /// Unreachable when the server is not there; NotAdmitted for a device that it does not take.
    pub async fn sightings(&self) -> Result<Vec<Sighting>, ClientError> {
        let session = self.connect().await?;
        let request = session.request(wire::ListDevicesRequest {})?;
        let mut client = ViewsClient::new(session.channel());
        let answer = session.guard(client.list_devices(request)).await.map_err(|failure| match failure {
            Failure::Cut(cause) | Failure::Silent(cause) => unreachable(&self.identity.server, cause),
            Failure::TooMuch(error) | Failure::TokenRefused(error) | Failure::Final(error) => error,
        })?;
        let seen = |view: wire::DeviceView| Sighting {
            device: DeviceId(view.device),
            owner: PersonId(view.owner),
            last_seen: Timestamp(view.last_seen_us),
            revoked: view.revoked,
        };
        Ok(answer.into_inner().devices.into_iter().map(seen).collect())
    }
}
