//! Text in quotation marks, for errors.
//!
//! It looks as `{:?}` writes it, but for letters that are not ASCII: to know which of them can be printed
//! takes tables of Unicode, which are a burden in a module for JavaScript.

use core::fmt::{self, Write};

/// A text: `"alice"`.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

/// A character: `'7'`.
pub(crate) struct QuotedChar(pub(crate) char);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.0.chars().try_for_each(|letter| escape(f, letter, '"'))?;
        f.write_char('"')
    }
}

impl fmt::Display for QuotedChar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('\'')?;
        escape(f, self.0, '\'')?;
        f.write_char('\'')
    }
}

fn escape(f: &mut fmt::Formatter<'_>, letter: char, quote: char) -> fmt::Result {
    match letter.is_control() || letter == '\\' || letter == quote {
        true => letter.escape_default().try_for_each(|part| f.write_char(part)),
        false => f.write_char(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_debug_does_it() {
        for text in ["", "alice", "a \"b\" 'c' \\", "line\r\nnext\ttab", "\u{1b}[0m\u{7f}", "Käthe"]
        {
            assert_eq!(Quoted(text).to_string(), format!("{text:?}"));
        }
        for letter in ['x', '\'', '"', '\\', '\n', '\u{85}', 'ä'] {
            assert_eq!(QuotedChar(letter).to_string(), format!("{letter:?}"));
        }
    }
}
