//! The demo's stage: a fresh folder, a real server on a free loopback port, a home for each person, and a clock that is
//! played. Every step is the real program in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use renaksi_proto::clock::CLOCK_VARIABLE;
use rust_i18n::t;
use serde_json::Value;

use crate::context::Context;
use crate::error::{ClientError, Rejected};

/// Set by cargo for the programs it runs: its own path.
const CARGO: &str = "CARGO";

/// Where the demo plays.
#[derive(Debug)]
pub struct Stage {
    dir: PathBuf,
    renaksi: PathBuf,
    renaksid: PathBuf,
    server: Option<Child>,
    ctx: Context,
}

/// What a step gave.
#[derive(Debug)]
pub struct Step {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Stage {
    /// Makes the folder; it must be new or empty, because nothing of anybody's is overwritten.
    pub fn new(ctx: &Context, dir: PathBuf) -> Result<Stage, ClientError> {
        let occupied = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
        if occupied {
            return Err(ClientError::NotUnderstood(
                Rejected::new("FOLDER_NOT_EMPTY").with("folder", dir.display()),
            ));
        }
        fs::create_dir_all(&dir).map_err(|error| failed("make the folder", &error))?;
        let renaksi = std::env::current_exe().map_err(|error| failed("find the program", &error))?;
        let renaksid = server_program(&renaksi)?;
        Ok(Stage { dir, renaksi, renaksid, server: None, ctx: ctx.clone() })
    }

    /// Tells the story: on stdout, or on stderr where stdout is for one JSON object.
    pub fn say(&self, text: &str) {
        match self.ctx.json {
            true => self.ctx.notice(text),
            false => self.ctx.print(text),
        }
    }

    /// A file or folder of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Plays the clock: every process started from now on reads this time.
    pub fn set_clock(&self, time: &str) -> Result<(), ClientError> {
        let (new, clock) = (self.path("clock.new"), self.path("clock"));
        fs::write(&new, time)
            .and_then(|()| fs::rename(new, clock))
            .map_err(|error| failed("play the clock", &error))
    }

    /// Runs `renaksid` to its end.
    pub fn server_command(&self, arguments: &[&str]) -> Result<Step, ClientError> {
        let mut command = self.command(&self.renaksid);
        command.arg(arguments[0]).arg("--data").arg(self.path("server")).args(&arguments[1..]);
        finish(command)
    }

    /// Starts the server and waits until it takes calls.
    pub fn start_server(&mut self) -> Result<String, ClientError> {
        let mut command = self.command(&self.renaksid);
        command.arg("serve").arg("--data").arg(self.path("server")).args([
            "--listen",
            "127.0.0.1:0",
            "--json",
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).stdin(Stdio::null());
        let mut server = command.spawn().map_err(|error| failed("start renaksid", &error))?;
        let mut line = String::new();
        if let Some(stdout) = server.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(|error| failed("hear from renaksid", &error))?;
        }
        self.server = Some(server);
        let ready: Value = serde_json::from_str(&line).unwrap_or_default();
        match ready["listening"].as_str() {
            Some(address) => Ok(address.to_owned()),
            None => Err(ClientError::Failed(
                Rejected::new("DEMO_STEP_FAILED").with("step", "renaksid serve").with("cause", line.trim()),
            )),
        }
    }

    /// Asks the server to stop as an operator would, and waits. Answers its peak memory in kilobytes.
    pub fn stop_server(&mut self) -> Result<Option<u64>, ClientError> {
        let Some(mut server) = self.server.take() else { return Ok(None) };
        let peak = peak_kb(server.id());
        let id = rustix::process::Pid::from_child(&server);
        rustix::process::kill_process(id, rustix::process::Signal::TERM)
            .map_err(|error| failed("stop renaksid", &error.into()))?;
        server.wait().map_err(|error| failed("wait for renaksid", &error))?;
        Ok(peak)
    }

    /// Runs `renaksi` for one person, in the language of this run.
    pub fn person(&self, who: &str, arguments: &[&str]) -> Result<Step, ClientError> {
        let mut command = self.command(&self.renaksi);
        command.arg("--home").arg(self.path(who)).args(["--color", "never", "--lang"]);
        command.arg(&*rust_i18n::locale()).args(arguments);
        finish(command)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env(CLOCK_VARIABLE, format!("@{}", self.path("clock").display())).env_remove("RENAKSI_HOME");
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Only after a failed step: the good end is `stop_server`.
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

fn finish(mut command: Command) -> Result<Step, ClientError> {
    let output: Output =
        command.stdin(Stdio::null()).output().map_err(|error| failed("start a program", &error))?;
    Ok(Step {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The server's program: beside this one.
fn server_program(renaksi: &Path) -> Result<PathBuf, ClientError> {
    let beside = renaksi.with_file_name(format!("renaksid{}", std::env::consts::EXE_SUFFIX));
    match beside.exists() {
        true => Ok(beside),
        false => Err(ClientError::Failed(
            Rejected::new("SERVER_PROGRAM_MISSING").with("program", beside.display()),
        )),
    }
}

/// Where cargo runs this program, it has built this one alone: lets it build the server too, then plays in a process of
/// its own, so that memory and seconds are the demo's and not the compiler's. Answers that process's exit code.
pub fn play_under_cargo(ctx: &Context) -> Result<Option<i32>, ClientError> {
    let Some(cargo) = std::env::var_os(CARGO) else { return Ok(None) };
    let renaksi = std::env::current_exe().map_err(|error| failed("find the program", &error))?;
    if server_program(&renaksi).is_err() {
        ctx.notice(&t!("demo.building"));
    }
    let release = renaksi.parent().is_some_and(|folder| folder.ends_with("release"));
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--bin", "renaksid"]).args(release.then_some("--release"));
    // What cargo said of this package is nothing to the build: ring's build script would compile everything anew for it.
    let told = |name: &str| {
        name == "OUT_DIR" || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(told)) {
        build.env_remove(name);
    }
    build.status().map_err(|error| failed("run cargo", &error))?;
    let mut demo = Command::new(renaksi);
    demo.args(std::env::args_os().skip(1)).env_remove(CARGO);
    let ended = demo.status().map_err(|error| failed("start the demo", &error))?;
    Ok(Some(ended.code().unwrap_or(1)))
}

/// Peak resident memory of a running process in kilobytes, where the system tells.
pub fn peak_kb(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())
}

/// The largest peak of the processes that have ended, in kilobytes.
pub fn largest_child_peak_kb() -> Option<u64> {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).ok()?;
    u64::try_from(usage.max_rss()).ok()
}

fn failed(what: &str, error: &std::io::Error) -> ClientError {
    ClientError::Failed(Rejected::new("DEMO_STEP_FAILED").with("step", what).with("cause", error))
}
