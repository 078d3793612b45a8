//! Answering an invite: the device makes its key, makes sure that it talks to the server that the invite names, and is
//! enrolled. The folder becomes a device with the last write.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use renaksi_domain::ids::{DeviceId, Origin, PersonId};
use renaksi_proto::chain;
use renaksi_proto::wire::{EnrollRequest, EnrollResponse, enrolment_client::EnrolmentClient};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Device;
use super::connect::{Address, Failure, Session, handshake_in_time, speaking_h2, unreachable};
use super::home::{Home, Identity, digest_from};
use super::outbox::Outbox;
use super::replica::Replica;
use crate::error::{ClientError, Rejected};

/// What an invite says: `renaksi://HOST:PORT/CODE#FINGERPRINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Invite {
    server: Address,
    code: String,
    /// SHA-256 of the authority's certificate.
    fingerprint: [u8; 32],
}

impl Invite {
    fn parse(text: &str) -> Result<Invite, ClientError> {
        let bad = |what: &str| ClientError::NotUnderstood(Rejected::new("BAD_INVITE").with("what", what));
        let rest =
            text.trim().strip_prefix("renaksi://").ok_or_else(|| bad("it does not begin with renaksi://"))?;
        let (server, rest) = rest.split_once('/').ok_or_else(|| bad("no code after the server"))?;
        let (code, fingerprint) = rest.split_once('#').ok_or_else(|| bad("no fingerprint after the code"))?;
        if code.is_empty() || !code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return Err(bad("the code is not letters and digits"));
        }
        Ok(Invite {
            server: Address::parse(server).ok_or_else(|| bad("the server is not HOST:PORT"))?,
            code: code.to_owned(),
            fingerprint: digest_from(fingerprint).ok_or_else(|| {
                bad("the fingerprint is not 64 hexadecimal digits; is the end of the invite missing?")
            })?,
        })
    }
}

/// Makes `home` a device: key, answer to the invite, first pull.
///
/// `server_override` is another way to the server that the invite names; it must show the same authority. When the answer
/// is lost, the same call may be made again. When the server declines, nothing is left behind.
///
/// # Errors
/// NotUnderstood `BAD_INVITE`, `BAD_ADDRESS`; NotAdmitted `ALREADY_ENROLLED`, or the server's code (`INVITE_EXPIRED`, …);
/// Unreachable `SERVER_UNREACHABLE`, `NOT_OUR_SERVER`.
pub async fn enroll(
    home: &Path,
    invite: &str,
    server_override: Option<&str>,
    played_clock: Option<&str>,
) -> Result<Device, ClientError> {
    let invite = Invite::parse(invite)?;
    let files = Home::new(home);
    if files.is_enrolled() {
        let cause = Rejected::new("ALREADY_ENROLLED").with("home", home.display());
        return Err(ClientError::NotAdmitted(cause));
    }
    let server = match server_override {
        Some(text) => Address::parse(text)
            .ok_or_else(|| ClientError::NotUnderstood(Rejected::new("BAD_ADDRESS").with("server", text)))?,
        None => invite.server.clone(),
    };
    let authority = pinned_authority(&server, invite.fingerprint).await?;
    files.create()?;
    files.write_authority(&authority)?;
    let interrupted = files.interrupted_enrolment()?;
    let fresh = interrupted.is_none();
    let (key, incarnation) = match interrupted {
        Some(interrupted) => interrupted,
        None => files.fresh_enrolment()?,
    };
    let request = EnrollRequest {
        code: invite.code.clone(),
        device_key: key.verifying_key().to_bytes().to_vec(),
        incarnation: incarnation.as_bytes().to_vec(),
        proof: chain::sign_enroll(&key, &invite.fingerprint, &invite.code, incarnation),
    };
    let answered = match answer(&server, &authority, request).await {
        // A key that no invite was ever answered with is of no use to anybody. One whose answer was lost may be enrolled.
        Err(declined @ ClientError::NotAdmitted(_)) if fresh => {
            files.forget_enrolment()?;
            return Err(declined);
        }
        answered => answered?,
    };
    let identity = identity(answered, incarnation, server, invite.fingerprint)?;
    // If we crash before the last write: the same invite can be answered again with the same key.
    let outbox = Outbox::create(&files, &identity)?;
    if outbox.last() > 0 {
        let cause = Rejected::new("FEED_IN_THE_WAY").with("folder", files.feed().display());
        return Err(ClientError::Failed(cause));
    }
    drop(outbox);
    drop(Replica::create(&files, &identity)?);
    files.write_identity(&identity)?;

    let mut device = Device::open(home, played_clock)?;
    match device.first_pull().await {
        Err(error @ ClientError::Unreachable(_)) => {
            tracing::warn!(%error, "enrolled, but nothing was pulled yet")
        }
        pulled => pulled?,
    }
    Ok(device)
}

async fn answer(
    server: &Address,
    authority: &CertificateDer<'static>,
    request: EnrollRequest,
) -> Result<EnrollResponse, ClientError> {
    let session = Session::open(&server.to_string(), authority, None).await?;
    let mut client = EnrolmentClient::new(session.channel());
    match session.guard(client.enroll(session.request(request)?)).await {
        Ok(answer) => Ok(answer.into_inner()),
        Err(Failure::Final(error) | Failure::TooMuch(error) | Failure::TokenRefused(error)) => Err(error),
        Err(Failure::Cut(cause) | Failure::Silent(cause)) => Err(unreachable(server, cause)),
    }
}

fn identity(
    answer: EnrollResponse,
    incarnation: Uuid,
    server: Address,
    authority_sha256: [u8; 32],
) -> Result<Identity, ClientError> {
    let bad =
        || ClientError::Failed(Rejected::new("BAD_ANSWER").with("cause", "the enrolment names no office"));
    Ok(Identity {
        office: Uuid::from_slice(&answer.office).map_err(|_| bad())?,
        office_name: answer.office_name,
        rehearsal: answer.rehearsal,
        person: PersonId(answer.person),
        person_name: answer.person_name,
        device: DeviceId(answer.device),
        origin: Origin(answer.origin),
        incarnation,
        server: server.to_string(),
        epoch: answer.epoch,
        authority_sha256: Some(authority_sha256),
        // Absent from a server of an earlier release.
        log_key: answer.log_key.try_into().ok(),
    })
}

/// Shakes hands with the server and answers the authority it shows, if that is the one whose fingerprint the invite has
/// and it vouches for the server. Nothing is sent over this connection.
async fn pinned_authority(
    server: &Address,
    fingerprint: [u8; 32],
) -> Result<CertificateDer<'static>, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pinned = Arc::new(Pinned { fingerprint, provider: provider.clone(), authority: Mutex::default() });
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Failed(Rejected::new("TLS_UNAVAILABLE").with("cause", error)))?
        .dangerous()
        .with_custom_certificate_verifier(pinned.clone())
        .with_no_client_auth();
    drop(handshake_in_time(server, &Arc::new(speaking_h2(tls))).await?);
    let authority = pinned.authority.lock().unwrap_or_else(PoisonError::into_inner).take();
    authority.ok_or_else(|| unreachable(server, "the handshake showed no certificate"))
}

/// Trusts the one authority that has the fingerprint, and what it signed.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    authority: Mutex<Option<CertificateDer<'static>>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_pinned = |certificate: &&CertificateDer<'_>| {
            Sha256::digest(certificate.as_ref()).as_slice() == self.fingerprint.as_slice()
        };
        let authority = intermediates.iter().find(is_pinned);
        let authority =
            authority.ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let authority = authority.clone().into_owned();
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        *self.authority.lock().unwrap_or_else(PoisonError::into_inner) = Some(authority);
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_names_server_code_and_fingerprint() {
        let text = format!(" renaksi://[::1]:7443/abc23#{}\n", "0f".repeat(32));
        let invite = Invite::parse(&text).unwrap();
        assert_eq!(invite.server.to_string(), "[::1]:7443");
        assert_eq!(invite.code, "abc23");
        assert_eq!(invite.fingerprint, [0x0f; 32]);
    }

    #[test]
    fn a_malformed_invite_is_told_what_is_wrong_with_it() {
        let whole = "0f".repeat(32);
        for (text, what) in [
            (format!("https://h:1/c#{whole}"), "renaksi://"),
            ("renaksi://h:1".to_owned(), "no code"),
            ("renaksi://h:1/code".to_owned(), "no fingerprint"),
            (format!("renaksi://h/c#{whole}"), "HOST:PORT"),
            (format!("renaksi://h:1/#{whole}"), "code"),
            (format!("renaksi://h:1/c#{}", &whole[1..]), "64"),
            (format!("renaksi://h:1/c#g{}", &whole[1..]), "64"),
        ] {
            let error = Invite::parse(&text).unwrap_err();
            assert_eq!((error.cause().code.as_str(), error.exit_code()), ("BAD_INVITE", 2), "{text}");
            assert!(error.cause().details[0].1.contains(what), "{text}: {error}");
        }
    }
}
