//! The signed assertion of a certificate.
