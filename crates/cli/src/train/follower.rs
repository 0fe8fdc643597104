//! Follows a training: what it says, and Ctrl-C.

use pipeline::{BoxError, Event, Progress};

use crate::console::Console;
use crate::fit_head::epoch_line;
use crate::interrupt::Interrupt;
use crate::text;

pub(crate) struct Follower<'a> {
    console: Console<'a>,
    interrupt: &'a Interrupt,
    epochs: usize,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(console: Console<'a>, interrupt: &'a Interrupt, epochs: usize) -> Self {
        Self { console, interrupt, epochs }
    }
}

impl Progress for Follower<'_> {
    fn stop(&self) -> bool {
        self.interrupt.requested()
    }

    fn event(&self, event: Event<'_>) -> Result<(), BoxError> {
        if let Some(listener) = self.console.listener() {
            listener.event(&event, self.epochs);
        }
        match event {
            Event::Scanned { split, scan } => {
                for one in &scan.ignored {
                    let path = images::display_name(&one.path);
                    self.console.warn(format!("{split}: {path}: {}", one.reason));
                }
            }
            Event::Resumed(history) => {
                let done = text::count(history.len(), "epoch", "epochs");
                self.console.say(format!("resumed  after {done}"))?;
            }
            Event::Epoch(stats) => self.console.say(epoch_line(stats, self.epochs))?,
            _ => {}
        }
        Ok(())
    }
}
