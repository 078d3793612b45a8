//! The installation's own certificate authority. Invites pin it by fingerprint, so no device trusts anybody else.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use sha2::{Digest, Sha256};

use crate::data::write_private;
use crate::error::ServerError;

const AUTHORITY: &str = "authority.pem";
const AUTHORITY_KEY: &str = "authority.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// What the server shows and what devices pin.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Server certificate, then the authority's, as PEM.
    pub chain_pem: String,
    /// The server's private key as PEM.
    pub key_pem: String,
    /// SHA-256 over the authority's certificate (DER).
    pub fingerprint: [u8; 32],
}

/// Makes an authority and a server certificate for loopback and `host`.
pub fn create(dir: &Path, office: &str, host: &str) -> Result<(), ServerError> {
    let failed = |source| ServerError::Authority { path: dir.to_owned(), source };
    let authority_key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Renaksi authority of {office}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = params.self_signed(&authority_key).map_err(failed)?;
    let issuer = Issuer::new(params, &authority_key);

    let server_key = KeyPair::generate().map_err(failed)?;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !names.iter().any(|name| name == host) {
        names.push(host.to_owned());
    }
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = named("Renaksi server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = params.signed_by(&server_key, &issuer).map_err(failed)?;

    write_private(&dir.join(AUTHORITY), authority.pem().as_bytes())?;
    write_private(&dir.join(AUTHORITY_KEY), authority_key.serialize_pem().as_bytes())?;
    write_private(&dir.join(SERVER), server.pem().as_bytes())?;
    write_private(&dir.join(SERVER_KEY), server_key.serialize_pem().as_bytes())
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Reads what [`create`] wrote, or what an installation put in its place.
pub fn load(dir: &Path) -> Result<Authority, ServerError> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let read = |name: &str| {
        let path = dir.join(name);
        fs::read_to_string(&path).map_err(ServerError::file("read", path))
    };
    let authority = read(AUTHORITY)?;
    let der =
        CertificateDer::from_pem_slice(authority.as_bytes()).map_err(|error| ServerError::Unreadable {
            path: dir.join(AUTHORITY),
            what: "a PEM certificate",
            cause: error.to_string(),
        })?;
    Ok(Authority {
        chain_pem: read(SERVER)? + &authority,
        key_pem: read(SERVER_KEY)?,
        fingerprint: Sha256::digest(&der).into(),
    })
}
