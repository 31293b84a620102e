//! What a row shows and wants, held against what Defender says now: who is
//! ahead, in which fields, and what puts it right. Nothing is written here.
//!
//! * *Defender is ahead* where a field the row shows stands otherwise there: the
//!   feed has yet to bring it, or the row is not the newest event.
//! * *Splunk is ahead* where the row asks for something (`defender_<parameter>`)
//!   that does not stand there yet: somebody has to write it.
//!
//! Only what a row shows is compared: a table cannot tell an empty field from
//! one that was left out.

use crate::triage::diff::{describe, diff};
use crate::triage::field::{Field, VERDICT};
use crate::triage::form::{Form, FormError, same_tag};
use crate::triage::marker::{Marker, said};
use crate::triage::printed::word;
use crate::triage::request::{Invalid, Request};
use crate::triage::row::Row;
use crate::triage::row_snapshot::RowSnapshot;
use crate::triage::{Api, Change, State, Subject};
use jiff::{SignedDuration, Timestamp};
use std::cmp::Ordering;
use std::fmt;

/// Who knows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ahead {
    /// Nobody: what the row shows and wants stands.
    Equal,
    Defender,
    Splunk,
    /// Defender in some fields, Splunk in others or the same.
    Both,
}

impl Ahead {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "none",
            Self::Defender => "defender",
            Self::Splunk => "splunk",
            Self::Both => "both",
        }
    }
}

/// What comes of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    pub ahead: Ahead,
    /// Field by field.
    pub differences: Vec<String>,
    /// What puts it right, as a sentence.
    pub fix: String,
    /// The command that writes it, where a write is right.
    pub command: Option<String>,
}

/// An input that is well brings a change within this time.
const FEED: SignedDuration = SignedDuration::from_mins(30);

/// Holds rows of one search against one account.
#[derive(Debug)]
pub struct Reconciler {
    account: String,
    api: Api,
    form: Form,
}

impl Reconciler {
    /// # Errors
    /// If the API does not serve the subject.
    pub fn new(
        subject: Subject,
        account: &str,
        api: Api,
        id_field: Option<&str>,
    ) -> Result<Self, FormError> {
        let parameters = [
            ("account", account),
            ("api", api.as_str()),
            ("id_field", id_field.unwrap_or_default()),
        ];
        let form = Form::parse(subject, [account.to_owned()].into(), parameters)?;
        Ok(Self {
            account: account.to_owned(),
            api,
            form,
        })
    }

    /// `number` is the row's, counted from 1; `now` tells whether the feed is late.
    pub fn reconcile(&self, number: usize, row: &Row, live: &State, now: Timestamp) -> Reconciled {
        let snapshot = RowSnapshot::of(row, self.form.subject());
        let mut differences: Vec<String> = snapshot
            .differing(live)
            .into_iter()
            .map(|(field, shown, stands)| {
                let (shown, stands) = (word(&shown), word(&stands));
                format!("{field}: {shown} in the row, {stands} in Defender")
            })
            .collect();
        differences.extend(tags_apart(row, live));
        let behind = !differences.is_empty();
        let wish = match Request::of(&self.form, number, row) {
            Ok(request) => Some(Ok(missing(request.change, live))),
            Err(Invalid::NothingToChange { .. }) => None,
            Err(invalid) => Some(Err(invalid.to_string())),
        };
        let mut fixes = Vec::new();
        let mut command = None;
        let wanting = match wish {
            None => false,
            Some(Err(why)) => {
                fixes.push(format!("what the row asks for cannot be written: {why}"));
                true
            }
            Some(Ok((change, fields))) if !fields.is_empty() => {
                differences.push(format!("wanted: {}", describe(live, &change, &fields)));
                match snapshot.overruled(live, &change, false) {
                    Some(why) => fixes.push(format!("decide first: {why}")),
                    None => {
                        fixes.push("the row's wish is not written yet: write it".to_owned());
                        command = Some(self.command(&change));
                    }
                }
                true
            }
            Some(Ok(_)) => false,
        };
        let stale = behind && snapshot.against(live) == Some(Ordering::Greater);
        if stale {
            fixes.push(
                "this answer of Defender is older than the row: ask again in a minute before anything is written"
                    .to_owned(),
            );
            command = None;
        } else if behind {
            fixes.push(self.wait_for_feed(live, now));
        }
        let ahead = match (behind && !stale, wanting || stale) {
            (false, false) => Ahead::Equal,
            (true, false) => Ahead::Defender,
            (false, true) => Ahead::Splunk,
            (true, true) => Ahead::Both,
        };
        if fixes.is_empty() {
            fixes.push("nothing to do".to_owned());
        }
        Reconciled {
            ahead,
            differences,
            fix: fixes.join("; "),
            command,
        }
    }

    fn wait_for_feed(&self, live: &State, now: Timestamp) -> String {
        if let Some(into) = &live.merged_into {
            return format!("it was merged into {into}: go on there");
        }
        let updated = live.updated.as_deref();
        let updated: Option<Timestamp> = updated.and_then(|text| text.parse().ok());
        match updated.map(|updated| (updated, now.duration_since(updated))) {
            Some((updated, age)) if age > FEED => format!(
                "Defender has it since {updated}, so the feed should have brought it: take the newest event (| dedup id sortby -_time); if the row is it, look at the input that reads account {}",
                self.account
            ),
            _ => "the feed brings it with one of its next polls".to_owned(),
        }
    }

    /// The command and its arguments; the row says which object.
    fn command(&self, change: &Change) -> String {
        let tags = |tags: &[String]| (!tags.is_empty()).then(|| tags.join(","));
        let words = VERDICT.iter().map(|known| {
            (
                known.field.as_str(),
                known.wanted(change).map(str::to_owned),
            )
        });
        let others = [
            ("comment", change.comment.clone()),
            ("tags_add", tags(&change.tags_add)),
            ("tags_remove", tags(&change.tags_remove)),
        ];
        let mut command = format!(
            "defenderupdate account={} subject={} api={}",
            Quoted(&self.account),
            self.form.subject(),
            self.api
        );
        for (name, value) in words.chain(others) {
            if let Some(value) = value {
                command += &format!(" {name}={}", Quoted(&value));
            }
        }
        command
    }
}

/// What of a wish does not stand yet, and its fields; a verdict stays a pair.
fn missing(change: Change, live: &State) -> (Change, Vec<Field>) {
    let mut fields = diff(live, &change, &Marker::of("", &change));
    if change
        .comment
        .as_deref()
        .is_some_and(|comment| said(comment, &live.comments))
    {
        fields.retain(|field| *field != Field::Comment);
    }
    let stands = |tag: &String| live.tags.iter().any(|other| same_tag(tag, other));
    let mut left = change.only(|field| fields.contains(&field));
    left.tags_add.retain(|tag| !stands(tag));
    left.tags_remove.retain(stands);
    (left, fields)
}

/// The tags an event shows, under the names the APIs give them.
fn tags_apart(row: &Row, live: &State) -> Option<String> {
    let shown = ["customTags{}", "customTags", "tags{}"]
        .into_iter()
        .map(|field| row.values(field))
        .find(|tags| !tags.is_empty())?;
    let alike = shown.len() == live.tags.len()
        && shown
            .iter()
            .all(|tag| live.tags.iter().any(|other| same_tag(tag, other)));
    (!alike).then(|| {
        let stands = match live.tags.as_slice() {
            [] => "none".to_owned(),
            tags => tags.join(", "),
        };
        format!(
            "tags: {} in the row, {stands} in Defender",
            shown.join(", ")
        )
    })
}

/// A value as a search takes it.
struct Quoted<'v>(&'v str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
        if !self.0.is_empty() && self.0.bytes().all(bare) {
            return f.write_str(self.0);
        }
        write!(
            f,
            "\"{}\"",
            self.0.replace('\\', "\\\\").replace('"', "\\\"")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(fields: &[(&str, &str)]) -> Row {
        let base = [("incident_id", "7")];
        Row::new(base.iter().chain(fields).map(|(name, cell)| {
            let values = cell.split('|').map(str::to_owned);
            ((*name).to_owned(), values.collect())
        }))
    }

    fn live() -> State {
        State {
            status: Some("inProgress".to_owned()),
            classification: Some("unknown".to_owned()),
            assigned_to: Some("Ann@contoso.com".to_owned()),
            tags: vec!["VIP".to_owned()],
            comments: vec!["seen [splunk:01234567]".to_owned()],
            updated: Some("2026-11-21T10:00:00Z".to_owned()),
            ..State::default()
        }
    }

    fn compared(fields: &[(&str, &str)]) -> String {
        let reconciler = Reconciler::new(Subject::Incident, "contoso", Api::Graph, None).unwrap();
        let now = "2026-11-21T10:05:00Z".parse().unwrap();
        let found = reconciler.reconcile(1, &row(fields), &live(), now);
        let mut lines = vec![found.ahead.as_str().to_owned()];
        lines.extend(found.differences);
        lines.push(found.fix);
        lines.extend(found.command);
        lines.join("\n")
    }

    #[test]
    fn what_a_row_shows_and_wants_stands_whatever_its_spelling() {
        let lines = compared(&[
            ("status", "InProgress"),
            ("classification", "Unknown"),
            ("assignedTo", "ann@contoso.com"),
            ("customTags{}", "vip"),
            ("lastUpdateDateTime", "2026-11-21T09:00:00Z"),
            ("defender_comment", "seen"),
            ("defender_assigned_to", "ann@contoso.com"),
        ]);
        insta::assert_snapshot!(lines, @"
        none
        nothing to do
        ");
    }

    #[test]
    fn where_defender_is_ahead_the_feed_brings_it() {
        let lines = compared(&[
            ("status", "active"),
            ("assignedTo", "null"),
            ("customTags{}", "vip|phish"),
            ("lastUpdateDateTime", "2026-11-21T09:00:00Z"),
        ]);
        insta::assert_snapshot!(lines, @"
        defender
        status: active in the row, inProgress in Defender
        assigned_to: none in the row, Ann@contoso.com in Defender
        tags: vip, phish in the row, VIP in Defender
        the feed brings it with one of its next polls
        ");
    }

    #[test]
    fn where_the_row_wants_more_the_command_says_just_that() {
        let lines = compared(&[
            ("status", "inProgress"),
            ("defender_status", "Resolved"),
            ("defender_classification", "True positive"),
            ("defender_determination", "Malware"),
            ("defender_comment", "as \"discussed\" \\ closed"),
            ("defender_assigned_to", "ann@contoso.com"),
            ("defender_tags_add", "vip|done"),
        ]);
        insta::assert_snapshot!(lines, @r#"
        splunk
        wanted: status inProgress to resolved, classification unknown to truePositive, determination none to malware, comment added, tags +done
        the row's wish is not written yet: write it
        defenderupdate account=contoso subject=incident api=graph status=resolved classification=truePositive determination=malware comment="as \"discussed\" \\ closed" tags_add=done
        "#);
    }

    #[test]
    fn where_both_moved_the_same_field_a_person_decides() {
        let lines = compared(&[
            ("status", "active"),
            ("lastUpdateDateTime", "2026-11-21T09:00:00Z"),
            ("defender_status", "resolved"),
        ]);
        insta::assert_snapshot!(lines, @"
        both
        status: active in the row, inProgress in Defender
        wanted: status inProgress to resolved
        decide first: somebody was faster: status was active in the row and is inProgress now (last update 2026-11-21T09:00:00Z in the row, 2026-11-21T10:00:00Z in Defender); search again, or leave the last update out of the rows to overrule; the feed brings it with one of its next polls
        ");
    }

    #[test]
    fn an_answer_older_than_the_row_is_not_acted_upon() {
        let lines = compared(&[
            ("status", "resolved"),
            ("lastUpdateDateTime", "2026-11-21T10:01:00Z"),
        ]);
        insta::assert_snapshot!(lines, @"
        splunk
        status: resolved in the row, inProgress in Defender
        this answer of Defender is older than the row: ask again in a minute before anything is written
        ");
    }

    #[test]
    fn a_wish_that_cannot_be_written_is_named() {
        insta::assert_snapshot!(compared(&[("defender_status", "closed")]), @r#"
        splunk
        what the row asks for cannot be written: row 1, field defender_status: "closed" is no status Defender knows; use one of active, inProgress, resolved
        "#);
    }

    #[test]
    fn a_feed_that_is_late_is_said_to_be() {
        let reconciler = Reconciler::new(Subject::Incident, "contoso", Api::Graph, None).unwrap();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let found = reconciler.reconcile(1, &row(&[("status", "active")]), &live(), now);
        insta::assert_snapshot!(found.fix, @"Defender has it since 2026-11-21T10:00:00Z, so the feed should have brought it: take the newest event (| dedup id sortby -_time); if the row is it, look at the input that reads account contoso");
    }

    proptest! {
        #[test]
        fn any_row_is_reconciled_with_any_state(
            fields in prop::collection::vec((any::<String>(), any::<String>()), 0..5),
            status: Option<String>,
            updated: Option<String>,
        ) {
            let reconciler = Reconciler::new(Subject::Incident, "contoso", Api::Graph, None).unwrap();
            let fields = fields.into_iter().map(|(name, value)| (name, vec![value]));
            let live = State { status, updated, ..State::default() };
            let now = "2026-11-21T12:00:00Z".parse().unwrap();
            let found = reconciler.reconcile(1, &Row::new(fields), &live, now);
            prop_assert!(!found.fix.is_empty());
        }
    }
}
