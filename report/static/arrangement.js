// Values arranged as a table: which rows and columns, in which order, what is best, how many digits. As report/tables.py,
// report/digits.py and report/conditions.py have it; tests hold both against each other.
"use strict";

// -- numbers and words

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

function shown(x, digits, exactly) {
  const text = (Object.is(x, -0) ? "-" : "") + fixed(x, digits);
  return (Math.abs(x) >= 1e7 || (x !== 0 && Number(text) === 0 && !exactly) ? short(x) : text).replaceAll("-", "−");
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
  return family.values.map(([group, member, texts, planned, facts, ...rest], index) => {
    const at = { metric: family.metric, member };
    data.axes.forEach((axis, place) => { at[axis] = data.groups[group][place]; });
    const [images, accuracy, commits, dates, training] = family.facts[facts];
    const value = {
      at, family, planned, images, accuracy, commits, dates, training: data.trainings[training],
      texts: texts.map((text) => family.texts[text]), beside: (family.beside[index] ?? []).map((view) => family.published[view]),
    };
    if (rest.length === 1) return Object.assign(value, { state: rest[0], key: null, seeds: [], numbers: [] });
    const [key, mean, half, deviation, seeds, numbers, cell] = rest;
    return Object.assign(value, { state: "done", key: family.keys[key], mean, half, deviation, seeds, numbers, cell });
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
  const [rowAxes, usual] = shownAxes(values, state.rows, state.columns);
  const columnAxes = splitByKey(values, usual);
  const cells = new Map(values.map((v) => [idOf([placeOf(v.at, rowAxes), placeOf(v.at, columnAxes)]), v]));
  const cell = (row, column) => cells.get(idOf([row, column]));
  for (const value of cells.values()) value.best = false;
  for (const column of grouped([...cells.values()].filter((v) => v.seeds.length),
    (v) => idOf([placeOf(v.at, columnAxes), v.at.dataset])).values()) {
    for (const value of winners(column, column[0].family.better)) value.best = true;
  }
  const every = uniquePlaces(values, rowAxes);
  const decimals = (column) => state.digits ?? decimalsOf(every.map((row) => cell(row, column)).filter(Boolean));
  const keep = (axes) => (place) => axes.every((axis, index) => matches(place[index], state.only[axis]));
  const across = sortedPlaces(uniquePlaces(values, columnAxes), columnAxes.length), columns = across.filter(keep(columnAxes));
  const order = orderOf(state.sort, rowAxes, columns), rows = sortedRows(every.filter(keep(rowAxes)), columns, cell, order);
  const reading = rows.flatMap((row) => columns.map((column) => cell(row, column)).filter(Boolean)), shown = new Set(reading);
  const texts = distinct(reading.flatMap((value) => value.texts));
  return {
    rowAxes, columnAxes, rows, columns, cell, order, hidden: every.length - rows.length,
    whole: rows.length === every.length && columns.length === across.length,
    values: [...cells.values()].filter((value) => shown.has(value)), // as the grid has them
    decimals: new Map(columns.map((column) => [column, decimals(column)])), exactly: state.digits !== null,
    marks: new Map(texts.map((text, index) => [text, letter(index)])),
  };
}

/** What a table is sorted by, null where it has no such column: {column, down} or {axis, down}, an axis by its place. */
function orderOf(sort, axes, columns) {
  if (!sort) return null;
  const axis = axes.indexOf(sort.by), column = columns.findIndex((place) => idOf(place) === idOf(sort.by));
  return axis >= 0 ? { axis, down: sort.down } : column >= 0 ? { column, down: sort.down } : null;
}

/** Rows without a number last, equal ones as in the grid. By the first head up is by all of them, as `--sort name` does. */
function sortedRows(rows, columns, cell, order) {
  if (!order) return rows;
  const { axis, column, down } = order;
  if (column !== undefined) {
    const of = (row) => cell(row, columns[column])?.mean ?? null;
    return [...rows].sort((a, b) => {
      const [x, y] = [of(a), of(b)];
      return x === null || y === null ? (x === null) - (y === null) : (down ? y - x : x - y);
    });
  }
  const last = axis === 0 && !down ? Infinity : axis + 1;
  const compared = (a, b) => a.slice(axis, last).reduce((sum, word, index) => sum || byName(word, b[axis + index]), 0);
  return [...rows].sort((a, b) => (down ? compared(b, a) : compared(a, b)));
}

/** Numbers by size, before words. */
function byName(a, b) {
  const [x, y] = [a, b].map((word) => (Number.isInteger(word) ? word : (word ?? "").toLowerCase()));
  if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
  return x < y ? -1 : Number(x > y);
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

