//! Serving: TLS on the network, a socket in the data folder, and a stop that answers what was accepted.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use renaksi_proto::DESCRIPTORS;
use renaksi_proto::wire::enrolment_server::EnrolmentServer;
use renaksi_proto::wire::host_server::HostServer;
use renaksi_proto::wire::sync_server::SyncServer;
use renaksi_proto::wire::views_server::ViewsServer;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::server::NamedService;
use tonic::transport::server::{Router, TcpIncoming};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::authority;
use crate::data::Data;
use crate::error::ServerError;
use crate::identity::Gate;
use crate::office::Office;
use crate::offices::Offices;
use crate::services::Door;
use crate::services::enrolment::EnrolmentService;
use crate::services::host::HostService;
use crate::services::sync::SyncService;
use crate::services::views::ViewsService;
use crate::web;

/// Bytes of one received message. Before a message is read whole nobody knows who sends it, so each service takes no more
/// than its calls need: a device's batches have at most 2 MiB.
const SYNC_BYTES_MAX: usize = 4 << 20;
const VIEWS_BYTES_MAX: usize = 64 << 10;
const ENROLMENT_BYTES_MAX: usize = 16 << 10;
/// Calls at once over one connection. A device makes one at a time.
const CALLS_MAX: u32 = 16;
const HEADER_BYTES_MAX: u32 = 16 << 10;
const FRAME_BYTES_MAX: u32 = 16 << 10;
/// How long accepted calls may take after a stop was asked for.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Where a server listens: as asked, or as bound.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// For devices.
    pub network: SocketAddr,
    /// For health over plain HTTP; nothing listens without it.
    pub web: Option<SocketAddr>,
}

/// Serves until SIGTERM or SIGINT, then answers what was accepted and closes the offices.
///
/// `ready` is told the bound addresses once calls are taken, and the office that `init` made, if it can be opened.
pub async fn serve(
    data: &Data,
    offices: Arc<Offices>,
    listen: Addresses,
    ready: impl FnOnce(Addresses, Option<&Office>),
) -> Result<(), ServerError> {
    // Before anybody is told that we are ready, because whoever is told may ask us to stop.
    let asked = signals().map_err(ServerError::file("take signals for", data.dir()))?;
    serve_until(data, offices, listen, ready, asked, STOP_GRACE).await
}

/// As [`serve`], until `asked` is done; calls then have `grace` to end.
pub async fn serve_until(
    data: &Data,
    offices: Arc<Offices>,
    listen: Addresses,
    ready: impl FnOnce(Addresses, Option<&Office>),
    asked: impl Future<Output = ()>,
    grace: Duration,
) -> Result<(), ServerError> {
    let (listener, bound) = bind(listen.network).await?;
    let web = match listen.web {
        Some(web) => Some(bind(web).await?),
        None => None,
    };
    let web_bound = web.as_ref().map(|(_, bound)| *bound);
    if offices.address().is_empty() {
        offices.set_address(bound.to_string());
    }
    let first = open_first(&offices).await?;
    let (stop, stopped) = watch::channel(false);

    let router = network(data, &offices, &bound, stopped.clone())?;
    let control = control_socket(data)?;
    let host = tokio::spawn(
        Server::builder()
            .add_service(HostServer::new(HostService(Arc::clone(&offices), data.clone())))
            .serve_with_incoming_shutdown(UnixListenerStream::new(control), until(stopped.clone())),
    );
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let mut network = tokio::spawn(router.serve_with_incoming_shutdown(incoming, until(stopped.clone())));
    let keeper = tokio::spawn(Arc::clone(&offices).keep(until(stopped)));
    let web = web.map(|(listener, _)| {
        let router = web::router(Arc::clone(&offices));
        tokio::spawn(async move { axum::serve(listener, router).await })
    });
    ready(Addresses { network: bound, web: web_bound }, first.as_deref());
    drop(first);

    let ended = tokio::select! {
        () = asked => None,
        ended = &mut network => Some(ended),
    };
    let _ = stop.send(true);
    let served = match ended {
        None => {
            tracing::info!("stopping: answering what was accepted");
            if tokio::time::timeout(grace, &mut network).await.is_err() {
                tracing::warn!(
                    "calls were still open after {grace:?} and are cut; nothing acknowledged is lost"
                );
                network.abort();
            }
            Ok(())
        }
        Some(ended) => Err(ended_early(&bound, ended)),
    };
    let _ = keeper.await;
    host.abort();
    let _ = host.await;
    if let Some(web) = web {
        // The process runs until here, and says so.
        web.abort();
        let _ = web.await;
    }
    let _ = fs::remove_file(data.socket());
    // A call that was cut may hold its office a moment longer; its log is closed all the same.
    offices.close_all().await;
    served
}

/// The office that `init` made is looked at before anybody is told that it is served. Where it is one of several, the
/// others are served without it.
async fn open_first(offices: &Arc<Offices>) -> Result<Option<Arc<Office>>, ServerError> {
    match offices.get(offices.first()).await {
        Ok(office) => Ok(Some(office)),
        // It was told to the trace.
        Err(_) if offices.count() > 1 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything that is offered on the network, behind its limits.
fn network(
    data: &Data,
    offices: &Arc<Offices>,
    bound: &SocketAddr,
    stopped: watch::Receiver<bool>,
) -> Result<Router, ServerError> {
    let authority = authority::load(&data.authority())?;
    let gate = Arc::new(Gate::new(authority.fingerprint));
    let door = Door { offices: Arc::clone(offices), gate };
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&authority.chain_pem, &authority.key_pem));
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(reporter, Arc::clone(offices), until(stopped)));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .expect("BUG: the descriptors were compiled with this program");
    let enrolment = EnrolmentService { offices: Arc::clone(offices), authority: authority.fingerprint };
    let enrolment = EnrolmentServer::new(enrolment);
    let sync = SyncServer::new(SyncService(door.clone()));
    let views = ViewsServer::new(ViewsService(door));
    Ok(Server::builder()
        .tls_config(tls)
        .map_err(|source| ServerError::Serve { address: bound.to_string(), source })?
        .max_concurrent_streams(Some(CALLS_MAX))
        .concurrency_limit_per_connection(CALLS_MAX as usize)
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .http2_max_header_list_size(Some(HEADER_BYTES_MAX))
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .timeout(Duration::from_secs(120))
        .add_service(health.max_decoding_message_size(ENROLMENT_BYTES_MAX))
        .add_service(reflection.max_decoding_message_size(ENROLMENT_BYTES_MAX))
        .add_service(enrolment.max_decoding_message_size(ENROLMENT_BYTES_MAX))
        .add_service(sync.max_decoding_message_size(SYNC_BYTES_MAX))
        .add_service(views.max_decoding_message_size(VIEWS_BYTES_MAX)))
}

/// Says SERVING for as long as an office serves, until `asked` is done.
async fn report_health(reporter: HealthReporter, offices: Arc<Offices>, asked: impl Future<Output = ()>) {
    let mut asked = std::pin::pin!(asked);
    let mut failing = offices.watch_failing();
    loop {
        let status = match offices.serves() {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        reporter.set_service_status(SyncServer::<SyncService>::NAME, status).await;
        reporter.set_service_status("", status).await;
        tokio::select! {
            () = &mut asked => return,
            changed = failing.changed() => if changed.is_err() { return },
        }
    }
}

/// Nobody asked the network to end, so whatever it ended with is an error.
fn ended_early(
    bound: &SocketAddr,
    ended: Result<Result<(), tonic::transport::Error>, tokio::task::JoinError>,
) -> ServerError {
    let address = bound.to_string();
    match ended {
        Ok(Err(source)) => ServerError::Serve { address, source },
        Ok(Ok(())) => ServerError::ServeEnded { address, cause: "it takes no more connections".into() },
        Err(panicked) => ServerError::ServeEnded { address, cause: panicked.to_string() },
    }
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as `serve`.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen { address: address.to_string(), source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Done at the first SIGTERM or SIGINT that comes after this returned.
fn signals() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn control_socket(data: &Data) -> Result<UnixListener, ServerError> {
    let path = data.socket();
    // Only the server that holds the folder's lock comes here, so a socket that is there is a dead one's.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(ServerError::file("make the socket", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(ServerError::file("protect the socket", &path))?;
    Ok(listener)
}
