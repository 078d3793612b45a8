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
//! DIR/offices/ID/          an office that was added: the same, and office.json, which says which one it is
//! DIR/serve.lock           held while a server runs
//! DIR/control.sock         while a server runs
//! ```

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use renaksi_ledger::{Disk, LogId, LogKind, LogReader};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ServerError;

const SERVER_FILE: &str = "server.json";
const LOCK: &str = "serve.lock";
/// Ends the name of a folder in which an office is being made.
const MAKING: &str = "new";

/// The data folder, as one of its offices sees it.
#[derive(Clone, Debug)]
pub struct Data {
    dir: PathBuf,
    /// The folder of an office that was added; None for the one that `init` made.
    added: Option<PathBuf>,
}

/// `office.json` of an office that was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OfficeFile {
    /// The office's id.
    #[serde(with = "uuid_text")]
    pub office: Uuid,
    /// Its name, as its first record has it: read without opening the log.
    pub name: String,
    /// A training office, which may play its clock.
    pub rehearsal: bool,
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
    /// True once the founding record was durable: from then on a log without records is a lost one. Files of older
    /// releases do not say it before the office was opened once.
    #[serde(default)]
    pub founded: bool,
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
    /// Names a folder, seen from the office that `init` made; nothing is touched.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), added: None }
    }

    /// The same folder, seen from an office that was added.
    pub fn added(&self, office: Uuid) -> Self {
        Self { dir: self.dir.clone(), added: Some(self.offices().join(office.to_string())) }
    }

    /// The same folder, seen from an office that is being made. It is none of the folder's until it is renamed.
    pub fn making(&self, office: Uuid) -> Self {
        Self { dir: self.dir.clone(), added: Some(self.offices().join(format!("{office}.{MAKING}"))) }
    }

    /// The same folder, seen from an office that is put together in `folder`, whose name begins with its id.
    pub(crate) fn at(&self, folder: &Path) -> Self {
        Self { dir: self.dir.clone(), added: Some(folder.to_owned()) }
    }

    /// The same folder, seen from the office that `init` made.
    pub fn first(&self) -> Self {
        Self::new(&self.dir)
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

    /// False for the office that `init` made.
    pub fn is_added(&self) -> bool {
        self.added.is_some()
    }

    /// Where the offices lie that were added.
    pub fn offices(&self) -> PathBuf {
        self.dir.join("offices")
    }

    /// The folder of the office.
    pub(crate) fn folder(&self) -> PathBuf {
        self.added.clone().unwrap_or_else(|| self.dir.join("office"))
    }

    /// Whether a server ever ran on the folder.
    pub(crate) fn was_served(&self) -> bool {
        self.dir.join(LOCK).exists()
    }

    /// A file or folder of the office.
    pub fn office(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// What `init` wrote; of an office that was added, with what its own file says.
    ///
    /// # Errors
    /// [`ServerError::NoOffice`] when there is none yet.
    pub fn server_file(&self) -> Result<ServerFile, ServerError> {
        let first: Option<ServerFile> = read_json(&self.dir.join(SERVER_FILE))?;
        let first = first.ok_or_else(|| ServerError::NoOffice(self.dir.clone()))?;
        let Some(folder) = &self.added else { return Ok(first) };
        let own = self.office_file()?;
        let founded = folder.extension().is_none();
        Ok(ServerFile { office: own.office, rehearsal: own.rehearsal, address: first.address, founded })
    }

    /// What an office that was added says about itself.
    pub fn office_file(&self) -> Result<OfficeFile, ServerError> {
        let path = self.server_path();
        let missing = |cause: &str| ServerError::Unreadable {
            path: path.clone(),
            what: "the office's settings",
            cause: cause.to_owned(),
        };
        let own: OfficeFile = read_json(&path)?.ok_or_else(|| missing("it is missing"))?;
        let folder = self.office("");
        let named = folder.file_stem().is_some_and(|name| *name == *own.office.to_string());
        if named { Ok(own) } else { Err(missing("it names another office than its folder")) }
    }

    /// Writes `office.json` of an office that is being made.
    pub fn write_office_file(&self, file: &OfficeFile) -> Result<(), ServerError> {
        write_json(&self.server_path(), file)
    }

    /// Whether the log has an office in it. Without: `init` was cut after it wrote `server.json`, and may go on.
    pub fn is_founded(&self, file: &ServerFile) -> Result<bool, ServerError> {
        let id = Data::log_id(file.office);
        match LogReader::open_read_only(&self.office("log"), &id) {
            Ok(reader) => Ok(reader.head().size > 0),
            Err(renaksi_ledger::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(ServerError::Log { id, source }),
        }
    }

    /// What a log without records means: nothing was founded yet, or what was founded is lost.
    pub fn no_records(&self, file: &ServerFile) -> ServerError {
        match file.founded {
            true => ServerError::LogLost(self.office("log")),
            false => ServerError::NoOffice(self.dir.clone()),
        }
    }

    /// Whether the folder has a log, whatever is in it.
    pub fn has_log(&self) -> bool {
        let names = fs::read_dir(self.office("log")).into_iter().flatten().flatten();
        names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("segment-"))
    }

    /// Writes `server.json`; with the first record after it an office exists.
    pub fn write_server_file(&self, file: &ServerFile) -> Result<(), ServerError> {
        assert!(self.added.is_none(), "BUG: an office that was added has a file of its own");
        write_json(&self.server_path(), file)
    }

    /// The file that says which office this is: `server.json`, or `office.json` of one that was added.
    pub fn server_path(&self) -> PathBuf {
        match &self.added {
            Some(folder) => folder.join("office.json"),
            None => self.dir.join(SERVER_FILE),
        }
    }

    /// Held by the server that runs on the folder, or by a program that makes an office in it.
    ///
    /// # Errors
    /// [`ServerError::InUse`] when another process holds it.
    pub fn lock(&self) -> Result<File, ServerError> {
        let path = self.dir.join(LOCK);
        let file = File::options().create(true).append(true).open(&path);
        let file = file.map_err(ServerError::file("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(ServerError::InUse(self.dir.clone())),
            Err(TryLockError::Error(source)) => Err(ServerError::file("lock", path)(source)),
        }
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

/// Makes a folder, and those above it that are not there, durably and for its owner only. One that is there is left as it
/// is.
pub fn private_folder(path: &Path) -> Result<(), ServerError> {
    Disk::default().private_folder(path).map_err(ServerError::disk)
}

/// Writes a file whole or not at all, readable by its owner only; durable when this returns.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), ServerError> {
    use std::os::unix::fs::OpenOptionsExt;
    let parent = path.parent().unwrap_or(Path::new("."));
    private_folder(parent)?;
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
