//! The setting `tables`: which tables of advanced hunting a stanza takes.

use std::str::FromStr;

/// What Microsoft puts before a table's name in `category`.
const PREFIX: &str = "AdvancedHunting-";
/// Far more than there are.
const MOST: usize = 256;
const LONGEST: usize = 128;

/// Which tables are wanted: all of them, unless some are named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables(Vec<String>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TablesError {
    #[error(
        "`{0}` is no name of a table: give names as advanced hunting has them, such as \
         DeviceProcessEvents, with commas between them, or leave it empty for all tables"
    )]
    Name(String),
    #[error("it names more than {MOST} tables: leave it empty for all of them")]
    TooMany,
}

impl Tables {
    /// Reads names with commas or white space between them, in any case, with or without
    /// the prefix they have in `category`. A table that nobody knows yet is one too.
    pub fn parse(setting: &str) -> Result<Self, TablesError> {
        let mut tables = Vec::new();
        let separator = |c: char| c == ',' || c == ';' || c.is_whitespace();
        for name in setting.split(separator).filter(|name| !name.is_empty()) {
            let table = strip_prefix(name).unwrap_or(name);
            let plain = table.len() <= LONGEST
                && table.starts_with(|c: char| c.is_ascii_alphabetic())
                && table.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !plain {
                return Err(TablesError::Name(name.chars().take(64).collect()));
            }
            if !tables
                .iter()
                .any(|known: &String| known.eq_ignore_ascii_case(table))
            {
                tables.push(table.to_owned());
            }
            if tables.len() > MOST {
                return Err(TablesError::TooMany);
            }
        }
        Ok(Self(tables))
    }

    /// Whether a record of this category is wanted. What is no table of advanced hunting,
    /// such as sign-ins of Entra ID in the same hub, always is.
    pub fn wants(&self, category: &str) -> bool {
        strip_prefix(category).is_none_or(|table| self.wants_table(table))
    }

    /// Whether a table is wanted.
    pub fn wants_table(&self, table: &str) -> bool {
        let named = || self.0.iter().any(|name| name.eq_ignore_ascii_case(table));
        self.0.is_empty() || named()
    }

    /// The tables named; none where all are wanted.
    pub fn names(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Tables {
    type Err = TablesError;

    fn from_str(setting: &str) -> Result<Self, TablesError> {
        Self::parse(setting)
    }
}

pub(super) fn strip_prefix(category: &str) -> Option<&str> {
    let (prefix, table) = category.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(table)
}
