//! A process that may crash, hang or grow: whatever it does is known afterwards.
//!
//! The limit of memory is what is resident, page tables included, and is looked at from outside: a
//! limit of the address space would forbid stacks that are reserved and never touched.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::facts;
use crate::peers::threads::{self, Placement};

/// This program as it runs, also when its file is built anew meanwhile.
pub(crate) const OWN: &str = "/proc/self/exe";

/// How often the memory is looked at.
const LOOK_EVERY: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// Of what a process says on standard error, this much is kept: the first of it.
const COMPLAINT_BYTES: usize = 64 << 10;

/// And this much is told of one that failed.
const TOLD_BYTES: usize = 300;

/// What a process may use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) memory_mib: Option<u64>,
}

/// Starts `command`, pinned to one core or not. Its output is ours to read.
pub(crate) fn start(command: &mut Command, placement: Placement) -> io::Result<Child> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A child inherits the cores of the thread that starts it.
    threads::placed(placement, || command.spawn())
}

/// Runs `command` to its end, whatever that is. An error: it could not be started, or was ended at
/// a limit.
pub(crate) fn finish(
    command: &mut Command,
    placement: Placement,
    limits: Limits,
) -> Result<Output, String> {
    let program = command.get_program().to_owned();
    let mut child = start(command, placement)
        .map_err(|error| format!("cannot start {}: {error}", Path::new(&program).display()))?;
    let watched = watch(&mut child, limits);
    if watched.is_err() {
        // Also fails if it has just ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    let (stdout, stderr) = watched?;
    Ok(Output {
        status,
        stdout,
        stderr,
    })
}

/// What `command` said, or what became of it, in words.
pub(crate) fn output(
    command: &mut Command,
    placement: Placement,
    limits: Limits,
) -> Result<Output, String> {
    let output = finish(command, placement, limits)?;
    if output.status.success() {
        return Ok(output);
    }
    let told = &output.stderr[..output.stderr.len().min(TOLD_BYTES)];
    Err(match first_words(&String::from_utf8_lossy(told)) {
        Some(line) => format!("{}: {line}", output.status),
        None => output.status.to_string(),
    })
}

/// The first line that says something; of a panic, its message.
fn first_words(complaint: &str) -> Option<&str> {
    let mut lines = complaint
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let first = lines.next()?;
    if first.starts_with("thread ") && first.contains(" panicked at ") {
        return lines.next().or(Some(first));
    }
    Some(first)
}

/// Reads until the child has closed both of its outputs.
fn watch(child: &mut Child, limits: Limits) -> Result<(Vec<u8>, Vec<u8>), String> {
    let start = Instant::now();
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take();
    let mut err = child.stderr.take();
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    while out.is_some() || err.is_some() {
        let mut fds = Vec::with_capacity(2);
        fds.extend(out.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        fds.extend(err.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        poll(&mut fds, Some(&LOOK_EVERY)).map_err(|error| error.to_string())?;
        let mut ready = fds
            .iter()
            .map(|fd| !fd.revents().is_empty())
            .collect::<Vec<_>>()
            .into_iter();
        take_ready(&mut out, &mut ready, &mut said, usize::MAX)?;
        take_ready(&mut err, &mut ready, &mut complaint, COMPLAINT_BYTES)?;
        if start.elapsed() > limits.time {
            return Err(format!("took longer than {} s", limits.time.as_secs()));
        }
        if let Some(most) = limits.memory_mib
            && memory_mib(&status) > most
        {
            return Err(format!("used more than {most} MiB"));
        }
    }
    Ok((said, complaint))
}

/// What is resident, page tables included; a process that has just ended has nothing.
fn memory_mib(status: &str) -> u64 {
    let fields = facts::fields(status);
    let kib = |name| facts::number(&fields, name).unwrap_or(0);
    (kib("VmRSS") + kib("VmPTE") + kib("VmSwap")) >> 10
}

/// Reads once if `pipe` is there and ready; at its end it is gone.
fn take_ready(
    pipe: &mut Option<impl Read>,
    ready: &mut impl Iterator<Item = bool>,
    into: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), String> {
    let Some(open) = pipe else {
        return Ok(());
    };
    if ready.next() != Some(true) {
        return Ok(());
    }
    let mut piece = [0; 4096];
    match open.read(&mut piece).map_err(|error| error.to_string())? {
        0 => *pipe = None,
        count => {
            let room = bytes_max.saturating_sub(into.len());
            into.extend_from_slice(&piece[..count.min(room)]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str, limits: Limits) -> Result<Vec<u8>, String> {
        let mut shell = Command::new("sh");
        output(shell.args(["-c", text]), Placement::Free, limits).map(|output| output.stdout)
    }

    const ENOUGH: Limits = Limits {
        time: Duration::from_secs(60),
        memory_mib: Some(1000),
    };

    #[test]
    fn whatever_a_process_does_is_told() {
        assert_eq!(shell("echo 1", ENOUGH).unwrap(), b"1\n");
        let failed = shell("echo no stack left >&2; exit 3", ENOUGH).unwrap_err();
        assert!(
            failed.contains('3') && failed.contains("no stack left"),
            "{failed}"
        );
        let killed = shell("kill -SEGV $$", ENOUGH).unwrap_err();
        assert!(killed.contains("SIGSEGV"), "{killed}");
    }

    #[test]
    fn a_process_that_hangs_or_grows_is_ended() {
        let hasty = Limits {
            time: Duration::from_millis(100),
            ..ENOUGH
        };
        let start = Instant::now();
        let hung = shell("exec sleep 100", hasty).unwrap_err();
        assert!(hung.contains("longer than"), "{hung}");
        assert!(start.elapsed() < Duration::from_secs(50));
        let small = Limits {
            memory_mib: Some(0),
            ..ENOUGH
        };
        let grown = shell("exec sleep 100", small).unwrap_err();
        assert!(grown.contains("more than 0 MiB"), "{grown}");
    }

    #[test]
    fn of_a_panic_the_message_is_told() {
        let said = "\nthread 'main' (7) panicked at src/a.rs:1:2:\nno stack left\nnote: more\n";
        assert_eq!(first_words(said), Some("no stack left"));
        assert_eq!(first_words("error: full\n"), Some("error: full"));
        assert_eq!(first_words(" \n"), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = output(
            &mut Command::new("/nowhere/at/all"),
            Placement::Free,
            ENOUGH,
        );
        assert!(error.unwrap_err().contains("/nowhere/at/all"));
    }

    #[test]
    fn more_than_a_pipe_holds_is_read_whole() {
        let lines = shell("seq 100000; seq 100000 >&2", ENOUGH).unwrap();
        assert_eq!(lines.split(|&byte| byte == b'\n').count(), 100_001);
    }
}
