//! Seeded attack stories: who is attacked, by what, in which order, and what
//! the Defender products say about it. The same seed tells the same stories.
//!
//! A story becomes one incident and up to a dozen alerts. Whatever has not
//! happened yet stays with the teller, who goes on when asked to.

pub mod cast;
pub mod evidence;
mod generator;
pub mod record;
pub mod scene;
pub mod trace;

pub(super) use generator::Generator;
pub use generator::Moved;
