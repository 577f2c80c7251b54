"""Training: `trainer.fit` trains one definition with many seeds, `checkpoint` keeps the models."""
