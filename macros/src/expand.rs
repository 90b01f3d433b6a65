//! What an attribute makes of its function.
//!
//! ```text
//! fn main() -> T {
//!     fn main() -> T { the body }
//!     let builder = ::gopark::runtime::Builder::new().procs(2);
//!     let runtime = unsafe { builder.build() };
//!     ::gopark::__attributes::run("gopark::main", runtime, main)
//! }
//! ```
//!
//! The body is a function of its own, with the same name, so that nothing of it is inside the
//! `unsafe` block, and a call of itself does not start another runtime. The block stands where the
//! promise is written: there the lint `unsafe_code` finds it.

use proc_macro::{Delimiter, Group, Ident, Literal, TokenStream, TokenTree};

use crate::arguments::{self, Arguments};
use crate::error::Error;
use crate::function::{self, Function};

/// Which attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Main => "main",
            Kind::Test => "test",
        }
    }
}

/// Expands an attribute. After an error the function stays, so that it is not missed as well.
pub(crate) fn attribute(kind: Kind, arguments: TokenStream, item: TokenStream) -> TokenStream {
    match expand(kind, arguments, item.clone()) {
        Ok(tokens) => tokens,
        Err(error) => {
            let mut tokens = error.into_tokens();
            tokens.extend(item);
            tokens
        }
    }
}

fn expand(kind: Kind, arguments: TokenStream, item: TokenStream) -> Result<TokenStream, Error> {
    let function = function::read(kind.name(), item)?;
    let arguments = arguments::read(kind.name(), arguments)?;
    let mut tokens = TokenStream::new();
    if kind == Kind::Test {
        if let Some(other) = function
            .attribute_names
            .iter()
            .find(|a| a.to_string() == "test")
        {
            let text = "`#[gopark::test]` is a `#[test]` already: remove the other";
            return Err(Error::new(other.span(), text));
        }
        tokens.extend(code("#[::core::prelude::v1::test]"));
    }
    let body = body(kind, &function, arguments);
    let Function {
        attributes,
        visibility,
        name,
        returns,
        ..
    } = function;
    tokens.extend(attributes);
    tokens.extend(visibility);
    tokens.extend(signature(&name, returns));
    tokens.extend([TokenTree::from(Group::new(Delimiter::Brace, body))]);
    Ok(tokens)
}

fn signature(name: &Ident, returns: TokenStream) -> TokenStream {
    let mut tokens = code("fn");
    tokens.extend([TokenTree::from(name.clone())]);
    tokens.extend(code("()"));
    tokens.extend(returns);
    tokens
}

fn body(kind: Kind, function: &Function, arguments: Arguments) -> TokenStream {
    let Arguments {
        promise,
        settings,
        path,
    } = arguments;
    let path = path.unwrap_or_else(|| code("::gopark"));
    let mut tokens = signature(&function.name, function.returns.clone());
    tokens.extend([TokenTree::from(function.body.clone())]);
    tokens.extend(code("let builder ="));
    tokens.extend(path.clone());
    tokens.extend(code("::runtime::Builder::new()"));
    for (name, value) in settings {
        tokens.extend(code("."));
        tokens.extend([TokenTree::from(name)]);
        tokens.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, value))]);
    }
    // The promise is the comment that the lint of clippy asks for.
    tokens.extend(code(
        "; #[allow(clippy::undocumented_unsafe_blocks)] let runtime =",
    ));
    let mut block = Group::new(Delimiter::Brace, code("builder.build()"));
    block.set_span(promise.parentheses);
    tokens.extend([
        TokenTree::from(Ident::new("unsafe", promise.word)),
        block.into(),
    ]);
    tokens.extend(code(";"));
    tokens.extend(path);
    tokens.extend(code("::__attributes::run"));
    let mut call = TokenStream::new();
    let what = format!("gopark::{}", kind.name());
    call.extend([TokenTree::from(Literal::string(&what))]);
    call.extend(code(", runtime,"));
    call.extend([TokenTree::from(function.name.clone())]);
    tokens.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, call))]);
    tokens
}

/// Tokens of ours, at the place of the attribute.
fn code(text: &str) -> TokenStream {
    text.parse().expect("these are tokens")
}
