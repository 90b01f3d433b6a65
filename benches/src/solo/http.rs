//! What a server of HTTP needs beside its sockets.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::thread;

pub(super) const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!";

const END: &[u8; 4] = b"\r\n\r\n";

/// Room for what comes at once.
pub(super) const BUFFER_BYTES: usize = 4096;

/// Listens, and says so.
pub(super) fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    announce(listener.local_addr()?)?;
    Ok(listener)
}

/// Says where somebody listens. The process ends when its standard input is closed.
pub(super) fn announce(addr: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{{\"port\":{}}}", addr.port())?;
    out.flush()?;
    thread::Builder::new().spawn(|| {
        let mut input = io::stdin().lock();
        let mut piece = [0; 64];
        while input.read(&mut piece).is_ok_and(|count| count > 0) {}
        process::exit(0);
    })?;
    Ok(())
}

/// Answers what comes by one connection, for whoever may block there.
pub(super) fn answer(mut stream: impl Read + Write) -> io::Result<()> {
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

/// Finds where requests end, whatever the pieces are in which they come.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Bytes of [`END`] that were the last to come.
    matched: usize,
}

impl Requests {
    /// How many end in this piece.
    pub(super) fn ended(&mut self, piece: &[u8]) -> usize {
        let mut ended = 0;
        for &byte in piece {
            if byte == END[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(byte == END[0]);
            }
            if self.matched == END.len() {
                self.matched = 0;
                ended += 1;
            }
        }
        ended
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Asks one server, over a connection that is kept, twice at once and then once in two pieces.
    pub(in crate::solo) fn ask(addr: SocketAddr) {
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n";
        let mut answer = vec![0; 3 * ANSWER.len()];
        let (twice, once) = answer.split_at_mut(2 * ANSWER.len());
        stream.write_all(&request.repeat(2)).unwrap();
        stream.read_exact(twice).unwrap();
        stream.write_all(&request[..request.len() - 1]).unwrap();
        stream.write_all(&request[request.len() - 1..]).unwrap();
        stream.read_exact(once).unwrap();
        assert_eq!(answer, ANSWER.repeat(3));
    }

    #[test]
    fn requests_are_found_in_any_pieces() {
        let text = b"GET /\r\nA: b\r\n\r\nGET /\r\r\n\r\n";
        assert_eq!(Requests::default().ended(text), 2);
        let mut requests = Requests::default();
        let found: usize = text.chunks(1).map(|piece| requests.ended(piece)).sum();
        assert_eq!(found, 2);
        assert_eq!(Requests::default().ended(b"\r\n\r\r\n"), 0);
    }
}
