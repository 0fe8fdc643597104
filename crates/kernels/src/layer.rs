use crate::KernelError;

/// One operation of a [`Program`](crate::Program). Images are NHWC.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Convolution with bias and activation. A second input, of the shape of the output, is added before the activation.
    Conv(Conv2d),
    /// Maximum over windows (floor semantics; padding takes no part; NaN wins).
    MaxPool {
        /// Window height and width.
        size: [usize; 2],
        /// Step between windows, vertical and horizontal.
        stride: [usize; 2],
        /// Border that windows may reach into.
        padding: Padding,
    },
    /// Mean over windows (floor semantics).
    AvgPool {
        /// Window height and width.
        size: [usize; 2],
        /// Step between windows, vertical and horizontal.
        stride: [usize; 2],
        /// Border that windows may reach into.
        padding: Padding,
        /// Whether places in the border count as zeros (PyTorch's default) or not at all (TensorFlow's "same").
        count_padding: bool,
    },
    /// Mean over the whole image, summed in f64: `[1, 1, channels]`.
    GlobalAvgPool,
    /// Maximum over the whole image: `[1, 1, channels]`.
    GlobalMaxPool,
    /// First input + `scale` · second input, of equal shapes, then the activation.
    Add {
        /// Factor of the second input.
        scale: f32,
        /// What follows.
        activation: Activation,
    },
    /// `scale[c] · x + shift[c]`, then the activation: a batch normalisation that no convolution takes in.
    Affine {
        /// One factor a channel.
        scale: Vec<f32>,
        /// One summand a channel.
        shift: Vec<f32>,
        /// What follows.
        activation: Activation,
    },
    /// An activation by itself.
    Activate(Activation),
    /// Zeros around the image.
    Pad(Padding),
    /// Channels of all inputs one after the other; heights and widths are equal.
    Concat,
    /// `[1, 1, height · width · channels]`, in the order of memory, which is Keras's.
    Flatten,
    /// Softmax over the channels of each pixel: exp(x − max) / Σ exp(x − max), summed in f64.
    Softmax,
}

/// What is applied to each output of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// max(x, 0); NaN stays NaN.
    Relu,
    /// min(max(x, 0), 6); NaN stays NaN.
    Relu6,
}

/// Rows above and below, columns left and right of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)] // the names say it
pub struct Padding {
    pub top: usize,
    pub left: usize,
    pub bottom: usize,
    pub right: usize,
}

impl From<[usize; 2]> for Padding {
    /// So many rows above and below, columns left and right.
    fn from([rows, columns]: [usize; 2]) -> Self {
        Self { top: rows, left: columns, bottom: rows, right: columns }
    }
}

/// A 2-D cross-correlation, as deep-learning frameworks define convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv2d {
    /// Channels of the input.
    pub in_channels: usize,
    /// Channels of the output.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Step between outputs, vertical and horizontal.
    pub stride: [usize; 2],
    /// Zeros around the image.
    pub padding: Padding,
    /// Channel groups; `in_channels` of them is a depthwise convolution.
    pub groups: usize,
    /// What follows the sum.
    pub activation: Activation,
    /// Kernel in OIHW order, I being `in_channels / groups`.
    pub weight: Vec<f32>,
    /// One value an output channel.
    pub bias: Vec<f32>,
    /// Adds the bias after the sum of products, not before. A bias that is large beside the products, such as that of a
    /// folded batch normalisation, then costs one rounding and not one a product. Algorithms that transform or gather add it
    /// last anyway; the direct one adds it after the first 256 products where there are more.
    pub bias_last: bool,
}

impl Layer {
    /// A max-pool without padding.
    pub fn max_pool(size: [usize; 2], stride: [usize; 2]) -> Self {
        Self::MaxPool { size, stride, padding: Padding::default() }
    }

    /// `[height, width, channels]` of the output for such inputs, or what is wrong with layer number `index`.
    pub(crate) fn output_shape(
        &self,
        index: usize,
        inputs: &[[usize; 3]],
    ) -> Result<[usize; 3], KernelError> {
        let bad = |what, expected: String, found: String| KernelError::BadLayer {
            layer: index,
            what,
            expected,
            found,
        };
        let (fewest, most) = match self {
            Self::Add { .. } => (2, 2),
            Self::Conv(_) => (1, 2),
            Self::Concat => (1, usize::MAX),
            _ => (1, 1),
        };
        let Some(&input) = inputs.first().filter(|_| (fewest..=most).contains(&inputs.len()))
        else {
            return Err(bad("number of inputs", fewest.to_string(), inputs.len().to_string()));
        };
        let second = |output: [usize; 3]| match inputs.get(1) {
            Some(second) if *second != output => {
                Err(bad("shape of the second input", format!("{output:?}"), format!("{second:?}")))
            }
            _ => Ok(output),
        };
        match self {
            Self::Conv(conv) => second(conv.output_shape(index, input)?),
            Self::MaxPool { size, stride, padding }
            | Self::AvgPool { size, stride, padding, .. } => {
                let ends = [[padding.top, padding.bottom], [padding.left, padding.right]];
                // A window wholly in the border has no maximum and no mean.
                if ends.iter().zip(size).any(|(ends, size)| ends.iter().any(|end| end >= size)) {
                    let found = format!("{padding:?}");
                    return Err(bad("padding of the pool", format!("less than {size:?}"), found));
                }
                let [rows, columns] = ends;
                let h = windows(index, "height of the pool", input[0], size[0], stride[0], rows)?;
                let w = windows(index, "width of the pool", input[1], size[1], stride[1], columns)?;
                Ok([h, w, input[2]])
            }
            Self::GlobalAvgPool | Self::GlobalMaxPool if input[0] * input[1] == 0 => {
                Err(bad("size of the image", "at least 1x1".into(), format!("{input:?}")))
            }
            Self::GlobalAvgPool | Self::GlobalMaxPool => Ok([1, 1, input[2]]),
            Self::Add { .. } => second(input),
            Self::Affine { scale, shift, .. } => {
                match [scale, shift].iter().find(|values| values.len() != input[2]) {
                    Some(values) => Err(bad(
                        "number of scales and shifts",
                        input[2].to_string(),
                        values.len().to_string(),
                    )),
                    None => Ok(input),
                }
            }
            Self::Activate(_) | Self::Softmax => Ok(input),
            Self::Pad(Padding { top, left, bottom, right }) => {
                let sum = |n: usize, ends: [usize; 2]| {
                    let padded = ends.iter().try_fold(n, |sum, end| sum.checked_add(*end));
                    padded.ok_or(KernelError::TooLarge { what: "padding" })
                };
                let [h, w, channels] = input;
                Ok([sum(h, [*top, *bottom])?, sum(w, [*left, *right])?, channels])
            }
            Self::Concat => {
                let mut channels = 0usize;
                for other in inputs {
                    if other[..2] != input[..2] {
                        let (expected, found) = (format!("{input:?}"), format!("{other:?}"));
                        return Err(bad("height and width of all inputs", expected, found));
                    }
                    channels = channels
                        .checked_add(other[2])
                        .ok_or(KernelError::TooLarge { what: "channels" })?;
                }
                Ok([input[0], input[1], channels])
            }
            Self::Flatten => {
                let length = input.iter().try_fold(1usize, |n, axis| n.checked_mul(*axis));
                Ok([1, 1, length.ok_or(KernelError::TooLarge { what: "activations" })?])
            }
        }
    }
}

impl Conv2d {
    fn output_shape(&self, index: usize, input: [usize; 3]) -> Result<[usize; 3], KernelError> {
        let bad = |what, expected: String, found: String| KernelError::BadLayer {
            layer: index,
            what,
            expected,
            found,
        };
        if self.in_channels != input[2] {
            return Err(bad("input channels", input[2].to_string(), self.in_channels.to_string()));
        }
        if self.out_channels == 0 || self.in_channels == 0 {
            return Err(bad("channels", "at least 1".into(), "0".into()));
        }
        if self.groups == 0
            || !self.in_channels.is_multiple_of(self.groups)
            || !self.out_channels.is_multiple_of(self.groups)
        {
            let expected = format!("a divisor of {} and {}", self.in_channels, self.out_channels);
            return Err(bad("groups", expected, self.groups.to_string()));
        }
        let expected = [self.in_channels / self.groups, self.kernel[0], self.kernel[1]]
            .iter()
            .try_fold(self.out_channels, |product, factor| product.checked_mul(*factor))
            .ok_or(KernelError::TooLarge { what: "weights" })?;
        if self.weight.len() != expected {
            return Err(bad(
                "number of weights",
                expected.to_string(),
                self.weight.len().to_string(),
            ));
        }
        if self.bias.len() != self.out_channels {
            return Err(bad(
                "number of biases",
                self.out_channels.to_string(),
                self.bias.len().to_string(),
            ));
        }
        let [kh, kw] = self.kernel;
        let Padding { top, left, bottom, right } = self.padding;
        let (rows, columns) = ([top, bottom], [left, right]);
        let h = windows(index, "height of the kernel", input[0], kh, self.stride[0], rows)?;
        let w = windows(index, "width of the kernel", input[1], kw, self.stride[1], columns)?;
        Ok([h, w, self.out_channels])
    }
}

/// Number of windows of `size` at `stride` in `length` with `padding` at its two ends.
fn windows(
    layer: usize,
    what: &'static str,
    length: usize,
    size: usize,
    stride: usize,
    padding: [usize; 2],
) -> Result<usize, KernelError> {
    let padded = padding
        .iter()
        .try_fold(length, |sum, end| sum.checked_add(*end))
        .filter(|padded| *padded <= isize::MAX as usize)
        .ok_or(KernelError::TooLarge { what: "padding" })?;
    if size == 0 || size > padded {
        let expected = format!("1 to {padded}");
        return Err(KernelError::BadLayer { layer, what, expected, found: size.to_string() });
    }
    if stride == 0 {
        let found = "0".to_owned();
        return Err(KernelError::BadLayer {
            layer,
            what: "stride",
            expected: "at least 1".into(),
            found,
        });
    }
    Ok((padded - size) / stride + 1)
}
