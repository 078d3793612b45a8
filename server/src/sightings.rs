//! When each device last synchronised. Only shown, never decided on: an administrator who is about to lock a quarter sees
//! whose work may still be in the field. Kept beside the log and written behind; what is lost is what the log says anyway.

use std::collections::BTreeMap;
use std::path::PathBuf;

use renaksi_domain::State;
use renaksi_domain::ids::DeviceId;
use renaksi_domain::time::Timestamp;
use renaksi_proto::wire;

use crate::data::{read_json, write_json};

/// How often they are written at most, while the server runs.
const WRITE_EVERY_MICROS: i64 = 60_000_000;

/// The last time each device asked for the log: it had brought what it held by then.
#[derive(Debug)]
pub struct Sightings {
    path: PathBuf,
    /// By device, in microseconds since 1970.
    seen: BTreeMap<u32, i64>,
    written: Timestamp,
    changed: bool,
}

impl Sightings {
    /// Reads what was kept. A file that cannot be read is as good as none.
    pub fn open(path: PathBuf) -> Sightings {
        let seen = read_json(&path).unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "when devices were seen is lost");
            None
        });
        Sightings { path, seen: seen.unwrap_or_default(), written: Timestamp(0), changed: false }
    }

    /// A device was here.
    pub fn note(&mut self, device: DeviceId, now: Timestamp) {
        let last = self.seen.entry(device.0).or_default();
        *last = (*last).max(now.0);
        self.changed = true;
        if now.0 - self.written.0 >= WRITE_EVERY_MICROS {
            self.written = now;
            self.write();
        }
    }

    /// Writes what is new. A failure loses no more than the sightings.
    pub fn write(&mut self) {
        if std::mem::take(&mut self.changed)
            && let Err(error) = write_json(&self.path, &self.seen)
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "when devices were seen is not kept");
        }
    }

    /// Every device with the last time that anything was known of it: a synchronisation here, or a record of its own.
    pub fn list(&self, state: &State) -> Vec<wire::DeviceView> {
        let recorded = |device: DeviceId| {
            let own = state.people.incarnations.iter().filter(|incarnation| incarnation.device == device);
            own.map(|incarnation| incarnation.last_time.0).max().unwrap_or(0)
        };
        let view = |(number, known): (u32, &renaksi_domain::people::Device)| wire::DeviceView {
            device: number,
            owner: known.owner.0,
            last_seen_us: recorded(DeviceId(number)).max(self.seen.get(&number).copied().unwrap_or(0)),
            revoked: known.revoked.is_some(),
        };
        (1..).zip(&state.people.devices).map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use renaksi_domain::ids::PersonId;
    use renaksi_domain::people::{Device, Incarnation};

    use super::*;

    fn office() -> State {
        let mut state = State::default();
        for number in 1..=2 {
            let owner = PersonId(number);
            state.people.devices.push(Device { owner, key: [0; 32], revoked: None, after_revocation: 0 });
            state.people.incarnations.push(Incarnation {
                device: DeviceId(number),
                uuid: uuid::Uuid::from_u128(number.into()),
                enrolled: 0,
                last_sequence: 1,
                last_time: Timestamp(i64::from(number) * 1_000),
            });
        }
        state
    }

    #[test]
    fn a_device_is_as_recent_as_its_last_record_or_its_last_visit_and_a_restart_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seen.json");
        let seen = |sightings: &Sightings| {
            sightings.list(&office()).iter().map(|view| view.last_seen_us).collect::<Vec<_>>()
        };
        let mut sightings = Sightings::open(path.clone());
        assert_eq!(seen(&sightings), [1_000, 2_000]);
        sightings.note(DeviceId(1), Timestamp(5_000));
        sightings.note(DeviceId(2), Timestamp(500));
        assert_eq!(seen(&sightings), [5_000, 2_000]);
        sightings.write();
        assert_eq!(seen(&Sightings::open(path.clone())), [5_000, 2_000]);
        // What cannot be read is as good as none.
        std::fs::write(&path, "[").unwrap();
        assert_eq!(seen(&Sightings::open(path)), [1_000, 2_000]);
    }
}
