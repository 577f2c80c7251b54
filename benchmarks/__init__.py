"""How fast a grid trains here, beside what the machine could do at most and beside a peer.

    python -m bench speed --net mlp --net conv --precision fp32 --precision bf16 --against pythae

Training only: variants × seeds, as `bench run` would do it, on images of MNIST's shape that lie in memory. Importing,
loading and a first warm-up are not counted, and the slowest worker's wall time is what counts. All sides take turns,
round after round, so that whatever else the machine does disturbs them alike; what is reported are medians of rounds.

    grid       what is measured, and one side's share of it: train these cells, here, now
    workers    processes that stand ready and train side by side when told to
    flops      the arithmetic of a training step, counted from the modules
    limits     the best rate of matrix products and convolutions that this machine was seen to reach
    measure    rounds, medians, ratios, shares
    profile    what one training step is made of
    overhead   everything that is not training: a cell's bookkeeping, the start of `plan`, opening a large store
    evaluation a cell's evaluation by part, and beside it the same
    naive      as one writes it by hand
    table      the result as text, Markdown, CSV and JSON
"""
