use super::scheme::Scheme;

/// G of a scheme: n rows of 3.
fn g<F: Scheme>() -> Vec<[f64; 3]> {
    let mut rows: Vec<[f64; 3]> = F::POINTS
        .iter()
        .enumerate()
        .map(|(j, p)| {
            let others = F::POINTS.iter().enumerate().filter(|(i, _)| *i != j);
            let scale: f64 = others.map(|(_, q)| p - q).product();
            [1.0 / scale, p / scale, p * p / scale]
        })
        .collect();
    rows.push([0.0, 0.0, 1.0]);
    rows
}

/// G g Gᵀ of one 3×3 kernel, in f64 and rounded once; n² values.
pub(super) fn transform<F: Scheme>(kernel: &[f32]) -> Vec<f32> {
    let g = g::<F>();
    let at = |y: usize, x: usize| f64::from(kernel[y * 3 + x]);
    let mut out = Vec::with_capacity(F::N * F::N);
    for row in &g {
        for column in &g {
            let mut sum = 0.0;
            for (y, a) in row.iter().enumerate() {
                for (x, b) in column.iter().enumerate() {
                    sum += a * b * at(y, x);
                }
            }
            out.push(sum as f32);
        }
    }
    out
}
