//! What the size of a closure and of a result costs the compiler: with 64 KiB no more than twice
//! the time that the same program takes with 64 bytes.
//!
//! LLVM takes the square of the size for a variable that is only copied in and out: 10 s for 32
//! KiB.

use std::time::Duration;

use crate::Program;

const ROUNDS: usize = 3;
const BYTES: usize = 64 << 10;
const RATIO_MAX: f64 = 2.0;

/// A program that moves an array through `spawn`, which takes a closure and whose result is joined.
fn program(
    name: &'static str,
    bytes: usize,
    (begin, end): (&str, &str),
    optimised: bool,
) -> Program {
    let source = format!(
        "const BYTES: usize = {bytes};\n\
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

/// The least CPU times of a few builds of each, in turns: the machine may do other things
/// meanwhile.
fn times_of(programs: [&Program; 2]) -> [Duration; 2] {
    let mut least = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (program, least) in programs.iter().zip(&mut least) {
            let built = program.build();
            assert!(built.binary.is_ok(), "{}", built.said);
            *least = built.time.min(*least);
        }
    }
    least
}

#[test]
fn large_closures_and_results_cost_the_compiler_little() {
    const WAYS: [(&str, &str, (&str, &str)); 5] = [
        (
            "cost_spawn",
            "cost_spawn_large",
            ("gopark::spawn(", ").join().unwrap()"),
        ),
        (
            "cost_scope",
            "cost_scope_large",
            ("gopark::scope(|s| s.spawn(", ").join().unwrap())"),
        ),
        (
            "cost_run",
            "cost_run_large",
            ("unsafe { gopark::run(", ") }"),
        ),
        (
            "cost_timeout",
            "cost_timeout_large",
            (
                "gopark::time::timeout(std::time::Duration::MAX,",
                ").unwrap()",
            ),
        ),
        (
            "cost_thread_stack",
            "cost_thread_stack_large",
            ("gopark::on_thread_stack(", ")"),
        ),
    ];
    for optimised in [false, true] {
        for (small, large, way) in WAYS {
            let small = program(small, 64, way, optimised);
            let large = program(large, BYTES, way, optimised);
            // The first build may build the dependencies.
            let _ = small.build();
            let [least, time] = times_of([&small, &large]);
            let ratio = time.as_secs_f64() / least.as_secs_f64();
            let text = format!("{way:?}, optimised {optimised}: {time:?}, {ratio:.2} of {least:?}");
            println!("{text}");
            assert!(ratio <= RATIO_MAX, "{text}");
        }
    }
}
