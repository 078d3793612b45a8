//! The data folder: where everything of a server lies.
//!
//! ```text
//! DIR/server.json          which office, which address invites name
//! DIR/authority/           certificate authority and server certificate
//! DIR/office/log/          segments, lock
//! DIR/office/index/        sled, rebuildable
//! DIR/office/snapshots/    folds, rebuildable
//! DIR/office/directory.json   names of people
//! DIR/office/invites.json     open invites
//! DIR/control.sock         while a server runs
//! ```

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use renaksi_ledger::{LogId, LogKind};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ServerError;

/// The data folder.
#[derive(Clone, Debug)]
pub struct Data {
    dir: PathBuf,
}

/// `server.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServerFile {
    /// The office's id.
    #[serde(with = "uuid_text")]
    pub office: Uuid,
    /// A training office, which may play its clock.
    pub rehearsal: bool,
    /// The address that invites name, host:port.
    pub address: String,
}

mod uuid_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use uuid::Uuid;

    pub fn serialize<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Data {
    /// Names a folder; nothing is touched.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The folder itself.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The certificate authority's folder.
    pub fn authority(&self) -> PathBuf {
        self.dir.join("authority")
    }

    /// The socket of a running server.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("control.sock")
    }

    /// A file or folder of the office.
    pub fn office(&self, name: &str) -> PathBuf {
        self.dir.join("office").join(name)
    }

    /// What `init` wrote.
    ///
    /// # Errors
    /// [`ServerError::NoOffice`] when there is none yet.
    pub fn server_file(&self) -> Result<ServerFile, ServerError> {
        read_json(&self.server_path())?.ok_or_else(|| ServerError::NoOffice(self.dir.clone()))
    }

    /// Writes `server.json`; with it an office exists.
    pub fn write_server_file(&self, file: &ServerFile) -> Result<(), ServerError> {
        write_json(&self.server_path(), file)
    }

    fn server_path(&self) -> PathBuf {
        self.dir.join("server.json")
    }

    /// Names the office's log.
    pub fn log_id(office: Uuid) -> LogId {
        LogId { office, kind: LogKind::Office }
    }
}

/// Reads a JSON file; `None` when there is none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ServerError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ServerError::file("read", path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| ServerError::Unreadable {
        path: path.to_owned(),
        what: "JSON of this release",
        cause: error.to_string(),
    })
}

/// Writes a JSON file whole or not at all, readable by its owner only; durable when this returns.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), ServerError> {
    let text = serde_json::to_vec_pretty(value).expect("BUG: our own types have only string keys");
    write_private(path, &text)
}

/// Writes a file whole or not at all, readable by its owner only; durable when this returns.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    use std::os::unix::fs::OpenOptionsExt;
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(ServerError::file("make the folder", parent))?;
    let temporary = path.with_extension("new");
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(ServerError::file("write", &temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(ServerError::file("write", &temporary))?;
    fs::rename(&temporary, path).map_err(ServerError::file("write", path))?;
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(ServerError::file("sync", parent))
}
