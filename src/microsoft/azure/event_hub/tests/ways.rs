//! Ways to a hub: TLS, WebSockets, proxies, and none.

use super::hub::{TestHub, client};
use crate::ingest::stream::{LogError, LogErrorClass, PartitionedLog};
use crate::microsoft::account::Proxy;
use crate::microsoft::azure::event_hub::{EventHub, Settings, Transport};
use crate::microsoft::azure::records::Tables;
use crate::microsoft::tests::https_server::{Tunnels, hang_up};
use tokio::net::TcpListener;
use url::Url;

fn through(hub: &TestHub, url: &Url, password: &str, no_proxy: &str) -> EventHub {
    let mut account = hub.account();
    account.proxy = Some(Proxy {
        url: url.clone(),
        username: Some("splunk".to_owned()),
        password: Some(password.into()),
        no_proxy: no_proxy.to_owned(),
    });
    client(&account, hub.settings())
}

#[tokio::test]
async fn websockets_are_asked_for_as_microsofts_javascript_client_does() {
    let hub = TestHub::start(&[3]).await;
    let settings = Settings {
        transport: Transport::WebSocket,
        ..hub.settings()
    };
    let client = client(&hub.account(), settings);
    assert_eq!(client.partitions().await.unwrap().len(), 1);
    let expected = ("/$servicebus/websocket".to_owned(), "AMQPWSB10".to_owned());
    assert_eq!(hub.seen(|state| state.sockets.clone()), [expected]);
}

#[tokio::test]
async fn a_proxy_is_gone_through_with_its_password_and_around_where_it_says_so() {
    let hub = TestHub::start(&[0]).await;
    let proxy = Tunnels::start(Some(("splunk", "pa:ss"))).await;
    let opened = || proxy.opened.lock().unwrap().len();
    through(&hub, &proxy.url, "pa:ss", "")
        .partitions()
        .await
        .unwrap();
    assert_eq!(opened(), 1);
    through(&hub, &proxy.url, "pa:ss", "localhost")
        .partitions()
        .await
        .unwrap();
    assert_eq!(opened(), 1);
    let error = through(&hub, &proxy.url, "wrong", "")
        .partitions()
        .await
        .unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Stop);
    let said = error.to_string();
    assert!(said.contains("407") && said.contains("password"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
}

#[tokio::test]
async fn a_proxy_that_allows_no_such_port_is_told_by_its_status() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let hub = TestHub::start(&[0]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        for answer in [
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            "HTTP/1.1 503 Busy\r\n\r\n",
            "SSH-2.0-x\r\n\r\n",
        ] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let client = through(&hub, &url, "x", "");
    for (class, word) in [
        (LogErrorClass::Stop, "403 to CONNECT"),
        (LogErrorClass::Passing, "503 to CONNECT"),
        (LogErrorClass::Passing, "no HTTP proxy"),
    ] {
        let error = client.partitions().await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_issuer_is_never_taken() {
    let hub = TestHub::start(&[0]).await;
    let mut account = hub.account();
    account.ca_file = None;
    let error = client(&account, hub.settings())
        .partitions()
        .await
        .unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Stop);
    assert!(error.to_string().contains("ca_file"), "{error}");
    assert_eq!(hub.seen(|state| state.connections), 0);
}

#[tokio::test]
async fn a_port_that_is_closed_says_that_websockets_may_lead_out() {
    let hub = TestHub::start(&[0]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let settings = Settings {
        port: Some(port),
        ..hub.settings()
    };
    let error = client(&hub.account(), settings)
        .partitions()
        .await
        .unwrap_err();
    assert_eq!(error.class(), LogErrorClass::Passing);
    let said = error.to_string();
    assert!(
        said.contains("5671") && said.contains("transport = websocket"),
        "{said}"
    );
}

#[tokio::test]
async fn what_is_no_hub_is_told_apart_from_a_hub() {
    let server = crate::microsoft::tests::https_server::Counterpart::start(|_, _| hang_up()).await;
    let hub = TestHub::start(&[0]).await;
    let account = server.secret();
    let port = server.url.port();
    for transport in [Transport::Amqp, Transport::WebSocket] {
        let settings = Settings {
            host: "localhost".to_owned(),
            port,
            transport,
            ..hub.settings()
        };
        let error = client(&account, settings).partitions().await.unwrap_err();
        assert!(
            matches!(
                error.class(),
                LogErrorClass::Passing | LogErrorClass::Reconnect
            ),
            "{error}"
        );
        assert!(error.to_string().contains("localhost"), "{error}");
    }
}

#[tokio::test]
async fn microsofts_emulator_is_spoken_with_on_this_machine_alone() {
    let hub = TestHub::start(&[0]).await;
    let mut settings = Settings {
        emulator: true,
        ..hub.settings()
    };
    settings.host = "emulator.example".to_owned();
    let access = Some(super::hub::shared_access());
    let refused = EventHub::new(&hub.account(), access, settings, Tables::default());
    let error = refused.err().unwrap();
    assert!(
        error.to_string().contains("UseDevelopmentEmulator"),
        "{error}"
    );
}
