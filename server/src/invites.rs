//! Invites: one-time, expiring, bound to a person. Only a hash of the code is kept.

use std::path::PathBuf;

use renaksi_domain::ids::PersonId;
use renaksi_domain::time::{DAY_MICROS, Timestamp};
use renaksi_proto::agreed::hex;
use renaksi_proto::chain::code_digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data::{read_json, write_json};
use crate::error::ServerError;

/// How long an invite may be answered.
pub const VALID_DAYS: i64 = 7;

/// Letters and digits that are not mistaken for each other when read out.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
const CODE_CHARS: usize = 20;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Invite {
    /// Hex SHA-256 of the code.
    code_sha256: String,
    person: u32,
    expires_us: i64,
    /// Hex public key of the device that answered.
    answered_by: Option<String>,
}

/// The office's invites.
#[derive(Clone, Debug)]
pub struct Invites {
    path: PathBuf,
    /// What codes begin with: which office they are for.
    prefix: String,
    open: Vec<Invite>,
}

impl Invites {
    /// Reads the invites. `office` is named in every code; the office that `init` made needs no name.
    pub fn open(path: PathBuf, office: Option<Uuid>) -> Result<Self, ServerError> {
        let open = read_json(&path)?.unwrap_or_default();
        let prefix = office.map_or_else(String::new, |office| format!("{}-", office.simple()));
        Ok(Self { path, prefix, open })
    }

    /// Makes an invite for a person. `random` are fresh random bytes. Answers the code, which is kept nowhere.
    pub fn make(
        &mut self,
        person: PersonId,
        now: Timestamp,
        random: [u8; CODE_CHARS],
    ) -> Result<(String, Timestamp), ServerError> {
        let mut code = self.prefix.clone();
        code.extend(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])));
        let expires = now.plus_micros(VALID_DAYS * DAY_MICROS);
        self.open.retain(|invite| invite.expires_us > now.0);
        self.open.push(Invite {
            code_sha256: hash(&code),
            person: person.0,
            expires_us: expires.0,
            answered_by: None,
        });
        write_json(&self.path, &self.open)?;
        Ok((code, expires))
    }

    /// Whose invite a code is; nothing is taken.
    pub fn person(&self, code: &str) -> Option<PersonId> {
        let wanted = hash(code);
        let invite = self.open.iter().find(|invite| invite.code_sha256 == wanted)?;
        Some(PersonId(invite.person))
    }

    /// Takes an invite for a device, once. The same device may answer again, if the first answer was lost.
    ///
    /// # Errors
    /// The inner error when the code is unknown, expired or was answered by another device.
    pub fn answer(
        &mut self,
        code: &str,
        device_key: &[u8; 32],
        now: Timestamp,
    ) -> Result<Result<PersonId, Refused>, ServerError> {
        let wanted = hash(code);
        let Some(invite) = self.open.iter_mut().find(|invite| invite.code_sha256 == wanted) else {
            return Ok(Err(Refused::Unknown));
        };
        let key = hex(device_key);
        match &invite.answered_by {
            Some(known) if *known != key => return Ok(Err(Refused::Used)),
            None if invite.expires_us <= now.0 => return Ok(Err(Refused::Expired)),
            _ => invite.answered_by = Some(key),
        }
        let person = PersonId(invite.person);
        write_json(&self.path, &self.open)?;
        Ok(Ok(person))
    }
}

/// Why an invite is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Unknown,
    Expired,
    Used,
}

impl Refused {
    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Refused::Unknown => "INVITE_UNKNOWN",
            Refused::Expired => "INVITE_EXPIRED",
            Refused::Used => "INVITE_USED",
        }
    }
}

/// The office that a code names; none where it is for the office that `init` made.
pub fn office_of(code: &str) -> Option<Uuid> {
    code.trim().split_once('-').and_then(|(office, _)| office.parse().ok())
}

fn hash(code: &str) -> String {
    hex(&code_digest(code))
}

/// The text of an invite: address, code, and the fingerprint of the authority to trust.
pub fn text(address: &str, code: &str, fingerprint: &[u8; 32]) -> String {
    format!("renaksi://{address}/{code}#{}", hex(fingerprint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_taken_once_by_one_device_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut invites = Invites::open(dir.path().join("invites.json"), None).unwrap();
        let now = Timestamp(1_000);
        let (code, expires) = invites.make(PersonId(3), now, [5; CODE_CHARS]).unwrap();
        assert_eq!(invites.answer("nonsense", &[1; 32], now).unwrap(), Err(Refused::Unknown));
        assert_eq!(invites.answer(&code, &[1; 32], expires).unwrap(), Err(Refused::Expired));
        assert_eq!(invites.answer(&code, &[1; 32], now).unwrap(), Ok(PersonId(3)));
        let mut reopened = Invites::open(dir.path().join("invites.json"), None).unwrap();
        assert_eq!(reopened.answer(&code, &[1; 32], expires).unwrap(), Ok(PersonId(3)));
        assert_eq!(reopened.answer(&code, &[2; 32], now).unwrap(), Err(Refused::Used));
    }
    #[test]
    fn a_code_names_the_office_that_was_added() {
        let dir = tempfile::tempdir().unwrap();
        let office = Uuid::from_u128(0xA1);
        for named in [None, Some(office)] {
            let mut invites = Invites::open(dir.path().join("invites.json"), named).unwrap();
            let (code, _) = invites.make(PersonId(3), Timestamp(0), [5; CODE_CHARS]).unwrap();
            assert_eq!(office_of(&code), named);
            assert_eq!(invites.person(&code), Some(PersonId(3)));
            // Devices of every release read such a code in an invite.
            assert!(code.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
        }
    }
}
