//! Spawning under criterion: one goroutine at a time, and a batch of them, on one P.
#![expect(
    unsafe_code,
    reason = "starting a runtime is unsafe: its contract is about all code on it"
)]

use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const BATCH: u64 = 1000;

fn spawn(criterion: &mut Criterion) {
    let builder = gopark::runtime::Builder::new().procs(1);
    // SAFETY: no goroutine here holds a thread-local borrow across a call that may suspend it.
    let runtime = unsafe { builder.build() }.expect("a runtime");
    let mut group = criterion.benchmark_group("spawn");
    group.bench_function("join one", |bencher| {
        bencher.iter_custom(|count| {
            runtime.run(move || {
                let start = Instant::now();
                for _ in 0..count {
                    gopark::spawn(|| ()).join().expect("an empty goroutine");
                }
                start.elapsed()
            })
        });
    });
    group.throughput(Throughput::Elements(BATCH));
    group.bench_function("join 1000", |bencher| {
        bencher.iter_custom(|count| {
            runtime.run(move || {
                let mut handles = Vec::with_capacity(BATCH as usize);
                let start = Instant::now();
                for _ in 0..count {
                    handles.extend((0..BATCH).map(|_| gopark::spawn(|| ())));
                    for handle in handles.drain(..) {
                        handle.join().expect("an empty goroutine");
                    }
                }
                start.elapsed()
            })
        });
    });
    group.finish();
}

criterion_group!(benches, spawn);
criterion_main!(benches);
