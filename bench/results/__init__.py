"""What was computed: the store of records, statistics over them, verification, verdicts on claims. Imports no torch."""
