//! Reliability diagrams: how often predictions of a confidence are right.

use maud::{Markup, html};
use train::calibration::{Bin, Reliability};

use crate::numbers::{compact, metric};
use crate::ticks::Scale;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = WIDTH - 14.0;
const TOP: f64 = 52.0;
const BOTTOM: f64 = 236.0;
/// Baselines of the counts, before and after.
const COUNTS: [f64; 2] = [BOTTOM + 58.0, BOTTOM + 76.0];

/// One split: what the model says, and what it says with the temperature.
pub(crate) fn inline(split: &str, before: &Reliability, after: Option<&Reliability>) -> Markup {
    let lowest = |one: &Reliability| one.bins.iter().position(|bin| bin.rows > 0).unwrap_or(0);
    let first = after.map_or(lowest(before), |after| lowest(after).min(lowest(before)));
    // Two classes have no confidence below one half.
    let first = first.min(before.bins.len() / 2);
    let frame = Frame { low: before.bins.get(first).map_or(0.0, |bin| bin.low) };
    let label = format!(
        "Reliability of {split}: expected calibration error {}{}.",
        metric(before.ece),
        after
            .map_or(String::new(), |after| format!(", with the temperature {}", metric(after.ece)))
    );
    html! {
        svg.pic role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-label=(label) {
            text.title x="2" y="17" { (split) }
            text.soft x="2" y="36" { "accuracy by confidence" }
            (legend(after.is_some()))
            (frame.axes())
            (frame.series("training", &before.bins[first..]))
            (frame.counts(0, &before.bins[first..]))
            @if let Some(after) = after {
                (frame.series("validation", &after.bins[first..]))
                (frame.counts(1, &after.bins[first..]))
            }
        }
    }
}

fn legend(after: bool) -> Markup {
    let entry = |name: &str, label: &str, at: f64| {
        html! {
            line class={ "line " (name) } x1=(at) y1="13" x2=(at + 30.0) y2="13" {}
            text x=(at + 36.0) y="17" { (label) }
        }
    };
    html! {
        @if after {
            (entry("training", "as trained", 200.0))
            (entry("validation", "calibrated", 312.0))
        } @else {
            (entry("training", "as trained", 312.0))
        }
    }
}

struct Frame {
    low: f64,
}

impl Frame {
    fn across(&self, confidence: f64) -> f64 {
        round(LEFT + (confidence - self.low) / (1.0 - self.low) * (RIGHT - LEFT))
    }

    fn axes(&self) -> Markup {
        let up = Scale {
            low: 0.0,
            high: 1.0,
            ticks: (0..=5)
                .map(|i| (f64::from(i) / 5.0, format!("{:.1}", f64::from(i) / 5.0)))
                .collect(),
        };
        let step = if self.low < 0.3 { 2 } else { 1 };
        let across = (0..=10).step_by(step).map(|i| f64::from(i) / 10.0);
        html! {
            @for (value, label) in &up.ticks {
                line.grid x1=(LEFT) y1=(height(*value)) x2=(RIGHT) y2=(height(*value)) {}
                text.soft x=(LEFT - 6.0) y=(height(*value) + 4.5) text-anchor="end" { (label) }
            }
            line.axis x1=(LEFT) y1=(BOTTOM) x2=(RIGHT) y2=(BOTTOM) {}
            @for value in across.filter(|value| *value >= self.low - 1e-9) {
                line.axis x1=(self.across(value)) y1=(BOTTOM) x2=(self.across(value)) y2=(BOTTOM + 4.0) {}
                text.soft x=(self.across(value)) y=(BOTTOM + 18.0) text-anchor="middle" { (format!("{value:.1}")) }
            }
            // Where confidence and accuracy are the same.
            line.axis x1=(LEFT) y1=(height(self.low)) x2=(RIGHT) y2=(height(1.0)) stroke-dasharray="2 4" {}
            text.soft x=(round((LEFT + RIGHT) / 2.0)) y=(BOTTOM + 36.0) text-anchor="middle" { "confidence; images in each bin:" }
        }
    }

    fn series(&self, name: &str, bins: &[Bin]) -> Markup {
        let points: Vec<(f64, f64, String)> = (bins.iter())
            .filter_map(|bin| {
                let (confidence, accuracy) = (bin.confidence?, bin.accuracy?);
                let label = format!(
                    "confidence {}, accuracy {}, images: {}",
                    metric(confidence),
                    metric(accuracy),
                    bin.rows
                );
                Some((self.across(confidence), height(accuracy), label))
            })
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y, _)| format!("{x},{y}")).collect();
        html! {
            @if points.len() > 1 { polyline class={ "line " (name) } points=(path.join(" ")) {} }
            @for (x, y, label) in &points {
                @if name == "training" {
                    circle class={ "mark " (name) } cx=(x) cy=(y) r="3.4" { title { (label) } }
                } @else {
                    rect class={ "mark " (name) } x=(round(x - 3.4)) y=(round(y - 3.4)) width="6.8" height="6.8" { title { (label) } }
                }
            }
        }
    }

    fn counts(&self, row: usize, bins: &[Bin]) -> Markup {
        let class = ["small count training", "small count validation"][row];
        html! {
            @for bin in bins {
                text class=(class) x=(self.across(f64::midpoint(bin.low, bin.high))) y=(COUNTS[row]) text-anchor="middle" {
                    (compact(bin.rows))
                }
            }
        }
    }
}

fn height(accuracy: f64) -> f64 {
    round(BOTTOM - accuracy * (BOTTOM - TOP))
}

/// To a tenth of a unit.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
