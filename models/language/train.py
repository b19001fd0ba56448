"""Trains the language identifier and writes every shipped file of this folder but the golden answers.

Run from the repository root: python3 models/language/train.py

Tokens are the bytes of the lower-cased text. The graph hashes the last one to five bytes at every place into a table of small
vectors, takes their mean over the text and applies one linear layer: fastText's idea, with the hashing inside the graph.
Of each language's sentences, the 1st, 11th, 21st and so on are held back for the score and the 2nd, 12th and so on for choosing
settings.
"""
from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.data import lingua, udhr
from lib.graph import F32, I64, Graph

HERE = Path(__file__).resolve().parent
PAD, START = "<pad>", "<s>"
FIRST_BYTE, LONGEST = 2, 512
ORDERS, BUCKETS, DIM = 5, 49_152, 32
EPOCHS, BATCH, RATE, SEED = 8, 128, 4e-3, 5
# One multiplier for each order and each place inside the n-gram; random odd numbers spread neighbours over the table.
MULTIPLIERS = (np.random.default_rng(1).integers(1 << 20, 1 << 30, (ORDERS, ORDERS)) | 1).tolist()


def encode(text: str) -> list[int]:
    return [1, *(FIRST_BYTE + byte for byte in (f" {text.lower()}" if text else "").encode())][:LONGEST]


def buckets(ids: np.ndarray) -> np.ndarray:
    """[rows, places, orders] table rows; an n-gram that starts before the text is filled up with zeros."""
    before = np.pad(ids, ((0, 0), (ORDERS - 1, 0)))
    width = ids.shape[1]
    shifted = [before[:, ORDERS - 1 - back:ORDERS - 1 - back + width] for back in range(ORDERS)]
    return np.stack([sum(shifted[back] * MULTIPLIERS[order][back] for back in range(order + 1)) % BUCKETS for order in range(ORDERS)], -1)


class Identifier(nn.Module):
    def __init__(self, languages: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(BUCKETS, DIM) * 0.1)
        self.head = nn.Linear(DIM, languages)

    def forward(self, texts: list[np.ndarray], keep: float = 1.0) -> torch.Tensor:
        """`texts` holds the flat table rows of each text; `keep` is the share of n-grams that training looks at."""
        if keep < 1:
            texts = [rows[np.random.rand(len(rows)) < keep] for rows in texts]
        offsets = torch.tensor(np.cumsum([0, *map(len, texts[:-1])]))
        return self.head(F.embedding_bag(torch.tensor(np.concatenate(texts)), self.table, offsets, mode="mean"))


def flat(ids: list[int]) -> np.ndarray:
    return buckets(np.array([ids], np.int64)).ravel()


@torch.no_grad()
def accuracy(model: Identifier, pairs: list[tuple[str, str]], languages: list[str]) -> float:
    right = 0
    for start in range(0, len(pairs), 200):
        part = pairs[start:start + 200]
        answers = model([flat(encode(text)) for _, text in part]).argmax(1).tolist()
        right += sum(languages[answer] == language for answer, (language, _) in zip(answers, part))
    return right / len(pairs)


def crop(text: str, random: np.random.Generator) -> str:
    """Half of the time a piece of 20 to 120 characters, so that short texts are learnt too."""
    if random.random() < 0.5:
        return text[:160]
    length = int(random.integers(20, 120))
    start = int(random.integers(0, max(1, len(text) - length + 1)))
    return text[start:start + length]


def train(pairs: list[tuple[str, str]], dev: list[tuple[str, str]], languages: list[str]) -> Identifier:
    random = np.random.default_rng(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    model = Identifier(len(languages))
    labels = np.array([languages.index(language) for language, _ in pairs])
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    batches = -(-len(pairs) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.02, 1 - step / (EPOCHS * batches)))
    for epoch in range(EPOCHS):
        total = 0.0
        for batch in np.array_split(random.permutation(len(pairs)), batches):
            logits = model([flat(encode(crop(pairs[i][1], random))) for i in batch], keep=0.7)
            loss = F.cross_entropy(logits, torch.tensor(labels[batch]), label_smoothing=0.02)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / batches:.4f}, dev {accuracy(model, dev, languages):.4f}", flush=True)
    return model


def export(model: Identifier, languages: list[str]) -> int:
    graph = Graph()
    ids = graph.input("input_ids", I64, ["batch", "sequence"])
    mask = graph.add("Cast", [graph.input("attention_mask", I64, ["batch", "sequence"])], to=F32)
    before = graph.add("Pad", [ids, graph.constant([0, ORDERS - 1, 0, 0]), graph.constant(0)])
    end = np.iinfo(np.int64).max
    shifted = [graph.add("Slice", [before, graph.constant([ORDERS - 1 - back]), graph.constant([-back if back else end]), graph.constant([1])])
               for back in range(ORDERS)]
    rows = []
    for order in range(ORDERS):
        mixed = None
        for back in range(order + 1):
            term = graph.add("Mul", [shifted[back], graph.constant(MULTIPLIERS[order][back])])
            mixed = term if mixed is None else graph.add("Add", [mixed, term])
        rows.append(graph.add("Unsqueeze", [graph.add("Mod", [mixed, graph.constant(BUCKETS)]), graph.constant([2])]))
    vectors = graph.embedding(model.table.detach().numpy(), graph.add("Concat", rows, axis=2), "table")
    one = graph.constant([1])
    at_place = graph.add("ReduceSum", [vectors, graph.constant([2])], keepdims=0)
    total = graph.add("ReduceSum", [graph.add("Mul", [at_place, graph.add("Unsqueeze", [mask, graph.constant([2])])]), one], keepdims=0)
    count = graph.add("Mul", [graph.add("ReduceSum", [mask, one], keepdims=1), graph.constant(float(ORDERS))])
    mean = graph.add("Div", [total, count])
    graph.linear(mean, model.head.weight.detach().numpy().T, model.head.bias.detach().numpy(), "head", "logits")
    graph.output("logits", F32, ["batch", len(languages)])
    return graph.save("language", HERE)


def byte_characters() -> list[str]:
    """The printable character that stands for each byte in a byte-level tokenizer.json."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) if byte in printable else chr(256 + others.index(byte)) for byte in range(256)]


def write_configuration(languages: list[str]) -> None:
    special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
               for i, token in enumerate((PAD, START))]
    start = {"SpecialToken": {"id": START, "type_id": 0}}
    document = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "Prepend", "prepend": " "}]},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "post_processor": {
            "type": "TemplateProcessing", "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {START: {"id": START, "ids": [1], "tokens": [START]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "merges": [],
                  "vocab": {PAD: 0, START: 1, **{character: FIRST_BYTE + byte for byte, character in enumerate(byte_characters())}}},
    }
    write = lambda name, value: (HERE / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write("tokenizer.json", document)
    write("tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": LONGEST, "clean_up_tokenization_spaces": False,
        "pad_token": PAD, "bos_token": START, "added_tokens_decoder": {str(entry.pop("id")): entry for entry in special}})
    write("config.json", {
        "architectures": ["LanguageForSequenceClassification"], "model_type": "byte-ngram", "vocab_size": FIRST_BYTE + 256, "pad_token_id": 0,
        "max_position_embeddings": LONGEST, "problem_type": "single_label_classification", "num_labels": len(languages),
        "id2label": dict(enumerate(languages)), "label2id": {language: i for i, language in enumerate(languages)}})
    write("input_example.json", {"inputs": {"text": ["Where does the river meet the sea?", "Où le fleuve rejoint-il la mer ?"]}})


def main() -> None:
    pairs = lingua()
    languages = sorted({language for language, _ in pairs})
    seen: Counter[str] = Counter()
    parts: dict[str, list[tuple[str, str]]] = {"train": [], "dev": [], "test": []}
    for language, text in pairs:
        parts[{0: "test", 1: "dev"}.get(seen[language] % 10, "train")].append((language, text))
        seen[language] += 1
    long = lambda some: [(language, text) for language, text in some if len(text) >= 40]
    model = train(parts["train"], long(parts["dev"]), languages)
    write_configuration(languages)
    print(f"model_quantized.onnx {export(model, languages)} bytes")
    print(f"fp32 accuracy on {len(long(parts['test']))} held-back sentences {accuracy(model, long(parts['test']), languages):.4f}")
    declaration = long([(row[0].split("-")[0], row[4]) for row in udhr() if row[0].split("-")[0] in languages])
    print(f"fp32 accuracy on {len(declaration)} paragraphs of the declaration {accuracy(model, declaration, languages):.4f}", flush=True)


if __name__ == "__main__":
    main()
