//! Error → what to do.
