"""The demonstration's input: forty small files in as many formats, the same bytes every time.

Those that people write lie in ``demo/samples``; those that programs write are made here.
"""

import bz2
import gzip
import io
import lzma
import pickle
import sqlite3
import struct
import tarfile
import wave
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

WRITTEN: Final = Path(__file__).parent / "samples"


def _png() -> bytes:
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(64) for _ in range(3)) for y in range(64))
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def _bmp() -> bytes:
    pixels = b"".join(bytes((x * 4, y * 4, 128)) for y in range(48) for x in range(48))
    header = struct.pack("<IiiHHIIiiII", 40, 48, 48, 1, 24, 0, len(pixels), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + len(pixels), 0, 0, 54) + header + pixels


def _wav() -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(struct.pack("<h", (n * 400) % 20000 - 10000) for n in range(4000)))
    return buffer.getvalue()


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("readme.md", "gauges.json"):
            file.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), _written(name))
    return buffer.getvalue()


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in ("crc.c", "Makefile"):
            info = tarfile.TarInfo(f"gauge/{name}")
            info.size = len(_written(name))
            file.addfile(info, io.BytesIO(_written(name)))
    return buffer.getvalue()


def _sqlite() -> bytes:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "readings.db"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE readings (gauge TEXT, value REAL)")
        connection.executemany("INSERT INTO readings VALUES (?, ?)", [("inlet", n / 10) for n in range(200)])
        connection.commit()
        connection.close()
        return path.read_bytes()


def _pdf() -> bytes:
    stream = b"BT /F1 18 Tf 72 720 Td (Pump room log) Tj ET"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % font,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
    )
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(out))
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table) + trailer


def _gif() -> bytes:
    palette = bytes((level, level, level)[i] for level in range(0, 256, 2) for i in range(3))
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 16, 16, 0xF6, 0, 0)
        + palette
        + b",\0\0\0\0\x10\0\x10\0\0\x07\x02\x80\0\x81\0;"
    )


def _wasm() -> bytes:
    # One exported function that adds two 32-bit integers.
    return bytes.fromhex(
        "0061736d0100000001070160027f7f017f030201000707010361646400000a09010700200020016a0b000a046e616d650203010000"
    )


_MAKERS: Final[dict[str, Callable[[], bytes]]] = {
    "log.pdf": _pdf,
    "dial.png": _png,
    "dial.bmp": _bmp,
    "dial.gif": _gif,
    "tone.wav": _wav,
    "docs.zip": _zip,
    "source.tar": _tar,
    "readings.db": _sqlite,
    "add.wasm": _wasm,
    "gauges.json.gz": lambda: gzip.compress(_written("gauges.json") * 4, mtime=0),
    "gauges.csv.bz2": lambda: bz2.compress(_written("readings.csv")),
    "gauges.csv.xz": lambda: lzma.compress(_written("readings.csv")),
    "window.pickle": lambda: pickle.dumps({"window": [n / 7 for n in range(60)], "unit": "bar"}, protocol=4),
}


def make_samples() -> dict[str, bytes]:
    """Return the samples' contents by file name, sorted."""
    samples = {path.name: path.read_bytes() for path in WRITTEN.iterdir()}
    samples.update({name: make() for name, make in _MAKERS.items()})
    return dict(sorted(samples.items()))


def _written(name: str) -> bytes:
    return (WRITTEN / name).read_bytes()
