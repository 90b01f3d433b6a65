//! What the kernel has counted for the threads of this process.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::facts;
use crate::measure::Result;

/// How long a thread may take to name itself.
const NAMED_WITHIN: Duration = Duration::from_secs(5);

/// Threads of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one that watches the others: `NAME-sysmon`. The kernel keeps 15 bytes of a name, so it
    /// is not found when the runtime's own name is long.
    Sysmon,
    /// All but the calling one.
    Others,
}

/// What has been counted so far.
#[derive(Debug)]
pub(crate) struct Accounts {
    taken: Instant,
    /// By thread id.
    threads: HashMap<String, Counts>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    cpu: Duration,
    switches: u64,
}

/// What was counted from one moment to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Activity {
    /// Of one core.
    pub(crate) cpu_percent: f64,
    /// How often the kernel switched away from one of the threads.
    pub(crate) switches: u64,
}

impl Accounts {
    pub(crate) fn of(who: Who) -> Result<Self> {
        // A thread has its name a moment after its start.
        let start = Instant::now();
        loop {
            match Self::now(who) {
                Err(_) if start.elapsed() < NAMED_WITHIN => std::thread::yield_now(),
                found => return found,
            }
        }
    }

    fn now(who: Who) -> Result<Self> {
        let own = rustix::thread::gettid().as_raw_nonzero().to_string();
        let taken = Instant::now();
        let mut threads = HashMap::new();
        for entry in fs::read_dir("/proc/self/task")? {
            let entry = entry?;
            let tid = entry.file_name().to_string_lossy().into_owned();
            // A thread that ends while it is looked at has no name; `since` will miss it.
            let status = facts::fields(entry.path().join("status"));
            let is_meant = status.get("Name").is_some_and(|name| match who {
                Who::Sysmon => name.ends_with("-sysmon"),
                Who::Others => tid != own,
            });
            if is_meant {
                let counts = Counts {
                    cpu: cpu(&entry.path())?,
                    switches: switches(&status),
                };
                threads.insert(tid, counts);
            }
        }
        Self::of_threads(who, taken, threads)
    }

    fn of_threads(who: Who, taken: Instant, threads: HashMap<String, Counts>) -> Result<Self> {
        if threads.is_empty() {
            return Err(format!("no such thread: {who:?}").into());
        }
        Ok(Self { taken, threads })
    }

    /// What was counted since `before`.
    pub(crate) fn since(&self, before: &Self) -> Result<Activity> {
        if let Some(tid) = (before.threads.keys()).find(|&tid| !self.threads.contains_key(tid)) {
            return Err(format!("thread {tid} has ended, and its counts with it").into());
        }
        let mut sum = Counts::default();
        for (tid, counts) in &self.threads {
            let before = before.threads.get(tid).copied().unwrap_or_default();
            sum.cpu += counts.cpu - before.cpu;
            sum.switches += counts.switches - before.switches;
        }
        let elapsed = self.taken - before.taken;
        Ok(Activity {
            cpu_percent: 100.0 * sum.cpu.as_secs_f64() / elapsed.as_secs_f64(),
            switches: sum.switches,
        })
    }
}

/// How often the kernel has switched away from the calling thread.
pub(crate) fn own_switches() -> u64 {
    switches(&facts::fields("/proc/thread-self/status"))
}

fn switches(status: &HashMap<String, String>) -> u64 {
    ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"]
        .iter()
        .map(|name| facts::number(status, name).expect("in every Linux since 2.6.23"))
        .sum()
}

/// Time on a core, up to the thread's last sleep, or the last tick if it runs.
fn cpu(task: &Path) -> Result<Duration> {
    let text = fs::read_to_string(task.join("schedstat"))
        .map_err(|error| format!("the kernel keeps no accounts of threads: {error}"))?;
    let first = text.split_whitespace().next().unwrap_or_default();
    match first.parse()? {
        // A thread that has done nothing at all cannot be seen.
        0 => Err("the kernel counts no CPU time of threads (CONFIG_SCHED_INFO)".into()),
        ns => Ok(Duration::from_nanos(ns)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(taken: Instant, threads: &[(&str, u64, u64)]) -> Accounts {
        let threads = threads.iter().map(|&(tid, cpu_ms, switches)| {
            let cpu = Duration::from_millis(cpu_ms);
            (tid.to_owned(), Counts { cpu, switches })
        });
        Accounts {
            taken,
            threads: threads.collect(),
        }
    }

    #[test]
    fn activity_is_the_sum_over_threads_and_counts_new_ones_whole() {
        let start = Instant::now();
        let before = at(start, &[("1", 100, 5), ("2", 0, 0)]);
        let end = start + Duration::from_secs(1);
        let after = at(end, &[("1", 110, 6), ("2", 5, 1), ("3", 5, 7)]);
        let activity = after.since(&before).unwrap();
        assert!((activity.cpu_percent - 2.0).abs() < 1e-9, "{activity:?}");
        assert_eq!(activity.switches, 9);
    }

    #[test]
    fn a_thread_that_has_ended_is_an_error() {
        let start = Instant::now();
        let refused = at(start, &[("2", 1, 1)]).since(&at(start, &[("1", 1, 1)]));
        assert!(refused.unwrap_err().to_string().contains("thread 1"));
    }

    #[test]
    fn a_thread_that_is_not_there_is_an_error() {
        let found = Accounts::of_threads(Who::Sysmon, Instant::now(), HashMap::new());
        let refused = found.unwrap_err().to_string();
        assert!(refused.contains("Sysmon"), "{refused}");
    }
}
