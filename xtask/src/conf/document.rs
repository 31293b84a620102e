//! Splunk's conf format, as far as this app uses it.

use anyhow::{Result, bail};

#[derive(Debug, PartialEq, Eq)]
pub struct Stanza {
    pub name: String,
    pub settings: Vec<(String, String)>,
}

impl Stanza {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.settings
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

/// A conf file. Stricter than splunkd, which takes in silence what it does not understand.
pub fn conf(text: &str) -> Result<Vec<Stanza>> {
    let mut stanzas: Vec<Stanza> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            if stanzas.iter().any(|stanza| stanza.name == name) {
                bail!("line {number}: [{name}] for the second time");
            }
            stanzas.push(Stanza {
                name: name.to_owned(),
                settings: Vec::new(),
            });
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            bail!("line {number}: neither stanza nor setting: {line}");
        };
        if value.ends_with('\\') {
            bail!("line {number}: continued lines are not used in this app");
        }
        let key = key.trim().to_owned();
        let Some(stanza) = stanzas.last_mut() else {
            bail!("line {number}: {key} stands before any stanza");
        };
        if stanza.get(&key).is_some() {
            bail!(
                "line {number}: {key} for the second time in [{}]",
                stanza.name
            );
        }
        stanza.settings.push((key, value.trim().to_owned()));
    }
    Ok(stanzas)
}

/// A conf.spec file: stanza patterns and the keys they describe.
pub fn spec(text: &str) -> Vec<(String, Vec<String>)> {
    let mut stanzas: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if line.starts_with(['#', '*', ' ', '\t']) || line.is_empty() {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            stanzas.push((name.to_owned(), Vec::new()));
        } else if let (Some((key, _)), Some((_, keys))) = (line.split_once('='), stanzas.last_mut())
        {
            keys.push(key.trim().to_owned());
        }
    }
    stanzas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_equal_signs() {
        let stanzas = conf("# note\n[a]\nx = 1=2\n\n[b://c]\ny =\n").unwrap();
        assert_eq!(stanzas[0].get("x"), Some("1=2"));
        assert_eq!(stanzas[1].name, "b://c");
        assert_eq!(stanzas[1].get("y"), Some(""));
    }

    #[test]
    fn what_splunkd_would_swallow_is_refused() {
        for bad in [
            "x = 1",
            "[a]\nx",
            "[a]\n[a]",
            "[a]\nx=1\nx=2",
            "[a]\nx = \\",
        ] {
            assert!(conf(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_spec_is_its_keys_without_their_prose() {
        let text = "# words\n[s://<name>]\n* about = it\na = <string>\n* b = no key\n  c = neither\nd = x\n";
        assert_eq!(
            spec(text),
            [(
                "s://<name>".to_owned(),
                vec!["a".to_owned(), "d".to_owned()]
            )]
        );
    }
}
