//! Tokens: given, renewed, refused.

use super::hub::{End, TestHub, client_with};
use crate::ingest::stream::{
    LogError, LogErrorClass, Partition, PartitionReader, PartitionedLog, ReadFrom, Start,
};
use crate::microsoft::account::{Account, Auth};
use crate::microsoft::azure::event_hub::EventHub;
use crate::microsoft::tests::https_server::{Counterpart, reply, token};

const EARLIEST: ReadFrom = ReadFrom::Start(Start::Earliest);

fn partition() -> Partition {
    Partition {
        id: "0".to_owned(),
        created: None,
    }
}

/// Signs in at `login`, and trusts both it and the hub.
fn signed_in(hub: &TestHub, login: &Counterpart) -> EventHub {
    let account = login.account(Auth::Secret("s3cr3t-Value".into()));
    let pem =
        |account: &Account| std::fs::read_to_string(account.ca_file.as_ref().unwrap()).unwrap();
    let both = pem(&account) + &pem(&hub.account());
    std::fs::write(account.ca_file.as_ref().unwrap(), both).unwrap();
    client_with(&account, None, hub.settings())
}

#[tokio::test]
async fn a_shared_access_signature_is_for_the_hub_and_never_holds_the_key() {
    let hub = TestHub::start(&[0]).await;
    hub.client().partitions().await.unwrap();
    let got = hub.seen(|state| state.got.clone());
    let [(kind, name, text)] = got.as_slice() else {
        panic!("{got:?}");
    };
    let port = hub.address.port();
    assert_eq!(kind, "servicebus.windows.net:sastoken");
    assert_eq!(name, &format!("sb://localhost:{port}/insights"));
    let place = format!("SharedAccessSignature sr=sb%3A%2F%2Flocalhost%3A{port}%2Finsights&sig=");
    assert!(
        text.starts_with(&place) && text.ends_with("&skn=listen"),
        "{text}"
    );
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[tokio::test]
async fn a_token_of_the_accounts_sign_in_is_asked_for_in_the_hubs_name() {
    let login = Counterpart::start(|_, nth| token(&format!("token-{nth}"), 3600)).await;
    let hub = TestHub::start(&[0]).await;
    signed_in(&hub, &login).partitions().await.unwrap();
    let scope = login.sign_ins()[0].field("scope");
    assert_eq!(scope, "https://eventhubs.azure.net/.default");
    let got = hub.seen(|state| state.got[0].clone());
    assert_eq!((got.0.as_str(), got.2.as_str()), ("jwt", "token-0"));
}

#[tokio::test]
async fn a_token_is_renewed_while_its_connection_lives() {
    let login = Counterpart::start(|_, nth| token(&format!("token-{nth}"), 1)).await;
    let hub = TestHub::start(&[0]).await;
    let client = signed_in(&hub, &login);
    let reader = client.open(&partition(), &EARLIEST).await.unwrap();
    hub.until(|state| state.got.len() >= 3).await;
    let texts: Vec<String> = hub.seen(|state| state.got.iter().map(|got| got.2.clone()).collect());
    assert_eq!(texts[..3], ["token-0", "token-1", "token-2"]);
    assert_eq!(hub.seen(|state| state.connections), 1);
    drop(reader);
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_changed_for_another_once() {
    let login = Counterpart::start(|_, nth| token(&format!("token-{nth}"), 3600)).await;
    let hub = TestHub::start(&[0]).await;
    hub.seen(|state| state.tokens.push_back((401, "ExpiredToken: it has ended")));
    let client = signed_in(&hub, &login);
    client.partitions().await.unwrap();
    assert_eq!(hub.seen(|state| state.got[1].2.clone()), "token-1");
    let client = signed_in(&hub, &login);
    hub.seen(|state| {
        state
            .tokens
            .extend([(401, "ExpiredToken: it has ended"); 2])
    });
    let error = client.partitions().await.unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Stop);
    assert!(error.to_string().contains("clock"), "{error}");
}

#[tokio::test]
async fn a_link_refused_again_with_a_new_token_is_refused_for_good() {
    let login = Counterpart::start(|_, nth| token(&format!("token-{nth}"), 3600)).await;
    let hub = TestHub::start(&[0]).await;
    let end = End::Link("amqp:unauthorized-access");
    hub.seen(|state| state.ends.extend([(0, end.clone()), (0, end)]));
    let client = signed_in(&hub, &login);
    let mut classes = Vec::new();
    for _ in 0..2 {
        let mut reader = client.open(&partition(), &EARLIEST).await.unwrap();
        let error = reader.next(1).await.unwrap_err();
        assert!(error.to_string().contains("Data Receiver"), "{error}");
        classes.push(error.class());
    }
    assert_eq!(classes, [LogErrorClass::Reconnect, LogErrorClass::Stop]);
    let texts: Vec<String> = hub.seen(|state| state.got.iter().map(|got| got.2.clone()).collect());
    assert_eq!(texts, ["token-0", "token-1"]);
}

#[tokio::test]
async fn a_sign_in_that_is_refused_stops_with_its_own_advice() {
    let login = Counterpart::start(|_, _| {
        let body = r#"{"error":"invalid_client","error_description":"AADSTS7000222: The secret has expired.","error_codes":[7000222]}"#;
        reply(401, &[], body)
    })
    .await;
    let hub = TestHub::start(&[0]).await;
    let error = signed_in(&hub, &login).partitions().await.unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Stop);
    assert!(error.to_string().contains("create a new one"), "{error}");
    assert_eq!(hub.seen(|state| state.got.len()), 0);
}

#[tokio::test]
async fn a_hub_that_does_not_exist_is_told_by_the_reply() {
    let hub = TestHub::start(&[0]).await;
    hub.seen(|state| {
        state
            .tokens
            .push_back((404, "The messaging entity could not be found."))
    });
    let error = hub.client().partitions().await.unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Stop);
    assert!(
        error.to_string().contains("check event_hub_namespace"),
        "{error}"
    );
}
