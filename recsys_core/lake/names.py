"""Names of assets, partitions, files and versions, checked so that no name can lead out of the lake.

Paths are composed in `artifact_versions`; this module only checks names.
"""

import re

from recsys_core.errors import ArtifactError

CURRENT = "CURRENT"
MANIFEST = "manifest.json"

# ASCII and a first letter or digit: no "..", no hidden file, no separator, the same name on every file system.
_NAME = re.compile(r"[A-Za-z0-9][\w.=-]{0,127}", re.ASCII)
_VERSION = re.compile(r"[0-9a-f]{64}")
_RESERVED = {CURRENT.casefold(), MANIFEST.casefold()}  # casefold: some file systems ignore case


def is_name(name: str) -> bool:
    """Whether a file or folder may have this name.

    >>> is_name("day=2024-01-01"), is_name("../etc"), is_name("a" + chr(10))
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


def is_version(name: str) -> bool:
    """Whether the name is a content hash: 64 lower-case hexadecimal digits."""
    return _VERSION.fullmatch(name) is not None


def checked_name(name: str) -> str:
    """The name of an asset or a partition, unchanged.

    Raises:
        ArtifactError: It has other characters or is too long, or it equals one of the lake's own entries (a version,
            the pointer, the manifest), which are in the same folders.
    """
    if is_name(name) and not is_version(name) and name.casefold() not in _RESERVED:
        return name
    raise ArtifactError(
        f"{name!r} cannot name an asset or a partition: use 1 to 128 of A-Z a-z 0-9 _ . = -, beginning with a letter "
        f"or a digit, and neither {CURRENT}, {MANIFEST} nor 64 hexadecimal digits"
    )


def checked_version(version: str) -> str:
    """The version, unchanged.

    Raises:
        ArtifactError: It is not a content hash.
    """
    if is_version(version):
        return version
    raise ArtifactError(f"{version!r} is not a version: expected 64 hexadecimal digits, as `Lake.versions` lists them")


def key_of(asset: str, partition: str | None = None) -> str:
    """The key of an artifact in messages and lineages.

    >>> key_of("interactions", "2024-01-01"), key_of("ratings")
    ('interactions/2024-01-01', 'ratings')
    """
    return asset if partition is None else f"{asset}/{partition}"


def split_key(key: str) -> tuple[str, str | None]:
    """Asset and partition of a key; the reverse of `key_of`."""
    asset, slash, partition = key.partition("/")
    return asset, partition if slash else None
