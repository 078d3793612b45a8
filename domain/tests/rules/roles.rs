use renaksi_domain::command::{Command, allowed_roles};
use renaksi_domain::ids::PersonId;
use renaksi_domain::people::{PeopleCommand, Role};

use crate::office::Office;
use crate::words::parse;

/// Every command, and who may ask it: officer, head of unit, administrator, head of office, auditor, operator.
const MAY: &str = "
unreadable                         | pkahu o
found                              | ..... o
add-unit Bidang                    | ..... o
add-person                         | ..... o
assign 5 officer 2                 | ..... o
end 5 2 2024-06-30                 | ..... o
enrol 5 77                         | ..... o
revoke 1                           | ..... o
start-import 2024                  | ..a.. .
objective                          | ..a.. .
row uttp                           | ..a.. .
finish-import 2024 1 1             | ..a.. .
establish 2024                     | ..a.. .
approve-plan 2024                  | ...h. .
set uttp kind sum                  | ..a.. .
add uttp 1 2024-05-14              | pk... .
amend ayu/1 1 2024-05-14           | pk... .
void ayu/1                         | pk... .
withdraw ayu/1                     | pk... .
verify ayu/1                       | .k.h. .
return ayu/1                       | .k.h. .
release ayu/1                      | ..a.. .
dismiss ayu/1                      | ..a.. .
lock 1                             | ..a.. .
approve-lock 1                     | ...h. .
reject-lock 1                      | ...h. .
draft R1 3                         | ..a.. .
change 1 target uttp 3 120 200     | ..a.. .
submit 1                           | ..a.. .
approve 1                          | ...h. .
reject 1                           | ...h. .
withdraw-revision 1                | ..a.. .
confirm 1                          | ...h. .
decline 1                          | ...h. .
adopt-rules 3                      | ..... o
begin-epoch 2 because              | ..... o
send-back 2024                     | ...h. .
recall 2024                        | ..a.. .
request-reopen 1 2024-06-01T17:00  | .ka.. .
grant-reopen 1                     | ..a.. .
decline-reopen 1                   | ..a.. .
relock 1                           | ..... .
narrate uttp 2 0 a b c             | .ka.. .
bands a=..50 b=50..                | ..a.. .
due-days 7                         | ..a.. .
holidays +2024-04-10               | ..a.. .
";

/// Who stands for each role, in the order of [`Role::ALL`].
const STANDS_FOR: [&str; 6] = ["ayu", "kabid", "admin", "head", "auditor", "operator"];

#[test]
fn every_role_and_every_command_as_written() {
    let mut rows = 0;
    for row in MAY.trim().lines() {
        let (words, marks) = row.split_once('|').unwrap();
        let marks: Vec<bool> =
            marks.chars().filter(|mark| !mark.is_whitespace()).map(|mark| mark != '.').collect();
        assert_eq!(marks.len(), Role::ALL.len(), "{row}");
        rows += 1;
        for ((role, allowed), name) in Role::ALL.into_iter().zip(marks).zip(STANDS_FOR) {
            let mut office = Office::established();
            office.at("2024-05-14 08:00");
            let command = parse(&office.state, words);
            assert_eq!(allowed_roles(&command).contains(&role), allowed, "{words} {role:?}");
            let (_, outcome) = office.ask(&format!("{name} {}", words.trim()));
            let refused = matches!(&outcome, renaksi_domain::Outcome::Refused(cause)
                if cause.code == renaksi_domain::Code::RoleMayNot && cause.detail("role") != Some("host"));
            assert_eq!(!refused, allowed, "{words} by {name}: {outcome:?}");
        }
    }
    assert_eq!(rows, 46, "one row a command");
}

#[test]
fn the_host_founds_and_enrols_and_has_no_power_over_figures() {
    let mut office = Office::established();
    office.is_refused("operator enrol 5 77", "ROLE_MAY_NOT role=host");
    office.is_refused("host set uttp kind sum", "ROLE_MAY_NOT role=host command=indicator.set");
    office.is_refused("host lock 1", "ROLE_MAY_NOT role=host command=quarter.lock_requested");
    office.does("host enrol 5 77");
    office
        .is_refused("host enrol 6 77", "NOTHING_TO_CHANGE incarnation=00000000-0000-0000-0000-00000000004d");
}

#[test]
fn a_role_holds_on_its_days_only() {
    let mut office = Office::established();
    office.at("2024-06-01 08:00");
    // Plt. head of office for June.
    office.does("operator assign 8 head-of-office 0 2024-06-01 2024-06-30");
    office.does("head confirm 1");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.does("admin submit 1");
    office.at("2024-07-01 08:00");
    office.is_refused("kabidkop approve 1", "ROLE_MAY_NOT role=head-of-office command=revision.approved");
    office.at("2024-06-30 23:59:59");
    office.does("kabidkop approve 1");
}

#[test]
fn an_operator_has_no_other_role_beside_it() {
    let mut office = Office::founded();
    office.at("2024-05-14 08:00");
    office.is_refused("operator assign 1 administrator 1", "ROLE_MAY_NOT role=administrator beside=operator");
    office.is_refused("operator assign 2 operator 0", "ROLE_MAY_NOT role=operator beside=administrator");
    // Neither by dates that merely look like an end.
    office.does("operator end 2 0 2024-12-31");
    office.is_refused(
        "operator assign 2 operator 0 2024-06-01",
        "ROLE_MAY_NOT role=operator beside=administrator",
    );
    office.does("operator assign 2 operator 0 2025-01-01");
    // A former officer may become one.
    office.does("operator end 5 0 2024-05-13");
    office.does("operator assign 5 operator 0");
}

#[test]
fn whoever_drafted_or_submitted_a_revision_cannot_approve_it() {
    let mut office = Office::established();
    office.does("operator assign 2 head-of-office 0");
    office.does("head confirm 1");
    office.does("admin draft R1 3");
    office.does("admin change 1 target uttp 3 120 200");
    office.does("admin submit 1");
    office.is_refused("admin approve 1", "SELF_APPROVAL revision=R1");
    office.does("operator assign 3 administrator 1");
    office.does("admin confirm 2");
    office.does("admin draft R2 3");
    office.does("admin change 2 target uttp 4 170 200");
    office.does("head submit 2");
    office.is_refused("head approve 2", "SELF_APPROVAL revision=R2");
    office.does("head approve 1");
}

#[test]
fn a_plan_is_not_established_by_who_asked_for_it() {
    let mut office = Office::draft();
    office.does("operator assign 2 head-of-office 0");
    office.does("head confirm 1");
    office.does("admin establish 2024");
    office.is_refused("admin approve-plan 2024", "SELF_APPROVAL year=2024");
    office.does("head approve-plan 2024");
}

#[test]
fn an_administrator_or_a_head_of_office_is_made_by_two_people_once_there_is_a_head() {
    let mut office = Office::established();
    let is_admin = |office: &Office| {
        office.state.people.has_role(PersonId(8), Role::Administrator, office.state.day(office.now))
    };
    office.does("operator assign 8 administrator 1");
    assert!(!is_admin(&office));
    office.is_refused("kabidkop due-days 7", "ROLE_MAY_NOT role=administrator command=config.due_days_set");
    office.is_refused("operator confirm 1", "ROLE_MAY_NOT role=head-of-office command=grant.confirmed");
    office.is_refused("admin confirm 1", "ROLE_MAY_NOT role=head-of-office command=grant.confirmed");
    office.does("head confirm 1");
    assert!(is_admin(&office));
    office.is_refused("head confirm 1", "UNKNOWN_GRANT grant=1");
    // Declined with a reason.
    office.does("operator assign 7 head-of-office 0");
    office.reason = false;
    office.is_refused("head decline 2", "REASON_MISSING command=grant.declined");
    office.reason = true;
    office.does("head decline 2");
    assert!(!office.state.people.has_role(PersonId(7), Role::HeadOfOffice, office.state.day(office.now)));
    // Other roles need one person.
    office.does("operator assign 7 head-of-unit 3");
    assert_eq!(office.state.people.grants.len(), 2);
}

#[test]
fn without_a_head_who_can_act_one_person_grants() {
    let mut office = Office::established();
    // The head's only device is revoked: nobody could confirm.
    office.does("operator revoke 3");
    office.does("operator assign 8 head-of-office 0");
    assert!(office.state.people.has_role(PersonId(8), Role::HeadOfOffice, office.state.day(office.now)));
    office.does("operator assign 7 administrator 1");
    assert_eq!(office.state.people.grants.len(), 1);
}

#[test]
fn a_grant_that_would_stand_beside_an_operator_is_not_confirmed() {
    let mut office = Office::established();
    office.does("operator assign 8 administrator 1");
    office.does("operator end 8 0 2023-12-31");
    office.at("2024-05-14 09:00");
    office.does("operator assign 8 operator 0 2024-05-14");
    office.is_refused("head confirm 1", "ROLE_MAY_NOT role=administrator beside=operator");
}

#[test]
fn an_office_of_the_first_rules_grants_as_it_did_until_the_new_ones_are_adopted() {
    let mut office = Office::established();
    office.state.rules = 1;
    let records = office.records.len();
    office.does("operator assign 8 administrator 1");
    assert!(office.state.people.grants.is_empty());
    office.does("host adopt-rules 2");
    office.does("operator assign 7 administrator 1");
    assert_eq!(office.state.people.grants.len(), 1);
    // The log of this scenario was founded with today's rules; its beginning is told again as the first release did.
    for record in &mut office.records[..records] {
        if let Command::People(PeopleCommand::FoundOffice(found)) = &mut record.envelope.command {
            found.rules = 1;
        }
    }
    office.state.office.as_mut().unwrap().rules = 1;
}

#[test]
fn only_facts_and_their_withdrawal_work_offline() {
    let office = Office::established();
    for row in MAY.trim().lines() {
        let words = row.split_once('|').unwrap().0.trim();
        let offline = ["add ", "amend", "void", "withdraw ayu"].iter().any(|fact| words.starts_with(fact));
        assert_eq!(parse(&office.state, words).works_offline(), offline, "{words}");
    }
}
