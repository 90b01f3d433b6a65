//! The bare switch, and the yardstick for everything that counts atomic operations.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Peers, Workload, ns};
use crate::measure::{Plan, Result, Timed, time};
use crate::peers::raw::{Corosensei, Generator, GoparkRaw};

pub(super) static CAS: Workload = Workload {
    names: &["cas"],
    weight: 1,
    peers: cas,
    note: |_| "one compare_exchange that nobody disturbs, each after the last".into(),
};

fn cas(_: &Plan) -> Result<Peers> {
    let word = AtomicU64::new(0);
    let mut seen = 0;
    Ok(vec![Timed::boxed(
        ns("cas", "uncontended", 1),
        move |count| {
            Ok(time(count, || {
                let swapped =
                    // AcqRel: what a lock would use.
                    word.compare_exchange(seen, seen + 1, Ordering::AcqRel, Ordering::Relaxed);
                seen = swapped.expect("nobody else writes") + 1;
            }))
        },
    )])
}

pub(super) static SWITCH_RAW: Workload = Workload {
    names: &["switch-raw"],
    weight: 3,
    peers: switch_raw,
    note: |_| {
        "resume and suspend, there and back, without a scheduler; gopark and corosensei on the \
         same kind of stack"
            .into()
    },
};

fn switch_raw(_: &Plan) -> Result<Peers> {
    let mut gopark = GoparkRaw::new()?;
    let mut corosensei = Corosensei::new()?;
    let mut generator = Generator::new();
    let track = |peer| ns("switch-raw", peer, 1);
    Ok(vec![
        Timed::boxed(track("gopark"), move |count| {
            Ok(time(count, || gopark.round_trip()))
        }),
        Timed::boxed(track("corosensei"), move |count| {
            Ok(time(count, || corosensei.round_trip()))
        }),
        Timed::boxed(track("generator"), move |count| {
            Ok(time(count, || generator.round_trip()))
        }),
    ])
}
