//! What a park is told about a wait, and tells of its end.

/// How many lists a wait is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    One,
    Several,
}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did not begin.
    NotBegun,
    Woken,
    /// The deadline came; nobody has woken it, nor will.
    TimedOut,
    /// A request to unwind ended the park. In one list and without a deadline the list tells
    /// whether the wait was served since; otherwise it was not. If not, the caller calls `heed`.
    Interrupted,
}
