//! Microsoft's clouds: the host and the token audience of each API family.
//!
//! Hosts and audiences as in "Microsoft Defender for Endpoint / Defender XDR for
//! US Government customers" and "National cloud deployments" of Microsoft Graph.

use std::fmt;
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

/// Base URLs of a custom cloud; each may carry a path prefix. An API that is not
/// there has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    pub login: Url,
    pub graph: Option<Url>,
    pub mde: Option<Url>,
    pub xdr: Option<Url>,
}

/// One of Microsoft's APIs over the same tenant. Tokens, audiences and call
/// budgets belong to a family, never to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    Graph,
    Mde,
    Xdr,
}

const COMMERCIAL: Places = Places {
    login: "https://login.microsoftonline.com",
    graph: "https://graph.microsoft.com",
    mde: "https://api.securitycenter.microsoft.com",
    xdr: "https://api.security.microsoft.com",
};
const GCC: Places = Places {
    mde: "https://api-gcc.securitycenter.microsoft.us",
    xdr: "https://api-gcc.security.microsoft.us",
    ..COMMERCIAL
};
const GCC_HIGH: Places = Places {
    login: "https://login.microsoftonline.us",
    graph: "https://graph.microsoft.us",
    mde: "https://api-gov.securitycenter.microsoft.us",
    xdr: "https://api-gov.security.microsoft.us",
};
const DOD: Places = Places {
    graph: "https://dod-graph.microsoft.us",
    ..GCC_HIGH
};

/// In Microsoft's own clouds an API's host is also the audience of its tokens.
struct Places {
    login: &'static str,
    graph: &'static str,
    mde: &'static str,
    xdr: &'static str,
}

impl Places {
    fn of(&self, family: Family) -> &'static str {
        match family {
            Family::Graph => self.graph,
            Family::Mde => self.mde,
            Family::Xdr => self.xdr,
        }
    }
}

impl Cloud {
    /// The resource a token for `family` is asked for. A custom cloud stands in
    /// for the commercial one, so its audiences are the commercial names.
    pub fn audience(&self, family: Family) -> &'static str {
        self.places().of(family)
    }

    /// Base URL of the sign-in service, without a trailing slash.
    pub fn login(&self) -> &str {
        match self {
            Cloud::Custom(hosts) => bare(&hosts.login),
            _ => self.places().login,
        }
    }

    /// Base URL of an API family, without a trailing slash; `None` where a custom
    /// cloud does not have it.
    pub fn api(&self, family: Family) -> Option<&str> {
        let Cloud::Custom(hosts) = self else {
            return Some(self.places().of(family));
        };
        let url = match family {
            Family::Graph => &hosts.graph,
            Family::Mde => &hosts.mde,
            Family::Xdr => &hosts.xdr,
        };
        url.as_ref().map(bare)
    }

    fn places(&self) -> &'static Places {
        match self {
            Cloud::Commercial | Cloud::Custom(_) => &COMMERCIAL,
            Cloud::Gcc => &GCC,
            Cloud::GccHigh => &GCC_HIGH,
            Cloud::Dod => &DOD,
        }
    }
}

impl Family {
    /// The name in settings and in the User-Agent.
    pub fn name(self) -> &'static str {
        match self {
            Family::Graph => "graph",
            Family::Mde => "mde",
            Family::Xdr => "xdr",
        }
    }

    /// The form Microsoft asks of partners: `{API}Partner-{Company}-{Product}/{version}`.
    pub(crate) fn user_agent(self) -> String {
        let api = match self {
            Family::Graph => "Graph",
            Family::Mde => "Mde",
            Family::Xdr => "M365D",
        };
        format!(
            "{api}Partner-DefenderBridge-Splunk/{}",
            env!("CARGO_PKG_VERSION")
        )
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn bare(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cloud_has_its_hosts_and_audiences() {
        let rows: Vec<_> = [Cloud::Commercial, Cloud::Gcc, Cloud::GccHigh, Cloud::Dod]
            .iter()
            .map(|cloud| {
                let of = |family| {
                    assert_eq!(cloud.api(family), Some(cloud.audience(family)));
                    cloud.audience(family)
                };
                [
                    cloud.login(),
                    of(Family::Graph),
                    of(Family::Mde),
                    of(Family::Xdr),
                ]
                .join(" ")
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"), @r"
        https://login.microsoftonline.com https://graph.microsoft.com https://api.securitycenter.microsoft.com https://api.security.microsoft.com
        https://login.microsoftonline.com https://graph.microsoft.com https://api-gcc.securitycenter.microsoft.us https://api-gcc.security.microsoft.us
        https://login.microsoftonline.us https://graph.microsoft.us https://api-gov.securitycenter.microsoft.us https://api-gov.security.microsoft.us
        https://login.microsoftonline.us https://dod-graph.microsoft.us https://api-gov.securitycenter.microsoft.us https://api-gov.security.microsoft.us
        ");
    }

    #[test]
    fn a_custom_cloud_keeps_its_prefixes_and_the_commercial_audiences() {
        let at = |path: &str| Url::parse(&format!("https://lab.example:8443{path}")).unwrap();
        let cloud = Cloud::Custom(Box::new(Hosts {
            login: at("/login/"),
            graph: Some(at("/graph")),
            mde: Some(at("")),
            xdr: None,
        }));
        assert_eq!(cloud.login(), "https://lab.example:8443/login");
        let graph = Some("https://lab.example:8443/graph");
        assert_eq!(cloud.api(Family::Graph), graph);
        assert_eq!(cloud.api(Family::Mde), Some("https://lab.example:8443"));
        assert_eq!(cloud.api(Family::Xdr), None);
        assert_eq!(cloud.audience(Family::Graph), "https://graph.microsoft.com");
        assert_eq!(
            cloud.audience(Family::Mde),
            "https://api.securitycenter.microsoft.com"
        );
    }
}
