//! Beginning an epoch: through the running server, or in the folder itself.

use std::sync::Arc;

use renaksi_domain::epoch::{BeginEpoch, Seen};
use renaksi_proto::clock::Clock;
use renaksi_proto::wire;

use crate::check::running;
use crate::data::Data;
use crate::error::ServerError;
use crate::office::Office;
use crate::services::host::from_status;

/// Begins a new epoch of an office, for a reason that everybody will read.
///
/// # Errors
/// [`ServerError::Refused`] without a reason; the office in use or not to be opened.
pub async fn begin(data: &Data, clock: Clock, reason: &str) -> Result<BeginEpoch, ServerError> {
    if let Some(mut client) = running(data).await {
        let office = data.server_file()?.office.as_bytes().to_vec();
        let request = wire::BeginEpochRequest { office, reason: reason.to_owned() };
        let answer = client.begin_epoch(request).await.map_err(|status| from_status(&status))?.into_inner();
        return Ok(begun(answer, reason));
    }
    let office = Arc::new(Office::open(data, clock)?);
    let begun = office.begin_epoch(reason).await;
    tokio::task::block_in_place(|| office.stop());
    begun
}

/// What a running server answers.
pub(crate) fn answer(begun: &BeginEpoch) -> wire::BeginEpochResponse {
    wire::BeginEpochResponse {
        epoch: begun.epoch,
        size: begun.size,
        root: begun.root.to_vec(),
        seen: begun.seen.map(|seen| wire::SeenHead {
            epoch: seen.epoch,
            size: seen.size,
            root: seen.root.to_vec(),
        }),
    }
}

fn begun(answer: wire::BeginEpochResponse, reason: &str) -> BeginEpoch {
    let root = |root: Vec<u8>| root.try_into().unwrap_or_default();
    BeginEpoch {
        epoch: answer.epoch,
        reason: reason.into(),
        size: answer.size,
        root: root(answer.root),
        seen: answer.seen.map(|seen| Seen { epoch: seen.epoch, size: seen.size, root: root(seen.root) }),
    }
}
