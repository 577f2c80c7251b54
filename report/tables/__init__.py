"""Tables: groups of records to aggregates, in every format, and back."""
