//! The way back: every row of a verdict ends as exactly one outcome.

mod alert_action;
mod concurrent_actions;
mod incident_and_alerts;
mod killed_action;
mod one_row_not_found;
mod reconcile;
mod refused_runs;
mod thousand_rows;
mod undo;
