//! What went wrong → what the administrator does about it.
//!
//! Sign-in codes as in "Microsoft Entra authentication and authorization error
//! codes" (AADSTS).

/// AADSTS codes that pass by themselves.
const PASSING: &[u32] = &[90033, 90006, 90024, 90012, 50000, 90055];

/// AADSTS codes by which a service may say that it does not know PS256 or the
/// SHA-256 thumbprint.
const FORM: &[u32] = &[700027, 50012, 50027, 5002730];

const SIGN_IN: &[(&[u32], &str)] = &[
    (
        &[7000215],
        "paste the client secret's Value, not its Secret ID, without blanks around it",
    ),
    (
        &[7000222],
        "the client secret or certificate has expired: create a new one, store it in the account, remove the old one",
    ),
    (
        &[7000218],
        "the request carried no credential: choose secret, certificate or a federated credential in the account",
    ),
    (
        &[700016],
        "check client_id, tenant_id and cloud, and that the app was consented to in this directory",
    ),
    (
        &[7000112],
        "enable the enterprise application (sign-in allowed) in Microsoft Entra",
    ),
    (
        &[90002],
        "no such tenant in this cloud: check tenant_id and cloud",
    ),
    (
        &[900023],
        "write tenant_id as a GUID or as a verified domain",
    ),
    (
        &[9001023],
        "this sign-in needs one tenant: write its id into tenant_id",
    ),
    (
        &[700027],
        "upload the public certificate of this account to the app registration, and check that the private key belongs to it",
    ),
    (&[700024], "the clock of this host is wrong: set it by NTP"),
    (
        &[50012, 700030],
        "register exactly this certificate at the app registration (thumbprint, and subject name where it is trusted by issuer)",
    ),
    (
        &[50013, 500133],
        "the assertion has expired or is invalid: set the clock by NTP; with workload identity, check that the token file is renewed",
    ),
    (
        &[700211, 700212, 700213],
        "issuer, audience or subject of the federated credential do not match: correct it at the app registration",
    ),
    (
        &[500011],
        "this API does not exist in the tenant: check its Defender licence, that the service is set up, and cloud",
    ),
    (
        &[650052],
        "the organisation has no licence for this API, or never opened the Defender portal: do so once",
    ),
    (
        &[650056, 650057],
        "add the API permission to the app registration and grant admin consent",
    ),
    (&[65001, 90094], "grant admin consent to the app"),
    (
        &[70011, 28002, 700022, 901002],
        "the request named a wrong resource: check cloud and its URLs",
    ),
    (
        &[90014, 900144, 9002313],
        "the request is incomplete: a setting of the account is empty, or this is a defect of Defender Bridge",
    ),
    (
        &[53003, 530032, 530035],
        "Conditional Access blocks the app: exclude the workload identity, or allow this host's outgoing address",
    ),
    (
        &[90038, 900382, 900432],
        "the tenant lives in another cloud: choose it in cloud",
    ),
    (
        &[500021, 500022],
        "the proxy restricts tenants: let it allow this one",
    ),
    (
        &[90055],
        "the tenant is throttled at sign-in: it passes within minutes",
    ),
    (
        &[90033, 90006, 90024, 90012, 50000],
        "a passing fault at Microsoft's sign-in: the next run tries again",
    ),
];

/// Advice for the first code that has any.
pub(crate) fn sign_in(codes: &[u32]) -> Option<&'static str> {
    codes.iter().find_map(|code| {
        SIGN_IN
            .iter()
            .find(|(known, _)| known.contains(code))
            .map(|(_, advice)| *advice)
    })
}

/// Every AADSTS code that has advice.
#[cfg(test)]
pub(crate) fn known_codes() -> impl Iterator<Item = u32> {
    SIGN_IN.iter().flat_map(|(codes, _)| codes.iter().copied())
}

/// Whether a sign-in refused with these codes may succeed when tried again.
pub(crate) fn passing(codes: &[u32]) -> bool {
    codes.iter().any(|code| PASSING.contains(code))
}

/// Whether an assertion may have been refused for its form alone.
pub(crate) fn refuses_form(code: &str, codes: &[u32]) -> bool {
    codes.iter().any(|code| FORM.contains(code)) || (codes.is_empty() && code == "invalid_client")
}

/// For a sign-in answer that is not in Microsoft's form.
pub(crate) const NOT_ENTRA: &str = "this is no answer of Microsoft's sign-in: check login_url and whether a proxy or firewall answers in its place";

/// For a managed identity that gets no token.
pub(crate) const NO_IDENTITY: &str = "assign a managed identity to this machine (and its id to client_id where it is user-assigned), or choose another auth";

/// Advice for an API's refusal.
pub(crate) fn service(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "the API refuses the token: check that tenant_id, cloud and api belong together, and the clock of this host",
        ),
        403 => Some(
            "the app lacks a permission: add the application permission this feed or action needs and grant admin consent; `check` lists what the token carries",
        ),
        404 => Some("check the id, the tenant, and api: ids differ between APIs"),
        409 | 412 | 423 => Some(
            "somebody else, or Defender itself, changes it at this moment: search again, then decide",
        ),
        429 => Some("another program may use the same app: give each its own app registration"),
        501 => Some("the service does not know a part of what it was asked"),
        500..=599 => Some("a fault at Microsoft: the next run tries again"),
        _ => None,
    }
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Dns,
    Refused,
    Unreachable,
    Timeout,
    Reset,
    ProxyPassword,
    Proxy,
    UnknownIssuer,
    CertificateTime,
    CertificateName,
    Tls,
    Other,
}

impl Trouble {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 12] = [
        Self::Dns,
        Self::Refused,
        Self::Unreachable,
        Self::Timeout,
        Self::Reset,
        Self::ProxyPassword,
        Self::Proxy,
        Self::UnknownIssuer,
        Self::CertificateTime,
        Self::CertificateName,
        Self::Tls,
        Self::Other,
    ];

    /// What happened, in a few words.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Trouble::Dns => "the host name cannot be resolved",
            Trouble::Refused => "the connection was refused",
            Trouble::Unreachable => "there is no route to the host",
            Trouble::Timeout => "no answer in time",
            Trouble::Reset => "the connection was closed",
            Trouble::ProxyPassword => "the proxy asks for a user name and password (407)",
            Trouble::Proxy => "the proxy does not let the connection through",
            Trouble::UnknownIssuer => "the certificate comes from an unknown issuer",
            Trouble::CertificateTime => "the certificate is not valid at this time",
            Trouble::CertificateName => "the certificate belongs to another host",
            Trouble::Tls => "no TLS connection",
            Trouble::Other => "the request failed",
        }
    }

    /// Whether it stays so until somebody changes a setting.
    pub(crate) fn lasting(self) -> bool {
        matches!(
            self,
            Trouble::ProxyPassword
                | Trouble::UnknownIssuer
                | Trouble::CertificateTime
                | Trouble::CertificateName
        )
    }

    pub(crate) fn advice(self) -> Option<&'static str> {
        match self {
            Trouble::Dns => Some(
                "check the name and this host's DNS; where only a proxy resolves names, set the proxy",
            ),
            Trouble::Refused | Trouble::Unreachable => {
                Some("check the URL, and whether a firewall or a proxy stands between")
            }
            Trouble::Timeout => Some(
                "let the firewall pass HTTPS (443) to this host, or set the proxy; the next run tries again",
            ),
            Trouble::Reset => {
                Some("a proxy or firewall may have cut the connection; the next run tries again")
            }
            Trouble::ProxyPassword => {
                Some("set username and password of the proxy in the proxy setting")
            }
            Trouble::Proxy => Some("let the proxy allow CONNECT to this host on port 443"),
            Trouble::UnknownIssuer => Some(
                "where a proxy inspects TLS, put its root certificate (PEM) into ca_file; a host without system roots needs its package ca-certificates",
            ),
            Trouble::CertificateTime => {
                Some("set this host's clock by NTP; else the certificate must be renewed")
            }
            Trouble::CertificateName => Some("check the URL, and what answers under this name"),
            Trouble::Tls => Some("check that the URL leads to an HTTPS port with TLS 1.2 or later"),
            Trouble::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_code_has_advice_and_stands_once() {
        let mut seen = std::collections::HashSet::new();
        for (codes, advice) in SIGN_IN {
            assert!(!advice.is_empty());
            for code in *codes {
                assert!(seen.insert(code), "{code} stands twice");
            }
        }
        for code in PASSING {
            assert!(sign_in(&[*code]).is_some(), "{code} has no advice");
        }
    }

    #[test]
    fn the_first_code_with_advice_wins() {
        assert!(sign_in(&[1, 7000222]).unwrap().contains("expired"));
        assert_eq!(sign_in(&[1]), None);
        assert_eq!(sign_in(&[]), None);
    }

    #[test]
    fn only_passing_faults_are_tried_again() {
        assert!(passing(&[90033]));
        assert!(!passing(&[7000215]));
        assert!(!passing(&[]));
    }
}
