//! Views of pictures: `extract preview`.

use std::fs;

use crate::drawing::Picture;
use crate::support::*;

/// Pixels of a PNG.
fn pixels(png: &std::path::Path) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(png).unwrap()))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let frame = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(frame.color_type, png::ColorType::Rgb);
    (frame.width, frame.height, pixels)
}

#[test]
fn a_preview_has_a_row_a_picture_and_a_column_a_view() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    let one = Picture::random(1, 24, 20);
    one.save(&path("one.png"));
    Picture::random(2, 30, 60).save(&path("two.jpg"));
    let preview = |out: &str| {
        Tool::new(EXTRACT).arg("preview").path("--out", &path(out)).flags("--image-size 24x20")
    };
    let both = |tool: Tool| tool.arg(path("one.png")).arg(path("two.jpg")).run().exits(0);
    both(preview("sheet.png").flags("--views 3")).says(&[
        "sheet.png: 116x52 pixels, 2 pictures, a row each: as it is, then 3 views",
        "augmentation: rotation=40,width-shift=0.2,height-shift=0.2,shear=0.2,zoom=0.2,horizontal-flip,fill=nearest,",
        ", seed 0",
    ]);
    let (width, height, sheet) = pixels(&path("sheet.png"));
    assert_eq!((width, height), (116, 52));
    let cell = |sheet: &[u8], row: usize, column: usize| -> Vec<u8> {
        let left = (4 + column * 28) * 3;
        (0..20)
            .flat_map(|y| {
                let at = (4 + row * 24 + y) * 116 * 3 + left;
                sheet[at..at + 24 * 3].to_vec()
            })
            .collect()
    };
    // The first is the picture itself, the others differ from it and from each other.
    assert_eq!(cell(&sheet, 0, 0), one.pixels);
    let cells: Vec<_> = (0..8).map(|i| cell(&sheet, i / 4, i % 4)).collect();
    for (i, a) in cells.iter().enumerate() {
        assert!(cells[..i].iter().all(|b| a != b), "{i}");
    }

    // The content and the view's number decide, not the name, the place or how many there are.
    fs::rename(path("one.png"), path("three.png")).unwrap();
    preview("again.png")
        .arg("--augment")
        .flags("--views 3")
        .arg(path("two.jpg"))
        .arg(path("three.png"))
        .run()
        .exits(0);
    let (_, _, again) = pixels(&path("again.png"));
    let again: Vec<_> = (0..4).map(|i| cell(&again, 1, i)).collect();
    assert_eq!(again, cells[..4]);
    preview("seed.png")
        .flags("--views 3 --seed 1")
        .arg(path("two.jpg"))
        .arg(path("three.png"))
        .run()
        .exits(0);
    let (_, _, seed) = pixels(&path("seed.png"));
    assert_eq!(cell(&seed, 1, 0), cells[0]);
    assert_ne!(cell(&seed, 1, 1), cells[1]);

    // A mirror gives the picture or its mirror image.
    preview("mirror.png")
        .flags("--views 3 --augment=horizontal-flip")
        .arg(path("three.png"))
        .run()
        .exits(0)
        .says(&["augmentation: horizontal-flip,fill=nearest,interpolation=bilinear, seed 0"]);
    let (_, _, mirror) = pixels(&path("mirror.png"));
    let both = [one.pixels.clone(), one.mirrored().pixels];
    let seen: Vec<_> =
        (0..4).map(|i| both.iter().position(|p| *p == cell(&mirror, 0, i))).collect();
    assert!(
        seen.contains(&Some(0)) && seen.contains(&Some(1)) && !seen.contains(&None),
        "{seen:?}"
    );
}

#[test]
fn what_cannot_be_previewed_is_said() {
    let root = temp();
    let path = |name: &str| root.path().join(name);
    Picture::random(1, 8, 8).save(&path("good.png"));
    fs::write(path("bad.png"), "no picture").unwrap();
    let preview = || Tool::new(EXTRACT).arg("preview").path("--out", &path("sheet.png"));
    let refused = |spec: &str| {
        preview().arg(format!("--augment={spec}")).arg(path("good.png")).run().exits(2)
    };
    refused("zoom=1.5").complains(&["zoom: expected a number from 0, below 1, found '1.5'"]);
    refused("twist=3").complains(&["unknown setting 'twist': expected one of lesson, rotation"]);
    refused("none").complains(&["unknown setting 'none'"]);
    preview().arg(path("bad.png")).run().refuses(&["no image", "bad.png: not an image"]);
    preview()
        .flags("--image-size 16384 --views 1000")
        .arg(path("good.png"))
        .run()
        .refuses(&["expected at most 178,956,970 pixels"]);
    assert!(!path("sheet.png").exists());
    preview()
        .flags("--image-size 8 --views 1")
        .arg(path("bad.png"))
        .arg(path("good.png"))
        .run()
        .exits(3)
        .complains(&["bad.png: not an image"])
        .says(&["1 picture,", "then 1 view"]);
    let nowhere = path("nowhere/sheet.png");
    Tool::new(EXTRACT).arg("preview").path("--out", &nowhere).arg(path("good.png")).run().exits(1);
}
