//! The promises of Defender Bridge, kept by running the built executable the
//! way splunkd does, against a Microsoft and a splunkd that are neither.
//!
//! `counterpart/` holds the other sides. They are written from the public
//! contracts alone and know nothing of the product's code; every expectation
//! comes from them. One file beside it is one promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it stands; the product may not"
)]

mod counterpart;

mod arrivals;
mod decisions;

mod accounts;
mod bad_conf;
mod change_while_reading;
mod crash;
mod embedded_tenant;
mod exactness;
mod file_size_limit;
mod forms;
mod hostile_input;
mod house;
mod idle;
mod injection;
mod killed_action;
mod lasting_500;
mod late_objects;
mod log_files;
mod moved_input;
mod nested_alerts;
mod nextlink;
mod odd_splunkd;
mod order;
mod page_caps;
mod partial_answers;
mod poison;
mod private_files;
mod protocol;
mod reconcile;
mod refused_runs;
mod rest_endpoint;
mod samples;
mod search_commands;
mod secrets;
mod selftest;
mod shared_budget;
mod shutdown;
mod third_missing;
mod thousand_rows;
mod throttling;
mod ties;
mod triage;
mod triage_story;
mod two_actions;
mod undo;
#[cfg(unix)]
mod upgrade;
mod without_secrets;
