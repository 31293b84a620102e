//! The session with splunkd: a thread reads its questions, so that a cancelled search
//! is noticed while an answer is still being worked on.

use crate::host::stop::Stop;
use crate::splunk::search_command;
use crate::splunk::search_command::{
    Asked, ChunkedError, Execute, Invocation, Kind, Level, Message, Questions, TableError, Values,
};
use anyhow::anyhow;
use std::io::{self, BufRead, Write};
use tokio::sync::{mpsc, watch};

/// Bytes of rows after which an answer is written.
const ANSWER: usize = 8 << 20;

/// Why a command ends before its last answer.
#[derive(Debug)]
pub enum Ended {
    /// splunkd wants no more answers.
    Cancelled,
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<ChunkedError> for Ended {
    fn from(error: ChunkedError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TableError> for Ended {
    fn from(error: TableError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<io::Error> for Ended {
    /// A broken pipe means that splunkd has closed it.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Cancelled,
            _ => Self::Failed(anyhow!("the answer cannot be written: {error}")),
        }
    }
}

/// One command's session with splunkd.
pub struct Session<W> {
    asked: mpsc::Receiver<Result<Asked, ChunkedError>>,
    cancelled: watch::Receiver<bool>,
    cancel: watch::Sender<bool>,
    /// Whether the introduction has said what is wrong with the call.
    refused: bool,
    out: W,
}

impl<W: Write> Session<W> {
    /// Reads splunkd's questions from now on.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn begin(from: impl BufRead + Send + 'static, out: W) -> io::Result<Self> {
        let (hand_over, asked) = mpsc::channel(1);
        let (cancel, cancelled) = watch::channel(false);
        let canceller = cancel.clone();
        std::thread::Builder::new()
            .name("questions".to_owned())
            .spawn(move || listen(Questions::new(from), &hand_over, &canceller))?;
        Ok(Self {
            asked,
            cancelled,
            cancel,
            refused: false,
            out,
        })
    }

    /// A signal to stop cancels the session.
    pub fn cancel_on(&self, stop: &Stop) {
        let cancel = self.cancel.clone();
        let mut asked = stop.asked();
        tokio::spawn(async move {
            if asked.wait_for(|asked| *asked).await.is_ok() {
                cancel.send_replace(true);
            }
        });
    }

    /// Says whether splunkd still wants an answer.
    pub fn cancelled(&self) -> watch::Receiver<bool> {
        self.cancelled.clone()
    }

    /// The first question, which must ask what command this is.
    pub async fn first(&mut self) -> Result<Invocation, Ended> {
        match self.ask().await? {
            Asked::GetInfo(call) => Ok(*call),
            Asked::Execute(_) => {
                Err(anyhow!("splunkd asks for rows before it says for whom").into())
            }
        }
    }

    /// The next chunk; [`Ended::Cancelled`] if there is none.
    pub async fn next(&mut self) -> Result<Execute, Ended> {
        match self.ask().await? {
            Asked::Execute(execute) => Ok(execute),
            Asked::GetInfo(_) => Err(anyhow!("splunkd asks twice what command this is").into()),
        }
    }

    async fn ask(&mut self) -> Result<Asked, Ended> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            biased;
            asked = self.asked.recv() => asked.ok_or(Ended::Cancelled)?.map_err(Ended::from),
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Ended::Cancelled),
        }
    }

    /// Work that may be broken off at any moment, because it only reads.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Ended> {
        let mut cancelled = self.cancelled.clone();
        tokio::select! {
            biased;
            done = work => Ok(done),
            _ = cancelled.wait_for(|cancelled| *cancelled) => Err(Ended::Cancelled),
        }
    }

    pub fn introduce(&mut self, kind: Kind, refusal: Option<&anyhow::Error>) -> io::Result<()> {
        let refusal = refusal.map(|error| Message::new(Level::Error, format!("{error:#}")));
        search_command::introduce(&mut self.out, kind, refusal.as_slice())?;
        self.refused = refusal.is_some();
        Ok(())
    }

    pub fn answer(
        &mut self,
        finished: bool,
        messages: &[Message],
        body: &[u8],
    ) -> Result<(), Ended> {
        Ok(search_command::answer(
            &mut self.out,
            finished,
            messages,
            body,
        )?)
    }

    /// The last answer of a command that failed.
    pub fn fail(&mut self, error: &anyhow::Error) -> io::Result<()> {
        let message = [Message::new(Level::Error, format!("{error:#}"))];
        let messages = if self.refused { &[][..] } else { &message };
        search_command::answer(&mut self.out, true, messages, &[])
    }

    /// Begins the rows of a generating command, written as answers to this question and
    /// to as many more as they need.
    pub fn row_writer<'t>(
        &'t mut self,
        call: &Invocation,
        names: &'t [&'t str],
    ) -> RowWriter<'t, W> {
        RowWriter {
            session: self,
            names,
            most: call.max_rows,
            rows: 0,
            body: Vec::new(),
        }
    }
}

fn listen(
    questions: Questions<impl BufRead>,
    hand_over: &mpsc::Sender<Result<Asked, ChunkedError>>,
    cancel: &watch::Sender<bool>,
) {
    // After the last chunk the end of the stream does not mean that the search was cancelled.
    let mut last = false;
    for asked in questions {
        last = matches!(&asked, Ok(Asked::Execute(execute)) if execute.finished);
        let unreadable = asked.is_err();
        if hand_over.blocking_send(asked).is_err() || unreadable {
            return;
        }
    }
    if !last {
        cancel.send_replace(true);
    }
}

/// Writes the rows of a generating command.
pub struct RowWriter<'t, W> {
    session: &'t mut Session<W>,
    names: &'t [&'t str],
    most: usize,
    rows: usize,
    body: Vec<u8>,
}

impl<W: Write> RowWriter<'_, W> {
    /// Adds a row; first writes the rows before it, if they are enough for an answer.
    pub async fn put(&mut self, cells: &[Values]) -> Result<(), Ended> {
        if self.rows >= self.most || self.body.len() >= ANSWER {
            self.session.answer(false, &[], &self.body)?;
            self.body.clear();
            self.rows = 0;
            self.session.next().await?;
        }
        search_command::write_row(&mut self.body, self.names, cells)?;
        self.rows += 1;
        Ok(())
    }

    /// Writes the rest.
    pub fn end(self, messages: &[Message]) -> Result<(), Ended> {
        self.session.answer(true, messages, &self.body)
    }
}
