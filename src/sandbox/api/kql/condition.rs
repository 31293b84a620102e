//! The conditions of `where`: whether one holds for a row.

use super::Cell;
use std::cmp::Ordering;

/// What a row must fulfil.
#[derive(Debug)]
pub(super) enum Test {
    Any(Vec<Test>),
    All(Vec<Test>),
    Compare(usize, &'static str, Vec<Cell>),
}

impl Test {
    pub fn holds(&self, row: &[Cell]) -> bool {
        match self {
            Self::Any(tests) => tests.iter().any(|test| test.holds(row)),
            Self::All(tests) => tests.iter().all(|test| test.holds(row)),
            Self::Compare(column, sign, values) => row
                .get(*column)
                .is_some_and(|cell| compares(cell, sign, values)),
        }
    }
}

fn compares(cell: &Cell, sign: &str, values: &[Cell]) -> bool {
    let Some(value) = values.first() else {
        return false;
    };
    let lower = |cell: &Cell| match cell {
        Cell::Text(text) => text.to_lowercase(),
        _ => String::new(),
    };
    let order = cell.cmp(value);
    match sign {
        "==" => cell == value,
        "!=" => cell != value,
        "=~" => lower(cell) == lower(value),
        "!~" => lower(cell) != lower(value),
        "in" => values.contains(cell),
        "contains" => lower(cell).contains(&lower(value)),
        "startswith" => lower(cell).starts_with(&lower(value)),
        "has" => has(&lower(cell), &lower(value)),
        ">" => order == Ordering::Greater,
        ">=" => order != Ordering::Less,
        "<" => order == Ordering::Less,
        _ => order != Ordering::Greater,
    }
}

/// Whether the term stands in the text as a whole word.
fn has(text: &str, term: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.match_indices(term).any(|(at, _)| {
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(at + term.len()..);
        !part(before) && !part(after.and_then(|tail| tail.chars().next()))
    })
}
