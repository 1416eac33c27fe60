import pytest

from edged.codec import decode_json
from edged.errors import DocumentError
from edged.ops.segments import Device, Segment, fits_any

KIOSK = Device(id="1", arch="arm64", labels={"region": "eu", "ring": "canary"})


@pytest.mark.parametrize(
    ("segment", "fits"),
    [
        (Segment(), True),
        (Segment(arch=("arm64",)), True),
        (Segment(arch=("amd64",)), False),
        (Segment(arch=("amd64", "arm64")), True),
        (Segment(labels={"region": ("eu",)}), True),
        (Segment(labels={"region": ("us", "eu")}), True),
        (Segment(labels={"region": ("us",)}), False),
        (Segment(labels={"region": ("eu",), "ring": ("stable",)}), False),
        (Segment(labels={"region": ("eu",)}, arch=("amd64",)), False),
        (Segment(labels={"site": ("a",)}), False),
    ],
)
def test_segment_asks_for_all_that_it_names(segment, fits):
    assert segment.fits(KIOSK) is fits


def test_any_of_several_segments_is_enough_and_none_means_everybody():
    assert fits_any([Segment(arch=("amd64",)), Segment(labels={"ring": ("canary",)})], KIOSK)
    assert not fits_any([Segment(arch=("amd64",)), Segment(labels={"ring": ("stable",)})], KIOSK)
    assert fits_any([], KIOSK)


@pytest.mark.parametrize("labels", [{"Region": ["eu"]}, {"region": []}, {"region": ["EU"]}, {"": ["eu"]}])
def test_labels_that_no_device_can_have_are_a_mistake(labels):
    with pytest.raises(DocumentError):
        decode_json(Segment, str({"labels": labels}).replace("'", '"').encode(), source="here")
