//! The lists of idle Ps and sleeping Ms, and the roll of threads: what `idle.rs` locks.

/// Counts of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Census {
    /// Threads of Ms.
    pub(crate) threads: usize,
    /// Those on the idle list.
    pub(crate) idle_ms: usize,
    /// Those that sleep for their parked goroutine.
    pub(crate) bound: usize,
    pub(crate) idle_ps: usize,
    pub(crate) limit: usize,
    pub(crate) searching: usize,
    /// Changes whenever an M is woken or started.
    pub(crate) wakes: u64,
}

impl Census {
    /// Whether every M sleeps without a promise of work.
    pub(crate) fn all_asleep(&self) -> bool {
        self.idle_ms + self.bound == self.threads
            && self.idle_ps == self.limit
            && self.searching == 0
    }
}

/// Where the start of a thread stands; one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    No,
    /// Asked for.
    Wanted,
    /// Started; it has not looked for a P yet.
    Coming,
}

/// See the top of this file.
#[derive(Debug)]
pub(super) struct Lists {
    pub(super) ps: Vec<usize>,
    pub(super) ms: Vec<usize>,
    pub(super) limit: usize,
    /// Ps that nobody holds and nobody may be given: those that were laid down above the limit, and
    /// those that were not made yet.
    pub(super) retired: Vec<bool>,
    /// Numbers of Ms that are free again; those from `fresh` on were never used.
    pub(super) free: Vec<usize>,
    pub(super) fresh: usize,
    pub(super) threads: usize,
    pub(super) threads_max: usize,
    pub(super) start: Start,
    /// Threads were wanted beyond `threads_max`.
    pub(super) refused: bool,
    pub(super) bound: usize,
    pub(super) wakes: u64,
}

impl Lists {
    /// All of `procs` Ps are idle, and there is no M.
    pub(super) fn new(procs: usize, procs_max: usize, threads_max: usize) -> Lists {
        let mut ps = Vec::with_capacity(procs_max);
        ps.extend((0..procs).rev());
        Lists {
            ps,
            ms: Vec::with_capacity(threads_max),
            limit: procs,
            retired: (0..procs_max).map(|p| p >= procs).collect(),
            free: Vec::with_capacity(threads_max),
            fresh: 0,
            threads: 0,
            threads_max,
            start: Start::No,
            refused: false,
            bound: 0,
            wakes: 0,
        }
    }

    /// The number of the thread that is wanted, if one is.
    pub(super) fn next_thread(&mut self) -> Option<usize> {
        if self.start != Start::Wanted {
            return None;
        }
        self.start = Start::Coming;
        self.threads += 1;
        let m = self.free.pop().unwrap_or(self.fresh);
        self.fresh = self.fresh.max(m + 1);
        Some(m)
    }

    /// M `m` is about to sleep. One that polls is the last to be woken.
    pub(super) fn put_to_sleep(&mut self, m: usize, polls: bool) {
        if polls {
            self.ms.insert(0, m);
        } else {
            self.ms.push(m);
        }
    }

    /// A P of nobody becomes idle, or is retired.
    pub(super) fn lay_down(&mut self, p: usize) {
        if p < self.limit {
            self.ps.push(p);
        } else {
            self.retired[p] = true;
        }
    }

    /// The limit has changed: idle Ps above it are retired, retired ones below it become idle.
    pub(super) fn retire_excess(&mut self) {
        let limit = self.limit;
        // In place: the list keeps what was reserved.
        let retired = &mut self.retired;
        self.ps.retain(|p| {
            retired[*p] = *p >= limit;
            *p < limit
        });
        for (p, retired) in self.retired[..limit].iter_mut().enumerate() {
            if std::mem::take(retired) {
                self.ps.push(p);
            }
        }
    }

    /// Notes that a thread is wanted: true if nobody has seen to it yet.
    pub(super) fn want_thread(&mut self) -> bool {
        if self.start != Start::No {
            return false;
        }
        if self.threads >= self.threads_max {
            self.refused = true;
            return false;
        }
        self.start = Start::Wanted;
        true
    }
}
