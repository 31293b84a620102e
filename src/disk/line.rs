//! One line of a log: whatever others put into it, it stays one line, is no
//! longer than a line may be, and shows what is in it.

use std::fmt;

/// Most bytes a line holds, its end among them.
const LONGEST: usize = 8 * 1024;
/// Room for level, time, the mark of a cut and the line's end.
const MARK: usize = 128;

/// Text for a log.
#[derive(Debug)]
pub struct Line {
    text: String,
    most: usize,
    left_out: usize,
}

impl Line {
    /// As long as a line may be.
    pub fn new() -> Self {
        Self::of_at_most(LONGEST - MARK)
    }

    /// Part of a line.
    pub fn of_at_most(most: usize) -> Self {
        Self {
            text: String::new(),
            most,
            left_out: 0,
        }
    }

    /// Adds words, as far as there is room.
    pub fn say(&mut self, words: fmt::Arguments<'_>) {
        // A line takes what it is given; who cannot say it whole is cut there.
        fmt::Write::write_fmt(self, words).ok();
    }

    /// Nothing follows once something was left out.
    fn push(&mut self, character: char, shown: &str) {
        if self.left_out == 0 && self.text.len() + shown.len() <= self.most {
            self.text.push_str(shown);
        } else {
            self.left_out += character.len_utf8();
        }
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, words: &str) -> fmt::Result {
        for character in words.chars() {
            if character.is_control() {
                self.push(character, " ");
            } else if is_unseen(character) {
                self.push(character, &character.escape_unicode().to_string());
            } else {
                self.push(character, character.encode_utf8(&mut [0; 4]));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, shown: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown.write_str(&self.text)?;
        match self.left_out {
            0 => Ok(()),
            bytes => write!(shown, "… ({bytes} bytes more)"),
        }
    }
}

/// Characters that have no look of their own but change that of others: Unicode
/// 17's format characters (Cf), line and paragraph separator.
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{AD}'
            | '\u{600}'..='\u{605}'
            | '\u{61C}'
            | '\u{6DD}'
            | '\u{70F}'
            | '\u{890}'..='\u{891}'
            | '\u{8E2}'
            | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{206F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{110BD}'
            | '\u{110CD}'
            | '\u{13430}'..='\u{1343F}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0001}'
            | '\u{E0020}'..='\u{E007F}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> String {
        let mut line = Line::new();
        line.say(format_args!("{text}"));
        line.to_string()
    }

    #[test]
    fn text_stays_on_one_line() {
        assert_eq!(line("first\nsecond\r\u{7}third"), "first second  third");
        assert_eq!(line("a\u{2028}b\u{85}c"), "a\\u{2028}b c");
    }

    #[test]
    fn what_turns_text_around_or_hides_in_it_is_shown() {
        assert_eq!(line("alert\u{202E}gpj.exe"), "alert\\u{202e}gpj.exe");
        assert_eq!(
            line("\u{FEFF}a\u{200B}b\u{2066}c"),
            "\\u{feff}a\\u{200b}b\\u{2066}c"
        );
        assert_eq!(line("tag\u{E0041}"), "tag\\u{e0041}");
    }

    #[test]
    fn scripts_of_the_world_stay_as_they_are() {
        for text in ["Größe", "e\u{301}", "日本語", "हिन्दी", "العربية", "🛡️"]
        {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn a_cut_says_how_much_is_missing_and_nothing_follows_it() {
        let mut line = Line::of_at_most(4);
        line.say(format_args!("abcü"));
        line.say(format_args!("d"));
        assert_eq!(line.to_string(), "abc… (3 bytes more)");
    }

    #[test]
    fn a_text_of_megabytes_makes_a_line_of_kilobytes() {
        for unit in ["x", "\u{202E}", "ü", "\n"] {
            let text = unit.repeat(3_000_000);
            let line = line(&text);
            assert!(line.len() < LONGEST, "{}", line.len());
            assert!(line.ends_with("bytes more)"), "{}", line.len());
        }
    }

    #[test]
    fn every_unseen_character_is_one_that_rust_does_not_print_either() {
        let unseen = (0..=u32::from(char::MAX)).filter_map(char::from_u32);
        let unseen: Vec<char> = unseen.filter(|character| is_unseen(*character)).collect();
        assert_eq!(unseen.len(), 172);
        for character in unseen {
            let shown = character.escape_debug().to_string();
            assert!(shown.starts_with("\\u{"), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_short_line(text in "\\PC{0,40}|.{0,40}", times in 1usize..2000) {
            let line = line(&text.repeat(times));
            prop_assert!(line.len() < LONGEST);
            prop_assert!(!line.chars().any(|c| c.is_control() || is_unseen(c)));
        }
    }
}
