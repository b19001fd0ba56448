"""Builds and trains the sentence embedder and writes every shipped file of this folder but the golden answers.

Run from the repository root: python3 models/embed/train.py [--dev]
With --dev, training sees only the train pairs of STS-B, the dev pairs are scored, and nothing is written: that is how the
settings were chosen. The shipped file is trained on the train and dev pairs.

A text's vector is the mean of its tokens' vectors. A token starts as the sum of its character n-grams, each n-gram a random
direction, scaled so that rare words count more: the cosine of two texts is then close to how many n-grams they share. The
directions that all sentences have in common are shrunk, and training on the pairs of STS-B moves token vectors and weights from
there.
"""
from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.sparse import csr_matrix, diags
from scipy.stats import spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.data import banking77, clinc150, lingua, stories, stsb
from lib.graph import F32, I64, Graph
from lib.wordpiece import CLS, SPECIAL, WordPiece, learn_pieces, padded, words

HERE = Path(__file__).resolve().parent
VOCABULARY, PARTS, DIM, LONGEST = 17_500, 2_500, 384, 512
RARITY = 1e-3
# How much kinds of tokens, and n-grams of each length, count.
PUNCTUATION, DIGITS, WORD_PARTS, NEGATIONS, ADVERBS = 0.3, 1.8, 0.7, 1.6, 0.6
NEGATION_WORDS = {"not", "no", "never", "nothing", "without", "t"}
GRAMS = {2: 1.0, 3: 1.6, 4: 0.6}
RARITY_POWER, WHITENING = 0.8, 0.5
EPOCHS, BATCH, WEIGHT_RATE, VECTOR_RATE, PULL, TEMPERATURE, SEED = 3, 64, 2e-3, 5e-4, 0.3, 0.05, 0
PLAIN = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


def quick_words(text: str) -> list[str]:
    """`words`, much faster on plain ASCII."""
    return PLAIN.findall(text.lower()) if text.isascii() else words(text)


def learn_vocabulary() -> tuple[WordPiece, np.ndarray]:
    """The tokenizer and the relative frequency of each token, everyday English counting ten times as much as old tales."""
    first, second, _ = stsb("train")
    near = [*first, *second, *banking77("train")[0], *(text for split in ("train", "val", "oos_train") for text, _ in clinc150(split))]
    near_counts = Counter(word for text in near for word in quick_words(text))
    counts = Counter({word: 10 * count for word, count in near_counts.items()})
    for name in ("tales-1", "tales-2", "novels-1"):
        for document in stories(name):
            counts.update(quick_words(document.replace("—", " - ").replace("é", "e")))
    counts.update(word for language, text in lingua() if language == "en" for word in quick_words(text))
    parts = learn_pieces(Counter(dict(counts.most_common(20_000))), PARTS)
    vocabulary = [*parts, *near_counts, *(word for word, _ in counts.most_common())]
    tokenizer = WordPiece(list(dict.fromkeys(vocabulary))[:VOCABULARY])
    frequency = np.zeros(len(tokenizer))
    for word, count in counts.items():
        for token in tokenizer.word(word):
            frequency[token] += count
    return tokenizer, frequency / frequency.sum()


def grams(piece: str) -> list[str]:
    if piece in SPECIAL:
        return []
    text = piece[2:] if piece.startswith("##") else f"<{piece}>"
    return sorted({text[i:i + n] for n in GRAMS for i in range(len(text) - n + 1)})


def token_weight(piece: str, frequency: float) -> float:
    if piece in SPECIAL:
        return 0.0
    text = piece.removeprefix("##")
    weight = RARITY / (RARITY + frequency)
    for factor, applies in (
        (PUNCTUATION, not any(c.isalnum() for c in text)), (DIGITS, any(c.isdigit() for c in text)), (WORD_PARTS, text != piece),
        (NEGATIONS, piece in NEGATION_WORDS), (ADVERBS, piece.endswith("ly") and len(piece) > 4),
    ):
        weight *= factor if applies else 1.0
    return weight


def starting_table(tokenizer: WordPiece, frequency: np.ndarray, texts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Whitened random projections of the tokens' n-grams, and the weight each token starts with."""
    of_token = [grams(piece) for piece in tokenizer.pieces]
    names = list(dict.fromkeys(gram for of in of_token for gram in of))
    column = {gram: i for i, gram in enumerate(names)}
    rows, columns = zip(*((row, column[gram]) for row, of in enumerate(of_token) for gram in of))
    matrix = csr_matrix((np.ones(len(rows)), (rows, columns)), (len(tokenizer), len(names)))
    cells = [(i, token) for i, text in enumerate(texts) for token in text]
    counts = csr_matrix((np.ones(len(cells)), tuple(zip(*cells))), (len(texts), len(tokenizer)))
    rarity = np.log((len(texts) + 1) / (np.asarray(((counts @ matrix) > 0).sum(0)).ravel() + 1)) + 1
    matrix = matrix @ diags(rarity ** RARITY_POWER * np.array([GRAMS[len(gram)] for gram in names]))
    length = np.sqrt(np.asarray(matrix.multiply(matrix).sum(1)).ravel())
    weight = np.array([token_weight(piece, count) for piece, count in zip(tokenizer.pieces, frequency)])
    projection = np.random.default_rng(SEED).standard_normal((len(names), DIM)).astype(np.float32) / np.sqrt(DIM)
    table = diags(weight / np.maximum(length, 1e-6)) @ (matrix @ projection)

    sentences = counts @ table
    sentences /= np.linalg.norm(sentences, axis=1, keepdims=True) + 1e-9
    powers, directions = np.linalg.eigh(sentences.T @ sentences)
    white = table @ directions * powers.clip(1e-6) ** (-WHITENING / 2)
    return white * np.sqrt(np.square(table).sum() / np.square(white).sum()), weight


class Embedder(nn.Module):
    def __init__(self, table: np.ndarray, weight: np.ndarray) -> None:
        super().__init__()
        self.start = torch.tensor(table, dtype=torch.float32)
        self.step = torch.tensor(weight, dtype=torch.float32)[:, None]
        self.shift = nn.Parameter(torch.zeros_like(self.start))
        self.gain = nn.Parameter(torch.zeros(len(table)))
        self.scale, self.offset = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.tensor(0.0))

    def table(self) -> torch.Tensor:
        return self.gain.exp()[:, None] * (self.start + self.step * self.shift)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        vectors = self.gain[ids].exp()[..., None] * (self.start[ids] + self.step[ids] * self.shift[ids])
        if self.training:
            mask = mask * (torch.rand(mask.shape) > 0.1)
        return F.normalize((vectors * mask[..., None]).sum(1) + 1e-8, dim=-1)


def embed(table: torch.Tensor, rows: list[list[int]]) -> torch.Tensor:
    ids, mask = (torch.tensor(array) for array in padded(rows))
    return F.normalize((F.embedding(ids, table) * mask[..., None]).sum(1), dim=-1)


@torch.no_grad()
def rank_correlation(table: torch.Tensor, tokenizer: WordPiece, split: str) -> float:
    first, second, scores = stsb(split)
    a, b = (embed(table, [tokenizer.encode(text, LONGEST) for text in texts]) for texts in (first, second))
    return float(spearmanr((a * b).sum(1).numpy(), scores)[0])


def train(model: Embedder, tokenizer: WordPiece, splits: list[str]) -> torch.Tensor:
    """The trained table. The loss orders the cosines of a batch by the given scores, and keeps them near a line."""
    parts = [stsb(split) for split in splits]
    first, second, scores = ([item for part in parts for item in part[column]] for column in range(3))
    a, b = ([tokenizer.encode(text, LONGEST) for text in texts] for texts in (first, second))
    random, targets = np.random.default_rng(SEED), torch.tensor(np.array(scores, np.float32))
    optimiser = torch.optim.Adam([
        {"params": [model.gain], "lr": WEIGHT_RATE}, {"params": [model.shift], "lr": VECTOR_RATE},
        {"params": [model.scale, model.offset], "lr": 1e-2}])
    batches = -(-len(a) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / (EPOCHS * batches))
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for batch in np.array_split(random.permutation(len(a)), batches):
            u, v = (model(*(torch.tensor(array) for array in padded([rows[i] for i in batch]))) for rows in (a, b))
            cosines, wanted = (u * v).sum(1), targets[batch]
            wrong = (cosines[None, :] - cosines[:, None]) / TEMPERATURE
            ordered = (wanted[:, None] > wanted[None, :]).float()
            loss = 0.25 * torch.log1p((wrong.exp() * ordered).sum())
            loss = loss + 4 * (cosines * model.scale + model.offset - wanted / 5).square().mean()
            seen = torch.unique(torch.tensor([token for i in batch for token in a[i] + b[i]]))
            loss = loss + PULL * (model.shift[seen].square().sum(1).mean() + 0.03 * model.gain[seen].square().mean())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        with torch.no_grad():
            table = model.table()
            print(f"epoch {epoch + 1}: loss {total / batches:.3f}, Spearman train {rank_correlation(table, tokenizer, 'train'):.4f}, dev {rank_correlation(table, tokenizer, 'dev'):.4f}", flush=True)
    return table


def export(table: np.ndarray) -> int:
    """Looking up rows is all the graph does; pooling and normalisation happen outside, as 1_Pooling/config.json says."""
    graph = Graph()
    ids = graph.input("input_ids", I64, ["batch", "sequence"])
    mask = graph.add("Cast", [graph.input("attention_mask", I64, ["batch", "sequence"])], to=F32)
    present = graph.add("Unsqueeze", [mask, graph.constant([2])])
    graph.add("Mul", [graph.embedding(table, ids, "tokens"), present], "last_hidden_state")
    graph.output("last_hidden_state", F32, ["batch", "sequence", DIM])
    return graph.save("embed", HERE)


def write_configuration(tokenizer: WordPiece) -> None:
    tokenizer.save(HERE, LONGEST)
    write = lambda name, value: (HERE / name).write_text(json.dumps(value, indent=2) + "\n")
    write("config.json", {
        "architectures": ["EmbedModel"], "model_type": "static-embedding", "hidden_size": DIM, "vocab_size": len(tokenizer),
        "pad_token_id": 0, "max_position_embeddings": LONGEST,
    })
    (HERE / "1_Pooling").mkdir(exist_ok=True)
    write("1_Pooling/config.json", {
        "word_embedding_dimension": DIM, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False, "pooling_mode_weightedmean_tokens": False, "pooling_mode_lasttoken": False, "include_prompt": True,
    })
    write("modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate((("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")))])
    write("input_example.json", {"inputs": {"text": ["A man is playing a guitar.", "Someone plays the guitar."]}})


def main(dev: bool) -> None:
    torch.manual_seed(SEED)
    tokenizer, frequency = learn_vocabulary()
    first, second, _ = stsb("train")
    start, weight = starting_table(tokenizer, frequency, [tokenizer.encode(text, LONGEST) for text in first + second])
    model = Embedder(start, weight)
    print(f"untrained: Spearman train {rank_correlation(model.start, tokenizer, 'train'):.4f}, dev {rank_correlation(model.start, tokenizer, 'dev'):.4f}", flush=True)
    table = train(model, tokenizer, ["train"] if dev else ["train", "dev"])
    if dev:
        return
    # A text without known tokens still needs a direction: [CLS] has a faint one.
    table[tokenizer.ids[CLS]] = 1e-4 * torch.randn(DIM)
    write_configuration(tokenizer)
    print(f"model_quantized.onnx {export(table.numpy())} bytes; fp32 Spearman on the test pairs {rank_correlation(table, tokenizer, 'test'):.4f}")


if __name__ == "__main__":
    main("--dev" in sys.argv)
