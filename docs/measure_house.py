"""Measures the size and shape of the code: python docs/measure_house.py [ROOT]."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tokenize
from io import StringIO
from pathlib import Path
from statistics import mean, median

SETTINGS = (
    *("warmup", "weight_decay", "max_grad_norm", "accumulation", "phase_growth", "reward_every", "reward_fraction"),
    *("data_seed", "top_k", "relation_heads", "similarity_mass", "transitions", "arc_marginals", "checkpoint_every"),
)
"""Settings of every group, whose names mean nothing else in the code."""
PACKAGES = ("kselect", "agents", "envs")
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def function_level_imports(text: str) -> int:
    """Count the import statements inside functions."""
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return len({node for f in functions for node in ast.walk(f) if isinstance(node, ast.Import | ast.ImportFrom)})


def code_lines(text: str) -> int:
    """Count the lines without those that hold only comments, docstrings or other constant statements, or nothing."""
    tokens = tokenize.generate_tokens(StringIO(text).readline)
    lines = {line for token in tokens if token.type not in LAYOUT for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def identifiers(text: str) -> set[str]:
    """Return every name that code uses: of variables, attributes and arguments, and in strings."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.arg | ast.keyword) and node.arg is not None:
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return found


def complexities(paths: list[Path]) -> list[int]:
    """Return the McCabe complexity of every function with more than one branch, as ruff computes it."""
    options = ["--isolated", "--exit-zero", "--select", "C901", "--config", "lint.mccabe.max-complexity=1"]
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", *options, "--output-format", "json", *paths]
    output = subprocess.run([str(word) for word in command], capture_output=True, check=True).stdout
    return [int(re.findall(r"\((\d+) > ", item["message"])[0]) for item in json.loads(output)]


def measure(root: Path) -> dict[str, float]:
    """Return the figures for the packages under a repository's root; links to packages are not followed."""
    paths = [path for name in PACKAGES for path in sorted((root / name).rglob("*.py"))]
    paths = [path for path in paths if root.resolve() / path.relative_to(root) == path.resolve()]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    lines = [len(text.splitlines()) for text in texts]
    named = [identifiers(text) for text in texts]
    return {
        "files": len(paths),
        "lines": sum(lines),
        "lines of code": sum(map(code_lines, texts)),
        "median file length": round(median(lines)),
        "longest file": max(lines),
        "function-level imports": sum(map(function_level_imports, texts)),
        "maximal complexity": max(complexities(paths)),
        "modules that name a setting": round(mean(sum(name in each for each in named) for name in SETTINGS), 1),
    }


if __name__ == "__main__":
    for name, value in measure(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name:<28} {value:>8}")
