"""The report: records in, a static site and tables to paste out. Imports no torch.

report.build(Path("results"), Path("site"))                          → site/index.html
report.build_single(Path("results"), Path("site.html"))              → the same in one file
report.table(Path("results"), "mnist_all", "latex", "mse")           → what `bench table` prints
"""

from .single_file import build_single
from .site import build
from .tables import table

__all__ = ["build", "build_single", "table"]
