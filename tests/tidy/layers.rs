//! Who may know whom.
//!
//! Cargo keeps crates in order; inside a crate nothing does. Each crate has a table of its layers
//! here, lowest first. A file may name its own layer and lower ones. The root, `lib.rs`, is above
//! all, so nothing imports what it re-exports; tests may name everything.

use crate::repo::{File, Offence};
use crate::scan::{is_word, scan, words};

/// Files and folders of one crate, lowest first. Those of one group may know each other.
type Layers = &'static [&'static [&'static str]];

const CRATES: [(&str, Layers); 3] = [
    (
        "stack/src/",
        &[
            &["shim"],
            &["layout"],
            &["guard", "pages"],
            &["map"],
            &["carving", "depot"],
            &["switch"],
            &["arena", "fault"],
            &["cache", "promise", "stack"],
            &["stats"],
        ],
    ),
    (
        "poller/src/",
        &[
            &["shim"],
            &["waiters"],
            &["direction"],
            &["event"],
            &["slots"],
            &["queue"],
            &["poller"],
            &["source"],
        ],
    ),
    (
        "runtime/src/",
        &[
            &["sys"],
            &["shim"],
            &["fatal"],
            &["util"],
            &["task"],
            &["queue", "timer"],
            &["sched"],
            &["net", "time", "wait"],
            &["chan"],
            &["sync"],
            &["api"],
        ],
    ),
];

const MODEL_CHECKER: &str = "gopark_loom";

/// Every `crate::layer` names the file's own layer or a lower one.
pub(crate) fn order(file: &File) -> Vec<Offence> {
    let found = CRATES
        .iter()
        .find_map(|(folder, layers)| Some((file.path.strip_prefix(folder)?, *layers)));
    let Some((inside, layers)) = found else {
        return Vec::new();
    };
    if inside == "lib.rs" || file.is_test() {
        return Vec::new();
    }
    let own = inside.split('/').next().unwrap_or(inside);
    let own = own.strip_suffix(".rs").unwrap_or(own);
    let level = |name: &str| layers.iter().position(|group| group.contains(&name));
    let Some(own_level) = level(own) else {
        return vec![file.offence(1, format!("`{own}` is not in the table of tidy/layers.rs"))];
    };
    let mut offences = Vec::new();
    for (line, name) in crate_paths(&file.text) {
        match level(&name) {
            Some(level) if level <= own_level => {}
            Some(_) => {
                let message = format!("`{own}` is below `{name}`, and names it");
                offences.push(file.offence(line, message));
            }
            None => {
                let message = format!("`crate::{name}` is no layer: name the file that owns it");
                offences.push(file.offence(line, message));
            }
        }
    }
    offences
}

/// The first names after `crate::`, with their lines; macros are left out.
fn crate_paths(text: &str) -> Vec<(usize, String)> {
    let code: Vec<String> = scan(text).into_iter().map(|line| line.code).collect();
    let code = code.join("\n");
    let mut paths = Vec::new();
    for at in words(&code, "crate") {
        let Some(after) = code[at..].strip_prefix("crate::") else {
            continue;
        };
        // In a macro: what the macro's user sees.
        if code[..at].ends_with('$') {
            continue;
        }
        let begin = code.len() - after.len();
        for (from, name) in first_names(after) {
            let line = code[..begin + from].matches('\n').count() + 1;
            if !after[from + name.len()..].starts_with('!') {
                paths.push((line, name.to_owned()));
            }
        }
    }
    paths
}

/// `a` of `a::b`; `a` and `c` of `{a::b, c}`; with their positions.
fn first_names(path: &str) -> Vec<(usize, &str)> {
    let name_at = |at: usize| {
        let rest = &path[at..];
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        (at, &rest[..end])
    };
    if !path.starts_with('{') {
        return vec![name_at(0)];
    }
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expected = true;
    for (at, c) in path.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' => expected |= depth == 1,
            c if is_word(c) && expected => {
                names.push(name_at(at));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// The leaf crates name neither the runtime nor each other, not even in comments.
pub(crate) fn leaves(file: &File) -> Vec<Offence> {
    let forbidden: &[&str] = match file.path.split('/').next() {
        Some("stack") => &["gopark::", "gopark_poller"],
        Some("poller") => &["gopark::", "gopark_stack"],
        _ => return Vec::new(),
    };
    let mut offences = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for name in forbidden {
            let word = name.trim_end_matches(':');
            if words(line, word).any(|position| line[position..].starts_with(name)) {
                offences.push(file.offence(at + 1, format!("a leaf crate names `{name}`")));
            }
        }
    }
    offences
}

/// The model checker's `cfg` chooses between implementations in a shim, and between modules in a
/// `lib.rs` or `mod.rs`. Elsewhere it may only add tests: `all(test, gopark_loom)`.
pub(crate) fn model_checker(file: &File) -> Vec<Offence> {
    let name = file.name();
    let home = file.folder().ends_with("/shim/")
        || ["lib.rs", "mod.rs"].contains(&name)
        || name.starts_with("loom_");
    if home {
        return Vec::new();
    }
    let mut offences = Vec::new();
    for line in scan(&file.text) {
        let models = format!("all(test, {MODEL_CHECKER})");
        let tests = format!("all(test, not({MODEL_CHECKER}))");
        let code = line.code.replace(&models, "").replace(&tests, "");
        if words(&code, MODEL_CHECKER).next().is_some() {
            let message = format!("`{MODEL_CHECKER}` outside a shim, `lib.rs` or `mod.rs`");
            offences.push(file.offence(line.number, message));
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&File) -> Vec<Offence>, path: &str, text: &str) -> Vec<usize> {
        let offences = check(&File::sample(path, text));
        offences.iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn a_lower_layer_that_names_an_upper_one_is_found() {
        let text = "use crate::shim::A;\nuse crate::api::raw;\nfn f(x: crate::sched::X) {}";
        assert_eq!(lines(order, "runtime/src/task/state.rs", text), [2, 3]);
        assert_eq!(
            lines(order, "runtime/src/fatal.rs", "use crate::util;"),
            [1]
        );
    }

    #[test]
    fn groups_of_imports_are_read() {
        let text = "use crate::{\n    api::{a, b},\n    shim::sched,\n    sched::x,\n};";
        assert_eq!(lines(order, "runtime/src/task/mod.rs", text), [2, 4]);
    }

    #[test]
    fn own_and_lower_layers_macros_comments_and_tests_pass() {
        let text = "use crate::task::a;\ncrate::fatal!(x);\n// crate::api\npub(crate) fn f() {}";
        assert_eq!(lines(order, "runtime/src/task/state.rs", text), []);
        let upper = "use crate::api::raw;";
        assert_eq!(lines(order, "runtime/src/task/tests/x.rs", upper), []);
        assert_eq!(lines(order, "runtime/src/lib.rs", upper), []);
        assert_eq!(lines(order, "benches/src/main.rs", upper), []);
        assert_eq!(lines(order, "stack/src/arena.rs", "use crate::fault;"), []);
    }

    #[test]
    fn a_file_without_a_layer_and_an_import_through_the_root_are_found() {
        assert_eq!(lines(order, "runtime/src/misc.rs", ""), [1]);
        assert_eq!(lines(order, "stack/src/map.rs", "use crate::Stack;"), [1]);
    }

    #[test]
    fn a_leaf_that_names_another_crate_is_found() {
        let text = "use gopark::spawn;\n// under gopark: yes\ngopark_stack::x();";
        assert_eq!(lines(leaves, "stack/src/map.rs", text), [1]);
        assert_eq!(lines(leaves, "poller/src/lib.rs", text), [1, 3]);
        assert_eq!(lines(leaves, "runtime/src/lib.rs", text), []);
    }

    #[test]
    fn the_model_checker_outside_its_places_is_found() {
        let text = "#[cfg(gopark_loom)]\nx\n#[cfg(all(test, gopark_loom))]\n// gopark_loom\n";
        assert_eq!(lines(model_checker, "runtime/src/task/state.rs", text), [1]);
        for path in [
            "runtime/src/shim/real.rs",
            "stack/src/lib.rs",
            "a/tests/loom_x.rs",
        ] {
            assert_eq!(lines(model_checker, path, text), [], "{path}");
        }
    }
}
