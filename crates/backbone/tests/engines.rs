//! The CPU kernels against candle, and both against their promise that a row depends on its image alone.

#![allow(clippy::unwrap_used)] // a test that fails should panic

use backbone::{
    Algorithm, Base, Device, EngineOptions, Extractor, Hardware, Isa, Method, Pooling, Precision,
};
use weights::{NoProgress, Options, Weights};

/// Two orders of f32 summation over 13 layers, as part of the largest feature; `Precision::Highest` promises 5e-6
/// against exact sums, for each of the two.
#[cfg(feature = "candle")]
const ENGINES_AGREE: f32 = 1e-5;

/// Height and width, different on purpose.
const SIZE: [usize; 2] = [40, 56];

fn random_weights(base: &Base) -> Weights {
    let nowhere = std::path::Path::new("unused");
    let options = Options::from_lookup(nowhere, true, &NoProgress, &|_| None);
    weights::resolve("random:5", &base.architecture().unwrap(), &options).unwrap()
}

/// Pixels between -2 and 2, as after subtracting the mean: a multiplicative hash of the index.
fn images(count: usize) -> Vec<f32> {
    let hash = |i: usize| (i as u32).wrapping_mul(2_654_435_761) >> 8;
    (0..count * SIZE[0] * SIZE[1] * 3).map(|i| hash(i) as f32 / (1 << 22) as f32 - 2.0).collect()
}

fn extractor(layer: &str, pooling: Pooling, options: EngineOptions) -> Extractor {
    let whole = Base::named("vgg16").unwrap();
    let weights = random_weights(&whole);
    Extractor::new(&whole.up_to(layer).unwrap(), weights, SIZE, pooling, &options).unwrap()
}

fn options(device: Device, isa: Option<Isa>) -> EngineOptions {
    EngineOptions { device, precision: Some(Precision::Highest), isa }
}

fn rows(extractor: &Extractor, batch: usize) -> Vec<f32> {
    let mut rows = vec![0.0; batch * extractor.row_values()];
    extractor.run(batch, &images(batch), &mut rows).unwrap();
    rows
}

#[cfg(feature = "candle")]
fn assert_agree(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(largest > 0.0, "{what}: all features are zero");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let difference = (a - b).abs() / largest;
        assert!(
            difference <= ENGINES_AGREE,
            "{what}: element {i}: {a} and {b} differ by {difference}"
        );
    }
}

#[cfg(feature = "candle")]
#[test]
fn every_instruction_set_agrees_with_candle() {
    for (layer, pooling) in [
        ("block1_conv1", Pooling::Max),
        ("block2_pool", Pooling::None),
        ("block3_conv2", Pooling::Avg),
        ("block5_pool", Pooling::None),
    ] {
        let reference = extractor(layer, pooling, options(Device::CandleCpu, None));
        let expected = rows(&reference, 2);
        for isa in Isa::available() {
            let ours = extractor(layer, pooling, options(Device::Cpu, Some(isa)));
            assert_eq!(ours.row_shape(), reference.row_shape());
            assert_agree(&rows(&ours, 2), &expected, &format!("{layer}, {pooling}, {isa}"));
        }
    }
}

#[test]
fn a_row_depends_on_its_image_alone() {
    for device in [Device::Cpu, Device::CandleCpu] {
        if device == Device::CandleCpu && !cfg!(feature = "candle") {
            continue;
        }
        let extractor = extractor("block3_pool", Pooling::None, options(device, None));
        let together = rows(&extractor, 3);
        let image = extractor.image_values();
        for (i, row) in together.chunks_exact(extractor.row_values()).enumerate() {
            let mut alone = vec![0.0; row.len()];
            extractor.run(1, &images(3)[i * image..(i + 1) * image], &mut alone).unwrap();
            assert!(
                alone.iter().zip(row).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{device}, {i}"
            );
        }
    }
}

#[test]
fn what_runs_is_said() {
    let info = extractor("block1_pool", Pooling::None, options(Device::Cpu, None)).info();
    assert_eq!(info.hardware, Hardware::Cpu(Isa::best_for(Precision::Highest)));
    assert_eq!((info.device.as_str(), info.precision), ("cpu", Precision::Highest));
    let layers: Vec<&str> = info.algorithms.iter().map(|one| one.layer.as_str()).collect();
    // The pool is a part of the second convolution.
    assert_eq!(layers, ["block1_conv1", "block1_conv2"]);
    assert_eq!(info.algorithms[0].method, Method::Kernel(Algorithm::Direct));
    assert!(matches!(info.algorithms[1].method, Method::Kernel(Algorithm::Winograd { .. })));
    let counts = info.method_counts();
    assert_eq!(counts[0], "1x direct (implicit GEMM)");
    assert!(counts[1].starts_with("1x winograd F("), "{counts:?}");
}

#[test]
fn a_named_device_that_is_missing_is_an_error() {
    let base = Base::named("vgg16").unwrap().up_to("block1_pool").unwrap();
    let weights = random_weights(&Base::named("vgg16").unwrap());
    let build = |options: EngineOptions| {
        Extractor::new(&base, weights.clone(), SIZE, Pooling::None, &options)
    };
    #[cfg(not(feature = "cuda"))]
    {
        let error = build(options(Device::Cuda(1), None)).err().expect("no CUDA in this build");
        assert!(error.to_string().contains("cuda:1"), "{error}");
        assert!(util::Hint::hint(&error).is_some_and(|hint| hint.contains("--features cuda")));
    }
    let error =
        build(options(Device::CandleCpu, Some(Isa::Portable))).err().expect("no choice there");
    assert!(error.to_string().contains("instruction sets"), "{error}");
    let elsewhere = Isa::ALL.iter().find(|isa| !isa.is_available());
    if let Some(&isa) = elsewhere {
        let error = build(options(Device::Cpu, Some(isa))).err().expect("not on this machine");
        assert!(error.to_string().contains(isa.name()), "{error}");
    }
}
