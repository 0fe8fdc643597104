//! Pixels, 0 to 255, to the numbers that the first layer takes: the same operations in the same order as `images` has them.

use images::Preprocess;
use images::{CAFFE_MEAN_BGR, TORCH_MEAN, TORCH_STD};

use super::draft::Draft;
use super::proto::Attribute;

/// From f32 values (…, 3) of RGB to the value of this name.
pub(super) fn preprocess(draft: &mut Draft<'_>, pixels: &str, preprocess: Preprocess, to: &str) {
    match preprocess {
        Preprocess::Rescale => {
            let most = draft.float("preprocessing/255", 255.0);
            draft.node_to(to, "Div", "preprocessing", &[pixels, &most], &[]);
        }
        Preprocess::Torch => {
            let most = draft.float("preprocessing/255", 255.0);
            let mean = draft.floats("preprocessing/mean", &TORCH_MEAN);
            let std = draft.floats("preprocessing/std", &TORCH_STD);
            let scaled = draft.node("Div", "preprocessing/rescale", &[pixels, &most], &[]);
            let centred = draft.node("Sub", "preprocessing/centre", &[&scaled, &mean], &[]);
            draft.node_to(to, "Div", "preprocessing", &[&centred, &std], &[]);
        }
        Preprocess::Caffe => {
            let order = draft.ints("preprocessing/bgr_order", &[2, 1, 0]);
            let mean = draft.floats("preprocessing/mean_bgr", &CAFFE_MEAN_BGR);
            let axis = [("axis", Attribute::Int(-1))];
            let bgr = draft.node("Gather", "preprocessing/bgr", &[pixels, &order], &axis);
            draft.node_to(to, "Sub", "preprocessing", &[&bgr, &mean], &[]);
        }
        Preprocess::Tf => {
            let half = draft.float("preprocessing/127.5", 127.5);
            let one = draft.float("preprocessing/1", 1.0);
            let scaled = draft.node("Div", "preprocessing/rescale", &[pixels, &half], &[]);
            draft.node_to(to, "Sub", "preprocessing", &[&scaled, &one], &[]);
        }
    }
}
