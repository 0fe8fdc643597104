//! `confusion.svg`: the confusion matrix of one split.

use maud::{PreEscaped, html};
use util::visible;

use crate::model::SplitResult;
use crate::numbers::{compact, counted};
use crate::stats;
use crate::text::{fitted, width_em};
use crate::theme;

/// With more classes than this, cells are too small for numbers and names.
pub(crate) const MOST_NAMED: usize = 30;
/// Shade of a cell that holds its whole row: strong enough to see, faint enough to read on.
const FULL_SHADE: f64 = 0.5;

const MARGIN: f64 = 20.0;
const FONT: f64 = 13.0;
const HEADING: f64 = 62.0;
const LEAST_WIDTH: f64 = 320.0;

/// The picture; with no split, or nothing labelled in it, the picture says so.
pub(crate) fn standalone(split: Option<&SplitResult>, classes: &[String]) -> Vec<u8> {
    let confusion: &[Vec<u64>] = split.map_or(&[], |split| &split.confusion);
    let title = match split {
        Some(split) => format!("Confusion matrix, {} split", split.name),
        None => "Confusion matrix".to_owned(),
    };
    let subtitle = match stats::total(confusion) {
        0 => "no labelled images".to_owned(),
        total => counted(total, "labelled image", "labelled images"),
    };
    let layout = Layout::new(confusion.len(), classes);
    let svg = html! {
        svg.pic xmlns="http://www.w3.org/2000/svg" role="img" width=(layout.width) height=(layout.height)
            viewBox={ "0 0 " (layout.width) " " (layout.height) } {
            title { (title) }
            desc { (subtitle) ": " (stats::right(confusion)) " predicted right. Rows: true class; columns: predicted class." }
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

struct Layout {
    classes: usize,
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
    fn new(classes: usize, names: &[String]) -> Self {
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
            (MARGIN + longest.max(34.0) + 12.0, MARGIN + HEADING + above)
        } else {
            (MARGIN + 18.0, MARGIN + HEADING + 4.0)
        };
        let n = classes as f64;
        let bottom = if classes == 0 { MARGIN + 40.0 } else { top + n * cell_height };
        Self {
            classes,
            cell_width,
            cell_height,
            left,
            top,
            upright,
            named,
            width: (left + n * cell_width + MARGIN).max(LEAST_WIDTH).ceil(),
            height: (bottom + MARGIN).ceil(),
        }
    }

    fn names(&self, classes: &[String]) -> maud::Markup {
        let across = |i: usize| self.left + (i as f64 + 0.5) * self.cell_width;
        let down = |i: usize| self.top + (i as f64 + 0.5) * self.cell_height + 4.5;
        let name = |class: &str, room: f64| fitted(&visible(class), room / FONT);
        let centre = self.left + self.classes as f64 * self.cell_width / 2.0;
        html! {
            text.soft x=(centre) y=(MARGIN + HEADING - 8.0) text-anchor="middle" { "predicted" }
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

    fn cells(&self, confusion: &[Vec<u64>], classes: &[String]) -> maud::Markup {
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
                            x=(x + self.cell_width / 2.0) y=(y + self.cell_height / 2.0 + 4.5) text-anchor="middle" {
                            (compact(*count))
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
