//! A data folder with many offices, each with the same year of work in its own log. Written through the ledger and not
//! through a server: that would take hours.

use std::fs;
use std::path::Path;

use renaksi_domain::command::{Command, Record};
use renaksi_domain::hash::state_hash;
use renaksi_domain::ids::Origin;
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::{FOLD_VERSION, Outcome};
use renaksi_ledger::{Entry, Head, Log, LogId, LogKind, NewSnapshot, Snapshots};
use renaksi_proto::chain::ChainHash;
use renaksi_proto::convert::{command_leaf, encode_record};
use renaksi_proto::fold::Fold;
use renaksi_proto::log::Texts;
use renaksi_proto::snapshot;
use uuid::Uuid;

use crate::history::office_log;

/// Records of one commit.
const COMMIT_RECORDS: usize = 1_000;

/// What every office is made of.
pub struct Mould {
    founding: Record,
    /// Every leaf but the first.
    leaves: Vec<Vec<u8>>,
    fold: Fold,
}

impl Mould {
    /// Makes the records once.
    pub fn new(records: usize, key: [u8; 32]) -> Mould {
        let records = office_log(records, key);
        let mut fold = Fold::default();
        let leaves: Vec<Vec<u8>> = records.iter().map(leaf).collect();
        leaves.iter().for_each(|leaf| drop(fold.absorb(leaf).expect("our own records")));
        let founding = records.into_iter().next().expect("an office is founded");
        Mould { founding, leaves: leaves.into_iter().skip(1).collect(), fold }
    }

    /// How far a device has come: its last sequence, and the chain after it.
    pub fn device(&self, origin: Origin) -> (u32, ChainHash) {
        let known = self.fold.state.people.incarnation(origin).expect("the mould has this device");
        (known.last_sequence, *self.fold.chain(origin).expect("each incarnation has a chain"))
    }

    /// Writes one office as a clean stop leaves it.
    pub fn write(&self, offices: &Path, id: Uuid) {
        let folder = offices.join(id.to_string());
        office_files(&folder, id);
        let log_id = LogId { office: id, kind: LogKind::Office };
        let mut log = Log::create(&folder.join("log"), log_id, 1).expect("a log");
        let first = leaf(&self.founded_as(id));
        let all: Vec<Entry> = [&first]
            .into_iter()
            .chain(&self.leaves)
            .map(|leaf| Entry { leaf: leaf.clone(), aside: Vec::new() })
            .collect();
        for commit in all.chunks(COMMIT_RECORDS) {
            log.append(commit).expect("a commit");
        }
        let head = log.head();
        log.close().expect("a clean stop");
        let mut fold = self.fold.clone();
        fold.state.office.as_mut().expect("it is founded").office = id;
        put_snapshot(&folder, log_id, head, &fold);
    }

    fn founded_as(&self, id: Uuid) -> Record {
        let mut record = self.founding.clone();
        assert!(matches!(record.outcome, Outcome::Recorded(_)));
        match &mut record.envelope.command {
            Command::People(PeopleCommand::FoundOffice(found)) => found.office = id,
            other => panic!("an office begins with its founding, not with {other:?}"),
        }
        record
    }
}

/// The folder of an office, and the small files in it.
pub fn office_files(folder: &Path, id: Uuid) {
    fs::create_dir_all(folder).expect("a folder");
    let file =
        serde_json::json!({ "office": id.to_string(), "name": format!("Dinas {id}"), "rehearsal": false });
    fs::write(folder.join("office.json"), file.to_string()).expect("a file");
    fs::write(folder.join("due.json"), r#"{"due_us":null}"#).expect("a file");
}

/// The state at the log's end, as a clean stop keeps it.
pub fn put_snapshot(folder: &Path, id: LogId, head: Head, fold: &Fold) {
    let new = NewSnapshot {
        position: head.size,
        root: head.root,
        fold_version: FOLD_VERSION,
        state_hash: state_hash(&fold.state),
        payload: &snapshot::encode(fold),
    };
    Snapshots::open(&folder.join("snapshots"), id).expect("a folder").put(new).expect("a snapshot");
}

fn leaf(record: &Record) -> Vec<u8> {
    let command = command_leaf(&record.envelope.command, record.time, &Texts::default(), [0; 16]);
    encode_record(record, &command.leaf, None, None)
}
