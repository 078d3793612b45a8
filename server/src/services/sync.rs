//! Commands up, the log down.

use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use prost::Message;
use renaksi_domain::ids::Origin;
use renaksi_ledger::{Checkpoint, Commit, Head, SignError};
use renaksi_proto::agreed::hex;
use renaksi_proto::wire;
use renaksi_proto::wire::pull_page::Page;
use renaksi_proto::wire::sync_server::Sync;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use super::{Door, SEND_WAIT, in_background, send};
use crate::error::is_damage;
use crate::office::Office;
use crate::push;
use crate::restored;
use crate::status::Fault;

/// Pages under way to one device, and their bytes: a device that reads slowly holds no more than this in memory, and one
/// page more, however long.
const PAGES_UNDERWAY: usize = 8;
const BYTES_UNDERWAY: u32 = 1 << 20;
/// Bytes read from the log at once.
const READ_BYTES: u64 = 256 << 10;

/// The service.
#[derive(Debug)]
pub struct SyncService(pub Door);

/// A page on its way, and the room that it takes until it leaves.
type Underway = (Result<wire::PullPage, Status>, Option<OwnedSemaphorePermit>);

/// Where pages go to one device.
#[derive(Debug)]
struct Pages {
    sender: mpsc::Sender<Underway>,
    room: Arc<Semaphore>,
}

impl Pages {
    fn new(sender: mpsc::Sender<Underway>) -> Pages {
        Pages { sender, room: Arc::new(Semaphore::new(BYTES_UNDERWAY as usize)) }
    }

    /// Sends a page once there is room for it. A page that is longer than all the room waits until it has it alone.
    ///
    /// # Errors
    /// `HUNG_UP` as [`send`].
    async fn send(&self, page: Page, wait: Duration) -> Result<(), Fault> {
        let page = wire::PullPage { page: Some(page) };
        let bytes = u32::try_from(page.encoded_len()).unwrap_or(u32::MAX).min(BYTES_UNDERWAY);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes);
        let room = tokio::time::timeout(wait, room).await.map_err(|_| Fault::precondition("HUNG_UP"))?;
        let room = room.expect("BUG: nobody closes it");
        send(&self.sender, (Ok(page), Some(room)), wait).await
    }
}

#[tonic::async_trait]
impl Sync for SyncService {
    async fn push(
        &self,
        request: Request<wire::PushRequest>,
    ) -> Result<Response<wire::PushResponse>, Status> {
        let (office, caller) = self.0.admit(request.metadata()).await?;
        let shared = &office.shared;
        let now = shared.clock.now();
        let people = shared.people();
        let mut request = request.into_inner();
        caller.may_carry(&people, Origin(request.origin))?;
        consider(&office, std::mem::take(&mut request.checkpoint)).await?;
        let old = std::mem::take(&mut request.restored);
        let mut checked = push::check(request, shared.id.office, &people, caller.person, now)?;
        if !old.is_empty() {
            tokio::task::block_in_place(|| restored::prove_all(&mut checked, old, &office))?;
        }
        let answer = office.push(checked).await?;
        Ok(caller.stamp(Response::new(wire::PushResponse {
            next_sequence: answer.next_sequence,
            receipts: answer.receipts,
            position: answer.position,
            server_time_us: shared.clock.now().0,
        })))
    }

    type PullStream = Pin<Box<dyn Stream<Item = Result<wire::PullPage, Status>> + Send>>;

    async fn pull(&self, request: Request<wire::PullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let (office, caller) = self.0.admit_unrevoked(request.metadata()).await?;
        let shared = &office.shared;
        let mut request = request.into_inner();
        consider(&office, std::mem::take(&mut request.checkpoint)).await?;
        same_log(&office, &request)?;
        let directory = {
            let directory = office.directory.lock().unwrap_or_else(PoisonError::into_inner);
            (request.directory_digest != directory.digest()).then(|| directory.message())
        };
        let (sender, stream) = mpsc::channel(PAGES_UNDERWAY);
        let pages = Pages::new(sender);
        let (now, device) = (shared.clock.now(), caller.device);
        // The stream holds the office open.
        tokio::spawn(async move {
            let sent = match signed_head(&office).await {
                // What was signed last may be less than the device has, where nothing more is signed.
                Ok((head, _)) if request.position > head.size => {
                    Err(office.shared.gap().map_or_else(Fault::stopped, Fault::from))
                }
                Ok((head, checkpoint)) => {
                    let before = [checkpoint].into_iter().chain(directory.map(Page::Directory)).collect();
                    let held = Arc::clone(&office);
                    let read = move |from| {
                        let page = held.shared.reader.read_from(from, READ_BYTES);
                        page.map_err(|error| held.shared.log_failed(error))
                    };
                    send_log(read, head, request.position, before, now.0, &pages, SEND_WAIT).await
                }
                Err(fault) => Err(fault),
            };
            match sent {
                // A device asks for the log behind what it has once it has sent what it holds. One that has nothing yet
                // asks first.
                Ok(()) if request.position > 0 => tokio::task::block_in_place(|| {
                    let mut sightings = office.sightings.lock().unwrap_or_else(PoisonError::into_inner);
                    sightings.note(device, now);
                }),
                Ok(()) => {}
                Err(fault) => {
                    let (device, code) = (device.0, fault.code());
                    tracing::info!(device, from = request.position, code, "a pull ended early");
                    // The device hung up, or is told why if it still has room for it.
                    let _ = pages.sender.try_send((Err(fault.into()), None));
                }
            }
        });
        let stream = ReceiverStream::new(stream).map(|(page, _room)| page);
        Ok(caller.stamp(Response::new(Box::pin(stream))))
    }
}

/// A replica continues this log only if its own tree is the log's tree at that position.
fn same_log(office: &Office, request: &wire::PullRequest) -> Result<(), Fault> {
    let reader = &office.shared.reader;
    let head = reader.head();
    let root = match request.position {
        0 => return Ok(()),
        position if position > head.size => None,
        position => reader.root_at(position).map_err(|error| office.shared.log_failed(error))?,
    };
    if root.is_some_and(|root| root.as_slice() == request.root) {
        return Ok(());
    }
    Err(match office.shared.gap() {
        Some(gap) => gap.into(),
        None if request.epoch < head.epoch => ended(office, request.epoch)?,
        None if request.position > head.size => {
            Fault::precondition("LOG_BEHIND").with("here", head.size).with("seen", request.position)
        }
        None => Fault::precondition("REPLICA_DIVERGED").with("position", request.position),
    })
}

/// What a device is told whose records the log lost when their epoch ended: up to where the epochs are one log.
fn ended(office: &Office, epoch: u32) -> Result<Fault, Fault> {
    let fold = tokio::task::block_in_place(|| office.shared.durable())?;
    let begun = fold.state.epochs.iter().find(|begun| begun.epoch > epoch);
    // The epoch has just been begun, and its first record is not there yet.
    let begun = begun.ok_or_else(Fault::stopped)?;
    let fault = Fault::precondition("EPOCH_ENDED").with("epoch", epoch).with("size", begun.size);
    Ok(fault.with("root", hex(&begun.root)).with("reason", &begun.reason))
}

/// Looks at the checkpoint that a device shows, where it keeps no call waiting.
async fn consider(office: &Arc<Office>, note: String) -> Result<(), Fault> {
    if office.shared.mark.is_held(&note) {
        return Ok(());
    }
    let office = Arc::clone(office);
    in_background(move || office.consider(&note)).await?
}

/// A checkpoint over at least what is durable at this moment, and what it is over. A log that cannot be signed takes no more
/// writes either. One that is behind is not signed any further, and read as far as it was.
async fn signed_head(office: &Arc<Office>) -> Result<(Head, Page), Fault> {
    let (office, size) = (Arc::clone(office), office.shared.reader.head().size);
    let signed = in_background(move || {
        let mut signer = office.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gap) = office.shared.gap() {
            let last = signer.last().filter(|last| signer.holds(&last.checkpoint()).unwrap_or(false));
            return last.map(|last| (last.clone(), office.log_key.to_vec())).ok_or_else(|| gap.into());
        }
        let signed = signer.covering(size).cloned();
        let signed = signed.map(|signed| (signed, office.log_key.to_vec()));
        signed.map_err(|error| match error {
            SignError::Log(source) if is_damage(&source) => office.shared.damaged(source).into(),
            error => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the log cannot be signed; the office takes no more writes");
                office.shared.stop();
                Fault::stopped()
            }
        })
    });
    let (signed, log_key) = signed.await??;
    let Checkpoint { epoch, size, root, .. } = signed.checkpoint();
    let note = signed.note().to_owned();
    Ok((Head { size, root, epoch }, Page::Checkpoint(wire::SignedCheckpoint { note, log_key })))
}

/// Sends `before`, then what can be `read` behind `from`, up to `head`: a log that grows faster than a device reads would never end.
/// No thread waits with a device that reads slowly, and nothing waits longer than `wait` for one that does not read.
async fn send_log(
    read: impl Fn(u64) -> Result<Vec<Commit>, Fault> + Clone + Send + 'static,
    head: Head,
    from: u64,
    before: Vec<Page>,
    server_time_us: i64,
    pages: &Pages,
    wait: Duration,
) -> Result<(), Fault> {
    let send = async |page| pages.send(page, wait).await;
    let (mut position, mut sent, mut digest) = (from, 0_u64, Sha256::new());
    for page in before {
        send(page).await?;
    }
    while position < head.size {
        let (read, next) = (read.clone(), position + 1);
        for commit in in_background(move || read(next)).await?? {
            position = commit.size_after;
            sent += commit.entries.len() as u64;
            commit.entries.iter().for_each(|entry| digest.update(&entry.leaf));
            send(Page::Commit(page(commit))).await?;
            if position >= head.size {
                break;
            }
        }
    }
    let root = head.root.to_vec();
    let digest = digest.finalize().to_vec();
    send(Page::End(wire::PullEnd { records: sent, digest, position: head.size, root, server_time_us })).await
}

fn page(commit: Commit) -> wire::CommitPage {
    let records =
        commit.entries.into_iter().map(|entry| wire::Stored { leaf: entry.leaf, aside: entry.aside });
    wire::CommitPage {
        first: commit.first,
        records: records.collect(),
        root_after: commit.root_after.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use renaksi_ledger::{Entry, Log};

    use super::*;

    #[tokio::test]
    async fn a_device_that_reads_nothing_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let id = crate::data::Data::log_id(uuid::Uuid::from_u128(1));
        let mut log = Log::create(dir.path(), id, 1).unwrap();
        for byte in 0..3 {
            log.append(&[Entry { leaf: vec![byte; 10], aside: Vec::new() }]).unwrap();
        }
        let wait = Duration::from_millis(50);
        let (sender, mut stream) = mpsc::channel(2);
        let pages = Pages::new(sender);
        let reader = log.reader();
        let read = move |from| Ok(reader.read_from(from, READ_BYTES).unwrap());
        let started = Instant::now();
        let fault = send_log(read.clone(), log.head(), 0, Vec::new(), 0, &pages, wait).await.unwrap_err();
        assert_eq!(fault.code(), "HUNG_UP");
        assert!(started.elapsed() >= wait);
        // One that reads gets it all, and what it has read counts.
        let reading = tokio::spawn(async move {
            let mut seen = 0;
            while stream.recv().await.is_some() {
                seen += 1;
            }
            seen
        });
        send_log(read, log.head(), 1, Vec::new(), 0, &pages, wait).await.unwrap();
        drop(pages);
        assert_eq!(reading.await.unwrap(), 2 + 2 + 1, "two left over, two commits, the end");
        log.close().unwrap();
    }
}
