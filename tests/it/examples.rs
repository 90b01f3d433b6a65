//! The examples as programs: what they print, what they answer, what they survive.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use gopark_tests::{Watchdog, run};

const LOCAL: &str = "127.0.0.1:0";
const PATIENCE: Duration = Duration::from_secs(30);
const HELLO: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &str = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// An example, with its arguments. Cargo builds those of another package only when told to.
fn example(name: &str, args: &[&str]) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| build_examples().expect("the examples can be built"));
    let mut command = Command::new(folder.join(name));
    command.args(args).stdin(Stdio::null());
    command
}

/// Builds the examples beside this binary, `TARGET/PROFILE/deps/NAME`; gives their folder.
fn build_examples() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?;
    let folder = binary.ancestors().nth(2)?;
    let profile = match folder.file_name()?.to_str()? {
        "debug" => "dev",
        profile => profile,
    };
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--quiet", "--package", "gopark", "--examples"])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent()?)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent()?);
    // What a test is told about its package would make build scripts run anew that ask for it.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(name);
        }
    }
    cargo
        .status()
        .ok()?
        .success()
        .then(|| folder.join("examples"))
}

/// What an example prints that ends well.
#[track_caller]
fn printed(name: &str, args: &[&str]) -> String {
    let mut command = example(name, args);
    let _watchdog = Watchdog::start();
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{name} ended with {status}: {stderr}");
    assert_eq!(stderr, "");
    String::from_utf8(stdout).unwrap()
}

/// What an example says that fails.
#[track_caller]
fn complaint(name: &str, args: &[&str]) -> String {
    let mut command = example(name, args);
    let _watchdog = Watchdog::start();
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stderr).unwrap()
}

/// An example that serves until it is killed.
struct Server {
    child: Child,
    addr: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(name: &str, args: &[&str]) -> Server {
        let mut child = example(name, args).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line
            .strip_prefix("listening on ")
            .unwrap()
            .trim()
            .to_owned();
        Server {
            child,
            addr,
            _stdout: stdout,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What comes back until the server closes.
    #[track_caller]
    fn ask(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_ref()).unwrap();
        rest(&mut stream)
    }

    #[track_caller]
    fn is_well(&self) {
        assert_eq!(statuses(&self.ask(LAST)), ["404"]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended before: then the test says so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The status codes of some answers.
fn statuses(answers: &str) -> Vec<&str> {
    let lines = answers.split("HTTP/1.1 ").skip(1);
    lines.map(|line| &line[..3]).collect()
}

#[test]
fn examples_without_arguments_serve_themselves() {
    let hello = printed("hello", &[]);
    assert!(hello.contains("one recursed 1000000 deep"), "{hello}");
    let pool = printed("pool", &[]);
    assert_eq!(pool, "the squares of 1 to 100 add up to 338350\n");
    let echo = printed("echo", &[]);
    assert!(echo.contains(": 10000 echoes in "), "{echo}");
    let http = printed("http", &[]);
    assert_eq!(statuses(&http), ["200", "404"], "{http}");
    let tls = printed("rustls_echo", &[]);
    assert!(
        tls.starts_with("20 clients heard their echo over TLSv1_3"),
        "{tls}"
    );
    assert!(
        tls.contains("invalid peer certificate: UnknownIssuer"),
        "{tls}"
    );
    let websocket = printed("websocket", &[]);
    assert!(
        websocket.starts_with("20 clients heard 200 texts"),
        "{websocket}"
    );
}

#[test]
fn examples_need_one_p_only() {
    for name in ["echo", "http", "rustls_echo", "websocket"] {
        let mut command = example(name, &[]);
        let _watchdog = Watchdog::start();
        let output = command.env("GOPARK_PROCS", "1").output().unwrap();
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

#[test]
fn an_address_that_is_taken_is_said_clearly() {
    let taken = TcpListener::bind(LOCAL).unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let said = format!("cannot listen on {addr}: Address already in use");
    assert!(complaint("echo", &["server", &addr]).starts_with(&format!("echo: {said}")));
    assert!(complaint("http", &[&addr]).starts_with(&format!("http: {said}")));
}

#[test]
fn wrong_arguments_are_said_clearly() {
    assert!(complaint("echo", &["serve"]).starts_with("echo: expected [server ADDR"));
    let said = complaint("echo", &["client", LOCAL, "0"]);
    assert!(
        said.starts_with("echo: `0` is not a number from 1"),
        "{said}"
    );
    let said = complaint("http", &[LOCAL, "soon"]);
    assert_eq!(said, "http: IDLE_SECONDS is no time\n");
}

#[test]
fn echo_serves_another_process() {
    let server = Server::start("echo", &["server", LOCAL]);
    let said = printed("echo", &["client", &server.addr, "20", "50", "65536"]);
    assert!(
        said.contains("of 65536 bytes each: 1000 echoes in "),
        "{said}"
    );
}

#[test]
fn http_keeps_connections_of_curl() {
    let server = Server::start("http", &[LOCAL]);
    let url = format!("http://{}/", server.addr);
    let _watchdog = Watchdog::start();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--noproxy", "*", "--data", "skipped"])
        .args(["--write-out", "%{num_connects} %{http_code}\n"]);
    for path in ["", "?query", "nowhere"] {
        curl.args(["--output", "/dev/null", &format!("{url}{path}")]);
    }
    // Where there is no curl the other tests have to do.
    if let Ok(output) = curl.output() {
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "1 200\n0 200\n0 404\n");
    }
}

#[test]
fn http_answers_pipelined_requests_in_order() {
    let server = Server::start("http", &[LOCAL]);
    let answers = server.ask(HELLO.repeat(1000) + LAST);
    let statuses = statuses(&answers);
    assert_eq!(statuses.len(), 1001);
    assert_eq!(
        statuses.iter().filter(|&&status| status == "200").count(),
        1000
    );
    assert_eq!(statuses[1000], "404");
}

#[test]
fn http_does_not_take_a_body_for_a_request() {
    let server = Server::start("http", &[LOCAL]);
    let post = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let long = HELLO.repeat(1000);
    let answers = server.ask([&post(HELLO), &post(&long), &post(""), LAST].concat());
    assert_eq!(statuses(&answers), ["200", "200", "200", "404"]);
}

#[test]
fn http_waits_for_the_rest_of_a_request() {
    let server = Server::start("http", &[LOCAL]);
    let mut stream = server.connect();
    stream.set_nodelay(true).unwrap();
    for byte in [HELLO, LAST].concat().as_bytes() {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(statuses(&rest(&mut stream)), ["200", "404"]);
}

#[test]
fn http_answers_head_without_a_body() {
    let server = Server::start("http", &[LOCAL]);
    let answer = server.ask("HEAD / HTTP/1.1\r\nConnection: x, Close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nContent-Length: 14\r\n"), "{answer}");
    assert!(
        answer.ends_with("\r\nConnection: close\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn http_refuses_what_it_does_not_understand() {
    let server = Server::start("http", &[LOCAL]);
    let with = |header: &str| format!("POST / HTTP/1.1\r\n{header}\r\n\r\n");
    let cases = [
        ("400", "garbage\r\n\r\n".to_owned()),
        // More than it reads: the answer arrives nevertheless.
        ("400", "\u{1}".repeat(1 << 20)),
        ("400", with("Content-Length: +1")),
        ("400", with("Content-Length: 1\r\nContent-Length: 2")),
        ("501", with("Transfer-Encoding: chunked")),
        ("431", with(&format!("X: {}", "x".repeat(1 << 20)))),
        ("431", with(&["X: x"; 100].join("\r\n"))),
    ];
    for (status, request) in cases {
        let answer = server.ask(&request);
        let begin: String = request.chars().take(60).collect();
        assert_eq!(statuses(&answer), [status], "{begin}");
    }
}

#[test]
fn http_answers_two_thousand_requests_over_fifty_connections() {
    use gopark::net::TcpStream;
    const REQUESTS: usize = 40;

    let server = Server::start("http", &[LOCAL]);
    let talk = |addr: String| {
        let mut stream = TcpStream::connect(addr).unwrap();
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\
                      Content-Length: 14\r\n\r\nHello, world!\n";
        let mut buffer = vec![0; answer.len()];
        for _ in 0..REQUESTS {
            stream.write_all(HELLO.as_bytes()).unwrap();
            stream.read_exact(&mut buffer).unwrap();
            assert_eq!(std::str::from_utf8(&buffer), Ok(answer));
        }
    };
    run(2, || {
        let addrs = (0..50).map(|_| server.addr.clone());
        let talks: Vec<_> = addrs
            .map(|addr| gopark::spawn(move || talk(addr)))
            .collect();
        talks.into_iter().for_each(|talk| talk.join().unwrap());
    });
}

#[test]
fn http_survives_clients_that_leave() {
    let server = Server::start("http", &[LOCAL]);
    let body = "POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nx";
    for begun in ["", "GET", "GET / HTTP/1.1\r\nHost: loc", body, HELLO] {
        for _ in 0..10 {
            // The end of what there is.
            let mut stream = server.connect();
            stream.write_all(begun.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let expected: &[&str] = if begun == HELLO { &["200"] } else { &[] };
            assert_eq!(statuses(&rest(&mut stream)), expected);
            // A reset, when the answer comes if not before.
            let mut stream = server.connect();
            stream.write_all(begun.as_bytes()).unwrap();
        }
    }
    // One that never reads what it asks for.
    let mut stream = server.connect();
    stream.set_nonblocking(true).unwrap();
    while stream.write(HELLO.repeat(100).as_bytes()).is_ok() {}
    server.is_well();
    drop(stream);
    server.is_well();
}

#[test]
fn http_closes_connections_that_are_idle() {
    let server = Server::start("http", &[LOCAL, "0.5"]);
    let start = Instant::now();
    for begun in ["", "GET / HTTP/1.1\r\n"] {
        assert_eq!(server.ask(begun), "");
    }
    // A byte now and then is idle too.
    let mut stream = server.connect();
    while stream.write_all(b"GET").is_ok() {
        gopark_tests::nap(Duration::from_millis(20));
        assert!(start.elapsed() < PATIENCE, "the server waits for ever");
    }
    assert!(start.elapsed() > Duration::from_millis(1500));
    // Only those.
    let mut stream = server.connect();
    for _ in 0..40 {
        gopark_tests::nap(Duration::from_millis(20));
        stream.write_all(HELLO.as_bytes()).unwrap();
    }
    stream.write_all(LAST.as_bytes()).unwrap();
    assert_eq!(statuses(&rest(&mut stream)).len(), 41);
}
