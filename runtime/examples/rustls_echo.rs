//! TLS by rustls over gopark's sockets: an echo server and its clients, in one process.
//!
//! ```text
//! $ cargo run --example rustls_echo
//! 20 clients heard their echo over TLSv1_3, TLS13_AES_256_GCM_SHA384
//! the deepest of their stacks took 52 KiB
//! a client that does not know the certificate: invalid peer certificate: UnknownIssuer
//! ```
//!
//! `StreamOwned` takes whatever reads and writes, so nothing is different from std's sockets. No
//! handshake is made in advance: it comes with the first read or write, on the goroutine's stack.
//!
//! Neither rustls nor ring has a thread-local. What rustls locks (its cache of sessions) it unlocks
//! before it reads or writes. So nothing is held across a suspension.

#![expect(unsafe_code, reason = "starts a runtime")]

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gopark::net::{TcpListener, TcpStream};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const CLIENTS: usize = 20;
const NAME: &str = "localhost";
/// How long the server waits when it cannot accept.
const PAUSE: Duration = Duration::from_millis(10);

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() -> Outcome<()> {
    let certified = rcgen::generate_simple_self_signed([NAME.to_owned()])?;
    let mut roots = RootCertStore::empty();
    let stranger = client_config(RootCertStore::empty())?;
    roots.add(certified.cert.der().clone())?;
    let client = client_config(roots)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    let server = server_config(certified)?;
    // Ends with `main`, at its next suspension.
    gopark::go(move || serve(&listener, &server));

    let talks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Arc::clone(&client);
            gopark::spawn(move || talk(addr, client, number))
        })
        .collect();
    let (mut how, mut deepest) = (String::new(), 0);
    for talk in talks {
        let (by, bytes) = talk.join().expect("a talk does not panic")?;
        (how, deepest) = (by, deepest.max(bytes));
    }
    println!("{CLIENTS} clients heard their echo over {how}");
    println!("the deepest of their stacks took {} KiB", deepest / 1024);

    let error = talk(addr, stranger, 0).expect_err("nobody vouches for the server");
    println!("a client that does not know the certificate: {error}");
    Ok(())
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else {
            // Such as for want of descriptors: some will be closed.
            gopark::time::sleep(PAUSE);
            continue;
        };
        let config = Arc::clone(config);
        gopark::go(move || {
            // A connection that fails is the client's affair: the others go on.
            let _ = echo(stream, config);
        });
    }
}

/// Sends back what comes, until the client says that it has no more.
fn echo(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut buffer = vec![0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes])?,
        }
    }
}

/// One connection. Gives how it was protected, and how many bytes of stack that took.
fn talk(addr: SocketAddr, config: Arc<ClientConfig>, number: usize) -> Outcome<(String, usize)> {
    let connection = ClientConnection::new(config, ServerName::try_from(NAME)?)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(addr)?);
    let message = format!("hello from client {number}");
    stream.write_all(message.as_bytes())?;
    let mut answer = vec![0; message.len()];
    stream.read_exact(&mut answer)?;
    if answer != message.as_bytes() {
        return Err(io::Error::from(ErrorKind::InvalidData).into());
    }
    // The peer must be able to tell the end from a cut.
    stream.conn.send_close_notify();
    stream.flush()?;
    let version = stream.conn.protocol_version().ok_or("no version")?;
    let suite = stream.conn.negotiated_cipher_suite().ok_or("no suite")?;
    let how = format!("{version:?}, {:?}", suite.suite());
    Ok((how, gopark::stack::high_water().unwrap_or(0)))
}

fn server_config(certified: rcgen::CertifiedKey<rcgen::KeyPair>) -> Outcome<Arc<ServerConfig>> {
    let chain = vec![certified.cert.der().clone()];
    let key = certified.signing_key.into();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// A client that trusts `roots`, and nothing else.
fn client_config(roots: RootCertStore) -> Outcome<Arc<ClientConfig>> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
