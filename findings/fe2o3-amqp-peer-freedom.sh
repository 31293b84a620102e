#!/usr/bin/env bash
# Crates fe2o3-amqp 0.18.4, fe2o3-amqp-types 0.18.0, serde_amqp 0.18.0: what AMQP 1.0 allows a peer and the client takes otherwise.
# Seen 2026-11-30 (a peer written byte by byte on loopback, plain TCP):
# 1. An array of no elements (e0 02 00 a3), or of elements without width (e0 02 03 41: three times true), cannot be read where
#    something follows, such as in a list or among annotations (1.6.24 allows both): a message with one cannot be received.
# 2. Where a frame has an extended header (doff 3) the connection cannot be opened; with doff 2 it is (2.3.1: the header is skipped;
#    2.3.2: AMQP frames ignore it). Cause: src/frames/amqp.rs answers NotImplemented to any doff but 2.
# 3. A sender may tell its delivery-count in a flow (2.6.7). The client takes it at once, then counts the deliveries that wait in
#    its own queue once more: credit 2, 2 transfers, a flow with delivery-count 2, both received, credit 2 again: the flow on the
#    wire says delivery-count 4 instead of 2. A peer that believes it sends too much, and the client ends the link with "The peer
#    sent more message transfers than currently allowed on the link".
# Needs cargo; builds in a temporary folder. Fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT; cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "look"
version = "0.1.0"
edition = "2021"
[dependencies]
fe2o3-amqp = "=0.18.4"
fe2o3-amqp-types = "=0.18.0"
serde_amqp = "=0.18.0"
tokio = { version = "1", features = ["rt", "macros", "net", "io-util", "time"] }
TOML
cat > src/main.rs <<'RS'
use fe2o3_amqp::link::CreditMode;
use fe2o3_amqp::{Connection, Receiver, Session};
use fe2o3_amqp_types::messaging::Body;
use serde_amqp::Value;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn frame(doff: u8, code: u8, fields: &[&[u8]], payload: &[u8]) -> Vec<u8> {
    let list = fields.concat();
    let mut body = vec![0; usize::from(doff - 2) * 4];
    body.extend([0, 0x53, code, 0xc0, list.len() as u8 + 1, fields.len() as u8]);
    body.extend(list);
    body.extend(payload);
    let mut frame = ((body.len() + 8) as u32).to_be_bytes().to_vec();
    frame.extend([doff, 0, 0, 0]);
    frame.extend(body);
    frame
}

async fn read(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    loop {
        let size = stream.read_u32().await.unwrap() as usize;
        let mut rest = vec![0; size - 4];
        stream.read_exact(&mut rest).await.unwrap();
        if rest.len() > 6 {
            return (rest[6], rest[7..].to_vec());
        }
    }
}

/// Field 5 of a flow's list8 of small numbers and booleans.
fn delivery_count(list: &[u8]) -> Value {
    let list: Vec<Value> = match serde_amqp::from_slice::<Value>(list).unwrap() {
        Value::List(list) => list,
        other => panic!("{other:?}"),
    };
    list[5].clone()
}

async fn peer(mut stream: TcpStream, doff: u8) -> Option<Value> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await.unwrap();
    stream.write_all(b"AMQP\0\x01\0\0").await.unwrap();
    read(&mut stream).await;
    stream.write_all(&frame(doff, 0x10, &[b"\xa1\x01p"], &[])).await.unwrap();
    if doff > 2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        return None;
    }
    assert_eq!(read(&mut stream).await.0, 0x11);
    // remote-channel 0, next-outgoing-id 0, windows 100.
    stream.write_all(&frame(2, 0x11, &[b"\x60\0\0", b"\x43", b"\x52\x64", b"\x52\x64"], &[])).await.unwrap();
    let (code, attach) = read(&mut stream).await;
    assert_eq!(code, 0x12);
    let name = match serde_amqp::from_slice::<Value>(&attach).unwrap() {
        Value::List(list) => match &list[0] { Value::String(name) => name.clone(), _ => panic!() },
        _ => panic!(),
    };
    let name = [&[0xa1, name.len() as u8], name.as_bytes()].concat();
    let source = b"\0\x53\x28\xc0\x04\x01\xa1\x01s";
    let target = b"\0\x53\x29\xc0\x04\x01\xa1\x01t";
    stream.write_all(&frame(2, 0x12, &[&name, b"\x43", b"\x42", b"\x50\x02", b"\x50\0", source, target, b"\x40", b"\x40", b"\x43"], &[])).await.unwrap();
    assert_eq!(read(&mut stream).await.0, 0x13);
    for id in 0..2_u8 {
        let transfer = frame(2, 0x14, &[b"\x43", &[0x52, id], b"\xa0\x01x", b"\x43", b"\x41"], b"\0\x53\x75\xa0\x01y");
        stream.write_all(&transfer).await.unwrap();
    }
    // next-incoming-id 0, window 100, next-outgoing-id 2, window 100, handle 0, delivery-count 2, link-credit 0.
    stream.write_all(&frame(2, 0x13, &[b"\x43", b"\x52\x64", b"\x52\x02", b"\x52\x64", b"\x43", b"\x52\x02", b"\x43"], &[])).await.unwrap();
    loop {
        let (code, flow) = read(&mut stream).await;
        if code == 0x13 {
            return Some(delivery_count(&flow));
        }
    }
}

async fn open(doff: u8) -> (Result<fe2o3_amqp::connection::ConnectionHandle<()>, String>, tokio::task::JoinHandle<Option<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peer = tokio::spawn(async move { peer(listener.accept().await.unwrap().0, doff).await });
    let stream = TcpStream::connect(address).await.unwrap();
    let opened = Connection::builder().container_id("c").open_with_stream(stream).await;
    (opened.map_err(|error| error.to_string()), peer)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut same = true;
    for (what, bytes) in [("no elements", &[0xe0, 2, 0, 0xa3][..]), ("three times true", &[0xe0, 2, 3, 0x41])] {
        // A list of the array and a true.
        let list = [&[0xc0, bytes.len() as u8 + 2, 2], bytes, &[0x41]].concat();
        let read = serde_amqp::from_slice::<Value>(&list);
        println!("array of {what}, in a list with true: {read:?}");
        same &= read.is_err();
    }
    let (opened, _) = open(3).await;
    let told = opened.err().unwrap_or_default();
    println!("open with doff 3: {told:?}");
    same &= !told.is_empty();
    let (opened, peer) = open(2).await;
    let mut connection = opened.unwrap();
    let mut session = Session::begin(&mut connection).await.unwrap();
    let mut receiver = Receiver::builder().name("r").source("s").credit_mode(CreditMode::Manual).attach(&mut session).await.unwrap();
    receiver.set_credit(2).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..2 {
        receiver.recv::<Body<Value>>().await.unwrap();
    }
    receiver.set_credit(2).await.unwrap();
    let count = peer.await.unwrap();
    println!("2 deliveries, and the flow says delivery-count {count:?}");
    same &= matches!(count, Some(Value::Uint(4)));
    println!("{}", if same { "as described" } else { "CHANGED" });
    std::process::exit(i32::from(!same));
}
RS
CARGO_TARGET_DIR="$folder/target" cargo run --quiet
