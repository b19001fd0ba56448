"""Trains the story model and writes every shipped file of this folder but the golden answers.

Run from the repository root: python3 models/story/train.py [--steps N] [--checkpoint FILE] [--export]
A checkpoint is written every 50 steps; `--export` stops training where the checkpoint stands and writes the files.
"""
from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.bpe import Bpe, learn_merges
from lib.data import stories
from lib.graph import F32, I32, I64, Graph

HERE = Path(__file__).resolve().parent
VOCABULARY, CONTEXT = 4096, 512
DIM, LAYERS, HEADS, KV_HEADS, FFN = 192, 6, 6, 3, 512
HEAD, GROUP = DIM // HEADS, HEADS // KV_HEADS
EPSILON, THETA = 1e-5, 10000.0
# Short windows first, because attention over 512 tokens takes most of a step on one core; the last steps see the full context.
TOKENS, SHORT, LONG_SHARE = 2048, 256, 0.12
MATRIX_RATE, OTHER_RATE, WARMUP, SEED = 0.02, 3e-3, 30, 3
BOS, EOS = 1, 2
# Every prompt is simply continued: the words of all turns, one after the other.
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}{% endfor %}"


def rotations(length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines [length, HEAD], both halves alike."""
    angle = torch.arange(length)[:, None] / THETA ** (torch.arange(0, HEAD, 2) / HEAD)[None]
    angle = torch.cat([angle, angle], 1)
    return angle.cos(), angle.sin()


class Norm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(DIM))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (x.square().mean(-1, keepdim=True) + EPSILON).rsqrt() * self.gain


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)
        self.q, self.k, self.v, self.o = linear(DIM, DIM), linear(DIM, KV_HEADS * HEAD), linear(DIM, KV_HEADS * HEAD), linear(DIM, DIM)
        self.gate, self.up, self.down = linear(DIM, FFN), linear(DIM, FFN), linear(FFN, DIM)
        self.norm1, self.norm2 = Norm(), Norm()

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        heads = lambda y, count: y.view(batch, length, count, HEAD).transpose(1, 2)
        turn = lambda y: y * cos + torch.cat([-y[..., HEAD // 2:], y[..., :HEAD // 2]], -1) * sin
        h = self.norm1(x)
        q, k, v = turn(heads(self.q(h), HEADS)), turn(heads(self.k(h), KV_HEADS)), heads(self.v(h), KV_HEADS)
        k, v = k.repeat_interleave(GROUP, 1), v.repeat_interleave(GROUP, 1)
        shares = torch.softmax((q @ k.transpose(-1, -2)) / math.sqrt(HEAD) + hidden, -1)
        x = x + self.o((shares @ v).transpose(1, 2).reshape(batch, length, DIM))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Story(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, DIM)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm()
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, 0, 0.02)
        for layer in self.layers:
            nn.init.zeros_(layer.o.weight)
            nn.init.zeros_(layer.down.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        length = ids.shape[1]
        cos, sin = rotations(length)
        hidden = torch.full((length, length), -1e9).triu(1)
        x = self.tokens(ids)
        for layer in self.layers:
            x = layer(x, cos, sin, hidden)
        return self.norm(x) @ self.tokens.weight.T


class Muon:
    """Momentum whose update of every matrix is made orthogonal (five Newton-Schulz steps): about a third fewer steps than AdamW."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self.parameters = parameters
        self.momenta = [torch.zeros_like(parameter) for parameter in parameters]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for parameter, momentum in zip(self.parameters, self.momenta):
            momentum.lerp_(parameter.grad, 0.05)
            x = parameter.grad.lerp(momentum, 0.95)
            tall = x.shape[0] > x.shape[1]
            x = x.T if tall else x
            x = x / (x.norm() + 1e-7)
            for _ in range(5):
                square = x @ x.T
                x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
            x = x.T if tall else x
            parameter.mul_(1 - rate * 0.05).add_(x, alpha=-rate * max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5)


def stream(tokenizer: Bpe, names: list[str]) -> np.ndarray:
    """All documents in random order, `<s>` before each."""
    documents = [document for name in names for document in stories(name)]
    order = np.random.default_rng(SEED).permutation(len(documents))
    return np.array([i for n in order for i in [BOS, *tokenizer.encode(documents[n])]], np.int64)


@torch.no_grad()
def bits_per_byte(model: Story, tokenizer: Bpe, names: list[str], windows: int | None = None) -> float:
    """Cross-entropy of each document's tokens in windows of CONTEXT that start with `<s>` and overlap by half."""
    bits = size = 0.0
    for document in stories(names[0])[:windows]:
        ids = [BOS, *tokenizer.encode(document)]
        size += len(document.encode())
        for start in range(0, max(1, len(ids) - 1 - CONTEXT // 2), CONTEXT // 2):
            part = torch.tensor([ids[start:start + CONTEXT + 1]])
            losses = F.cross_entropy(model(part[:, :-1])[0], part[0, 1:], reduction="none")
            bits += losses[CONTEXT // 2 if start else 0:].sum().item() / math.log(2)
    return bits / size


def ngram_bits_per_byte(train: np.ndarray, tokenizer: Bpe, order: int = 3) -> float:
    """The baseline: token n-grams with absolute discounting, interpolated down to the uniform distribution."""
    counts = [defaultdict(Counter) for _ in range(order)]
    ids = train.tolist()
    for n in range(order):
        for i in range(n, len(ids)):
            counts[n][tuple(ids[i - n:i])][ids[i]] += 1
    totals = [{context: sum(after.values()) for context, after in level.items()} for level in counts]
    bits = size = 0.0
    for document in stories("valid"):
        text = [BOS, *tokenizer.encode(document)]
        size += len(document.encode())
        for i in range(1, len(text)):
            probability = 1 / len(tokenizer.vocabulary)
            for n in range(min(order, i + 1)):
                context = tuple(text[i - n:i])
                if total := totals[n].get(context):
                    after = counts[n][context]
                    probability = (max(after[text[i]] - 0.75, 0) + 0.75 * len(after) * probability) / total
            bits -= math.log2(probability)
    return bits / size


def train(model: Story, tokens: np.ndarray, steps: int, checkpoint: Path, tokenizer: Bpe) -> None:
    random = np.random.default_rng(SEED)
    matrices = [p for layer in model.layers for p in layer.parameters() if p.dim() == 2]
    muon = Muon(matrices)
    others = [p for p in model.parameters() if not any(p is m for m in matrices)]
    adam = torch.optim.Adam(others, OTHER_RATE, betas=(0.9, 0.95))
    started, first, recent = time.time(), 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        adam.load_state_dict(state["adam"])
        muon.momenta, first = state["muon"], state["step"]
    for step in range(steps):
        # Flat, then linear to zero over the last 60 %.
        level = min(1.0, (step + 1) / WARMUP, (steps - step) / (0.6 * steps))
        length = SHORT if step < (1 - LONG_SHARE) * steps else CONTEXT
        starts = random.integers(0, len(tokens) - length - 1, TOKENS // length)
        if step < first:
            continue
        part = torch.tensor(np.stack([tokens[s:s + length + 1] for s in starts]))
        loss = F.cross_entropy(model(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        for group in adam.param_groups:
            group["lr"] = OTHER_RATE * level
        adam.step()
        muon.step(MATRIX_RATE * level)
        recent.append(loss.item())
        if step % 50 == 49 or step == steps - 1:
            torch.save({"model": model.state_dict(), "adam": adam.state_dict(), "muon": muon.momenta, "step": step + 1}, checkpoint)
            score = f", valid {bits_per_byte(model, tokenizer, ['valid'], 6):.3f} bits/byte" if step % 500 == 499 else ""
            speed = (step + 1 - first) * TOKENS / (time.time() - started)
            print(f"step {step + 1}: loss {np.mean(recent[-50:]):.3f}, {speed:.0f} tokens/s{score}", flush=True)


def export(model: Story) -> int:
    """A decoder whose attention appends to the key/value inputs in place; weights int8, one activation scale per token."""
    graph = Graph()
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    vocabulary = len(weights["tokens.weight"])
    ids = graph.input("input_ids", I64, ["batch", "sequence"])
    mask = graph.input("attention_mask", I64, ["batch", "total"])
    # The last positions whose logits are wanted; 0 is all of them.
    wanted = graph.input("num_logits_to_keep", I64, [])
    cos, sin = (graph.constant(table[:, :HEAD // 2].numpy(), name) for table, name in zip(rotations(CONTEXT), ("cos", "sin")))
    # Each row's own length, less one; and the longest of the batch.
    lengths = graph.add("Sub", [graph.add("ReduceSum", [mask, graph.constant([1])], keepdims=0), graph.constant(1)])
    lengths = graph.add("Cast", [lengths], to=I32)
    total = graph.add("Cast", [graph.add("Gather", [graph.add("Shape", [mask]), graph.constant(1)], axis=0)], to=I32)

    def norm(x: str, name: str) -> str:
        mean = graph.add("ReduceMean", [graph.add("Mul", [x, x])], axes=[-1])
        root = graph.add("Sqrt", [graph.add("Add", [mean, graph.constant(EPSILON)])])
        return graph.add("Mul", [graph.add("Div", [x, root]), graph.constant(weights[f"{name}.gain"], f"{name}.gain")])

    x = graph.embedding(weights["tokens.weight"], ids, "tokens")
    presents = []
    for n in range(LAYERS):
        linear = lambda source, name: graph.linear(source, weights[f"layers.{n}.{name}.weight"].T, None, f"layers.{n}.{name}")
        h = norm(x, f"layers.{n}.norm1")
        past = [graph.input(f"past_key_values.{n}.{kind}", F32, ["batch", KV_HEADS, "past", HEAD]) for kind in ("key", "value")]
        present = [f"present.{n}.{kind}" for kind in ("key", "value")]
        joined = graph.attention([linear(h, "q"), linear(h, "k"), linear(h, "v"), *past, lengths, total, cos, sin], present,
                                 num_heads=HEADS, kv_num_heads=KV_HEADS, do_rotary=1)
        presents += present
        x = graph.add("Add", [x, linear(joined, "o")])
        h = norm(x, f"layers.{n}.norm2")
        gate = linear(h, "gate")
        gated = graph.add("Mul", [graph.add("Mul", [gate, graph.add("Sigmoid", [gate])]), linear(h, "up")])
        x = graph.add("Add", [x, linear(gated, "down")])
    start = graph.add("Unsqueeze", [graph.add("Neg", [wanted]), graph.constant([0])])
    x = graph.add("Slice", [x, start, graph.constant([2**31 - 1]), graph.constant([1])])
    graph.linear(norm(x, "norm"), weights["tokens.weight"].T, None, "head", "logits")
    graph.output("logits", F32, ["batch", "kept", vocabulary])
    for name in presents:
        graph.output(name, F32, ["batch", KV_HEADS, "total", HEAD])
    return graph.save("story", HERE)


def write_configuration(tokenizer: Bpe) -> None:
    tokenizer.save(HERE, CONTEXT, CHAT_TEMPLATE)
    (HERE / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False, "attention_dropout": 0.0,
        "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": EOS, "head_dim": HEAD, "hidden_act": "silu", "hidden_size": DIM,
        "initializer_range": 0.02, "intermediate_size": FFN, "max_position_embeddings": CONTEXT, "mlp_bias": False,
        "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "num_key_value_heads": KV_HEADS, "rms_norm_eps": EPSILON,
        "rope_scaling": None, "rope_theta": THETA, "tie_word_embeddings": True, "torch_dtype": "float32", "use_cache": True,
        "vocab_size": len(tokenizer.vocabulary),
    }, indent=2) + "\n")
    (HERE / "generation_config.json").write_text(json.dumps({
        "bos_token_id": BOS, "eos_token_id": [BOS, EOS], "pad_token_id": EOS, "max_length": CONTEXT, "do_sample": True,
        "temperature": 0.8, "top_p": 0.95,
    }, indent=2) + "\n")
    (HERE / "input_example.json").write_text(json.dumps({"prompt": "Once upon a time there was a little fox who", "max_tokens": 24}, indent=2) + "\n")


def main() -> None:
    torch.set_flush_denormal(True)
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=5500)
    parser.add_argument("--checkpoint", type=Path, default=Path(tempfile.gettempdir()) / "glim-story.pt")
    parser.add_argument("--export", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(SEED)
    names = ["tales-1", "tales-2", "novels-1"]
    tokenizer = Bpe(*learn_merges([document for name in names for document in stories(name)], VOCABULARY))
    write_configuration(tokenizer)
    tokens = stream(tokenizer, names)
    model = Story(len(tokenizer.vocabulary))
    print(f"{len(tokens)} training tokens, {sum(p.numel() for p in model.parameters())} weights", flush=True)
    if not options.export:
        train(model, tokens, options.steps, options.checkpoint, tokenizer)
    model.load_state_dict(torch.load(options.checkpoint)["model"])
    print(f"model_quantized.onnx {export(model)} bytes; fp32 {bits_per_byte(model, tokenizer, ['valid']):.4f} bits per byte")
    print(f"3-gram baseline {ngram_bits_per_byte(tokens, tokenizer):.4f} bits per byte", flush=True)


if __name__ == "__main__":
    main()
