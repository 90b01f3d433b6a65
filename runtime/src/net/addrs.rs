//! From names to addresses.
//!
//! `ToSocketAddrs` is std's trait, and what it does for a name is `getaddrinfo`: it blocks, and
//! its frames are foreign. So it runs on the thread's own stack, as a blocking call. The trait does
//! not tell whether there is a name; the common types without one are told by theirs.

use std::any::type_name;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use crate::sched::blocking::Blocking;
use crate::sched::bound;
use crate::sched::header::G;
use crate::sched::thread_stack;

/// The addresses of `addr`.
pub(crate) fn resolve<A: ToSocketAddrs>(addr: &A) -> io::Result<A::Iter> {
    match G::current() {
        Some(g) if !has_no_name::<A>() => {
            let _back = Blocking::of(g);
            bound::no_preempt(g, || thread_stack::call(g, || addr.to_socket_addrs()))
        }
        _ => addr.to_socket_addrs(),
    }
}

/// Compares the names of types: their ids exist for `'static` ones only. A type that is taken for
/// another here would have to carry the name of std's.
fn has_no_name<A>() -> bool {
    let name = type_name::<A>().trim_start_matches('&');
    [
        type_name::<SocketAddr>(),
        type_name::<SocketAddrV4>(),
        type_name::<SocketAddrV6>(),
        type_name::<(IpAddr, u16)>(),
        type_name::<(Ipv4Addr, u16)>(),
        type_name::<(Ipv6Addr, u16)>(),
        type_name::<[SocketAddr]>(),
    ]
    .contains(&name)
}
