//! Who may do what: an Entra token with a role, or a shared access signature.

use aws_lc_rs::hmac;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;

use crate::sandbox::api::access::{Issuer, Resource};
use crate::sandbox::storage::refusal::Refusal;

/// What Entra's tokens must be for.
pub(super) const RESOURCE: &str = "https://storage.azure.com";
/// Known to all: it stands in this program.
pub(super) const KEY: &str = "c2FuZGJveH5zdG9yYWdlfjAwMDAwMDAwMDAwMDAwMDE=";
/// The version whose form of signatures is made here.
const VERSION: &str = "2023-11-03";
/// From here on an encryption scope is signed too.
const SCOPED: &str = "2020-12-06";

/// What a call takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    /// Of a signature: service, container or object.
    resource: char,
    /// Of a signature: one of these.
    permissions: &'static str,
    /// Of an app: the role to contribute.
    writes: bool,
}

impl Need {
    const fn new(resource: char, permissions: &'static str, writes: bool) -> Self {
        Self {
            resource,
            permissions,
            writes,
        }
    }

    pub(super) const LIST_CONTAINERS: Self = Self::new('s', "l", false);
    pub(super) const LIST_BLOBS: Self = Self::new('c', "l", false);
    pub(super) const LOOK_AT_CONTAINER: Self = Self::new('c', "r", false);
    pub(super) const MAKE_CONTAINER: Self = Self::new('c', "cw", true);
    pub(super) const READ: Self = Self::new('o', "r", false);
    pub(super) const MAKE: Self = Self::new('o', "cw", true);
    pub(super) const WRITE: Self = Self::new('o', "w", true);
    pub(super) const APPEND: Self = Self::new('o', "aw", true);
    pub(super) const DELETE: Self = Self::new('o', "d", true);
}

/// Which role an app has on the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Contributor,
    Reader,
    None,
}

/// A call's query, decoded.
pub(super) type Query = BTreeMap<String, String>;

/// Lets a call through, or says why not. `place` is account, and container where there is one.
pub(super) fn admit(
    headers: &HeaderMap,
    query: &Query,
    (account, container): (&str, Option<&str>),
    need: Need,
    issuer: &Issuer,
    role: impl Fn(&str) -> Role,
) -> Result<(), Refusal> {
    if query.contains_key("sig") {
        return signed(query, account, container, need);
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let Some(given) = given else {
        return Err(Refusal::of("NoAuthenticationInformation"));
    };
    let Some(token) = given.strip_prefix("Bearer ") else {
        // Keys of the account open nothing here.
        return Err(Refusal::of("KeyBasedAuthenticationNotPermitted"));
    };
    let invalid = |why: String| Refusal::because("InvalidAuthenticationInfo", why);
    let opened = issuer.open(token).map_err(invalid)?;
    if Resource::named(&opened.audience).is_none_or(|resource| !resource.is(RESOURCE)) {
        return Err(invalid(
            "Audience validation failed. Audience did not match.".to_owned(),
        ));
    }
    match (role(&opened.app), need.writes) {
        (Role::Contributor, _) | (Role::Reader, false) => Ok(()),
        _ => Err(Refusal::of("AuthorizationPermissionMismatch")),
    }
}

/// A shared access signature of the account, or of one container.
fn signed(
    query: &Query,
    account: &str,
    container: Option<&str>,
    need: Need,
) -> Result<(), Refusal> {
    let field = |name: &str| query.get(name).map_or("", String::as_str);
    let failed = |why: &str| Refusal::because("AuthenticationFailed", why);
    let of_account = query.contains_key("ss");
    let text = match (of_account, field("sr"), container) {
        (true, ..) => account_text(&field, account),
        (false, "c", Some(container)) => container_text(&field, account, container),
        _ => return Err(failed("sr is mandatory. Cannot be empty")),
    };
    let signature = STANDARD
        .decode(field("sig"))
        .map_err(|_| failed("Signature is not a valid Base64 string."))?;
    hmac::verify(&key(), text.as_bytes(), &signature).map_err(|_| {
        failed("Signature did not match. String to sign used was as the service makes it.")
    })?;
    let now = jiff::Timestamp::now();
    let begun = match field("st") {
        "" => true,
        text => instant(text).is_some_and(|start| start <= now),
    };
    if !begun || instant(field("se")).is_none_or(|end| end <= now) {
        return Err(failed("Signature not valid in the specified time frame."));
    }
    if of_account && !field("ss").contains('b') {
        return Err(Refusal::of("AuthorizationServiceMismatch"));
    }
    let covered = match of_account {
        true => field("srt").contains(need.resource),
        false => need.resource != 's',
    };
    if !covered {
        return Err(Refusal::of("AuthorizationResourceTypeMismatch"));
    }
    let may = |permission: char| field("sp").contains(permission);
    match need.permissions.chars().any(may) {
        true => Ok(()),
        false => Err(Refusal::of("AuthorizationPermissionMismatch")),
    }
}

fn key() -> hmac::Key {
    // What is no Base64 opens nothing.
    let key = STANDARD.decode(KEY).unwrap_or_default();
    hmac::Key::new(hmac::HMAC_SHA256, &key)
}

fn account_text<'q>(field: &impl Fn(&str) -> &'q str, account: &str) -> String {
    let mut text = format!("{account}\n");
    for name in ["sp", "ss", "srt", "st", "se", "sip", "spr", "sv"] {
        text = text + field(name) + "\n";
    }
    if field("sv") >= SCOPED {
        text = text + field("ses") + "\n";
    }
    text
}

fn container_text<'q>(field: &impl Fn(&str) -> &'q str, account: &str, container: &str) -> String {
    let resource = format!("/blob/{account}/{container}");
    let mut lines = vec![field("sp"), field("st"), field("se"), &resource];
    lines.extend(["si", "sip", "spr", "sv", "sr"].map(field));
    // The snapshot's time.
    lines.push("");
    if field("sv") >= SCOPED {
        lines.push(field("ses"));
    }
    lines.extend(["rscc", "rscd", "rsce", "rscl", "rsct"].map(field));
    lines.join("\n")
}

/// To the day, the minute or the second, UTC.
fn instant(text: &str) -> Option<jiff::Timestamp> {
    match text.contains('T') {
        true => text.parse().ok(),
        false => format!("{text}T00:00Z").parse().ok(),
    }
}

/// A signature of the account for these permissions, as a query.
pub(super) fn signature(account: &str, permissions: &str, expires: jiff::Timestamp) -> String {
    let expires = expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let fields = [
        ("sv", VERSION),
        ("ss", "b"),
        ("srt", "sco"),
        ("sp", permissions),
        ("se", &expires),
        ("spr", "https"),
    ];
    let field = |name: &str| {
        let known = fields.iter().find(|(known, _)| *known == name);
        known.map_or("", |(_, value)| value)
    };
    let signature = hmac::sign(&key(), account_text(&field, account).as_bytes());
    url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .append_pair("sig", &STANDARD.encode(signature))
        .finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    fn query(text: &str) -> Query {
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    }

    fn later() -> Timestamp {
        Timestamp::now() + SignedDuration::from_hours(1)
    }

    #[test]
    fn a_signature_of_the_account_is_good_for_what_it_says_until_it_ends() {
        let good = signature("logs", "rl", later());
        let try_with = |text: &str, need| {
            let refused = signed(&query(text), "logs", None, need);
            refused.map_err(|refusal| refusal.code)
        };
        for need in [Need::LIST_CONTAINERS, Need::LIST_BLOBS, Need::READ] {
            assert_eq!(try_with(&good, need), Ok(()));
        }
        let old = signature(
            "logs",
            "rl",
            Timestamp::now() - SignedDuration::from_secs(1),
        );
        let other = signature("other", "rl", later());
        for (text, need, code) in [
            (&good, Need::WRITE, "AuthorizationPermissionMismatch"),
            (&old, Need::READ, "AuthenticationFailed"),
            (&other, Need::READ, "AuthenticationFailed"),
            (
                &good.replace("sp=rl", "sp=rwl"),
                Need::WRITE,
                "AuthenticationFailed",
            ),
            (
                &good.replace("ss=b", "ss=q"),
                Need::READ,
                "AuthenticationFailed",
            ),
            (&"sig=x".to_owned(), Need::READ, "AuthenticationFailed"),
        ] {
            assert_eq!(try_with(text, need).unwrap_err(), code, "{text}");
        }
    }

    #[test]
    fn instants_come_to_the_day_the_minute_or_the_second() {
        let second = instant("2026-11-30T00:00:00Z");
        assert!(second.is_some());
        assert_eq!(instant("2026-11-30T00:00Z"), second);
        assert_eq!(instant("2026-11-30"), second);
        assert_eq!(instant(""), None);
    }

    proptest! {
        #[test]
        fn no_query_makes_the_check_fall(text in "[a-z=&%0-9T:Z-]{0,60}") {
            signed(&query(&format!("sig=AA&{text}")), "logs", Some("c"), Need::READ).unwrap_err();
        }
    }
}
