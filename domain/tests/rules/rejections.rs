//! One text table that reaches every cause.

use std::collections::BTreeSet;

use renaksi_domain::{Code, Outcome};

use crate::office::{Office, key};

/// What the office is like before the command: the scenes of [`scene`], then the command, then the outcome.
/// `{ayu/1}` in an expected detail stands for the public id of that entry.
const TABLE: &str = "
established  | ayu lock 1                             | refused ROLE_MAY_NOT role=administrator command=quarter.lock_requested
recorded     | budi amend ayu/1 3 2024-05-14          | refused NOT_OWN_ENTRY entry={ayu/1}
recorded     | kabid verify kabid/1                   | refused SELF_VERIFICATION entry={kabid/1}
submitted    | admin approve 1                        | refused SELF_APPROVAL revision=R1
recorded     | kabidkop verify ayu/1                  | refused NOT_YOUR_UNIT entry={ayu/1} indicator=1.1.1.1
established  | ayu unreadable                         | refused UNREADABLE sequence=1
founded      | operator add-unit {long}               | refused TOO_LARGE bytes=4001 bytes_max=4000
founded      | operator add-unit a{escape}b           | refused TEXT_UNPRINTABLE character=2
founded      | admin establish 2024                   | refused UNKNOWN_PLAN year=2024
established  | ayu add 99 1 2024-05-14                | refused UNKNOWN_INDICATOR indicator=99
established  | kabid verify ayu/7                     | refused UNKNOWN_ENTRY entry={ayu/7}
established  | admin dismiss ayu/7                    | refused UNKNOWN_HELD entry={ayu/7}
established  | admin submit 7                         | refused UNKNOWN_REVISION revision=7
founded      | operator assign 77 officer 1           | refused UNKNOWN_PERSON person=77
founded      | operator end 77 0 2024-05-14           | refused UNKNOWN_PERSON person=77
founded      | host enrol 77 7                        | refused UNKNOWN_PERSON person=77
founded      | operator assign 5 officer 77           | refused UNKNOWN_UNIT unit=77
founded      | operator end 5 77 2024-05-14           | refused UNKNOWN_UNIT unit=77
draft        | admin set uttp unit 77                 | refused UNKNOWN_UNIT unit=77
revision     | admin change 1 reassign uttp 2 77      | refused UNKNOWN_UNIT unit=77
founded      | operator revoke 77                     | refused UNKNOWN_DEVICE device=77
founded      | host found                             | refused OFFICE_EXISTS
draft work   | admin start-import 2024                | refused PLAN_EXISTS year=2024
established  | admin start-import 2024                | refused PLAN_ESTABLISHED year=2024 state=established
established  | admin set uttp target 1=5              | refused PLAN_ESTABLISHED year=2024 indicator=1.1.1.1
established  | admin establish 2024                   | refused PLAN_NOT_DRAFT year=2024 state=established
draft        | head approve-plan 2024                 | refused PLAN_NOT_SUBMITTED year=2024 state=draft
draft        | admin draft R1 3                       | refused PLAN_NOT_ESTABLISHED revision=R1 year=2024 state=draft
founded      | admin row uttp                         | refused IMPORT_INCOMPLETE staged=0
founded      | admin finish-import 2024 0 0           | refused IMPORT_INCOMPLETE staged=0
stray row    | admin finish-import 2024 1 1           | refused IMPORT_INVALID number=1 level=activity
empty row    | admin finish-import 2024 1 1           | refused IMPORT_INVALID number=1 level=strategic
established  | ayu add uttp 1 2023-12-31              | refused WRONG_YEAR indicator=1.1.1.1 date=2023-12-31 year=2024
two years    | admin change 1 target 13 3 120 200     | refused WRONG_YEAR revision=R1 indicator=1.1.1.1 change=target year=2024
established  | ayu add uttp -1 2024-05-14             | refused NEGATIVE_COUNT indicator=1.1.1.1 quantity=-1
established  | ayu add uttp 1/2 2024-05-14            | refused READING_MISMATCH indicator=1.1.1.1 wanted=quantity kind=sum
voided       | ayu void ayu/1                         | refused ENTRY_NOT_COUNTED entry={ayu/1} state=voided
voided       | kabid verify ayu/1                     | refused ENTRY_NOT_COUNTED entry={ayu/1} state=voided
verified     | kabid verify ayu/1                     | refused ALREADY_JUDGED entry={ayu/1} state=verified
recorded     | kabid verify ayu/1@ayu/9               | refused VERSION_MOVED base={ayu/9} version={ayu/1} entry={ayu/1}
recorded     | ayu amend ayu/1@ayu/9 2 2024-05-14     | held VERSION_MOVED base={ayu/9} version={ayu/1}
silent       | ayu void ayu/1                         | refused REASON_MISSING command=entry.voided
silent       | kabid return ayu/1                     | refused REASON_MISSING command=entry.returned
established  | admin draft R1 3 2024 unreasoned       | refused REASON_MISSING revision=R1 year=2024
locked       | ayu add uttp 1 2024-03-01              | held QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024
retired      | ayu add asn 1 2024-07-10               | held INDICATOR_RETIRED indicator=1.1.1.2 quarter=3
established  | ayu add koperasi 1 2024-05-14          | held NOT_ASSIGNED indicator=2.1.1 date=2024-05-14 unit=Kepala Bidang Koperasi
established  | ayu add uttp 1 2024-08-01              | held CLOCK_IMPLAUSIBLE indicator=1.1.1.1 date=2024-08-01 ahead_seconds=0
established  | ayu2 amend ayu/5@ayu/5 1 2024-05-14    | held ENTRY_NOT_YET_KNOWN entry={ayu/5}
revoked      | ayu add uttp 1 2024-05-14              | held DEVICE_REVOKED
revoked      | ayu withdraw ayu/1                     | refused DEVICE_REVOKED command=held.withdrawn
asked        | head confirm 3                         | refused SELF_APPROVAL grant=3
asked        | head confirm 2                         | refused UNKNOWN_GRANT grant=2
asked        | host confirm 1                         | refused ROLE_MAY_NOT role=host command=grant.confirmed
asked        | admin decline 2                        | refused UNKNOWN_GRANT grant=2
stated       | admin establish 2024                   | refused YEAR_TARGET_DIFFERS indicator=1.1.1.1 stated=1000 derived=945
submitted plan | head send-back 2024                  | refused REASON_MISSING command=plan.sent_back
draft        | admin recall 2024                      | refused PLAN_NOT_SUBMITTED year=2024 state=draft
founded      | host adopt-rules 2                     | refused NOTHING_TO_CHANGE rules=2
founded      | host adopt-rules 9                     | refused RULES_UNKNOWN rules=9 known=2
founded      | operator adopt-rules 3                 | refused ROLE_MAY_NOT role=host
founded      | host begin-epoch 2                     | refused REASON_MISSING command=epoch.begun
founded      | host begin-epoch 1 because             | refused NOTHING_TO_CHANGE epoch=1 position=32
founded      | operator begin-epoch 2 because         | refused ROLE_MAY_NOT role=host
established  | kabid request-reopen 1 2024-06-01T17:00 | refused QUARTER_NOT_LOCKED quarter=1 year=2024 state=open
locked       | kabid request-reopen 1 2024-04-08T08:00 | refused REOPEN_PAST quarter=1 year=2024 state=locked until=2024-04-08T01:00:00Z
locked       | admin grant-reopen 1                   | refused REOPEN_NOT_REQUESTED quarter=1 year=2024 state=locked
locked       | admin decline-reopen 1                 | refused REOPEN_NOT_REQUESTED quarter=1 year=2024 state=locked
reopened     | host relock 1                          | refused RELOCK_NOT_DUE quarter=1 year=2024 state=reopened
reopened     | admin relock 1                         | refused ROLE_MAY_NOT role= command=quarter.relocked
locked       | admin narrate uttp 1 0 a b c           | refused QUARTER_LOCKED indicator=1.1.1.1 quarter=1 year=2024
established  | kabidkop narrate uttp 2 0 a b c        | refused NOT_YOUR_UNIT indicator=1.1.1.1 quarter=2
established  | admin narrate uttp 2 7 a b c           | refused VERSION_MOVED indicator=1.1.1.1 quarter=2 base=7 version=0
founded      | admin bands a=..50 b=60..              | refused BANDS_GAP above=50 up_to=60
founded      | admin bands a=..50 b=40..              | refused BANDS_OVERLAP band=a other=b
founded      | admin bands a=..50 a=50..              | refused BANDS_INVALID band=a
founded      | admin due-days 61                      | refused CONFIG_INVALID days=61 days_max=60
founded      | admin holidays +2024-04-10 -2024-04-10 | refused CONFIG_INVALID date=2024-04-10
draft        | admin set uttp cap 0                   | refused CAP_INVALID cap=0
revision     | admin change 1 cap uttp none -5        | refused CAP_INVALID cap=-5
founded      | admin due-days 5                       | refused NOTHING_TO_CHANGE setting=due_days
revision     | admin change 1 add uttp sub_activity x | refused PLACE_INVALID revision=R1 level=sub_activity parent=1.1.1.1
revision     | admin change 1 add - strategic nowhere | refused PLACE_INVALID revision=R1 level=strategic parent=
revision     | admin change 1 add tera activity x - 5 | refused BEFORE_EFFECT revision=R1 level=activity quarter=2 effective=3
revision     | admin change 1 add tera activity blank | refused NOTHING_TO_CHANGE revision=R1 level=activity change=add
established  | admin lock 3                           | refused QUARTER_NOT_OVER quarter=3 year=2024 state=open last_day=2024-09-30
locked       | admin lock 1                           | refused QUARTER_NOT_OPEN quarter=1 year=2024 state=locked
carried      | admin release ayu/1 in 1               | refused QUARTER_NOT_OPEN quarter=1 date=2024-05-14
established  | head approve-lock 1                    | refused LOCK_NOT_REQUESTED quarter=1 year=2024 state=open
revision     | head approve 1                         | refused REVISION_STATE revision=R1 state=draft
revision     | admin submit 1                         | refused REVISION_EMPTY revision=R1
revision     | admin draft R1 4                       | refused REVISION_NUMBER_TAKEN revision=R1 year=2024
moved        | head approve 1                         | refused BASE_MOVED revision=R1 indicator=1.1.1.1 change=target quarter=3 stated=120 holds=130 other=R2
locked draft | admin submit 1                         | refused CELL_LOCKED revision=R1 indicator=1.1.1.1 quarter=1
revision     | admin change 1 target uttp 2 585 600   | refused BEFORE_EFFECT revision=R1 indicator=1.1.1.1 change=target quarter=2 effective=3
established  | admin draft none 3                     | refused LEGAL_BASIS_MISSING revision= year=2024
draft        | admin establish-unfounded 2024         | refused LEGAL_BASIS_MISSING year=2024
draft        | admin set uttp                         | refused NOTHING_TO_CHANGE indicator=1.1.1.1
revision     | admin change 1 target uttp 3 120 120   | refused NOTHING_TO_CHANGE revision=R1 indicator=1.1.1.1 change=target
revision     | admin change 1 rename uttp uttp blank  | refused NOTHING_TO_CHANGE revision=R1 indicator=1.1.1.1 change=rename
founded      | operator add-unit kepala  bidangKOPERASI | refused NOTHING_TO_CHANGE unit=kepala bidangKOPERASI
";

/// Causes that [`renaksi_domain::decide`] cannot give, and why.
const NOT_OF_THE_RULES: [(Code, &str); 1] =
    [(Code::DeviceForked, "the writer compares chain hashes before it asks the rules")];

fn scene(name: &str) -> Office {
    let mut office = match name {
        "founded" | "stray row" | "empty row" => Office::founded(),
        "draft" | "draft work" | "stated" | "submitted plan" => Office::draft(),
        _ => Office::established(),
    };
    office.at("2024-05-14 09:00");
    match name {
        "founded" | "draft" | "established" => {}
        "stray row" => {
            office.does("admin start-import 2024");
            office.does("admin objective");
            office.does("admin row uttp");
        }
        "empty row" => {
            office.does("admin start-import 2024");
            office.does("admin objective");
            office.does("admin row ?stok");
        }
        "draft work" => drop(office.does("ayu add uttp 1 2024-05-14")),
        "recorded" | "silent" | "voided" | "verified" => {
            office.does("ayu add uttp 1 2024-05-14");
            office.does("kabid add uttp 1 2024-05-14");
            match name {
                "voided" => drop(office.does("ayu void ayu/1")),
                "verified" => drop(office.does("kabid verify ayu/1")),
                "silent" => office.reason = false,
                _ => {}
            }
        }
        "locked" => office.lock(1),
        "reopened" => {
            office.lock(1);
            office.does("kabid request-reopen 1 2024-04-09T17:00");
            office.does("admin grant-reopen 1");
        }
        "asked" => {
            office.does("operator assign 2 head-of-office 0");
            office.does("head confirm 1");
            office.does("operator assign 2 administrator 0");
            office.does("head decline 2");
            office.does("operator assign 3 administrator 0");
        }
        "stated" => {
            office.does("admin set uttp year-target 1000");
            office.reason = false;
        }
        "submitted plan" => {
            office.does("admin establish 2024");
            office.reason = false;
        }
        "locked draft" => {
            office.does("admin draft R1 1");
            office.does("admin change 1 target uttp 1 70 80");
            office.lock(1);
        }
        "carried" => drop(office.ask("ayu add koperasi 1 2024-05-14")),
        "revoked" => drop(office.does("operator revoke 5")),
        "revision" => drop(office.does("admin draft R1 3")),
        "two years" => {
            office.import(2025);
            office.does("admin draft R1 3");
        }
        "submitted" => {
            office.does("operator assign 2 head-of-office 0");
            office.does("head confirm 1");
            office.does("admin draft R1 3");
            office.does("admin change 1 target uttp 3 120 200");
            office.does("admin submit 1");
        }
        "retired" => {
            office.does("admin draft R1 3");
            office.does("admin change 1 retire asn");
            office.does("admin submit 1");
            office.does("head approve 1");
            office.at("2024-07-10 09:00");
        }
        "moved" => {
            for (number, new) in [(1, 200), (2, 130)] {
                office.does(&format!("admin draft R{number} 3"));
                office.does(&format!("admin change {number} target uttp 3 120 {new}"));
                office.does(&format!("admin submit {number}"));
            }
            office.does("head approve 2");
        }
        other => panic!("no scene {other}"),
    }
    office
}

/// Replaces each `{ayu/1}` by the entry's public id.
fn with_ids(office: &Office, expected: &str) -> String {
    let mut parts = expected.split('{');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        text.push_str(&office.state.public_id(key(name)));
        text.push_str(rest);
    }
    text
}

#[test]
fn every_cause_is_reached() {
    let mut reached = BTreeSet::new();
    for row in TABLE.trim().lines() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [given, words, expected] = cells[..] else { panic!("three cells: {row}") };
        let mut office = scene(given);
        let words = words.replace("{long}", &"x".repeat(4_001)).replace("{escape}", "\u{1b}");
        let (_, outcome) = office.ask(&words);
        let got = match &outcome {
            Outcome::Recorded(_) => "recorded".to_owned(),
            Outcome::Held(cause) => format!("held {cause}"),
            Outcome::Refused(cause) => format!("refused {cause}"),
        };
        assert_eq!(got, with_ids(&office, expected), "{row}");
        if let Outcome::Held(cause) | Outcome::Refused(cause) = outcome {
            reached.insert(cause.code.name());
        }
    }
    for code in Code::all() {
        let excused = NOT_OF_THE_RULES.iter().any(|(of, _)| *of == code);
        assert_ne!(reached.contains(code.name()), excused, "{}", code.name());
    }
}

#[test]
fn a_refused_or_held_command_changes_nothing_but_what_it_says() {
    let mut office = Office::established();
    let before = office.state.clone();
    office.is_refused("ayu lock 1", "ROLE_MAY_NOT role=administrator command=quarter.lock_requested");
    let mut after = office.state.clone();
    (after.position, after.time) = (before.position, before.time);
    after.people.incarnations[4].last_sequence = before.people.incarnations[4].last_sequence;
    assert!(after == before);
}

/// Every text that a command carries is measured and printable, wherever it stands: nothing that a device sends makes a
/// record that the log does not take, or obeys a terminal.
#[test]
fn every_text_of_every_command_is_measured() {
    let words = [
        "operator add-unit {text}",
        "admin start-import-titled {text}",
        "admin objective-named {text}",
        "admin establish-by {text}",
        "admin bands {text}=..50 b=50..",
        "admin narrate uttp 2 0 {text} b c",
        "admin narrate uttp 2 0 a {text} c",
        "admin narrate uttp 2 0 a b {text}",
        "admin draft {text} 3",
        "admin change 1 rename uttp {text} b",
        "admin change 1 rename uttp a {text}",
        "admin change 1 target opini 3 \"{text}\" A",
        "admin change 1 target opini 3 - \"{text}\"",
        "admin change 1 add tera activity {text}",
        "admin set opini target 3=\"{text}\"",
        "ayu add opini \"{text}\" 2024-05-14",
        "ayu amend ayu/1@ayu/1 \"{text}\" 2024-05-14",
    ];
    for words in words {
        for (text, code) in
            [("x".repeat(4_001), Code::TooLarge), ("a\u{1b}b".to_owned(), Code::TextUnprintable)]
        {
            let mut office = scene("revision");
            let (_, outcome) = office.ask(&words.replace("{text}", &text));
            match outcome {
                Outcome::Refused(cause) => assert_eq!(cause.code, code, "{words}"),
                other => panic!("{words}: {other:?}"),
            }
        }
    }
}

#[test]
fn a_text_of_the_longest_length_is_taken() {
    let mut office = Office::founded();
    office.does(&format!("operator add-unit {}", "x".repeat(4_000)));
}
