//! One publication of a base's weights, and what it changes in the layers.

use graph::{Builder, NodeId, Norm, Op, Padding};
use weights::{Framework, PreprocessHint, PublishedDigest, PublishedFile};

/// Who published the weights, and so by which framework's habits the layers are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `keras.applications`.
    Keras,
    /// timm, PyTorch Image Models.
    Timm,
    /// torchvision.
    Torchvision,
}

impl Source {
    /// The name in messages and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keras => "keras",
            Self::Timm => "timm",
            Self::Torchvision => "torchvision",
        }
    }
}

impl Source {
    /// The framework whose habits its files follow.
    pub fn framework(self) -> Framework {
        match self {
            Self::Keras => Framework::Keras,
            Self::Timm | Self::Torchvision => Framework::PyTorch,
        }
    }
}

/// A weights file that Keras downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KerasFile {
    /// Its name.
    pub name: &'static str,
    /// The MD5 that Keras's source has for it, if any.
    pub md5: Option<&'static str>,
}

/// Pillow's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// `BILINEAR`
    Bilinear,
    /// `BICUBIC`
    Bicubic,
}

/// How a whole picture became an image for the classifier when the publisher measured its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All of it, whatever its proportions, as Keras's examples do.
    Stretched,
    /// The middle of it, as torchvision and timm do: the shorter side is resized to so many pixels, the longer one in
    /// proportion, then a square is cut out.
    Center {
        /// Length of the shorter side after resizing.
        shorter: u32,
        /// How it is resized.
        filter: Filter,
    },
}

/// One publication of a base's weights.
#[derive(Debug, PartialEq)]
pub struct Variant {
    /// Who published it.
    pub source: Source,
    /// Hub ids (timm) or file names (torchvision); the eight hex digits in torchvision's names are the start of the file's
    /// sha256. The first is the usual one.
    pub ids: &'static [&'static str],
    /// Keras's files, with the classifier and without.
    pub keras_files: &'static [KerasFile],
    /// How pixels became numbers in training.
    pub preprocess: PreprocessHint,
    /// Added to the variance in batch normalisation; 0 where the base has none.
    pub epsilon: f64,
    /// How the classifier saw pictures.
    pub view: View,
}

impl Variant {
    /// Keras's own weights.
    pub(super) const fn keras(
        files: &'static [KerasFile],
        preprocess: PreprocessHint,
        epsilon: f64,
    ) -> Self {
        Self {
            source: Source::Keras,
            ids: &[],
            keras_files: files,
            preprocess,
            epsilon,
            view: View::Stretched,
        }
    }

    /// Weights of timm or torchvision, for images whose shorter side was resized to 256 pixels.
    pub(super) const fn torch(
        source: Source,
        ids: &'static [&'static str],
        preprocess: PreprocessHint,
        epsilon: f64,
    ) -> Self {
        let view = View::Center { shorter: 256, filter: Filter::Bilinear };
        Self { source, ids, keras_files: &[], preprocess, epsilon, view }
    }

    /// The same weights, for another view of pictures.
    pub(super) const fn view(self, shorter: u32, filter: Filter) -> Self {
        Self { view: View::Center { shorter, filter }, ..self }
    }
}

impl Variant {
    /// The files of known digests: Keras's, and those whose names end as PyTorch's hub demands, with a dash and the first
    /// digits of their sha256.
    pub(super) fn published(&self) -> impl Iterator<Item = PublishedFile> {
        let keras = self.keras_files.iter().filter_map(|file| {
            file.md5.map(|md5| PublishedFile { name: file.name, digest: PublishedDigest::Md5(md5) })
        });
        let torch = self.ids.iter().filter_map(|name| {
            let (_, start) = name.strip_suffix(".pth")?.rsplit_once('-')?;
            Some(PublishedFile { name, digest: PublishedDigest::Sha256Start(start) })
        });
        keras.chain(torch)
    }
}

/// What a base is built for.
pub(super) struct Options {
    /// With the classifier.
    pub(super) include_top: bool,
    /// Classes that the classifier tells apart.
    pub(super) classes: usize,
    /// Width factor of a MobileNet; 1 elsewhere.
    pub(super) alpha: f64,
    /// Whose weights.
    pub(super) variant: &'static Variant,
}

impl Options {
    /// Whether layers follow PyTorch's habits.
    pub(super) fn is_torch(&self) -> bool {
        self.variant.source != Source::Keras
    }

    /// Padding of a window with a stride: TensorFlow's rule, or PyTorch's `(kernel - 1) / 2` on every side. They differ
    /// where TensorFlow pads unevenly. For stride 1 and odd kernels both are [`Padding::Same`].
    pub(super) fn strided(&self, kernel: usize) -> Padding {
        if self.is_torch() {
            Padding::symmetric(kernel.saturating_sub(1) / 2)
        } else {
            Padding::Same
        }
    }

    /// Batch normalisation with offset and, as asked, a factor.
    pub(super) fn norm(&self, scale: bool) -> Op {
        Op::Norm(Norm { epsilon: self.variant.epsilon, scale, ..Norm::default() })
    }

    /// Says what a node's tensors are called in a state dict. Keras's files use the node's own name.
    pub(super) fn tensors(&self, builder: &mut Builder, node: NodeId, prefix: impl Into<String>) {
        if self.is_torch() {
            builder.name_tensors(node, prefix);
        }
    }
}
