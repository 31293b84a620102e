//! A storage account, followed by the built executable as splunkd runs it.

mod account;
mod azurite;
mod counts;
mod demo;
mod ends;
mod growth;
mod trouble;
