//! A small, honest part of the Kusto Query Language: one table, and the steps
//! `where`, `project`, `take`, `count`, `summarize count()` and `sort by`. What
//! it does not know it refuses in the service's words; it never guesses.

mod condition;
#[cfg(test)]
mod tests;
mod tokens;

use crate::sandbox::tenant::instant::Ticks;
use condition::Test;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tokens::{Token, tokens};

/// Most rows of an answer.
const MOST: usize = 100_000;
/// Brackets within brackets.
const DEPTH: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    DateTime,
    String,
    Int64,
}

impl Kind {
    pub(in crate::sandbox) const fn name(self) -> &'static str {
        match self {
            Self::DateTime => "DateTime",
            Self::String => "String",
            Self::Int64 => "Int64",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::sandbox) enum Cell {
    Null,
    Number(i64),
    Time(Ticks),
    Text(String),
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[derive(Debug, Default)]
pub(in crate::sandbox) struct Table {
    pub(in crate::sandbox) columns: Vec<(String, Kind)>,
    pub(in crate::sandbox) rows: Vec<Vec<Cell>>,
}

/// Why a query is not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Fault {
    Syntax(&'static str),
    /// The step at fault, and what is wrong with it.
    Semantic(&'static str, String),
}

impl Fault {
    pub(in crate::sandbox) fn message(&self) -> String {
        match self {
            // The service writes both full stops.
            Self::Syntax(what) => format!("{what}. Fix syntax errors in your query."),
            Self::Semantic(step, what) => {
                format!("'{step}' operator: {what}. Fix semantic errors in your query.")
            }
        }
    }
}

const UNRECOGNISED: Fault = Fault::Syntax("A recognition error occurred.");
const NO_OPERATOR: Fault = Fault::Syntax("Query operator expected.");
const INCOMPLETE: Fault = Fault::Syntax("The incomplete fragment is unexpected");

struct Reader {
    tokens: std::vec::IntoIter<Token>,
    now: Ticks,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.as_slice().first()
    }

    fn takes(&mut self, sign: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        there && self.tokens.next().is_some()
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let there = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        there && self.tokens.next().is_some()
    }

    fn sign(&mut self, sign: &str) -> Result<(), Fault> {
        self.takes(sign).then_some(()).ok_or(UNRECOGNISED)
    }

    fn word(&mut self) -> Result<String, Fault> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            Some(_) => Err(UNRECOGNISED),
            None => Err(INCOMPLETE),
        }
    }

    fn number(&mut self) -> Result<usize, Fault> {
        match self.tokens.next() {
            Some(Token::Number(number)) => usize::try_from(number).map_err(|_| UNRECOGNISED),
            Some(_) => Err(UNRECOGNISED),
            None => Err(INCOMPLETE),
        }
    }

    fn column(&mut self, table: &Table, step: &'static str) -> Result<usize, Fault> {
        let name = self.word()?;
        table.place(&name).ok_or_else(|| unresolved(step, &name))
    }

    fn columns(&mut self, table: &Table, step: &'static str) -> Result<Vec<usize>, Fault> {
        let mut columns = vec![self.column(table, step)?];
        while self.takes(",") {
            columns.push(self.column(table, step)?);
        }
        Ok(columns)
    }

    fn any(&mut self, table: &Table, depth: usize) -> Result<Test, Fault> {
        let mut tests = vec![self.all(table, depth)?];
        while self.takes_word("or") {
            tests.push(self.all(table, depth)?);
        }
        Ok(Test::Any(tests))
    }

    fn all(&mut self, table: &Table, depth: usize) -> Result<Test, Fault> {
        let mut tests = vec![self.test(table, depth)?];
        while self.takes_word("and") {
            tests.push(self.test(table, depth)?);
        }
        Ok(Test::All(tests))
    }

    fn test(&mut self, table: &Table, depth: usize) -> Result<Test, Fault> {
        if self.takes("(") {
            if depth == 0 {
                return Err(UNRECOGNISED);
            }
            let test = self.any(table, depth - 1)?;
            self.sign(")")?;
            return Ok(test);
        }
        let column = self.column(table, "where")?;
        let sign = match self.tokens.next() {
            Some(Token::Sign(sign)) if !matches!(sign, "|" | "(" | ")" | "," | "=" | ";") => sign,
            Some(Token::Word(word)) => ["in", "contains", "startswith", "has"]
                .into_iter()
                .find(|known| *known == word)
                .ok_or(UNRECOGNISED)?,
            Some(_) => return Err(UNRECOGNISED),
            None => return Err(INCOMPLETE),
        };
        let mut values = Vec::new();
        if sign == "in" {
            self.sign("(")?;
            values.push(self.value()?);
            while self.takes(",") {
                values.push(self.value()?);
            }
            self.sign(")")?;
        } else {
            values.push(self.value()?);
        }
        let kind = table.columns.get(column).map(|(_, kind)| *kind);
        let fits = |value: &Cell| match value {
            Cell::Text(_) => kind == Some(Kind::String),
            Cell::Number(_) => kind == Some(Kind::Int64),
            Cell::Time(_) => kind == Some(Kind::DateTime),
            Cell::Null => false,
        };
        let textual = matches!(sign, "=~" | "!~" | "contains" | "startswith" | "has");
        if !values.iter().all(fits) || (textual && kind != Some(Kind::String)) {
            let what = format!("Cannot compare values of different types with '{sign}'");
            return Err(Fault::Semantic("where", what));
        }
        Ok(Test::Compare(column, sign, values))
    }

    fn value(&mut self) -> Result<Cell, Fault> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Cell::Text(text)),
            Some(Token::Number(number)) => Ok(Cell::Number(number)),
            Some(Token::Word(word)) if word == "now" => {
                self.sign("(")?;
                self.sign(")")?;
                Ok(Cell::Time(self.now))
            }
            Some(Token::Word(word)) if word == "ago" => {
                self.sign("(")?;
                let Some(Token::Span(span)) = self.tokens.next() else {
                    return Err(UNRECOGNISED);
                };
                self.sign(")")?;
                Ok(Cell::Time(self.now.minus(span)))
            }
            Some(Token::Word(word)) if word == "datetime" => {
                self.sign("(")?;
                let text = self.word()?;
                self.sign(")")?;
                let whole = text
                    .parse()
                    .or_else(|_| format!("{text}T00:00:00Z").parse());
                let at: jiff::Timestamp = whole.map_err(|_| UNRECOGNISED)?;
                Ok(Cell::Time(Ticks::from(at)))
            }
            Some(_) => Err(UNRECOGNISED),
            None => Err(INCOMPLETE),
        }
    }

    fn step(&mut self, table: Table) -> Result<Table, Fault> {
        let name = match self.tokens.next() {
            Some(Token::Word(name)) => name,
            _ => return Err(NO_OPERATOR),
        };
        match name.as_str() {
            "where" | "filter" => {
                let test = self.any(&table, DEPTH)?;
                let mut table = table;
                table.rows.retain(|row| test.holds(row));
                Ok(table)
            }
            "take" | "limit" => {
                let most = self.number()?;
                let mut table = table;
                table.rows.truncate(most);
                Ok(table)
            }
            "project" => {
                let columns = self.columns(&table, "project")?;
                Ok(table.project(&columns))
            }
            "count" => Ok(table.summarized("Count", &[])),
            "summarize" => self.summarize(&table),
            "sort" | "order" => self.sort(table),
            _ => Err(NO_OPERATOR),
        }
    }

    fn summarize(&mut self, table: &Table) -> Result<Table, Fault> {
        let mut name = "count_".to_owned();
        let mut function = self.word()?;
        if self.takes("=") {
            name = function;
            function = self.word()?;
        }
        if function != "count" {
            let what = format!("Unknown function: '{function}'");
            return Err(Fault::Semantic("summarize", what));
        }
        self.sign("(")?;
        self.sign(")")?;
        let by = match self.takes_word("by") {
            true => self.columns(table, "summarize")?,
            false => Vec::new(),
        };
        Ok(table.summarized(&name, &by))
    }

    fn sort(&mut self, mut table: Table) -> Result<Table, Fault> {
        if !self.takes_word("by") {
            return Err(UNRECOGNISED);
        }
        let mut keys = Vec::new();
        loop {
            let column = self.column(&table, "sort")?;
            // Kusto sorts downwards unless told otherwise.
            let ascending = self.takes_word("asc");
            if !ascending {
                self.takes_word("desc");
            }
            keys.push((column, ascending));
            if !self.takes(",") {
                break;
            }
        }
        table.rows.sort_by(|one, other| {
            let order = |(column, ascending): &(usize, bool)| {
                let order = one.get(*column).cmp(&other.get(*column));
                if *ascending { order } else { order.reverse() }
            };
            let mut orders = keys.iter().map(order);
            orders
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal)
        });
        Ok(table)
    }
}

fn unresolved(step: &'static str, name: &str) -> Fault {
    let what = format!("Failed to resolve scalar expression named '{name}'");
    Fault::Semantic(step, what)
}

impl Table {
    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|(column, _)| column == name)
    }

    fn project(self, places: &[usize]) -> Self {
        Self {
            columns: chosen(&self.columns, places),
            rows: self.rows.iter().map(|row| chosen(row, places)).collect(),
        }
    }

    fn summarized(&self, name: &str, by: &[usize]) -> Self {
        let mut groups: BTreeMap<Vec<Cell>, i64> = BTreeMap::new();
        if by.is_empty() {
            groups.insert(Vec::new(), 0);
        }
        for row in &self.rows {
            *groups.entry(chosen(row, by)).or_default() += 1;
        }
        let mut columns = chosen(&self.columns, by);
        columns.push((name.to_owned(), Kind::Int64));
        let counted = |(mut row, count): (Vec<Cell>, i64)| {
            row.push(Cell::Number(count));
            row
        };
        Self {
            columns,
            rows: groups.into_iter().map(counted).collect(),
        }
    }
}

fn chosen<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
    let one = |place: &usize| all.get(*place).cloned();
    places.iter().filter_map(one).collect()
}

/// Runs a query over the table that `find` has for its name.
pub(in crate::sandbox) fn run(
    query: &str,
    now: Ticks,
    find: impl FnOnce(&str) -> Option<Table>,
) -> Result<Table, Fault> {
    let mut reader = Reader {
        tokens: tokens(query)?.into_iter(),
        now,
    };
    let name = reader.word()?;
    let mut table = find(&name).ok_or_else(|| {
        let what = format!("Failed to resolve table or column expression named '{name}'");
        let step = ["where", "project", "summarize", "sort", "count", "take"];
        let next = reader.tokens.as_slice().get(1);
        let next = step
            .into_iter()
            .find(|step| next == Some(&Token::Word((*step).to_owned())));
        Fault::Semantic(next.unwrap_or("take"), what)
    })?;
    while reader.takes("|") {
        table = reader.step(table)?;
    }
    reader.takes(";");
    match reader.peek() {
        None => {
            table.rows.truncate(MOST);
            Ok(table)
        }
        Some(_) => Err(UNRECOGNISED),
    }
}
