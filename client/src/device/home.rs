//! The device's folder: who this device is, its key, and the small files beside its two logs.
//!
//! `identity.json` is written last at enrolment, so a folder without it is not a device, whatever else lies there.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use prost::Message;
use renaksi_domain::ids::{DeviceId, Origin, PersonId};
use renaksi_domain::time::Timestamp;
use renaksi_ledger::Disk;
use renaksi_proto::agreed::hex;
use renaksi_proto::wire;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Contact;
use super::bundle::LogKey;
use super::standing::Standing;
use crate::error::{ClientError, Rejected};

/// Who this device is, as its enrolment said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub office: Uuid,
    pub office_name: String,
    /// A training office: every output says so, and its clock may be played.
    pub rehearsal: bool,
    pub person: PersonId,
    pub person_name: String,
    pub device: DeviceId,
    pub origin: Origin,
    pub incarnation: Uuid,
    /// `host:port`.
    pub server: String,
    /// The epoch at enrolment; the replica knows the present one.
    pub epoch: u32,
    /// SHA-256 of the authority's certificate; a folder of an earlier release does not say it.
    pub authority_sha256: Option<[u8; 32]>,
    /// Ed25519 key that signs the office's log; unknown until a server told it.
    pub log_key: Option<[u8; 32]>,
}

/// The office and the log key of the device in a folder, if one is there and knows them. The device is not opened.
///
/// # Errors
/// Integrity `IDENTITY_DAMAGED`; Failed `IO_FAILED`.
pub fn pinned_log_key(dir: &Path) -> Result<Option<LogKey>, ClientError> {
    let home = Home::new(dir);
    if !home.is_enrolled() {
        return Ok(None);
    }
    let Identity { office, log_key, .. } = home.read_identity()?;
    let key = log_key.and_then(|key| VerifyingKey::from_bytes(&key).ok());
    Ok(key.map(|key| LogKey { office, key }))
}

/// The files of a device's folder.
#[derive(Clone, Debug)]
pub(super) struct Home {
    dir: PathBuf,
}

impl Home {
    pub(super) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    fn identity(&self) -> PathBuf {
        self.dir.join("identity.json")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("key")
    }

    fn authority(&self) -> PathBuf {
        self.dir.join("authority.pem")
    }

    pub(super) fn feed(&self) -> PathBuf {
        self.dir.join("feed")
    }

    pub(super) fn replica(&self) -> PathBuf {
        self.dir.join("replica")
    }

    /// A cache of the replica.
    pub(super) fn index(&self) -> PathBuf {
        self.dir.join("index")
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }

    fn directory(&self) -> PathBuf {
        self.dir.join("directory.json")
    }

    fn contact(&self) -> PathBuf {
        self.dir.join("contact.json")
    }

    fn standing(&self) -> PathBuf {
        self.dir.join("standing.json")
    }

    /// What an enrolment needs again when its answer was lost; removed when it is done.
    fn enrolling(&self) -> PathBuf {
        self.dir.join("enrolling.json")
    }

    /// Everything that makes the folder a device, its identity first.
    pub(super) fn files(&self) -> [PathBuf; 11] {
        [
            self.identity(),
            self.key(),
            self.authority(),
            self.enrolling(),
            self.directory(),
            self.contact(),
            self.standing(),
            self.checkpoint(),
            self.feed(),
            self.replica(),
            self.index(),
        ]
    }

    /// True when an enrolment was completed here.
    pub(super) fn is_enrolled(&self) -> bool {
        self.identity().exists()
    }

    /// Makes the folder, durably and for its owner alone.
    pub(super) fn create(&self) -> Result<(), ClientError> {
        Disk::default().private_folder(&self.dir).map_err(|error| match error {
            renaksi_ledger::Error::Io { action, path, source } => storage(action, &path)(source),
            other => unreachable!("BUG: a disk has no log that could be wrong: {other}"),
        })
    }

    /// Reads who this device is.
    pub(super) fn read_identity(&self) -> Result<Identity, ClientError> {
        let path = self.identity();
        let Some(bytes) = read_optional(&path)? else {
            return Err(ClientError::NotUnderstood(
                Rejected::new("NOT_ENROLLED").with("home", self.dir.display()),
            ));
        };
        let value: Option<Value> = serde_json::from_slice(&bytes).ok();
        value.as_ref().and_then(identity_from).ok_or_else(|| {
            ClientError::Integrity(Rejected::new("IDENTITY_DAMAGED").with("file", path.display()))
        })
    }

    /// Writes who this device is. From here on the folder is a device.
    pub(super) fn write_identity(&self, identity: &Identity) -> Result<(), ClientError> {
        write_durable(&self.identity(), &pretty(&identity_to(identity)), 0o600)?;
        let enrolling = self.enrolling();
        match fs::remove_file(&enrolling) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(storage("remove", &enrolling)(error))
            }
            _ => sync_dir(&self.dir),
        }
    }

    pub(super) fn read_key(&self) -> Result<SigningKey, ClientError> {
        let path = self.key();
        let seed: Option<[u8; 32]> = read_optional(&path)?.and_then(|bytes| bytes.try_into().ok());
        seed.map(|seed| SigningKey::from_bytes(&seed))
            .ok_or_else(|| ClientError::Integrity(Rejected::new("KEY_DAMAGED").with("file", path.display())))
    }

    /// The key and incarnation of an enrolment whose answer was lost. The same device can answer its invite again.
    pub(super) fn interrupted_enrolment(&self) -> Result<Option<(SigningKey, Uuid)>, ClientError> {
        if let (Some(bytes), true) = (read_optional(&self.enrolling())?, self.key().exists()) {
            let value: Option<Value> = serde_json::from_slice(&bytes).ok();
            if let Some(incarnation) = value.as_ref().and_then(|value| uuid_in(value, "incarnation")) {
                return Ok(Some((self.read_key()?, incarnation)));
            }
        }
        Ok(None)
    }

    /// A fresh key and incarnation. Both are durable before the invite is answered.
    pub(super) fn fresh_enrolment(&self) -> Result<(SigningKey, Uuid), ClientError> {
        let key = SigningKey::from_bytes(&random()?);
        let incarnation = uuid::Builder::from_random_bytes(random()?).into_uuid();
        write_durable(&self.key(), &key.to_bytes(), 0o600)?;
        write_durable(&self.enrolling(), &pretty(&json!({ "incarnation": incarnation.to_string() })), 0o600)?;
        Ok((key, incarnation))
    }

    /// Takes back what an enrolment that the server declined for good had written; the folder too, when it is empty.
    pub(super) fn forget_enrolment(&self) -> Result<(), ClientError> {
        assert!(!self.is_enrolled(), "BUG: {} is a device", self.dir.display());
        for path in [self.enrolling(), self.key(), self.authority()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(storage("remove", &path)(error));
                }
                _ => {}
            }
        }
        // Whatever else lies in it is not ours.
        let _ = fs::remove_dir(&self.dir);
        Ok(())
    }

    /// The certificate that this device trusts, if it is the one that its invite named.
    pub(super) fn read_authority(
        &self,
        sha256: Option<[u8; 32]>,
    ) -> Result<CertificateDer<'static>, ClientError> {
        let path = self.authority();
        let damaged = || {
            let cause = Rejected::new("AUTHORITY_DAMAGED").with("file", path.display());
            ClientError::Integrity(match sha256 {
                Some(sha256) => cause.with("fingerprint", hex(&sha256)),
                None => cause,
            })
        };
        let pem = read_optional(&path)?.ok_or_else(damaged)?;
        let authority = CertificateDer::from_pem_slice(&pem).map_err(|_| damaged())?;
        match sha256 {
            Some(sha256) if Sha256::digest(&authority).as_slice() != sha256 => Err(damaged()),
            _ => Ok(authority),
        }
    }

    pub(super) fn write_authority(&self, der: &CertificateDer<'_>) -> Result<(), ClientError> {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        for (index, character) in text.chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(character);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
        write_durable(&self.authority(), pem.as_bytes(), 0o600)
    }

    /// The newest checkpoint, as it was signed.
    pub(super) fn read_checkpoint(&self) -> Result<Option<String>, ClientError> {
        let bytes = read_optional(&self.checkpoint())?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Names of people; a damaged file reads as none, and the server sends them again.
    pub(super) fn read_directory(&self) -> Result<Directory, ClientError> {
        let value: Option<Value> =
            read_optional(&self.directory())?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let read = value.as_ref().and_then(|value| {
            let people = value.get("people")?.as_object()?.iter();
            let names = people.map(|(id, name)| Some((id.parse().ok()?, name.as_str()?.to_owned())));
            let directory = Directory { names: names.collect::<Option<_>>()? };
            (value.get("digest")?.as_str()? == hex(&directory.digest())).then_some(directory)
        });
        Ok(read.unwrap_or_default())
    }

    pub(super) fn write_directory(&self, directory: &Directory) -> Result<(), ClientError> {
        let people: serde_json::Map<String, Value> =
            directory.names.iter().map(|(id, name)| (id.to_string(), name.as_str().into())).collect();
        let value = json!({ "digest": hex(&directory.digest()), "people": people });
        write_durable(&self.directory(), &pretty(&value), 0o600)
    }

    /// When the server was last reached; unknown when the file is not there or not readable.
    pub(super) fn read_contact(&self) -> Contact {
        let value: Option<Value> =
            fs::read(self.contact()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let number = |name: &str| value.as_ref()?.get(name)?.as_i64();
        Contact { last_contact: number("last_contact_us").map(Timestamp), skew_ms: number("skew_ms") }
    }

    /// Best effort: nothing depends on it.
    pub(super) fn write_contact(&self, contact: Contact) {
        let value =
            json!({ "last_contact_us": contact.last_contact.map(|t| t.0), "skew_ms": contact.skew_ms });
        let path = self.contact();
        let unfinished = unfinished(&path);
        let written = fs::write(&unfinished, pretty(&value)).and_then(|()| fs::rename(&unfinished, &path));
        if let Err(error) = written {
            tracing::debug!(%error, "the time of the last contact was not kept");
        }
    }

    /// What the server last said of this device; a file that cannot be read says nothing, and the next sync learns it anew.
    pub(super) fn read_standing(&self) -> Standing {
        let value: Option<Value> =
            fs::read(self.standing()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        value.as_ref().and_then(Standing::from_json).unwrap_or_default()
    }

    pub(super) fn write_standing(&self, standing: &Standing) -> Result<(), ClientError> {
        write_durable(&self.standing(), &pretty(&standing.to_json()), 0o600)
    }

    /// Takes a log's folder out of the way, whole. It is never deleted by us.
    pub(super) fn set_aside(&self, folder: &Path) -> Result<PathBuf, ClientError> {
        let name =
            folder.file_name().map_or_else(Default::default, |name| name.to_string_lossy().into_owned());
        let free =
            (1u32..).map(|n| self.dir.join(format!("{name}-set-aside-{n}"))).find(|path| !path.exists());
        let aside = free.unwrap_or_else(|| self.dir.join(format!("{name}-set-aside")));
        fs::rename(folder, &aside).map_err(storage("set aside", folder))?;
        sync_dir(&self.dir)?;
        Ok(aside)
    }
}

/// Names of people, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    names: BTreeMap<u32, String>,
}

impl Directory {
    pub(super) fn from_page(page: wire::Directory) -> Self {
        Self { names: page.people.into_iter().map(|person| (person.person, person.name)).collect() }
    }

    pub(super) fn name(&self, person: PersonId) -> Option<&str> {
        self.names.get(&person.0).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// As the server computes it: SHA-256 over the message in the order of ids.
    pub(super) fn digest(&self) -> [u8; 32] {
        let people =
            self.names.iter().map(|(person, name)| wire::PersonName { person: *person, name: name.clone() });
        Sha256::digest(wire::Directory { people: people.collect() }.encode_to_vec()).into()
    }
}

fn identity_to(identity: &Identity) -> Value {
    json!({
        "office": identity.office.to_string(),
        "office_name": identity.office_name,
        "rehearsal": identity.rehearsal,
        "person": identity.person.0,
        "person_name": identity.person_name,
        "device": identity.device.0,
        "origin": identity.origin.0,
        "incarnation": identity.incarnation.to_string(),
        "server": identity.server,
        "epoch": identity.epoch,
        "authority": "authority.pem",
        "authority_sha256": identity.authority_sha256.map(|digest| hex(&digest)),
        "log_key": identity.log_key.map(|key| hex(&key)),
    })
}

fn identity_from(value: &Value) -> Option<Identity> {
    let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
    let number = |name: &str| u32::try_from(value.get(name)?.as_u64()?).ok();
    Some(Identity {
        office: uuid_in(value, "office")?,
        office_name: text("office_name")?,
        rehearsal: value.get("rehearsal")?.as_bool()?,
        person: PersonId(number("person")?),
        person_name: text("person_name")?,
        device: DeviceId(number("device")?),
        origin: Origin(number("origin")?),
        incarnation: uuid_in(value, "incarnation")?,
        server: text("server")?,
        epoch: number("epoch")?,
        authority_sha256: optional_digest(value, "authority_sha256")?,
        log_key: optional_digest(value, "log_key")?,
    })
}

/// None when it is there and not 64 hexadecimal digits.
fn optional_digest(value: &Value, name: &str) -> Option<Option<[u8; 32]>> {
    match value.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(digest) => digest_from(digest.as_str()?).map(Some),
    }
}

fn uuid_in(value: &Value, name: &str) -> Option<Uuid> {
    Uuid::parse_str(value.get(name)?.as_str()?).ok()
}

fn pretty(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// Writes a whole file, or leaves the one that was there. Durable when this returns.
pub(crate) fn write_durable(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ClientError> {
    let unfinished = unfinished(path);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    let write = |mut file: File| file.write_all(bytes).and_then(|()| file.sync_all());
    options.open(&unfinished).and_then(write).map_err(storage("write", &unfinished))?;
    fs::rename(&unfinished, path).map_err(storage("write", path))?;
    match path.parent() {
        // A bare name stands in the folder we are in.
        Some(parent) if parent.as_os_str().is_empty() => sync_dir(Path::new(".")),
        Some(parent) => sync_dir(parent),
        None => Ok(()),
    }
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, ClientError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(storage("read", path)(error)),
    }
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), ClientError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(storage("make durable", dir))
}

/// The operating system refused.
pub(super) fn storage(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ClientError {
    let path = path.display().to_string();
    move |error| {
        ClientError::Failed(
            Rejected::new("IO_FAILED").with("path", path).with("action", action).with("cause", error),
        )
    }
}

/// An error with all its causes, on one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Fresh random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], ClientError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| ClientError::Failed(Rejected::new("NO_RANDOMNESS").with("cause", error)))?;
    Ok(bytes)
}

/// Reads 64 hexadecimal digits.
pub(super) fn digest_from(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
