//! The validation document (`--validate-arguments`) and the answer to it.
//!
//! Silence and exit code 0 accept; [`rejection`] on stdout and exit code 1 refuse.

use super::xml;
use crate::NAME;
use crate::splunk::modular_input::document::{Document, DocumentError, Shape};
use crate::splunk::modular_input::input::Stanza;
use secrecy::SecretString;
use std::io::Read;

const SHAPE: Shape = Shape {
    root: "items",
    elements: &["items", "item"],
};

/// An input somebody is about to create or change. On a change only the
/// parameters given may be there.
#[derive(Debug)]
pub struct Definition {
    pub server_uri: String,
    pub session_key: SecretString,
    pub item: Stanza,
}

/// Reads up to `</items>` and no further: the pipe stays open.
pub fn read(from: impl Read) -> Result<Definition, DocumentError> {
    let document =
        Document::read(from, &SHAPE)?.complete(&SHAPE, &["server_uri", "session_key"])?;
    let found = document.elements.len();
    let mut elements = document.elements.into_iter();
    let (Some(item), None) = (elements.next(), elements.next()) else {
        return Err(DocumentError::NotOne {
            document: SHAPE.root,
            element: "item",
            found,
        });
    };
    Ok(Definition {
        server_uri: document.caller.server_uri,
        session_key: document.caller.session_key,
        // An item is named without its scheme.
        item: Stanza {
            scheme: NAME.to_owned(),
            name: item.name,
            app: item.app,
            params: item.params,
        },
    })
}

/// The document that refuses, with the reason Splunk Web shows.
pub fn rejection(message: &str) -> String {
    format!("<error><message>{}</message></error>\n", xml::text(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::modular_input::encoding::tests::{Dripping, utf16};
    use secrecy::ExposeSecret;

    const ITEMS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<items>
  <server_host>sh1</server_host>
  <server_uri>https://127.0.0.1:8089</server_uri>
  <session_key>abc</session_key>
  <checkpoint_dir>/opt/splunk/var/lib/splunk/modinputs/defender_bridge</checkpoint_dir>
  <item name="prod">
    <param name="account">contoso</param>
    <param_list name="multi"><value>a</value><value>b</value></param_list>
  </item>
</items>"#;

    #[test]
    fn reads_the_one_item_in_question() {
        for definition in [
            read(Dripping(ITEMS.as_bytes())),
            read(Dripping(&utf16(ITEMS, true, true))),
        ] {
            let definition = definition.unwrap();
            assert_eq!(definition.server_uri, "https://127.0.0.1:8089");
            assert_eq!(definition.session_key.expose_secret(), "abc");
            assert_eq!(definition.item.full_name(), "defender_bridge://prod");
            assert_eq!(definition.item.param("account"), Some("contoso"));
            assert_eq!(definition.item.params["multi"], ["a", "b"]);
        }
    }

    #[test]
    fn refuses_none_or_several_items() {
        let head = ITEMS.split("<item ").next().unwrap();
        let item = "<item name='a'/>";
        for (items, found) in [(String::new(), 0), (item.repeat(2), 2)] {
            let error = read(format!("{head}{items}</items>").as_bytes()).unwrap_err();
            assert!(
                matches!(error, DocumentError::NotOne { found: f, .. } if f == found),
                "{error}"
            );
        }
    }

    #[test]
    fn a_rejection_holds_any_message() {
        insta::assert_snapshot!(
            rejection("account `A&B` <unknown>:\nadd it \u{1} first"),
            @"<error><message>account `A&amp;B` &lt;unknown&gt;:&#10;add it � first</message></error>"
        );
    }
}
