//! The form both documents share that splunkd writes to a modular input's
//! stdin: who is calling (host, address, session key, checkpoint directory),
//! then elements with a name and parameters.
//!
//! Reading stops at the end tag of the root: splunkd keeps the pipe open.

use crate::splunk::modular_input::encoding::Utf8Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Far beyond any configuration, far below what would hurt the machine.
const LIMIT: usize = 16 * 1024 * 1024;
const DEEPEST: usize = 32;

/// Why a document of splunkd could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error(
        "stdin held no <{0}> document: splunkd writes one when it starts a modular input; for use by hand see `defender_bridge --help`"
    )]
    Empty(&'static str),
    #[error(
        "stdin ended inside the <{0}> document: splunkd was stopped while it wrote, start the input again"
    )]
    CutOff(&'static str),
    #[error("the <{document}> document on stdin cannot be read: {cause}")]
    Unreadable {
        document: &'static str,
        cause: std::io::Error,
    },
    /// The cause never quotes the document, which holds a session key.
    #[error("the <{document}> document on stdin is no well-formed XML near byte {at}: {cause}")]
    Malformed {
        document: &'static str,
        at: u64,
        cause: &'static str,
    },
    #[error("stdin holds an XML document that is no <{0}> document")]
    Other(&'static str),
    #[error("the <{document}> document on stdin has no <{element}>, without which nothing can run")]
    Missing {
        document: &'static str,
        element: &'static str,
    },
    #[error("an element <{element}> of the <{document}> document on stdin has no name")]
    Nameless {
        document: &'static str,
        element: &'static str,
    },
    #[error("the <{document}> document on stdin holds {found} elements <{element}> instead of one")]
    NotOne {
        document: &'static str,
        element: &'static str,
        found: usize,
    },
}

/// Where a kind of document keeps its elements: names from the root down.
pub(in crate::splunk) struct Shape {
    pub(in crate::splunk) root: &'static str,
    pub(in crate::splunk) elements: &'static [&'static str],
}

/// Who is calling.
#[derive(Debug, Default)]
pub(in crate::splunk) struct Caller {
    pub(in crate::splunk) server_host: String,
    pub(in crate::splunk) server_uri: String,
    pub(in crate::splunk) session_key: SecretString,
    pub(in crate::splunk) checkpoint_dir: PathBuf,
}

#[derive(Debug, Default)]
pub(in crate::splunk) struct Element {
    pub(in crate::splunk) name: String,
    pub(in crate::splunk) app: Option<String>,
    pub(in crate::splunk) params: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Default)]
pub(in crate::splunk) struct Document {
    pub(in crate::splunk) caller: Caller,
    pub(in crate::splunk) elements: Vec<Element>,
}

impl Document {
    pub(in crate::splunk) fn read(from: impl Read, shape: &Shape) -> Result<Self, DocumentError> {
        let mut reader = Reader::from_reader(Utf8Reader::new(from, LIMIT));
        reader.config_mut().expand_empty_elements = true;
        let mut reading = Reading::default();
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            let event = match reader.read_event_into(&mut buffer) {
                Ok(event) => event,
                Err(quick_xml::Error::Io(cause)) => {
                    return Err(DocumentError::Unreadable {
                        document: shape.root,
                        cause: std::io::Error::new(cause.kind(), cause.to_string()),
                    });
                }
                // Markup that never closes: the document ends inside it.
                Err(quick_xml::Error::Syntax(_)) if reader.get_ref().ended() => {
                    return Err(DocumentError::CutOff(shape.root));
                }
                Err(error) => {
                    return Err(malformed(shape, reader.error_position(), cause_of(&error)));
                }
            };
            match reading.take(event, shape) {
                Ok(Progress::More) => {}
                Ok(Progress::Done) => return Ok(reading.document),
                Err(Refusal::Document(error)) => return Err(error),
                Err(Refusal::Syntax(cause)) => {
                    return Err(malformed(shape, reader.buffer_position(), cause));
                }
            }
        }
    }

    /// The document, if it says of its caller all that is needed.
    pub(in crate::splunk) fn complete(
        self,
        shape: &Shape,
        needed: &[&str],
    ) -> Result<Self, DocumentError> {
        use secrecy::ExposeSecret;
        let caller = &self.caller;
        let missing = [
            ("server_uri", caller.server_uri.is_empty()),
            ("session_key", caller.session_key.expose_secret().is_empty()),
            (
                "checkpoint_dir",
                caller.checkpoint_dir.as_os_str().is_empty(),
            ),
        ];
        match missing
            .into_iter()
            .find(|&(element, missing)| missing && needed.contains(&element))
        {
            Some((element, _)) => Err(DocumentError::Missing {
                document: shape.root,
                element,
            }),
            None => Ok(self),
        }
    }
}

fn malformed(shape: &Shape, at: u64, cause: &'static str) -> DocumentError {
    DocumentError::Malformed {
        document: shape.root,
        at,
        cause,
    }
}

/// In words of our own: quick-xml's quote names, and a broken document may
/// have its session key where a name should be.
fn cause_of(error: &quick_xml::Error) -> &'static str {
    match error {
        quick_xml::Error::Syntax(_) => "a tag, comment or declaration is not closed",
        quick_xml::Error::IllFormed(_) => "start and end tags do not match",
        quick_xml::Error::InvalidAttr(_) => "an attribute is malformed",
        quick_xml::Error::Escape(_) => "a character reference is malformed",
        _ => "a tag is malformed",
    }
}

enum Progress {
    More,
    Done,
}

enum Refusal {
    Syntax(&'static str),
    Document(DocumentError),
}

impl From<DocumentError> for Refusal {
    fn from(error: DocumentError) -> Self {
        Self::Document(error)
    }
}

/// What an open tag means by where it stands.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Caller,
    Element,
    Param,
    List,
    Value,
    Elsewhere,
}

#[derive(Default)]
struct Reading {
    document: Document,
    path: Vec<String>,
    text: String,
    param: Option<String>,
}

impl Reading {
    fn take(&mut self, event: Event<'_>, shape: &Shape) -> Result<Progress, Refusal> {
        match event {
            Event::Start(tag) => self.open(&tag, shape)?,
            Event::End(_) => {
                self.close(shape);
                if self.path.is_empty() {
                    return Ok(Progress::Done);
                }
            }
            Event::Text(text) if self.path.is_empty() && !text.chars().all(char::is_whitespace) => {
                return Err(Refusal::Syntax("text stands where a tag should"));
            }
            Event::Text(text) => self.text.push_str(&text.xml10_content()),
            Event::CData(text) => self.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => self.text.push_str(&resolved(&reference)?),
            Event::Eof if self.path.is_empty() => {
                return Err(DocumentError::Empty(shape.root).into());
            }
            Event::Eof => return Err(DocumentError::CutOff(shape.root).into()),
            _ => {}
        }
        Ok(Progress::More)
    }

    fn place(&self, shape: &Shape) -> Place {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match path.strip_prefix(shape.elements) {
            Some([]) => Place::Element,
            Some(["param"]) => Place::Param,
            Some(["param_list"]) => Place::List,
            Some(["param_list", "value"]) => Place::Value,
            None if path.len() == 2 => Place::Caller,
            _ => Place::Elsewhere,
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>, shape: &Shape) -> Result<(), Refusal> {
        let name = tag.local_name().into_inner();
        if self.path.is_empty() && name != shape.root {
            return Err(DocumentError::Other(shape.root).into());
        }
        if self.path.len() >= DEEPEST {
            return Err(Refusal::Syntax("its tags are nested too deep"));
        }
        self.path.push(name.to_owned());
        self.text.clear();
        match self.place(shape) {
            Place::Element => {
                let name = attribute(tag, "name")?.ok_or(DocumentError::Nameless {
                    document: shape.root,
                    element: shape.elements.last().copied().unwrap_or_default(),
                })?;
                self.document.elements.push(Element {
                    name,
                    app: attribute(tag, "app")?,
                    params: BTreeMap::new(),
                });
            }
            Place::Param => self.param = attribute(tag, "name")?,
            Place::List => {
                self.param = attribute(tag, "name")?;
                if let Some(values) = self.values() {
                    values.clear();
                }
            }
            Place::Caller | Place::Value | Place::Elsewhere => {}
        }
        Ok(())
    }

    fn close(&mut self, shape: &Shape) {
        let text = std::mem::take(&mut self.text);
        match self.place(shape) {
            Place::Param => {
                if let Some(values) = self.values() {
                    *values = vec![text];
                }
            }
            Place::Value => {
                if let Some(values) = self.values() {
                    values.push(text);
                }
            }
            Place::Caller => {
                let caller = &mut self.document.caller;
                match self.path.last().map(String::as_str) {
                    Some("server_host") => caller.server_host = text.trim().to_owned(),
                    Some("server_uri") => caller.server_uri = text.trim().to_owned(),
                    Some("session_key") => caller.session_key = text.trim().into(),
                    Some("checkpoint_dir") => caller.checkpoint_dir = text.trim().into(),
                    _ => {}
                }
            }
            Place::Element | Place::List | Place::Elsewhere => {}
        }
        self.path.pop();
    }

    fn values(&mut self) -> Option<&mut Vec<String>> {
        let element = self.document.elements.last_mut()?;
        Some(element.params.entry(self.param.clone()?).or_default())
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, Refusal> {
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|_| Refusal::Syntax("an attribute is malformed"))?;
        if attribute.key.local_name().into_inner() == name {
            return attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map(|value| Some(value.into_owned()))
                .map_err(|_| Refusal::Syntax("an attribute is malformed"));
        }
    }
    Ok(None)
}

fn resolved(reference: &BytesRef<'_>) -> Result<String, Refusal> {
    match reference.resolve_char_ref() {
        Ok(Some(character)) => Ok(character.to_string()),
        Ok(None) => quick_xml::escape::resolve_xml_entity(reference)
            .map(str::to_owned)
            .ok_or(Refusal::Syntax("it names an entity XML does not know")),
        Err(_) => Err(Refusal::Syntax("a character reference is malformed")),
    }
}
