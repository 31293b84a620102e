//! Words, texts, numbers and signs of a query.

use super::{Fault, UNRECOGNISED};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(i64),
    Span(Duration),
    Sign(&'static str),
}

const SIGNS: [&str; 14] = [
    "==", "!=", "=~", "!~", ">=", "<=", "|", "(", ")", ",", "=", ">", "<", ";",
];

pub(super) fn tokens(query: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' || first == '\'' {
            let inner = rest.get(1..).unwrap_or_default();
            let end = inner.find(first).ok_or(UNRECOGNISED)?;
            let text = inner.get(..end).unwrap_or_default();
            // Escapes are a part of the language left out here.
            if text.contains(['\\', '\n']) {
                return Err(UNRECOGNISED);
            }
            tokens.push(Token::Text(text.to_owned()));
            end + 2
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            sign.len()
        } else {
            // The inside of `datetime(2026-11-21T00:00:00Z)` needs these too.
            let part = |c: char| c.is_alphanumeric() || "_-:.".contains(c);
            let length = rest.find(|c: char| !part(c)).unwrap_or(rest.len());
            let word = rest.get(..length).filter(|word| !word.is_empty());
            tokens.push(word.map(plain).ok_or(UNRECOGNISED)?);
            length
        };
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

/// A number, a time span such as `7d`, or a word.
fn plain(text: &str) -> Token {
    if let Ok(number) = text.parse() {
        return Token::Number(number);
    }
    let seconds = |unit: &str, seconds: u64| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(seconds)?))
    };
    let span = seconds("d", 86_400).or_else(|| seconds("h", 3600));
    let span = span
        .or_else(|| seconds("m", 60))
        .or_else(|| seconds("s", 1));
    span.map_or_else(|| Token::Word(text.to_owned()), Token::Span)
}
