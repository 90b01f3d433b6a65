//! How many system calls a conversation takes.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use gopark::net::TcpStream;
use gopark::runtime::Builder;
use gopark_tests::{CASE, Watchdog, build, is_case, passed};

use crate::net_edges::pair;
use crate::net_std::fresh_path;

const ROUNDS: u64 = 2000;
/// Of both sides together: each reads in vain, waits, reads, writes.
const CALLS_PER_ROUND_MAX: u64 = 8;
/// Each socket is registered once.
const REGISTRATIONS_MAX: u64 = 20;
const TRACED: &str = "trace=%network,read,write,epoll_wait,epoll_pwait,epoll_pwait2,epoll_ctl,\
                      futex";

fn converse() {
    fn turn(stream: &TcpStream) {
        let mut bytes = [0; 64];
        (&*stream).read_exact(&mut bytes).unwrap();
        (&*stream).write_all(&bytes).unwrap();
    }
    let _watchdog = Watchdog::start();
    // A slice that ends under the tracer would be a signal and more calls.
    let slice = Duration::from_secs(10);
    build(Builder::new().procs(1).time_slice(slice)).run(|| {
        let (a, b) = pair();
        let echoes = gopark::spawn(move || (0..ROUNDS).for_each(|_| turn(&b)));
        (&a).write_all(&[7; 64]).unwrap();
        (1..ROUNDS).for_each(|_| turn(&a));
        (&a).read_exact(&mut [0; 64]).unwrap();
        echoes.join().unwrap();
    });
}

/// What the tracer counted for one call, or for all: the line's fourth number.
fn count(table: &str, call: &str) -> u64 {
    let line = table.lines().find(|line| line.trim_end().ends_with(call));
    let number = line.and_then(|line| line.split_whitespace().nth(3));
    number.map_or(0, |number| number.parse().expect("a count"))
}

#[test]
fn a_round_trip_takes_few_system_calls() {
    let test = "net_cost::a_round_trip_takes_few_system_calls";
    if is_case(test) {
        return converse();
    }
    let table = fresh_path();
    let traced = Command::new("strace")
        .args(["-f", "-c", "-e", TRACED, "-o"])
        .arg(&table)
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(CASE, test)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = traced else {
        println!("skipped: there is no strace");
        return;
    };
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && complaint.to_lowercase().contains("ptrace") {
        println!("skipped: {complaint}");
        return;
    }
    passed(&output);
    let text = std::fs::read_to_string(&table).unwrap();
    std::fs::remove_file(&table).unwrap();
    let (total, registrations) = (count(&text, " total"), count(&text, " epoll_ctl"));
    assert!(total >= 4 * ROUNDS, "the calls were not counted:\n{text}");
    assert!(
        total <= CALLS_PER_ROUND_MAX * ROUNDS,
        "{total} calls:\n{text}"
    );
    assert!(registrations <= REGISTRATIONS_MAX, "{text}");
}
