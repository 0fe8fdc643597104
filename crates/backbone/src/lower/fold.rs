//! Operations that become a part of the one beside them.

use super::Drafts;
use super::operation::{Conv64, Draft};
use kernels::{Activation, Layer as Kernel, Padding};

/// Adds an operation, or makes it a part of one that only it reads; which one then makes its output.
pub(super) fn add(drafts: &mut Drafts, draft: Draft, inputs: Vec<usize>) -> usize {
    match draft {
        Draft::Affine { scale, shift, activation: Activation::None } => {
            normalise(drafts, [scale, shift], inputs)
        }
        Draft::Other(Kernel::Activate(activation)) => activate(drafts, activation, inputs),
        Draft::Other(Kernel::Add { scale: 1.0, activation: Activation::None }) => {
            sum(drafts, inputs)
        }
        Draft::Conv(mut conv) => {
            let inputs = unpad(drafts, inputs, |_, _| true, &mut conv.conv.padding);
            drafts.push(Draft::Conv(conv), inputs)
        }
        Draft::Other(Kernel::MaxPool { size, stride, mut padding }) => {
            // A window must keep a pixel of the image.
            let fits = |p: Padding| p.top.max(p.bottom) < size[0] && p.left.max(p.right) < size[1];
            let may = |draft: &Draft, padding| is_never_negative(draft) && fits(padding);
            let inputs = unpad(drafts, inputs, may, &mut padding);
            drafts.push(Draft::Other(Kernel::MaxPool { size, stride, padding }), inputs)
        }
        other => drafts.push(other, inputs),
    }
}

/// Batch normalisation after a convolution: factors of its filters and summands of its bias.
fn normalise(drafts: &mut Drafts, [scale, shift]: [Vec<f64>; 2], inputs: Vec<usize>) -> usize {
    if let Some(Draft::Conv(conv)) = drafts.only_read_here(inputs[0])
        && conv.conv.activation == Activation::None
        && !conv.residual
    {
        for ((bias, scale), shift) in conv.bias.iter_mut().zip(&scale).zip(&shift) {
            *bias = *bias * scale + shift;
        }
        conv.conv.bias_last = true;
        conv.scale = Some(match conv.scale.take() {
            Some(before) => before.iter().zip(&scale).map(|(a, b)| a * b).collect(),
            None => scale,
        });
        return inputs[0];
    }
    drafts.push(Draft::Affine { scale, shift, activation: Activation::None }, inputs)
}

/// An activation after an operation that can apply it.
fn activate(drafts: &mut Drafts, activation: Activation, inputs: Vec<usize>) -> usize {
    let place = match drafts.only_read_here(inputs[0]) {
        Some(Draft::Conv(Conv64 { conv, .. })) => Some(&mut conv.activation),
        Some(Draft::Affine { activation, .. }) => Some(activation),
        Some(Draft::Other(Kernel::Add { activation, .. })) => Some(activation),
        _ => None,
    };
    if let Some(place @ Activation::None) = place {
        *place = activation;
        return inputs[0];
    }
    drafts.push(Draft::Other(Kernel::Activate(activation)), inputs)
}

/// A plain sum of which one side is a convolution that nothing else reads: the convolution adds the other side. It then
/// comes where the sum was, after both.
fn sum(drafts: &mut Drafts, inputs: Vec<usize>) -> usize {
    for (side, other) in [(inputs[1], inputs[0]), (inputs[0], inputs[1])] {
        let Some(Draft::Conv(conv)) = drafts.only_read_here(side) else { continue };
        if conv.conv.activation != Activation::None || conv.residual {
            continue;
        }
        if let Some((Draft::Conv(conv), mut from)) = drafts.take(side) {
            from.push(other);
            let made = drafts.push(Draft::Conv(Conv64 { residual: true, ..conv }), from);
            drafts.node_of[made] = drafts.node_of[side];
            return made;
        }
    }
    drafts.push(Draft::Other(Kernel::Add { scale: 1.0, activation: Activation::None }), inputs)
}

/// Zero padding before an operation that pads by itself: where only it reads the padded image, and the padding may be
/// left to it.
fn unpad(
    drafts: &mut Drafts,
    inputs: Vec<usize>,
    may: impl Fn(&Draft, Padding) -> bool,
    padding: &mut Padding,
) -> Vec<usize> {
    let Some(Draft::Pad(before)) = drafts.only_read_here(inputs[0]) else { return inputs };
    let both = Padding {
        top: padding.top + before.top,
        left: padding.left + before.left,
        bottom: padding.bottom + before.bottom,
        right: padding.right + before.right,
    };
    let source = drafts.drafts[inputs[0]].as_ref().map(|(_, inputs)| inputs[0]);
    let source = source.and_then(|source| drafts.drafts[source].as_ref());
    if !source.is_some_and(|(draft, _)| may(draft, both)) {
        return inputs;
    }
    let Some((_, from)) = drafts.take(inputs[0]) else { return inputs };
    *padding = both;
    from
}

/// Whether zeros around it change no maximum, since nothing in it is below them.
fn is_never_negative(draft: &Draft) -> bool {
    let activation = match draft {
        Draft::Conv(Conv64 { conv, .. }) => conv.activation,
        Draft::Affine { activation, .. } => *activation,
        Draft::Other(Kernel::Add { activation, .. } | Kernel::Activate(activation)) => *activation,
        _ => Activation::None,
    };
    activation != Activation::None
}
