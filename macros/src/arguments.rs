//! The arguments of an attribute: the promise, and settings of the runtime.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::error::Error;

/// What the user asserts.
pub(crate) const PROMISE: &str = "no_thread_bound_state_across_suspensions";

/// What a setting is, so far as a literal shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Duration,
    Value,
}

/// Methods of `gopark::runtime::Builder` with one argument.
const SETTINGS: [(&str, Kind); 12] = [
    ("procs", Kind::Number),
    ("stack_limit", Kind::Number),
    ("stack_window", Kind::Number),
    ("max_threads", Kind::Number),
    ("thread_name", Kind::Text),
    ("time_slice", Kind::Duration),
    ("thread_keep_alive", Kind::Duration),
    ("preemption", Kind::Value),
    ("exit_grace", Kind::Duration),
    ("on_end", Kind::Value),
    ("deadlock", Kind::Value),
    ("unhandled_panic", Kind::Value),
];

/// The word `unsafe` of the promise, and where its parentheses are.
#[derive(Clone, Copy)]
pub(crate) struct Promise {
    pub(crate) word: Span,
    pub(crate) parentheses: Span,
}

/// The arguments, read.
pub(crate) struct Arguments {
    pub(crate) promise: Promise,
    pub(crate) settings: Vec<(Ident, TokenStream)>,
    /// The path of gopark, if it is given.
    pub(crate) path: Option<TokenStream>,
}

/// Reads the arguments of `#[gopark::<attribute>(...)]`.
pub(crate) fn read(attribute: &str, arguments: TokenStream) -> Result<Arguments, Error> {
    let mut promise = None;
    let mut path = None;
    let mut settings: Vec<(Ident, TokenStream)> = Vec::new();
    for argument in split(arguments) {
        let mut tokens = argument.into_iter();
        let name = match tokens.next() {
            Some(TokenTree::Ident(name)) => name,
            Some(other) => return Err(not_understood(attribute, other.span())),
            None => continue,
        };
        let rest: Vec<TokenTree> = tokens.collect();
        if name.to_string() == "unsafe" {
            let read = promised(&name, &rest)?;
            if promise.replace(read).is_some() {
                return Err(Error::new(name.span(), "the promise is made twice"));
            }
            continue;
        }
        let Some(value) = value_of(&rest) else {
            let text = format!("expected a value: `{name} = ...`");
            return Err(unknown(&name).unwrap_or_else(|| Error::new(name.span(), text)));
        };
        let is_path = name.to_string() == "crate";
        let is_given = settings
            .iter()
            .any(|(other, _)| other.to_string() == name.to_string());
        if is_given || is_path && path.is_some() {
            return Err(Error::new(name.span(), format!("`{name}` is given twice")));
        }
        if is_path {
            path = Some(value.iter().cloned().collect());
            continue;
        }
        check(&name, value)?;
        settings.push((name, value.iter().cloned().collect()));
    }
    let Some(promise) = promise else {
        return Err(missing(attribute));
    };
    Ok(Arguments {
        promise,
        settings,
        path,
    })
}

/// The tokens between commas.
fn split(arguments: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut all = vec![Vec::new()];
    for token in arguments {
        match &token {
            TokenTree::Punct(comma) if comma.as_char() == ',' => all.push(Vec::new()),
            _ => all.last_mut().expect("there is one").push(token),
        }
    }
    all
}

fn promised(word: &Ident, rest: &[TokenTree]) -> Result<Promise, Error> {
    let group: &Group = match rest {
        [TokenTree::Group(group)] if group.delimiter() == Delimiter::Parenthesis => group,
        _ => {
            let text = format!("expected `unsafe({PROMISE})`");
            return Err(Error::new(word.span(), text));
        }
    };
    let said = group.stream().to_string();
    if said != PROMISE {
        let text = format!(
            "`unsafe({said})` is no promise that gopark knows: write `unsafe({PROMISE})`, and see \
             that it is true"
        );
        return Err(Error::new(group.span(), text));
    }
    Ok(Promise {
        word: word.span(),
        parentheses: group.span(),
    })
}

fn missing(attribute: &str) -> Error {
    let text = format!(
        "`#[gopark::{attribute}]` needs a promise: \
         `#[gopark::{attribute}(unsafe({PROMISE}))]`\n\
         goroutines move between OS threads when they suspend, so no code of the program may keep \
         across a call that may suspend what belongs to its thread: a borrow of a thread-local, or \
         a guard such as std's MutexGuard. The compiler cannot check that: see \
         https://docs.rs/gopark/latest/gopark/contract/"
    );
    Error::new(Span::call_site(), text)
}

fn not_understood(attribute: &str, span: Span) -> Error {
    let text = format!(
        "expected `unsafe({PROMISE})`, or a setting such as `procs = 2`, separated by commas, in \
         `#[gopark::{attribute}(...)]`"
    );
    Error::new(span, text)
}

/// What comes after `=`.
fn value_of(rest: &[TokenTree]) -> Option<&[TokenTree]> {
    match rest {
        [TokenTree::Punct(equals), value @ ..] if equals.as_char() == '=' && !value.is_empty() => {
            Some(value)
        }
        _ => None,
    }
}

fn unknown(name: &Ident) -> Option<Error> {
    let text = name.to_string();
    if text == "crate" || SETTINGS.iter().any(|(known, _)| *known == text) {
        return None;
    }
    let known: Vec<String> = SETTINGS
        .iter()
        .map(|(known, _)| format!("`{known}`"))
        .collect();
    let text = format!(
        "there is no argument `{name}`: there are `unsafe({PROMISE})`, {} and `crate`",
        known.join(", ")
    );
    Some(Error::new(name.span(), text))
}

/// Whether there is such a setting, and, of a value that is one literal, whether it is of its kind.
/// Of all else the compiler says what is wrong.
fn check(name: &Ident, value: &[TokenTree]) -> Result<(), Error> {
    if let Some(error) = unknown(name) {
        return Err(error);
    }
    let text = name.to_string();
    let known = SETTINGS.iter().find(|(known, _)| *known == text);
    let kind = known.map_or(Kind::Value, |(_, kind)| *kind);
    let (is_negative, literal) = match value {
        [TokenTree::Literal(literal)] => (false, literal),
        [TokenTree::Punct(minus), TokenTree::Literal(literal)] if minus.as_char() == '-' => {
            (true, literal)
        }
        _ => return Ok(()),
    };
    let written = literal.to_string();
    let is_number = written.starts_with(|first: char| first.is_ascii_digit());
    let is_hex = written.starts_with("0x");
    let is_whole = is_number && (is_hex || !written.contains(['.', 'e', 'E', 'f']));
    let expected = match kind {
        Kind::Number if !is_whole || is_negative => format!("a whole number: `{name} = 65536`"),
        Kind::Text if is_number => format!("a text: `{name} = \"worker\"`"),
        Kind::Duration => {
            format!("a Duration: `{name} = std::time::Duration::from_millis(10)`")
        }
        _ => return Ok(()),
    };
    let sign = if is_negative { "-" } else { "" };
    let text = format!("`{name}` cannot be {sign}{written}: it is {expected}");
    Err(Error::new(literal.span(), text))
}
