//! Deciding what to do with what is in the folder.

use std::path::Path;
use std::sync::Arc;

use crate::disk::lock::Lock;
use crate::disk::{self, Disk, RealDisk};
use crate::error::CacheError;
use crate::finished::complete::{self, Complete};
use crate::format::digest::Hex;
use crate::format::journal::Replay;
use crate::format::manifest::Manifest;
use crate::format::names::{SplitFiles, part};
use crate::format::stamps::Stamp;
use crate::input::{Existing, Input, OnError, OpenOptions};
use crate::run::compare::{self, Comparison};
use crate::run::setup::{self, Ready, Reuse};
use crate::run::target::{Contents, Target};
use crate::run::writer::SplitWriter;
use crate::settings::Settings;

/// What [`open`] found.
#[derive(Debug)]
pub enum Opened {
    /// The cache is complete, of the same settings and inputs: nothing to do. It may list bad files.
    UpToDate(Box<Manifest>),
    /// There are rows to compute (or only to finish).
    Writer(Box<SplitWriter>),
}

/// Opens `<dir>/<split>_*` for writing, creating `dir` where it is missing. `inputs` is always the list of the whole
/// split, also for a shard; its order is the order of the rows.
///
/// An interrupted run of the same settings and inputs goes on where it was. One that was begun with
/// [`Existing::Overwrite`] goes on under the same option, too; any other is then dropped.
///
/// # Errors
/// [`CacheError::Usage`] for names, settings or inputs that no cache can have; [`CacheError::Locked`] and its kin where another
/// run is at work; [`CacheError::Changed`] for what is there of other settings or inputs, under [`Existing::Refuse`];
/// [`CacheError::Damaged`] for what is there and can't be read; [`CacheError::Io`].
pub fn open(
    dir: &Path,
    split: &str,
    settings: Settings,
    inputs: Vec<Input>,
    options: OpenOptions,
) -> Result<Opened, CacheError> {
    let target =
        Target::new(split, options.shard, (settings, options.rules), inputs, Contents::Files)?;
    open_on(Arc::new(RealDisk), dir, target, options.existing, options.on_error)
}

pub(crate) fn open_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    target: Target,
    existing: Existing,
    on_error: OnError,
) -> Result<Opened, CacheError> {
    disk::create_folders(&*disk, dir).map_err(CacheError::io("create the folder", dir))?;
    let files = SplitFiles::new(dir, &target.split, target.shard);
    files.check_regular()?;
    let lock = Lock::acquire(&files.lock)?;
    let existing = match (setup::recover(&*disk, &files), existing) {
        (Err(CacheError::Damaged { .. }), Existing::Overwrite) => existing,
        // The run that was to overwrite has just got its names: the same command must not compute it all again.
        (Ok(true), Existing::Overwrite) if is_done(&files, &target) => Existing::Refuse,
        (other, _) => other.map(|_| existing)?,
    };
    let stamps: Vec<Option<Stamp>> = if target.files_at_hand() {
        target.inputs.iter().map(|i| Stamp::of(&i.path)).collect()
    } else {
        vec![None; target.inputs.len()]
    };
    let ready = match decide(&disk, &files, &target, &stamps, existing)? {
        Decision::UpToDate(manifest) => return Ok(Opened::UpToDate(manifest)),
        Decision::Ready(ready) => ready,
    };
    Ok(Opened::Writer(Box::new(SplitWriter::new(
        disk, files, lock, target, stamps, *ready, on_error,
    ))))
}

/// Whether the complete cache is of this target, as far as its manifest tells.
fn is_done(files: &SplitFiles, target: &Target) -> bool {
    match complete::load_manifest(files, &target.split, target.shard) {
        Ok(Some(m)) => {
            m.settings.stale(&target.settings, target.rules).is_empty()
                && m.inputs_sha256 == Hex(target.list.1).to_string()
        }
        _ => false,
    }
}

enum Decision {
    UpToDate(Box<Manifest>),
    Ready(Box<Ready>),
}

fn decide(
    disk: &Arc<dyn Disk>,
    files: &SplitFiles,
    target: &Target,
    stamps: &[Option<Stamp>],
    existing: Existing,
) -> Result<Decision, CacheError> {
    let build = |reuse: &Reuse<'_>| {
        setup::build(disk, files, target, stamps, existing, reuse)
            .map(|r| Decision::Ready(Box::new(r)))
    };
    let resume =
        |part| setup::resume(&**disk, files, target, part).map(|r| Decision::Ready(Box::new(r)));

    let part = match Replay::read(&files.journal) {
        // Without its features a journal is worth nothing; one that is committed still only where names could not be
        // given and everything is to be made again.
        Ok(_) if !disk::exists(&part(&files.features)) => None,
        Ok(Some(replay)) if replay.committed => None,
        Err(CacheError::Damaged { .. }) if existing != Existing::Refuse => None,
        other => other?,
    };
    let part = part.map(|p| (compare::with_part(&p, target, stamps), p));
    if existing == Existing::Overwrite {
        return match part {
            Some((c, p)) if c.changes.is_empty() && p.head.begun_by == Existing::Overwrite => {
                resume(p)
            }
            _ => build(&Reuse::default()),
        };
    }

    let complete = match Complete::load(files, &target.split, target.shard) {
        Err(CacheError::Damaged { .. }) if existing == Existing::Update => None,
        other => other?,
    };
    let complete = complete.map(|c| (compare::with_complete(&c, target, stamps), c));
    // What could not be read is tried again as soon as it can be: that is part of the run that left it out. But not at the
    // cost of an unfinished run of something else.
    let mut existing = existing;
    let mut up_to_date = false;
    if let Some((Comparison { changes, .. }, _)) = &complete {
        up_to_date = changes.is_empty();
        if existing == Existing::Refuse && changes.only_unread() {
            if part.as_ref().is_none_or(|(c, _)| c.changes.is_empty()) {
                existing = Existing::Update;
            } else {
                up_to_date = true;
            }
        }
    }
    let mut unsound = None;
    if let Some((_, c)) = &complete
        && up_to_date
    {
        let checked = complete::open_features(&files.features, &c.manifest)
            .and_then(|_| complete::read_labels(&files.labels, &c.manifest));
        match checked {
            Ok(_) => {
                let stamps = &c.known_stamps(stamps);
                if target.files_at_hand() && c.stamps != *stamps {
                    // Untouched content under new times: remember them, so that the next run need not hash. Only that
                    // is lost where it fails, in a read-only folder for instance.
                    let _ = c.renew_stamps(&**disk, files, stamps);
                }
                return Ok(Decision::UpToDate(Box::new(c.manifest.clone())));
            }
            Err(e) => unsound = Some(e),
        }
    }

    if existing == Existing::Update {
        return match (part, complete) {
            (_, Some((c, _))) if !c.changes.settings.is_empty() => Err(changed(&files.manifest, c)),
            (Some((c, _)), None) if !c.changes.settings.is_empty() => {
                Err(changed(&files.journal, c))
            }
            (Some((c, p)), _) if c.changes.is_empty() => resume(p),
            (part, complete) => build(&Reuse {
                part: part
                    .as_ref()
                    .filter(|(c, _)| c.changes.settings.is_empty())
                    .map(|(c, p)| (p, c.reuse.clone())),
                complete: complete.as_ref().map(|(c, old)| (old, c.reuse.clone())),
            }),
        };
    }

    match (part, complete) {
        (Some((c, p)), _) if c.changes.is_empty() => resume(p),
        (_, Some((c, _))) => Err(unsound.unwrap_or_else(|| changed(&files.manifest, c))),
        (Some((c, _)), None) => Err(changed(&files.journal, c)),
        (None, None) => {
            // Files of the same name without a manifest are somebody's; they are not replaced unasked.
            match [&files.features, &files.labels, &files.index]
                .into_iter()
                .find(|p| disk::exists(p))
            {
                Some(path) => Err(CacheError::damaged(path, "there is no manifest beside it")),
                None => build(&Reuse::default()),
            }
        }
    }
}

fn changed(path: &Path, comparison: Comparison) -> CacheError {
    CacheError::Changed { path: path.to_owned(), changes: Box::new(comparison.changes) }
}
