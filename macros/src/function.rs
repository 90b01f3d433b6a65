//! The function under an attribute: its parts, as far as the attribute must know them.

use proc_macro::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};

use crate::error::Error;

/// A function without parameters.
pub(crate) struct Function {
    pub(crate) attributes: TokenStream,
    /// Names of attributes without a path.
    pub(crate) attribute_names: Vec<Ident>,
    pub(crate) visibility: TokenStream,
    pub(crate) name: Ident,
    /// What stands between the parameters and the body.
    pub(crate) returns: TokenStream,
    pub(crate) body: Group,
}

/// Reads the item under `#[gopark::<attribute>]`.
pub(crate) fn read(attribute: &str, item: TokenStream) -> Result<Function, Error> {
    let mut tokens = item.into_iter().peekable();
    let mut attributes: Vec<TokenTree> = Vec::new();
    let mut attribute_names = Vec::new();
    let mut visibility: Vec<TokenTree> = Vec::new();
    let not_a_function = |span: Span| {
        let text = format!("`#[gopark::{attribute}]` is for functions with a body");
        Error::new(span, text)
    };
    loop {
        match tokens.next() {
            Some(TokenTree::Punct(hash)) if hash.as_char() == '#' => {
                attributes.push(hash.into());
                if let Some(TokenTree::Group(group)) = tokens.next() {
                    attribute_names.extend(name_of(&group));
                    attributes.push(group.into());
                }
            }
            Some(TokenTree::Ident(word)) => match word.to_string().as_str() {
                "fn" => break,
                "pub" => {
                    visibility.push(word.into());
                    if let Some(TokenTree::Group(_)) = tokens.peek() {
                        visibility.extend(tokens.next());
                    }
                }
                "async" => return Err(is_async(attribute, word.span())),
                "const" | "unsafe" | "extern" => {
                    let text =
                        format!("a function under `#[gopark::{attribute}]` cannot be `{word}`");
                    return Err(Error::new(word.span(), text));
                }
                _ => return Err(not_a_function(word.span())),
            },
            // A visibility that came through another macro.
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::None => {
                visibility.push(group.into());
            }
            Some(other) => return Err(not_a_function(other.span())),
            None => return Err(not_a_function(Span::call_site())),
        }
    }
    let Some(TokenTree::Ident(name)) = tokens.next() else {
        return Err(not_a_function(Span::call_site()));
    };
    match tokens.next() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            if !group.stream().is_empty() {
                let text = format!("`{name}` cannot have parameters: nobody would give them");
                return Err(Error::new(group.span(), text));
            }
        }
        Some(other) => {
            let text = format!("`{name}` cannot be generic: nobody would say of what");
            return Err(Error::new(other.span(), text));
        }
        None => return Err(not_a_function(name.span())),
    }
    let mut returns: Vec<TokenTree> = tokens.collect();
    match returns.pop() {
        Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => Ok(Function {
            attributes: attributes.into_iter().collect(),
            attribute_names,
            visibility: visibility.into_iter().collect(),
            name,
            returns: returns.into_iter().collect(),
            body,
        }),
        _ => Err(not_a_function(name.span())),
    }
}

/// `test` of `[test]`; nothing of `[a::test]`.
fn name_of(attribute: &Group) -> Option<Ident> {
    let mut tokens = attribute.stream().into_iter();
    let Some(TokenTree::Ident(name)) = tokens.next() else {
        return None;
    };
    match tokens.next() {
        Some(TokenTree::Punct(colon)) if colon.as_char() == ':' => None,
        _ => Some(name),
    }
}

fn is_async(attribute: &str, span: Span) -> Error {
    let text = format!(
        "a function under `#[gopark::{attribute}]` is not `async`: a goroutine blocks where it \
         waits, so remove `async` and `.await`"
    );
    Error::new(span, text)
}
