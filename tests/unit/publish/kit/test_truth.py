"""What is really so, as people write it down, becomes tensors of the model's datatypes or an error that says where."""

import pytest

from edged.bundle.kit import Golden
from edged.errors import BundleError, UsageError
from edged.publish.kit.truth import read_truths

OUTPUTS = (
    Golden(name="sum", dtype="FP32", shape=(1, 1), data=(1.0,)),
    Golden(name="label", dtype="BYTES", shape=(1, 2), data=("cat", "dog")),
    Golden(name="index", dtype="INT64", shape=(1,), data=(3,)),
)


def read(directory, name, text, sample="one"):
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    truths = read_truths(path)
    truths.check(["one", "two"])
    return {golden.name: (golden.dtype, golden.shape, golden.data) for golden in truths.of(sample, OUTPUTS)}


def test_cells_get_the_datatypes_of_the_models_outputs(tmp_path):
    assert read(tmp_path, "t.csv", 'sample,sum,label,index\none,2.5,"cat, grey",7\n') == {
        "sum": ("FP32", (1, 1), (2.5,)),
        "label": ("BYTES", (1,), ("cat, grey",)),
        "index": ("INT64", (1,), (7,)),
    }


def test_an_empty_cell_is_no_truth(tmp_path):
    """As spreadsheets write it, with a byte order mark and their own line ends."""
    assert read(tmp_path, "T.CSV", "\ufeffsample,sum,label\r\ntwo,,cat\r\n", "two").keys() == {"label"}
    assert read(tmp_path, "T.CSV", "sample,sum\r\ntwo,1\r\n", "one") == {}


def test_lists_in_json_are_values_of_one_tensor(tmp_path):
    text = '{"one": {"label": ["cat", "cow"], "sum": 2}}'

    assert read(tmp_path, "t.json", text) == {
        "label": ("BYTES", (1, 2), ("cat", "cow")),
        "sum": ("FP32", (1, 1), (2,)),
    }


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.csv", "sample,sum\nother,1\n", "there is no sample other"),
        ("t.csv", "sample,sum\none,much\n", "one: sum: 'much' is no FP32"),
        ("t.csv", "sample,index\none,2.5\n", "one: index: '2.5' is no INT64"),
        ("t.csv", "sample,sum\none,inf\n", "one: sum has numbers that no FP32 can hold"),
        ("t.csv", "sample,total\none,1\n", "one: total: the pipeline gives sum, label, index"),
        ("t.csv", "name,sum\none,1\n", "expected a first line with sample"),
        ("t.csv", "sample,sum,sum\none,1,1\n", "each once"),
        ("t.csv", "", "expected a first line with sample"),
        ("t.csv", "sample,sum\none,1\none,2\n", "one is there twice"),
        ("t.csv", "sample,sum\none,1,2\n", "one has 2 values for 1 outputs"),
        ("t.csv", 'sample,sum\n"one,1\n', "is not CSV"),
        ("t.csv", b"sample,sum\n\xff,1\n", "is not UTF-8"),
        ("t.json", '{"one": {"sum": null}}', "one: sum: expected a number, a text, or a list of these"),
        ("t.json", '{"one": {"sum": [[1]]}}', "one: sum: expected a number, a text, or a list of these"),
        ("t.json", '{"one": {"sum": NaN}}', "one: sum has numbers that no FP32 can hold"),
        ("t.json", '{"one": {"index": 0.5}}', "one: index has numbers that no INT64 can hold"),
        ("t.json", '{"one": 1}', "expected an object of samples"),
        ("t.json", "[1]", "expected an object of samples"),
        ("t.json", "{", "is not JSON"),
        ("t.json", "[" * 100_000, "is not JSON"),
    ],
)
def test_what_is_no_truth_is_refused_and_named(tmp_path, name, text, reason):
    with pytest.raises(BundleError, match=reason):
        read(tmp_path, name, text)


@pytest.mark.parametrize(("name", "reason"), [("missing.csv", "cannot read"), ("t.txt", "neither .csv nor .json")])
def test_only_csv_and_json_that_can_be_read_are_taken(tmp_path, name, reason):
    (tmp_path / "t.txt").write_text("")

    with pytest.raises(UsageError, match=reason):
        read_truths(tmp_path / name)
