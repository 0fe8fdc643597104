"""Holds features of the cats-and-dogs test photographs to goldens made by torchvision and Pillow.

usage: compare_golden.py draw DATA OUT nearest|bilinear COUNT
           writes COUNT of the test photographs, as Pillow resizes them to 150x150, as PNGs into OUT/test/<class>
       compare_golden.py compare NAME FEATURES GOLDEN DATA TOLERANCE
           prints a line with the largest and the mean difference as part of the golden's largest feature;
           exit 1 if the largest is over TOLERANCE, or not a number
Needs numpy; `draw` needs Pillow, too.
"""

import csv
import sys
from pathlib import Path

import numpy as np

SIDE = 150


def files(data):
    """`class/name` of the test photographs in the order of the goldens' rows."""
    return [f"{c.name}/{f.name}" for c in sorted((Path(data) / "test").iterdir()) for f in sorted(c.iterdir())]


def draw(data, out, mode, count):
    from PIL import Image

    how = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR}[mode]
    everything = files(data)
    chosen = [everything[i * len(everything) // int(count)] for i in range(int(count))]
    for name in chosen:
        path = (Path(out) / "test" / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(Path(data) / "test" / name).convert("RGB").resize((SIDE, SIDE), how).save(path)


def compare(name, features, golden, data, tolerance):
    golden = np.load(golden, mmap_mode="r")
    row_of = {file.rsplit(".", 1)[0]: row for row, file in enumerate(files(data))}
    if len(row_of) != len(golden):
        sys.exit(f"{name}: expected {len(golden)} photographs, found {len(row_of)}")
    found = np.load(Path(features) / "test_features.npy", mmap_mode="r")
    with open(Path(features) / "test_index.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    bad = [row["file"] for row in rows if row["status"] != "ok"]
    if bad or found.shape[1:] != golden.shape[1:]:
        sys.exit(f"{name}: expected rows of {golden.shape[1:]} from every file, found {found.shape[1:]}, without a row {bad}")
    expected = golden[[row_of[row["file"].rsplit(".", 1)[0]] for row in rows]]
    scale = float(np.max(golden))
    difference = np.abs(found.astype(np.float64) - expected) / scale
    largest, mean, tolerance = float(difference.max()), float(difference.mean()), float(tolerance)
    right = largest <= tolerance
    worst = rows[int(difference.reshape(len(rows), -1).max(axis=1).argmax())]["file"]
    print(
        f"{name:<44} {len(rows):>4} images  largest {largest:.2e}  mean {mean:.2e}  bound {tolerance:.0e}  "
        + ("ok" if right else f"TOO MUCH, most in {worst}"),
        flush=True,
    )
    return 0 if right else 1


def main(arguments):
    match arguments:
        case ["draw", data, out, mode, count]:
            draw(data, out, mode, count)
            return 0
        case ["compare", name, features, golden, data, tolerance]:
            return compare(name, features, golden, data, tolerance)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
