//! What an existing cache or part has in common with what is asked for.

use std::collections::{HashMap, HashSet};

use crate::changes::Changes;
use crate::finished::complete::Complete;
use crate::format::digest::{Hex, sha256_file};
use crate::format::journal::{Entry, Replay};
use crate::format::stamps::{Known, Stamp, readable, unchanged};
use crate::run::target::{Content, Contents, Target};
use crate::settings::Settings;

/// An input of an older run.
struct Old<'a> {
    name: &'a str,
    class: usize,
    has_row: bool,
    /// `None`: not yet read, so no content to compare.
    known: Option<Known>,
    /// Why there is no row, where that is known.
    reason: Option<&'a str>,
}

impl Old<'_> {
    /// Whether it gave no row because it could not be read.
    fn was_unreadable(&self) -> bool {
        !self.has_row && self.known.is_some_and(|k| k.sha256.is_none())
    }

    /// Whether an index says the same of it.
    fn is(&self, content: &Content) -> bool {
        self.known.is_none_or(|k| {
            (k.bytes, k.sha256, self.reason)
                == (content.bytes, content.sha256, content.reason.as_deref())
        })
    }
}

/// What differs, and which rows may be kept.
pub(crate) struct Comparison {
    pub(crate) changes: Changes,
    /// For each input of the target the position of the older run's row that it may take.
    pub(crate) reuse: Vec<Option<usize>>,
}

/// Compares with an unfinished run.
pub(crate) fn with_part(part: &Replay, target: &Target, now: &[Option<Stamp>]) -> Comparison {
    let inputs = part.inputs.iter().zip(&part.entries);
    let old = inputs.map(|((name, class), entry)| {
        let known = match entry {
            Entry::Row(f) => {
                Some(Known { stamp: f.stamp, bytes: Some(f.bytes), sha256: Some(f.sha256.0) })
            }
            // Before rows move, the skipped are tried again, and it does not matter what they were. What could not be
            // read is tried again once the cache is complete.
            Entry::Skipped(f)
                if (part.layout.is_compact() || part.moving_to.is_some()) && f.sha256.is_some() =>
            {
                let sha256 = f.sha256.map(|s| s.0);
                Some(Known { stamp: f.stamp, bytes: f.bytes(), sha256 })
            }
            _ => None,
        };
        let reason = match entry {
            Entry::Skipped(f) => Some(f.reason.as_str()),
            _ => None,
        };
        Old { name, class: *class, has_row: matches!(entry, Entry::Row(_)), known, reason }
    });
    let list = (part.head.inputs_total, part.head.inputs_sha256.0);
    compare(&part.head.settings, list, old.collect(), target, now)
}

/// Compares with a finished cache.
pub(crate) fn with_complete(
    complete: &Complete,
    target: &Target,
    now: &[Option<Stamp>],
) -> Comparison {
    let lines = complete.entries.iter().zip(&complete.stamps);
    let old = lines.map(|(e, &stamp)| {
        let known = Some(Known { stamp, bytes: e.bytes, sha256: e.sha256 });
        let has_row = e.row.is_some();
        let reason = (!has_row).then_some(e.reason.as_str());
        Old { name: &e.file, class: e.label, has_row, known, reason }
    });
    let m = &complete.manifest;
    let list = (m.inputs_total, Hex::parse(&m.inputs_sha256).map_or([0; 32], |h| h.0));
    compare(&m.settings, list, old.collect(), target, now)
}

fn compare(
    settings: &Settings,
    list: (u64, [u8; 32]),
    old: Vec<Old<'_>>,
    target: &Target,
    now: &[Option<Stamp>],
) -> Comparison {
    let mut changes =
        Changes { settings: settings.stale(&target.settings, target.rules), ..Changes::default() };
    let by_name: HashMap<&str, usize> = old.iter().enumerate().map(|(i, o)| (o.name, i)).collect();
    let mut reuse = vec![None; target.inputs.len()];
    let mut kept = HashSet::new();
    let mut last = None;
    for (at, input) in target.inputs.iter().enumerate() {
        let Some(&i) = by_name.get(input.name.as_str()) else {
            changes.added.push(&input.name);
            continue;
        };
        let Some(o) = old.get(i) else { continue };
        kept.insert(i);
        if o.class != input.class || last > Some(i) {
            changes.moved.push(&input.name);
        }
        last = last.max(Some(i));
        // With other settings no row can be kept, so there is no need to read files.
        let same = !changes.settings.is_empty()
            || match (&target.contents, &o.known) {
                (Contents::Known(all), _) => all.get(at).is_some_and(|content| o.is(content)),
                (Contents::Files, None) => true,
                (Contents::Files, Some(_)) if o.was_unreadable() => {
                    if readable(&input.path) {
                        changes.unread.push(&input.name);
                    }
                    true
                }
                (Contents::Files, Some(known)) => {
                    unchanged(&input.path, now.get(at).copied().flatten(), known)
                }
            };
        if !same {
            changes.modified.push(&input.name);
        } else if o.has_row {
            reuse[at] = Some(i);
        }
    }
    for (i, o) in old.iter().enumerate() {
        if !kept.contains(&i) {
            changes.removed.push(o.name);
        }
    }
    changes.other_shards = changes.same_inputs() && list != target.list;
    if changes.settings.is_empty() {
        find_renamed(&old, target, now, &mut reuse);
    } else {
        reuse.fill(None);
    }
    Comparison { changes, reuse }
}

/// Finds the rows of files that have another name now.
fn find_renamed(
    old: &[Old<'_>],
    target: &Target,
    now: &[Option<Stamp>],
    reuse: &mut [Option<usize>],
) {
    if !target.files_at_hand() {
        return;
    }
    let mut by_content = HashMap::new();
    let mut sizes = HashSet::new();
    for (i, o) in old.iter().enumerate().filter(|(_, o)| o.has_row) {
        if let Some(Known { bytes: Some(bytes), sha256: Some(sha), .. }) = o.known {
            by_content.insert(sha, i);
            sizes.insert(bytes);
        }
    }
    for (at, input) in target.inputs.iter().enumerate() {
        let size = now.get(at).copied().flatten().map(|s| s.size);
        if reuse[at].is_none()
            && size.is_some_and(|s| sizes.contains(&s))
            && let Ok((_, sha)) = sha256_file(&input.path)
        {
            reuse[at] = by_content.get(&sha).copied();
        }
    }
}
