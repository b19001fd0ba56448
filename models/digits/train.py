"""Trains the digit classifier and writes every shipped file of this folder but the golden answers.

Run from the repository root: python3 models/digits/train.py
"""
from __future__ import annotations

import base64
import copy
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lib.data import mnist
from lib.graph import F32, Graph, int8_rows

HERE = Path(__file__).resolve().parent
EPOCHS, BATCH, SEED = 45, 100, 7
# (inputs, outputs, kernel, stride)
CONVOLUTIONS = [(1, 24, 5, 1), (24, 32, 3, 2), (32, 48, 3, 1), (48, 64, 3, 2), (64, 96, 3, 1)]


class Digits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, kernel, stride in CONVOLUTIONS:
            layers += [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(CONVOLUTIONS[-1][1] * 2, 10)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.convolutions(pixels)
        return self.head(self.drop(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)))


def augment(images: torch.Tensor) -> torch.Tensor:
    """Small rotations, scalings, shears, shifts and smooth elastic distortions."""
    n = len(images)
    uniform = lambda width: (torch.rand(n) * 2 - 1) * width
    angle, shear = uniform(0.22), uniform(0.18)
    sx, sy = 1 + uniform(0.12), 1 + uniform(0.12)
    theta = torch.stack([
        torch.stack([sx * angle.cos(), -sy * (angle.sin() + shear), uniform(0.17)], 1),
        torch.stack([sx * angle.sin(), sy * angle.cos(), uniform(0.17)], 1),
    ], 1)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    bend = F.interpolate(torch.randn(n, 2, 6, 6) * 0.055, size=(28, 28), mode="bicubic", align_corners=True)
    return F.grid_sample(images, grid + bend.permute(0, 2, 3, 1), align_corners=False)


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    right = sum((model(images[i:i + 500]).argmax(1) == labels[i:i + 500]).sum().item() for i in range(0, len(images), 500))
    return right / len(images)


def train() -> Digits:
    torch.manual_seed(SEED)
    pixels, classes = mnist("train10k")
    images, labels = torch.tensor(pixels, dtype=torch.float32)[:, None] / 255, torch.tensor(classes)
    model = Digits()
    average = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.02)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, steps, pct_start=0.15)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(images)).split(BATCH):
            loss = F.cross_entropy(model(augment(images[rows])), labels[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
            # Averaged weights generalise better than the last ones and cost one pass over the parameters.
            for kept, new in zip(average.state_dict().values(), model.state_dict().values()):
                kept.lerp_(new, 0.005) if kept.is_floating_point() else kept.copy_(new)
        print(f"epoch {epoch + 1}: loss {total / (len(images) // BATCH):.4f}, unaugmented train {accuracy(average, images, labels):.4f}", flush=True)
    return average.eval()


def folded(model: Digits) -> list[tuple[np.ndarray, np.ndarray]]:
    """Convolution weights and biases with the batch normalisation multiplied in."""
    result = []
    for i in range(len(CONVOLUTIONS)):
        convolution, norm = model.convolutions[3 * i], model.convolutions[3 * i + 1]
        gain = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()
        result.append(((convolution.weight.detach() * gain[:, None, None, None]).numpy(), (norm.bias - norm.running_mean * gain).detach().numpy()))
    return result


def export(model: Digits) -> int:
    """Weights int8 with one scale per output channel, activations float32: nothing couples the images of a batch."""
    graph = Graph()
    x = graph.input("pixel_values", F32, ["batch", 1, 28, 28])
    for i, ((weight, bias), (_, _, kernel, stride)) in enumerate(zip(folded(model), CONVOLUTIONS)):
        quantised, scale = int8_rows(weight.reshape(len(weight), -1))
        weight_name = graph.add("DequantizeLinear", [
            graph.constant(quantised.reshape(weight.shape), f"conv{i}.int8"), graph.constant(scale[:, 0], f"conv{i}.scale"),
            graph.constant(np.zeros(len(weight), np.int8), f"conv{i}.zero")], axis=0)
        x = graph.add("Conv", [x, weight_name, graph.constant(bias, f"conv{i}.bias")], kernel_shape=[kernel] * 2,
                      strides=[stride] * 2, pads=[kernel // 2] * 4)
        x = graph.add("Relu", [x])
    pooled = graph.add("Concat", [graph.add(op, [x], axes=[2, 3], keepdims=0) for op in ("ReduceMean", "ReduceMax")], axis=1)
    graph.linear(pooled, model.head.weight.detach().numpy().T, model.head.bias.detach().numpy(), "head", "logits")
    graph.output("logits", F32, ["batch", 10])
    return graph.save("digits", HERE)


def write_png(path: Path, image: np.ndarray) -> None:
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    rows = b"".join(b"\0" + row.tobytes() for row in image)
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def write_configuration() -> None:
    names = [str(digit) for digit in range(10)]
    (HERE / "config.json").write_text(json.dumps({
        "architectures": ["DigitsForImageClassification"], "model_type": "digits-cnn", "num_channels": 1, "image_size": 28,
        "id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}, "num_labels": 10,
    }, indent=2) + "\n")
    (HERE / "preprocessor_config.json").write_text(json.dumps({
        "do_resize": True, "size": {"height": 28, "width": 28}, "resample": 2, "do_convert_grayscale": True,
        "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": False,
    }, indent=2) + "\n")
    sample = base64.b64encode((HERE / "sample.png").read_bytes()).decode()
    (HERE / "input_example.json").write_text(json.dumps({"inputs": {"image": [sample]}}) + "\n")


if __name__ == "__main__":
    model = train()
    test_images, test_labels = mnist("t10k")
    score = accuracy(model, torch.tensor(test_images, dtype=torch.float32)[:, None] / 255, torch.tensor(test_labels))
    write_png(HERE / "sample.png", test_images[0])
    write_configuration()
    print(f"fp32 accuracy on t10k {score:.4f}; model_quantized.onnx {export(model)} bytes")
