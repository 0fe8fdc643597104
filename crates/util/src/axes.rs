//! The order of an array's axes.

/// Values whose axis `i` becomes the old axis `order[i]`, as numpy's `transpose`. Both are in C order.
///
/// # Panics
/// None: missing values are left out, which the count of the result shows.
pub fn permute(data: &[f32], shape: [usize; 4], order: [usize; 4]) -> Vec<f32> {
    let strides = [shape[1] * shape[2] * shape[3], shape[2] * shape[3], shape[3], 1];
    let [n, stride] = [order.map(|axis| shape[axis]), order.map(|axis| strides[axis])];
    let mut out = Vec::with_capacity(data.len());
    for a in 0..n[0] {
        for b in 0..n[1] {
            for c in 0..n[2] {
                let start = a * stride[0] + b * stride[1] + c * stride[2];
                out.extend((0..n[3]).filter_map(|d| data.get(start + d * stride[3])));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_change_places() {
        // (1, 2, 3, 2): the value says where it is.
        let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let out = permute(&values, [1, 2, 3, 2], [3, 2, 0, 1]);
        assert_eq!(out, [0., 6., 2., 8., 4., 10., 1., 7., 3., 9., 5., 11.]);
        assert_eq!(permute(&values, [1, 2, 3, 2], [0, 1, 2, 3]), values);
    }
}
