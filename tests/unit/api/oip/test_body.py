"""Where a body lies decides what has to be copied."""

import pytest

from edged.api.oip.body import ALIGNMENT, Body, offset_for


@pytest.mark.parametrize("header_length", [1, 60, 63, 64, 65, 128, 311, 8191])
def test_the_first_tensor_of_a_body_is_aligned(header_length):
    """A runtime copies what is not."""
    assert (offset_for(header_length) + header_length) % ALIGNMENT == 0
    assert offset_for(header_length) <= ALIGNMENT


def test_a_bare_body_is_aligned_and_has_room_for_its_length():
    assert offset_for(0) == ALIGNMENT


def test_a_body_that_is_all_json_needs_no_place_of_its_own():
    assert offset_for(None) == 0


def test_an_element_is_made_in_place_where_there_is_room_before_it():
    memory = memoryview(bytearray(80))
    memory[64:66] = b"hi"
    data, at = Body(content=memory[64:66], memory=memory, offset=64).as_element()
    memory[64:65] = b"H"

    assert (bytes(data), at) == (b"\x02\0\0\0Hi", 60)


@pytest.mark.parametrize("memory", [None, memoryview(bytearray(b"hi"))])
def test_an_element_is_made_elsewhere_where_there_is_none(memory):
    body = Body(content=memoryview(b"hi"), memory=memory, offset=0)

    assert body.as_element() == (b"\x02\0\0\0hi", None)


def test_only_what_is_in_shared_memory_has_a_place_there():
    memory = memoryview(bytearray(80))

    assert Body(content=memory[64:], memory=memory, offset=64).place(3) == 67
    assert Body(content=memory[64:]).place(3) is None
