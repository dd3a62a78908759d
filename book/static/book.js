// What the pages need beside Sphinx: a choice at each prediction, and search results that ask for nothing on file://.
"use strict";

// A page on disk may not read its neighbours, so results come without a line of their text there.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

document.addEventListener("DOMContentLoaded", () => {
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
        choose(`You said (${letter}). Now open what the next cell shows.`);
      });
      return button;
    });
    if (!controls.length) {
      const line = document.createElement("input");
      line.placeholder = "in your own words";
      line.setAttribute("aria-label", "Your prediction");
      controls.push(line);
    }
    place.replaceChildren("Your prediction: ", ...controls, said);
  }
});
