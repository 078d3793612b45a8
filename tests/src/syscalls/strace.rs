//! What strace wrote, read back: one call a line, and two lines for one that another thread came into.

use std::collections::HashMap;

/// A system call that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The thread's number.
    pub thread: u32,
    pub name: String,
    /// As strace prints them.
    pub arguments: Vec<String>,
    /// None where it printed `?`: the thread ended in it.
    pub result: Option<i64>,
    /// The line in which it began, and the one in which it ended. Lines are in the order in which strace saw things.
    pub began: usize,
    pub ended: usize,
}

impl Call {
    /// True when it answered no error.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.result.is_some_and(|result| result >= 0)
    }

    /// What the file descriptor in an argument is of, as `-yy` says it: a path, or `TCP:[…]`.
    #[must_use]
    pub fn target(&self, argument: usize) -> Option<&str> {
        target(self.arguments.get(argument)?)
    }

    /// A path, or another text, in an argument. What strace cut off or escaped stays so.
    #[must_use]
    pub fn text(&self, argument: usize) -> Option<&str> {
        self.arguments.get(argument)?.strip_prefix('"')?.trim_end_matches("...").strip_suffix('"')
    }

    /// The number of a file descriptor.
    #[must_use]
    pub fn descriptor(&self, argument: usize) -> Option<i64> {
        let argument = self.arguments.get(argument)?;
        argument.split('<').next()?.parse().ok()
    }
}

fn target(argument: &str) -> Option<&str> {
    argument.trim_end_matches("(deleted)").split_once('<')?.1.strip_suffix('>')
}

/// Reads what `strace -f -yy -o FILE` wrote, in the order in which the calls ended. A call that never ended is left out.
///
/// # Errors
/// A line that is none of strace's, by its number and text.
pub fn parse(trace: &str) -> Result<Vec<Call>, String> {
    let mut begun: HashMap<u32, (String, usize)> = HashMap::new();
    let mut calls = Vec::new();
    for (line, text) in (1..).zip(trace.lines()) {
        let wrong = || format!("line {line} of the trace is not understood: {text}");
        let (thread, rest) = text.split_once(' ').ok_or_else(wrong)?;
        let (thread, rest) = (thread.parse().map_err(|_| wrong())?, rest.trim_start());
        if rest.starts_with("+++ ") || rest.starts_with("--- ") {
            continue;
        }
        if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, (beginning.to_owned(), line));
            continue;
        }
        let (whole, began) = match rest.strip_prefix("<... ") {
            None => (rest.to_owned(), line),
            Some(resumed) => {
                let (_, ending) = resumed.split_once(" resumed>").ok_or_else(wrong)?;
                let (beginning, began) = begun.remove(&thread).ok_or_else(wrong)?;
                (beginning + ending, began)
            }
        };
        calls.push(call(&whole, thread, began, line).ok_or_else(wrong)?);
    }
    Ok(calls)
}

/// `name(arguments) = result …`
fn call(text: &str, thread: u32, began: usize, ended: usize) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, rest) = arguments(rest)?;
    let answer = rest.trim_start().strip_prefix("= ")?;
    let number = answer.split([' ', '<']).next()?;
    let result = if number == "?" { None } else { Some(number.parse().ok()?) };
    Some(Call { thread, name: name.to_owned(), arguments, result, began, ended })
}

/// The arguments up to the bracket that closes them, and what follows it.
fn arguments(text: &str) -> Option<(Vec<String>, &str)> {
    let (mut arguments, mut argument) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if quoted => {
                quoted = escaped || character != '"';
                escaped = !escaped && character == '\\';
            }
            '"' => quoted = true,
            '[' | '{' | '(' => depth += 1,
            ')' if depth == 0 => {
                if !argument.is_empty() {
                    arguments.push(argument.trim().to_owned());
                }
                return Some((arguments, &text[at + 1..]));
            }
            ']' | '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(std::mem::take(&mut argument).trim().to_owned());
                continue;
            }
            _ => {}
        }
        argument.push(character);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Call {
        let mut calls = parse(line).unwrap();
        assert_eq!(calls.len(), 1);
        calls.remove(0)
    }

    #[test]
    fn a_call_on_a_file() {
        let call = one(
            "27907 pwrite64(11</tmp/data/office/log/segment-1.log>, \"\\365rnksFR1\\211, ) \\\"x\\\\\"..., 137, 12288) = 137",
        );
        assert_eq!((call.thread, call.name.as_str(), call.result), (27_907, "pwrite64", Some(137)));
        assert_eq!(call.target(0), Some("/tmp/data/office/log/segment-1.log"));
        assert_eq!(call.descriptor(0), Some(11));
        assert_eq!(call.text(1), Some("\\365rnksFR1\\211, ) \\\"x\\\\"));
        assert_eq!(call.arguments[2..], ["137", "12288"]);
    }

    #[test]
    fn calls_on_sockets() {
        let call = one(
            "7 writev(16<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base=\"\\0, ]\", iov_len=2}, {iov_base=\"x\", iov_len=1}], 2) = 3",
        );
        assert_eq!(call.target(0), Some("TCP:[127.0.0.1:1->127.0.0.1:2]"));
        assert_eq!((call.arguments.len(), call.result), (3, Some(3)));
        let call =
            one("7 sendto(9<UNIX-STREAM:[1->2,\"/d/control.sock\"]>, \"a\", 1, MSG_NOSIGNAL, NULL, 0) = 1");
        assert_eq!(call.target(0), Some("UNIX-STREAM:[1->2,\"/d/control.sock\"]"));
        assert_eq!(call.arguments.len(), 6);
    }

    #[test]
    fn answers_of_every_kind() {
        let call = one("1 rename(\"/a/b.new\", \"/a/b\")           = 0");
        assert_eq!((call.text(0), call.text(1), call.succeeded()), (Some("/a/b.new"), Some("/a/b"), true));
        let call = one("1 openat(AT_FDCWD</tmp>, \"/a\", O_RDONLY|O_CLOEXEC) = 9</a>");
        assert_eq!((call.result, call.target(0)), (Some(9), Some("/tmp")));
        let call = one("1 fdatasync(3</a>) = -1 EIO (Input/output error) (INJECTED)");
        assert_eq!((call.result, call.succeeded()), (Some(-1), false));
        let call = one(
            "1 recvfrom(3<TCP:[1]>,  <unfinished ...>\n1 <... recvfrom resumed>0x7f, 9, 0, NULL, NULL) = ?",
        );
        assert_eq!((call.result, call.succeeded()), (None, false));
        assert_eq!(one("1 getpid() = 5").arguments, Vec::<String>::new());
    }

    #[test]
    fn a_call_that_others_came_into_has_both_its_lines() {
        let trace = "1 fdatasync(3</a> <unfinished ...>\n2 write(1</out>, \"x\", 1) = 1\n--- nothing\n";
        assert!(parse(trace).unwrap_err().starts_with("line 3 of the trace"));
        let trace = "1 fdatasync(3</a> <unfinished ...>\n2 write(1</out>, \"x\", 1) = 1\n\
                     1 --- SIGTERM {si_signo=SIGTERM} ---\n1 <... fdatasync resumed>) = 0\n2 +++ exited with 0 +++\n\
                     1 read(4</b>,  <unfinished ...>";
        let calls = parse(trace).unwrap();
        let lines: Vec<_> = calls.iter().map(|call| (call.name.as_str(), call.began, call.ended)).collect();
        assert_eq!(lines, [("write", 2, 2), ("fdatasync", 1, 4)]);
        assert_eq!(calls[1].target(0), Some("/a"));
    }

    #[test]
    fn what_is_no_trace_is_told_with_its_line() {
        for wrong in [
            "strace: ptrace(PTRACE_TRACEME, ...): Operation not permitted",
            "1 write(1, \"x",
            "1 <... write resumed>) = 1",
        ] {
            let told = parse(wrong).unwrap_err();
            assert!(
                told.starts_with("line 1 of the trace is not understood: ") && told.ends_with(wrong),
                "{told}"
            );
        }
    }
}
