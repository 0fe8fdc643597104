//! The nearest few of many 64-bit hashes within a distance, without comparing with all.

use super::distance::{distance, mirrored};

/// Hashes by each of their four 16-bit quarters. Two hashes that differ in at most d bits have a quarter that differs in
/// at most d/4: so it is enough to look into the buckets that near.
pub(super) struct Near {
    hashes: Vec<(u64, usize)>,
    /// For each quarter: where the bucket of each value begins in `order`.
    starts: Vec<Vec<u32>>,
    /// For each quarter: positions in `hashes`, sorted by the quarter's value.
    order: Vec<Vec<u32>>,
}

/// A near hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) at: usize,
    pub(super) distance: u32,
    pub(super) mirrored: bool,
}

const QUARTERS: u32 = 4;

fn quarter(hash: u64, q: u32) -> u16 {
    (hash >> (16 * q)) as u16
}

impl Near {
    pub(super) fn new(hashes: impl Iterator<Item = Option<u64>>) -> Self {
        let hashes: Vec<(u64, usize)> =
            hashes.enumerate().filter_map(|(i, h)| Some((h?, i))).collect();
        let (mut starts, mut order) = (Vec::new(), Vec::new());
        for q in 0..QUARTERS {
            let mut sorted: Vec<u32> = (0..hashes.len() as u32).collect();
            sorted.sort_by_key(|&i| quarter(hashes[i as usize].0, q));
            let mut start = vec![0u32; (1 << 16) + 1];
            for (h, _) in &hashes {
                start[usize::from(quarter(*h, q)) + 1] += 1;
            }
            for i in 1..start.len() {
                start[i] += start[i - 1];
            }
            starts.push(start);
            order.push(sorted);
        }
        Self { hashes, starts, order }
    }

    /// The nearest `most` hashes within `max` bits, in the better of both ways round: nearest first, of equally near ones
    /// the first.
    pub(super) fn find(&self, hash: u64, max: u32, most: usize) -> Vec<Hit> {
        let mut best: Vec<Hit> = Vec::new();
        let mut offer = |&(other, at): &(u64, usize)| {
            let (distance, mirrored) = distance(other, hash);
            if distance > max {
                return;
            }
            let place = best.partition_point(|b| (b.distance, b.at) < (distance, at));
            // A hash may be in several of the buckets.
            if place < most && best.get(place).is_none_or(|b| b.at != at) {
                best.truncate(most - 1);
                best.insert(place, Hit { at, distance, mirrored });
            }
        };
        let near = max / QUARTERS;
        if near > 2 {
            // So many buckets that looking at all is no slower.
            self.hashes.iter().for_each(offer);
            return best;
        }
        for hash in [hash, mirrored(hash)] {
            for q in 0..QUARTERS {
                let (starts, order) = (&self.starts[q as usize], &self.order[q as usize]);
                within(quarter(hash, q), near, &mut |key| {
                    let bucket =
                        starts[usize::from(key)] as usize..starts[usize::from(key) + 1] as usize;
                    order[bucket].iter().for_each(|&i| offer(&self.hashes[i as usize]));
                });
            }
        }
        best
    }
}

/// Every value that differs from `key` in at most `bits` (0 to 2) bits.
fn within(key: u16, bits: u32, visit: &mut impl FnMut(u16)) {
    visit(key);
    for i in (0..16).take_while(|_| bits > 0) {
        visit(key ^ 1 << i);
        for j in (0..i).take_while(|_| bits > 1) {
            visit(key ^ 1 << i ^ 1 << j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_comparing_with_all_finds(
            hashes in prop::collection::vec(prop::option::of(any::<u64>()), 1..60),
            of in any::<prop::sample::Index>(),
            flips in prop::collection::vec(0u32..64, 0..14),
            turn in any::<bool>(),
            max in 0u32..15,
            most in 1usize..5,
        ) {
            let mut hash = hashes[of.index(hashes.len())].unwrap_or(1);
            flips.iter().for_each(|f| hash ^= 1 << f);
            if turn {
                hash = mirrored(hash);
            }
            let all = hashes.iter().enumerate().filter_map(|(at, h)| Some((distance((*h)?, hash), at)));
            let mut naive: Vec<Hit> = all
                .filter(|((d, _), _)| *d <= max)
                .map(|((distance, mirrored), at)| Hit { at, distance, mirrored })
                .collect();
            naive.sort_by_key(|hit| (hit.distance, hit.at));
            naive.truncate(most);
            prop_assert_eq!(Near::new(hashes.iter().copied()).find(hash, max, most), naive);
        }
    }
}
