//! What is public for the sake of a macro cannot be used for anything else.

use crate::Program;

#[test]
fn nobody_else_writes_an_operation_of_a_select() {
    let source = "use gopark::chan::internal::{Operation, Token};\nfn main() {}\n";
    let said = Program::new("seal_operation", source).refusal();
    assert!(said.contains("E0432") || said.contains("E0603"), "{said}");
}

#[test]
fn a_choice_of_a_select_is_not_made_up() {
    let source = "use gopark::chan::internal::Choice;\n\
                  fn made_up() -> Choice { Choice { at: 0, token: panic!() } }\n\
                  fn main() { made_up(); }\n";
    let said = Program::new("seal_choice", source).refusal();
    assert!(said.contains("E0451"), "{said}");
}

#[test]
fn a_choice_of_a_select_is_used_once() {
    let source = "use gopark::chan::{self, internal::{Choice, Receiving}};\n\
                  fn twice(choice: Choice, r: &chan::Receiver<u8>) {\n\
                      let _ = choice.recv(Receiving::new(r));\n\
                      let _ = choice.recv(Receiving::new(r));\n\
                  }\n\
                  fn main() {}\n";
    let said = Program::new("seal_choice_twice", source).refusal();
    assert!(said.contains("E0382"), "{said}");
}
