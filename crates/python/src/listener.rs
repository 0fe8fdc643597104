//! What a command tells, as messages to the thread that may call Python.

use cli::embed::Listener;
use pipeline::Event;
use pyo3::prelude::*;
use serde_json::{Value, json};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

/// Something to tell.
pub(crate) enum Message {
    /// A warning.
    Warn(String),
    /// A remark.
    Note(String),
    /// A bar of so many units begins, some of them done.
    Start { what: String, unit: &'static str, done: u64, total: Option<u64> },
    /// So many more are done.
    Advance(u64),
    /// The bar is over.
    Finish,
    /// An epoch is over, of so many: its numbers as JSON.
    Epoch(String, u64),
}

impl Message {
    /// Calls `progress(kind, text, unit, number, total)`.
    pub(crate) fn call(self, progress: &Bound<'_, PyAny>) -> PyResult<()> {
        let (kind, text, unit, number, total) = match self {
            Self::Warn(line) => ("warn", line, "", 0, None),
            Self::Note(line) => ("note", line, "", 0, None),
            Self::Start { what, unit, done, total } => ("start", what, unit, done, total),
            Self::Advance(n) => ("advance", String::new(), "", n, None),
            Self::Finish => ("finish", String::new(), "", 0, None),
            Self::Epoch(stats, epochs) => ("epoch", stats, "", 0, Some(epochs)),
        };
        progress.call1((kind, text, unit, number, total)).map(drop)
    }
}

/// Sends messages, and keeps a command's result.
pub(crate) struct Talk {
    // A sender is not for several threads at once on every system.
    tell: Mutex<Sender<Message>>,
    command_line: String,
    result: Mutex<Option<Value>>,
}

impl Talk {
    pub(crate) fn new(tell: Sender<Message>, command_line: String) -> Self {
        Self { tell: Mutex::new(tell), command_line, result: Mutex::default() }
    }

    pub(crate) fn send(&self, message: Message) {
        // Nobody may be left to listen.
        let _ = self.tell.lock().unwrap_or_else(PoisonError::into_inner).send(message);
    }

    /// What the command gave.
    pub(crate) fn take_result(&self) -> Value {
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.take().unwrap_or_default()
    }
}

impl Listener for Talk {
    fn command_line(&self) -> String {
        self.command_line.clone()
    }

    fn warn(&self, line: &str) {
        self.send(Message::Warn(line.to_owned()));
    }

    fn note(&self, line: &str) {
        self.send(Message::Note(line.to_owned()));
    }

    fn event(&self, event: &Event<'_>, epochs: usize) {
        match event {
            Event::Computing { split, total, reused, .. } => self.send(Message::Start {
                what: (*split).to_owned(),
                unit: "images",
                done: *reused as u64,
                total: Some(*total as u64),
            }),
            Event::Image => self.send(Message::Advance(1)),
            Event::Computed { .. } => self.send(Message::Finish),
            Event::Resumed(history) => {
                for stats in *history {
                    self.send(Message::Epoch(json!(stats).to_string(), epochs as u64));
                }
            }
            Event::Epoch(stats) => {
                self.send(Message::Epoch(json!(stats).to_string(), epochs as u64));
            }
            _ => {}
        }
    }

    fn transfer(&self, what: &str, total_bytes: Option<u64>) {
        let (what, total) = (what.to_owned(), total_bytes);
        self.send(Message::Start { what, unit: "B", done: 0, total });
    }

    fn advance(&self, bytes: u64) {
        self.send(Message::Advance(bytes));
    }

    fn finish(&self) {
        self.send(Message::Finish);
    }

    fn result(&self, value: &Value) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.clone());
    }
}
