"""Faults that results may have, made from a seed: damaged records, and hostile files beside them.

Shared by the tests, which take a few of each, and by `soak.py`, which takes many.
"""

# ruff: noqa: E501  (one hostile file an entry)

import io
import json
import os
import random
import struct
import zipfile
from pathlib import Path

import numpy as np

#: values of a wrong type or size for any field of a record
WRONG = (
    None, True, -1, 0, 3.5, 1e308, 10**400, "", "x", "\x1b[31m\x00\u202e", "../../etc/passwd", [], [[]], {}, {"a": {}},
    [None, 1, "x"], {"": None}, "9" * 5000,
)  # fmt: skip


def mutated(content, seed):
    """A record or suite.json as bytes with one to three faults: wrong types, missing fields, or broken text."""
    rng = random.Random(seed)  # noqa: S311
    content = json.loads(json.dumps(content))
    for _ in range(rng.randint(1, 3)):
        owner, key = rng.choice(list(_places(content)))
        if rng.random() < 0.2:
            del owner[key]
        else:
            owner[key] = rng.choice(WRONG)
        if not content:
            break
    raw = json.dumps(content).encode()
    kind = rng.random()
    if kind < 0.1:
        return raw[: rng.randrange(len(raw))]
    if kind < 0.2:
        at = rng.randrange(len(raw))
        return raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    if kind < 0.25:
        return b'{"schema":1,"a":' + b"[" * 100_000
    return raw


def _places(value):
    """(container, key or index) of everything below a JSON value."""
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, part in pairs:
        yield value, key
        if isinstance(part, dict | list):
            yield from _places(part)


def archive(**entries):
    """An npz of arrays or raw bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, array in entries.items():
            file.writestr(f"{name}.npy", array if isinstance(array, bytes) else npy(array))
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _with_zip_field(offset, value):
    """An archive in whose headers one 16-bit field is another: flags (encryption) or the method."""
    raw = bytearray(archive(labels=np.arange(4), latent=np.zeros((4, 2))))
    for signature, at in ((b"PK\3\4", offset), (b"PK\1\2", offset + 2)):
        start = 0
        while (start := raw.find(signature, start)) >= 0:
            raw[start + at : start + at + 2] = struct.pack("<H", value)
            start += 4
    return bytes(raw)


def _safetensors(header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


HEADER = b"\x93NUMPY\x01\x00"
POINTS = np.zeros((4, 2))
#: file name -> hostile contents
FILES = {
    "record.json": (b"", b"null", b"NaN", b"{", b'{"schema": 1}', b'{"schema": 2}', b'{"schema": true}', b"\xff\xfe{}",
                    b"[" * 200_000, b'{"a":' * 50_000, b"9" * 10_000, b'"\\ud800"', b"\x00" * 100, b"{}" * 1000),
    "history.csv": (b"", b"\x00", b"\xff\xff", b"epoch\n", b"epoch\nx\n", b"epoch,a\n1\n", b"epoch\n1,2,3\n", b"a,b\n1,2\n",
                    b"epoch,train_loss\n1,nan\n2,inf\n", b"epoch,train_loss\nnan,1\n", b'"' + b"x" * 200_000, b"epoch\n9e999\n",
                    b"epoch,epoch\n1,2\n", b",\n1,2\n"),
    "embeddings.npz": (
        b"", b"x", b"PK\3\4", b"PK\5\6" + b"\0" * 18, b"\x93NUMPY", npy(POINTS), archive(), archive(labels=b""),
        archive(labels=b"text", latent=POINTS), archive(labels=np.array([{}] * 4), latent=POINTS),
        archive(labels=np.full(4, np.nan), latent=POINTS), archive(labels=np.arange(3), latent=POINTS),
        archive(labels=np.arange(4), latent=np.full((4, 2), np.nan)), archive(labels=np.arange(4), latent=np.zeros((4, 3))),
        archive(labels=np.arange(4), latent=np.zeros(4)), archive(labels=np.zeros((0,), int), latent=np.zeros((0, 2))),
        archive(labels=np.array(3), latent=np.array(3.0)), archive(labels=np.array(list("abcd")), latent=POINTS),
        archive(labels=np.arange(4), latent=POINTS.astype(complex)), archive(latent=POINTS),
        archive(labels=np.arange(4) - 10**9, latent=POINTS), archive(**{"../../x": POINTS}),
        archive(labels=HEADER + struct.pack("<H", 10) + b"{'descr': "),
        archive(labels=HEADER + struct.pack("<H", 60) + b"{'descr':'<f8','fortran_order':False,'shape':(9999999999,)}\n"),
        archive(labels=HEADER + struct.pack("<H", 65_000) + b"(" * 65_000),
        _with_zip_field(6, 1), _with_zip_field(8, 99), _with_zip_field(8, 12), _with_zip_field(8, 14),
        archive(labels=np.arange(4), latent=POINTS)[:-30], archive(labels=np.arange(4), latent=POINTS)[:200],
    ),
    "reconstructions.png": (b"", b"x", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, b"GIF89a", b"<svg/>",
                            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x02\0\0\0" + b"\0" * 30),
    "samples_prior.webp": (b"", b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + b"\0" * 20),
    "checkpoint.safetensors": (
        b"", b"\xff" * 8, b"\xff" * 100, _safetensors(b"x"), _safetensors({}), _safetensors({"__metadata__": {}}),
        _safetensors({"__metadata__": {"bench": "[]"}}), _safetensors({"__metadata__": {"bench": "{"}}),
        _safetensors({"__metadata__": {"bench": "[" * 5000}}), _safetensors({"__metadata__": {"bench": "{}"}}),
        _safetensors({"__metadata__": {"bench": '{"train_id": []}'}}),
    ),
}  # fmt: skip
KINDS = ("link out", "dangling link", "folder", "pipe", "loop")  #: what may stand where a file should


CELLS = 4  #: cells of the suite that files are planted in


def batches():
    """Lists of (number of the cell, file name, content's number or kind): files that are planted together.

    A damaged record hides the files beside it, so records have lists of their own.
    """
    found = []
    for names in (["record.json"], [name for name in FILES if name != "record.json"]):
        every = [(name, [*range(len(FILES[name])), *KINDS]) for name in names]
        for start in range(0, max(len(many) for _, many in every), CELLS):
            found.append([(number, name, what) for name, many in every
                          for number, what in enumerate(many[start : start + CELLS])])  # fmt: skip
    return found


def plant(folder, name, what):
    """Put hostile content, by its number, or something that is no file, into a cell's folder."""
    path = Path(folder) / name
    path.unlink(missing_ok=True)
    if isinstance(what, int):
        path.write_bytes(FILES[name][what])
    elif what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "loop":
        path.symlink_to(path.name)
    else:
        path.symlink_to("/etc/hostname" if what == "link out" else "nowhere")
