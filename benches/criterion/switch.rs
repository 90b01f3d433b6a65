//! The bare switch under criterion: a finer look at one number of `switch-raw`.

#[path = "../src/peers/raw.rs"]
mod raw;

use criterion::{Criterion, criterion_group, criterion_main};

use crate::raw::{Corosensei, Generator, GoparkRaw};

fn switch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("switch");
    let mut gopark = GoparkRaw::new().expect("a stack");
    group.bench_function("gopark", |bencher| bencher.iter(|| gopark.round_trip()));
    let mut corosensei = Corosensei::new().expect("a stack");
    group.bench_function("corosensei", |bencher| {
        bencher.iter(|| corosensei.round_trip())
    });
    let mut generator = Generator::new();
    group.bench_function("generator", |bencher| {
        bencher.iter(|| generator.round_trip())
    });
    group.finish();
}

criterion_group!(benches, switch);
criterion_main!(benches);
