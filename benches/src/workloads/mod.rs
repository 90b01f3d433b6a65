//! What is measured.
//!
//! A workload is a name, the unit, what lies inside of an interval, and the peers that do it. The
//! same words stand under the table and in `README.md`.

mod calls;
mod channels;
mod connections;
mod crowds;
mod echo;
mod field;
mod latency;
mod locks;
mod memory;
mod recursion;
mod scheduling;
mod switching;
mod sysmon;
mod timers;

use crate::facts;
use crate::measure::{Peer, Plan, Result, Track};

/// Peers that are measured in turn, with what is said about them.
#[derive(Debug)]
pub(crate) struct Workload {
    /// The first names it; the others are measured along with it.
    pub(crate) names: &'static [&'static str],
    /// What a round takes, about; for the progress bar.
    pub(crate) weight: u64,
    pub(crate) peers: fn(&Plan) -> Result<Peers>,
    /// What an interval contains.
    pub(crate) note: fn(&Plan) -> String,
}

pub(crate) type Peers = Vec<Box<dyn Peer>>;

/// Workloads that are run together, by the subcommand of this name.
#[derive(Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    /// For the help.
    pub(crate) about: &'static str,
    /// In the order of the table.
    workloads: &'static [&'static Workload],
}

/// What goroutines cost.
pub(crate) static SWITCH: Suite = Suite {
    name: "switch",
    about: "Switching, spawning, handing over, deep stacks and the memory of parked goroutines",
    workloads: &[
        &switching::CAS,
        &switching::SWITCH_RAW,
        &scheduling::YIELD,
        &scheduling::HANDOFF,
        &scheduling::SPAWN_JOIN,
        &recursion::DEEP_RECURSION,
        &memory::PARKED,
        &memory::PARKED_1M,
    ],
};

/// What the scheduler promises.
pub(crate) static SCHED: Suite = Suite {
    name: "sched",
    about: "What the scheduler promises: latency beside hogs and blocked threads; its price",
    workloads: &[
        &switching::CAS,
        &scheduling::YIELD,
        &calls::BLOCKING_CALL,
        &calls::RESIZE,
        &scheduling::LOCK_PINGPONG,
        &latency::TICKER_LATENCY,
        &latency::BLOCKED_FIRST,
        &sysmon::BUSY,
        &sysmon::IDLE,
    ],
};

/// How fast sockets are, and how long they let one wait.
pub(crate) static ECHO: Suite = Suite {
    name: "echo",
    about: "Servers that send back what they receive: round trips, latencies, fixed rates",
    workloads: &[
        &echo::ONE_SMALL,
        &echo::SOME_SMALL,
        &echo::MANY_SMALL,
        &echo::ONE_LARGE,
        &echo::SOME_LARGE,
        &echo::MANY_LARGE,
        &echo::SOME_OPEN,
        &echo::MANY_OPEN,
    ],
};

/// How late timers and sockets are.
pub(crate) static SLEEP: Suite = Suite {
    name: "sleep",
    about: "How late timers are, and sockets beside goroutines that keep all Ps busy",
    workloads: &[
        &timers::SLEEP_10K,
        &timers::SLEEP_50US,
        &timers::TIMER_STOP,
        &timers::TIMER_PAIR,
        &timers::READY_UNDER_HOGS,
    ],
};

/// What connections cost that do nothing.
pub(crate) static CONNECTIONS: Suite = Suite {
    name: "connections",
    about: "The memory of many idle connections, each with a reader that waits",
    workloads: &[&connections::IDLE_CONNECTIONS],
};

/// What channels cost, and crowds that talk by them.
pub(crate) static CHAN: Suite = Suite {
    name: "chan",
    about: "Channels: to and fro, streams, selects, and crowds that talk by them",
    workloads: &[
        &switching::CAS,
        &channels::PINGPONG,
        &channels::STREAM_0,
        &channels::STREAM_1,
        &channels::STREAM_128,
        &channels::STREAM_UNBOUNDED,
        &channels::MPMC,
        &channels::SELECT_READY,
        &channels::SELECT_WAIT,
        &crowds::CHAIN,
        &crowds::SIEVE,
        &crowds::SKYNET,
    ],
};

/// What locks cost.
pub(crate) static LOCKS: Suite = Suite {
    name: "locks",
    about: "Locks, alone and with others",
    workloads: &[
        &switching::CAS,
        &locks::MUTEX,
        &locks::MUTEX_CONTENDED,
        &locks::MUTEX_BLOCKED,
        &locks::RWLOCK_READ,
        &locks::RWLOCK_WRITE,
        &locks::RWLOCK_MIXED,
    ],
};

/// A part of a suite under a name of its own, with the yardstick.
macro_rules! part {
    ($suite:literal, $name:literal, $($workload:expr),+) => {
        Suite {
            name: $name,
            about: concat!("Of `", $suite, "`: ", $name),
            workloads: &[&switching::CAS, $($workload),+],
        }
    };
}

static PINGPONG: Suite = part!("chan", "pingpong", &channels::PINGPONG);
static STREAM: Suite = part!(
    "chan",
    "stream",
    &channels::STREAM_0,
    &channels::STREAM_1,
    &channels::STREAM_128,
    &channels::STREAM_UNBOUNDED
);
static MPMC: Suite = part!("chan", "mpmc", &channels::MPMC);
static SELECT: Suite = part!(
    "chan",
    "select",
    &channels::SELECT_READY,
    &channels::SELECT_WAIT
);
static CHAIN: Suite = part!("chan", "chain", &crowds::CHAIN);
static SIEVE: Suite = part!("chan", "sieve", &crowds::SIEVE);
static SKYNET: Suite = part!("chan", "skynet", &crowds::SKYNET);
static MUTEX: Suite = part!(
    "locks",
    "mutex",
    &locks::MUTEX,
    &locks::MUTEX_CONTENDED,
    &locks::MUTEX_BLOCKED
);
static RWLOCK: Suite = part!(
    "locks",
    "rwlock",
    &locks::RWLOCK_READ,
    &locks::RWLOCK_WRITE,
    &locks::RWLOCK_MIXED
);

/// In the order of the help.
pub(crate) static SUITES: [&Suite; 16] = [
    &SWITCH,
    &SCHED,
    &CHAN,
    &LOCKS,
    &ECHO,
    &SLEEP,
    &CONNECTIONS,
    &PINGPONG,
    &STREAM,
    &MPMC,
    &SELECT,
    &CHAIN,
    &SIEVE,
    &SKYNET,
    &MUTEX,
    &RWLOCK,
];

impl Suite {
    /// Whatever `chosen` understands.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        let workloads = self.workloads.iter();
        workloads.flat_map(|workload| workload.names.iter().copied())
    }

    /// Those that `filter` names, or all if it is empty.
    pub(crate) fn chosen(&self, filter: &[String]) -> Vec<&'static Workload> {
        let wanted = |workload: &Workload| {
            filter.is_empty()
                || workload
                    .names
                    .iter()
                    .any(|&name| filter.iter().any(|f| f == name))
        };
        let workloads = self.workloads.iter().copied();
        workloads.filter(|workload| wanted(workload)).collect()
    }
}

/// A row in nanoseconds.
fn ns(workload: &'static str, peer: &'static str, procs: usize) -> Track {
    debug_assert!((1..=facts::cores().max(1)).contains(&procs));
    Track {
        workload,
        peer,
        procs,
        unit: "ns",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_chooses_what_is_measured_together() {
        let chosen = SCHED.chosen(&["hog-share".into(), "cas".into()]);
        let names: Vec<_> = chosen.iter().map(|workload| workload.names[0]).collect();
        assert_eq!(names, ["cas", "ticker-latency"]);
        assert_eq!(SCHED.chosen(&[]).len(), SCHED.workloads.len());
    }

    #[test]
    fn a_name_belongs_to_one_workload_of_a_suite() {
        for suite in SUITES {
            let mut names: Vec<_> = suite.names().collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{}", suite.name);
        }
    }
}
