// Cuts a deck into pages that fit a stage of 1280 x 720, or of a phone's own shape where one is held upright, and starts reveal.js.
// Which cells begin a slide is decided before (workbook/stage.py); here is what only a browser knows: heights.

// within the window of the lecturer's notes a deck has the pages that the room sees, however narrow it is there
const upright = window.matchMedia(window === window.top ? "(max-width: 600px) and (orientation: portrait)" : "not all");
const TIED = upright.matches ? 24 : 40; // letters of code that fit on a line, and so stay on one
const [WHOLE, HEIGHT] = upright.matches ? [720, Math.round((720 * innerHeight) / innerWidth)] : [1280, 720];
const WIDTH = WHOLE - (upright.matches ? 64 : 128); // of a page without its padding
const FOOT = upright.matches ? 84 : 48; // below it: on a phone the arrows are there
const ROOM = HEIGHT - 44 - FOOT; // without the padding of deck.css
const FIGURE = 400; // the least height of a figure; it gets all that its page has left
const ENLARGED = 1.9; // how much a figure of pixels may be enlarged
const LESS = upright.matches ? 1 : 0.8; // of this, a wide figure does with where more then fits beside it
const SCALES = [1.2, 1.15, 1.1, 1.05, 1, 0.95, 0.9, 0.85]; // of a page's text: the first at which it fits
const CODE = { code: 22, printed: 26, smallest: upright.matches ? 20 : 18, frame: 52, advance: 0.605 }; // px; advance: of a letter, in em

const stage = document.querySelector(".slides");
const BLOCKS = ".jp-RenderedMarkdown > *, .highlight, .jp-OutputArea-output:not(.jp-RenderedMarkdown)";

/** Keeps what is read as one word on one line: short code, and a letter with its value. A long name ends its line within. */
function tie(section) {
  for (const code of section.querySelectorAll(":is(p, li, td) > code")) {
    if (code.textContent.length < TIED && !code.closest("td")) code.style.whiteSpace = "nowrap";
    else code.replaceChildren(...code.textContent.split(/(?<=[/_](?=\w))/).flatMap((part) => [part, document.createElement("wbr")]));
  }
  const texts = document.createTreeWalker(section, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (text.parentElement.closest("p, li") && !text.parentElement.closest("code, script")) {
      text.data = text.data.replace(/ ([=→>−/]) /g, "\u00a0$1\u00a0").replace(/(\d) %/g, "$1\u00a0%");
    }
  }
}

/** Lines of code or of what was printed: what does not fit on its line goes on below it, further in. */
function hang(code) {
  const lines = code.innerHTML.replace(/\n+$/, "").split("\n"); // the highlighter closes its tags at each line's end
  const hung = (line) => {
    const [start, tags, spaces] = /^((?:<[^>]*>)*)( *)/.exec(line);
    const deep = upright.matches ? Math.min(12, spaces.length) : spaces.length;
    return `<span class="line" style="--in: ${deep + 2}ch">${tags}${" ".repeat(deep)}${line.slice(start.length)}\n</span>`;
  };
  code.innerHTML = lines.map(hung).join("");
}

/** On a phone, a table of many columns and long entries: each row as lines, each with its column's name before it. */
function stack(table) {
  const [names, rows] = [table.tHead?.rows[0].cells ?? [], [...(table.tBodies[0]?.rows ?? [])]];
  if (!upright.matches || names.length < 4 || rows.every((row) => row.offsetHeight < 110)) return;
  table.classList.add("stacked");
  for (const row of rows) [...row.cells].forEach((cell, place) => { cell.dataset.name = names[place].textContent; });
}

/** The blocks of a section, without the boxes that nbconvert puts around them. */
function blocksOf(section) {
  tie(section);
  const found = [...section.querySelectorAll(BLOCKS)].filter((block) => !block.closest("aside"));
  for (const block of found) {
    if (block.closest(".fragment")) block.classList.add("fragment");
    if (block.matches("table")) stack(block);
    const [picture, code] = [block.querySelector("img"), block.querySelector("pre")];
    if (picture && !block.textContent.trim()) {
      const drawn = Number(picture.getAttribute("width")) || picture.naturalWidth; // before workbook/pictures.py enlarged it
      const width = Math.min(WIDTH, picture.src.startsWith("data:image/svg") ? WIDTH : ENLARGED * drawn);
      block.classList.add("figure");
      const [height, most] = [drawn, width].map((wide) => (wide / picture.naturalWidth) * picture.naturalHeight);
      block.style.setProperty("--least", `${Math.min(Math.max(FIGURE, height), LESS * most, ROOM - 120)}px`);
      block.classList.toggle("tall", most > 1.2 * ROOM);
      picture.style.maxWidth = `${width}px`;
    } else if (code) {
      const printed = block.matches(".jp-OutputArea-output");
      if (printed) code.textContent = code.textContent.replace(/^\s*\n|\s+$/g, "").replace(/\n\s*\n/g, "\n");
      const longest = Math.max(...code.textContent.split("\n").map((line) => line.length));
      const fitting = (WIDTH - (printed ? 0 : CODE.frame)) / CODE.advance / longest;
      const size = fitting < CODE.smallest ? CODE.code : Math.min(printed ? CODE.printed : CODE.code, fitting);
      hang(code);
      code.style.fontSize = `clamp(${CODE.smallest}px, ${size}px * var(--scale, 1), ${size}px)`;
    }
  }
  return found;
}

/** Lists and tables in pieces of one entry, so that a page may end within them. */
function pieces(block) {
  const table = block.matches("table");
  const rows = table ? [...block.tBodies[0].rows] : block.matches("ul, ol") ? [...block.children] : [];
  if (rows.length < 2) return [block];
  if (table) for (const cell of block.tHead.rows[0].cells) cell.style.width = `${cell.offsetWidth}px`;
  return rows.map((row, place) => {
    const piece = block.cloneNode(false);
    piece.classList.add("piece");
    piece.dataset.of = block.dataset.of = block.dataset.of ?? Math.random();
    piece.dataset.more = row.offsetHeight + (table ? 0 : 8); // what it adds to a page that has the piece before it
    if (block.matches("ol")) piece.start = place + 1;
    if (!table) return piece.append(row), piece;
    piece.append(block.tHead.cloneNode(true), document.createElement("tbody"));
    piece.tBodies[0].append(row);
    return piece;
  });
}

const follows = (block, before) => block.dataset.of && block.dataset.of === before?.dataset.of;

/** Puts pieces of one list or table that follow each other on a page together again. */
function join(blocks) {
  const joined = [];
  for (const block of blocks) {
    if (!follows(block, joined.at(-1))) joined.push(block);
    else if (block.matches("table")) joined.at(-1).tBodies[0].append(...block.tBodies[0].rows);
    else joined.at(-1).append(...block.children);
  }
  return joined;
}

const printed = (block) => block.matches(".jp-OutputArea-output:not(.figure)");
/** Whether it is printed and a figure's heading: of two lines at most. */
const heads = (block, next) => printed(block) && next?.matches(".figure") && block.textContent.trim().split("\n").length < 3;

/** Whether a block must not be the last of its page: it announces the next one. */
function announces(block, next, after) {
  if (block.matches(".highlight")) return printed(next) && !heads(next, after);
  if (block.matches(".label, .question, h1, h2")) return true;
  if (printed(block)) return heads(block, next);
  if (!block.matches("p") || block.querySelector(".MathJax_Display")) return false;
  return /[:,：，\p{L}]$/u.test(block.textContent.trim()) || block.textContent === block.querySelector("strong")?.textContent;
}

/** Groups of blocks that go on a page each: as few pages as fit, and then about equally full. */
function pack(blocks, heights, first, again) {
  const size = (from, to) => {
    let sum = from ? again : first;
    for (let i = from; i < to; i++) {
      sum += i > from && follows(blocks[i], blocks[i - 1]) ? Number(blocks[i].dataset.more) : heights[i];
    }
    return sum;
  };
  const parts = (cut) => announces(...blocks.slice(cut - 1, cut + 2)); // what belongs together
  const back = (cut, from) => {
    while (cut > from + 1 && parts(cut)) cut--;
    return cut;
  };
  const starts = [0];
  for (let i = 1; i < blocks.length; i++) {
    if (size(starts.at(-1), i + 1) > ROOM) starts.push(back(i, starts.at(-1)));
  }
  for (let place = starts.length - 1; place > 0; place--) {
    const end = starts[place + 1] ?? blocks.length;
    for (let cut = starts[place] - 1; cut > starts[place - 1]; cut--) {
      if (size(cut, end) > ROOM || size(cut, end) > size(starts[place - 1], cut) + 60) break;
      if (!parts(cut)) starts[place] = cut;
    }
  }
  return starts.map((from, place) => blocks.slice(from, starts[place + 1] ?? blocks.length));
}

/** A page like the section, with a heading of its own or the section's, and with these blocks. */
function page(section, heading, blocks) {
  const made = section.cloneNode(false);
  if (heading && !blocks[0]?.matches("h1, h2")) {
    const again = heading.cloneNode(true);
    again.className = "again";
    made.append(again);
  }
  made.append(...blocks);
  return made;
}

/** The height of each block with the space below it. */
function heightsOf(blocks) {
  return blocks.map((block, i) => (blocks[i + 1]?.offsetTop ?? block.offsetTop + block.offsetHeight) - block.offsetTop);
}

/** Chooses the size of a page's text: the largest, down to `least`, at which it fits; says whether there is one. */
function fits(made, least = 0.85) {
  for (const scale of SCALES.filter((scale) => scale >= least)) {
    made.style.setProperty("--scale", scale);
    if (made.scrollHeight <= HEIGHT) return true;
  }
  return false;
}

/** Puts a page's blocks on the page before, if they fit there with text of a little less than its usual size. */
function merge(pages) {
  for (let place = pages.length - 1; place > 0; place--) {
    const [before, after] = [pages[place - 1], pages[place]];
    const moved = [...after.children].filter((block) => !block.matches(".again, aside"));
    if (moved[0]?.dataset.of || moved[0]?.matches("blockquote")) continue; // the rest of a list; a question has its own
    before.append(...moved);
    if (fits(before, 0.95)) pages.splice(place, 1)[0].remove();
    else after.append(...moved);
  }
}

/** The heading under which a block stands: the last one at or before it, among the blocks and then the section's. */
function headingOf(blocks, block, heading) {
  return blocks.slice(0, blocks.indexOf(block)).findLast((other) => other.matches("h1, h2")) ?? heading;
}

/** What stands before each note of a section, so that a note finds its page: a block, or the last entry of one. */
function anchorsOf(section, blocks) {
  return [...section.querySelectorAll("aside")].map((note) => {
    const before = blocks.findLast((block) => block.compareDocumentPosition(note) & Node.DOCUMENT_POSITION_FOLLOWING);
    return [note, before?.matches("ul, ol") ? before.lastElementChild : before?.tBodies?.[0].rows[0] ?? before];
  });
}

/** Gives each note to the page that it is on; a picture that has none says in words what it shows. */
function annotate(pages, anchors) {
  for (const [note, before] of anchors) (pages.find((made) => made.contains(before)) ?? pages[0])?.append(note);
  for (const made of pages.filter((made) => !made.querySelector("aside"))) {
    const words = [...made.querySelectorAll(".figure img[alt]")].map((picture) => picture.alt).join(" ");
    if (!words) continue;
    const note = document.createElement("aside");
    note.className = "notes";
    note.lang = made.querySelector(".figure img").lang || document.documentElement.lang;
    note.textContent = words;
    made.append(note);
  }
}

/** Replaces a section by its pages. */
function paginate(section, heading) {
  let blocks = blocksOf(section);
  const anchors = anchorsOf(section, blocks);
  const whole = page(section, heading, blocks);
  section.replaceWith(whole);
  const first = blocks.length ? blocks[0].offsetTop - 44 : 0; // what a repeated heading takes
  if (heightsOf(blocks).some((height) => height + 110 > ROOM)) { // with a heading it is higher than a page
    blocks.forEach((block) => block.replaceWith(...(block.pieces = pieces(block))));
    blocks = blocks.flatMap((block) => block.pieces);
  }
  const groups = pack(blocks, heightsOf(blocks), first, 46);
  if (groups.length > 1 && groups[0].every((block) => block.matches("h1, h2"))) groups[1].unshift(...groups.shift());
  const pages = groups.map((group) => page(section, headingOf(blocks, group[0], heading), join(group)));
  whole.replaceWith(...pages);
  merge(pages);
  annotate(pages, anchors);
  for (const made of pages) {
    const title = made.querySelector("h2");
    if (!fits(made) && title) title.className = "again"; // a smaller heading leaves more room
    fits(made);
    made.classList.toggle("beside", made.querySelector(".figure.tall") && made.querySelectorAll(":scope > :not(aside)").length < 4);
  }
  return pages;
}

async function start() {
  await document.fonts.ready;
  await Promise.all([...document.images].map((picture) => picture.decode().catch(() => {})));
  for (const [name, size] of Object.entries({ whole: WHOLE, height: HEIGHT, width: WIDTH, foot: FOOT })) {
    document.documentElement.style.setProperty(`--${name}`, `${size}px`);
  }
  document.documentElement.classList.toggle("upright", upright.matches);
  stage.classList.add("measured");
  const sections = [...stage.querySelectorAll("section > section")];
  stage.replaceChildren(...sections); // one row of slides: the right arrow shows them all
  let heading = null;
  for (const section of sections) {
    const pages = paginate(section, heading);
    heading = [...pages.at(-1).querySelectorAll("h1, h2")].at(-1);
  }
  stage.classList.remove("measured");
  await Reveal.initialize({
    width: WHOLE, height: HEIGHT, margin: 0, scrollActivationWidth: null, maxScale: 4, display: "flex", center: false, hash: true,
    transition: "none", slideNumber: "c/t", plugins: [RevealNotes],
  });
  upright.addEventListener("change", () => location.reload()); // the phone was turned; the address knows the slide
  document.body.dataset.ready = "yes";
}

// The window with the keyboard leads. A window of notes that is still loading tells its first page, as if somebody had gone
// back to it; it is told the page of the room instead.
function lead() {
  let leads = false;
  for (const kind of ["keydown", "pointerdown"]) window.addEventListener(kind, () => { leads = true; }, true);
  window.addEventListener("blur", () => { leads = false; });
  window.addEventListener("message", (event) => {
    if (!leads || !String(event.data).includes('"setState"')) return;
    event.stopImmediatePropagation();
    const page = JSON.parse(event.data).args[0].indexh;
    if (page !== Reveal.getState().indexh) Reveal.dispatchEvent({ type: "resumed" }); // the notes hear of it
  }, true);
}

if (window === window.parent) lead();
window.addEventListener("load", () => MathJax.Hub.Queue(start));
