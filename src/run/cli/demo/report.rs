//! How the demo ended: what Defender and Splunk hold, side by side.

use crate::run::cli::demo::stage::{Batch, Seen};
use crate::run::cli::print;
use crate::sandbox::{Family, Inventory, Record, Tenant};
use crate::splunk::sourcetype;
use comfy_table::{Attribute, Cell, CellAlignment, Color};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

/// What Splunk has: the latest event of every alert and incident.
#[derive(Default)]
pub struct Index {
    alerts: BTreeMap<String, String>,
    incidents: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    id: String,
    #[serde(default)]
    incident_id: Option<String>,
    #[serde(default)]
    service_source: String,
    #[serde(default)]
    status: String,
}

impl Index {
    pub fn take(&mut self, events: &[Seen]) {
        for event in events {
            let shelf = match event.sourcetype.as_str() {
                sourcetype::INCIDENT => &mut self.incidents,
                _ => &mut self.alerts,
            };
            if let Ok(Alert { id, .. }) = serde_json::from_str(&event.data) {
                shelf.insert(id, event.data.clone());
            }
        }
    }

    fn each_alert(&self) -> impl Iterator<Item = Alert> {
        self.alerts
            .values()
            .filter_map(|text| serde_json::from_str(text).ok())
    }

    /// The open alerts of the incident that has most of them.
    pub fn largest_story(&self) -> BTreeSet<String> {
        let mut incidents: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let open = self.each_alert().filter(|alert| alert.status != "resolved");
        for alert in open {
            if let Some(incident) = alert.incident_id {
                incidents.entry(incident).or_default().insert(alert.id);
            }
        }
        incidents
            .into_values()
            .max_by_key(BTreeSet::len)
            .unwrap_or_default()
    }
}

/// What a verdict can change of every alert and incident, without the comments, which
/// only grow.
#[derive(PartialEq, Eq)]
pub struct Standing(BTreeMap<String, [String; 4]>);

impl Standing {
    pub fn of(census: &Inventory) -> Self {
        let all = census.alerts.iter().chain(&census.incidents);
        let stands = |record: &Record| {
            let owner = record.assigned_to.clone().unwrap_or_default();
            let words = [
                record.status.clone(),
                record.classification.clone(),
                record.determination.clone(),
                owner,
            ];
            (record.id.clone(), words)
        };
        Self(all.map(stands).collect())
    }

    fn is_resolved(&self, id: &str) -> bool {
        let status = self.0.get(id).and_then(|words| words.first());
        status.is_some_and(|status| status == "resolved")
    }
}

/// What happened in the demo.
pub struct Turns {
    /// The alerts that were closed and opened again.
    pub chosen: BTreeSet<String>,
    pub before: Standing,
    pub closed: Standing,
    pub after: Standing,
}

/// How the demo ended, service by service.
#[derive(Serialize)]
pub struct Story {
    services: BTreeMap<String, Service>,
    outcomes: BTreeMap<String, usize>,
    undo: BTreeMap<String, usize>,
    idle_events: usize,
    seconds: f64,
    pub equal: bool,
}

#[derive(Default, Serialize)]
struct Service {
    in_defender: usize,
    in_splunk: usize,
    closed: usize,
    undone: usize,
    equal: usize,
}

impl Story {
    pub fn of(
        tenant: &Tenant,
        index: &Index,
        turns: &Turns,
        [verdicts, undone]: &[Batch; 2],
        idle_events: usize,
        took: Duration,
    ) -> Self {
        let census = tenant.census();
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        let mut sides_agree = true;
        let mut compare = |name: String, id: &str, there: Option<String>, here: Option<&String>| {
            let service = services.entry(name).or_default();
            let closed = turns.chosen.contains(id) && turns.closed.is_resolved(id);
            let undone = closed && turns.after.0.get(id) == turns.before.0.get(id);
            service.in_defender += 1;
            service.in_splunk += usize::from(here.is_some());
            service.closed += usize::from(closed);
            service.undone += usize::from(undone);
            let equal = there.is_some_and(|there| Some(&as_xml_allows(&there)) == here);
            service.equal += usize::from(equal);
            if !equal {
                tracing::warn!("{id} differs between Defender and Splunk");
            }
            sides_agree &= equal;
        };
        for record in &census.alerts {
            let there = tenant.alert_text(Family::Graph, &record.id);
            let name = there
                .as_deref()
                .and_then(|text| serde_json::from_str::<Alert>(text).ok())
                .map_or_else(|| "unknown".to_owned(), |alert| alert.service_source);
            compare(name, &record.id, there, index.alerts.get(&record.id));
        }
        for record in &census.incidents {
            let there = tenant.incident_text(Family::Graph, &record.id, false);
            let here = index.incidents.get(&record.id);
            compare("incidents".to_owned(), &record.id, there, here);
        }
        let closed: usize = services.values().map(|service| service.closed).sum();
        let all = closed == turns.chosen.len() && closed > 0;
        let restored = turns.before == turns.after;
        Self {
            equal: sides_agree && idle_events == 0 && all && restored,
            services,
            outcomes: verdicts.outcomes.clone(),
            undo: undone.outcomes.clone(),
            idle_events,
            seconds: took.as_secs_f64(),
        }
    }

    pub fn show(&self, json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if json {
            return print::json(&mut out, self);
        }
        let mut table = print::table();
        table.set_header([
            "",
            "in Defender",
            "in Splunk",
            "closed from Splunk",
            "undone",
            "equal",
        ]);
        for (name, service) in &self.services {
            let all = service.equal == service.in_defender;
            let mark = if all {
                "yes".to_owned()
            } else {
                format!("{} differ", service.in_defender - service.equal)
            };
            table.add_row([
                Cell::new(name),
                Cell::new(service.in_defender).set_alignment(CellAlignment::Right),
                Cell::new(service.in_splunk).set_alignment(CellAlignment::Right),
                Cell::new(service.closed).set_alignment(CellAlignment::Right),
                Cell::new(service.undone).set_alignment(CellAlignment::Right),
                Cell::new(mark)
                    .fg(if all { Color::Green } else { Color::Red })
                    .add_attribute(Attribute::Bold),
            ]);
        }
        writeln!(out, "{table}")?;
        let verdict = if self.equal {
            "Every alert is in, every verdict went out and was taken back, both sides are equal."
        } else {
            "Something is not as it should be."
        };
        writeln!(out, "{verdict} ({:.1} s)", self.seconds)
    }
}

/// The two characters UTF-8 can carry and XML cannot are escaped on the way.
fn as_xml_allows(text: &str) -> String {
    text.replace('\u{fffe}', "\\ufffe")
        .replace('\u{ffff}', "\\uffff")
}
