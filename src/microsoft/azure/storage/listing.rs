//! The XML of a list of containers or blobs.

use crate::ingest::Instant;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A version of a blob, as the service wrote it: lists without quotes, headers with
/// them. It goes back as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(pub String);

/// A blob as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    pub name: String,
    pub size: u64,
    pub etag: ETag,
    /// Whole seconds, by the service's clock.
    pub modified: Option<Instant>,
    pub created: Option<Instant>,
    pub append: bool,
    /// Names in lower case.
    pub metadata: BTreeMap<String, String>,
}

/// A part of a list, and what to ask for the next one with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<T> {
    pub found: Vec<T>,
    pub next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Results {
    #[serde(default)]
    containers: Containers,
    #[serde(default)]
    blobs: Blobs,
    #[serde(default)]
    next_marker: Option<String>,
}

#[derive(Deserialize, Default)]
struct Containers {
    #[serde(default, rename = "Container")]
    found: Vec<ContainerElement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerElement {
    name: String,
}

#[derive(Deserialize, Default)]
struct Blobs {
    #[serde(default, rename = "Blob")]
    found: Vec<BlobElement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BlobElement {
    name: NameElement,
    properties: Properties,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct NameElement {
    /// What XML cannot hold is percent-encoded.
    #[serde(default, rename = "@Encoded")]
    encoded: bool,
    #[serde(default, rename = "$text")]
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    #[serde(default, rename = "Creation-Time")]
    created: String,
    #[serde(default, rename = "Last-Modified")]
    modified: String,
    #[serde(default)]
    etag: String,
    #[serde(default, rename = "Content-Length")]
    size: u64,
    #[serde(default)]
    blob_type: String,
}

impl From<BlobElement> for Blob {
    fn from(element: BlobElement) -> Self {
        let name = element.name;
        let properties = element.properties;
        let metadata = element.metadata.into_iter();
        Self {
            name: match name.encoded {
                true => percent_decode_str(&name.text)
                    .decode_utf8_lossy()
                    .into_owned(),
                false => name.text,
            },
            size: properties.size,
            etag: ETag(properties.etag),
            modified: date(&properties.modified),
            created: date(&properties.created),
            append: properties.blob_type == "AppendBlob",
            metadata: metadata
                .map(|(name, value)| (name.to_lowercase(), value))
                .collect(),
        }
    }
}

/// RFC 1123, as the service writes every date.
pub fn date(text: &str) -> Option<Instant> {
    let parsed = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim());
    parsed.ok().map(Instant::from)
}

fn results(body: &[u8]) -> Result<Results, String> {
    let text = std::str::from_utf8(body).map_err(|_| "a list that is no text".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    if !text.contains("<EnumerationResults") {
        return Err("an answer that is no list of Azure Storage".to_owned());
    }
    quick_xml::de::from_str(text).map_err(|_| "a list that cannot be read".to_owned())
}

fn marker(next: Option<String>) -> Option<String> {
    next.filter(|marker| !marker.is_empty())
}

pub fn containers(body: &[u8]) -> Result<Part<String>, String> {
    let results = results(body)?;
    let found = results.containers.found.into_iter();
    Ok(Part {
        found: found.map(|container| container.name).collect(),
        next: marker(results.next_marker),
    })
}

pub fn blobs(body: &[u8]) -> Result<Part<Blob>, String> {
    let results = results(body)?;
    Ok(Part {
        found: results.blobs.found.into_iter().map(Blob::from).collect(),
        next: marker(results.next_marker),
    })
}

/// An error's `Code` and `Message`.
pub fn refusal(body: &str) -> Option<(String, String)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Refusal {
        code: String,
        #[serde(default)]
        message: String,
    }
    let refusal: Refusal = quick_xml::de::from_str(body.trim_start_matches('\u{feff}')).ok()?;
    // What follows are ids and times, which stand in headers of their own.
    let first = refusal.message.lines().next().unwrap_or_default();
    Some((refusal.code, first.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &str = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults \
        ServiceEndpoint=\"https://contoso.blob.core.windows.net/\" ContainerName=\"c\"><Prefix>a&amp;b</Prefix>\
        <MaxResults>5000</MaxResults><Blobs>\
        <Blob><Name>tenantId=1/y=2026/m=11/d=30/h=05/m=00/PT1H.json</Name><Properties>\
        <Creation-Time>Mon, 30 Nov 2026 05:00:07 GMT</Creation-Time><Last-Modified>Mon, 30 Nov 2026 05:58:01 GMT\
        </Last-Modified><Etag>0x8DE2F</Etag><Content-Length>4711</Content-Length><Content-Type>application/json\
        </Content-Type><Content-Encoding /><BlobType>AppendBlob</BlobType><LeaseStatus>unlocked</LeaseStatus>\
        </Properties><OrMetadata /></Blob>\
        <Blob><Name Encoded=\"true\">a%EF%BF%BE&amp;b</Name><Properties><Last-Modified>never</Last-Modified>\
        <Etag>\"0x1\"</Etag><Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType></Properties>\
        <Metadata><OwnerId>x &lt; y</OwnerId><offset></offset><sequencenumber/></Metadata></Blob>\
        </Blobs><NextMarker>2!92!x</NextMarker></EnumerationResults>";

    #[test]
    fn a_list_of_blobs_is_read_with_sizes_versions_and_metadata() {
        let part = blobs(LIST.as_bytes()).unwrap();
        assert_eq!(part.next.as_deref(), Some("2!92!x"));
        let [hour, other] = &part.found[..] else {
            panic!("{part:?}");
        };
        assert_eq!(hour.name, "tenantId=1/y=2026/m=11/d=30/h=05/m=00/PT1H.json");
        assert_eq!((hour.size, hour.append), (4711, true));
        assert_eq!(hour.etag, ETag("0x8DE2F".to_owned()));
        let modified = hour.modified.unwrap().to_string();
        assert_eq!(modified, "2026-11-30T05:58:01.0000000Z");
        assert!(hour.created < hour.modified);
        assert!(hour.metadata.is_empty());
        assert_eq!(other.name, "a\u{fffe}&b");
        assert_eq!((other.append, other.modified), (false, None));
        assert_eq!(other.etag, ETag("\"0x1\"".to_owned()));
        let metadata: Vec<_> = other
            .metadata
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            metadata,
            [("offset", ""), ("ownerid", "x < y"), ("sequencenumber", "")]
        );
    }

    #[test]
    fn a_list_of_containers_and_an_empty_one_are_read() {
        let list = "<?xml version=\"1.0\"?><EnumerationResults><Containers><Container><Name>insights-logs-x</Name>\
                    <Properties><Etag>\"0x1\"</Etag></Properties></Container></Containers><NextMarker />\
                    </EnumerationResults>";
        let part = containers(list.as_bytes()).unwrap();
        assert_eq!(
            (part.found, part.next),
            (vec!["insights-logs-x".to_owned()], None)
        );
        for empty in [
            "<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>",
            "<EnumerationResults><Blobs></Blobs></EnumerationResults>",
        ] {
            assert!(blobs(empty.as_bytes()).unwrap().found.is_empty(), "{empty}");
        }
    }

    #[test]
    fn a_refusal_is_read_without_the_ids_behind_its_first_line() {
        let body = "\u{feff}<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code><Message>The specified blob does \
                    not exist.\nRequestId:1\nTime:2</Message></Error>";
        let (code, message) = refusal(body).unwrap();
        assert_eq!(
            (code.as_str(), message.as_str()),
            ("BlobNotFound", "The specified blob does not exist.")
        );
        assert_eq!(refusal("<html>no</html>"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(blobs(&bytes).is_err());
            prop_assert!(containers(&bytes).is_err());
        }

        #[test]
        fn a_list_cut_anywhere_is_refused(at in 0..LIST.len() - 1) {
            prop_assert!(blobs(&LIST.as_bytes()[..at]).is_err());
        }

        #[test]
        fn what_stands_in_a_list_makes_nothing_fall(text in "(<Blob>|</Blob>|<Name>|</Name>|<Properties/>|&amp;|&|\\PC){0,12}") {
            let list = format!("<EnumerationResults><Blobs>{text}</Blobs></EnumerationResults>");
            let _either_way = blobs(list.as_bytes());
        }
    }
}
