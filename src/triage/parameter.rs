//! What one parameter's text may be, wherever it was typed: in a form, on a
//! row, behind a command. Text in, meaning out, or a refusal that says what
//! would do.

use crate::triage::vocabulary::{
    Classification, Determination, NONE, Status, VocabularyError, quoted,
};
use crate::triage::{Api, Owner, Subject};
use std::collections::BTreeSet;

/// Longest comment taken, in characters. Defender's portal stops at 30 000;
/// what is written here is a verdict, and is carried in every outcome.
pub const COMMENT_MAX: usize = 4_000;
const ID_MAX: usize = 128;
/// A user principal name: 64 before the sign, 255 after it.
const OWNER_MAX: usize = 320;
const TAG_MAX: usize = 128;
const BATCH_MAX: usize = 64;

/// Why a parameter's text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    #[error(transparent)]
    Word(#[from] VocabularyError),
    #[error("there is no account {}; configured are: {known}", quoted(.name))]
    Account { name: String, known: String },
    #[error("no account is named: choose one of {known}")]
    NoAccount { known: String },
    #[error("{} is no API for {subject}s; use {valid}", quoted(.name))]
    Api {
        name: String,
        subject: Subject,
        valid: &'static str,
    },
    #[error("{} is no subject: use alert or incident", quoted(.0))]
    Subject(String),
    #[error(
        "{} is no user principal name: give name@domain, or \"none\" to clear the owner",
        quoted(.0)
    )]
    Owner(String),
    #[error("the comment has {length} characters, {COMMENT_MAX} are allowed: shorten it")]
    CommentLength { length: usize },
    #[error("the comment holds the control character {0:?}: remove it")]
    CommentControl(char),
    #[error("tags can be set on incidents only: use defender_bridge_update_incident")]
    TagsOnAlert,
    #[error("the tag {} is not allowed: at most {TAG_MAX} characters, none of them a control character", quoted(.0))]
    Tag(String),
    #[error("the tag {} is both to be added and to be removed: choose one", quoted(.0))]
    TagBothWays(String),
    #[error("{} is no {subject} id: at most {ID_MAX} letters, digits and - _ . : ~ = + @ |", quoted(.id))]
    Id { subject: Subject, id: String },
    #[error("{} is no incident id: incident ids are numbers", quoted(.0))]
    IncidentId(String),
    #[error("{} is neither true nor false", quoted(.0))]
    Flag(String),
    #[error("{} is no number of 1 or more", quoted(.0))]
    Count(String),
    #[error("{} is no batch id: 64 letters, digits, _ and - at most", quoted(.0))]
    Batch(String),
    #[error("it has {count} different values where one is meant: {values}")]
    Several { count: usize, values: String },
}

/// What the texts are read against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules {
    pub subject: Subject,
    /// The configured accounts; nothing else is ever written to.
    pub accounts: BTreeSet<String>,
}

impl Rules {
    pub fn account(&self, text: &str) -> Result<String, ParameterError> {
        match self.accounts.get(text) {
            Some(known) => Ok(known.clone()),
            None => Err(ParameterError::Account {
                name: text.to_owned(),
                known: self.known(),
            }),
        }
    }

    pub fn no_account(&self) -> ParameterError {
        ParameterError::NoAccount {
            known: self.known(),
        }
    }

    fn known(&self) -> String {
        if self.accounts.is_empty() {
            return "none yet, add one under Configuration".to_owned();
        }
        let names: Vec<&str> = self.accounts.iter().map(String::as_str).collect();
        names.join(", ")
    }

    pub fn api(&self, text: &str) -> Result<Api, ParameterError> {
        Api::ALL
            .into_iter()
            .find(|api| api.as_str().eq_ignore_ascii_case(text) && api.serves(self.subject))
            .ok_or_else(|| ParameterError::Api {
                name: text.to_owned(),
                subject: self.subject,
                valid: match self.subject {
                    Subject::Alert => "graph or mde",
                    Subject::Incident => "graph or xdr",
                },
            })
    }

    pub fn status(&self, text: &str) -> Result<Status, ParameterError> {
        Ok(Status::parse(text, self.subject)?)
    }

    pub fn tags(&self, texts: &[&str]) -> Result<Vec<String>, ParameterError> {
        if self.subject == Subject::Alert {
            return Err(ParameterError::TagsOnAlert);
        }
        let mut tags: Vec<String> = Vec::new();
        for tag in texts.iter().flat_map(|text| text.split([',', '\n'])) {
            let tag = tag.trim();
            if tag.chars().count() > TAG_MAX || tag.chars().any(char::is_control) {
                return Err(ParameterError::Tag(tag.to_owned()));
            }
            if !tag.is_empty() && !tags.iter().any(|other| other == tag) {
                tags.push(tag.to_owned());
            }
        }
        // The same tags in another order ask for the same.
        tags.sort_unstable();
        Ok(tags)
    }

    pub fn id(&self, text: &str) -> Result<String, ParameterError> {
        match self.subject {
            subject if is_id(subject, text) => Ok(text.to_owned()),
            Subject::Incident => Err(ParameterError::IncidentId(text.to_owned())),
            Subject::Alert => Err(ParameterError::Id {
                subject: self.subject,
                id: text.to_owned(),
            }),
        }
    }
}

/// An id becomes part of a URL and of a filter: only what ids are made of may
/// pass, whatever those places escape.
pub fn is_id(subject: Subject, text: &str) -> bool {
    let sound = |c: char| match subject {
        Subject::Alert => c.is_ascii_alphanumeric() || "-_.:~=+@|".contains(c),
        Subject::Incident => c.is_ascii_digit(),
    };
    (1..=ID_MAX).contains(&text.len()) && text.chars().all(sound) && !text.chars().all(|c| c == '.')
}

pub(super) fn subject(text: &str) -> Result<Subject, ParameterError> {
    [Subject::Alert, Subject::Incident]
        .into_iter()
        .find(|subject| subject.to_string().eq_ignore_ascii_case(text))
        .ok_or_else(|| ParameterError::Subject(text.to_owned()))
}

pub(super) fn classification(text: &str) -> Result<Classification, ParameterError> {
    Ok(Classification::parse(text)?)
}

pub(super) fn determination(text: &str) -> Result<Determination, ParameterError> {
    Ok(Determination::parse(text)?)
}

pub(super) fn assigned_to(text: &str) -> Result<Owner, ParameterError> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(Owner::Nobody);
    }
    let named = text
        .split_once('@')
        .is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty());
    if !named
        || text.chars().count() > OWNER_MAX
        || text.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        return Err(ParameterError::Owner(text.to_owned()));
    }
    Ok(Owner::User(text.to_owned()))
}

pub(super) fn comment(text: &str) -> Result<String, ParameterError> {
    let length = text.chars().count();
    if length > COMMENT_MAX {
        return Err(ParameterError::CommentLength { length });
    }
    let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    match text.chars().find(control) {
        Some(found) => Err(ParameterError::CommentControl(found)),
        None => Ok(text.to_owned()),
    }
}

/// Splunk's own words for true and false.
///
/// # Errors
/// If it is neither.
pub fn flag(text: &str) -> Result<bool, ParameterError> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(ParameterError::Flag(text.to_owned())),
    }
}

/// A batch id becomes part of a search: nothing in it may mean something there.
pub fn batch(text: &str) -> Result<String, ParameterError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if text.is_empty() || text.len() > BATCH_MAX || !text.bytes().all(plain) {
        return Err(ParameterError::Batch(text.to_owned()));
    }
    Ok(text.to_owned())
}

/// Whoever had it before, name or not: it is Defender's own word.
pub(super) fn former_owner(text: &str) -> Result<Owner, ParameterError> {
    if text.eq_ignore_ascii_case(NONE) {
        return Ok(Owner::Nobody);
    }
    if text.chars().count() > OWNER_MAX || text.chars().any(char::is_control) {
        return Err(ParameterError::Owner(text.to_owned()));
    }
    Ok(Owner::User(text.to_owned()))
}

pub(super) fn count(text: &str) -> Result<usize, ParameterError> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(ParameterError::Count(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rules(subject: Subject) -> Rules {
        Rules {
            subject,
            accounts: ["contoso".to_owned(), "fabrikam".to_owned()].into(),
        }
    }

    #[test]
    fn ids_hold_nothing_that_means_something_in_a_url_or_a_filter() {
        let alerts = rules(Subject::Alert);
        for id in [
            "da637551227677560813_-961444813",
            "ca6f0e3b-2a44-4c55-8a38-6f1b0a8f0b6e",
            "111_2:3~4",
        ] {
            assert_eq!(alerts.id(id).as_deref(), Ok(id));
        }
        for id in [
            "../users", "a/b", "a?b", "a#b", "a%2fb", "a'b", "a\"b", "a b", "a\u{0}b", "..", "ä",
        ] {
            assert!(alerts.id(id).is_err(), "{id:?}");
        }
        assert!(alerts.id(&"a".repeat(ID_MAX + 1)).is_err());
        let incidents = rules(Subject::Incident);
        assert_eq!(incidents.id("2972395").as_deref(), Ok("2972395"));
        assert!(incidents.id("29a").is_err());
    }

    #[test]
    fn only_configured_accounts_and_apis_that_carry_the_subject_are_taken() {
        let alerts = rules(Subject::Alert);
        assert_eq!(alerts.account("contoso").as_deref(), Ok("contoso"));
        insta::assert_snapshot!(
            alerts.account("conto\nso").unwrap_err(),
            @r#"there is no account "conto\nso"; configured are: contoso, fabrikam"#
        );
        assert_eq!(alerts.api("MDE"), Ok(Api::Mde));
        insta::assert_snapshot!(alerts.api("xdr").unwrap_err(), @r#""xdr" is no API for alerts; use graph or mde"#);
        assert!(rules(Subject::Incident).api("mde").is_err());
    }

    #[test]
    fn an_owner_is_a_user_principal_name_or_nobody() {
        assert_eq!(assigned_to("None"), Ok(Owner::Nobody));
        assert_eq!(
            assigned_to("soc_example.com#EXT#@contoso.com"),
            Ok(Owner::User("soc_example.com#EXT#@contoso.com".to_owned()))
        );
        for name in ["bob", "@b", "a@", "a b@c", "unassigned"] {
            assert!(assigned_to(name).is_err(), "{name}");
        }
    }

    #[test]
    fn tags_are_a_set_and_belong_to_incidents() {
        let incidents = rules(Subject::Incident);
        assert_eq!(
            incidents.tags(&["vip, phish", "vip"]),
            Ok(vec!["phish".to_owned(), "vip".to_owned()])
        );
        assert_eq!(
            rules(Subject::Alert).tags(&["vip"]),
            Err(ParameterError::TagsOnAlert)
        );
    }

    #[test]
    fn a_comment_is_kept_short_and_printable() {
        assert!(comment("two\nlines").is_ok());
        assert!(comment(&"ä".repeat(COMMENT_MAX)).is_ok());
        insta::assert_snapshot!(
            comment(&"a".repeat(COMMENT_MAX + 1)).unwrap_err(),
            @"the comment has 4001 characters, 4000 are allowed: shorten it"
        );
        assert_eq!(
            comment("a\u{1b}[2J"),
            Err(ParameterError::CommentControl('\u{1b}'))
        );
    }

    proptest! {
        #[test]
        fn no_text_brings_a_control_character_into_a_message(text in any::<String>()) {
            let rules = rules(Subject::Alert);
            for refusal in [
                rules.id(&text).err(),
                rules.account(&text).err(),
                rules.api(&text).err(),
                assigned_to(&text).err(),
                comment(&text).err(),
                flag(&text).err(),
                batch(&text).err(),
                former_owner(&text).err(),
                count(&text).err(),
            ].into_iter().flatten() {
                prop_assert!(!refusal.to_string().chars().any(char::is_control));
            }
        }
    }
}
