//! What the user of an attribute is told, and where.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// An error of the compiler, at a place of the program.
#[derive(Debug)]
pub(crate) struct Error {
    span: Span,
    text: String,
}

impl Error {
    pub(crate) fn new(span: Span, text: impl Into<String>) -> Error {
        Error {
            span,
            text: text.into(),
        }
    }

    /// `::core::compile_error! { "..." }` at the place.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let mut text = TokenTree::from(Literal::string(&self.text));
        text.set_span(self.span);
        let group = Group::new(Delimiter::Brace, TokenStream::from(text));
        let mut tokens = vec![
            TokenTree::from(Punct::new(':', Spacing::Joint)),
            Punct::new(':', Spacing::Alone).into(),
            Ident::new("core", self.span).into(),
            Punct::new(':', Spacing::Joint).into(),
            Punct::new(':', Spacing::Alone).into(),
            Ident::new("compile_error", self.span).into(),
            Punct::new('!', Spacing::Alone).into(),
            group.into(),
        ];
        tokens
            .iter_mut()
            .for_each(|token| token.set_span(self.span));
        tokens.into_iter().collect()
    }
}
