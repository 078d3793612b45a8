use renaksi_domain::command::Command;
use renaksi_domain::proposal::Kind;
use renaksi_domain::quantity::Target;
use renaksi_domain::revision::{Change, RevisionCommand};
use renaksi_domain::time::Quarter;

use super::change::read;
use super::preview::preview;
use super::{AddArgs, ChangeArgs};
use crate::commands::audit::fixture::{Office, UTTP};

#[test]
fn v1_the_year_grows_with_the_quarter() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    let preview = preview(&office.state, id);
    let [(indicator, before, after)] = preview.rows.as_slice() else { panic!("{preview:?}") };
    assert_eq!(*indicator, UTTP);
    assert_eq!(
        (before.quarters[2].as_str(), before.to_date[2].as_str(), before.year.as_str()),
        ("120", "775", "945")
    );
    assert_eq!(
        (after.quarters[2].as_str(), after.to_date[2].as_str(), after.year.as_str()),
        ("200", "855", "1025")
    );
    assert_eq!(before.quarters[..2], after.quarters[..2]);
    assert!(preview.moved.is_empty() && preview.locked.is_empty());
    assert_eq!(preview.json(&office.state, id)["indicators"][0]["after"]["year"], "1025");
}

#[test]
fn v2_a_moved_base_is_told_before_anybody_approves() {
    let mut office = Office::established();
    let (first, second) = (office.draft("P-1"), office.draft("P-2"));
    office.change_target(first, "120", "200");
    office.change_target(second, "120", "90");
    office.done(Command::Revision(RevisionCommand::Approve(first)));
    let preview = preview(&office.state, second);
    assert_eq!(preview.moved, [0]);
    assert_eq!(preview.json(&office.state, second)["base_moved"][0]["old"], "120");
    let decided = super::preview::preview(&office.state, first);
    assert!(decided.moved.is_empty());
    assert_eq!(decided.rows[0].1, decided.rows[0].2);
}

#[test]
fn v4_a_locked_quarter_is_named() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    office.change_target(id, "120", "200");
    office.lock(Quarter::Q3);
    assert_eq!(preview(&office.state, id).locked, [Quarter::Q3]);
}

#[test]
fn options_become_changes_that_state_what_they_replace() {
    let mut office = Office::established();
    let id = office.draft("P-1");
    let args = AddArgs {
        revision: "P-1".into(),
        indicator: "1.1.1.1".into(),
        changes: ChangeArgs {
            target: vec!["3=1234,5".into(), "4=-".into()],
            kind: Some("cumulative".into()),
            retire: true,
            ..ChangeArgs::default()
        },
    };
    let changes = read(&office.state, id, &args).unwrap();
    let target = |cell: &str| Target::parse_cell(cell).unwrap();
    assert_eq!(
        changes,
        [
            Change::Target {
                indicator: UTTP,
                quarter: Quarter::Q3,
                old: target("120"),
                new: target("1234,5")
            },
            Change::Target {
                indicator: UTTP,
                quarter: Quarter::Q4,
                old: target("170"),
                new: Target::NotPlanned
            },
            Change::Kind { indicator: UTTP, old: Kind::Sum, new: Kind::Cumulative },
            Change::Retire { indicator: UTTP },
        ]
    );
    for (option, code) in [
        ("3=1.234", "AMBIGUOUS_NUMBER"),
        ("5=1", "BAD_QUARTER"),
        ("120", "BAD_TARGET"),
        ("3=12x", "NOT_A_NUMBER"),
    ] {
        let changes = ChangeArgs { target: vec![option.into()], ..ChangeArgs::default() };
        let args = AddArgs { changes, ..args.clone() };
        let error = read(&office.state, id, &args).unwrap_err();
        assert_eq!((error.cause().code.as_str(), error.exit_code()), (code, 2), "{option}");
    }
}
