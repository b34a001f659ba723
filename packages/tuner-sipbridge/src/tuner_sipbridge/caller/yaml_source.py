"""A YAML file with the line of every field, so that an error can name file, line and field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ValidationError

from tuner_sipbridge.errors import FileError

MAX_FILE_OCTETS = 1_000_000
"""A scenario or plan beyond this size is refused before it is parsed."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A parsed YAML file.

    Attributes:
        file: path as the user gave it.
        value: the fields as plain Python values.
        root: YAML's node tree, which knows the lines.
    """

    file: str
    value: dict[str, Any]
    root: yaml.Node

    def line_of(self, location: tuple[str | int, ...]) -> int:
        """The line, from 1, of the field at `location`, or of the nearest enclosing one in the file."""
        node, line = self.root, self.root.start_mark.line + 1
        for part in location:
            step = _child(node, part)
            if step is None:
                break
            node, line = step
        return line

    def error(self, problem: str, *location: str | int) -> FileError:
        """A `FileError` that points at the field at `location`."""
        return FileError(problem, file=self.file, line=self.line_of(location), field=_dotted(location))

    def validate(self, model: type[Model]) -> Model:
        """The file's content as a pydantic model.

        Raises:
            FileError: naming the first field at fault and its line; the other faults follow in its text.
        """
        try:
            return model.model_validate(self.value)
        except ValidationError as invalid:
            raise self._first_of(invalid) from None

    def _first_of(self, invalid: ValidationError) -> FileError:
        faults = sorted(invalid.errors(), key=lambda fault: self.line_of(fault["loc"]))
        errors = [self.error(_plain(fault["type"], fault["msg"]), *fault["loc"]) for fault in faults]
        if len(errors) == 1:
            return errors[0]
        others = "".join(f"\n  {error}" for error in errors[1:])
        first = errors[0]
        return FileError(first.problem + others, file=first.file, line=first.line, field=first.field)


def read_yaml(path: Path) -> YamlSource:
    """Read a YAML file.

    Raises:
        FileError: not readable, not YAML, empty, too large, or with a key given twice.
    """
    file = str(path)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot be read: {error.strerror or error}", file=file) from None
    if len(text) > MAX_FILE_OCTETS:
        raise FileError(f"larger than {MAX_FILE_OCTETS} octets", file=file)
    try:
        root, value = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        problem = error.problem or "not YAML"
        raise FileError(f"not YAML: {problem}", file=file, line=mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise FileError(f"not YAML: {error}", file=file) from None
    if root is None or value is None:
        raise FileError("the file is empty", file=file)
    if not isinstance(value, dict):
        raise FileError("a mapping of fields is expected", file=file, line=root.start_mark.line + 1)
    _refuse_repeated_keys(root, file)
    return YamlSource(file, cast(dict[str, Any], value), root)


def _compose(text: bytes) -> tuple[yaml.Node | None, Any]:
    loader: Any = yaml.SafeLoader(text)
    try:
        root: yaml.Node | None = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_repeated_keys(root: yaml.Node, file: str) -> None:
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys = set[str]()
            for key, value in _pairs(node):
                if key.value in keys and key.value != "<<":
                    raise FileError(
                        "given twice", file=file, line=key.start_mark.line + 1, field=str(key.value)
                    )
                keys.add(str(key.value))
                waiting.append(value)
        elif isinstance(node, yaml.SequenceNode):
            waiting.extend(_items(node))


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in _pairs(node):
            if str(key.value) == str(part):
                return value, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(_items(node)):
        item = _items(node)[part]
        return item, item.start_mark.line + 1
    return None


def _pairs(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    return list(node.value)


def _items(node: yaml.SequenceNode) -> list[yaml.Node]:
    return list(node.value)


def _dotted(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _plain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "no such field"
    if kind == "missing":
        return "this field is required"
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
