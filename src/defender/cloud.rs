//! Microsoft's clouds: the host and the token audience of each API family.

use url::Url;

/// Where a tenant lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloud {
    Commercial,
    Gcc,
    GccHigh,
    Dod,
    Custom(Box<Hosts>),
}

/// Base URLs of a custom cloud; each may carry a path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    pub login: Url,
    pub graph: Url,
    pub mde: Url,
    pub xdr: Url,
}

/// One of Microsoft's APIs over the same tenant. Tokens, audiences and call
/// budgets belong to a family, never to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Graph,
    Mde,
    Xdr,
}
