//! What is measured.
//!
//! A workload is a name, the unit, what lies inside of an interval, and the peers that do it. The
//! same words stand under the table and in `README.md`.

mod memory;
mod recursion;
mod scheduling;
mod switching;

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

/// In the order of the table.
pub(crate) static ALL: [&Workload; 8] = [
    &switching::CAS,
    &switching::SWITCH_RAW,
    &scheduling::YIELD,
    &scheduling::HANDOFF,
    &scheduling::SPAWN_JOIN,
    &recursion::DEEP_RECURSION,
    &memory::PARKED,
    &memory::PARKED_1M,
];

/// Those that `filter` names, or all if it is empty.
pub(crate) fn chosen(filter: &[String]) -> Vec<&'static Workload> {
    let wanted = |workload: &Workload| {
        filter.is_empty()
            || workload
                .names
                .iter()
                .any(|&name| filter.iter().any(|f| f == name))
    };
    ALL.into_iter()
        .filter(|workload| wanted(workload))
        .collect()
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
