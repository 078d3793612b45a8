//! Devices whose work may still be in the field: those that have not synchronised since the quarter ended.

use renaksi_domain::State;
use renaksi_domain::ids::{DeviceId, PersonId};
use renaksi_domain::people::Role;
use renaksi_domain::quarter::PlanQuarter;
use renaksi_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::commands::audit::words::office_time;
use crate::context::Context;
use crate::device::{Device, Sighting};
use crate::text;

/// A device that was not seen since the quarter ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unseen {
    device: DeviceId,
    owner: PersonId,
    /// `None` of a device that never brought anything.
    last_seen: Option<Timestamp>,
}

/// Devices of people who record, unrevoked, last seen before the quarter had ended. The server knows of visits that left no
/// record; where it cannot be asked, the log has to do.
pub(super) async fn devices(device: &Device, about: PlanQuarter) -> Vec<Unseen> {
    let state = &device.view().confirmed;
    let sightings = match device.sightings().await {
        Ok(sightings) => sightings,
        Err(error) => {
            tracing::info!(%error, "only the log tells when devices were seen");
            from_log(state)
        }
    };
    since(state, &sightings, about)
}

fn from_log(state: &State) -> Vec<Sighting> {
    let seen = |device: DeviceId| {
        let own = state.people.incarnations.iter().filter(|incarnation| incarnation.device == device);
        own.map(|incarnation| incarnation.last_time).max().unwrap_or_default()
    };
    let devices = (1..).map(DeviceId).zip(&state.people.devices);
    devices
        .map(|(device, known)| Sighting {
            device,
            owner: known.owner,
            last_seen: seen(device),
            revoked: known.revoked.is_some(),
        })
        .collect()
}

fn since(state: &State, sightings: &[Sighting], about: PlanQuarter) -> Vec<Unseen> {
    let ended = state.zone().end_of(about.quarter.last_day(about.year));
    let records = |person| {
        let roles = state.people.person(person).into_iter().flat_map(|person| &person.assignments);
        roles.into_iter().any(|held| matches!(held.role, Role::Officer | Role::HeadOfUnit))
    };
    let unseen =
        sightings.iter().filter(|seen| !seen.revoked && seen.last_seen <= ended && records(seen.owner));
    let ever = |time: Timestamp| Some(time).filter(|time| *time > Timestamp::default());
    unseen
        .map(|seen| Unseen { device: seen.device, owner: seen.owner, last_seen: ever(seen.last_seen) })
        .collect()
}

/// Lists them on stderr.
pub(super) fn tell(ctx: &Context, device: &Device, unseen: &[Unseen]) {
    if unseen.is_empty() {
        return;
    }
    let zone = device.view().confirmed.zone();
    ctx.notice(&text::count("quarter.lists_unseen", unseen.len() as u64, &[]));
    for seen in unseen {
        let last = seen.last_seen.map_or_else(|| text::say("quarter.never_seen"), |at| office_time(zone, at));
        ctx.notice(&format!("  {}  {}  {last}", seen.device, device.name_of(seen.owner)));
    }
}

pub(super) fn json(device: &Device, unseen: &[Unseen]) -> Value {
    let one = |seen: &Unseen| {
        json!({
            "device": seen.device.0,
            "owner": device.name_of(seen.owner),
            "last_seen": seen.last_seen.map(Timestamp::rfc3339),
        })
    };
    Value::Array(unseen.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use renaksi_domain::people::{Assignment, Person};
    use renaksi_domain::time::{Date, Quarter, Zone};

    use super::*;

    #[test]
    fn only_recording_devices_that_were_not_here_since_the_quarter_ended() {
        let mut state = State::default();
        for role in [Role::Officer, Role::Auditor] {
            let assignment = Assignment { role, unit: None, from: None, until: None };
            state.people.persons.push(Person { assignments: vec![assignment] });
        }
        let end = Zone::Jakarta.end_of(Date::parse("2024-03-31").unwrap());
        let seen = |device, owner, last_seen, revoked| Sighting {
            device: DeviceId(device),
            owner: PersonId(owner),
            last_seen,
            revoked,
        };
        let sightings = [
            seen(1, 1, end, false),
            seen(2, 1, end.plus_micros(1), false),
            seen(3, 2, end, false),
            seen(4, 1, Timestamp(0), true),
            seen(5, 1, Timestamp(0), false),
        ];
        let about = PlanQuarter { year: 2024, quarter: Quarter::Q1 };
        let unseen = since(&state, &sightings, about);
        let told: Vec<_> = unseen.iter().map(|unseen| (unseen.device.0, unseen.last_seen)).collect();
        assert_eq!(told, [(1, Some(end)), (5, None)]);
    }
}
