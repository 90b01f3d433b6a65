//! An HTTP/1.1 server that says hello: keep-alive, pipelining, a goroutine for each connection.
//!
//! ```text
//! cargo run --release --example http -- 127.0.0.1:8080 [IDLE_SECONDS]
//! curl -i http://127.0.0.1:8080/
//! wrk -t2 -c100 -d10 http://127.0.0.1:8080/
//! ```
//!
//! It says where it listens, and serves until it is killed. A connection on which no request comes
//! within IDLE_SECONDS (30) is closed. Without an argument it sends itself two requests in one
//! write, prints the answers and ends:
//!
//! ```text
//! $ cargo run --example http
//! listening on 127.0.0.1:45213
//! HTTP/1.1 200 OK
//! Content-Type: text/plain
//! Content-Length: 14
//!
//! Hello, world!
//! HTTP/1.1 404 Not Found
//! Content-Type: text/plain
//! Content-Length: 14
//! Connection: close
//!
//! 404 Not Found
//! ```
//!
//! Bodies of requests are skipped; they must have a `Content-Length`. There is no TLS, see the
//! example `rustls_echo`.

#![expect(unsafe_code, reason = "starts a runtime")]
#![expect(clippy::print_stderr, reason = "a program says what went wrong")]

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use gopark::net::{Shutdown, TcpListener, TcpStream};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A longer head of a request is refused.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// As are more lines in it.
const HEADERS_MAX: usize = 32;
/// What is read at once, at most. All requests in it are answered by one write, of up to 20 KiB.
const READ_BYTES_MAX: usize = 4 * 1024;
/// How long a client may take to receive what has been written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client that is sent away may go on sending.
const LINGER: Duration = Duration::from_secs(1);
/// How long the server waits when it cannot accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(10);

#[gopark::main(unsafe(no_thread_bound_state_across_suspensions))]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match command(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command(args: &[&str]) -> Outcome<()> {
    match *args {
        [] => ask_ourselves(),
        [addr] => serve(&listen(addr)?, Duration::from_secs(30)),
        [addr, idle] => {
            let idle = idle.parse().ok().filter(|seconds| *seconds > 0.0);
            let idle = idle.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            serve(&listen(addr)?, idle.ok_or("IDLE_SECONDS is no time")?)
        }
        _ => Err("expected [ADDR [IDLE_SECONDS]]".into()),
    }
}

fn listen(addr: &str) -> Outcome<TcpListener> {
    let listener =
        TcpListener::bind(addr).map_err(|error| format!("cannot listen on {addr}: {error}"))?;
    println!("listening on {}", listener.local_addr()?);
    Ok(listener)
}

fn serve(listener: &TcpListener, idle: Duration) -> ! {
    loop {
        match listener.accept() {
            Ok((stream, _)) => gopark::go(move || {
                // A connection that fails is the client's affair: the others go on.
                let _ = Connection::new(stream, idle).serve();
            }),
            Err(error) => {
                eprintln!("http: cannot accept: {error}");
                gopark::time::sleep(PAUSE);
            }
        }
    }
}

fn ask_ourselves() -> Outcome<()> {
    let listener = listen("127.0.0.1:0")?;
    let mut stream = TcpStream::connect(listener.local_addr()?)?;
    // Ends with `main`, at its next suspension.
    gopark::go(move || serve(&listener, Duration::from_secs(30)));
    let hello = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all([hello, last].concat().as_bytes())?;
    let mut answers = String::new();
    stream.read_to_string(&mut answers)?;
    print!("{answers}");
    Ok(())
}

struct Connection {
    stream: TcpStream,
    idle: Duration,
    /// What was received and is not yet used: the rest may be the next request.
    input: Vec<u8>,
    /// Answers that are not yet sent.
    output: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream, idle: Duration) -> Connection {
        Connection {
            stream,
            idle,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    fn serve(mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        self.stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        while let Some(head) = self.receive()? {
            let request = match head {
                Ok(request) => request,
                Err(status) => {
                    answer(&mut self.output, &Request::refused(status));
                    return self.end();
                }
            };
            if request.expects_continue {
                self.output.extend(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            self.skip(request.body_bytes)?;
            answer(&mut self.output, &request);
            if request.is_last {
                return self.end();
            }
        }
        Ok(())
    }

    /// The next request, or the status it is refused with; `None` when the client has no more.
    fn receive(&mut self) -> io::Result<Option<Result<Request, Status>>> {
        let mut parsed = parse(&self.input);
        if matches!(parsed, Parsed::Partial) {
            // For the whole head: to send a byte now and then does not help.
            self.set_deadline(self.idle)?;
        }
        loop {
            match parsed {
                Parsed::Partial => {}
                Parsed::Refused(status) => return Ok(Some(Err(status))),
                Parsed::Complete(request, bytes) => {
                    self.input.drain(..bytes);
                    return Ok(Some(Ok(request)));
                }
            }
            if !self.fill()? {
                return Ok(None);
            }
            parsed = parse(&self.input);
        }
    }

    /// Passes over the body of a request.
    fn skip(&mut self, mut left: u64) -> io::Result<()> {
        loop {
            let here = usize::try_from(left).map_or(self.input.len(), |n| n.min(self.input.len()));
            self.input.drain(..here);
            left -= here as u64;
            if left == 0 {
                return Ok(());
            }
            self.set_deadline(self.idle)?;
            if !self.fill()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads more. Sends the answers first: the client may wait for them. `false` when there is no
    /// more.
    fn fill(&mut self) -> io::Result<bool> {
        self.stream.write_all(&self.output)?;
        self.output.clear();
        let old = self.input.len();
        self.input.resize(old + READ_BYTES_MAX, 0);
        let read = self.stream.read(&mut self.input[old..]);
        self.input.truncate(old + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Sends what is left, and waits for the client to close. Closing while there is something to
    /// receive would reset the connection, and the client might lose the answer.
    fn end(mut self) -> io::Result<()> {
        self.stream.write_all(&self.output)?;
        self.stream.shutdown(Shutdown::Write)?;
        self.set_deadline(LINGER)?;
        self.input.resize(READ_BYTES_MAX, 0);
        while self.stream.read(&mut self.input)? > 0 {}
        Ok(())
    }

    fn set_deadline(&self, time: Duration) -> io::Result<()> {
        self.stream
            .set_read_deadline(Instant::now().checked_add(time))
    }
}

type Status = &'static str;

/// What an answer depends on.
struct Request {
    status: Status,
    body_bytes: u64,
    expects_continue: bool,
    /// `HEAD`: the answer has no body.
    is_head: bool,
    /// No other request comes after it.
    is_last: bool,
}

impl Request {
    fn refused(status: Status) -> Request {
        Request {
            status,
            body_bytes: 0,
            expects_continue: false,
            is_head: false,
            is_last: true,
        }
    }
}

enum Parsed {
    Partial,
    Refused(Status),
    /// With the bytes of its head.
    Complete(Request, usize),
}

fn parse(input: &[u8]) -> Parsed {
    const TOO_LARGE: Status = "431 Request Header Fields Too Large";
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(input) {
        Ok(httparse::Status::Complete(bytes)) if bytes <= HEAD_BYTES_MAX => match request(&head) {
            Ok(request) => Parsed::Complete(request, bytes),
            Err(status) => Parsed::Refused(status),
        },
        Ok(httparse::Status::Partial) if input.len() <= HEAD_BYTES_MAX => Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Parsed::Refused(TOO_LARGE),
        Err(_) => Parsed::Refused("400 Bad Request"),
    }
}

fn request(head: &httparse::Request<'_, '_>) -> Result<Request, Status> {
    let path = head.path.unwrap_or_default().split('?').next();
    let mut length = None;
    let mut request = Request {
        status: if path == Some("/") {
            "200 OK"
        } else {
            "404 Not Found"
        },
        body_bytes: 0,
        expects_continue: false,
        is_head: head.method == Some("HEAD"),
        is_last: head.version == Some(0),
    };
    for header in &*head.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let value = header.value.trim_ascii();
        if is("Content-Length") {
            // Whoever disagrees about the length takes a body for a request: no doubt is allowed.
            let bytes = decimal(value).ok_or("400 Bad Request")?;
            if length.replace(bytes).is_some() {
                return Err("400 Bad Request");
            }
        } else if is("Transfer-Encoding") {
            return Err("501 Not Implemented");
        } else if is("Connection") {
            let mut options = value.split(|&byte| byte == b',');
            request.is_last |= options.any(|o| o.trim_ascii().eq_ignore_ascii_case(b"close"));
        } else if is("Expect") {
            request.expects_continue = value.eq_ignore_ascii_case(b"100-continue");
        }
    }
    request.body_bytes = length.unwrap_or(0);
    Ok(request)
}

/// A number of digits only.
fn decimal(text: &[u8]) -> Option<u64> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn answer(output: &mut Vec<u8>, request: &Request) {
    let text = match request.status {
        "200 OK" => "Hello, world!",
        status => status,
    };
    let connection = if request.is_last {
        "Connection: close\r\n"
    } else {
        ""
    };
    output.extend(b"HTTP/1.1 ");
    output.extend(request.status.as_bytes());
    output.extend(b"\r\nContent-Type: text/plain\r\nContent-Length: ");
    output.extend((text.len() + 1).to_string().as_bytes());
    output.extend(b"\r\n");
    output.extend(connection.as_bytes());
    output.extend(b"\r\n");
    if !request.is_head {
        output.extend(text.as_bytes());
        output.push(b'\n');
    }
}
