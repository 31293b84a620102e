//! The part of OData that Defender's list calls answer: `$filter`.

use super::instants;
use serde_json::Value;

/// What is wrong with a filter, in the service's words.
#[derive(Debug, PartialEq, Eq)]
pub struct Bad(pub String);

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Compare { field: String, op: Op, to: Literal },
    In { field: String, values: Vec<Literal> },
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

#[derive(Debug, PartialEq)]
enum Literal {
    Text(String),
    Instant(i64),
    Null,
}

#[derive(Debug)]
pub struct Filter(Test);

impl Filter {
    /// `fields` are those the service can filter by.
    pub fn parse(text: &str, fields: &[&str]) -> Result<Self, Bad> {
        let mut words = words(text)?;
        words.reverse();
        let test = any(&mut words, fields)?;
        match words.pop() {
            None => Ok(Self(test)),
            Some(rest) => Err(Bad(format!("unexpected `{rest}` in the filter"))),
        }
    }

    /// `look` tells the value of a field of the object in question.
    pub fn takes(&self, look: &dyn Fn(&str) -> Value) -> bool {
        self.0.takes(look)
    }
}

impl Test {
    fn takes(&self, look: &dyn Fn(&str) -> Value) -> bool {
        match self {
            Test::All(parts) => parts.iter().all(|part| part.takes(look)),
            Test::Any(parts) => parts.iter().any(|part| part.takes(look)),
            Test::Not(part) => !part.takes(look),
            Test::In { field, values } => values.iter().any(|value| equal(&look(field), value)),
            Test::Compare { field, op, to } => {
                let value = look(field);
                match op {
                    Op::Eq => equal(&value, to),
                    Op::Ne => !equal(&value, to),
                    _ => {
                        let (Some(value), Literal::Instant(to)) = (instant(&value), to) else {
                            return false;
                        };
                        match op {
                            Op::Ge => value >= *to,
                            Op::Gt => value > *to,
                            Op::Le => value <= *to,
                            _ => value < *to,
                        }
                    }
                }
            }
        }
    }
}

fn instant(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| instants::parse(value.as_str()?))
}

fn equal(value: &Value, literal: &Literal) -> bool {
    match literal {
        Literal::Null => value.is_null(),
        Literal::Text(text) => value
            .as_str()
            .is_some_and(|value| value.eq_ignore_ascii_case(text)),
        Literal::Instant(at) => instant(value) == Some(*at),
    }
}

fn any(words: &mut Vec<String>, fields: &[&str]) -> Result<Test, Bad> {
    let mut parts = vec![all(words, fields)?];
    while words.last().is_some_and(|word| word == "or") {
        words.pop();
        parts.push(all(words, fields)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Test::Any(parts)
    })
}

fn all(words: &mut Vec<String>, fields: &[&str]) -> Result<Test, Bad> {
    let mut parts = vec![one(words, fields)?];
    while words.last().is_some_and(|word| word == "and") {
        words.pop();
        parts.push(one(words, fields)?);
    }
    Ok(if parts.len() == 1 {
        parts.remove(0)
    } else {
        Test::All(parts)
    })
}

fn one(words: &mut Vec<String>, fields: &[&str]) -> Result<Test, Bad> {
    match next(words)?.as_str() {
        "not" => Ok(Test::Not(Box::new(one(words, fields)?))),
        "(" => {
            let test = any(words, fields)?;
            close(words)?;
            Ok(test)
        }
        field if fields.contains(&field) => {
            let field = field.to_owned();
            let op = match next(words)?.as_str() {
                "eq" => Op::Eq,
                "ne" => Op::Ne,
                "ge" => Op::Ge,
                "gt" => Op::Gt,
                "le" => Op::Le,
                "lt" => Op::Lt,
                "in" => {
                    if next(words)? != "(" {
                        return Err(Bad("`in` wants a list".into()));
                    }
                    let mut values = vec![literal(&next(words)?)?];
                    while words.last().is_some_and(|word| word == ",") {
                        words.pop();
                        values.push(literal(&next(words)?)?);
                    }
                    close(words)?;
                    return Ok(Test::In { field, values });
                }
                other => return Err(Bad(format!("unknown operator `{other}`"))),
            };
            let to = literal(&next(words)?)?;
            Ok(Test::Compare { field, op, to })
        }
        other => Err(Bad(format!(
            "Could not find a filterable property named '{other}'"
        ))),
    }
}

fn close(words: &mut Vec<String>) -> Result<(), Bad> {
    match next(words)?.as_str() {
        ")" => Ok(()),
        other => Err(Bad(format!("expected `)`, got `{other}`"))),
    }
}

fn next(words: &mut Vec<String>) -> Result<String, Bad> {
    words
        .pop()
        .ok_or_else(|| Bad("the filter ends early".into()))
}

fn literal(word: &str) -> Result<Literal, Bad> {
    if word == "null" {
        return Ok(Literal::Null);
    }
    if let Some(text) = word.strip_prefix('\'') {
        return Ok(Literal::Text(text.to_owned()));
    }
    instants::parse(word)
        .map(Literal::Instant)
        .ok_or_else(|| Bad(format!("`{word}` is no literal")))
}

/// Words, parentheses, commas; a quoted text comes as `'text`, unescaped.
fn words(text: &str) -> Result<Vec<String>, Bad> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(start) = chars.next() {
        match start {
            ' ' => {}
            '(' | ')' | ',' => words.push(start.to_string()),
            '\'' => {
                let mut word = String::from("'");
                loop {
                    match chars.next() {
                        Some('\'') if chars.peek() == Some(&'\'') => {
                            chars.next();
                            word.push('\'');
                        }
                        Some('\'') => break,
                        Some(other) => word.push(other),
                        None => return Err(Bad("a text has no end".into())),
                    }
                }
                words.push(word);
            }
            _ => {
                let mut word = start.to_string();
                while let Some(other) = chars.next_if(|c| !" (),'".contains(*c)) {
                    word.push(other);
                }
                words.push(word);
            }
        }
    }
    Ok(words)
}

#[test]
fn a_filter_takes_what_it_says() {
    let fields = ["at", "severity"];
    let object = |field: &str| match field {
        "at" => Value::from(instants::parse("2026-01-01T00:00:00.12Z").unwrap()),
        _ => Value::from("high"),
    };
    for (text, taken) in [
        (
            "at ge 2026-01-01T00:00:00.1200000Z and at lt 2026-01-01T00:00:00.123Z",
            true,
        ),
        ("at gt 2026-01-01T00:00:00.12Z", false),
        ("at ge 2026-01-01T00:00:00Z and severity eq 'high'", true),
        (
            "(severity eq 'low' or severity eq 'high') and not (severity eq 'low')",
            true,
        ),
        ("severity in ('low','medium')", false),
        ("severity ne 'high'", false),
    ] {
        assert_eq!(
            Filter::parse(text, &fields).unwrap().takes(&object),
            taken,
            "{text}"
        );
    }
    for text in [
        "title eq 'x'",
        "at ge",
        "at ge '",
        "at eq 2026-01-01T00:00:00Z or",
        ")",
    ] {
        assert!(Filter::parse(text, &fields).is_err(), "{text}");
    }
}
