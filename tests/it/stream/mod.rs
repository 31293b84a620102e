//! Streams, followed by the built executable as splunkd runs it.

mod bad_settings;
mod counts;
mod ends;
mod hub;
mod killed;
