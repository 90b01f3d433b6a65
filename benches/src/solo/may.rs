//! may: coroutines, with its channels, locks and sockets.

use std::io;
use std::time::Duration;

use super::blocking::{self, Blocking, Home};
use super::{Answer, Job};
use crate::peers::coroutines::{self, Coroutines};
use crate::peers::echo::Host;
use crate::peers::locks;

impl locks::Mutex for may::sync::Mutex<u64> {
    #[inline(always)]
    fn locked<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        f(&mut self.lock().expect("no holder panics"))
    }
}

impl Blocking for Coroutines {
    type Mutex = may::sync::Mutex<u64>;
    type Listener = may::net::TcpListener;
    type Stream = may::net::TcpStream;

    fn sleep(time: Duration) {
        may::coroutine::sleep(time);
    }

    fn adopt(listener: std::net::TcpListener) -> io::Result<Self::Listener> {
        Ok(coroutines::adopt_listener(listener))
    }

    fn accept(listener: &Self::Listener) -> io::Result<Self::Stream> {
        listener.accept().map(|(stream, _)| stream)
    }
}

struct Scheduler;

impl Home for Scheduler {
    type Kind = Coroutines;

    fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        coroutines::enter(f)
    }
}

pub(super) fn play(job: &Job) -> Answer {
    coroutines::set_workers(job.procs());
    match job.workload.as_str() {
        "select" => Err("may's select! loses messages of branches that it cancels".into()),
        "sieve" => {
            Err("may has no channel with a limit: who generates numbers would run ahead".into())
        }
        "echo" => blocking::echo(&Host::May, job),
        _ => blocking::play(&Scheduler, job),
    }
}
