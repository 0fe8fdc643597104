//! One panel with the lines of one quantity over the epochs.
//!
//! Drawn as plain SVG with classes instead of colours, so that the page's theme reaches into it. (Plotting libraries write
//! fixed colours into their SVG; that is why none is used here.)

use maud::{Markup, html};

use crate::ticks::{self, Scale};

/// Size of a panel in its own units. Shown 370 wide on a phone, its 13-unit text is 11 pixels high.
pub(crate) const WIDTH: f64 = 420.0;
/// See [`WIDTH`].
pub(crate) const HEIGHT: f64 = 290.0;

const TOP: f64 = 52.0;
const BOTTOM: f64 = HEIGHT - 40.0;
const RIGHT: f64 = WIDTH - 14.0;
/// Beyond this many epochs, points would touch.
pub(crate) const MOST_MARKS: usize = 60;

/// What a panel shows.
pub(crate) struct Panel<'a> {
    /// The quantity.
    pub(crate) title: &'a str,
    /// Its unit.
    pub(crate) unit: &'a str,
    /// Least and largest value that it can have.
    pub(crate) bounds: (f64, f64),
    /// Least span of the vertical axis.
    pub(crate) min_span: f64,
    /// What is drawn over each other, the last on top.
    pub(crate) series: Vec<Series>,
    /// Up to this many epochs each has its mark; beyond, the lines alone are clearer.
    pub(crate) most_marks: usize,
}

/// One line.
pub(crate) struct Series {
    /// Its class in the style sheet: `training`, `validation`, `s0`, …
    pub(crate) class: String,
    /// What it is.
    pub(crate) name: String,
    /// `(epoch, value)`.
    pub(crate) points: Vec<(usize, f64)>,
}

impl Panel<'_> {
    /// The panel's shapes, to be put into an `svg` of class `pic` with the panel's size.
    pub(crate) fn shapes(&self) -> Markup {
        let values = self.series.iter().flat_map(|series| &series.points);
        let y = ticks::around(values.clone().map(|point| point.1), self.min_span, self.bounds);
        let epochs = || values.clone().map(|point| point.0);
        let x = epochs().min().zip(epochs().max()).map(|(first, last)| ticks::whole(first, last));
        html! {
            text.title x="2" y="17" { (self.title) }
            text.soft x="2" y="36" { (self.unit) }
            (self.legend())
            @if let (Some(x), Some(y)) = (x, y) {
                @let frame = Frame::new(x, y);
                (frame.axes())
                @for series in &self.series { (frame.series(series, self.most_marks)) }
            } @else {
                rect.frame x="2" y=(TOP) width=(RIGHT - 2.0) height=(BOTTOM - TOP) {}
                text.soft x=(WIDTH / 2.0) y=((TOP + BOTTOM) / 2.0) text-anchor="middle" { "no values to draw" }
            }
        }
    }

    /// Above the plot, on the right, where no line can run. The page has one of its own for more than two lines.
    fn legend(&self) -> Markup {
        let entry = |name: &str, at: f64| {
            html! {
                line class={ "line " (name) } x1=(at) y1="13" x2=(at + 30.0) y2="13" {}
                (mark(name, at + 15.0, 13.0, None))
                text x=(at + 36.0) y="17" { (name) }
            }
        };
        let has = |name: &str| {
            self.series.iter().any(|series| series.class == name && !series.points.is_empty())
        };
        html! {
            @if has("validation") {
                (entry("training", 218.0))
                (entry("validation", 319.0))
            } @else if self.series.iter().any(|series| series.class == "training") {
                (entry("training", 328.0))
            }
        }
    }
}

struct Frame {
    x: Scale,
    y: Scale,
    left: f64,
}

impl Frame {
    fn new(x: Scale, y: Scale) -> Self {
        let longest = y.ticks.iter().map(|tick| tick.1.chars().count()).max();
        let left = 12.0 + 7.6 * longest.unwrap_or(1) as f64;
        Self { x, y, left }
    }

    fn across(&self, epoch: f64) -> f64 {
        // Room beside the first and the last point, so that marks do not sit on the axis.
        let (from, to) = (self.left + 10.0, RIGHT - 8.0);
        from + self.x.place(epoch) * (to - from)
    }

    fn up(&self, value: f64) -> f64 {
        BOTTOM - self.y.place(value) * (BOTTOM - TOP)
    }

    fn axes(&self) -> Markup {
        html! {
            @for (value, label) in &self.y.ticks {
                @let at = round(self.up(*value));
                line.grid x1=(self.left) y1=(at) x2=(RIGHT) y2=(at) {}
                text.soft x=(self.left - 6.0) y=(round(at + 4.5)) text-anchor="end" { (label) }
            }
            line.axis x1=(self.left) y1=(BOTTOM) x2=(RIGHT) y2=(BOTTOM) {}
            @for (epoch, label) in &self.x.ticks {
                @let at = round(self.across(*epoch));
                line.axis x1=(at) y1=(BOTTOM) x2=(at) y2=(BOTTOM + 4.0) {}
                text.soft x=(at) y=(BOTTOM + 18.0) text-anchor="middle" { (label) }
            }
            text.soft x=(round((self.left + RIGHT) / 2.0)) y=(HEIGHT - 5.0) text-anchor="middle" { "epoch" }
        }
    }

    fn series(&self, series: &Series, most_marks: usize) -> Markup {
        let Series { class, name, points } = series;
        let place = |&(epoch, value): &(usize, f64)| (self.across(epoch as f64), self.up(value));
        let runs = points.split(|point| !ticks::drawable(point.1));
        html! {
            @for run in runs.filter(|run| run.len() > 1) {
                polyline class={ "line " (class) } points=(path(run.iter().map(place))) {}
            }
            @for (i, point) in points.iter().enumerate() {
                @if ticks::drawable(point.1) && (points.len() <= most_marks || is_alone(points, i)) {
                    @let (x, y) = place(point);
                    (mark(class, x, y, Some(format!("epoch {}, {}: {:.4}", point.0, util::visible(name), point.1))))
                }
            }
        }
    }
}

/// Whether neither neighbour can be drawn, so that no line shows the point.
fn is_alone(points: &[(usize, f64)], i: usize) -> bool {
    let drawn = |at: Option<usize>| {
        at.and_then(|at| points.get(at)).is_some_and(|point| ticks::drawable(point.1))
    };
    !drawn(i.checked_sub(1)) && !drawn(i.checked_add(1))
}

fn mark(name: &str, x: f64, y: f64, label: Option<String>) -> Markup {
    let label = html! { @if let Some(label) = label { title { (label) } } };
    html! {
        @if name != "validation" {
            circle class={ "mark " (name) } cx=(round(x)) cy=(round(y)) r="2.4" { (label) }
        } @else {
            rect class={ "mark " (name) } x=(round(x - 2.6)) y=(round(y - 2.6)) width="5.2" height="5.2" { (label) }
        }
    }
}

fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("{},{}", round(x), round(y))).collect::<Vec<_>>().join(" ")
}

/// To a tenth of a unit: finer is not seen and makes files larger.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
