//! The office of a stage, served, and devices that call it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use renaksi_proto::chain;
use renaksi_proto::clock::Clock;
use renaksi_proto::log::Rejection;
use renaksi_server::authority;
use renaksi_server::data::Data;
use renaksi_server::error::ServerError;
use renaksi_server::office::Office;
use renaksi_server::offices::{Offices, Settings};
use renaksi_server::serve::{Addresses, serve_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::metadata::MetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::{NOW, OFFICE, Stage, key};

pub struct Served {
    pub address: SocketAddr,
    pub web: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub ended: JoinHandle<Result<(), ServerError>>,
}

/// Serves the office of a stage on a free port.
pub async fn serve(stage: &mut Stage, grace: Duration) -> Served {
    let (office, data) = (stage.office.take().unwrap(), stage.data.clone());
    tokio::task::block_in_place(|| office.close());
    let played = Clock::Fixed(NOW);
    let settings = Settings { played, log: stage.options.clone(), ..Settings::default() };
    let offices = Offices::new(&data, settings).unwrap();
    let (ready, bound) = oneshot::channel();
    let (stop, asked) = oneshot::channel::<()>();
    let ended = tokio::spawn(async move {
        let listen =
            Addresses { network: "127.0.0.1:0".parse().unwrap(), web: Some("127.0.0.1:0".parse().unwrap()) };
        let ready = |bound: Addresses, _: Option<&Office>| ready.send(bound).unwrap();
        let asked = async { asked.await.unwrap_or_default() };
        serve_until(&data, offices, listen, ready, asked, grace).await
    });
    let bound = bound.await.unwrap();
    Served { address: bound.network, web: bound.web.unwrap(), stop, ended }
}

pub async fn connect(data: &Data, address: SocketAddr) -> Channel {
    let authority = std::fs::read(data.authority().join("authority.pem")).unwrap();
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

/// Status and body of /readyz.
pub async fn readiness(web: SocketAddr) -> (String, String) {
    let mut stream = tokio::net::TcpStream::connect(web).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

/// The code of a no.
pub fn cause(status: &Status) -> String {
    <Rejection as prost::Message>::decode(status.details()).unwrap().code
}

/// The first call of a session of the stage's device.
pub fn proven<T>(data: &Data, message: T) -> Request<T> {
    proven_by(data, 1, &key(), message)
}

/// The first call of a session of a device.
pub fn proven_by<T>(data: &Data, device: u32, key: &SigningKey, message: T) -> Request<T> {
    let fingerprint = authority::load(&data.authority()).unwrap().fingerprint;
    // A server takes each once.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let mut nonce = [1; 16];
    nonce[8..].copy_from_slice(&CALLS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let signature = chain::sign_session(key, OFFICE, &fingerprint, device, &nonce);
    let proof = [OFFICE.as_bytes().as_slice(), &device.to_be_bytes(), &nonce, &signature].concat();
    let mut request = Request::new(message);
    request.metadata_mut().insert_bin("renaksi-session-bin", MetadataValue::from_bytes(&proof));
    request
}
