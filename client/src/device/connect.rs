//! One connection to the server: TLS that trusts the office's own authority alone, bytes counted, the device proved on
//! the first call.
//!
//! A connection is made once and never again behind our back: when it breaks, the call fails, and [`Session::reopen`]
//! decides.

use std::future::{Future, Ready, ready};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use hyper_util::rt::TokioIo;
use prost::Message;
use renaksi_domain::ids::DeviceId;
use renaksi_proto::agreed::{SESSION_KEY, TOKEN_KEY};
use renaksi_proto::{chain, log};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::{Service, http::Uri};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::home::{causes, random};
use crate::error::{ClientError, Rejected};

/// From the first packet to a connection that takes calls.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A call on which nothing moved for this long is given up.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// So much within [`IDLE_CHECK`] is movement; less is HTTP/2 keeping the connection alive (17 bytes a ping).
const MOVEMENT_BYTES_MIN: u64 = 128;
/// However slow: a single answer or page that takes longer is cut.
const CALL_MAX: Duration = Duration::from_secs(15 * 60);
const IDLE_CHECK: Duration = Duration::from_secs(2);
/// Enough in flight that a first pull is not bound by the round trip.
const WINDOW_BYTES: u32 = 4 << 20;
/// A commit of the log is at most 64 MiB.
pub(super) const MESSAGE_BYTES_MAX: usize = 80 << 20;

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads `host:port`; an IPv6 host stands in brackets.
    pub(super) fn parse(text: &str) -> Option<Address> {
        let (host, port) = text.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(bare) => bare,
            None if host.contains(':') => return None,
            None => host,
        };
        ServerName::try_from(host).ok()?;
        Some(Address { host: host.to_owned(), port: port.parse().ok().filter(|port| *port != 0)? })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V6(host)) => write!(f, "[{host}]:{}", self.port),
            _ => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Bytes that went over connections.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }
}

/// Counts what goes through a stream.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    traffic: Arc<Traffic>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.traffic.received.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S> Counted<S> {
    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = polled {
            self.traffic.sent.fetch_add(written as u64, Ordering::Relaxed);
        }
        polled
    }
}

type Io = TokioIo<Counted<TlsStream<Counted<TcpStream>>>>;

/// Gives the connection that was made, once.
#[derive(Debug)]
struct Once(Mutex<Option<Io>>);

impl Service<Uri> for Once {
    type Response = Io;
    type Error = io::Error;
    type Future = Ready<io::Result<Io>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let io = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready(io.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection is closed")))
    }
}

/// What proves this device to its server.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    pub(super) key: SigningKey,
    pub(super) office: Uuid,
    pub(super) device: DeviceId,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection broke; an idempotent call may be repeated on a new one.
    Cut(String),
    /// The connection stands and no answer comes over it.
    Silent(String),
    /// The server takes less at once.
    TooMuch(ClientError),
    /// The device has to prove itself again.
    TokenRefused(ClientError),
    /// The answer.
    Final(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::Final(error)
    }
}

/// A connection on which this device is known.
#[derive(Debug)]
pub(super) struct Session {
    address: Address,
    tls: Arc<ClientConfig>,
    authority: [u8; 32],
    credentials: Option<Credentials>,
    /// Inside TLS: what HTTP/2 put on the connection.
    pub(super) traffic: Arc<Traffic>,
    /// Under TLS: everything, the handshake too.
    wire: Arc<Traffic>,
    /// What the handshakes took, both ways.
    pub(super) connect_bytes: u64,
    channel: Channel,
    token: Option<MetadataValue<tonic::metadata::Ascii>>,
}

impl Session {
    /// Connects, once, answering fast when nobody is there. `authority` is the only one trusted.
    pub(super) async fn open(
        address: &str,
        authority: &CertificateDer<'static>,
        credentials: Option<Credentials>,
    ) -> Result<Session, ClientError> {
        let address = Address::parse(address).ok_or_else(|| {
            ClientError::NotUnderstood(Rejected::new("BAD_ADDRESS").with("server", address))
        })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(|error| {
            ClientError::Integrity(Rejected::new("AUTHORITY_DAMAGED").with("cause", error))
        })?;
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Failed(Rejected::new("TLS_UNAVAILABLE").with("cause", error)))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tls = Arc::new(speaking_h2(tls));
        let (traffic, wire) = (Arc::<Traffic>::default(), Arc::<Traffic>::default());
        let (channel, connect_bytes) = connect(&address, &tls, &traffic, &wire).await?;
        let authority = Sha256::digest(authority).into();
        Ok(Session {
            address,
            tls,
            authority,
            credentials,
            traffic,
            wire,
            connect_bytes,
            channel,
            token: None,
        })
    }

    /// A new connection after one broke. The device proves itself again on its first call.
    pub(super) async fn reopen(&mut self) -> Result<(), ClientError> {
        let (channel, bytes) = connect(&self.address, &self.tls, &self.traffic, &self.wire).await?;
        self.channel = channel;
        self.connect_bytes += bytes;
        self.token = None;
        Ok(())
    }

    /// The connection, for the generated clients.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Forgets a token that the server no longer takes.
    pub(super) fn forget_token(&mut self) {
        self.token = None;
    }

    /// A call with its proof: an assertion signed by the device on the first, the token it was answered with after.
    pub(super) fn request<T>(&self, message: T) -> Result<Request<T>, ClientError> {
        let mut request = Request::new(message);
        match (&self.token, &self.credentials) {
            (Some(token), _) => {
                request.metadata_mut().insert("authorization", token.clone());
            }
            (None, Some(credentials)) => {
                let assertion = MetadataValue::from_bytes(&self.assertion(credentials)?);
                request.metadata_mut().insert_bin(SESSION_KEY, assertion);
            }
            (None, None) => {}
        }
        Ok(request)
    }

    fn assertion(&self, credentials: &Credentials) -> Result<Vec<u8>, ClientError> {
        let Credentials { key, office, device } = credentials;
        let nonce: [u8; 16] = random()?;
        let signature = chain::sign_session(key, *office, &self.authority, device.0, &nonce);
        Ok([office.as_bytes().as_slice(), &device.0.to_be_bytes(), &nonce, &signature].concat())
    }

    /// Keeps the token that an answer carries.
    pub(super) fn answered(&mut self, metadata: &MetadataMap) {
        let token = metadata.get(TOKEN_KEY).and_then(|token| token.to_str().ok());
        if let Some(token) = token.and_then(|token| format!("Bearer {token}").parse().ok()) {
            self.token = Some(token);
        }
    }

    /// Waits for an answer as long as something moves.
    pub(super) async fn guard<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Failure> {
        let mut call = std::pin::pin!(call);
        let started = Instant::now();
        let mut moved = (Instant::now(), self.moved());
        loop {
            if let Ok(answer) = tokio::time::timeout(IDLE_CHECK, call.as_mut()).await {
                return answer.map_err(|status| classify(&status));
            }
            let now = self.moved();
            if now - moved.1 >= MOVEMENT_BYTES_MIN {
                moved.0 = Instant::now();
            }
            moved.1 = now;
            if moved.0.elapsed() >= IDLE_MAX || started.elapsed() >= CALL_MAX {
                return Err(Failure::Silent(format!("no answer within {} s", started.elapsed().as_secs())));
            }
        }
    }

    /// What HTTP/2 moved. TLS has traffic of its own, which says nothing of the call.
    fn moved(&self) -> u64 {
        self.traffic.sent() + self.traffic.received()
    }
}

/// TLS that offers HTTP/2 alone.
pub(super) fn speaking_h2(mut tls: ClientConfig) -> ClientConfig {
    tls.alpn_protocols = vec![b"h2".to_vec()];
    tls
}

/// Connects to a server and shakes hands; answers the connection and the bytes that took.
async fn connect(
    address: &Address,
    tls: &Arc<ClientConfig>,
    traffic: &Arc<Traffic>,
    wire: &Arc<Traffic>,
) -> Result<(Channel, u64), ClientError> {
    let before = wire.sent() + wire.received();
    let connecting = async {
        let stream = handshake(address, tls, wire).await?;
        let bytes = wire.sent() + wire.received() - before;
        let io = TokioIo::new(Counted { inner: stream, traffic: traffic.clone() });
        let failed = |error: tonic::transport::Error| unreachable(address, causes(&error));
        // The scheme is plain to tonic: the stream it gets is already inside TLS.
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .and_then(|endpoint| endpoint.user_agent(concat!("renaksi/", env!("CARGO_PKG_VERSION"))))
            .map_err(failed)?
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(2 * WINDOW_BYTES)
            .connect_with_connector(Once(Mutex::new(Some(io))))
            .await
            .map_err(failed)?;
        Ok((channel, bytes))
    };
    tokio::time::timeout(CONNECT_WITHIN, connecting)
        .await
        .unwrap_or_else(|_| Err(unreachable(address, "no answer in time")))
}

/// The TCP connection and the TLS handshake, without a deadline of their own.
pub(super) async fn handshake(
    address: &Address,
    tls: &Arc<ClientConfig>,
    wire: &Arc<Traffic>,
) -> Result<TlsStream<Counted<TcpStream>>, ClientError> {
    let name = ServerName::try_from(address.host.clone())
        .map_err(|_| ClientError::NotUnderstood(Rejected::new("BAD_ADDRESS").with("server", address)))?;
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await;
    let tcp = tcp.map_err(|error| unreachable(address, error))?;
    tcp.set_nodelay(true).map_err(|error| unreachable(address, error))?;
    let counted = Counted { inner: tcp, traffic: wire.clone() };
    let stream = TlsConnector::from(tls.clone()).connect(name, counted).await;
    let stream =
        stream.map_err(|error| match error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            true => not_ours(address, error),
            false => unreachable(address, error),
        })?;
    match stream.get_ref().1.alpn_protocol() {
        None | Some(b"h2") => Ok(stream),
        Some(_) => Err(not_ours(address, "it does not speak HTTP/2")),
    }
}

/// The handshake within the deadline of a connection.
pub(super) async fn handshake_in_time(
    address: &Address,
    tls: &Arc<ClientConfig>,
) -> Result<TlsStream<Counted<TcpStream>>, ClientError> {
    let wire = Arc::default();
    tokio::time::timeout(CONNECT_WITHIN, handshake(address, tls, &wire))
        .await
        .unwrap_or_else(|_| Err(unreachable(address, "no answer in time")))
}

pub(super) fn unreachable(address: impl std::fmt::Display, cause: impl std::fmt::Display) -> ClientError {
    ClientError::Unreachable(Rejected::new("SERVER_UNREACHABLE").with("server", address).with("cause", cause))
}

fn not_ours(address: impl std::fmt::Display, cause: impl std::fmt::Display) -> ClientError {
    ClientError::Unreachable(Rejected::new("NOT_OUR_SERVER").with("server", address).with("cause", cause))
}

/// What a status means for this device.
fn classify(status: &Status) -> Failure {
    if !status.details().is_empty()
        && let Ok(cause) = log::Rejection::decode(status.details())
    {
        return refused(status.code(), cause);
    }
    let message = status.message();
    if message.starts_with("grpc-status header missing") {
        let cause = Rejected::new("NOT_OUR_SERVER").with("cause", message);
        return Failure::Final(ClientError::Unreachable(cause));
    }
    let plain = |code: &str| Rejected::new(code).with("status", status.code()).with("cause", message);
    match status.code() {
        Code::ResourceExhausted | Code::OutOfRange => {
            Failure::TooMuch(ClientError::Failed(plain("SERVER_FAILED")))
        }
        Code::Unauthenticated | Code::PermissionDenied => {
            Failure::Final(ClientError::NotAdmitted(plain("ACCESS_DENIED").permission()))
        }
        Code::Unimplemented => Failure::Final(ClientError::Failed(plain("SERVER_TOO_OLD"))),
        Code::InvalidArgument | Code::FailedPrecondition | Code::NotFound => {
            Failure::Final(ClientError::Failed(plain("SERVER_FAILED")))
        }
        _ => Failure::Cut(causes(status)),
    }
}

/// A no of our server, by its code.
fn refused(status: Code, cause: log::Rejection) -> Failure {
    let code = cause.code;
    let mut rejected = Rejected::new(&code);
    rejected.details = cause.details.into_iter().map(|detail| (detail.key, detail.value)).collect();
    Failure::Final(match (status, code.as_str()) {
        (Code::Unauthenticated, "TOKEN_EXPIRED") => {
            return Failure::TokenRefused(ClientError::NotAdmitted(rejected.permission()));
        }
        (Code::ResourceExhausted, _) => return Failure::TooMuch(ClientError::Failed(rejected)),
        (_, "LOG_BEHIND" | "REPLICA_DIVERGED") | (Code::DataLoss, _) => ClientError::Integrity(rejected),
        // An invite is a thing that may be stale; everything else of this kind is about who asks.
        (
            _,
            "INVITE_UNKNOWN" | "INVITE_EXPIRED" | "INVITE_USED" | "DEVICE_FORKED" | "COMMAND_TOO_LARGE"
            | "EPOCH_ENDED",
        ) => ClientError::NotAdmitted(rejected),
        (Code::Unauthenticated | Code::PermissionDenied, _) => {
            ClientError::NotAdmitted(rejected.permission())
        }
        (Code::Unavailable, _) => ClientError::Unreachable(rejected),
        _ => ClientError::Failed(rejected),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (text, shown) in [
            ("127.0.0.1:7443", "127.0.0.1:7443"),
            ("[::1]:7443", "[::1]:7443"),
            ("dkp.go.id:1", "dkp.go.id:1"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        for text in ["", "host", ":7443", "host:", "host:0", "::1:7443", "ho st:1", "host:99999"] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    /// A session whose server never answers; the time of these tests runs by itself.
    fn silent() -> Session {
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let endpoint = Endpoint::from_static("http://127.0.0.1:1");
        Session {
            address: Address::parse("127.0.0.1:1").unwrap(),
            tls: Arc::new(tls),
            authority: [0; 32],
            credentials: None,
            traffic: Arc::default(),
            wire: Arc::default(),
            connect_bytes: 0,
            channel: endpoint.connect_with_connector_lazy(Once(Mutex::new(None))),
            token: None,
        }
    }

    async fn silence_after(session: &Session) -> Duration {
        let started = Instant::now();
        let answer = session.guard(std::future::pending::<Result<(), Status>>()).await;
        assert!(matches!(answer, Err(Failure::Silent(_))));
        started.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn keep_alive_is_no_answer_and_a_slow_upload_is_movement() {
        let session = silent();
        assert_eq!(silence_after(&session).await, Duration::from_secs(60));
        let moving = |bytes: u64, seconds: u64| {
            let traffic = session.traffic.clone();
            tokio::spawn(async move {
                for _ in 0..seconds {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    traffic.sent.fetch_add(bytes, Ordering::Relaxed);
                    traffic.received.fetch_add(17, Ordering::Relaxed);
                }
            })
        };
        let pings = moving(17, 1_000);
        assert_eq!(silence_after(&session).await, Duration::from_secs(60));
        pings.abort();
        let upload = moving(5_000, 400);
        let given_up = silence_after(&session).await;
        assert!((458..=464).contains(&given_up.as_secs()), "{given_up:?}");
        upload.abort();
    }

    #[test]
    fn a_status_with_a_cause_of_ours_is_an_answer_and_one_without_is_a_cut_or_not_ours() {
        let ours = |code, name: &str| {
            let cause = log::Rejection { code: name.to_owned(), details: Vec::new() }.encode_to_vec();
            classify(&Status::with_details(code, "", cause.into()))
        };
        let exit = |failure| match failure {
            Failure::Final(error) => error.exit_code(),
            other => panic!("{other:?}"),
        };
        assert_eq!(exit(ours(Code::PermissionDenied, "DEVICE_REVOKED")), 6);
        assert_eq!(exit(ours(Code::Unauthenticated, "PUSH_SIGNATURE_INVALID")), 6);
        assert_eq!(exit(ours(Code::FailedPrecondition, "DEVICE_FORKED")), 4);
        assert_eq!(exit(ours(Code::FailedPrecondition, "LOG_BEHIND")), 7);
        assert_eq!(exit(ours(Code::DataLoss, "LOG_DAMAGED")), 7);
        assert_eq!(exit(ours(Code::PermissionDenied, "INVITE_USED")), 4);
        assert_eq!(exit(ours(Code::FailedPrecondition, "SERVER_TOO_OLD")), 1);
        assert_eq!(exit(ours(Code::Unavailable, "OFFICE_STOPPED")), 5);
        assert!(matches!(ours(Code::Unauthenticated, "TOKEN_EXPIRED"), Failure::TokenRefused(_)));
        assert!(matches!(ours(Code::ResourceExhausted, "BUSY"), Failure::TooMuch(_)));
        assert!(matches!(classify(&Status::unavailable("gone")), Failure::Cut(_)));
        let page = Status::unknown("grpc-status header missing, mapped from HTTP status code 302");
        assert_eq!(exit(classify(&page)), 5);
    }
}
