//! A server of HTTP in which everybody blocks.

use std::io;
use std::net::TcpListener;

use super::Blocking;
use crate::solo::tasks::http::{ANSWER, BUFFER_BYTES, Requests};

/// One for each connection, until the process ends.
pub(super) fn serve<K: Blocking>(listener: TcpListener) -> io::Result<()> {
    let listener = K::adopt(listener)?;
    loop {
        let stream = K::accept(&listener)?;
        // A connection that breaks ends only its own goroutine or thread.
        drop(K::spawn(move || drop(answer(stream)))?);
    }
}

fn answer(mut stream: impl io::Read + io::Write) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..requests.ended(&buffer[..count]) {
            stream.write_all(ANSWER)?;
        }
    }
}
