//! Credentials of a request, found again in what was answered: as they are, or
//! in one of the forms texts travel in (form, JSON, HTML, base64, and one in
//! another). Who answers is not always Microsoft, and its words go into logs.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// Shorter ones would be found everywhere.
const SHORTEST: usize = 4;
/// Forms within forms that are looked into.
const DEEPEST: usize = 4;
/// And base64 within base64.
const ENCODED: usize = 2;
/// As much of a text as is looked into, and so as may be told.
const LONGEST: usize = 16 << 10;

#[derive(Clone, Default)]
pub(crate) struct SentSecrets(Vec<SecretString>);

impl SentSecrets {
    pub(crate) fn of(secrets: impl IntoIterator<Item = SecretString>) -> SentSecrets {
        let long = |secret: &SecretString| secret.expose_secret().len() >= SHORTEST;
        SentSecrets(secrets.into_iter().filter(long).collect())
    }

    /// The text, as far as it is looked into, with plain repetitions blotted out; none if it repeats a
    /// credential in another form.
    pub(crate) fn blotted(&self, text: &str) -> Option<String> {
        let text = text
            .get(..text.floor_char_boundary(LONGEST))
            .unwrap_or_default();
        let text = self.0.iter().fold(text.to_string(), |text, secret| {
            text.replace(secret.expose_secret(), "***")
        });
        (!self.is_in(&text)).then_some(text)
    }

    /// Whether a text repeats one of them.
    fn is_in(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let mut texts = layers(text);
        let mut outer = 0..texts.len();
        for _ in 0..ENCODED {
            let inner = texts.get(outer).unwrap_or_default().iter();
            let inner: Vec<String> = inner.flat_map(|text| out_of_base64(text)).collect();
            outer = texts.len()..texts.len();
            texts.extend(inner.iter().flat_map(|text| layers(text)));
            outer.end = texts.len();
        }
        let texts: Vec<String> = texts.iter().map(|text| spaced(text)).collect();
        self.0.iter().any(|secret| {
            let forms = layers(secret.expose_secret());
            let mut forms = forms
                .iter()
                .flat_map(|form| [form, without_begun_code(form), without_beginning(form)])
                .map(spaced);
            forms
                .any(|form| form.len() >= SHORTEST && texts.iter().any(|text| text.contains(&form)))
        })
    }
}

impl fmt::Debug for SentSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SentSecrets({})", self.0.len())
    }
}

/// Bytes of the longest coded character.
const LONGEST_CODE: usize = 12;

/// As much of the end of a secret is no chance.
const TELLING: usize = 8;

/// The text less what may end a code: with what stands before it elsewhere, that
/// would be taken for another character.
fn without_beginning(text: &str) -> &str {
    let most = text.len().saturating_sub(TELLING).min(LONGEST_CODE - 1);
    text.get(text.floor_char_boundary(most)..).unwrap_or(text)
}

/// The text less a code that begins at its end: with what follows it elsewhere, that
/// would be taken for another character.
fn without_begun_code(text: &str) -> &str {
    let begun = text.rfind(['%', '\\', '&']).filter(|at| {
        let code = text.get(*at..).unwrap_or_default();
        code.len() < LONGEST_CODE && one(code).is_none()
    });
    begun.and_then(|at| text.get(..at)).unwrap_or(text)
}

/// A form writes a blank as `+`; where it came from is not known any more.
fn spaced(text: &str) -> String {
    text.replace('+', " ")
}

/// The text, and what it is when taken out of one form after the other.
fn layers(text: &str) -> Vec<String> {
    let mut layers = vec![text.to_string()];
    for _ in 0..DEEPEST {
        match layers.last().map(|last| (decoded(last), last)) {
            Some((inner, outer)) if inner != *outer => layers.push(inner),
            _ => break,
        }
    }
    layers
}

/// One form undone: `%7E`, `\u007e`, `\/`, `&#126;`, `&#x7e;`, `&amp;`.
fn decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\', '&']) {
        let (plain, coded) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut bytes = [0; 4];
        let (taken, found): (usize, &[u8]) = match one(coded) {
            Some((taken, Found::Byte(byte))) => {
                bytes = [byte, 0, 0, 0];
                (taken, bytes.get(..1).unwrap_or_default())
            }
            Some((taken, Found::Char(char))) => (taken, char.encode_utf8(&mut bytes).as_bytes()),
            None => (1, coded.as_bytes().get(..1).unwrap_or_default()),
        };
        out.extend_from_slice(found);
        rest = coded.get(taken..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

enum Found {
    Byte(u8),
    Char(char),
}

/// The coded character at the beginning, and how many bytes it takes.
fn one(text: &str) -> Option<(usize, Found)> {
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let known = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        known.then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let byte = |value: u32| u8::try_from(value).ok().map(Found::Byte);
    let char = |value: u32| char::from_u32(value).map(Found::Char);
    match text.as_bytes() {
        [b'%', ..] => Some((3, byte(hex(1, 3)?)?)),
        [b'\\', b'u', ..] => {
            let first = hex(2, 6)?;
            if let (0xD800..0xDC00, Some("\\u"), Some(second @ 0xDC00..0xE000)) =
                (first, text.get(6..8), hex(8, 12))
            {
                let value = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                return Some((12, char(value)?));
            }
            Some((6, char(first)?))
        }
        [b'\\', b'x', ..] => Some((4, char(hex(2, 4)?)?)),
        [b'\\', letter, ..] => {
            let byte = match letter {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'f' => 12,
                b'"' | b'\'' | b'\\' | b'/' => *letter,
                _ => return None,
            };
            Some((2, Found::Byte(byte)))
        }
        [b'&', ..] => {
            let end = text.bytes().take(12).position(|byte| byte == b';')?;
            let name = text.get(1..end)?;
            let value = match name.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                    None => number.parse().ok()?,
                },
                None => u32::from(match name.to_ascii_lowercase().as_str() {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    "plus" => '+',
                    "equals" => '=',
                    "sol" => '/',
                    "tilde" => '~',
                    "nbsp" => ' ',
                    _ => return None,
                }),
            };
            Some((end + 1, char(value)?))
        }
        _ => None,
    }
}

/// What runs of base64 in the text say, from whichever of their characters the
/// code begins.
fn out_of_base64(text: &str) -> Vec<String> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_');
    let runs = text.split(|c| !is_code(c));
    // Four characters are three bytes of a secret.
    let runs = runs.filter(|run| run.len() >= SHORTEST + 2);
    let mut found = Vec::new();
    for run in runs {
        let run = run.replace('-', "+").replace('_', "/");
        for from in 0..4 {
            let code = run.get(from..).unwrap_or_default();
            // One character alone says nothing.
            let whole = code.len() - usize::from(code.len() % 4 == 1);
            let bytes = LENIENT.decode(code.get(..whole).unwrap_or_default());
            found.extend(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn echo(secret: &str) -> SentSecrets {
        SentSecrets::of([SecretString::from(secret)])
    }

    fn form(text: &str) -> String {
        url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
    }

    fn percent(text: &str) -> String {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    }

    fn json(text: &str) -> String {
        let text = serde_json::to_string(text).unwrap();
        text[1..text.len() - 1].to_string()
    }

    fn lower_percent(text: &str) -> String {
        let mut parts = percent(text)
            .split('%')
            .map(str::to_owned)
            .collect::<Vec<_>>();
        for part in parts.iter_mut().skip(1) {
            part[..2].make_ascii_lowercase();
        }
        parts.join("%")
    }

    /// As cautious writers do it: every character as an escape.
    fn escapes(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04X}")).collect()
    }

    fn html(text: &str) -> String {
        quick_xml::escape::escape(text).into_owned()
    }

    fn references(text: &str) -> String {
        let chars = text.chars().map(u32::from);
        chars.map(|c| format!("&#{c};")).collect()
    }

    fn hexadecimal(text: &str) -> String {
        let chars = text.chars().map(u32::from);
        chars.map(|c| format!("&#x{c:x};")).collect()
    }

    type Form = fn(&str) -> String;

    const FORMS: [(&str, Form); 11] = [
        ("as it is", |text| text.to_string()),
        ("form", form),
        ("percent", percent),
        ("lower percent", lower_percent),
        ("json", json),
        ("escapes", escapes),
        ("html", html),
        ("references", references),
        ("hexadecimal", hexadecimal),
        ("base64", |text| STANDARD.encode(text)),
        ("url-safe base64", |text| URL_SAFE_NO_PAD.encode(text)),
    ];

    const SECRETS: [&str; 7] = [
        "bench-secret-~not.real_1",
        "a b+c&d=e/f?g#h",
        "p%41w\"d<x>'y",
        r"back\slash\u0041\n",
        "schlüssel·🔑·",
        "abc&amp;def",
        "eyJ0eXAiOiJKV1QifQ.eyJpc3MiOiJhIn0.c2ln",
    ];

    #[test]
    fn a_secret_is_found_in_every_form_and_form_within_a_form() {
        for secret in SECRETS {
            let echo = echo(secret);
            for (outer, around) in FORMS {
                for (inner, form) in FORMS {
                    let coded = around(&format!("<p>got client_secret={}&x=1</p>", form(secret)));
                    assert!(
                        echo.is_in(&coded),
                        "{secret} as {inner} in {outer}: {coded}"
                    );
                    assert_eq!(
                        echo.blotted(&coded).is_some(),
                        coded.contains(secret),
                        "{coded}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_honest_text_is_not_taken_for_an_echo() {
        let text = "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '00000000-0000-0000-0000-000000000000'.";
        for secret in SECRETS {
            assert_eq!(echo(secret).blotted(text).as_deref(), Some(text));
        }
        assert!(!SentSecrets::default().is_in("anything"));
        assert!(!echo("").is_in("anything") && !echo("any").is_in("anything"));
        assert!(!format!("{:?}", echo("hunter22")).contains("hunter"));
    }

    #[test]
    fn a_plain_repetition_is_blotted_out_and_the_rest_stays() {
        let echo = echo("hunter22~x");
        let text = echo.blotted("hunter22~x is wrong, hunter22~x");
        assert_eq!(text.as_deref(), Some("*** is wrong, ***"));
        assert_eq!(echo.blotted("hunter22~x is hunter22%7ex"), None);
    }

    #[test]
    fn a_secret_that_ends_as_a_code_begins_does_not_hide_before_what_follows() {
        for (secret, text) in [
            (r" a0 &0A\", r#" a0 &amp;0A\""#),
            ("a<b>c%4", "a&lt;b&gt;c%41"),
            ("a<b>c&am", "a&lt;b&gt;c&amp;"),
        ] {
            assert!(echo(secret).is_in(text), "{text}");
        }
    }

    #[test]
    fn a_secret_that_begins_as_a_code_ends_does_not_hide_behind_what_stands_before() {
        for (secret, text) in [
            ("1a<b>c-and-more", "x%41a&lt;b&gt;c-and-more"),
            ("amp;a<b>c-and-more", "x&amp;a&lt;b&gt;c-and-more"),
            ("0041a<b>c-and-more", r"x\u0041a&lt;b&gt;c-and-more"),
        ] {
            assert!(echo(secret).is_in(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_secret_hides_in_a_form(secret in "[ -~]{8,40}|\\PC{8,20}", which in 0..FORMS.len(), before in "[ a-z<>=\"&]{0,10}", after in "[ <>\"]{0,5}") {
            let (_, form) = FORMS[which];
            let coded = form(&secret);
            prop_assert!(echo(&secret).is_in(&format!("{before} {coded}{after}")), "{}", coded);
        }

        #[test]
        fn no_long_secret_hides_behind_half_a_code(secret in "[ -~]{20,40}|\\PC{20,30}", which in 0..FORMS.len(), before in "[ a-z0-9<>=\"&%#;\\\\]{0,10}", after in "[ <>\"]{0,5}") {
            let (_, form) = FORMS[which];
            let coded = form(&secret);
            prop_assert!(echo(&secret).is_in(&format!("{before}{coded}{after}")), "{}", coded);
        }

        #[test]
        fn no_text_makes_it_fall(text in "[%\\\\&#;xu0-9a-f+/=_ -]{0,60}|\\PC{0,60}") {
            echo("hunter22").is_in(&text);
            decoded(&text);
        }
    }
}
