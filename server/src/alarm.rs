//! What is due by itself, in all offices. One alarm rings for all of them (see [`crate::offices`]), also for those that
//! are closed: beside its log each keeps a note of its next due time, so that nobody opens it to ask.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use renaksi_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::data::{Data, read_json, write_json};

/// When each office has something to record by itself.
#[derive(Debug, Default)]
pub struct Alarms(Mutex<HashMap<Uuid, Timestamp>>);

impl Alarms {
    /// Nothing is due before `due` in that office; `None`: nothing is due at all.
    pub fn set(&self, office: Uuid, due: Option<Timestamp>) {
        match due {
            Some(due) => self.lock().insert(office, due),
            None => self.lock().remove(&office),
        };
    }

    /// The next due time of an office.
    pub fn of(&self, office: Uuid) -> Option<Timestamp> {
        self.lock().get(&office).copied()
    }

    /// Every office that has one.
    pub fn all(&self) -> Vec<(Uuid, Timestamp)> {
        self.lock().iter().map(|(office, due)| (*office, *due)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `due.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// Microseconds since 1970; none where nothing is due.
    due_us: Option<i64>,
}

impl Note {
    fn of(due: Option<Timestamp>) -> Note {
        Note { due_us: due.map(|due| due.0) }
    }

    /// True when an alarm set by `self` rings in time for `other`.
    fn in_time_for(self, other: Note) -> bool {
        match (self.due_us, other.due_us) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(other)) => own <= other,
        }
    }
}

/// When a closed office is next due, as its note has it. Without a note nobody knows, and it is due to be opened.
pub fn noted(data: &Data) -> Option<Timestamp> {
    read(data.office("due.json")).map_or(Some(Timestamp(i64::MIN)), |note| note.due_us.map(Timestamp))
}

fn read(path: PathBuf) -> Option<Note> {
    // One that cannot be read is as good as none: the office is opened, and writes it anew.
    read_json(&path).ok().flatten()
}

/// An office's own hand on the alarms. The writer has it.
///
/// *Invariant*: the note is never later than what the log says, whenever we crash.
#[derive(Debug)]
pub struct Alarm {
    alarms: Arc<Alarms>,
    office: Uuid,
    path: PathBuf,
    note: Option<Note>,
}

impl Alarm {
    /// The alarm of an office of a data folder.
    pub fn new(alarms: Arc<Alarms>, office: Uuid, data: &Data) -> Alarm {
        let path = data.office("due.json");
        Alarm { alarms, office, note: read(path.clone()), path }
    }

    /// A commit is about to be durable, after which `due` is the next time.
    pub fn before(&mut self, due: Option<Timestamp>) {
        let next = Note::of(due);
        if self.note.is_some_and(|note| !note.in_time_for(next)) {
            self.write(next);
        }
    }

    /// The log says that `due` is the next time.
    pub fn after(&mut self, due: Option<Timestamp>) {
        let next = Note::of(due);
        if self.note != Some(next) {
            self.write(next);
        }
        self.alarms.set(self.office, due);
    }

    fn write(&mut self, note: Note) {
        match write_json(&self.path, &note) {
            Ok(()) => self.note = Some(note),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "when the office is next due is not noted"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_note_is_never_later_than_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let (alarms, office) = (Arc::<Alarms>::default(), Uuid::from_u128(1));
        let data = Data::new(dir.path());
        let time = |us| Some(Timestamp(us));
        assert_eq!(noted(&data), time(i64::MIN), "nobody knows");
        let mut alarm = Alarm::new(Arc::clone(&alarms), office, &data);
        // (due before the commit, as it is noted while the commit is under way)
        alarm.after(None);
        for (due, meanwhile) in
            [(time(50), time(50)), (time(20), time(20)), (time(90), time(20)), (None, time(90))]
        {
            alarm.before(due);
            assert_eq!(noted(&data), meanwhile);
            alarm.after(due);
            assert_eq!((noted(&data), alarms.of(office)), (due, due));
        }
        std::fs::write(data.office("due.json"), "{half").unwrap();
        assert_eq!(noted(&data), time(i64::MIN));
    }
}
