//! Placeholder for tidy.
