//! What the tenant knows of an alert and an incident, whichever family asks.

use crate::sandbox::Family;
use crate::sandbox::story::evidence::{Device, Evidence, User};
use crate::sandbox::story::scene::Scene;
use crate::sandbox::tenant::instant::Ticks;
use crate::sandbox::tenant::vocabulary::Word;
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Comment {
    pub(in crate::sandbox) text: String,
    pub(in crate::sandbox) by: String,
    pub(in crate::sandbox) at: Ticks,
}

/// What analysts and clients change, and when it last changed.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct State {
    pub(in crate::sandbox) status: Word,
    pub(in crate::sandbox) severity: Word,
    pub(in crate::sandbox) classification: Word,
    pub(in crate::sandbox) determination: Word,
    pub(in crate::sandbox) assigned_to: Option<String>,
    pub(in crate::sandbox) comments: Vec<Comment>,
    pub(in crate::sandbox) created: Ticks,
    pub(in crate::sandbox) updated: Ticks,
    pub(in crate::sandbox) resolved: Option<Ticks>,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Alert {
    pub(in crate::sandbox) id: String,
    /// The incident's number as it is written.
    pub(in crate::sandbox) incident: Option<String>,
    pub(in crate::sandbox) state: State,
    pub(in crate::sandbox) service_source: Word,
    pub(in crate::sandbox) detection_source: Word,
    pub(in crate::sandbox) category: Word,
    pub(in crate::sandbox) investigation: Option<i64>,
    pub(in crate::sandbox) last_event: Option<Ticks>,
    pub(in crate::sandbox) body: Body<ToldAlert>,
}

#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Incident {
    pub(in crate::sandbox) id: String,
    pub(in crate::sandbox) state: State,
    /// Places of its alerts in the store.
    pub(in crate::sandbox) alerts: Vec<usize>,
    pub(in crate::sandbox) tags: Vec<String>,
    pub(in crate::sandbox) name: String,
    /// Texts that Graph's newer documentation lets a client write.
    pub(in crate::sandbox) summary: Option<String>,
    pub(in crate::sandbox) resolving_comment: Option<String>,
    /// The incident this one was merged into.
    pub(in crate::sandbox) redirect: Option<String>,
    pub(in crate::sandbox) body: Body<()>,
}

/// Where an object's text comes from.
#[derive(Debug, Clone)]
pub(in crate::sandbox) enum Body<T> {
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
pub(in crate::sandbox) struct ToldAlert {
    pub(in crate::sandbox) scene: &'static Scene,
    pub(in crate::sandbox) title: String,
    pub(in crate::sandbox) description: String,
    pub(in crate::sandbox) investigation_state: &'static str,
    pub(in crate::sandbox) first: Ticks,
    pub(in crate::sandbox) last: Ticks,
    pub(in crate::sandbox) machine: Option<Arc<Device>>,
    pub(in crate::sandbox) user: Arc<User>,
    pub(in crate::sandbox) evidence: Vec<Evidence>,
}
