//! `renaksid` as its operator meets it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use renaksi_ledger::Log;
use renaksi_server::data::Data;

fn renaksid(arguments: &[&str], data: &Path) -> Output {
    let (command, options) = arguments.split_at(if arguments[0] == "office" { 2 } else { 1 });
    Command::new(env!("CARGO_BIN_EXE_renaksid"))
        .args(command)
        .arg("--data")
        .arg(data)
        .args(options)
        .env_remove("RENAKSI_CLOCK")
        .output()
        .unwrap()
}

fn init(data: &Path) -> serde_json::Value {
    let output = renaksid(&["init", "--office", "Dinas Uji", "--operator", "operator-1", "--json"], data);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn fails(arguments: &[&str], data: &Path, code: i32, words: &[&str]) {
    let output = renaksid(arguments, data);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    words.iter().for_each(|word| assert!(told.contains(word), "{word} not in {told}"));
}

#[test]
fn init_makes_an_office_once_and_check_finds_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let made = init(&data);
    assert!(made["invite"].as_str().unwrap().starts_with("renaksi://127.0.0.1:7443/"));
    fails(&["init", "--office", "Lain", "--operator", "x"], &data, 4, &["already holds an office"]);
    let check = renaksid(&["check", "--json"], &data);
    let check: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(check["office"], made["office"]);
    assert_eq!(check["position"], 3, "founded, operator added, operator assigned");
    assert_eq!(check["state_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn words_that_are_not_understood_name_the_mend() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fails(&["check"], &data, 4, &["holds no office", "renaksid init"]);
    let wrong_zone = ["init", "--office", "D", "--operator", "o", "--tz", "Europe/Paris"];
    fails(&wrong_zone, &data, 2, &["Europe/Paris", "Asia/Jakarta"]);
    assert!(!data.join("server.json").exists(), "nothing half made");
    init(&data);
    fails(&["invite", "--user", "petugas-1", "--role", "boss"], &data, 2, &["boss", "head-of-unit"]);
    fails(&["invite", "--user", "petugas-1", "--role", "officer"], &data, 2, &["--unit"]);
    fails(&["invite", "--user", "operator-1", "--role", "administrator"], &data, 6, &["ROLE_MAY_NOT"]);
    fails(&["serve", "--store", "postgres://x"], &data, 2, &["--store", "not in this release"]);
}

#[test]
fn private_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data);
    let files =
        ["authority/authority.key", "authority/server.key", "office/invites.json", "office/directory.json"];
    let folders = ["", "authority", "office", "office/log", "office/index", "office/snapshots"];
    for name in files.into_iter().chain(folders).chain(["server.json"]) {
        let mode = fs::metadata(data.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[test]
fn damage_is_named_and_nothing_is_repaired_in_silence() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    init(&data);
    let segment = segment(&data);
    let mut bytes = fs::read(&segment).unwrap();
    // Inside the first frame, which has a valid one after it.
    bytes[12_288 + 40] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    fails(&["check"], &data, 7, &["segment-"]);
    fails(&["serve", "--listen", "127.0.0.1:0"], &data, 7, &["segment-"]);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "the file is as it was");
}

fn segment(data: &Path) -> PathBuf {
    let mut names = fs::read_dir(data.join("office/log")).unwrap().map(|entry| entry.unwrap().path());
    names.find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap()
}

/// The error object of a command that fails with `--json`.
#[track_caller]
fn json_error(arguments: &[&str], data: &Path, exit: i32) -> serde_json::Value {
    let output = renaksid(&[arguments, &["--json"]].concat(), data);
    assert_eq!(output.status.code(), Some(exit), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{told}");
    assert!(told["error"]["message"].is_string() && told["error"]["details"].is_object(), "{told}");
    told["error"].clone()
}

/// A server that ends with the test.
struct Serving {
    child: Child,
    ready: serde_json::Value,
}

impl Serving {
    fn start(data: &Path, more: &[&str]) -> Serving {
        let mut child = Command::new(env!("CARGO_BIN_EXE_renaksid"))
            .args(["serve", "--listen", "127.0.0.1:0", "--json", "--data"])
            .arg(data)
            .args(more)
            .env_remove("RENAKSI_CLOCK")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Serving { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn terminate(mut self) {
        let asked = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(asked.unwrap().success());
        let ended = self.child.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "{ended}");
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_lost_log_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    assert_eq!(server_file(&Data::new(&path))["founded"], true);
    let log = path.join("office/log");
    let again = ["init", "--office", "Lain", "--operator", "x"];
    let invite = ["invite", "--user", "auditor-1", "--role", "auditor"];
    let everything = [&["check"][..], &["serve", "--listen", "127.0.0.1:0"], &invite, &again];
    let refused = |left: usize| {
        for command in everything {
            fails(command, &path, 7, &["office/log", "lost"]);
            assert_eq!(json_error(command, &path, 7)["code"], "LOG_DAMAGED");
        }
        assert_eq!(fs::read_dir(&log).map_or(0, Iterator::count), left, "nothing is made");
    };
    fs::remove_file(segment(&path)).unwrap();
    refused(2); // its lock and a cache
    fs::remove_dir_all(&log).unwrap();
    refused(0);
    assert!(!log.exists());
    let office = server_file(&Data::new(&path))["office"].as_str().unwrap().parse().unwrap();
    Log::create(&log, Data::log_id(office), 1).unwrap().close().unwrap();
    refused(2);
}

#[test]
fn a_file_of_an_older_release_learns_that_the_office_is_founded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    let data = Data::new(&path);
    let mut older = server_file(&data);
    older.as_object_mut().unwrap().remove("founded");
    fs::write(data.server_path(), older.to_string()).unwrap();
    assert!(renaksid(&["check"], &path).status.success());
    fails(&["init", "--office", "Lain", "--operator", "x"], &path, 4, &["already holds"]);
    assert!(renaksid(&["invite", "--user", "a", "--role", "auditor"], &path).status.success());
    assert_eq!(server_file(&data)["founded"], true);
    // Without server.json a log that is there is not another office's.
    let authority = fs::read(data.authority().join("authority.pem")).unwrap();
    fs::remove_file(data.server_path()).unwrap();
    let error = json_error(&["init", "--office", "Lain", "--operator", "x"], &path, 1);
    assert_eq!(error["code"], "FILE_DAMAGED");
    assert_eq!(fs::read(data.authority().join("authority.pem")).unwrap(), authority);
}

#[test]
fn every_error_in_json_has_its_code_and_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    assert_eq!(json_error(&["check"], &path, 4)["code"], "NO_OFFICE");
    init(&path);
    let auditor = ["invite", "--user", "auditor-1", "--role", "auditor"];
    for (name, command) in [
        ("server.json", &["check"][..]),
        ("office/invites.json", &auditor),
        ("office/directory.json", &["serve", "--listen", "127.0.0.1:0"]),
        ("authority/authority.pem", &auditor),
    ] {
        let whole = fs::read(path.join(name)).unwrap();
        fs::write(path.join(name), "{half").unwrap();
        let error = json_error(command, &path, 1);
        assert_eq!(error["code"], "FILE_DAMAGED", "{error}");
        for text in [&error["message"], &error["hint"]] {
            assert!(text.as_str().unwrap().contains(name), "{error}");
        }
        fs::write(path.join(name), whole).unwrap();
    }
    for words in [&["check", "--no-such"][..], &["invite", "--user", "x"], &["serve", "--listen", "here"]] {
        let error = json_error(words, &path, 2);
        assert_eq!(error["code"], "USAGE");
        assert!(!error["message"].as_str().unwrap().contains("Usage:"), "{error}");
    }
    assert!(renaksid(&["check", "--help", "--json"], &path).status.success());
}

#[test]
fn a_refusal_is_the_same_through_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    let operator = ["invite", "--user", "operator-1", "--role", "auditor"];
    let unknown = ["invite", "--user", "x", "--role", "boss"];
    let alone = [json_error(&operator, &path, 6), json_error(&unknown, &path, 2)];
    assert_eq!((&alone[0]["code"], &alone[1]["code"]), (&"ROLE_MAY_NOT".into(), &"USAGE".into()));
    let server = Serving::start(&path, &[]);
    assert_eq!([json_error(&operator, &path, 6), json_error(&unknown, &path, 2)], alone);
    // Damage that a check through the server finds keeps its code too.
    let file = segment(&path);
    let mut bytes = fs::read(&file).unwrap();
    bytes[12_288 + 40] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = json_error(&["check"], &path, 7);
    assert_eq!(error["code"], "LOG_DAMAGED");
    assert!(error["message"].as_str().unwrap().contains("segment-"), "{error}");
    bytes[12_288 + 40] ^= 1;
    fs::write(&file, &bytes).unwrap();
    server.terminate();
}

#[test]
fn a_stop_right_after_ready_is_a_clean_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    for _ in 0..5 {
        Serving::start(&path, &[]).terminate();
    }
    assert!(!path.join("control.sock").exists());
}

#[test]
fn check_tells_what_an_interrupted_write_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    let check = || -> serde_json::Value {
        let output = renaksid(&["check", "--json"], &path);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let whole = check();
    assert_eq!((&whole["tail_bytes"], &whole["ok"]), (&0.into(), &true.into()));
    let file = segment(&path);
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend([7; 41]);
    fs::write(&file, &bytes).unwrap();
    let mut torn = check();
    assert_eq!((&torn["tail_bytes"], &torn["ok"]), (&41.into(), &true.into()));
    torn["tail_bytes"] = 0.into();
    assert_eq!(torn, whole);
    let told = renaksid(&["check"], &path);
    assert!(String::from_utf8_lossy(&told.stdout).contains("41 bytes behind"), "{told:?}");
    let told = renaksid(&["invite", "--user", "auditor-1", "--role", "auditor"], &path);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(
        told.contains("unless the file was damaged otherwise") && told.contains("office/log/cut-"),
        "{told}"
    );
    assert_eq!(check()["tail_bytes"], 0);
}

#[test]
fn a_name_stays_as_it_was_first_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    let invite = |name: &str| -> serde_json::Value {
        let output = renaksid(&["invite", "--user", name, "--role", "auditor", "--json"], &path);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let person = invite("petugas-1")["person"].clone();
    let names = fs::read_to_string(path.join("office/directory.json")).unwrap();
    assert_eq!(invite(" Petugas-1")["person"], person);
    assert_eq!(fs::read_to_string(path.join("office/directory.json")).unwrap(), names);
}

#[test]
fn a_unit_that_is_new_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    let invite = |user: &str, unit: &str| {
        let output =
            renaksid(&["invite", "--user", user, "--role", "officer", "--unit", unit, "--json"], &path);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (told["unit_added"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    let added = |name: &str| (true.into(), format!("unit added: {name}\n"));
    assert_eq!(invite("petugas-1", "Kepala Bidang Industri"), added("Kepala Bidang Industri"));
    assert_eq!(invite("petugas-2", "kepala  bidang industri"), (false.into(), String::new()));
    let server = Serving::start(&path, &[]);
    assert_eq!(invite("petugas-3", "Kepala UPTD"), added("Kepala UPTD"));
    assert_eq!(invite("petugas-4", "Kepala UPTD"), (false.into(), String::new()));
    server.terminate();
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn health_is_served_on_this_machine_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    init(&path);
    for address in ["0.0.0.0:0", "192.0.2.1:7480", "[::]:0"] {
        fails(&["serve", "--listen", "127.0.0.1:0", "--web", address], &path, 2, &["--web", "127.0.0.1"]);
    }
    let server = Serving::start(&path, &["--web", "127.0.0.1:0"]);
    let web = server.ready["web"].as_str().unwrap().to_owned();
    assert_eq!(get(&web, "/healthz"), (200, "ok".into()));
    assert_eq!(get(&web, "/readyz"), (200, "ready".into()));
    for other in ["/", "/metrics", "/healthz/x"] {
        assert_eq!(get(&web, other).0, 404, "{other}");
    }
    server.terminate();
    assert!(TcpStream::connect(&web).is_err());
    let server = Serving::start(&path, &[]);
    assert_eq!(server.ready.get("web"), None);
    server.terminate();
}

fn server_file(data: &Data) -> serde_json::Value {
    serde_json::from_slice(&fs::read(data.server_path()).unwrap()).unwrap()
}

#[test]
fn an_init_that_was_cut_is_gone_on_with_and_a_failed_one_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let data = Data::new(&path);
    // Nothing is made before the words are understood.
    fails(&["init", "--office", "D", "--operator", " "], &path, 2, &["1 to 80"]);
    assert!(!path.exists());
    // Cut after server.json, and again after the log was made.
    init(&path);
    let (before, authority) = (server_file(&data), fs::read(data.authority().join("authority.pem")).unwrap());
    let not_founded = || {
        let mut file = server_file(&data);
        file["founded"] = false.into();
        fs::write(data.server_path(), file.to_string()).unwrap();
    };
    for rest in [&["log", "index", "snapshots", "directory.json", "invites.json"][..], &["directory.json"]] {
        for name in rest {
            let name = data.office(name);
            fs::remove_dir_all(&name).or_else(|_| fs::remove_file(&name)).unwrap();
        }
        not_founded();
        if rest.len() == 1 {
            fs::remove_dir_all(data.office("log")).unwrap();
            fs::remove_dir_all(data.office("snapshots")).unwrap();
            let id = Data::log_id(before["office"].as_str().unwrap().parse().unwrap());
            Log::create(&data.office("log"), id, 1).unwrap().close().unwrap();
        }
        for command in [&["check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            fails(command, &path, 4, &["holds no office", "renaksid init"]);
        }
        let made = init(&path);
        assert_eq!(made["office"], before["office"]);
        assert_eq!(server_file(&data), before);
        assert_eq!(fs::read(data.authority().join("authority.pem")).unwrap(), authority);
        assert!(renaksid(&["check"], &path).status.success());
    }
    // A founding that fails takes away what it made.
    let path = dir.path().join("fails");
    let data = Data::new(&path);
    fs::create_dir_all(data.office("directory.new")).unwrap();
    fails(&["init", "--office", "D", "--operator", "operator-1"], &path, 1, &["directory"]);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    init(&path);
}

#[test]
fn a_rehearsal_says_so_and_its_flag_is_the_logs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let data = Data::new(&path);
    let arguments = ["init", "--office", "Latihan", "--operator", "operator-1", "--rehearsal"];
    let made = renaksid(&arguments, &path);
    assert!(String::from_utf8_lossy(&made.stderr).contains("REHEARSAL"), "{made:?}");
    let invite = ["invite", "--user", "auditor-1", "--role", "auditor"];
    for command in [&invite[..], &["check"]] {
        let told = renaksid(command, &path);
        assert!(String::from_utf8_lossy(&told.stderr).contains("REHEARSAL"), "{told:?}");
        let told = renaksid(&[command, &["--json"]].concat(), &path);
        let json: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(json["rehearsal"], true);
        assert!(told.stderr.is_empty(), "{told:?}");
    }
    let mut edited = server_file(&data);
    edited["rehearsal"] = false.into();
    fs::write(data.server_path(), edited.to_string()).unwrap();
    for command in [&invite[..], &["check"], &["serve", "--listen", "127.0.0.1:0"]] {
        fails(command, &path, 1, &["says that this is a real office", "founded as a rehearsal office"]);
    }
}

#[test]
fn a_real_office_does_not_say_that_it_is_a_rehearsal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    assert_eq!(init(&path)["rehearsal"], false);
    let check = renaksid(&["check"], &path);
    assert!(check.stderr.is_empty(), "{check:?}");
}

#[test]
fn several_offices_lie_in_one_folder_and_each_command_says_which_it_means() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    let add = |name: &str| -> serde_json::Value {
        let words = ["office", "add", "--office", name, "--operator", "operator-1", "--json"];
        let output = renaksid(&words, &path);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let list = || -> Vec<(String, String)> {
        let output = renaksid(&["office", "list", "--json"], &path);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |office: &serde_json::Value, key: &str| office[key].as_str().unwrap().to_owned();
        let offices = told["offices"].as_array().unwrap().iter();
        offices.map(|office| (text(office, "name"), text(office, "state"))).collect()
    };
    let listed = |names: &[(&str, &str)]| -> Vec<(String, String)> {
        names.iter().map(|(name, state)| ((*name).to_owned(), (*state).to_owned())).collect()
    };
    let check = |office: &str| -> serde_json::Value {
        let output = renaksid(&["check", "--office", office, "--json"], &path);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    init(&path);
    let first = check("dinas uji");
    let second = add("Dinas Kota");
    assert!(second["invite"].as_str().unwrap().starts_with("renaksi://127.0.0.1:7443/"));
    assert_eq!(list(), listed(&[("Dinas Uji", "closed"), ("Dinas Kota", "closed")]));
    assert_eq!(
        (check("kota")["office"].clone(), check("kota")["position"].clone()),
        (second["office"].clone(), 3.into())
    );
    // A name that is taken, none at all, and one that could be both.
    let taken = ["office", "add", "--office", " dinas KOTA", "--operator", "x"];
    fails(&taken, &path, 4, &["already holds an office", "dinas KOTA"]);
    for more in [&[][..], &["--office", "dinas"]] {
        let check = [&["check"], more].concat();
        fails(&check, &path, 2, &["several offices", "Dinas Uji", "Dinas Kota", "--office"]);
        let error = json_error(&check, &path, 2);
        assert_eq!(error["code"], "AMBIGUOUS_OFFICE");
        assert!(error["details"]["candidates"].as_str().unwrap().contains("\"Dinas Kota\" ("), "{error}");
    }
    let auditor = ["invite", "--user", "auditor-1", "--role", "auditor", "--office"];
    let stranger = [&auditor[..], &["metrologi"]].concat();
    assert_eq!(json_error(&stranger, &path, 2)["code"], "UNKNOWN_OFFICE");
    assert!(renaksid(&[&auditor[..], &["kota"]].concat(), &path).status.success());
    assert_eq!(check("kota")["position"], 5);
    assert_eq!(check("uji"), first);
    // The same through a server that runs, which has the folder for itself.
    let server = Serving::start(&path, &[]);
    assert_eq!(server.ready["offices"], 2);
    fails(&["serve", "--listen", "127.0.0.1:0"], &path, 1, &["another renaksid uses"]);
    assert_eq!(json_error(&["serve", "--listen", "127.0.0.1:0"], &path, 1)["code"], "DATA_IN_USE");
    let third = add("Dinas Desa");
    fails(&taken, &path, 4, &["already holds an office", "dinas KOTA"]);
    assert!(renaksid(&[&auditor[..], &["desa"]].concat(), &path).status.success());
    assert_eq!(
        (check("desa")["position"].clone(), check("desa")["office"].clone()),
        (5.into(), third["office"].clone())
    );
    let mut states = list();
    states.sort();
    let open = [("Dinas Desa", "open"), ("Dinas Kota", "closed"), ("Dinas Uji", "open")];
    assert_eq!(states, listed(&open));
    server.terminate();
    assert_eq!(check("desa")["position"], 5);
    assert_eq!(fs::read_dir(path.join("offices")).unwrap().count(), 2, "nothing half made");
}
