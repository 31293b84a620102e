//! What one row asks for: the form and the row's own fields, taken together
//! and checked, or the reason why not.
//!
//! A field `defender_<parameter>` on the row says what the form leaves open. It
//! wins over what the form fixes only where the form lets rows overrule it
//! (`rows_overrule`): fields of a row may come straight from an attacker's log
//! line. An empty one counts as absent, because a table cannot tell the two
//! apart. Rows are about what the action is about; where rows may overrule,
//! `defender_subject` says `alert` or `incident`, so that one action closes an
//! incident and its alerts. One row may
//! name several ids: each is a target with an outcome of its own, and the row
//! ends as the worst of them. If anything about a row is wrong, none of its
//! targets is touched.

use crate::triage::form::{Form, Setting, apart};
use crate::triage::parameter::{ParameterError, Rules};
use crate::triage::row::Row;
use crate::triage::row_snapshot::RowSnapshot;
use crate::triage::vocabulary::{Classification, Determination, NONE, quoted};
use crate::triage::{Api, Change, Owner, Subject, Target, parameter};

/// A row that can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// Counted from 1, as a person counts.
    pub row: usize,
    pub targets: Vec<Target>,
    pub change: Change,
    pub account: String,
    pub api: Api,
    pub dry_run: bool,
    pub snapshot: RowSnapshot,
}

/// Why a row cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("row {row}, field {}: {error}", plain(.field))]
    Field {
        row: usize,
        field: String,
        error: ParameterError,
    },
    #[error(
        "row {row}, field {}: {} is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true",
        plain(.field),
        quoted(.said)
    )]
    Overrules {
        row: usize,
        field: String,
        said: String,
    },
    #[error("row {row}: {error}")]
    Together { row: usize, error: ParameterError },
    #[error("row {row} has no value in the field {}: id_field takes the name of the field that holds the {subject} id; the row has {names}", quoted(.field))]
    IdField {
        row: usize,
        field: String,
        subject: Subject,
        names: String,
    },
    #[error(
        "row {row} names no {subject}: it needs a field {fields}, or id_field must name the one it has; the row has {names}"
    )]
    NoId {
        row: usize,
        subject: Subject,
        fields: String,
        names: String,
    },
    #[error(
        "row {row} asks for no change: set at least one of status, classification, assigned_to, comment{more} on the form, or as defender_<name> on the row"
    )]
    NothingToChange { row: usize, more: &'static str },
    #[error(
        "rows {rows} ask for different things of {subject} {id} ({fields}), so none of them was carried out: leave one of them"
    )]
    Contradiction {
        rows: String,
        subject: Subject,
        id: String,
        fields: String,
    },
}

impl Request {
    /// # Errors
    /// Names the row, the field, the value and what would do.
    pub fn of(form: &Form, number: usize, row: &Row) -> Result<Self, Invalid> {
        let reader = RowReader {
            number,
            row,
            overrules: form.gives_way(),
        };
        let own = Setting::Fixed(form.rules.subject);
        let subject = reader
            .one("subject", &own, parameter::subject)?
            .unwrap_or(form.rules.subject);
        let rules = &Rules {
            subject,
            accounts: form.rules.accounts.clone(),
        };
        let account = reader
            .one("account", &form.account, |t| rules.account(t))?
            .ok_or_else(|| reader.together(rules.no_account()))?;
        let api = reader
            .one("api", &form.api, |t| rules.api(t))?
            .unwrap_or(Api::Graph);
        let undoing = form.undoes.is_some();
        let fields = FieldRules { undoing };
        let status = reader.one("status", &form.status, |t| rules.status(t))?;
        let change = Change {
            status: status.map(|status| status.of(subject)),
            classification: reader.one("classification", &form.classification, |t| {
                fields.classification(t)
            })?,
            determination: reader.one("determination", &form.determination, |t| {
                fields.determination(t)
            })?,
            assigned_to: reader.one("assigned_to", &form.assigned_to, |t| fields.owner(t))?,
            comment: reader.one("comment", &form.comment, parameter::comment)?,
            tags_add: reader
                .all("tags_add", &form.tags_add, |t| rules.tags(t))?
                .unwrap_or_default(),
            tags_remove: reader
                .all("tags_remove", &form.tags_remove, |t| rules.tags(t))?
                .unwrap_or_default(),
        };
        // What the form says was checked for its own subject.
        rules
            .api(api.as_str())
            .map_err(|error| reader.together(error))?;
        if subject == Subject::Alert
            && !(change.tags_add.is_empty() && change.tags_remove.is_empty())
        {
            return Err(reader.together(ParameterError::TagsOnAlert));
        }
        if let Some(determination) = change.determination {
            determination
                .check(change.classification)
                .map_err(|error| reader.together(error.into()))?;
        }
        apart(&change.tags_add, &change.tags_remove).map_err(|error| reader.together(error))?;
        if change == Change::default() && !undoing {
            return Err(Invalid::NothingToChange {
                row: number,
                more: match subject {
                    Subject::Alert => "",
                    Subject::Incident => ", tags_add, tags_remove",
                },
            });
        }
        let dry_run = reader.one("dry_run", &Setting::Unset, parameter::flag)?;
        let mut snapshot = RowSnapshot::of(row, subject);
        if undoing {
            let stays = row.values("defender_not_undone");
            snapshot.stays = (!stays.is_empty()).then(|| stays.join("; "));
        }
        Ok(Self {
            row: number,
            targets: reader.targets(form, rules)?,
            change,
            account,
            api,
            // A row can ask for less, never for more than the form allows.
            dry_run: form.dry_run() || dry_run.unwrap_or(false),
            snapshot,
        })
    }

    /// What the row is about, also where it cannot be carried out.
    pub fn subject(form: &Form, row: &Row) -> Subject {
        let own = match row.values(SUBJECT).as_slice() {
            [word] if form.gives_way() => parameter::subject(word).ok(),
            _ => None,
        };
        own.unwrap_or(form.rules.subject)
    }
}

const SUBJECT: &str = "defender_subject";
const ID_FIELD: &str = "defender_id_field";

/// How a field's word is read: an undo may ask for what nobody else may, because it
/// was there before.
#[derive(Clone, Copy)]
struct FieldRules {
    undoing: bool,
}

impl FieldRules {
    fn classification(self, text: &str) -> Result<Classification, ParameterError> {
        match self.undoing && text == NONE {
            true => Ok(Classification::Unset),
            false => parameter::classification(text),
        }
    }

    fn determination(self, text: &str) -> Result<Determination, ParameterError> {
        match self.undoing && text == NONE {
            true => Ok(Determination::Unset),
            false => parameter::determination(text),
        }
    }

    fn owner(self, text: &str) -> Result<Owner, ParameterError> {
        match self.undoing {
            true => parameter::former_owner(text),
            false => parameter::assigned_to(text),
        }
    }
}

struct RowReader<'r> {
    number: usize,
    row: &'r Row,
    /// Whether the row's own fields win over what the form fixes.
    overrules: bool,
}

impl RowReader<'_> {
    fn one<T: Clone + PartialEq>(
        &self,
        parameter: &str,
        setting: &Setting<T>,
        read: impl Fn(&str) -> Result<T, ParameterError>,
    ) -> Result<Option<T>, Invalid> {
        self.all(parameter, setting, |values| match values {
            [value] => read(value),
            _ => Err(ParameterError::Several {
                count: values.len(),
                values: quoted(&values.join(", ")),
            }),
        })
    }

    fn all<T: Clone + PartialEq>(
        &self,
        parameter: &str,
        setting: &Setting<T>,
        read: impl Fn(&[&str]) -> Result<T, ParameterError>,
    ) -> Result<Option<T>, Invalid> {
        let take = |field: &str| {
            let values = self.row.values(field);
            if values.is_empty() {
                return Ok(None);
            }
            let value = read(&values).map_err(|error| self.field(field, error))?;
            Ok(Some(value))
        };
        let fixed = || match setting {
            Setting::Unset => Ok(None),
            Setting::Fixed(value) => Ok(Some(value.clone())),
            Setting::FromRow(named) => take(named),
        };
        let own = format!("defender_{parameter}");
        let Some(said) = take(&own)? else {
            return fixed();
        };
        if !self.overrules && fixed()?.is_some_and(|fixed| fixed != said) {
            return Err(self.overruling(&own));
        }
        Ok(Some(said))
    }

    fn overruling(&self, field: &str) -> Invalid {
        Invalid::Overrules {
            row: self.number,
            said: self.row.values(field).join(", "),
            field: field.to_owned(),
        }
    }

    fn targets(&self, form: &Form, rules: &Rules) -> Result<Vec<Target>, Invalid> {
        let subject = rules.subject;
        let own = self.row.values(ID_FIELD);
        let fixed = form.id_field.as_deref();
        // Which object is meant is never for the row itself to say.
        if !self.overrules && own.first().is_some_and(|own| fixed != Some(*own)) {
            return Err(self.overruling(ID_FIELD));
        }
        let (field, ids) = match own.first().copied().or(form.id_field.as_deref()) {
            Some(field) => {
                let ids = self.row.values(field);
                if ids.is_empty() {
                    return Err(Invalid::IdField {
                        row: self.number,
                        field: field.to_owned(),
                        subject,
                        names: self.row.names(),
                    });
                }
                (field, ids)
            }
            None => usual(subject)
                .into_iter()
                .map(|field| (field, self.row.values(field)))
                .find(|(_, ids)| !ids.is_empty())
                .ok_or_else(|| Invalid::NoId {
                    row: self.number,
                    subject,
                    fields: usual(subject).join(" or "),
                    names: self.row.names(),
                })?,
        };
        ids.into_iter()
            .map(|id| match rules.id(id) {
                Ok(id) => Ok(Target { subject, id }),
                Err(error) => Err(self.field(field, error)),
            })
            .collect()
    }

    fn field(&self, field: &str, error: ParameterError) -> Invalid {
        Invalid::Field {
            row: self.number,
            field: field.to_owned(),
            error,
        }
    }

    const fn together(&self, error: ParameterError) -> Invalid {
        Invalid::Together {
            row: self.number,
            error,
        }
    }
}

/// The ids a row names, good or not; none if it names none.
pub(super) fn ids<'r>(form: &Form, row: &'r Row) -> Vec<&'r str> {
    let own = row.values(ID_FIELD);
    if let Some(field) = own.first().copied().or(form.id_field.as_deref()) {
        return row.values(field);
    }
    let fields = usual(Request::subject(form, row)).into_iter();
    let mut named = fields.map(|field| row.values(field));
    named.find(|ids| !ids.is_empty()).unwrap_or_default()
}

/// Where rows made of Defender's objects keep their id: the XDR and hunting
/// tables' names first, then Graph's and Defender for Endpoint's.
const fn usual(subject: Subject) -> [&'static str; 3] {
    match subject {
        Subject::Alert => ["alert_id", "alertId", "id"],
        Subject::Incident => ["incident_id", "incidentId", "id"],
    }
}

/// A field's name in a message, without its quotation marks where it needs none.
fn plain(name: &str) -> String {
    let shown = quoted(name);
    let bare = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    match shown.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
        Some(inner) if bare => inner.to_owned(),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::triage::vocabulary::Status;
    use proptest::prelude::*;

    fn row(fields: &[(&str, &[&str])]) -> Row {
        Row::new(fields.iter().map(|(name, values)| {
            let values = values.iter().map(|value| (*value).to_owned());
            ((*name).to_owned(), values.collect())
        }))
    }

    fn form(subject: Subject, parameters: &[(&str, &str)]) -> Form {
        let base = [("account", "contoso")];
        let accounts = ["contoso".to_owned(), "fabrikam".to_owned()];
        Form::parse(
            subject,
            accounts.into(),
            base.iter().chain(parameters).copied(),
        )
        .unwrap()
    }

    fn alert(parameters: &[(&str, &str)], fields: &[(&str, &[&str])]) -> Result<Request, String> {
        Request::of(&form(Subject::Alert, parameters), 3, &row(fields))
            .map_err(|invalid| invalid.to_string())
    }

    fn ids(request: &Request) -> Vec<&str> {
        request.targets.iter().map(|t| t.id.as_str()).collect()
    }

    #[test]
    fn a_row_of_the_feed_is_enough_with_a_form() {
        let request = alert(
            &[("status", "resolved"), ("comment", " seen ")],
            &[("id", &["da1_2"]), ("severity", &["high"])],
        )
        .unwrap();
        assert_eq!(ids(&request), ["da1_2"]);
        assert_eq!(request.change.status, Some(Status::Resolved));
        assert_eq!(request.change.comment.as_deref(), Some("seen"));
        assert_eq!((request.row, request.api), (3, Api::Graph));
    }

    #[test]
    fn the_rows_own_fields_win_over_a_form_that_lets_them() {
        let request = alert(
            &[
                ("rows_overrule", "1"),
                ("status", "resolved"),
                ("classification", "$result.verdict$"),
                ("assigned_to", "a@contoso.com"),
            ],
            &[
                ("alertId", &["da1"]),
                ("id", &["not this"]),
                ("verdict", &["True positive"]),
                ("defender_determination", &["Phishing"]),
                ("defender_status", &["In progress"]),
                ("defender_assigned_to", &["NONE"]),
                ("defender_account", &["fabrikam"]),
                ("defender_api", &["mde"]),
                ("defender_comment", &[""]),
            ],
        )
        .unwrap();
        assert_eq!(ids(&request), ["da1"]);
        assert_eq!(
            request.change,
            Change {
                status: Some(Status::InProgress),
                classification: Some(Classification::TruePositive),
                determination: Some(Determination::Phishing),
                assigned_to: Some(Owner::Nobody),
                ..Change::default()
            }
        );
        assert_eq!(
            (request.account.as_str(), request.api),
            ("fabrikam", Api::Mde)
        );
    }

    #[test]
    fn a_row_says_what_the_form_leaves_open_and_overrules_nothing_it_fixes() {
        let parameters = [
            ("status", "resolved"),
            ("classification", "$result.verdict$"),
            ("id_field", "id"),
        ];
        let base: [(&str, &[&str]); 2] = [("id", &["da1"]), ("verdict", &["truePositive"])];
        let ask = |field: &'static str, said: &'static [&'static str]| {
            alert(&parameters, &[base.as_slice(), &[(field, said)]].concat())
        };
        // The same in other words, and what the form leaves open.
        assert!(ask("defender_status", &["Resolved"]).is_ok());
        assert!(ask("defender_account", &["contoso"]).is_ok());
        assert!(ask("defender_subject", &["alert"]).is_ok());
        assert!(ask("defender_api", &["mde"]).is_ok());
        let open = ask("defender_assigned_to", &["none"]).unwrap();
        assert_eq!(open.change.assigned_to, Some(Owner::Nobody));
        let refused = [
            ask("defender_account", &["fabrikam"]),
            ask("defender_subject", &["incident"]),
            ask("defender_status", &["new"]),
            ask("defender_classification", &["falsePositive"]),
            ask("defender_id_field", &["verdict"]),
            // Not where the form names none either: the usual names hold then.
            alert(
                &parameters[..2],
                &[base.as_slice(), &[("defender_id_field", &["verdict"])]].concat(),
            ),
        ];
        let messages: Vec<String> = refused.into_iter().map(Result::unwrap_err).collect();
        insta::assert_snapshot!(messages.join("\n"), @r#"
        row 3, field defender_account: "fabrikam" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        row 3, field defender_subject: "incident" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        row 3, field defender_status: "new" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        row 3, field defender_classification: "falsePositive" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        row 3, field defender_id_field: "verdict" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        row 3, field defender_id_field: "verdict" is not what the call says, and its rows may not overrule it: leave the field out of the row, or set rows_overrule=true
        "#);
    }

    #[test]
    fn several_ids_in_one_cell_are_several_targets_of_the_row() {
        let request = alert(
            &[("status", "resolved")],
            &[("alert_id", &["da1", " da2 ", "da1", ""])],
        )
        .unwrap();
        assert_eq!(ids(&request), ["da1", "da2"]);
    }

    #[test]
    fn a_row_may_ask_for_a_rehearsal_but_not_end_one() {
        let asks: &[(&str, &[&str])] = &[("id", &["da1"]), ("defender_dry_run", &["1"])];
        assert!(alert(&[("status", "new")], asks).unwrap().dry_run);
        let ends: &[(&str, &[&str])] = &[("id", &["da1"]), ("defender_dry_run", &["0"])];
        assert!(
            alert(&[("status", "new"), ("dry_run", "1")], ends)
                .unwrap()
                .dry_run
        );
    }

    #[test]
    fn a_row_may_be_about_the_other_subject() {
        let parameters = [
            ("status", "new"),
            ("comment", "seen"),
            ("rows_overrule", "yes"),
        ];
        let fields: &[(&str, &[&str])] = &[
            ("id", &["da1"]),
            ("incidentId", &["7"]),
            ("defender_subject", &["Incident"]),
        ];
        let request = alert(&parameters, fields).unwrap();
        let target = &request.targets[0];
        assert_eq!(
            (target.subject, target.id.as_str()),
            (Subject::Incident, "7")
        );
        assert_eq!(request.change.status, Some(Status::Active));
        let parameters = [("tags_add", "vip"), ("api", "xdr"), ("rows_overrule", "1")];
        let form = form(Subject::Incident, &parameters);
        let refusal = |fields: &[(&str, &[&str])]| {
            let row = row(&[&[("alert_id", ["da1"].as_slice())], fields].concat());
            Request::of(&form, 3, &row).unwrap_err().to_string()
        };
        let alert: (&str, &[&str]) = ("defender_subject", &["alert"]);
        let graph: (&str, &[&str]) = ("defender_api", &["graph"]);
        let user: (&str, &[&str]) = ("defender_subject", &["user"]);
        let refusals = [
            refusal(&[alert]),
            refusal(&[alert, graph]),
            refusal(&[user]),
        ];
        insta::assert_snapshot!(refusals.join("\n"), @r#"
        row 3: "xdr" is no API for alerts; use graph or mde
        row 3: tags can be set on incidents only: use defender_bridge_update_incident
        row 3, field defender_subject: "user" is no subject: use alert or incident
        "#);
    }

    #[test]
    fn refusals_name_row_field_value_and_remedy() {
        let resolved = [("status", "resolved")];
        let refusals = [
            alert(&resolved, &[("host", &["srv01"]), ("_time", &["1"])]),
            alert(
                &[("status", "resolved"), ("id_field", "da637")],
                &[("id", &["da1"])],
            ),
            alert(&resolved, &[("id", &["da1", "../x"])]),
            alert(
                &resolved,
                &[("id", &["da1"]), ("defender_status", &["closed"])],
            ),
            alert(
                &resolved,
                &[("id", &["da1"]), ("defender_status", &["new", "resolved"])],
            ),
            alert(
                &resolved,
                &[("id", &["da1"]), ("defender_determination", &["malware"])],
            ),
            alert(
                &resolved,
                &[("id", &["da1"]), ("defender_account", &["nemo"])],
            ),
            alert(
                &resolved,
                &[("id", &["da1"]), ("defender_tags_add", &["vip"])],
            ),
            alert(&[("status", "$result.wish$")], &[("id", &["da1"])]),
        ];
        let messages: Vec<String> = refusals.into_iter().map(Result::unwrap_err).collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    proptest! {
        #[test]
        fn any_row_becomes_a_request_or_a_printable_refusal(
            fields in prop::collection::vec(
                (
                    prop_oneof![
                        Just("id".to_owned()), Just("defender_status".to_owned()),
                        Just("defender_comment".to_owned()), Just("lastUpdateDateTime".to_owned()),
                        any::<String>(),
                    ],
                    prop::collection::vec(any::<String>(), 0..3),
                ),
                0..6,
            ),
        ) {
            let form = form(Subject::Incident, &[("tags_add", "vip")]);
            match Request::of(&form, 1, &Row::new(fields)) {
                Ok(request) => prop_assert!(!request.targets.is_empty()),
                Err(invalid) => {
                    let message = invalid.to_string();
                    prop_assert!(message.starts_with("row 1"));
                    prop_assert!(!message.chars().any(char::is_control), "{message:?}");
                    prop_assert!(message.len() < 2_000);
                }
            }
        }
    }
}
