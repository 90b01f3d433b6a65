//! A server that says hello.

use std::io;
use std::net::Ipv4Addr;

use may::net::TcpListener;

use crate::peers::may::{root, spawn};
use crate::solo::{Answer, http};

/// Serves until the process ends.
pub(super) fn play() -> Answer {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    http::announce(listener.local_addr()?)?;
    root(move || serve(&listener))??;
    Ok(vec![])
}

fn serve(listener: &TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        // An error is the end of this connection only.
        spawn(move || http::answer(stream));
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// To be called when the number of workers is set.
    pub(in super::super) fn answers_every_request() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        spawn(move || serve(&listener).is_ok());
        http::tests::ask(addr);
    }
}
