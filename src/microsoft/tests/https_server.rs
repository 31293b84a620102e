//! A small HTTPS server on loopback for the tests of this room. It speaks
//! HTTP/1.1 by hand, so that it can also do what a proper server never does:
//! end a body early, stay silent, hang up.

use crate::microsoft::account::cloud::{Cloud, Hosts};
use crate::microsoft::account::{Account, Auth};
use base64::Engine;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use url::Url;

/// A request that came in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or("")
    }

    /// A field of a form body.
    pub(crate) fn field(&self, name: &str) -> String {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn is_sign_in(&self) -> bool {
        self.target.contains("/oauth2/")
    }
}

/// The bytes sent back; the connection closes behind them where `last` is set.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    pub(crate) last: bool,
    /// It closes without the word TLS has for it.
    pub(crate) rude: bool,
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        bytes.push_str(&format!("{name}: {value}\r\n"));
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    Reply {
        bytes,
        last: false,
        rude: false,
    }
}

/// Closes the connection without a word.
pub(crate) fn hang_up() -> Reply {
    Reply {
        bytes: Vec::new(),
        last: true,
        rude: false,
    }
}

pub(crate) fn token(text: &str, life: u64) -> Reply {
    reply(
        200,
        &[],
        format!(
            r#"{{"token_type":"Bearer","expires_in":{life},"ext_expires_in":{life},"access_token":"{text}"}}"#
        ),
    )
}

type Answering = dyn Fn(&Asked, usize) -> Reply + Send + Sync;

pub(crate) struct Counterpart {
    pub(crate) url: Url,
    folder: TempDir,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl Counterpart {
    /// Starts it; `answer` gets each request and how many came before it on the
    /// same side (sign-in or API).
    pub(crate) async fn start(
        answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Counterpart {
        Counterpart::listen(true, Arc::new(answer)).await
    }

    /// Signs in with one token for an hour; `answer` is for the API alone.
    pub(crate) async fn api(
        answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Counterpart {
        Counterpart::start(move |asked, nth| match asked.is_sign_in() {
            true => token(&format!("token-{nth}"), 3600),
            false => answer(asked, nth),
        })
        .await
    }

    /// Without TLS, as a machine's metadata service is.
    pub(crate) async fn plain(
        answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> Counterpart {
        Counterpart::listen(false, Arc::new(answer)).await
    }

    async fn listen(tls: bool, answer: Arc<Answering>) -> Counterpart {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (folder, config) = certified();
        let acceptor = tls.then(|| TlsAcceptor::from(Arc::new(config)));
        let log = Arc::new(Mutex::new(Vec::new()));
        let counterpart = Counterpart {
            url: Url::parse(&format!(
                "{}://127.0.0.1:{port}",
                if tls { "https" } else { "http" }
            ))
            .unwrap(),
            folder,
            log: Arc::clone(&log),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(stream, &*answer, &log).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                serve(stream, &*answer, &log).await;
                            }
                        }
                    }
                });
            }
        });
        counterpart
    }

    /// A proper server that speaks HTTP/2 alone, as Microsoft's prefer to.
    pub(crate) async fn http2(router: axum::Router) -> Counterpart {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (folder, mut config) = certified();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stream = acceptor.accept(stream).await.unwrap();
                let service = hyper_util::service::TowerToHyperService::new(router.clone());
                let executor = hyper_util::rt::TokioExecutor::new();
                tokio::spawn(async move {
                    hyper_util::server::conn::auto::Builder::new(executor)
                        .serve_connection(hyper_util::rt::TokioIo::new(stream), service)
                        .await
                });
            }
        });
        Counterpart {
            url: Url::parse(&format!("https://127.0.0.1:{port}")).unwrap(),
            folder,
            log: Arc::default(),
        }
    }

    /// An account that reaches this server, with path prefixes on every URL.
    pub(crate) fn account(&self, auth: Auth) -> Account {
        let at = |path: &str| self.url.join(path).unwrap();
        Account {
            name: "lab".to_string(),
            tenant_id: "contoso.example".to_string(),
            client_id: "app-1".to_string(),
            auth,
            cloud: Cloud::Custom(Box::new(Hosts {
                login: Some(at("/login")),
                graph: Some(at("/graph/")),
                mde: Some(at("/mde")),
                xdr: Some(at("/")),
            })),
            ca_file: Some(self.folder.path().join("ca.pem")),
            proxy: None,
            read_only: false,
        }
    }

    pub(crate) fn secret(&self) -> Account {
        self.account(Auth::Secret("s3cr3t-Value".into()))
    }

    /// Everything asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn sign_ins(&self) -> Vec<Asked> {
        self.asked().into_iter().filter(Asked::is_sign_in).collect()
    }

    pub(crate) fn calls(&self) -> Vec<Asked> {
        let asked = self.asked().into_iter();
        asked.filter(|asked| !asked.is_sign_in()).collect()
    }
}

/// A cloud of nobody's, for what needs no more of it.
pub(crate) fn custom_cloud() -> Cloud {
    let url = Url::parse("https://127.0.0.1:1").unwrap();
    Cloud::Custom(Box::new(Hosts {
        login: Some(url.clone()),
        graph: Some(url),
        mde: None,
        xdr: None,
    }))
}

/// A certificate for loopback: its issuer in `ca.pem`, and a server that has it.
pub(crate) fn certified() -> (TempDir, ServerConfig) {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec!["127.0.0.1".to_string(), "localhost".to_string()];
    let certificate = rcgen::CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
    let secret = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    (folder, config)
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &Answering,
    log: &Mutex<Vec<Asked>>,
) {
    while let Some(asked) = read(&mut stream).await {
        let nth = {
            let mut log = log.lock().unwrap();
            log.push(asked.clone());
            let side = asked.is_sign_in();
            log.iter()
                .filter(|asked| asked.is_sign_in() == side)
                .count()
                - 1
        };
        let reply = answer(&asked, nth);
        let sent = stream.write_all(&reply.bytes).await;
        if reply.rude {
            stream.flush().await.ok();
            return;
        }
        if sent.is_err() || reply.last {
            break;
        }
        stream.flush().await.ok();
    }
    stream.shutdown().await.ok();
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let mut asked = Asked {
        method: first.next()?.to_string(),
        target: first.next()?.to_string(),
        ..Asked::default()
    };
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        asked.headers.insert(name.to_lowercase(), value.to_string());
    }
    let length = asked.header("content-length").parse().unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

/// A proxy that knows CONNECT alone and, where it has a user, asks for the
/// password. Counts the tunnels it opened.
pub(crate) struct Tunnels {
    pub(crate) url: Url,
    pub(crate) opened: Arc<Mutex<Vec<String>>>,
}

impl Tunnels {
    pub(crate) async fn start(user: Option<(&str, &str)>) -> Tunnels {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let opened = Arc::new(Mutex::new(Vec::new()));
        let tunnels = Tunnels {
            url: Url::parse(&format!("http://127.0.0.1:{port}")).unwrap(),
            opened: Arc::clone(&opened),
        };
        let wanted = user.map(|(name, password)| {
            let pair = format!("{name}:{password}");
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            format!("Basic {pair}")
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (wanted, opened) = (wanted.clone(), Arc::clone(&opened));
                tokio::spawn(async move {
                    let asked = read(&mut stream).await?;
                    assert_eq!(asked.method, "CONNECT");
                    if wanted.is_some_and(|wanted| asked.header("proxy-authorization") != wanted) {
                        let refusal = reply(407, &[("proxy-authenticate", "Basic")], "");
                        stream.write_all(&refusal.bytes).await.ok()?;
                        return None;
                    }
                    let mut there = TcpStream::connect(&asked.target).await.ok()?;
                    opened.lock().unwrap().push(asked.target);
                    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
                    tokio::io::copy_bidirectional(&mut stream, &mut there)
                        .await
                        .ok()
                });
            }
        });
        tunnels
    }
}
