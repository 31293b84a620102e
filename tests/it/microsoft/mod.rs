//! What is spoken with Microsoft, whichever way the data goes: sign-in, limits.

mod accounts;
mod embedded_tenant;
mod shared_budget;
mod throttling;
