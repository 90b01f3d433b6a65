//! What must be justified beside the code: unsafe code, and orderings stronger than relaxed.
//!
//! The compiler demands an opt-in and clippy a SAFETY comment, but neither sees code behind a `cfg`
//! that is off, and nobody else asks why an ordering is as strong as it is.

use crate::repo::{File, Offence};
use crate::scan::{Line, scan, words};

const OPT_IN_LINES_MAX: usize = 80;
const ORDERING_REACH: usize = 3;
const SAFETY_REACH: usize = 6;
/// How far up a statement is followed to its first line.
const STATEMENT_LINES_MAX: usize = 8;
const ORDERINGS: [&str; 4] = ["Acquire", "Release", "AcqRel", "SeqCst"];

/// Every argument `Acquire`, `Release`, `AcqRel`, `SeqCst` has a comment on its line, or up to
/// three lines above it or above its statement.
pub(crate) fn orderings(file: &File) -> Vec<Offence> {
    let lines = scan(&file.text);
    let mut offences = Vec::new();
    let mut importing = false;
    for (at, line) in lines.iter().enumerate() {
        importing |= is_use(&line.code);
        let named = ORDERINGS
            .iter()
            .find(|name| words(&line.code, name).next().is_some());
        if let Some(name) = named
            && !importing
        {
            let commented = [at, statement(&lines, at)]
                .into_iter()
                .any(|at| comments_near(&lines, at, ORDERING_REACH).next().is_some());
            if !commented {
                let message = format!("no comment says why `{name}`");
                offences.push(file.offence(line.number, message));
            }
        }
        importing &= !line.code.contains(';');
    }
    offences
}

/// A file with `unsafe` in its code opts in at its top, with a reason.
pub(crate) fn opt_in(file: &File) -> Vec<Offence> {
    let lines = scan(&file.text);
    let Some(line) = lines
        .iter()
        .find(|line| words(&line.code, "unsafe").next().is_some())
    else {
        return Vec::new();
    };
    let top: String = lines
        .iter()
        .take(OPT_IN_LINES_MAX)
        .flat_map(|line| line.code.chars().chain(['\n']))
        .filter(|c| !c.is_whitespace())
        .collect();
    let opted_in = top.split("#![expect(").skip(1).any(|attribute| {
        let inside = attribute.split(")]").next().unwrap_or_default();
        let mut parts = inside.split(',');
        parts.any(|part| part == "unsafe_code") && parts.any(|part| part.starts_with("reason="))
    });
    if opted_in {
        return Vec::new();
    }
    let message = format!(
        "unsafe code without `#![expect(unsafe_code, reason = ...)]` in the first \
         {OPT_IN_LINES_MAX} lines"
    );
    vec![file.offence(line.number, message)]
}

/// Every `unsafe {` and `unsafe impl` has a SAFETY comment up to six lines above.
pub(crate) fn safety(file: &File) -> Vec<Offence> {
    let lines = scan(&file.text);
    let mut offences = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let claims = words(&line.code, "unsafe").any(|position| {
            let after = line.code[position + "unsafe".len()..].trim_start();
            after.starts_with('{') || words(after, "impl").next() == Some(0)
        });
        let argued = || {
            comments_near(&lines, at, SAFETY_REACH).any(|comment| comment.contains("// SAFETY: "))
        };
        if claims && !argued() {
            offences.push(file.offence(line.number, "no `// SAFETY: ` comment above"));
        }
    }
    offences
}

fn is_use(code: &str) -> bool {
    let code = code.trim_start();
    let code = match code.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')').map_or("", |parts| parts.1),
        Some(rest) => rest,
        None => code,
    };
    code.trim_start().starts_with("use ")
}

/// The first line of the statement that goes on at line `at`, as far as layout tells.
fn statement(lines: &[Line], at: usize) -> usize {
    let bound = at.saturating_sub(STATEMENT_LINES_MAX);
    let continues = |line: &Line| {
        let code = line.code.trim_end();
        !code.is_empty() && !code.ends_with([';', '{', '}'])
    };
    let before = (bound..at).rev();
    at - before.take_while(|&above| continues(&lines[above])).count()
}

/// The comments on line `at` and up to `reach` lines above; one that reaches further up is taken
/// whole.
fn comments_near(lines: &[Line], at: usize, reach: usize) -> impl Iterator<Item = &str> {
    let last = at.saturating_sub(reach);
    let more = (0..last)
        .rev()
        .take_while(move |&above| lines[last].is_comment() && lines[above].is_comment());
    (last..=at)
        .chain(more)
        .map(|line| lines[line].comment.trim())
        .filter(|comment| !comment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&File) -> Vec<Offence>, text: &str) -> Vec<usize> {
        let offences = check(&File::sample("a/b.rs", text));
        offences.iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn an_ordering_without_a_reason_is_found() {
        assert_eq!(lines(orderings, "a.load(Ordering::Acquire);"), [1]);
        assert_eq!(
            lines(orderings, "use x::{\n Acquire,\n};\n\n\nfence(SeqCst);"),
            [6]
        );
        assert_eq!(lines(orderings, "// no\n\n\n\na.store(1, Release);"), [5]);
    }

    #[test]
    fn an_ordering_with_a_reason_passes() {
        assert_eq!(lines(orderings, "a.load(Acquire); // pairs"), []);
        assert_eq!(lines(orderings, "// pairs\n\n\na.load(Acquire);"), []);
        assert_eq!(
            lines(orderings, "a.load(Ordering::Relaxed); \"Release\""),
            []
        );
        let call = "// pairs\nlet x = self\n.0\n.swap(\n1,\n2,\nAcqRel,\n);";
        assert_eq!(lines(orderings, call), []);
        assert_eq!(lines(orderings, "pub(crate) use x::Acquire;"), []);
    }

    #[test]
    fn a_file_that_does_not_opt_in_is_found() {
        let code = "//! Title.\nfn f() { unsafe { g() } }\n";
        assert_eq!(lines(opt_in, code), [2]);
        let bare = format!("#![expect(unsafe_code)]\n{code}");
        assert_eq!(lines(opt_in, &bare), [3], "no reason");
        let late = format!(
            "{}#![expect(unsafe_code, reason = \"x\")]\n{code}",
            "\n".repeat(80)
        );
        assert_eq!(lines(opt_in, &late), [83]);
    }

    #[test]
    fn a_file_that_opts_in_or_has_nothing_unsafe_passes() {
        let code = "#![expect(\n    unsafe_code,\n    reason = \"x\"\n)]\nunsafe { g() }\n";
        assert_eq!(lines(opt_in, code), []);
        assert_eq!(
            lines(opt_in, "// unsafe\n\"unsafe\"; #![deny(unsafe_code)]"),
            []
        );
    }

    /// In halves: clippy would take it for an argument about this file.
    const ARGUED: &str = concat!("// SAF", "ETY: x\n");

    #[test]
    fn an_unsafe_block_without_an_argument_is_found() {
        assert_eq!(lines(safety, "unsafe { f() }"), [1]);
        assert_eq!(
            lines(safety, "// safe enough\nunsafe impl Send for X {}"),
            [2]
        );
        let far = format!("{ARGUED}{}unsafe {{ f() }}", "a;\n".repeat(7));
        assert_eq!(lines(safety, &far), [9]);
    }

    #[test]
    fn an_unsafe_block_with_an_argument_passes() {
        assert_eq!(
            lines(safety, &format!("{ARGUED}let a = unsafe {{ f() }};")),
            []
        );
        let long = format!("{ARGUED}{}unsafe impl Send for X {{}}", "// y\n".repeat(9));
        assert_eq!(lines(safety, &long), []);
        assert_eq!(lines(safety, "unsafe fn f();"), []);
    }
}
