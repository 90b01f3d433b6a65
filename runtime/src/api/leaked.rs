//! What did not end with its runtime.

use std::error::Error;
use std::fmt;
use std::panic::Location;

use crate::api::goroutine::GoroutineId;
use crate::sched::service::listing::Listed;

/// The error of `Runtime::shutdown_timeout`: goroutines that had not ended in time.
#[derive(Clone, Debug)]
pub struct Leaked {
    goroutines: Vec<LeakedGoroutine>,
}

/// One of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeakedGoroutine {
    /// Its id.
    pub id: GoroutineId,
    /// Its name.
    pub name: Option<String>,
    /// Where it was spawned.
    pub spawned_at: Option<&'static Location<'static>>,
    line: String,
}

impl Leaked {
    pub(crate) fn new(left: Vec<Listed>) -> Leaked {
        let each = |listed: Listed| LeakedGoroutine {
            id: GoroutineId(listed.id),
            name: listed.name.as_deref().map(str::to_owned),
            spawned_at: listed.spawned_at,
            line: listed.to_string(),
        };
        Leaked {
            goroutines: left.into_iter().map(each).collect(),
        }
    }

    /// The goroutines, in no order.
    pub fn goroutines(&self) -> &[LeakedGoroutine] {
        &self.goroutines
    }
}

impl fmt::Display for Leaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} goroutines have not ended", self.goroutines.len())?;
        for goroutine in &self.goroutines {
            write!(f, "\n{}", goroutine.line)?;
        }
        Ok(())
    }
}

impl Error for Leaked {}
