//! A thousand rows in one alert action, failures of every kind among them: each
//! row ends with exactly one outcome, the tenant stands as the ledger says, and
//! nothing is sent twice that need not be.

use crate::counterpart::queue::{
    at_work, close, comments, counts, decided, edit, is_closed, ledger, open, outcomes, rows,
    verdict,
};
use crate::counterpart::splunkd::Alert;
use crate::counterpart::{Feed, Mishap, Object, Splunkd, Tenant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const ROWS: usize = 1000;

/// What is the matter with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Nothing,
    /// No such object.
    Missing,
    /// The account may not change it.
    Locked,
    /// The row asks for a pair that does not go together.
    Pair,
    /// Somebody changed it since the row was read.
    Overtaken,
    /// It already is as asked.
    Done,
    /// The same object as in an earlier row.
    Twin,
    /// Two objects in one row.
    Couple,
    /// 429 with `Retry-After` at first.
    Throttled,
    /// 500 at first.
    Stumbling,
    /// 500 for ever.
    Broken,
    /// Carried out, but the answer is a 504.
    Lost,
}

use Trouble::*;

/// Which row has which trouble; what makes every call about it fail is rarer.
fn of_graph(row: usize) -> Trouble {
    match (row % 200, row % 20) {
        (13, _) => Throttled,
        (57, _) => Stumbling,
        (101, _) => Broken,
        (145, _) => Lost,
        (_, 7) => Locked,
        (_, other) => of_any(other),
    }
}

/// One call is about a hundred alerts there: what befalls one befalls all.
fn of_mde(row: usize) -> Trouble {
    match (row, row % 20) {
        (113, _) => Throttled,
        (257, _) => Stumbling,
        (345, _) => Lost,
        (41 | 441 | 841, _) => Locked,
        (649, _) => Broken,
        (_, other) => of_any(other),
    }
}

fn of_any(row: usize) -> Trouble {
    match row % 20 {
        0 => Missing,
        2 => Pair,
        3 => Overtaken,
        4 => Done,
        5 => Twin,
        6 => Couple,
        _ => Nothing,
    }
}

const HEADER: [&str; 6] = [
    "id",
    "lastUpdateDateTime",
    "status",
    "defender_classification",
    "defender_determination",
    "title",
];

/// A queue in which every row's end is known beforehand.
struct Queue {
    feed: Feed,
    objects: Vec<Object>,
    rows: Vec<Vec<String>>,
    /// By row and target.
    expected: BTreeMap<(u64, String), String>,
    troubles: BTreeMap<String, Trouble>,
}

impl Queue {
    fn of(feed: Feed, trouble: fn(usize) -> Trouble) -> Self {
        let mut objects = open(feed, ROWS + ROWS / 10);
        let mut queue = Self {
            feed,
            objects: Vec::new(),
            rows: Vec::new(),
            expected: BTreeMap::new(),
            troubles: BTreeMap::new(),
        };
        let mut earlier = objects[0].id.clone();
        for row in 0..ROWS {
            let trouble = trouble(row);
            let mut cells = HEADER.map(|_| String::new());
            cells[5] = "My <alert>, \"quoted\"".to_owned();
            let mut fresh = || objects.pop().unwrap();
            let ids = match trouble {
                Missing => vec![format!("da9_missing_{row}")],
                Twin => vec![earlier.clone()],
                Couple => {
                    let couple = [fresh(), fresh()];
                    let ids = couple.iter().map(|one| one.id.clone()).collect();
                    queue.objects.extend(couple);
                    ids
                }
                _ => {
                    let mut object = fresh();
                    match trouble {
                        Done => close(feed, &mut object),
                        Overtaken => edit(&mut object, |value| {
                            let graph = feed == Feed::GraphAlerts;
                            value["status"] =
                                json!(if graph { "inProgress" } else { "InProgress" });
                        }),
                        _ => {}
                    }
                    let id = object.id.clone();
                    queue.objects.push(object);
                    vec![id]
                }
            };
            match trouble {
                Overtaken => {
                    cells[1] = "2026-01-01T00:00:00Z".to_owned();
                    cells[2] = "new".to_owned();
                }
                Pair => {
                    cells[3] = "falsePositive".to_owned();
                    cells[4] = "malware".to_owned();
                }
                Nothing => earlier.clone_from(&ids[0]),
                _ => {}
            }
            let outcome = match trouble {
                Nothing | Couple | Twin | Throttled | Stumbling | Lost => "updated",
                Missing => "not_found",
                Locked => "forbidden",
                Pair => "invalid",
                Overtaken => "conflict",
                Done => "unchanged",
                Broken => "failed",
            };
            for id in &ids {
                // A row that is refused names no target.
                let target = if trouble == Pair { "" } else { id };
                let key = (row as u64 + 1, target.to_owned());
                queue.expected.insert(key, outcome.to_owned());
                if trouble != Twin {
                    queue.troubles.insert(id.clone(), trouble);
                }
            }
            cells[0] = ids.join("\n");
            queue.rows.push(cells.to_vec());
        }
        queue
    }

    fn at_work(&self) -> (Tenant, Splunkd) {
        let (tenant, splunkd) = at_work(self.feed, &self.objects);
        tenant.rules(|rules| {
            for (id, trouble) in &self.troubles {
                let graph = self.feed == Feed::GraphAlerts;
                let mishaps = match trouble {
                    Locked => {
                        rules.locked.insert(id.clone());
                        continue;
                    }
                    Throttled => vec![Mishap::Refused(429, Some(1))],
                    Stumbling => vec![Mishap::Refused(500, None)],
                    Broken => vec![Mishap::Refused(500, None); 100],
                    // In Graph the comment follows the fields.
                    Lost if graph => vec![Mishap::Spared, Mishap::Lost(504)],
                    Lost => vec![Mishap::Lost(504)],
                    _ => continue,
                };
                rules.mishaps.insert(id.clone(), VecDeque::from(mishaps));
            }
        });
        (tenant, splunkd)
    }

    /// The ledger is as expected, and the tenant as the ledger.
    #[track_caller]
    fn holds(&self, tenant: &Tenant, splunkd: &Splunkd) {
        let ledger = ledger(splunkd);
        let outcomes = outcomes(&ledger);
        let wrong: Vec<_> = outcomes
            .iter()
            .filter(|(key, outcome)| self.expected.get(*key) != Some(*outcome))
            .map(|(key, outcome)| {
                (
                    key,
                    outcome,
                    self.expected.get(key),
                    self.troubles.get(&key.1),
                )
            })
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(outcomes.len(), self.expected.len());
        for entry in &ledger {
            let updated = entry["outcome"] == "updated";
            assert_eq!(entry["verified"] == true, updated, "{entry}");
            if updated {
                assert_eq!(entry["after"]["status"], "resolved", "{entry}");
                assert_eq!(entry["after"]["determination"], "malware", "{entry}");
            }
        }
        for object in &self.objects {
            let trouble = self.troubles[&object.id];
            match trouble {
                Nothing | Couple | Throttled | Stumbling | Lost => {
                    assert!(
                        is_closed(tenant, self.feed, &object.id),
                        "{trouble:?} {}",
                        object.id
                    );
                    let comments = comments(tenant, self.feed, &object.id);
                    assert_eq!(comments, 1, "{trouble:?} {}", object.id);
                }
                _ => {
                    let stands: Value = tenant.object(self.feed, &object.id);
                    let stood: Value = serde_json::from_str(&object.text).unwrap();
                    assert_eq!(stands, stood, "{trouble:?}");
                }
            }
        }
    }

    fn number(&self, which: impl Fn(Trouble) -> bool) -> usize {
        self.troubles.values().filter(|it| which(**it)).count()
    }
}

fn act(splunkd: &Splunkd, queue: &Queue) {
    let form = verdict(queue.feed);
    let run = splunkd.alert(&Alert {
        form: &form,
        header: &HEADER,
        rows: &queue.rows,
        ..Alert::default()
    });
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
}

fn is_written(trouble: Trouble) -> bool {
    matches!(trouble, Nothing | Couple | Throttled | Stumbling | Lost)
}

#[test]
fn of_a_thousand_graph_alerts_each_row_ends_once_whatever_befalls_the_others() {
    let queue = Queue::of(Feed::GraphAlerts, of_graph);
    let (tenant, splunkd) = queue.at_work();
    act(&splunkd, &queue);
    queue.holds(&tenant, &splunkd);

    // Each part of a `$batch` counts as a call with Microsoft.
    let mut sent: BTreeMap<(String, String), usize> = BTreeMap::new();
    let calls = tenant.write_calls();
    for part in calls
        .iter()
        .flat_map(crate::counterpart::tenant::Call::parts)
    {
        *sent.entry(part).or_default() += 1;
    }
    for (id, trouble) in &queue.troubles {
        let path = format!("{}/{id}", Feed::GraphAlerts.path());
        let patches = match trouble {
            Missing | Pair | Overtaken | Done => 0,
            Throttled | Stumbling => 2,
            // Three tries, then it is let be.
            Broken => 3,
            _ => 1,
        };
        let comments = usize::from(is_written(*trouble));
        let times = |method: &str, path: String| {
            let part = (method.to_owned(), path);
            sent.get(&part).copied().unwrap_or_default()
        };
        assert_eq!(times("PATCH", path.clone()), patches, "{trouble:?} {id}");
        assert_eq!(
            times("POST", format!("{path}/comments")),
            comments,
            "{trouble:?} {id}"
        );
    }
    // Twenty go into one call: one that is not full at the end of each hundred,
    // and one for each that is sent again.
    let first = queue
        .number(|it| is_written(it) || matches!(it, Locked | Broken))
        .div_ceil(20);
    let second = queue.number(is_written).div_ceil(20);
    let again = queue.number(|it| matches!(it, Throttled | Stumbling))
        + 2 * queue.number(|it| it == Broken);
    let hundreds = queue.troubles.len().div_ceil(100);
    let least = first + second + 2 * hundreds + again;
    assert!(
        calls.len() <= least,
        "{} calls, {least} are enough",
        calls.len()
    );
}

#[test]
fn of_a_thousand_endpoint_alerts_each_row_ends_once_whatever_befalls_the_others() {
    let queue = Queue::of(Feed::MdeAlerts, of_mde);
    let (tenant, splunkd) = queue.at_work();
    act(&splunkd, &queue);
    queue.holds(&tenant, &splunkd);

    // A call for each hundred; one more where the whole call is sent again; and
    // the one that spoils a call is found by asking for ever fewer of them, where
    // it breaks the service after a second try.
    let hundreds = queue.troubles.len().div_ceil(100);
    let again = queue.number(|it| matches!(it, Throttled | Stumbling | Lost));
    let traced = 20 * queue.number(|it| it == Locked) + 30 * queue.number(|it| it == Broken);
    let least = hundreds + again + traced;
    let calls = tenant.write_calls();
    assert!(
        calls.len() <= least,
        "{} calls, {least} are enough",
        calls.len()
    );
}

/// Number `number` merged into number `into`.
fn merge(incidents: &mut [Object], number: usize, into: usize) {
    let id = incidents[into].id.clone();
    edit(&mut incidents[number], |value| {
        value["status"] = json!("redirected");
        value["redirectIncidentId"] = json!(id);
    });
}

#[test]
fn merged_incidents_among_many_end_where_they_were_merged_into() {
    let feed = Feed::GraphIncidents;
    let mut incidents = open(feed, 130);
    // One into another row's, two into one of no row, one over two merges, and two
    // into each other.
    for (number, into) in [
        (3, 50),
        (10, 120),
        (11, 120),
        (20, 121),
        (121, 122),
        (30, 31),
        (31, 30),
    ] {
        merge(&mut incidents, number, into);
    }
    let (tenant, splunkd) = at_work(feed, &incidents);
    let rows = rows(&incidents[..110]);
    let run = splunkd.alert(&decided(feed, &verdict(feed), &rows));
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    let ledger = ledger(&splunkd);
    let expected = [("conflict", 2), ("updated", 108)];
    let expected = expected.map(|(outcome, count)| (outcome.to_owned(), count));
    assert_eq!(counts(&ledger), expected.into());
    for (row, into) in [(4, 50), (11, 120), (12, 120), (21, 122)] {
        let entry = ledger.iter().find(|entry| entry["row"] == row).unwrap();
        assert_eq!(entry["merged_into"], incidents[into].id, "{entry}");
    }
    for (number, incident) in incidents.iter().enumerate() {
        let merged = [3, 10, 11, 20, 121, 30, 31].contains(&number);
        let asked = number < 110 || [120, 122].contains(&number);
        let written = asked && !merged;
        assert_eq!(is_closed(&tenant, feed, &incident.id), written, "{number}");
        let comments = comments(&tenant, feed, &incident.id);
        assert_eq!(comments, usize::from(written), "{number}");
    }
}
