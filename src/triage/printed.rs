//! Text from outside as a message shows it: one line, no longer than it may be,
//! and nothing in it that a reader does not see.

use std::borrow::Cow;
use std::ops::RangeInclusive;

/// One line of at most so many characters: blanks and control characters become
/// one blank, format characters go.
pub fn printed(text: &str, most: usize) -> String {
    let mut out = String::new();
    let mut count = 0;
    let mut blank = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            blank = !out.is_empty();
            continue;
        }
        if is_format(c) {
            continue;
        }
        if count + usize::from(blank) >= most {
            out.push('…');
            break;
        }
        if blank {
            out.push(' ');
            count += 1;
            blank = false;
        }
        out.push(c);
        count += 1;
    }
    out
}

/// A word out of an answer within a sentence of ours.
pub(super) fn word(text: &str) -> Cow<'_, str> {
    const MOST: usize = 120;
    let plain = |c: char| !(c.is_control() || is_format(c));
    match text.len() <= MOST && text.chars().all(plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(printed(text, MOST)),
    }
}

/// Whether it is one of Unicode's format characters (Cf), which turn the
/// direction of text, hide in it, or join what it is made of.
fn is_format(c: char) -> bool {
    const RANGES: [RangeInclusive<char>; 21] = [
        '\u{AD}'..='\u{AD}',
        '\u{600}'..='\u{605}',
        '\u{61C}'..='\u{61C}',
        '\u{6DD}'..='\u{6DD}',
        '\u{70F}'..='\u{70F}',
        '\u{890}'..='\u{891}',
        '\u{8E2}'..='\u{8E2}',
        '\u{180E}'..='\u{180E}',
        '\u{200B}'..='\u{200F}',
        '\u{202A}'..='\u{202E}',
        '\u{2060}'..='\u{2064}',
        '\u{2066}'..='\u{206F}',
        '\u{FEFF}'..='\u{FEFF}',
        '\u{FFF9}'..='\u{FFFB}',
        '\u{110BD}'..='\u{110BD}',
        '\u{110CD}'..='\u{110CD}',
        '\u{13430}'..='\u{1343F}',
        '\u{1BCA0}'..='\u{1BCA3}',
        '\u{1D173}'..='\u{1D17A}',
        '\u{E0001}'..='\u{E0001}',
        '\u{E0020}'..='\u{E007F}',
    ];
    RANGES.iter().any(|range| range.contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blanks_are_one_and_format_characters_go() {
        assert_eq!(printed(" a\r\n\t b\u{202E}c\u{2029}d ", 100), "a bc d");
        assert_eq!(printed("abc def", 3), "abc…");
        assert_eq!(printed("abc def", 7), "abc def");
        assert_eq!(word("a b\u{200F}"), "a b");
        assert!(word(&"x".repeat(1 << 20)).chars().count() <= 121);
    }

    proptest! {
        #[test]
        fn what_is_printed_is_one_visible_line_within_its_bound(text: String, most in 0usize..40) {
            let printed = printed(&text, most);
            prop_assert!(printed.chars().count() <= most + 1);
            prop_assert!(!printed.chars().any(|c| c.is_control() || is_format(c)));
            prop_assert!(!printed.chars().any(|c| c.is_whitespace() && c != ' '));
        }
    }
}
