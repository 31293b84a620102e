//! As much of splunkd as an input asks: one account, its secret, and nothing
//! else configured. Plain HTTP on loopback.

use anyhow::Result;
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

pub const ACCOUNT: &str = "contoso";
pub const SESSION_KEY: &str = "a session key";

/// Serves until this process ends.
pub fn start(account: Value, secret: &str) -> Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let uri = format!("http://{}", listener.local_addr()?);
    let known = Arc::new((account, secret.to_owned()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let known = known.clone();
            thread::spawn(move || converse(stream, &known.0, &known.1));
        }
    });
    Ok(uri)
}

fn converse(stream: TcpStream, account: &Value, secret: &str) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream).lines();
    while let Some(request) = lines.next().transpose()? {
        let target = request.split(' ').nth(1).unwrap_or_default();
        let mut admitted = false;
        for header in lines.by_ref() {
            let header = header?;
            if header.is_empty() {
                break;
            }
            admitted |= header.split_once(": ").is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("authorization")
                    && value == format!("Splunk {SESSION_KEY}")
            });
        }
        let (status, entries) = match admitted {
            true => answer(target, account, secret),
            false => ("401 Unauthorized", json!([])),
        };
        let body = json!({"entry": entries, "messages": []}).to_string();
        let length = body.len();
        write!(
            out,
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
    }
    Ok(())
}

fn answer(target: &str, account: &Value, secret: &str) -> (&'static str, Value) {
    const FOUND: &str = "200 OK";
    let target = target.replace("%3A", ":");
    let path = target.split('?').next().unwrap_or_default();
    let accounts = "/configs/conf-defender_bridge_account";
    let password = format!("/storage/passwords/defender_bridge:{ACCOUNT}:");
    let entry = |content: &Value| json!([{"name": ACCOUNT, "content": content}]);
    if path.ends_with("/configs/conf-defender_bridge_settings") {
        (FOUND, json!([]))
    } else if path.ends_with(accounts) || path.ends_with(&format!("{accounts}/{ACCOUNT}")) {
        (FOUND, entry(account))
    } else if path.ends_with(&password) {
        (FOUND, entry(&json!({"clear_password": secret})))
    } else {
        ("404 Not Found", json!([]))
    }
}
