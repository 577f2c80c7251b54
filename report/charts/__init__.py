"""Charts: what is drawn, and SVG of it."""
