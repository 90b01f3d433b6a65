//! Listeners: how many may wait to be accepted, and what a socket gets before it is bound.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark::net::{BindOptions, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use gopark_tests::run;
use rustix::net::sockopt;

use crate::net_edges::{LOCAL, twice};
use crate::net_std::fresh_path;

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(30);
/// More than std's backlog; fewer than a process may open files.
const MANY: usize = 400;

/// As many as the system lets wait, up to [`MANY`].
fn many() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    MANY.min(text.trim().parse().unwrap())
}

#[test]
fn a_listener_lets_as_many_wait_as_the_system() {
    twice(|| {
        let listener = TcpListener::bind(LOCAL).unwrap();
        let addr = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&addr, LONG).unwrap();
        let clients: Vec<_> = (0..many()).map(connect).collect();
        for _ in &clients {
            listener.accept().unwrap();
        }
        let path = fresh_path();
        let listener = UnixListener::bind(&path).unwrap();
        let connect = |_| UnixStream::connect(&path).unwrap();
        let clients: Vec<_> = (0..many()).map(connect).collect();
        for _ in &clients {
            listener.accept().unwrap();
        }
        std::fs::remove_file(path).unwrap();
    });
}

#[test]
fn a_backlog_bounds_those_who_wait() {
    run(2, || {
        for backlog in [0, 1, 7] {
            let options = BindOptions::new().backlog(backlog);
            let listener = TcpListener::bind_with(LOCAL, &options).unwrap();
            let addr = listener.local_addr().unwrap();
            let mut clients = Vec::new();
            while let Ok(client) = TcpStream::connect_timeout(&addr, SHORT) {
                clients.push(client);
                assert!(clients.len() <= 30, "backlog {backlog}");
            }
            assert!(clients.len() > backlog as usize, "backlog {backlog}");
            let path = fresh_path();
            let listener = UnixListener::bind_with(&path, &options).unwrap();
            let mut clients = Vec::new();
            let connect = || UnixStream::connect(&path).unwrap();
            while let Ok(client) = gopark::time::timeout(SHORT, connect) {
                clients.push(client);
            }
            assert_eq!(clients.len(), backlog as usize + 1);
            std::fs::remove_file(path).unwrap();
            drop(listener);
        }
    });
}

#[test]
fn options_are_set_before_the_socket_is_bound() {
    let options = BindOptions::new()
        .reuse_port(true)
        .receive_buffer_bytes(50_000);
    let options = options.send_buffer_bytes(60_000);
    let listener = TcpListener::bind_with(LOCAL, &options).unwrap();
    let addr = listener.local_addr().unwrap();
    assert!(sockopt::socket_reuseaddr(&listener).unwrap());
    assert!(sockopt::socket_reuseport(&listener).unwrap());
    // The system doubles sizes; connections inherit them.
    assert_eq!(
        sockopt::socket_recv_buffer_size(&listener).unwrap(),
        100_000
    );
    let _client = TcpStream::connect(addr).unwrap();
    let accepted = listener.accept().unwrap().0;
    assert_eq!(
        sockopt::socket_recv_buffer_size(&accepted).unwrap(),
        100_000
    );
    assert!(sockopt::socket_send_buffer_size(&accepted).unwrap() >= 120_000);
    // Another that shares the port, and one that does not.
    let second = TcpListener::bind_with(addr, &options).unwrap();
    assert_eq!(second.local_addr().unwrap(), addr);
    let refused = TcpListener::bind(addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);

    let plain = TcpListener::bind_with(LOCAL, &BindOptions::new().reuse_address(false)).unwrap();
    assert!(!sockopt::socket_reuseaddr(&plain).unwrap());
    assert!(!sockopt::socket_reuseport(&plain).unwrap());
    let udp = UdpSocket::bind(LOCAL).unwrap();
    assert!(!sockopt::socket_reuseaddr(&udp).unwrap());
    let udp = UdpSocket::bind_with(LOCAL, &BindOptions::new().reuse_port(true)).unwrap();
    let other = UdpSocket::bind(udp.local_addr().unwrap()).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::AddrInUse);
    let options = BindOptions::new().reuse_port(true);
    UdpSocket::bind_with(udp.local_addr().unwrap(), &options).unwrap();
}

#[test]
fn only_v6_is_chosen_before_the_bind() {
    for only_v6 in [false, true] {
        let options = BindOptions::new().only_v6(only_v6);
        // It concerns addresses of IPv6.
        TcpListener::bind_with(LOCAL, &options).unwrap();
        let Ok(listener) = TcpListener::bind_with("[::]:0", &options) else {
            println!("skipped: there is no IPv6");
            return;
        };
        assert_eq!(sockopt::ipv6_v6only(&listener).unwrap(), only_v6);
        let port = listener.local_addr().unwrap().port();
        assert_eq!(TcpStream::connect(("127.0.0.1", port)).is_err(), only_v6);
    }
}

#[test]
fn what_a_socket_does_not_have_is_refused_by_name() {
    #[track_caller]
    fn refused<T>(result: io::Result<T>, text: &str) {
        let error = result.err().expect("it is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), text);
    }
    let unix = |options: BindOptions| UnixListener::bind_with(fresh_path(), &options);
    let new = BindOptions::new;
    let to_unix = |name| format!("the option {name} does not apply to a Unix listener");
    refused(unix(new().reuse_port(true)), &to_unix("reuse_port"));
    refused(unix(new().reuse_address(false)), &to_unix("reuse_address"));
    refused(unix(new().only_v6(true)), &to_unix("only_v6"));
    refused(
        unix(new().receive_buffer_bytes(1)),
        &to_unix("receive_buffer_bytes"),
    );
    refused(
        unix(new().send_buffer_bytes(1)),
        &to_unix("send_buffer_bytes"),
    );
    refused(
        UdpSocket::bind_with(LOCAL, &new().backlog(1)),
        "the option backlog does not apply to a UDP socket",
    );
    refused(
        TcpListener::bind_with(LOCAL, &new().send_buffer_bytes(1 << 31)),
        "send_buffer_bytes is 2147483648, which is more than 2147483647",
    );
    refused(
        TcpListener::bind_with(&[][..], &new()),
        "could not resolve to any addresses",
    );
}

#[test]
fn hooks_run_in_order_before_the_bind_and_their_errors_are_the_address_s() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let options = BindOptions::new()
        .before_bind(move |socket| {
            assert_eq!(
                rustix::net::getsockname(socket)?.address_family().as_raw(),
                2
            );
            seen.fetch_add(1, Ordering::Relaxed);
            sockopt::set_tcp_nodelay(socket.as_fd(), true)?;
            Ok(())
        })
        .before_bind(|socket| match sockopt::tcp_nodelay(socket)? {
            true => Ok(()),
            false => Err(ErrorKind::Other.into()),
        });
    let listener = TcpListener::bind_with(LOCAL, &options).unwrap();
    assert!(sockopt::tcp_nodelay(&listener).unwrap());
    // One for each address that is tried.
    let taken = listener.local_addr().unwrap();
    let addrs = [taken, LOCAL.parse().unwrap()];
    TcpListener::bind_with(&addrs[..], &options.clone()).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    let no = BindOptions::new().before_bind(|_| Err(ErrorKind::PermissionDenied.into()));
    let refused = TcpListener::bind_with(&addrs[..], &no).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    let path = fresh_path();
    let refused = UnixListener::bind_with(&path, &no).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(!path.exists());
}
