//! Tells the stories: first everything that happened until now, then step by step.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

use crate::sandbox::story::cast::{Cast, Organisation, guid, hex, pick};
use crate::sandbox::story::evidence::{Evidence, Item};
use crate::sandbox::story::scene::{PLOTS, Plot, Prop, Scene};
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::record::{Alert, Body, Comment, Incident, State, ToldAlert};
use crate::sandbox::tenant::store::Store;
use crate::sandbox::tenant::vocabulary::Word;

const MINUTE: i64 = 600_000_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// Stories that may still go on; older ones have been forgotten by the attacker.
const OPEN: usize = 32;
const ANALYSTS: &[&str] = &[
    "kaic@contoso.com",
    "davids@contoso.com",
    "zoë.müller@contoso.com",
];
const REMARKS: &[&str] = &[
    "Called the user: not them. Session revoked.",
    "Gerät isoliert, Ticket INC-4711 & Übergabe an Tier 2",
    "Same hash on <3> other hosts, see \"C:\\cases\\2026\\07\"",
    "経過観察",
    "closing \u{2013} nothing left to do \u{2705}",
];

pub(in crate::sandbox) struct Generator {
    rng: StdRng,
    organisation: Organisation,
    open: Vec<Story>,
    next_incident: i64,
}

struct Story {
    plot: &'static Plot,
    cast: Arc<Cast>,
    incident: usize,
    /// How many of the plot's scenes have been told.
    told: usize,
}

/// What one step of the stories changed, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// Alerts that are new or changed.
    pub alerts: Vec<String>,
    /// Incidents that are new or changed.
    pub incidents: Vec<String>,
}

impl Generator {
    pub(in crate::sandbox) fn new(seed: u64, until: Ticks) -> Option<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let organisation = Organisation::new(&mut rng, Ticks(until.0 - 30 * DAY))?;
        Some(Self {
            rng,
            organisation,
            open: Vec::new(),
            next_incident: 28_282,
        })
    }

    /// Fills the store with what happened in the days until then: exactly that
    /// many alerts.
    pub(in crate::sandbox) fn tell(
        &mut self,
        store: &mut Store,
        alerts: usize,
        days: u32,
        until: Ticks,
    ) {
        let span = (i64::from(days) * DAY).max(MINUTE);
        let mut drafts = Vec::new();
        let mut planned = 0;
        while planned < alerts {
            let start = Ticks(until.0 - self.rng.random_range(1..span));
            let plot = self.plot();
            planned += happened(plot, start, until);
            drafts.push((start, plot));
        }
        drafts.sort_by_key(|(start, _)| *start);
        let mut left = alerts;
        for (start, plot) in drafts {
            if left == 0 {
                break;
            }
            let scenes = happened(plot, start, until).min(left);
            left -= scenes;
            let Some(mut story) = self.begin(store, plot, start) else {
                break;
            };
            let mut at = start;
            for (_, gap) in plot.scenes.iter().take(scenes) {
                at = Ticks(at.0 + i64::from(*gap) * MINUTE);
                self.scene(store, &mut story, at);
            }
            self.settle(store, &story, at, until);
            if story.told < plot.scenes.len() {
                if self.open.len() == OPEN {
                    self.open.remove(0);
                }
                self.open.push(story);
            }
        }
    }

    /// The next thing that happens: a story goes on or begins, an alert gains
    /// evidence, an analyst takes it up.
    pub(in crate::sandbox) fn advance(&mut self, store: &mut Store, now: Ticks) -> Moved {
        let known = store
            .alerts
            .rows()
            .iter()
            .any(|alert| matches!(alert.body, Body::Told(_)));
        match self.rng.random_range(0..4) {
            0 if known => self.evolve(store, now),
            _ => self.go_on(store, now),
        }
    }

    fn plot(&mut self) -> &'static Plot {
        let mut ticket = self.rng.random_range(0..100);
        for plot in &PLOTS {
            if ticket < plot.share {
                return plot;
            }
            ticket -= plot.share;
        }
        &PLOTS[0]
    }

    fn go_on(&mut self, store: &mut Store, now: Ticks) -> Moved {
        let at = self.rng.random_range(0..self.open.len() + 1);
        let mut story = if at < self.open.len() {
            self.open.swap_remove(at)
        } else {
            let plot = self.plot();
            match self.begin(store, plot, now) {
                Some(story) => story,
                None => return Moved::default(),
            }
        };
        let alert = self.scene(store, &mut story, now);
        let incident = store
            .incidents
            .get(story.incident)
            .map(|incident| incident.id.clone());
        if story.told < story.plot.scenes.len() && self.open.len() < OPEN {
            self.open.push(story);
        }
        Moved {
            alerts: alert.into_iter().collect(),
            incidents: incident.into_iter().collect(),
        }
    }

    /// Changes an alert that is there already.
    fn evolve(&mut self, store: &mut Store, now: Ticks) -> Moved {
        let place = self.rng.random_range(0..store.alerts.len().max(1));
        let Some(alert) = store
            .alerts
            .get(place)
            .filter(|alert| matches!(alert.body, Body::Told(_)))
        else {
            return self.go_on(store, now);
        };
        let (id, incident) = (alert.id.clone(), alert.incident.clone());
        let kind = self.rng.random_range(0..3);
        let address: Arc<str> = format!("203.0.113.{}", self.rng.random_range(1..255)).into();
        store.alerts.change(place, now, |alert| match kind {
            0 => {
                if let Body::Told(told) = &mut alert.body {
                    told.last = now;
                    told.evidence.push(Evidence {
                        at: now,
                        verdict: "suspicious",
                        remediation: "none",
                        role: Some("attacker"),
                        item: Item::Ip(address, "SE"),
                    });
                }
                alert.last_event = Some(now);
            }
            1 => alert.state.severity = Word::Borrowed("high"),
            _ => {
                if alert.state.status == "new" {
                    alert.state.status = Word::Borrowed("inProgress");
                    alert.state.assigned_to = Some("kaic@contoso.com".to_owned());
                }
                if let Body::Told(told) = &mut alert.body {
                    told.investigation_state = "running";
                }
            }
        });
        let mut moved = Moved {
            alerts: vec![id],
            incidents: Vec::new(),
        };
        if let Some(id) = incident {
            let family = crate::sandbox::Family::Graph;
            if let Some(place) = store.incidents.find(family, &id) {
                store.incidents.change(place, now, |incident| {
                    if kind == 1 {
                        incident.state.severity = Word::Borrowed("high");
                    }
                });
                moved.incidents.push(id);
            }
        }
        moved
    }

    fn begin(&mut self, store: &mut Store, plot: &'static Plot, start: Ticks) -> Option<Story> {
        let cast = Arc::new(self.organisation.cast(&mut self.rng, start)?);
        let id = self.number();
        let name = format!("{} – {}", plot.name, cast.victim.display);
        let incident = store
            .incidents
            .put(incident_of(id.clone(), name.clone(), start));
        // Now and then Defender first opened a second incident, then merged it.
        if plot.scenes.len() > 3 && self.rng.random_range(0..20) == 0 {
            let twin = self.number();
            let mut merged = incident_of(twin, name, start);
            merged.state.status = Word::Borrowed("redirected");
            merged.redirect = Some(id);
            store.incidents.put(merged);
        }
        Some(Story {
            plot,
            cast,
            incident,
            told: 0,
        })
    }

    fn number(&mut self) -> String {
        self.next_incident += 1;
        self.next_incident.to_string()
    }

    /// Tells the next scene of a story: one alert more in its incident.
    fn scene(&mut self, store: &mut Store, story: &mut Story, at: Ticks) -> Option<String> {
        let (scene, _) = *story.plot.scenes.get(story.told)?;
        story.told += 1;
        let incident = store.incidents.get(story.incident)?.id.clone();
        // Detection lags behind activity, and the record behind detection.
        let first = Ticks(at.0 - self.rng.random_range(MINUTE / 2..5 * MINUTE));
        let last = Ticks(at.0 - self.rng.random_range(1..MINUTE / 2));
        let id = self.alert_id(scene, at);
        let cast = &story.cast;
        let alert = Alert {
            id: id.clone(),
            incident: Some(incident),
            state: state("new", scene.severity, at),
            service_source: Word::Borrowed(scene.workload.service),
            detection_source: Word::Borrowed(scene.detection),
            category: Word::Borrowed(scene.category),
            investigation: (scene.workload.prefix == "da")
                .then(|| self.rng.random_range(1_000..900_000)),
            last_event: Some(last),
            body: Body::Told(ToldAlert {
                scene,
                title: fill(scene.title, cast),
                description: fill(scene.description, cast),
                investigation_state: pick(
                    &mut self.rng,
                    &["queued", "running", "unsupportedAlertType"],
                ),
                first,
                last,
                machine: machine(scene, cast),
                user: cast.victim.clone(),
                evidence: scene
                    .props
                    .iter()
                    .map(|prop| show(*prop, cast, at))
                    .collect(),
            }),
        };
        let place = store.alerts.put(alert);
        let severity = scene.severity;
        store.incidents.change(story.incident, at, |incident| {
            incident.alerts.push(place);
            if rank(severity) > rank(&incident.state.severity) {
                incident.state.severity = Word::Borrowed(severity);
            }
            if incident.state.status == "resolved" {
                incident.state.status = Word::Borrowed("active");
                incident.state.resolved = None;
            }
        });
        Some(id)
    }

    /// What became of a story until now: most of the old ones are closed.
    fn settle(&mut self, store: &mut Store, story: &Story, at: Ticks, until: Ticks) {
        let age = until.0 - at.0;
        let after = |rng: &mut StdRng| Ticks(at.0 + rng.random_range(0..age.clamp(1, DAY / 2)));
        let fate = self.rng.random_range(0..100);
        let analyst = pick(&mut self.rng, ANALYSTS).to_owned();
        let when = after(&mut self.rng);
        let closed = age > DAY && fate < 40;
        let taken = closed || (age > DAY / 8 && fate < 55);
        if !taken {
            return;
        }
        let comment = Comment {
            text: pick(&mut self.rng, REMARKS).to_owned(),
            by: analyst.clone(),
            at: when,
        };
        let (classification, determination) = story.plot.verdict;
        let decide = |state: &mut State| {
            state.assigned_to = Some(analyst.clone());
            state.status = Word::Borrowed(if closed { "resolved" } else { "inProgress" });
            if closed {
                state.classification = Word::Borrowed(classification);
                state.determination = Word::Borrowed(determination);
                state.resolved = Some(when);
            }
        };
        let alerts = store
            .incidents
            .get(story.incident)
            .map(|incident| incident.alerts.clone())
            .unwrap_or_default();
        // Closing an incident closes its alerts in one go: many share one instant.
        for place in alerts {
            store.alerts.change(place, when, |alert| {
                decide(&mut alert.state);
                if let Body::Told(told) = &mut alert.body
                    && closed
                {
                    told.investigation_state = "successfullyRemediated";
                    for evidence in &mut told.evidence {
                        evidence.remediation = "remediated";
                    }
                }
            });
        }
        store.incidents.change(story.incident, when, |incident| {
            decide(&mut incident.state);
            incident.state.comments.push(comment);
            if closed {
                incident.tags.push("Übergabe & Review".to_owned());
            }
        });
    }

    fn alert_id(&mut self, scene: &Scene, at: Ticks) -> String {
        let prefix = scene.workload.prefix;
        match prefix {
            // .NET ticks count from the year 1.
            "da" | "ra" => {
                let ticks = at.0 + 621_355_968_000_000_000;
                format!("{prefix}{ticks}_{}", self.rng.next_u32().cast_signed())
            }
            "ca" | "ad" => format!("{prefix}{}", hex(&mut self.rng, 32)),
            _ => format!("{prefix}{}", guid(&mut self.rng)),
        }
    }
}

/// How many scenes of a plot that began then have happened.
fn happened(plot: &Plot, start: Ticks, until: Ticks) -> usize {
    let mut at = start;
    plot.scenes
        .iter()
        .take_while(|(_, gap)| {
            at = at.plus(Duration::from_secs(u64::from(*gap) * 60));
            at <= until
        })
        .count()
}

fn state(status: &'static str, severity: &'static str, at: Ticks) -> State {
    State {
        status: Word::Borrowed(status),
        severity: Word::Borrowed(severity),
        classification: Word::Borrowed("unknown"),
        determination: Word::Borrowed("unknown"),
        assigned_to: None,
        comments: Vec::new(),
        created: at,
        updated: at,
        resolved: None,
    }
}

fn incident_of(id: String, name: String, at: Ticks) -> Incident {
    Incident {
        id,
        state: state("active", "informational", at),
        alerts: Vec::new(),
        tags: Vec::new(),
        name,
        summary: None,
        resolving_comment: None,
        redirect: None,
        body: Body::Told(()),
    }
}

fn rank(severity: &str) -> usize {
    ["unknown", "informational", "low", "medium", "high"]
        .iter()
        .position(|known| *known == severity)
        .unwrap_or(0)
}

fn fill(text: &str, cast: &Cast) -> String {
    text.replace("{user}", &cast.victim.display)
        .replace("{device}", &cast.station.dns_name())
        .replace("{server}", &cast.server.dns_name())
        .replace("{file}", &cast.payload.name)
        .replace("{ip}", &cast.attacker)
        .replace("{domain}", &cast.domain)
        .replace("{app}", &cast.app)
}

/// The first machine among the props, for the APIs that name one.
fn machine(scene: &Scene, cast: &Cast) -> Option<Arc<super::evidence::Device>> {
    scene.props.iter().find_map(|prop| match prop {
        Prop::Station => Some(cast.station.clone()),
        Prop::Server => Some(cast.server.clone()),
        _ => None,
    })
}

fn show(prop: Prop, cast: &Cast, at: Ticks) -> Evidence {
    let (station, server) = (&cast.station, &cast.server);
    let (verdict, role, item) = match prop {
        Prop::Station => (
            "suspicious",
            Some("compromised"),
            Item::Device(station.clone()),
        ),
        Prop::Server => ("suspicious", Some("attacked"), Item::Device(server.clone())),
        Prop::Victim => (
            "suspicious",
            Some("compromised"),
            Item::User(cast.victim.clone()),
        ),
        Prop::Admin => (
            "suspicious",
            Some("attacked"),
            Item::User(cast.admin.clone()),
        ),
        Prop::Lure => (
            "malicious",
            None,
            Item::File(cast.lure.clone(), Some(station.clone())),
        ),
        Prop::Payload => (
            "malicious",
            None,
            Item::File(cast.payload.clone(), Some(station.clone())),
        ),
        Prop::Tool => (
            "suspicious",
            None,
            Item::File(cast.tool.clone(), Some(server.clone())),
        ),
        Prop::Script => (
            "malicious",
            None,
            Item::Process(cast.script.clone(), station.clone()),
        ),
        Prop::Beacon => (
            "malicious",
            None,
            Item::Process(cast.beacon.clone(), station.clone()),
        ),
        Prop::Hands => (
            "malicious",
            Some("attacker"),
            Item::Process(cast.hands.clone(), server.clone()),
        ),
        Prop::Attacker => (
            "malicious",
            Some("attacker"),
            Item::Ip(cast.attacker.clone(), cast.country),
        ),
        Prop::Relay => (
            "suspicious",
            Some("source"),
            Item::Ip(cast.relay.clone(), cast.country),
        ),
        Prop::Url => ("malicious", None, Item::Url(cast.url.clone())),
        Prop::Mailbox => (
            "suspicious",
            Some("attacked"),
            Item::Mailbox(cast.victim.clone()),
        ),
        Prop::Rule => (
            "suspicious",
            Some("created"),
            Item::MailboxRule(cast.victim.clone()),
        ),
        Prop::Message => ("malicious", None, Item::Message(cast.message.clone())),
        Prop::Cluster => (
            "suspicious",
            None,
            Item::MailCluster(cast.message.clone(), cast.mails),
        ),
        Prop::Exchange => (
            "unknown",
            Some("contextual"),
            Item::CloudApp("Microsoft Exchange Online", 20_893),
        ),
        Prop::SharePoint => (
            "unknown",
            Some("contextual"),
            Item::CloudApp("Microsoft SharePoint Online", 20_892),
        ),
        Prop::App => (
            "suspicious",
            Some("added"),
            Item::OauthApp(cast.app.clone(), cast.app_id.clone()),
        ),
        Prop::Session => (
            "suspicious",
            None,
            Item::Session(cast.victim.clone(), cast.agent.clone()),
        ),
        Prop::RunKey => (
            "suspicious",
            Some("added"),
            Item::Registry(
                "SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
                "OneDrive Update",
                format!("\"{}\\{}\" /s", cast.payload.path, cast.payload.name).into(),
                station.clone(),
            ),
        ),
        Prop::Group => (
            "unknown",
            Some("attacked"),
            Item::Group("Domain Admins", cast.group_sid.clone()),
        ),
    };
    let remediation = match item {
        Item::File(..) => "prevented",
        _ => "none",
    };
    Evidence {
        at,
        verdict,
        remediation,
        role,
        item,
    }
}
