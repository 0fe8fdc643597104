//! The most confident mistakes, with their pictures.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use util::visible;

use crate::model::{Mistake, Run};
use crate::numbers::{counted, probability};
use crate::text::base_name;

/// Every JPEG begins so.
const JPEG_MAGIC: [u8; 3] = [0xff, 0xd8, 0xff];

/// The section; it says so where there are none.
pub(super) fn section(run: &Run) -> Markup {
    html! {
        section {
            h2 { "Most confident mistakes" }
            @if run.mistakes.is_empty() {
                p { (none(run)) }
            } @else {
                p.soft {
                    "Images of " (splits(run)) " that were predicted wrongly with the highest probability, which stands below each: "
                    "often odd pictures, sometimes wrong labels."
                }
                ul.mistakes {
                    @for mistake in &run.mistakes { (entry(mistake, &run.classes)) }
                }
            }
        }
    }
}

/// The splits that the mistakes come from, most often one.
fn splits(run: &Run) -> String {
    let mut names: Vec<_> = run.mistakes.iter().map(|m| visible(&m.split)).collect();
    names.dedup();
    names.join(", ")
}

fn none(run: &Run) -> String {
    let Some(split) = run.headline() else {
        return "None: no split was evaluated.".to_owned();
    };
    let name = visible(&split.name);
    let Some(metrics) = &split.metrics else {
        return format!("None: {name} has no labelled images.");
    };
    let (right, total) = (metrics.right(), metrics.rows);
    if right == total {
        format!("None: every labelled image of {name} was predicted right.")
    } else {
        format!(
            "{} on {name}; predictions_{name}.csv lists them. No pictures were kept.",
            counted(total - right, "mistake", "mistakes")
        )
    }
}

fn entry(mistake: &Mistake, classes: &[String]) -> Markup {
    let file = visible(&mistake.file);
    html! {
        li {
            div.thumb { (picture(mistake, &file)) }
            p { "predicted " b { (visible(&classes[mistake.predicted])) } br; "labelled " (visible(&classes[mistake.truth])) }
            p.soft title=(file) { (probability(mistake.probability)) " · " bdi { (base_name(&file)) } }
        }
    }
}

fn picture(mistake: &Mistake, file: &str) -> Markup {
    match &mistake.thumbnail_jpeg {
        Some(jpeg) if jpeg.starts_with(&JPEG_MAGIC) => html! {
            img src={ "data:image/jpeg;base64," (STANDARD.encode(jpeg)) } alt={ "Thumbnail of " (base_name(file)) };
        },
        _ => html! { span.soft { "no picture" } },
    }
}
