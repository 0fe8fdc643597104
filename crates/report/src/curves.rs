//! The lesson's two plots: accuracy and loss over the epochs, training and validation.

use maud::{Markup, PreEscaped, html};

use crate::comparison::ComparedModel;
use crate::model::Epoch;
use crate::numbers::{counted, metric};
use crate::plot::{HEIGHT, MOST_MARKS, Panel, Series, WIDTH};
use crate::theme;

/// A quantity of an epoch.
type Value = fn(&Epoch) -> Option<f64>;

fn points(history: &[Epoch], value: Value) -> Vec<(usize, f64)> {
    history.iter().filter_map(|epoch| Some((epoch.epoch, value(epoch)?))).collect()
}

/// Four panels with a line for each model: validation, which counts, first.
pub(crate) fn over_each_other(models: &[ComparedModel]) -> [Panel<'static>; 4] {
    let panel = |title, unit, most, value: Value| Panel {
        title,
        unit,
        bounds: (0.0, most),
        min_span: 0.02,
        series: (models.iter().enumerate())
            .map(|(i, model)| Series {
                class: format!("s{i}"),
                name: model.name.clone(),
                points: points(&model.history, value),
            })
            .collect(),
        most_marks: 1,
    };
    let (share, nats) = ("share of images predicted right", "mean cross-entropy, nats");
    [
        panel("Validation accuracy", share, 1.0, |epoch| epoch.val_accuracy),
        panel("Validation loss", nats, f64::INFINITY, |epoch| epoch.val_loss),
        panel("Training accuracy", share, 1.0, |epoch| Some(epoch.accuracy)),
        panel("Training loss", nats, f64::INFINITY, |epoch| Some(epoch.loss)),
    ]
}

/// Both panels, accuracy first.
pub(crate) fn panels(history: &[Epoch]) -> [Panel<'static>; 2] {
    let both = |training: Value, validation: Value| {
        let series = [("training", training), ("validation", validation)].map(|(name, value)| {
            Series { class: name.to_owned(), name: name.to_owned(), points: points(history, value) }
        });
        series.into()
    };
    [
        Panel {
            title: "Accuracy",
            unit: "share of images predicted right",
            bounds: (0.0, 1.0),
            min_span: 0.02,
            series: both(|epoch| Some(epoch.accuracy), |epoch| epoch.val_accuracy),
            most_marks: MOST_MARKS,
        },
        Panel {
            title: "Loss",
            unit: "mean cross-entropy, nats",
            bounds: (0.0, f64::INFINITY),
            min_span: 0.02,
            series: both(|epoch| Some(epoch.loss), |epoch| epoch.val_loss),
            most_marks: MOST_MARKS,
        },
    ]
}

/// `curves.svg`: one panel below the other, so that the text stays legible where the picture is shown small.
pub(crate) fn standalone(history: &[Epoch]) -> Vec<u8> {
    const MARGIN: f64 = 20.0;
    const GAP: f64 = 28.0;
    let (width, height) = (WIDTH + 2.0 * MARGIN, 2.0 * HEIGHT + GAP + 2.0 * MARGIN);
    let [accuracy, loss] = panels(history);
    let svg = html! {
        svg.pic xmlns="http://www.w3.org/2000/svg" role="img" width=(width) height=(height)
            viewBox={ "0 0 " (width) " " (height) } {
            title { "Accuracy and loss over the epochs" }
            desc { (describe(&accuracy)) " " (describe(&loss)) }
            style { (PreEscaped(theme::standalone_style())) }
            rect.ground width=(width) height=(height) {}
            g transform={ "translate(" (MARGIN) " " (MARGIN) ")" } { (accuracy.shapes()) }
            g transform={ "translate(" (MARGIN) " " (MARGIN + HEIGHT + GAP) ")" } { (loss.shapes()) }
        }
    };
    svg.into_string().into_bytes()
}

/// One panel for the page, in its colours.
pub(crate) fn inline(panel: &Panel<'_>) -> Markup {
    html! {
        svg.pic role="img" viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } aria-label=(describe(panel)) {
            (panel.shapes())
        }
    }
}

/// What the panel shows, in words.
pub(crate) fn describe(panel: &Panel<'_>) -> String {
    let ends = |points: &[(usize, f64)]| match points {
        [] => None,
        [only] => Some(metric(only.1)),
        [first, .., last] => Some(format!("{} to {}", metric(first.1), metric(last.1))),
    };
    let longest = panel.series.iter().map(|series| series.points.len()).max();
    let Some(epochs @ 1..) = longest else {
        return format!("{}: no epochs.", panel.title);
    };
    let lines = panel.series.iter().map(|series| match ends(&series.points) {
        Some(ends) => format!("{} {ends}", util::visible(&series.name)),
        None => format!("no {}", util::visible(&series.name)),
    });
    let lines = lines.collect::<Vec<_>>().join(", ");
    format!("{} over {}: {lines}.", panel.title, counted(epochs as u64, "epoch", "epochs"))
}

/// The caption: the best validation value, and where it was.
pub(crate) fn caption(panel: &Panel<'_>) -> String {
    let is_loss = panel.title == "Loss";
    let of = |class: &str| {
        let series = panel.series.iter().find(|series| series.class == class);
        series.map_or(&[][..], |series| &series.points)
    };
    let (training, validation) = (of("training"), of("validation"));
    let best = validation.iter().filter(|point| point.1.is_finite()).reduce(|best, point| {
        let better = if is_loss { point.1 < best.1 } else { point.1 > best.1 };
        if better { point } else { best }
    });
    match (best, validation.last(), training.last()) {
        (Some(best), Some(last), _) => format!(
            "Validation {}: {} {} at epoch {}, last {}.",
            panel.title.to_lowercase(),
            if is_loss { "lowest" } else { "highest" },
            metric(best.1),
            best.0,
            metric(last.1)
        ),
        (_, _, Some(last)) => {
            format!("Last training {}: {}.", panel.title.to_lowercase(), metric(last.1))
        }
        _ => "No epochs.".to_owned(),
    }
}
