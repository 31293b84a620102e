//! Who may do what, by the tokens put on `$cbs`: Entra's, and shared access
//! signatures.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::sandbox::api::access::{Issuer, Resource, seconds};
use crate::sandbox::event_hub::refusal::{Refusal, UNAUTHORIZED};

/// What Entra's tokens must be for.
pub(in crate::sandbox) const RESOURCE: &str = "https://eventhubs.azure.net";
const SIGNATURE: &str = "SharedAccessSignature ";

/// A shared access policy of the namespace: name, key, and what it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    pub(super) key: &'static str,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights {
    listen: bool,
    send: bool,
}

const ALL: Rights = Rights {
    listen: true,
    send: true,
};

/// Known to all: they stand in this program.
pub(super) static POLICIES: [Policy; 3] = [
    Policy {
        name: "RootManageSharedAccessKey",
        key: "c2FuZGJveH5yb290fjAwMDAwMDAwMDAwMDAwMDAwMDE=",
        rights: ALL,
    },
    Policy {
        name: "listen",
        key: "c2FuZGJveH5saXN0ZW5+MDAwMDAwMDAwMDAwMDAwMDI=",
        rights: Rights {
            listen: true,
            send: false,
        },
    },
    Policy {
        name: "send",
        key: "c2FuZGJveH5zZW5kfjAwMDAwMDAwMDAwMDAwMDAwMDM=",
        rights: Rights {
            listen: false,
            send: true,
        },
    },
];

/// What a token lets its bearer do: with this entity and all below it, until then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    path: String,
    rights: Rights,
    expires: u64,
}

/// What is asked of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Listen,
    Send,
    /// Either will do.
    Manage,
}

impl Claim {
    const fn name(self) -> &'static str {
        match self {
            Self::Listen => "Listen",
            Self::Send => "Send",
            Self::Manage => "Manage",
        }
    }
}

/// What the tokens of one connection grant.
#[derive(Debug, Default)]
pub(super) struct Grants(Mutex<Vec<Grant>>);

impl Grants {
    fn lock(&self) -> MutexGuard<'_, Vec<Grant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, grant: Grant) {
        let mut grants = self.lock();
        grants.retain(|other| other.path != grant.path);
        grants.push(grant);
    }

    /// All tokens are as if they had expired.
    pub(super) fn expire(&self) {
        for grant in self.lock().iter_mut() {
            grant.expires = 0;
        }
    }

    /// For how long the entity may be used so; an error if it may not, or not any more.
    pub(super) fn check(&self, entity: &str, claim: Claim) -> Result<Duration, Refusal> {
        let entity = path(entity);
        let covering = |grant: &&Grant| {
            covers(&grant.path, &entity) || (claim == Claim::Manage && covers(&entity, &grant.path))
        };
        let grants = self.lock();
        let known: Vec<&Grant> = grants.iter().filter(covering).collect();
        if known.is_empty() {
            return Err(Refusal::new(
                UNAUTHORIZED,
                format!("Unauthorized access. No token was put for '{entity}'."),
            ));
        }
        let able = known.iter().filter(|grant| match claim {
            Claim::Listen => grant.rights.listen,
            Claim::Send => grant.rights.send,
            Claim::Manage => true,
        });
        let Some(expires) = able.map(|grant| grant.expires).max() else {
            let name = claim.name();
            return Err(Refusal::new(
                UNAUTHORIZED,
                format!(
                    "Unauthorized access. '{name}' claim(s) are required to perform this operation. Resource: '{entity}'."
                ),
            ));
        };
        match expires.checked_sub(seconds()).filter(|left| *left > 0) {
            Some(left) => Ok(Duration::from_secs(left)),
            None => Err(Refusal::new(
                UNAUTHORIZED,
                "ExpiredToken: The token is expired.",
            )),
        }
    }
}

/// Whether an entity is another one or above it.
fn covers(above: &str, entity: &str) -> bool {
    entity
        .strip_prefix(above)
        .is_some_and(|rest| above.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

/// The entity of a URL or a bare path, as it is compared.
pub(super) fn path(address: &str) -> String {
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => address,
    };
    path.trim_matches('/').to_ascii_lowercase()
}

/// Which of Azure's roles for Event Hubs an app has on the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Roles {
    pub(super) receiver: bool,
    pub(super) sender: bool,
}

/// A put-token's parts.
pub(super) struct Put<'a> {
    pub(super) audience: &'a str,
    pub(super) kind: &'a str,
    pub(super) token: &'a str,
}

/// Takes a token in, or says why not.
pub(super) fn put(
    grants: &Grants,
    issuer: &Issuer,
    roles: impl Fn(&str) -> Roles,
    put: &Put<'_>,
) -> Result<(), String> {
    let entity = path(put.audience);
    let grant = match put.kind {
        "jwt" => {
            let opened = issuer.open(put.token)?;
            if Resource::named(&opened.audience).is_none_or(|it| !it.is(RESOURCE)) {
                return Err("InvalidAudience: The audience of the token is invalid.".to_owned());
            }
            let Roles { receiver, sender } = roles(&opened.app);
            Grant {
                path: entity,
                rights: Rights {
                    listen: receiver,
                    send: sender,
                },
                expires: opened.expires,
            }
        }
        "servicebus.windows.net:sastoken" => signed(&entity, put.token)?,
        kind => return Err(format!("InvalidTokenType: '{kind}' is not supported.")),
    };
    grants.put(grant);
    Ok(())
}

/// A shared access signature, checked by signature, expiry and entity.
fn signed(entity: &str, token: &str) -> Result<Grant, String> {
    let fields = token
        .strip_prefix(SIGNATURE)
        .ok_or("MalformedToken: The token is no SharedAccessSignature.")?;
    let field = |name: &str| {
        fields
            .split('&')
            .find_map(|field| field.split_once('=').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
            .ok_or(format!("MalformedToken: The field '{name}' is missing."))
    };
    let (resource, signature) = (field("sr")?, field("sig")?);
    let (expiry, name) = (field("se")?, decoded(field("skn")?)?);
    let policy = POLICIES
        .iter()
        .find(|policy| policy.name == name)
        .ok_or("InvalidSignature: The token has an invalid signature.")?;
    let signature = STANDARD
        .decode(decoded(signature)?)
        .map_err(|_| "MalformedToken: The signature is no Base64.")?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, policy.key.as_bytes());
    hmac::verify(&key, format!("{resource}\n{expiry}").as_bytes(), &signature)
        .map_err(|_| "InvalidSignature: The token has an invalid signature.")?;
    let expires: u64 = expiry
        .parse()
        .map_err(|_| "MalformedToken: The expiry is no number of seconds.")?;
    if expires <= seconds() {
        return Err(format!(
            "ExpiredToken: The token is expired. Expiration time: {expires}."
        ));
    }
    let resource = path(&decoded(resource)?);
    if !covers(&resource, entity) {
        return Err(format!(
            "InvalidAudience: The token is for '{resource}', not for '{entity}'."
        ));
    }
    Ok(Grant {
        path: entity.to_owned(),
        rights: policy.rights,
        expires,
    })
}

fn decoded(text: &str) -> Result<String, String> {
    percent_decode_str(text)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| "MalformedToken: A field is no UTF-8.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    fn token(resource: &str, policy: &Policy, expires: u64) -> String {
        let resource = utf8_percent_encode(resource, NON_ALPHANUMERIC).to_string();
        token_of(&resource, policy, expires)
    }

    fn token_of(resource: &str, policy: &Policy, expires: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, policy.key.as_bytes());
        let signature = hmac::sign(&key, format!("{resource}\n{expires}").as_bytes());
        let signature = STANDARD.encode(signature);
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
        format!(
            "SharedAccessSignature sr={resource}&sig={signature}&se={expires}&skn={}",
            policy.name
        )
    }

    #[test]
    fn a_signature_is_good_for_its_entity_and_what_is_below_until_it_expires() {
        let (root, later) = (&POLICIES[0], seconds() + 60);
        let entity = "hub/consumergroups/$default/partitions/0";
        for resource in [
            "sb://contoso/Hub",
            "sb://contoso:5671/hub/",
            "amqps://contoso/hub/ConsumerGroups/$Default/Partitions/0",
            "sb://contoso/",
        ] {
            let grant = signed(entity, &token(resource, root, later)).unwrap();
            assert_eq!((grant.path.as_str(), grant.expires), (entity, later));
        }
        // As Microsoft's Rust client writes it.
        let small = token_of("amqps%3a%2f%2fcontoso%2fhub", root, later);
        assert!(signed(entity, &small).is_ok());
        let why = |token: &str| {
            let why = signed(entity, token).unwrap_err();
            why.split_once(':').unwrap().0.to_owned()
        };
        let good = token("sb://contoso/hub", root, later);
        for (token, code) in [
            (token("sb://contoso/other", root, later), "InvalidAudience"),
            (token("sb://contoso/hu", root, later), "InvalidAudience"),
            (token("sb://contoso/hub", root, 1), "ExpiredToken"),
            (
                good.replace(root.name, POLICIES[1].name),
                "InvalidSignature",
            ),
            (good.replace(root.name, "nobody"), "InvalidSignature"),
            (good.replace("&se=", "&se=9"), "InvalidSignature"),
            (good.replace("&skn=", "&x="), "MalformedToken"),
            ("eyJ0eXAi".to_owned(), "MalformedToken"),
        ] {
            assert_eq!(why(&token), code, "{token}");
        }
    }

    #[test]
    fn a_grant_is_for_its_claims_and_its_entities() {
        let grants = Grants::default();
        let grant = |path: &str, rights, expires| Grant {
            path: path.to_owned(),
            rights,
            expires,
        };
        let refused = |entity: &str, claim| grants.check(entity, claim).unwrap_err();
        assert_eq!(refused("hub", Claim::Listen).condition, UNAUTHORIZED);
        grants.put(grant("hub", POLICIES[1].rights, seconds() + 60));
        let partition = "sb://contoso/Hub/ConsumerGroups/$Default/Partitions/0";
        assert!(grants.check(partition, Claim::Listen).is_ok());
        assert!(
            refused(partition, Claim::Send)
                .text
                .contains("'Send' claim")
        );
        assert!(refused("hub2", Claim::Listen).text.contains("No token"));
        grants.expire();
        assert!(
            refused(partition, Claim::Listen)
                .text
                .starts_with("ExpiredToken")
        );
        // A token put for less than the hub does for the questions to it.
        grants.put(grant("other/$management", ALL, seconds() + 60));
        assert!(grants.check("other", Claim::Manage).is_ok());
        assert_eq!(refused("other", Claim::Listen).condition, UNAUTHORIZED);
    }

    proptest! {
        #[test]
        fn no_token_makes_the_reader_fall(text in ".*", fields in "[a-z=&%0-9]{0,40}") {
            signed("hub", &text).unwrap_err();
            signed("hub", &format!("{SIGNATURE}{fields}")).unwrap_err();
            signed("hub", &format!("{SIGNATURE}sr=a&se=1&skn=listen&sig={fields}")).unwrap_err();
        }
    }
}
