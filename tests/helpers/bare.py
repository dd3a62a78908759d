"""A process that has torch, torchvision and numpy alone, with what they require themselves, wherever they are."""

ALONE = """
import re, sys
from importlib import metadata

# torch takes optree where its metadata are, and those are not hidden
wanted, allowed = ["torch", "torchvision", "numpy"], {"kdlab", "workbook", "optree"}
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

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        standard = top in sys.stdlib_module_names or top.startswith("_sysconfigdata")
        return self.finder.find_spec(name, path, target) if standard or top in allowed else None

sys.meta_path[:] = map(Hiding, sys.meta_path)
"""
