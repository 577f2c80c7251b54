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

// -- search: hides the entries of lists that do not hold every word; the words are in the address: #search?q=vae
for (const input of document.querySelectorAll("input[data-filters]")) {
  const lists = input.dataset.filters.split(" ").map((id) => document.getElementById(id)).filter(Boolean);
  const others = (input.dataset.hides ?? "").split(" ").map((id) => document.getElementById(id)).filter(Boolean);
  const search = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const list of lists) {
      for (const item of list.children) item.hidden = !words.every((word) => item.textContent.toLowerCase().includes(word));
      const none = [...list.children].every((item) => item.hidden);
      const said = document.getElementById(`${list.id}-none`), fold = list.closest("details.group");
      if (said) said.hidden = !none;
      if (fold) [fold.hidden, fold.open] = [none, words.length > 0 && !none];
    }
    for (const other of others) other.hidden = words.length > 0;
  };
  input.addEventListener("input", () => {
    search();
    history.replaceState(null, "", input.value ? `#search?${new URLSearchParams({ q: input.value })}` : "#");
  });
  const follow = () => {
    if (!location.hash.startsWith("#search?")) return;
    input.value = new URLSearchParams(location.hash.slice(8)).get("q") ?? "";
    search();
  };
  window.addEventListener("hashchange", follow);
  follow();
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

// -- a link to a folded place opens the folds around it
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1).split("?")[0]));
  if (!target) return;
  // a link to a section whose parts are all folded opens the first of them
  const inside = target.localName === "section" ? [...target.querySelectorAll(":scope > details")] : [];
  if (inside.length && !inside.some((fold) => fold.open)) inside[0].open = true;
  const folds = [...target.matches(".claim") ? target.querySelectorAll(":scope > details") : []];
  for (let at = target; at; at = at.parentElement) if (at.localName === "details") folds.push(at);
  const closed = folds.filter((fold) => !fold.open);
  for (const fold of closed) fold.open = true;
  if (closed.length) target.scrollIntoView({ behavior: "instant" });
}
window.addEventListener("hashchange", unfold);
unfold();

// -- on paper all claims and tables are open
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(".claim > details, details.group")) fold.open = true;
});

// -- galleries: pictures of another training seed, where there are some
document.addEventListener("change", (event) => {
  if (!event.target.matches("select[data-seed]")) return;
  const seed = event.target.value;
  for (const link of event.target.closest("details").querySelectorAll("a[data-seeds]")) {
    const file = new Map(link.dataset.seeds.split(" ").map((pair) => pair.split(/:(.*)/))).get(seed);
    link.hidden = !file;
    const text = link.closest("figure, .map-row").querySelector(".seed-shown") ?? link.closest(".map-row")?.querySelector(".seed-shown");
    if (text) text.textContent = file ? seed : `${seed}: not there`;
    if (!file) continue;
    const image = link.querySelector("img");
    [link.href, image.src] = [file, file];
    link.dataset.caption = link.dataset.caption.replace(/seed \d+$/, `seed ${seed}`);
    image.alt = image.alt.replace(/seed \d+$/, `seed ${seed}`);
  }
});
