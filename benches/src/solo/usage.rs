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
    pub(super) fn now() -> Result<Self> {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let mut switches = 0;
        for entry in fs::read_dir("/proc/self/task")? {
            let status = facts::fields(entry?.path().join("status"));
            for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
                // A thread that has just ended has none.
                switches += facts::number(&status, name).unwrap_or(0);
            }
        }
        Ok(Self {
            cpu: Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32),
            switches,
        })
    }

    /// What was used since, as it stands in the answer.
    pub(super) fn answer(self) -> Answer {
        let now = Self::now()?;
        let cpu = now.cpu.saturating_sub(self.cpu);
        let switches = now.switches.saturating_sub(self.switches);
        Ok(vec![
            ("cpu", cpu.as_nanos() as f64 / 1e3),
            ("switches", switches as f64),
        ])
    }
}
