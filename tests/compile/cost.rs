//! What a spawn costs the compiler: no more with a closure and a result of 64 KiB than three times
//! what std's threads cost it.

use std::time::Duration;

use crate::Program;

const ROUNDS: usize = 3;
const BYTES: usize = 64 << 10;
const RATIO_MAX: f64 = 3.0;

/// A program that moves an array through `spawn`, which takes a closure and whose result is joined.
fn program(name: &'static str, begin: &str, end: &str, optimised: bool) -> Program {
    let source = format!(
        "const BYTES: usize = {BYTES};\n\
         fn main() {{\n\
             let number = std::env::args().count();\n\
             let large = [number as u8; BYTES];\n\
             let back = {begin} move || large {end};\n\
             println!(\"{{}}\", back[number]);\n\
         }}\n"
    );
    let program = Program::new(name, source);
    if optimised {
        program.optimised()
    } else {
        program
    }
}

/// The least CPU time of a few builds.
fn time_of(program: &Program) -> Duration {
    let times = (0..ROUNDS).map(|_| {
        let built = program.build();
        assert!(built.binary.is_ok(), "{}", built.said);
        built.time
    });
    times.min().unwrap()
}

#[test]
fn large_closures_and_results_cost_the_compiler_little() {
    for optimised in [false, true] {
        let threads = program(
            "cost_threads",
            "std::thread::spawn(",
            ").join().unwrap()",
            optimised,
        );
        // The first build may build the dependencies.
        let _ = threads.build();
        let least = time_of(&threads);
        let ways = [
            ("cost_spawn", "gopark::spawn(", ").join().unwrap()"),
            (
                "cost_scope",
                "gopark::scope(|s| s.spawn(",
                ").join().unwrap())",
            ),
            ("cost_run", "unsafe { gopark::run(", ") }"),
            (
                "cost_timeout",
                "gopark::time::timeout(std::time::Duration::MAX,",
                ").unwrap()",
            ),
            ("cost_thread_stack", "gopark::on_thread_stack(", ")"),
        ];
        for (name, begin, end) in ways {
            let time = time_of(&program(name, begin, end, optimised));
            let ratio = time.as_secs_f64() / least.as_secs_f64();
            println!("{name}, optimised {optimised}: {time:?}, {ratio:.2} of {least:?}");
            assert!(ratio <= RATIO_MAX, "{name}: {time:?}, threads {least:?}");
        }
    }
}
