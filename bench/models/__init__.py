"""Models: methods (`variants`), encoder/decoder pairs (`nets`), where generated codes come from (`samplers`), and the
likelihoods, seeding and precision that they share."""
