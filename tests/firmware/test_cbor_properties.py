"""CBOR against cbor2, an independent implementation, and against arbitrary bytes."""

from typing import cast

import cbor2
from bms.link import cbor
from hypothesis import given, settings
from hypothesis import strategies as st

KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=5) | st.binary(max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.text(max_size=40)
    | st.binary(max_size=40)
)
ITEMS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def depth(item: object) -> int:
    """Containers round the innermost item, and one."""
    if isinstance(item, dict):
        children = list(cast("dict[object, object]", item).values())
    else:
        children = cast("list[object]", item) if isinstance(item, list) else []
    return 1 + max((depth(child) for child in children), default=0)


@settings(deadline=None)
@given(ITEMS)
def test_cbor2_reads_what_we_write_and_writes_what_we_read(item: object) -> None:
    data = cbor.encode(item, 1 << 16)
    assert cbor2.loads(data) == item
    if depth(item) <= 8:
        assert cbor.decode(data) == item
        assert cbor.decode(cbor2.dumps(item)) == item
        assert data == cbor2.dumps(item)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_read_as_cbor2_reads_them_or_refused(data: bytes) -> None:
    try:
        item = cbor.decode(data)
    except cbor.DecodeError:
        return
    assert cbor2.loads(data) == item


@settings(deadline=None)
@given(ITEMS.filter(lambda item: depth(item) <= 8), st.data())
def test_a_damaged_message_is_refused_or_another_message(item: object, draw: st.DataObject) -> None:
    data = bytearray(cbor.encode(item, 1 << 16))
    data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    try:
        other = cbor.decode(data)
    except cbor.DecodeError:
        return
    assert cbor2.loads(bytes(data)) == other
