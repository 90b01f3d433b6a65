//! The open loop: one thread that sends by the clock.
//!
//! The same thread loads every host: a client of the host's own kind would wait for its moments by
//! the host's own timers, and then their precision would be measured. It waits in `ppoll`, to the
//! nanosecond and without slack, for the next moment or for an answer, whatever is first.
//!
//! A message is sent whether or not earlier ones on its connection are answered, and its latency
//! begins when it ought to be sent: that this thread itself is late counts as well.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::mem;
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Host, Load, Trips};
use crate::measure::Result;
use crate::peers::sockets::Pairs;

/// How long answers may take after the last message.
const LATE_MAX: Duration = Duration::from_secs(5);

/// Answers are read in pieces of this size.
const PIECE_BYTES: usize = 64 << 10;

const EVENTS_MAX: usize = 256;

/// Sends `per_second` messages to all connections in turn, for the interval and, before it, a
/// while to warm up.
pub(crate) fn measure(host: &Host, load: Load, per_second: f64) -> Result<Trips> {
    let Pairs { servers, clients } = Pairs::connect(load.connections)?;
    let found = thread::scope(|scope| {
        let clock = Clock::new(load.interval, per_second);
        let generator = scope.spawn(move || Generator::new(clients, load.bytes, clock)?.run());
        let served = host.serve(servers, load.bytes);
        let found = generator.join().expect("the generator does not panic");
        served.and(found)
    })?;
    Ok(Trips {
        interval: load.interval,
        latencies: found.into_iter().collect(),
    })
}

/// When messages ought to be sent: number `n` at `start + n * period`.
#[derive(Clone, Copy, Debug)]
struct Clock {
    start: Instant,
    period: Duration,
    /// Messages that do not count, and all.
    warm_up: u32,
    count: u32,
}

impl Clock {
    fn new(interval: Duration, per_second: f64) -> Self {
        let period = Duration::from_secs_f64(1.0 / per_second);
        let messages = |time: Duration| (time.as_secs_f64() * per_second).round() as u32;
        let warm_up = messages(interval / 4);
        Self {
            // Time for the first servers to come up.
            start: Instant::now() + interval / 4,
            period,
            warm_up,
            count: warm_up + messages(interval),
        }
    }

    fn moment(&self, message: u32) -> Instant {
        self.start + self.period * message
    }

    /// Whether an answer to the message of that moment counts.
    fn counts(&self, moment: Instant) -> bool {
        moment >= self.moment(self.warm_up)
    }
}

struct Generator {
    clock: Clock,
    message: Vec<u8>,
    connections: Vec<Connection>,
    epoll: OwnedFd,
    piece: Vec<u8>,
    answered: u32,
    latencies: Vec<Duration>,
}

struct Connection {
    stream: TcpStream,
    /// Moments of messages that are not answered, the oldest first.
    pending: VecDeque<Instant>,
    /// Bytes of the oldest one's answer.
    received: usize,
}

impl Generator {
    fn new(clients: Vec<TcpStream>, bytes: usize, clock: Clock) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::with_capacity(clients.len());
        for (index, stream) in clients.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&epoll, &stream, data, EventFlags::IN)?;
            connections.push(Connection {
                stream,
                pending: VecDeque::new(),
                received: 0,
            });
        }
        Ok(Self {
            clock,
            message: vec![b'x'; bytes],
            connections,
            epoll,
            piece: vec![0; PIECE_BYTES],
            answered: 0,
            latencies: Vec::with_capacity(clock.count as usize),
        })
    }

    /// Latencies of the messages that count: all of them are answered.
    fn run(mut self) -> io::Result<Vec<Duration>> {
        // Else the kernel lets a thread sleep some 50 us longer, to wake several at once.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let count = self.clock.count;
        let mut sent = 0;
        while self.answered < count {
            let now = Instant::now();
            while sent < count && self.clock.moment(sent) <= now {
                self.send(sent)?;
                sent += 1;
            }
            let until = if sent < count {
                self.clock.moment(sent)
            } else {
                self.clock.moment(count) + LATE_MAX
            };
            if sent == count && now >= until {
                let missing = count - self.answered;
                return Err(io::Error::other(format!("{missing} of {count} unanswered")));
            }
            self.receive(until)?;
        }
        Ok(self.latencies)
    }

    fn send(&mut self, number: u32) -> io::Result<()> {
        let index = number as usize % self.connections.len();
        let connection = &mut self.connections[index];
        let written = (&connection.stream).write(&self.message);
        match written {
            Ok(count) if count == self.message.len() => {}
            Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error),
            // Thousands of messages are on the way to a server that does not read them.
            _ => return Err(io::Error::other("a server does not keep up")),
        }
        connection.pending.push_back(self.clock.moment(number));
        Ok(())
    }

    /// Takes all answers that are there, or waits for one until the given moment.
    fn receive(&mut self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a few seconds");
        if poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&left))? == 0 {
            return Ok(());
        }
        let mut events: [Event; EVENTS_MAX] = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(0),
        }; EVENTS_MAX];
        let at_once = Timespec::default();
        let count = epoll::wait(&self.epoll, &mut events, Some(&at_once))?;
        for event in &events[..count] {
            self.read(event.data.u64() as usize)?;
        }
        Ok(())
    }

    fn read(&mut self, index: usize) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let mut bytes = match (&connection.stream).read(&mut self.piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => mem::take(&mut connection.received) + count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        while bytes >= self.message.len() {
            bytes -= self.message.len();
            let moment = connection.pending.pop_front();
            let moment = moment.ok_or_else(|| io::Error::other("an answer to nothing"))?;
            self.answered += 1;
            if self.clock.counts(moment) {
                self.latencies.push(now - moment);
            }
        }
        connection.received = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_warms_up_and_then_counts() {
        let clock = Clock::new(Duration::from_secs(1), 1000.0);
        assert_eq!((clock.warm_up, clock.count), (250, 1250));
        assert!(!clock.counts(clock.moment(249)) && clock.counts(clock.moment(250)));
        let interval = clock.moment(clock.count) - clock.moment(clock.warm_up);
        assert_eq!(interval, Duration::from_secs(1));
    }

    #[test]
    fn a_pause_of_the_server_counts_for_all_that_ought_to_be_sent() {
        let Pairs { servers, clients } = Pairs::connect(1).unwrap();
        let clock = Clock::new(Duration::from_millis(40), 1000.0);
        let generator = thread::spawn(move || Generator::new(clients, 1, clock)?.run());
        // Answers nothing until all 50 have been sent.
        let mut server = &servers[0];
        let mut messages = [0; 50];
        server.read_exact(&mut messages).unwrap();
        server.write_all(&messages).unwrap();
        let mut found = generator.join().unwrap().unwrap();
        found.sort_unstable();
        assert_eq!(found.len(), 40);
        assert!(found[20] >= Duration::from_millis(19), "{:?}", found[20]);
    }
}
