//! One change on its way to one alert or incident.
//!
//! PATCH may be repeated, a comment may not: no API offers a key that makes
//! adding one idempotent. So after an outcome nobody knows it is looked for by its
//! marker (`trace.rs`), and only where it is proved absent it is sent again; also
//! after a refusal, which nowhere is documented to mean that nothing was written.
//! Whoever was sent one without certainty is looked for together with the others.

use crate::microsoft::client::{Answer, Quota};
use crate::microsoft::defender::list::collection::Collection;
use crate::microsoft::defender::spelling;
use crate::microsoft::defender::update::client::{DefenderError, IN_FLIGHT, UpdateClient};
use crate::microsoft::defender::update::sent_comments::{After, Trace, stands};
use crate::microsoft::defender::update::tenant_limits::Term;
use crate::microsoft::http::error::Error;
use crate::triage::vocabulary::{Classification, Determination};
use crate::triage::{
    Api, Change, DefenderClient, Failing, Owner, Receipt, State, Subject, Target, UpdateError,
};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

pub(in crate::microsoft) struct Patch<'a> {
    client: &'a UpdateClient,
    target: &'a Target,
    collection: &'static Collection,
    path: String,
    marker: &'a str,
    receipt: Receipt,
    /// How far its comment has come.
    words: CommentState,
    /// Whether its fields are known to stand, apart from the comment.
    patched: bool,
    /// Fields that were sent along with a comment whose fate is open.
    along: Fields,
}

/// How far a comment has come.
#[derive(Debug)]
pub(in crate::microsoft) enum CommentState {
    /// There is none, or it stands.
    Done,
    /// To be sent: it never was, or is proved absent.
    Due,
    /// It was sent, and nobody said that it stands.
    Doubtful(DefenderError),
    /// The same, and nobody can tell.
    Unknown(DefenderError),
    /// It certainly does not stand, and is not sent again.
    Missing(DefenderError),
}

pub(in crate::microsoft) type Fields = Map<String, Value>;

/// One way to word a change, and which wordings of its terms it uses.
#[derive(Debug, Default, Clone)]
pub(in crate::microsoft) struct Wording {
    pub fields: Fields,
    pub terms: Vec<(Term, usize)>,
}

/// How often a comment is sent at most, each time after proof that it is not there.
pub(in crate::microsoft) const COMMENT_TRIES: u32 = 2;

impl UpdateClient {
    /// One change for each target.
    pub(in crate::microsoft) async fn write_singly<'a>(
        &'a self,
        targets: &'a [Target],
        change: &Change,
        marker: &'a str,
    ) -> Vec<Result<Receipt, DefenderError>> {
        let patch = |target| async move {
            let mut patch = Patch::new(self, target, marker)?;
            patch.carry_out(change).await?;
            Ok(patch)
        };
        let mut patches: Vec<Result<Patch<'a>, DefenderError>> = futures::stream::iter(targets)
            .map(patch)
            .buffered(IN_FLIGHT)
            .collect()
            .await;
        if let Some(comment) = &change.comment {
            for tries in 1..=COMMENT_TRIES {
                let last = tries == COMMENT_TRIES;
                look(self, patches.iter_mut().flatten(), last, After::Loss).await;
                let due = patches.iter_mut().flatten().filter(|patch| patch.is_due());
                futures::stream::iter(due)
                    .for_each_concurrent(IN_FLIGHT, |patch| patch.say(comment))
                    .await;
            }
        }
        let close = |patch: Result<Patch<'a>, DefenderError>| async move { patch?.close().await };
        futures::stream::iter(patches)
            .map(close)
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }
}

/// Looks together for comments of which nobody said that they stand; what is
/// proved absent becomes due again, unless it was sent for the last time.
pub(in crate::microsoft) async fn look<'e, 'a: 'e>(
    client: &UpdateClient,
    patches: impl Iterator<Item = &'e mut Patch<'a>>,
    last: bool,
    after: After,
) {
    let doubtful = |patch: &&mut Patch<'a>| matches!(patch.words, CommentState::Doubtful(_));
    let doubtful: Vec<&mut Patch<'a>> = patches.filter(doubtful).collect();
    let Some(first) = doubtful.first() else {
        return;
    };
    let marker = first.marker;
    let targets: Vec<Target> = doubtful.iter().map(|patch| patch.target.clone()).collect();
    let traces = client.trace(&targets, marker, Instant::now(), after).await;
    for (patch, traced) in doubtful.into_iter().zip(traces) {
        patch.count(traced.reads);
        patch.traced(traced.trace, last);
    }
}

impl<'a> Patch<'a> {
    pub fn new(
        client: &'a UpdateClient,
        target: &'a Target,
        marker: &'a str,
    ) -> Result<Self, DefenderError> {
        let (collection, path) = client.place(target)?;
        Ok(Self {
            client,
            target,
            collection,
            path,
            marker,
            receipt: Receipt::default(),
            words: CommentState::Done,
            patched: false,
            along: Fields::new(),
        })
    }

    /// Graph keeps comments in a collection of their own, so there the fields go
    /// first; the older APIs take the comment inside the PATCH.
    async fn carry_out(&mut self, change: &Change) -> Result<(), DefenderError> {
        let tags = if replaces_tags(change) && self.target.subject == Subject::Incident {
            self.receipt.attempts += 1;
            self.client.read(self.target).await?.tags
        } else {
            Vec::new()
        };
        let wordings = self.wordings(change, tags)?;
        let comment = change.comment.as_deref();
        if self.api() == Api::Graph {
            let patched = wordings.iter().any(|wording| !wording.fields.is_empty());
            self.patch_worded(wordings, None).await?;
            if let Some(comment) = comment {
                self.owes(patched);
                self.say(comment).await;
            }
            return Ok(());
        }
        // Defender for Endpoint's list lags, and may not show it yet.
        let there = match comment {
            Some(_) if self.api() == Api::Mde => self.is_there().await?,
            _ => false,
        };
        self.patch_worded(wordings, comment.filter(|_| !there))
            .await
    }

    /// Its comment is still to be sent.
    pub fn owes(&mut self, patched: bool) {
        self.words = CommentState::Due;
        self.patched = patched;
    }

    /// Its comment was sent with a call that was refused; its fields go without it.
    pub fn doubts(&mut self, refusal: DefenderError, patched: bool) {
        self.words = CommentState::Doubtful(refusal);
        self.patched = patched;
        self.along.clear();
    }

    /// Whether there is no comment, or it stands.
    pub fn is_settled(&self) -> bool {
        matches!(self.words, CommentState::Done)
    }

    pub fn is_due(&self) -> bool {
        matches!(self.words, CommentState::Due)
    }

    fn traced(&mut self, trace: Trace, last: bool) {
        let words = std::mem::replace(&mut self.words, CommentState::Done);
        self.words = match (words, trace) {
            (_, Trace::Stands) => CommentState::Done,
            (CommentState::Doubtful(fault), Trace::Absent) if last => CommentState::Missing(fault),
            (_, Trace::Absent) => CommentState::Due,
            (CommentState::Doubtful(fault), Trace::Unknown(_)) => CommentState::Unknown(fault),
            (words, Trace::Unknown(_)) => words,
        };
    }

    fn api(&self) -> Api {
        self.client.client().api()
    }

    /// The change in every wording the API may take, the likeliest first. `tags`
    /// are those that stand.
    pub fn wordings(
        &self,
        change: &Change,
        tags: Vec<String>,
    ) -> Result<Vec<Wording>, DefenderError> {
        let (api, subject) = (self.api(), self.target.subject);
        let withdraws = change.classification == Some(Classification::Unset)
            || change.determination == Some(Determination::Unset);
        if withdraws && api != Api::Graph {
            return Err(DefenderError::Unoffered(
                "only Microsoft Graph takes a classification or determination back",
            ));
        }
        let mut fields = Map::new();
        if let Some(status) = change.status {
            let word = spelling::status(api, subject, status);
            fields.insert("status".into(), word.into());
        }
        if let Some(classification) = change.classification {
            let word = spelling::classification(api, classification);
            fields.insert("classification".into(), word.into());
        }
        if let Some(Owner::User(name)) = &change.assigned_to {
            fields.insert("assignedTo".into(), name.as_str().into());
        }
        if replaces_tags(change) {
            let member = match (subject, api) {
                (Subject::Alert, _) => {
                    return Err(DefenderError::Unoffered(
                        "no API can write tags to an alert",
                    ));
                }
                (Subject::Incident, Api::Graph) => "customTags",
                (Subject::Incident, Api::Mde | Api::Xdr) => "tags",
            };
            fields.insert(member.into(), retagged(tags, change).into());
        }
        let mut wordings = vec![Wording {
            fields,
            terms: Vec::new(),
        }];
        match (change.determination, change.classification) {
            (None, _) => {}
            (Some(_), None) => {
                return Err(DefenderError::Unoffered(
                    "a determination is taken only together with its classification",
                ));
            }
            (Some(determination), Some(_)) => {
                let words = spelling::determinations(api, determination);
                let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
                let term = Term::Determination(determination);
                wordings = self.reworded(wordings, "determination", term, &words);
            }
        }
        if change.assigned_to == Some(Owner::Nobody) {
            let mut words = [Value::Null, Value::from("")];
            if api != Api::Graph {
                words.reverse();
            }
            wordings = self.reworded(wordings, "assignedTo", Term::Nobody, &words);
        }
        Ok(wordings)
    }

    /// Each wording once with each word, beginning with the word last taken.
    fn reworded(
        &self,
        wordings: Vec<Wording>,
        member: &str,
        term: Term,
        words: &[Value],
    ) -> Vec<Wording> {
        let known = self.client.wording(term);
        let mut order: Vec<_> = words.iter().enumerate().collect();
        order.sort_by_key(|(at, _)| *at != known);
        let with = |wording: Wording| {
            order.iter().map(move |(at, word)| {
                let mut wording = wording.clone();
                wording.fields.insert(member.to_owned(), (*word).clone());
                wording.terms.push((term, *at));
                wording
            })
        };
        wordings.into_iter().flat_map(with).collect()
    }

    /// One PATCH in the first wording that is not refused. The comment goes with
    /// the first alone: what becomes of it then has to be looked for.
    async fn patch_worded(
        &mut self,
        wordings: Vec<Wording>,
        mut comment: Option<&str>,
    ) -> Result<(), DefenderError> {
        let asked = comment;
        let mut refused = None;
        for Wording { fields, terms } in wordings {
            let answer = match comment.take() {
                None => self.patch_fields(fields).await,
                Some(comment) => {
                    self.along = fields;
                    self.say(comment).await;
                    match std::mem::replace(&mut self.words, CommentState::Done) {
                        CommentState::Done => Ok(()),
                        CommentState::Missing(fault) => Err(fault),
                        open => {
                            self.words = open;
                            return Ok(());
                        }
                    }
                }
            };
            match answer {
                Err(fault) if fault.failing() == Failing::Invalid => {
                    refused.get_or_insert(fault);
                }
                Ok(()) => {
                    self.client.learn(&terms);
                    if let (Some(_), Some(refusal)) = (asked, refused) {
                        self.doubts(refusal, true);
                    }
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Whether the comment stands, by the word of the object itself.
    async fn is_there(&mut self) -> Result<bool, DefenderError> {
        if self.marker.is_empty() {
            return Ok(false);
        }
        self.receipt.attempts += 1;
        let state = self.client.read_one(self.target).await?;
        Ok(self.stands(&state))
    }

    async fn patch_fields(&mut self, fields: Fields) -> Result<(), DefenderError> {
        if fields.is_empty() {
            return Ok(());
        }
        let body = Value::from(fields).to_string();
        let client = self.client.client();
        let answer = client
            .write(Method::PATCH, &self.path, &body, Quota::Calls(1))
            .await;
        self.note(answer)
    }

    /// Sends the comment once: in Graph by itself, elsewhere with the fields whose
    /// fate is as open.
    pub async fn say(&mut self, text: &str) {
        let comment = self.signed(text);
        let (method, path, body) = if self.api() == Api::Graph {
            (Method::POST, self.comments(), comment_document(&comment))
        } else {
            let mut whole = self.along.clone();
            whole.insert("comment".into(), comment.into());
            (Method::PATCH, self.path.clone(), whole.into())
        };
        let client = self.client.client();
        let answer = client
            .write_once(method, &path, &body.to_string(), Quota::Calls(1))
            .await;
        self.said(answer);
    }

    /// Takes note of the answer to what carried the comment.
    pub fn said(&mut self, answer: Result<Answer, Error>) {
        let result = answer.as_ref().map(|_| ());
        self.client.sent(self.target, self.marker, result);
        let uncertain = matches!(&answer, Err(error) if error.uncertain());
        self.words = match self.note(answer) {
            Ok(()) => CommentState::Done,
            Err(fault) if uncertain => CommentState::Doubtful(fault),
            Err(fault) => CommentState::Missing(fault),
        };
    }

    pub fn target(&self) -> &'a Target {
        self.target
    }

    /// Where the target is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where Graph takes its comments.
    pub fn comments(&self) -> String {
        format!("{}/comments", self.path)
    }

    pub fn answered(&mut self, answer: &Answer) {
        self.receipt.attempts += answer.attempts;
        if answer.request_id.is_some() {
            self.receipt.request_id.clone_from(&answer.request_id);
        }
    }

    /// Counts calls in that were made for it elsewhere.
    pub fn count(&mut self, calls: u32) {
        self.receipt.attempts += calls;
    }

    /// What it cost so far.
    pub fn receipt(self) -> Receipt {
        self.receipt
    }

    /// What the change cost, or what of it is not done.
    pub async fn close(mut self) -> Result<Receipt, DefenderError> {
        match std::mem::replace(&mut self.words, CommentState::Done) {
            CommentState::Done => Ok(self.receipt),
            CommentState::Missing(fault @ DefenderError::Call { .. }) if self.patched => {
                Err(DefenderError::CommentMissing(Box::new(fault)))
            }
            CommentState::Missing(fault) => Err(fault),
            CommentState::Due => Err(DefenderError::Unseen),
            CommentState::Doubtful(fault) | CommentState::Unknown(fault) => {
                // Without its comment the change can safely be sent again.
                let along = std::mem::take(&mut self.along);
                self.patch_fields(along).await?;
                Err(DefenderError::CommentUnknown(Box::new(fault)))
            }
        }
    }

    /// The comment with its marker at the end.
    pub fn signed(&self, text: &str) -> String {
        let text = text.trim_end();
        if text.ends_with(self.marker) {
            text.to_owned()
        } else {
            format!("{text} {}", self.marker)
        }
    }

    pub fn stands(&self, state: &State) -> bool {
        stands(state, self.marker)
    }

    /// Counts a call in, and names its failure.
    pub fn note(&mut self, answer: Result<Answer, Error>) -> Result<(), DefenderError> {
        match answer {
            Ok(answer) => {
                self.answered(&answer);
                Ok(())
            }
            Err(error) => {
                self.receipt.attempts += match &error {
                    Error::Service { attempts, .. } => *attempts,
                    _ => 1,
                };
                let permission = self.collection.write;
                Err(DefenderError::call(error, self.collection, permission))
            }
        }
    }
}

/// Whether the change has tags. Their list can only be replaced as a whole, so
/// those that stand have to be known.
pub(in crate::microsoft) fn replaces_tags(change: &Change) -> bool {
    !(change.tags_add.is_empty() && change.tags_remove.is_empty())
}

/// A comment as Graph takes it; incidents take the same type as alerts.
pub(in crate::microsoft) fn comment_document(comment: &str) -> Value {
    json!({"@odata.type": "microsoft.graph.security.alertComment", "comment": comment})
}

/// The tags there shall be: Defender tells them apart without regard to case.
fn retagged(mut tags: Vec<String>, change: &Change) -> Vec<String> {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    tags.retain(|tag| !change.tags_remove.iter().any(|gone| same(gone, tag)));
    for tag in &change.tags_add {
        if !tags.iter().any(|there| same(there, tag)) {
            tags.push(tag.clone());
        }
    }
    tags
}
