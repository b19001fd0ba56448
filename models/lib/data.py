"""Reading the data sets; none of them is copied into the repository."""
from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def banking77(split: str) -> tuple[list[str], list[int], list[str]]:
    """Texts, label numbers and the 77 names of `train` or `test`."""
    names: list[str] = json.loads((DATA / "banking77" / "categories.json").read_text())
    with open(DATA / "banking77" / f"{split}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [text for text, _ in rows], [names.index(category) for _, category in rows], names


def clinc150(split: str) -> list[tuple[str, str]]:
    """(text, intent) pairs; splits are train, val, test and oos_train, oos_val, oos_test."""
    return [(text, intent) for text, intent in json.loads((DATA / "clinc150" / "data_full.json").read_text())[split]]


def stsb(split: str) -> tuple[list[str], list[str], np.ndarray]:
    with open(DATA / "stsb" / f"{split}.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return [row[0] for row in rows], [row[1] for row in rows], np.array([float(row[2]) for row in rows], np.float32)


def mnist(split: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images [n, 28, 28] and labels; splits are train10k and t10k."""
    with gzip.open(DATA / "mnist" / f"{split}-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(DATA / "mnist" / f"{split}-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    return images, labels.astype(np.int64)


def stories(name: str) -> list[str]:
    """The documents of one file: tales-1, tales-2, novels-1 or valid; paragraphs are lines."""
    with gzip.open(DATA / "stories" / f"stories-{name}.txt.gz", "rt", encoding="utf-8") as file:
        documents = file.read().split("<|endoftext|>\n")
    return [document.strip("\n") for document in documents if document.strip()]


def lingua() -> list[tuple[str, str]]:
    """(ISO 639-1 code, sentence) pairs."""
    with gzip.open(DATA / "lingua" / "sentences.tsv.gz", "rt", encoding="utf-8", newline="\n") as file:
        return [tuple(line.rstrip("\n").split("\t", 1)) for line in file if "\t" in line]  # type: ignore[misc]


def udhr() -> list[list[str]]:
    """[BCP 47 tag, ISO 639-3 code, translation code, language name, paragraph] rows."""
    with gzip.open(DATA / "udhr" / "udhr.tsv.gz", "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n").split("\t") for line in file]
