//! Time as a number: nanoseconds since the process first asked.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The moment that never comes.
pub(crate) const NEVER: u64 = u64::MAX;

fn base() -> Instant {
    static BASE: OnceLock<Instant> = OnceLock::new();
    // One nanosecond short of now, so that no moment is 0.
    *BASE.get_or_init(|| Instant::now() - Duration::from_nanos(1))
}

/// The present.
#[inline]
pub(crate) fn now() -> u64 {
    of(Instant::now())
}

/// A moment; 1 if it is before all others, [`NEVER`] if it does not fit.
#[inline]
pub(crate) fn of(moment: Instant) -> u64 {
    nanos(moment.saturating_duration_since(base())).max(1)
}

/// The moment after a while from now. It comes, however long that is: a wait for it has an end.
pub(crate) fn after(d: Duration) -> u64 {
    now().saturating_add(nanos(d)).min(NEVER - 1)
}

/// A moment as an `Instant`; `None` if it never comes.
pub(crate) fn instant(moment: u64) -> Option<Instant> {
    (moment != NEVER).then(|| base().checked_add(Duration::from_nanos(moment)))?
}

/// A duration in nanoseconds, or [`NEVER`] if it does not fit.
pub(crate) fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(NEVER)
}

/// How long until `moment`; zero if it has come, `None` if it never does.
pub(crate) fn until(moment: u64) -> Option<Duration> {
    (moment != NEVER).then(|| Duration::from_nanos(moment.saturating_sub(now())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_order_and_never_early() {
        let start = now();
        let later = Instant::now() + Duration::from_micros(5);
        assert!(of(later) > start);
        assert!(after(Duration::from_micros(5)) >= of(later));
        assert_eq!(after(Duration::MAX), NEVER - 1);
        assert_eq!(until(NEVER), None);
        assert_eq!(until(start), Some(Duration::ZERO));
        assert!(until(after(Duration::from_secs(9))) > Some(Duration::from_secs(8)));
    }
}
