//! One matrix from output to input coordinates, and one resampling.
//!
//! Composition: `apply_affine_transform` of `keras/src/legacy/preprocessing/image.py`; resampling: `NI_GeometricTransform` of
//! scipy's `ni_interpolation.c`. Coordinates are f64, computed for each pixel from its place, so that no error adds up.

use super::{Fill, Sampling, Transform};
use crate::ImageSize;

const CHANNELS: usize = 3;

type Matrix = [[f64; 3]; 3];

/// Where in the input an output pixel looks: `row = y[0] i + y[1] j + y[2]` and the column by `x`, for pixel (i, j).
pub(super) struct Affine {
    y: [f64; 3],
    x: [f64; 3],
}

impl Affine {
    /// Rotation · shift · shear · zoom about the centre `(n - 1) / 2`; `None` where there is none of them.
    pub(super) fn of(transform: &Transform, size: ImageSize) -> Option<Self> {
        let Transform { rotation, shift_x, shift_y, shear, zoom_x, zoom_y, .. } = *transform;
        let mut matrix: Option<Matrix> = None;
        let mut then =
            |next: Matrix| matrix = Some(matrix.map_or(next, |so_far| product(so_far, next)));
        // On columns (x, y, 1).
        if rotation != 0.0 {
            let (sin, cos) = sin_cos(rotation);
            then([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]);
        }
        if shift_x != 0.0 || shift_y != 0.0 {
            then([[1.0, 0.0, shift_x], [0.0, 1.0, shift_y], [0.0, 0.0, 1.0]]);
        }
        if shear != 0.0 {
            let (sin, cos) = sin_cos(shear);
            then([[1.0, -sin, 0.0], [0.0, cos, 0.0], [0.0, 0.0, 1.0]]);
        }
        if zoom_x != 1.0 || zoom_y != 1.0 {
            then([[zoom_x, 0.0, 0.0], [0.0, zoom_y, 0.0], [0.0, 0.0, 1.0]]);
        }
        let centre = [size.width, size.height].map(|side| f64::from(side) / 2.0 - 0.5);
        let moved =
            |by: f64| [[1.0, 0.0, by * centre[0]], [0.0, 1.0, by * centre[1]], [0.0, 0.0, 1.0]];
        let [x, y, _] = product(product(moved(1.0), matrix?), moved(-1.0));
        Some(Self { y: [y[1], y[0], y[2]], x: [x[1], x[0], x[2]] })
    }

    /// Fills `out` with what each pixel sees; both `(height, width, 3)`, and not empty.
    pub(super) fn resample(
        &self,
        size: ImageSize,
        fill: Fill,
        sampling: Sampling,
        pixels: &[f32],
        out: &mut [f32],
    ) {
        let source = Source {
            pixels: pixels.as_chunks::<CHANNELS>().0,
            width: size.width as usize,
            height: size.height as usize,
            fill,
        };
        match sampling {
            Sampling::Nearest => self.each(source.width, out, |y, x| source.nearest(y, x)),
            Sampling::Bilinear => self.each(source.width, out, |y, x| source.bilinear(y, x)),
        }
    }

    #[inline]
    fn each(&self, width: usize, out: &mut [f32], see: impl Fn(f64, f64) -> [f32; CHANNELS]) {
        for (i, row) in out.chunks_exact_mut(width * CHANNELS).enumerate() {
            let [y, x] = [i as f64 * self.y[0], i as f64 * self.x[0]];
            for (j, pixel) in row.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
                let j = j as f64;
                *pixel = see(y + j * self.y[1] + self.y[2], x + j * self.x[1] + self.x[2]);
            }
        }
    }
}

/// A picture that is looked into at any place.
struct Source<'a> {
    pixels: &'a [[f32; CHANNELS]],
    width: usize,
    height: usize,
    fill: Fill,
}

impl Source<'_> {
    #[inline]
    fn bilinear(&self, y: f64, x: f64) -> [f32; CHANNELS] {
        let before_last = |at: f64, length: usize| 0.0 <= at && at < (length - 1) as f64;
        if before_last(y, self.height) && before_last(x, self.width) {
            let (top, left) = (y as usize, x as usize);
            let at = top * self.width + left;
            let corners = [at, at + 1, at + self.width, at + self.width + 1];
            return between(self.taps(corners), (y - top as f64) as f32, (x - left as f64) as f32);
        }
        self.bilinear_at_edge(y, x)
    }

    #[cold]
    fn bilinear_at_edge(&self, y: f64, x: f64) -> [f32; CHANNELS] {
        let Some((y, x)) = self.fill.place(y, self.height).zip(self.fill.place(x, self.width))
        else {
            return self.constant();
        };
        let (top, left) = (y.floor(), x.floor());
        let rows = [index(top, self.height), index(top + 1.0, self.height)].map(|i| i * self.width);
        let columns = [index(left, self.width), index(left + 1.0, self.width)];
        let corners = [
            rows[0] + columns[0],
            rows[0] + columns[1],
            rows[1] + columns[0],
            rows[1] + columns[1],
        ];
        between(self.taps(corners), (y - top) as f32, (x - left) as f32)
    }

    #[inline]
    fn nearest(&self, y: f64, x: f64) -> [f32; CHANNELS] {
        let places = self.fill.place(y, self.height).zip(self.fill.place(x, self.width));
        places.map_or(self.constant(), |(y, x)| {
            let row = index((y + 0.5).floor(), self.height);
            self.pixels[row * self.width + index((x + 0.5).floor(), self.width)]
        })
    }

    #[inline]
    fn taps(&self, corners: [usize; 4]) -> [[f32; CHANNELS]; 4] {
        corners.map(|at| self.pixels[at])
    }

    fn constant(&self) -> [f32; CHANNELS] {
        match self.fill {
            Fill::Constant(level) => [level; CHANNELS],
            _ => [0.0; CHANNELS],
        }
    }
}

/// A whole coordinate as an index; one step beyond an edge, which is as far as it can be, is the edge's pixel.
fn index(at: f64, length: usize) -> usize {
    // The cast makes negative numbers and NaN 0.
    (at as usize).min(length - 1)
}

/// Along the rows, then between them.
#[inline]
fn between(corners: [[f32; CHANNELS]; 4], down: f32, right: f32) -> [f32; CHANNELS] {
    std::array::from_fn(|c| {
        let [a, b, d, e] = corners.map(|corner| corner[c]);
        let (above, below) = (a + (b - a) * right, d + (e - d) * right);
        above + (below - above) * down
    })
}

fn product(a: Matrix, b: Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

/// By `libm`: the same bits on every system.
fn sin_cos(degrees: f64) -> (f64, f64) {
    libm::sincos(degrees.to_radians())
}
