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
/// Starting, connecting, ending.
const CALLS_BESIDE_MAX: u64 = 200;
/// Each socket is registered once.
const REGISTRATIONS_MAX: u64 = 20;
const TRACED: &str = "trace=%network,read,write,epoll_wait,epoll_pwait,epoll_pwait2,epoll_ctl,\
                      futex";

/// Two goroutines on one P send each other 64 bytes; a read has room for `room`.
fn converse(room: usize) {
    let _watchdog = Watchdog::start();
    let read = move |stream: &TcpStream| {
        let mut bytes = [0; 100];
        assert_eq!((&*stream).read(&mut bytes[..room]).unwrap(), 64);
    };
    let write = |stream: &TcpStream| (&*stream).write_all(&[7; 64]).unwrap();
    // A slice that ends under the tracer would be a signal and more calls.
    let slice = Duration::from_secs(10);
    build(Builder::new().procs(1).time_slice(slice)).run(|| {
        let (a, b) = pair();
        let echoes = gopark::spawn(move || {
            for _ in 0..ROUNDS {
                read(&b);
                write(&b);
            }
        });
        for _ in 0..ROUNDS {
            write(&a);
            read(&a);
        }
        echoes.join().unwrap();
    });
}

/// What the tracer counted for one call, or for all: the line's fourth number.
fn count(table: &str, call: &str) -> u64 {
    let line = table.lines().find(|line| line.trim_end().ends_with(call));
    let number = line.and_then(|line| line.split_whitespace().nth(3));
    number.map_or(0, |number| number.parse().expect("a count"))
}

/// Runs the conversation in a process of its own, under a tracer: no round trip takes more than
/// `calls_max` calls. Those of sysmon, which counts time and not rounds, are its futex.
#[track_caller]
fn costs(test: &str, room: usize, calls_max: u64) {
    if is_case(test) {
        return converse(room);
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
    let (total, futexes) = (count(&text, " total"), count(&text, " futex"));
    let calls = total - futexes;
    assert!(calls >= 4 * ROUNDS, "the calls were not counted:\n{text}");
    let most = calls_max * ROUNDS + CALLS_BESIDE_MAX;
    assert!(calls <= most, "{calls} calls:\n{text}");
    assert!(count(&text, " epoll_ctl") <= REGISTRATIONS_MAX, "{text}");
}

/// Each side reads in vain, waits, reads, and writes.
#[test]
fn a_round_trip_takes_four_system_calls_on_each_side() {
    let test = "net_cost::a_round_trip_takes_four_system_calls_on_each_side";
    costs(test, 64, 8);
}

/// A read that did not fill its buffer has emptied the socket: nobody reads in vain.
#[test]
fn a_round_trip_with_room_to_spare_takes_three() {
    let test = "net_cost::a_round_trip_with_room_to_spare_takes_three";
    costs(test, 100, 6);
}
