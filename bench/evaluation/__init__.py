"""Evaluation: a trained model to metrics, codes, maps and pictures (`evaluate`), each input made once (`context`)."""
