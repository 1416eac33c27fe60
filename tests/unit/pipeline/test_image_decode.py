"""Image files against Pillow's own conversions and the formulas of the description; and files made to do harm."""

import base64
import io
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageOps

from edged.errors import TensorError
from edged.pipeline.kernels.decoding import decode_image, format_of, orientation_of, over, webp_size
from edged.pipeline.steps.base import MisfitError
from edged.pipeline.steps.image import DecodeImage
from tests.fakes.single_steps import spec
from tests.fakes.steps import run_step
from tests.golden.pipeline.vectors import texts

# In production the module itself silences them; pytest puts its own filters above those.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RANDOM = np.random.default_rng(3)
NOISE = RANDOM.integers(0, 256, (13, 17, 3), dtype=np.uint8)
SMOOTH = (np.add.outer(np.arange(24) * 5, np.arange(40) * 3)[..., np.newaxis] + np.array([0, 10, 20])).astype(np.uint8)
KINDS = {"bmp": "BMP", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}


def file_of(pixels, kind: str, **options) -> bytes:
    out = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(out, kind, **options)
    return out.getvalue()


def decode(data: bytes, **keys):
    step = DecodeImage(input="file", output="image", **keys)
    return run_step(step, {"file": texts(data)})["image"]


def decoded_or_refused(data: bytes, **keys):
    """Return the pixels, or the message of the error that is meant for the app; any other is raised."""
    try:
        return decode(data, **keys)
    except TensorError as exc:
        return exc.message


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file of given chunks between header and end."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = orientation
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_pixels_that_pillow_gives(kind):
    data = file_of(NOISE, KINDS[kind])

    got = decode(data)

    np.testing.assert_array_equal(got, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    assert decode(data, formats=(kind,)).tolist() == got.tolist()


@pytest.mark.parametrize(("kind", "options"), [("BMP", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_what_is_stored_without_loss_comes_back_as_it_was(kind, options):
    np.testing.assert_array_equal(decode(file_of(NOISE, kind, **options)), NOISE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgb_and_grey(mode):
    """Opaque ones, as Pillow converts them; but for 16 bits, which it clips."""
    image = Image.fromarray(NOISE)
    if mode == "I;16":
        deep = NOISE[..., 0].astype(np.uint16) * 256 + 77
        data, grey = file_of(deep, "PNG"), Image.fromarray(NOISE[..., 0])
    else:
        image = (
            image.quantize(16)
            if mode == "P"
            else image.quantize(16).convert("PA")
            if mode == "PA"
            else image.convert(mode)
        )
        data, grey = file_of(image.convert("P") if mode == "PA" else image, "PNG"), image.convert("RGB").convert("L")
        np.testing.assert_array_equal(decode(data), np.asarray(image.convert("RGB")))

    np.testing.assert_array_equal(decode(data, mode="grey")[..., 0], np.asarray(grey))
    assert decode(data).shape == (13, 17, 3)


def test_sixteen_bits_keep_the_upper_eight():
    deep = np.array([[0, 255, 256, 65535]], dtype=np.uint16)

    assert decode(file_of(deep, "PNG"), mode="grey").ravel().tolist() == [0, 0, 1, 255]
    rgb = zlib.compress(b"\x00" + struct.pack(">6H", 0, 255, 256, 32768, 65280, 65535))
    assert decode(png(2, 1, (b"IDAT", rgb), depth=16)).tolist() == [[[0, 0, 1], [128, 255, 255]]]


@pytest.mark.parametrize(("colour", "key"), [(0, (200,)), (2, (0, 0, 200))])
def test_the_transparent_colour_of_sixteen_bits_is_ignored(colour, key):
    """Pillow compares its 16 bits with the upper 8 of each pixel."""
    channels = len(key)
    body = zlib.compress(b"\x00" + struct.pack(f">{channels}H", *(value << 8 for value in key)))
    data = png(1, 1, (b"tRNS", struct.pack(f">{channels}H", *key)), (b"IDAT", body), depth=16, colour=colour)

    assert decode(data)[0, 0].tolist() == [*key] * (3 // channels)


@given(rgba=hnp.arrays(np.uint8, (4, 5, 4)), background=st.tuples(*[st.integers(0, 255)] * 3))
def test_transparency_shows_the_background(rgba, background):
    got = over(rgba, background)

    alpha = rgba[..., 3:].astype(int)
    exact = (rgba[..., :3] * alpha + np.array(background) * (255 - alpha)) / 255
    np.testing.assert_array_equal(got, np.floor(exact + 0.5))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["rgb", "grey"])
def test_a_transparent_image_lies_on_the_background_that_is_asked_for(kind, mode):
    rgba = RANDOM.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}

    got = decode(file_of(rgba, kind, **options), background=(1, 100, 200), mode=mode)

    mixed = Image.fromarray(over(rgba, (1, 100, 200)))
    np.testing.assert_array_equal(got.squeeze(), np.asarray(mixed.convert("RGB" if mode == "rgb" else "L")))


def test_colours_of_a_palette_may_be_transparent():
    image = Image.new("P", (3, 1))
    image.putdata([0, 1, 2])
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])

    got = decode(file_of(image, "PNG", transparency=bytes([255, 0, 128])), background=(0, 0, 0))

    assert got.tolist() == [[[255, 0, 0], [0, 0, 0], [0, 0, 128]]]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_an_image_is_turned_as_its_orientation_asks(orientation, kind):
    data = file_of(SMOOTH, kind, exif=exif(orientation))

    got = decode(data)

    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(got, np.asarray(upright.convert("RGB")))
    assert decode(data, orient=False).shape == (24, 40, 3)


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda data: b"Exif\x00\x00II*\x00" + data))
def test_damaged_exif_asks_for_nothing(data):
    assert orientation_of(data) in range(1, 9)


@pytest.mark.parametrize(
    ("entry", "orientation"),
    [
        (struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0), 6),
        (struct.pack("<HHIHH", 0x0112, 3, 1, 9, 0), 1),
        (struct.pack("<HHIHH", 0x0112, 4, 1, 6, 0), 1),
        (struct.pack("<HHIHH", 0x0111, 3, 1, 6, 0), 1),
        (b"", 1),
    ],
)
def test_the_orientation_is_one_short_number_of_the_first_directory(entry, orientation):
    assert orientation_of(b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 1) + entry) == orientation


DAMAGED_EXIF = """
import base64, sys
from edged.pipeline.kernels.decoding import decode_image
from edged.pipeline.steps.image import DecodeImage
print(decode_image(base64.b64decode(sys.argv[1]), DecodeImage(input="file", output="image")).shape)
"""


def test_damaged_exif_is_nothing_for_the_journal():
    """Pillow warns about it on its own way to the resolution, once for each kind of damage."""
    damaged = b"Exif\x00\x00II*\x00" + struct.pack("<IH", 8, 9) + bytes(4)
    data = base64.b64encode(file_of(SMOOTH, "JPEG", exif=damaged))

    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", DAMAGED_EXIF, data], capture_output=True, text=True, check=False
    )

    assert (found.stdout, found.stderr) == ("(24, 40, 3)\n", "")


def test_cmyk_becomes_rgb_by_the_formula():
    data = file_of(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95)
    cmyk = np.asarray(Image.open(io.BytesIO(data))).astype(int)

    got = decode(data)

    exact = (255 - cmyk[..., :3]) * (255 - cmyk[..., 3:]) / 255
    np.testing.assert_array_equal(got, np.floor(exact + 0.5))


def test_of_an_animation_the_first_picture_is_taken():
    pictures = [Image.new("RGB", (6, 4), colour) for colour in ("red", "blue")]
    for kind in ("PNG", "WEBP"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = file_of(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)

        assert (decode(data) == [255, 0, 0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_named_formats_are_decoded(kind):
    others = tuple(sorted(KINDS.keys() - {kind}))

    with pytest.raises(TensorError, match=f"takes {', '.join(others)}; file is a {kind} file"):
        decode(file_of(NOISE, KINDS[kind]), formats=others)


@pytest.mark.parametrize(
    "data", [b"", b"hello", file_of(NOISE, "GIF"), file_of(NOISE, "TIFF"), b"%!PS-Adobe-3.0 EPSF-3.0"]
)
def test_other_formats_are_decoded_by_nobody(data):
    """Pillow knows dozens of them; some of its decoders start other programs."""
    with pytest.raises(TensorError, match="file is not an image it knows"):
        decode(data)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_with_too_many_pixels_is_refused(kind):
    data = file_of(NOISE, KINDS[kind])

    assert decode(data, max_pixels=13 * 17).shape == (13, 17, 3)
    with pytest.raises(TensorError, match=r"^step decode_image@1: file has 17 x 13 pixels, at most 220 are allowed"):
        decode(data, max_pixels=13 * 17 - 1)


def bomb(kind: str) -> bytes:
    """A small file that claims to be as large as its format can say."""
    data = bytearray(file_of(NOISE, KINDS[kind], **({"lossless": True} if kind == "webp" else {})))
    match kind:
        case "png":
            return png(2**31 - 1, 2**31 - 1, (b"IDAT", zlib.compress(bytes(1000))))
        case "bmp":
            data[18:26] = struct.pack("<ii", 2**31 - 1, 2**31 - 1)
        case "jpeg":
            at = data.index(b"\xff\xc0")
            data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
        case "webp":
            body = b"VP8X" + struct.pack("<IIHBHB", 10, 0, 16382, 0, 16382, 0) + bytes(data[12:])
            return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_refused_for_its_size_before_it_is_unpacked(kind, monkeypatch):
    """The decoder itself is never asked, which is what would need the memory."""
    from PIL import WebPImagePlugin

    monkeypatch.setattr(Image.core, "new", None)
    monkeypatch.setattr(WebPImagePlugin._webp, "WebPAnimDecoder", None)

    with pytest.raises(
        TensorError, match=r"^step decode_image@1: file has \d{5,10} x \d{5,10} pixels, at most 16777216 are allowed"
    ):
        decode(bomb(kind))


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_of_a_webp_file_is_read_as_its_decoder_reads_it(lossless, mode):
    for size in ((1, 1), (3, 200), (300, 2)):
        data = file_of(Image.new(mode, size, "navy"), "WEBP", lossless=lossless)
        assert webp_size(data) == size
    extended = file_of(Image.new(mode, (5, 9)), "WEBP", lossless=lossless, exif=exif(1))
    assert webp_size(extended) == (5, 9)
    largest = b"RIFF\x00\x00\x00\x00WEBPVP8X" + struct.pack("<II", 10, 0) + b"\x6f\x11\x01\xff\xff\xff"
    assert webp_size(largest) == (70_000, 1 << 24)


def test_metadata_that_unpack_to_much_are_refused():
    data = png(1, 1, (b"zTXt", b"a\x00\x00" + zlib.compress(bytes(1 << 24))), (b"IDAT", zlib.compress(bytes(4))))

    with pytest.raises(TensorError, match="damaged png file"):
        decode(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_ends_early_is_refused_or_has_all_its_pixels(kind):
    """Whatever follows the last pixel may be missing; never is a part of an image taken for the whole."""
    data = file_of(NOISE, KINDS[kind], **({"exif": exif(3)} if kind != "bmp" else {}))
    whole = decode(data).tolist()
    parts = [decoded_or_refused(data[:length]) for length in range(len(data))]

    images = [part for part in parts if not isinstance(part, str)]
    assert len(images) < 0.1 * len(data)
    assert all(image.tolist() in (whole, np.rot90(whole, 2).tolist()) for image in images)


SMALL = {kind: file_of(NOISE[:6, :7], name) for kind, name in KINDS.items()}


@settings(max_examples=200)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
    inserted=st.binary(max_size=8),
    at=st.integers(0, 10**6),
)
def test_a_damaged_file_is_an_image_or_a_clear_error(kind, changes, inserted, at):
    data = bytearray(SMALL[kind])
    for position, value in changes:
        data[position % len(data)] = value
    data[at % len(data) : at % len(data)] = inserted

    image = decoded_or_refused(bytes(data), max_pixels=10_000)

    assert "step decode_image@1" in image if isinstance(image, str) else image.size <= 30_000


@given(
    st.binary(max_size=60), st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF\x00\x00\x00\x00WEBP"])
)
def test_what_only_begins_like_an_image_is_a_clear_error(rest, start):
    assert format_of(start) in KINDS
    with pytest.raises(TensorError, match=r"step decode_image@1: file (is a damaged|has)"):
        decode(start + rest, max_pixels=1)


def test_threads_may_decode_at_once():
    step = DecodeImage(input="file", output="image")
    files = [file_of(np.roll(SMOOTH, i, axis=1), kind) for i, kind in enumerate(KINDS.values())]
    wanted = [decode_image(data, step).tolist() for data in files]
    seen = []

    def work(data, image):
        seen.extend(decode_image(data, step).tolist() == image for _ in range(20))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(files, wanted, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [True] * 80


@pytest.mark.parametrize("given_", ["BYTES 2", "BYTES 1 1", "UINT8 -1"])
def test_only_one_file_is_an_image(given_):
    with pytest.raises(MisfitError) as caught:
        DecodeImage(input="file", output="image").gives({"file": spec(given_, "file")})

    assert caught.value.key == "input"


def test_several_files_at_once_are_told_to_the_app():
    with pytest.raises(TensorError, match=r"decode_image@1 takes BYTES \[1\], file is BYTES \[2\]"):
        run_step(DecodeImage(input="file", output="image"), {"file": texts(b"a", b"b")})
