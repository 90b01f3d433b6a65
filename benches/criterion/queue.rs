//! The run queue under criterion: what the scheduler pays before it has done anything.
//!
//! Push and pop of an uncontended FIFO worker, of the global queue, and a steal.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam_deque::{Injector, Worker};

/// As wide as an entry of a run queue.
type Entry = usize;

fn queue(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("queue");
    let local = Worker::<Entry>::new_fifo();
    group.bench_function("push and pop", |bencher| {
        bencher.iter(|| {
            local.push(black_box(1));
            local.pop()
        });
    });
    let global = Injector::<Entry>::new();
    group.bench_function("inject and steal", |bencher| {
        bencher.iter(|| {
            global.push(black_box(1));
            global.steal()
        });
    });
    let stealer = local.stealer();
    group.bench_function("push and be stolen from", |bencher| {
        bencher.iter(|| {
            local.push(black_box(1));
            stealer.steal()
        });
    });
    group.finish();
}

criterion_group!(benches, queue);
criterion_main!(benches);
