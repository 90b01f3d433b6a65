//! What the runtime's own threads use up.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::{Accounts, Activity, Who};
use super::hogs::{self, Hog};
use super::{goroutines, parked, threads};
use crate::facts;
use crate::measure::Result;

/// Parked while nothing runs.
pub(crate) const IDLE_GOROUTINES: usize = 1000;

/// Until parked stacks have been trimmed, which they are after a second.
const IDLE_SETTLING: Duration = Duration::from_millis(1500);

/// What one process found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) cpu_percent: f64,
    pub(crate) switches: f64,
}

/// sysmon alone, for `time`, while a hog has the only P and nobody waits for it.
pub(crate) fn busy(time: Duration) -> Result<Found> {
    let runtime = goroutines::runtime(1, None)?;
    let _hog = Hog::start(&runtime);
    threads::sleep(hogs::SETTLING);
    watch(Who::Sysmon, time)
}

/// All threads of a runtime, for `time`, while all goroutines are parked.
pub(crate) fn idle(time: Duration) -> Result<Found> {
    let runtime = goroutines::runtime(facts::cores(), None)?;
    parked::crowd(&runtime, IDLE_GOROUTINES);
    threads::sleep(IDLE_SETTLING);
    watch(Who::Others, time)
}

fn watch(who: Who, time: Duration) -> Result<Found> {
    let before = Accounts::of(who)?;
    threads::sleep(time);
    let Activity {
        cpu_percent,
        switches,
    } = Accounts::of(who)?.since(&before)?;
    Ok(Found {
        cpu_percent,
        switches: switches as f64,
    })
}
