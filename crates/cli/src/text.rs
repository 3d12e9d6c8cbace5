//! Text from elsewhere, made fit for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Writes control characters as JSON does, lines' ends apart: what others publish must not drive this terminal. Text that
/// is JSON stays the same JSON.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let mut fit = String::with_capacity(text.len());
    for character in text.chars() {
        if is_unfit(character) {
            // Writing to a String cannot fail. All that is unfit is below U+10000.
            let _ = write!(fit, "\\u{:04x}", u32::from(character));
        } else {
            fit.push(character);
        }
    }
    Cow::Owned(fit)
}

/// Control characters, and those that turn the direction of the text around them.
fn is_unfit(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_written_out() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}31m\u{7f}\u{202e}"), "a\\u001b[2Jb\\u009b31m\\u007f\\u202e");
        assert_eq!(printable("\r\t"), "\\u000d\\u0009");
    }

    #[test]
    fn everything_else_stays() {
        for text in ["", "{\"a\":\"ä…🎉\"}", "two\nlines"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
    }
}
