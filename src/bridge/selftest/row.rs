//! One row of the report, made fit for others to read.

use std::fmt::Display;

/// Characters of one cell.
const LONGEST: usize = 700;

/// How a contract turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Unexpected,
    /// The answer does not show it.
    Unknown,
    /// Nobody answered.
    NotReached,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unexpected => "unexpected",
            Self::Unknown => "unknown",
            Self::NotReached => "not_reached",
        }
    }
}

/// One contract.
#[derive(Debug, Clone)]
pub struct Row {
    pub contract: &'static str,
    pub outcome: Outcome,
    found: String,
    expected: String,
    what_to_do: String,
}

impl Row {
    pub const fn new(contract: &'static str, outcome: Outcome) -> Self {
        Self {
            contract,
            outcome,
            found: String::new(),
            expected: String::new(),
            what_to_do: String::new(),
        }
    }

    pub const fn judged(contract: &'static str, well: bool) -> Self {
        let outcome = match well {
            true => Outcome::Ok,
            false => Outcome::Unexpected,
        };
        Self::new(contract, outcome)
    }

    pub fn not_reached(contract: &'static str, why: &impl Display) -> Self {
        Self::new(contract, Outcome::NotReached)
            .found(why.to_string())
            .expected("an answer")
            .what_to_do(
                "run the self-test again; if it stays so, splunkd.log of this time says more",
            )
    }

    pub fn found(self, found: impl Into<String>) -> Self {
        Self {
            found: found.into(),
            ..self
        }
    }

    pub fn expected(self, expected: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            ..self
        }
    }

    pub fn what_to_do(self, what_to_do: impl Into<String>) -> Self {
        Self {
            what_to_do: what_to_do.into(),
            ..self
        }
    }

    /// Contract, result, found, expected, what to do (empty where all is well), with the
    /// struck words replaced.
    pub fn cells(&self, struck: &[(&str, &str)]) -> [String; 5] {
        let shown = |text: &str| {
            let mut text: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            for (word, instead) in struck {
                text = without(&text, word, instead);
            }
            text.chars().take(LONGEST).collect::<String>()
        };
        let what_to_do = match self.outcome {
            Outcome::Ok => String::new(),
            _ => shown(&self.what_to_do),
        };
        [
            self.contract.to_owned(),
            self.outcome.as_str().to_owned(),
            shown(&self.found),
            shown(&self.expected),
            what_to_do,
        ]
    }
}

/// The text with `instead` in place of the word, where it is a word of its own.
fn without(text: &str, word: &str, instead: &str) -> String {
    if word.is_empty() {
        return text.to_owned();
    }
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(word) {
        shown.push_str(before);
        let joined = shown.chars().next_back().is_some_and(of_word)
            && word.chars().next().is_some_and(of_word)
            || after.chars().next().is_some_and(of_word)
                && word.chars().next_back().is_some_and(of_word);
        shown.push_str(if joined { word } else { instead });
        rest = after;
    }
    shown.push_str(rest);
    shown
}
