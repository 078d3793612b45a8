//! What a record concerns: the entry, indicators and person that whoever looks for them would want to see it for. An index
//! keeps it (see `ledger`'s `Postings`); a reader looks at the record itself and leaves out what it did not mean.
//!
//! *Invariant:* a record concerns at least what the audit trail shows it under, today and after any later record. What
//! depends on a later state is said as [`Subject::SomeIndicator`].

use renaksi_domain::command::{Command, Effect, Outcome, Record};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId};
use renaksi_domain::people::PeopleCommand;
use renaksi_domain::plan::PlanCommand;
use renaksi_domain::revision::{Change, RevisionCommand};

use crate::convert::decode_record;

/// Changes with the meaning of [`subjects`]: an index that was made by another version is made anew.
pub const VERSION: u32 = 1;

/// What a record concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An entry, or held work, by the command that made it.
    Entry(CommandKey),
    Indicator(IndicatorId),
    /// Who did it. 0 is the office's own server.
    Actor(PersonId),
    /// Some indicator, which the record alone does not name: what became of held and refused work and of revisions is told
    /// by the state.
    SomeIndicator,
    /// Whatever is asked: it gives a number to what it makes, so that no later record can be told without it; or this
    /// release cannot read it, and another will.
    Anything,
}

/// What the record of a leaf concerns.
pub fn subjects(leaf: &[u8]) -> Vec<Subject> {
    match decode_record(leaf) {
        Ok((record, _)) => subjects_of(&record),
        Err(_) => vec![Subject::Anything],
    }
}

/// What a record concerns.
pub fn subjects_of(record: &Record) -> Vec<Subject> {
    let envelope = &record.envelope;
    let mut found = vec![Subject::Actor(envelope.author)];
    match &envelope.command {
        Command::Entry(command) => {
            found.push(Subject::Entry(command.entry().unwrap_or(envelope.key())));
            found.push(indicator_of(command, &record.outcome));
        }
        Command::Held(command) => found.extend([Subject::Entry(command.held()), Subject::SomeIndicator]),
        Command::Revision(command) => {
            found.push(Subject::SomeIndicator);
            if let RevisionCommand::AddChange(_, change) = command {
                found.extend(Change::indicator(change).map(Subject::Indicator));
            }
        }
        Command::Indicator(set) => found.extend(set.indicator.map(Subject::Indicator)),
        Command::Narrative(set) => found.push(Subject::Indicator(set.indicator)),
        Command::People(_)
        | Command::Plan(_)
        | Command::Quarter(_)
        | Command::Config(_)
        | Command::Unreadable => {}
    }
    if let Outcome::Recorded(effect) = &record.outcome {
        found.extend(counted(effect).map(Subject::Indicator));
        found.extend(gives_a_number(&envelope.command).then_some(Subject::Anything));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn counted(effect: &Effect) -> impl Iterator<Item = IndicatorId> {
    [&effect.before, &effect.after].into_iter().flatten().map(|counted| counted.indicator)
}

/// A change of an entry that counted says which indicator it counted for; any other has to be looked up.
fn indicator_of(command: &EntryCommand, outcome: &Outcome) -> Subject {
    match (command, outcome) {
        (EntryCommand::Add(add), _) => Subject::Indicator(add.indicator),
        (_, Outcome::Recorded(effect)) => {
            counted(effect).next().map_or(Subject::SomeIndicator, Subject::Indicator)
        }
        (_, Outcome::Held(_) | Outcome::Refused(_)) => Subject::SomeIndicator,
    }
}

/// Ids of people, devices, revisions and imported indicators follow from how many came before.
fn gives_a_number(command: &Command) -> bool {
    matches!(
        command,
        Command::People(PeopleCommand::AddPerson(_) | PeopleCommand::EnrolDevice(_))
            | Command::Plan(PlanCommand::StartImport(_) | PlanCommand::ImportIndicator(_))
            | Command::Revision(RevisionCommand::Draft(_))
    )
}

#[cfg(test)]
mod tests {
    use renaksi_domain::command::{Counted, Envelope};
    use renaksi_domain::entry::{AddEntry, EntryVersion, Reading, State};
    use renaksi_domain::held::{HeldCommand, ReleaseHeld};
    use renaksi_domain::ids::{Origin, RevisionId};
    use renaksi_domain::people::AddPerson;
    use renaksi_domain::quantity::Quantity;
    use renaksi_domain::time::{Date, Quarter, Timestamp};
    use renaksi_domain::{Code, Rejection};

    use super::*;
    use Subject::{Actor, Anything, Entry, Indicator, SomeIndicator};

    const ME: PersonId = PersonId(5);
    const OWN: CommandKey = CommandKey { origin: Origin(3), sequence: 9 };
    const OTHER: CommandKey = CommandKey { origin: Origin(4), sequence: 70 };

    #[track_caller]
    fn check(command: Command, outcome: Outcome, expected: &[Subject]) {
        let (origin, sequence) = (OWN.origin, OWN.sequence);
        let made_at = Timestamp(0);
        let envelope =
            Envelope { origin, sequence, author: ME, made_at, has_reason: false, restored: None, command };
        let record = Record { position: 20, time: made_at, carrier: None, envelope, outcome };
        let mut expected = [expected, &[Actor(ME)]].concat();
        expected.sort_unstable();
        assert_eq!(subjects_of(&record), expected);
    }

    fn recorded() -> Outcome {
        Outcome::Recorded(Effect::default())
    }

    fn refused() -> Outcome {
        Outcome::Refused(Rejection::new(Code::RoleMayNot))
    }

    fn counted_for(indicator: u32) -> Option<Counted> {
        Some(Counted {
            indicator: IndicatorId(indicator),
            quarter: Quarter::Q1,
            on: Date::from_days(19_800),
            reading: Reading::Quantity(Quantity::parse("1").unwrap()),
            state: State::Recorded,
            position: 1,
        })
    }

    fn add(indicator: u32) -> Command {
        let reading = Reading::Quantity(Quantity::parse("12").unwrap());
        let (indicator, on) = (IndicatorId(indicator), Date::from_days(19_800));
        Command::Entry(EntryCommand::Add(AddEntry { indicator, on, reading }))
    }

    fn voided(entry: CommandKey) -> Command {
        Command::Entry(EntryCommand::Void(EntryVersion { entry, base: entry }))
    }

    #[test]
    fn a_new_entry_concerns_itself_and_its_indicator_whatever_was_decided() {
        for outcome in [recorded(), refused(), Outcome::Held(Rejection::new(Code::QuarterLocked))] {
            check(add(7), outcome, &[Entry(OWN), Indicator(IndicatorId(7))]);
        }
    }

    #[test]
    fn a_change_says_which_indicator_it_counted_for_or_that_it_has_to_be_looked_up() {
        let before = Effect { before: counted_for(7), ..Effect::default() };
        check(voided(OTHER), Outcome::Recorded(before), &[Entry(OTHER), Indicator(IndicatorId(7))]);
        for outcome in [recorded(), refused()] {
            check(voided(OTHER), outcome, &[Entry(OTHER), SomeIndicator]);
        }
    }

    #[test]
    fn held_work_that_counts_elsewhere_concerns_both_indicators() {
        let release = ReleaseHeld { held: OTHER, to: Some(IndicatorId(8)), count_in: None };
        let effect = Effect { after: counted_for(8), ..Effect::default() };
        let expected = [Entry(OTHER), Indicator(IndicatorId(8)), SomeIndicator];
        check(Command::Held(HeldCommand::Release(release)), Outcome::Recorded(effect), &expected);
        check(Command::Held(HeldCommand::Dismiss(OTHER)), recorded(), &[Entry(OTHER), SomeIndicator]);
    }

    #[test]
    fn what_gives_a_number_concerns_every_question_once_it_is_recorded() {
        check(Command::People(PeopleCommand::AddPerson(AddPerson)), recorded(), &[Anything]);
        check(Command::People(PeopleCommand::AddPerson(AddPerson)), refused(), &[]);
        let change = Change::Retire { indicator: IndicatorId(2) };
        let change = Command::Revision(RevisionCommand::AddChange(RevisionId(1), change));
        check(change, recorded(), &[Indicator(IndicatorId(2)), SomeIndicator]);
    }

    #[test]
    fn a_leaf_that_cannot_be_read_concerns_every_question() {
        assert_eq!(subjects(b"\xFF"), [Anything]);
    }
}
