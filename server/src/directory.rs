//! Names of people. They lie beside the log, keyed by id, so that they can be changed or forgotten without touching it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use prost::Message;
use renaksi_domain::ids::PersonId;
use renaksi_proto::wire;
use sha2::{Digest, Sha256};

use crate::data::{read_json, write_json};
use crate::error::ServerError;

/// The office's directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
    names: BTreeMap<u32, String>,
}

impl Directory {
    /// Reads the directory; an office without one has an empty one.
    pub fn open(path: PathBuf) -> Result<Self, ServerError> {
        let names = read_json(&path)?.unwrap_or_default();
        Ok(Self { path, names })
    }

    /// The person of a name, case and surrounding blanks ignored.
    pub fn person(&self, name: &str) -> Option<PersonId> {
        let wanted = name.trim().to_lowercase();
        self.names.iter().find(|(_, known)| known.to_lowercase() == wanted).map(|(id, _)| PersonId(*id))
    }

    /// The name of a person; empty when it is not known or was erased.
    pub fn name(&self, person: PersonId) -> &str {
        self.names.get(&person.0).map_or("", String::as_str)
    }

    /// Gives a person a name; durable when this returns.
    pub fn set(&mut self, person: PersonId, name: &str) -> Result<(), ServerError> {
        self.names.insert(person.0, name.trim().to_owned());
        write_json(&self.path, &self.names)
    }

    /// The directory as devices receive it.
    pub fn message(&self) -> wire::Directory {
        let people =
            self.names.iter().map(|(person, name)| wire::PersonName { person: *person, name: name.clone() });
        wire::Directory { people: people.collect() }
    }

    /// SHA-256 over the message's bytes: a device that shows it needs no copy.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.message().encode_to_vec()).into()
    }
}
