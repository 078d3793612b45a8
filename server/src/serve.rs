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
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::authority;
use crate::data::Data;
use crate::error::ServerError;
use crate::identity::Gate;
use crate::office::Office;
use crate::services::enrolment::EnrolmentService;
use crate::services::host::HostService;
use crate::services::sync::SyncService;
use crate::services::views::ViewsService;

/// Bytes of one received message: a push batch with room to spare.
const MESSAGE_BYTES_MAX: usize = 8 << 20;
/// How long accepted calls may take after a stop was asked for.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT, then answers what was accepted and closes the office.
///
/// `ready` is told the bound address once calls are taken.
pub async fn serve(
    data: &Data,
    mut office: Office,
    listen: SocketAddr,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), ServerError> {
    let address = listen.to_string();
    let authority = authority::load(&data.authority())?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| ServerError::Listen { address: address.clone(), source })?;
    let bound =
        listener.local_addr().map_err(|source| ServerError::Listen { address: address.clone(), source })?;
    if office.file.address.is_empty() {
        office.file.address = bound.to_string();
    }
    let office = Arc::new(office);
    let gate = Arc::new(Gate::new(office.shared.id.office, office.authority));
    let (stop, stopped) = watch::channel(false);

    let control = control_socket(data)?;
    let host = tokio::spawn(
        Server::builder()
            .add_service(HostServer::new(HostService(Arc::clone(&office))))
            .serve_with_incoming_shutdown(UnixListenerStream::new(control), until(stopped.clone())),
    );
    let (health_reporter, health) = tonic_health::server::health_reporter();
    health_reporter.set_serving::<SyncServer<SyncService>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .expect("BUG: the descriptors were compiled with this program");
    let tls = ServerTlsConfig::new().identity(Identity::from_pem(&authority.chain_pem, &authority.key_pem));
    let failed = |source| ServerError::Serve { address: bound.to_string(), source };
    let sync = SyncServer::new(SyncService { office: Arc::clone(&office), gate: Arc::clone(&gate) })
        .max_decoding_message_size(MESSAGE_BYTES_MAX);
    let network = Server::builder()
        .tls_config(tls)
        .map_err(failed)?
        .http2_keepalive_interval(Some(Duration::from_secs(20)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .timeout(Duration::from_secs(120))
        .add_service(health)
        .add_service(reflection)
        .add_service(EnrolmentServer::new(EnrolmentService(Arc::clone(&office))))
        .add_service(sync)
        .add_service(ViewsServer::new(ViewsService { office: Arc::clone(&office), gate }))
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            until(stopped.clone()),
        );
    let network = tokio::spawn(network);
    ready(bound);

    wait_for_signal().await;
    tracing::info!("stopping: answering what was accepted");
    let _ = stop.send(true);
    if tokio::time::timeout(STOP_GRACE, network).await.is_err() {
        tracing::warn!(
            "calls were still open after {STOP_GRACE:?} and are cut; nothing acknowledged is lost"
        );
    }
    host.abort();
    let _ = host.await;
    let _ = fs::remove_file(data.socket());
    close(office).await;
    Ok(())
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender lives as long as `serve`.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn wait_for_signal() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Calls that were cut may hold the office a moment longer than the server.
async fn close(mut office: Arc<Office>) {
    for _ in 0..100 {
        match Arc::try_unwrap(office) {
            Ok(office) => return tokio::task::block_in_place(|| office.close()),
            Err(held) => office = held,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tracing::warn!("a cut call still holds the office; the next start recovers the log's head by itself");
}

fn control_socket(data: &Data) -> Result<UnixListener, ServerError> {
    let path = data.socket();
    // Only a server that holds the log's lock comes here, so a socket that is there is a dead one's.
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).map_err(ServerError::file("make the socket", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
        .map_err(ServerError::file("protect the socket", &path))?;
    Ok(listener)
}
