//! The XML of lists and errors, and the headers of a blob.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::escape;
use std::fmt::Write as _;

use crate::sandbox::api::answer::Reply;
use crate::sandbox::storage::access::RESOURCE;
use crate::sandbox::storage::refusal::Refusal;
use crate::sandbox::storage::state::{Blob, Container, Kind, Metadata};
use crate::sandbox::tenant::instant::Ticks;

const DECLARATION: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>";

/// RFC 1123, as every date of the service.
pub(super) fn date(at: Ticks) -> String {
    let stamp = jiff::Timestamp::from_second(at.0.div_euclid(10_000_000)).unwrap_or_default();
    stamp.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Whole seconds since 1970 of such a date.
pub(super) fn seconds(date: &str) -> Option<i64> {
    let read = jiff::fmt::rfc2822::parse(date).ok()?;
    Some(read.timestamp().as_second())
}

/// What a list was asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `https://127.0.0.1:<port>/<account>`
    pub(super) endpoint: String,
    pub(super) prefix: String,
    pub(super) marker: String,
    pub(super) most: usize,
    /// Whether that number was asked for.
    pub(super) most_given: bool,
    pub(super) metadata: bool,
}

/// Names in their order, as far as they were asked for; and the marker of what follows.
pub(super) fn page<'n, T>(
    all: impl Iterator<Item = (&'n String, T)>,
    asked: &Asked,
) -> Option<(Vec<(&'n String, T)>, String)> {
    let from = match asked.marker.as_str() {
        "" => String::new(),
        marker => name_of(marker)?,
    };
    let mut found = Vec::new();
    for (name, item) in all {
        if !name.starts_with(&asked.prefix) || **name < *from {
            continue;
        }
        if found.len() == asked.most {
            return Some((found, marker_of(name)));
        }
        found.push((name, item));
    }
    Some((found, String::new()))
}

/// Opaque, as Azure's.
fn marker_of(name: &str) -> String {
    let name = STANDARD.encode(name);
    format!("2!{}!{name}", name.len())
}

fn name_of(marker: &str) -> Option<String> {
    let name = marker.strip_prefix("2!")?.split_once('!')?.1;
    let name = STANDARD.decode(name).ok()?;
    String::from_utf8(name).ok()
}

fn list(asked: &Asked, container: Option<&str>, element: &str, found: &str, next: &str) -> String {
    let mut xml = format!(
        "{DECLARATION}<EnumerationResults ServiceEndpoint=\"{}/\"",
        escape(&asked.endpoint)
    );
    // Writing into a String cannot fail.
    let _infallible = match container {
        Some(name) => write!(xml, " ContainerName=\"{}\">", escape(name)),
        None => write!(xml, ">"),
    };
    for (name, value) in [("Prefix", &asked.prefix), ("Marker", &asked.marker)] {
        if !value.is_empty() {
            let _infallible = write!(xml, "<{name}>{}</{name}>", escape(value));
        }
    }
    if asked.most_given {
        let _infallible = write!(xml, "<MaxResults>{}</MaxResults>", asked.most);
    }
    let _infallible = write!(
        xml,
        "<{element}>{found}</{element}><NextMarker>{}</NextMarker></EnumerationResults>",
        escape(next)
    );
    xml
}

pub(super) fn containers(asked: &Asked, found: &[(&String, &Container)], next: &str) -> String {
    let mut xml = String::new();
    for (name, container) in found {
        let _infallible = write!(
            xml,
            "<Container><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>\"{}\"</Etag>\
             <LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>\
             <HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>\
             </Properties></Container>",
            date(container.modified),
            container.etag
        );
    }
    list(asked, None, "Containers", &xml, next)
}

pub(super) fn blobs(
    asked: &Asked,
    container: &str,
    found: &[(&String, &Blob)],
    next: &str,
) -> String {
    let mut xml = String::new();
    for (name, blob) in found {
        let _infallible = write!(
            xml,
            "<Blob>{}<Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>{}</Etag>\
             <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type>\
             <Content-Encoding /><Content-Language /><Content-CRC64 /><Content-MD5 /><Cache-Control />\
             <Content-Disposition /><BlobType>{}</BlobType><LeaseStatus>unlocked</LeaseStatus>\
             <LeaseState>available</LeaseState><ServerEncrypted>true</ServerEncrypted></Properties>",
            element_of(name),
            date(blob.created),
            date(blob.modified),
            blob.etag,
            blob.bytes.len(),
            kind(blob.kind)
        );
        if asked.metadata {
            xml.push_str("<Metadata>");
            for (name, value) in &blob.metadata {
                let _infallible = write!(xml, "<{name}>{}</{name}>", escape(value));
            }
            xml.push_str("</Metadata>");
        }
        xml.push_str("<OrMetadata /></Blob>");
    }
    list(asked, Some(container), "Blobs", &xml, next)
}

/// What XML cannot hold is percent-encoded, and said to be.
fn element_of(name: &str) -> String {
    let holds = |c: char| c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}');
    match name.chars().all(holds) {
        true => format!("<Name>{}</Name>", escape(name)),
        false => {
            let encoded =
                percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
            format!("<Name Encoded=\"true\">{encoded}</Name>")
        }
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Append { .. } => "AppendBlob",
        Kind::Block => "BlockBlob",
    }
}

/// Sets a header whose value was made here; one that cannot be a value is left out.
pub(super) fn set(headers: &mut HeaderMap, name: &'static str, value: impl AsRef<str>) {
    if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// The headers that say which version of a blob, or container, this is.
pub(super) fn version(headers: &mut HeaderMap, etag: &str, modified: Ticks) {
    set(headers, "etag", quoted(etag));
    set(headers, "last-modified", date(modified));
}

/// The headers of a blob that is read, but those of its length.
pub(super) fn properties(headers: &mut HeaderMap, blob: &Blob) {
    version(headers, &blob.etag, blob.modified);
    set(headers, "accept-ranges", "bytes");
    set(headers, "content-type", "application/octet-stream");
    set(headers, "x-ms-creation-time", date(blob.created));
    set(headers, "x-ms-blob-type", kind(blob.kind));
    set(headers, "x-ms-lease-status", "unlocked");
    set(headers, "x-ms-lease-state", "available");
    set(headers, "x-ms-server-encrypted", "true");
    if let Kind::Append { blocks } = blob.kind {
        set(
            headers,
            "x-ms-blob-committed-block-count",
            blocks.to_string(),
        );
    }
    metadata(headers, &blob.metadata);
}

fn metadata(headers: &mut HeaderMap, metadata: &Metadata) {
    for (name, value) in metadata {
        let name = HeaderName::try_from(format!("x-ms-meta-{name}"));
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

pub(super) fn xml(body: String) -> Reply {
    let mut reply = Reply::new(Body::from(body));
    set(reply.headers_mut(), "content-type", "application/xml");
    reply
}

/// A refusal as the service writes it; the answer to HEAD has no body.
pub(super) fn refuse(refusal: &Refusal, head: bool, tenant: &str) -> Reply {
    let empty = head || refusal.status == StatusCode::NOT_MODIFIED;
    let mut reply = match empty {
        true => Reply::new(Body::empty()),
        false => xml(error(refusal)),
    };
    *reply.status_mut() = refusal.status;
    let headers = reply.headers_mut();
    set(headers, "x-ms-error-code", &refusal.code);
    if let Some(size) = refusal.size {
        set(headers, "content-range", format!("bytes */{size}"));
    }
    if refusal.status == StatusCode::UNAUTHORIZED {
        let challenge =
            format!("Bearer authorization_uri={tenant}/oauth2/authorize resource_id={RESOURCE}");
        set(headers, header::WWW_AUTHENTICATE.as_str(), challenge);
    }
    reply
}

fn error(refusal: &Refusal) -> String {
    let (code, message) = (escape(&refusal.code), escape(&refusal.message));
    let detail = match &refusal.detail {
        Some(detail) => format!(
            "<AuthenticationErrorDetail>{}</AuthenticationErrorDetail>",
            escape(detail)
        ),
        None => String::new(),
    };
    format!(
        "{DECLARATION}<Error><Code>{code}</Code><Message>{message}\nRequestId:{}\nTime:{}</Message>{detail}</Error>",
        uuid::Uuid::new_v4(),
        Ticks::now()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_date_has_whole_seconds_and_is_read_again() {
        let at = Ticks(1_790_000_000 * 10_000_000 + 9_999_999);
        let text = date(at);
        assert_eq!(text, "Mon, 21 Sep 2026 14:13:20 GMT");
        assert_eq!(seconds(&text), Some(1_790_000_000));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn a_marker_that_nobody_gave_is_refused() {
        let all = BTreeMap::from([("a".to_owned(), ())]);
        let asked = Asked {
            marker: "a".to_owned(),
            most: 1,
            ..Asked::default()
        };
        assert!(page(all.iter(), &asked).is_none());
    }

    proptest! {
        #[test]
        fn pages_hold_every_name_once(names in proptest::collection::btree_set("[a-c/é]{1,4}", 0..20), most in 1usize..7, prefix in "[a-c]{0,1}") {
            let all: BTreeMap<String, ()> = names.iter().map(|name| (name.clone(), ())).collect();
            let mut asked = Asked { most, prefix: prefix.clone(), ..Asked::default() };
            let mut found: Vec<String> = Vec::new();
            loop {
                let (page, next) = page(all.iter(), &asked).unwrap();
                prop_assert!(page.len() <= most);
                found.extend(page.into_iter().map(|(name, ())| name.clone()));
                if next.is_empty() {
                    break;
                }
                asked.marker = next;
            }
            let wanted: Vec<String> = names.into_iter().filter(|name| name.starts_with(&prefix)).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
