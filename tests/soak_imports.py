"""What the server of `soak_processes.py` imports before it forks: what a run imports at any time.

Each of these is imported where it is needed first, some by libraries, and together they take seconds.
"""

# ruff: noqa: F401

import sklearn.datasets
import sklearn.linear_model
import sklearn.manifold
import sklearn.metrics
import torch._dynamo

import bench.evaluation.image_files
import bench.runs.runner
import bench.runs.score
import bench.training.trainer
