//! The stage of the system tests: a real server on a free loopback port, a home for each device, a clock that is played.
//! What a test starts, it stops.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub mod plans;
pub mod proxy;
pub mod syscalls;

/// A rehearsal office with a running server.
#[derive(Debug)]
pub struct Office {
    dir: TempDir,
    server: Option<Child>,
    address: String,
    /// More options of `serve`.
    options: Vec<String>,
    homes: Vec<PathBuf>,
    /// What the server's clock is, where it is not the file that is played.
    server_clock: Option<String>,
    /// What is done to the system calls of the server, and where they are written.
    trace: Option<(&'static str, PathBuf)>,
}

/// A device of a person.
#[derive(Clone, Debug)]
pub struct Device {
    home: PathBuf,
    clock: PathBuf,
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// A program of this workspace, of the build that the caller is of.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("whoever calls is a program");
    // Tests run from target/PROFILE/deps, benches from target/PROFILE.
    let folder = own.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).expect("a folder");
    let program = folder.join(name);
    assert!(program.exists(), "{} is missing: run `cargo build --workspace --bins` first", program.display());
    program
}

impl Office {
    /// Founds an office at the start of 2024 and serves it.
    #[must_use]
    pub fn found() -> Office {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut office = Office {
            dir,
            server: None,
            address: "127.0.0.1:0".to_owned(),
            options: Vec::new(),
            homes: Vec::new(),
            server_clock: None,
            trace: None,
        };
        office.set_clock("2024-01-08T02:00:00Z");
        let ran = office.renaksid(&[
            "init",
            "--office",
            "Dinas Uji",
            "--operator",
            "operator-1",
            "--rehearsal",
            "--json",
        ]);
        assert_eq!(ran.code, 0, "{ran:?}");
        office.start();
        office
    }

    /// An office whose 2024 plan is imported and established, with an administrator and a head of office.
    #[must_use]
    pub fn established(plan: &[u8]) -> (Office, Device, Device) {
        let mut office = Office::found();
        let administrator = office.enroll("perencana-1", "administrator", None);
        let head = office.enroll("kadis-1", "head-of-office", None);
        let file = office.path("plan.txt");
        fs::write(&file, plan).expect("a plan file");
        administrator.ok(&["plan", "import", &file.display().to_string()]);
        administrator.ok(&["plan", "establish", "--basis", "Keputusan Kepala Dinas Nomor 1/2024"]);
        head.ok(&["plan", "approve"]);
        (office, administrator, head)
    }

    /// A file or folder of the office's test.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Plays the clock of every program.
    pub fn set_clock(&self, time: &str) {
        let new = self.path("clock.new");
        fs::write(&new, time).expect("a clock file");
        fs::rename(new, self.path("clock")).expect("a clock file");
    }

    /// From the next start on the server's clock stands still. Read from a file at every look, it would cost time.
    pub fn stand_still(&mut self, time: &str) {
        self.server_clock = Some(time.to_owned());
    }

    /// Starts the server; after a kill on the same address, because devices know it.
    pub fn start(&mut self) {
        let mut command = self.command(&program("renaksid"));
        command.args(["serve", "--json", "--listen", &self.address, "--data"]).arg(self.path("data"));
        command.args(&self.options);
        if let Some((inject, trace)) = &self.trace {
            command = syscalls::watched(&command, inject, trace);
        }
        let mut server =
            command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("renaksid starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("piped"))
            .read_line(&mut line)
            .expect("renaksid says when ready");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("renaksid said {line:?}"));
        self.address = ready["listening"].as_str().expect("an address").to_owned();
        self.server = Some(server);
    }

    /// Starts the server anew, with more options.
    pub fn restart_with(&mut self, options: &[&str]) {
        self.stop();
        self.options = options.iter().map(|option| (*option).to_owned()).collect();
        self.start();
    }

    /// Starts the server anew, watched; answers its process. Its calls are in `trace` once it has stopped. `inject`: one of
    /// [`syscalls`].
    pub fn restart_watched(&mut self, inject: &'static str, trace: PathBuf) -> u32 {
        self.stop();
        self.trace = Some((inject, trace));
        self.start();
        // A later start is not watched.
        self.trace = None;
        self.server.as_ref().expect("it was started above").id()
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Kills the server from wherever it is called; [`Office::kill`] then reaps it.
    pub fn killer(&self) -> impl FnOnce() + Send + 'static {
        let id = rustix::process::Pid::from_child(self.server.as_ref().expect("the server runs"));
        move || rustix::process::kill_process(id, rustix::process::Signal::KILL).expect("our own child")
    }

    /// The server loses its power.
    pub fn kill(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        server.kill().expect("our own child");
        server.wait().expect("our own child");
    }

    /// The server is asked to stop, and answers what it accepted.
    pub fn stop(&mut self) {
        let mut server = self.server.take().expect("the server runs");
        let id = rustix::process::Pid::from_child(&server);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("our own child");
        let started = Instant::now();
        while server.try_wait().expect("our own child").is_none() {
            assert!(started.elapsed() < Duration::from_secs(30), "renaksid does not stop on SIGTERM");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs `renaksid COMMAND --data …`.
    #[must_use]
    pub fn renaksid(&self, arguments: &[&str]) -> Ran {
        let (words, options) =
            arguments.split_at(if ["office", "epoch"].contains(&arguments[0]) { 2 } else { 1 });
        let mut command = self.command(&program("renaksid"));
        command.args(words).arg("--data").arg(self.path("data")).args(options);
        finish(command)
    }

    /// `renaksid check`, which must find everything in order.
    #[track_caller]
    #[must_use]
    pub fn check(&self) -> Value {
        let ran = self.renaksid(&["check", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.json()
    }

    /// Invites a person and enrols their next device.
    #[track_caller]
    pub fn enroll(&mut self, name: &str, role: &str, unit: Option<&str>) -> Device {
        self.enroll_through(name, role, unit, None)
    }

    /// The same, on a device that reaches the server at another address.
    #[track_caller]
    pub fn enroll_through(
        &mut self,
        name: &str,
        role: &str,
        unit: Option<&str>,
        address: Option<&str>,
    ) -> Device {
        let mut arguments = vec!["--user", name, "--role", role];
        unit.into_iter().for_each(|unit| arguments.extend(["--unit", unit]));
        self.enroll_by(&arguments, name, address)
    }

    /// Invites a person into one of several offices, and enrols their next device.
    #[track_caller]
    pub fn enroll_into(&mut self, office: &str, name: &str, role: &str, unit: Option<&str>) -> Device {
        let mut arguments = vec!["--office", office, "--user", name, "--role", role];
        unit.into_iter().for_each(|unit| arguments.extend(["--unit", unit]));
        self.enroll_by(&arguments, name, None)
    }

    #[track_caller]
    fn enroll_by(&mut self, invite: &[&str], name: &str, address: Option<&str>) -> Device {
        let ran = self.renaksid(&[&["invite", "--json"], invite].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let home = self.path(&format!("home-{}-{name}", self.homes.len()));
        self.homes.push(home.clone());
        let device = Device { home, clock: self.path("clock") };
        let invite = ran.json()["invite"].as_str().expect("an invite").to_owned();
        let mut enroll = vec!["enroll", &invite];
        address.into_iter().for_each(|address| enroll.extend(["--server", address]));
        device.ok(&enroll);
        device
    }

    /// A copy of a device's folder, as a backup or a stolen disk would be.
    #[must_use]
    pub fn copy(&self, device: &Device, name: &str) -> Device {
        let home = self.path(name);
        copy_folder(&device.home, &home);
        Device { home, clock: device.clock.clone() }
    }

    /// What must hold at the end of every story: everything verifies; replay is live, on server and devices; index and
    /// snapshots rebuilt from the segments change nothing.
    #[track_caller]
    pub fn end(mut self, devices: &[&Device]) {
        let live = self.check();
        for device in devices {
            device.run(&["sync"]);
            let replay = device.ok(&["audit", "replay"]);
            assert_eq!(replay["state_hash"], self.check()["state_hash"], "replica of {:?}", device.home);
            assert_eq!(device.ok(&["audit", "verify"])["ok"], true);
        }
        let live = if devices.is_empty() { live } else { self.check() };
        self.stop();
        for cache in ["data/office/index", "data/office/snapshots"] {
            fs::remove_dir_all(self.path(cache)).expect("a cache to throw away");
        }
        self.start();
        assert_eq!(self.check()["state_hash"], live["state_hash"], "rebuilt from the segments");
        self.stop();
        assert_eq!(self.check()["state_hash"], live["state_hash"], "read from the files");
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let played = || format!("@{}", self.path("clock").display());
        command.env("RENAKSI_CLOCK", self.server_clock.clone().unwrap_or_else(played));
        command
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        // A failed test leaves its server running; it is our own child.
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl Device {
    /// The device's folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The command, ready to be run or spawned.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("renaksi"));
        command
            .env("RENAKSI_CLOCK", format!("@{}", self.clock.display()))
            .env_remove("RENAKSI_HOME")
            .arg("--home")
            .arg(&self.home)
            .args(["--lang", "en", "--json"])
            .args(arguments);
        command
    }

    /// Runs `renaksi … --json`.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments))
    }

    /// Runs a command for a person, in a language.
    pub fn says(&self, language: &str, arguments: &[&str]) -> Ran {
        let json = self.command(&[]);
        let mut command = Command::new(json.get_program());
        for (name, value) in json.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.arg("--home").arg(&self.home).args(["--lang", language, "--color", "never"]).args(arguments);
        finish(command)
    }

    /// Runs a command that must end with exit 0, and reads its JSON.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> Value {
        self.ends(arguments, 0)
    }

    /// Runs a command that must end with that exit code, and reads its JSON.
    #[track_caller]
    pub fn ends(&self, arguments: &[&str], code: i32) -> Value {
        let ran = self.run(arguments);
        assert_eq!(ran.code, code, "renaksi {arguments:?}: {ran:?}");
        ran.json()
    }

    /// Records a count and answers the entry's id.
    #[track_caller]
    pub fn add(&self, code: &str, quantity: &str, on: &str) -> String {
        let answer = self.ok(&["entry", "add", code, "--quantity", quantity, "--on", on]);
        answer["entry_id"].as_str().expect("an id").to_owned()
    }

    /// A plan row as `plan show` has it.
    #[track_caller]
    #[must_use]
    pub fn row(&self, code: &str, arguments: &[&str]) -> Value {
        let plan = self.ok(&[&["plan", "show"], arguments].concat());
        let rows = plan["rows"].as_array().expect("rows");
        rows.iter().find(|row| row["code"] == code).unwrap_or_else(|| panic!("no row {code}")).clone()
    }
}

/// The number of objects of a list, or the number itself.
#[must_use]
pub fn count(value: &Value) -> u64 {
    value.as_array().map_or_else(|| value.as_u64().unwrap_or(0), |list| list.len() as u64)
}

/// pushed = recorded + held + refused + duplicate.
#[track_caller]
pub fn adds_up(sync: &Value) {
    let parts =
        ["recorded", "held", "refused", "duplicate"].iter().map(|key| count(&sync[*key])).sum::<u64>();
    assert_eq!(count(&sync["pushed"]), parts, "{sync}");
}

fn finish(mut command: Command) -> Ran {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => {
                fs::copy(entry.path(), target).expect("a copy");
            }
        }
    }
}
