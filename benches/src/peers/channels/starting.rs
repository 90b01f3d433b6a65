//! A common start for several.

use std::io;
use std::time::{Duration, Instant};

use super::Channels;

/// What one of them does.
pub(crate) type Party = Box<dyn FnOnce() + Send>;

/// Runs all of them at once: the time from the start, when all are there, until the last is done.
pub(crate) fn race<K: Channels>(parties: Vec<Party>) -> io::Result<Duration> {
    let (there, arrivals) = K::channel::<()>(Some(0));
    let (closed, gate) = K::channel::<()>(Some(0));
    let count = parties.len();
    let mut handles = Vec::with_capacity(count);
    for party in parties {
        let (there, gate) = (there.clone(), gate.clone());
        handles.push(K::spawn(move || {
            K::send(&there, ());
            K::recv(&gate);
            party();
            Instant::now()
        })?);
    }
    for _ in 0..count {
        K::recv(&arrivals);
    }
    let start = Instant::now();
    drop(closed);
    let ends = handles.into_iter().map(K::join);
    Ok(ends.max().map_or(Duration::ZERO, |end| end - start))
}
