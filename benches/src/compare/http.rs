//! A server in a process, and wrk that loads it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};

use super::results::Sample;
use crate::peers::threads::Placement;
use crate::process::{self, Limits};

/// What loads the server.
pub(super) const WRK: &str = "wrk";

/// The workload that needs it.
pub(super) const WORKLOAD: &str = "http";

/// Whether wrk is installed: what it says of itself, or why not.
pub(super) fn version() -> Result<String, String> {
    // It ends with 1 after its version.
    let output = Command::new(WRK)
        .arg("-v")
        .output()
        .map_err(|error| format!("{WRK}: {error}"))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap_or_default();
    Ok(first
        .split('[')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned())
}

/// Starts the server, loads it for a second, and ends it.
pub(super) fn sample(
    command: &mut Command,
    connections: usize,
    placement: Placement,
    limits: Limits,
) -> Result<Sample, String> {
    let mut server =
        process::start(command, placement).map_err(|error| format!("cannot start: {error}"))?;
    let found = port(&mut server).and_then(|port| load(port, connections, limits));
    // It also ends when its input is closed, but one that hangs does not.
    let _ = server.kill();
    server.wait().map_err(|error| error.to_string())?;
    found
}

fn port(server: &mut Child) -> Result<u16, String> {
    let out = server.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(out)
        .read_line(&mut line)
        .map_err(|error| error.to_string())?;
    let said: serde_json::Value =
        serde_json::from_str(&line).map_err(|_| format!("the server said {line:?}"))?;
    said["port"]
        .as_u64()
        .and_then(|port| port.try_into().ok())
        .ok_or_else(|| format!("no port in {line:?}"))
}

fn load(port: u16, connections: usize, limits: Limits) -> Result<Sample, String> {
    let mut command = Command::new(WRK);
    command
        .args(["-t1", "-d1s", "--latency"])
        .arg(format!("-c{connections}"))
        .arg(format!("http://127.0.0.1:{port}/"));
    let said = process::output(&mut command, Placement::Free, limits)?;
    parsed(&String::from_utf8_lossy(&said.stdout))
}

fn parsed(text: &str) -> Result<Sample, String> {
    if let Some(errors) = text
        .lines()
        .find(|line| line.contains("Socket errors") || line.contains("Non-2xx"))
    {
        return Err(format!("{WRK}: {}", errors.trim()));
    }
    let after = |name: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim)
            .ok_or_else(|| format!("{WRK} said nothing of {name}"))
    };
    let per_second: f64 = after("Requests/sec:")?
        .parse()
        .map_err(|_| format!("{WRK}: no number of requests"))?;
    if per_second <= 0.0 {
        return Err("no request was answered".into());
    }
    Ok(Sample::from([
        ("ns".into(), 1e9 / per_second),
        ("p50".into(), micros(after("50%")?)?),
        ("p99".into(), micros(after("99%")?)?),
    ]))
}

/// Of `12.3us`, `1.2ms` or `3.00s`.
fn micros(text: &str) -> Result<f64, String> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
    units
        .iter()
        .find_map(|(unit, factor)| {
            let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
            Some(number * factor)
        })
        .ok_or_else(|| format!("{WRK}: {text:?} is no time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
Running 1s test @ http://127.0.0.1:1234/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   520.00us  1.00ms  10.00ms   90.00%
    Req/Sec   100.00k     1.00k  100.00k    50.00%
  Latency Distribution
     50%  480.00us
     75%    1.00ms
     90%    1.20ms
     99%    3.50ms
  100000 requests in 1.00s, 10.00MB read
Requests/sec: 100000.00
Transfer/sec:     10.00MB
";

    #[test]
    fn what_wrk_says_is_understood() {
        let sample = parsed(SAID).unwrap();
        assert_eq!(sample["ns"], 10_000.0);
        assert_eq!((sample["p50"], sample["p99"]), (480.0, 3500.0));
        assert_eq!(micros("2.5s"), Ok(2_500_000.0));
    }

    #[test]
    fn failed_requests_are_a_failure() {
        let failed = format!("{SAID}  Socket errors: connect 0, read 7, write 0, timeout 0\n");
        assert!(parsed(&failed).unwrap_err().contains("read 7"));
        assert!(parsed("").is_err());
        assert!(micros("soon").is_err());
    }
}
