//! The programs as the operating system sees them: their system calls, and whether what they promise is durable by then.

pub mod durable;
pub mod strace;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use strace::Call;

/// The calls that say what is written, made durable, and told to others.
const CALLS: &str = "trace=openat,mkdir,rename,renameat2,ftruncate,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,\
                     fdatasync,fsync,sync_file_range";
/// Each sync takes 20 ms: what does not wait for it is then sure to be seen before it ends.
pub const SLOW_SYNCS: &str = "inject=fdatasync,fsync:delay_enter=20000";
/// The second fdatasync of each thread answers EIO.
pub const SECOND_SYNC_FAILS: &str = "inject=fdatasync:error=EIO:when=2";

/// The same command, watched and with what is done to its calls; the trace goes to `trace`. What is run is the child itself, and strace stands beside it.
///
/// # Panics
/// Where strace is missing or may not look at other processes: then nothing was shown.
#[must_use]
pub fn watched(command: &Command, inject: &str, trace: &Path) -> Command {
    may_watch();
    let mut watched = Command::new("strace");
    watched.args(["-D", "-f", "-yy", "-s", "64", "-e", "signal=none", "-e", CALLS, "-e", inject]);
    watched.arg("-o").arg(trace);
    watched.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => watched.env(name, value),
            None => watched.env_remove(name),
        };
    }
    watched
}

/// Runs a command to its end, watched, with slow syncs.
///
/// # Panics
/// As [`watched`] and [`calls`].
#[must_use]
pub fn run(command: &Command, trace: &Path) -> (Output, Vec<Call>) {
    let mut watched = watched(command, SLOW_SYNCS, trace);
    let child = watched.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("strace was there a moment ago");
    let process = child.id();
    let output = child.wait_with_output().expect("our own child");
    (output, calls(trace, process))
}

fn may_watch() {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output();
    let tried =
        tried.unwrap_or_else(|error| panic!("strace does not start ({error}): apt-get install strace"));
    let told = String::from_utf8_lossy(&tried.stderr);
    assert!(
        tried.status.success(),
        "strace may not look at other processes here, so nothing says what is durable; allow ptrace \
         (in a container --cap-add=SYS_PTRACE): {told}"
    );
}

/// The calls of a program that was [`watched`] and has ended.
///
/// # Panics
/// When the trace is not whole, or not understood.
#[must_use]
pub fn calls(trace: &Path, process: u32) -> Vec<Call> {
    let process = process.to_string();
    // Short numbers are filled up with blanks.
    let ended = |line: &str| {
        line.strip_prefix(&process).is_some_and(|rest| rest.trim_start().starts_with("+++ exited"))
    };
    let mut tries = 0;
    loop {
        // strace writes its last lines after the program has ended.
        let text = std::fs::read_to_string(trace).unwrap_or_default();
        if text.lines().rev().take(20).any(ended) {
            return strace::parse(&text).unwrap_or_else(|error| panic!("{error}"));
        }
        tries += 1;
        assert!(tries < 500, "{} does not end with the program", trace.display());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
