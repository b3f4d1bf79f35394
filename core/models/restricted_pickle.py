"""Reads what old checkpoints pickled, as plain data, without running anything.

A pickle is a program for a small stack machine, some of whose instructions call functions that the file names. This
reader walks the instructions itself (`pickletools` only decodes them) and calls nothing: the few constructors that
checkpoints need are rebuilt here by name, classes known to hold settings become `Inert` records, and any other name is
refused. Torch's own weights-only reader comes first everywhere; this one is for files that it refuses because they
carry, beside the weights, settings of fairseq, omegaconf, argparse or numpy.
"""

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

import numpy as np

# Roots of modules whose classes hold settings. Their objects are kept as records; their code is never looked at.
_SETTINGS = frozenset(
    {"argparse", "fairseq", "omegaconf", "antlr4", "typing", "enum", "pathlib", "hydra", "hydra_plugins"}
)
_MAX_VALUES = 20_000_000
_NUMPY_KINDS = "biufSU?"


class Refused(Exception):
    """The file asks for something that is not data; `args[0]` names it."""


@dataclass
class Inert:
    """An object of a settings class: what it was called and what it held."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return id(self)


@dataclass(frozen=True)
class Name:
    """A global that the file names, until it is called."""

    name: str


class _Mark:
    """The start of a group on the stack."""


def plain(value: Any, depth: int = 0) -> Any:
    """Settings records as dicts of their contents, so that they can be shown or searched."""
    if depth > 40:
        return None
    if isinstance(value, Inert):
        state = value.state if isinstance(value.state, dict) else {}
        return plain({**state, **value.items}, depth + 1) if state or value.items else value.name
    if isinstance(value, dict):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    return value


class Reader:
    """Runs the instructions of one pickle on plain data.

    `storage(persistent id)` gives the tensor data that torch keeps beside the pickle; `rebuild` maps names of
    constructors to what builds their values here. Raises Refused for a name that is neither, and ValueError for a
    broken program.
    """

    def __init__(self, storage: Callable[[Any], Any], rebuild: dict[str, Callable[..., Any]]) -> None:
        self._storage = storage
        self._rebuild = {**_PLAIN, **rebuild}
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def read(self, data: bytes | IO[bytes]) -> Any:
        """The value that the pickle describes; of a file, one pickle is read and the file left behind it."""
        for count, (opcode, argument, _position) in enumerate(pickletools.genops(data)):
            if count > _MAX_VALUES:
                raise ValueError("the pickle does not end")
            if opcode.name == "STOP":
                return self._stack.pop()
            self._step(opcode.name, argument)
        raise ValueError("the pickle has no end")

    def _step(self, name: str, argument: Any) -> None:
        if name in _PUSHES_ARGUMENT:
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name]())
        elif name in ("PROTO", "FRAME"):
            return
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = self._stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[int(argument)])
        else:
            handler = getattr(self, f"_{name.lower()}", None)
            if handler is None:
                raise Refused(f"the pickle instruction {name}")
            handler(argument)

    def _group(self) -> list[Any]:
        """What lies above the last mark; it and the mark are taken off."""
        items: list[Any] = []
        while not isinstance(top := self._stack.pop(), _Mark):
            items.append(top)
        return items[::-1]

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._group()

    def _dup(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _tuple(self, _: Any) -> None:
        self._stack.append(tuple(self._group()))

    def _tuple1(self, _: Any) -> None:
        self._stack[-1:] = [(self._stack[-1],)]

    def _tuple2(self, _: Any) -> None:
        self._stack[-2:] = [tuple(self._stack[-2:])]

    def _tuple3(self, _: Any) -> None:
        self._stack[-3:] = [tuple(self._stack[-3:])]

    def _list(self, _: Any) -> None:
        self._stack.append(self._group())

    def _frozenset(self, _: Any) -> None:
        self._stack.append(frozenset(self._group()))

    def _dict(self, _: Any) -> None:
        items = self._group()
        self._stack.append(dict(zip(items[::2], items[1::2], strict=True)))

    def _append(self, _: Any) -> None:
        value = self._stack.pop()
        self._extend([value])

    def _appends(self, _: Any) -> None:
        self._extend(self._group())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Inert):
            target.items.update(enumerate(values, len(target.items)))
        else:
            raise ValueError("items for something that is no list")

    def _additems(self, _: Any) -> None:
        values = self._group()
        if not isinstance(self._stack[-1], set):
            raise ValueError("items for something that is no set")
        self._stack[-1].update(values)

    def _setitem(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set({key: value})

    def _setitems(self, _: Any) -> None:
        items = self._group()
        self._set(dict(zip(items[::2], items[1::2], strict=True)))

    def _set(self, items: dict[Any, Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, Inert):
            target = target.items
        if not isinstance(target, dict):
            raise ValueError("entries for something that is no dict")
        target.update(items)

    def _global(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._stack.append(self._named(f"{module}.{name}"))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(self._named(f"{module}.{name}"))

    def _named(self, name: str) -> Any:
        name = name.replace("__builtin__.", "builtins.", 1)
        if name not in self._rebuild and name.split(".")[0] not in _SETTINGS:
            raise Refused(name)
        return Name(name)

    def _reduce(self, _: Any) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(called, arguments))

    def _newobj(self, _: Any) -> None:
        arguments, called = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(called, arguments))

    def _newobj_ex(self, _: Any) -> None:
        _keywords, arguments, called = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(called, arguments))

    def _obj(self, _: Any) -> None:
        called, *arguments = self._group()
        self._stack.append(self._call(called, tuple(arguments)))

    def _call(self, called: Any, arguments: Any) -> Any:
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise Refused("a call of something that has no name")
        if called.name in self._rebuild:
            return self._rebuild[called.name](*arguments)
        return Inert(called.name, arguments)

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Inert):
            target.state = state
        elif isinstance(target, _Array):
            target.fill(state)
        elif isinstance(target, _Dtype):
            target.order(state)
        elif not (isinstance(target, dict) and isinstance(state, dict)):  # an OrderedDict's own attributes: unused
            raise Refused(f"a state for {type(target).__name__}")

    def _binpersid(self, _: Any) -> None:
        self._stack.append(self._storage(self._stack.pop()))

    def _mark(self, _: Any) -> None:
        self._stack.append(_Mark())


_PUSHES_ARGUMENT = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    }
)
_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}


class _Dtype:
    """A numpy number type that is being described."""

    def __init__(self, code: str, *_flags: Any) -> None:
        self.value = np.dtype(code)
        if self.value.kind not in _NUMPY_KINDS:
            raise Refused(f"numpy values of type {code}")

    def order(self, state: Any) -> None:
        """Take the byte order from the state."""
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "="):
            self.value = self.value.newbyteorder(state[1])


class _Array:
    """A numpy array that is being described."""

    def __init__(self) -> None:
        self.value: np.ndarray = np.zeros(0)

    def fill(self, state: Any) -> None:
        """Take shape, type and bytes from the state."""
        _version, shape, dtype, fortran, data = state
        raw = data.encode("latin1") if isinstance(data, str) else data
        if not isinstance(dtype, _Dtype) or not isinstance(raw, bytes):
            raise Refused("numpy objects")
        self.value = np.frombuffer(raw, dtype.value).reshape(shape, order="F" if fortran else "C").copy()


def _scalar(dtype: _Dtype, data: Any = b"") -> Any:
    raw = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(raw, dtype.value)[0].item()


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    if encoding not in ("latin1", "utf-8", "ascii"):
        raise Refused(f"the encoding {encoding}")
    return text.encode(encoding)


_PLAIN: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": lambda items=(): OrderedDict(items),
    "collections.defaultdict": lambda *_factory: {},
    "builtins.dict": dict,
    "builtins.list": list,
    "builtins.set": set,
    "builtins.tuple": tuple,
    "builtins.int": int,
    "builtins.float": float,
    "builtins.str": str,
    "builtins.bool": bool,
    "builtins.object": lambda: Inert("builtins.object"),
    "_codecs.encode": _encoded,
    "copyreg._reconstructor": lambda kind, *_rest: Inert(kind.name if isinstance(kind, Name) else "?"),
    "copy_reg._reconstructor": lambda kind, *_rest: Inert(kind.name if isinstance(kind, Name) else "?"),
    "numpy.dtype": _Dtype,
    "numpy.ndarray": lambda *_: _Array(),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _PLAIN[f"{_module}.scalar"] = _scalar
    _PLAIN[f"{_module}._reconstruct"] = lambda *_: _Array()


def finished(value: Any) -> Any:
    """Arrays in place of their descriptions, throughout dicts, lists and tuples."""
    if isinstance(value, _Array | _Dtype):
        return value.value
    if isinstance(value, dict):
        for key in value:
            value[key] = finished(value[key])
        return value
    if isinstance(value, list):
        value[:] = [finished(item) for item in value]
        return value
    if isinstance(value, tuple):
        return tuple(finished(item) for item in value)
    return value
