"""Pickles of plain data and numpy arrays, loaded without running anything that they name.

Only the opcodes that build containers, numbers and texts are known. For the functions that numpy's
own pickles call there are stand-ins, which check what they are given: numpy's would take a file's
bytes for object pointers, or make arrays of memory that nothing was written to.
"""

from __future__ import annotations

import gc
import io
import math
import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

MOST_STEPS = 4_000_000
"""Of loading one pickle; CIFAR-100's training set takes half a million."""

Refused = pickle.UnpicklingError

_OPCODES = """
    MARK STOP POP POP_MARK DUP FLOAT INT BININT BININT1 LONG BININT2 NONE REDUCE STRING BINSTRING
    SHORT_BINSTRING UNICODE BINUNICODE APPEND BUILD GLOBAL DICT EMPTY_DICT APPENDS GET BINGET
    LONG_BINGET LIST EMPTY_LIST PUT BINPUT LONG_BINPUT SETITEM TUPLE EMPTY_TUPLE SETITEMS BINFLOAT
    PROTO TUPLE1 TUPLE2 TUPLE3 NEWTRUE NEWFALSE LONG1 LONG4 BINBYTES SHORT_BINBYTES
    SHORT_BINUNICODE BINUNICODE8 BINBYTES8 STACK_GLOBAL MEMOIZE FRAME BYTEARRAY8
"""
_CODE = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}

_PLAIN = {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)} | {"f2", "f4", "f8", "b1"}
_MOST_SIDES = 32


def load_array_pickle(content: bytes) -> Any:
    """Return the object in a pickle, also one of Python 2 (whose strings are read as latin-1).

    Builtin containers with texts as keys, numbers, texts and arrays of plain numbers only: anything
    else raises pickle.UnpicklingError. Broken bytes raise whatever pickle raises. What comes out
    takes no more than a small multiple of the content's memory.
    """
    collects = gc.isenabled()
    gc.disable()  # or millions of small objects are looked through again and again
    try:
        return _Unpickler(content).load()
    finally:
        if collects:
            gc.enable()


class _Type:
    """The stand-in for a numpy.dtype of plain numbers, whose byte order comes with BUILD."""

    def __init__(self, name: Any, align: Any = False, copy: Any = False) -> None:
        if not isinstance(name, str) or name not in _PLAIN:
            raise Refused("an array of other than plain numbers is not allowed in a data file")
        self._name, self._order = name, "="

    def build(self, state: Any) -> None:
        """Take numpy's (version, byte order, three Nones, size, alignment, flags[, None])."""
        rest = state[8:] if isinstance(state, tuple) and len(state) in (8, 9) else (0,)
        if rest not in ((), (None,)) or state[2:5] != (None, None, None) or state[7] != 0:
            raise Refused("an array of other than plain numbers is not allowed in a data file")
        if state[1] not in ("<", ">", "|", "="):
            raise Refused("an array of no known byte order")
        self._order = state[1]

    def checked(self, shape: Any, content: Any) -> tuple[np.dtype[Any], bytes]:
        """Return the type and the bytes of an array that these fill exactly."""
        if isinstance(content, str):  # of Python 2
            content = content.encode("latin-1")
        if not isinstance(content, bytes | bytearray):
            raise Refused("an array without content")
        sides = isinstance(shape, tuple) and len(shape) <= _MOST_SIDES
        if not sides or not all(type(side) is int and 0 <= side < 1 << 48 for side in shape):
            raise Refused("an array of no known shape")
        dtype = np.dtype(self._order + self._name)
        if math.prod(shape) * dtype.itemsize != len(content):
            raise Refused(f"{len(content)} bytes for an array of shape {shape} and type {dtype}")
        return dtype, bytes(content)


def _no_array(*_: Any) -> None:
    """The stand-in for numpy's type, which numpy's own pickles never call."""
    raise Refused("an array that numpy did not pickle")


def _reconstruct(of: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    """Return the stand-in for numpy's: an empty array, which BUILD fills."""
    return np.empty(0, np.uint8)


def _from_buffer(content: Any, of: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    """Return the stand-in for numpy's, of protocol 5."""
    if not isinstance(of, _Type) or order not in ("C", "F"):
        raise Refused("an array that numpy did not pickle")
    dtype, data = of.checked(shape, content)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


class _Steps:
    """The content as a file that is read in a bounded number of steps."""

    def __init__(self, content: bytes) -> None:
        file = io.BytesIO(content)
        self._read, self.readline, self.readinto = file.read, file.readline, file.readinto
        self._left = MOST_STEPS

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise Refused(f"more than {MOST_STEPS:,} parts")
        return self._read(size)


class _Unpickler(pickle._Unpickler):
    """Python's own in Python, whose memo is a dictionary: the one in C takes the memory that a
    number in the file asks for."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        _CODE[name]: pickle._Unpickler.dispatch[_CODE[name]] for name in _OPCODES.split()
    }
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, content: bytes) -> None:
        super().__init__(_Steps(content), encoding="latin1")
        self._encodable = len(content)
        self._allowed: dict[tuple[str, str], Any] = {
            ("numpy", "ndarray"): _no_array,  # only ever handed on to _reconstruct
            ("numpy", "dtype"): _Type,
            ("_codecs", "encode"): self._encode,
            ("__builtin__", "bytes"): lambda: b"",  # how Python 3 pickles none for Python 2
        }
        for core in ("numpy.core", "numpy._core"):
            self._allowed[f"{core}.multiarray", "_reconstruct"] = _reconstruct
            self._allowed[f"{core}.numeric", "_frombuffer"] = _from_buffer

    def load(self) -> Any:
        """See `load_array_pickle`."""
        try:
            return super().load()
        except KeyError as error:  # an opcode that is not in `dispatch`
            code = error.args[0]
            names = [name for name, value in _CODE.items() if value == code]
            raise Refused(f"{(names or [code])[0]} is not allowed in a data file") from None

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a function."""
        if (module, name) not in self._allowed:
            raise Refused(f"{module}.{name} is not allowed in a data file")
        return self._allowed[module, name]

    def _encode(self, text: Any, encoding: Any) -> bytes:
        """Encode text, as which Python 3 pickles bytes for Python 2: each once, so none twice."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise Refused("an encoding other than latin1 is not allowed in a data file")
        self._encodable -= len(text)
        if self._encodable < 0:
            raise Refused("more encoded bytes than the file has")
        return text.encode("latin-1")

    def load_build(self) -> None:
        state, built = self.stack.pop(), self.stack[-1]
        if isinstance(built, _Type):
            built.build(state)
        elif isinstance(built, np.ndarray) and not built.size and isinstance(state, tuple):
            if len(state) != 5 or not isinstance(state[2], _Type):
                raise Refused("an array that numpy did not pickle")
            dtype, data = state[2].checked(state[1], state[4])
            whole = (1, state[1], dtype, bool(state[3]), data)
            built.__setstate__(whole)  # type: ignore[arg-type]
        else:
            raise Refused(f"BUILD of {type(built).__name__} is not allowed in a data file")

    def load_reduce(self) -> None:
        try:
            super().load_reduce()  # type: ignore[misc]
        except TypeError:  # other arguments than numpy's
            raise Refused("an array that numpy did not pickle") from None

    def load_bytearray8(self) -> None:
        (size,) = struct.unpack("<Q", self.read(8))
        content = self.read(min(size, 1 << 62))  # what is there, not what is said to be
        if len(content) < size:
            raise EOFError
        self.append(bytearray(content))

    def load_frame(self) -> None:
        self.read(8)  # how much could be read at once

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def load_setitems(self) -> None:
        self._set_items(self.pop_mark())

    def load_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._set_items(items)

    def _set_items(self, items: list[Any]) -> None:
        """Set items of a dictionary, whose keys are texts.

        The hash of a tuple inside a tuple inside ... would overflow the stack.
        """
        values, pairs = self.stack[-1], iter(items)
        if not isinstance(values, dict):
            raise Refused("items of other than a dictionary are not allowed in a data file")
        for key, value in zip(pairs, pairs, strict=True):
            if not isinstance(key, str | bytes):
                raise Refused("keys other than texts are not allowed in a data file")
            values[key] = value

    dispatch.update(
        {
            _CODE["BUILD"]: load_build,
            _CODE["BYTEARRAY8"]: load_bytearray8,
            _CODE["REDUCE"]: load_reduce,
            _CODE["FRAME"]: load_frame,
            _CODE["SETITEM"]: load_setitem,
            _CODE["SETITEMS"]: load_setitems,
            _CODE["DICT"]: load_dict,
        }
    )
