//! The style of the sources, as tests.
//!
//! A rule that nobody checks is forgotten within weeks, and a review that counts lines does not
//! read them. These tests read the files of the repository as text. Each prints every offence as
//! `path:line: message`. They build nothing and need nothing: `cargo test -p gopark-tests --test
//! tidy`.
//!
//! Each check is a function from a file (or all of them) to offences, and has a test of its own on
//! a bad sample, beside it: a check that cannot fail proves nothing.

mod documents;
mod layers;
mod map;
mod repo;
mod scan;
mod shape;
mod trust;

use repo::{File, Offence, repository};

/// Fails with every offence.
fn demand_none(offences: Vec<Offence>) {
    let lines: Vec<String> = offences.iter().map(Offence::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} offences:\n{}\n",
        lines.len(),
        lines.join("\n")
    );
}

fn demand_of_rust_files(check: impl Fn(&File) -> Vec<Offence>) {
    let files = repository().iter().filter(|file| file.is_rust());
    demand_none(files.flat_map(check).collect());
}

#[test]
fn files_are_short_and_begin_with_a_title() {
    demand_of_rust_files(shape::length_and_title);
}

#[test]
fn lines_are_not_wide() {
    demand_of_rust_files(shape::wide_lines);
}

#[test]
fn nothing_is_left_to_do() {
    demand_of_rust_files(shape::left_to_do);
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    demand_none(repository().iter().flat_map(shape::local_names).collect());
}

#[test]
fn lower_layers_do_not_know_upper_ones() {
    demand_of_rust_files(layers::order);
}

#[test]
fn leaf_crates_do_not_name_the_runtime() {
    demand_of_rust_files(layers::leaves);
}

#[test]
fn the_model_checker_is_named_in_few_places() {
    demand_of_rust_files(layers::model_checker);
}

#[test]
fn strong_orderings_say_why() {
    demand_of_rust_files(trust::orderings);
}

#[test]
fn files_opt_in_to_unsafe() {
    demand_of_rust_files(trust::opt_in);
}

#[test]
fn unsafe_blocks_say_why_they_are_safe() {
    demand_of_rust_files(trust::safety);
}

#[test]
fn links_lead_somewhere() {
    demand_none(documents::links(repository()));
}

#[test]
fn numbered_lists_have_no_gap() {
    demand_of_rust_files(documents::numbered_lists);
}

#[test]
fn the_architecture_names_the_files_there_are() {
    demand_none(map::architecture(repository()));
}
