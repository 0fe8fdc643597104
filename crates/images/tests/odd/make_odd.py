"""Writes the odd images of this folder and what Pillow makes of them.

    pip install pillow==13.0.0 numpy && python make_odd.py

`cases.tsv` lists every file: its name, then width and height with Pillow's `Image.open(...).convert("RGB")` in
`<name>.rgb`, or `-` where Pillow refuses it. All pictures are drawn here from a formula.
"""

import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).parent
W, H = 19, 13
FILES = {}


def picture():
    """Smooth colours with an edge; RGB."""
    y, x = np.mgrid[0:H, 0:W]
    rgb = np.stack([x * 13 + y, 255 - y * 17 - x, (x * y * 5) % 256], -1)
    rgb[4:8, 5:11] = (250, 20, 40)
    return rgb.clip(0, 255).astype(np.uint8)


RGB = picture()
GREY = RGB[..., 0]
ALPHA = (np.arange(W * H).reshape(H, W) * 7 % 256).astype(np.uint8)


def save(name, image, **options):
    suffix = options.pop("format", name.rsplit(".", 1)[1])
    suffix = {"jpg": "jpeg", "tif": "tiff", "pgm": "ppm", "pbm": "ppm"}.get(suffix, suffix)
    stream = io.BytesIO()
    image.save(stream, suffix, **options)
    FILES[name] = stream.getvalue()


def png(width, height, depth, colour, rows, *extra):
    """A PNG by hand: rows are packed bytes without filter bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    chunks = b"".join(chunk(kind, data) for kind, data in extra)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpegs():
    rgb = Image.fromarray(RGB)
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save(f"sampling{name}.jpg", rgb, quality=85, subsampling=sampling)
        save(f"progressive{name}.jpg", rgb, quality=85, subsampling=sampling, progressive=True)
    save("grey.jpg", Image.fromarray(GREY), quality=90)
    save("greyprogressive.jpg", Image.fromarray(GREY), quality=90, progressive=True)
    save("cmyk.jpg", rgb.convert("CMYK"), quality=90)
    # Adobe's four-component file with YCCK: marker says transform 2.
    cmyk = np.dstack([255 - RGB, ALPHA // 3])
    save("cmykblack.jpg", Image.fromarray(cmyk, "CMYK"), quality=95)
    adobe = FILES["cmykblack.jpg"]
    at = adobe.index(b"Adobe") + 11
    FILES["ycck.jpg"] = adobe[:at] + b"\x02" + adobe[at + 1:]
    save("rgbjpeg.jpg", rgb, quality=90, keep_rgb=True)
    save("restarts.jpg", rgb, quality=85, restart_marker_blocks=1)
    save("optimised.jpg", rgb, quality=30, optimize=True)
    save("onepixel.jpg", Image.fromarray(RGB[:1, :1]))
    save("thin.jpg", Image.fromarray(RGB[:, :1]), quality=85)
    save("flat.jpg", Image.fromarray(RGB[:1]), quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("exifrotated.jpg", rgb, quality=85, exif=exif)
    whole = FILES["sampling420.jpg"]
    # What cameras and editors do: stray bytes before a marker, something after the end, fill bytes.
    FILES["extraneous.jpg"] = whole[:-2] + b"\0\0\x12\x34" + whole[-2:]
    FILES["trailing.jpg"] = whole + b"trailing bytes\0" * 9
    dqt = whole.index(b"\xff\xdb")
    FILES["fill.jpg"] = whole[:dqt] + b"\xff\xff\xff" + whole[dqt:]
    FILES["truncated.jpg"] = whole[: len(whole) * 4 // 5]
    FILES["noend.jpg"] = whole[:-2]
    FILES["headeronly.jpg"] = whole[: whole.index(b"\xff\xda")]
    progressive = FILES["progressive420.jpg"]
    FILES["truncatedprogressive.jpg"] = progressive[: len(progressive) * 3 // 4]
    sof = whole.index(b"\xff\xc0")
    FILES["bomb.jpg"] = whole[: sof + 5] + struct.pack(">HH", 30000, 30000) + whole[sof + 9:]
    FILES["nosize.jpg"] = whole[: sof + 5] + struct.pack(">HH", 0, 0) + whole[sof + 9:]


def pngs():
    rgb = Image.fromarray(RGB)
    save("rgb.png", rgb)
    save("grey.png", Image.fromarray(GREY))
    save("rgba.png", Image.fromarray(np.dstack([RGB, ALPHA])))
    save("greyalpha.png", Image.fromarray(np.dstack([GREY, ALPHA]), "LA"))
    save("onebit.png", Image.fromarray(GREY).convert("1"))
    palette = rgb.quantize(11)
    save("palette.png", palette)
    save("palettealpha.png", palette, transparency=3)
    save("onepixel.png", Image.fromarray(RGB[:1, :1]))
    wide = RGB.astype(np.uint16) * 257 + 100
    FILES["rgb16.png"] = png(W, H, 16, 2, [row.astype(">u2").tobytes() for row in wide.clip(0, 65535)])
    rgba = np.dstack([wide.clip(0, 65535), ALPHA.astype(np.uint16) * 200])
    FILES["rgba16.png"] = png(W, H, 16, 6, [row.astype(">u2").tobytes() for row in rgba])
    grey = (np.arange(W * H).reshape(H, W) * 263 % 65536).astype(">u2")
    FILES["grey16.png"] = png(W, H, 16, 0, [row.tobytes() for row in grey])
    FILES["grey16alpha.png"] = png(W, H, 16, 4, [np.stack([row, row[::-1]], -1).tobytes() for row in grey])
    for depth in (2, 4):
        rows = []
        for row in GREY >> (8 - depth):
            bits = "".join(f"{v:0{depth}b}" for v in row)
            bits += "0" * (-len(bits) % 8)
            rows.append(int(bits, 2).to_bytes(len(bits) // 8, "big"))
        FILES[f"grey{depth}.png"] = png(W, H, depth, 0, rows)
    FILES["greytrns.png"] = png(W, H, 8, 0, [row.tobytes() for row in GREY], (b"tRNS", b"\0\x0d"))
    # Indices past a palette of two colours.
    FILES["shortpalette.png"] = png(4, 1, 8, 3, [bytes([0, 1, 2, 200])], (b"PLTE", bytes([9, 8, 7, 60, 50, 40])))
    save("animated.png", rgb, save_all=True, append_images=[Image.fromarray(255 - RGB)])
    whole = FILES["rgb.png"]
    FILES["pngnamed.jpg"] = whole
    FILES["truncated.png"] = whole[: len(whole) * 2 // 3]
    FILES["noend.png"] = whole[:-12]
    FILES["bomb.png"] = png(30000, 30000, 8, 2, [])
    FILES["textnamed.jpg"] = b"this is no image\n"
    FILES["empty.jpg"] = b""


def others():
    rgb = Image.fromarray(RGB)
    grey = Image.fromarray(GREY)
    palette = rgb.quantize(11)
    save("palette.gif", palette)
    save("transparent.gif", palette, transparency=2)
    save("grey.gif", grey)
    save("animated.gif", palette, save_all=True, append_images=[Image.fromarray(255 - RGB).quantize(9)], duration=90)
    gif = FILES["transparent.gif"]
    # A first frame smaller than the canvas, and one that reaches over it.
    for name, canvas in (("smallframe.gif", (W + 6, H + 3)), ("largeframe.gif", (W - 4, H - 2))):
        FILES[name] = gif[:6] + struct.pack("<HH", *canvas) + gif[10:]
    FILES["truncated.gif"] = gif[: len(gif) * 3 // 4]
    FILES["noend.gif"] = gif[:-1]

    save("rgb.bmp", rgb)
    save("grey.bmp", grey)
    save("palette.bmp", palette)
    save("onebit.bmp", grey.convert("1"))
    save("rgba.bmp", Image.fromarray(np.dstack([RGB, ALPHA])))
    r, g, b = (RGB[..., i].astype(np.uint16) for i in range(3))
    for name, packed, masks in (
        ("bmp555.bmp", (r >> 3) << 10 | (g >> 3) << 5 | b >> 3, None),
        ("bmp565.bmp", (r >> 3) << 11 | (g >> 2) << 5 | b >> 3, (0xF800, 0x07E0, 0x001F)),
    ):
        rows = b"".join(row.astype("<u2").tobytes() + b"\0" * (-len(row) * 2 % 4) for row in packed[::-1])
        extra = struct.pack("<III", *masks) if masks else b""
        offset = 54 + len(extra)
        FILES[name] = (
            struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset)
            + struct.pack("<IiiHHIIiiII", 40, W, H, 1, 16, 3 if masks else 0, len(rows), 0, 0, 0, 0) + extra + rows
        )
    bmp = FILES["rgb.bmp"]
    flipped = np.frombuffer(bmp[54:], np.uint8).reshape(H, -1)[::-1].tobytes()
    FILES["topdown.bmp"] = bmp[:22] + struct.pack("<i", -H) + bmp[26:54] + flipped
    FILES["truncated.bmp"] = bmp[: len(bmp) // 2]
    FILES["bomb.bmp"] = bmp[:18] + struct.pack("<ii", 30000, 30000) + bmp[26:]

    save("lossless.webp", rgb, lossless=True, exact=True)
    save("losslessalpha.webp", Image.fromarray(np.dstack([RGB, ALPHA])), lossless=True, exact=True)
    save("lossy.webp", rgb, quality=80)
    save("lossyalpha.webp", Image.fromarray(np.dstack([RGB, ALPHA])), quality=60, exact=True)
    save("animated.webp", rgb, save_all=True, append_images=[Image.fromarray(255 - RGB)], lossless=True)
    FILES["truncated.webp"] = FILES["lossy.webp"][: len(FILES["lossy.webp"]) // 2]

    save("rgb.tif", rgb)
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        save(f"{compression}.tif", rgb, compression=compression)
    save("grey.tif", grey)
    save("rgba.tif", Image.fromarray(np.dstack([RGB, ALPHA])))
    save("palette.tif", palette)
    save("onebit.tif", grey.convert("1"))
    save("group4.tif", grey.convert("1"), compression="group4")
    save("cmyk.tif", Image.fromarray(np.dstack([255 - RGB, ALPHA // 3]), "CMYK"))
    save("float.tif", Image.fromarray(GREY.astype(np.float32)))
    save("grey16.tif", Image.fromarray((GREY.astype(np.uint16) * 200)))
    save("pages.tif", rgb, save_all=True, append_images=[Image.fromarray(255 - RGB)])
    FILES["truncated.tif"] = FILES["tiff_lzw.tif"][: len(FILES["tiff_lzw.tif"]) // 2]
    tif = FILES["rgb.tif"]

    save("rgb.ppm", rgb)
    save("grey.pgm", grey)
    save("onebit.pbm", grey.convert("1"))
    FILES["plain.ppm"] = b"P3 # comment\n2 2\n# more\n255\n1 2 3  4 5 6\n7 8 9  250 251 252\n"
    FILES["maxval.pgm"] = b"P5\n5 2\n100\n" + bytes([0, 1, 50, 99, 100, 33, 66, 20, 7, 80])
    FILES["plainmaxval.pgm"] = b"P2\n5 1\n15\n0 1 7 14 15\n"
    FILES["deep.pgm"] = b"P5\n4 1\n65535\n" + struct.pack(">4H", 0, 255, 40000, 65535)
    FILES["deep.ppm"] = b"P6\n2 1\n65535\n" + struct.pack(">6H", 0, 255, 40000, 65535, 128, 32896)
    FILES["plain.pbm"] = b"P1\n4 2\n1 0 0 1\n0110\n"
    FILES["truncated.ppm"] = FILES["rgb.ppm"][:200]


def main():
    jpegs()
    pngs()
    others()
    lines = []
    for old in HERE.glob("*.rgb"):
        old.unlink()
    for name, data in sorted(FILES.items()):
        (HERE / name).write_bytes(data)
        try:
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:
            lines.append(f"{name}\t-\t{type(error).__name__}: {str(error)[:60]}")
            continue
        (HERE / f"{name}.rgb").write_bytes(pixels.tobytes())
        lines.append(f"{name}\t{pixels.shape[1]}\t{pixels.shape[0]}")
    (HERE / "cases.tsv").write_text("\n".join(lines) + "\n")


main()
