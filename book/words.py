"""How the book's search cuts a text into words: English ones by their stems, Chinese ones as pairs of characters.

Chinese is written without spaces, and most of its words have two characters: 知识蒸馏 is found by 知识, 识蒸 and 蒸馏.
"""

import functools
import re

from sphinx.search.en import SearchEnglish

HAN = r"\u4e00-\u9fff"
RUN = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")


def pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(max(1, len(run) - 1))] if re.match(f"[{HAN}]", run) else [run]


class Words(SearchEnglish):
    """English, with Chinese between it. What is typed is cut as the pages are, by the same rule in JavaScript."""

    lang = "words"
    js_splitter_code = (
        "var splitQuery = (query) => (query.match(/[HAN]+|(?:(?![HAN])[\\p{L}\\p{N}_])+/gu) || []).flatMap((run) =>\n"
        "  !/[HAN]/.test(run) ? [run]\n"
        "    : Array.from({length: Math.max(1, run.length - 1)}, (_, at) => run.slice(at, at + 2)));\n"
    ).replace("HAN", HAN)

    def __init__(self, options):
        super().__init__(options)
        self.stem = functools.cache(super().stem)    # the pages have a few thousand words, each a hundred times

    def split(self, text: str) -> list[str]:
        return [word for run in RUN.findall(text) for word in pairs(run)]
