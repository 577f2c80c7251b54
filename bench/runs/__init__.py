"""Runs: what is to do (`plan`), one task of it (`worker`), all of it on this machine or a cluster (`runner`)."""
