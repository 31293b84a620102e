//! Microsoft's clouds: the host and the token audience of each API.
//!
//! Hosts and audiences as in "Microsoft Defender for Endpoint / Defender XDR for
//! US Government customers" and "National cloud deployments" of Microsoft Graph.

use crate::triage::Api;
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

/// Base URLs of a custom cloud; each may carry a path prefix. What is not there has
/// none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    pub login: Option<Url>,
    pub graph: Option<Url>,
    pub mde: Option<Url>,
    pub xdr: Option<Url>,
}

const COMMERCIAL: Places = Places {
    login: "https://login.microsoftonline.com",
    graph: "https://graph.microsoft.com",
    mde: "https://api.securitycenter.microsoft.com",
    xdr: "https://api.security.microsoft.com",
    blobs: "blob.core.windows.net",
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
    blobs: "blob.core.usgovcloudapi.net",
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
    /// What the hosts of storage accounts end with.
    blobs: &'static str,
}

impl Places {
    fn of(&self, api: Api) -> &'static str {
        match api {
            Api::Graph => self.graph,
            Api::Mde => self.mde,
            Api::Xdr => self.xdr,
        }
    }
}

impl Cloud {
    /// The resource a token for `api` is asked for. A custom cloud stands in
    /// for the commercial one, so its audiences are the commercial names.
    pub fn audience(&self, api: Api) -> &'static str {
        self.places().of(api)
    }

    /// Base URL of the sign-in service, without a trailing slash; empty where nobody
    /// signs in.
    pub fn login(&self) -> &str {
        match self {
            Cloud::Custom(hosts) => hosts.login.as_ref().map_or("", bare),
            _ => self.places().login,
        }
    }

    /// Base URL of an API, without a trailing slash; `None` where a custom
    /// cloud does not have it.
    pub fn api(&self, api: Api) -> Option<&str> {
        let Cloud::Custom(hosts) = self else {
            return Some(self.places().of(api));
        };
        let url = match api {
            Api::Graph => &hosts.graph,
            Api::Mde => &hosts.mde,
            Api::Xdr => &hosts.xdr,
        };
        url.as_ref().map(bare)
    }

    /// What the host names of this cloud's Event Hubs namespaces end in.
    pub fn event_hubs(&self) -> &'static str {
        match self {
            Cloud::Commercial | Cloud::Gcc | Cloud::Custom(_) => "servicebus.windows.net",
            Cloud::GccHigh | Cloud::Dod => "servicebus.usgovcloudapi.net",
        }
    }

    /// The host of a storage account's blobs.
    pub fn blobs_host(&self, account: &str) -> String {
        format!("{account}.{}", self.places().blobs)
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

impl Api {
    /// The form Microsoft asks of partners: `{API}Partner-{Company}-{Product}/{version}`.
    pub(crate) fn user_agent(self) -> String {
        let api = match self {
            Api::Graph => "Graph",
            Api::Mde => "Mde",
            Api::Xdr => "M365D",
        };
        format!(
            "{api}Partner-DefenderBridge-Splunk/{}",
            env!("CARGO_PKG_VERSION")
        )
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
                let of = |api| {
                    assert_eq!(cloud.api(api), Some(cloud.audience(api)));
                    cloud.audience(api)
                };
                [cloud.login(), of(Api::Graph), of(Api::Mde), of(Api::Xdr)].join(" ")
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
    fn a_storage_account_has_a_host_of_its_cloud() {
        for (cloud, host) in [
            (Cloud::Gcc, "c.blob.core.windows.net"),
            (Cloud::Dod, "c.blob.core.usgovcloudapi.net"),
        ] {
            assert_eq!(cloud.blobs_host("c"), host);
        }
    }

    #[test]
    fn a_custom_cloud_keeps_its_prefixes_and_the_commercial_audiences() {
        let at = |path: &str| Url::parse(&format!("https://lab.example:8443{path}")).unwrap();
        let cloud = Cloud::Custom(Box::new(Hosts {
            login: Some(at("/login/")),
            graph: Some(at("/graph")),
            mde: Some(at("")),
            xdr: None,
        }));
        assert_eq!(cloud.login(), "https://lab.example:8443/login");
        let graph = Some("https://lab.example:8443/graph");
        assert_eq!(cloud.api(Api::Graph), graph);
        assert_eq!(cloud.api(Api::Mde), Some("https://lab.example:8443"));
        assert_eq!(cloud.api(Api::Xdr), None);
        assert_eq!(cloud.audience(Api::Graph), "https://graph.microsoft.com");
        assert_eq!(
            cloud.audience(Api::Mde),
            "https://api.securitycenter.microsoft.com"
        );
    }
}
