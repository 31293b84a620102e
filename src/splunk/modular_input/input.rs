//! The run document: which stanzas this process is to run, and for whom.

use crate::splunk::modular_input::document::{Document, DocumentError, Element, Shape};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

const SHAPE: Shape = Shape {
    root: "input",
    elements: &["input", "configuration", "stanza"],
};

/// What splunkd says when it starts a modular input.
#[derive(Debug)]
pub struct Input {
    pub server_host: String,
    pub server_uri: String,
    pub session_key: SecretString,
    pub checkpoint_dir: PathBuf,
    /// May be empty: then there is nothing to do.
    pub stanzas: Vec<Stanza>,
}

/// One configured input, its values as they stand in the conf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// What stands before `://`.
    pub scheme: String,
    /// What stands after it.
    pub name: String,
    /// The app whose conf holds the stanza.
    pub app: Option<String>,
    pub params: BTreeMap<String, Vec<String>>,
}

/// Reads up to `</input>` and no further: the pipe stays open.
pub fn read(from: impl Read) -> Result<Input, DocumentError> {
    let mut document = Document::read(from, &SHAPE)?;
    if !document.elements.is_empty() {
        document = document.complete(&SHAPE, &["server_uri", "session_key", "checkpoint_dir"])?;
    }
    let caller = document.caller;
    Ok(Input {
        server_host: caller.server_host,
        server_uri: caller.server_uri,
        session_key: caller.session_key,
        checkpoint_dir: caller.checkpoint_dir,
        stanzas: document.elements.into_iter().map(Stanza::from).collect(),
    })
}

impl From<Element> for Stanza {
    fn from(element: Element) -> Self {
        let (scheme, name) = match element.name.split_once("://") {
            Some((scheme, name)) => (scheme.to_owned(), name.to_owned()),
            None => (String::new(), element.name),
        };
        Self {
            scheme,
            name,
            app: element.app,
            params: element.params,
        }
    }
}

impl Stanza {
    /// The first value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.first().map(String::as_str)
    }

    /// `scheme://name`, as splunkd calls it.
    pub fn full_name(&self) -> String {
        if self.scheme.is_empty() {
            self.name.clone()
        } else {
            format!("{}://{}", self.scheme, self.name)
        }
    }

    /// The index events shall go to, where one is set.
    pub fn index(&self) -> Option<&str> {
        self.param("index").filter(|index| !index.is_empty())
    }

    /// How often splunkd starts the input: seconds, or a cron schedule.
    pub fn interval(&self) -> Option<&str> {
        self.param("interval")
    }

    /// The host events shall carry; none where splunkd decides it itself
    /// (`$decideOnStartup` in inputs.conf).
    pub fn host(&self) -> Option<&str> {
        self.param("host")
            .filter(|host| !host.is_empty() && *host != "$decideOnStartup")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::splunk::modular_input::encoding::tests::{Dripping, utf16};
    use proptest::prelude::*;
    use secrecy::ExposeSecret;

    const RUN: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<input xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <unheard_of><server_uri>https://elsewhere</server_uri></unheard_of>
  <configuration>
    <stanza name="defender_bridge://prod &amp; test" app="defender_bridge" xml:lang="en">
      <param name="host">$decideOnStartup</param>
      <param name="account">Contoso &lt;M&#252;nchen&gt;</param>
      <param name="index">main</param>
      <param name="empty"/>
      <param name="script"><![CDATA[a < b]]></param>
      <param_list name="multi"><value>a</value><value>b</value></param_list>
      <novelty><param name="account">wrong</param></novelty>
    </stanza>
    <stanza name="defender_bridge://lab">
      <param name="host">hf1</param>
      <param_list name="none"></param_list>
    </stanza>
  </configuration>
  <checkpoint_dir> C:\Program Files\Splunk\var\lib\splunk\modinputs\defender_bridge </checkpoint_dir>
  <session_key>123102983109283019283</session_key>
  <server_host>tiny</server_host>
  <server_uri>https://127.0.0.1:8089</server_uri>
</input>
"#;

    fn assert_read(input: &Input) {
        assert_eq!(input.server_host, "tiny");
        assert_eq!(input.server_uri, "https://127.0.0.1:8089");
        assert_eq!(input.session_key.expose_secret(), "123102983109283019283");
        assert_eq!(
            input.checkpoint_dir.to_str(),
            Some(r"C:\Program Files\Splunk\var\lib\splunk\modinputs\defender_bridge")
        );
        let [prod, lab] = input.stanzas.as_slice() else {
            panic!("two stanzas, not {:?}", input.stanzas);
        };
        assert_eq!(prod.full_name(), "defender_bridge://prod & test");
        assert_eq!(prod.name, "prod & test");
        assert_eq!(prod.scheme, "defender_bridge");
        assert_eq!(prod.app.as_deref(), Some("defender_bridge"));
        assert_eq!(prod.param("account"), Some("Contoso <München>"));
        assert_eq!(prod.param("empty"), Some(""));
        assert_eq!(prod.param("script"), Some("a < b"));
        assert_eq!(prod.params["multi"], ["a", "b"]);
        assert_eq!(prod.param("absent"), None);
        assert_eq!((prod.index(), prod.host()), (Some("main"), None));
        assert_eq!(lab.app, None);
        assert_eq!(lab.param("none"), None);
        assert_eq!((lab.index(), lab.host()), (None, Some("hf1")));
    }

    #[test]
    fn reads_what_splunkd_writes_in_every_encoding() {
        let marked = format!("\u{FEFF}{RUN}");
        assert_read(&read(RUN.as_bytes()).unwrap());
        assert_read(&read(marked.as_bytes()).unwrap());
        for (mark, little) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_read(&read(utf16(RUN, mark, little).as_slice()).unwrap());
        }
    }

    #[test]
    fn stops_at_the_end_tag_of_a_pipe_that_stays_open() {
        let upto = RUN.trim_end();
        assert_read(&read(Dripping(upto.as_bytes())).unwrap());
        assert_read(&read(Dripping(&utf16(upto, true, true))).unwrap());
    }

    #[test]
    fn a_document_without_stanzas_means_nothing_to_do() {
        for document in [
            "<input/>",
            "<input></input>",
            "<input><configuration/></input>",
        ] {
            let input = read(document.as_bytes()).unwrap();
            assert!(input.stanzas.is_empty(), "{document}");
        }
    }

    fn refusal(document: &str) -> String {
        read(document.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn says_what_is_wrong_with_a_document() {
        insta::assert_snapshot!(
            [
                "",
                "  \n",
                "hello",
                "<items></items>",
                "<input><server_uri>https://127",
                "<input><server_uri",
                "<input><a></b></input>",
                "<input>&nonsense;</input>",
                "<input><configuration><stanza/></configuration></input>",
                "<input><configuration><stanza name='a://b'/></configuration></input>",
            ]
            .map(refusal)
            .join("\n"),
            @r"
            stdin held no <input> document: splunkd writes one when it starts a modular input; for use by hand see `defender_bridge --help`
            stdin held no <input> document: splunkd writes one when it starts a modular input; for use by hand see `defender_bridge --help`
            the <input> document on stdin is no well-formed XML near byte 5: text stands where a tag should
            stdin holds an XML document that is no <input> document
            stdin ended inside the <input> document: splunkd was stopped while it wrote, start the input again
            stdin ended inside the <input> document: splunkd was stopped while it wrote, start the input again
            the <input> document on stdin is no well-formed XML near byte 10: start and end tags do not match
            the <input> document on stdin is no well-formed XML near byte 17: it names an entity XML does not know
            an element <stanza> of the <input> document on stdin has no name
            the <input> document on stdin has no <server_uri>, without which nothing can run
            "
        );
    }

    #[test]
    fn is_not_overrun_by_size_or_depth() {
        let large = format!("<input><a>{}</a></input>", "x".repeat(17 << 20));
        assert!(refusal(&large).contains("larger"), "{}", refusal(&large));
        let deep = "<input>".repeat(100_000);
        assert!(refusal(&deep).contains("deep"), "{}", refusal(&deep));
    }

    proptest! {
        #[test]
        fn a_damaged_document_is_read_or_refused_without_its_key(
            at in 0..RUN.len(),
            cut in 0_usize..40,
            put in "[<>&/\"a\\PC]{0,3}",
        ) {
            let mut bytes = RUN.as_bytes().to_vec();
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, put.bytes());
            if let Err(error) = read(bytes.as_slice()) {
                let text = format!("{error} {error:?}");
                prop_assert!(!text.contains("12310298310"), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_refused_in_peace(bytes: Vec<u8>) {
            prop_assert!(read(bytes.as_slice()).is_err());
        }
    }
}
