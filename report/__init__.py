"""The report: records in, a static site and tables to paste out. Imports no torch.

report.build(Path("results"), Path("site"))                          → site/index.html
report.table(Path("results"), "mnist_all", "latex", "mse")           → what `bench table` prints
"""

from .site import build
from .tables import table

__all__ = ["build", "table"]
