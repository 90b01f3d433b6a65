//! The project's own commands: `cargo xtask test [STEP...]` and `cargo xtask steps`.
//!
//! `test` is what a change must pass: each step is one command or a few, printed before it runs.
//! It stops at the first step that fails and names it.

mod cargo;
mod crossbeam;
mod msrv;
mod steps;
mod versions;

use std::process::ExitCode;
use std::time::Instant;

use steps::{STEPS, Step};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments
        .split_first()
        .map(|(first, rest)| (first.as_str(), rest))
    {
        Some(("steps", [])) => {
            STEPS
                .iter()
                .for_each(|step| println!("{:10} {}", step.name, step.about));
            ExitCode::SUCCESS
        }
        Some(("test", names)) => match choose(names) {
            Ok(steps) => run(&steps),
            Err(text) => fail(&text),
        },
        _ => fail("usage: cargo xtask test [STEP...] | cargo xtask steps"),
    }
}

/// The steps of these names in their fixed order; all of them for none.
fn choose(names: &[String]) -> Result<Vec<&'static Step>, String> {
    if let Some(unknown) = names
        .iter()
        .find(|name| STEPS.iter().all(|step| step.name != **name))
    {
        let known: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        return Err(format!(
            "there is no step `{unknown}`; the steps are {}",
            known.join(", ")
        ));
    }
    let wanted = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

fn run(steps: &[&Step]) -> ExitCode {
    let begin = Instant::now();
    for step in steps {
        let start = Instant::now();
        println!("==> {}: {}", step.name, step.about);
        if let Err(text) = (step.run)() {
            return fail(&format!("step `{}` failed: {text}", step.name));
        }
        println!(
            "<== {} took {:.0} s",
            step.name,
            start.elapsed().as_secs_f64()
        );
    }
    println!(
        "all {} steps passed in {:.0} s",
        steps.len(),
        begin.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "a command line tool")]
fn fail(text: &str) -> ExitCode {
    eprintln!("xtask: {text}");
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn an_unknown_step_is_named_with_the_list() {
        let error = choose(&["lom".to_owned()]).err().unwrap();
        assert!(error.contains("`lom`") && error.contains("loom"), "{error}");
    }

    #[test]
    fn chosen_steps_keep_their_order() {
        let steps = choose(&["loom".to_owned(), "fmt".to_owned()]).unwrap();
        let names: Vec<_> = steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["fmt", "loom"]);
    }
}
