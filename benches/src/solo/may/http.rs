//! A server that says hello.

use std::io::{self, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::process;

use may::net::{TcpListener, TcpStream};

use super::spawn::spawn;
use crate::solo::Answer;
use crate::solo::tasks::http::{ANSWER, BUFFER_BYTES, Requests};

/// Serves until standard input is closed.
pub(super) fn play() -> Answer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    spawn(move || {
        let Err(error) = accept(&listener);
        // Nobody joins this one.
        let _ = writeln!(io::stderr(), "accept: {error}");
        process::exit(1);
    });
    let mut out = io::stdout().lock();
    writeln!(out, "{{\"port\":{port}}}")?;
    out.flush()?;
    drop(out);
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(vec![])
}

/// What never comes.
enum Never {}

fn accept(listener: &TcpListener) -> io::Result<Never> {
    loop {
        let (stream, _) = listener.accept()?;
        // An error is the end of this connection only.
        spawn(move || serve(stream));
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// To be called when the number of workers is set.
    pub(in super::super) fn answers_every_request() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        spawn(move || accept(&listener).is_ok());
        crate::solo::tasks::http::ask(addr);
    }
}
