// What the pages need beside Sphinx: a choice at each prediction, and search results that ask for nothing on file://.
"use strict";

// A page on disk may not read its neighbours, so results come without a line of their text there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What the pages themselves do not say, in the language of the page.
const WORDS = document.documentElement.lang.startsWith("zh")
  ? {asked: "你的预测：", own: "用自己的话写", label: "你的预测", show: "展开", hide: "收起",
     said: (letter) => `你选了 (${letter})。现在展开下一个单元格的内容。`}
  : {asked: "Your prediction: ", own: "in your own words", label: "Your prediction",
     said: (letter) => `You said (${letter}). Now open what the next cell shows.`};

document.addEventListener("DOMContentLoaded", () => {
  for (const [kind, words] of Object.entries({collapsed: WORDS.show, expanded: WORDS.hide})) {
    for (const place of words ? document.querySelectorAll(`details.hide > summary .${kind}`) : []) place.textContent = words;
  }
  for (const place of document.querySelectorAll(".predict")) {
    const said = document.createElement("span");
    said.setAttribute("role", "status");
    const choose = (words) => { said.textContent = words; };
    const controls = [...place.dataset.letters].map((letter) => {
      const button = document.createElement("button");
      button.textContent = `(${letter})`;
      button.setAttribute("aria-pressed", "false");
      button.addEventListener("click", () => {
        controls.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        choose(WORDS.said(letter));
      });
      return button;
    });
    if (!controls.length) {
      const line = document.createElement("input");
      line.placeholder = WORDS.own;
      line.setAttribute("aria-label", WORDS.label);
      controls.push(line);
    }
    place.replaceChildren(WORDS.asked, ...controls, said);
  }
});
