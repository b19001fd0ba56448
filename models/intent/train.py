"""Trains the intent classifier and writes every shipped file of this folder but the golden answers.

Run from the repository root: python3 models/intent/train.py [--dev]
With --dev, 1,500 training texts are held out and scored, and nothing is written: that is how the settings were chosen.

Two experts that make different mistakes add up: a linear model over character and word n-grams, which remembers, and two small
convolutional networks, which generalise. Everything an expert knows about the inside of a word is added up into one table row
per token, so the served graph only looks up rows.
"""
from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.sparse import csr_matrix, diags, hstack
from sklearn.svm import LinearSVC

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.data import banking77, clinc150
from lib.graph import F32, I64, Graph
from lib.wordpiece import SPECIAL, WordPiece, learn_pieces, padded, words

HERE = Path(__file__).resolve().parent
VOCABULARY, BUCKETS, LONGEST = 4000, 12288, 128
HASH = (4001, 7)
DIM, HIDDEN, EPOCHS, BATCH, RATE = 128, 192, 24, 96, 3e-3
CLINC_SHARE = 0.2
SEEDS = (1, 2)
# How much a margin of the linear expert counts against a log-probability, and the final temperature: chosen with --dev.
LINEAR_WEIGHT, SHARPNESS = 4.0, 0.7


def grams(piece: str) -> set[str]:
    """Character 2- to 5-grams of a token; `<` marks the start of a word."""
    if piece in SPECIAL:
        return set()
    text = piece[2:] if piece.startswith("##") else "<" + piece
    return {text[i:i + n] for n in (2, 3, 4, 5) for i in range(len(text) - n + 1)}


def gram_matrix(tokenizer: WordPiece, least: int) -> csr_matrix:
    """[tokens, n-grams] incidence of the n-grams that at least `least` tokens have."""
    of_token = [sorted(grams(piece)) for piece in tokenizer.pieces]
    counts = Counter(gram for row in of_token for gram in row)
    column = {gram: i for i, gram in enumerate(sorted(g for g in counts if counts[g] >= least))}
    cells = [(row, column[gram]) for row, of in enumerate(of_token) for gram in of if gram in column]
    rows, columns = zip(*cells)
    return csr_matrix((np.ones(len(cells)), (rows, columns)), (len(tokenizer), len(column)))


class Linear:
    """One-against-rest linear model over tokens, their character n-grams and hashed token pairs, all weighted by rarity."""

    def __init__(self, rows: list[list[int]], labels: np.ndarray, tokenizer: WordPiece) -> None:
        tokens, pairs = self.counts(rows, len(tokenizer))
        matrix = gram_matrix(tokenizer, 1)
        rarity = lambda counts: np.log((1 + len(rows)) / (1 + np.asarray((counts > 0).sum(0)).ravel())) + 1
        of_token = hstack([diags(rarity(tokens)), matrix @ diags(rarity(tokens @ matrix) * 0.5)]).tocsr()
        of_pair = rarity(pairs)
        self.token_norm = np.asarray(of_token.multiply(of_token).sum(1)).ravel().astype(np.float32)
        self.pair_norm = (of_pair ** 2).astype(np.float32)
        features = hstack([tokens @ of_token, pairs @ diags(of_pair)])
        norm = np.sqrt(tokens @ self.token_norm + pairs @ self.pair_norm)
        model = LinearSVC(C=1.0, random_state=0).fit((diags(1 / norm) @ features).tocsr(), labels)
        split = of_token.shape[1]
        self.token_table = np.asarray(of_token @ model.coef_[:, :split].T, np.float32)
        self.pair_table = np.asarray(model.coef_[:, split:].T * of_pair[:, None], np.float32)
        self.bias = model.intercept_.astype(np.float32)

    @staticmethod
    def counts(rows: list[list[int]], vocabulary: int) -> tuple[csr_matrix, csr_matrix]:
        tokens = [(i, token) for i, row in enumerate(rows) for token in row]
        pairs = [(i, (a * HASH[0] + b * HASH[1]) % BUCKETS) for i, row in enumerate(rows) for a, b in zip(row, row[1:])]
        count = lambda cells, width: csr_matrix((np.ones(len(cells)), tuple(zip(*cells))), (len(rows), width))
        return count(tokens, vocabulary), count(pairs, BUCKETS)

    def margins(self, rows: list[list[int]]) -> np.ndarray:
        tokens, pairs = self.counts(rows, len(self.token_table))
        norm = np.sqrt(tokens @ self.token_norm + pairs @ self.pair_norm)[:, None]
        return (tokens @ self.token_table + pairs @ self.pair_table) / norm + self.bias


class Network(nn.Module):
    """Windows of three and two tokens, their strongest response anywhere in the text, and an attention-weighted mean."""

    def __init__(self, tokenizer: WordPiece, outputs: int, side_outputs: int) -> None:
        super().__init__()
        matrix = gram_matrix(tokenizer, 2)
        matrix = (diags(1 / np.sqrt(np.maximum(np.asarray(matrix.sum(1)).ravel(), 1))) @ matrix).tocoo()
        self.spelling = torch.sparse_coo_tensor(np.stack([matrix.row, matrix.col]), torch.tensor(matrix.data, dtype=torch.float32), matrix.shape).coalesce()
        self.tokens = nn.Parameter(torch.randn(matrix.shape[0], DIM) * 0.1)
        self.grams = nn.Parameter(torch.randn(matrix.shape[1], DIM) * 0.1)
        self.three, self.two = nn.Linear(3 * DIM, HIDDEN), nn.Linear(2 * DIM, HIDDEN)
        self.attention = nn.Linear(DIM, 1)
        self.norm = nn.LayerNorm(2 * HIDDEN + DIM)
        self.hidden = nn.Linear(2 * HIDDEN + DIM, HIDDEN)
        self.head, self.side_head = nn.Linear(HIDDEN, outputs), nn.Linear(HIDDEN, side_outputs)
        self.drop = nn.Dropout(0.5)

    def table(self) -> torch.Tensor:
        return self.tokens + torch.sparse.mm(self.spelling, self.grams)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        present = mask.float()[..., None]
        if self.training:
            lost = (torch.rand(ids.shape) < 0.1) & (ids >= len(SPECIAL))
            noise = torch.where(torch.rand(ids.shape) < 0.5, torch.ones_like(ids), torch.randint(len(SPECIAL), len(self.tokens), ids.shape))
            ids = torch.where(lost, noise, ids)
        x = F.embedding(ids, self.table()) * present
        if self.training:
            x = x * ((torch.rand(len(x), 1, DIM) > 0.2) / 0.8)
        around = F.pad(x, (0, 0, 1, 1))
        strongest = lambda response: (F.relu(response) * present).amax(1)
        features = torch.cat([
            strongest(self.three(torch.cat([around[:, :-2], x, around[:, 2:]], -1))),
            strongest(self.two(torch.cat([x, around[:, 2:]], -1))),
            ((self.attention(x) + (present - 1) * 1e4).softmax(1) * x).sum(1),
        ], -1)
        hidden = self.drop(F.relu(self.hidden(self.drop(self.norm(features)))))
        return self.head(hidden), self.side_head(hidden)


def train_network(seed: int, tokenizer: WordPiece, rows: list[list[int]], labels: np.ndarray, side_rows: list[list[int]], side_labels: np.ndarray) -> dict[str, torch.Tensor]:
    """The averaged weights; a process cannot hand back the network itself because of its sparse matrix."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    network = Network(tokenizer, int(labels.max()) + 1, int(side_labels.max()) + 1)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.05)
    batches = -(-len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, EPOCHS * batches, pct_start=0.1)
    for epoch in range(EPOCHS):
        total = 0.0
        for step, batch in enumerate(np.array_split(random.permutation(len(rows)), batches)):
            side = random.integers(0, len(side_rows), int(BATCH * CLINC_SHARE))
            ids, mask = (torch.tensor(array) for array in padded([rows[i] for i in batch] + [side_rows[i] for i in side]))
            main, other = network(ids, mask)
            loss = F.cross_entropy(main[:len(batch)], torch.tensor(labels[batch]), label_smoothing=0.1)
            loss = loss + CLINC_SHARE * F.cross_entropy(other[len(batch):], torch.tensor(side_labels[side]), label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            if step % 5 == 0:
                for name, value in network.state_dict().items():
                    average[name].lerp_(value, 0.05)
        print(f"network {seed}, epoch {epoch + 1}: loss {total / batches:.3f}", flush=True)
    return average


@torch.no_grad()
def logits(linear: Linear, networks: list[Network], rows: list[list[int]]) -> np.ndarray:
    """What the served graph computes, in float32."""
    parts = []
    for start in range(0, len(rows), 100):
        ids, mask = (torch.tensor(array) for array in padded(rows[start:start + 100]))
        parts.append(sum(network(ids, mask)[0].log_softmax(1) for network in networks) / len(networks))
    return SHARPNESS * (torch.cat(parts).numpy() + LINEAR_WEIGHT * linear.margins(rows))


def export(linear: Linear, networks: list[Network]) -> int:
    graph = Graph()
    ids = graph.input("input_ids", I64, ["batch", "sequence"])
    mask = graph.add("Cast", [graph.input("attention_mask", I64, ["batch", "sequence"])], to=F32)
    zero, one, last = (graph.constant([value]) for value in (0, 1, np.iinfo(np.int64).max))
    present = graph.add("Unsqueeze", [mask, graph.constant([2])])
    part = lambda x, start, end: graph.add("Slice", [x, start, end, one])

    def numbers(weight: nn.Linear) -> tuple[np.ndarray, np.ndarray]:
        return weight.weight.detach().numpy().T, weight.bias.detach().numpy()

    # The linear expert: sums over tokens and over pairs of neighbours, a pair counting where its second token is present.
    minus_one = graph.constant([-1])
    first, second = part(ids, zero, minus_one), part(ids, one, last)
    mixed = graph.add("Add", [graph.add("Mul", [first, graph.constant(HASH[0])]), graph.add("Mul", [second, graph.constant(HASH[1])])])
    buckets = graph.add("Mod", [mixed, graph.constant(BUCKETS)])
    pair_mask = part(mask, one, last)
    total = lambda x: graph.add("ReduceSum", [x, one], keepdims=0)
    margins, norms = [], []
    for table, norm, where, seen, name in (
        (linear.token_table, linear.token_norm, ids, mask, "linear.token"),
        (linear.pair_table, linear.pair_norm, buckets, pair_mask, "linear.pair"),
    ):
        seen_column = graph.add("Unsqueeze", [seen, graph.constant([2])])
        margins.append(total(graph.add("Mul", [graph.embedding(table, where, name), seen_column])))
        norms.append(total(graph.add("Mul", [graph.add("Gather", [graph.constant(norm, f"{name}.norm"), where]), seen])))
    norm = graph.add("Unsqueeze", [graph.add("Sqrt", [graph.add("Add", norms)]), one])
    margin = graph.add("Add", [graph.add("Div", [graph.add("Add", margins), norm]), graph.constant(linear.bias, "linear.bias")])
    answer = graph.add("Mul", [margin, graph.constant(LINEAR_WEIGHT * SHARPNESS)])

    absent = graph.add("Mul", [graph.add("Sub", [present, graph.constant(1.0)]), graph.constant(1e4)])
    for n, network in enumerate(networks):
        x = graph.add("Mul", [graph.embedding(network.table().detach().numpy(), ids, f"network{n}.token"), present])
        around = graph.add("Pad", [x, graph.constant([0, 1, 0, 0, 1, 0])])
        before = part(around, zero, graph.constant([-2]))
        after = part(around, graph.constant([2]), last)
        features = []
        for name, layer, window in (("three", network.three, [before, x, after]), ("two", network.two, [x, after])):
            response = graph.linear(graph.add("Concat", window, axis=2), *numbers(layer), f"network{n}.{name}")
            features.append(graph.add("ReduceMax", [graph.add("Mul", [graph.add("Relu", [response]), present])], axes=[1], keepdims=0))
        weight, bias = numbers(network.attention)
        attention = graph.add("Add", [graph.add("MatMul", [x, graph.constant(weight, f"network{n}.attention")]), graph.constant(bias, f"network{n}.attention.bias")])
        shares = graph.add("Softmax", [graph.add("Add", [attention, absent])], axis=1)
        features.append(total(graph.add("Mul", [shares, x])))
        norm = graph.add("LayerNormalization", [graph.add("Concat", features, axis=1), graph.constant(network.norm.weight.detach().numpy(), f"network{n}.norm"),
                         graph.constant(network.norm.bias.detach().numpy(), f"network{n}.norm.bias")], epsilon=network.norm.eps)
        hidden = graph.add("Relu", [graph.linear(norm, *numbers(network.hidden), f"network{n}.hidden")])
        logarithm = graph.add("LogSoftmax", [graph.linear(hidden, *numbers(network.head), f"network{n}.head")], axis=1)
        answer = graph.add("Add", [answer, graph.add("Mul", [logarithm, graph.constant(SHARPNESS / len(networks))])],
                           "logits" if n == len(networks) - 1 else None)
    graph.output(answer, F32, ["batch", len(linear.bias)])
    return graph.save("intent", HERE)


def write_configuration(tokenizer: WordPiece, names: list[str]) -> None:
    tokenizer.save(HERE, LONGEST)
    (HERE / "config.json").write_text(json.dumps({
        "architectures": ["IntentForSequenceClassification"], "model_type": "ngram-cnn", "vocab_size": len(tokenizer), "pad_token_id": 0,
        "max_position_embeddings": LONGEST, "problem_type": "single_label_classification", "num_labels": len(names),
        "id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)},
    }, indent=2) + "\n")
    (HERE / "input_example.json").write_text(json.dumps({"inputs": {"text": ["I lost my card, what do I do now?", "Why has my top up not gone through?"]}}, indent=2) + "\n")


def main(dev: bool) -> None:
    texts, categories, names = banking77("train")
    labels = np.array(categories)
    order = np.random.default_rng(0).permutation(len(texts))
    kept, held = (order[1500:], order[:1500]) if dev else (order, order[:0])
    side = [pair for split in ("train", "val") for pair in clinc150(split)]
    intents = sorted({intent for _, intent in side})

    counts = Counter(word for i in kept for word in words(texts[i]) for _ in range(3))
    counts.update(word for text, _ in side for word in words(text))
    tokenizer = WordPiece(learn_pieces(counts, VOCABULARY))
    encode = lambda some: [tokenizer.encode(text, LONGEST) for text in some]
    rows = encode(texts[i] for i in kept)
    side_rows, side_labels = encode(text for text, _ in side), np.array([intents.index(intent) for _, intent in side])

    linear = Linear(rows, labels[kept], tokenizer)
    with ProcessPoolExecutor(len(SEEDS)) as pool:
        jobs = [pool.submit(train_network, seed, tokenizer, rows, labels[kept], side_rows, side_labels) for seed in SEEDS]
        networks = [Network(tokenizer, len(names), len(intents)).eval() for _ in SEEDS]
        for network, job in zip(networks, jobs):
            network.load_state_dict(job.result())

    if dev:
        answers = logits(linear, networks, encode(texts[i] for i in held))
        print(f"dev accuracy {np.mean(answers.argmax(1) == labels[held]):.4f}, linear alone {np.mean(linear.margins(encode(texts[i] for i in held)).argmax(1) == labels[held]):.4f}")
        for sharpness in (0.5, 0.7, 1.0, 1.4, 2.0):
            loss = F.cross_entropy(torch.tensor(answers) * sharpness, torch.tensor(labels[held])).item()
            print(f"sharpness {SHARPNESS * sharpness:.2f}: dev cross-entropy {loss:.4f}")
        return
    size = export(linear, networks)
    write_configuration(tokenizer, names)
    test_texts, test_labels, _ = banking77("test")
    score = np.mean(logits(linear, networks, encode(test_texts)).argmax(1) == np.array(test_labels))
    print(f"fp32 accuracy on test.csv {score:.4f}; model_quantized.onnx {size} bytes")


if __name__ == "__main__":
    main("--dev" in sys.argv)
