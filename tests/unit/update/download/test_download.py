"""Ways to obtain a blob: which is tried when, and what is kept of each. The repository is a directory that somebody opens."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edged.bundle.edgeb import pack
from edged.bundle.manifest import CHUNK_BYTES, FileEntry
from edged.codec import encode_canonical
from edged.errors import DigestMismatchError, FetchError, FileMissingError, HostUnreachableError
from edged.store.install import prepare_store
from edged.store.layout import StoreLayout
from edged.update.download.download import MAX_TRIES, Downloader
from edged.update.download.packed import PackedBundles
from edged.update.download.ways import Want
from edged.update.origins.stick import URL
from edged.update.protocol.asking import ListPacks, NotOpened, OpenFile, Packs
from tests.fakes.repositories import entry_for, index_for, make_files, make_manifest, some_bytes, write_bundle
from tests.fakes.sticks import opener_of, stick_of, write_tree

FIVE_CHUNKS = 4 * CHUNK_BYTES + 1000
DATA = some_bytes(FIVE_CHUNKS, "a blob")
ENTRY = entry_for("model.onnx", "model", DATA)


@dataclass
class Offer:
    """A way that brings what it is told to, and remembers what it was asked for."""

    chunk_data: dict[int, bytes]
    cost: int | None = 1
    failure: Exception | None = None
    name: str = "offer"
    asked: list[list[int]] = field(default_factory=list)

    def cost_bytes(self, want: Want) -> int | None:
        return self.cost

    def make_index(self, entry: FileEntry) -> bytes | None:
        return None

    def chunks(self, want: Want) -> Iterator[tuple[int, bytes]]:
        self.asked.append(sorted(want.missing))
        yield from self.chunk_data.items()
        if self.failure is not None:
            raise self.failure


def right(*numbers):
    return {number: DATA[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES] for number in numbers}


@pytest.fixture
def layout(tmp_path):
    made = StoreLayout(tmp_path / "store")
    prepare_store(made)
    return made


@pytest.fixture
def tree(tmp_path):
    """The repository: one blob with its index."""
    files = {
        f"blobs/{ENTRY.sha256[:2]}/{ENTRY.sha256}": DATA,
        f"index/{ENTRY.sha256}": encode_canonical(index_for(DATA)),
    }
    return write_tree(tmp_path / "repository", files)


@pytest.fixture
def host(tree):
    with stick_of(opener_of(tree)) as stick:
        yield stick


@dataclass
class Fetched:
    sources: list[str]
    counts: list[int]


def fetch(layout, host, *ways, entry=ENTRY):
    """Fetch a blob, and return where its bytes came from, with how many were counted."""
    fetched = Fetched([], [])
    downloader = Downloader(
        host=host,
        url=URL,
        layout=layout,
        on_bytes=fetched.counts.append,
        on_source=fetched.sources.append,
        ways=ways,
        name="repository",
    )
    downloader.fetch_blob(entry)
    assert sum(fetched.counts) == entry.size
    return fetched.sources


def blob(layout):
    return layout.blob(ENTRY.digest).read_bytes()


def test_cheapest_way_goes_first_and_the_whole_file_last(layout, host):
    dear, cheap = Offer(right(2), cost=20, name="dear"), Offer(right(0), cost=10, name="cheap")
    useless = Offer({}, cost=None, name="useless")

    assert fetch(layout, host, dear, useless, cheap) == ["cheap", "dear", "repository"]

    assert blob(layout) == DATA
    assert cheap.asked[0] == [0, 1, 2, 3, 4]
    assert dear.asked[0] == [1, 2, 3, 4]
    assert useless.asked == []


def test_way_that_brings_everything_leaves_nothing_to_the_others(layout, host):
    assert fetch(layout, host, Offer(right(*range(5)))) == ["offer"]

    assert blob(layout) == DATA


def test_what_the_store_has_is_asked_of_nobody(layout, host):
    fetch(layout, host)

    assert fetch(layout, host, Offer({})) == []


def test_what_a_stopped_download_has_is_asked_of_nobody(layout, host):
    (layout.partial / ENTRY.sha256).write_bytes(bytes(CHUNK_BYTES) + DATA[CHUNK_BYTES : 3 * CHUNK_BYTES])
    offer = Offer({})

    assert fetch(layout, host, offer) == ["offer", "repository"]

    assert offer.asked == [[0, 3, 4]]


@pytest.mark.parametrize(
    "failure", [FetchError("broken"), HostUnreachableError("gone"), DigestMismatchError("another file")]
)
def test_way_that_fails_costs_only_what_it_did_not_bring(layout, host, failure):
    offer = Offer(right(0, 3), failure=failure)

    assert fetch(layout, host, offer) == ["offer", "repository"]

    assert blob(layout) == DATA


def test_wrong_chunks_are_taken_from_nobody(layout, host):
    """They are asked for again some times, and then of the next; the right ones of the same way are kept."""
    offer = Offer({**right(1), 2: bytes(CHUNK_BYTES), 3: b"short", 77: b"no such chunk"})

    assert fetch(layout, host, offer) == ["offer", "repository"]

    assert offer.asked == [[0, 1, 2, 3, 4], *([[0, 2, 3, 4]] * (MAX_TRIES - 1))]
    assert blob(layout) == DATA


def test_failure_of_the_last_way_is_the_one_that_is_told(layout, tree, host):
    (tree / f"blobs/{ENTRY.sha256[:2]}/{ENTRY.sha256}").unlink()

    with pytest.raises(FileMissingError, match=f"{URL}blobs"):
        fetch(layout, host, Offer(right(0), failure=FetchError("broken")))

    kept = (layout.partial / ENTRY.sha256).read_bytes()
    assert kept[:CHUNK_BYTES] == DATA[:CHUNK_BYTES]
    assert not layout.blob(ENTRY.digest).exists()


@pytest.fixture
def packs(host):
    with closing(PackedBundles(stick=host)) as made:
        yield made


@pytest.fixture
def packed(tmp_path, tree):
    """Make the repository carry a packed bundle in place of blobs and index; returns the function that makes more of them."""

    def make(name="demo-1.0.0.edgeb", *, data=DATA):
        files = {**make_files(), "model.onnx": data}
        pack(write_bundle(tmp_path / "bundle", make_manifest(files), files), tree / name)
        return tree / name

    for path in [p for top in ("blobs", "index") for p in (tree / top).rglob("*") if p.is_file()]:
        path.unlink()
    make()
    return make


def test_packed_bundle_brings_blobs_that_the_repository_does_not_have(layout, host, packed, packs):
    """Its index is made from the file; nobody else has it."""
    assert fetch(layout, host, packs) == ["packed bundle"]

    assert blob(layout) == DATA


def test_small_files_of_a_packed_bundle_need_no_index(layout, host, packed, packs):
    small = entry_for("sbom.json", "sbom", make_files()["sbom.json"])

    assert fetch(layout, host, packs, entry=small) == ["packed bundle"]


def test_file_that_no_pack_has_is_missing(layout, host, packed, packs):
    other = entry_for("model.onnx", "model", b"another file")

    with pytest.raises(FileMissingError):
        fetch(layout, host, packs, entry=other)


def spoil(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_pack_that_lies_is_no_obstacle_to_an_honest_one(layout, host, tree, packed, packs):
    """Both claim the same digest; only one of them has the bytes."""
    lying = packed("a.edgeb")
    spoil(lying, lying.read_bytes().index(DATA[:100]) + 5)

    assert fetch(layout, host, packs) == ["packed bundle"]

    assert blob(layout) == DATA


def test_pack_with_one_wrong_chunk_costs_one_chunk(layout, host, tree, packed, packs):
    """Where the index comes from the repository, everything else of the pack is used."""
    write_tree(
        tree,
        {f"blobs/{ENTRY.sha256[:2]}/{ENTRY.sha256}": DATA, f"index/{ENTRY.sha256}": encode_canonical(index_for(DATA))},
    )
    spoil(tree / "demo-1.0.0.edgeb", (tree / "demo-1.0.0.edgeb").read_bytes().index(DATA[:100]) + CHUNK_BYTES + 5)

    assert fetch(layout, host, packs) == ["packed bundle", "repository"]


@pytest.mark.parametrize("size", [0, 100, 600, 5000])
def test_pack_that_is_cut_is_used_as_far_as_it_goes(layout, host, tree, packed, packs, size):
    """It says so in the journal; another one still helps."""
    cut = packed("a.edgeb")
    cut.write_bytes(cut.read_bytes()[:size])

    assert fetch(layout, host, packs) == ["packed bundle"]


def test_pack_cut_in_the_middle_of_a_file_brings_none_of_the_rest(layout, host, tree, packed, packs):
    path = tree / "demo-1.0.0.edgeb"
    path.write_bytes(path.read_bytes()[: 3 * CHUNK_BYTES])

    with pytest.raises(FetchError):
        fetch(layout, host, packs)

    assert not layout.blob(ENTRY.digest).exists()


def test_pack_that_claims_a_digest_for_a_file_of_another_size_is_not_read_beyond_its_end(
    layout, host, tree, packed, packs
):
    """The last file of an archive, of a few bytes, with the digest of one of many."""
    lying = packed("a.edgeb", data=make_files()["model.onnx"])
    small = entry_for("sbom.json", "sbom", make_files()["sbom.json"])
    lying.write_bytes(lying.read_bytes().replace(small.sha256.encode(), ENTRY.sha256.encode()))

    assert fetch(layout, host, packs) == ["packed bundle"]


def test_packs_of_a_stick_that_was_pulled_are_not_tried_one_by_one(layout):
    """Each might take as long as whoever opens them is waited for."""
    asked = []

    def answer(wanted):
        asked.append(wanted)
        if isinstance(wanted, ListPacks):
            return Packs(names=("a.edgeb", "b.edgeb")), None
        return NotOpened(
            path=wanted.path,
            cause="missing" if wanted.path.startswith("index/") else "broken",
            reason="Input/output error",
        ), None

    with stick_of(answer) as stick, closing(PackedBundles(stick=stick)) as packs, pytest.raises(HostUnreachableError):
        fetch(layout, stick, packs)

    assert asked[1:] == [ListPacks(), OpenFile(path="a.edgeb")]
