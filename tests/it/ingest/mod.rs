//! The way in: whatever Microsoft's lists do, every object reaches the index once.

mod change_while_reading;
mod documented_samples;
mod exactly_once;
mod hostile_input;
mod idle_poll;
mod killed_poll;
mod kvstore_checkpoint;
mod lasting_500;
mod late_objects;
mod nested_alerts;
mod nextlink;
mod order;
mod page_caps;
mod partial_answers;
mod quarantined_elements;
mod shutdown;
mod ties;
