//! From an account to a token.
