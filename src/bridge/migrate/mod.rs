//! Taking over from whoever read before: shown first, then written.

mod positions;

pub use positions::{Fate, Plan, Row};
