//! What has to be reached.
//!
//! Absolute times belong to a machine; the budgets are ratios of medians of one run, except where
//! a goroutine's memory or a spawn has a limit of its own, and where the scheduler promises a time
//! that slices and pauses of sysmon make, not the machine. A time in which atomic operations count
//! stands here twice: as it is where a CAS takes 6.6 ns, and by the CAS of the run.

use super::ratios::Medians;

/// On which side of its bound a value has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Within(f64, f64),
}

/// A row of the table and how it is derived from medians.
pub(super) struct Budget {
    pub(super) name: &'static str,
    pub(super) value: fn(&Medians<'_>) -> Option<f64>,
    pub(super) must: Bound,
    pub(super) aim: Option<Bound>,
    pub(super) unit: &'static str,
}

const KIB: f64 = 1024.0;

/// Mappings may come and go with the heap, but not with goroutines.
const VMAS_MAX: f64 = 0.001;

pub(super) static BUDGETS: [Budget; 28] = [
    Budget {
        name: "switch-raw: gopark / corosensei",
        value: |m| m.ratio(("switch-raw", "gopark"), ("switch-raw", "corosensei")),
        must: Bound::AtMost(1.5),
        aim: Some(Bound::AtMost(1.0)),
        unit: "x",
    },
    Budget {
        name: "handoff: thread-futex / gopark",
        value: |m| m.ratio(("handoff", "thread-futex"), ("handoff", "gopark")),
        must: Bound::AtLeast(25.0),
        aim: Some(Bound::AtLeast(50.0)),
        unit: "x",
    },
    Budget {
        name: "spawn-join at 1 P",
        value: |m| m.get("spawn-join", "gopark"),
        must: Bound::AtMost(200.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "spawn-join at 1 P / uncontended CAS",
        value: |m| m.ratio(("spawn-join", "gopark"), ("cas", "uncontended")),
        must: Bound::AtMost(30.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "deep-recursion: gopark / plain",
        value: |m| m.ratio(("deep-recursion", "gopark"), ("deep-recursion", "plain")),
        must: Bound::AtMost(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "parked-memory: gopark-dense",
        value: |m| {
            m.get("parked-memory", "gopark-dense")
                .map(|bytes| bytes / KIB)
        },
        must: Bound::AtMost(4.5),
        aim: None,
        unit: "KiB",
    },
    Budget {
        name: "parked-memory: gopark-1g (the default)",
        value: |m| m.get("parked-memory", "gopark-1g").map(|bytes| bytes / KIB),
        must: Bound::AtMost(12.5),
        aim: None,
        unit: "KiB",
    },
    Budget {
        name: "vmas: most of any class",
        value: |m| m.max("vmas"),
        must: Bound::AtMost(VMAS_MAX),
        aim: Some(Bound::AtMost(0.0)),
        unit: "each",
    },
    Budget {
        name: "yield at 1 P (where a CAS takes 6.6 ns)",
        value: |m| m.get("yield", "gopark"),
        must: Bound::AtMost(25.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "yield at 1 P / uncontended CAS",
        value: |m| m.ratio(("yield", "gopark"), ("cas", "uncontended")),
        must: Bound::AtMost(4.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "ticker-latency: p99",
        value: |m| m.get("ticker-latency", "gopark-p99"),
        must: Bound::AtMost(25.0),
        aim: None,
        unit: "ms",
    },
    Budget {
        name: "hog-share: of the first of two",
        value: |m| m.get("hog-share", "gopark"),
        must: Bound::Within(0.4, 0.6),
        aim: None,
        unit: "of 1",
    },
    Budget {
        name: "blocked-first: unsaid",
        value: |m| m.get("blocked-first", "gopark-first"),
        must: Bound::AtMost(1000.0),
        aim: None,
        unit: "us",
    },
    Budget {
        name: "sysmon-busy",
        value: |m| m.get("sysmon-busy", "gopark"),
        must: Bound::AtMost(1.0),
        aim: None,
        unit: "%",
    },
    Budget {
        name: "sysmon-idle: switches, most of any sample",
        value: |m| m.worst("sysmon-idle", "gopark-switches"),
        must: Bound::AtMost(0.0),
        aim: None,
        unit: "each",
    },
    Budget {
        name: "pingpong at 1 P (where a CAS takes 6.6 ns)",
        value: |m| m.get("pingpong", "gopark-1p"),
        must: Bound::AtMost(130.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "pingpong at 1 P / uncontended CAS",
        value: |m| m.ratio(("pingpong", "gopark-1p"), ("cas", "uncontended")),
        must: Bound::AtMost(20.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "stream-128 at 1 P (where a CAS takes 6.6 ns)",
        value: |m| m.get("stream-128", "gopark-1p"),
        must: Bound::AtMost(30.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "stream-128 at 1 P / uncontended CAS",
        value: |m| m.ratio(("stream-128", "gopark-1p"), ("cas", "uncontended")),
        must: Bound::AtMost(4.5),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "skynet on all Ps, each leaf (where a CAS takes 6.6 ns)",
        value: |m| m.get("skynet", "gopark"),
        must: Bound::AtMost(600.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "skynet on all Ps, each leaf / uncontended CAS",
        value: |m| m.ratio(("skynet", "gopark"), ("cas", "uncontended")),
        must: Bound::AtMost(90.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "select-ready / recv-ready",
        value: |m| m.ratio(("select-ready", "gopark"), ("recv-ready", "gopark")),
        must: Bound::AtMost(1.5),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "mutex: gopark / parking_lot",
        value: |m| m.ratio(("mutex", "gopark"), ("mutex", "parking_lot")),
        must: Bound::AtMost(1.2),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-64b: threads / gopark",
        value: |m| m.ratio(("echo-64-64b", "threads"), ("echo-64-64b", "gopark")),
        must: Bound::AtLeast(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-64b: tokio-1t / gopark-1p",
        value: |m| m.ratio(("echo-64-64b", "tokio-1t"), ("echo-64-64b", "gopark-1p")),
        must: Bound::AtLeast(1.1),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-16k: threads / gopark",
        value: |m| m.ratio(("echo-64-16k", "threads"), ("echo-64-16k", "gopark")),
        must: Bound::AtLeast(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-16k: tokio-1t / gopark-1p",
        value: |m| m.ratio(("echo-64-16k", "tokio-1t"), ("echo-64-16k", "gopark-1p")),
        must: Bound::AtLeast(1.1),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "ready-under-hogs: p99",
        value: |m| m.get("ready-under-hogs-p99", "gopark"),
        must: Bound::AtMost(1000.0),
        aim: None,
        unit: "us",
    },
];
