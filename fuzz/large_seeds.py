#!/usr/bin/env python3
"""Makes large seeds in fuzz/found/, which git ignores: hundreds of kilobytes each, so that the fuzzer gets beyond the size
of what is committed in corpus/.

    python3 -m venv venv && venv/bin/pip install numpy h5py
    venv/bin/python fuzz/large_seeds.py

scripts/fuzz.sh runs it. Each seed has much of one thing: entries, rows, datasets, scans, chunks, nesting. What is in corpus/
is repeated where that does; nothing else is read. The same seeds come out each time.
"""

import collections
import io
import json
import os
import pickle
import struct
import sys
import types
import warnings
import zipfile
import zlib

import h5py
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
LARGEST = 1 << 20
noise = np.random.default_rng(1)
# A zip file with one name many times is what is wanted.
warnings.filterwarnings("ignore", "Duplicate name")


def read(target, name):
    with open(os.path.join(HERE, "corpus", target, name), "rb") as f:
        return f.read()


def seed(target, name, data):
    if isinstance(data, str):
        data = data.encode()
    if len(data) > LARGEST:
        sys.exit(f"{target}/{name}: expected at most {LARGEST} bytes, found {len(data)}")
    folder = os.path.join(HERE, "found", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "large-" + name), "wb") as f:
        f.write(data)


# --- cache ---
def npy(array, version=None):
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=version)
    return data.getvalue()


def npy_text(text, version):
    header = text.encode()
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header


def cache():
    seed("labels", "many", npy(noise.integers(0, 2, 120_000).astype("<i8")))
    seed("npy_header", "padded-1", npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (8, 64), }" + " " * 65_000 + "\n", 1))
    seed("npy_header", "padded-2", npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (8, 64), }" + " " * 700_000 + "\n", 2))
    seed("npy_header", "extents", npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 20_000 + "), }\n", 1))
    seed("npy_header", "extents-2", npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 200_000 + "), }\n", 2))
    seed("npy_header", "nested", npy_text("{'descr': " + "(" * 60_000 + "\n", 1))
    seed("npy_header", "data", npy(noise.random((300, 200), np.float32)))

    seed("names", "escaped", "a/" + "\\x0a\\xff\\\\ü" * 40_000 + ".jpg")
    seed("names", "deep", "/".join(["d"] * 200_000))
    seed("names", "plain", "n" * 500_000)

    head, *lines = read("index", "some.csv").decode().splitlines()
    ok = lines[0].split(",")[-8:]
    rows = [head]
    for i in range(5000):
        kind = i * 2 // 5000
        rows.append(",".join([str(i), f"{['cats', 'dogs'][kind]}/{i:06}.jpg", ["cats", "dogs"][kind], str(kind), *ok[-7:]]))
    seed("index", "rows", "\n".join(rows) + "\n")
    seed("index", "quoted", head + "\n" + '0,"' + 'ä""' * 100_000 + '.ppm",cats,0,' + ",".join(ok[-7:]) + "\n")
    seed("index", "skipped", head + "\n" + "".join(f",cats/{i:06}.jpg,cats,0,skipped,truncated JPEG,,,,,\n" for i in range(12_000)))
    seed("index", "fields", head + "," * 400_000 + "\n")
    seed("index", "ends", head + "\n" * 500_000)

    manifest = json.loads(read("manifest", "some.json"))
    many = json.loads(json.dumps(manifest))
    many["settings"]["classes"] = [f"class {i:06}" for i in range(20_000)]
    many["class_counts"] = [0] * 20_000
    many["class_counts"][:2] = [4, 4]
    seed("manifest", "classes", json.dumps(many))
    many = json.loads(json.dumps(manifest))
    many["block_sha256"] = [f"{i:064x}" for i in range(10_000)]
    seed("manifest", "blocks", json.dumps(many))
    many = json.loads(json.dumps(manifest))
    many["run"]["extra"]["nested"] = "HERE"
    seed("manifest", "nested", json.dumps(many).replace('"HERE"', "[" * 100_000 + "]" * 100_000))
    many["run"]["extra"] = {f"key {i}": i for i in range(30_000)}
    seed("manifest", "extra", json.dumps(many))
    many["run"]["extra"] = {"number": "HERE"}
    seed("manifest", "number", json.dumps(many).replace('"HERE"', "1" * 400_000))
    many["run"]["extra"] = {"text": "\u0007" * 150_000}
    seed("manifest", "escapes", json.dumps(many))

    # Lines of a journal without their checksums, which the target puts right.
    lines = read("journal", "lines").decode().split("\n")
    header = json.loads(lines[0])
    row = json.loads(next(line for line in lines if line.startswith('{"row"')))["row"][1]

    def journal(name, count, more):
        header["head"]["inputs_total"] = count
        inputs = [json.dumps({"input": [f"cats/{i:05}.jpg", i * 2 // count]}) for i in range(count)]
        session = json.dumps({"session": {"started_unix": 1}})
        seed("journal", name, "\n".join([json.dumps(header), *inputs, session, *more]))

    def rows(numbers):
        return [json.dumps({"row": [i, row]}, separators=(",", ":")) for i in numbers]

    skip = {"reason": "truncated JPEG", "stamp": None, "sha256": None}

    def skips(numbers):
        return [json.dumps({"skip": [i, skip]}, separators=(",", ":")) for i in numbers]

    compaction = ['"compact"', '"compacted"', '"commit"']
    journal("rows", 2000, rows(range(2000)))
    journal("skips", 4000, skips(range(4000)))
    journal("twice", 1000, rows(range(1000)) + rows(range(1000)))
    journal("compactions", 1500, rows(range(1499)) + skips([1499]) + compaction * 12_000)
    journal("compactions-between", 700, [line for i in range(700) for line in (skips([i]) if i % 2 else rows([i])) + compaction])
    journal("sessions", 2, ['{"session":{"started_unix":1}}'] * 20_000)
    journal("inputs", 12_000, [])
    journal("long", 1, ['{"input":["' + "x" * 600_000 + '",0]}'])

    body, tensors = read("head", "hidden").split(b"\0", 1)
    body = json.loads(body)

    def head_file(name, body, shapes):
        entries, at = {}, 0
        for key, shape in shapes.items():
            size = 4 * int(np.prod(shape))
            entries[key] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
            at += size
        listed = json.dumps(entries).encode()
        listed += b" " * (-len(listed) % 8)
        values = noise.normal(0, 0.1, at // 4).astype("<f4").tobytes()
        seed("head", name, json.dumps(body).encode() + b"\0" + struct.pack("<Q", len(listed)) + listed + values)

    def head(name, hidden, classes=2):
        new = json.loads(json.dumps(body))
        labels = ["cats", "dogs"] if classes == 2 else [f"class {i:05}" for i in range(classes)]
        new["classes"] = new["training"]["config"]["class_names"] = labels
        new["training"]["config"]["hidden"] = hidden
        outputs = 1 if classes == 2 else classes
        sizes, new["layers"], shapes = [64, *hidden, outputs], [], {}
        for i, (inputs, width) in enumerate(zip(sizes, sizes[1:])):
            layer = "dense" if i == 0 else f"dense_{i}"
            last = "sigmoid" if classes == 2 else "softmax"
            activation = last if i + 2 == len(sizes) else "relu"
            new["layers"].append({"name": layer, "inputs": inputs, "outputs": width, "activation": activation})
            shapes[layer + "/bias"], shapes[layer + "/kernel"] = [width], [inputs, width]
        return name, new, dict(sorted(shapes.items()))

    head_file(*head("wide", [2000]))
    head_file(*head("layers", [3] * 1500))
    head_file(*head("classes", [8], 9000))
    name, new, shapes = head("history", [3])
    new["training"]["history"] *= 2500
    head_file(name, new, shapes)


# --- images ---
def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, before=b"", interlaced=0, parts=1 << 16):
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = zlib.compress(rows, 6)
    chunks = b"".join(png_chunk(b"IDAT", data[i : i + parts]) for i in range(0, len(data), parts))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + before + chunks + png_chunk(b"IEND", b"")


def lines_of(width, height, channels):
    return b"".join(bytes([i % 5]) + noise.bytes(width * channels) for i in range(height))


def images():
    seed("images", "noise.png", png(400, 300, 8, 2, lines_of(400, 300, 3)))
    seed("images", "parts.png", png(200, 150, 8, 2, lines_of(200, 150, 3), parts=7))
    seed("images", "flat.png", png(2500, 2500, 8, 0, (b"\0" + b"\x55" * 2500) * 2500))
    seed("images", "interlaced.png", png(300, 200, 8, 6, noise.bytes(300 * 200 * 4 + 2000), interlaced=1))
    seed("images", "chunks.png", png(9, 8, 8, 2, lines_of(9, 8, 3), before=png_chunk(b"tEXt", b"k\0v") * 20_000))
    text = zlib.compress(bytes(50_000_000), 9)
    seed("images", "text.png", png(9, 8, 8, 2, lines_of(9, 8, 3), before=png_chunk(b"zTXt", b"k\0\0" + text) * 5))
    seed("images", "profile.png", png(9, 8, 8, 2, lines_of(9, 8, 3), before=png_chunk(b"iCCP", b"k\0\0" + text)))

    pixels = noise.bytes(400 * 300 * 3)
    seed("images", "noise.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + len(pixels), 0, 54, 40, 400, 300, 1, 24, 0, len(pixels), 0, 0, 0, 0) + pixels)
    runs = b"\x01\x05" * 250_000 + b"\0\x01"
    palette = bytes(1024)
    seed("images", "runs.bmp", b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + 1024 + len(runs), 0, 54 + 1024, 40, 1000, 250, 1, 8, 1, len(runs), 0, 0, 256, 0) + palette + runs)
    seed("images", "noise.ppm", b"P6 400 300 255\n" + pixels)
    seed("images", "plain.ppm", b"P3 200 200 255\n" + b" ".join(str(v).encode() for v in pixels[: 200 * 200 * 3]))
    seed("images", "comments.ppm", b"P6\n" + b"# comment\n" * 50_000 + b"9 8 255\n" + pixels[: 9 * 8 * 3])
    seed("images", "bits.pbm", b"P4 2000 1500\n" + pixels[: 250 * 1500])

    jpeg = read("images", "sampling420.jpg")
    frame = next(i for i in range(len(jpeg)) if jpeg[i : i + 2] in (b"\xff\xc0", b"\xff\xc1"))
    scan = jpeg.index(b"\xff\xda")
    start = scan + 2 + struct.unpack(">H", jpeg[scan + 2 : scan + 4])[0]
    wide = jpeg[: frame + 5] + struct.pack(">HH", 1500, 2000) + jpeg[frame + 9 : start]
    coded = bytes(b for b in noise.bytes(400_000) if b != 0xFF)
    seed("images", "noise.jpg", wide + coded + b"\xff\xd9")
    seed("images", "comments.jpg", jpeg[:2] + (b"\xff\xfe\0\x06abcd" * 60_000) + jpeg[2:])
    seed("images", "profiles.jpg", jpeg[:2] + (b"\xff\xe2" + struct.pack(">H", 65_000) + b"ICC_PROFILE\0\1\7" + bytes(64_984)) * 7 + jpeg[2:])
    seed("images", "trailing.jpg", jpeg + noise.bytes(500_000))
    tables = next(i for i in range(len(jpeg)) if jpeg[i : i + 2] == b"\xff\xc4")
    table = jpeg[tables : tables + 2 + struct.unpack(">H", jpeg[tables + 2 : tables + 4])[0]]
    seed("images", "tables.jpg", jpeg[:2] + table * (500_000 // len(table)) + jpeg[2:])
    progressive = read("images", "progressive422.jpg")
    last = progressive.rindex(b"\xff\xda")
    seed("images", "scans.jpg", progressive[:last] + progressive[last:-2] * (400_000 // len(progressive[last:-2])) + b"\xff\xd9")
    frame = progressive.index(b"\xff\xc2")
    big = progressive[: frame + 5] + struct.pack(">HH", 1000, 1000) + progressive[frame + 9 : last]
    seed("images", "large-scans.jpg", big + progressive[last:-2] * 300 + b"\xff\xd9")

    gif = read("images", "animated.gif")
    at = 13 + (3 << ((gif[10] & 7) + 1) if gif[10] & 0x80 else 0)
    seed("images", "frames.gif", gif[:at] + gif[at:-1] * (400_000 // len(gif[at:-1])) + b";")
    blocks = b"".join(b"\xff" + noise.bytes(255) for _ in range(1500)) + b"\0"
    seed("images", "noise.gif", b"GIF89a" + struct.pack("<HHBBB", 800, 600, 0xF7, 0, 0) + noise.bytes(768) + b"," + struct.pack("<HHHHB", 0, 0, 800, 600, 0) + b"\x08" + blocks + b";")
    seed("images", "comments.gif", gif[:at] + b"!\xfe\x01a\0" * 80_000 + gif[at:])

    def tiff(entries, tail, repeat=1, link=0):
        out, at = b"II*\0" + struct.pack("<I", 8), 8
        size = 2 + 12 * len(entries) + 4
        for i in range(repeat):
            following = at + size if i + 1 < repeat else link
            out += struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries) + struct.pack("<I", following)
            at += size
        return out + tail

    def grey(width, height, strips, compression=1, rows=None):
        """Entries of a grey picture whose strips' places and lengths begin at the first two of `strips`."""
        count, places, lengths = strips
        return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression), (262, 3, 1, 1),
                (273, 4, count, places), (277, 3, 1, 1), (278, 4, 1, rows or height), (279, 4, count, lengths)]

    end = 8 + 2 + 12 * 9 + 4
    lists = struct.pack("<20000I", *[end + 160_000 + i for i in range(20_000)]) + struct.pack("<20000I", *[1] * 20_000)
    seed("images", "strips.tif", tiff(grey(1, 20_000, (20_000, end, end + 80_000), rows=1), lists + noise.bytes(20_000)))
    same = struct.pack("<20000I", *[end + 160_000] * 20_000) + struct.pack("<20000I", *[10_000] * 20_000)
    seed("images", "same-strip.tif", tiff(grey(10_000, 20_000, (20_000, end, end + 80_000), rows=1), same + noise.bytes(10_000)))
    many = 8 + (2 + 12 * 9 + 4) * 4000
    seed("images", "directories.tif", tiff(grey(8, 8, (1, many, 64)), bytes(64), repeat=4000))
    seed("images", "loop.tif", tiff(grey(8, 8, (1, many, 64)), bytes(64), repeat=4000, link=8))
    packed = b"\x81\x55" * 200_000
    seed("images", "packbits.tif", tiff(grey(5000, 5000, (1, end, len(packed)), 32773), packed))
    deflated = zlib.compress(noise.bytes(300_000))
    seed("images", "deflated.tif", tiff(grey(600, 500, (1, end, len(deflated)), 8), deflated))

    webp = read("images", "lossless.webp")
    body = webp[12:] + (b"JUNK" + struct.pack("<I", 2) + b"ab") * 50_000
    seed("images", "chunks.webp", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)
    for name, kind in ("lossless", b"VP8L"), ("lossy", b"VP8 "):
        webp = read("images", name + ".webp")
        at = webp.index(kind)
        data = bytearray(webp[at + 8 :])
        if kind == b"VP8L":
            data[1:5] = struct.pack("<I", 1499 | 1199 << 14)
        else:
            data[6:10] = struct.pack("<HH", 1500, 1200)
        data += noise.bytes(400_000)
        body = kind + struct.pack("<I", len(data)) + bytes(data)
        seed("images", f"noise-{name}.webp", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)


# --- weights ---
def safetensors():
    def file(name, header, data=b""):
        header = header if isinstance(header, bytes) else json.dumps(header).encode()
        seed("safetensors", name, struct.pack("<Q", len(header)) + header + data)

    file("tensors", {f"layer.{i}.weight": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i in range(8000)}, bytes(32_000))
    file("empty", {f"layer.{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(9000)})
    one = {"features.0.weight": {"dtype": "F32", "shape": [400, 400], "data_offsets": [0, 640_000]}}
    file("data", one, noise.bytes(640_000))
    file("padded", json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode() + b" " * 700_000, bytes(4))
    file("metadata", {"__metadata__": {f"key {i}": "value" for i in range(20_000)}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    file("extents", {"a": {"dtype": "F32", "shape": [1] * 150_000, "data_offsets": [0, 4]}}, bytes(4))
    file("nested", b'{"a":' + b"[" * 300_000)
    file("same", b"{" + b",".join([b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'] * 10_000) + b"}", bytes(4))


def zip_file(entries, method=zipfile.ZIP_STORED):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as z:
        for entry, content in entries:
            z.writestr(zipfile.ZipInfo(entry, (1980, 1, 1, 0, 0, 0)), content, compress_type=method)
    return data.getvalue()


def npz():
    small = npy(np.zeros((2, 3), np.float32))
    seed("npz", "entries", zip_file((f"layer{i}.npy", small) for i in range(2500)))
    seed("npz", "entries-deflated", zip_file(((f"layer{i}.npy", small) for i in range(3500)), zipfile.ZIP_DEFLATED))
    seed("npz", "data", zip_file([("features.0.weight.npy", npy(noise.random((300, 400), np.float32)))], zipfile.ZIP_DEFLATED))
    seed("npz", "zeros", zip_file([(f"k{i}.npy", npy(np.zeros(1 << 20, np.float32))) for i in range(16)], zipfile.ZIP_DEFLATED))
    seed("npz", "beyond", zip_file([(f"k{i}.npy", small + bytes(30_000_000)) for i in range(16)], zipfile.ZIP_DEFLATED))
    seed("npz", "same-name", zip_file([("k.npy", small)] * 2000))
    seed("npz", "long-names", zip_file([("n" * 60_000 + f"{i}.npy", small) for i in range(8)]))
    seed("npz", "padded-header", zip_file([(f"k{i}.npy", npy_text("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" + " " * 65_000 + "\n", 1) + bytes(4)) for i in range(12)]))
    seed("npz", "comment", zip_file([("k.npy", small)])[:-2] + struct.pack("<H", 65_535) + b"PK\5\6" * 16_383 + b"PKP")


def numpy_pickle():
    def dump(name, value, protocol):
        seed("numpy_pickle", name, pickle.dumps(value, protocol))

    small = {f"params/layer_{i}/kernel": np.full((1, 2), i, np.float32) for i in range(2500)}
    for protocol in (2, 4, 5):
        dump(f"arrays-p{protocol}", small, protocol)
    dump("nested-dicts", {f"layer_{i}": {"kernel": np.zeros((2, 2), np.float32), "bias": np.zeros(2, np.float32)} for i in range(1500)}, 4)
    dump("data", {"kernel": noise.random((300, 400), np.float32)}, 4)
    dump("text-data-p2", {"kernel": noise.random((150, 400), np.float32)}, 2)
    dump("numbers", {i: i for i in range(100_000)}, 4)
    dump("numbers-lists", {"a": list(range(150_000))}, 4)
    seed("numpy_pickle", "same-key", b"\x80\x04}(" + b"K\1K\2" * 200_000 + b"u.")
    seed("numpy_pickle", "one-by-one", b"\x80\x04}" + b"K\1K\2s" * 150_000 + b".")
    seed("numpy_pickle", "marks", b"\x80\x04" + b"(" * 500_000 + b".")
    seed("numpy_pickle", "nested-tuples", b"\x80\x04)" + b"\x85" * 500_000 + b".")
    seed("numpy_pickle", "nested-lists", b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".")
    seed("numpy_pickle", "nested-dicts-deep", b"\x80\x04}" + b"K\1}" * 100_000 + b"s" * 100_000 + b".")
    # Each tuple holds the one before twice: short to write, endless to walk.
    seed("numpy_pickle", "doubling", b"\x80\x04)\x94" + b"0h\0h\0\x86q\0" * 60_000 + b".")
    seed("numpy_pickle", "doubling-lists", b"\x80\x04]q\0" + b"h\0h\0\x86q\0" * 60_000 + b".")
    seed("numpy_pickle", "memos", b"\x80\x04N" + b"\x94" * 500_000 + b".")
    seed("numpy_pickle", "far-memo", b"\x80\x02N" + b"".join(b"r" + struct.pack("<I", i * 40_000) for i in range(60_000)) + b".")
    seed("numpy_pickle", "duplicates", b"\x80\x04N" + b"2" * 500_000 + b".")
    seed("numpy_pickle", "long-text", b"\x80\x04}X" + struct.pack("<I", 600_000) + b"x" * 600_000 + b"K\1s.")
    # One text of the memo as the key of many entries, and as many copies of it if it is copied.
    seed("numpy_pickle", "shared-text", b"\x80\x04}X" + struct.pack("<I", 100_000) + b"x" * 100_000 + b"\x94K\1s" + b"h\0K\1s" * 100_000 + b".")
    seed("numpy_pickle", "bytes", b"\x80\x04}" + b"".join(b"\x8c\x05%05dB" % i + struct.pack("<I", 200) + bytes(200) + b"s" for i in range(2500)) + b".")
    seed("numpy_pickle", "latin", b"\x80\x02}U\1kX" + struct.pack("<I", 600_000) + "é".encode() * 300_000 + b"s.")
    seed("numpy_pickle", "long-number", b"\x80\x04}K\1\x8b" + struct.pack("<I", 500_000) + b"\x7f" * 500_000 + b"s.")
    seed("numpy_pickle", "popped", b"\x80\x04" + b"".join(b"(" + b"N" * 100 + b"1" for _ in range(4000)) + b"}.")
    seed("numpy_pickle", "frames", b"\x80\x04" + (b"\x95" + struct.pack("<Q", 2) + b"N0") * 40_000 + b"}.")


def module(name, **members):
    made = sys.modules[name] = types.ModuleType(name)
    for key, value in members.items():
        setattr(made, key, value)
        value.__module__, value.__qualname__ = name, key


class FloatStorage:
    """Stands for torch's."""


def rebuild(*args):
    raise NotImplementedError


module("torch", FloatStorage=FloatStorage)
module("torch._utils", _rebuild_tensor_v2=rebuild)


class Storage:
    def __init__(self, key, size):
        self.key, self.size = key, size


class Tensor:
    def __init__(self, storage, offset, shape, stride):
        self.args = (storage, offset, shape, stride, False, collections.OrderedDict())

    def __reduce_ex__(self, protocol):
        return rebuild, self.args


class TorchPickler(pickle._Pickler):
    legacy = False

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        ids = ("storage", FloatStorage, value.key, "cpu", value.size)
        return ids + (None,) if self.legacy else ids


def torch_pickle(value, legacy=False):
    data = io.BytesIO()
    pickler = TorchPickler(data, protocol=2)
    pickler.legacy = legacy
    pickler.dump(value)
    return data.getvalue()


def torch():
    def zipped(name, tensors, storages, method=zipfile.ZIP_STORED, pickled=None):
        entries = [("archive/data.pkl", pickled or torch_pickle(collections.OrderedDict(tensors)))]
        entries += [("archive/data/" + key, data) for key, data in storages] + [("archive/version", b"3\n")]
        seed("torch_zip", name, zip_file(entries, method))

    def legacy(name, tensors, storages, pickled=None):
        sizes = {"short": 2, "int": 4, "long": 4}
        data = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
        data += pickle.dumps({"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}, 2)
        data += pickled or torch_pickle(collections.OrderedDict(tensors), True)
        data += pickle.dumps([key for key, _ in storages], 2)
        for _, values in storages:
            data += struct.pack("<q", len(values) // 4) + values
        seed("torch_legacy", name, data)

    def own(count):
        """Tensors with a storage each."""
        keys = [str(i) for i in range(count)]
        tensors = {f"layer.{k}.weight": Tensor(Storage(k, 4), 0, (2, 2), (2, 1)) for k in keys}
        return tensors, [(k, noise.bytes(16)) for k in keys]

    def shared(count, size, shape, stride):
        """Tensors that are all views of one storage."""
        storage = Storage("0", size)
        return {f"layer.{i}.weight": Tensor(storage, 0, shape, stride) for i in range(count)}

    zipped("storages", *own(2000))
    zipped("storages-deflated", *own(2000), method=zipfile.ZIP_DEFLATED)
    zipped("views", shared(4000, 4, (2, 2), (2, 1)), [("0", bytes(16))])
    # Inflated once a tensor, it would be gigabytes.
    zipped("views-deflated", shared(2000, 4 << 20, (4,), (1,)), [("0", bytes(16 << 20))], zipfile.ZIP_DEFLATED)
    zipped("views-whole", shared(16, 1 << 20, (1 << 10, 1 << 10), (1, 1 << 10)), [("0", bytes(4 << 20))], zipfile.ZIP_DEFLATED)
    zipped("stride-0", shared(16, 1, (1 << 10, 1 << 10), (0, 0)), [("0", bytes(4))])
    zipped("data", {"features.0.weight": Tensor(Storage("0", 100_000), 0, (250, 400), (400, 1))}, [("0", noise.bytes(400_000))])
    pickles = os.path.join(HERE, "found", "numpy_pickle")
    for name in "nested-tuples", "doubling", "same-key", "shared-text", "memos":
        with open(os.path.join(pickles, "large-" + name), "rb") as f:
            pickled = f.read()
        zipped("pickle-" + name, {}, [], zipfile.ZIP_STORED, pickled)
        legacy("pickle-" + name, {}, [], pickled)
    inflated = b"\x80\x02}" + b"K\1K\2s" * 5_000_000 + b"."
    zipped("pickle-inflated", {}, [], zipfile.ZIP_DEFLATED, inflated)
    legacy("storages", *own(2000))
    legacy("views", shared(4000, 4, (2, 2), (2, 1)), [("0", bytes(16))])
    legacy("views-whole", shared(16, 100_000, (250, 400), (1, 250)), [("0", noise.bytes(400_000))])
    legacy("stride-0", shared(16, 1, (1 << 10, 1 << 10), (0, 0)), [("0", bytes(4))])


def hdf5():
    def file(name, fill, **options):
        data = io.BytesIO()
        with h5py.File(data, "w", **options) as f:
            fill(f)
        seed("hdf5", name, data.getvalue())

    def datasets(count):
        def fill(f):
            for i in range(count):
                f.create_dataset(f"layer_{i:05}", data=np.float32([i]))

        return fill

    def nested(f):
        for i in range(400):
            f = f.create_group("g")
        f["kernel"] = np.zeros((2, 2), np.float32)

    def groups(f):
        for i in range(300):
            group = f.create_group(f"layer_{i}")
            group.attrs["weight_names"] = np.array([b"kernel:0"])
            group["kernel:0"] = np.zeros((1, 2), np.float32)

    def names(f):
        group = f.create_group("model_weights")
        for part in range(8):
            group.attrs[f"weight_names{part}"] = np.array([b"layer_%06d/kernel:0" % i for i in range(2000)])

    def chunks(f):
        f.create_dataset("k", data=noise.random(4000, np.float32), chunks=(2,), compression="gzip", fletcher32=True)

    def zeros(f):
        f.create_dataset("k", data=np.zeros((1024, 1024), np.float32), chunks=(64, 64), compression="gzip", shuffle=True)

    def growing(f):
        f.create_dataset("k", data=noise.random((200, 200), np.float32), chunks=(5, 5), maxshape=(None, None))

    def same(f):
        f["k"] = noise.random((100, 100), np.float32)
        for i in range(1500):
            f[f"link_{i}"] = f["k"]

    def soft(f):
        for i in range(2000):
            f[f"link_{i}"] = h5py.SoftLink(f"/link_{i + 1}")

    def missing(f):
        f.create_dataset("k", shape=(1024, 1024), dtype=np.float32, chunks=(1, 1), compression="gzip")

    for version in "earliest", "latest":
        for name, fill in {
            "datasets": datasets(800), "nested": nested, "groups": groups, "chunks": chunks, "zeros": zeros,
            "growing": growing, "same": same, "soft": soft, "missing": missing,
        }.items():
            file(f"{name}-{version}", fill, libver=version)
    file("names", names, libver="latest")
    file("data", lambda f: f.create_dataset("k", data=noise.random((300, 400), np.float32)))


cache()
images()
safetensors()
npz()
numpy_pickle()
torch()
hdf5()
