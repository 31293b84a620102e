//! Access tokens: what they say, and whether a call may be made with one.

use axum::http::{HeaderMap, StatusCode, header};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

use crate::sandbox::api::answer::Refusal;
use crate::sandbox::{Family, TENANT_ID};

/// A permission of one family, and the stronger ones that include it.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct Permission {
    pub(in crate::sandbox) any: &'static [&'static str],
}

impl Permission {
    /// Whatever lets an app into Graph: a batch needs no more, its parts do.
    pub(in crate::sandbox) const GRAPH: Self = Self {
        any: &[
            "SecurityAlert.Read.All",
            "SecurityAlert.ReadWrite.All",
            "SecurityIncident.Read.All",
            "SecurityIncident.ReadWrite.All",
        ],
    };
    pub(in crate::sandbox) const GRAPH_ALERTS: Self = Self {
        any: &["SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All"],
    };
    pub(in crate::sandbox) const GRAPH_ALERTS_WRITE: Self = Self {
        any: &["SecurityAlert.ReadWrite.All"],
    };
    pub(in crate::sandbox) const GRAPH_INCIDENTS: Self = Self {
        any: &[
            "SecurityIncident.Read.All",
            "SecurityIncident.ReadWrite.All",
        ],
    };
    pub(in crate::sandbox) const GRAPH_INCIDENTS_WRITE: Self = Self {
        any: &["SecurityIncident.ReadWrite.All"],
    };
    pub(in crate::sandbox) const HUNTING: Self = Self {
        any: &["ThreatHunting.Read.All"],
    };
    pub(in crate::sandbox) const MDE_ALERTS: Self = Self {
        any: &["Alert.Read.All", "Alert.ReadWrite.All"],
    };
    pub(in crate::sandbox) const MDE_ALERTS_WRITE: Self = Self {
        any: &["Alert.ReadWrite.All"],
    };
    pub(in crate::sandbox) const XDR_INCIDENTS: Self = Self {
        any: &["Incident.Read.All", "Incident.ReadWrite.All"],
    };
    pub(in crate::sandbox) const XDR_INCIDENTS_WRITE: Self = Self {
        any: &["Incident.ReadWrite.All"],
    };
}

/// An API a token can be asked for, with every name it goes by.
#[derive(Debug)]
pub(in crate::sandbox) struct Resource {
    /// Its family of APIs; none for what is not spoken to in HTTP documents of Defender.
    family: Option<Family>,
    names: &'static [&'static str],
    /// What an app that may write holds, and one that may only read.
    pub(in crate::sandbox) writer: &'static [&'static str],
    pub(in crate::sandbox) reader: &'static [&'static str],
}

static RESOURCES: [Resource; 5] = [
    Resource {
        family: Some(Family::Graph),
        names: &[
            "https://graph.microsoft.com",
            "https://graph.microsoft.us",
            "https://dod-graph.microsoft.us",
            "00000003-0000-0000-c000-000000000000",
        ],
        writer: &[
            "SecurityAlert.ReadWrite.All",
            "SecurityIncident.ReadWrite.All",
            "ThreatHunting.Read.All",
        ],
        reader: &[
            "SecurityAlert.Read.All",
            "SecurityIncident.Read.All",
            "ThreatHunting.Read.All",
        ],
    },
    Resource {
        family: Some(Family::Mde),
        names: &[
            "https://api.securitycenter.microsoft.com",
            "https://securitycenter.onmicrosoft.com/windowsatpservice",
            "https://api-gcc.securitycenter.microsoft.us",
            "https://api-gov.securitycenter.microsoft.us",
        ],
        writer: &["Alert.ReadWrite.All"],
        reader: &["Alert.Read.All"],
    },
    Resource {
        family: Some(Family::Xdr),
        names: &[
            "https://api.security.microsoft.com",
            "https://api-gcc.security.microsoft.us",
            "https://api-gov.security.microsoft.us",
        ],
        writer: &["Incident.ReadWrite.All"],
        reader: &["Incident.Read.All"],
    },
    // Roles on a namespace or a storage account are Azure's, not the app's: no token names them.
    Resource {
        family: None,
        names: &["https://eventhubs.azure.net"],
        writer: &[],
        reader: &[],
    },
    Resource {
        family: None,
        names: &["https://storage.azure.com"],
        writer: &[],
        reader: &[],
    },
];

impl Resource {
    /// The API a resource URI names; a slash at its end does not matter.
    pub(in crate::sandbox) fn named(uri: &str) -> Option<&'static Self> {
        let uri = uri.strip_suffix('/').unwrap_or(uri);
        RESOURCES.iter().find(|resource| {
            resource
                .names
                .iter()
                .any(|name| name.eq_ignore_ascii_case(uri))
        })
    }

    /// Whether that is one of its names.
    pub(in crate::sandbox) fn is(&self, name: &str) -> bool {
        self.names.contains(&name)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    appid: String,
    app_displayname: String,
    oid: String,
    roles: Vec<String>,
    tid: String,
    ver: String,
}

/// The app behind a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Caller {
    pub(in crate::sandbox) app: String,
    pub(in crate::sandbox) name: String,
}

/// What a token says, to those who judge it themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct Opened {
    pub(in crate::sandbox) app: String,
    pub(in crate::sandbox) audience: String,
    /// Seconds since 1970.
    pub(in crate::sandbox) expires: u64,
}

/// Issues tokens and reads them again; the key lives as long as the tenant.
pub(in crate::sandbox) struct Issuer {
    sign: EncodingKey,
    check: DecodingKey,
    lifetime: Duration,
}

impl Issuer {
    pub(in crate::sandbox) fn new(lifetime: Duration) -> Self {
        let key = [
            uuid::Uuid::new_v4().into_bytes(),
            uuid::Uuid::new_v4().into_bytes(),
        ]
        .concat();
        Self {
            sign: EncodingKey::from_secret(&key),
            check: DecodingKey::from_secret(&key),
            lifetime,
        }
    }

    pub(in crate::sandbox) const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(in crate::sandbox) fn token(
        &self,
        app: &str,
        name: &str,
        audience: &str,
        roles: &[&str],
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = seconds();
        let claims = Claims {
            aud: audience.to_owned(),
            iss: format!("https://sts.windows.net/{TENANT_ID}/"),
            iat: now,
            nbf: now,
            exp: now + self.lifetime.as_secs(),
            appid: app.to_owned(),
            app_displayname: name.to_owned(),
            oid: uuid::Uuid::new_v4().to_string(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            tid: TENANT_ID.to_owned(),
            ver: "1.0".to_owned(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.sign)
    }

    fn read(&self, token: &str) -> Result<Claims, jsonwebtoken::errors::Error> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.validate_aud = false;
        decode::<Claims>(token, &self.check, &rules).map(|token| token.claims)
    }

    /// A valid token of this issuer; else what is wrong with it.
    pub(in crate::sandbox) fn open(&self, token: &str) -> Result<Opened, String> {
        let claims = self.read(token).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => "ExpiredToken: The token is expired.".to_owned(),
            _ => "InvalidToken: The token is invalid.".to_owned(),
        })?;
        Ok(Opened {
            app: claims.appid,
            audience: claims.aud,
            expires: claims.exp,
        })
    }

    /// Lets a call through, or says why not in the family's words.
    pub(in crate::sandbox) fn admit(
        &self,
        headers: &HeaderMap,
        family: Family,
        permission: Permission,
    ) -> Result<Caller, Refusal> {
        let graph = family == Family::Graph;
        let code = if graph {
            "InvalidAuthenticationToken"
        } else {
            "Unauthorized"
        };
        let unauthorized = |message: &str| Refusal::new(StatusCode::UNAUTHORIZED, code, message);
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| unauthorized("Access token is empty."))?;
        let claims = self.read(token).map_err(|error| {
            unauthorized(match error.kind() {
                ErrorKind::ExpiredSignature => "Lifetime validation failed, the token is expired.",
                ErrorKind::InvalidToken => {
                    "IDX14100: JWT is not well formed, there are no dots (.)."
                }
                _ => "Access token validation failure.",
            })
        })?;
        if Resource::named(&claims.aud).is_none_or(|resource| resource.family != Some(family)) {
            return Err(unauthorized(
                "Access token validation failure. Invalid audience.",
            ));
        }
        if !claims
            .roles
            .iter()
            .any(|role| permission.any.contains(&role.as_str()))
        {
            let (wanted, held) = (permission.any.join(","), claims.roles.join(","));
            let message = format!(
                "Missing application roles. API required roles: {wanted}, application roles: {held}."
            );
            return Err(Refusal::new(StatusCode::FORBIDDEN, "Forbidden", message));
        }
        Ok(Caller {
            app: claims.appid,
            name: claims.app_displayname,
        })
    }
}

/// Seconds since 1970.
pub(in crate::sandbox) fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}
