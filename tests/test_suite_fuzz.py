"""Mutated suites: each is loaded, or refused with a message and exit code 2; none ends with a traceback.

The mutations depend on their number only.
"""
# ruff: noqa: E501  (lists of odd values)

import copy
import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from bench.errors import BenchError, printable
from bench.suite import Suite, load

ROOT = Path(__file__).parents[1]
TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "suites").rglob("*.yaml"))]
TREES = [YAML(typ="safe", pure=True).load(text) for text in TEXTS]
LIMIT = 2.0  #: seconds of the processor in which any suite is loaded or refused

VALUES = [
    None, True, False, 0, -1, 1, 3, 10**30, -(10**30), 1e308, -0.5, 1e-320, float("inf"), float("nan"), "", " ", "vae",
    "ae", "timm/", "timm/x", "\0", "\x1b[31m", "\u202e", "\ud83d\ude00", "a" * 3000, "2020-01-01", "<<", "=", "../../etc", "%s {x}",
    [], {}, [[]], [{}], {"": ""}, {"name": None}, {"name": "vae", "label": []}, [1, "a", None], {"of": {}}, [0] * 50,
]  # fmt: skip
SNIPPETS = [
    "!!int x", "!!float x", "!!binary x", "!!python/object:os.system x", "!a b", "&a [*a]", "*b", "&a a", "<<: *a", "? [a]\n: b", "%YAML 1.1\n---\n",
    "---\n", "...\n", "\t", "\0", "\x85", "\u2028", "\ufeff", "|", ">-\n", "{", "}", "[", "]", ":", "- ", "'", '"', "#", "0x", "0o9", "1_0", ".inf", ".NaN",
    "9" * 5000, "1e999", "!!timestamp x", "!!set {a}", "!!omap [a: 1]", "!!pairs [a: 1]", "@", "`", "\\", '"\\e"', '"\\ud800"',
]  # fmt: skip
OVERRIDES = [
    "train.epochs=1", "grid=1", "grid=[]", "grid[0]=x", "train=x", "title=", "grid.variants[0].label=x", "evaluate.embed=1", "metrics=[x]", "grid.seeds=2",
    "grid[99999999999999999999].seeds=1", "a.b.c[0]=1", "train.lr=[", "claims[0].expect={}", "=", "x", "grid.nets=[timm/x]", "evaluate.samplers=prior",
]  # fmt: skip


def mutate_text(random, text):
    for _ in range(random.randint(1, 4)):
        i, j = sorted(random.randrange(len(text) + 1) for _ in range(2))
        j = min(j, i + random.choice([1, 5, 80]))
        text = text[:i] + random.choice([*SNIPPETS, text[i:j] * 2, "", chr(random.randrange(1, 0x3000))]) + text[j:]
    return text


def mutate_tree(random, tree):
    tree = copy.deepcopy(tree)
    for _ in range(random.randint(1, 3)):
        places = [
            (holder, key)
            for holder in holders(tree)
            for key in (holder if isinstance(holder, dict) else range(len(holder)))
        ]
        if not places:
            break
        holder, key = random.choice(places)
        other, other_key = random.choice(places)
        action = random.randrange(5)
        if action == 0:
            del holder[key]
        elif action == 1:
            holder[key] = copy.deepcopy(other[other_key]) if other_key in list(keys_of(other)) else None
        elif action == 2 and isinstance(holder, dict):
            holder[random.choice(["", "vaee", "seed", str(key)[1:], "\x1b"])] = holder.pop(key)
        elif action == 3 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = copy.deepcopy(random.choice(VALUES))
    return json.dumps(tree, ensure_ascii=random.random() < 0.5)


def keys_of(holder):
    return holder if isinstance(holder, dict) else range(len(holder))


def holders(tree):
    if isinstance(tree, dict | list):
        yield tree
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from holders(part)


def mutant(number):
    """The text and the `--set` of a mutated suite."""
    chosen = random.Random(number)  # noqa: S311  (no secret)
    i = chosen.randrange(len(TEXTS))
    text = mutate_text(chosen, TEXTS[i]) if chosen.random() < 0.5 else mutate_tree(chosen, TREES[i])
    return text, [chosen.choice(OVERRIDES)] * (chosen.random() < 0.3)


@pytest.mark.parametrize("numbers", [range(0, 100), range(100, 200), range(200, 300)])
def test_a_mutated_suite_is_loaded_or_refused_with_a_printable_message(numbers, tmp_path):
    loaded, refused, _ = check(numbers, tmp_path)
    assert refused > 0
    assert loaded + refused == len(numbers)


def check(numbers, folder):
    """How many mutants are loaded and refused, and the seconds of the processor that the slowest takes."""
    file, refused, slowest = folder / "x.yaml", 0, 0.0
    for number in numbers:
        text, overrides = mutant(number)
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        start = time.process_time()
        found = outcome(file, overrides)
        slowest = max(slowest, time.process_time() - start)
        if not isinstance(found, Suite):
            refused += 1
            assert isinstance(found, BenchError), f"mutant {number} ends with {found!r}"
            assert (found.exit_code, printable(str(found))) == (2, str(found)), number
            assert str(found)
    return len(numbers) - refused, refused, slowest


def soak_suites(folder, n=5000):
    """Mutated suites: none ends with a traceback, none takes more than the limit."""
    loaded, refused, slowest = check(range(n), folder)
    assert slowest < LIMIT, f"a suite took {slowest:.1f} s"
    return Counter({"loaded": loaded, "refused": refused})


def outcome(file, overrides):
    try:
        return load(file, overrides)
    except Exception as error:
        return error
