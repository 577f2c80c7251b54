// The pages read without this script; it adds search, copying and enlarged pictures.
"use strict";

for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
for (const element of document.querySelectorAll("[data-script]")) element.textContent = element.dataset.script;

// -- data beside the page lie in scripts, since a page opened from a file may fetch nothing; or in the page itself
const copies = new Map();

function benchCopies(name, texts) {
  copies.get(name)?.(texts);
}

/** What the script `source` hands over under `key`; a page that is one file holds it as JSON. */
function fetchOnce(key, waiting, source) {
  const inline = document.getElementById(`inline:${source}`);
  if (inline) return Promise.resolve(JSON.parse(inline.textContent));
  return new Promise((resolve, reject) => {
    waiting.set(key, resolve);
    const script = document.createElement("script");
    script.src = source;
    script.onerror = () => reject(new Error(source));
    document.head.append(script);
  });
}

/** The texts of the table that a link would open: {latex, markdown, csv, bibtex}. */
const copied = (link) => fetchOnce(link.dataset.copy, copies, link.dataset.source);

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

async function say(element, word) {
  const before = element.textContent;
  if (before === word) return;
  element.setAttribute("aria-live", "polite");
  element.textContent = word;
  setTimeout(() => { element.textContent = before; }, 1200);
}

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-copy]");
  if (link) {
    event.preventDefault();
    try {
      await write((await copied(link))[link.dataset.kind]);
      say(link, "Copied");
    } catch {
      location.href = link.href;
    }
  }
  const button = event.target.closest("button[data-copies]");
  if (button) {
    await write(document.getElementById(button.dataset.copies).textContent);
    say(button, "Copied");
  }
});

// -- search: hides the entries of a list that do not hold every word
for (const input of document.querySelectorAll("input[data-filters]")) {
  const list = document.getElementById(input.dataset.filters);
  const none = document.getElementById(`${list.id}-none`);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of list.children) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    none.hidden = [...list.children].some((item) => !item.hidden);
  });
}

// -- enlarged pictures: arrow keys go through those of the same section, Escape closes
function viewer() {
  const dialog = document.createElement("dialog");
  dialog.className = "viewer";
  dialog.setAttribute("aria-label", "Enlarged picture");
  const image = document.createElement("img");
  const caption = document.createElement("p");
  caption.setAttribute("aria-live", "polite");
  const buttons = document.createElement("div");
  buttons.className = "buttons";
  for (const [word, step] of [["Previous", -1], ["Next", 1], ["Close", 0]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => (step ? show(at + step) : dialog.close()));
    buttons.append(button);
  }
  dialog.append(image, caption, buttons);
  document.body.append(dialog);
  let links = [], at = 0;

  function show(index) {
    at = (index + links.length) % links.length;
    const link = links[at];
    const small = link.querySelector("img");
    image.className = small.className;
    image.src = link.getAttribute("href").startsWith("#") ? small.src : link.href; // of one file: the picture is here
    image.alt = small.alt;
    caption.textContent = `${link.dataset.caption} (${at + 1} of ${links.length})`;
  }

  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) { event.preventDefault(); show(at + step); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => links[at]?.focus());
  return (link) => {
    const scope = link.closest("details, section, main");
    links = [...scope.querySelectorAll("a.zoom")];
    show(links.indexOf(link));
    dialog.showModal();
  };
}

let open = null;
document.addEventListener("click", (event) => {
  const link = event.target.closest("a.zoom");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  open ??= viewer();
  open(link);
});
