//! The whole way through the library, without a program: pictures, features, a head, predictions.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use backbone::{Base, Device, EngineOptions, Pooling};
use cache::{Dtype, Existing, OpenOptions, Shard};
use images::{ImageSize, Interpolation};
use pipeline::extract::{ExtractOptions, Extraction, SplitOutcome, Views};
use pipeline::fit::{AllFeatures, Fit};
use pipeline::folder::{self, Verifying};
use pipeline::predict::{Decision, Predictor, most_probable};
use pipeline::{
    Augmented, BoxError, Error, Event, Picture, Progress, Recipe, RowMaker, Silent, WeightsSearch,
};
use rayon::ThreadPool;
use train::FitConfig;
use weights::NoProgress;

const CLASSES: [&str; 2] = ["dark", "light"];
/// Pictures a class.
const EACH: usize = 3;

/// Pictures of two kinds of noise, by their brightness.
fn draw(data: &Path, split: &str) {
    for (class, level) in CLASSES.iter().zip([40u8, 200]) {
        let dir = data.join(split).join(class);
        fs::create_dir_all(&dir).unwrap();
        for i in 0..EACH {
            let noise = |n: usize| (n * 7919 + i * 104_729 + split.len() * 31) as u8 % 50;
            let pixels: Vec<u8> = (0..32 * 32 * 3).map(|n| level + noise(n)).collect();
            let mut bytes = b"P6 32 32 255\n".to_vec();
            bytes.extend(pixels);
            fs::write(dir.join(format!("{i}.ppm")), bytes).unwrap();
        }
    }
}

fn options(root: &Path) -> ExtractOptions {
    ExtractOptions {
        data: root.join("data"),
        features: root.join("features"),
        base: Base::named("vgg16").unwrap().up_to("block2_pool").unwrap(),
        pooling: Pooling::Avg,
        weights_spec: "random:0".to_owned(),
        size: ImageSize::square(32),
        interpolation: Interpolation::Bilinear,
        preprocess: None,
        views: None,
        batch_size: 2,
        dtype: Dtype::F16,
        engine: EngineOptions { device: Device::Cpu, precision: None, isa: None },
        open: OpenOptions { rules: Recipe::RULES, ..OpenOptions::default() },
    }
}

fn pool() -> ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap()
}

fn search(models: &Path) -> WeightsSearch<'_> {
    WeightsSearch { models_dir: models, offline: true, index_url: None, progress: &NoProgress }
}

fn extraction<'a>(
    options: &'a ExtractOptions,
    root: &Path,
    pool: &'a ThreadPool,
) -> Extraction<'a> {
    let whole = Base::named("vgg16").unwrap();
    let weights = search(root).resolve(&whole, &options.weights_spec).unwrap();
    Extraction::new(options, weights, pool).unwrap()
}

/// Counts images, and stops or fails after some.
struct Counter {
    images: AtomicUsize,
    stop_after: usize,
    fail: bool,
}

impl Counter {
    fn new(stop_after: usize, fail: bool) -> Self {
        Self { images: AtomicUsize::new(0), stop_after, fail }
    }
}

impl Progress for Counter {
    fn stop(&self) -> bool {
        !self.fail && self.images.load(Ordering::Relaxed) >= self.stop_after
    }

    fn event(&self, event: Event<'_>) -> Result<(), BoxError> {
        if let Event::Image = event {
            let images = 1 + self.images.fetch_add(1, Ordering::Relaxed);
            if self.fail && images >= self.stop_after {
                return Err("enough".into());
            }
        }
        Ok(())
    }
}

#[test]
fn from_pictures_to_predictions() {
    let root = tempfile::tempdir().unwrap();
    let (options, pool) = (options(root.path()), pool());
    for split in ["train", "test"] {
        draw(&options.data, split);
    }
    let extraction = extraction(&options, root.path(), &pool);
    for split in ["train", "test"] {
        let outcome = extraction.extract(split, &Silent).unwrap();
        let SplitOutcome::Written { manifest, computed, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((manifest.rows, computed), (2 * EACH as u64, 2 * EACH));
        assert_eq!(Recipe::of(&manifest.settings).unwrap(), *extraction.recipe());
        let again = extraction.extract(split, &Silent).unwrap();
        assert!(matches!(again, SplitOutcome::UpToDate(_)), "{again:?}");
    }

    let features = AllFeatures::open(&options.features).unwrap();
    assert!(features.differences().is_empty());
    let config = FitConfig {
        hidden: Vec::new(),
        epochs: 40,
        learning_rate: 0.05,
        class_names: features.classes().to_vec(),
        ..FitConfig::default()
    };
    let head = root.path().join("head");
    let fit = Fit::new(&features, &config, 2, &head).unwrap();
    let outcome = pool.install(|| fit.run(&Silent)).unwrap().unwrap();
    assert_eq!(outcome.repeats.as_ref().map(|r| r.seeds.as_slice()), Some(&[0, 1][..]));
    let (test, evaluated) = outcome.evaluated.last().unwrap();
    assert_eq!((test.name(), evaluated.metrics.accuracy), ("test", 1.0));

    let predictor = Predictor::with_head(
        &head,
        Decision::default(),
        2,
        None,
        &search(root.path()),
        Device::Auto,
    )
    .unwrap();
    assert_eq!(predictor.recipe(), Some(extraction.recipe()));
    assert_eq!(predictor.info().unwrap().hardware, extraction.recipe().hardware);
    let mut files: Vec<_> = CLASSES
        .iter()
        .flat_map(|class| {
            let options = &options;
            (0..EACH).map(move |i| options.data.join("test").join(class).join(format!("{i}.ppm")))
        })
        .collect();
    files.push(root.path().join("none.png"));
    let files: Vec<Picture> = files.into_iter().map(Picture::File).collect();
    let mut rows = Vec::new();
    let mut missing = 0;
    let done = predictor.run::<Error>(
        &files,
        &pool,
        4,
        || false,
        |picture, outcome| {
            match outcome {
                Ok(prediction) => {
                    let best = most_probable(prediction, predictor.classes(), 1);
                    let name = picture.name().unwrap();
                    assert!(name.contains(best[0].0), "{name}");
                    rows.extend_from_slice(prediction.probabilities);
                }
                Err(_) => missing += 1,
            }
            Ok(())
        },
    );
    assert!(done.unwrap());
    // Bitwise what the report of the training has.
    assert_eq!((rows, missing), (evaluated.probabilities.clone(), 1));
}

#[test]
fn rows_of_files_and_of_their_pixels_are_those_of_the_cache() {
    let root = tempfile::tempdir().unwrap();
    let options = ExtractOptions { dtype: Dtype::F32, ..options(root.path()) };
    let pool = pool();
    draw(&options.data, "train");
    extraction(&options, root.path(), &pool).extract("train", &Silent).unwrap();
    let stored = cache::SplitReader::open(&options.features, "train").unwrap();
    let files: Vec<_> = (stored.index().unwrap().iter())
        .map(|entry| options.data.join("train").join(&entry.file))
        .collect();
    let pixels = files.iter().map(|path| {
        let image = images::decode_rgb(&std::fs::read(path).unwrap()).unwrap();
        let size = images::ImageSize { width: image.width, height: image.height };
        Picture::of_pixels(size, image.data).unwrap()
    });
    let mut pictures: Vec<Picture> = pixels.collect();
    pictures.extend(files.into_iter().map(Picture::File));
    pictures.push(Picture::File(root.path().join("none.png")));

    let weights = search(root.path()).resolve(&options.base, &options.weights_spec).unwrap();
    let maker = RowMaker::new(&options, weights, &pool).unwrap();
    assert_eq!(maker.row_shape(), stored.manifest().settings.row_shape);
    let (mut places, mut missing) = (Vec::new(), Vec::new());
    let done = maker.run::<Error>(
        &pictures,
        &pool,
        4,
        || false,
        |place, row| {
            match row {
                Ok(row) => {
                    assert_eq!(row, &*stored.row(place % stored.len()).unwrap(), "{place}");
                    places.push(place);
                }
                Err(_) => missing.push(place),
            }
            Ok(())
        },
    );
    let last = 2 * stored.len();
    assert_eq!((done.unwrap(), missing), (true, vec![last]));
    assert_eq!(places, (0..last).collect::<Vec<_>>());
    let stopped = maker.run::<Error>(&pictures, &pool, 1, || true, |_, _| Ok(()));
    assert!(!stopped.unwrap());
}

#[test]
fn a_caller_can_stop_a_split_and_go_on() {
    let transforms = "rotation=20".parse().unwrap();
    let views = Views { count: 2, augmented: Augmented { transforms, seed: 1 } };
    for views in [None, Some(views)] {
        stop_and_go_on(views);
    }
}

fn stop_and_go_on(views: Option<Views>) {
    let root = tempfile::tempdir().unwrap();
    let (options, pool) = (ExtractOptions { views, ..options(root.path()) }, pool());
    draw(&options.data, "train");
    let extraction = extraction(&options, root.path(), &pool);
    let outcome = extraction.extract("train", &Counter::new(2, false)).unwrap();
    let SplitOutcome::Interrupted { rows, total, .. } = outcome else { panic!("{outcome:?}") };
    assert!((2..6).contains(&rows) && total == 6, "{rows} of {total}");
    let error = extraction.extract("train", &Counter::new(1, true)).unwrap_err();
    assert!(
        matches!(&error, Error::Split { source, .. } if matches!(**source, Error::Progress(_)))
    );
    let SplitOutcome::Written { manifest, computed, .. } =
        extraction.extract("train", &Silent).unwrap()
    else {
        panic!("the split was not written")
    };
    assert_eq!(manifest.rows, 6);
    assert!(computed <= 6 - rows, "{computed} computed after {rows} were done");
    assert_eq!(Recipe::of(&manifest.settings).unwrap(), extraction.recipe_of("train"));
    let views = if options.views.is_some() { 3 } else { 1 };
    assert_eq!(manifest.settings.views, views);
}

#[test]
fn shards_are_joined_and_every_byte_is_checked() {
    let root = tempfile::tempdir().unwrap();
    let (mut options, pool) = (options(root.path()), pool());
    let none = folder::merge(&options.features, &[], Existing::Refuse, |_| ()).unwrap();
    assert!(none.is_empty() && folder::verify(&options.features, |_| ()).unwrap().is_empty());
    for split in ["train", "test"] {
        draw(&options.data, split);
        for index in 1..=2 {
            options.open.shard = Some(Shard { index, count: 2 });
            extraction(&options, root.path(), &pool).extract(split, &Silent).unwrap();
        }
    }
    let mut joined = Vec::new();
    let one = ["train".to_owned()];
    let mut merge = |splits: &[String]| {
        let note = |m: &cache::Manifest| joined.push((m.split.clone(), m.rows));
        folder::merge(&options.features, splits, Existing::Refuse, note).unwrap().len()
    };
    assert_eq!((merge(&one), merge(&[])), (1, 2));
    let rows = 2 * EACH as u64;
    assert_eq!(joined, ["train", "test", "train"].map(|split| (split.to_owned(), rows)));

    let verify = || {
        let (mut last, mut seen) = (0, Vec::new());
        let all = folder::verify(&options.features, |event| match event {
            Verifying::Rows { done, .. } => last = done,
            Verifying::Split(one) => seen.push((one.split.clone(), last)),
        });
        (all.unwrap(), seen)
    };
    let (all, seen) = verify();
    assert_eq!(seen, ["test", "train"].map(|split| (split.to_owned(), rows)));
    assert!(all.iter().all(|one| matches!(one.outcome, Ok(found) if found == rows)), "{all:?}");
    // One damaged byte is found, and the other split is checked all the same.
    let file = options.features.join("test_features.npy");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let (all, _) = verify();
    assert!(all[0].split == "test" && all[0].outcome.is_err() && all[1].outcome.is_ok(), "{all:?}");
}

#[test]
fn what_is_missing_is_an_error_with_a_hint() {
    use util::Hint as _;
    let root = tempfile::tempdir().unwrap();
    let (options, pool) = (options(root.path()), pool());
    let extraction = extraction(&options, root.path(), &pool);
    let error = extraction.extract("train", &Silent).unwrap_err();
    assert!(matches!(error, Error::Split { .. }) && error.hint().is_some(), "{error:?}");
    let Err(error) = AllFeatures::open(&options.features) else { panic!("there are no features") };
    assert!(matches!(error, Error::NoTrain { .. }) && error.hint().is_some(), "{error:?}");
    let search = search(root.path());
    let found =
        Predictor::with_head(root.path(), Decision::default(), 1, None, &search, Device::Cpu);
    let Err(error) = found else { panic!("there is no head") };
    assert!(error.to_string().contains("head.json"), "{error}");
    // Hints of a library name no flags.
    for error in [
        Error::UnknownWeights { name: "x".to_owned() },
        Error::NoTrain { dir: options.features.clone() },
    ] {
        assert!(error.hint().is_some_and(|hint| !hint.contains("--")), "{error}");
    }
}
