use super::*;
use crate::splunk::tests::counterpart::{Asked, Counterpart};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn of(secret: &str) -> Key {
    Key::of(&SecretString::from(secret.to_owned()))
        .ok()
        .unwrap()
}

fn ours() -> Key {
    of("0123456789abcdef0123456789abcdef-ours")
}

const ENTRY: &str =
    r#"{"time":"2026-11-21T23:51:51.477Z","batch":"b","target":"da1","outcome":"updated"}"#;

#[test]
fn an_entry_is_judged_by_every_character_of_it() {
    let signed = ours().sign(ENTRY);
    let value: Value = serde_json::from_str(&signed).unwrap();
    assert_eq!(value["target"], "da1");
    assert_eq!(ours().judge(&signed), Authentic::True);
    assert_eq!(ours().judge(&format!("{signed}\n")), Authentic::True);
    assert_eq!(ours().judge(ENTRY), Authentic::Unsigned);
    let altered = [
        signed.replace("da1", "da2"),
        signed.replace("{\"time\"", "{ \"time\""),
        // Some readers take the first of two equal members.
        signed.replacen('{', r#"{"target":"da2","#, 1),
        signed.replacen("\"batch\":\"b\",", "", 1),
    ];
    for line in altered {
        assert_eq!(ours().judge(&line), Authentic::False, "{line}");
    }
    let another = of("another key of this length, or of any other");
    assert_eq!(another.judge(&signed), Authentic::Unknown);
    // The name of a key can be copied, its signatures cannot.
    let (begins, rest) = signed.rsplit_once('.').unwrap();
    let signature = rest.trim_end_matches("\"}");
    for blanks in [" ", "\t", "  \n", "\u{a0}"] {
        let judged = ours().judge(&format!("{signed}{blanks}"));
        assert_ne!(judged, Authentic::True, "{blanks:?}");
    }
    for forged in [
        "0".repeat(64),
        "0".repeat(63),
        "x".repeat(64),
        signature.to_uppercase(),
        String::new(),
    ] {
        let line = format!("{begins}.{forged}\"}}");
        assert_eq!(ours().judge(&line), Authentic::False, "{line}");
    }
}

#[test]
fn a_signature_for_one_purpose_serves_no_other() {
    let sealed = ours().seal("x");
    assert_eq!(ours().unseal(&sealed).as_deref(), Some("x"));
    let (text, signature) = sealed.split_once('.').unwrap();
    let line = format!("{text}{MEMBER}{VERSION}.{}.{signature}\"}}", ours().name);
    assert_eq!(ours().judge(&line), Authentic::False);
    for other in ["", ".", "x", &sealed[1..], &format!("{sealed}0")] {
        assert_eq!(ours().unseal(other), None, "{other}");
    }
    assert_eq!(of(&"y".repeat(40)).unseal(&sealed), None);
}

#[test]
fn a_secret_that_could_be_guessed_is_no_key() {
    assert!(Key::of(&SecretString::from("short".to_owned())).is_err());
}

proptest! {
    #[test]
    fn whatever_an_entry_says_its_signature_holds_on_every_way_into_the_index(
        message: String, target: String
    ) {
        let json = json!({"message": message, "target": target}).to_string();
        let signed = ours().sign(&json);
        prop_assert_eq!(ours().judge(&signed), Authentic::True);
        let carried = |c: char| c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}';
        prop_assert!(signed.chars().all(carried));
        let read: Value = serde_json::from_str(&signed).unwrap();
        prop_assert_eq!(read["message"].as_str(), Some(message.as_str()));
    }

    #[test]
    fn any_text_is_judged_and_none_is_ours(line: String) {
        prop_assert_ne!(ours().judge(&line), Authentic::True);
        prop_assert_eq!(ours().unseal(&line), None);
    }
}

/// A splunkd that keeps passwords, each name once.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Vec<String>>>);

impl Store {
    async fn start(&self) -> Splunkd {
        let store = self.clone();
        let served = Counterpart::start(move |asked| store.answer(asked));
        served.await.client("key")
    }

    fn answer(&self, asked: &Asked) -> (u16, Value) {
        let mut kept = self.0.lock().unwrap();
        if asked.method == "POST" {
            let form = &asked.body;
            assert!(form.contains("realm=defender_bridge") && form.contains("name=ledger_key"));
            if !kept.is_empty() {
                return (409, json!({"messages": [{"text": "already exists"}]}));
            }
            let password = form
                .split('&')
                .find_map(|part| part.strip_prefix("password="));
            kept.push(password.unwrap().to_owned());
            return (201, json!({"entry": []}));
        }
        match kept.first() {
            None => (404, json!({})),
            Some(secret) => {
                let content =
                    json!({"realm": "defender_bridge", "username": KEY, "clear_password": secret});
                (200, json!({"entry": [{"name": "x", "content": content}]}))
            }
        }
    }
}

#[tokio::test]
async fn two_who_make_the_key_at_once_sign_with_the_same_one() {
    let store = Store::default();
    let splunkd = store.start().await;
    assert!(matches!(known(&splunkd).await, Err(KeyError::None)));
    let (one, other) = tokio::join!(key(&splunkd), key(&splunkd));
    let (one, other) = (one.ok().unwrap(), other.ok().unwrap());
    assert_eq!(other.judge(&one.sign(ENTRY)), Authentic::True);
    let kept = store.0.lock().unwrap().clone();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].len() >= 43, "32 random bytes");
    let again = key(&splunkd).await.ok().unwrap();
    assert_eq!(again.judge(&one.sign(ENTRY)), Authentic::True);
}
