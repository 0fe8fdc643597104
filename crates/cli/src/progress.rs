//! Progress bars, on standard error, only where it is a terminal.

use crate::console::{Console, error_line};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;

/// A bar over images: how many, how fast, how long still.
pub(crate) fn images(console: Console<'_>, split: &str, total: usize, done: usize) -> ProgressBar {
    let bar = counted(console, split, total, "images");
    // Images of an earlier run must not count in the rate.
    bar.set_position(done as u64);
    bar.reset_eta();
    bar
}

/// A bar over rows that are read.
pub(crate) fn rows(console: Console<'_>, split: &str, total: usize) -> ProgressBar {
    counted(console, split, total, "rows")
}

fn counted(console: Console<'_>, split: &str, total: usize, unit: &str) -> ProgressBar {
    let target = match console.talks() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    ProgressBar::with_draw_target(Some(total as u64), target)
        .with_style(style(&format!(
            "{{prefix:>10}} {{bar:32}} {{pos}}/{{len}} {unit}  {{rate}}/s  {{eta}} left"
        )))
        .with_prefix(util::visible(split).into_owned())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &indicatif::ProgressState, w: &mut dyn std::fmt::Write| {
            let _ = write!(w, "{:.1}", state.per_sec());
        })
}

/// Bars for the transfer of weights.
pub(crate) struct Transfer<'a> {
    console: Console<'a>,
    bar: Mutex<Option<ProgressBar>>,
}

impl<'a> Transfer<'a> {
    pub(crate) fn new(console: Console<'a>) -> Self {
        Self { console, bar: Mutex::new(None) }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar is no reason to fail: a poisoned lock still holds a bar.
        act(&mut self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl weights::Progress for Transfer<'_> {
    fn start(&self, what: &str, total_bytes: Option<u64>) {
        if let Some(listener) = self.console.listener() {
            listener.transfer(what, total_bytes);
        }
        if !self.console.talks() {
            return;
        }
        let bar = match total_bytes {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{prefix:>10} {bar:32} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left",
            )),
            None => ProgressBar::new_spinner().with_style(style("{prefix:>10} {spinner} {bytes}")),
        };
        bar.set_prefix(util::visible(what).into_owned());
        self.with_bar(|slot| *slot = Some(bar));
    }

    fn advance(&self, bytes: u64) {
        if let Some(listener) = self.console.listener() {
            listener.advance(bytes);
        }
        self.with_bar(|slot| {
            if let Some(bar) = slot {
                bar.inc(bytes);
            }
        });
    }

    fn finish(&self) {
        if let Some(listener) = self.console.listener() {
            listener.finish();
        }
        self.with_bar(|slot| {
            if let Some(bar) = slot.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn note(&self, line: &str) {
        if self.console.remarks() {
            self.with_bar(|slot| match slot {
                Some(bar) => bar.suspend(|| error_line(line)),
                None => self.console.note(line),
            });
        }
    }
}
