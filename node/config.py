"""Configuration: one TOML file, one schema, decoded strictly.

A daemon's schema is a subclass of `Config` with sections of its own. Unknown fields, wrong types and values out of range are refused with
the field's dotted name. Relative paths are taken from the file's directory. Secrets are never in it: it names the files that hold them.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from node.errors import NodeCode, NodeError

MAX_FILE_BYTES = 1 << 20
Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file."""


class L1(Section, frozen=True):
    """The endpoint and what is deployed behind it. Durations on the wall."""

    url: str = "http://127.0.0.1:8545"
    deployment: str = "deployment.json"
    confirmations: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 2  # blocks, the block itself included
    poll_s: Seconds = 1.0
    timeout_s: Seconds = 20.0


class KeyFiles(Section, frozen=True):
    """The key that signs L1 transactions. Without a password file it is a devnet key file, in the clear."""

    file: str = "key.json"
    password_file: str = ""


class Logs(Section, frozen=True):
    """On stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(Section, frozen=True):
    """What both daemons have."""

    data_dir: str = "data"
    l1: L1 = L1()
    key: KeyFiles = KeyFiles()
    log: Logs = Logs()


C = TypeVar("C", bound=Config)


def load_config(path: Path | None, kind: type[C], overrides: Mapping[str, str] | None = None) -> C:
    """From a file, or the defaults without one. `overrides` are dotted names to texts, as they stand on a command line. Raises
    `NodeError`.
    """
    values = {} if path is None else _read(path)
    for name, text in (overrides or {}).items():
        _put(values, name, text, kind)
    try:
        config = msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise NodeError(NodeCode.CONFIG_FIELD, _name_field(str(error), path)) from None
    return _resolve(config, Path() if path is None else path.parent)


def encode_config(config: Config) -> str:
    """The TOML that `load_config` reads back; of `Kind()` it prints the defaults."""
    values = msgspec.to_builtins(config)
    lines = [f"{name} = {_encode(value)}" for name, value in values.items() if not isinstance(value, dict)]
    for name, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{field} = {_encode(value)}" for field, value in table.items())]
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise NodeError(NodeCode.CONFIG_UNREADABLE, f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise NodeError(NodeCode.CONFIG_UNREADABLE, f"{path} is too large for a configuration")
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise NodeError(NodeCode.CONFIG_SYNTAX, f"{path} is not TOML: {error}") from error


def _put(values: dict[str, Any], name: str, text: str, kind: type[Config]) -> None:
    """A text becomes what its field asks for, so that `--set l1.confirmations=3` works without TOML's quotes."""
    *tables, field = name.split(".")
    section: Any = kind
    for table in tables:
        values = values.setdefault(table, {})
        section = _get_type(section, table, name)
        if not isinstance(values, dict):
            raise NodeError(NodeCode.CONFIG_FIELD, f"{table} is not a section")
    try:
        values[field] = msgspec.convert(text, _get_type(section, field, name), strict=False)
    except msgspec.ValidationError as error:
        raise NodeError(NodeCode.CONFIG_FIELD, f"{name}: {error}") from None


def _get_type(section: Any, field: str, name: str) -> Any:
    if isinstance(section, type) and issubclass(section, Section):
        for info in msgspec.structs.fields(section):
            if info.name == field:
                return info.type
    raise NodeError(NodeCode.CONFIG_FIELD, f"{name}: there is no such field")


def _name_field(message: str, path: Path | None) -> str:
    """msgspec ends its message with ``- at `$.l1.url` ``; without it the field is named in the message itself."""
    text, _, place = message.partition(" - at `$")
    field = place.rstrip("`").lstrip(".")
    return f"{path or 'configuration'}: {field + ': ' if field else ''}{text}"


def _resolve(config: C, base: Path) -> C:
    files = {"file": config.key.file, "password_file": config.key.password_file}
    key = msgspec.structs.replace(config.key, **{name: str(base / file) if file else "" for name, file in files.items()})
    l1 = msgspec.structs.replace(config.l1, deployment=str(base / config.l1.deployment))
    return msgspec.structs.replace(config, data_dir=str(base / config.data_dir), key=key, l1=l1)


def _encode(value: object) -> str:
    """Booleans, numbers, texts and lists of them: all that a schema has. JSON's form of each is TOML's."""
    return msgspec.json.encode(value).decode()
