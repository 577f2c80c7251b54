// The tables of a suite, arranged as the reader wants them: filtered, sorted, with other rows and columns. Without this
// script, and until something is changed, the page shows the tables as `bench table` prints them.
"use strict";

const suites = new Map();

function benchView(data) {
  suites.get(data.suite)?.(data);
}

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
  const digits = table.decimals.get(column), mean = shown(value.mean, digits, table.exactly);
  const link = make("a", { href: words.data.link(value.cell) }, value.best ? make("strong", {}, mean) : mean,
    value.half === null ? null : make("span", { class: "half" }, ` ± ${shown(value.half, digits, table.exactly)}`));
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
    words.heads(table, level).forEach(([word, n], index) => {
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
    const called = families.map((family) => new Words(this.data, family).heading).join("; ");
    const family = { metric: "all metrics", heading: called, summary: "", member: "Of", families };
    return { family, values: families.flatMap((one) => valuesOf(this.data, one)) };
  }

  cut(family, values) {
    const { sort } = this.state;
    const state = { ...this.state, sort: sort?.metric === family.metric ? sort : null };
    if (family.families) return [this.entry(family, values, { ...state, columns: ["metric", ...state.columns] })];
    const datasets = distinct(values.map((v) => v.at.dataset)), { dataset: wanted, ...only } = state.only;
    const chosen = datasets.filter((dataset) => matches(dataset, wanted));
    const of = (dataset) => this.entry(family, values.filter((v) => v.at.dataset === dataset), { ...state, only }, dataset);
    if (wanted && chosen.length === 1) return chosen.map(of);
    const whole = this.entry(family, values, state);
    const wide = whole.table.columns.length > this.data.wide && whole.table.columnAxes.includes("dataset") && datasets.length > 1;
    return wide ? chosen.map(of) : [whole];
  }

  /** A table; of one dataset it is the table that `bench table --dataset` prints. */
  entry(family, values, state, dataset = null) {
    const measured = values.some((v) => v.seeds.length);
    return { family, dataset, table: measured ? arrange(values, state) : { rows: [], columns: [], hidden: 0, empty: true } };
  }

  section({ family, table, dataset }, index) {
    const words = new Words(this.data, family, dataset), id = `${this.root.id}-shown-${index}`;
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
    const sentences = words.sentences(table).filter((sentence) => !sentence.startsWith(this.data.bold)); // it stands above
    section.append(area, make("p", { class: "conditions" }, sentences.join(" ")));
    if (table.marks.size) {
      section.append(make("ul", { class: "notes" }, ...[...table.marks].map(([text, mark]) => make("li", {}, make("sup", {}, mark), ` ${text}`))));
    }
    return section;
  }

  /** What a pasted table says of itself that no flags of the command say. */
  said(table) {
    const parts = Object.entries(this.state.only).map(([axis, text]) => `${(this.data.headings[axis] ?? axis).toLowerCase()} ${text}`);
    return table.whole ? "Arranged in the report's page." : `Not the whole table, only: ${parts.join("; ")}. Bold is of the whole.`;
  }

  async copy(button) {
    const { family, table, dataset } = this.drawn[Number(button.dataset.table)];
    const kind = button.dataset.writes;
    if (kind === "bibtex") {
      const links = (family.families ?? [family]).map(({ metric }) => [...this.usual.querySelectorAll("[data-metric]")]
        .find((s) => s.dataset.metric === metric)?.querySelector("a[data-kind=bibtex]")).filter(Boolean);
      const texts = await Promise.all(links.map((link) => copied(link).then((found) => found.bibtex)));
      const entries = texts.join("\n").trim().split(/\n\n+/);
      await write(`${[...new Map(entries.map((entry) => [entry.split("\n", 1)[0], entry])).values()].join("\n\n")}\n`);
    } else {
      const words = new Words(this.data, family, dataset);
      await write(WRITERS[kind](words, table, await stampOf(words, table, this.state, this.said(table))));
    }
    say(button, "Copied");
  }
}

for (const root of document.querySelectorAll("section[data-tables]")) new View(root);
