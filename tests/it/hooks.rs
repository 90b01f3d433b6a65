//! Hooks around the suspensions of a goroutine.
//!
//! Most tests keep the goroutine's number with its thread, as libraries do with a context:
//! `leave` takes it away and `enter` brings it back. The hooks check what they find, so a
//! suspension without them ends the process: the next goroutine finds the number of the last one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark::{blocking, chan, net, on_switch, sync, time, with_entered};
use gopark_tests::{alone, is_case, nap, run, runtime, spin, thread_id, wait_until};

/// What each thread would have in a thread-local.
static OWNERS: Mutex<BTreeMap<i64, u64>> = Mutex::new(BTreeMap::new());

fn owner() -> u64 {
    let owners = OWNERS.lock().unwrap();
    owners.get(&thread_id()).copied().unwrap_or(0)
}

fn set_owner(id: u64) {
    OWNERS.lock().unwrap().insert(thread_id(), id);
}

fn enter(id: u64) {
    assert_eq!(owner(), 0, "{id} enters where another has not left");
    set_owner(id);
}

fn leave(id: u64) {
    assert_eq!(owner(), id, "leaves where another has entered");
    set_owner(0);
}

/// Runs `body` as the owner of the thread that it runs on.
fn owned<T>(body: impl FnOnce(&dyn Fn()) -> T) -> T {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    let id = NUMBERS.fetch_add(1, Ordering::Relaxed);
    enter(id);
    let guard = on_switch(move || enter(id), move || leave(id));
    let result = body(&|| assert_eq!(owner(), id, "the thread is another's"));
    drop(guard);
    leave(id);
    result
}

/// Runs `case` in a process of its own, in each of the modes of `GOPARK_DEBUG`.
#[track_caller]
fn in_all_modes(test: &str, case: fn()) {
    for mode in ["", "migrate", "contract", "migrate,contract"] {
        alone(
            test,
            |command| {
                command.env("GOPARK_DEBUG", mode);
            },
            case,
        );
        if is_case(test) {
            return;
        }
    }
}

const MS: Duration = Duration::from_millis(1);

/// Every way in which a goroutine is suspended.
const WAYS: [(&str, fn()); 19] = [
    ("yield", gopark::yield_now),
    ("sleep", || time::sleep(MS)),
    ("park_timeout", || gopark::park_timeout(MS)),
    ("blocking", || blocking(|| nap(MS))),
    ("hog", || spin(MS)),
    ("unannounced", || nap(MS)),
    ("park", park),
    ("raw park", raw_park),
    ("raw park that does not park", || {
        gopark::raw::park(|_| false)
    }),
    ("channel", channel),
    ("select", select),
    ("join", || gopark::spawn(gopark::yield_now).join().unwrap()),
    ("scope", || {
        gopark::scope(|s| drop(s.spawn(gopark::yield_now)));
    }),
    ("timeout", || {
        assert!(time::timeout(MS, gopark::park).is_err())
    }),
    ("mutex", mutex),
    ("rwlock", rwlock),
    ("bound", bound),
    ("wait in a destructor", destructor),
    ("socket", socket),
];

fn park() {
    let me = gopark::current();
    gopark::go(move || me.unpark());
    gopark::park();
}

fn raw_park() {
    gopark::raw::park(|waiter| {
        gopark::go(move || {
            waiter.ready();
        });
        true
    });
}

fn channel() {
    let (there, receive) = chan::bounded(0);
    let (reply, back) = chan::bounded(0);
    gopark::go(move || reply.send(receive.recv().unwrap() + 1).unwrap());
    there.send(1).unwrap();
    assert_eq!(back.recv(), Ok(2));
}

fn select() {
    let (_sender, never) = chan::bounded::<()>(0);
    gopark::select! {
        recv(never) -> _ => unreachable!(),
        default(MS) => {}
    }
}

fn mutex() {
    let lock = Arc::new(sync::Mutex::new(()));
    let held = lock.lock();
    let other = Arc::clone(&lock);
    let waits = gopark::spawn(move || {
        owned(|check| {
            drop(other.lock());
            check();
        });
    });
    gopark::yield_now();
    drop(held);
    waits.join().unwrap();
}

fn rwlock() {
    let lock = Arc::new(sync::RwLock::new(()));
    let held = lock.write();
    let other = Arc::clone(&lock);
    let waits = gopark::spawn(move || {
        owned(|check| {
            drop(other.read());
            check();
        });
    });
    gopark::yield_now();
    drop(held);
    waits.join().unwrap();
}

fn bound() {
    let _bound = gopark::lock_os_thread();
    gopark::yield_now();
    time::sleep(MS);
}

fn destructor() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            time::sleep(MS);
        }
    }
    let caught = catch_unwind(|| {
        let _waits = Waits;
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(caught.is_err());
}

fn socket() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = gopark::spawn(move || {
        let mut stream = net::TcpStream::connect(address).unwrap();
        time::sleep(MS);
        stream.write_all(b"x").unwrap();
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    peer.join().unwrap();
}

#[test]
fn hooks_surround_every_kind_of_suspension() {
    in_all_modes("hooks::hooks_surround_every_kind_of_suspension", || {
        run(2, || {
            let one = |n: usize| {
                gopark::spawn(move || {
                    owned(|check| {
                        for at in 0..WAYS.len() {
                            let (_, suspend) = WAYS[(n + at) % WAYS.len()];
                            suspend();
                            check();
                        }
                    });
                })
            };
            let all: Vec<_> = (0..60).map(one).collect();
            for one in all {
                one.join().unwrap();
            }
        });
    });
}

#[test]
fn a_return_from_a_blocking_call_to_another_thread_has_hooks() {
    in_all_modes(
        "hooks::a_return_from_a_blocking_call_to_another_thread_has_hooks",
        || {
            run(1, || {
                let stop = Arc::new(AtomicBool::new(false));
                let stopped = Arc::clone(&stop);
                let hog = gopark::spawn(move || {
                    while !stopped.load(Ordering::Relaxed) {
                        spin(Duration::from_micros(100));
                        gopark::yield_now();
                    }
                });
                let switches = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&switches);
                owned(|check| {
                    let leave = move || {
                        count.fetch_add(1, Ordering::Relaxed);
                    };
                    let _counts = on_switch(|| {}, leave);
                    for _ in 0..20 {
                        blocking(|| {
                            nap(Duration::from_millis(2));
                            check();
                        });
                        check();
                    }
                });
                assert!(
                    switches.load(Ordering::Relaxed) > 0,
                    "no return was by the queue"
                );
                stop.store(true, Ordering::Relaxed);
                hog.join().unwrap();
            });
        },
    );
}

/// A log that hooks write into.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn guard(&self, name: &'static str) -> gopark::SwitchGuard {
        let (enters, leaves) = (self.clone(), self.clone());
        on_switch(move || enters.add("+", name), move || leaves.add("-", name))
    }

    fn add(&self, sign: &str, name: &str) {
        self.0.lock().unwrap().push(format!("{sign}{name}"));
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

#[test]
fn nested_hooks_leave_in_reverse_and_enter_in_order() {
    run(1, || {
        let log = Log::default();
        let a = log.guard("a");
        let b = log.guard("b");
        let c = log.guard("c");
        assert_eq!(log.take(), "", "a guard alone calls nothing");
        gopark::park_timeout(Duration::from_micros(1));
        assert_eq!(log.take(), "-c -b -a +a +b +c");
        drop(b);
        gopark::park_timeout(Duration::from_micros(1));
        assert_eq!(log.take(), "-c -a +a +c");
        drop((c, a));
        gopark::park_timeout(Duration::from_micros(1));
        assert_eq!(log.take(), "");
    });
}

#[test]
fn entered_guards_are_renewed_in_stack_order_and_may_borrow() {
    struct Entered<'a>(&'a RefCell<Vec<i32>>, i32);
    impl<'a> Entered<'a> {
        fn new(stack: &'a RefCell<Vec<i32>>, n: i32) -> Entered<'a> {
            stack.borrow_mut().push(n);
            Entered(stack, n)
        }
    }
    impl Drop for Entered<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.borrow_mut().pop(), Some(self.1), "out of order");
        }
    }
    let check = || {
        let stack = RefCell::new(Vec::new());
        let depth = with_entered(
            || Entered::new(&stack, 1),
            || {
                with_entered(
                    || Entered::new(&stack, 2),
                    || {
                        gopark::yield_now();
                        let watched = gopark::try_current().is_some();
                        if watched {
                            gopark::raw::park(|waiter| {
                                assert_eq!(*stack.borrow(), [], "left before the park");
                                drop(waiter);
                                false
                            });
                        }
                        stack.borrow().clone()
                    },
                )
            },
        );
        assert_eq!(depth, [1, 2]);
        assert_eq!(*stack.borrow(), []);
    };
    check();
    run(2, check);
}

#[test]
fn an_entered_guard_ends_with_an_unwinding() {
    run(2, || {
        let child = gopark::spawn(|| {
            let inside = Cell::new(0);
            struct Inside<'a>(&'a Cell<i32>);
            impl Drop for Inside<'_> {
                fn drop(&mut self) {
                    self.0.set(self.0.get() - 1);
                }
            }
            let enter = || {
                inside.set(inside.get() + 1);
                Inside(&inside)
            };
            let caught = catch_unwind(std::panic::AssertUnwindSafe(|| {
                with_entered(enter, || {
                    assert_eq!(inside.get(), 1);
                    gopark::park();
                });
            }));
            assert!(caught.unwrap_err().is::<gopark::Cancelled>());
            assert_eq!(inside.get(), 0);
            gopark::yield_now();
            assert_eq!(inside.get(), 0);
        });
        gopark::yield_now();
        child.goroutine().cancel();
        child.join().unwrap();
    });
}

#[test]
fn a_cancelled_goroutine_enters_before_its_destructors_run() {
    run(2, || {
        for _ in 0..100 {
            let child = gopark::spawn(|| {
                owned(|check| {
                    struct Checks<'a>(&'a dyn Fn());
                    impl Drop for Checks<'_> {
                        fn drop(&mut self) {
                            (self.0)();
                            set_owner(0);
                        }
                    }
                    let _checks = Checks(check);
                    gopark::park();
                });
            });
            gopark::yield_now();
            child.goroutine().cancel();
            assert!(child.join().unwrap_err().is::<gopark::Cancelled>());
            assert_eq!(owner(), 0);
        }
    });
}

#[test]
fn hooks_are_inherited_if_asked_for() {
    run(1, || {
        let log = Log::default();
        let _a = log.guard("a");
        let _b = log.guard("b");
        let child = |log: Log| {
            move || {
                log.add("", "child");
                gopark::park_timeout(Duration::from_micros(1));
                log.add("", "goes on");
            }
        };
        let whole = "-b -a +a +b child -b -a +a +b goes on -b -a +a +b";
        gopark::spawn(gopark::inherit_hooks(child(log.clone())))
            .join()
            .unwrap();
        assert_eq!(log.take(), whole);

        let builder = || gopark::goroutine::Builder::new().inherit_hooks(true);
        builder().spawn(child(log.clone())).unwrap().join().unwrap();
        assert_eq!(log.take(), whole);

        gopark::scope(|s| {
            let handle = builder().spawn_scoped(s, child(log.clone())).unwrap();
            handle.join().unwrap();
            assert_eq!(log.take(), whole);
        });

        gopark::spawn(child(log.clone())).join().unwrap();
        assert_eq!(log.take(), "-b -a child goes on +a +b");
        let name = gopark::goroutine::Builder::new().inherit_hooks(false);
        name.spawn(child(log.clone())).unwrap().join().unwrap();
        assert_eq!(log.take(), "-b -a child goes on +a +b");
    });
}

#[test]
fn inherited_hooks_leave_after_a_panic_and_are_passed_on() {
    run(1, || {
        let log = Log::default();
        let _a = log.guard("a");
        let fails = gopark::inherit_hooks(|| std::panic::resume_unwind(Box::new(7)));
        let failed: Result<(), _> = gopark::spawn(fails).join();
        assert!(failed.unwrap_err().is::<i32>());
        assert_eq!(log.take(), "-a +a -a +a");
        let grandchild = gopark::inherit_hooks(|| {
            gopark::spawn(gopark::inherit_hooks(|| ())).join().unwrap();
        });
        gopark::spawn(grandchild).join().unwrap();
        assert_eq!(log.take(), "-a +a -a +a -a +a -a +a");
    });
}

#[test]
fn a_forgotten_guard_leaves_with_the_end_of_its_goroutine() {
    run(1, || {
        let log = Log::default();
        let logs = log.clone();
        let child = gopark::spawn(move || {
            std::mem::forget(logs.guard("a"));
            std::mem::forget(logs.guard("b"));
            gopark::park_timeout(Duration::from_micros(1));
        });
        child.join().unwrap();
        assert_eq!(log.take(), "-b -a +a +b -b -a");
        assert_eq!(Arc::strong_count(&log.0), 1, "the hooks are dropped");
    });
}

#[test]
fn a_guard_that_leaves_its_goroutine_does_nothing() {
    let runtime = runtime(1);
    let log = Log::default();
    let guard = runtime.run(|| log.guard("a"));
    assert_eq!(log.take(), "-a");
    runtime.run(|| {
        drop(guard);
        gopark::park_timeout(Duration::from_micros(1));
    });
    assert_eq!(log.take(), "");
}

#[test]
fn hooks_of_a_plain_thread_are_never_called() {
    let log = Log::default();
    let _a = log.guard("a");
    gopark::yield_now();
    time::sleep(Duration::from_millis(1));
    assert_eq!(gopark::inherit_hooks(|| 7)(), 7);
    assert_eq!(log.take(), "");
}

#[test]
fn a_hook_may_use_the_runtime_as_long_as_it_does_not_wait() {
    run(2, || {
        gopark::goroutine_local! {
            static TURNS: Cell<u32> = Cell::new(0);
        }
        let (sender, receiver) = chan::unbounded();
        let woken = Arc::new(AtomicUsize::new(0));
        let wakes = Arc::clone(&woken);
        let enter = move || {
            TURNS.set(TURNS.get() + 1);
            sender.send(TURNS.get()).unwrap();
            let wakes = Arc::clone(&wakes);
            gopark::go(move || {
                wakes.fetch_add(1, Ordering::Relaxed);
            });
            drop(on_switch(|| (), || ()));
        };
        let guard = on_switch(enter, || ());
        for turn in 1..=10 {
            gopark::park_timeout(Duration::from_micros(1));
            assert_eq!(receiver.try_recv(), Ok(turn));
        }
        drop(guard);
        wait_until("the goroutines of the hooks end", || {
            woken.load(Ordering::Relaxed) == 10
        });
    });
}
