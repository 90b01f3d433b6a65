//! `#[gopark::main]` and `#[gopark::test]`: what they make, and what they refuse.

use crate::Program;

const PROMISE: &str = "unsafe(no_thread_bound_state_across_suspensions)";

/// A program whose main function has an attribute with these arguments.
fn main_with(name: &'static str, arguments: &str, function: &str) -> Program {
    Program::new(name, format!("#[gopark::main({arguments})]\n{function}\n"))
}

#[test]
fn main_runs_as_a_goroutine_and_gives_its_result() {
    let source = format!(
        "/// Documented.\n\
         #[gopark::main({PROMISE}, procs = 1 + 1, thread_name = \"worker\", \
             time_slice = std::time::Duration::from_millis(5), stack_limit = 64 << 10,)]\n\
         pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {{\n\
             let handle = gopark::spawn(|| 40);\n\
             println!(\"{{}} of {{}}\", handle.join().unwrap() + 2, gopark::procs());\n\
             let _: i32 = \"no number\".parse()?;\n\
             return Ok(());\n\
         }}\n"
    );
    let (status, out, err) = Program::new("attribute_main", source).output();
    assert_eq!(out, "42 of 2\n");
    assert_eq!(err, "Error: ParseIntError { kind: InvalidDigit }\n");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_panic_of_main_is_the_programs() {
    let function = "fn main() { let _here = gopark::current(); panic!(\"as it should\") }";
    let (status, _, err) = main_with("attribute_panic", PROMISE, function).output();
    assert_eq!(status.code(), Some(101));
    assert!(err.contains("as it should"), "{err}");
}

#[test]
fn a_runtime_that_cannot_be_built_says_why() {
    let arguments = format!("{PROMISE}, procs = 5000");
    let (status, _, err) = main_with("attribute_unbuilt", &arguments, "fn main() {}").output();
    assert_eq!(status.code(), Some(101));
    let text = "gopark::main: the runtime cannot be built: procs of 5000 is outside 1..=1024";
    assert!(err.contains(text), "{err}");
}

#[test]
fn gopark_may_have_another_name() {
    let source = format!(
        "#[coroutines::main({PROMISE}, crate = ::coroutines)]\n\
         fn main() {{ println!(\"{{}}\", coroutines::spawn(|| 3).join().unwrap()); }}\n"
    );
    let program = Program::new("attribute_renamed", source).with_gopark_as("coroutines");
    assert_eq!(program.output().1, "3\n");
}

#[test]
fn a_missing_promise_is_refused_with_the_reason() {
    for (name, attribute) in [
        ("promise_no_arguments", "#[gopark::main]"),
        ("promise_settings_only", "#[gopark::main(procs = 2)]"),
    ] {
        let said = Program::new(name, format!("{attribute}\nfn main() {{}}\n")).refusal();
        let needs = "`#[gopark::main]` needs a promise: \
                     `#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]`";
        assert!(said.contains(needs), "{said}");
        assert!(
            said.contains("goroutines move between OS threads"),
            "{said}"
        );
        // The function is not missed as well.
        assert!(!said.contains("E0601"), "{said}");
    }
}

/// Arguments, with `@` for the promise, and what the compiler says of them.
const WRONG: [(&str, &str, &str); 14] = [
    (
        "argument_word",
        "unsafe",
        "expected `unsafe(no_thread_bound",
    ),
    (
        "argument_other",
        "unsafe(trust_me)",
        "`unsafe(trust_me)` is no promise that",
    ),
    (
        "argument_unknown",
        "@, proc = 2",
        "there is no argument `proc`: there are `unsafe(no_",
    ),
    (
        "argument_flag",
        "@, migrate",
        "there is no argument `migrate`: there are",
    ),
    (
        "argument_valueless",
        "@, procs",
        "expected a value: `procs = ...`",
    ),
    (
        "argument_text",
        "@, procs = \"2\"",
        "`procs` cannot be \"2\": it is a whole number",
    ),
    (
        "argument_negative",
        "@, procs = -1",
        "`procs` cannot be -1: it is a whole number",
    ),
    (
        "argument_float",
        "@, stack_limit = 1e6",
        "`stack_limit` cannot be 1e6: it is a whole",
    ),
    (
        "argument_duration",
        "@, time_slice = 5",
        "`time_slice` cannot be 5: it is a Duration",
    ),
    (
        "argument_name",
        "@, thread_name = 5",
        "`thread_name` cannot be 5: it is a text",
    ),
    (
        "argument_twice",
        "@, procs = 1, procs = 2",
        "`procs` is given twice",
    ),
    (
        "argument_promise_twice",
        "@, @",
        "the promise is made twice",
    ),
    (
        "argument_garbage",
        "@, = 3",
        "expected `unsafe(no_thread_bound",
    ),
    ("argument_type", "@, preemption = 3", "mismatched types"),
];

#[test]
fn wrong_arguments_are_refused_by_name() {
    for (name, arguments, expected) in WRONG {
        let arguments = arguments.replace('@', PROMISE);
        let said = main_with(name, &arguments, "fn main() {}").refusal();
        assert!(said.contains(expected), "{name}: {said}");
        assert!(!said.contains("E0601"), "{name}: {said}");
    }
}

#[test]
fn what_is_no_plain_function_is_refused() {
    let cases = [
        (
            "function_async",
            "async fn main() {}",
            "so remove `async` and `.await`",
        ),
        (
            "function_unsafe",
            "unsafe fn main() {}",
            "cannot be `unsafe`",
        ),
        ("function_const", "const fn main() {}", "cannot be `const`"),
        (
            "function_parameter",
            "fn main(n: u32) {}",
            "`main` cannot have parameters",
        ),
        (
            "function_generic",
            "fn main<T>() {}",
            "`main` cannot be generic",
        ),
        (
            "function_struct",
            "struct Main;\nfn main() {}",
            "is for functions with a body",
        ),
    ];
    for (name, function, expected) in cases {
        let said = main_with(name, PROMISE, function).refusal();
        assert!(said.contains(expected), "{name}: {said}");
    }
}

#[test]
fn the_body_is_not_in_an_unsafe_block() {
    let function = "fn main() { wild(); }\nunsafe fn wild() {}";
    let said = main_with("attribute_safe_body", PROMISE, function).refusal();
    assert!(said.contains("E0133"), "{said}");
}

#[test]
fn the_lint_of_unsafe_code_finds_the_promise() {
    let program = |name, first: &str, above: &str| {
        let source = format!("{first}\n{above}\n#[gopark::main({PROMISE})]\nfn main() {{}}\n");
        Program::new(name, source)
    };
    for (name, level) in [("lint_deny", "deny"), ("lint_forbid", "forbid")] {
        let said = program(name, &format!("#![{level}(unsafe_code)]"), "").refusal();
        assert!(said.contains("usage of an `unsafe` block"), "{said}");
        assert!(said.contains("src/main.rs:3:16"), "{said}");
    }
    let expected = "#[expect(unsafe_code, reason = \"starts a runtime\")]";
    let (status, ..) = program("lint_expected", "#![deny(unsafe_code)]", expected).output();
    assert!(status.success());
    // It does not ask for a comment of its own either, nor for one of ours.
    let first = "#![deny(warnings, clippy::undocumented_unsafe_blocks)]";
    let (status, ..) = program("lint_warnings", first, "").output();
    assert!(status.success());
}

#[test]
fn a_test_is_no_second_test() {
    let source = format!("#[gopark::test({PROMISE})]\n#[test]\nfn twice() {{}}\nfn main() {{}}\n");
    let said = Program::new("attribute_twice", source).refusal();
    assert!(
        said.contains("`#[gopark::test]` is a `#[test]` already"),
        "{said}"
    );
}
