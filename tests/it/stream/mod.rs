//! Streams, followed by the built executable as splunkd runs it.

mod bad_settings;
mod bad_storage;
mod check;
mod command_line;
mod counts;
mod ends;
mod failover;
mod hub;
mod killed;
mod link_errors;
mod many_records;
mod migrate;
mod sharing;
mod storage;
mod tenant;
mod undecodable;
