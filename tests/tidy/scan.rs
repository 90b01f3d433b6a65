//! Rust source, separated into code and comments.
//!
//! A check that searches for a word must know where it stands: `unsafe` in a comment is a word, in
//! a string it is data. This scanner knows just enough of the language for that: comments (nested
//! ones too), strings of all kinds, and characters against lifetimes. What is inside strings
//! becomes blanks; lines and columns stay.

/// One line of a file.
#[derive(Debug)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Without comments; strings are empty quotes around blanks.
    pub(crate) code: String,
    /// What stands in comments, with their markers.
    pub(crate) comment: String,
}

impl Line {
    /// There is a comment and no code.
    pub(crate) fn is_comment(&self) -> bool {
        self.code.trim().is_empty() && !self.comment.trim().is_empty()
    }
}

#[derive(Clone, Copy)]
enum Place {
    Code,
    LineComment,
    /// Depth of nesting.
    BlockComment(usize),
    Text,
    /// Number of hashes.
    RawText(usize),
}

/// The lines of a source text.
pub(crate) fn scan(text: &str) -> Vec<Line> {
    let mut scanner = Scanner {
        chars: text.chars().collect(),
        at: 0,
        place: Place::Code,
        lines: vec![Line::new(1)],
    };
    while scanner.at < scanner.chars.len() {
        scanner.step();
    }
    scanner.lines
}

impl Line {
    fn new(number: usize) -> Line {
        Line {
            number,
            code: String::new(),
            comment: String::new(),
        }
    }
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    place: Place,
    lines: Vec<Line>,
}

impl Scanner {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    /// Takes `count` characters; blanks stand for those that are text.
    fn take(&mut self, count: usize) {
        for _ in 0..count {
            let Some(c) = self.peek(0) else { return };
            self.at += 1;
            if c == '\n' {
                self.lines.push(Line::new(self.lines.len() + 1));
                continue;
            }
            let line = self.lines.last_mut().expect("there is a first line");
            let (code, comment) = match self.place {
                Place::Code => (c, ' '),
                Place::LineComment | Place::BlockComment(_) => (' ', c),
                Place::Text | Place::RawText(_) => (' ', ' '),
            };
            line.code.push(code);
            line.comment.push(comment);
        }
    }

    fn step(&mut self) {
        match self.place {
            Place::Code => self.step_code(),
            Place::LineComment => {
                let ends = self.starts("\n");
                self.take(1);
                if ends {
                    self.place = Place::Code;
                }
            }
            Place::BlockComment(depth) if self.starts("*/") => {
                self.take(2);
                self.place = match depth {
                    1 => Place::Code,
                    _ => Place::BlockComment(depth - 1),
                };
            }
            Place::BlockComment(depth) if self.starts("/*") => {
                self.take(2);
                self.place = Place::BlockComment(depth + 1);
            }
            Place::Text if self.starts("\\") => self.take(2),
            Place::Text if self.starts("\"") => self.end_text(1),
            Place::RawText(hashes) if self.closes(hashes) => self.end_text(1 + hashes),
            Place::BlockComment(_) | Place::Text | Place::RawText(_) => self.take(1),
        }
    }

    fn end_text(&mut self, count: usize) {
        self.place = Place::Code;
        self.take(count);
    }

    fn closes(&self, hashes: usize) -> bool {
        self.starts("\"") && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'))
    }

    fn step_code(&mut self) {
        if self.starts("//") {
            self.place = Place::LineComment;
        } else if self.starts("/*") {
            self.place = Place::BlockComment(1);
            self.take(2);
        } else if self.starts("\"") {
            self.take(1);
            self.place = Place::Text;
        } else if let Some(hashes) = self.opens_raw() {
            self.take(2 + hashes);
            self.place = Place::RawText(hashes);
        } else if self.starts("'") {
            self.take_character_or_lifetime();
        } else {
            self.take(1);
        }
    }

    /// At the `r` of a raw string: how many hashes follow.
    fn opens_raw(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).map(|at| self.chars[at]);
        let prefix = |c: char| matches!(c, 'b' | 'c');
        if !self.starts("r") || before.is_some_and(|c| is_word(c) && !prefix(c)) {
            return None;
        }
        let hashes = (1..).take_while(|&n| self.peek(n) == Some('#')).count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn take_character_or_lifetime(&mut self) {
        let length = match (self.peek(1), self.peek(2)) {
            (Some('\\'), _) => {
                let end = (3..).find(|&n| matches!(self.peek(n), Some('\'') | None));
                end.expect("the text ends") + 1
            }
            (Some(_), Some('\'')) => 3,
            _ => 1,
        };
        match length {
            1 => self.take(1),
            _ => {
                self.take(1);
                self.place = Place::Text;
                self.take(length - 2);
                self.end_text(1);
            }
        }
    }
}

/// Whether a character may stand in an identifier.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Byte positions at which `word` stands in `text` on its own.
pub(crate) fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let lines: Vec<String> = scan(text).into_iter().map(|line| line.code).collect();
        lines.join("\n").replace(' ', "")
    }

    fn comment(text: &str) -> String {
        let lines: Vec<String> = scan(text).into_iter().map(|line| line.comment).collect();
        lines.join("\n").trim().to_owned()
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a // b\nc /* d /* e */ f */ g"), "a\ncg");
        assert_eq!(comment("a // b"), "// b");
        assert_eq!(comment("x /* d\n*/"), "/* d\n*/".trim());
    }

    #[test]
    fn what_strings_hold_is_not_code() {
        assert_eq!(code(r#"f("unsafe // \" x", y)"#), r#"f("",y)"#);
        assert_eq!(
            code(r###"f(r#"a " b"#, br"c\", d)"###),
            r###"f(r#""#,br"",d)"###
        );
        assert_eq!(comment(r#"f("// no")"#), "");
    }

    #[test]
    fn characters_are_not_lifetimes() {
        assert_eq!(code("'\"' x '\\'' y 'z' <'a> '\\u{27}'"), "''x''y''<'a>''");
        assert_eq!(code("r#type"), "r#type");
    }

    #[test]
    fn lines_keep_their_numbers_across_long_strings() {
        let lines = scan("let a = \"x\ny\";\nlast");
        assert_eq!(lines[2].number, 3);
        assert_eq!(lines[2].code, "last");
    }

    #[test]
    fn words_stand_on_their_own() {
        assert_eq!(
            words("unsafe_code unsafe(x)", "unsafe").collect::<Vec<_>>(),
            [12]
        );
    }
}
