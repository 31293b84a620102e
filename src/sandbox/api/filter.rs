//! The part of OData's `$filter` language that the list calls document:
//! `eq ne gt ge lt le`, `and or not`, parentheses, quoted text, bare instants.

use crate::sandbox::Family;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::vocabulary::List;
use std::ops::Bound;

/// A property that can stand in a filter, whatever a family calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Field {
    Id,
    Incident,
    Investigation,
    Created,
    Updated,
    LastEvent,
    Status,
    Severity,
    Classification,
    Determination,
    ServiceSource,
    DetectionSource,
    Category,
    AssignedTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    Text,
    Number,
    Instant,
    Word(List),
}

/// What one list call lets one filter on.
pub(in crate::sandbox) struct Grammar {
    pub(in crate::sandbox) family: Family,
    pub(in crate::sandbox) fields: &'static [(&'static str, Field, Kind)],
}

/// A property's value on one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Value<'a> {
    Null,
    Text(&'a str),
    Number(i64),
    Instant(Ticks),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Operator {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Literal {
    Null,
    Text(String),
    Number(i64),
    Instant(Ticks),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    Compare(Field, Operator, Literal),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(in crate::sandbox) enum FilterError {
    #[error("Syntax error at position {0} in '{1}'.")]
    Syntax(usize, String),
    #[error("Could not find a property named '{0}' on the type, or it cannot be used in $filter.")]
    Property(String),
    #[error(
        "A binary operator with incompatible types was detected. '{0}' does not fit property '{1}'."
    )]
    Type(String, &'static str),
    #[error("The recursion limit has been reached.")]
    Depth,
}

/// Deeper nesting is refused, as OData's own parser does.
const DEPTH: usize = 100;

impl Filter {
    /// The filter a list call asks for, if any.
    pub(in crate::sandbox) fn asked(
        text: Option<&str>,
        grammar: &Grammar,
    ) -> Result<Option<Self>, FilterError> {
        text.map(|text| Self::parse(text, grammar)).transpose()
    }

    pub(in crate::sandbox) fn parse(text: &str, grammar: &Grammar) -> Result<Self, FilterError> {
        let mut parser = Parser {
            text,
            at: 0,
            grammar,
        };
        let filter = parser.or(0)?;
        match parser.next() {
            None => Ok(filter),
            Some(_) => Err(parser.syntax()),
        }
    }

    pub(in crate::sandbox) fn holds<'a>(&self, value: &impl Fn(Field) -> Value<'a>) -> bool {
        match self {
            Self::And(left, right) => left.holds(value) && right.holds(value),
            Self::Or(left, right) => left.holds(value) || right.holds(value),
            Self::Not(inner) => !inner.holds(value),
            Self::Compare(field, operator, literal) => compare(value(*field), *operator, literal),
        }
    }

    /// The instants of last update outside which nothing can pass.
    pub(in crate::sandbox) fn updated(&self) -> (Bound<Ticks>, Bound<Ticks>) {
        match self {
            Self::And(left, right) => {
                let (left, right) = (left.updated(), right.updated());
                (higher(left.0, right.0), lower(left.1, right.1))
            }
            Self::Compare(Field::Updated, operator, Literal::Instant(at)) => match operator {
                Operator::Eq => (Bound::Included(*at), Bound::Included(*at)),
                Operator::Gt => (Bound::Excluded(*at), Bound::Unbounded),
                Operator::Ge => (Bound::Included(*at), Bound::Unbounded),
                Operator::Lt => (Bound::Unbounded, Bound::Excluded(*at)),
                Operator::Le => (Bound::Unbounded, Bound::Included(*at)),
                Operator::Ne => (Bound::Unbounded, Bound::Unbounded),
            },
            _ => (Bound::Unbounded, Bound::Unbounded),
        }
    }
}

fn higher(one: Bound<Ticks>, two: Bound<Ticks>) -> Bound<Ticks> {
    pick(one, two, |a, b| a > b)
}

fn lower(one: Bound<Ticks>, two: Bound<Ticks>) -> Bound<Ticks> {
    pick(one, two, |a, b| a < b)
}

/// The tighter of two bounds.
fn pick(
    one: Bound<Ticks>,
    two: Bound<Ticks>,
    tighter: impl Fn(Ticks, Ticks) -> bool,
) -> Bound<Ticks> {
    let at = |bound| match bound {
        Bound::Included(at) | Bound::Excluded(at) => Some(at),
        Bound::Unbounded => None,
    };
    match (at(one), at(two)) {
        (None, _) => two,
        (_, None) => one,
        (Some(a), Some(b)) if a == b => {
            if matches!(one, Bound::Excluded(_)) {
                one
            } else {
                two
            }
        }
        (Some(a), Some(b)) => {
            if tighter(a, b) {
                one
            } else {
                two
            }
        }
    }
}

fn compare(value: Value<'_>, operator: Operator, literal: &Literal) -> bool {
    let order = match (value, literal) {
        (Value::Null, Literal::Null) => return operator == Operator::Eq,
        (Value::Text(value), Literal::Text(literal)) => value.cmp(literal.as_str()),
        (Value::Number(value), Literal::Number(literal)) => value.cmp(literal),
        (Value::Instant(value), Literal::Instant(literal)) => value.cmp(literal),
        // null against a value: different, and no order between them.
        _ => return operator == Operator::Ne,
    };
    match operator {
        Operator::Eq => order.is_eq(),
        Operator::Ne => order.is_ne(),
        Operator::Gt => order.is_gt(),
        Operator::Ge => order.is_ge(),
        Operator::Lt => order.is_lt(),
        Operator::Le => order.is_le(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    Quoted(String),
    Bare(&'t str),
}

struct Parser<'t, 'g> {
    text: &'t str,
    at: usize,
    grammar: &'g Grammar,
}

impl<'t> Parser<'t, '_> {
    fn syntax(&self) -> FilterError {
        FilterError::Syntax(self.at, self.text.to_owned())
    }

    fn peek(&self) -> Option<(Token<'t>, usize)> {
        let rest = self.text.get(self.at..)?;
        let trimmed = rest.trim_start_matches([' ', '\t']);
        let start = self.at + rest.len() - trimmed.len();
        let first = trimmed.chars().next()?;
        match first {
            '(' => Some((Token::Open, start + 1)),
            ')' => Some((Token::Close, start + 1)),
            '\'' => {
                // A quote inside is written twice.
                let mut text = String::new();
                let mut chars = trimmed.char_indices().skip(1).peekable();
                while let Some((at, c)) = chars.next() {
                    if c != '\'' {
                        text.push(c);
                    } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                        text.push('\'');
                    } else {
                        return Some((Token::Quoted(text), start + at + 1));
                    }
                }
                None
            }
            _ => {
                let length = trimmed
                    .find([' ', '\t', '(', ')', '\''])
                    .unwrap_or(trimmed.len());
                Some((Token::Bare(trimmed.get(..length)?), start + length))
            }
        }
    }

    fn next(&mut self) -> Option<Token<'t>> {
        match self.peek() {
            Some((token, at)) => {
                self.at = at;
                Some(token)
            }
            // An unclosed quote is no token, yet something is left.
            None if self
                .text
                .get(self.at..)
                .is_some_and(|rest| !rest.trim().is_empty()) =>
            {
                self.at = self.text.len();
                Some(Token::Bare(""))
            }
            None => None,
        }
    }

    fn eat(&mut self, word: &str) -> bool {
        match self.peek() {
            Some((Token::Bare(found), at)) if found == word => {
                self.at = at;
                true
            }
            _ => false,
        }
    }

    fn or(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut left = self.and(depth)?;
        while self.eat("or") {
            left = Filter::Or(Box::new(left), Box::new(self.and(depth)?));
        }
        Ok(left)
    }

    fn and(&mut self, depth: usize) -> Result<Filter, FilterError> {
        let mut left = self.unary(depth)?;
        while self.eat("and") {
            left = Filter::And(Box::new(left), Box::new(self.unary(depth)?));
        }
        Ok(left)
    }

    fn unary(&mut self, depth: usize) -> Result<Filter, FilterError> {
        if depth > DEPTH {
            return Err(FilterError::Depth);
        }
        if self.eat("not") {
            return Ok(Filter::Not(Box::new(self.unary(depth + 1)?)));
        }
        match self.next() {
            Some(Token::Open) => {
                let inner = self.or(depth + 1)?;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err(self.syntax()),
                }
            }
            Some(Token::Bare(name)) if !name.is_empty() => self.comparison(name),
            _ => Err(self.syntax()),
        }
    }

    fn comparison(&mut self, name: &str) -> Result<Filter, FilterError> {
        let &(name, field, kind) = self
            .grammar
            .fields
            .iter()
            .find(|(known, ..)| *known == name)
            .ok_or_else(|| FilterError::Property(name.to_owned()))?;
        let operator = match self.next() {
            Some(Token::Bare("eq")) => Operator::Eq,
            Some(Token::Bare("ne")) => Operator::Ne,
            Some(Token::Bare("gt")) => Operator::Gt,
            Some(Token::Bare("ge")) => Operator::Ge,
            Some(Token::Bare("lt")) => Operator::Lt,
            Some(Token::Bare("le")) => Operator::Le,
            _ => return Err(self.syntax()),
        };
        let family = self.grammar.family;
        let wrong = |text: &str| FilterError::Type(text.to_owned(), name);
        let literal = match self.next() {
            Some(Token::Bare("null")) => Literal::Null,
            Some(Token::Quoted(text)) => match kind {
                Kind::Text => Literal::Text(text),
                Kind::Word(list) => {
                    let word = list
                        .read(family, &text, false)
                        .or_else(|| list.read(family, &text, true));
                    Literal::Text(word.ok_or_else(|| wrong(&text))?.to_owned())
                }
                Kind::Number | Kind::Instant => return Err(wrong(&text)),
            },
            Some(Token::Bare(text)) if !text.is_empty() => match kind {
                Kind::Number => Literal::Number(text.parse().map_err(|_| wrong(text))?),
                Kind::Instant => Literal::Instant(Ticks::parse(text).ok_or_else(|| wrong(text))?),
                Kind::Text | Kind::Word(_) => return Err(wrong(text)),
            },
            _ => return Err(self.syntax()),
        };
        Ok(Filter::Compare(field, operator, literal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GRAMMAR: Grammar = Grammar {
        family: Family::Mde,
        fields: &[
            ("lastUpdateTime", Field::Updated, Kind::Instant),
            ("status", Field::Status, Kind::Word(List::AlertStatus)),
            ("incidentId", Field::Incident, Kind::Number),
            ("assignedTo", Field::AssignedTo, Kind::Text),
        ],
    };

    fn parse(text: &str) -> Result<Filter, FilterError> {
        Filter::parse(text, &GRAMMAR)
    }

    fn holds(text: &str) -> bool {
        parse(text).unwrap().holds(&|field| match field {
            Field::Updated => Value::Instant(Ticks::parse("2026-11-21T10:00:00.1234567Z").unwrap()),
            Field::Status => Value::Text("inProgress"),
            Field::Incident => Value::Number(42),
            _ => Value::Null,
        })
    }

    #[test]
    fn comparisons_and_their_combinations_hold_as_in_odata() {
        for text in [
            "lastUpdateTime ge 2026-11-21T10:00:00.1234567Z and lastUpdateTime lt 2026-11-21T10:00:00.1234568Z",
            "status eq 'InProgress'",
            "not (status eq 'New') and incidentId eq 42",
            "status eq 'New' and incidentId eq 1 or incidentId ge 42",
            "assignedTo eq null",
            "assignedTo ne 'o''brien@contoso.com'",
            "(((incidentId le 42)))",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "lastUpdateTime gt 2026-11-21T10:00:00.1234567Z",
            "status eq 'New' and (incidentId eq 1 or incidentId eq 42)",
            "assignedTo eq 'a'",
            "assignedTo gt 'a'",
            "not not status ne 'InProgress'",
        ] {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn what_the_documentation_does_not_offer_is_refused() {
        for text in [
            "",
            "title eq 'x'",
            "status eq 'inProgress'",
            "status eq New",
            "lastUpdateTime ge '2026-11-21T10:00:00Z'",
            "lastUpdateTime ge 2026-11-21",
            "status eq 'New",
            "(status eq 'New'",
            "status eq 'New')",
            "status eq 'New' and",
            "status in ('New')",
            "contains(status,'New')",
            "status = 'New'",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = format!("{}status eq 'New'{}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(parse(&deep), Err(FilterError::Depth));
        assert_eq!(parse(&"not ".repeat(5000)), Err(FilterError::Depth));
    }

    #[test]
    fn a_window_of_last_update_is_seen_through_and() {
        let at = |text| Ticks::parse(text).unwrap();
        let window = parse(
            "status eq 'New' and lastUpdateTime ge 2026-11-20T00:00:00Z and (lastUpdateTime lt 2026-11-21T00:00:00Z)",
        );
        assert_eq!(
            window.unwrap().updated(),
            (
                Bound::Included(at("2026-11-20T00:00:00Z")),
                Bound::Excluded(at("2026-11-21T00:00:00Z"))
            )
        );
        let either = parse("lastUpdateTime ge 2026-11-20T00:00:00Z or status eq 'New'");
        assert_eq!(
            either.unwrap().updated(),
            (Bound::Unbounded, Bound::Unbounded)
        );
    }

    fn written(filter: &Filter) -> String {
        let name = |field: &Field| {
            GRAMMAR
                .fields
                .iter()
                .find(|(_, f, _)| f == field)
                .unwrap()
                .0
        };
        match filter {
            Filter::And(a, b) => format!("({} and {})", written(a), written(b)),
            Filter::Or(a, b) => format!("({} or {})", written(a), written(b)),
            Filter::Not(a) => format!("not ({})", written(a)),
            Filter::Compare(field, operator, literal) => {
                let literal = match literal {
                    Literal::Null => "null".to_owned(),
                    Literal::Text(text) if *field == Field::Status => {
                        format!("'{}'", List::AlertStatus.spell(Family::Mde, text))
                    }
                    Literal::Text(text) => format!("'{}'", text.replace('\'', "''")),
                    Literal::Number(n) => n.to_string(),
                    Literal::Instant(at) => at.to_string(),
                };
                let operator = format!("{operator:?}").to_lowercase();
                format!("{} {operator} {literal}", name(field))
            }
        }
    }

    fn comparison() -> impl Strategy<Value = Filter> {
        let operator = prop_oneof![
            Just(Operator::Eq),
            Just(Operator::Ne),
            Just(Operator::Gt),
            Just(Operator::Ge),
            Just(Operator::Lt),
            Just(Operator::Le)
        ];
        let right = prop_oneof![
            (0..40_000_000_000_000_000i64)
                .prop_map(|t| (Field::Updated, Literal::Instant(Ticks(t)))),
            any::<i64>().prop_map(|n| (Field::Incident, Literal::Number(n))),
            "[a-z' ()é]{0,9}".prop_map(|t| (Field::AssignedTo, Literal::Text(t))),
            Just((Field::AssignedTo, Literal::Null)),
            Just((Field::Status, Literal::Text("inProgress".into()))),
        ];
        (operator, right)
            .prop_map(|(operator, (field, literal))| Filter::Compare(field, operator, literal))
    }

    fn tree() -> impl Strategy<Value = Filter> {
        comparison().prop_recursive(4, 24, 2, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::And(a.into(), b.into())),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::Or(a.into(), b.into())),
                inner.prop_map(|a| Filter::Not(a.into())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_written_filter_is_read_as_it_was_meant(filter in tree()) {
            let text = written(&filter);
            prop_assert_eq!(parse(&text), Ok(filter), "{}", text);
        }

        #[test]
        fn the_window_never_cuts_off_what_passes(filter in tree(), at in 0..40_000_000_000_000_000i64) {
            let row = |field| match field {
                Field::Updated => Value::Instant(Ticks(at)),
                Field::Incident => Value::Number(at),
                Field::Status => Value::Text("new"),
                _ => Value::Null,
            };
            if filter.holds(&row) {
                use std::ops::RangeBounds;
                prop_assert!(filter.updated().contains(&Ticks(at)));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}", words in proptest::collection::vec("(status|eq|not|and|or|\\(|\\)|'|null|lastUpdateTime| )", 0..20)) {
            let _one = parse(&text);
            let _two = parse(&words.join(" "));
        }
    }
}
