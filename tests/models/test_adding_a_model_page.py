"""docs/adding_a_model.md: its code runs as it stands, and its tables name all that there is."""

import dataclasses
import re
import subprocess
import sys

import yaml
from conftest import ROOT

from ppgan_zoo.evaluation.conformance import CHECKS
from ppgan_zoo.models.spec import GanSpec

PAGE = (ROOT / "docs" / "adding_a_model.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
RECIPES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)

# The zoo comes first, as in a process that loads a plugin: Paddle 2 needs it.
FIRST = "from __future__ import annotations\nimport ppgan_zoo"
AFTERWARDS = """
from ppgan_zoo.recipe.strict_yaml import lists_to_tuples

check_model(MATCHING)
for spec in (LABELLED, ENCODING, MATCHING, MIRRORING):
    ppgan_zoo.register(spec)
for number, data in enumerate(RECIPES):
    data["data"].update(limit=64, batch_size=16)
    data["training"] = {"iterations": 2}
    made = train(recipe_from(lists_to_tuples(data)), Path(f"run{number}"), offline=True)
    assert made.iteration == 2
data = {
    "model": {"name": "my_labelled_gan", "conditional": True},
    "data": {"name": "mnist", "batch_size": 16, "limit": 64},
    "training": {"iterations": 2},
}
train(recipe_from(data), Path("labelled"), offline=True)

gan = ppgan_zoo.create("my_mirroring_gan")
trainer = ppgan_zoo.make_trainer(gan, options={"share": 1.0})
seen = []
gan.discriminator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].numpy()))
images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)
trainer.step(images)
np.testing.assert_array_equal(seen[0][:4] if len(seen[0]) == 8 else seen[0], images[..., ::-1])
print("all of the page")
"""


def test_the_code_and_the_recipes_work(tmp_path):
    assert len(BLOCKS) >= 6 and len(RECIPES) == 3
    code = "\n".join(BLOCKS).replace("from __future__ import annotations\n", "")
    for page, test in (
        ('"iterations": 500', '"iterations": 2'),
        ('Path("output/my_gan"))', 'Path("output/my_gan"), offline=True)'),
    ):
        assert page in code
        code = code.replace(page, test)
    recipes = f"RECIPES = {[yaml.safe_load(recipe) for recipe in RECIPES]!r}\n"
    script = tmp_path / "page.py"
    script.write_text(f"{FIRST}\n{code}\n{recipes}{AFTERWARDS}")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("all of the page\n")


def test_the_tables_name_every_field_and_every_check():
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    for field in dataclasses.fields(GanSpec):
        given = field.default is not dataclasses.MISSING or (
            field.default_factory is not dataclasses.MISSING
        )
        assert field.name in named if given else f"{field.name}=" in PAGE, field.name
    rows = re.findall(r"^\| ([a-z ,]+) \| ", PAGE, re.MULTILINE)
    listed = [row for row in rows if row not in ("where", "argument", "field", "check")]
    for check in CHECKS:
        assert any(check.name in row for row in listed), check.name
