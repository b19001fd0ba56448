"""A WordPiece tokenizer in the two forms it is needed in: Python for training, tokenizer.json for serving.

The Python side repeats what `BertNormalizer` (lower case, accents stripped), `BertPreTokenizer` and `WordPiece` of a
tokenizer.json do; `models/evaluate.mjs NAME --tokens` checks the two against each other on thousands of texts.
"""
from __future__ import annotations

import json
import unicodedata
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np

PAD, UNK, CLS, SEP = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SPECIAL = [PAD, UNK, CLS, SEP]


def _is_chinese(code: int) -> bool:
    return (0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2A6DF or 0x2A700 <= code <= 0x2B73F
            or 0x2B740 <= code <= 0x2B81F or 0x2B920 <= code <= 0x2CEAF or 0xF900 <= code <= 0xFAFF or 0x2F800 <= code <= 0x2FA1F)


def words(text: str) -> list[str]:
    """Lower-case words and single punctuation marks."""
    cleaned = []
    for char in text:
        if char in "\0\ufffd" or (unicodedata.category(char).startswith("C") and char not in "\t\n\r"):
            continue
        cleaned.append(f" {char} " if _is_chinese(ord(char)) else " " if char.isspace() else char)
    stripped = (c for c in unicodedata.normalize("NFD", "".join(cleaned)) if unicodedata.category(c) != "Mn")
    spaced = "".join(f" {c} " if _is_punctuation(c) else c for c in "".join(stripped).lower())
    return spaced.split()


@lru_cache(maxsize=None)
def _is_punctuation(char: str) -> bool:
    return (char.isascii() and char.isprintable() and not char.isalnum() and char != " ") or unicodedata.category(char).startswith("P")


def learn_pieces(counts: Counter[str], size: int) -> list[str]:
    """Byte-pair merges over word counts, written as WordPiece entries (`##` inside a word); single characters come first."""
    spelled = {word: [word[0], *(f"##{c}" for c in word[1:])] for word in counts}
    vocabulary = sorted({piece for pieces in spelled.values() for piece in pieces})
    vocabulary += [f"##{c}" for c in vocabulary if not c.startswith("##") and f"##{c}" not in vocabulary]
    known = set(vocabulary)
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[str]] = {}

    def count(word: str, sign: int) -> None:
        pieces = spelled[word]
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += sign * counts[word]
            if sign > 0:
                where.setdefault(pair, set()).add(word)

    for word in spelled:
        count(word, 1)
    while len(vocabulary) < size and pairs:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        merged = best[0] + best[1][2:]
        if merged not in known:
            known.add(merged)
            vocabulary.append(merged)
        for word in where.pop(best):
            count(word, -1)
            pieces, joined, i = spelled[word], [], 0
            while i < len(pieces):
                if tuple(pieces[i:i + 2]) == best:
                    joined.append(merged)
                    i += 2
                else:
                    joined.append(pieces[i])
                    i += 1
            spelled[word] = joined
            count(word, 1)
        del pairs[best]
    return vocabulary


class WordPiece:
    def __init__(self, pieces: list[str], longest_word: int = 40) -> None:
        self.pieces = SPECIAL + [piece for piece in pieces if piece not in SPECIAL]
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}
        self.longest_word = longest_word
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def load(cls, folder: Path) -> WordPiece:
        vocabulary: dict[str, int] = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
        return cls(sorted(vocabulary, key=vocabulary.__getitem__))

    def __len__(self) -> int:
        return len(self.pieces)

    def word(self, word: str) -> list[int]:
        """Longest match first; a word with a part that is in no piece is one unknown token."""
        if word not in self._cache:
            ids, start = [], 0
            if len(word) > self.longest_word:
                ids, start = [self.ids[UNK]], len(word)
            while start < len(word):
                end = len(word)
                while end > start and (piece := ("##" if start else "") + word[start:end]) not in self.ids:
                    end -= 1
                if end == start:
                    ids = [self.ids[UNK]]
                    break
                ids.append(self.ids[piece])
                start = end
            self._cache[word] = ids
        return self._cache[word]

    def encode(self, text: str, longest: int = 128) -> list[int]:
        body = [i for word in words(text) for i in self.word(word)]
        return [self.ids[CLS], *body[:longest - 2], self.ids[SEP]]

    def save(self, folder: Path, longest: int = 128) -> None:
        """Writes tokenizer.json and tokenizer_config.json."""
        special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                    "special": True} for i, token in enumerate(SPECIAL)]
        of = lambda token, kind: {"SpecialToken": {"id": token, "type_id": kind}}
        sequence = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
        document = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": True, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [of(CLS, 0), sequence("A", 0), of(SEP, 0)],
                "pair": [of(CLS, 0), sequence("A", 0), of(SEP, 0), sequence("B", 1), of(SEP, 1)],
                "special_tokens": {token: {"id": token, "ids": [self.ids[token]], "tokens": [token]} for token in (CLS, SEP)},
            },
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": UNK, "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": self.longest_word, "vocab": self.ids},
        }
        (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps({
            "tokenizer_class": "BertTokenizer", "do_lower_case": True, "strip_accents": True, "tokenize_chinese_chars": True,
            "model_max_length": longest, "clean_up_tokenization_spaces": False, "cls_token": CLS, "sep_token": SEP,
            "pad_token": PAD, "unk_token": UNK,
            "added_tokens_decoder": {str(entry.pop("id")): entry for entry in special},
        }, indent=2) + "\n")


def padded(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Right-padded ids and their attention mask."""
    width = max(map(len, rows))
    ids = np.zeros((len(rows), width), np.int64)
    mask = np.zeros((len(rows), width), np.int64)
    for i, row in enumerate(rows):
        ids[i, :len(row)], mask[i, :len(row)] = row, 1
    return ids, mask
