//! What the tenant knows of an alert and an incident, whichever family asks.

use std::sync::Arc;

use super::Family;
use super::instant::Ticks;
use super::story::evidence::{Device, Evidence, User};
use super::story::scene::Scene;
use super::vocabulary::Word;

#[derive(Debug, Clone)]
pub(super) struct Comment {
    pub(super) text: String,
    pub(super) by: String,
    pub(super) at: Ticks,
}

/// What analysts and clients change, and when it last changed.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) status: Word,
    pub(super) severity: Word,
    pub(super) classification: Word,
    pub(super) determination: Word,
    pub(super) assigned_to: Option<String>,
    pub(super) comments: Vec<Comment>,
    pub(super) created: Ticks,
    pub(super) updated: Ticks,
    pub(super) resolved: Option<Ticks>,
}

#[derive(Debug, Clone)]
pub(super) struct Alert {
    pub(super) id: String,
    /// The incident's number as it is written.
    pub(super) incident: Option<String>,
    pub(super) state: State,
    pub(super) service_source: Word,
    pub(super) detection_source: Word,
    pub(super) category: Word,
    pub(super) investigation: Option<i64>,
    pub(super) last_event: Option<Ticks>,
    pub(super) body: Body<ToldAlert>,
}

#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) state: State,
    /// Places of its alerts in the store.
    pub(super) alerts: Vec<usize>,
    pub(super) tags: Vec<String>,
    pub(super) name: String,
    /// Texts that Graph's newer documentation lets a client write.
    pub(super) summary: Option<String>,
    pub(super) resolving_comment: Option<String>,
    /// The incident this one was merged into.
    pub(super) redirect: Option<String>,
    pub(super) body: Body<()>,
}

/// Where an object's text comes from.
#[derive(Debug, Clone)]
pub(super) enum Body<T> {
    /// From a story: every family can render it.
    Told(T),
    /// Given in a file: served by its own family, byte for byte until written to.
    Given {
        family: Family,
        text: Box<str>,
        written: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) struct ToldAlert {
    pub(super) scene: &'static Scene,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) investigation_state: &'static str,
    pub(super) first: Ticks,
    pub(super) last: Ticks,
    pub(super) machine: Option<Arc<Device>>,
    pub(super) user: Arc<User>,
    pub(super) evidence: Vec<Evidence>,
}
