//! The arguments of a search command: `name=value`, each name once.

use anyhow::bail;
use std::collections::BTreeMap;

/// The arguments that were given, each with its value; an empty value is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// # Errors
    /// Names the word that is no argument, and those there are.
    pub fn read(words: &[String], known: &[&str]) -> anyhow::Result<Self> {
        let mut arguments = BTreeMap::new();
        for word in words {
            let shown: String = word.chars().take(80).flat_map(char::escape_debug).collect();
            let Some((name, value)) = word.split_once('=') else {
                bail!(
                    "\"{shown}\" is no argument: write name=value, the name one of {}",
                    known.join(", ")
                );
            };
            let name = name.trim();
            if !known.contains(&name) {
                bail!(
                    "there is no argument \"{}\"; there are: {}",
                    name.escape_debug(),
                    known.join(", ")
                );
            }
            if arguments
                .insert(name.to_owned(), value.to_owned())
                .is_some()
            {
                bail!("{name} is given twice: leave one of them");
            }
        }
        Ok(Self(arguments))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    /// Takes an argument out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0
            .remove(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// # Errors
    /// If no account is given.
    pub fn account(&self) -> anyhow::Result<&str> {
        match self.get("account") {
            Some(account) => Ok(account),
            None => bail!("account is missing: write account=<name>, one of those configured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(words: &[&str]) -> anyhow::Result<Arguments> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Arguments::read(&words, &["account", "query"])
    }

    #[test]
    fn a_value_keeps_its_equal_signs_and_an_empty_one_is_none() {
        let arguments = read(&["query=T | where a == \"b\"", "account= "]).unwrap();
        assert_eq!(arguments.get("query"), Some("T | where a == \"b\""));
        assert_eq!(arguments.get("account"), None);
        assert!(arguments.account().is_err());
    }

    #[test]
    fn what_is_no_argument_is_named() {
        let refusals = [&["contoso"][..], &["acount=x"], &["account=a", "account=b"]]
            .map(|words| read(words).unwrap_err().to_string());
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        "contoso" is no argument: write name=value, the name one of account, query
        there is no argument "acount"; there are: account, query
        account is given twice: leave one of them
        "#);
    }

    proptest! {
        #[test]
        fn any_words_are_arguments_or_a_printable_refusal(words: Vec<String>) {
            if let Err(refusal) = Arguments::read(&words, &["a"]) {
                prop_assert!(!refusal.to_string().chars().any(char::is_control));
            }
        }
    }
}
