"""Small pictures, drawn here; the programs of the installed package; random weights, so that no network is needed."""

import os
import shutil
import signal
import subprocess
import sys
import struct
import sysconfig
import zlib
from pathlib import Path

import numpy as np
import pytest

import feature_cache as fc

os.environ["HF_HUB_OFFLINE"] = "1"

SIZE = 32
# A small base, and what makes it the same one in every run. Its rows:
ROW = (1, 1, 256)
BASE = dict(backbone="mobilenet-0.25", weights="random:1", image_size=SIZE, precision="highest", threads=1)
FLAGS = ["--backbone", "mobilenet-0.25", "--weights", "random:1", "--image-size", str(SIZE), "--precision", "highest", "--threads", "1"]


def png(pixels: np.ndarray) -> bytes:
    """An RGB picture as PNG."""
    height, width, _ = pixels.shape
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def pixels(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    """Noise on a colour that tells the class: even seeds are dark, odd ones bright."""
    rng = np.random.default_rng(seed)
    return (rng.integers(0, 100, (height, width, 3)) + 120 * (seed % 2)).astype(np.uint8)


def draw(folder: Path, counts: dict[str, int]) -> Path:
    """A folder a split, two classes, as many pictures of each."""
    seed = 0
    for split, count in counts.items():
        for i in range(count):
            for name in ("dark", "light"):
                path = folder / split / name / f"{name}.{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(pixels(seed, 30 + seed % 7, 35 + seed % 5)))
                seed += 1
    return folder


def program(name: str) -> str:
    """A program of the installed package; BIN names a folder of built ones instead."""
    folder = os.environ.get("BIN") or sysconfig.get_path("scripts")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"no program {name} in {folder}: install the wheel, or set BIN")
    return str(path)


def shell(*words: object, ok: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [program(str(words[0])), *map(str, words[1:])], capture_output=True, text=True, cwd=cwd, timeout=300
    )
    assert not ok or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw(tmp_path_factory.mktemp("data"), {"train": 8, "validation": 4, "test": 3})
    # The brightest of all in the wrong folder: where every row can be told right there is no temperature.
    (folder / "validation" / "dark" / "odd.png").write_bytes(png(pixels(101) + 36))
    return folder


@pytest.fixture(scope="session")
def features(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Extracted from Python."""
    folder = tmp_path_factory.mktemp("python") / "features"
    fc.extract(data, folder, progress=False, **BASE)
    return folder


@pytest.fixture(scope="session")
def head(features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python") / "head"
    fc.fit_head(features, folder, epochs=20, lr=1e-3, progress=False)
    return folder


@pytest.fixture
def copy(features: Path, tmp_path: Path) -> Path:
    """Features that a test may damage."""
    return Path(shutil.copytree(features, tmp_path / "copy"))


def python(code: str, *words: object) -> subprocess.Popen:
    """Another interpreter that runs this code, and hears Ctrl-C even where the tests run in the background of a shell."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
