//! Understands what people name on the command line: indicators, entries, revisions, dates, numbers. What is not
//! understood is exit 2, with what was perhaps meant.

use renaksi_domain::command::{TEXT_BYTES_MAX, is_unprintable};
use renaksi_domain::entry::EntryCommand;
use renaksi_domain::ids::{CommandKey, IndicatorId, PersonId, RevisionId, UnitId, entry_id};
use renaksi_domain::indicator::{Indicator, Level};
use renaksi_domain::people::folded;
use renaksi_domain::quantity::{NumberError, Quantity, Target};
use renaksi_domain::time::{Date, Quarter, Timestamp, Zone};
use renaksi_domain::{Command, State};
use renaksi_proto::clock::parse_time;

use crate::device::{Device, ReplayTo};
use crate::error::{ClientError, Rejected};
use crate::text::BETWEEN_CANDIDATES;

/// The shortest beginning of an entry's id.
const PREFIX_HEX_MIN: usize = 6;

fn not_understood(cause: Rejected) -> ClientError {
    ClientError::NotUnderstood(cause)
}

/// The indicator of a code, or the only one in whose measure or row name all words occur.
pub fn indicator(state: &State, year: i16, wanted: &str) -> Result<IndicatorId, ClientError> {
    let plan =
        state.plan(year).ok_or_else(|| not_understood(Rejected::new("UNKNOWN_PLAN").with("year", year)))?;
    let all: Vec<(IndicatorId, &Indicator)> =
        plan.indicators.iter().filter_map(|id| Some((*id, state.indicator(*id)?))).collect();
    if let Some((id, _)) = all.iter().find(|(_, indicator)| *indicator.code == *wanted.trim()) {
        return Ok(*id);
    }
    let words = words(wanted);
    let hits = |indicator: &Indicator| {
        let texts = [squeezed(&indicator.facet().measure), squeezed(&indicator.name)];
        words.iter().filter(|word| texts.iter().any(|text| text.contains(word.as_str()))).count()
    };
    let matches: Vec<_> = all.iter().filter(|(_, i)| !words.is_empty() && hits(i) == words.len()).collect();
    match matches.as_slice() {
        [(id, _)] => Ok(*id),
        [] => {
            let cause = Rejected::new("UNKNOWN_INDICATOR").with("wanted", wanted).with("year", year);
            Err(not_understood(match near(&all, hits) {
                near if near.is_empty() => cause,
                near => cause.with("near", near),
            }))
        }
        several => Err(not_understood(
            Rejected::new("AMBIGUOUS_INDICATOR")
                .with("wanted", wanted)
                .with("candidates", listed(several.iter().map(|(_, i)| named(i)))),
        )),
    }
}

/// Where a new indicator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// None below an objective.
    pub parent: Option<IndicatorId>,
    /// Index into the plan's objectives.
    pub objective: u32,
    /// The level of what stands there, where nobody says otherwise.
    pub below: Level,
}

/// What a new indicator of a level is to stand below: an objective by its number, an indicator by its code, or the only
/// one of them that has all the words.
pub fn place(state: &State, year: i16, wanted: &str, level: Option<Level>) -> Result<Place, ClientError> {
    let plan =
        state.plan(year).ok_or_else(|| not_understood(Rejected::new("UNKNOWN_PLAN").with("year", year)))?;
    let objectives = (0..).zip(&plan.objectives).map(|(objective, name)| {
        let place = Place { parent: None, objective, below: Level::Strategic };
        (place, (objective + 1).to_string(), name, name)
    });
    let indicators = plan.indicators.iter().filter_map(|id| Some((*id, state.indicator(*id)?)));
    let indicators = indicators.map(|(id, indicator)| {
        let below = match indicator.level {
            Level::Strategic => Level::Program,
            Level::Program | Level::Activity | Level::SubActivity => Level::SubActivity,
        };
        let measure = &indicator.facet().measure;
        // A strategic indicator has its objective's name, which names that one.
        let name = if indicator.level == Level::Strategic { measure } else { &indicator.name };
        let place = Place { parent: Some(id), objective: indicator.objective, below };
        (place, indicator.code.to_string(), name, measure)
    });
    let all: Vec<_> = objectives.chain(indicators).collect();
    if let Some((place, ..)) = all.iter().find(|(_, code, ..)| code == wanted.trim()) {
        return Ok(*place);
    }
    let words = words(wanted);
    let has_all = |name: &str, measure: &str| {
        let texts = [squeezed(name), squeezed(measure)];
        words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
    };
    let fits = |place: &Place| {
        let is_row =
            |id| state.indicator(id).is_some_and(|i| matches!(i.level, Level::Activity | Level::SubActivity));
        !place.parent.is_some_and(is_row)
            && level.is_none_or(|level| level == place.below || is_activity(level, place.below))
    };
    let found: Vec<_> = all
        .iter()
        .filter(|(place, _, name, measure)| !words.is_empty() && fits(place) && has_all(name, measure))
        .collect();
    match found.as_slice() {
        [(place, ..)] => Ok(*place),
        [] => Err(not_understood(Rejected::new("UNKNOWN_PLACE").with("wanted", wanted).with("year", year))),
        several => Err(not_understood(Rejected::new("AMBIGUOUS_INDICATOR").with("wanted", wanted).with(
            "candidates",
            listed(several.iter().map(|(_, code, _, measure)| format!("{code} {measure}"))),
        ))),
    }
}

fn is_activity(level: Level, below: Level) -> bool {
    (level, below) == (Level::Activity, Level::SubActivity)
}

fn named(indicator: &Indicator) -> String {
    format!("{} {}", indicator.code, indicator.facet().measure)
}

/// Those with the most of the words, if any has one.
fn near(all: &[(IndicatorId, &Indicator)], hits: impl Fn(&Indicator) -> usize) -> String {
    let best = all.iter().map(|(_, indicator)| hits(indicator)).max().unwrap_or(0);
    let close = all.iter().filter(|(_, indicator)| best > 0 && hits(indicator) == best);
    close.take(3).map(|(_, indicator)| named(indicator)).collect::<Vec<_>>().join("; ")
}

fn listed(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(&BETWEEN_CANDIDATES.to_string())
}

fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '%');
    words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Lower case, each run of anything else one blank.
fn squeezed(text: &str) -> String {
    words(text).join(" ")
}

/// The entry, held or pending command of an id or of its unique beginning.
pub fn entry(device: &Device, wanted: &str) -> Result<CommandKey, ClientError> {
    let view = device.view();
    let adds = |command: &Command| matches!(command, Command::Entry(EntryCommand::Add(_)));
    let pending = view.pending.iter().filter(|pending| adds(&pending.envelope.command));
    let entries = view.confirmed.entries.iter().map(|entry| entry.key);
    entry_among(
        &view.state,
        entries.chain(view.confirmed.held.keys().copied()).chain(pending.map(|p| p.key)),
        wanted,
    )
}

fn entry_among(
    state: &State,
    keys: impl Iterator<Item = CommandKey>,
    wanted: &str,
) -> Result<CommandKey, ClientError> {
    let prefix: String = wanted.trim().to_lowercase().chars().filter(|c| *c != '-').collect();
    let readable = prefix.len() >= PREFIX_HEX_MIN && prefix.chars().all(|c| c.is_ascii_hexdigit());
    let unknown = || not_understood(Rejected::new("UNKNOWN_ENTRY").with("entry", wanted));
    if !readable {
        return Err(unknown());
    }
    let mut found: Vec<(CommandKey, String)> = keys
        .filter_map(|key| {
            let incarnation = state.people.incarnation(key.origin)?.uuid;
            let id = entry_id(incarnation, key.sequence);
            id.simple().to_string().starts_with(&prefix).then(|| (key, id.to_string()))
        })
        .collect();
    found.sort();
    found.dedup();
    match found.as_slice() {
        [] => Err(unknown()),
        [(key, _)] => Ok(*key),
        several => Err(not_understood(
            Rejected::new("AMBIGUOUS_ENTRY")
                .with("entry", wanted)
                .with("candidates", listed(several.iter().map(|(_, id)| id.clone()))),
        )),
    }
}

/// A text that somebody gave to an option, without the blanks around it. What a terminal would obey instead of showing is
/// refused, and so is what is too long for the log.
pub fn said(option: &str, text: &str) -> Result<String, ClientError> {
    if let Some(at) = text.chars().position(is_unprintable) {
        let cause = Rejected::new("TEXT_UNPRINTABLE").with("character", at + 1).with("option", option);
        return Err(not_understood(cause));
    }
    if text.len() > TEXT_BYTES_MAX {
        let cause = Rejected::new("TOO_LARGE").with("bytes", text.len()).with("bytes_max", TEXT_BYTES_MAX);
        return Err(not_understood(cause.with("option", option)));
    }
    Ok(text.trim().to_owned())
}

/// The same of an option that need not be there.
pub fn said_maybe(option: &str, text: Option<&str>) -> Result<String, ClientError> {
    text.map_or(Ok(String::new()), |text| said(option, text))
}

/// A quarter and its target: `3=200`; `3=-` is not planned, `3=` is missing. Each quarter once.
pub fn quarter_targets(options: &[String]) -> Result<Vec<(Quarter, Target)>, ClientError> {
    let mut targets: Vec<(Quarter, Target)> = Vec::new();
    for option in options {
        let bad = || not_understood(Rejected::new("BAD_TARGET").with("text", option));
        let option = said("--target", option)?;
        let (number, cell) = option.split_once('=').ok_or_else(bad)?;
        let quarter = quarter(number.trim().parse().map_err(|_| bad())?)?;
        let target = Target::parse_cell(cell).map_err(|error| unreadable_number(cell, &error))?;
        if targets.iter().any(|(named, _)| *named == quarter) {
            return Err(not_understood(Rejected::new("QUARTER_CONFLICT").with("quarter", quarter.number())));
        }
        targets.push((quarter, target));
    }
    Ok(targets)
}

/// A quarter from 1 to 4.
pub fn quarter(number: u32) -> Result<Quarter, ClientError> {
    Quarter::from_number(number)
        .ok_or_else(|| not_understood(Rejected::new("BAD_QUARTER").with("text", number)))
}

/// A day, as `2024-05-14`.
pub fn date(text: &str) -> Result<Date, ClientError> {
    Date::parse(text.trim()).ok_or_else(|| not_understood(Rejected::new("BAD_DATE").with("text", text)))
}

/// A number in either notation; what could be two is refused.
pub fn quantity(text: &str) -> Result<Quantity, ClientError> {
    Quantity::parse(text).map_err(|error| unreadable_number(text, &error))
}

/// Why a number is not understood, as an exit-2 error.
pub fn unreadable_number(text: &str, error: &NumberError) -> ClientError {
    let cause = Rejected::new(error.code()).with("text", text);
    not_understood(match error {
        NumberError::Ambiguous { grouped, decimal, .. } => {
            cause.with("grouped", grouped).with("decimal", decimal)
        }
        _ => cause,
    })
}

/// A revision by the office's own number for it (the latest of that number), or by its id in the log.
pub fn revision(state: &State, wanted: &str) -> Result<RevisionId, ClientError> {
    let wanted = wanted.trim();
    let by_number =
        state.revisions.iter().rposition(|revision| folded(&revision.draft.number) == folded(wanted));
    let by_id = || wanted.parse().ok().map(RevisionId).filter(|id| state.revision(*id).is_some());
    let found = by_number.map(RevisionId::after).or_else(by_id);
    found.ok_or_else(|| not_understood(Rejected::new("UNKNOWN_REVISION").with("revision", wanted)))
}

/// A unit by its name, case and blanks ignored.
pub fn unit(state: &State, wanted: &str) -> Result<UnitId, ClientError> {
    let found = state.people.unit_named(wanted);
    found.ok_or_else(|| not_understood(Rejected::new("UNKNOWN_UNIT").with("unit", wanted)))
}

/// A person by name (or the only one whose name contains it), or by their number.
pub fn person(device: &Device, wanted: &str) -> Result<PersonId, ClientError> {
    let count = device.view().confirmed.people.persons.len();
    let everybody: Vec<(PersonId, String)> =
        (0..count).map(PersonId::after).map(|id| (id, device.name_of(id))).collect();
    person_among(&everybody, wanted)
}

fn person_among(everybody: &[(PersonId, String)], wanted: &str) -> Result<PersonId, ClientError> {
    let name = folded(wanted);
    let exact = everybody.iter().filter(|(_, known)| folded(known) == name);
    let containing = everybody.iter().filter(|(_, known)| !name.is_empty() && folded(known).contains(&name));
    let numbered = wanted.trim().parse().ok().map(PersonId);
    let numbered = everybody.iter().filter(|(id, _)| Some(*id) == numbered);
    let ways: [Vec<&(PersonId, String)>; 3] = [exact.collect(), containing.collect(), numbered.collect()];
    match ways.iter().find(|found| !found.is_empty()).map(Vec::as_slice) {
        Some([(id, _)]) => Ok(*id),
        Some(several) => Err(not_understood(
            Rejected::new("AMBIGUOUS_PERSON")
                .with("person", wanted)
                .with("candidates", listed(several.iter().map(|(id, name)| format!("{name} ({id})")))),
        )),
        None => Err(not_understood(Rejected::new("UNKNOWN_PERSON").with("person", wanted))),
    }
}

/// A point of the log: a plain number is a position, a date the end of that day in the office's zone, anything else an
/// RFC 3339 instant.
pub fn position_or_time(text: &str, zone: Zone) -> Result<ReplayTo, ClientError> {
    let text = text.trim();
    if let Ok(position) = text.parse::<u64>() {
        return Ok(ReplayTo::Position(position));
    }
    time(text, zone).map(ReplayTo::Time)
}

/// An instant: a date is the end of that day in the office's zone, `2024-07-20 17:00` a time there.
pub fn time(text: &str, zone: Zone) -> Result<Timestamp, ClientError> {
    let text = text.trim();
    let end_of_day = Date::parse(text).map(|day| zone.end_of(day));
    let on_the_clock = || {
        let (day, clock) = text.split_once([' ', 'T'])?;
        let (hours, minutes) = clock.split_once(':').filter(|_| clock.len() == 5)?;
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let valid = (0..24).contains(&hours) && (0..60).contains(&minutes);
        let midnight = zone.start_of(Date::parse(day)?);
        valid.then(|| midnight.plus_micros((hours * 60 + minutes) * 60_000_000))
    };
    let instant = end_of_day.or_else(on_the_clock).or_else(|| parse_time(text));
    instant.ok_or_else(|| not_understood(Rejected::new("BAD_TIME").with("text", text)))
}

#[cfg(test)]
pub(crate) mod tests {
    use renaksi_domain::command::{Effect, Envelope, Outcome, Record, apply};
    use renaksi_domain::ids::Origin;
    use renaksi_domain::people::{EnrolDevice, PeopleCommand};

    use super::*;
    use crate::commands::plan::import_commands;

    const INCARNATION: uuid::Uuid = uuid::Uuid::from_u128(7);

    /// The 2024 plan as it stands after its import by the office's first device.
    pub(crate) fn plan_2024() -> State {
        let plan = renaksi_documents::txt::read_plan(renaksi_seeds::PLAN_2024_TXT).unwrap();
        let enrol = EnrolDevice { owner: PersonId(1), key: [0; 32], incarnation: INCARNATION, proof: None };
        let people = [Command::People(PeopleCommand::EnrolDevice(enrol))];
        let import = import_commands(&plan, 2024, [0; 32]).into_iter().map(Command::Plan);
        let mut state = State::default();
        for (position, command) in (1..).zip(people.into_iter().chain(import)) {
            let envelope = Envelope {
                origin: Origin(1),
                sequence: u32::try_from(position).unwrap(),
                author: PersonId(1),
                made_at: Timestamp(0),
                has_reason: false,
                restored: None,
                command,
            };
            let outcome = Outcome::Recorded(Effect::default());
            apply(&mut state, &Record { position, time: Timestamp(0), carrier: None, envelope, outcome });
        }
        state
    }

    #[track_caller]
    fn check_indicator(state: &State, wanted: &str, expect: &str) {
        let got = match indicator(state, 2024, wanted) {
            Ok(id) => state.indicator(id).unwrap().code.to_string(),
            Err(error) => {
                assert_eq!(error.exit_code(), 2);
                let detail =
                    |key: &str| error.cause().details.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
                let several = detail("candidates").or_else(|| detail("near")).unwrap_or_default();
                let codes: Vec<&str> =
                    several.split(['\n', ';']).filter_map(|named| named.split_whitespace().next()).collect();
                format!("{} {}", error.cause().code, codes.join(" ")).trim_end().to_owned()
            }
        };
        assert_eq!(got, expect, "{wanted:?}");
    }

    #[test]
    fn indicators_by_code_and_by_words() {
        let state = plan_2024();
        assert_eq!(state.plan(2024).unwrap().indicators.len(), 101);
        check_indicator(&state, "1.1.2.2", "1.1.2.2");
        check_indicator(&state, " 1.1.2 ", "1.1.2");
        check_indicator(&state, "UTTP", "AMBIGUOUS_INDICATOR 1.1.2 1.1.2.2");
        check_indicator(&state, "uttp tera ulang", "1.1.2.2");
        check_indicator(&state, "(UTTP), ditera/TERA", "1.1.2.2");
        check_indicator(&state, "operasi pasar reguler", "1.1.1.3");
        check_indicator(&state, "UTTP zzz", "UNKNOWN_INDICATOR 1.1.2 1.1.2.2");
        check_indicator(&state, "zzz", "UNKNOWN_INDICATOR");
        check_indicator(&state, "9.9", "UNKNOWN_INDICATOR");
        check_indicator(&state, "", "UNKNOWN_INDICATOR");
        check_indicator(&state, " .,- ", "UNKNOWN_INDICATOR");
        assert_eq!(indicator(&state, 2023, "UTTP").unwrap_err().cause().code, "UNKNOWN_PLAN");
    }

    #[test]
    fn entries_by_the_beginning_of_their_id() {
        let state = plan_2024();
        let key = |sequence| CommandKey::new(Origin(1), sequence);
        let keys = || (1..=2000).map(key);
        let id = entry_id(INCARNATION, 12).to_string();
        let find = |wanted: &str| {
            entry_among(&state, keys().chain([key(12)]), wanted).map_err(|e| e.cause().code.clone())
        };
        assert_eq!(find(&id), Ok(key(12)));
        assert_eq!(find(&id.to_uppercase()), Ok(key(12)));
        assert_eq!(find(&id[..8]), Ok(key(12)));
        assert_eq!(find(&id.replace('-', "")[..12]), Ok(key(12)));
        assert_eq!(find(&id[..5]), Err("UNKNOWN_ENTRY".to_owned()));
        assert_eq!(find("zzzzzzzz"), Err("UNKNOWN_ENTRY".to_owned()));
        let doubled = [key(1), key(2)].into_iter();
        assert!(entry_among(&state, doubled, "ffffffffffff").is_err());
    }

    #[test]
    fn people_by_name_or_part_of_it() {
        let everybody: Vec<(PersonId, String)> = [(1, "Siti Aminah"), (2, "Siti Aminah Putri"), (3, "Budi")]
            .map(|(id, n)| (PersonId(id), n.into()))
            .into();
        let find = |wanted: &str| person_among(&everybody, wanted).map_err(|e| e.cause().code.clone());
        assert_eq!(find("siti aminah"), Ok(PersonId(1)));
        assert_eq!(find("putri"), Ok(PersonId(2)));
        assert_eq!(find("3"), Ok(PersonId(3)));
        assert_eq!(find("Siti"), Err("AMBIGUOUS_PERSON".to_owned()));
        assert_eq!(find("Agus"), Err("UNKNOWN_PERSON".to_owned()));
        assert_eq!(find(""), Err("UNKNOWN_PERSON".to_owned()));
    }

    #[test]
    fn points_of_the_log() {
        let point = |text: &str| {
            position_or_time(text, Zone::Jakarta).map_err(|e| (e.exit_code(), e.cause().code.clone()))
        };
        assert!(matches!(point("120"), Ok(ReplayTo::Position(120))));
        let end_of_day = Zone::Jakarta.end_of(Date::parse("2024-07-05").unwrap());
        assert!(matches!(point("2024-07-05"), Ok(ReplayTo::Time(time)) if time == end_of_day));
        assert!(matches!(point("2024-07-05T02:00:00Z"), Ok(ReplayTo::Time(_))));
        for wrong in ["yesterday", "2024-02-30", "-1", ""] {
            assert_eq!(point(wrong).unwrap_err(), (2, "BAD_TIME".to_owned()), "{wrong}");
        }
    }

    #[test]
    fn numbers_and_quarters_are_exit_2() {
        let error = quantity("1.234").unwrap_err();
        assert_eq!((error.exit_code(), error.cause().code.as_str()), (2, "AMBIGUOUS_NUMBER"));
        let (_, hint) = crate::text::error(error.cause());
        assert!(hint.contains("1234") && hint.contains("1,234"), "{hint}");
        assert_eq!(quarter(5).unwrap_err().cause().code, "BAD_QUARTER");
        assert_eq!(date("14-05-2024").unwrap_err().cause().code, "BAD_DATE");
    }

    #[test]
    fn texts_that_a_terminal_would_obey_are_refused() {
        for text in ["a\u{1b}[2J", "a\rb", "a\n", "\0", "a\u{202e}b", "\u{2066}", "\u{9b}"] {
            let error = said("--note", text).unwrap_err();
            assert_eq!((error.exit_code(), error.cause().code.as_str()), (2, "TEXT_UNPRINTABLE"), "{text:?}");
            let message = crate::text::message(error.cause());
            assert!(message.contains("--note"), "{message}");
        }
        assert_eq!(said("--note", "  Pasar “Baru” – é  ").unwrap(), "Pasar “Baru” – é");
        assert!(said("--note", &"é".repeat(2000)).is_ok());
        let error = said("--reason", &"é".repeat(2001)).unwrap_err();
        assert_eq!((error.exit_code(), error.cause().code.as_str()), (2, "TOO_LARGE"));
    }

    #[test]
    fn a_quarter_is_named_once() {
        let read = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
            quarter_targets(&options).map(|targets| targets.len()).map_err(|e| e.cause().code.clone())
        };
        assert_eq!(read(&["1=3", "2=-", "3="]), Ok(3));
        assert_eq!(read(&["1=3", "1=4"]), Err("QUARTER_CONFLICT".to_owned()));
        assert_eq!(read(&["1=a\u{1b}b"]), Err("TEXT_UNPRINTABLE".to_owned()));
        assert_eq!(read(&["5=1"]), Err("BAD_QUARTER".to_owned()));
    }
}
