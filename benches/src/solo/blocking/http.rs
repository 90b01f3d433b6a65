//! A server of HTTP in which everybody blocks.

use std::io;
use std::net::TcpListener;

use super::Blocking;
use crate::solo::http;

/// One for each connection, until the process ends.
pub(super) fn serve<K: Blocking>(listener: TcpListener) -> io::Result<()> {
    let listener = K::adopt(listener)?;
    loop {
        let stream = K::accept(&listener)?;
        // A connection that breaks ends only its own goroutine or thread.
        drop(K::spawn(move || drop(http::answer(stream)))?);
    }
}
