//! Hands events over in the background, and saves what is known afterwards.
//!
//! The order is the whole promise: the batch is written, the sink flushes, and
//! only then the position is saved. A process killed at any instant therefore
//! loses nothing, and repeats at most the batch that was under way. One batch is
//! under way at a time, so a reader that is slow slows whoever reads for it.

use super::Sink;
use std::io;
use tokio::task::JoinHandle;

#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error(
        "events cannot be handed over ({0}); nothing is lost, the next run goes on from the last checkpoint"
    )]
    Sink(#[source] io::Error),
    #[error(
        "the checkpoint cannot be written ({0}); free or repair the disk it lies on. The run stops, since events read on would be read again"
    )]
    Store(#[source] io::Error),
    #[error("delivering stopped unexpectedly: {0}")]
    Died(String),
}

/// Where events go and where positions are kept: lent to the delivering thread.
type Ends<K, T> = (K, T);

/// Both given back, with how the batch fared.
type Delivered<K, T> = (Ends<K, T>, Result<(), DeliveryError>);

/// Delivers to one sink, batch after batch.
pub(in crate::ingest) struct Delivery<K, T> {
    ends: Option<Ends<K, T>>,
    under_way: Option<JoinHandle<Delivered<K, T>>>,
}

impl<K, T> Delivery<K, T>
where
    K: Sink + Send + 'static,
    T: Send + 'static,
{
    pub fn new(sink: K, store: T) -> Self {
        Self {
            ends: Some((sink, store)),
            under_way: None,
        }
    }

    /// Waits until the batch before is handed over and saved, then begins with
    /// this one: `write` puts its events into the sink, `save` keeps what is then
    /// known, after the flush.
    pub async fn deliver(
        &mut self,
        write: impl FnOnce(&mut K) -> io::Result<()> + Send + 'static,
        save: impl FnOnce(&mut T) -> io::Result<()> + Send + 'static,
    ) -> Result<(), DeliveryError> {
        self.settle().await?;
        let Some((mut sink, mut store)) = self.ends.take() else {
            return Err(DeliveryError::Died("its sink is gone".to_owned()));
        };
        self.under_way = Some(tokio::task::spawn_blocking(move || {
            let outcome = write(&mut sink)
                .and_then(|()| sink.flush())
                .map_err(DeliveryError::Sink)
                .and_then(|()| save(&mut store).map_err(DeliveryError::Store));
            ((sink, store), outcome)
        }));
        Ok(())
    }

    /// Waits until the batch under way is handed over and saved. May be dropped
    /// while it waits: the next call waits for the same batch.
    pub async fn settle(&mut self) -> Result<(), DeliveryError> {
        let Some(job) = self.under_way.as_mut() else {
            return Ok(());
        };
        let ended = job.await;
        self.under_way = None;
        match ended {
            Ok((ends, outcome)) => {
                self.ends = Some(ends);
                outcome
            }
            Err(died) => Err(DeliveryError::Died(died.to_string())),
        }
    }

    /// Sink and store, unless a batch is under way or the delivery died.
    pub fn into_ends(self) -> Option<(K, T)> {
        self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{Event, Instant, Kind};
    use std::sync::{Arc, Mutex};

    type Steps = Arc<Mutex<Vec<String>>>;

    struct Recorder {
        steps: Steps,
        fails_at: &'static str,
    }

    impl Recorder {
        fn step(&self, name: &str) -> io::Result<()> {
            self.steps.lock().unwrap().push(name.to_owned());
            match self.fails_at == name {
                true => Err(io::Error::other("full")),
                false => Ok(()),
            }
        }
    }

    impl Sink for Recorder {
        fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
            self.step(event.raw[0])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.step("flush")
        }
    }

    fn event(raw: &str) -> Event<'_> {
        Event {
            kind: Kind::Alert,
            time: Instant::EPOCH,
            raw: [raw, ""],
            why: None,
        }
    }

    async fn two_batches(fails_at: &'static str) -> (Vec<String>, Result<(), DeliveryError>) {
        let steps = Steps::default();
        let recorder = || Recorder {
            steps: steps.clone(),
            fails_at,
        };
        let mut delivery = Delivery::new(recorder(), recorder());
        let mut outcome = Ok(());
        for (name, save) in [("first", "save first"), ("second", "save second")] {
            if outcome.is_ok() {
                outcome = delivery
                    .deliver(
                        move |sink| sink.event(&event(name)),
                        move |store: &mut Recorder| store.step(save),
                    )
                    .await;
            }
        }
        let outcome = outcome.and(delivery.settle().await);
        assert!(delivery.into_ends().is_some());
        let steps = steps.lock().unwrap().clone();
        (steps, outcome)
    }

    #[tokio::test]
    async fn a_batch_is_written_flushed_and_saved_before_the_next_begins() {
        let (steps, outcome) = two_batches("").await;
        assert!(outcome.is_ok());
        assert_eq!(
            steps,
            [
                "first",
                "flush",
                "save first",
                "second",
                "flush",
                "save second"
            ]
        );
    }

    #[tokio::test]
    async fn what_was_not_flushed_is_not_saved_and_nothing_follows_a_failure() {
        for (fails_at, steps) in [
            ("first", &["first"][..]),
            ("flush", &["first", "flush"]),
            ("save first", &["first", "flush", "save first"]),
        ] {
            let (seen, outcome) = two_batches(fails_at).await;
            assert_eq!(seen, steps);
            let error = outcome.unwrap_err();
            assert_eq!(
                matches!(error, DeliveryError::Store(_)),
                fails_at == "save first",
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_delivery_that_died_takes_nothing_more() {
        let recorder = || Recorder {
            steps: Steps::default(),
            fails_at: "",
        };
        let mut delivery = Delivery::new(recorder(), recorder());
        delivery
            .deliver(|_| panic!("on purpose"), |_| Ok(()))
            .await
            .unwrap();
        for _ in 0..2 {
            let died = delivery.deliver(|_| Ok(()), |_| Ok(())).await.unwrap_err();
            assert!(matches!(died, DeliveryError::Died(_)), "{died}");
        }
        assert!(delivery.into_ends().is_none());
    }
}
