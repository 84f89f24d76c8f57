"""Counter-based random words: splitmix64 on plain ints.

Source: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators" (2014),
with the constants of S. Vigna's public-domain splitmix64.c.
"""

GOLDEN = 0x9E3779B97F4A7C15
ROUNDS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))  # right shift, multiplier
LAST_SHIFT = 31
MASK = (1 << 64) - 1


def mix64(*words: int) -> int:
    """Return one uniform word in [0, 2^64), a pure function of any ints and of their order."""
    state = 0
    for word in words:
        state = _finalise((state + GOLDEN + word) & MASK)
    return state


def _finalise(word: int) -> int:
    for shift, multiplier in ROUNDS:
        word = ((word ^ (word >> shift)) * multiplier) & MASK
    return word ^ (word >> LAST_SHIFT)


def as_signed(word: int) -> int:
    """Return the int64 with the same bits as an unsigned 64-bit word, for torch."""
    return word - (1 << 64) if word >> 63 else word
