//! The shape of files: their length, their first line, and what must not stand in them.
//!
//! The words that are searched for are put together from halves here, so that this file is not the
//! first to be found.

use crate::repo::{File, Offence};
use crate::scan::{scan, words};

const FILE_LINES_MAX: usize = 800;
const LINE_COLUMNS_MAX: usize = 100;

/// At most 800 lines; the first is a title.
pub(crate) fn length_and_title(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        let message = format!("{lines} lines; at most {FILE_LINES_MAX}: divide the file");
        offences.push(file.offence(lines, message));
    }
    if !file.text.starts_with("//! ") {
        offences.push(file.offence(1, "the first line is not a title, `//! ...`"));
    }
    offences
}

/// At most 100 columns, but for links and for tables in comments.
pub(crate) fn wide_lines(file: &File) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        let columns = line.chars().count();
        let link = line.contains("http://") || line.contains("https://");
        let comment = line.trim_start().trim_start_matches(['/', '!']);
        let table = line.trim_start().starts_with("//") && comment.trim_start().starts_with('|');
        if columns > LINE_COLUMNS_MAX && !link && !table {
            let message = format!("{columns} columns; at most {LINE_COLUMNS_MAX}");
            offences.push(file.offence(at + 1, message));
        }
    }
    offences
}

/// No code that stands for other code, and no note about work that is left.
pub(crate) fn left_to_do(file: &File) -> Vec<Offence> {
    const MACROS: [&str; 3] = ["todo", "unimplemented", "dbg"];
    const NOTES: [&str; 2] = [concat!("FIX", "ME"), concat!("SAFETY: ", "Untriaged")];
    let mut offences = Vec::new();
    for line in scan(&file.text) {
        for name in MACROS {
            if words(&line.code, name).any(|at| line.code[at + name.len()..].starts_with('!')) {
                offences.push(file.offence(line.number, format!("`{name}!` is left")));
            }
        }
        for note in NOTES {
            if line.comment.contains(note) {
                offences.push(file.offence(line.number, format!("`{note}` is left")));
            }
        }
    }
    offences
}

/// No path that exists on one machine only.
pub(crate) fn local_names(file: &File) -> Vec<Offence> {
    const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    const WORD: &str = concat!("far", "m-be", "nch");
    let mut offences = Vec::new();
    for (at, line) in file.text.lines().enumerate() {
        for folder in FOLDERS {
            let begins = |position: usize| {
                let before = line[..position].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || "._-~}/)*".contains(c))
            };
            if line
                .match_indices(folder)
                .any(|(position, _)| begins(position))
            {
                let message = format!("names a path of one machine: `{folder}`");
                offences.push(file.offence(at + 1, message));
            }
        }
        if line.to_ascii_lowercase().contains(WORD) {
            offences.push(file.offence(at + 1, format!("names `{WORD}`")));
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(check: fn(&File) -> Vec<Offence>, text: &str) -> Vec<usize> {
        let offences = check(&File::sample("a/b.rs", text));
        offences.iter().map(|offence| offence.line).collect()
    }

    #[test]
    fn a_long_file_and_a_missing_title_are_found() {
        let long = "//! Title.\n".repeat(FILE_LINES_MAX + 1);
        assert_eq!(lines(length_and_title, &long), [801]);
        assert_eq!(lines(length_and_title, "use a;\n//! Title.\n"), [1]);
        assert_eq!(lines(length_and_title, "//! Title.\n"), []);
    }

    #[test]
    fn a_wide_line_is_found_unless_it_is_a_table_or_a_link() {
        let wide = "x".repeat(LINE_COLUMNS_MAX + 1);
        let text = format!("ok\n{wide}\n//! | {wide} |\n// https://{wide}\n| {wide}\n");
        assert_eq!(lines(wide_lines, &text), [2, 5]);
        assert_eq!(lines(wide_lines, &"ä".repeat(LINE_COLUMNS_MAX)), []);
    }

    #[test]
    fn work_that_is_left_is_found() {
        let note = concat!("// FIX", "ME later");
        let text = format!("todo!(\"x\")\n// todo!() is a macro\n{note}\n\"dbg!\"; dbg!(x)\n");
        assert_eq!(lines(left_to_do, &text), [1, 3, 4]);
        let untriaged = concat!("// SAFETY: ", "Untriaged");
        assert_eq!(lines(left_to_do, untriaged), [1]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let (work, root) = (concat!("/wo", "rk/"), concat!("/ro", "ot/"));
        let text = format!("see {work}x\nbenches{work}x\n`{root}y`\nhttps://host{root}z\n");
        assert_eq!(lines(local_names, &text), [1, 3]);
        assert_eq!(lines(local_names, concat!("a FAR", "M-BENCH b")), [1]);
    }
}
