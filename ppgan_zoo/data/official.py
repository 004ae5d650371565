"""The public image sets that the zoo knows by name: their files, mirrors and checksums."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE_SHAPE = (28, 28)
"""Height and width of an image of every set in `OFFICIAL_SETS`."""


@dataclass(frozen=True)
class OfficialFile:
    """One IDX file of a set.

    Attributes:
        name: File name without ``.gz``.
        sha256: SHA-256 of the uncompressed file; the gzip wrapper differs between mirrors.
        size_bytes: Size of the uncompressed file.
    """

    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Split:
    """Images and labels of one split of a set."""

    images: OfficialFile
    labels: OfficialFile


@dataclass(frozen=True)
class OfficialSet:
    """What the zoo knows of one public set.

    Attributes:
        folder: Name of the folder that the package, Paddle and Debian keep the set in.
        aliases: Other names of that folder that are looked for in a user's directory.
        mirrors: Addresses, ending in a slash, below which ``<file name>.gz`` is served.
        splits: The full set, by name of the split.
        embedded: The part that the package contains: the start of the training split.
        classes: Names of the classes, in the order of the labels.
    """

    folder: str
    aliases: tuple[str, ...]
    mirrors: tuple[str, ...]
    splits: dict[str, Split]
    embedded: Split
    classes: tuple[str, ...]


def _splits(train: tuple[str, str], test: tuple[str, str]) -> dict[str, Split]:
    """Return both splits from the checksums of their images and labels."""
    return {"train": _split("train", 60_000, *train), "test": _split("t10k", 10_000, *test)}


def _split(prefix: str, count: int, images_sha256: str, labels_sha256: str) -> Split:
    """Return a split of `count` images, of the form that all these sets share."""
    height, width = IMAGE_SHAPE
    return Split(
        OfficialFile(
            f"{prefix}-images-idx3-ubyte", images_sha256, size_bytes=16 + count * height * width
        ),
        OfficialFile(f"{prefix}-labels-idx1-ubyte", labels_sha256, size_bytes=8 + count),
    )


_GARMENTS = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

OFFICIAL_SETS = {
    "mnist": OfficialSet(
        folder="mnist",
        aliases=("MNIST", "MNIST/raw"),
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://dataset.bj.bcebos.com/mnist/",
        ),
        splits=_splits(
            train=(
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            ),
            test=(
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            ),
        ),
        embedded=_split(
            "train",
            10_000,
            "2889698e6bc3614913e76901316712919d1998fc2b44512451bfe65bc1e668b1",
            "651e38e2ac0632f5113ec18f1df4977117f953197819034009971a6675a0df78",
        ),
        classes=tuple("0123456789"),
    ),
    "fashion_mnist": OfficialSet(
        folder="fashion-mnist",
        aliases=("fashion_mnist", "FashionMNIST", "FashionMNIST/raw"),
        mirrors=(
            "https://dataset.bj.bcebos.com/fashion_mnist/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        splits=_splits(
            train=(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            ),
            test=(
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            ),
        ),
        embedded=_split(
            "train",
            10_000,
            "ed2e37ed5a3a57d212141a69fe0a0de5a7126ffba14ac3f7e76f5f52cc04b1f0",
            "a69f2dad024ca220a8c4d85f621fdf929042d40c444abde2868903e9220ad517",
        ),
        classes=_GARMENTS,
    ),
}
"""Every public set, by the name that a recipe gives it."""
