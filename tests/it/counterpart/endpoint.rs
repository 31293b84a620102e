//! A persistent REST endpoint as splunkd drives it: the executable started once,
//! packets on its stdin, answers on its stdout. Written from the protocol as
//! Splunk's persistconn speaks it.

use super::https::Asked;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

pub const INIT: u8 = 0x01;
pub const BLOCK: u8 = 0x02;
pub const END: u8 = 0x04;

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(100);

/// One process.
pub struct Driver {
    child: Child,
    stdin: Option<ChildStdin>,
    said: mpsc::Receiver<u8>,
    errors: Option<JoinHandle<String>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Driver {
    pub fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (hand_over, said) = mpsc::channel();
        std::thread::spawn(move || {
            let bytes = stdout.bytes().map_while(Result::ok);
            bytes.for_each(|byte| hand_over.send(byte).unwrap_or_default());
        });
        let mut stderr = child.stderr.take().unwrap();
        let errors = std::thread::spawn(move || {
            let mut errors = String::new();
            stderr.read_to_string(&mut errors).ok();
            errors
        });
        Self {
            stdin: child.stdin.take(),
            said,
            child,
            errors: Some(errors),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    fn byte(&self) -> u8 {
        let byte = self.said.recv_timeout(PATIENCE);
        byte.expect("an answer")
    }

    fn line(&self) -> String {
        let bytes = std::iter::from_fn(|| Some(self.byte()).filter(|byte| *byte != b'\n'));
        String::from_utf8(bytes.collect()).unwrap()
    }

    /// The answer to INIT.
    pub fn begun(&mut self) {
        assert_eq!(self.line(), "0", "the answer to INIT");
    }

    /// The answer to BLOCK.
    pub fn answer(&mut self) -> Value {
        let size: usize = self.line().parse().unwrap();
        let json: Vec<u8> = (0..size).map(|_| self.byte()).collect();
        serde_json::from_slice(&json).unwrap()
    }

    /// One whole conversation, as splunkd mostly has them.
    pub fn ask(&mut self, request: &Value) -> Value {
        self.send(&whole(request));
        self.begun();
        self.answer()
    }

    /// Ends stdin; how the process ended, what else it said, and its stderr.
    pub fn end(mut self) -> (Option<i32>, Vec<u8>, String) {
        self.stdin = None;
        self.ended()
    }

    /// The same of one that ends by itself, its stdin open.
    pub fn ended(mut self) -> (Option<i32>, Vec<u8>, String) {
        let rest = std::iter::from_fn(|| match self.said.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the process did not end"),
            byte => byte.ok(),
        });
        let rest = rest.collect();
        let errors = self.errors.take().unwrap().join().unwrap();
        (self.child.wait().unwrap().code(), rest, errors)
    }
}

pub fn string(bytes: &[u8]) -> Vec<u8> {
    [format!("{}\n", bytes.len()).as_bytes(), bytes].concat()
}

/// What follows the opcode of an INIT.
pub fn command() -> Vec<u8> {
    let path = "/opt/splunk/etc/apps/defender_bridge/bin/defender_bridge";
    [b"1\n".to_vec(), string(path.as_bytes()), string(b"")].concat()
}

pub fn whole(request: &Value) -> Vec<u8> {
    let request = string(request.to_string().as_bytes());
    [vec![INIT | BLOCK | END], command(), request].concat()
}

/// What splunkd hands over of a request.
pub fn request(
    uri: &str,
    method: &str,
    path: &str,
    body: &[u8],
    user: [&str; 2],
    system: &str,
) -> Value {
    let [user, key] = user;
    let below = path
        .trim_start_matches("/defender_bridge")
        .trim_matches('/');
    let mut request = json!({
        "output_mode": "json", "output_mode_explicit": true,
        "server": {"rest_uri": uri, "hostname": "sh1", "servername": "sh1", "guid": "G-1"},
        "restmap": {"name": "script:defender_bridge", "conf": {}},
        "path_info": below, "query": [["output_mode", "json"]],
        "connection": {"src_ip": "127.0.0.1", "ssl": true, "listening_port": 8089},
        "session": {"user": user, "authtoken": key}, "system_authtoken": system,
        "rest_path": path, "method": method, "ns": {"app": "search"},
    });
    if method != "GET" {
        request["payload_base64"] = STANDARD.encode(body).into();
    }
    request
}

/// The processes of one splunkd: a busy one is joined by another.
pub struct Served {
    start: Box<dyn Fn() -> Command + Send + Sync>,
    idle: Mutex<Vec<Driver>>,
    started: AtomicUsize,
}

impl Served {
    pub fn by(start: impl Fn() -> Command + Send + Sync + 'static) -> Self {
        Self {
            start: Box::new(start),
            idle: Mutex::default(),
            started: AtomicUsize::new(0),
        }
    }

    /// How many processes there have been.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Status and payload.
    pub fn answer(&self, uri: &str, asked: &Asked, user: [&str; 2], system: &str) -> (u16, Value) {
        let path = asked.path.strip_prefix("/services").unwrap();
        let request = request(uri, asked.method.as_str(), path, &asked.body, user, system);
        let idle = self.idle.lock().unwrap().pop();
        let mut driver = idle.unwrap_or_else(|| {
            self.started.fetch_add(1, Ordering::Relaxed);
            Driver::start((self.start)())
        });
        let mut reply = driver.ask(&request);
        match asked.path.ends_with("/self")
            && asked.body.windows(10).any(|part| part == b"\"end\":true")
        {
            // It ends by itself, having answered.
            true => drop(driver.ended()),
            false => self.idle.lock().unwrap().push(driver),
        }
        let status = reply["status"].as_u64().unwrap();
        (u16::try_from(status).unwrap(), reply["payload"].take())
    }
}
