"""A process that has torch, torchvision and numpy alone, with what they require themselves, wherever they are."""

BLOCKER = """
import re, sys
from importlib import metadata
from importlib.abc import MetaPathFinder

wanted, allowed = ["torch", "torchvision", "numpy"], {"kdlab", "workbook"}
while wanted:
    name = re.split(r"[^\\w.-]", wanted.pop())[0]
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        continue
    tops = {file.parts[0].removesuffix(".py") for file in distribution.files if file.suffix == ".py"}
    if not tops <= allowed:
        allowed |= tops
        wanted += [text for text in distribution.requires or [] if "extra ==" not in text]

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        if top not in allowed and not standard:
            raise ModuleNotFoundError(f"{name} is blocked here", name=top)

sys.meta_path.insert(0, Blocker())
"""
