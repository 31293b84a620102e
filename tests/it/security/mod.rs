//! Nothing leaves its place: secrets, rights, files, foreign text.

mod injection;
mod private_files;
mod secrets;
mod without_secrets;
