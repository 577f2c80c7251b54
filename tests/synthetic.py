"""A made-up result set in exactly the shape that the runner writes, for tests of the report.

write(tmp_path / "results")      # "demo": 2 labels x 2 nets + pca, 2 latent sizes, 3 seeds
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

METRICS = {
    "mse": (
        "squared pixel value in [0, 1]",
        "lower",
        "Mean squared error per pixel of test reconstructions.",
    ),
    "elbo": ("nats per image", "higher", "Evidence lower bound on the test split, beta = 1."),
    "fcd": ("squared distance", "lower", "Frechet distance in the features of a small classifier."),
    "fid": ("squared distance", "lower", "Frechet Inception distance."),
    "knn_accuracy": ("fraction", "higher", "5 nearest neighbours, train codes index, test codes query."),
    "silhouette": ("from -1 to 1", "higher", "Silhouette of the true classes."),
}
SHIFT = {"ae": 0.0, "vae": 0.004, "beta_vae": 0.011, "pca": 0.006, "conditional_ae": 0.001}


def cell_id(cell):
    """Twelve hexadecimal digits out of everything in the cell."""
    return hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:12]


def make_cell(dataset="mnist", label="vae", net="mlp", latent_size=2, seed=0, likelihood="bernoulli", epochs=8):
    return {
        "dataset": dataset, "dataset_options": {}, "dataset_label": dataset,
        "variant": label if label in SHIFT else "vae", "options": {"beta": 4} if label == "beta_vae" else {},
        "label": label, "net": net, "net_label": net, "net_options": {"hidden": [512]} if net == "mlp" else {},
        "likelihood": likelihood, "likelihood_options": {}, "latent_size": latent_size, "seed": seed,
        "train": {"epochs": epochs, "batch_size": 128, "optimizer": "adam", "lr": 0.001, "precision": "fp32"},
        "evaluate": {"samplers": ["prior", "gmm"], "n_samples": 10000, "knn_k": 5,
                     "embed": {"methods": ["tsne", "umap"], "points": 2000, "perplexity": 30.0, "n_neighbors": 15,
                               "min_dist": 0.1, "seed": 0}},
    }  # fmt: skip


def make_metrics(cell, rng):
    """Values that differ by variant, net and latent size, with a little noise between seeds."""
    label, size = cell["label"], cell["latent_size"]
    mse = 0.052 / (1 + 0.35 * np.log2(size)) + SHIFT.get(label, 0.002) - 0.003 * (cell["net"] == "conv")
    key = {"likelihood": cell["likelihood"], "binarisation": "none"}
    gaussian = cell["likelihood"] != "bernoulli"
    values = {
        "mse": entry("mse", mse + rng.normal(0, 4e-4)),
        "elbo": entry("elbo", (900 if gaussian else -120) - 900 * mse + rng.normal(0, 0.3), key=key),
        "knn_accuracy": entry("knn_accuracy", 0.97 - 4 * mse + rng.normal(0, 3e-3)),
    }
    if label in ("ae", "pca"):
        values["elbo"] = entry("elbo", None, reason="a deterministic code has no ELBO")
    classifier = {"classifier": classifier_name(cell["dataset"])}
    for sampler in cell["evaluate"]["samplers"]:
        far = 40 if sampler == "prior" and label == "ae" else 12
        fcd = entry("fcd", far + 300 * mse + rng.normal(0, 0.6), key=classifier)
        values[f"fcd_{sampler}"] = fcd | {"family": "fcd", "member": sampler}
        gone = entry("fid", None, reason="Inception weights not found: see bench data")
        values[f"fid_{sampler}"] = gone | {"family": "fid", "member": sampler}
    for space in ("latent", "tsne", "umap"):
        found = entry("silhouette", 0.3 - 3 * mse + rng.normal(0, 0.01))
        values[f"silhouette_{space}"] = found | {"family": "silhouette", "member": space}
    return values


def classifier_name(dataset):
    return f"{dataset}-{fingerprint(dataset)[:8]}"


def fingerprint(dataset):
    return hashlib.sha256(dataset.encode()).hexdigest()[:16]


def entry(name, value, key=None, reason=None):
    unit, better, _ = METRICS[name]
    made = {"value": None if value is None else float(value), "unit": unit, "better": better, "n": 10000}
    made |= {"key": key or {}, "version": 1, "seconds": 0.1}
    return made | ({"reason": reason} if reason else {})


def make_record(cell, suite, status="done", reason=None):
    rng = np.random.default_rng(int(cell_id(cell)[:8], 16))
    about = {name: {"summary": doc, "doc": doc, "reference": ""} for name, (_, _, doc) in METRICS.items()}
    return {
        "schema": 1, "id": cell_id(cell), "suite": suite, "status": status, "reason": reason, "cell": cell,
        "metrics": make_metrics(cell, rng) if status == "done" else {},
        "timings": {"train": 12.3, "evaluate": 8.1},
        "training": {"parameters": 407050, "epochs": 0 if cell["variant"] == "pca" else cell["train"]["epochs"],
                     "steps": 4690,
                     "images_per_s": 28000.0, "threads": 1, "device": "cpu"},
        "about": {
            "variant": {"summary": f"The method {cell['label']}.",
                        "doc": f"The method {cell['label']}.\n\n    loss = rec + kl\n\nSums over pixels.",
                        "reference": "Kingma & Welling 2014, https://arxiv.org/abs/1312.6114"},
            "net": {"summary": "A net.", "doc": "A net.", "reference": ""},
            "likelihood": {"summary": "Pixels.", "doc": "Pixels.", "reference": ""},
            "dataset": {"source": "made up", "fingerprint": fingerprint(cell["dataset"]),
                        "classes": [str(k) for k in range(10)],
                        "shape": [1, 28, 28], "train": 60000, "test": 10000},
            "metrics": about,
        },
        "provenance": {"git": "0123456789abcdef", "dirty": False, "versions": {"torch": "2.11.0"},
                       "device": "cpu", "threads": 1, "precision": "fp32", "fingerprint": fingerprint(cell["dataset"]),
                       "rulers": {"classifier": {"name": classifier_name(cell["dataset"]), "accuracy": 0.9874}},
                       "seconds": 20.4, "peak_memory_mb": 512.0, "created": "2026-03-01T12:00:00+00:00"},
    }  # fmt: skip


def write_history(folder, cell, rng):
    level = 160 if cell["likelihood"] == "bernoulli" else 60
    rows = ["epoch,seconds,train_loss,train_rec,train_kl,test_loss,test_rec,test_kl"]
    for epoch in range(1, cell["train"]["epochs"] + 1):
        rec = level / (1 + 0.1 * cell["latent_size"]) + 60 / epoch + 400 * SHIFT.get(cell["label"], 0)
        rec, kl = rec + rng.normal(0, 0.8), 0.0 if cell["label"] == "ae" else 12 - 6 / epoch
        test = rec + 1.5 + 0.05 * epoch
        rows.append(f"{epoch},{epoch * 1.2},{rec + kl},{rec},{kl},{test + kl},{test},{kl}")
    (folder / "history.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def write_embeddings(folder, rng, points=500):
    labels = rng.integers(0, 10, points)
    angle = labels / 10 * 2 * np.pi
    centre = np.stack([np.cos(angle), np.sin(angle)], 1)
    arrays = {name: (centre * scale + rng.normal(0, 0.25 * scale, (points, 2))).astype(np.float32)
              for name, scale in [("latent", 2.0), ("tsne", 40.0), ("umap", 8.0)]}  # fmt: skip
    np.savez(folder / "embeddings.npz", labels=labels, **arrays)


def digit(value, noise, rng):
    """A 28 x 28 drawing of a digit."""
    image = Image.new("L", (28, 28))
    ImageDraw.Draw(image).text((9, 3), str(value), fill=255, font_size=20)
    return np.clip(np.asarray(image) + rng.normal(0, noise, (28, 28)), 0, 255)


def write_pictures(folder, cell, rng):
    top = np.hstack([digit(k, 0, rng) for k in range(10)])
    blur = 20 + 900 * SHIFT.get(cell["label"], 0) + 40 / cell["latent_size"]
    bottom = np.hstack([digit(k, blur, rng) for k in range(10)])
    Image.fromarray(np.vstack([top, bottom]).astype(np.uint8)).save(folder / "reconstructions.png")
    for sampler in cell["evaluate"]["samplers"]:
        rows = [np.hstack([digit(rng.integers(10), 50, rng) for _ in range(8)]) for _ in range(4)]
        Image.fromarray(np.vstack(rows).astype(np.uint8)).save(folder / f"samples_{sampler}.png")


def write_record(results, suite, record, points=500, artefacts=True):
    folder = Path(results) / suite / record["id"]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int(record["id"][:8], 16))
    if artefacts and record["status"] == "done":
        write_history(folder, record["cell"], rng)
        write_embeddings(folder, rng, points)
        write_pictures(folder, record["cell"], rng)
    (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def write_suite(results, name, cells, **fields):
    """`cells`: pairs of (cell, reason it is skipped or None): the whole grid, what has not run included."""
    folder = Path(results) / name
    folder.mkdir(parents=True, exist_ok=True)
    text = f"title: {name}\n"
    suite = {
        "schema": 1, "name": name, "title": "Which autoencoder, and how many latent dimensions?",
        "description": "A made-up result set.", "text": text,
        "digest": hashlib.sha256(text.encode()).hexdigest(), "metrics": list(METRICS), "claims": [],
        "references": [],
        "cells": [{"id": cell_id(cell), "skip": skip, "cell": cell} for cell, skip in cells],
    }  # fmt: skip
    (folder / "suite.json").write_text(json.dumps(suite | fields), encoding="utf-8")


def grid(datasets=("mnist",), labels=("ae", "vae"), nets=("mlp", "conv"), sizes=(2, 16), seeds=3, pca=True, **fields):
    cells = [make_cell(d, label, net, size, seed, **fields) for d in datasets for label in labels
             for net in nets for size in sizes for seed in range(seeds)]  # fmt: skip
    return cells + [make_cell(d, "pca", None, size, 0, **fields) for d in datasets for size in sizes if pca]


def write(results, name="demo", status=None, points=500, fields=None, artefacts=True, **axes):
    """Write a suite and its records. `status(cell) -> (status, reason)`; a status None leaves it missing."""
    cells = grid(**axes)
    for cell in cells:
        state, reason = status(cell) if status else ("done", None)
        if state is not None:
            write_record(results, name, make_record(cell, name, state, reason), points, artefacts)
    write_suite(results, name, [(cell, None) for cell in cells], **(fields or {}))
    return cells
