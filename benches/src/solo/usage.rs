//! What this process has used.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Answer;
use crate::facts;
use crate::measure::Result;

/// CPU and switches until now, of all threads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    cpu: Duration,
    switches: u64,
}

impl Usage {
    /// Counted from now. Counting costs something itself, which is before.
    pub(super) fn begin() -> Result<Self> {
        let switches = switches()?;
        Ok(Self {
            cpu: cpu(),
            switches,
        })
    }

    /// What was used since, as it stands in the answer.
    pub(super) fn answer(self) -> Answer {
        // First of all, for the same reason.
        let cpu = cpu().saturating_sub(self.cpu);
        let switches = switches()?.saturating_sub(self.switches);
        Ok(vec![
            ("cpu", cpu.as_nanos() as f64 / 1e3),
            ("switches", switches as f64),
        ])
    }
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Of all threads that there are.
fn switches() -> Result<u64> {
    let mut switches = 0;
    for entry in fs::read_dir("/proc/self/task")? {
        let status = facts::fields(entry?.path().join("status"));
        for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
            // A thread that has just ended has none.
            switches += facts::number(&status, name).unwrap_or(0);
        }
    }
    Ok(switches)
}
