//! From rows to distinct targets: the same change of the same target is carried
//! out once, contradicting changes not at all.

use crate::triage::diff::between;
use crate::triage::form::Form;
use crate::triage::request::{self, Invalid, Request};
use crate::triage::row::Row;
use crate::triage::row_snapshot::RowSnapshot;
use crate::triage::{Api, Change, Subject, Target};
use std::collections::{BTreeSet, HashMap};

/// How many rows name no target, and how many targets the others name, one that
/// is named twice counted twice. Costs little, whatever the rows hold.
pub fn named(form: &Form, rows: &[Row]) -> (usize, usize) {
    let ids = rows.iter().map(|row| request::ids(form, row).len());
    ids.fold((0, 0), |(nameless, named), ids| match ids {
        0 => (nameless + 1, named),
        ids => (nameless, named.saturating_add(ids)),
    })
}

/// One target, what shall happen to it, and who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub target: Target,
    pub change: Change,
    pub dry_run: bool,
    /// The rows that ask for it (one or more), each with what it showed.
    pub asked: Vec<(usize, RowSnapshot)>,
    /// What was asked of incidents that were merged into this one; empty while
    /// nobody knows of it.
    pub merged: Vec<Task>,
}

/// What goes to one account through one API, all of it alerts or all incidents.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub account: String,
    pub api: Api,
    pub subject: Subject,
    /// Equal changes stand together, else in the order of the rows.
    pub tasks: Vec<Task>,
}

/// A row, or one target of a row, that will not be carried out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub row: usize,
    pub subject: Subject,
    pub target: Option<Target>,
    pub why: Invalid,
}

/// Everything the rows come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The rows' numbers.
    pub(super) rows: Vec<usize>,
    pub(super) groups: Vec<Group>,
    pub(super) refused: Vec<Refused>,
}

/// What one account is asked about one target.
struct TargetRequest {
    account: String,
    target: Target,
    rows: Vec<RowRequest>,
}

struct RowRequest {
    row: usize,
    api: Api,
    change: Change,
    dry_run: bool,
    snapshot: RowSnapshot,
}

impl Plan {
    pub fn of(form: &Form, rows: &[Row]) -> Self {
        let mut plan = Self::default();
        let mut requests: Vec<TargetRequest> = Vec::new();
        let mut places: HashMap<(String, Target), usize> = HashMap::new();
        for (row, place) in rows.iter().zip(1..) {
            let number = row.number.unwrap_or(place);
            plan.rows.push(number);
            let request = match Request::of(form, number, row) {
                Ok(request) => request,
                Err(why) => {
                    plan.refused.push(Refused {
                        row: number,
                        subject: Request::subject(form, row),
                        target: None,
                        why,
                    });
                    continue;
                }
            };
            for target in request.targets {
                let ask = RowRequest {
                    row: number,
                    api: request.api,
                    change: request.change.clone(),
                    dry_run: request.dry_run,
                    snapshot: request.snapshot.clone(),
                };
                let key = (request.account.clone(), target.clone());
                let place = *places.entry(key).or_insert(requests.len());
                match requests.get_mut(place) {
                    Some(known) => known.rows.push(ask),
                    None => requests.push(TargetRequest {
                        account: request.account.clone(),
                        target,
                        rows: vec![ask],
                    }),
                }
            }
        }
        for request in requests {
            plan.take(request);
        }
        for group in &mut plan.groups {
            group.gather();
        }
        plan
    }

    /// Each distinct target with its account, and whether it is a dry run: for a
    /// caller that hands over the rows of one search part by part and counts
    /// the targets of all of them.
    pub fn planned(&self) -> impl Iterator<Item = ((String, Target), bool)> {
        self.groups.iter().flat_map(|group| {
            let tasks = group.tasks.iter();
            tasks.map(|task| {
                let key = (group.account.clone(), task.target.clone());
                (key, task.dry_run)
            })
        })
    }

    /// The targets that are to be written, without those of a dry run.
    pub fn written(&self) -> BTreeSet<(String, Target)> {
        self.planned()
            .filter_map(|(key, dry_run)| (!dry_run).then_some(key))
            .collect()
    }

    /// How many distinct targets would be touched.
    pub(super) fn targets(&self) -> usize {
        self.groups.iter().map(|group| group.tasks.len()).sum()
    }

    /// The groups of each account, in the order in which the accounts came up.
    pub(super) fn accounts(&self) -> Vec<Vec<&Group>> {
        let mut accounts: Vec<Vec<&Group>> = Vec::new();
        for group in &self.groups {
            let same = |groups: &&mut Vec<&Group>| {
                groups.iter().any(|other| other.account == group.account)
            };
            match accounts.iter_mut().find(same) {
                Some(groups) => groups.push(group),
                None => accounts.push(vec![group]),
            }
        }
        accounts
    }

    fn take(&mut self, request: TargetRequest) {
        let TargetRequest {
            account,
            target,
            rows: asks,
        } = request;
        let differing = contradictions(&asks);
        if !differing.is_empty() {
            let why = Invalid::Contradiction {
                rows: numbers(&asks),
                subject: target.subject,
                id: target.id.clone(),
                fields: differing.join(", "),
            };
            self.refused.extend(asks.iter().map(|ask| Refused {
                row: ask.row,
                subject: target.subject,
                target: Some(target.clone()),
                why: why.clone(),
            }));
            return;
        }
        let mut asks = asks.into_iter();
        let Some(first) = asks.next() else { return };
        let mut asked = vec![(first.row, first.snapshot)];
        asked.extend(asks.map(|ask| (ask.row, ask.snapshot)));
        let task = Task {
            target,
            change: first.change,
            dry_run: first.dry_run,
            asked,
            merged: Vec::new(),
        };
        let subject = task.target.subject;
        let same = |group: &&mut Group| {
            group.account == account && group.api == first.api && group.subject == subject
        };
        match self.groups.iter_mut().find(same) {
            Some(group) => group.tasks.push(task),
            None => self.groups.push(Group {
                account,
                api: first.api,
                subject,
                tasks: vec![task],
            }),
        }
    }
}

impl Group {
    /// Brings equal changes together, in the order in which each first came up,
    /// so that neighbours can share a call.
    fn gather(&mut self) {
        let mut first: HashMap<Change, usize> = HashMap::new();
        for task in &self.tasks {
            let next = first.len();
            first.entry(task.change.clone()).or_insert(next);
        }
        self.tasks
            .sort_by_cached_key(|task| first.get(&task.change).copied());
    }
}

fn contradictions(asks: &[RowRequest]) -> Vec<String> {
    let Some((first, others)) = asks.split_first() else {
        return Vec::new();
    };
    let mut fields = BTreeSet::new();
    let mut names = Vec::new();
    for other in others {
        fields.extend(between(&first.change, &other.change));
    }
    names.extend(fields.iter().map(ToString::to_string));
    if others.iter().any(|other| other.api != first.api) {
        names.push("api".to_owned());
    }
    if others.iter().any(|other| other.dry_run != first.dry_run) {
        names.push("dry_run".to_owned());
    }
    names
}

/// `1, 4, 9`; only the first few of many.
fn numbers(asks: &[RowRequest]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = asks.iter().take(SHOWN).map(|a| a.row.to_string()).collect();
    let shown = shown.join(", ");
    match asks.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rows: &[&[(&str, &str)]]) -> Plan {
        let form = Form::parse(
            Subject::Alert,
            ["contoso".to_owned(), "fabrikam".to_owned()].into(),
            [
                ("account", "contoso"),
                ("status", "resolved"),
                ("rows_overrule", "true"),
            ],
        )
        .unwrap();
        let rows: Vec<Row> = rows
            .iter()
            .map(|fields| {
                Row::new(
                    fields
                        .iter()
                        .map(|(name, text)| ((*name).to_owned(), vec![(*text).to_owned()])),
                )
            })
            .collect();
        Plan::of(&form, &rows)
    }

    fn outline(plan: &Plan) -> Vec<String> {
        plan.groups
            .iter()
            .flat_map(|group| {
                group.tasks.iter().map(move |task| {
                    let rows: Vec<usize> = task.asked.iter().map(|(row, _)| *row).collect();
                    format!(
                        "{} {} {} {rows:?}",
                        group.account, group.api, task.target.id
                    )
                })
            })
            .collect()
    }

    #[test]
    fn the_same_change_is_carried_out_once_and_answers_every_row() {
        let plan = plan(&[
            &[("id", "a")],
            &[("id", "b")],
            &[("id", "a"), ("defender_status", "Resolved")],
        ]);
        assert_eq!(
            outline(&plan),
            ["contoso graph a [1, 3]", "contoso graph b [2]"]
        );
        assert_eq!(plan.targets(), 2);
    }

    #[test]
    fn contradicting_changes_are_refused_together_and_name_their_rows() {
        let plan = plan(&[
            &[("id", "a")],
            &[("id", "b")],
            &[("id", "a"), ("defender_status", "new")],
            &[("id", "a"), ("defender_comment", "hm")],
        ]);
        assert_eq!(outline(&plan), ["contoso graph b [2]"]);
        let rows: Vec<usize> = plan.refused.iter().map(|refused| refused.row).collect();
        assert_eq!(rows, [1, 3, 4]);
        insta::assert_snapshot!(
            plan.refused[0].why,
            @"rows 1, 3, 4 ask for different things of alert a (status, comment), so none of them was carried out: leave one of them"
        );
    }

    #[test]
    fn one_alert_through_two_apis_is_a_contradiction_in_two_accounts_it_is_not() {
        let two_apis = plan(&[&[("id", "a")], &[("id", "a"), ("defender_api", "mde")]]);
        assert_eq!(two_apis.targets(), 0);
        let two_accounts = plan(&[
            &[("id", "a")],
            &[("id", "a"), ("defender_account", "fabrikam")],
        ]);
        assert_eq!(two_accounts.targets(), 2);
    }

    #[test]
    fn equal_changes_stand_together_in_the_order_of_the_rows() {
        let plan = plan(&[
            &[("id", "a")],
            &[("id", "b"), ("defender_status", "new")],
            &[("id", "c")],
            &[("id", "d"), ("defender_account", "fabrikam")],
            &[("id", "e"), ("defender_status", "new")],
        ]);
        assert_eq!(
            outline(&plan),
            [
                "contoso graph a [1]",
                "contoso graph c [3]",
                "contoso graph b [2]",
                "contoso graph e [5]",
                "fabrikam graph d [4]",
            ]
        );
    }
}
