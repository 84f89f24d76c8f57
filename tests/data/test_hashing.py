"""optbench.data.hashing"""

from optbench.data.hashing import GOLDEN, as_signed, mix64


def test_one_word_is_the_published_splitmix64_sequence() -> None:
    words = [mix64(step * GOLDEN) for step in range(3)]
    assert words == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_every_word_and_their_order_matter() -> None:
    words = {mix64(), mix64(0), mix64(0, 0), mix64(0, 1), mix64(1, 0), mix64(-1, 0), mix64(1 << 63)}
    assert len(words) == 7
    assert all(0 <= word < 1 << 64 for word in words)


def test_as_signed_keeps_the_bits() -> None:
    assert as_signed(5) == 5
    assert as_signed((1 << 64) - 1) == -1
    assert as_signed(1 << 63) == -(1 << 63)
