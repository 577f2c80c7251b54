// The tables of a suite, arranged as the reader wants them: filtered, sorted, with other rows and columns. Without this
// script, and until something is changed, the page shows the tables as `bench table` prints them.
"use strict";

const suites = new Map();

function benchView(data) {
  suites.get(data.suite)?.(data);
}

// -- numbers and words, as report/tables.py and report/said.py have them

/** Python's f"{x:.{digits}f}": exact, an exact tie to the even digit. */
function fixed(x, digits) {
  const text = x.toFixed(digits), long = Math.abs(x).toFixed(Math.min(100, digits + 60));
  if (!/^50*$/.test(long.slice(long.length - Math.min(60, 100 - digits)))) return text;
  const down = long.slice(0, long.length - Math.min(60, 100 - digits)).replace(/\.$/, "");
  return /[02468]$/.test(down) ? (x < 0 ? "-" : "") + down : text;
}

/** Python's f"{x:.2g}". */
function short(x) {
  const [plain, power] = x.toExponential(1).split("e"), exponent = Number(power);
  if (exponent >= -4 && exponent < 2) return String(Number(fixed(x, 1 - exponent)));
  const mantissa = exponent > 0 ? fixed(x / 10 ** exponent, 1) : plain;
  return `${mantissa.replace(".0", "")}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

function shown(x, digits) {
  const text = fixed(x, digits);
  return (Math.abs(x) >= 1e7 || (x !== 0 && Number(text) === 0) ? short(x) : text).replaceAll("-", "−");
}

const magnitude = (x) => Math.floor(Math.log10(Math.abs(x)));

/** Two digits of the median half-width; without one, four of the largest mean. */
function decimalsOf(values) {
  const halves = values.filter((v) => v.half).map((v) => magnitude(v.half)).sort((a, b) => a - b);
  const means = values.filter((v) => v.mean).map((v) => magnitude(v.mean));
  const wanted = halves.length ? 1 - halves[(halves.length - 1) >> 1] : means.length ? 3 - Math.max(...means) : 0;
  return Math.max(0, Math.min(6, wanted));
}

const letter = (index) => (index >= 26 ? letter(Math.floor(index / 26) - 1) : "") + String.fromCharCode(97 + index % 26);
const distinct = (list) => [...new Set(list)];

function grouped(list, keyOf) {
  const found = new Map();
  for (const item of list) {
    const key = keyOf(item);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(item);
  }
  return found;
}

// -- a table out of values

function valuesOf(data, family) {
  return family.values.map(([group, member, texts, planned, key, mean, half, seeds, numbers, cell]) => {
    const at = { metric: family.metric, member };
    data.axes.forEach((axis, index) => { at[axis] = data.groups[group][index]; });
    const value = { at, planned, texts: texts.map((index) => family.texts[index]), better: family.better };
    const gone = typeof key === "string";
    return Object.assign(value, gone
      ? { state: key, key: null, seeds: [], numbers: [] } : { key: family.keys[key], mean, half, seeds, numbers, cell });
  });
}

const placeOf = (at, axes) => axes.map((axis) => at[axis] ?? null);
const idOf = (place) => JSON.stringify(place);

/** Which axes are shown: those that differ, and of the rest those that keep two configurations apart. */
function shownAxes(values, rows, columns) {
  const varied = (axis) => distinct(values.map((v) => v.at[axis] ?? null)).length > 1;
  let some = rows.filter(varied);
  const across = columns.filter(varied);
  if (!some.length) some = rows.slice(0, 1);
  if (!across.length) across.push(...columns.slice(0, 1));
  for (const axis of ["label", "net", "likelihood", "dataset", "latent_size", "member", "setting"]) {
    if (some.includes(axis) || across.includes(axis)) continue;
    const buckets = grouped(values, (v) => idOf(placeOf(v.at, [...some, ...across])));
    if ([...buckets.values()].some((b) => distinct(b.map((v) => v.at[axis] ?? null)).length > 1)) some.push(axis);
  }
  return [some, across];
}

/** Values under different keys may not share a column: the parts that differ become an axis of their own. */
function splitByKey(values, columns) {
  const clashes = grouped(values, (v) => idOf([placeOf(v.at, columns), v.at.dataset]));
  const keysOf = (some) => [...new Map(some.filter((v) => v.key).map((v) => [idOf(v.key), v.key])).values()];
  if ([...clashes.values()].every((some) => keysOf(some).length < 2)) return columns;
  for (const some of clashes.values()) {
    const keys = keysOf(some);
    const differing = (name) => distinct(keys.map((key) => new Map(key).get(name) ?? null)).length > 1;
    for (const value of some) {
      const parts = (value.key ?? keys[0] ?? []).filter(([name]) => differing(name));
      value.at.key = parts.map(([name, word]) => `${name} ${word || "unknown"}`).join(", ") || "–";
    }
  }
  return [...columns, "key"];
}

/** Numbers by size, words in order of appearance, axis by axis. */
function sortedPlaces(places, count) {
  const ranks = Array.from({ length: count }, (_, index) => {
    const found = distinct(places.map((place) => place[index]));
    if (found.every(Number.isInteger)) found.sort((a, b) => a - b);
    return new Map(found.map((x, rank) => [x, rank]));
  });
  const difference = (a, b) => {
    for (let i = 0; i < count; i++) if (a[i] !== b[i]) return ranks[i].get(a[i]) - ranks[i].get(b[i]);
    return 0;
  };
  return places.sort(difference);
}

const uniquePlaces = (values, axes) => [...new Map(values.map((v) => {
  const place = placeOf(v.at, axes);
  return [idOf(place), place];
})).values()];

function arrange(values, state) {
  const [rowAxes, across] = shownAxes(values, state.rows, state.columns);
  const columnAxes = splitByKey(values, across);
  const cells = new Map(values.map((v) => [idOf([placeOf(v.at, rowAxes), placeOf(v.at, columnAxes)]), v]));
  const cell = (row, column) => cells.get(idOf([row, column]));
  for (const value of cells.values()) value.best = false;
  for (const column of grouped([...cells.values()].filter((v) => v.seeds.length),
    (v) => idOf([placeOf(v.at, columnAxes), v.at.dataset])).values()) {
    for (const value of winners(column, column[0].better)) value.best = true;
  }
  const every = uniquePlaces(values, rowAxes);
  const decimals = (column) => state.digits ?? decimalsOf(every.map((row) => cell(row, column)).filter(Boolean));
  const keep = (axes) => (place) => axes.every((axis, index) => matches(place[index], state.only[axis]));
  const columns = sortedPlaces(uniquePlaces(values, columnAxes), columnAxes.length).filter(keep(columnAxes));
  const rows = sortedRows(every.filter(keep(rowAxes)), rowAxes, columns, cell, state.sort);
  const texts = distinct(rows.flatMap((row) => columns.flatMap((column) => cell(row, column)?.texts ?? [])));
  return {
    rowAxes, columnAxes, rows, columns, cell, hidden: every.length - rows.length,
    decimals: new Map(columns.map((column) => [column, decimals(column)])),
    marks: new Map(texts.map((text, index) => [text, letter(index)])),
  };
}

function sortedRows(rows, axes, columns, cell, sort) {
  if (!sort) return rows;
  const axis = axes.indexOf(sort.by), column = columns.find((place) => idOf(place) === idOf(sort.by));
  if (axis < 0 && !column) return rows;
  const of = (row) => (column ? cell(row, column)?.mean ?? null : row[axis]);
  const sign = sort.down ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [of(a), of(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
  });
}

/** A filter is a list of alternatives: parts of words ("vae, pca"), whole ones ("=vae"), numbers ("2, 16"). */
function matches(word, filter) {
  const wanted = (filter ?? "").toLowerCase().split(",").map((part) => part.trim()).filter(Boolean);
  const text = String(word ?? "–").toLowerCase();
  return !wanted.length || wanted.some((part) => {
    if (typeof word === "number") return text === part.replace(/^=/, "");
    return part.startsWith("=") ? text === part.slice(1).trim() : text.includes(part);
  });
}

// -- the words of heads and cells

class Words {
  constructor(data, family) { Object.assign(this, { data, family }); }

  axis(axis) { return axis === "member" ? this.family.member : axis === "metric" ? "Metric" : this.data.headings[axis] ?? axis; }

  name(axis, word) {
    if (word === null || word === "") return "–";
    return axis === "member" ? this.data.spaces[word] ?? String(word) : String(word);
  }

  head(axis, word) { return axis === "latent_size" ? `latent ${this.name(axis, word)}` : this.name(axis, word); }

  column(table, place) { return place.map((word, index) => this.head(table.columnAxes[index], word)).join(", "); }

  number(value, digits) {
    if (!value.seeds.length) return this.data.gaps[value.state] ?? value.state;
    const mean = shown(value.mean, digits);
    return value.half === null ? mean : `${mean} ± ${shown(value.half, digits)}`;
  }

  /** Text, "(2/3)" where seeds are missing, and the letters of its notes. */
  cell(table, row, column) {
    const value = table.cell(row, column);
    if (!value) return { text: "–", best: false, partial: "", marks: "" };
    const missing = value.seeds.length !== value.planned;
    return {
      text: this.number(value, table.decimals.get(column)), best: value.best,
      partial: value.seeds.length && missing ? ` (${value.seeds.length}/${value.planned})` : value.seeds.length === 1 ? " (n = 1)" : "",
      marks: value.texts.map((text) => table.marks.get(text)).join(","),
    };
  }

  /** Heads of one level with how many columns each spans; a span ends where an upper one does. */
  spans(table, level) {
    if (level === table.columnAxes.length - 1) {
      return table.columns.map((place) => [this.head(table.columnAxes[level], place[level]), 1]);
    }
    const found = [];
    let before = null;
    for (const place of table.columns) {
      const prefix = idOf(place.slice(0, level + 1));
      if (prefix === before) found.at(-1)[1] += 1;
      else found.push([this.head(table.columnAxes[level], place[level]), 1]);
      before = prefix;
    }
    return found;
  }

  notes(table, view) {
    const bold = table.rows.some((row) => table.columns.some((column) => table.cell(row, column)?.best));
    const said = this.family.notes.filter((sentence) => bold || !sentence.startsWith("Bold"));
    return [said.join(" "), ...(view ? [view] : []), ...[...table.marks].map(([text, mark]) => `${mark}: ${text}.`)];
  }
}

// -- text to paste

function latexOf(words, table, view) {
  const character = (c) => (c === "\0" ? "{}" : words.data.latex[c] ?? c);
  const escape = (text) => [...text.replaceAll("\0", "").replace(/-(?=-)/g, "-\0")].map(character).join("");
  const left = table.rowAxes.length, lines = [];
  const row = (cells) => {
    const line = `${cells.join(" & ")} \\\\`;
    return /^[[*]/.test(line) ? `{}${line}` : line;
  };
  for (let level = 0; level < table.columnAxes.length; level++) {
    const spans = words.spans(table, level);
    const last = level === table.columnAxes.length - 1;
    if (last) { lines.push(row([...table.rowAxes.map((axis) => escape(words.axis(axis))), ...spans.map(([word]) => escape(word))])); break; }
    lines.push(row([...table.rowAxes.map(() => ""), ...spans.map(([word, n]) => `\\multicolumn{${n}}{c}{${escape(word)}}`)]));
    let start = left + 1;
    lines.push(spans.map(([, n]) => { const rule = `\\cmidrule(lr){${start}-${start + n - 1}}`; start += n; return rule; }).join(" "));
  }
  const body = table.rows.map((place) => row([
    ...place.map((word, index) => escape(words.name(table.rowAxes[index], word))),
    ...table.columns.map((column) => {
      const { text, best, partial, marks } = words.cell(table, place, column);
      const said = best ? `\\textbf{${escape(text)}}` : escape(text);
      return said + escape(partial) + (marks ? `\\textsuperscript{${marks}}` : "");
    }),
  ]));
  const caption = escape(`${words.family.heading}. ${words.family.summary}`.trim());
  return ["% needs \\usepackage{booktabs}", "\\begin{table}", "\\centering", `\\caption{${caption}}`,
    `\\begin{tabular}{${"l".repeat(left)}${"r".repeat(table.columns.length)}}`, "\\toprule", ...lines, "\\midrule", ...body,
    "\\bottomrule", "\\end{tabular}", ...words.notes(table, view).map((note) => `\\par\\smallskip{\\footnotesize ${escape(note)}}`),
    "\\end{table}", ""].join("\n");
}

function markdownOf(words, table, view) {
  const escape = (text) => text.replace(/([\\`*_[\]|])/g, "\\$1").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const pipe = (parts) => `| ${parts.join(" | ")} |`;
  const heads = [...table.rowAxes.map((axis) => words.axis(axis)), ...table.columns.map((place) => words.column(table, place))];
  const rule = [...table.rowAxes.map(() => "---"), ...table.columns.map(() => "---:")];
  const body = table.rows.map((place) => pipe([
    ...place.map((word, index) => escape(words.name(table.rowAxes[index], word))),
    ...table.columns.map((column) => {
      const { text, best, partial, marks } = words.cell(table, place, column);
      return (best ? `**${text}**` : text) + partial + (marks ? `<sup>${marks}</sup>` : "");
    }),
  ]));
  const notes = words.notes(table, view).map(escape).join("  \n");
  return [`**${escape(words.family.heading)}**`, "", pipe(heads.map(escape)), pipe(rule), ...body, "", notes, ""].join("\n");
}

/** A line a value that is shown. A text that a spreadsheet would compute with stays a text: it is quoted as it is. */
function csvOf(words, table) {
  const axes = [...words.data.axes, "member", "key"];
  const quote = (x) => (x === null || x === undefined ? "" : /[",\r\n]/.test(String(x)) ? `"${String(x).replaceAll('"', '""')}"` : String(x));
  const lines = [["suite", "metric", ...axes, "mean", "half_width", "n", "planned", "best", "state", "reason", "seeds"]];
  for (const row of table.rows) {
    for (const column of table.columns) {
      const v = table.cell(row, column);
      if (!v) continue;
      const seeds = v.seeds.map((seed, index) => `${seed}:${v.numbers[index]}`).join(" ");
      lines.push([words.data.suite, v.at.metric, ...axes.map((axis) => v.at[axis]), v.mean, v.half, v.seeds.length, v.planned,
        v.best ? "True" : "False", v.seeds.length ? "done" : v.state, v.texts.join("; "), seeds]);
    }
  }
  return lines.map((line) => line.map(quote).join(",") + "\n").join("");
}

const WRITERS = { latex: latexOf, markdown: markdownOf, csv: csvOf };

// -- the table on the page

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== "") element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function strip(value, [low, high]) {
  const span = high - low;
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, word] of [["class", "strip"], ["viewBox", "0 0 100 8"], ["aria-hidden", "true"]]) drawing.setAttribute(name, word);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", value.numbers.map((x) => `M${(4 + (span ? 92 * (x - low) / span : 46)).toFixed(0)} 4h0`).join(""));
  drawing.append(path);
  return drawing;
}

function cellOf(words, table, row, column, range) {
  const value = table.cell(row, column);
  if (!value) return make("td", { class: "void" }, "–");
  const { marks } = words.cell(table, row, column);
  const notes = marks ? make("sup", {}, marks) : null;
  if (!value.seeds.length) return make("td", { class: "gap", title: value.texts.join("\n") }, words.number(value, 0), notes);
  const digits = table.decimals.get(column), mean = shown(value.mean, digits);
  const link = make("a", { href: words.data.link(value.cell) }, value.best ? make("strong", {}, mean) : mean,
    value.half === null ? null : make("span", { class: "half" }, ` ± ${shown(value.half, digits)}`));
  const complete = value.seeds.length === value.planned;
  const count = make("span", { class: complete ? "n" : "n partial" },
    complete ? `n = ${value.seeds.length}` : `${value.seeds.length}/${value.planned} seeds`);
  return make("td", { class: value.best ? "best" : "" }, link, notes, make("span", { class: "seeds" }, strip(value, range), count));
}

function headButton(head, by, metric, sort) {
  const here = sort && sort.metric === metric && idOf(sort.by) === idOf(by);
  const button = make("button", { type: "button", class: "sort", "data-sort": idOf([metric, by]) }, ...head.childNodes);
  if (here) head.setAttribute("aria-sort", sort.down ? "descending" : "ascending");
  head.append(button);
  return head;
}

function tableOf(words, table, state) {
  const sort = state.sort, metric = words.family.metric, top = make("thead");
  table.columnAxes.forEach((axis, level) => {
    const last = level === table.columnAxes.length - 1, line = make("tr");
    if (last) line.append(...table.rowAxes.map((name) => headButton(make("th", { scope: "col", class: "row-head" }, words.axis(name)), name, metric, sort)));
    else line.append(make("td", { colspan: table.rowAxes.length, class: "axis-name" }, words.axis(axis)));
    words.spans(table, level).forEach(([word, n], index) => {
      const head = make("th", { scope: n > 1 ? "colgroup" : "col", colspan: n > 1 ? n : "", class: last ? "" : "span" }, word);
      line.append(last ? headButton(head, table.columns[index], metric, sort) : head);
    });
    top.append(line);
  });
  const ranges = table.columns.map((column) => {
    const every = table.rows.flatMap((row) => table.cell(row, column)?.numbers ?? []);
    return [Math.min(...every), Math.max(...every)];
  });
  const body = make("tbody", {}, ...table.rows.map((row) => make("tr", {},
    ...row.map((word, index) => make("th", { scope: "row" }, words.name(table.rowAxes[index], word))),
    ...table.columns.map((column, index) => cellOf(words, table, row, column, ranges[index])))));
  return make("table", { class: "numbers" }, top, body);
}

// -- the section: its tools, its state in the fragment, and what is drawn of it

class View {
  constructor(root) {
    this.root = root;
    this.tools = root.querySelector("form.tools");
    this.usual = root.querySelector("[data-usual]");
    this.shown = root.querySelector("[data-shown]");
    this.status = root.querySelector("[role=status]");
    this.state = this.read();
    for (const head of this.usual.querySelectorAll("th[data-by]")) {
      headButton(head, JSON.parse(head.dataset.by), head.closest("[data-metric]").dataset.metric, null);
    }
    this.tools.addEventListener("input", () => this.change(this.fromTools()));
    this.tools.addEventListener("submit", (event) => event.preventDefault());
    this.tools.addEventListener("reset", (event) => { event.preventDefault(); this.change(this.empty()); this.fill(); });
    root.addEventListener("click", (event) => this.click(event));
    window.addEventListener("hashchange", () => this.follow());
    this.fill();
    if (this.changed()) this.draw().then(() => root.scrollIntoView({ behavior: "instant" }));
  }

  empty() {
    const { rows, columns } = this.tools.dataset;
    return { rows: rows.split(","), columns: columns.split(","), only: {}, digits: null, hidden: [], one: false, sort: null };
  }

  read() {
    const state = this.empty(), start = `#${this.root.id}?`;
    if (!location.hash.startsWith(start)) return state;
    const found = new URLSearchParams(location.hash.slice(start.length));
    const placed = new Set([...state.rows, ...state.columns]);
    const named = (name) => (found.get(name) ?? "").split(",").filter((axis) => placed.has(axis));
    const rows = found.has("rows") ? named("rows") : state.rows;
    const columns = found.has("columns") ? named("columns") : state.columns;
    if (rows.length && columns.length && new Set([...rows, ...columns]).size === placed.size) Object.assign(state, { rows, columns });
    for (const [name, text] of found) if (name.startsWith("only.") && text) state.only[name.slice(5)] = text;
    if (/^[0-6]$/.test(found.get("digits") ?? "")) state.digits = Number(found.get("digits"));
    state.hidden = (found.get("hide") ?? "").split(",").filter(Boolean);
    state.one = found.get("one") === "1";
    try {
      const [metric, by, down] = JSON.parse(found.get("sort"));
      state.sort = { metric, by, down: down === 1 };
    } catch { /* no sort, or none that can be read */ }
    return state;
  }

  words(state) {
    const usual = this.empty(), found = new URLSearchParams();
    for (const name of ["rows", "columns"]) if (state[name].join() !== usual[name].join()) found.set(name, state[name].join());
    for (const [axis, text] of Object.entries(state.only)) if (text) found.set(`only.${axis}`, text);
    if (state.digits !== null) found.set("digits", state.digits);
    if (state.hidden.length) found.set("hide", state.hidden.join());
    if (state.one) found.set("one", "1");
    if (state.sort) found.set("sort", JSON.stringify([state.sort.metric, state.sort.by, state.sort.down ? 1 : 0]));
    return found.toString();
  }

  changed() { return this.words(this.state) !== ""; }

  change(state) {
    this.state = state;
    const words = this.words(state);
    history.replaceState(null, "", words ? `#${this.root.id}?${words}` : `#${this.root.id}`);
    return this.draw();
  }

  /** Another fragment: a state that was pasted or gone back to; or a place on the page, after which ours is put back. */
  follow() {
    if (location.hash.startsWith(`#${this.root.id}?`)) {
      this.state = this.read();
      this.fill();
      this.draw();
    } else if (this.changed() && !location.hash.includes("?") && this.root.checkVisibility()) {
      history.replaceState(null, "", `#${this.root.id}?${this.words(this.state)}`);
    }
  }

  fill() {
    for (const input of this.tools.elements) {
      const { only, place, metric } = input.dataset;
      if (only) input.value = this.state.only[only] ?? "";
      if (place) input.value = this.state.rows.includes(place) ? "rows" : "columns";
      if (metric) input.checked = !this.state.hidden.includes(metric);
      if (input.name === "digits") input.value = this.state.digits ?? "";
      if (input.name === "one") input.checked = this.state.one;
    }
  }

  fromTools() {
    const state = { ...this.empty(), sort: this.state.sort }, usual = [...state.rows, ...state.columns];
    const place = {};
    for (const input of this.tools.elements) {
      if (input.dataset.only && input.value.trim()) state.only[input.dataset.only] = input.value.trim();
      if (input.dataset.place) place[input.dataset.place] = input.value;
      if (input.dataset.metric && !input.checked) state.hidden.push(input.dataset.metric);
      if (input.name === "digits" && input.value) state.digits = Number(input.value);
      if (input.name === "one") state.one = input.checked;
    }
    const where = (axis) => place[axis] ?? (state.rows.includes(axis) ? "rows" : "columns");
    const [rows, columns] = ["rows", "columns"].map((side) => usual.filter((axis) => where(axis) === side));
    if (rows.length && columns.length) return { ...state, rows, columns };
    return state; // all on one side is no table: the usual arrangement
  }

  click(event) {
    const sort = event.target.closest("button[data-sort]");
    if (sort) {
      const [metric, by] = JSON.parse(sort.dataset.sort), before = this.state.sort;
      const again = before && before.metric === metric && idOf(before.by) === idOf(by);
      const next = !again ? { metric, by, down: false } : before.down ? null : { metric, by, down: true };
      this.change({ ...this.state, sort: next }).then(() => this.focus(sort.dataset.sort));
    }
    const copy = event.target.closest("button[data-writes]");
    if (copy) this.copy(copy);
  }

  focus(sort) {
    const buttons = [...this.root.querySelectorAll("button[data-sort]")];
    buttons.find((button) => button.dataset.sort === sort && button.checkVisibility())?.focus();
  }

  async load() {
    this.data ??= await fetchOnce(this.tools.dataset.suite, suites, this.tools.dataset.source);
    this.data.link = (cell) => this.tools.dataset.link.replace("CELL", cell); // a page, or an article of one file
    return this.data;
  }

  async draw() {
    const changed = this.changed();
    if (changed) {
      try {
        await this.load();
      } catch {
        this.status.textContent = "The data of these tables could not be loaded; they are shown as usual.";
        return;
      }
    }
    this.usual.hidden = changed;
    this.shown.hidden = !changed;
    this.drawn = changed ? this.tables() : [];
    this.shown.replaceChildren(...this.drawn.map((entry, index) => this.section(entry, index)));
    const hidden = this.drawn.reduce((sum, { table }) => sum + table.hidden, 0);
    const rows = this.drawn.reduce((sum, { table }) => sum + table.rows.length, 0);
    this.status.textContent = changed
      ? `${this.drawn.length} table${this.drawn.length === 1 ? "" : "s"}, ${rows} rows shown, ${hidden} hidden by filters.` : "";
  }

  /** What is to be drawn: a table a metric, cut by dataset where too wide; or one for all, a column a metric. */
  tables() {
    const chosen = this.data.families.filter((family) => !this.state.hidden.includes(family.metric));
    const found = this.state.one && chosen.length ? [this.merged(chosen)] : chosen.map((family) => ({ family, values: valuesOf(this.data, family) }));
    return found.flatMap(({ family, values }) => this.cut(family, values));
  }

  merged(families) {
    const shared = families[0].notes.filter((sentence) => families.every((family) => family.notes.includes(sentence)));
    const own = families.flatMap((family) => family.notes.filter((s) => !shared.includes(s)).map((s) => `${family.metric}: ${s}`));
    const called = families.map((family) => family.heading).join("; ");
    const family = { metric: "all metrics", heading: called, summary: "", notes: [...shared, ...own], member: "Of", families };
    return { family, values: families.flatMap((one) => valuesOf(this.data, one)) };
  }

  cut(family, values) {
    const { sort } = this.state;
    const state = { ...this.state, sort: sort?.metric === family.metric ? sort : null };
    if (family.families) state.columns = ["metric", ...state.columns];
    const measured = values.some((v) => v.seeds.length);
    const table = measured ? arrange(values, state) : { rows: [], columns: [], hidden: 0, empty: true };
    const datasets = distinct(values.map((v) => v.at.dataset));
    if (!measured || table.columns.length <= this.data.wide || datasets.length < 2 || !table.columnAxes.includes("dataset") || family.families) {
      return [{ family, table }];
    }
    return datasets.filter((dataset) => matches(dataset, state.only.dataset)).map((dataset) => {
      const some = values.filter((v) => v.at.dataset === dataset);
      return { family, dataset, table: some.some((v) => v.seeds.length) ? arrange(some, state) : { ...table, rows: [], columns: [], hidden: 0, empty: true } };
    });
  }

  section({ family, table, dataset }, index) {
    const words = new Words(this.data, family), id = `${this.root.id}-shown-${index}`;
    const name = make("h3", { id }, dataset ? `${family.metric}, ${dataset}` : family.metric);
    if (family.better === "lower" || family.better === "higher") {
      name.append(" ", make("span", { class: "arrow", title: `${family.better} is better` }, family.better === "lower" ? "↓" : "↑"));
    }
    if (family.unit) name.append(" ", make("span", { class: "unit" }, family.unit));
    const empty = table.empty || !table.rows.length || !table.columns.length;
    const buttons = empty ? [] : [["latex", "LaTeX"], ["markdown", "Markdown"], ["csv", "CSV"], ["bibtex", "BibTeX"]].map(
      ([kind, word]) => make("button", { type: "button", class: "plain", "data-writes": kind, "data-table": index }, word));
    const head = make("div", { class: "metric-head" }, name, empty ? null : make("p", { class: "copies" }, make("span", {}, "Copy"), ...buttons));
    const section = make("section", { class: "metric", "aria-labelledby": id, "data-metric": family.metric }, head);
    if (family.summary) section.append(make("p", { class: "summary" }, family.summary));
    if (empty) {
      section.append(make("p", { class: "gap" }, table.empty ? "No number yet." : "The filters leave nothing of this table."));
      return section;
    }
    const area = make("div", { class: "scroll", tabindex: 0, role: "region", "aria-labelledby": id }, tableOf(words, table, this.state));
    const [note] = words.notes(table, "");
    section.append(area, make("p", { class: "conditions" }, note.split(/(?<=\.) (?=Bold)/).join(" ")));
    if (table.marks.size) {
      section.append(make("ul", { class: "notes" }, ...[...table.marks].map(([text, mark]) => make("li", {}, make("sup", {}, mark), ` ${text}`))));
    }
    return section;
  }

  /** What a pasted table says of itself: which part of the whole it is, or what prints it with its id. */
  said(family) {
    const { only, digits, sort, rows, columns } = this.state, usual = this.empty();
    const parts = Object.entries(only).map(([axis, text]) => `${(this.data.headings[axis] ?? axis).toLowerCase()} ${text}`);
    if (parts.length) return `Not the whole table, only: ${parts.join("; ")}. Bold is of the whole.`;
    if (sort || family.families) return "Arranged in the report's page.";
    const flags = [["rows", rows.join() === usual.rows.join() ? null : rows], ["columns", columns.join() === usual.columns.join() ? null : columns],
      ["precision", digits]].filter(([, value]) => value !== null).map(([name, value]) => ` --${name} ${value}`).join("");
    return `Arranged in the report's page; bench table ${this.data.suite} --metric ${family.metric}${flags} prints it with its id.`;
  }

  async copy(button) {
    const { family, table } = this.drawn[Number(button.dataset.table)];
    const kind = button.dataset.writes;
    if (kind === "bibtex") {
      const links = (family.families ?? [family]).map(({ metric }) => [...this.usual.querySelectorAll("[data-metric]")]
        .find((s) => s.dataset.metric === metric)?.querySelector("a[data-kind=bibtex]")).filter(Boolean);
      const texts = await Promise.all(links.map((link) => copied(link).then((found) => found.bibtex)));
      const entries = texts.join("\n").trim().split(/\n\n+/);
      await write(`${[...new Map(entries.map((entry) => [entry.split("\n", 1)[0], entry])).values()].join("\n\n")}\n`);
    } else {
      await write(WRITERS[kind](new Words(this.data, family), table, this.said(family)));
    }
    say(button, "Copied");
  }
}

for (const root of document.querySelectorAll("section[data-tables]")) new View(root);
