//! What users of gopark rely on, on real stacks and threads.

mod limits;
mod panics;
mod parking;
mod spawning;
mod stacks;
