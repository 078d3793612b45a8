//! The hashes and signatures that bind a device's work: the chain over its commands, the signature of a push, and the
//! commitment to texts that may have to be forgotten.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use prost::Message;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::log;

/// The hash over an incarnation's commands up to one of them.
pub type ChainHash = [u8; 32];

/// The chain before the first command of an incarnation.
pub fn start(incarnation: Uuid) -> ChainHash {
    digest(&[b"renaksi chain v1", incarnation.as_bytes()])
}

/// The chain after one more command leaf.
pub fn link(previous: &ChainHash, command_leaf: &[u8]) -> ChainHash {
    digest(&[previous, command_leaf])
}

/// What a push signs: this office, this incarnation, this many commands, this chain.
fn push_message(office: Uuid, incarnation: Uuid, sequence: u32, chain: &ChainHash) -> Vec<u8> {
    [b"renaksi push v1".as_slice(), office.as_bytes(), incarnation.as_bytes(), &sequence.to_be_bytes(), chain]
        .concat()
}

/// Signs the chain head of a push.
pub fn sign_push(
    key: &SigningKey,
    office: Uuid,
    incarnation: Uuid,
    sequence: u32,
    chain: &ChainHash,
) -> Vec<u8> {
    key.sign(&push_message(office, incarnation, sequence, chain)).to_bytes().to_vec()
}

/// True when the device of `key` signed that chain head.
pub fn verify_push(
    key: &[u8; 32],
    signature: &[u8],
    office: Uuid,
    incarnation: Uuid,
    sequence: u32,
    chain: &ChainHash,
) -> bool {
    verify(key, signature, &push_message(office, incarnation, sequence, chain))
}

/// SHA-256 of an invite's code, which is all that is kept of it.
pub fn code_digest(code: &str) -> [u8; 32] {
    digest(&[code.trim().as_bytes()])
}

/// What an enrolling device signs, so that it proves to hold the key it shows: the authority it trusts, the invite it
/// answers, the incarnation it begins.
fn enroll_message(authority: &[u8; 32], code_sha256: &[u8; 32], incarnation: Uuid) -> Vec<u8> {
    [b"renaksi enroll v1".as_slice(), authority, code_sha256, incarnation.as_bytes()].concat()
}

/// Signs the answer to an invite.
pub fn sign_enroll(key: &SigningKey, authority: &[u8; 32], code: &str, incarnation: Uuid) -> Vec<u8> {
    key.sign(&enroll_message(authority, &code_digest(code), incarnation)).to_bytes().to_vec()
}

/// True when the device of `key` answered the invite itself.
pub fn verify_enroll(
    key: &[u8; 32],
    signature: &[u8],
    authority: &[u8; 32],
    code_sha256: &[u8; 32],
    incarnation: Uuid,
) -> bool {
    verify(key, signature, &enroll_message(authority, code_sha256, incarnation))
}

/// What a device signs to open a session: this office, at the server of this certificate authority, once.
fn session_message(office: Uuid, authority: &[u8; 32], device: u32, nonce: &[u8; 16]) -> Vec<u8> {
    [b"renaksi session v1".as_slice(), office.as_bytes(), authority, &device.to_be_bytes(), nonce].concat()
}

/// Signs the first call of a session.
pub fn sign_session(
    key: &SigningKey,
    office: Uuid,
    authority: &[u8; 32],
    device: u32,
    nonce: &[u8; 16],
) -> Vec<u8> {
    key.sign(&session_message(office, authority, device, nonce)).to_bytes().to_vec()
}

/// True when the device of `key` opens a session with this server.
pub fn verify_session(
    key: &[u8; 32],
    signature: &[u8],
    office: Uuid,
    authority: &[u8; 32],
    device: u32,
    nonce: &[u8; 16],
) -> bool {
    verify(key, signature, &session_message(office, authority, device, nonce))
}

fn verify(key: &[u8; 32], signature: &[u8], message: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// What a leaf says of the texts beside it: SHA-256(salt ‖ texts).
pub fn commitment(salt: &[u8; 16], texts: &[u8]) -> [u8; 32] {
    digest(&[salt, texts])
}

/// Reads what lies beside a leaf, if it is what the leaf committed to.
///
/// `None` when there is nothing (no texts, or erased) or when it is not what was committed to.
pub fn open_aside(leaf_commitment: &[u8], aside: &[u8]) -> Option<log::Texts> {
    let aside = log::Aside::decode(aside).ok()?;
    let salt: [u8; 16] = aside.salt.as_slice().try_into().ok()?;
    if commitment(&salt, &aside.texts).as_slice() != leaf_commitment {
        return None;
    }
    log::Texts::decode(aside.texts.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_bound_to_office_incarnation_sequence_and_chain() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let (office, incarnation) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let chain = link(&start(incarnation), b"command");
        let signature = sign_push(&key, office, incarnation, 1, &chain);
        assert!(verify_push(&public, &signature, office, incarnation, 1, &chain));
        assert!(!verify_push(&public, &signature, incarnation, incarnation, 1, &chain));
        assert!(!verify_push(&public, &signature, office, office, 1, &chain));
        assert!(!verify_push(&public, &signature, office, incarnation, 2, &chain));
        assert!(!verify_push(&public, &signature, office, incarnation, 1, &start(incarnation)));
        assert!(!verify_push(&[0; 32], &signature, office, incarnation, 1, &chain));
    }

    #[test]
    fn texts_open_only_under_their_commitment() {
        let texts = log::Texts { place: "Pasar Baru".into(), ..Default::default() }.encode_to_vec();
        let salt = [3; 16];
        let aside = log::Aside { salt: salt.to_vec(), texts: texts.clone() }.encode_to_vec();
        assert_eq!(open_aside(&commitment(&salt, &texts), &aside).unwrap().place, "Pasar Baru");
        assert_eq!(open_aside(&commitment(&[4; 16], &texts), &aside), None);
        assert_eq!(open_aside(&commitment(&salt, &texts), b""), None);
    }
}
