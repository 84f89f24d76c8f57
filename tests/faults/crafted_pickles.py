"""Files in the place of a CIFAR batch, written opcode by opcode."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np

COUNT = 4
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, 3072), np.uint8)
LABELS = list(range(COUNT))


def batch(data: Any = PIXELS, labels: Any = LABELS, protocol: int = 2) -> bytes:
    """A batch as it should be, or nearly."""
    return pickle.dumps({"data": data, "labels": labels}, protocol)


def with_data(opcodes: bytes, labels: bytes = b"(lK\0aK\1aK\2aK\3a") -> bytes:
    """A batch whose data is whatever the opcodes leave on the stack."""
    return b"\x80\x02}(U\4data" + opcodes + b"U\6labels" + labels + b"u."


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


def called(function: str, arguments: bytes) -> bytes:
    module, _, name = function.rpartition(".")
    return f"c{module}\n{name}\n".encode() + b"(" + arguments + b"tR"


PLAIN = b"(K\3U\1|NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\0tb"
MADE = "numpy.core.multiarray._reconstruct"


def dtype(name: bytes, state: bytes = PLAIN) -> bytes:
    return called("numpy.dtype", text(name) + b"K\0K\1") + state


def array(of: bytes, shape: bytes, content: bytes, code: bytes = b"\x89") -> bytes:
    """As numpy pickles an array, with any type, shape and content."""
    made = called(MADE, b"cnumpy\nndarray\nK\0\x85U\1b")
    content = b"T" + struct.pack("<i", len(content)) + content
    return made + b"(K\1" + shape + of + code + content + b"tb"


WHOLE = b"M\4\0M\0\x0c\x86"
RAW = PIXELS.tobytes()
FIELDS = b"(K\3U\1|N(U\1atq\5}q\6U\1a" + dtype(b"O8", b"") + b"K\0\x86sK\x08K\1K\x3ftb"
DEEP = 100_000
NUMBERS = {
    "floats from 0 to 1": (PIXELS / 255, LABELS),
    "floats that are whole": (PIXELS.astype(np.float32), LABELS),
    "int32 up to 300": (PIXELS.astype(np.int32) + 45, LABELS),
    "int16 below 0": (PIXELS.astype(np.int16) - 1, LABELS),
    "truths": (PIXELS > 9, LABELS),
    "complex numbers": (PIXELS.astype(complex), LABELS),
    "nested lists": (PIXELS.tolist(), LABELS),
    "a text": ("x" * 3072, LABELS),
    "nothing": (None, LABELS),
    "columns and rows exchanged": (np.ascontiguousarray(PIXELS.T), LABELS),
    "colours last": (PIXELS.reshape(COUNT, 32, 32, 3), LABELS),
    "one image too many": (PIXELS, LABELS[:3]),
    "no dimensions": (np.array(3, np.uint8), LABELS),
    "labels with a fraction": (PIXELS, [0, 1.7, 2, 3]),
    "labels as floats": (PIXELS, np.arange(4.0)),
    "labels below 0": (PIXELS, [0, -1, 2, 3]),
    "labels beyond the classes": (PIXELS, [0, 1, 2, 10]),
    "labels as truths": (PIXELS, [True, False, True, True]),
    "labels as an array of truths": (PIXELS, np.array([True, False, True, True])),
    "labels as texts": (PIXELS, ["0", "1", "2", "3"]),
    "labels in a list of lists": (PIXELS, [[0], [1], [2], [3]]),
    "labels in a table": (PIXELS, np.arange(4).reshape(2, 2)),
    "labels beyond 64 bits": (PIXELS, [0, 1, 2, 1 << 70]),
    "labels beyond 63 bits": (PIXELS, np.array([0, 1, 2, (1 << 64) - 1], np.uint64)),
    "labels that are nothing": (PIXELS, None),
    "no labels": (PIXELS, []),
}
"""Data and labels that would have to be cast, or do not fit."""

ENCODED = b"c_codecs\nencode\nq\1X\0\0\x10\0" + b"a" * (1 << 20) + b"q\2" + b"00("
ENCODED += b"h\1h\2U\6latin1\x86R" * 200_000 + b"l"
FOLDED = b"".join(b"(h%ch%clq%c" % (i, i, i + 1) for i in range(1, 60))
MULTIPLES = (
    b"(\x8a\x09" + struct.pack("<Q", i * ((1 << 61) - 1) % (1 << 63)) + b"\0Nu" for i in range(9)
)

GOOD = {
    **{f"protocol {p}": batch(protocol=p) for p in range(6)},
    "int64": batch(PIXELS.astype(np.int64)),
    "big endian": batch(PIXELS.astype(">u2")),
    "columns first": batch(np.asfortranarray(PIXELS)),
    "four dimensions": batch(PIXELS.reshape(COUNT, 3, 32, 32)),
    "labels in an array": batch(labels=np.arange(4, dtype=np.int16)),
    "by hand": with_data(array(dtype(b"u1"), WHOLE, RAW)),
    "a frame without end": batch(protocol=4)[:3] + b"\xff" * 8 + batch(protocol=4)[11:],
}

BAD = {
    "empty": b"",
    "junk": b"junk",
    "cut short": batch()[:-100],
    "no dictionary": pickle.dumps([1, 2]),
    "no data": pickle.dumps({"labels": LABELS}),
    "keys of bytes": pickle.dumps({b"data": PIXELS, b"labels": LABELS}),
    "object pointers": with_data(array(dtype(b"O8"), b"M\0\x0c\x85", b"\x41" * 8 * 3072)),
    "object pointers called": with_data(
        called("numpy.ndarray", b"M\0\x0c\x85" + dtype(b"O8") + b"T\0\x60\0\0" + b"A" * 24576)
    ),
    "a type of fields": with_data(array(dtype(b"V8", FIELDS), b"K\4\x85", b"A" * 32)),
    "a number's type with fields": with_data(array(dtype(b"u8", FIELDS), b"K\4\x85", b"A" * 32)),
    "texts": with_data(array(dtype(b"U4"), b"K\4\x85", b"A" * 64)),
    "dates": with_data(array(dtype(b"M8"), b"K\4\x85", b"A" * 32)),
    "arrays in an array": with_data(array(dtype(b"(2,2)u1"), b"K\4\x85", b"A" * 16)),
    "a type by its long name": with_data(array(dtype(b"object"), b"K\4\x85", b"A" * 32)),
    "memory nobody wrote": with_data(called("numpy.ndarray", b"M\4\0M\0\x0c\x86U\2u1")),
    "less content": with_data(array(dtype(b"u1"), WHOLE, RAW[:-1])),
    "more content": with_data(array(dtype(b"u1"), WHOLE, RAW + b"x")),
    "a large shape": with_data(array(dtype(b"u1"), b"J\xff\xff\xff\x7f" * 2 + b"\x86", RAW)),
    "a shape below 0": with_data(array(dtype(b"u1"), b"J\xff\xff\xff\xffM\0\xd0\x86", RAW)),
    "a shape of truths": with_data(array(dtype(b"u1"), b"\x88M\0\x0c\x86", RAW[:3072])),
    "a shape of 60 sides": with_data(array(dtype(b"u1"), b"(" + b"K\1" * 60 + b"t", b"x")),
    "a huge side": with_data(array(dtype(b"u1"), b"\x8a\x40" + b"\x7f" * 64 + b"\x85", b"")),
    "no content": with_data(called(MADE, b"cnumpy\nndarray\nK\0\x85U\1b")),
    "a state that is no tuple": with_data(array(dtype(b"u1"), WHOLE, RAW)[:-3] + b"0]b"),
    "a dictionary with a state": with_data(b"}}b"),
    "a byte order of its own": with_data(
        array(dtype(b"u1", b"(K\3U\1xNNNK\1K\1K\0tb"), WHOLE, RAW)
    ),
    "punycode": with_data(called("_codecs.encode", b"X\0\2\0\0" + b"a" * 512 + b"U\x08punycode")),
    "bz2": with_data(called("_codecs.encode", b"X\1\0\0\0aU\3bz2")),
    "encoded again and again": with_data(ENCODED),
    "a command": with_data(called("posix.system", text(b"touch ran"))),
    "eval": with_data(called("builtins.eval", text(b"1"))),
    "an attribute path": b"\x80\x04\x8c\x05numpy\x8c\x0bcore.system\x93.",
    "a persistent id": with_data(b"P1\n"),
    "an instance": with_data(b"(iposix\nsystem\n"),
    "an object": with_data(b"(cnumpy\ndtype\no"),
    "a new object": with_data(b"cnumpy\ndtype\n)\x81"),
    "an extension": with_data(b"\x82\x01"),
    "a set": with_data(b"\x8f"),
    "an unknown opcode": with_data(b"\xff"),
    "protocol 9": b"\x80\x09" + batch()[2:],
    "8 bytes of length": with_data(b"\x8e" + struct.pack("<Q", 1 << 62) + b"x"),
    "a text of 8 bytes of length": with_data(b"\x8d" + struct.pack("<Q", 1 << 40) + b"x"),
    "an array of 8 bytes of length": with_data(b"\x96" + struct.pack("<Q", 1 << 40) + b"x"),
    "beyond all lengths": with_data(b"\x96" + b"\xff" * 8),
    "a long number of no length": with_data(b"\x8b\xff\xff\xff\xff"),
    "a long number cut short": with_data(b"\x8b\xff\xff\xff\x7f1"),
    "a decimal of many digits": with_data(b"L" + b"9" * 1_000_000 + b"L\n"),
    "a large place in the memo": with_data(b"Nr\xff\xff\xff\xff"),
    "a larger place in the memo": with_data(b"Np999999999999999999\n"),
    "many marks": b"(" * 200_000 + b".",
    "many nothings": with_data(b"(" + b"N" * 5_000_000 + b"l"),
    "lists in lists": with_data(b"]" * DEEP + b"a" * (DEEP - 1)),
    "tuples in tuples as a key": b"\x80\x02})" + b"\x85" * DEEP + b"Ns.",
    "tuples in tuples": with_data(b")" + b"\x85" * DEEP),
    "dictionaries in dictionaries": with_data(b"}" + b"U\1a}" * DEEP + b"s" * DEEP),
    "a list in itself": with_data(b"]q\1h\1a"),
    "labels two times two times ...": with_data(array(dtype(b"u1"), WHOLE, RAW), b"(lq\1" + FOLDED),
    "a list as a key": b"\x80\x02}]Ns.",
    "numbers as keys": b"\x80\x02}" + b"".join(MULTIPLES) + b".",
    "an odd number of items": b"\x80\x02}(U\1au.",
    "items of a list": b"\x80\x02](K\0K\1u.",
    "an empty stack": b"\x80\x02.",
    "a mark that is not there": b"\x80\x02t.",
    "a place that was not kept": with_data(b"h\x07"),
}
