"""What an installed package holds besides its modules."""

import subprocess
import sys

from conftest import ROOT

from ppgan_zoo.data import OFFICIAL_SETS
from ppgan_zoo.metrics.features import SHIPPED
from ppgan_zoo.registry import WEIGHTS


def test_a_built_package_has_its_recipes_its_data_and_its_weights(tmp_path):
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "egg_info", "--egg-base", tmp_path,
         "build", "--build-base", tmp_path, "--build-lib", tmp_path / "lib"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    package = tmp_path / "lib" / "ppgan_zoo"
    found = {str(path.relative_to(package)) for path in package.rglob("*") if path.is_file()}
    assert {f"metrics/weights/{name}.safetensors" for name in SHIPPED} <= found
    assert {f"configs/{path.name}" for path in (ROOT / "configs").glob("*.yml")} <= found
    for name in WEIGHTS.built_in:
        assert {
            f"weights/{name}/{file}" for file in ("checkpoint.json", "generator.safetensors")
        } <= (found)
    assert "py.typed" in found and "cli.py" in found
    embedded = {name for name in found if name.startswith("data/embedded/")}
    assert len([name for name in embedded if name.endswith(".gz")]) == 2 * len(OFFICIAL_SETS) + 6
    assert "data/embedded/avatars/avatars.json" in found
