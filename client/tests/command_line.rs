//! The binary from outside: what it prints, where, and with which exit code.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

fn renaksi(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_renaksi"))
        .args(arguments)
        .env_clear()
        .env("RENAKSI_HOME", home)
        .env("RENAKSI_LANG", "en")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "one object on stdout: {text}");
    serde_json::from_str(&text).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn written(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn plan(folder: &TempDir) -> String {
    written(folder, "rencana.txt", renaksi_seeds::PLAN_2024_TXT).display().to_string()
}

#[test]
fn a_dry_run_equals_the_verified_reading() {
    let folder = TempDir::new().unwrap();
    let output = renaksi(folder.path(), &["plan", "import", &plan(&folder), "--dry-run", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let (got, expected) =
        (json(&output), serde_json::from_str::<Value>(renaksi_seeds::PLAN_2024_EXPECTED).unwrap());
    for key in ["office", "year", "counts", "objectives"] {
        assert_eq!(got[key], expected[key], "{key}");
    }
    let keys: Vec<&String> = got.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["office", "year", "counts", "warnings", "objectives"]);
    let missing: Vec<&Value> =
        got["warnings"].as_array().unwrap().iter().filter(|w| w["code"] == "TARGET_MISSING").collect();
    assert_eq!(missing.len(), 12);
    assert_eq!(missing[0]["line"], 208);
    assert!(missing[0]["message"].as_str().unwrap().starts_with("TW 4 of \"Jumlah rumah tangga miskin"));
}

#[test]
fn a_dry_run_for_people_shows_tree_counts_and_warnings_in_both_languages() {
    let folder = TempDir::new().unwrap();
    let file = plan(&folder);
    let shown = |language: &str| {
        let output = renaksi(folder.path(), &["plan", "import", &file, "--dry-run", "--lang", language]);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let (english, indonesian) = (shown("en"), shown("id"));
    for text in [&english, &indonesian] {
        assert!(text.contains("1.1.2.2") && text.contains("585") && text.contains("7,8"), "{text}");
        assert!(text.contains("KIND_UNCERTAIN (") && !text.contains('\u{1b}'), "{text}");
    }
    assert!(english.contains("Only read; nothing was changed."));
    assert!(indonesian.contains("Hanya dibaca; tidak ada yang diubah."));
}

#[track_caller]
fn check_failure(arguments: &[&str], exit: i32, code: &str) -> Value {
    let folder = TempDir::new().unwrap();
    let said = renaksi(folder.path(), arguments);
    assert_eq!(said.status.code(), Some(exit), "{arguments:?}: {}", stderr(&said));
    assert!(said.stdout.is_empty(), "errors go to stderr");
    assert!(stderr(&said).contains("error: "), "{}", stderr(&said));
    let output = renaksi(folder.path(), &[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(exit));
    assert_eq!(stderr(&output), "");
    let object = json(&output);
    let error = &object["error"];
    assert_eq!(error["code"], code, "{error}");
    for key in ["message", "hint"] {
        let text = error[key].as_str().unwrap();
        assert!(!text.is_empty() && !text.contains("%{") && !text.contains('–'), "{key}: {text}");
    }
    assert!(error["details"].is_object());
    error.clone()
}

#[test]
fn files_that_are_no_plan_are_exit_4_and_name_the_line() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str, bytes: &[u8]| written(&folder, name, bytes).display().to_string();
    let import =
        |file: &str, exit, code: &str| check_failure(&["plan", "import", file, "--dry-run"], exit, code);
    assert_eq!(import(&at("a.txt", b"hello\n"), 4, "NOT_A_PLAN")["details"]["line"], "1");
    import(&at("empty.txt", b""), 4, "NOT_A_PLAN");
    import(&at("a.pdf", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"), 4, "NOT_PLAIN_TEXT");
    import(&at("a.docx", b"PK\x03\x04\x14\x00\x06\x00"), 4, "NOT_PLAIN_TEXT");
    let half = &renaksi_seeds::PLAN_2024_TXT[..15_000];
    import(&at("half.txt", half), 4, "HALF_PLAN");
    let twice = [renaksi_seeds::PLAN_2024_TXT, renaksi_seeds::PLAN_2024_TXT].concat();
    import(&at("twice.txt", &twice), 4, "TWO_PLANS");
    import(&folder.path().join("nowhere.txt").display().to_string(), 2, "FILE_NOT_FOUND");
    import(&folder.path().display().to_string(), 1, "IO_FAILED");
    let file = plan(&folder);
    check_failure(&["plan", "import", &file, "--dry-run", "--year", "2025"], 4, "YEAR_DIFFERS");
}

#[test]
fn what_is_not_understood_is_exit_2() {
    check_failure(&["fly"], 2, "USAGE");
    check_failure(&["plan", "import"], 2, "USAGE");
    check_failure(&["--lang", "fr", "status"], 2, "USAGE");
    check_failure(&["entry", "add", "UTTP"], 2, "USAGE");
    check_failure(&["entry", "add", "UTTP", "--quantity", "1", "--text", "A"], 2, "USAGE");
    check_failure(&["entry", "add", "UTTP", "--quantity", "1", "--evidence", "x.jpg"], 2, "USAGE");
    check_failure(&["entry", "void", "abcdef"], 2, "USAGE");
    check_failure(&["entry", "verify"], 2, "USAGE");
    check_failure(&["entry", "add", "UTTP", "--quantity", "1.234"], 2, "AMBIGUOUS_NUMBER");
    check_failure(&["indicator", "set", "1.1", "--target", "120"], 2, "BAD_TARGET");
    check_failure(&["indicator", "set", "1.1", "--cap", "0"], 2, "BAD_SETTING");
    check_failure(&["indicator", "set", "1.1", "--cap", "-5"], 2, "USAGE");
    check_failure(&["indicator", "set", "1.1", "--year-target", "1.234"], 2, "AMBIGUOUS_NUMBER");
    check_failure(&["user", "confirm", "x"], 2, "USAGE");
    check_failure(&["user", "decline", "1"], 2, "USAGE");
    check_failure(&["user", "assign", "A"], 2, "USAGE");
    check_failure(&["user", "assign", "A", "--role", "raja"], 2, "BAD_ROLE");
    check_failure(&["user", "assign", "A", "--role", "petugas"], 2, "ROLE_NEEDS_UNIT");
    check_failure(&["user", "assign", "A", "--role", "auditor", "--from", "1 Mei"], 2, "BAD_DATE");
    check_failure(&["plan", "send-back"], 2, "USAGE");
    check_failure(&["quarter", "request-reopen", "1", "--until", "2024-07-20"], 2, "USAGE");
    check_failure(&["quarter", "request-reopen", "1", "--reason", "x"], 2, "USAGE");
    check_failure(&["quarter", "grant-reopen"], 2, "USAGE");
    check_failure(&["quarter", "grant-reopen", "5"], 2, "BAD_QUARTER");
    check_failure(&["quarter", "decline-reopen", "1"], 2, "USAGE");
    check_failure(&["narrative", "set", "1.1", "--quarter", "1"], 2, "USAGE");
    check_failure(&["narrative", "set", "1.1", "--driver", "x"], 2, "USAGE");
    check_failure(&["narrative", "set", "1.1", "--quarter", "5", "--driver", "x"], 2, "BAD_QUARTER");
    check_failure(&["narrative", "show", "1.1", "--history", "--as-of", "3"], 2, "USAGE");
    check_failure(&["config", "set"], 2, "USAGE");
    check_failure(&["config", "set", "--due-days", "x"], 2, "USAGE");
    check_failure(&["config", "set", "--standard-bands", "--band", "A=.."], 2, "USAGE");
    check_failure(&["config", "set", "--band", "A"], 2, "BAD_BAND");
    check_failure(&["config", "set", "--band", "A=..1.234"], 2, "AMBIGUOUS_NUMBER");
    check_failure(&["config", "set", "--holiday", "10 April"], 2, "BAD_DATE");
    check_failure(&["held", "release", "--reason", "x"], 2, "USAGE");
    check_failure(&["held", "release", "abcdef12", "--device", "3", "--reason", "x"], 2, "USAGE");
    check_failure(&["revision", "add", "P-1"], 2, "USAGE");
    check_failure(&["revision", "add", "P-1", "1.1", "--new"], 2, "USAGE");
    check_failure(&["revision", "add", "P-1", "1.1", "--under", "1.1"], 2, "USAGE");
    check_failure(&["revision", "add", "P-1", "1.1", "--kind", "sum", "--measure", "X"], 2, "USAGE");
    let new = ["revision", "add", "P-1", "--new", "--under", "1.1", "--measure", "X", "--satuan", "pasar"];
    check_failure(&new, 2, "USAGE");
    check_failure(&[&new[..], &["--kind", "sum", "--retire"]].concat(), 2, "USAGE");
    check_failure(&[&new[..], &["--kind", "sum", "--level", "row"]].concat(), 2, "USAGE");
    check_failure(&[&new[..], &["--kind", "sum"]].concat(), 2, "NOT_ENROLLED");
    check_failure(&["revision", "add", "P-1", "1.1", "--cap", "none"], 2, "NOT_ENROLLED");
}

#[test]
fn without_a_device_every_command_says_what_to_do() {
    for arguments in [
        &["status"][..],
        &["sync"],
        &["plan", "show"],
        &["plan", "approve"],
        &["entry", "list"],
        &["entry", "add", "UTTP", "--quantity", "12"],
        &["held", "list"],
        &["held", "release", "--device", "3", "--reason", "surat tugas"],
        &["user", "grants"],
        &["user", "confirm", "1"],
        &["user", "decline", "1", "--reason", "x"],
        &["user", "assign", "A", "--role", "auditor", "--from", "2024-05-01", "--until", "2024-05-31"],
        &["quarter", "request-reopen", "1", "--until", "2024-07-20 17:00", "--reason", "x"],
        &["quarter", "grant-reopen", "1"],
        &["narrative", "set", "1.1", "--quarter", "1", "--driver", "x"],
        &["narrative", "show", "1.1"],
        &["config", "show"],
        &["config", "set", "--band", "A=..", "--due-days", "7"],
        &["quarter", "decline-reopen", "1", "--reason", "x"],
        &["plan", "recall"],
        &["plan", "send-back", "--reason", "x"],
        &["indicator", "show", "1.1"],
        &["audit", "diff", "1", "2"],
    ] {
        let folder = TempDir::new().unwrap();
        let output = renaksi(folder.path(), arguments);
        let said = stderr(&output);
        assert!(said.contains("hint: ") && said.contains("renaksi enroll"), "{arguments:?}: {said}");
        assert_ne!(output.status.code(), Some(0));
        let output = renaksi(folder.path(), &[arguments, &["--json"]].concat());
        assert_eq!(json(&output)["error"]["code"], "NOT_ENROLLED", "{arguments:?}");
    }
    check_failure(&["enroll", "nonsense"], 2, "BAD_INVITE");
}

#[test]
fn help_and_errors_speak_indonesian_when_asked() {
    let folder = TempDir::new().unwrap();
    let output = renaksi(folder.path(), &["entry", "--help", "--lang", "id"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().contains("Mencatat"), "{:?}", output.stderr);
    let output = renaksi(folder.path(), &["status", "--lang=id"]);
    assert!(stderr(&output).starts_with("galat: "), "{}", stderr(&output));
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_renaksi"))
        .args(["plan", "import", &plan(&folder), "--dry-run"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_could_not_be_written_is_no_success() {
    let folder = TempDir::new().unwrap();
    let file = plan(&folder);
    for arguments in
        [&["plan", "import", &file, "--dry-run"][..], &["man"], &["--help"], &["completions", "bash"]]
    {
        for json in [&[][..], &["--json"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_renaksi"))
                .args(arguments)
                .args(json)
                .env_clear()
                .env("RENAKSI_HOME", folder.path())
                .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap())
                .output()
                .unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            assert!(stderr(&output).contains("stdout"), "{arguments:?}: {}", stderr(&output));
            assert_eq!(stderr(&output).matches("error: ").count(), 1, "told once");
        }
    }
}

#[test]
fn a_closed_pipe_hides_no_failure() {
    let folder = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_renaksi"))
        .args(["plan", "import", "/nowhere/at/all", "--dry-run", "--json"])
        .env("RENAKSI_HOME", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(2));
}

#[test]
fn usage_errors_say_what_is_missing_in_both_languages() {
    let folder = TempDir::new().unwrap();
    for (arguments, english, indonesian) in [
        (
            &["entry", "void", "abcdef"][..],
            "required, but not given: --reason <REASON>",
            "wajib, tetapi tidak diberikan: --reason <REASON>",
        ),
        (&["plan", "import"], "not given: <FILE>", "tidak diberikan: <FILE>"),
        (&["status", "--loud"], "unexpected argument \"--loud\"", "argumen \"--loud\" tidak dikenal"),
        (&["fly"], "there is no command \"fly\"", "tidak ada perintah \"fly\""),
        (
            &["report", "--quarter", "x"],
            "\"x\" is no value of --quarter <QUARTER>",
            "\"x\" bukan nilai untuk --quarter <QUARTER>",
        ),
        (&["--color", "red", "status"], "(possible: auto, always, never)", "(pilihan: auto, always, never)"),
        (&["audit", "diff", "1"], "not given: <TO>", "tidak diberikan: <TO>"),
        (&["audit"], "the command is missing", "perintahnya belum disebut"),
        (
            &["entry", "add", "x", "--quantity", "1", "--text", "A"],
            "cannot stand beside --text <T>",
            "tidak dapat dipakai bersama --text <T>",
        ),
    ] {
        for (language, expected) in [("en", english), ("id", indonesian)] {
            let output = renaksi(folder.path(), &[arguments, &["--lang", language, "--json"]].concat());
            assert_eq!(output.status.code(), Some(2));
            let message = json(&output)["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains(expected), "{arguments:?}: {message}");
        }
    }
    let said = stderr(&renaksi(folder.path(), &["entry", "void", "abcdef", "--lang", "id"]));
    assert!(said.contains("Pemakaian: renaksi entry void") && said.contains("saran: "), "{said}");
    assert!(!said.contains("Usage") && !said.contains("required"), "{said}");
}

#[test]
fn indonesian_help_has_no_english_headings() {
    let folder = TempDir::new().unwrap();
    for arguments in [&["--help"][..], &["entry", "--help"], &["entry", "add", "--help"], &["report", "-h"]] {
        let output = renaksi(folder.path(), &[arguments, &["--lang", "id"]].concat());
        assert_eq!(output.status.code(), Some(0));
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.contains("Pemakaian: renaksi") && help.contains("Pilihan:"), "{help}");
        for english in ["Usage", "Options:", "Commands:", "Arguments:", "Print help", "possible values"] {
            assert!(!help.contains(english), "{english} in {help}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_has_no_end_is_read_to_the_limit_only() {
    let error = check_failure(&["plan", "import", "/dev/zero", "--dry-run"], 4, "FILE_TOO_LARGE");
    assert_eq!(error["details"]["bytes"], "16777217");
    let folder = TempDir::new().unwrap();
    let file = folder.path().display().to_string();
    let error = check_failure(&["plan", "import", &file, "--dry-run"], 1, "IO_FAILED");
    assert!(error["message"].as_str().unwrap().contains("it is a folder"), "{error}");
}

#[test]
fn a_report_has_one_form_on_stdout() {
    for format in ["csv", "table"] {
        let folder = TempDir::new().unwrap();
        let output = renaksi(folder.path(), &["report", "--quarter", "1", "--format", format, "--json"]);
        assert_eq!((output.status.code(), &json(&output)["error"]["code"]), (Some(2), &Value::from("USAGE")));
    }
}

#[test]
fn what_cannot_be_printed_is_refused_before_anything_else() {
    for arguments in [
        &["entry", "add", "UTTP", "--quantity", "1", "--note", "a\u{1b}[2Jb"][..],
        &["entry", "add", "UTTP", "--quantity", "1", "--place", "a\nb"],
        &["entry", "add", "UTTP", "--text", "\u{202e}A"],
        &["entry", "void", "abcdef12", "--reason", "a\rb"],
        &["entry", "amend", "abcdef12", "--quantity", "1", "--reason", "a\u{2066}b"],
        &["entry", "return", "abcdef12", "--reason", "a\tb"],
        &["held", "dismiss", "abcdef12", "--reason", "a\nb"],
        &["held", "release", "abcdef12", "--reason", "a\nb"],
        &["held", "release", "--device", "3", "--reason", "a\nb"],
        &["user", "decline", "1", "--reason", "a\nb"],
        &["plan", "send-back", "--reason", "a\nb"],
        &["plan", "establish", "--basis", "a\nb"],
        &["plan", "establish", "--basis", "a", "--reason", "a\nb"],
        &["revision", "reject", "1", "--reason", "a\nb"],
        &["quarter", "reject-lock", "1", "--reason", "a\nb"],
        &["quarter", "request-reopen", "1", "--until", "2024-07-20", "--reason", "a\nb"],
        &["quarter", "decline-reopen", "1", "--reason", "a\nb"],
        &["config", "set", "--band", "a\nb=.."],
        &["narrative", "set", "1.1", "--quarter", "1", "--follow-up", "a\u{1b}[2Jb"],
    ] {
        check_failure(arguments, 2, "TEXT_UNPRINTABLE");
    }
    let long = "x".repeat(4001);
    check_failure(&["entry", "add", "UTTP", "--quantity", "1", "--note", &long], 2, "TOO_LARGE");
    check_failure(&["indicator", "set", "1.1", "--target", "1=3", "--target", "1=4"], 2, "QUARTER_CONFLICT");
    check_failure(&["audit", "show", "0"], 2, "POSITION_UNKNOWN");
}

#[test]
fn completions_and_man_are_printed() {
    let folder = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let output = renaksi(folder.path(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains("renaksi"));
    }
    let page = String::from_utf8(renaksi(folder.path(), &["man"]).stdout).unwrap();
    assert!(page.contains(".TH renaksi"), "{page}");
    assert_eq!(renaksi(folder.path(), &["--version"]).status.code(), Some(0));
}

#[test]
fn a_sheet_that_is_not_understood_names_its_lines_before_it_needs_a_device() {
    let folder = TempDir::new().unwrap();
    let import = |name: &str, text: &str, exit, code: &str| {
        let file = written(&folder, name, text.as_bytes()).display().to_string();
        check_failure(&["entry", "import", &file], exit, code)
    };
    import("empty.csv", "", 2, "CSV_EMPTY");
    import("header.csv", "indicator;quantity\n", 2, "CSV_EMPTY");
    import("workbook.csv", "PK\u{3}\u{4}", 2, "NOT_PLAIN_TEXT");
    import("good.csv", "indicator;quantity\n1.1;12\n", 2, "NOT_ENROLLED");
    let header = import("bad.csv", "indikator;berapa;jumlah;jumlah\n1.1;1;2;3\n", 2, "IMPORT_NOT_UNDERSTOOD");
    let listed = |error: &Value| {
        let errors = error["details"]["errors"].as_array().unwrap().iter();
        errors
            .map(|e| (e["line"].as_u64().unwrap(), e["code"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(&header), [(1, "COLUMN_UNKNOWN".to_owned()), (1, "COLUMN_REPEATED".to_owned())]);
    assert!(header["message"].as_str().unwrap().contains("the header"), "{header}");
    let rows = import(
        "rows.csv",
        "indicator,quantity,note\n1.1,7,8,x\n1.1,3,\"two\nlines\"\n1.2,1,\"open\n",
        2,
        "IMPORT_NOT_UNDERSTOOD",
    );
    assert_eq!(listed(&rows), [(2, "CSV_CELLS".to_owned()), (5, "CSV_QUOTE_OPEN".to_owned())]);
    assert_eq!((&rows["details"]["rows"], &rows["details"]["rejected"]), (&"3".into(), &"2".into()));
    assert_eq!(rows["details"]["queued"], "0");
    check_failure(&["entry", "import", "nowhere.csv"], 2, "FILE_NOT_FOUND");
    check_failure(&["entry", "import"], 2, "USAGE");
    let file = folder.path().join("rows.csv").display().to_string();
    let said = stderr(&renaksi(folder.path(), &["entry", "import", &file, "--lang", "id"]));
    assert!(said.contains("baris 5: ada tanda kutip") && said.contains("saran: "), "{said}");
}
