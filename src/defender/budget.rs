//! The call budget per tenant, app and family, shared between processes.
