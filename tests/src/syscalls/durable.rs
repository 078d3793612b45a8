//! What a program promises, and what was durable by then: read off its system calls.
//!
//! A write is durable once an `fdatasync` or `fsync` of its file that began after it returned 0, a name once an `fsync` of its
//! folder did. `sync_file_range` makes nothing durable. A promise is whatever leaves the program for others: an answer on a
//! socket, a line on stdout.

use std::collections::BTreeMap;
use std::path::Path;

use super::strace::Call;

/// What goes over a socket in less than this is between the two ends of a connection: acknowledgements of HTTP/2, with what
/// TLS adds to them.
const ANSWER_BYTES_MIN: i64 = 64;

/// Begins each frame of a log, as strace prints it.
const FRAME: &str = "\\365rnksFR1";

/// Files that are caches or locks, or that nobody is promised: by their name, or a folder that they are in.
const NOT_PROMISED: &[&str] = &[
    "index",
    "snapshots",
    "tree",
    "lock",
    "serve.lock",
    // When somebody was seen last, on both sides: best effort.
    "seen.json",
    "seen.new",
    "contact.json",
    "contact.json.unfinished",
];

/// What was seen, and what should not have been.
#[derive(Debug, Default)]
pub struct Seen {
    /// Frames written to segments of a log.
    pub frames: usize,
    /// Times a segment was made durable.
    pub segment_syncs: usize,
    /// Files that were given their name, by that name.
    pub renamed: Vec<String>,
    /// Folders that were made.
    pub folders: Vec<String>,
    /// Times that something left the program.
    pub promises: usize,
    /// Each with the line of the trace.
    pub wrongs: Vec<String>,
}

/// Something that is not durable yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// The line of the trace after which no sync counts that began before it.
    since: usize,
    /// A promise is at least so long if it tells of it.
    told_in_bytes: i64,
}

/// Looks through the calls of one program on the files below `root`.
#[must_use]
pub fn look(calls: &[Call], root: &Path) -> Seen {
    let mut looking =
        Looking { root, seen: Seen::default(), files: BTreeMap::new(), folders: BTreeMap::new() };
    // What a program does counts from where it begins, what the kernel answers from where it ends.
    let mut steps: Vec<(usize, bool, &Call)> = Vec::new();
    for call in calls {
        let at = if is_sync(call) { call.ended } else { call.began };
        steps.push((at, is_sync(call), call));
    }
    steps.sort_by_key(|(at, sync, _)| (*at, *sync));
    steps.into_iter().for_each(|(_, _, call)| looking.step(call));
    looking.seen
}

fn is_sync(call: &Call) -> bool {
    matches!(call.name.as_str(), "fdatasync" | "fsync")
}

struct Looking<'a> {
    root: &'a Path,
    seen: Seen,
    files: BTreeMap<String, Pending>,
    folders: BTreeMap<String, Pending>,
}

impl Looking<'_> {
    fn step(&mut self, call: &Call) {
        match call.name.as_str() {
            "openat" if call.succeeded() => self.opened(call),
            "mkdir" if call.succeeded() => {
                if let Some(path) = call.text(0).filter(|path| self.is_ours(path)) {
                    self.seen.folders.push(path.to_owned());
                    self.named(path, call);
                }
            }
            "rename" if call.succeeded() => self.renamed(call.text(0), call.text(1), call),
            "renameat2" if call.succeeded() => self.renamed(call.text(1), call.text(3), call),
            "fdatasync" | "fsync" => self.synced(call),
            "sync_file_range" => {
                if let Some(path) = call.target(0).filter(|path| self.is_ours(path)) {
                    self.wrong(call, format!("sync_file_range of {path}, which makes nothing durable"));
                }
            }
            "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "sendto" | "sendmsg" | "ftruncate" => {
                self.written(call);
            }
            _ => {}
        }
    }

    /// Below the root, and promised to somebody.
    fn is_ours(&self, path: &str) -> bool {
        let inside = Path::new(path).strip_prefix(self.root).ok();
        inside
            .is_some_and(|inside| !inside.iter().any(|name| NOT_PROMISED.iter().any(|other| name == *other)))
    }

    fn wrong(&mut self, call: &Call, what: String) {
        self.seen.wrongs.push(format!("line {}: {what}", call.began));
    }

    fn opened(&mut self, call: &Call) {
        let flags = call.arguments.get(2).map_or("", String::as_str);
        // Without these it may have been there before.
        if flags.contains("O_CREAT")
            && (flags.contains("O_TRUNC") || flags.contains("O_EXCL"))
            && let Some(path) = call.text(1).filter(|path| self.is_ours(path))
        {
            self.named(path, call);
        }
    }

    /// A name in a folder is on its way.
    fn named(&mut self, path: &str, call: &Call) {
        let folder = Path::new(path).parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        let pending = Pending { since: call.ended, told_in_bytes: told_in_bytes(path) };
        let known = self.folders.entry(folder).or_insert(pending);
        // Of several names, the one that can be told of in the fewest bytes counts.
        known.since = pending.since;
        known.told_in_bytes = known.told_in_bytes.min(pending.told_in_bytes);
    }

    fn renamed(&mut self, from: Option<&str>, to: Option<&str>, call: &Call) {
        let (Some(from), Some(to)) = (from, to) else { return };
        if !self.is_ours(to) {
            return;
        }
        self.seen.renamed.push(to.to_owned());
        if let Some(pending) = self.files.remove(from) {
            self.wrong(call, format!("{to} gets its name before its bytes are durable"));
            self.files.insert(to.to_owned(), pending);
        }
        self.named(to, call);
    }

    fn synced(&mut self, call: &Call) {
        let Some(path) = call.target(0) else { return };
        if call.result != Some(0) {
            return;
        }
        self.seen.segment_syncs += usize::from(is_segment(path));
        for pending in [&mut self.files, &mut self.folders] {
            if pending.get(path).is_some_and(|pending| pending.since < call.began) {
                pending.remove(path);
            }
        }
    }

    fn written(&mut self, call: &Call) {
        let Some(target) = call.target(0) else { return };
        let socket = target.starts_with("TCP") || target.starts_with("UNIX");
        if socket || call.descriptor(0) == Some(1) {
            let bytes = call.result.unwrap_or(0);
            if bytes > 0 && (!socket || bytes >= ANSWER_BYTES_MIN) {
                self.promised(call, bytes, target);
            }
        } else if self.is_ours(target) {
            let frame = call.text(1).is_some_and(|text| text.starts_with(FRAME));
            self.seen.frames += usize::from(is_segment(target) && frame);
            let pending = Pending { since: call.ended, told_in_bytes: told_in_bytes(target) };
            self.files.insert(target.to_owned(), pending);
        }
    }

    fn promised(&mut self, call: &Call, bytes: i64, to: &str) {
        self.seen.promises += 1;
        let told = |(path, pending): (&String, &Pending)| {
            let socket = to.starts_with("TCP") || to.starts_with("UNIX");
            (!socket || bytes >= pending.told_in_bytes).then(|| path.clone())
        };
        let files: Vec<String> = self.files.iter().filter_map(told).collect();
        let folders: Vec<String> = self.folders.iter().filter_map(told).collect();
        for path in files {
            self.wrong(call, format!("{bytes} bytes leave for {to} while {path} is not durable"));
        }
        for path in folders {
            self.wrong(call, format!("{bytes} bytes leave for {to} while a name in {path} is not durable"));
        }
    }
}

/// Headers of an answer may go before what is in it. Of a checkpoint that is its origin, size, root and signature.
fn told_in_bytes(path: &str) -> i64 {
    let checkpoint = Path::new(path).file_stem().is_some_and(|name| name == "checkpoint");
    if checkpoint { 200 } else { ANSWER_BYTES_MIN }
}

fn is_segment(path: &str) -> bool {
    let path = Path::new(path);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.starts_with("segment-") && name.ends_with(".log")
}

#[cfg(test)]
mod tests {
    use super::super::strace::parse;
    use super::*;

    const SEGMENT: &str = "/d/log/segment-1.log";

    /// The calls of a trace in which `FILE` is a segment, `SOCKET` a connection, and every line is of thread 1.
    fn wrongs(lines: &[&str]) -> Vec<String> {
        let written = |line: &&str| {
            let line = line.replace("FILE", SEGMENT).replace("SOCKET", "TCP:[1->2]");
            if line.starts_with(char::is_numeric) { line } else { format!("1 {line}") }
        };
        let trace: Vec<String> = lines.iter().map(written).collect();
        look(&parse(&trace.join("\n")).unwrap(), Path::new("/d")).wrongs
    }

    const WRITE: &str = "pwrite64(3<FILE>, \"\\365rnksFR1\", 90, 12288) = 90";
    const SYNC: &str = "fdatasync(3<FILE>) = 0";
    const ANSWER: &str = "writev(4<SOCKET>, [{iov_base=\"x\", iov_len=90}], 1) = 90";

    #[track_caller]
    fn wrong(lines: &[&str], told: &str) {
        let wrongs = wrongs(lines);
        assert!(wrongs.iter().any(|wrong| wrong.contains(told)), "{wrongs:?}");
    }

    #[test]
    fn an_answer_waits_for_the_sync() {
        assert_eq!(wrongs(&[WRITE, SYNC, ANSWER]), Vec::<String>::new());
        wrong(
            &[WRITE, ANSWER, SYNC],
            "line 2: 90 bytes leave for TCP:[1->2] while /d/log/segment-1.log is not",
        );
        wrong(&[WRITE, ANSWER], "is not durable");
        // Words between the two ends of a connection may go at any time.
        assert_eq!(
            wrongs(&[WRITE, "sendto(4<SOCKET>, \"x\", 35, 0, NULL, 0) = 35", SYNC]),
            Vec::<String>::new()
        );
        // On stdout every byte counts.
        wrong(&[WRITE, "write(1<pipe:[5]>, \"x\", 1) = 1", SYNC], "1 bytes leave for pipe:[5]");
    }

    #[test]
    fn a_sync_that_failed_or_began_too_early_or_was_of_another_file_is_none() {
        wrong(&[WRITE, "fdatasync(3<FILE>) = -1 EIO (Input/output error)", ANSWER], "is not durable");
        wrong(&[WRITE, "fdatasync(3</d/log/segment-2.log>) = 0", ANSWER], "segment-1.log is not durable");
        let early = ["2 fdatasync(3<FILE> <unfinished ...>", WRITE, "2 <... fdatasync resumed>) = 0", ANSWER];
        wrong(&early, "is not durable");
        let between =
            [WRITE, "2 fdatasync(3<FILE> <unfinished ...>", ANSWER, "2 <... fdatasync resumed>) = 0"];
        wrong(&between, "line 3: 90 bytes leave");
        let late = [WRITE, "2 fdatasync(3<FILE> <unfinished ...>", "2 <... fdatasync resumed>) = 0", ANSWER];
        assert_eq!(wrongs(&late), Vec::<String>::new());
        wrong(&[WRITE, "sync_file_range(3<FILE>, 0, 0, 7) = 0", SYNC, ANSWER], "makes nothing durable");
        // What is a cache may be treated so.
        let cache = [
            "pwrite64(3</d/index/db>, \"x\", 1, 0) = 1",
            "sync_file_range(3</d/index/db>, 0, 0, 7) = 0",
            ANSWER,
        ];
        assert_eq!(wrongs(&cache), Vec::<String>::new());
    }

    #[test]
    fn a_name_is_given_to_durable_bytes_and_is_durable_before_it_is_told() {
        const CREATE: &str =
            "openat(AT_FDCWD</>, \"/d/log/a.new\", O_RDWR|O_CREAT|O_TRUNC, 0666) = 3</d/log/a.new>";
        const FILL: &str = "write(3</d/log/a.new>, \"x\", 1) = 1";
        const FSYNC: &str = "fsync(3</d/log/a.new>) = 0";
        const RENAME: &str = "rename(\"/d/log/a.new\", \"/d/log/a\") = 0";
        const FOLDER: &str = "fsync(5</d/log>) = 0";
        assert_eq!(wrongs(&[CREATE, FILL, FSYNC, RENAME, FOLDER, ANSWER]), Vec::<String>::new());
        wrong(
            &[CREATE, FILL, RENAME, FSYNC, FOLDER, ANSWER],
            "line 3: /d/log/a gets its name before its bytes",
        );
        wrong(&[CREATE, FILL, FSYNC, RENAME, ANSWER], "a name in /d/log is not durable");
        wrong(&[CREATE, FILL, FSYNC, FOLDER, RENAME, ANSWER], "a name in /d/log is not durable");
        wrong(&["mkdir(\"/d/log\", 0700) = 0", FOLDER, ANSWER], "a name in /d is not durable");
        assert_eq!(
            wrongs(&["mkdir(\"/d/log\", 0700) = 0", "fsync(5</d>) = 0", ANSWER]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn headers_may_go_before_a_checkpoint_and_the_checkpoint_may_not() {
        const NOTE: &str = "pwrite64(3</d/log/checkpoint.new>, \"x\", 250, 0) = 250";
        const NOTE_SYNC: &str = "fdatasync(3</d/log/checkpoint.new>) = 0";
        const CREATE: &str =
            "openat(AT_FDCWD</>, \"/d/log/checkpoint.new\", O_RDWR|O_CREAT|O_TRUNC, 0666) = 3";
        const SEGMENT: &str = "rename(\"/d/log/segment-1.new\", \"/d/log/segment-1.log\") = 0";
        assert_eq!(wrongs(&[CREATE, NOTE, ANSWER, NOTE_SYNC]), Vec::<String>::new());
        wrong(&[SEGMENT, CREATE, ANSWER], "a name in /d/log is not durable");
        wrong(
            &[NOTE, "sendto(4<SOCKET>, \"x\", 280, 0, NULL, 0) = 280", NOTE_SYNC],
            "checkpoint.new is not durable",
        );
    }
}
