//! The gRPC services. Each turns a request into what the office understands, and back.

pub mod enrolment;
pub mod host;
pub mod sync;
pub mod views;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use crate::error::ServerError;
use crate::identity::{Caller, Gate};
use crate::office::Office;
use crate::offices::Offices;
use crate::status::Fault;

/// How long a stream waits for a device to read on.
const SEND_WAIT: Duration = Duration::from_secs(60);

/// The way in: who calls, and the office that the call is for.
#[derive(Clone, Debug)]
pub struct Door {
    pub offices: Arc<Offices>,
    pub gate: Arc<Gate>,
}

impl Door {
    /// The caller, and their office. It stays open while it is held.
    async fn admit(&self, metadata: &MetadataMap) -> Result<(Arc<Office>, Caller), Fault> {
        let id = self.gate.office_of(metadata)?;
        let office = open(&self.offices, id, Fault::unauthenticated("PROOF_INVALID")).await?;
        let caller = self.gate.admit(metadata, &office.shared)?;
        Ok((office, caller))
    }

    /// The same, where a revoked device has nothing to ask.
    async fn admit_unrevoked(&self, metadata: &MetadataMap) -> Result<(Arc<Office>, Caller), Fault> {
        let (office, caller) = self.admit(metadata).await?;
        caller.unrevoked()?;
        Ok((office, caller))
    }
}

/// An office for a call from the network, where `unknown` says that there is no such one.
async fn open(offices: &Arc<Offices>, id: Uuid, unknown: Fault) -> Result<Arc<Office>, Fault> {
    offices.get(id).await.map_err(|error| match error {
        ServerError::UnknownOffice { .. } => unknown,
        error => Fault::unopened(&error),
    })
}

/// Sends one message of a stream.
///
/// # Errors
/// `HUNG_UP` when the device is gone, or has not read for `wait`.
async fn send<T: Send>(stream: &mpsc::Sender<T>, message: T, wait: Duration) -> Result<(), Fault> {
    match tokio::time::timeout(wait, stream.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Fault::precondition("HUNG_UP")),
    }
}

/// Does something that waits for a disk where it keeps no call waiting.
async fn in_background<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(read).await.map_err(|error| Fault::internal(&error))
}
