"""A byte-fallback BPE tokenizer in the layout of Llama's tokenizer.json: `▁` for a space, `<0x00>` to `<0xFF>` for rare characters."""
from __future__ import annotations

import heapq
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
# Merges never cross a space or mix letters with punctuation, so every piece is a word part, a number or marks.
CHUNK = re.compile(r"▁+(?=▁)|▁?(?:[^\W\d_]+|\d|[^\w\s▁]+|_+)|▁|\s")


def learn_merges(texts: list[str], size: int, least_character: int = 200) -> tuple[list[str], list[tuple[str, str]]]:
    """The vocabulary (special tokens, bytes, characters, merged pieces in order) and the merges that make it."""
    counts = Counter(chunk for text in texts for chunk in CHUNK.findall(text.replace(" ", "▁")))
    characters = Counter()
    for chunk, count in counts.items():
        for character in chunk:
            characters[character] += count
    # A newline is always a byte token: the decoder of tokenizer.json then needs no special case.
    alphabet = sorted(c for c, count in characters.items() if count >= least_character and c != "\n")
    kept = set(alphabet)
    spelled = [(list(chunk), count) for chunk, count in counts.items() if count > 1 and set(chunk) <= kept]
    pairs: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[int]] = defaultdict(set)
    for i, (pieces, count) in enumerate(spelled):
        for pair in zip(pieces, pieces[1:]):
            pairs[pair] += count
            where[pair].add(i)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    vocabulary = [UNK, BOS, EOS, *BYTES, *alphabet]
    known, merges = set(vocabulary), []
    while len(vocabulary) < size and heap:
        count, best = heapq.heappop(heap)
        if pairs[best] != -count or count == 0:
            continue
        joined = best[0] + best[1]
        merges.append(best)
        if joined not in known:
            known.add(joined)
            vocabulary.append(joined)
        changed: set[tuple[str, str]] = set()
        for i in where.pop(best):
            pieces, weight = spelled[i]
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] -= weight
                changed.add(pair)
            merged, at = [], 0
            while at < len(pieces):
                pair = (pieces[at], pieces[at + 1]) if at + 1 < len(pieces) else None
                merged.append(joined if pair == best else pieces[at])
                at += 2 if pair == best else 1
            pieces[:] = merged
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += weight
                where[pair].add(i)
                changed.add(pair)
        for pair in changed:
            if pairs[pair] > 0:
                heapq.heappush(heap, (-pairs[pair], pair))
    return vocabulary, merges


class Bpe:
    def __init__(self, vocabulary: list[str], merges: list[tuple[str, str]]) -> None:
        self.vocabulary, self.merges = vocabulary, merges
        self.ids = {piece: i for i, piece in enumerate(vocabulary)}
        self.rank = {pair: i for i, pair in enumerate(merges)}
        self._cache: dict[str, list[int]] = {}

    def chunk(self, chunk: str) -> list[int]:
        if chunk not in self._cache:
            pieces = list(chunk)
            while len(pieces) > 1:
                ranked = [(self.rank.get(pair, len(self.rank)), i) for i, pair in enumerate(zip(pieces, pieces[1:]))]
                rank, at = min(ranked)
                if rank == len(self.rank):
                    break
                pieces[at:at + 2] = [pieces[at] + pieces[at + 1]]
            ids = []
            for piece in pieces:
                ids += [self.ids[piece]] if piece in self.ids else [self.ids[BYTES[byte]] for byte in piece.encode()]
            self._cache[chunk] = ids
        return self._cache[chunk]

    def encode(self, text: str) -> list[int]:
        """Ids without special tokens. Splitting into chunks first changes nothing but the speed: no merge crosses a chunk."""
        if not text:
            return []
        return [i for chunk in CHUNK.findall("▁" + text.replace(" ", "▁")) for i in self.chunk(chunk)]

    def save(self, folder: Path, longest: int, chat_template: str) -> None:
        special = [{"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                    "special": True} for i, token in enumerate((UNK, BOS, EOS))]
        start = {"SpecialToken": {"id": BOS, "type_id": 0}}
        document = {
            "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
            "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
            "pre_tokenizer": None,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
                "pair": [start, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": BOS, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {BOS: {"id": BOS, "ids": [self.ids[BOS]], "tokens": [BOS]}},
            },
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": UNK, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": True, "byte_fallback": True, "vocab": self.ids, "merges": [" ".join(pair) for pair in self.merges]},
        }
        (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(json.dumps({
            "tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": BOS, "eos_token": EOS,
            "unk_token": UNK, "pad_token": EOS, "model_max_length": longest, "legacy": True, "clean_up_tokenization_spaces": False,
            "sp_model_kwargs": {}, "chat_template": chat_template,
            "added_tokens_decoder": {str(entry.pop("id")): entry for entry in special},
        }, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Bpe:
        model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        return cls(sorted(model["vocab"], key=model["vocab"].__getitem__), [tuple(pair.split(" ")) for pair in model["merges"]])
