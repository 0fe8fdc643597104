"""What `cache export` and `predict --parquet` write, read by those it is for. See scripts/test_tables.sh.

Pictures are drawn (as binary PPM, by hand), weights are random. Features, labels and names must be those of the .npy files and
the index, bit by bit.
"""

import csv
import glob
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import safe_open

BIN, WORK = sys.argv[1:3]
QUICK = "--quick" in sys.argv
NAMES = [b"plain", b"a,b", b'q"uo"te', b"new\nline", b"=1+1", b"tab\there", "\u732b \u00e9".encode(), b"not-utf8-\xff\xfe", b"'s ;", b"back\\slash"]


def run(tool, *args, code=0):
    done = subprocess.run([os.path.join(BIN, tool), *args], capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == code, (tool, args, done.returncode, done.stdout, done.stderr)
    return done.stdout


def draw(path, seed):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    noise = random.Random(seed)
    with open(path, "wb") as out:
        out.write(b"P6 20 24 255\n" + bytes(noise.randrange(256) for _ in range(20 * 24 * 3)))


def pictures(root):
    """train and test with ugly names of files and classes."""
    for split, each in [(b"train", 3), (b"test", 1)]:
        for c, klass in enumerate([b"cats, and", b"=dogs"]):
            for n, name in enumerate(NAMES):
                for i in range(each):
                    draw(os.path.join(root.encode(), split, klass, name + b"%d.ppm" % i), (split, c, n, i).__repr__())
    with open(os.path.join(root, "train", "=dogs", "bad,\n.png"), "wb") as out:
        out.write(b"no picture")


class Cache:
    """The .npy files and the index, a line for each view of each row."""

    def __init__(self, folder, split):
        self.split = split
        self.features = np.load(f"{folder}/{split}_features.npy", mmap_mode="r")
        self.labels = np.load(f"{folder}/{split}_labels.npy")
        self.manifest = json.load(open(f"{folder}/{split}.json"))
        settings = self.manifest["settings"]
        self.classes, self.row_shape, self.views = settings["classes"], settings["row_shape"], settings.get("views", 1)
        with open(f"{folder}/{split}_index.csv", newline="", encoding="utf-8") as lines:
            self.index = [line for line in csv.DictReader(lines) if line["status"] == "ok"]
        assert len(self.index) == len(self.features)
        width = int(np.prod(self.row_shape))
        self.flat = np.asarray(self.features).reshape(-1, width)
        self.lines = [(split, int(e["row"]), v, e["file"], e["class"], int(e["label"]), e["sha256"]) for e in self.index for v in range(self.views)]

    COLUMNS = ["split", "row", "view", "file", "class", "label", "sha256"]

    def check_lines(self, lines, who):
        assert [tuple(line) for line in lines] == self.lines, who

    def check_features(self, found, who, dtype=np.float32):
        found = np.ascontiguousarray(found)
        expected = self.flat.astype(dtype)
        assert found.dtype == dtype and found.shape == expected.shape, (who, found.dtype, found.shape, expected.shape)
        assert found.tobytes() == expected.tobytes(), who


def check_metadata(cache, pairs):
    assert json.loads(pairs["classes"]) == cache.classes
    assert json.loads(pairs["row_shape"]) == cache.row_shape
    manifest = json.loads(pairs["manifest"])
    assert manifest == {k: v for k, v in cache.manifest.items() if k not in ("block_rows", "block_sha256")}


def check_parquet(cache, path):
    table = pq.read_table(path)
    assert table.column_names == Cache.COLUMNS + ["features"]
    check_metadata(cache, {k.decode().removeprefix("feature-cache."): v for k, v in table.schema.metadata.items() if k.startswith(b"feature-cache.")})
    cache.check_lines(zip(*(table[name].to_pylist() for name in Cache.COLUMNS)), "pyarrow")
    width = cache.flat.shape[1]
    lists = table["features"].combine_chunks()
    assert lists.type.value_type == pa.float32() and not table.schema.field("features").nullable
    values = lists.values.to_numpy() if len(lists) else np.zeros(0, np.float32)
    cache.check_features(values.reshape(-1, width), "pyarrow")
    frame = pd.read_parquet(path)
    cache.check_lines(frame[Cache.COLUMNS].itertuples(index=False, name=None), "pandas")
    if len(frame):
        cache.check_features(np.stack(frame["features"]), "pandas")
    if QUICK:
        return
    import duckdb
    import polars as pl

    frame = pl.read_parquet(path)
    cache.check_lines(frame.select(Cache.COLUMNS).iter_rows(), "polars")
    if len(frame):
        cache.check_features(frame["features"].explode().to_numpy().reshape(-1, width), "polars")
    rows = duckdb.execute("select * from read_parquet(?) order by row, view", [path]).fetchall()
    cache.check_lines([row[:-1] for row in rows], "duckdb")
    if rows:
        cache.check_features(np.array([row[-1] for row in rows], np.float32), "duckdb")


def check_csv(cache, path):
    width = cache.flat.shape[1]
    names = [f"f{i}" for i in range(width)]
    text = {name: str for name in ("split", "file", "class", "sha256")}
    numbers = {name: np.float32 for name in names}
    # Only numbers may be NaN: a class may have that name.
    missing = {name: ["NaN"] for name in names}
    frame = pd.read_csv(path, dtype={**text, **numbers}, keep_default_na=False, na_values=missing, float_precision="round_trip")
    assert list(frame.columns) == Cache.COLUMNS + names
    cache.check_lines(frame[Cache.COLUMNS].itertuples(index=False, name=None), "pandas csv")
    cache.check_features(frame[names].to_numpy(np.float32), "pandas csv")
    with open(path, newline="", encoding="utf-8") as lines:
        reader = csv.reader(lines)
        next(reader)
        values = np.array([[np.float32(cell) for cell in line[7:]] for line in reader], np.float32).reshape(-1, width)
    cache.check_features(values, "csv module")


def check_safetensors(cache, path):
    with safe_open(path, framework="np") as file:
        pairs = file.metadata()
        features, labels = file.get_tensor("features"), file.get_tensor("labels")
    assert features.shape == cache.features.shape and features.dtype == cache.features.dtype
    assert features.tobytes() == cache.features.tobytes() and labels.tobytes() == cache.labels.tobytes()
    assert json.loads(pairs["files"]) == [entry["file"] for entry in cache.index] and pairs["split"] == cache.split
    check_metadata(cache, pairs)


def check_embedding_reader(cache, folder):
    arrays, tables = (sorted(glob.glob(f"{folder}/{kind}")) for kind in ("embeddings/*.npy", "metadata/*.parquet"))
    assert arrays and len(arrays) == len(tables)
    found = np.concatenate([np.load(path) for path in arrays])
    cache.check_features(found, "parts", cache.features.dtype)
    lines = pa.concat_tables([pq.read_table(path) for path in tables])
    cache.check_lines(zip(*(lines[name].to_pylist() for name in Cache.COLUMNS)), "parts")
    if QUICK or not len(found):
        return
    from embedding_reader import EmbeddingReader

    reader = EmbeddingReader(f"{folder}/embeddings", "parquet_npy", metadata_folder=f"{folder}/metadata", meta_columns=Cache.COLUMNS)
    assert (reader.count, reader.dimension) == cache.flat.shape
    got, lines = [], []
    for values, frame in reader(batch_size=7, show_progress=False):
        got.append(np.array(values))
        lines += frame[Cache.COLUMNS].itertuples(index=False, name=None)
    # Its batches are f32, whatever the parts are.
    cache.check_features(np.concatenate(got), "embedding-reader")
    cache.check_lines(lines, "embedding-reader")


CHECKS = {"parquet": check_parquet, "csv": check_csv, "safetensors": check_safetensors, "embedding-reader": check_embedding_reader}


def export_all(features, name, splits):
    for kind, check in CHECKS.items():
        output = f"{WORK}/{name}-{kind}"
        run("cache", "export", "--features", features, "--format", kind, "--output", output)
        ending = "" if kind == "embedding-reader" else f".{kind}"
        assert sorted(os.listdir(output)) == sorted(split + ending for split in splits)
        for split in splits:
            check(Cache(features, split), f"{output}/{split}{ending}")
    print(f"{name}: {', '.join(CHECKS)} as the arrays, bit by bit")


def extract(data, features, *flags, code=3):
    run("extract", "--data", data, "--features", features, "--weights", "random:0", "--image-size", "32", "--layer", "block2_pool", *flags, code=code)


def bare(folder, split, features, classes=("a", "b"), name=lambda i: f"c/{i:07d}.jpg"):
    """A cache by hand, by docs/formats.md: any number of rows in no time."""
    os.makedirs(folder, exist_ok=True)
    features = np.ascontiguousarray(features)
    count = len(features)
    labels = np.arange(count, dtype=np.int64) % len(classes)

    def save(kind, array):
        # numpy's own header, but for the one byte order mark that it writes as the format wants it.
        np.save(f"{folder}/{split}_{kind}.npy", array)

    save("features", features)
    save("labels", labels)
    with open(f"{folder}/{split}_index.csv", "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow("row file class label status reason width height bytes sha256 phash".split())
        for i, label in enumerate(labels):
            writer.writerow([i, name(i), classes[label], label, "ok", "", 1, 1, 1, hashlib.sha256(b"%d" % i).hexdigest(), ""])
    digest = hashlib.sha256()
    for i, label in enumerate(labels):
        digest.update(f"{label}\t{name(i)}\0".encode())

    def record(end, sha=True):
        path = f"{folder}/{split}{end}"
        found = {"name": os.path.basename(path), "bytes": os.path.getsize(path)}
        if sha:
            found["sha256"] = hashlib.sha256(open(path, "rb").read()).hexdigest()
        return found

    row = int(np.prod(features.shape[1:])) * features.itemsize
    offset = os.path.getsize(f"{folder}/{split}_features.npy") - features.nbytes
    rows = max(1, (4 << 20) // max(row, 1))
    settings = {
        "numerics": 1, "backbone": "vgg16", "layer": "block5_pool", "pooling": "avg", "weights": {"name": "w", "sha256": "0", "preprocess": "torch"},
        "image_size": [32, 32], "interpolation": "bilinear", "preprocess": "torch", "precision": "highest", "engine": "cpu", "isa_or_gpu": "none",
        "dtype": {"<f4": "f32", "<f2": "f16"}[features.dtype.str], "classes": list(classes), "row_shape": list(features.shape[1:]),
    }
    manifest = {
        "format": "feature-cache", "format_version": 2, "split": split, "settings": settings, "shape": list(features.shape), "rows": count, "skipped": 0,
        "inputs": count, "class_counts": [int((labels == i).sum()) for i in range(len(classes))], "inputs_total": count, "inputs_sha256": digest.hexdigest(),
        "shard": None, "files": {"features": record("_features.npy", False), "labels": record("_labels.npy"), "index": record("_index.csv")},
        "data_offset": offset, "block_rows": rows, "block_sha256": [hashlib.sha256(features[i : i + rows].tobytes()).hexdigest() for i in range(0, count, rows)],
        "run": json.load(open(f"{WORK}/features/train.json"))["run"],
    }
    json.dump(manifest, open(f"{folder}/{split}.json", "w"))


def peak(*args):
    """Peak of the memory that is no file, in MiB, sampled; seconds."""
    begun = time.time()
    process = subprocess.Popen([os.path.join(BIN, "cache"), *args], stdout=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        try:
            status = open(f"/proc/{process.pid}/status").read()
            most = max([most] + [int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")])
        except OSError:
            break
        time.sleep(0.002)
    assert process.wait() == 0, args
    return most / 1024, time.time() - begun


def memory():
    """It does not grow with the rows: ten times as many take at most as much again as the blocks in hand differ."""
    width, small, large = 64, 10 * 65_536 // 8, 10 * 65_536
    generator = np.random.default_rng(0)
    for count in (small, large):
        bare(f"{WORK}/rows-{count}", "train", np.maximum(generator.standard_normal((count, width), np.float32), 0))
    for kind in CHECKS:
        found = []
        for count in (small, large):
            output = f"{WORK}/out-{count}-{kind}"
            mib, seconds = peak("export", "--features", f"{WORK}/rows-{count}", "--format", kind, "--output", output)
            found.append(mib)
            print(f"{kind}: {count} rows of {width}: at most {mib:.0f} MiB that are no file, {seconds:.1f} s")
            if count == small:
                check = Cache(f"{WORK}/rows-{count}", "train")
                if kind == "parquet":
                    check_parquet(check, f"{output}/train.parquet")
                elif kind == "embedding-reader":
                    check_embedding_reader(check, f"{output}/train")
        # 8 bytes a label, and the header of safetensors.
        grown = (large - small) * (8 + (80 if kind == "safetensors" else 0)) / 2**20
        assert found[1] < found[0] * 1.5 + grown + 16, (kind, found)


def nearest(features):
    """The recipes of docs/tables.md: nearest neighbours by FAISS and LanceDB, joined by file."""
    import faiss
    import lancedb

    cache = Cache(features, "train")
    path = f"{WORK}/{os.path.basename(features)}-parquet/train.parquet"
    table = pq.read_table(path)
    lists = table["features"].combine_chunks()
    vectors = lists.values.to_numpy().reshape(len(lists), -1)
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)
    _, found = index.search(vectors[:5], 1)
    files = table["file"].to_pylist()
    assert [files[i] for i in found[:, 0]] == [line[3] for line in cache.lines[:5]]

    db = lancedb.connect(f"{WORK}/lance")
    fixed = pa.FixedSizeListArray.from_arrays(lists.values, vectors.shape[1])
    rows = db.create_table("train", table.set_column(table.column_names.index("features"), "vector", fixed))
    best = rows.search(vectors[3]).limit(1).select(["file", "class"]).to_list()
    assert best[0]["file"] == cache.lines[3][3] and best[0]["class"] == cache.lines[3][4], best
    print("faiss and lancedb find each picture by its features")


def predictions(data, features):
    head, path = f"{WORK}/head", f"{WORK}/predictions.parquet"
    run("fit-head", "--features", features, "--head", head, "--epochs", "1", "--hidden", "4")
    flags = ["--head", head, "--top", "2"]
    tests = os.path.join(data, "test")
    assert run("predict", *flags, "--parquet", path, tests) == ""
    rows = pq.read_table(path).to_pylist()
    lines = list(csv.DictReader(run("predict", *flags, "--csv", tests).splitlines(keepends=True)))
    assert len(rows) == len(lines) == 2 * 2 * len(NAMES)
    for row, line in zip(rows, lines):
        assert list(row) == ["file", "rank", "class", "probability", "error"]
        # CSV escapes what begins a formula; a path with the folder in front doesn't.
        assert row["file"] == line["file"] and row["class"] == line["class"] and row["rank"] == int(line["rank"])
        assert np.float32(row["probability"]).tobytes() == np.float32(line["probability"]).tobytes() and row["error"] is None
    bad = os.path.join(data, "train", "=dogs", "bad,\n.png")
    run("predict", *flags, "--parquet", path, bad, os.path.join(data, "test", "=dogs", "plain0.ppm"), code=3)
    rows = pq.read_table(path).to_pylist()
    assert sorted(row["error"] is None for row in rows) == [False, True, True]
    print("predict --parquet as --csv")


def main():
    data, features = f"{WORK}/data", f"{WORK}/features"
    pictures(data)
    extract(data, features)
    export_all(features, "features", ["test", "train"])
    extract(data, f"{WORK}/half", "--dtype", "f16")
    export_all(f"{WORK}/half", "half", ["test", "train"])
    extract(data, f"{WORK}/views", "--augment", "--views", "2")
    export_all(f"{WORK}/views", "views", ["test", "train"])
    odd = np.array([[np.nan, np.inf, -np.inf, -0.0], [1e-45, 3.4028235e38, 0.1, 16777217]], np.float32)
    bare(f"{WORK}/odd", "train", odd)
    bare(f"{WORK}/odd", "empty", np.zeros((0, 4), np.float32))
    export_all(f"{WORK}/odd", "odd", ["empty", "train"])
    predictions(data, features)
    if not QUICK:
        nearest(features)
        memory()
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"all as it should be ({mib:.0f} MiB here)")


main()
