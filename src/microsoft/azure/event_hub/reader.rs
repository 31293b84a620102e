//! Reads one partition.

use super::connection::{Connection, Link};
use super::credit::Credit;
use super::error::{Error, Fault, Phase};
use super::{Hub, body, position};
use crate::ingest::Quarantined;
use crate::ingest::stream::{LogErrorClass, Message, Numbers, PartitionReader, Position};
use crate::microsoft::azure::records;
use crate::microsoft::http::error::line;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::primitives::Value;
use futures::FutureExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// So many messages that are none wait for one that has a position.
const MOST_UNREADABLE: usize = 100;

/// Times the tasks that read the socket get their turn, and bring nothing, before a batch is
/// called complete.
const TURNS: usize = 2;
/// A batch with so many bytes is complete: handing it over costs little beside it.
const ENOUGH: usize = 256 << 10;

/// Reads one partition; dropped, it detaches.
pub struct Reader {
    hub: Arc<Hub>,
    connection: Arc<Connection>,
    partition: String,
    /// There until it is dropped.
    link: Option<Link>,
    credit: Credit,
    /// Read, and too large for the batch before.
    stashed: Option<Message>,
    /// Came while there were messages to hand over.
    ended: Option<Error>,
    /// Epoch and sequence number of the message read last.
    behind: Numbers,
    /// Why messages were none, whose position is not known: they leave with the next one.
    unreadable: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        hub: Arc<Hub>,
        connection: Arc<Connection>,
        partition: &str,
        link: Link,
        behind: Position,
    ) -> Self {
        Self {
            hub,
            connection,
            partition: partition.to_owned(),
            link: Some(link),
            credit: Credit::new(),
            stashed: None,
            ended: None,
            behind: behind.numbers(),
            unreadable: Vec::new(),
        }
    }

    /// Lets the hub send as many messages as so many bytes hold. Never fewer than it was
    /// let before: they may be under way.
    async fn allow(&mut self, bytes: usize) -> Result<(), Fault> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        let wanted = self.credit.within(bytes);
        if link.receiver.credit() <= wanted / 2 {
            let allowed = link.receiver.set_credit(wanted).await;
            allowed.map_err(Fault::from)?;
        }
        Ok(())
    }

    /// What came, as a message; None where it is none.
    fn read(
        &mut self,
        delivery: fe2o3_amqp::types::messaging::Message<Body<Value>>,
    ) -> Result<Option<(Message, usize)>, Error> {
        let marks = position::marks(delivery.message_annotations.as_ref());
        if marks.position.is_nowhere() {
            return Err(Error::new(
                LogErrorClass::Stop,
                format!(
                    "{}: its messages have neither offset nor sequence number",
                    self.place()
                ),
                "check that event_hub_namespace leads to Azure Event Hubs",
            ));
        }
        self.behind = marks.position.numbers();
        self.connection.proven.store(true, Ordering::Relaxed);
        let content = body::content(delivery.body);
        let bytes = content.bytes.len();
        self.credit.saw(bytes);
        let enqueued = marks
            .enqueued
            .unwrap_or_else(|| jiff::Timestamp::now().into());
        let tables = &self.hub.tables;
        let mut message = records::message(content.bytes, tables, enqueued, marks.position);
        for other in content.others {
            let from = message.body.len();
            message.body += &other;
            message.quarantined.push(Quarantined {
                span: from..message.body.len(),
                why: "a value of AMQP that is neither text nor bytes".to_owned(),
            });
        }
        let place = self.numbered(message.position.sequence);
        for element in &mut message.quarantined {
            element.why = format!("{place}: {}", element.why);
        }
        for why in self.unreadable.drain(..) {
            let why = format!("before {place}: {why}");
            message.quarantined.push(Quarantined { span: 0..0, why });
        }
        Ok(Some((message, bytes)))
    }

    /// What came and is no message, in its place; none where nobody knows which that is.
    fn unreadable(&mut self, why: &str) -> Option<Message> {
        let why = format!("no message of AMQP ({why}), its bytes are not kept");
        let (epoch, Some(before)) = self.behind else {
            tracing::warn!("{}: {why}", self.place());
            if self.unreadable.len() < MOST_UNREADABLE {
                self.unreadable.push(why);
            }
            return None;
        };
        // Numbers of a partition follow each other.
        let position = Position {
            offset: None,
            sequence: Some(before.saturating_add(1)),
            epoch,
        };
        self.behind = position.numbers();
        let why = format!("{}: {why}", self.numbered(position.sequence));
        Some(Message {
            position,
            quarantined: vec![Quarantined { span: 0..0, why }],
            ..Message::default()
        })
    }

    fn numbered(&self, sequence: Option<i64>) -> String {
        let number = sequence.map_or("?".to_owned(), |sequence| sequence.to_string());
        format!("partition {}, sequence number {number}", self.partition)
    }

    fn place(&self) -> String {
        self.hub.place(&self.partition)
    }

    async fn accept(&self, deliveries: Vec<DeliveryInfo>) {
        if let Some(link) = self.link.as_ref().filter(|_| !deliveries.is_empty()) {
            // Where it fails the link is gone, which the next read says.
            link.receiver.accept_all(deliveries).await.ok();
        }
    }

    /// Why the link is gone.
    fn fault(&self, fault: Fault) -> Error {
        self.hub
            .fault(&self.connection, &self.place(), fault, Phase::Reading)
    }
}

impl PartitionReader for Reader {
    type Error = Error;

    async fn next(&mut self, most_bytes: usize) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        let (mut bytes, mut turns) = (0, 0);
        let mut deliveries = Vec::new();
        if let Some(stashed) = self.stashed.take() {
            bytes = stashed.body.len();
            messages.push(stashed);
        }
        if let Some(ended) = self.ended.take() {
            match messages.is_empty() {
                true => return Err(ended),
                false => self.ended = Some(ended),
            }
            return Ok(messages);
        }
        let allowed = self.allow(most_bytes).await;
        let mut ended = allowed.map_err(|fault| self.fault(fault)).err();
        while ended.is_none() && bytes < most_bytes.min(ENOUGH) {
            let Some(link) = &mut self.link else {
                break;
            };
            let received = link.receiver.recv::<Body<Value>>();
            let received = match messages.is_empty() {
                true => received.await,
                false => match received.now_or_never() {
                    Some(received) => received,
                    None if turns < TURNS => {
                        turns += 1;
                        tokio::task::yield_now().await;
                        continue;
                    }
                    None => break,
                },
            };
            turns = 0;
            match received {
                Ok(delivery) => {
                    let (info, delivery) = delivery.into_parts();
                    deliveries.push(info);
                    match self.read(delivery) {
                        Ok(Some((message, size))) if bytes + size > most_bytes && bytes > 0 => {
                            self.stashed = Some(message);
                            break;
                        }
                        Ok(Some((message, size))) => {
                            bytes += size;
                            messages.push(message);
                        }
                        Ok(None) => {}
                        Err(error) => ended = Some(error),
                    }
                }
                // The link goes on behind it.
                Err(RecvError::MessageDecode(error)) => {
                    messages.extend(self.unreadable(&line(&error.source.to_string())));
                    deliveries.push(error.info);
                }
                Err(error) => ended = Some(self.fault(error.into())),
            }
        }
        self.accept(deliveries).await;
        match (ended, messages.is_empty()) {
            (Some(error), true) => Err(error),
            (ended, _) => {
                self.ended = ended;
                Ok(messages)
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let here = tokio::runtime::Handle::try_current();
        if let (Some(link), Ok(here)) = (self.link.take(), here) {
            here.spawn(link.close());
        }
    }
}
