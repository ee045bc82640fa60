"""A simulated shop whose true probabilities are known.

:func:`write_demo_shop` writes order lines in the flat-file contract and, when asked, beside them
the best probabilities that anybody could have stated (the *oracle*). ``docs/demo_shop.md`` tells
the process and its formulas.
"""

from python_ml.ingest.demo.files import DemoFiles, write_demo_shop
from python_ml.ingest.demo.shop import DemoShop

__all__ = ["DemoFiles", "DemoShop", "write_demo_shop"]
