//! Follows a run: progress bar, warnings, Ctrl-C.

use images::SplitScan;
use indicatif::ProgressBar;
use pipeline::{BoxError, Event, Progress};
use std::sync::{Mutex, PoisonError};

use crate::console::Console;
use crate::interrupt::Interrupt;
use crate::{progress, text};

/// Warnings of one kind that are shown before the rest is only counted.
const SHOWN: usize = 10;

pub(super) struct Follower<'a> {
    console: Console<'a>,
    interrupt: &'a Interrupt,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> Follower<'a> {
    pub(super) fn new(console: Console<'a>, interrupt: &'a Interrupt) -> Self {
        Self { console, interrupt, bar: Mutex::new(None) }
    }

    /// The first few lines of a kind, then how many more there are.
    fn warn_list(&self, lines: impl ExactSizeIterator<Item = String>) {
        let total = lines.len();
        for line in lines.take(SHOWN) {
            self.console.warn(line);
        }
        if total > SHOWN {
            self.console.warn(format!("… and {} more", total - SHOWN));
        }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar is no reason to fail: a poisoned lock still holds a bar.
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Follower<'_> {
    fn stop(&self) -> bool {
        self.interrupt.requested()
    }

    fn event(&self, event: Event<'_>) -> Result<(), BoxError> {
        if let Some(listener) = self.console.listener() {
            listener.event(&event, 0);
        }
        match event {
            Event::Scanned { split, scan } => {
                let ignored = scan.ignored.iter();
                self.warn_list(
                    ignored.map(|i| format!("{}: {}", images::display_name(&i.path), i.reason)),
                );
                self.console.say(format!(
                    "{split}: {} in {} ({})",
                    text::count(scan.files.len(), "image", "images"),
                    text::count(scan.classes.len(), "class", "classes"),
                    class_counts(scan)
                ))?;
            }
            Event::Computing { split, total, reused, pending } => {
                if reused > 0 {
                    let rows = text::count(reused, "image", "images");
                    self.console.say(format!("{split}: {rows} done before, {pending} to go"))?;
                }
                let bar = progress::images(self.console, split, total, reused);
                self.with_bar(|slot| *slot = Some(bar));
            }
            Event::Image => self.with_bar(|slot| {
                if let Some(bar) = slot {
                    bar.inc(1);
                }
            }),
            Event::Computed { skipped } => {
                self.with_bar(|slot| {
                    if let Some(bar) = slot.take() {
                        bar.finish_and_clear();
                    }
                });
                self.warn_list(skipped.iter().cloned());
            }
            _ => {}
        }
        Ok(())
    }
}

/// `cats 791, dogs 790`; a class without images stands out.
fn class_counts(scan: &SplitScan) -> String {
    let mut counts = vec![0usize; scan.classes.len()];
    for file in &scan.files {
        counts[file.class] += 1;
    }
    let all = scan
        .classes
        .iter()
        .zip(&counts)
        .map(|(class, n)| format!("{class} {}", text::thousands(*n)));
    let mut shown: Vec<String> = all.take(SHOWN).collect();
    if counts.len() > SHOWN {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
