//! The subscriber around a subscriber.

#![expect(
    unsafe_code,
    reason = "passes `downcast_raw` on, which is unsafe to call"
)]

use std::any::TypeId;
use std::sync::Arc;

use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::subscriber::Interest;
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber};

use crate::open::{self, Shared, Told};

/// A subscriber whose current span belongs to the goroutine instead of the thread.
///
/// It passes everything on to the subscriber inside, also downcasts, and keeps a list of the spans
/// that each goroutine has entered. At each suspension the goroutine exits them, the innermost
/// first, and enters them again when it goes on. On plain threads nothing changes. Goroutines that
/// are in no span pay nothing for it.
///
/// It goes around the whole subscriber, with all its layers. A layer on top of it would not hear of
/// suspensions, and many do not compile there, since it is no `LookupSpan`.
///
/// All layers are told of the exits and enters, as with futures. So the busy and idle times of
/// `fmt` are right, and so are layers that draw the spans of each thread. A layer that logs each
/// enter and exit (`FmtSpan::ENTER`, `FmtSpan::EXIT`) logs each suspension too; see
/// [`PerGoroutine::only`].
///
/// ```
/// use gopark_tracing::PerGoroutine;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let layers = tracing_subscriber::registry().with(tracing_subscriber::fmt::layer());
/// let subscriber = PerGoroutine::new(layers);
/// tracing::subscriber::with_default(subscriber, || tracing::info!("hello"));
/// ```
#[derive(Debug)]
pub struct PerGoroutine<S> {
    inner: Arc<S>,
    /// The subscriber `inner` with its type erased.
    shared: Erased,
    told: Told,
}

/// A subscriber of any type.
struct Erased(Shared);

impl std::fmt::Debug for Erased {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl<S: Subscriber + Send + Sync> PerGoroutine<S> {
    /// Wraps a subscriber.
    pub fn new(subscriber: S) -> PerGoroutine<S> {
        let inner = Arc::new(subscriber);
        PerGoroutine {
            shared: Erased(Arc::clone(&inner) as Shared),
            inner,
            told: |subscriber| Some(subscriber),
        }
    }

    /// Tells of suspensions only the part `T` of the subscriber, which keeps the current span: the
    /// `Registry` of `tracing-subscriber`. Then no layer sees an exit or enter that the program
    /// does not contain; times count from the first enter to the last exit, waits included.
    ///
    /// # Panics
    /// When the subscriber does not contain a `T`.
    ///
    /// ```
    /// use gopark_tracing::PerGoroutine;
    /// use tracing_subscriber::Registry;
    ///
    /// let subscriber = PerGoroutine::new(tracing_subscriber::fmt().finish()).only::<Registry>();
    /// # drop(subscriber);
    /// ```
    #[must_use]
    pub fn only<T: Subscriber + Send + Sync>(mut self) -> PerGoroutine<S> {
        let name = std::any::type_name::<T>();
        assert!(
            self.shared.0.is::<T>(),
            "gopark_tracing: the subscriber contains no {name}"
        );
        self.told = |subscriber| Some(subscriber.downcast_ref::<T>()?);
        self
    }
}

impl<S: Subscriber + Send + Sync> Subscriber for PerGoroutine<S> {
    fn enter(&self, span: &Id) {
        self.inner.enter(span);
        open::entered(&self.shared.0, self.told, span);
    }

    fn exit(&self, span: &Id) {
        if open::exits(&self.shared.0, span) {
            self.inner.exit(span);
        }
    }

    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.inner.on_register_dispatch(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.inner.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn event(&self, event: &Event<'_>) {
        self.inner.event(event);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.inner.try_close(id)
    }

    #[expect(deprecated, reason = "a subscriber may still have its own")]
    fn drop_span(&self, id: Id) {
        self.inner.drop_span(id);
    }

    fn current_span(&self) -> Current {
        self.inner.current_span()
    }

    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        if id == TypeId::of::<Self>() {
            return Some(std::ptr::from_ref(self).cast());
        }
        // SAFETY: passed on; `inner` lives as long as this.
        unsafe { self.inner.downcast_raw(id) }
    }
}
