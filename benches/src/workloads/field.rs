//! Who takes part in a workload: goroutines, threads and tasks, each on one core and on all.

use std::time::Duration;

use super::{Peers, ns};
use crate::facts;
use crate::measure::{Result, Sampled, Timed};
use crate::peers::channels::{self, Counted, Scene, tasks::run};
use crate::peers::goroutines;
use crate::peers::tasks::{self, Workers};
use crate::peers::threads::Placement;

/// The peers of one workload, in the order of its rows.
pub(super) struct Field {
    workload: &'static str,
    pub(super) peers: Peers,
}

/// Of what a peer is called where it runs on one core, and where on all.
type Names = [&'static str; 2];

const GOPARK: Names = ["gopark-1p", "gopark"];
pub(super) const THREADS: Names = ["threads", "threads-free"];
const TOKIO: Names = ["tokio-1t", "tokio"];

pub(super) const PLACEMENTS: [Placement; 2] = [Placement::Pinned, Placement::Free];

impl Field {
    pub(super) fn of(workload: &'static str) -> Self {
        let peers = Peers::new();
        Self { workload, peers }
    }

    /// A peer that repeats an operation.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        procs: usize,
        run: impl FnMut(u64) -> Result<Duration> + 'static,
    ) {
        let track = ns(self.workload, name, procs);
        self.peers.push(Timed::boxed(track, run));
    }

    /// A peer whose sample is one run of so many operations.
    fn add_run(
        &mut self,
        name: &'static str,
        procs: usize,
        operations: u64,
        mut run: impl FnMut() -> Result<Duration> + 'static,
    ) {
        let track = ns(self.workload, name, procs);
        let sample = move || Ok(vec![run()?.as_nanos() as f64 / operations as f64]);
        self.peers.push(Sampled::boxed(vec![track], sample));
    }

    /// On one P and on all.
    pub(super) fn goroutines<S: Scene>(
        &mut self,
        scene: impl Fn(u64) -> S + Copy + 'static,
    ) -> Result<()> {
        for (name, procs) in GOPARK.into_iter().zip(cores()) {
            let runtime = goroutines::runtime(procs, None)?;
            self.add(name, procs, move |count| {
                Ok(channels::on_goroutines(&runtime, &scene(count))?)
            });
        }
        Ok(())
    }

    /// On one P, for what one goroutine does alone.
    pub(super) fn one_goroutine<S: Scene>(
        &mut self,
        scene: impl Fn(u64) -> S + 'static,
    ) -> Result<()> {
        let runtime = goroutines::runtime(1, None)?;
        self.add("gopark", 1, move |count| {
            Ok(channels::on_goroutines(&runtime, &scene(count))?)
        });
        Ok(())
    }

    /// On one core and on all.
    pub(super) fn threads<S: Scene>(
        &mut self,
        names: Names,
        scene: impl Fn(u64) -> S + Copy + 'static,
    ) {
        for (name, placement) in names.into_iter().zip(PLACEMENTS) {
            self.add(name, placement.cores(), move |count| {
                Ok(channels::on_threads(placement, &scene(count))?)
            });
        }
    }

    /// On one core.
    pub(super) fn one_thread<S: Scene>(
        &mut self,
        name: &'static str,
        scene: impl Fn(u64) -> S + 'static,
    ) {
        self.add(name, 1, move |count| {
            Ok(channels::on_threads(Placement::Pinned, &scene(count))?)
        });
    }

    /// On one thread and on as many as there are cores.
    pub(super) fn tasks<F: Future<Output = Duration> + Send + 'static>(
        &mut self,
        task: impl Fn(u64) -> F + Copy + 'static,
    ) -> Result<()> {
        for (name, workers) in TOKIO.into_iter().zip(workers()) {
            let runtime = tasks::runtime(workers)?;
            self.add(name, workers.count(), move |count| {
                Ok(run(&runtime, task(count)))
            });
        }
        Ok(())
    }

    /// On one thread.
    pub(super) fn one_task<F: Future<Output = Duration> + Send + 'static>(
        &mut self,
        task: impl Fn(u64) -> F + 'static,
    ) -> Result<()> {
        let runtime = tasks::runtime(Workers::Caller)?;
        self.add("tokio-1t", 1, move |count| Ok(run(&runtime, task(count))));
        Ok(())
    }

    /// Whole runs on one P and on all.
    pub(super) fn goroutine_runs<S: Scene + Counted>(&mut self, scene: &S) -> Result<()> {
        for (name, procs) in GOPARK.into_iter().zip(cores()) {
            let (runtime, scene) = (goroutines::runtime(procs, None)?, scene.clone());
            self.add_run(name, procs, scene.operations(), move || {
                Ok(channels::on_goroutines(&runtime, &scene)?)
            });
        }
        Ok(())
    }

    /// Whole runs on one core and on all.
    pub(super) fn thread_runs<S: Scene + Counted>(&mut self, scene: &S) {
        for (name, placement) in THREADS.into_iter().zip(PLACEMENTS) {
            let scene = scene.clone();
            self.add_run(name, placement.cores(), scene.operations(), move || {
                Ok(channels::on_threads(placement, &scene)?)
            });
        }
    }

    /// Whole runs on one thread and on as many as there are cores.
    pub(super) fn task_runs<S: Counted, F: Future<Output = Duration> + Send + 'static>(
        &mut self,
        scene: &S,
        task: fn(S) -> F,
    ) -> Result<()> {
        for (name, workers) in TOKIO.into_iter().zip(workers()) {
            let (runtime, scene) = (tasks::runtime(workers)?, scene.clone());
            self.add_run(name, workers.count(), scene.operations(), move || {
                Ok(run(&runtime, task(scene.clone())))
            });
        }
        Ok(())
    }
}

/// Numbers of Ps, in the order of the names.
fn cores() -> [usize; 2] {
    [1, facts::cores()]
}

fn workers() -> [Workers; 2] {
    [Workers::Caller, Workers::Threads(facts::cores())]
}
