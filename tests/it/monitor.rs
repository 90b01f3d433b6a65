//! sysmon and the threads: quiet when idle, few when not needed, and what they tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gopark::blocking;
use gopark::runtime::{Builder, Metrics, Runtime};
use gopark_tests::{Watchdog, alone, build, nap, runtime, spin, thread_id, wait_until};

/// Context switches so far of every thread of this process but the calling one.
fn switches_of_others() -> Vec<(String, u64)> {
    let own = thread_id().to_string();
    let mut all = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let thread = thread.unwrap();
        if thread.file_name().to_str() == Some(&own) {
            continue;
        }
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap();
        let value = |line: &str| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap();
        let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
        let name = status.lines().next().unwrap().to_owned();
        all.push((name, switches.map(value).sum()));
    }
    all.sort();
    all
}

#[test]
fn an_idle_runtime_wakes_no_thread() {
    let case = || {
        let keep_alive = Duration::from_millis(300);
        let runtime = build(Builder::new().procs(4).thread_keep_alive(keep_alive));
        let parked: Vec<_> = (0..100).map(|_| runtime.spawn(gopark::park)).collect();
        runtime.run(|| {
            let others: Vec<_> = (0..1000).map(|n| gopark::spawn(move || n)).collect();
            others.into_iter().for_each(|one| _ = one.join().unwrap());
        });
        nap(Duration::from_secs(3));
        let before = switches_of_others();
        nap(Duration::from_secs(5));
        let after = switches_of_others();
        assert!(before.len() > 3, "{before:?}");
        assert_eq!(before, after);
        parked.iter().for_each(|one| one.goroutine().unpark());
        parked.into_iter().for_each(|one| one.join().unwrap());
    };
    alone("monitor::an_idle_runtime_wakes_no_thread", |_| (), case);
}

#[test]
fn threads_without_work_end() {
    let _watchdog = Watchdog::start();
    let keep_alive = Duration::from_millis(200);
    let runtime = build(Builder::new().procs(2).thread_keep_alive(keep_alive));
    for _ in 0..2 {
        let most = burst_of_blocking_calls(&runtime, 50);
        assert!(most >= 50, "{most} threads for 50 calls");
        wait_until("the threads have ended", || runtime.metrics().threads <= 3);
    }
    assert_eq!(runtime.run(|| 1), 1);
}

/// Makes `calls` calls that block at the same time: how many threads there were.
fn burst_of_blocking_calls(runtime: &Runtime, calls: usize) -> usize {
    let release = Arc::new(AtomicBool::new(false));
    let call = |_| {
        let release = Arc::clone(&release);
        runtime.spawn(move || {
            blocking(|| {
                while !release.load(Ordering::Relaxed) {
                    nap(Duration::from_millis(1));
                }
            });
        })
    };
    let all: Vec<_> = (0..calls).map(call).collect();
    wait_until("all block", || runtime.metrics().blocking == calls as u64);
    let threads = runtime.metrics().threads;
    release.store(true, Ordering::Relaxed);
    all.into_iter().for_each(|one| one.join().unwrap());
    threads
}

/// The figures of one of ours, which end in a number of milliseconds and a list for each P.
fn check_line(line: &str) -> u64 {
    let (head, lists) = line.split_once(" [").unwrap();
    let mut words = head.split(' ');
    assert_eq!(words.next(), Some("SCHED"));
    let time = words.next().unwrap().strip_suffix("ms:").unwrap();
    let keys = [
        "gomaxprocs",
        "idleprocs",
        "threads",
        "spinningthreads",
        "needspinning",
        "idlethreads",
        "runqueue",
    ];
    let mut values = Vec::new();
    for key in keys {
        let (name, value) = words.next().unwrap().split_once('=').unwrap();
        assert_eq!(name, key);
        values.push(value.parse::<usize>().unwrap());
    }
    assert_eq!(words.next(), None);
    assert_eq!(values[0], 2);
    // At the end sysmon and the chores' thread are left.
    assert!(values[1] <= 2 && values[2] >= 2, "{line}");
    let (queues, ticks) = lists.split_once(" ] schedticks=[").unwrap();
    let ticks = ticks.strip_suffix(" ]").unwrap();
    for list in [queues, ticks] {
        let numbers = list.split_whitespace().map(|n| n.parse::<u64>().unwrap());
        assert_eq!(numbers.count(), 2, "{line}");
    }
    time.parse().unwrap()
}

#[test]
fn the_scheduler_traces_itself_if_the_environment_asks() {
    let case = || {
        let runtime = runtime(2);
        for _ in 0..10 {
            runtime.run(|| {
                let busy = || spin(Duration::from_millis(30));
                let all = [
                    gopark::spawn(busy),
                    gopark::spawn(busy),
                    gopark::spawn(busy),
                ];
                all.into_iter().for_each(|one| one.join().unwrap());
            });
        }
    };
    let name = "monitor::the_scheduler_traces_itself_if_the_environment_asks";
    let trace = |command: &mut std::process::Command| _ = command.env("GOPARK_SCHEDTRACE", "20");
    let Some(output) = alone(name, trace, case) else {
        return;
    };
    let text = String::from_utf8(output.stderr).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("SCHED "));
    let times: Vec<_> = lines.map(check_line).collect();
    // 300 ms at least; the process that runs beside may take most of the time.
    assert!((3..1000).contains(&times.len()), "{text}");
    assert!(times.is_sorted() && times[0] >= 20, "{times:?}");
}

fn sum_is_right(metrics: &Metrics) {
    let by_state = metrics.running + metrics.runnable + metrics.blocking + metrics.waiting;
    assert_eq!(by_state, metrics.goroutines, "{metrics:?}");
    assert!(metrics.spawned >= metrics.goroutines, "{metrics:?}");
    let threads = metrics.idle_threads + metrics.suspended_threads;
    assert!(threads <= metrics.threads, "{metrics:?}");
    assert!(metrics.idle_procs <= metrics.procs.len(), "{metrics:?}");
}

#[test]
fn the_figures_agree_with_what_goes_on() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    assert_eq!(runtime.metrics().procs.len(), 2);
    let parked: Vec<_> = (0..20).map(|_| runtime.spawn(gopark::park)).collect();
    wait_until("all are parked", || runtime.metrics().waiting == 20);
    wait_until("all threads sleep", || {
        let metrics = runtime.metrics();
        metrics.idle_threads == metrics.threads && metrics.idle_procs == 2
    });
    let metrics = runtime.metrics();
    sum_is_right(&metrics);
    assert_eq!((metrics.goroutines, metrics.spawned), (20, 20));
    assert_eq!(metrics.procs.iter().map(|p| p.parks).sum::<u64>(), 20);
    assert_eq!(
        (metrics.running, metrics.runnable, metrics.blocking),
        (0, 0, 0)
    );
    let stop = Arc::new(AtomicBool::new(false));
    let hog = |_| {
        let stop = Arc::clone(&stop);
        runtime.spawn(move || while !stop.load(Ordering::Relaxed) {})
    };
    let hogs: Vec<_> = (0..5).map(hog).collect();
    // Two run; the others wait in queues, or suspended, each with its claim.
    wait_until("two run and three could", || {
        let metrics = runtime.metrics();
        (metrics.running, metrics.runnable) == (2, 3) && metrics.idle_procs == 0
    });
    stop.store(true, Ordering::Relaxed);
    hogs.into_iter().for_each(|hog| hog.join().unwrap());
    runtime.run(|| (0..10).for_each(|n| assert_eq!(blocking(|| n), n)));
    parked.iter().for_each(|one| one.goroutine().unpark());
    parked.into_iter().for_each(|one| one.join().unwrap());
    wait_until("all have ended", || runtime.metrics().goroutines == 0);
    let metrics = runtime.metrics();
    sum_is_right(&metrics);
    assert_eq!(metrics.spawned, 26);
    let calls: u64 = metrics.procs.iter().map(|p| p.blocking_calls).sum();
    assert!((1..=10).contains(&calls), "{calls}");
}
