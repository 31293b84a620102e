//! Takes a batch back: from what the ledger says of it to rows that ask for
//! what was there before.
//!
//! The rows are ordinary ones, `defender_<parameter>` fields with the target's
//! id, to be carried out under a form that names the batch ([`UNDOES`]). Beside
//! them stands what the batch left behind (`defender_expected_<parameter>`):
//! who has touched that since is not overruled. What cannot be taken back is
//! named (`defender_not_undone`).
//!
//! [`UNDOES`]: crate::triage::UNDOES

use crate::triage::field::{Field, VERDICT, VerdictField};
use crate::triage::form::same_tag;
use crate::triage::vocabulary::{Classification, Determination, NONE, Status, quoted};
use crate::triage::{Api, Change, Outcome, State, Subject};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a batch's entries in the ledger come to.
#[derive(Debug, Default)]
pub struct Undo {
    /// One for each target the batch changed, in the order of the first change.
    pub restorations: Vec<Restoration>,
    /// How the batch's rows ended.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Who asked for the batch's rows.
    pub actors: BTreeSet<String>,
    /// Targets of which nobody knows whether the write got through.
    pub unknown: Vec<String>,
    /// Events that are no entries of a ledger.
    pub unreadable: usize,
}

/// One target and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    pub subject: Subject,
    pub target: String,
    pub account: String,
    pub api: Api,
    /// What cannot be taken back, in words.
    pub stays: Vec<String>,
    /// The entries that say so, as they stand in the ledger.
    pub entries: Vec<String>,
    /// Who asked for what is taken back.
    pub actors: BTreeSet<String>,
    /// What is asked for, by parameter; nothing if all of it stays.
    wanted: BTreeMap<&'static str, Vec<String>>,
    /// What the batch left behind, by parameter.
    expected: BTreeMap<&'static str, String>,
}

impl Undo {
    /// Reads the entries of one batch, whatever their order; one that comes
    /// twice counts once.
    pub fn read<'e>(batch: &str, events: impl IntoIterator<Item = &'e str>) -> Self {
        let mut undo = Self::default();
        let mut entries: Vec<(&str, Recorded)> = Vec::new();
        for event in events {
            match serde_json::from_str::<Recorded>(event) {
                // A search compares without regard to case.
                Ok(entry) if entry.batch != batch => {}
                Ok(entry) => entries.push((event, entry)),
                Err(_) => undo.unreadable += 1,
            }
        }
        entries.sort_by(|(one, a), (other, b)| (a.time, a.row, one).cmp(&(b.time, b.row, other)));
        entries.dedup_by(|(one, _), (other, _)| one == other);
        let mut changes: Vec<Changes> = Vec::new();
        for (line, entry) in entries {
            *undo.outcomes.entry(entry.outcome).or_default() += 1;
            undo.actors.extend(entry.actor.clone());
            let (Some(target), Some(account)) = (entry.place(), &entry.account) else {
                continue;
            };
            if entry.is_unknown() {
                undo.unknown.push(target.to_owned());
            }
            if entry.dry_run || entry.changed.is_empty() {
                continue;
            }
            let same = |changes: &&mut Changes| {
                changes.subject == entry.subject
                    && changes.target == target
                    && changes.account == *account
            };
            match changes.iter_mut().find(same) {
                Some(changes) => {
                    changes.lines.push(line.to_owned());
                    changes.entries.push(entry);
                }
                None => changes.push(Changes {
                    subject: entry.subject,
                    target: target.to_owned(),
                    account: account.clone(),
                    lines: vec![line.to_owned()],
                    entries: vec![entry],
                }),
            }
        }
        undo.unknown.sort_unstable();
        undo.unknown.dedup();
        undo.restorations = changes.iter().map(Changes::restoration).collect();
        undo
    }
}

/// The field of an undo's row that holds its entries.
pub const ENTRIES: &str = "defender_entries";

impl Restoration {
    /// What the entries of one target come to; none if they are of none, of
    /// several, or of another batch.
    pub fn of<'e>(batch: &str, entries: impl IntoIterator<Item = &'e str>) -> Option<Self> {
        let mut undo = Undo::read(batch, entries);
        let one = undo.restorations.pop();
        one.filter(|_| undo.restorations.is_empty())
    }

    /// The row that asks for it; a comment only goes where something is restored.
    pub fn fields(&self, comment: Option<&str>) -> Vec<(String, Vec<String>)> {
        let id = match self.subject {
            Subject::Alert => "alert_id",
            Subject::Incident => "incident_id",
        };
        let mut fields = vec![
            (id.to_owned(), vec![self.target.clone()]),
            (
                "defender_subject".to_owned(),
                vec![self.subject.to_string()],
            ),
            ("defender_account".to_owned(), vec![self.account.clone()]),
            ("defender_api".to_owned(), vec![self.api.to_string()]),
        ];
        let wanted = self.wanted.iter();
        fields.extend(wanted.map(|(name, values)| (format!("defender_{name}"), values.clone())));
        let expected = self.expected.iter();
        fields.extend(expected.map(|(name, value)| {
            let name = format!("defender_expected_{name}");
            (name, vec![value.clone()])
        }));
        if !self.stays.is_empty() {
            fields.push(("defender_not_undone".to_owned(), self.stays.clone()));
        }
        if let (Some(comment), false) = (comment, self.wanted.is_empty()) {
            fields.push(("defender_comment".to_owned(), vec![comment.to_owned()]));
        }
        fields
    }
}

/// As much of a ledger's entry as an undo needs.
#[derive(Debug, Deserialize)]
struct Recorded {
    time: Timestamp,
    batch: String,
    #[serde(default)]
    row: usize,
    subject: Subject,
    target: Option<String>,
    merged_into: Option<String>,
    outcome: Outcome,
    before: Option<State>,
    after: Option<State>,
    #[serde(default)]
    changed: Vec<Field>,
    requested: Option<Change>,
    actor: Option<String>,
    account: Option<String>,
    api: Option<Api>,
    #[serde(default)]
    dry_run: bool,
}

impl Recorded {
    /// What was written to: the successor of a merged incident.
    fn place(&self) -> Option<&str> {
        self.merged_into.as_deref().or(self.target.as_deref())
    }

    /// Whether it was sent, and neither answered nor seen.
    fn is_unknown(&self) -> bool {
        let sent = self.before.is_some() && self.after.is_none() && self.changed.is_empty();
        self.outcome == Outcome::Failed && sent && !self.dry_run
    }

    fn wrote(&self, fields: &[Field]) -> bool {
        fields.iter().any(|field| self.changed.contains(field))
    }

    fn was(&self, known: &VerdictField) -> &str {
        let before = self.before.as_ref();
        before.map_or(NONE, |state| known.current(state))
    }

    /// What it left behind: what was asked for, since that was taken, else what
    /// was seen afterwards.
    fn left(&self, known: &VerdictField) -> Option<&str> {
        let requested = self.requested.as_ref();
        let after = || {
            self.after
                .as_ref()
                .map(|state| known.said(state).unwrap_or(NONE))
        };
        requested
            .and_then(|change| known.wanted(change))
            .or_else(after)
    }
}

/// All that a batch did to one target, oldest first.
struct Changes {
    subject: Subject,
    target: String,
    account: String,
    lines: Vec<String>,
    entries: Vec<Recorded>,
}

impl Changes {
    /// Field by field: back to what was before the first change of it, if what
    /// the last one left still stands.
    fn restoration(&self) -> Restoration {
        let api = self.entries.iter().rev().find_map(|entry| entry.api);
        let mut restoration = Restoration {
            subject: self.subject,
            target: self.target.clone(),
            account: self.account.clone(),
            api: api.unwrap_or(Api::Graph),
            stays: Vec::new(),
            entries: self.lines.clone(),
            actors: self
                .entries
                .iter()
                .filter_map(|entry| entry.actor.clone())
                .collect(),
            wanted: BTreeMap::new(),
            expected: BTreeMap::new(),
        };
        for known in &VERDICT {
            self.restore(known, &mut restoration);
        }
        self.tags(&mut restoration);
        self.comments(&mut restoration);
        restoration
    }

    /// The first and the last change of any of these fields.
    fn first_and_last(&self, fields: &[Field]) -> Option<(&Recorded, &Recorded)> {
        let wrote = |entry: &&Recorded| entry.wrote(fields);
        let first = self.entries.iter().find(wrote)?;
        let last = self.entries.iter().rfind(wrote)?;
        Some((first, last))
    }

    fn restore(&self, known: &VerdictField, restoration: &mut Restoration) {
        let fields: Vec<Field> = [known.field].into_iter().chain(known.pair).collect();
        let Some((first, last)) = self.first_and_last(&fields) else {
            return;
        };
        let (was, left) = (first.was(known), last.left(known));
        let back = match known.field {
            Field::Status => status(was, self.subject).map(Some),
            Field::Classification => classification(was, left, restoration.api)
                .map(|classification| Some(classification.as_str())),
            Field::Determination => {
                let beside = Field::Classification.of_verdict();
                let beside = beside.map_or(NONE, |beside| first.was(beside));
                determination(was, left, beside, restoration.api)
            }
            Field::AssignedTo | Field::Comment | Field::Tags => Ok(Some(was)),
        };
        match back {
            Ok(Some(word)) => restoration.ask(known.field.as_str(), word, left),
            Ok(None) => {}
            Err(why) => restoration.stays.push(why),
        }
        if self.subject == Subject::Incident {
            let along = set_along(known, left);
            restoration.stays.extend(along.map(str::to_owned));
        }
    }

    /// A tag is there or not, so nothing can come between: those that came go,
    /// those that went come back.
    fn tags(&self, restoration: &mut Restoration) {
        // Each with whether it was there before it was first changed.
        let mut touched: Vec<(&str, bool)> = Vec::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| entry.wrote(&[Field::Tags]))
        {
            let before = entry.before.as_ref().map_or(&[][..], |state| &state.tags);
            let Some(asked) = &entry.requested else {
                continue;
            };
            let added = asked.tags_add.iter().map(|tag| (tag, true));
            let removed = asked.tags_remove.iter().map(|tag| (tag, false));
            for (tag, shall) in added.chain(removed) {
                let stood = before.iter().find(|other| same_tag(tag, other));
                let known = touched.iter().any(|(other, _)| same_tag(tag, other));
                if stood.is_some() != shall && !known {
                    touched.push((stood.unwrap_or(tag), stood.is_some()));
                }
            }
        }
        for (tag, stood) in touched {
            let name = if stood { "tags_add" } else { "tags_remove" };
            let tags = restoration.wanted.entry(name).or_default();
            tags.push(tag.to_owned());
        }
    }

    fn comments(&self, restoration: &mut Restoration) {
        let written = self
            .entries
            .iter()
            .filter(|entry| entry.wrote(&[Field::Comment]));
        let asked = written.filter_map(|entry| entry.requested.as_ref()?.comment.as_deref());
        let mut comments: Vec<&str> = asked.collect();
        comments.dedup();
        let texts = comments
            .into_iter()
            .map(|text| format!("the comment {}, as Defender deletes none", quoted(text)));
        restoration.stays.extend(texts);
    }
}

/// The status that restores one, or what stays instead.
fn status(was: &str, subject: Subject) -> Result<&'static str, String> {
    match Status::parse(was, subject) {
        Ok(status) => Ok(status.as_str()),
        Err(_) => Err(format!(
            "the status, which was {} and can only be set so by Defender itself",
            quoted(was)
        )),
    }
}

/// The classification that restores one, or what stays instead.
fn classification(was: &str, left: Option<&str>, api: Api) -> Result<Classification, String> {
    match was {
        NONE if api == Api::Graph => Ok(Classification::Unset),
        NONE => Err(format!(
            "the classification {}: only Microsoft Graph takes one back, not api {}",
            quoted(left.unwrap_or(NONE)),
            api.as_str()
        )),
        _ => Classification::parse(was).map_err(|_| {
            format!(
                "the classification, which was {}: no API takes that",
                quoted(was)
            )
        }),
    }
}

/// The determination that restores one beside its classification, if any, or
/// what stays instead. Defender takes a determination only beside its
/// classification, and drops one that no longer fits.
fn determination(
    was: &str,
    left: Option<&str>,
    beside: &str,
    api: Api,
) -> Result<Option<&'static str>, String> {
    let Ok(classification) = classification(beside, None, api) else {
        return Ok(None);
    };
    if was == NONE && api == Api::Graph {
        return Ok(Some(NONE));
    }
    if was == NONE && left.is_none_or(|left| left == NONE) {
        return Ok(None);
    }
    match Determination::parse(was) {
        Ok(word) if word.check(Some(classification)).is_ok() => Ok(Some(word.as_str())),
        _ => Err(format!(
            "the determination, which was {}: api {} does not take that beside {}",
            quoted(was),
            api.as_str(),
            quoted(beside)
        )),
    }
}

/// What Defender has set in the alerts of an incident along with this field.
fn set_along(known: &VerdictField, left: Option<&str>) -> Option<&'static str> {
    let left = known.spelled(left);
    match known.field {
        Field::Status if left == Status::Resolved.as_str() => {
            Some("the incident's alerts, which Defender resolves along with it")
        }
        Field::AssignedTo if left != NONE => {
            Some("the owner of the incident's alerts, whom Defender sets along with it")
        }
        _ => None,
    }
}

impl Restoration {
    fn ask(&mut self, parameter: &'static str, was: &str, left: Option<&str>) {
        self.wanted.insert(parameter, vec![was.to_owned()]);
        if let Some(left) = left {
            self.expected.insert(parameter, left.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn entry(time: &str, more: &Value) -> String {
        let mut entry = json!({
            "time": format!("2026-11-21T{time}Z"), "action": "queue", "batch": "b", "row": 1,
            "subject": "alert", "target": "da1", "outcome": "updated", "message": "",
            "before": {"status": "new", "classification": "unknown", "determination": null,
                       "assigned_to": null, "tags": ["Old"], "updated": null},
            "after": {"status": "resolved", "classification": "truePositive",
                      "determination": "malware", "assigned_to": "kim@contoso.com", "tags": []},
            "changed": ["status"], "requested": {"status": "resolved"},
            "actor": "ann", "account": "contoso", "api": "graph", "dry_run": false,
        });
        for (key, value) in more.as_object().unwrap() {
            entry[key] = value.clone();
        }
        entry.to_string()
    }

    fn summary(undo: &Undo) -> String {
        let rows = undo.restorations.iter().map(|restoration| {
            let fields = restoration.fields(Some("sorry")).into_iter();
            let fields: Vec<String> = fields
                .map(|(name, values)| format!("{name}={}", values.join("|")))
                .collect();
            fields.join("\n")
        });
        rows.collect::<Vec<_>>().join("\n---\n")
    }

    fn read(events: &[String]) -> Undo {
        Undo::read("b", events.iter().map(String::as_str))
    }

    #[test]
    fn everything_a_batch_changed_is_asked_back_and_what_stays_is_named() {
        let undo = read(&[entry(
            "10:00:00",
            &json!({"subject": "incident", "target": "7",
                "changed": ["status", "classification", "determination", "assigned_to", "comment", "tags"],
                "requested": {"status": "resolved", "classification": "truePositive",
                    "determination": "malware", "assigned_to": "kim@contoso.com",
                    "comment": "closed", "tags_add": ["new", "OLD2"], "tags_remove": ["old", "gone"]}}),
        )]);
        insta::assert_snapshot!(summary(&undo), @r#"
        incident_id=7
        defender_subject=incident
        defender_account=contoso
        defender_api=graph
        defender_assigned_to=none
        defender_classification=none
        defender_determination=none
        defender_status=active
        defender_tags_add=Old
        defender_tags_remove=new|OLD2
        defender_expected_assigned_to=kim@contoso.com
        defender_expected_classification=truePositive
        defender_expected_determination=malware
        defender_expected_status=resolved
        defender_not_undone=the incident's alerts, which Defender resolves along with it|the owner of the incident's alerts, whom Defender sets along with it|the comment "closed", as Defender deletes none
        defender_comment=sorry
        "#);
    }

    #[test]
    fn several_changes_of_one_target_go_back_to_before_the_first() {
        let second = json!({"changed": ["status"], "requested": {"status": "resolved"},
            "before": {"status": "inProgress", "tags": []}});
        let first = json!({"changed": ["status"], "requested": {"status": "inProgress"},
            "before": {"status": "new", "tags": []}});
        // In the order of a search, the newest first, and one of them twice.
        let (second, first) = (entry("11:00:00", &second), entry("10:00:00", &first));
        let undo = read(&[second.clone(), second, first]);
        assert_eq!(undo.outcomes[&Outcome::Updated], 2);
        insta::assert_snapshot!(summary(&undo), @"
        alert_id=da1
        defender_subject=alert
        defender_account=contoso
        defender_api=graph
        defender_status=new
        defender_expected_status=resolved
        defender_comment=sorry
        ");
    }

    #[test]
    fn only_what_stands_is_taken_back() {
        let undo = read(&[
            entry(
                "10:00:01",
                &json!({"target": "dry", "dry_run": true, "outcome": "planned"}),
            ),
            entry(
                "10:00:02",
                &json!({"target": "same", "outcome": "unchanged", "changed": []}),
            ),
            entry(
                "10:00:03",
                &json!({"target": "half", "outcome": "throttled", "changed": ["status"]}),
            ),
            entry(
                "10:00:04",
                &json!({"target": "lost", "outcome": "failed", "changed": [], "after": null}),
            ),
            entry("10:00:05", &json!({"batch": "B", "target": "another"})),
            "no entry".to_owned(),
        ]);
        let targets: Vec<&str> = undo
            .restorations
            .iter()
            .map(|r| r.target.as_str())
            .collect();
        assert_eq!(targets, ["half"]);
        assert_eq!(undo.unknown, ["lost"]);
        assert_eq!((undo.outcomes[&Outcome::Planned], undo.unreadable), (1, 1));
    }

    #[test]
    fn an_api_that_takes_no_verdict_back_keeps_it_and_says_so() {
        let verdict = json!({"api": "mde",
            "changed": ["status", "classification", "determination"],
            "requested": {"status": "resolved", "classification": "truePositive",
                          "determination": "malware"}});
        insta::assert_snapshot!(summary(&read(&[entry("10:00:00", &verdict)])), @r#"
        alert_id=da1
        defender_subject=alert
        defender_account=contoso
        defender_api=mde
        defender_status=new
        defender_expected_status=resolved
        defender_not_undone=the classification "truePositive": only Microsoft Graph takes one back, not api mde
        defender_comment=sorry
        "#);
    }

    #[test]
    fn a_verdict_that_was_there_before_comes_back_as_a_pair() {
        let verdict = json!({"api": "mde", "changed": ["determination"],
            "before": {"classification": "TruePositive", "determination": "CompromisedUser"},
            "requested": {"classification": "truePositive", "determination": "malware"}});
        let undo = read(&[entry("10:00:00", &verdict)]);
        let restoration = &undo.restorations[0];
        assert_eq!(restoration.wanted["classification"], ["truePositive"]);
        assert_eq!(restoration.wanted["determination"], ["compromisedAccount"]);
        assert_eq!(restoration.expected["determination"], "malware");
    }

    #[test]
    fn words_nobody_can_write_stay_as_they_are() {
        let entry = entry(
            "10:00:00",
            &json!({"changed": ["status", "classification", "determination"],
                "before": {"status": "awaitingAction", "classification": "truePositive",
                           "determination": "apt"},
                "requested": {"status": "resolved", "classification": "falsePositive",
                              "determination": "notMalicious"}}),
        );
        let undo = read(&[entry]);
        let restoration = &undo.restorations[0];
        assert_eq!(
            restoration.wanted.keys().collect::<Vec<_>>(),
            [&"classification"]
        );
        insta::assert_snapshot!(restoration.stays.join("\n"), @r#"
        the status, which was "awaitingAction" and can only be set so by Defender itself
        the determination, which was "apt": api graph does not take that beside "truePositive"
        "#);
    }

    #[test]
    fn a_comment_alone_leaves_nothing_to_ask_for() {
        let comment = json!({"changed": ["comment"], "requested": {"comment": "seen\nit"}});
        insta::assert_snapshot!(summary(&read(&[entry("10:00:00", &comment)])), @r#"
        alert_id=da1
        defender_subject=alert
        defender_account=contoso
        defender_api=graph
        defender_not_undone=the comment "seen\nit", as Defender deletes none
        "#);
    }

    #[test]
    fn what_was_done_to_a_merged_incident_is_taken_back_where_it_was_done() {
        let merged = json!({"subject": "incident", "target": "7", "merged_into": "9"});
        let undo = read(&[
            entry("10:00:00", &merged),
            entry(
                "10:00:00",
                &json!({"subject": "incident", "target": "9", "row": 2}),
            ),
        ]);
        let targets: Vec<&str> = undo
            .restorations
            .iter()
            .map(|r| r.target.as_str())
            .collect();
        assert_eq!(targets, ["9"]);
    }

    proptest! {
        #[test]
        fn any_events_are_entries_or_counted(events: Vec<String>) {
            let undo = Undo::read("b", events.iter().map(String::as_str));
            prop_assert_eq!(undo.unreadable, events.len());
        }
    }
}
