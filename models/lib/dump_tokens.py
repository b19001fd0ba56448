"""Prints {"text", "ids"} lines with the ids of the training-time tokenizer, to be piped into `evaluate.mjs NAME --tokens`.

Run from the repository root: python3 models/lib/dump_tokens.py NAME | node models/evaluate.mjs NAME --tokens
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.data import banking77, clinc150, lingua, stories, stsb, udhr
from lib.bpe import Bpe
from lib.wordpiece import WordPiece

if __name__ == "__main__":
    folder = Path(__file__).resolve().parents[1] / sys.argv[1]
    kind = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    if kind["model"]["type"] == "WordPiece":
        tokenizer = WordPiece.load(folder)
        encode = lambda text: tokenizer.encode(text, 1 << 30)
    elif kind["pre_tokenizer"]:
        encode = lambda text: [1, *(2 + byte for byte in (f" {text.lower()}" if text else "").encode())]
    else:
        pieces = Bpe.load(folder)
        encode = lambda text: [pieces.ids["<s>"], *pieces.encode(text)]
    texts = banking77("test")[0] + [text for text, _ in clinc150("test")] + stsb("test")[0]
    texts += [sentence for _, sentence in lingua()[::15]] + [row[4] for row in udhr()[::40]]
    texts += stories("valid")[:12]
    texts += ["", " ", "\t a\u00a0b ", "naïve café", "a" * 60, "x\u200by", "東京 tower", "don't — stop…", "ﬁne", "İstanbul", "🙂 ok"]
    for text in texts:
        print(json.dumps({"text": text, "ids": encode(text)}))
