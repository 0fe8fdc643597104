//! Images. The decoders are other people's, and `images` catches their panics: the file is then refused like any other
//! that is damaged. A fuzzer would end at the first, so here they are counted and not fatal.

use std::io::Write as _;
use std::sync::Once;

use images::{ImageSize, Interpolation, LoadSpec, Preprocess};

static HOOK: Once = Once::new();

/// Panics in a decoder are noted, a line each with its place, in the file that `FUZZ_PANICS` names. Those in this
/// project's own code end the run as they do in every other target.
fn note_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        // Dependencies come from the registry's folder; the standard library panics on behalf of its caller.
        let own = place.contains("crates/images/") || place.contains("fuzz/");
        if own {
            before(info);
        } else if let Some(path) = std::env::var_os("FUZZ_PANICS")
            && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
        {
            // Losing a line would only lower a count.
            let _ = writeln!(file, "{place}");
        }
    }));
}

/// Any image: what is decoded has the size it says and gives finite values.
pub fn images(data: &[u8]) -> bool {
    HOOK.call_once(note_panics);
    let Ok(image) = images::decode_rgb(data) else { return false };
    assert_eq!(image.data.len(), image.width as usize * image.height as usize * 3);
    let spec = LoadSpec {
        size: ImageSize { width: 8, height: 8 },
        interpolation: Interpolation::Bilinear,
        preprocess: Preprocess::Torch,
    };
    let mut values = vec![0.0; spec.values()];
    spec.fill(&image, &mut values).expect("a decoded image is resized");
    assert!(values.iter().all(|value| value.is_finite()));
    true
}
