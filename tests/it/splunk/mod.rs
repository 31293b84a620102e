//! What splunkd starts and asks, protocol by protocol.

mod bad_conf;
mod closure_search;
mod file_size_limit;
mod log_files;
mod modular_input;
mod odd_splunkd;
mod rest_endpoint;
mod search_commands;
mod selftest;
#[cfg(unix)]
mod upgrade;
