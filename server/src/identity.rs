//! Who calls. A device proves its key on the first call of a session and is given a short token for the next ones; the
//! proof costs no round trip of its own. Revocation works at the next call, token or not.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use renaksi_domain::ids::{DeviceId, Origin, PersonId};
use renaksi_domain::people::People;
use renaksi_proto::agreed::{SESSION_KEY, TOKEN_KEY, hex};
use renaksi_proto::chain::verify_session;
use tonic::Response;
use tonic::metadata::MetadataMap;
use uuid::Uuid;

use crate::office::Shared;
use crate::status::Fault;

/// How long a token serves.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// Nonces remembered; a proof is bound to this server, and TLS keeps it from others.
const NONCES_MAX: usize = 100_000;
const SESSION_BYTES: usize = 16 + 4 + 16 + 64;

/// Who made a call.
#[derive(Clone, Debug)]
pub struct Caller {
    pub device: DeviceId,
    pub person: PersonId,
    /// Its device is revoked: it may only hand in what it holds.
    pub revoked: bool,
    token: Option<String>,
}

impl Caller {
    /// Puts a new token into the answer of a session's first call.
    pub fn stamp<T>(&self, mut response: Response<T>) -> Response<T> {
        if let Some(value) = self.token.as_ref().and_then(|token| token.parse().ok()) {
            response.metadata_mut().insert(TOKEN_KEY, value);
        }
        response
    }

    /// Refuses what a revoked device may not do.
    pub fn unrevoked(&self) -> Result<(), Fault> {
        match self.revoked {
            true => Err(Fault::denied("DEVICE_REVOKED").with("device", self.device)),
            false => Ok(()),
        }
    }

    /// Who may hand in an incarnation's work: anybody may carry it, but a revoked device only its own.
    pub fn may_carry(&self, people: &People, origin: Origin) -> Result<(), Fault> {
        match people.incarnation(origin) {
            Some(incarnation) if incarnation.device == self.device => Ok(()),
            _ => self.unrevoked(),
        }
    }
}

#[derive(Debug)]
struct Session {
    office: Uuid,
    device: DeviceId,
    until: Instant,
}

/// Open sessions, of all offices: they outlive the opening and closing of an office.
#[derive(Debug)]
pub struct Gate {
    authority: [u8; 32],
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<String, Session>,
    nonces: HashSet<[u8; 16]>,
}

impl Gate {
    /// A gate without sessions.
    pub fn new(authority: [u8; 32]) -> Self {
        Self { authority, open: Mutex::default() }
    }

    /// The office that a call is for: its token's, or the one that its proof names. Nothing of a proof is believed yet.
    pub fn office_of(&self, metadata: &MetadataMap) -> Result<Uuid, Fault> {
        match Shown::read(metadata)? {
            Shown::Token(token) => self.of_token(token).map(|(office, _)| office),
            Shown::Proof(proof) => Ok(Uuid::from_bytes(std::array::from_fn(|index| proof[index]))),
        }
    }

    /// Who calls that office, by token or by proof.
    pub fn admit(&self, metadata: &MetadataMap, shared: &Shared) -> Result<Caller, Fault> {
        let (device, new_token) = match Shown::read(metadata)? {
            Shown::Token(token) => match self.of_token(token)? {
                (office, device) if office == shared.id.office => (device, None),
                _ => return Err(Fault::unauthenticated("TOKEN_EXPIRED")),
            },
            Shown::Proof(proof) => {
                let (device, nonce) = self.proven(&proof, shared)?;
                (device, Some(self.open_session(shared.id.office, device, nonce)?))
            }
        };
        let people = shared.people();
        let known = people.device(device).ok_or_else(|| Fault::unauthenticated("UNKNOWN_DEVICE"))?;
        Ok(Caller { device, person: known.owner, revoked: known.revoked.is_some(), token: new_token })
    }

    fn of_token(&self, token: &str) -> Result<(Uuid, DeviceId), Fault> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.sessions.get(token) {
            Some(session) if session.until > Instant::now() => Ok((session.office, session.device)),
            _ => Err(Fault::unauthenticated("TOKEN_EXPIRED")),
        }
    }

    fn proven(&self, proof: &[u8; SESSION_BYTES], shared: &Shared) -> Result<(DeviceId, [u8; 16]), Fault> {
        let invalid = || Fault::unauthenticated("PROOF_INVALID");
        let office = shared.id.office;
        if proof[..16] != *office.as_bytes() {
            return Err(invalid());
        }
        let device = u32::from_be_bytes(proof[16..20].try_into().map_err(|_| invalid())?);
        let nonce: [u8; 16] = proof[20..36].try_into().map_err(|_| invalid())?;
        let people = shared.people();
        let known =
            people.device(DeviceId(device)).ok_or_else(|| Fault::unauthenticated("UNKNOWN_DEVICE"))?;
        match verify_session(&known.key, &proof[36..], office, &self.authority, device, &nonce) {
            true => Ok((DeviceId(device), nonce)),
            false => Err(invalid()),
        }
    }

    fn open_session(&self, office: Uuid, device: DeviceId, nonce: [u8; 16]) -> Result<String, Fault> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| Fault::internal(&error))?;
        let token = hex(&random);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.nonces.len() >= NONCES_MAX {
            open.nonces.clear();
        }
        if !open.nonces.insert(nonce) {
            return Err(Fault::unauthenticated("PROOF_REPLAYED"));
        }
        let now = Instant::now();
        open.sessions.retain(|_, session| session.until > now);
        open.sessions.insert(token.clone(), Session { office, device, until: now + TOKEN_LIFE });
        Ok(token)
    }
}

/// What a call shows of who makes it.
enum Shown<'a> {
    Token(&'a str),
    Proof([u8; SESSION_BYTES]),
}

impl Shown<'_> {
    fn read(metadata: &MetadataMap) -> Result<Shown<'_>, Fault> {
        let token =
            metadata.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        match (token, metadata.get_bin(SESSION_KEY)) {
            (_, Some(proof)) => {
                let bytes = proof.to_bytes().ok().and_then(|bytes| bytes.as_ref().try_into().ok());
                bytes.map(Shown::Proof).ok_or_else(|| Fault::unauthenticated("PROOF_INVALID"))
            }
            (Some(token), None) => Ok(Shown::Token(token)),
            (None, None) => Err(Fault::unauthenticated("PROOF_MISSING")),
        }
    }
}

#[cfg(test)]
mod tests {
    use renaksi_domain::people::{Device, Incarnation};

    use super::*;

    #[test]
    fn a_revoked_device_hands_in_its_own_work_only() {
        let device =
            |owner| Device { owner: PersonId(owner), key: [0; 32], revoked: None, after_revocation: 0 };
        let incarnation = |number| Incarnation {
            device: DeviceId(number),
            uuid: Uuid::from_u128(u128::from(number)),
            enrolled: 0,
            last_sequence: 0,
            last_time: renaksi_domain::time::Timestamp(0),
        };
        let people = People {
            devices: vec![device(1), device(2)],
            incarnations: vec![incarnation(1), incarnation(2)],
            ..People::default()
        };
        let mut caller = Caller { device: DeviceId(1), person: PersonId(1), revoked: true, token: None };
        assert!(caller.may_carry(&people, Origin(1)).is_ok());
        for other in [2, 3] {
            assert_eq!(caller.may_carry(&people, Origin(other)).unwrap_err().code(), "DEVICE_REVOKED");
        }
        caller.revoked = false;
        assert!(caller.may_carry(&people, Origin(2)).is_ok());
    }
}
