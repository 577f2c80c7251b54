// A table in words, and as text to paste: what `bench table` prints of the same arrangement, its id included. As
// report/said.py, layout.py, latex.py, formats.py and tidy.py write it; a test compares the two byte for byte.
"use strict";

const EMPTY = "–";

class Words {
  /** dataset: where the table is of one dataset only. */
  constructor(data, family, dataset = null) { Object.assign(this, { data, family, dataset }); }

  get heading() {
    const { heading, metric, better, unit } = this.family, arrow = { lower: " ↓", higher: " ↑" }[better] ?? "";
    return heading ?? `${metric}${this.dataset === null ? "" : `, ${this.dataset}`}${arrow}${unit ? ` (${unit})` : ""}`;
  }

  axis(axis) { return axis === "member" ? this.family.member : axis === "metric" ? "Metric" : this.data.headings[axis] ?? axis; }

  name(axis, word) {
    if (word === null || word === "") return EMPTY;
    return axis === "member" ? this.data.spaces[word] ?? String(word) : String(word);
  }

  names(table, row) { return row.map((word, index) => this.name(table.rowAxes[index], word)); }

  head(axis, word) { return axis === "latent_size" ? `latent ${this.name(axis, word)}` : this.name(axis, word); }

  column(table, place) { return place.map((word, index) => this.head(table.columnAxes[index], word)).join(", "); }

  number(value, digits, exactly) {
    if (!value.seeds.length) return this.data.gaps[value.state] ?? value.state;
    const mean = shown(value.mean, digits, exactly);
    return value.half === null ? mean : `${mean} ± ${shown(value.half, digits, exactly)}`;
  }

  /** Text, "(2/3)" where seeds are missing, and the letters of its notes. */
  cell(table, row, column) {
    const value = table.cell(row, column);
    if (!value) return { text: EMPTY, best: false, partial: "", marks: "" };
    const missing = value.seeds.length !== value.planned;
    return {
      text: this.number(value, table.decimals.get(column), table.exactly), best: value.best,
      partial: value.seeds.length && missing ? ` (${value.seeds.length}/${value.planned})` : value.seeds.length === 1 ? " (n = 1)" : "",
      marks: value.texts.map((text) => table.marks.get(text)).join(","),
    };
  }

  /** Heads of one level with how many columns each spans; those of the lowest level span one. */
  heads(table, level) {
    if (level < table.columnAxes.length - 1) return this.spans(table, table.columns, level);
    return table.columns.map((place) => [this.head(table.columnAxes[level], place[level]), 1]);
  }

  /** Heads of an upper level over some columns; a span ends where one above it does. */
  spans(table, columns, level) {
    const found = [];
    let before = null;
    for (const place of columns) {
      const prefix = idOf(place.slice(0, level + 1));
      if (prefix === before) found.at(-1)[1] += 1;
      else found.push([this.head(table.columnAxes[level], place[level]), 1]);
      before = prefix;
    }
    return found;
  }

  // -- notes

  sentences(table) {
    const { families } = this.family;
    if (!families) return this.told(this.family, table);
    const each = families.map((family) => this.told(family, table));
    const shared = each[0].filter((sentence) => each.every((said) => said.includes(sentence)));
    const own = each.flatMap((said, index) => said.filter((s) => !shared.includes(s)).map((s) => `${families[index].metric}: ${s}`));
    return [...shared, ...own];
  }

  /** The sentences on a family's numbers: on coordinates only those that the table does not show, on bold if there is some. */
  told(family, table) {
    const { said, fixed, at } = family.notes[this.dataset] ?? family.notes[""];
    const seen = [...table.rowAxes, ...table.columnAxes], bold = table.values.some((value) => value.best);
    const parts = Object.entries(fixed).filter(([axis]) => !seen.includes(axis)).map(([, text]) => text).join("; ");
    const sentence = parts && `${parts[0].toUpperCase()}${parts.slice(1)}.`;
    return [...said.slice(0, at), sentence, ...said.slice(at)].filter((text) => text && (bold || !text.startsWith(this.data.bold)));
  }

  /** Where the published values are from, and why some are not comparable. */
  published(table) {
    const views = table.values.flatMap((value) => value.beside);
    return this.data.published.flatMap((head, other) => {
      const parts = distinct(views.filter(([, , comparable]) => comparable === !other).map(([, text]) => text));
      return parts.length ? [`${head}: ${parts.join("; ")}.`] : [];
    });
  }

  notes(table, stamp) {
    const marks = [...table.marks].map(([text, mark]) => `${mark}: ${text}.`);
    return [this.sentences(table).join(" "), ...this.published(table), ...marks, stamp.text];
  }
}

// -- the printed columns: those of the table, and behind each the published values beside it

const besideOf = (value) => (value?.beside ?? []).flatMap(([figure, , comparable]) => (comparable ? [figure] : []));

function slotsOf(words, table) {
  return table.columns.flatMap((column) => {
    const name = words.column(table, column), last = words.head(table.columnAxes.at(-1), column.at(-1));
    const obtained = { column, name, last, cell: (row) => words.cell(table, row, column) };
    if (!table.rows.some((row) => besideOf(table.cell(row, column)).length)) return [obtained];
    const text = (row) => besideOf(table.cell(row, column)).join("; ") || EMPTY;
    const cell = (row) => ({ text: text(row), best: false, partial: "", marks: "" });
    return [obtained, { column, name: `${name}, published`, last: `${last}, published`, cell }];
  });
}

// -- how the command is asked for a table, and the table's id

/** The flag that sorts as the table is; null where nothing does, false where none can. */
function sortFlag(words, table) {
  if (!table.order) return null;
  const { axis, column, down } = table.order;
  if (column === undefined) return axis === 0 && !down ? "name" : false;
  const names = table.columns.map((place) => words.column(table, place)), number = String(column + 1);
  if (down !== (words.family.better === "higher")) return false;
  if (names.filter((name) => name === names[column]).length === 1 && names[column] !== "name") return names[column];
  return names.includes(number) ? false : number;
}

/** Python's shlex.quote. */
const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\"'\"'")}'`);

/** What prints this very table; null where no flags say it. */
function commandOf(words, table, state) {
  const { data, family, dataset } = words, sort = sortFlag(words, table);
  if (!table.whole || family.families || sort === false) return null;
  const named = (axes, usual) => (axes.join() === usual.join() ? null : axes.join());
  const flags = { metric: family.metric, rows: named(state.rows, data.rows), columns: named(state.columns, data.columns),
    dataset, sort, precision: state.digits };
  const given = Object.entries(flags).filter(([, value]) => value !== null);
  return ["bench", "table", data.suite, ...given.flatMap(([name, value]) => [`--${name}`, String(value)])].map(quoted).join(" ");
}

/** What the id is of, line by line: see Table.shows of report/tables.py. */
function shows(words, table, command) {
  const cells = table.rows.flatMap((row) => table.columns.map((column) => [[...row, ...column], table.cell(row, column)]));
  const lines = cells.filter(([, value]) => value).map(([place, value]) => [
    ...place.map((word) => word ?? ""), seedsOf(value), value.planned, value.state, value.best ? "best" : "",
    (value.key ?? []).map((pair) => pair.join(" ")).join(", "), value.texts.join("; "), besideOf(value).join("; "),
  ].join("\t"));
  return [command, words.heading, ...words.sentences(table), ...words.published(table), ...lines];
}

/** A table's last note, with its id where the command prints the same; else `otherwise`, of what it is a part. */
async function stampOf(words, table, state, otherwise) {
  const command = commandOf(words, table, state);
  if (command === null) return { id: "", command: "", text: otherwise };
  const subtle = globalThis.crypto?.subtle; // not there over http from another machine
  if (!subtle) return { id: "", command, text: `Arranged in the report's page; ${command} prints it with its id.` };
  const bytes = await subtle.digest("SHA-256", new TextEncoder().encode(shows(words, table, command).join("\n")));
  const id = [...new Uint8Array(bytes).subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, command, text: `Table ${id} (${command})` };
}

// -- LaTeX

const MEAN = /^(-?)(\d+)(?:\.(\d+))?(?: ± (\d+)(?:\.(\d+))?)?$/; // sign, whole, decimals, the half-width's two
const LONE = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/;

/** A mean, alone or with a half-width of as many decimals and not zero, or null. */
function aligned(text) {
  const match = MEAN.exec(text), [, , , decimals = "", half, rest = ""] = match ?? [];
  return half === undefined || (decimals.length === rest.length && /[^0]/.test(half + rest)) ? match : null;
}

const plain = (text) => text.replaceAll("−", "-");

/** The type of a column: S with room for its widest number, or centred where it has none. */
function specOf(cells) {
  const found = cells.map(({ text }) => aligned(plain(text))).filter(Boolean);
  if (!found.length) return "c";
  const widest = (...parts) => Math.max(...found.map((match) => parts.reduce((sum, part) => sum + (match[part] ?? "").length, 0)));
  const [sign, whole, decimals, half] = [widest(1), widest(2), widest(3), widest(4, 5)];
  return `S[table-format=${sign ? "-" : ""}${whole}${decimals ? `.${decimals}` : ""}${half ? `(${half})` : ""}]`;
}

function latexOf(words, table, stamp) {
  const { data, family, dataset } = words, slots = slotsOf(words, table), left = table.rowAxes.map(() => "");
  const number = (c) => `(U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")})`;
  const character = (c) => (c === "\0" ? "{}" : data.latex[c] ?? (/[ -~]/.test(c) ? c : number(c)));
  const escape = (text) => [...text.replaceAll("\0", "").replace(/-(?=-)/g, "-\0")].map(character).join("");
  const line = (cells) => `${cells.join(" & ")} \\\\`.replace(/^(?=[[*])/, "{}");
  const piece = (text) => {
    if (aligned(text) || LONE.test(text)) return `\\num{${text.replace("±", "\\pm")}}`;
    return escape(/^-?\d/.test(text) ? text.replaceAll("-", "−") : text);
  };
  const cell = ({ text, best, partial, marks }) => {
    const bold = best ? "\\bfseries " : "", bare = plain(text);
    if (aligned(bare) && !partial && !marks) return bold + bare.replace("±", "\\pm");
    const notes = marks ? `\\textsuperscript{${marks}}` : "";
    return `{${bold}${bare.split("; ").map(piece).join("; ")}${escape(partial)}${notes}}`;
  };
  const upper = table.columnAxes.slice(0, -1).flatMap((_, level) => {
    const spans = words.spans(table, slots.map((slot) => slot.column), level);
    let start = left.length + 1;
    const rules = spans.map(([, n]) => { start += n; return `\\cmidrule(lr){${start - n}-${start - 1}}`; });
    return [line([...left, ...spans.map(([word, n]) => `\\multicolumn{${n}}{c}{${escape(word)}}`)]), rules.join(" ")];
  });
  const heads = line([...table.rowAxes.map((axis) => escape(words.axis(axis))), ...slots.map((slot) => `{${escape(slot.last)}}`)]);
  const body = table.rows.map((row) => line([...words.names(table, row).map(escape), ...slots.map((slot) => cell(slot.cell(row)))]));
  const specs = slots.map((slot) => specOf(table.rows.map((row) => slot.cell(row)))).join("");
  const label = `${data.suite}-${family.metric}${dataset === null ? "" : `-${dataset}`}`.replace(/[^A-Za-z0-9:-]/gu, "-");
  return ["% needs \\usepackage{booktabs, siunitx}", "\\begin{table}", "\\centering", data.sisetup,
    `\\caption{${escape(`${words.heading}. ${family.summary}`.trim())}}`, `\\label{tab:${label}}`,
    `\\begin{tabular}{${"l".repeat(left.length)}${specs}}`, "\\toprule", ...upper, heads, "\\midrule", ...body, "\\bottomrule",
    "\\end{tabular}", ...words.notes(table, stamp).map((note) => `\\par\\smallskip{\\footnotesize ${escape(note)}}`),
    "\\end{table}", ""].join("\n");
}

// -- Markdown

function markdownOf(words, table, stamp) {
  const escape = (text) => text.replace(/([\\`*_[\]|])/g, "\\$1").replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  const pipe = (parts) => `| ${parts.join(" | ")} |`, slots = slotsOf(words, table);
  const cell = ({ text, best, partial, marks }) => (best ? `**${text}**` : text) + partial + (marks ? `<sup>${marks}</sup>` : "");
  const heads = [...table.rowAxes.map((axis) => words.axis(axis)), ...slots.map((slot) => slot.name)].map(escape);
  const rule = [...table.rowAxes.map(() => "---"), ...slots.map(() => "---:")];
  const body = table.rows.map((row) => pipe([...words.names(table, row).map(escape), ...slots.map((slot) => cell(slot.cell(row)))]));
  const notes = words.notes(table, stamp).map(escape).join("  \n");
  return [`**${escape(words.heading)}**`, "", pipe(heads), pipe(rule), ...body, "", notes, ""].join("\n");
}

// -- CSV

/** Python's repr(x) of a float. */
function repr(x) {
  const [digits, power] = x.toExponential().split("e"), exponent = Number(power);
  if (Object.is(x, -0)) return "-0.0";
  if (exponent >= -4 && exponent < 16) return Number.isInteger(x) ? `${x}.0` : String(x);
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

const seedsOf = (value) => value.seeds.map((seed, index) => `${seed}:${repr(value.numbers[index])}`).join(" ");

/** One line: suite, metric, coordinates, numbers, conditions. */
function lineOf(words, value, stamp) {
  const { data } = words, { metric, unit, better } = value.family, float = (x) => (x === null || x === undefined ? "" : repr(x));
  const named = (head, pairs) => pairs.map(([name, text]) => [`${head}.${name}`, text]);
  return new Map([
    ["metric", metric], ["unit", unit], ["better", better], ...[...data.csvAxes, "options"].map((axis) => [axis, value.at[axis]]),
    ["mean", float(value.mean)], ["half_width", float(value.half)], ["std", float(value.deviation)],
    ["n", value.seeds.length], ["planned", value.planned], ["best", value.best ? "True" : "False"], ["state", value.state],
    ["reason", value.texts.join("; ")], ["n_images", value.images], ["seeds", seedsOf(value)],
    ["classifier_accuracy", float(value.accuracy)], ["published", besideOf(value).join("; ")],
    ["suite", data.suite], ["digest", data.digest], ["overrides", data.overrides], ["table_id", stamp.id],
    ["command", stamp.command], ["commits", value.commits], ["dates", value.dates],
    ...named("key", value.key ?? []), ...named("train", Object.entries(value.training)),
  ]);
}

/** A line a value that is shown; the keys and training settings that only some have stand at the end. */
function csvOf(words, table, stamp) {
  const places = table.rows.flatMap((row) => table.columns.map((column) => table.cell(row, column)));
  const lines = places.filter(Boolean).map((value) => lineOf(words, value, stamp));
  const place = (name) => Number(name.startsWith("key.")) + 2 * Number(name.startsWith("train."));
  const columns = distinct(lines.flatMap((line) => [...line.keys()])).sort((a, b) => place(a) - place(b));
  const quote = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const row = (fields) => `${fields.map((word) => quote(String(word ?? ""))).join(",")}\n`;
  return [row(columns), ...lines.map((line) => row(columns.map((name) => line.get(name))))].join("");
}

const WRITERS = { latex: latexOf, markdown: markdownOf, csv: csvOf };
