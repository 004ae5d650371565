"""Installation of ppgan_zoo; the metadata that are plain data stand in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent

# VisualDL's log is written through a private hook, so its minor version is pinned; protobuf
# of Paddle's own choice otherwise. matplotlib is VisualDL's and the notebooks'.
REQUIREMENTS = [
    "numpy>=1.24",
    "matplotlib>=3.7",
    "visualdl>=2.5.3,<2.6",
    "pyyaml>=6.0",
    "pydantic>=2.7,<3",
    "safetensors>=0.4.3",
    "pillow>=10.0",
    "tqdm>=4.66",
    "shtab>=1.13",  # completion in shells
]

# What draws avatars: other versions draw otherwise.
DRAWING = ["dicebear-core==10.7.0", "dicebear-styles==10.6.0", "resvg-py==0.5.0"]

EXTRAS = {
    # setuptools: Paddle imports it at run time and Python 3.12 no longer brings it.
    "cpu": ["paddlepaddle>=3.0,<4", "setuptools"],
    "gpu": ["paddlepaddle-gpu>=2.6.2", "setuptools"],
    "data": DRAWING,
    "onnx": ["onnx>=1.16", "onnxruntime>=1.17"],
    "tensorboard": ["tensorboardX>=2.6"],
    "swanlab": ["swanlab>=0.10"],  # brings an older protobuf
    "optuna": ["optuna>=4"],
    "notebook": ["ipykernel>=6.29", "ipywidgets>=8"],
    "fuzz": ["atheris>=2.3"],
    "dev": [
        *DRAWING,
        "pytest>=9",
        "pytest-xdist>=3.5",
        "hypothesis>=6.100",
        "jsonschema>=4.20",
        "onnx>=1.16",
        "onnxruntime>=1.17",
        "tensorboardX>=2.6",
        "optuna>=4",
        "nbclient>=0.10",  # runs the notebooks, in a kernel of
        "ipykernel>=6.29",
        "ruff>=0.6",
        "mypy>=1.11",
        "types-PyYAML",
        "setuptools",
        "wheel",
    ],
}


class BuildWithRecipes(build_py):
    """Copies the recipes, which stand at the top level to be found, into the package."""

    def run(self) -> None:
        """Build, then add ``ppgan_zoo/configs``."""
        super().run()
        if self.editable_mode:
            return  # the package then finds them in the checkout
        target = Path(self.build_lib) / "ppgan_zoo" / "configs"
        self.mkpath(str(target))
        for recipe in sorted((ROOT / "configs").glob("*.yml")):
            self.copy_file(str(recipe), str(target / recipe.name))


setup(
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    cmdclass={"build_py": BuildWithRecipes},
)
