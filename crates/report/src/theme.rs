//! Colours and the style rules of the pictures, for pages (CSS variables) and for files that stand alone (values).
//!
//! Training is blue with filled circles on a solid line, validation orange with hollow squares on a dashed one; both colours
//! are of Okabe and Ito's set, which people with any common colour blindness tell apart.

/// A colour for each role.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    /// Behind everything.
    pub(crate) paper: &'static str,
    /// Text and axes.
    pub(crate) ink: &'static str,
    /// Secondary text; 4.5 : 1 against the paper or better.
    pub(crate) muted: &'static str,
    /// Thin lines.
    pub(crate) rule: &'static str,
    /// Behind pictures and code.
    pub(crate) faint: &'static str,
    /// Training, and right answers.
    pub(crate) blue: &'static str,
    /// Validation, and mistakes.
    pub(crate) orange: &'static str,
    /// One a model, where models are compared; 3 : 1 against the paper or better.
    pub(crate) models: [&'static str; MODELS],
}

/// How many models can be told from one another.
pub(crate) const MODELS: usize = 8;
/// Each model's line has dashes of its own too, for those who don't see its colour.
const DASHES: [&str; MODELS] =
    ["none", "7 4", "2 4", "13 4", "13 4 2 4", "7 3 2 3 2 3", "1.5 3", "18 5 7 5"];

/// On a light ground.
pub(crate) const LIGHT: Palette = Palette {
    paper: "#ffffff",
    ink: "#1b1e23",
    muted: "#59616b",
    rule: "#dadee3",
    faint: "#f1f3f5",
    blue: "#0072b2",
    orange: "#c24e00",
    models: [
        "#0072b2", "#c24e00", "#00795a", "#9a3d86", "#8a6d00", "#4a5bd0", "#59616b", "#c0152f",
    ],
};

/// On a dark ground.
pub(crate) const DARK: Palette = Palette {
    paper: "#14171b",
    ink: "#e6e8eb",
    muted: "#a3abb5",
    rule: "#343a42",
    faint: "#1f242a",
    blue: "#56b4e9",
    orange: "#f0a13c",
    models: [
        "#56b4e9", "#f0a13c", "#3fc79a", "#e58fc9", "#e6d94a", "#9db0ff", "#b9c0c9", "#ff7b72",
    ],
};

const VARIABLES: Palette = Palette {
    paper: "var(--paper)",
    ink: "var(--ink)",
    muted: "var(--muted)",
    rule: "var(--rule)",
    faint: "var(--faint)",
    blue: "var(--blue)",
    orange: "var(--orange)",
    models: [
        "var(--s0)",
        "var(--s1)",
        "var(--s2)",
        "var(--s3)",
        "var(--s4)",
        "var(--s5)",
        "var(--s6)",
        "var(--s7)",
    ],
};

/// Style of a picture that stands alone: light, dark where the viewer asks for it, each on its own ground.
pub(crate) fn standalone_style() -> String {
    format!(
        "{}@media (prefers-color-scheme:dark){{{}}}",
        picture_rules(&LIGHT),
        picture_rules(&DARK)
    )
}

/// The page's colours as variables, and the rules of its pictures in terms of these.
pub(crate) fn page_style() -> String {
    format!(
        ":root{{color-scheme:light dark;{}}}@media screen and (prefers-color-scheme:dark){{:root{{{}}}}}{}",
        variables(&LIGHT),
        variables(&DARK),
        picture_rules(&VARIABLES)
    )
}

fn variables(palette: &Palette) -> String {
    let Palette { paper, ink, muted, rule, faint, blue, orange, models } = palette;
    let models = models.iter().enumerate().map(|(i, colour)| format!("--s{i}:{colour};"));
    let models: String = models.collect();
    format!(
        "{models}--paper:{paper};--ink:{ink};--muted:{muted};--rule:{rule};--faint:{faint};--blue:{blue};--orange:{orange};"
    )
}

fn picture_rules(palette: &Palette) -> String {
    let Palette { paper, ink, muted, rule, blue, orange, faint: _, models } = palette;
    let models = models.iter().zip(DASHES).enumerate().map(|(i, (colour, dashes))| {
        format!(
            ".pic .s{i}{{stroke:{colour}}}.pic .line.s{i}{{stroke-dasharray:{dashes}}}.pic .dot.s{i}{{fill:{colour}}}"
        )
    });
    let models: String = models.collect();
    format!(
        ".ground{{fill:{paper}}}\
         .pic text{{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:13px;fill:{ink};stroke:none}}\
         .pic .title{{font-size:15px;font-weight:600}}\
         .pic .soft{{fill:{muted}}}\
         .pic .small{{font-size:11px}}\
         .pic .strong{{font-weight:600}}\
         .pic .grid{{stroke:{rule};stroke-width:1}}\
         .pic .axis{{stroke:{muted};stroke-width:1}}\
         .pic .line{{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}}\
         .pic .training{{stroke:{blue}}}\
         .pic .validation{{stroke:{orange}}}\
         .pic .line.validation{{stroke-dasharray:6 4}}\
         .pic .mark{{stroke-width:1.6}}\
         .pic .mark.training{{fill:{blue}}}\
         .pic .mark.validation{{fill:{paper}}}\
         {models}.pic .line.solid{{stroke-dasharray:none}}\
         .pic .right{{fill:{blue}}}\
         .pic .wrong{{fill:{orange}}}\
         .pic .count{{stroke:none}}.pic .count.training{{fill:{blue}}}.pic .count.validation{{fill:{orange}}}\
         .pic .frame{{fill:none;stroke:{rule};stroke-width:1}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2.2 relative luminance.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = u8::from_str_radix(&colour[at..at + 2], 16).expect("two hex digits");
            let share = f64::from(value) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_and_lines_stand_out_from_the_ground() {
        for palette in [LIGHT, DARK] {
            assert!(contrast(palette.ink, palette.paper) >= 7.0);
            for text in [palette.muted, palette.blue, palette.orange] {
                assert!(contrast(text, palette.paper) >= 4.5, "{text} on {}", palette.paper);
            }
            for line in palette.models {
                assert!(contrast(line, palette.paper) >= 3.0, "{line} on {}", palette.paper);
            }
        }
    }

    #[test]
    fn counts_stand_out_from_the_darkest_cell() {
        let share = crate::confusion::shade(1, 1);
        for palette in [LIGHT, DARK] {
            for colour in [palette.blue, palette.orange] {
                let blend = |at: usize| {
                    let channel = |hex: &str| {
                        f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("hex"))
                    };
                    (share * channel(colour) + (1.0 - share) * channel(palette.paper)) as u8
                };
                let cell = format!("#{:02x}{:02x}{:02x}", blend(1), blend(3), blend(5));
                assert!(contrast(palette.ink, &cell) >= 4.5, "{} on {cell}", palette.ink);
            }
        }
    }
}
