//! The name of a goroutine: one word, because every handle has room for it and few have one.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A name that handles, reports and the goroutine share.
#[derive(Clone)]
pub(crate) struct Name(Arc<Text>);

struct Text(Box<str>);

impl From<String> for Name {
    fn from(text: String) -> Name {
        Name(Arc::new(Text(text.into())))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}
