//! A log whose signed records are lost, and what devices then offer again.

use renaksi_domain::Outcome;
use renaksi_domain::entry::Reading;
use renaksi_domain::epoch::{FIRST_EPOCH, Restored};
use renaksi_domain::figures::Period::Quarter as Q;
use renaksi_domain::ids::Origin;
use renaksi_domain::quantity::Quantity;
use renaksi_domain::time::Quarter::Q1;

use crate::office::{Office, key, local};

/// What the first epoch says of commands at a time: they were recorded there, or not.
fn first_epoch(time: &str, recorded: bool) -> Option<Restored> {
    Some(Restored { epoch: FIRST_EPOCH, position: 90, time: local(time), recorded })
}

/// The second epoch has begun in April, and the first quarter was locked in it.
fn locked_meanwhile() -> Office {
    let mut office = Office::established();
    office.at("2024-04-05 08:00").does("host begin-epoch 2 an old backup was restored");
    office.lock(1);
    office
}

#[test]
fn an_office_is_in_the_first_epoch_until_its_operator_begins_another() {
    let mut office = Office::established();
    assert_eq!(office.state.epoch(), FIRST_EPOCH);
    let size = office.state.position;
    office.does("host begin-epoch 2 an old backup was restored");
    assert_eq!(office.state.epoch(), 2);
    let begun = &office.state.epochs[0];
    assert_eq!((begun.size, &*begun.reason), (size, "an old backup was restored"));
    let position = office.state.position;
    office.is_refused("host begin-epoch 2 again", &format!("NOTHING_TO_CHANGE epoch=2 position={position}"));
    // One that was signed in and lost is passed over.
    office.does("host begin-epoch 5 again");
    assert_eq!(office.state.epoch(), 5);
}

#[test]
fn an_epoch_that_begins_elsewhere_than_at_the_end_of_the_log_is_refused() {
    use renaksi_domain::Command;
    use renaksi_domain::epoch::BeginEpoch;
    use renaksi_domain::ids::PersonId;
    use renaksi_domain::people::PeopleCommand;
    let mut office = Office::established();
    let size = office.state.position - 1;
    let begin = BeginEpoch { epoch: 2, reason: "x".into(), size, root: [7; 32], seen: None };
    let command = Command::People(PeopleCommand::BeginEpoch(Box::new(begin)));
    let outcome = office.play(Origin::HOST, PersonId(0), command);
    assert!(matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    assert_eq!(office.state.epoch(), FIRST_EPOCH);
}

#[test]
fn s8_what_an_ended_epoch_recorded_comes_back_into_a_quarter_that_was_locked_meanwhile() {
    let mut office = locked_meanwhile();
    office.at("2024-04-20 08:00");
    office.is_held("ayu add uttp 1 2024-03-20", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    office.restored = first_epoch("2024-03-20 09:00", true);
    let effect = office.does("ayu add uttp 12 2024-03-20");
    assert!(!effect.late, "it came in March");
    office.does("kabid verify ayu/2");
    office.does("ayu amend ayu/2 13 2024-03-21");
    let entry = office.state.entries.get(key("ayu/2")).unwrap();
    assert_eq!(entry.reading, Reading::Quantity(Quantity::parse("13").unwrap()));
    // What the lock froze stays until the next one; the record itself is of today.
    office.expect("uttp", Q(Q1), "70 | not reported | not reported | NOT_REPORTED | NOT_REPORTED");
    assert_eq!(office.records.last().unwrap().time, local("2024-04-20 08:00"));
}

#[test]
fn what_an_ended_epoch_held_or_refused_is_decided_by_the_locks_of_today() {
    let mut office = locked_meanwhile();
    office.at("2024-04-20 08:00").restored = first_epoch("2024-03-20 09:00", false);
    office.is_held("ayu add uttp 12 2024-03-20", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
    let held = &office.state.held[&key("ayu/1")];
    assert_eq!(held.time, local("2024-04-20 08:00"));
}

#[test]
fn a_lock_that_both_epochs_have_stands_in_the_way_of_everything() {
    let mut office = Office::established();
    office.lock(1);
    office.at("2024-04-10 08:00").does("host begin-epoch 2 an old backup was restored");
    office.restored = first_epoch("2024-04-09 09:00", true);
    office.is_held("ayu add uttp 12 2024-03-20", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
}

/// A log that was restored went on for a while before its epoch ended: its own locks are among what the epochs seem to have in
/// common, and came later all the same.
#[test]
fn a_lock_that_came_after_the_first_record_does_not_stand_in_its_way() {
    let mut office = Office::established();
    office.lock(1);
    office.at("2024-04-10 08:00").does("host begin-epoch 2 an old backup was restored");
    office.restored = first_epoch("2024-04-07 09:00", true);
    office.does("ayu add uttp 12 2024-03-20");
}

#[test]
fn only_a_device_that_the_epochs_have_in_common_is_restored() {
    let mut office = locked_meanwhile();
    let restored = first_epoch("2024-03-20 09:00", true).unwrap();
    office.restored = None;
    office.enrol(renaksi_domain::ids::PersonId(5));
    let (old, new) = (Origin(5), Origin(11));
    assert!(office.state.may_be_restored(old, &restored));
    assert!(!office.state.may_be_restored(new, &restored));
    assert!(!office.state.may_be_restored(Origin::HOST, &restored));
    assert!(!office.state.may_be_restored(old, &Restored { epoch: 2, ..restored }), "it has not ended");
}

#[test]
fn what_is_offered_again_is_judged_by_the_roles_and_the_clock_of_its_time() {
    let mut office = locked_meanwhile();
    office.restored = None;
    office.at("2024-04-12 08:00").does("operator end 4 0 2024-04-11");
    office.at("2024-04-20 08:00");
    office.does("ayu add uttp 1 2024-04-02");
    office.is_refused(
        "kabid verify ayu/1",
        "ROLE_MAY_NOT role=head-of-unit, head-of-office command=entry.verified",
    );
    office.restored = first_epoch("2024-04-04 09:00", true);
    office.does("kabid verify ayu/1");
    // A day that had not come when it was first recorded.
    office.restored = first_epoch("2024-04-04 09:00", true);
    let (_, outcome) = office.ask("ayu add uttp 1 2024-04-15");
    assert!(
        matches!(&outcome, Outcome::Held(cause) if cause.code.name() == "CLOCK_IMPLAUSIBLE"),
        "{outcome:?}"
    );
}

/// Which checkpoints of an earlier epoch may be lost, by what the record of the next one says.
#[test]
fn an_epoch_tells_what_it_left_behind() {
    use renaksi_domain::epoch::{BeginEpoch, Seen};
    let begin = |seen: Option<u32>| BeginEpoch {
        epoch: 3,
        reason: "x".into(),
        size: 100,
        root: [7; 32],
        seen: seen.map(|epoch| Seen { epoch, size: 150, root: [8; 32] }),
    };
    for (seen, epoch, size, wanted) in [
        // Beyond what the epochs have in common.
        (None, 2, 101, true),
        (None, 2, 100, false),
        (None, 1, 101, true),
        // Of this epoch or a later one it tells nothing.
        (None, 3, 101, false),
        (Some(2), 3, 101, false),
        // Something of that epoch is lost, and of those before it may be.
        (Some(2), 2, 50, true),
        (Some(2), 1, 50, true),
        (Some(1), 2, 50, false),
    ] {
        assert_eq!(begin(seen).tells_of(epoch, size), wanted, "{seen:?} {epoch} {size}");
    }
}

/// What the present epoch recorded has no claim to a time before its locks.
#[test]
fn a_record_of_the_present_epoch_opens_no_lock() {
    let mut office = locked_meanwhile();
    let of = |epoch| Restored { epoch, position: 90, time: local("2024-03-20 09:00"), recorded: true };
    let origin = key("ayu/1").origin;
    assert!(office.state.may_be_restored(origin, &of(1)));
    assert!(!office.state.may_be_restored(origin, &of(2)));
    office.at("2024-04-20 08:00").restored = Some(of(2));
    office.is_held("ayu add uttp 12 2024-03-20", "QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024");
}
