//! The layer graph of a frozen base: names, shapes and parameters, no numbers.

use crate::weights::ConvSpec;
use thiserror::Error;

/// What a layer does. Shapes are (height, width, channels).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// The pixels, (height, width, 3).
    Input,
    /// A convolution with stride 1 and zero padding that keeps the extent ("same"), then ReLU.
    Conv {
        /// Channels in.
        in_channels: usize,
        /// Channels out.
        out_channels: usize,
        /// Extent of the square kernel, odd.
        kernel: usize,
        /// The layer's name in torchvision's state dict.
        torch_name: String,
    },
    /// The largest of each window; a rest at the right or lower edge is dropped ("valid").
    MaxPool {
        /// Extent and stride of the square window.
        size: usize,
    },
}

/// One layer of a base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Keras's name, such as `block5_pool`.
    pub name: String,
    /// What it does.
    pub kind: LayerKind,
}

impl Layer {
    /// Keras's class name, as model summaries print it.
    pub fn class_name(&self) -> &'static str {
        match self.kind {
            LayerKind::Input => "InputLayer",
            LayerKind::Conv { .. } => "Conv2D",
            LayerKind::MaxPool { .. } => "MaxPooling2D",
        }
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        match self.kind {
            LayerKind::Conv { in_channels, out_channels, kernel, .. } => {
                out_channels * (in_channels * kernel * kernel + 1)
            }
            LayerKind::Input | LayerKind::MaxPool { .. } => 0,
        }
    }

    fn output_shape(&self, [height, width, channels]: [usize; 3]) -> [usize; 3] {
        match self.kind {
            LayerKind::Input => [height, width, channels],
            LayerKind::Conv { out_channels, .. } => [height, width, out_channels],
            LayerKind::MaxPool { size } => [height / size, width / size, channels],
        }
    }
}

impl BaseError {
    /// What would mend it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownBase(..) => None,
            Self::UnknownLayer { .. } => {
                Some("`extract summary` shows every layer with its shape".to_owned())
            }
            Self::TooSmall { minimum, .. } => {
                Some(format!("give --image-size {minimum} or more on both sides"))
            }
        }
    }
}

/// Why a base can't be had as asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BaseError {
    /// No base has this name.
    #[error("unknown base '{0}': expected one of {1}")]
    UnknownBase(String, String),
    /// The base has no such layer.
    #[error("{base} has no layer '{layer}': expected one of {names}")]
    UnknownLayer {
        /// The base's name.
        base: &'static str,
        /// The layer that was asked for.
        layer: String,
        /// The layers that exist.
        names: String,
    },
    /// The image is smaller than the base takes.
    #[error(
        "image size {width}x{height} is too small for {base}: expected at least {minimum}x{minimum}"
    )]
    TooSmall {
        /// The base's name.
        base: &'static str,
        /// Width asked for.
        width: usize,
        /// Height asked for.
        height: usize,
        /// The least extent.
        minimum: usize,
    },
}

/// A pretrained base's layers up to the one whose output is the features.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Name on the command line, such as `vgg16`.
    pub name: &'static str,
    /// The hub id of its usual weights.
    pub default_weights: &'static str,
    /// Least width and height of an image, as in Keras's `include_top=False` models.
    pub minimum_size: usize,
    layers: Vec<Layer>,
}

impl Base {
    /// Names of all bases.
    pub const NAMES: &'static [&'static str] = &["vgg16"];

    /// The whole base of this name, without its classifier.
    ///
    /// # Errors
    /// [`BaseError::UnknownBase`].
    pub fn named(name: &str) -> Result<Self, BaseError> {
        match name {
            "vgg16" => Ok(vgg("vgg16", "timm/vgg16.tv_in1k", [2, 2, 3, 3, 3])),
            _ => Err(BaseError::UnknownBase(name.to_owned(), Self::NAMES.join(", "))),
        }
    }

    /// This base, ending with the given layer.
    ///
    /// # Errors
    /// [`BaseError::UnknownLayer`]; the input layer can't be the last.
    pub fn up_to(mut self, layer: &str) -> Result<Self, BaseError> {
        let end = self.layers.iter().skip(1).position(|l| l.name == layer).ok_or_else(|| {
            let names: Vec<_> = self.layers.iter().skip(1).map(|l| l.name.as_str()).collect();
            BaseError::UnknownLayer {
                base: self.name,
                layer: layer.to_owned(),
                names: names.join(", "),
            }
        })?;
        self.layers.truncate(end + 2);
        Ok(self)
    }

    /// The layers, the input first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The last layer's name.
    pub fn last_layer(&self) -> &str {
        self.layers.last().map_or("", |l| &l.name)
    }

    /// Each layer's output (height, width, channels) for images of this size.
    ///
    /// # Errors
    /// [`BaseError::TooSmall`].
    pub fn shapes(&self, height: usize, width: usize) -> Result<Vec<[usize; 3]>, BaseError> {
        if height < self.minimum_size || width < self.minimum_size {
            return Err(BaseError::TooSmall {
                base: self.name,
                width,
                height,
                minimum: self.minimum_size,
            });
        }
        let mut shape = [height, width, 3];
        Ok(self
            .layers
            .iter()
            .map(|layer| {
                shape = layer.output_shape(shape);
                shape
            })
            .collect())
    }

    /// The last layer's output (height, width, channels) for images of this size.
    ///
    /// # Errors
    /// [`BaseError::TooSmall`].
    pub fn output_shape(&self, height: usize, width: usize) -> Result<[usize; 3], BaseError> {
        Ok(self.shapes(height, width)?.last().copied().unwrap_or([height, width, 3]))
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(Layer::parameters).sum()
    }

    /// The convolutions that need weights, in order.
    pub fn architecture(&self) -> Vec<ConvSpec> {
        self.layers
            .iter()
            .filter_map(|layer| match &layer.kind {
                LayerKind::Conv { in_channels, out_channels, kernel, torch_name } => {
                    Some(ConvSpec {
                        keras_name: layer.name.clone(),
                        torch_name: torch_name.clone(),
                        out_channels: *out_channels,
                        in_channels: *in_channels,
                        kernel: [*kernel, *kernel],
                    })
                }
                LayerKind::Input | LayerKind::MaxPool { .. } => None,
            })
            .collect()
    }
}

/// Simonyan and Zisserman 2014 (arXiv:1409.1556), configurations D (VGG16) and E (VGG19), without the classifier.
fn vgg(name: &'static str, default_weights: &'static str, convolutions: [usize; 5]) -> Base {
    let mut layers = vec![Layer { name: "input_1".to_owned(), kind: LayerKind::Input }];
    let (mut in_channels, mut torch_index) = (3, 0);
    for (block, (count, out_channels)) in
        convolutions.into_iter().zip([64, 128, 256, 512, 512]).enumerate()
    {
        let block = block + 1;
        for conv in 1..=count {
            layers.push(Layer {
                name: format!("block{block}_conv{conv}"),
                kind: LayerKind::Conv {
                    in_channels,
                    out_channels,
                    kernel: 3,
                    torch_name: format!("features.{torch_index}"),
                },
            });
            in_channels = out_channels;
            // torchvision counts the ReLU after each convolution as a layer of its own.
            torch_index += 2;
        }
        layers.push(Layer {
            name: format!("block{block}_pool"),
            kind: LayerKind::MaxPool { size: 2 },
        });
        torch_index += 1;
    }
    Base { name, default_weights, minimum_size: 32, layers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vgg16_has_the_published_parameters_and_names() {
        let base = Base::named("vgg16").unwrap();
        assert_eq!(base.parameters(), 14_714_688);
        assert_eq!(base.output_shape(150, 150).unwrap(), [4, 4, 512]);
        assert_eq!(base.output_shape(224, 180).unwrap(), [7, 5, 512]);
        let torch: Vec<_> = base.architecture().into_iter().map(|c| c.torch_name).collect();
        let expected =
            [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28].map(|i| format!("features.{i}"));
        assert_eq!(torch, expected);
    }

    #[test]
    fn a_base_ends_at_any_of_its_layers() {
        let base = Base::named("vgg16").unwrap();
        for layer in base.layers().iter().skip(1) {
            let cut = base.clone().up_to(&layer.name).unwrap();
            assert_eq!(cut.last_layer(), layer.name);
        }
        let cut = base.clone().up_to("block3_conv2").unwrap();
        assert_eq!(cut.output_shape(150, 90).unwrap(), [37, 22, 256]);
        assert_eq!(cut.architecture().len(), 6);
        for bad in ["input_1", "block6_pool", "", "fc1"] {
            let message = base.clone().up_to(bad).unwrap_err().to_string();
            assert!(message.contains("block5_pool"), "{message}");
        }
    }

    #[test]
    fn too_small_images_and_unknown_bases_are_refused() {
        let base = Base::named("vgg16").unwrap();
        assert!(base.output_shape(32, 32).is_ok());
        let message = base.output_shape(40, 31).unwrap_err().to_string();
        assert!(message.contains("31x40") && message.contains("32x32"), "{message}");
        assert!(Base::named("vgg17").unwrap_err().to_string().contains("vgg16"));
    }
}
