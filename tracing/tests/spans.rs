//! The current span of a goroutine, across every kind of suspension.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark_tests::{alone, is_case, nap, run, spin};
use gopark_tracing::PerGoroutine;
use tracing::span::Id;
use tracing::{Span, Subscriber, info_span};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt};

const GOROUTINES: usize = 200;
const TURNS: usize = 10;

/// Runs `case` in a process of its own, in each of the modes of `GOPARK_DEBUG`.
#[track_caller]
fn in_all_modes(test: &str, case: fn()) {
    for mode in ["", "migrate", "migrate,contract"] {
        let debug = |command: &mut std::process::Command| {
            command.env("GOPARK_DEBUG", mode);
        };
        alone(test, debug, case);
        if is_case(test) {
            return;
        }
    }
}

fn wait_for_a_message() {
    let (sender, receiver) = gopark::chan::bounded(0);
    let sends = gopark::spawn(move || {
        let span = info_span!("sender");
        let _entered = span.enter();
        gopark::yield_now();
        sender.send(()).unwrap();
        assert_eq!(Span::current().id(), span.id());
    });
    receiver.recv().unwrap();
    sends.join().unwrap();
}

const WAYS: [(&str, fn()); 8] = [
    ("yield", gopark::yield_now),
    ("sleep", || gopark::time::sleep(Duration::from_millis(1))),
    ("blocking", || {
        gopark::blocking(|| nap(Duration::from_micros(50)))
    }),
    ("channel", wait_for_a_message),
    ("hog", || spin(Duration::from_micros(200))),
    ("unannounced", || nap(Duration::from_micros(200))),
    ("bound", || {
        let _bound = gopark::lock_os_thread();
        gopark::yield_now();
    }),
    ("timeout", || {
        let limit = Duration::from_micros(100);
        assert!(gopark::time::timeout(limit, gopark::park).is_err());
    }),
];

/// Counts of spans that were not the current ones: the span itself, the nested one, their parent.
#[derive(Default)]
struct Wrong([AtomicUsize; 3]);

impl Wrong {
    fn count(&self, what: usize, is_right: bool) {
        self.0[what].fetch_add(usize::from(!is_right), Ordering::Relaxed);
    }

    fn all(&self) -> [usize; 3] {
        [0, 1, 2].map(|what| self.0[what].load(Ordering::Relaxed))
    }
}

fn parent_of(span: &Span) -> Option<Id> {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>().unwrap();
        registry
            .span(id)
            .unwrap()
            .parent()
            .map(|parent| parent.id())
    })
    .unwrap()
}

#[tracing::instrument(skip_all)]
fn handle(n: usize, suspend: fn(), wrong: &Wrong) {
    let me = Span::current().id();
    assert!(me.is_some());
    for _ in 0..TURNS {
        suspend();
        wrong.count(0, Span::current().id() == me);
        let child = info_span!("child", n);
        wrong.count(2, parent_of(&child) == me);
        child.in_scope(|| {
            suspend();
            wrong.count(1, Span::current().id() == child.id());
        });
        wrong.count(0, Span::current().id() == me);
    }
}

fn no_span_is_another_goroutines() {
    for procs in [1, 3] {
        run(procs, || {
            for (way, suspend) in WAYS {
                let wrong = Arc::new(Wrong::default());
                let one = |n| {
                    let wrong = Arc::clone(&wrong);
                    gopark::spawn(move || handle(n, suspend, &wrong))
                };
                let all: Vec<_> = (0..GOROUTINES).map(one).collect();
                all.into_iter().for_each(|one| one.join().unwrap());
                assert_eq!(wrong.all(), [0; 3], "{way} on {procs} Ps");
                assert!(Span::current().is_none(), "{way} left a span on its thread");
                gopark::spawn(|| assert!(Span::current().is_none()))
                    .join()
                    .unwrap();
            }
        });
    }
}

#[test]
fn the_current_span_follows_its_goroutine() {
    in_all_modes("the_current_span_follows_its_goroutine", || {
        PerGoroutine::new(fmt().with_writer(std::io::sink).finish()).init();
        no_span_is_another_goroutines();
    });
}

#[test]
fn the_current_span_follows_its_goroutine_if_only_the_registry_is_told() {
    let test = "the_current_span_follows_its_goroutine_if_only_the_registry_is_told";
    in_all_modes(test, || {
        let subscriber = PerGoroutine::new(fmt().with_writer(std::io::sink).finish());
        subscriber.only::<Registry>().init();
        no_span_is_another_goroutines();
    });
}

/// What a layer was told, by the name of the span.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn add(
        &self,
        sign: &str,
        id: &Id,
        context: &Context<'_, impl Subscriber + for<'a> LookupSpan<'a>>,
    ) {
        let name = context.span(id).unwrap().name();
        self.0.lock().unwrap().push(format!("{sign}{name}"));
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Told {
    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.add("+", id, &context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.add("-", id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.add("x", &id, &context);
    }
}

fn suspend() {
    gopark::park_timeout(Duration::from_micros(1));
}

#[test]
fn layers_hear_of_suspensions_unless_only_the_registry_does() {
    let test = "layers_hear_of_suspensions_unless_only_the_registry_does";
    alone(
        test,
        |_| (),
        || {
            let told = Told::default();
            let layers = || PerGoroutine::new(tracing_subscriber::registry().with(told.clone()));
            let program = || {
                let (a, b) = (info_span!("a"), info_span!("b"));
                let entered = (a.enter(), b.enter());
                suspend();
                drop(entered.0);
                suspend();
                drop(entered.1);
                suspend();
            };
            run(1, || {
                let default = tracing::Dispatch::new(layers());
                gopark::with_entered(|| tracing::dispatcher::set_default(&default), program);
                assert_eq!(told.take(), "+a +b -b -a +a +b -a -b +b -b xb xa");
                let default = tracing::Dispatch::new(layers().only::<Registry>());
                gopark::with_entered(|| tracing::dispatcher::set_default(&default), program);
                assert_eq!(told.take(), "+a +b -a -b xb xa");
            });
        },
    );
}

#[test]
fn spans_that_are_never_exited_end_with_their_goroutine() {
    let test = "spans_that_are_never_exited_end_with_their_goroutine";
    alone(
        test,
        |_| (),
        || {
            gopark::goroutine_local! {
                static KEPT: RefCell<Option<tracing::span::EnteredSpan>> = RefCell::new(None);
            }
            let told = Told::default();
            PerGoroutine::new(tracing_subscriber::registry().with(told.clone())).init();
            run(1, || {
                gopark::spawn(|| {
                    let forgotten = info_span!("forgotten");
                    std::mem::forget(forgotten.enter());
                    drop(forgotten);
                    KEPT.set(Some(info_span!("kept").entered()));
                    suspend();
                })
                .join()
                .unwrap();
                assert!(Span::current().is_none());
            });
            let told = told.take();
            let begin = "+forgotten +kept -kept -forgotten +forgotten +kept -kept -forgotten";
            assert!(told.starts_with(begin), "{told}");
            let mut closed: Vec<_> = told[begin.len()..].split_whitespace().collect();
            closed.sort_unstable();
            assert_eq!(closed, ["xforgotten", "xkept"]);
        },
    );
}

#[test]
fn a_cancelled_goroutine_leaves_its_spans() {
    alone(
        "a_cancelled_goroutine_leaves_its_spans",
        |_| (),
        || {
            PerGoroutine::new(tracing_subscriber::registry()).init();
            run(2, || {
                let waits = |_| {
                    gopark::spawn(|| {
                        struct Looks(Option<Id>);
                        impl Drop for Looks {
                            fn drop(&mut self) {
                                assert_eq!(Span::current().id(), self.0);
                            }
                        }
                        let span = info_span!("waits");
                        let _entered = span.enter();
                        let _looks = Looks(span.id());
                        gopark::park();
                    })
                };
                let all: Vec<_> = (0..100).map(waits).collect();
                gopark::time::sleep(Duration::from_millis(1));
                for one in all {
                    one.goroutine().cancel();
                    assert!(one.join().unwrap_err().is::<gopark::Cancelled>());
                    assert!(Span::current().is_none());
                }
            });
        },
    );
}

/// A subscriber of its own, without a registry.
#[derive(Default)]
struct Own {
    ids: AtomicUsize,
    stacks: Mutex<HashMap<std::thread::ThreadId, Vec<Id>>>,
}

impl Subscriber for Own {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> Id {
        Id::from_u64(self.ids.fetch_add(1, Ordering::Relaxed) as u64 + 1)
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

    fn enter(&self, id: &Id) {
        let mut stacks = self.stacks.lock().unwrap();
        stacks
            .entry(std::thread::current().id())
            .or_default()
            .push(id.clone());
    }

    fn exit(&self, id: &Id) {
        let mut stacks = self.stacks.lock().unwrap();
        let stack = stacks.get_mut(&std::thread::current().id()).unwrap();
        assert_eq!(stack.pop().as_ref(), Some(id), "another's span");
    }
}

#[test]
fn any_subscriber_can_be_wrapped() {
    in_all_modes("any_subscriber_can_be_wrapped", || {
        let subscriber = PerGoroutine::new(Own::default());
        subscriber.init();
        run(2, || {
            let one = |_| {
                gopark::spawn(|| {
                    // This subscriber cannot tell the current span.
                    for (_, suspend) in WAYS.iter().filter(|(way, _)| *way != "channel") {
                        info_span!("outer").in_scope(|| {
                            suspend();
                            info_span!("inner").in_scope(suspend);
                        });
                    }
                })
            };
            let all: Vec<_> = (0..100).map(one).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    });
}

#[test]
fn a_missing_part_is_refused() {
    let refused = std::panic::catch_unwind(|| PerGoroutine::new(Own::default()).only::<Registry>());
    let text = gopark_tests::panic_text(refused.map(drop).unwrap_err());
    assert!(
        text.contains("the subscriber contains no tracing_subscriber::"),
        "{text}"
    );
}
