//! Connections over loopback, and enough file descriptors for them.
//!
//! A pair is made by the kernel and std alone: connect, then accept, one after the other. Each peer
//! then adopts the ends in its own way, so that setting up is the same for all and outside of every
//! interval.

use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::net::sockopt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process needs beside its connections.
const SPARE_FDS: u64 = 200;

/// Connections to one address: an address has some 28 000 ports, and others use them too.
const PER_ADDRESS_MAX: usize = 4096;

/// Both ends of connections, in the same order.
#[derive(Debug)]
pub(crate) struct Pairs {
    pub(crate) servers: Vec<TcpStream>,
    pub(crate) clients: Vec<TcpStream>,
}

impl Pairs {
    /// Connections to 127.0.0.1, 127.0.0.2 and so on, by std's means, in blocking mode.
    pub(crate) fn connect(count: usize) -> io::Result<Self> {
        limit(count);
        let mut pairs = Self {
            servers: Vec::with_capacity(count),
            clients: Vec::with_capacity(count),
        };
        let mut host = 0;
        while pairs.clients.len() < count {
            host += 1;
            let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, host), 0))?;
            let addr = listener.local_addr()?;
            for _ in 0..PER_ADDRESS_MAX.min(count - pairs.clients.len()) {
                let client = TcpStream::connect(addr)?;
                let (server, _) = listener.accept()?;
                set_options(&server)?;
                set_options(&client)?;
                pairs.servers.push(server);
                pairs.clients.push(client);
            }
        }
        Ok(pairs)
    }
}

/// Small messages leave at once, and closing leaves no port behind that nobody may use for a
/// minute: the connection is reset.
fn set_options(stream: impl AsFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(&stream, true)?;
    Ok(sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?)
}

/// The limit of open files, after it was raised as far as `connections` need and the system allows.
pub(crate) fn limit(connections: usize) -> u64 {
    let wanted = 2 * connections as u64 + SPARE_FDS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let (soft, hard) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    if soft >= wanted {
        return soft;
    }
    let raised = wanted.min(hard);
    let limits = Rlimit {
        current: Some(raised),
        maximum,
    };
    match setrlimit(Resource::Nofile, limits) {
        Ok(()) => raised,
        // What the files do not suffice for will say so.
        Err(_) => soft,
    }
}

/// How many of `wanted` connections have room under the limit of open files.
pub(crate) fn possible(wanted: usize) -> usize {
    let limit = limit(wanted);
    wanted.min((limit.saturating_sub(SPARE_FDS) / 2) as usize)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn ends_at_the_same_place_belong_together() {
        let pairs = Pairs::connect(3).unwrap();
        for (mut server, mut client) in pairs.servers.into_iter().zip(pairs.clients) {
            let mut answer = [0];
            client.write_all(b"!").unwrap();
            server.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"!");
        }
    }

    #[test]
    fn what_is_possible_fits_the_limit() {
        assert_eq!(possible(1), 1);
        let all = possible(usize::MAX >> 8);
        assert!(2 * all as u64 + SPARE_FDS <= limit(all), "{all}");
    }
}
