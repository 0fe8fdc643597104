//! The drawing of a confusion matrix, in `confusion.svg` and on the page.

use maud::{Markup, PreEscaped, html};
use train::metrics::Metrics;
use util::visible;

use crate::model::SplitResult;
use crate::numbers::{compact, counted, percent};
use crate::text::{fitted, width_em};
use crate::theme;

/// With more classes than this, cells are too small for numbers and names.
pub(crate) const MOST_NAMED: usize = 30;
/// Up to this many classes, cells have room for their share of the row.
const FEW: usize = 4;
/// Shade of a cell that holds its whole row: strong enough to see, faint enough to read on.
const FULL_SHADE: f64 = 0.5;

const MARGIN: f64 = 20.0;
const FONT: f64 = 13.0;
/// Title and subtitle, then [`ABOVE`].
const HEADING: f64 = 62.0;
/// The word above the names of the columns.
const ABOVE: f64 = 20.0;
const LEAST_WIDTH: f64 = 320.0;

/// The picture; with no split, or nothing labelled in it, the picture says so.
pub(crate) fn standalone(split: Option<&SplitResult>, classes: &[String]) -> Vec<u8> {
    let metrics = split.and_then(|split| split.metrics.as_ref());
    let confusion: &[Vec<u64>] = metrics.map_or(&[], |metrics| &metrics.confusion);
    let title = match split {
        Some(split) => format!("Confusion matrix, {} split", split.name),
        None => "Confusion matrix".to_owned(),
    };
    let subtitle = match metrics {
        None => "no labelled images".to_owned(),
        Some(metrics) => counted(metrics.rows, "labelled image", "labelled images"),
    };
    let layout = Layout::new(confusion.len(), classes, MARGIN, HEADING);
    let svg = html! {
        svg.pic xmlns="http://www.w3.org/2000/svg" role="img" width=(layout.width) height=(layout.height)
            viewBox={ "0 0 " (layout.width) " " (layout.height) } {
            title { (title) }
            desc { (describe(metrics)) }
            style { (PreEscaped(theme::standalone_style())) }
            rect.ground width=(layout.width) height=(layout.height) {}
            text.title x=(MARGIN) y=(MARGIN + 13.0) { (title) }
            text.soft x=(MARGIN) y=(MARGIN + 32.0) { (subtitle) }
            @if !confusion.is_empty() {
                (layout.names(classes))
                (layout.cells(confusion, classes))
            }
        }
    };
    svg.into_string().into_bytes()
}

/// The drawing for the page, in its colours and in its own size.
pub(crate) fn inline(split: &str, metrics: &Metrics, classes: &[String]) -> Markup {
    let layout = Layout::new(metrics.confusion.len(), classes, 1.0, ABOVE);
    html! {
        svg.pic role="img" width=(layout.width) height=(layout.height) viewBox={ "0 0 " (layout.width) " " (layout.height) }
            aria-label={ "Confusion matrix, " (split) ". " (describe(Some(metrics))) } {
            (layout.names(classes))
            (layout.cells(&metrics.confusion, classes))
        }
    }
}

fn describe(metrics: Option<&Metrics>) -> String {
    let Some(metrics) = metrics else { return "No labelled images.".to_owned() };
    format!(
        "{}: {} predicted right. Rows: true class; columns: predicted class.",
        counted(metrics.rows, "labelled image", "labelled images"),
        metrics.right()
    )
}

struct Layout {
    classes: usize,
    margin: f64,
    /// Above the names of the columns.
    heading: f64,
    cell_width: f64,
    cell_height: f64,
    /// Upper left corner of the cells.
    left: f64,
    top: f64,
    /// Whether column names stand upright because they are wider than their column.
    upright: bool,
    named: bool,
    width: f64,
    height: f64,
}

impl Layout {
    fn new(classes: usize, names: &[String], margin: f64, heading: f64) -> Self {
        let named = classes <= MOST_NAMED;
        let (cell_width, cell_height) = match classes {
            0..=2 => (116.0, 76.0),
            3..=4 => (88.0, 60.0),
            5..=8 => (58.0, 44.0),
            9..=MOST_NAMED => (40.0, 32.0),
            _ => {
                let side = (720.0 / classes as f64).clamp(1.0, 20.0);
                (side, side)
            }
        };
        let longest =
            names.iter().map(|name| width_em(&visible(name)) * FONT).fold(0.0, f64::max).min(150.0);
        let upright = classes > 4;
        let (left, top) = if named {
            let above = if upright { longest + 18.0 } else { 20.0 };
            (margin + longest.max(34.0) + 12.0, margin + heading + above)
        } else {
            (margin + 18.0, margin + heading + 4.0)
        };
        let n = classes as f64;
        let bottom = if classes == 0 { margin + 40.0 } else { top + n * cell_height };
        let least = if heading > ABOVE { LEAST_WIDTH } else { 0.0 };
        Self {
            classes,
            margin,
            heading,
            cell_width,
            cell_height,
            left,
            top,
            upright,
            named,
            width: (left + n * cell_width + margin).max(least).ceil(),
            height: (bottom + margin).ceil(),
        }
    }

    fn names(&self, classes: &[String]) -> Markup {
        let across = |i: usize| self.left + (i as f64 + 0.5) * self.cell_width;
        let down = |i: usize| self.top + (i as f64 + 0.5) * self.cell_height + 4.5;
        let name = |class: &str, room: f64| fitted(&visible(class), room / FONT);
        let centre = self.left + self.classes as f64 * self.cell_width / 2.0;
        html! {
            text.soft x=(centre) y=(self.margin + self.heading - 8.0) text-anchor="middle" { "predicted" }
            @if self.named {
                text.soft x=(self.left - 10.0) y=(self.top - 8.0) text-anchor="end" { "true" }
                @for (i, class) in classes.iter().enumerate() {
                    text x=(self.left - 10.0) y=(down(i)) text-anchor="end" { (name(class, 150.0)) title { (visible(class)) } }
                    @if self.upright {
                        text transform={ "translate(" (across(i) + 4.5) " " (self.top - 8.0) ") rotate(-90)" } {
                            (name(class, 150.0)) title { (visible(class)) }
                        }
                    } @else {
                        text x=(across(i)) y=(self.top - 8.0) text-anchor="middle" {
                            (name(class, self.cell_width - 6.0)) title { (visible(class)) }
                        }
                    }
                }
            } @else {
                text.soft text-anchor="middle" transform={
                    "translate(" (self.left - 8.0) " " (self.top + self.classes as f64 * self.cell_height / 2.0) ") rotate(-90)"
                } { "true" }
            }
        }
    }

    fn cells(&self, confusion: &[Vec<u64>], classes: &[String]) -> Markup {
        let few = self.classes <= FEW;
        html! {
            @for (truth, row) in confusion.iter().enumerate() {
                @let total: u64 = row.iter().sum();
                @for (predicted, count) in row.iter().enumerate() {
                    @let (x, y) = (self.left + predicted as f64 * self.cell_width, self.top + truth as f64 * self.cell_height);
                    @let kind = if truth == predicted { "right" } else { "wrong" };
                    @if *count > 0 {
                        rect class=(kind) x=(x) y=(y) width=(self.cell_width) height=(self.cell_height)
                            fill-opacity=(format!("{:.3}", shade(*count, total))) {
                            title { (visible(&classes[truth])) " → " (visible(&classes[predicted])) ": " (count) }
                        }
                    }
                    @if self.named {
                        rect.frame x=(x) y=(y) width=(self.cell_width) height=(self.cell_height) {}
                        text class=(if truth == predicted { "strong" } else if *count == 0 { "soft" } else { "" })
                            x=(x + self.cell_width / 2.0) y=(y + self.cell_height / 2.0 + if few { -1.5 } else { 4.5 })
                            text-anchor="middle" { (compact(*count)) }
                        @if few && total > 0 {
                            text.small x=(x + self.cell_width / 2.0) y=(y + self.cell_height / 2.0 + 15.0)
                                text-anchor="middle" { (percent(*count, total)) }
                        }
                    }
                }
            }
            @if !self.named {
                rect.frame x=(self.left) y=(self.top) width=(self.classes as f64 * self.cell_width)
                    height=(self.classes as f64 * self.cell_height) {}
            }
        }
    }
}

/// How strongly a cell is shaded, from its share of the row. The square root lets rare mistakes show.
pub(crate) fn shade(count: u64, total: u64) -> f64 {
    if total == 0 {
        return 0.0;
    }
    FULL_SHADE * (count as f64 / total as f64).sqrt()
}
