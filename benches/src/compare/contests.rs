//! What is compared: workloads, sizes, who takes part.
//!
//! What an interval contains is said in `benches/README.md`, and in a line under each chart.

use std::time::Duration;

/// A number that a sample gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    /// In the answer of a peer.
    pub(crate) key: &'static str,
    pub(crate) unit: &'static str,
    /// Whether somebody wins by it: always the one who has less.
    pub(crate) judged: bool,
}

/// On how many cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cores {
    /// Pinned to one.
    One,
    /// On one, and on all.
    OneAndAll,
}

/// One workload.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) name: &'static str,
    /// As peers know it; several contests differ in size only.
    pub(crate) workload: &'static str,
    pub(crate) size: usize,
    pub(crate) quick_size: usize,
    /// How much longer an interval is than that of others.
    pub(crate) longer: u32,
    pub(crate) metrics: &'static [Metric],
    pub(crate) peers: &'static [&'static str],
    pub(crate) cores: Cores,
    /// What a sample may take, and its memory in MiB; more is a result of its own.
    pub(crate) time: Duration,
    pub(crate) memory_mib: u64,
    /// What one operation is, and what lies within the interval.
    pub(crate) note: &'static str,
}

const NS: &[Metric] = &[judged("ns", "ns")];

/// The number of instructions is there where the machine counts them.
const PACED: &[Metric] = &[judged("ns", "ns"), told(INSTRUCTIONS, "count")];

/// The key of what no peer says of itself.
pub(super) const INSTRUCTIONS: &str = "instructions";

const LATE: &[Metric] = &[judged("p50", "us"), judged("p99", "us"), told("max", "us")];

const ECHO: &[Metric] = &[
    judged("ns", "ns"),
    told("p50", "us"),
    told("p99", "us"),
    told("p999", "us"),
];

const PARKED: &[Metric] = &[
    judged("bytes", "bytes"),
    judged("spawn", "ns"),
    judged("wake", "ns"),
];

const IDLE: &[Metric] = &[judged("cpu", "us"), told("switches", "count")];

const HTTP: &[Metric] = &[judged("ns", "ns"), told("p50", "us"), told("p99", "us")];

/// Whoever has channels, tasks and timers.
const ALL: &[&str] = &["gopark", "go", "tokio", "may", "smol", "fiber", "threads"];
/// The same without Boost.Fiber.
const NO_FIBER: &[&str] = &["gopark", "go", "tokio", "may", "smol", "threads"];
/// Without threads, for crowds that no system has as threads.
const NO_THREADS: &[&str] = &["gopark", "go", "tokio", "may", "smol", "fiber"];
const CROWD: &[&str] = &[
    "gopark",
    "gopark-dense",
    "go",
    "tokio",
    "may",
    "smol",
    "fiber",
];
const BIG_CROWD: &[&str] = &["gopark-dense", "go", "tokio", "may", "smol", "fiber"];

const fn judged(key: &'static str, unit: &'static str) -> Metric {
    Metric {
        key,
        unit,
        judged: true,
    }
}

const fn told(key: &'static str, unit: &'static str) -> Metric {
    Metric {
        key,
        unit,
        judged: false,
    }
}

/// A workload of one size that fills an interval, by everybody, on one core and on all.
const fn paced(name: &'static str, note: &'static str) -> Contest {
    Contest {
        name,
        workload: name,
        size: 0,
        quick_size: 0,
        longer: 1,
        metrics: PACED,
        peers: ALL,
        cores: Cores::OneAndAll,
        time: Duration::from_secs(10),
        memory_mib: 2048,
        note,
    }
}

const fn sized(name: &'static str, size: usize, quick_size: usize, note: &'static str) -> Contest {
    Contest {
        size,
        metrics: NS,
        quick_size,
        time: Duration::from_secs(20),
        memory_mib: 8192,
        ..paced(name, note)
    }
}

const fn parked(name: &'static str, size: usize, peers: &'static [&'static str]) -> Contest {
    Contest {
        workload: "parked",
        metrics: PARKED,
        peers,
        cores: Cores::One,
        time: Duration::from_secs(30),
        memory_mib: 16 << 10,
        ..sized(
            name,
            size,
            if size > 20_000 { 20_000 } else { size / 5 },
            "tasks that wait at a channel: bytes are RSS + VmPTE of each when all wait; spawn is \
             from the first spawn until all wait, wake from the release until all are joined, each",
        )
    }
}

const fn echo(name: &'static str, size: usize, quick_size: usize) -> Contest {
    Contest {
        workload: "echo",
        // A round of a thousand connections takes longer than the interval of others.
        longer: 4,
        metrics: ECHO,
        peers: NO_FIBER,
        ..sized(
            name,
            size,
            quick_size,
            "a round trip of 64 bytes over loopback TCP in a closed loop, server and client of \
             each connection in one process: the interval by the round trips of all; percentiles \
             are under that full load",
        )
    }
}

/// In the order of the report.
pub(crate) static CONTESTS: [Contest; 27] = [
    Contest {
        peers: &["gopark-raw", "corosensei", "generator", "fiber"],
        cores: Cores::One,
        ..paced(
            "switch-raw",
            "resume and suspend, there and back, without a scheduler",
        )
    },
    Contest {
        peers: &["gopark", "threads"],
        ..paced(
            "handoff",
            "one way, half of a round trip: wake the other and block until woken; goroutines by \
             park and unpark, threads by a futex",
        )
    },
    paced(
        "yield-2",
        "one yield of two that yield in turn, until both are done",
    ),
    sized(
        "yield-200",
        1000,
        50,
        "200 tasks that yield 1000 times each, by the yields of all",
    ),
    paced(
        "pingpong",
        "a round trip between two by two channels without a buffer (tokio, smol: room for one; \
         may: without a limit)",
    ),
    paced(
        "stream",
        "a message from one to one, by a channel with room for 128",
    ),
    paced(
        "mpmc",
        "a message of four senders and four receivers at one channel with room for 128",
    ),
    Contest {
        peers: NO_FIBER,
        ..paced(
            "select",
            "as pingpong, but the answer comes by one of two channels in turn, and a select over \
             both waits for it",
        )
    },
    paced(
        "spawn-join",
        "spawn an empty task and join it, one at a time",
    ),
    sized(
        "spawn-100k",
        100_000,
        10_000,
        "spawn 100 000 empty tasks, then wait for all: each",
    ),
    paced(
        "chained-spawn",
        "each task spawns the next one and ends; the last tells the first: a link",
    ),
    Contest {
        peers: NO_THREADS,
        ..sized(
            "skynet",
            1_000_000,
            10_000,
            "a leaf of a tree of a million, in which everybody spawns ten others and adds up their \
             answers, in a process that has done it once",
        )
    },
    Contest {
        peers: NO_THREADS,
        ..sized(
            "sieve",
            1000,
            100,
            "a message of the pipeline that finds the first 1000 primes, a filter each",
        )
    },
    paced("mutex", "lock, add one, unlock, with nobody else"),
    paced(
        "mutex-contended",
        "one lock of four tasks that lock, work a little, unlock and work three times as much",
    ),
    Contest {
        metrics: LATE,
        ..sized(
            "sleep-10k",
            10_000,
            1000,
            "10 000 sleepers with deadlines spread over 100 ms: from its deadline until a sleeper \
             runs (granularity of tokio's timers: 1 ms)",
        )
    },
    parked("parked-10k", 10_000, CROWD),
    parked("parked-100k", 100_000, BIG_CROWD),
    parked("parked-1m", 1_000_000, BIG_CROWD),
    Contest {
        peers: &["gopark", "go", "threads"],
        cores: Cores::One,
        ..sized(
            "deep-recursion",
            256,
            16,
            "256 MiB deep into a stack that was never used and back, each 4 KiB",
        )
    },
    echo("echo-1", 1, 1),
    echo("echo-64", 64, 64),
    echo("echo-1000", 1000, 100),
    Contest {
        metrics: HTTP,
        peers: NO_FIBER,
        ..sized(
            "http",
            64,
            64,
            "a request of wrk (64 connections, one thread) to a hello server of few lines: its \
             time by the requests of all; latencies as wrk reports them",
        )
    },
    Contest {
        metrics: IDLE,
        ..sized(
            "idle",
            10_000,
            1000,
            "10 000 tasks that wait and one that sleeps for a second: CPU of the whole process in \
             that second, and how often the kernel switched",
        )
    },
    Contest {
        metrics: LATE,
        ..sized(
            "hogs",
            1000,
            300,
            "a ticker that sleeps 10 ms again and again beside two hogs per core that never call \
             the runtime, for a second: how late it is",
        )
    },
    Contest {
        metrics: LATE,
        ..sized(
            "blocked",
            200,
            100,
            "tickers of 1 ms beside one task that sits in a blocking system call for 200 ms \
             (tokio: spawn_blocking, smol: unblock, others: the call itself): how late they are",
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_quick_is_less() {
        let mut names: Vec<_> = CONTESTS.iter().map(|contest| contest.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CONTESTS.len());
        for contest in &CONTESTS {
            assert!(contest.quick_size <= contest.size, "{}", contest.name);
            assert!(contest.metrics[0].judged, "{}", contest.name);
        }
    }
}
