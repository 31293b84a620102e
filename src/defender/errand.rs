//! One change on its way to one alert or incident.
//!
//! PATCH may be repeated, a comment may not: no API offers a key that makes
//! adding one idempotent. So after an outcome nobody knows, the comments are
//! read back and the marker looked for before anything is sent again; also after
//! a refusal, which nowhere is documented to mean that nothing was written, and
//! before the first try where all that is known of an alert may be a list's word.

use crate::defender::cloud::Family;
use crate::defender::collection::Collection;
use crate::defender::desk::{DeskFault, FamilyDesk, IN_FLIGHT};
use crate::defender::error::Error;
use crate::defender::http::{Answer, Quota};
use crate::defender::learnt::Term;
use crate::defender::spelling;
use crate::triage::vocabulary::{Classification, Determination};
use crate::triage::{Change, Desk, DeskError, Failing, Owner, Receipt, State, Subject, Target};
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Map, Value, json};

pub(super) struct Errand<'a> {
    desk: &'a FamilyDesk,
    target: &'a Target,
    collection: &'static Collection,
    path: String,
    marker: &'a str,
    receipt: Receipt,
}

pub(super) type Fields = Map<String, Value>;

/// One way to word a change, and which wordings of its terms it uses.
#[derive(Debug, Default, Clone)]
pub(super) struct Wording {
    pub fields: Fields,
    pub terms: Vec<(Term, usize)>,
}

/// How often a comment is sent at most, each time after proof that it is not there.
pub(super) const COMMENT_TRIES: u32 = 2;

impl FamilyDesk {
    /// One errand for each.
    pub(super) async fn write_singly(
        &self,
        targets: &[Target],
        change: &Change,
        marker: &str,
    ) -> Vec<Result<Receipt, DeskFault>> {
        let errand = |target| async move {
            let errand = Errand::new(self, target, marker)?;
            errand.carry_out(change).await
        };
        futures::stream::iter(targets)
            .map(errand)
            .buffered(IN_FLIGHT)
            .collect()
            .await
    }
}

impl<'a> Errand<'a> {
    pub fn new(
        desk: &'a FamilyDesk,
        target: &'a Target,
        marker: &'a str,
    ) -> Result<Self, DeskFault> {
        let (collection, path) = desk.place(target)?;
        Ok(Self {
            desk,
            target,
            collection,
            path,
            marker,
            receipt: Receipt::default(),
        })
    }

    /// Graph keeps comments in a collection of their own, so there the fields go
    /// first; the older APIs take the comment inside the PATCH.
    pub async fn carry_out(mut self, change: &Change) -> Result<Receipt, DeskFault> {
        let tags = if replaces_tags(change) && self.target.subject == Subject::Incident {
            self.receipt.attempts += 1;
            self.desk.read(self.target).await?.tags
        } else {
            Vec::new()
        };
        let wordings = self.wordings(change, tags)?;
        if self.family() == Family::Graph {
            let patched = wordings.iter().any(|wording| !wording.fields.is_empty());
            self.patch_worded(wordings, None).await?;
            if let Some(comment) = &change.comment {
                match self.comment(comment).await {
                    Err(fault @ DeskFault::Call { .. }) if patched => {
                        return Err(DeskFault::CommentMissing(Box::new(fault)));
                    }
                    posted => posted?,
                }
            }
        } else {
            let comment = change.comment.as_deref().map(|text| self.signed(text));
            self.patch_worded(wordings, comment.as_deref()).await?;
        }
        Ok(self.receipt)
    }

    fn family(&self) -> Family {
        self.desk.client().family()
    }

    /// The change in every wording the API may take, the likeliest first. `tags`
    /// are those that stand.
    pub fn wordings(&self, change: &Change, tags: Vec<String>) -> Result<Vec<Wording>, DeskFault> {
        let (family, subject) = (self.family(), self.target.subject);
        let withdraws = change.classification == Some(Classification::Unset)
            || change.determination == Some(Determination::Unset);
        if withdraws && family != Family::Graph {
            return Err(DeskFault::Unoffered(
                "only Microsoft Graph takes a classification or determination back",
            ));
        }
        let mut fields = Map::new();
        if let Some(status) = change.status {
            let word = spelling::status(family, subject, status);
            fields.insert("status".into(), word.into());
        }
        if let Some(classification) = change.classification {
            let word = spelling::classification(family, classification);
            fields.insert("classification".into(), word.into());
        }
        if let Some(Owner::User(name)) = &change.assigned_to {
            fields.insert("assignedTo".into(), name.as_str().into());
        }
        if replaces_tags(change) {
            let member = match (subject, family) {
                (Subject::Alert, _) => {
                    return Err(DeskFault::Unoffered("no API can write tags to an alert"));
                }
                (Subject::Incident, Family::Graph) => "customTags",
                (Subject::Incident, Family::Mde | Family::Xdr) => "tags",
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
                return Err(DeskFault::Unoffered(
                    "a determination is taken only together with its classification",
                ));
            }
            (Some(determination), Some(_)) => {
                let words = spelling::determinations(family, determination);
                let words: Vec<Value> = words.iter().map(|word| Value::from(*word)).collect();
                let term = Term::Determination(determination);
                wordings = self.reworded(wordings, "determination", term, &words);
            }
        }
        if change.assigned_to == Some(Owner::Nobody) {
            let mut words = [Value::Null, Value::from("")];
            if family != Family::Graph {
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
        let known = self.desk.wording(term);
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

    /// One PATCH in the first wording that is not refused.
    async fn patch_worded(
        &mut self,
        wordings: Vec<Wording>,
        mut comment: Option<&str>,
    ) -> Result<(), DeskFault> {
        let mut refused = None;
        // Defender for Endpoint's list lags, and may not show it yet.
        let mut in_doubt = self.family() == Family::Mde;
        for Wording { fields, terms } in wordings {
            if comment.is_some() && in_doubt && self.is_there().await? {
                comment = None;
            }
            in_doubt = true;
            match self.patch(fields, comment).await {
                Err(fault) if fault.failing() == Failing::Invalid => {
                    refused.get_or_insert(fault);
                }
                Ok(()) => {
                    self.desk.learn(&terms);
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Whether the comment stands, by the word of the object itself.
    async fn is_there(&mut self) -> Result<bool, DeskFault> {
        if self.marker.is_empty() {
            return Ok(false);
        }
        self.receipt.attempts += 1;
        let state = self.desk.read_one(self.target).await?;
        Ok(self.stands(&state))
    }

    async fn patch(&mut self, fields: Fields, comment: Option<&str>) -> Result<(), DeskFault> {
        let Some(comment) = comment else {
            return self.patch_fields(fields).await;
        };
        let mut whole = fields.clone();
        whole.insert("comment".into(), comment.into());
        let (path, body) = (self.path.clone(), Value::from(whole).to_string());
        match self.append(Method::PATCH, &path, &body).await {
            Err(unknown @ DeskFault::CommentUnknown(_)) => {
                // Without its comment the change can safely be sent again.
                self.patch_fields(fields).await?;
                Err(unknown)
            }
            written => written,
        }
    }

    async fn patch_fields(&mut self, fields: Fields) -> Result<(), DeskFault> {
        if fields.is_empty() {
            return Ok(());
        }
        let body = Value::from(fields).to_string();
        let client = self.desk.client();
        let answer = client
            .write(Method::PATCH, &self.path, &body, Quota::Calls(1))
            .await;
        self.note(answer)
    }

    /// Adds a comment in Graph.
    pub async fn comment(&mut self, text: &str) -> Result<(), DeskFault> {
        let body = comment_document(&self.signed(text)).to_string();
        let path = self.comments();
        self.append(Method::POST, &path, &body).await
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

    /// What the errand cost so far.
    pub fn into_receipt(self) -> Receipt {
        self.receipt
    }

    /// Sends what adds a comment; again only after reading that it is not there.
    async fn append(&mut self, method: Method, path: &str, body: &str) -> Result<(), DeskFault> {
        let mut tries = 0;
        loop {
            tries += 1;
            let client = self.desk.client();
            let answer = client
                .write_once(method.clone(), path, body, Quota::Calls(1))
                .await;
            let uncertain = matches!(&answer, Err(error) if error.uncertain());
            let fault = match self.note(answer) {
                Err(fault) if uncertain => fault,
                certain => return certain,
            };
            match self.has_appeared().await {
                Some(true) => return Ok(()),
                Some(false) if tries < COMMENT_TRIES && !self.marker.is_empty() => {}
                _ => return Err(DeskFault::CommentUnknown(Box::new(fault))),
            }
        }
    }

    /// Whether the comment came to stand, although the answer did not say so;
    /// none where that cannot be seen.
    async fn has_appeared(&mut self) -> Option<bool> {
        let mut seen = None;
        for wait in self.desk.waits() {
            tokio::time::sleep(wait).await;
            self.receipt.attempts += 1;
            seen = match self.desk.read(self.target).await {
                Ok(state) if self.stands(&state) => return Some(true),
                Ok(_) => Some(false),
                Err(error) if error.uncertain() => None,
                Err(_) => return None,
            };
        }
        seen
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
        let mut comments = state.comments.iter();
        !self.marker.is_empty() && comments.any(|comment| comment.contains(self.marker))
    }

    /// Counts a call in, and names its failure.
    pub fn note(&mut self, answer: Result<Answer, Error>) -> Result<(), DeskFault> {
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
                Err(DeskFault::call(error, self.collection, permission))
            }
        }
    }
}

/// Whether the change has tags. Their list can only be replaced as a whole, so
/// those that stand have to be known.
pub(super) fn replaces_tags(change: &Change) -> bool {
    !(change.tags_add.is_empty() && change.tags_remove.is_empty())
}

/// A comment as Graph takes it; incidents take the same type as alerts.
pub(super) fn comment_document(comment: &str) -> Value {
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
