// What the pages need beside Sphinx: a choice at each prediction, tables and lines that a phone can show, figures that
// open alone, and search results that ask for nothing on file://.
"use strict";

// A page on disk may not read its neighbours, so results come without a line of their text there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// What the pages themselves do not say, in the language of the page.
const WORDS = document.documentElement.lang.startsWith("zh")
  ? {asked: "你的预测：", own: "用自己的话写", label: "你的预测", show: "展开", hide: "收起", previous: "上一页", next: "下一页",
     alone: "单独打开图片", said: (letter) => `你选了 (${letter})。现在展开下一个单元格的内容。`}
  : {asked: "Your prediction: ", own: "in your own words", label: "Your prediction",
     alone: "open the figure alone", said: (letter) => `You said (${letter}). Now open what the next cell shows.`};

const SENTENCE = 40;    // letters: a cell that holds more of them is no figure and no name; of Chinese a third as many
const long = (words) => words.replace(/[\u3000-\u9fff\uff00-\uffef]/g, "xxx").length > SENTENCE;

// A table of sentences, and not of figures behind long names: on a phone book.css sets its rows as paragraphs, where
// each cell says its column's head.
function wordTables() {
  for (const table of document.querySelectorAll("article table.docutils")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    const cells = [...table.querySelectorAll("tbody td")];
    if (table.closest(".rows") || !cells.some((cell) => cell.cellIndex && long(cell.textContent))) continue;
    table.classList.add("worded");
    for (const cell of cells.filter((one) => one.cellIndex)) {
      const words = cell.textContent.trim();
      cell.dataset.head = words && heads[cell.cellIndex] || "";
      cell.classList.toggle("brief", words.length < 10);
    }
  }
}

// Printed sentences may be broken into lines; columns and code, which spaces hold in place, may not.
function wrapSentences() {
  for (const printed of document.querySelectorAll(".cell_output pre")) {
    printed.classList.toggle("sentences", !/\S {2,}\S|^ +\S/m.test(printed.textContent));
  }
}

// A figure is a link to its file, where it has all of the screen.
function linkFigures() {
  for (const figure of document.querySelectorAll("article img")) {
    if (figure.closest("a")) continue;
    const link = document.createElement("a");
    link.className = "alone";
    link.href = figure.src;
    link.title = WORDS.alone;
    figure.replaceWith(link);
    link.append(figure);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  wordTables();
  wrapSentences();
  linkFigures();
  for (const [words, places] of [
    [WORDS.show, "details.hide > summary .collapsed"], [WORDS.hide, "details.hide > summary .expanded"],
    [WORDS.previous, ".prev-page .context span"], [WORDS.next, ".next-page .context span"],
  ]) {
    for (const place of words ? document.querySelectorAll(places) : []) place.textContent = words;
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
