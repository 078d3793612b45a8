//! FAULTS: who may do what and since when, and who decides it; with the real programs.
#![allow(clippy::unwrap_used)]

use renaksi_tests::plans::{UNIT, small};
use renaksi_tests::{Device, Office};
use serde_json::{Value, json};

const ROW: &str = "1.1.1.1";

fn office() -> (Office, Device, Device, Device) {
    let (mut office, administrator, head) =
        Office::established(&small(&[("UTTP", ["70", "585", "120", "170"])]));
    let operator = office.enroll("operator-1", "operator", None);
    (office, administrator, head, operator)
}

fn code(error: &Value) -> &str {
    error["error"]["code"].as_str().unwrap_or_else(|| panic!("no error: {error}"))
}

#[test]
fn an_administrator_beside_a_head_of_office_needs_the_head() {
    let (mut office, _, head, operator) = office();
    // The invite works at once; the role waits.
    let second = office.enroll("perencana-2", "administrator", None);
    let again =
        office.renaksid(&["invite", "--json", "--user", "perencana-2", "--role", "administrator"]).json();
    assert_eq!((&again["waiting_for_confirmation"], &again["grant"]), (&json!(true), &json!(1)));
    let set = ["config", "set", "--due-days", "7"];
    assert_eq!(code(&second.ends(&set, 6)), "ROLE_MAY_NOT");
    assert_eq!(code(&operator.ends(&["user", "confirm", "1"], 6)), "ROLE_MAY_NOT");
    head.ok(&["sync"]);
    let needs = head.ok(&["status"])["needs"].clone();
    assert!(needs.as_array().unwrap().iter().any(|need| need["code"] == "confirm_grant"), "{needs}");
    let waiting = head.ok(&["status"])["waiting_for_you"].clone();
    assert_eq!((waiting.as_array().unwrap().len(), &waiting[0]["count"]), (1, &json!(1)), "{waiting}");
    let item = json!({ "grant": 1, "person": "perencana-2", "role": "administrator" });
    assert_eq!((&waiting[0]["code"], &waiting[0]["items"]), (&json!("confirm_grant"), &json!([item])));
    for (language, words) in [("en", "as the second person"), ("id", "sebagai orang kedua")] {
        let said = head.says(language, &["status"]).stdout;
        assert!(said.contains(words) && said.contains("1: perencana-2, administrator"), "{said}");
    }
    let grants = head.ok(&["user", "grants"])["grants"].clone();
    assert_eq!((grants.as_array().unwrap().len(), &grants[0]["person"]), (1, &json!("perencana-2")));
    assert_eq!(head.ok(&["user", "confirm", "1"])["state"], "confirmed");
    second.ok(&set);
    assert_eq!(code(&head.ends(&["user", "confirm", "1"], 4)), "UNKNOWN_GRANT");
    // A role that the operator gives from a device waits as well, and may be declined.
    let given = operator.ok(&["user", "assign", "perencana-2", "--role", "head-of-office"]);
    assert_eq!((&given["waiting_for_confirmation"], &given["grant"]), (&json!(true), &json!(2)));
    let declined = head.ok(&["user", "decline", "2", "--reason", "tidak diusulkan"]);
    assert_eq!(declined["state"], "declined");
    assert_eq!(head.ok(&["user", "grants"])["grants"], json!([]));
    assert_eq!(head.ok(&["user", "grants", "--all"])["grants"].as_array().unwrap().len(), 2);
    // The trail says that the role was asked for, then given.
    let log = head.run(&["audit", "log", "--actor", "kadis-1"]).stdout;
    assert!(log.contains("perencana-2 is confirmed as administrator"), "{log}");
    let log = head.run(&["audit", "log", "--actor", "operator-1"]).stdout;
    assert!(log.contains("perencana-2 shall be head of office"), "{log}");
    office.end(&[&head, &second]);
}

#[test]
fn an_administrator_who_moves_waits_for_the_head_in_the_new_unit() {
    let (office, administrator, head, operator) = office();
    operator.ok(&["sync"]);
    let in_unit = ["user", "assign", "perencana-1", "--role", "administrator", "--unit", UNIT];
    operator.ok(&[in_unit.as_slice(), &["--from", "2024-01-01"]].concat());
    head.ok(&["user", "confirm", "1"]);
    operator.ok(&["unit", "add", "Sekretaris"]);
    let moved = operator.ok(&["user", "move", "perencana-1", "--unit", "Sekretaris", "--from", "2024-01-08"]);
    assert_eq!((&moved["waiting_for_confirmation"], &moved["grants"]), (&json!(true), &json!([2])));
    // What was asked for already waits under its own number; the new one has another.
    let again = ["user", "assign", "perencana-1", "--role", "administrator", "--unit", "Sekretaris"];
    let again = operator.ok(&[again.as_slice(), &["--from", "2024-01-08"]].concat());
    assert_eq!(again["grant"], 3);
    // Nobody has to confirm an officer.
    let officer = operator.ok(&["user", "assign", "kadis-1", "--role", "officer", "--unit", UNIT]);
    assert_eq!((&officer["waiting_for_confirmation"], &officer["grant"]), (&json!(false), &Value::Null));
    let moved = operator.ok(&["user", "move", "kadis-1", "--unit", "Sekretaris", "--from", "2024-01-09"]);
    assert_eq!((&moved["waiting_for_confirmation"], &moved["grants"]), (&json!(false), &json!([])));
    office.end(&[&administrator]);
}

#[test]
fn roles_that_wait_are_told_in_both_languages() {
    let (mut office, _, head, operator) = office();
    office.enroll("perencana-2", "auditor", None);
    operator.ok(&["sync"]);
    let said = |device: &Device, language: &str, arguments: &[&str]| {
        let ran = device.says(language, arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let plt = ["user", "assign", "perencana-2", "--role", "administrator", "--from", "2024-01-08"];
    let plt = [plt.as_slice(), &["--until", "2024-01-31"]].concat();
    let dates = "administrator, 2024-01-08 → 2024-01-31";
    for (language, waits) in
        [("en", "holds once the head of office confirms it"), ("id", "setelah dikukuhkan")]
    {
        let told = said(&operator, language, &plt);
        assert!(told.contains(dates) && told.contains(waits), "{told}");
    }
    head.ok(&["sync"]);
    for (language, state) in [("en", "waiting"), ("id", "menunggu")] {
        let told = said(&head, language, &["user", "grants"]);
        assert!(told.contains("operator-1") && told.contains(dates), "{told}");
        assert_eq!(told.matches(state).count(), 2, "{told}");
    }
    let told = said(&head, "id", &["user", "confirm", "1"]);
    assert_eq!(told, format!("dikukuhkan: perencana-2, {dates}\n"));
    let told = said(&head, "en", &["user", "decline", "2", "--reason", "ganda"]);
    assert_eq!(told, format!("declined: perencana-2, {dates}\n"));
    let told = said(&head, "en", &["user", "grants"]);
    assert_eq!(told, "no role waits for a second person\n");
    let trail = said(&head, "id", &["audit", "log", "--from", "2024-01-01"]);
    // A long line is wrapped.
    let trail = trail.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        "setelah dikukuhkan kepala dinas (1)",
        "perencana-2 dikukuhkan sebagai administrator",
        "perencana-2 sebagai administrator ditolak",
    ] {
        assert!(trail.contains(sentence), "{sentence}: {trail}");
    }
    // The trail keeps the reason.
    let log = head.run(&["audit", "log", "--actor", "kadis-1"]).stdout;
    let last: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((&last["type"], &last["reason"]), (&json!("grant.declined"), &json!("ganda")));
    office.end(&[&head]);
}

#[test]
fn whoever_gives_a_role_to_the_head_needs_another_head() {
    let (office, _, head, operator) = office();
    operator.ok(&["sync"]);
    operator.ok(&["user", "assign", "kadis-1", "--role", "administrator"]);
    assert_eq!(code(&head.ends(&["user", "confirm", "1"], 6)), "SELF_APPROVAL");
    office.end(&[&head]);
}

#[test]
fn a_role_for_a_time_judges_entries_by_their_day() {
    let (mut office, administrator, _, operator) = office();
    let officer = office.enroll("petugas-1", "auditor", None);
    operator.ok(&["sync"]);
    office.set_clock("2024-05-02T03:00:00Z");
    let assign = ["user", "assign", "petugas-1", "--role", "officer", "--unit", UNIT];
    operator.ok(&[assign.as_slice(), &["--from", "2024-05-01", "--until", "2024-05-31"]].concat());
    office.set_clock("2024-06-10T03:00:00Z");
    officer.ok(&["sync"]);
    for on in ["2024-04-30", "2024-05-01", "2024-05-31", "2024-06-01"] {
        officer.add(ROW, "1", on);
    }
    let sync = officer.ends(&["sync"], 3);
    assert_eq!((&sync["recorded"], sync["held"].as_array().unwrap().len()), (&json!(2), 2));
    assert!(sync["held"].as_array().unwrap().iter().all(|held| held["code"] == "NOT_ASSIGNED"));
    // All of one device in one command.
    let device = officer.ok(&["status"])["device"].to_string();
    administrator.ok(&["sync"]);
    let released = administrator.ok(&["held", "release", "--device", &device, "--reason", "surat tugas"]);
    assert_eq!((&released["released"], &released["refused"]), (&json!(2), &json!(0)));
    let none = administrator.ends(&["held", "release", "--device", &device, "--reason", "lagi"], 4);
    assert_eq!(code(&none), "NOTHING_HELD");
    office.end(&[&officer]);
}

#[test]
fn releasing_all_of_a_device_accounts_for_each() {
    let (mut office, administrator, head, operator) = office();
    let officer = office.enroll("petugas-1", "auditor", None);
    operator.ok(&["sync"]);
    let assign = ["user", "assign", "petugas-1", "--role", "officer", "--unit", UNIT, "--from", "2024-05-01"];
    operator.ok(&assign);
    office.set_clock("2024-06-10T03:00:00Z");
    administrator.ok(&["quarter", "lock", "1"]);
    head.ok(&["quarter", "approve-lock", "1"]);
    officer.ok(&["sync"]);
    let locked = officer.add(ROW, "1", "2024-03-20");
    let open = officer.add(ROW, "2", "2024-04-30");
    officer.ok(&["entry", "amend", &open, "--quantity", "5", "--on", "2024-05-02", "--reason", "salah"]);
    let sync = officer.ends(&["sync"], 3);
    assert_eq!(sync["held"].as_array().unwrap().len(), 3, "two entries and a change of one: {sync}");
    let device = officer.ok(&["status"])["device"].to_string();
    let release = ["held", "release", "--device", &device, "--reason", "surat tugas"];
    // Whoever may not is told so once, and nothing is sent.
    assert_eq!(code(&officer.ends(&release, 6)), "ROLE_MAY_NOT");
    let nowhere = ["held", "release", "--device", "77", "--reason", "x"];
    assert_eq!(code(&administrator.ends(&nowhere, 2)), "UNKNOWN_DEVICE");
    // The change is let in with its entry, so that its own release comes too late; what is locked waits on, with its cause.
    let released = administrator.ends(&release, 3);
    assert_eq!((&released["released"], &released["refused"]), (&json!(2), &json!(1)));
    let entries = released["entries"].as_array().unwrap();
    let waits: Vec<&Value> = entries.iter().filter(|entry| entry["state"] == "held").collect();
    assert_eq!((entries.len(), waits.len()), (3, 1));
    assert_eq!((&waits[0]["entry_id"], &waits[0]["code"]), (&json!(locked), &json!("QUARTER_LOCKED")));
    assert_eq!(administrator.row(ROW, &[])["realised"], json!([null, "5", null, null]));
    // Nothing that could be let in: the cause is the command's own.
    let none = administrator.ends(&release, 4);
    assert_eq!(
        (code(&none), &none["error"]["details"]["errors"][0]["entry_id"]),
        ("QUARTER_LOCKED", &json!(locked))
    );
    let said = administrator.says("id", &release);
    assert!(said.code == 4 && said.stderr.contains(&locked[..8]), "{said:?}");
    let carried = administrator.says("id", &[release.as_slice(), &["--count-in", "2"]].concat());
    assert_eq!(carried.code, 0, "{carried:?}");
    assert!(
        carried.stdout.contains(&locked[..8]) && carried.stdout.contains("1 dilepas, 0 masih tertahan"),
        "{carried:?}"
    );
    assert_eq!(administrator.row(ROW, &[])["realised"], json!([null, "6", null, null]));
    office.end(&[&officer, &administrator]);
}

#[test]
fn a_stand_in_head_of_unit_verifies_on_the_days_of_the_stand_in() {
    let (mut office, _, _, operator) = office();
    let officer = office.enroll("petugas-1", "officer", Some(UNIT));
    let stand_in = office.enroll("petugas-2", "officer", Some(UNIT));
    operator.ok(&["sync"]);
    office.set_clock("2024-05-02T03:00:00Z");
    let assign = ["user", "assign", "petugas-2", "--role", "head-of-unit", "--unit", UNIT];
    operator.ok(&[assign.as_slice(), &["--from", "2024-05-10", "--until", "2024-05-12"]].concat());
    let entry = officer.add(ROW, "1", "2024-05-02");
    officer.ok(&["sync"]);
    let verify = |exit| stand_in.ends(&["entry", "verify", &entry], exit);
    stand_in.ok(&["sync"]);
    assert_eq!(code(&verify(6)), "ROLE_MAY_NOT");
    let status = stand_in.ok(&["status"]);
    assert_eq!((&status["unverified"], &status["waiting_for_you"]), (&Value::Null, &json!([])));
    office.set_clock("2024-05-10T03:00:00Z");
    // Who recorded an entry cannot verify it, whatever the role.
    let own = stand_in.add(ROW, "1", "2024-05-10");
    stand_in.ok(&["sync"]);
    assert_eq!(code(&stand_in.ends(&["entry", "verify", &own], 6)), "SELF_VERIFICATION");
    // Two of the unit are unverified; one of them waits for another than its author.
    let status = stand_in.ok(&["status"]);
    assert_eq!((&status["unverified"], &status["to_verify"]), (&json!(2), &json!(1)));
    let waiting = &status["waiting_for_you"][0];
    let item = json!({ "indicator": ROW, "year": 2024, "entries": 1 });
    assert_eq!((&waiting["code"], &waiting["items"]), (&json!("verify"), &json!([item])));
    verify(0);
    office.set_clock("2024-05-13T03:00:00Z");
    assert_eq!(code(&stand_in.ends(&["entry", "return", &entry, "--reason", "x"], 6)), "ROLE_MAY_NOT");
    office.end(&[&officer]);
}

#[test]
fn what_is_not_understood_is_told_before_anything_is_asked() {
    let (office, administrator, head, operator) = office();
    operator.ok(&["sync"]);
    let assign = |arguments: &[&str]| {
        code(&operator.ends(&[&["user", "assign", "kadis-1"], arguments].concat(), 2)).to_owned()
    };
    assert_eq!(assign(&["--role", "raja"]), "BAD_ROLE");
    assert_eq!(assign(&["--role", "officer"]), "ROLE_NEEDS_UNIT");
    let backwards = ["--role", "auditor", "--from", "2024-05-02", "--until", "2024-05-01"];
    assert_eq!(assign(&backwards), "DATES_BACKWARDS");
    assert_eq!(code(&administrator.ends(&["plan", "recall"], 4)), "PLAN_NOT_SUBMITTED");
    assert_eq!(code(&head.ends(&["plan", "send-back", "--reason", "x"], 4)), "PLAN_NOT_SUBMITTED");
    office.end(&[&administrator]);
}

#[test]
fn a_submitted_plan_goes_back_and_comes_again() {
    let mut office = Office::found();
    let administrator = office.enroll("perencana-1", "administrator", None);
    let head = office.enroll("kadis-1", "head-of-office", None);
    let file = office.path("plan.txt");
    std::fs::write(&file, small(&[("UTTP", ["70", "585", "120", "170"])])).unwrap();
    administrator.ok(&["plan", "import", &file.display().to_string()]);
    // The proposed kinds, one and then the rest.
    assert_eq!(administrator.ok(&["indicator", "confirm", ROW])["unconfirmed"], 2);
    let confirmed = administrator.ok(&["indicator", "confirm", "--all"]);
    assert_eq!((confirmed["confirmed"].as_array().unwrap().len(), &confirmed["unconfirmed"]), (2, &json!(0)));
    assert_eq!(code(&administrator.ends(&["indicator", "confirm", "--all"], 4)), "NOTHING_TO_CONFIRM");
    let establish = ["plan", "establish", "--basis", "Keputusan Kepala Dinas Nomor 1/2024"];
    administrator.ok(&establish);
    assert_eq!(head.ok(&["plan", "send-back", "--reason", "target TW 1"])["state"], "draft");
    administrator.ok(&["indicator", "set", ROW, "--target", "1=75", "--year-target", "1000"]);
    // A stated yearly target that the quarters do not come to asks for a reason.
    let asked = administrator.ends(&establish, 4);
    assert_eq!((code(&asked), &asked["error"]["details"]["derived"]), ("YEAR_TARGET_DIFFERS", &json!("950")));
    // Each that differs is named at once, in JSON and to people.
    administrator.ok(&["indicator", "set", "1.1.1", "--year-target", "90"]);
    let asked = administrator.ends(&establish, 4);
    let listed = asked["error"]["details"]["warnings"].as_array().unwrap();
    let codes: Vec<&Value> = listed.iter().map(|warning| &warning["indicator"]).collect();
    assert_eq!(codes, ["1.1.1", ROW]);
    for (language, words) in [("en", "the stated year target of"), ("id", "target tahunan")] {
        let ran = administrator.says(language, &establish);
        assert_eq!((ran.code, ran.stderr.matches(words).count()), (4, 2), "{ran:?}");
        assert!(ran.stderr.contains(&format!("{words} 1.1.1 ")), "{ran:?}");
    }
    administrator.ok(&[establish.as_slice(), &["--reason", "sisanya tahun depan"]].concat());
    assert_eq!(administrator.ok(&["plan", "recall"])["state"], "draft");
    administrator.ok(&[establish.as_slice(), &["--reason", "sisanya tahun depan"]].concat());
    let approved = head.ok(&["plan", "approve"]);
    assert_eq!(approved["warnings"].as_array().unwrap().len(), 2);
    assert_eq!(approved["warnings"][0]["code"], "YEAR_TARGET_DIFFERS");
    assert_eq!(head.row(ROW, &[])["targets_original"][0], "75");
    for (language, sent_back, recalled) in [
        ("en", "plan for 2024 sent back", "plan for 2024 taken back"),
        ("id", "rencana tahun 2024 dikembalikan", "rencana tahun 2024 ditarik"),
    ] {
        let trail = head.says(language, &["audit", "log"]).stdout;
        assert!(trail.contains(sent_back) && trail.contains(recalled), "{trail}");
    }
    office.end(&[&head]);
}
