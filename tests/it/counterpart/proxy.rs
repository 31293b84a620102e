//! A web proxy that asks for a password, as companies put before the Internet.

use base64::Engine;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Takes CONNECT to any name and leads it to one place.
pub struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Proxy {
    /// Every name leads to `port` on loopback; `user` and `password` are asked for.
    pub fn start(port: u16, user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let want = format!(
            "basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
        );
        let (shared, stopping) = (asked.clone(), stop.clone());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(client), want, asked) = (client, want.clone(), shared.clone()) else {
                    continue;
                };
                std::thread::spawn(move || lead(client, port, &want, &asked));
            }
        });
        Self {
            address,
            asked,
            stop,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The request lines, and after each whether the password was right.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        TcpStream::connect(self.address).ok();
    }
}

fn lead(mut client: TcpStream, port: u16, want: &str, asked: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let line = head.lines().next().unwrap_or_default().to_owned();
    let known = head.lines().any(|line| {
        let Some((name, value)) = line.split_once(':') else {
            return false;
        };
        let value = value.trim();
        name.eq_ignore_ascii_case("proxy-authorization")
            && value.len() == want.len()
            && value[..5].eq_ignore_ascii_case("basic")
            && value[6..] == want[6..]
    });
    asked.lock().unwrap().push(format!(
        "{line} {}",
        if known { "known" } else { "unknown" }
    ));
    if !known {
        let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\
            Proxy-Authenticate: Basic realm=\"proxy\"\r\nContent-Length: 0\r\n\r\n";
        client.write_all(refusal.as_bytes()).ok();
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else {
        return;
    };
    client
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .ok();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let up = std::thread::spawn(move || {
        std::io::copy(&mut from, &mut to).ok();
        to.shutdown(std::net::Shutdown::Write).ok();
    });
    std::io::copy(&mut server, &mut client).ok();
    client.shutdown(std::net::Shutdown::Write).ok();
    up.join().ok();
}
