//! What was chosen once for all rows: the fields of an alert action's form,
//! the `name=value` of a command, the flags of the command line.

use crate::triage::parameter::{ParameterError, Rules};
use crate::triage::vocabulary::{Classification, Determination, Status, quoted};
use crate::triage::{Api, Owner, Subject, parameter};
use std::collections::BTreeSet;

/// The parameters' names, the same at every way in.
pub const PARAMETERS: [&str; 13] = [
    "account",
    "api",
    "id_field",
    "status",
    "classification",
    "determination",
    "assigned_to",
    "comment",
    "tags_add",
    "tags_remove",
    "rows_overrule",
    "dry_run",
    "max_targets",
];

/// Names the batch a call undoes; its rows say what had to stand and what stays.
pub const UNDOES: &str = "undoes";

/// One parameter as the form gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Setting<T> {
    /// Left empty, or a token nothing was put in for: leaves things as they are.
    Unset,
    Fixed(T),
    /// The token `$result.<field>$` stood there unresolved: each row's own field.
    FromRow(String),
}

impl<T> Setting<T> {
    const fn is_set(&self) -> bool {
        !matches!(self, Self::Unset)
    }
}

/// A form, read and checked as far as one can without the rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub(super) rules: Rules,
    pub(super) account: Setting<String>,
    pub(super) api: Setting<Api>,
    /// Where a row keeps its id; `None` looks under the usual names.
    pub(super) id_field: Option<String>,
    pub(super) status: Setting<Status>,
    pub(super) classification: Setting<Classification>,
    pub(super) determination: Setting<Determination>,
    pub(super) assigned_to: Setting<Owner>,
    pub(super) comment: Setting<String>,
    pub(super) tags_add: Setting<Vec<String>>,
    pub(super) tags_remove: Setting<Vec<String>>,
    /// Whether a row may say otherwise than the form.
    pub(super) rows_overrule: bool,
    /// None where it does not say.
    pub(super) dry_run: Option<bool>,
    pub(super) max_targets: Option<usize>,
    /// The batch that is undone. No parameter of people's: [`Undo`] says it.
    ///
    /// [`Undo`]: crate::triage::Undo
    pub(super) undoes: Option<String>,
}

/// Why a form cannot be carried out, whatever the rows hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    #[error("there is no parameter {}; there are: {}", quoted(.0), PARAMETERS.join(", "))]
    Parameter(String),
    #[error("{parameter}: {error}")]
    Value {
        parameter: &'static str,
        error: ParameterError,
    },
    #[error("{parameter} is the token {}, which nothing was put in for: give a value", quoted(.token))]
    Token {
        parameter: &'static str,
        token: String,
    },
    #[error(
        "{0} is given beside {UNDOES}: the entries of the batch say what is undone, and where; leave it out"
    )]
    BesideUndoes(&'static str),
}

impl Form {
    /// Reads the parameters as text. `accounts` are the configured ones.
    ///
    /// # Errors
    /// Names the parameter, its value and what would do.
    pub fn parse<'p>(
        subject: Subject,
        accounts: BTreeSet<String>,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<Self, FormError> {
        let mut form = Self::empty(Rules { subject, accounts });
        for (name, text) in parameters {
            form.set(name, text.trim())?;
        }
        if let (Setting::Fixed(class), Setting::Fixed(determination)) =
            (&form.classification, &form.determination)
        {
            determination
                .check(Some(*class))
                .map_err(|error| value("determination", error.into()))?;
        }
        if let (Setting::Fixed(add), Setting::Fixed(remove)) = (&form.tags_add, &form.tags_remove) {
            apart(add, remove).map_err(|error| value("tags_remove", error))?;
        }
        if let (Some(_), Some(name)) = (&form.undoes, form.asks_for()) {
            return Err(FormError::BesideUndoes(name));
        }
        Ok(form)
    }

    /// The first parameter that says what is to be done, or where.
    fn asks_for(&self) -> Option<&'static str> {
        let given = [
            ("account", self.account.is_set()),
            ("api", self.api.is_set()),
            ("id_field", self.id_field.is_some()),
            ("status", self.status.is_set()),
            ("classification", self.classification.is_set()),
            ("determination", self.determination.is_set()),
            ("assigned_to", self.assigned_to.is_set()),
            ("comment", self.comment.is_set()),
            ("tags_add", self.tags_add.is_set()),
            ("tags_remove", self.tags_remove.is_set()),
            ("rows_overrule", self.rows_overrule),
        ];
        let given = given.into_iter().find(|(_, is_set)| *is_set);
        given.map(|(name, _)| name)
    }

    /// The same form for whoever may name these accounts.
    ///
    /// # Errors
    /// If it names another account.
    pub fn among(mut self, accounts: BTreeSet<String>) -> Result<Self, FormError> {
        self.rules.accounts = accounts;
        if let Setting::Fixed(account) = &self.account {
            let known = self.rules.account(account);
            known.map_err(|error| value("account", error))?;
        }
        Ok(self)
    }

    /// Whether nothing will be written.
    pub fn dry_run(&self) -> bool {
        self.dry_run.unwrap_or(false)
    }

    /// Makes it a dry run, unless it says whether it is one.
    pub fn dry_run_unless_said(&mut self) {
        self.dry_run.get_or_insert(true);
    }

    /// The batch that is undone.
    pub fn undoes(&self) -> Option<&str> {
        self.undoes.as_deref()
    }

    /// How many distinct targets it allows, if it says.
    pub const fn max_targets(&self) -> Option<usize> {
        self.max_targets
    }

    /// What the rows are about.
    pub const fn subject(&self) -> Subject {
        self.rules.subject
    }

    /// Whether a row's own fields win over what is fixed here. Those of an undo
    /// are all that is asked for.
    pub(super) const fn gives_way(&self) -> bool {
        self.rows_overrule || self.undoes.is_some()
    }

    const fn empty(rules: Rules) -> Self {
        Self {
            rules,
            account: Setting::Unset,
            api: Setting::Unset,
            id_field: None,
            status: Setting::Unset,
            classification: Setting::Unset,
            determination: Setting::Unset,
            assigned_to: Setting::Unset,
            comment: Setting::Unset,
            tags_add: Setting::Unset,
            tags_remove: Setting::Unset,
            rows_overrule: false,
            dry_run: None,
            max_targets: None,
            undoes: None,
        }
    }

    fn set(&mut self, name: &str, text: &str) -> Result<(), FormError> {
        let rules = &self.rules;
        match name {
            "account" => self.account = setting("account", text, |t| rules.account(t))?,
            "api" => self.api = setting("api", text, |t| rules.api(t))?,
            "status" => self.status = setting("status", text, |t| rules.status(t))?,
            "classification" => {
                self.classification = setting("classification", text, parameter::classification)?;
            }
            "determination" => {
                self.determination = setting("determination", text, parameter::determination)?;
            }
            "assigned_to" => {
                self.assigned_to = setting("assigned_to", text, parameter::assigned_to)?;
            }
            "comment" => self.comment = setting("comment", text, parameter::comment)?,
            "tags_add" => self.tags_add = setting("tags_add", text, |t| rules.tags(&[t]))?,
            "tags_remove" => self.tags_remove = setting("tags_remove", text, |t| rules.tags(&[t]))?,
            // The id itself never comes from the form: splunkd would have put
            // the first row's in for all of them.
            "id_field" => {
                self.id_field = match Token::of(text) {
                    Some(Token::Row(field)) => Some(field.to_owned()),
                    Some(Token::Other) => None,
                    None => Some(text.to_owned()).filter(|field| !field.is_empty()),
                };
            }
            // What keeps a hand from slipping must not be lost with a token.
            "dry_run" => {
                self.dry_run = guard("dry_run", text, parameter::flag)?;
            }
            "rows_overrule" => {
                self.rows_overrule =
                    guard("rows_overrule", text, parameter::flag)?.unwrap_or(false);
            }
            UNDOES => {
                self.undoes = guard(UNDOES, text, parameter::batch)?;
            }
            "max_targets" => self.max_targets = guard("max_targets", text, parameter::count)?,
            _ => return Err(FormError::Parameter(name.to_owned())),
        }
        Ok(())
    }
}

/// Refuses a tag that is both to be added and to be removed.
pub(super) fn apart(add: &[String], remove: &[String]) -> Result<(), ParameterError> {
    match add
        .iter()
        .find(|tag| remove.iter().any(|other| same_tag(tag, other)))
    {
        Some(tag) => Err(ParameterError::TagBothWays(tag.clone())),
        None => Ok(()),
    }
}

/// Tags differ by more than case.
pub(super) fn same_tag(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// A whole value that splunkd would have replaced, had it known what by.
enum Token<'t> {
    Row(&'t str),
    Other,
}

impl<'t> Token<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let name = text.strip_prefix('$')?.strip_suffix('$')?;
        if name.is_empty() || name.contains(|c: char| c == '$' || c.is_whitespace()) {
            return None;
        }
        Some(match name.strip_prefix("result.") {
            Some(field) if !field.is_empty() => Self::Row(field),
            _ => Self::Other,
        })
    }
}

fn setting<T>(
    parameter: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<T, ParameterError>,
) -> Result<Setting<T>, FormError> {
    match Token::of(text) {
        Some(Token::Row(field)) => Ok(Setting::FromRow(field.to_owned())),
        Some(Token::Other) => Ok(Setting::Unset),
        None if text.is_empty() => Ok(Setting::Unset),
        None => read(text)
            .map(Setting::Fixed)
            .map_err(|error| value(parameter, error)),
    }
}

fn guard<T>(
    parameter: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<T, ParameterError>,
) -> Result<Option<T>, FormError> {
    if text.is_empty() {
        return Ok(None);
    }
    if Token::of(text).is_some() {
        return Err(FormError::Token {
            parameter,
            token: text.to_owned(),
        });
    }
    read(text)
        .map(Some)
        .map_err(|error| value(parameter, error))
}

const fn value(parameter: &'static str, error: ParameterError) -> FormError {
    FormError::Value { parameter, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn form(parameters: &[(&str, &str)]) -> Result<Form, FormError> {
        Form::parse(
            Subject::Incident,
            ["contoso".to_owned()].into(),
            parameters.iter().copied(),
        )
    }

    #[test]
    fn an_action_offers_every_parameter_and_no_other() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/default/alert_actions.conf");
        let conf = std::fs::read_to_string(path).unwrap();
        for (subject, of_incidents) in [
            ("alert", &["tags_add", "tags_remove"][..]),
            ("incident", &[]),
        ] {
            let head = format!("[defender_bridge_update_{subject}]\n");
            let stanza = conf.split_once(&head).unwrap().1;
            let stanza = stanza.split("\n[").next().unwrap();
            let mut offered: Vec<&str> = stanza
                .lines()
                .filter_map(|line| Some(line.strip_prefix("param.")?.split_once('=')?.0.trim()))
                .filter(|name| !name.starts_with('_'))
                .collect();
            let mut known = PARAMETERS.to_vec();
            known.retain(|name| !of_incidents.contains(name));
            offered.sort_unstable();
            known.sort_unstable();
            assert_eq!(offered, known, "{subject}");
        }
        assert_eq!(conf.lines().filter(|line| line.starts_with('[')).count(), 2);
    }

    #[test]
    fn every_parameter_is_taken_under_its_name() {
        for name in PARAMETERS {
            assert!(form(&[(name, "")]).is_ok(), "{name}");
        }
        insta::assert_snapshot!(
            form(&[("stauts", "resolved")]).unwrap_err(),
            @r#"there is no parameter "stauts"; there are: account, api, id_field, status, classification, determination, assigned_to, comment, tags_add, tags_remove, rows_overrule, dry_run, max_targets"#
        );
    }

    #[test]
    fn empty_and_unresolved_tokens_leave_things_as_they_are() {
        let form = form(&[
            ("status", "  "),
            ("classification", "$result.verdict$"),
            ("comment", "$job.note$"),
            ("assigned_to", "none"),
        ])
        .unwrap();
        assert_eq!(form.status, Setting::Unset);
        assert_eq!(form.classification, Setting::FromRow("verdict".to_owned()));
        assert_eq!(form.comment, Setting::Unset);
        assert_eq!(form.assigned_to, Setting::Fixed(Owner::Nobody));
    }

    #[test]
    fn a_comment_that_mentions_money_is_no_token() {
        let form = form(&[("comment", "$5 and another 5$")]).unwrap();
        assert_eq!(form.comment, Setting::Fixed("$5 and another 5$".to_owned()));
    }

    #[test]
    fn a_token_is_a_fine_way_to_name_the_id_field() {
        assert_eq!(
            form(&[("id_field", "$result.id$")]).unwrap().id_field,
            Some("id".to_owned())
        );
    }

    #[test]
    fn a_form_is_read_once_and_goes_by_the_accounts_that_are_known_later() {
        let read = |account: &str| {
            let named = [account.to_owned()].into();
            let parameters = [("account", account), ("status", "resolved")];
            Form::parse(Subject::Alert, named, parameters).unwrap()
        };
        let configured = || ["contoso".to_owned(), "fabrikam".to_owned()].into();
        let parsed = Form::parse(
            Subject::Alert,
            configured(),
            [("account", "contoso"), ("status", "resolved")],
        );
        assert_eq!(read("contoso").among(configured()), parsed);
        insta::assert_snapshot!(
            read("fabrikan").among(configured()).unwrap_err(),
            @r#"account: there is no account "fabrikan"; configured are: contoso, fabrikam"#
        );
    }

    #[test]
    fn a_dry_run_that_is_only_assumed_gives_way_to_what_the_form_says() {
        for (said, dry_run) in [("", true), ("1", true), ("0", false)] {
            let mut form = form(&[("dry_run", said)]).unwrap();
            form.dry_run_unless_said();
            assert_eq!(form.dry_run(), dry_run, "{said}");
        }
    }

    #[test]
    fn a_lost_token_never_turns_a_dry_run_into_a_real_one() {
        insta::assert_snapshot!(
            form(&[("dry_run", "$dry$")]).unwrap_err(),
            @r#"dry_run is the token "$dry$", which nothing was put in for: give a value"#
        );
        assert!(form(&[("dry_run", "Yes")]).unwrap().dry_run());
        assert!(form(&[("max_targets", "0")]).is_err());
    }

    #[test]
    fn what_is_given_beside_the_batch_to_undo_is_refused() {
        let own = ["dry_run", "max_targets"];
        for (name, text) in PARAMETERS
            .into_iter()
            .filter(|name| !own.contains(name))
            .zip([
                "contoso",
                "graph",
                "x",
                "resolved",
                "truePositive",
                "malware",
                "none",
                "c",
                "t",
                "t",
                "1",
            ])
        {
            let refused = form(&[(UNDOES, "b1"), (name, text)]);
            assert_eq!(refused, Err(FormError::BesideUndoes(name)), "{name}");
            assert!(form(&[(UNDOES, "b1"), (name, "")]).is_ok(), "{name}");
            assert!(form(&[(UNDOES, ""), (name, text)]).is_ok(), "{name}");
        }
        assert!(form(&[("dry_run", "1"), ("max_targets", "7"), (UNDOES, "b1")]).is_ok());
        insta::assert_snapshot!(
            form(&[("status", "$result.s$"), (UNDOES, "b1")]).unwrap_err(),
            @"status is given beside undoes: the entries of the batch say what is undone, and where; leave it out"
        );
    }

    #[test]
    fn impossible_pairs_are_refused_before_any_row_is_looked_at() {
        insta::assert_snapshot!(
            form(&[("classification", "False positive"), ("determination", "malware")]).unwrap_err(),
            @"determination: the determination malware does not go with falsePositive, which takes one of notMalicious, notEnoughDataToValidate, other"
        );
        insta::assert_snapshot!(
            form(&[("tags_add", "vip,phish"), ("tags_remove", "VIP")]).unwrap_err(),
            @r#"tags_remove: the tag "vip" is both to be added and to be removed: choose one"#
        );
    }

    proptest! {
        #[test]
        fn any_text_in_any_parameter_is_a_form_or_a_printable_refusal(
            name in prop_oneof![prop::sample::select(&PARAMETERS[..]).prop_map(str::to_owned), any::<String>()],
            text in any::<String>(),
        ) {
            if let Err(refusal) = form(&[(&name, &text)]) {
                prop_assert!(!refusal.to_string().chars().any(char::is_control));
            }
        }
    }
}
