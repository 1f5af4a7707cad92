"""Compiles the Vyper sources to `contracts/artifacts`, reproducibly: no paths, no metadata, one compiler, one set of settings.

    python -m contracts.build            compile what changed
    python -m contracts.build --check    compile everything and compare with what is there; exit 1 on a difference

A source counts as changed when the hash over itself, its libraries, the compiler and the settings differs from the artifact's.
Names as arguments restrict the build to those contracts.
"""

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDERS = ("l1", "steps")
ARTIFACTS = HERE / "artifacts"
SIZES = HERE / "snapshots" / "sizes.json"
MAX_RUNTIME = 24_576  # EIP-170
EVM_VERSION = "cancun"
IMPORT = re.compile(r"(?:from\s+\S+\s+)?import\s+(?:\S+\.)?(\w+)")
SETTINGS = f"evm={EVM_VERSION} optimize=gas codegen=legacy metadata=none format=1"


class BuildError(Exception):
    """A source that cannot become an artifact."""


def find_sources() -> dict[str, Path]:
    """Contract name -> source; a name may be used once only, since artifacts share a folder."""
    sources: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted((HERE / folder).glob("*.vy")):
            if path.stem in sources:
                raise BuildError(f"two contracts are named {path.stem}")
            sources[path.stem] = path
    return sources


def find_imports(path: Path) -> list[Path]:
    """What a source imports, directly or not: libraries, and parts that are no contract by themselves."""
    found: dict[str, Path] = {}
    pending = [path]
    while pending:
        for line in pending.pop().read_text().splitlines():
            match = IMPORT.match(line)
            for folder in (path.parent.parent / "lib", path.parent / "parts"):
                library = folder / f"{match[1]}.vy" if match else folder
                if library.is_file() and library.name not in found:
                    found[library.name] = library
                    pending.append(library)
    return [found[name] for name in sorted(found)]


def compute_source_hash(path: Path) -> str:
    """Over the source, the libraries that it imports, the compiler and the settings."""
    import vyper

    digest = hashlib.sha256(f"{vyper.__version__} {SETTINGS}".encode())
    for item in (path, *find_imports(path)):
        digest.update(item.name.encode() + b"\0" + hashlib.sha256(item.read_bytes()).digest())
    return digest.hexdigest()


def compile_artifact(path: Path, root: Path = HERE) -> dict[str, Any]:
    """Imports resolve below `root`. Raises BuildError if the compiler refuses the source or the runtime is over EIP-170's limit."""
    from vyper.compiler.input_bundle import FilesystemInputBundle
    from vyper.compiler.phases import CompilerData
    from vyper.compiler.settings import OptimizationLevel, Settings, anchor_settings
    from vyper.exceptions import VyperException

    settings = Settings(optimize=OptimizationLevel.GAS, evm_version=EVM_VERSION, experimental_codegen=False)
    bundle = FilesystemInputBundle([root.parent, root])
    try:
        with anchor_settings(settings):
            data = CompilerData(bundle.load_file(path), bundle, settings=settings, no_bytecode_metadata=True)
            return _describe(path, data)
    except VyperException as error:
        raise BuildError(f"{path.name}: {error}") from error


def _describe(path: Path, data: Any) -> dict[str, Any]:
    from vyper.compiler.output import build_abi_output, build_method_identifiers_output

    # what a deployment puts on chain: the code, then the immutables
    runtime_size = len(data.bytecode_runtime) + data.global_ctx.immutable_section_bytes
    if runtime_size > MAX_RUNTIME:
        raise BuildError(f"{path.name}: runtime of {runtime_size} bytes is over {MAX_RUNTIME}")
    selectors = {signature: selector[2:].rjust(8, "0") for signature, selector in build_method_identifiers_output(data).items()}
    return {
        "name": path.stem,
        "source_hash": compute_source_hash(path),
        "settings": SETTINGS,
        "runtime_size": runtime_size,
        "selectors": dict(sorted(selectors.items())),
        "abi": build_abi_output(data),
        "bytecode": data.bytecode.hex(),
    }


def encode_artifact(artifact: dict[str, Any]) -> str:
    """JSON, one key a line, so that a difference shows where it is."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in artifact.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def is_current(path: Path, target: Path) -> bool:
    """Whether the artifact was built from these very sources."""
    return target.exists() and json.loads(target.read_text())["source_hash"] == compute_source_hash(path)


def compute_sizes() -> str:
    """The snapshot of the runtime sizes of all artifacts."""
    items = (json.loads(path.read_text()) for path in sorted(ARTIFACTS.glob("*.json")))
    return json.dumps({item["name"]: item["runtime_size"] for item in items}, indent=1, sort_keys=True) + "\n"


def build(names: list[str], check: bool) -> tuple[list[str], list[str]]:
    """Build, or with `check` compare; returns what differs, and what does not compile (a broken source does not stop the others)."""
    sources = find_sources()
    unknown = [name for name in names if name not in sources]
    if unknown:
        raise BuildError(f"no such contract: {', '.join(unknown)}")
    different: list[str] = []
    broken: list[str] = []
    ARTIFACTS.mkdir(exist_ok=True)
    for name in names or sources:
        target = ARTIFACTS / f"{name}.json"
        if not check and is_current(sources[name], target):
            continue
        try:
            text = encode_artifact(compile_artifact(sources[name]))
        except BuildError as error:
            broken.append(str(error))
            continue
        if not check:
            target.write_text(text)
            print(f"{name}: {json.loads(text)['runtime_size']} bytes")
        elif not target.exists() or target.read_text() != text:
            different.append(name)
    for target in sorted(ARTIFACTS.glob("*.json")):
        if target.stem not in sources:
            if check:
                different.append(target.stem)
            else:
                target.unlink()
    if check and (not SIZES.exists() or SIZES.read_text() != compute_sizes()):
        different.append("snapshots/sizes.json")
    elif not check:
        SIZES.parent.mkdir(exist_ok=True)
        SIZES.write_text(compute_sizes())
    return different, broken


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 a difference, 2 a source that does not build."""
    parser = argparse.ArgumentParser(prog="python -m contracts.build", description="Compile the contracts to contracts/artifacts.")
    parser.add_argument("names", nargs="*", help="contracts to build (all, if none is given)")
    parser.add_argument("--check", action="store_true", help="compare with the artifacts instead of writing them")
    options = parser.parse_args(arguments)
    try:
        different, broken = build(options.names, options.check)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    for message in broken:
        print(message, file=sys.stderr)
    for name in different:
        print(f"not what the sources give: {name}", file=sys.stderr)
    if broken:
        return 2
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
