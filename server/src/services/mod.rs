//! The gRPC services. Each turns a request into what the office understands, and back.

pub mod enrolment;
pub mod host;
pub mod sync;
pub mod views;

use std::time::Duration;

use tokio::sync::mpsc;

use crate::status::Fault;

/// How long a stream waits for a device to read on.
const SEND_WAIT: Duration = Duration::from_secs(60);

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
