"""Building small int8 ONNX graphs by hand.

Weights are int8; activations are quantised per row (the last axis of one token) right before a product, so a row's answer
never depends on the rows it shares a batch with. `DynamicQuantizeLinear` would use one scale for the whole batch.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

F32, I64, I32, U8, I8 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.INT8

MICROSOFT = "com.microsoft"


def int8_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values and one float32 scale per row, shape [rows, 1]."""
    scale = (np.abs(table).max(axis=1, keepdims=True) / 127 + 1e-12).astype(np.float32)
    return np.clip(np.round(table / scale), -127, 127).astype(np.int8), scale


def int8_columns(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 values and one float32 scale per output column, shape [columns]."""
    quantised, scale = int8_rows(np.ascontiguousarray(weight.T))
    return np.ascontiguousarray(quantised.T), scale[:, 0]


class Graph:
    """A list of nodes that grows one operator at a time; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.quantised_rows: dict[str, tuple[str, str]] = {}

    def input(self, name: str, kind: int, shape: list[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, kind: int, shape: list[int | str]) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, value: np.ndarray | float | int | list[int], name: str | None = None) -> str:
        """Plain ints and lists become int64, plain floats float32; equal small constants are stored once."""
        if isinstance(value, float):
            array = np.array(value, np.float32)
        elif isinstance(value, (int, list)):
            array = np.array(value, np.int64)
        else:
            array = np.ascontiguousarray(value) if value.ndim else value
        if name is None:
            name = f"c_{array.dtype.name}_{'x'.join(map(str, array.shape))}_{'_'.join(map(str, array.ravel()[:4].tolist()))}"
            if array.size > 4:
                name = f"{name}_{len(self.initialisers)}"
        self.initialisers.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def add(self, op: str, inputs: list[str], output: str | None = None, **attributes: object) -> str:
        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{output}:{op}", **attributes))
        return output

    def embedding(self, table: np.ndarray, ids: str, name: str) -> str:
        """float32 rows of an int8 table with one scale per row."""
        quantised, scale = int8_rows(table)
        rows = self.add("Gather", [self.constant(quantised, f"{name}.int8"), ids])
        scales = self.add("Gather", [self.constant(scale, f"{name}.scale"), ids])
        return self.add("Mul", [self.add("Cast", [rows], to=F32), scales])

    def quantise_rows(self, x: str) -> tuple[str, str]:
        """uint8 values around 128 and the float32 scale of each row."""
        if x not in self.quantised_rows:
            top = self.add("ReduceMax", [self.add("Abs", [x])], axes=[-1], keepdims=1)
            scale = self.add("Add", [self.add("Mul", [top, self.constant(1 / 127)]), self.constant(1e-9)])
            unit, zero = self.constant(1.0), self.constant(np.array(128, np.uint8))
            values = self.add("QuantizeLinear", [self.add("Div", [x, scale]), unit, zero])
            self.quantised_rows[x] = values, scale
        return self.quantised_rows[x]

    def linear(self, x: str, weight: np.ndarray, bias: np.ndarray | None, name: str, output: str | None = None) -> str:
        """x @ weight + bias with int8 operands; `weight` is [inputs, outputs]."""
        values, scale = self.quantise_rows(x)
        quantised, weight_scale = int8_columns(weight)
        zero = self.constant(np.array(128, np.uint8))
        product = self.add("MatMulInteger", [values, self.constant(quantised, f"{name}.int8"), zero])
        # Two multiplications, not one by the product of both scales: the runtime fuses the one-step form into
        # MatMulIntegerToFloat, which reads only the first activation scale and is silently wrong for one per row.
        y = self.add("Mul", [self.add("Cast", [product], to=F32), self.constant(weight_scale, f"{name}.scale")])
        if bias is None:
            return self.add("Mul", [y, scale], output)
        return self.add("Add", [self.add("Mul", [y, scale]), self.constant(bias.astype(np.float32), f"{name}.bias")], output)

    def attention(self, inputs: list[str], present: list[str], **attributes: object) -> str:
        """Causal attention of onnxruntime's own operator set over a key/value cache: row by row, and in place where past and
        present are one buffer."""
        output = f"attention_{len(self.nodes)}"
        self.nodes.append(helper.make_node("GroupQueryAttention", inputs, [output, *present], name=output, domain=MICROSOFT, **attributes))
        return output

    def model(self, name: str) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, list(self.initialisers.values()))
        domains = {node.domain for node in self.nodes}
        opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in sorted(domains - {""}))]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="glim")
        onnx.checker.check_model(model)
        return model

    def save(self, name: str, folder: Path) -> int:
        """Writes onnx/model_quantized.onnx and returns its size in bytes."""
        path = folder / "onnx" / "model_quantized.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.model(name).SerializeToString())
        return path.stat().st_size
