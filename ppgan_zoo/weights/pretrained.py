"""Pretrained models by name: where their files are, and the hash that they must have.

A pretrained model is a checkpoint of G alone, with float16 weights and a card. Only the
SHA-256 of its ``checkpoint.json`` has to be pinned, since that holds the hashes of all else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ppgan_zoo.data.download import RemoteFile, download
from ppgan_zoo.errors import CheckpointError, ConfigError, DataError, PluginError, did_you_mean
from ppgan_zoo.registry import WEIGHTS
from ppgan_zoo.storage.checkpoint import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Checkpoint,
    open_checkpoint,
)
from ppgan_zoo.storage.files import sha256_file, user_cache
from ppgan_zoo.storage.terminal import tell

MIRROR_VARIABLE = "PPGAN_ZOO_WEIGHTS_MIRROR"
"""The environment variable that names a mirror to be asked before the model's own."""

NAME = re.compile("[a-z][a-z0-9_]{0,99}")
"""What a pretrained model may be called."""

MOST_BYTES = 1 << 31
"""Of one downloaded file of weights."""


@dataclass(frozen=True)
class Pretrained:
    """A pretrained model by name, before its files are looked at.

    Attributes:
        name: Name in the registry, which commands take in place of a path.
        sha256: Of its ``checkpoint.json``, in hex: other weights need another hash here.
        folder: Where its files are, for one that comes in a package; None for one to download.
        mirrors: Addresses, ending in a slash, below which ``<name>/checkpoint.json`` is served
            and, beside it, the files that it names.
    """

    name: str
    sha256: str
    folder: Path | None = None
    mirrors: tuple[str, ...] = ()

    def check(self, where: str) -> None:
        """Refuse one that cannot be had.

        Raises:
            PluginError: One line that says what is wrong.
        """
        if not NAME.fullmatch(self.name):
            raise PluginError(
                f"{where}: name {self.name!r}: give lower case, digits and underscores"
            )
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise PluginError(f"{where}: sha256 {self.sha256!r}: give 64 hex digits, in lower case")
        if (self.folder is None) == (not self.mirrors):
            raise PluginError(f"{where}: give either a folder or mirrors")
        for mirror in self.mirrors:
            _check_mirror(mirror, where, PluginError)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint, downloaded first if need be.

        Raises:
            CheckpointError: It is missing, damaged, or not the one that is pinned.
            ConfigError: The user's mirror is no address.
        """
        checkpoint = open_checkpoint(self.folder or self._downloaded())
        if checkpoint.sha256 != self.sha256:
            raise CheckpointError(
                f"{checkpoint.path / MANIFEST}: its SHA-256 is {checkpoint.sha256[:12]}..., and "
                f"{self.name} is {self.sha256[:12]}...; the file was changed: install its package "
                "again"
            )
        return checkpoint

    def _downloaded(self) -> Path:
        cache = user_cache()
        if cache is None:
            raise CheckpointError(
                f"{self.name}: no home folder to keep it in; set XDG_CACHE_HOME to one"
            )
        # The hash in its name, so that another version of a model is another folder.
        folder = cache / "weights" / f"{self.name}-{self.sha256[:12]}"
        self._fetch(folder, {MANIFEST: (self.sha256, MAX_MANIFEST_BYTES)})
        files = open_checkpoint(folder).manifest["files"]
        self._fetch(
            folder,
            {name: (file["sha256"], file.get("bytes") or MOST_BYTES)
             for name, file in files.items()},
        )  # fmt: skip
        return folder

    def _fetch(self, folder: Path, files: dict[str, tuple[str, int]]) -> None:
        """Download the files that are not in `folder` already, each with its SHA-256."""
        missing = [
            _remote_file(name, sha256, min(most_bytes, MOST_BYTES))
            for name, (sha256, most_bytes) in files.items()
            if not _is_there(folder / name, sha256)
        ]
        if not missing:
            return
        try:
            mirror = download([f"{at}{self.name}/" for at in self._mirrors()], missing, folder)
        except DataError as error:
            raise CheckpointError(
                f"{self.name}: cannot be downloaded: {error}; look at the network, or set "
                f"{MIRROR_VARIABLE} to a mirror that can be reached"
            ) from None
        names = ", ".join(file.name for file in missing)
        tell(f"{self.name}: downloaded {names} from {mirror} to {folder}")

    def _mirrors(self) -> list[str]:
        own = os.environ.get(MIRROR_VARIABLE)
        if not own:
            return list(self.mirrors)
        own = own if own.endswith("/") else f"{own}/"
        _check_mirror(own, MIRROR_VARIABLE, ConfigError)
        return [own, *self.mirrors]


def locate(model: str | os.PathLike[str]) -> Path:
    """Return the directory that a path or the name of a pretrained model means.

    A path wins: what holds a separator, or exists, is never taken for a name.

    Args:
        model: A path, or a name of :data:`ppgan_zoo.registry.WEIGHTS`.

    Returns:
        The path as it was given, or the folder of the pretrained model, whose ``checkpoint.json``
        has been verified.

    Raises:
        CheckpointError: The pretrained model is missing, damaged or cannot be downloaded.
        PluginError: Two packages claim the name, or the one that does is broken.
    """
    text = os.fspath(model)
    if not is_name(text):
        return Path(text)
    return WEIGHTS.get(text).checkpoint().path


def is_name(text: str) -> bool:
    """Tell whether `text` means a pretrained model, and no path."""
    return os.sep not in text and not os.path.lexists(text) and text in WEIGHTS.sources()


def suggestion(text: str) -> str:
    """Return what to say of a path that is not there: the names that it might have been."""
    names = WEIGHTS.names()
    return f"{did_you_mean(text, names)}; pretrained: {', '.join(names) or 'none'}"


def _check_mirror(address: str, where: str, kind: type[ConfigError] | type[PluginError]) -> None:
    if not re.fullmatch(r"https?://[^\s/]+/(\S*/)?", address):
        raise kind(f"{where}: {address!r} is no mirror; give https://HOST/PATH/")


def _remote_file(name: str, sha256: str, most_bytes: int) -> RemoteFile:
    def verify(part: Path) -> None:
        found = sha256_file(part, most_bytes)
        if found != sha256:
            raise DataError(f"it has SHA-256 {found[:12]}..., {sha256[:12]}... is expected")

    return RemoteFile(name, most_bytes, verify)


def _is_there(path: Path, sha256: str) -> bool:
    try:
        return sha256_file(path, MOST_BYTES) == sha256
    except OSError:
        return False
