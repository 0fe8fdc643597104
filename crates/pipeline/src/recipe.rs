//! Everything that decides the bits of a feature row: one typed value, and what a difference in each of its fields means.
//!
//! Who computed a row, when and with which tool is not in it: that is the manifest's `run`.

use backbone::{Hardware, Pooling, Precision};
use cache::{Dtype, OpaqueRecipe, Rule, Rules, Settings};
use images::augment::Augmentation;
use images::{ImageSize, Interpolation, LoadSpec, Preprocess};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use thiserror::Error;
use weights::PreprocessHint;

/// Version of what is computed. Raise it with every change by which the same file, weights and recipe give other bytes
/// of a row than before, in decoding, resizing, preprocessing or the engines: older caches are then stale.
/// `tests/e2e/numerics.rs` fails when that was forgotten.
pub const NUMERICS: u32 = 5;

/// How a feature row is made from a file. The same recipe and the same file give the same bits.
///
/// In JSON it is a part of a cache's `settings` and of a head's `features`; `docs/formats.md` lists the names. What a
/// difference in a field means is in [`Recipe::RULES`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// [`NUMERICS`] of the version that computed; 0 where that is not known.
    #[serde(default)]
    pub numerics: u32,
    /// Name of the frozen base, such as `vgg16`.
    pub backbone: String,
    /// Which of the base's variants, such as `torchvision`, where it is not the base's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Layer whose output is kept, by its Keras name.
    pub layer: String,
    /// Pooling over height and width of that output.
    pub pooling: Pooling,
    /// The base's weights.
    pub weights: WeightsId,
    /// Size of the image that the base sees; in JSON `[width, height]`.
    #[serde(with = "sides")]
    pub image_size: ImageSize,
    /// How images are resized to it.
    pub interpolation: Interpolation,
    /// How pixels become numbers: what `auto` chose.
    pub preprocess: Preprocess,
    /// How exact products are.
    pub precision: Precision,
    /// What computes; in JSON `engine` and `isa_or_gpu`.
    #[serde(flatten)]
    pub hardware: Hardware,
    /// How a value is stored.
    pub dtype: Dtype,
    /// Views of each picture: the picture itself, then those that are drawn.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub views: usize,
    /// How they are drawn, where there is more than the picture itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmented>,
}

/// How random views are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmented {
    /// What may happen to a picture.
    pub transforms: Augmentation,
    /// What they are drawn from, together with each file's content.
    pub seed: u64,
}

fn one() -> usize {
    1
}

fn is_one(views: &usize) -> bool {
    *views == 1
}

/// Which weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsId {
    /// As they were requested, such as `timm/vgg16.tv_in1k`.
    pub name: String,
    /// sha256 of the tensors or of the file, in hex.
    pub sha256: String,
    /// The preprocessing that they were trained with.
    pub preprocess: Preprocess,
}

/// The preprocessing that weights were trained with.
pub(crate) fn preprocess_of(hint: PreprocessHint) -> Preprocess {
    match hint {
        PreprocessHint::Torch => Preprocess::Torch,
        PreprocessHint::Caffe => Preprocess::Caffe,
        PreprocessHint::Tf => Preprocess::Tf,
    }
}

/// Values that are not a recipe of this version.
#[derive(Debug, Error)]
#[error("not a recipe that this version knows: {0}")]
pub struct RecipeError(#[from] serde_json::Error);

/// A field that decides what a row means: whatever differs in it can't be used together.
const fn meaning(field: &'static str) -> Rule {
    Rule { field, stale: true, merge: true, together: true }
}

/// A field that decides only how a row is rounded: one cache is of one value, but train may be compared with test.
const fn rounding(field: &'static str) -> Rule {
    Rule { field, stale: true, merge: true, together: false }
}

/// A field that train alone has: views are compared with pictures as they are.
const fn of_train(field: &'static str) -> Rule {
    Rule { field, stale: true, merge: true, together: false }
}

/// A field of earlier versions that decides nothing.
const fn ignored(field: &'static str) -> Rule {
    Rule { field, stale: false, merge: false, together: false }
}

const FIELDS: &[Rule] = &[
    rounding("numerics"),
    meaning("backbone"),
    meaning("variant"),
    meaning("layer"),
    meaning("pooling"),
    // The name alone is where the same tensors came from.
    rounding("weights.name"),
    meaning("weights.sha256"),
    meaning("weights.preprocess"),
    meaning("image_size"),
    meaning("interpolation"),
    meaning("preprocess"),
    meaning("precision"),
    rounding("engine"),
    rounding("isa_or_gpu"),
    meaning("dtype"),
    of_train("views"),
    of_train("augmentation.transforms"),
    of_train("augmentation.seed"),
    ignored("tool_version"),
    // Written by earlier versions, always null and 0. What is in `augmentation` now has names of its own.
    ignored("augmentation"),
    ignored("seed"),
];

/// One name for all instruction sets that give the same bits at the recipe's precision.
fn same_bits(fields: &mut BTreeMap<String, Value>) {
    let read = |name: &str| fields.get(name).cloned();
    let [Some(engine), Some(on), Some(precision)] = ["engine", "isa_or_gpu", "precision"].map(read)
    else {
        return;
    };
    let hardware: Result<Hardware, _> =
        serde_json::from_value(json!({ "engine": engine, "isa_or_gpu": on }));
    if let (Ok(Hardware::Cpu(isa)), Ok(precision)) = (hardware, serde_json::from_value(precision)) {
        fields.insert("isa_or_gpu".to_owned(), isa.bits(precision).into());
    }
}

impl Recipe {
    /// For each field, by its name in JSON: whether a difference makes an old cache stale, whether `merge` refuses it in
    /// one shard, and whether it forbids two splits to be used together.
    pub const RULES: Rules = Rules { fields: FIELDS, alike: same_bits };
    /// Whether a difference in this field between train and another split is as it should be.
    pub fn is_of_train(field: &str) -> bool {
        field == "views" || field.starts_with("augmentation.")
    }

    /// The recipe of a cache.
    ///
    /// # Errors
    /// [`RecipeError`] where another version wrote what this one does not know.
    pub fn of(settings: &Settings) -> Result<Self, RecipeError> {
        let mut fields = settings.recipe.fields().clone();
        fields.insert("dtype".to_owned(), serde_json::to_value(settings.dtype)?);
        fields.insert("views".to_owned(), settings.views.into());
        Ok(serde_json::from_value(fields.into())?)
    }

    /// What a cache of rows of this recipe, shape (of one view) and classes is made for.
    ///
    /// # Errors
    /// None that a recipe can cause: that it is no JSON object.
    pub fn settings(
        &self,
        row_shape: Vec<usize>,
        classes: Vec<String>,
    ) -> Result<Settings, RecipeError> {
        let mut fields: serde_json::Map<_, _> =
            serde_json::from_value(serde_json::to_value(self)?)?;
        // The cache must know them by itself.
        fields.remove("dtype");
        fields.remove("views");
        let recipe = OpaqueRecipe::new(fields);
        Ok(Settings { recipe, dtype: self.dtype, classes, row_shape, views: self.views })
    }

    /// The name that stands for no base: rows are pixels, which a network of its own takes.
    pub const NO_BACKBONE: &str = "none";

    /// Whether a base computes the rows.
    pub fn has_backbone(&self) -> bool {
        self.backbone != Self::NO_BACKBONE
    }

    /// The pixels' part.
    pub fn load_spec(&self) -> LoadSpec {
        LoadSpec {
            size: self.image_size,
            interpolation: self.interpolation,
            preprocess: self.preprocess,
        }
    }
}

/// An image's size as `[width, height]`.
mod sides {
    use images::ImageSize;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(size: &ImageSize, to: S) -> Result<S::Ok, S::Error> {
        [size.width, size.height].serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ImageSize, D::Error> {
        let [width, height] = Deserialize::deserialize(from)?;
        Ok(ImageSize { width, height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use backbone::Isa;

    fn recipe() -> Recipe {
        Recipe {
            numerics: NUMERICS,
            backbone: "vgg16".to_owned(),
            variant: None,
            layer: "block5_pool".to_owned(),
            pooling: Pooling::None,
            weights: WeightsId {
                name: "timm/vgg16.tv_in1k".to_owned(),
                sha256: "0123".to_owned(),
                preprocess: Preprocess::Torch,
            },
            image_size: ImageSize { width: 150, height: 200 },
            interpolation: Interpolation::Bilinear,
            preprocess: Preprocess::Torch,
            precision: Precision::Highest,
            hardware: Hardware::Cpu(Isa::Portable),
            dtype: Dtype::F16,
            views: 1,
            augmentation: None,
        }
    }

    fn with_views() -> Recipe {
        let augmentation = Augmented { transforms: Augmentation::lesson(), seed: u64::MAX };
        Recipe { views: 9, augmentation: Some(augmentation), ..recipe() }
    }

    /// As the first version wrote it.
    fn first_version() -> Value {
        json!({
            "tool_version": "0.1.0", "numerics": 1, "backbone": "vgg16", "layer": "block5_pool",
            "pooling": "none",
            "weights": { "name": "timm/vgg16.tv_in1k", "sha256": "0123", "preprocess": "torch" },
            "image_size": [150, 200], "interpolation": "bilinear", "preprocess": "torch",
            "augmentation": null, "seed": 0, "precision": "highest", "engine": "cpu",
            "isa_or_gpu": "portable", "dtype": "f16", "classes": ["cats", "dogs"],
            "row_shape": [4, 6, 512],
        })
    }

    fn settings(recipe: &Recipe) -> Settings {
        recipe.settings(vec![4, 6, 512], vec!["cats".to_owned(), "dogs".to_owned()]).unwrap()
    }

    /// Names of the fields in JSON, dotted for inner ones.
    fn names(prefix: &str, value: &Value, found: &mut Vec<String>) {
        match value.as_object() {
            Some(fields) => fields.iter().for_each(|(name, inner)| {
                let dot = if prefix.is_empty() { "" } else { "." };
                names(&format!("{prefix}{dot}{name}"), inner, found);
            }),
            None => found.push(prefix.to_owned()),
        }
    }

    #[test]
    fn every_field_has_one_rule_and_every_rule_a_field() {
        let mut found = Vec::new();
        let whole = Recipe { variant: Some("keras".to_owned()), ..with_views() };
        names("", &serde_json::to_value(whole).unwrap(), &mut found);
        found.extend(["tool_version", "augmentation", "seed"].map(str::to_owned));
        found.sort();
        let mut ruled: Vec<_> =
            Recipe::RULES.fields.iter().map(|rule| rule.field.to_owned()).collect();
        ruled.sort();
        assert_eq!(found, ruled);
    }

    #[test]
    fn a_recipe_goes_into_a_cache_and_comes_back() {
        let all = [
            recipe(),
            Recipe { variant: Some("keras".to_owned()), pooling: Pooling::Avg, ..recipe() },
            Recipe { hardware: Hardware::Gpu { model: "cuda:0".to_owned() }, ..recipe() },
            with_views(),
        ];
        for recipe in all {
            let settings = settings(&recipe);
            assert!(settings.recipe.fields().get("dtype").is_none());
            assert_eq!(Recipe::of(&settings).unwrap(), recipe);
            let json = serde_json::to_string(&settings).unwrap();
            let read: Settings = serde_json::from_str(&json).unwrap();
            assert_eq!(Recipe::of(&read).unwrap(), recipe);
        }
    }

    #[test]
    fn what_the_first_version_wrote_is_the_same_recipe() {
        // It had other numerics.
        let recipe = Recipe { numerics: 1, ..recipe() };
        let old: Settings = serde_json::from_value(first_version()).unwrap();
        assert_eq!(Recipe::of(&old).unwrap(), recipe);
        let new = settings(&recipe);
        assert_eq!(old.stale(&new, Recipe::RULES), []);
        // The section of a head has the same names, without those of the cache.
        let mut head = first_version();
        for name in ["tool_version", "augmentation", "seed", "classes"] {
            head.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(serde_json::from_value::<Recipe>(head).unwrap(), recipe);
        let mut written = serde_json::to_value(&new).unwrap();
        for (name, value) in
            [("tool_version", json!("0.1.0")), ("augmentation", Value::Null), ("seed", json!(0))]
        {
            written[name] = value;
        }
        assert_eq!(written, first_version());
    }

    /// A field and what changes it.
    type Change = (&'static str, fn(&mut Recipe));

    #[test]
    fn rules_say_what_a_difference_means() {
        let base = settings(&recipe());
        let differs = |change: fn(&mut Recipe)| {
            let mut other = recipe();
            change(&mut other);
            let other = settings(&other);
            let names = |found: Vec<cache::Difference>| {
                found.into_iter().map(|difference| difference.field).collect::<Vec<_>>()
            };
            (
                names(base.stale(&other, Recipe::RULES)),
                names(base.unmergeable(&other, Recipe::RULES)),
                names(base.incompatible(&other, Recipe::RULES)),
            )
        };
        let one = |name: &str| vec![name.to_owned()];
        let rounded: [Change; 3] = [
            ("numerics", |r| r.numerics = NUMERICS + 1),
            ("isa_or_gpu", |r| r.hardware = Hardware::Cpu(Isa::Avx2)),
            ("weights.name", |r| r.weights.name = "./vgg16.pth".to_owned()),
        ];
        for (name, change) in rounded {
            assert_eq!(differs(change), (one(name), one(name), Vec::new()), "{name}");
        }
        let meant: [Change; 5] = [
            ("layer", |r| r.layer = "block4_pool".to_owned()),
            ("variant", |r| r.variant = Some("keras".to_owned())),
            ("weights.sha256", |r| r.weights.sha256 = "4567".to_owned()),
            ("precision", |r| r.precision = Precision::Medium),
            ("dtype", |r| r.dtype = Dtype::F32),
        ];
        for (name, change) in meant {
            assert_eq!(differs(change), (one(name), one(name), one(name)), "{name}");
        }
        // Views are of train alone.
        let names = ["augmentation.seed", "augmentation.transforms", "views"].map(str::to_owned);
        assert!(names.iter().all(|name| Recipe::is_of_train(name)));
        let (stale, merge, together) = differs(|r| *r = with_views());
        assert_eq!((stale, merge, together), (names.to_vec(), names.to_vec(), Vec::new()));
    }

    #[test]
    fn instruction_sets_of_the_same_bits_are_one_recipe() {
        let of = |isa, precision| {
            settings(&Recipe { hardware: Hardware::Cpu(isa), precision, ..recipe() })
        };
        let differ = |[a, b]: [Isa; 2], precision| {
            let (a, b) = (of(a, precision), of(b, precision));
            let found = [
                !a.stale(&b, Recipe::RULES).is_empty(),
                !a.unmergeable(&b, Recipe::RULES).is_empty(),
                !a.harmless(&b, Recipe::RULES).is_empty(),
                a.recipe.digest(Recipe::RULES) != b.recipe.digest(Recipe::RULES),
            ];
            assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
            found[0]
        };
        for isa in [Isa::Amx, Isa::Avx512Bf16, Isa::Avx512, Isa::Neon] {
            assert!(!differ([isa, Isa::Avx2], Precision::Highest), "{isa}");
            assert!(differ([isa, Isa::Avx2], Precision::High), "{isa}");
            assert!(differ([isa, Isa::Avx2], Precision::Medium), "{isa}");
        }
        assert!(differ([Isa::Portable, Isa::Avx2], Precision::Highest));
        // What computed is told all the same.
        let told = |isa| of(isa, Precision::Highest).recipe.fields()["isa_or_gpu"].clone();
        assert_eq!([told(Isa::Neon), told(Isa::Avx2)], ["neon", "avx2"]);
    }

    #[test]
    fn what_this_version_does_not_know_is_an_error_and_no_guess() {
        let mut later = first_version();
        later["interpolation"] = json!("mitchell");
        let settings: Settings = serde_json::from_value(later).unwrap();
        let error = Recipe::of(&settings).unwrap_err().to_string();
        assert!(error.contains("mitchell") && error.contains("bilinear"), "{error}");
    }
}
