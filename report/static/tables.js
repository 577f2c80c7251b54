// The tables of a suite's page: filters on rows and columns, switches for metrics, sorting by a click on a head. Every
// text and number is the page's own. The state is in the address: #tables?only.label=vae&hide=elbo&sort=["mse",2,1]
"use strict";

/** A filter is a list of alternatives: parts of words ("vae, pca"), whole words ("=vae"), numbers ("2, 16"). */
function matches(text, filter) {
  const wanted = filter.toLowerCase().split(",").map((part) => part.trim()).filter(Boolean), word = text.toLowerCase();
  return !wanted.length || wanted.some((part) => {
    if (part.startsWith("=")) return word === part.slice(1).trim();
    return /^\d+$/.test(word) ? word === part : word.includes(part);
  });
}

/** One table: the coordinates of its rows and columns, and the spans of its upper heads. */
class SortableTable {
  constructor(section) {
    this.section = section;
    this.metric = section.dataset.metric;
    this.table = section.querySelector("table.numbers");
    if (!this.table) return;
    this.rowAxes = JSON.parse(this.table.dataset.rows);
    this.columnAxes = JSON.parse(this.table.dataset.columns);
    this.rows = [...this.table.tBodies[0].rows];
    const lines = [...this.table.tHead.rows];
    this.heads = [...lines.at(-1).cells];
    this.spans = lines.slice(0, -1).flatMap((line) => {
      let end = this.rowAxes.length;
      return [...line.querySelectorAll("th")].map((head) => ({ head, start: end, end: (end += head.colSpan) }));
    });
    this.heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.dataset.sort = JSON.stringify([section.id, index]);
      button.append(...head.childNodes);
      head.append(button);
    });
  }

  /** Hides what the filters exclude; returns the numbers of rows shown and hidden. */
  filter(only, hiddenMetrics) {
    const passes = (axes, texts) => axes.every((axis, index) => matches(texts[index], only[axis] ?? ""));
    const { dataset } = this.section.dataset;
    this.section.hidden = hiddenMetrics.includes(this.metric) || (dataset !== "" && !matches(dataset, only.dataset ?? ""));
    if (!this.table || this.section.hidden) return [0, this.table ? this.rows.length : 0];
    const left = this.rowAxes.length;
    const shown = this.heads.map((head, index) => index < left || passes(this.columnAxes, JSON.parse(head.dataset.at)));
    this.heads.forEach((head, index) => { head.hidden = !shown[index]; });
    for (const { head, start, end } of this.spans) {
      const width = shown.slice(start, end).filter(Boolean).length;
      head.hidden = !width;
      head.colSpan = width || 1;
    }
    for (const row of this.rows) {
      const cells = [...row.cells];
      row.hidden = !passes(this.rowAxes, cells.slice(0, left).map((cell) => cell.textContent)) || !passes(Object.keys(row.dataset), Object.values(row.dataset));
      cells.forEach((cell, index) => { cell.hidden = !shown[index]; });
    }
    const visible = shown.slice(left).includes(true) ? this.rows.filter((row) => !row.hidden).length : 0;
    this.section.hidden = !visible;
    return [visible, this.rows.length - visible];
  }

  /** Rows in the order of a column, those without a number last; without a sort, in the order of the page. */
  sort(column, down) {
    if (!this.table) return;
    const key = (row) => (column < this.rowAxes.length ? row.cells[column].textContent : row.cells[column].dataset.value);
    const compare = (a, b) => (column < this.rowAxes.length ? a.localeCompare(b, "en", { numeric: true }) : a - b);
    const order = column === null ? this.rows : [...this.rows].sort((one, other) => {
      const [a, b] = [key(one), key(other)];
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return down ? compare(b, a) : compare(a, b);
    });
    this.table.tBodies[0].append(...order);
    this.heads.forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }
}

/** The section of all tables: its tools, and its state in the address. */
class Tables {
  constructor(root) {
    this.root = root;
    this.tools = root.querySelector("form.tools");
    this.status = root.querySelector("[role=status]");
    this.tables = [...root.querySelectorAll("section.metric")].map((section) => new SortableTable(section));
    this.tools.addEventListener("input", () => this.change(this.fromTools()));
    this.tools.addEventListener("submit", (event) => event.preventDefault());
    this.tools.addEventListener("reset", (event) => { event.preventDefault(); this.change(this.empty()); this.fill(); });
    root.addEventListener("click", (event) => this.click(event.target.closest("button[data-sort]")));
    window.addEventListener("hashchange", () => this.follow());
    this.state = this.read();
    if (this.changed()) {
      this.fill();
      this.draw();
      for (const fold of root.querySelectorAll("details.filters")) fold.open = true;
      root.scrollIntoView({ behavior: "instant" });
    }
  }

  empty() { return { only: {}, hidden: [], sort: null }; }

  changed() { return this.fragment() !== `#${this.root.id}`; }

  read() {
    const state = this.empty(), start = `#${this.root.id}?`;
    if (!location.hash.startsWith(start)) return state;
    const found = new URLSearchParams(location.hash.slice(start.length));
    for (const [name, text] of found) if (name.startsWith("only.") && text) state.only[name.slice(5)] = text;
    state.hidden = (found.get("hide") ?? "").split(",").filter(Boolean);
    try {
      const [id, column, down] = JSON.parse(found.get("sort"));
      if (this.tables.some(({ section, heads }) => section.id === id && heads?.[column])) state.sort = { id, column, down: down === 1 };
    } catch { /* no sort, or none that can be read */ }
    return state;
  }

  fragment() {
    const { only, hidden, sort } = this.state, found = new URLSearchParams();
    for (const [axis, text] of Object.entries(only)) found.set(`only.${axis}`, text);
    if (hidden.length) found.set("hide", hidden.join());
    if (sort) found.set("sort", JSON.stringify([sort.id, sort.column, sort.down ? 1 : 0]));
    return `#${this.root.id}${found.size ? `?${found}` : ""}`;
  }

  change(state) {
    this.state = state;
    history.replaceState(null, "", this.fragment());
    this.draw();
  }

  /** Another fragment: a pasted state, or a place on the page, after which the state is put back. */
  follow() {
    if (location.hash.startsWith(`#${this.root.id}?`)) {
      this.state = this.read();
      this.fill();
      this.draw();
    } else if (this.changed() && !location.hash.includes("?") && this.root.checkVisibility()) {
      history.replaceState(null, "", this.fragment());
    }
  }

  fill() {
    for (const input of this.tools.elements) {
      if (input.dataset.only) input.value = this.state.only[input.dataset.only] ?? "";
      if (input.dataset.metric) input.checked = !this.state.hidden.includes(input.dataset.metric);
    }
  }

  fromTools() {
    const state = { ...this.empty(), sort: this.state.sort };
    for (const input of this.tools.elements) {
      if (input.dataset.only && input.value.trim()) state.only[input.dataset.only] = input.value.trim();
      if (input.dataset.metric && !input.checked) state.hidden.push(input.dataset.metric);
    }
    return state;
  }

  /** The first click on a head sorts upwards, the second downwards, the third restores the order of the page. */
  click(button) {
    if (!button) return;
    const [id, column] = JSON.parse(button.dataset.sort), { sort } = this.state;
    const again = sort?.id === id && sort.column === column;
    this.change({ ...this.state, sort: again && sort.down ? null : { id, column, down: again } });
  }

  draw() {
    const { only, hidden, sort } = this.state;
    let tables = 0, rows = 0, left = 0;
    for (const table of this.tables) {
      const [shown, rest] = table.filter(only, hidden), here = sort?.id === table.section.id;
      table.sort(here ? sort.column : null, here && sort.down);
      [tables, rows, left] = [tables + !table.section.hidden, rows + shown, left + rest];
    }
    this.status.textContent = this.changed() ? `${tables} table${tables === 1 ? "" : "s"}, ${rows} rows shown, ${left} hidden.` : "";
  }
}

for (const root of document.querySelectorAll("section[data-tables]")) new Tables(root);
