// The page's own script: reads the runs, and tells DataTables and plotly.js what to draw. Values of runs are data: they
// reach the page as text nodes, or through escapeForPlotly, never as markup.
"use strict";
(async () => {
  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("data").textContent);
  const columns = data.columns;
  const count = data.count;
  const allRows = Array.from({ length: count }, (_, row) => row);

  // A page that follows what runs is loaded again; not while somebody looks at a run. The filter stands in its address.
  function loadAgain() {
    if (document.querySelector("dialog[open]")) setTimeout(loadAgain, 1000);
    else location.reload();
  }
  if (data.refresh_seconds) setTimeout(loadAgain, 1000 * data.refresh_seconds);

  // ---- cells ------------------------------------------------------------------------------------------------------

  const isMissing = (cell) => Array.isArray(cell);
  const NAMED = { inf: Infinity, "-inf": -Infinity, nan: NaN };

  /** The number a cell stands for; undefined if it stands for none. */
  function numberOf(cell) {
    if (typeof cell === "number") return cell;
    if (cell === null || typeof cell !== "object" || isMissing(cell)) return undefined;
    return cell.n ?? NAMED[cell.x];
  }

  const finite = (cell) => Number.isFinite(numberOf(cell));

  /** A cell in full, as Python writes it. */
  function textOf(column, row) {
    const cell = column.cells[row];
    if (isMissing(cell)) return "";
    if (cell === null) return "None";
    if (typeof cell === "boolean") return cell ? "True" : "False";
    if (typeof cell === "number") return numberText(column, cell);
    return typeof cell === "string" ? cell : cell.x;
  }

  function numberText(column, number) {
    const size = Math.abs(number);
    if (column.floats && number && (size < 1e-4 || size >= 1e16)) return pythonExponent(number.toExponential());
    return column.floats && Number.isInteger(number) ? `${number}.0` : String(number);
  }

  const pythonExponent = (text) => text.replace(/e([+-])(\d)$/, "e$10$2");

  /** A cell as short as the table and the plots want it. */
  function shortText(column, row) {
    const cell = column.cells[row];
    if (typeof cell !== "number") return column.unit === "time" ? timeText(textOf(column, row)) : textOf(column, row);
    if (column.unit === "seconds") return durationText(cell);
    if (column.unit === "bytes") return bytesText(cell);
    return Number.isInteger(cell) ? numberText(column, cell) : rounded(cell, digitsOf(column));
  }

  const rounded = (number, digits) => {
    const near = Number(number.toPrecision(digits));
    return near && Math.abs(near) < 1e-4 ? pythonExponent(near.toExponential()) : String(near);
  };

  /** As few digits as keep different values different, and at least six. */
  function digitsOf(column) {
    if (column.digits === undefined) {
      const numbers = new Set(column.cells.filter((cell) => typeof cell === "number"));
      const enough = (digits) => new Set([...numbers].map((n) => n.toPrecision(digits))).size === numbers.size;
      column.digits = numbers.size > 2000 ? 6 : [6, 9, 12].find(enough) ?? 17;
    }
    return column.digits;
  }

  function durationText(seconds) {
    if (!Number.isFinite(seconds) || seconds < 0) return String(seconds);
    if (seconds < 1e-3) return `${rounded(seconds * 1e6, 3)} µs`;
    if (seconds < 1) return `${rounded(seconds * 1e3, 3)} ms`;
    if (seconds < 60) return `${rounded(seconds, 3)} s`;
    const whole = Math.round(seconds);
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    if (whole < 48 * 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
    return `${rounded(whole / 86400, 3)} days`;
  }

  function bytesText(bytes) {
    const units = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    const step = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
    return `${step ? rounded(bytes / 1000 ** step, 3) : bytes} ${units[step]}`;
  }

  /** A moment in local time with its offset; what is no moment as it stands. */
  function timeText(iso) {
    const time = momentIn(iso);
    if (time === null) return iso;
    const ahead = -new Date(time).getTimezoneOffset();
    const two = (number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
    return `${localIso(time).slice(0, 19).replace("T", " ")}${ahead < 0 ? "-" : "+"}${two(ahead / 60)}:${two(ahead % 60)}`;
  }

  /** Milliseconds since 1970; without an offset it is UTC. */
  function momentIn(iso) {
    const time = Date.parse(/(Z|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
    return Number.isNaN(time) ? null : time;
  }

  const localIso = (time) => new Date(time - new Date(time).getTimezoneOffset() * 60000).toISOString().slice(0, 23);

  const label = (column) => (column.group === "metadata" ? column.name.slice("metadata.".length) : column.label);

  const own = (field) => columns.find((one) => one.group === "record" && one.field === field);
  const params = columns.filter((one) => one.group === "param");
  const varying = params.filter((one) => one.varies);
  const runTime = own("elapsed_seconds");
  const created = own("created_at");
  const size = own("size_bytes");
  const functionName = own("function");

  /** Numbers first, then names of no number, then text; missing cells are last whichever way one sorts. */
  function ranksOf(one) {
    if (one.ranks) return one.ranks;
    const collator = new Intl.Collator(undefined, { numeric: true });
    const keys = one.cells.map((cell, row) => {
      const number = numberOf(cell);
      if (number !== undefined) return Number.isNaN(number) ? [1, 0] : [0, number, textOf(one, row)];
      if (cell === null) return [2, 0];
      if (typeof cell === "boolean") return [3, Number(cell)];
      return [4, textOf(one, row)];
    });
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const compare = (a, b) => {
      const [kind, value, text] = keys[a];
      const [otherKind, otherValue, otherText] = keys[b];
      if (kind !== otherKind) return kind - otherKind;
      return kind === 4 ? collator.compare(value, otherValue) : order(value, otherValue) || order(text, otherText);
    };
    const sorted = allRows.filter((row) => !isMissing(one.cells[row])).sort(compare);
    one.ranks = new Array(count).fill(null);
    let rank = 0;
    sorted.forEach((row, place) => {
      if (place && compare(sorted[place - 1], row) !== 0) rank += 1;
      one.ranks[row] = rank;
    });
    return one.ranks;
  }

  // ---- small things to build a page from --------------------------------------------------------------------------

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function fillSelect(select, options, chosen) {
    select.replaceChildren(...options.map(([value, text]) => element("option", { value, textContent: text, selected: value === chosen })));
  }

  async function unpack(id) {
    const holder = byId(id);
    const bytes = Uint8Array.from(atob(holder.textContent), (letter) => letter.charCodeAt(0));
    holder.remove();
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  const asAddress = (script) => URL.createObjectURL(new Blob([script], { type: "text/javascript" }));

  const many = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;

  // ---- head and foot ----------------------------------------------------------------------------------------------

  function tellFacts() {
    const fact = (value, name) => byId("facts").append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
    const sum = (one) => one.cells.reduce((total, cell) => total + (finite(cell) ? numberOf(cell) : 0), 0);
    fact(count.toLocaleString("en"), count === 1 ? "run" : "runs");
    if (varying.length) fact(varying.length, `varying parameter${varying.length === 1 ? "" : "s"}`);
    if (functionName?.varies) fact(new Set(functionName.cells.map(String)).size, "functions");
    if (runTime && sum(runTime)) fact(durationText(sum(runTime)), "of computing");
    if (size && sum(size)) fact(bytesText(sum(size)), "of results");
    if (created) {
      const days = created.cells.map((_, row) => timeText(textOf(created, row)).slice(0, 10)).sort();
      fact(days[0] === days.at(-1) ? days[0] : `${days[0]} – ${days.at(-1)}`, "");
    }
    const constant = params.filter((one) => !one.varies);
    if (constant.length && count > 1) {
      const shown = constant.slice(0, 40).map((one) => element("code", { textContent: `${one.label} = ${textOf(one, 0).slice(0, 200)}` }));
      byId("constants").append("Same in all runs: ", ...shown, constant.length > 40 ? `and ${constant.length - 40} more` : "");
      byId("constants").hidden = false;
    }
    byId("footer").textContent = `Written ${timeText(data.written_at)} by entropic. Times are local, with their offset from UTC.`;
  }

  // ---- which runs are shown ---------------------------------------------------------------------------------------

  /** What a column is called in a query; nothing for what is made for the page alone. */
  function queryName(one) {
    if (one.group !== "record") return one.group === "param" ? one.name : one.field;
    return { created_at: "created_at", params_hash: "params_hash", elapsed_seconds: "metadata.elapsed_seconds", function: "provenance.function", version: "provenance.version", size_bytes: "provenance.size_bytes" }[one.field];
  }

  /** The columns that a name means: of a run that has no such parameter, a field. */
  function columnsNamed(name) {
    const field = name === "function" ? "provenance.function" : name;
    return [...params.filter((one) => one.name === name), ...columns.filter((one) => one.group !== "param" && queryName(one) === field)];
  }

  function filterTest(filter) {
    const meant = columnsNamed(filter.name);
    const holds = entropicQuery.test(filter);
    return (row) => { const one = meant.find((each) => !isMissing(each.cells[row])); return one !== undefined && holds(one.cells[row], one.floats); };
  }

  /** The tests of all that a query asks for; each row has to pass all of them. */
  function testsOf(query) {
    const hash = own("params_hash");
    const hasHash = (row) => query.prefixes.some((prefix) => textOf(hash, row).startsWith(prefix));
    return [...query.filters.map(filterTest), ...(query.prefixes.length ? [hasHash] : []), ...query.words.map(textTest)];
  }

  /** What is to be said of a query whose names no run has. */
  function unknownNames(query) {
    return query.filters.filter((one) => !columnsNamed(one.name).length).map(({ name }) => {
      const last = (one) => queryName(one)?.split(".").at(-1);
      const near = columns.find((one) => queryName(one) && [last(one), label(one), label(one).replaceAll(" ", "_")].includes(name));
      return `No run has ${name}.${near ? ` Did you mean ${queryName(near)}?` : ""}`;
    });
  }

  let rowTexts;
  function textTest(word) {
    rowTexts ??= allRows.map((row) =>
      [...columns.filter((one) => one.group !== "provenance").map((one) => textOf(one, row)), ...data.results[row].map((file) => file.name)].join("\n").toLowerCase());
    const wanted = word.toLowerCase();
    return (row) => rowTexts[row].includes(wanted);
  }

  let filtered = allRows; // by the filter box
  let shown = allRows; // and by what was picked in the parallel coordinates
  let picks = new Map(); // column -> ranges on its axis

  function applyFilter() {
    const picked = byId("function").value;
    const isOfFunction = (row) => picked === "" || textOf(functionName, row) === picked.slice(1);
    let tests, told;
    try {
      const query = entropicQuery.read(byId("filter").value);
      tests = testsOf(query);
      told = unknownNames(query);
    } catch (error) {
      if (!(error instanceof entropicQuery.Refused)) throw error;
      tests = [() => false];
      told = [`At position ${error.position}: ${error.message}.`];
    }
    filtered = tests.length || picked ? allRows.filter((row) => isOfFunction(row) && tests.every((test) => test(row))) : allRows;
    byId("hint").replaceChildren(...(told.length ? [element("span", { className: "wrong", textContent: told.join(" ") })] : example()));
    refresh();
  }

  function refresh({ keepParallel = false } = {}) {
    const picked = [...picks].map(([one, ranges]) => {
      const axis = axisOf(one);
      return (row) => ranges.some(([low, high]) => axis.values[row] >= low && axis.values[row] <= high);
    });
    shown = picked.length ? filtered.filter((row) => picked.every((test) => test(row))) : filtered;
    byId("count").textContent = shown.length === count ? many(count, "run") : `${shown.length.toLocaleString("en")} of ${many(count, "run")}`;
    byId("count").dataset.filter = byId("filter").value; // what is shown answers to this
    byId("clear").hidden = !byId("filter").value && !picks.size && !byId("function").value;
    rememberState();
    drawTable();
    drawPlots(keepParallel);
  }

  function example() {
    const terms = [];
    for (const one of varying) {
      const row = allRows.find((each) => !isMissing(one.cells[each]) && textOf(one, each).length < 20);
      if (row === undefined || terms.length === 2 || one.cells[row]?.k) continue;
      const cell = one.cells[row];
      const value = typeof cell === "string" ? entropicQuery.spelled(cell) : cell?.s === undefined ? textOf(one, row) : entropicQuery.spelled(cell.s);
      terms.push(`${entropicQuery.spelledName(one.name)}${finite(cell) && terms.length === 0 ? ">=" : "="}${value}`);
    }
    if (runTime && terms.length < 2) terms.push("metadata.elapsed_seconds>1");
    const shownTerms = terms.flatMap((term, place) => [place ? " " : "", element("code", { textContent: term })]);
    return [terms.length ? "Such as " : "", ...shownTerms, terms.length ? ", a hash, or any text. " : "A hash, or any text. ", "Several together must all hold."];
  }

  // ---- the table --------------------------------------------------------------------------------------------------

  const MOST_COLUMNS = 40;
  const tableColumns = [
    ...(count === 1 ? params : varying).slice(0, MOST_COLUMNS),
    ...(own("superseded") ? [own("superseded")] : []),
    ...(runTime ? [runTime] : []),
    ...columns.filter((one) => one.group === "metadata" && one.varies).slice(0, 12),
    ...(functionName?.varies ? [functionName] : []),
    ...[own("version"), own("code")].filter((one) => one?.varies),
    ...(created ? [created] : []),
    ...(size ? [size] : []),
  ];
  let table;
  let mask = new Uint8Array(count).fill(1);

  function cellNode(one, row) {
    const cell = one.cells[row];
    if (isMissing(cell)) return element("span", { className: "none", textContent: "–", title: "not a parameter of this run" });
    const node = element("span", { textContent: shortText(one, row).slice(0, 300) });
    const full = textOf(one, row);
    if (full !== node.textContent) node.title = full.slice(0, 1000);
    if (cell === null) node.className = "none";
    return node;
  }

  function runButton(row) {
    const hash = own("params_hash");
    return element("button", { type: "button", className: "open", textContent: textOf(hash, row).slice(0, 8) || "open", title: "Show this run" });
  }

  function resultNode(row) {
    const files = data.results[row];
    const picture = files.find((file) => file.picture);
    const node = element("span");
    if (picture) node.append(element("img", { className: "thumb", src: picture.picture, alt: "" }));
    node.append(files[0].note ? element("span", { className: "none", textContent: `${files[0].name} (${files[0].note})` }) : linkTo(files[0]));
    return node;
  }

  const linkTo = (file) => element("a", { href: file.href, textContent: file.name + (file.kind === "folder" ? "/" : ""), title: file.name, target: "_blank", rel: "noopener" });

  function makeTable(DataTable) {
    const named = [{ title: "run" }, ...tableColumns.map((one) => ({ title: label(one), one })), { title: "result" }];
    const heads = named.map(({ title, one }) => {
      const numeric = one && isNumeric(one);
      return element("th", { scope: "col", className: `${one?.group === "param" ? "param " : ""}${numeric ? "dt-right" : ""}`, textContent: title });
    });
    byId("runs").append(element("thead", {}, element("tr", {}, ...heads)));
    const missingLast = (sign) => (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : sign * (a - b));
    DataTable.ext.type.order["ranked-asc"] = missingLast(1);
    DataTable.ext.type.order["ranked-desc"] = missingLast(-1);
    DataTable.ext.errMode = "throw";
    const hashes = own("params_hash");
    const names = { cells: data.results.map((files) => files[0].name) };
    const drawn = (one, node) => ({
      type: "ranked",
      searchable: false,
      render: (row, kind) => (kind === "sort" ? ranksOf(one)[row] : ""),
      createdCell: (td, _, row) => td.replaceChildren(node(row)),
      className: one.group && isNumeric(one) ? "dt-right" : "",
    });
    table = new DataTable(byId("runs"), {
      data: allRows,
      columns: [
        { data: (row) => row, ...drawn(hashes, runButton) },
        ...tableColumns.map((one) => ({ data: (row) => row, ...drawn(one, (row) => cellNode(one, row)) })),
        { data: (row) => row, ...drawn(names, resultNode) },
      ],
      order: created ? [[1 + tableColumns.indexOf(created), "desc"]] : [],
      deferRender: true,
      autoWidth: false,
      pageLength: 25,
      lengthMenu: [10, 25, 100, 500],
      layout: { topStart: null, topEnd: null, ...(count > 10 ? { bottomStart: ["info", "pageLength"], bottomEnd: "paging" } : { bottomStart: null, bottomEnd: null }) },
      language: { emptyTable: "No runs", zeroRecords: "No run is like that.", info: "_START_ to _END_ of _TOTAL_ runs", infoEmpty: "0 runs", infoFiltered: "", lengthMenu: "_MENU_ per page" },
    });
    table.search.fixed("shown", (_, row) => mask[row] === 1);
    byId("runs").tBodies[0].addEventListener("click", (event) => {
      if (event.target.closest("a")) return;
      const row = table.row(event.target.closest("tr")).data();
      if (row !== undefined) openRun(row);
    });
    table.on("order", () => { if (!byId("pictures-view").hidden) drawPictures(); });
  }

  const isNumeric = (one) => {
    one.numeric ??= one.unit !== "time" && one.cells.some(finite) && one.cells.every((cell) => isMissing(cell) || cell === null || numberOf(cell) !== undefined);
    return one.numeric;
  };

  function drawTable() {
    if (!table) return;
    mask.fill(0);
    for (const row of shown) mask[row] = 1;
    table.draw();
    if (!byId("pictures-view").hidden) drawPictures();
  }

  const rowsInOrder = () => table.rows({ order: "applied", search: "applied" }).data().toArray();

  // ---- pictures ---------------------------------------------------------------------------------------------------

  let picturesUpTo = 48;

  function drawPictures() {
    const rows = rowsInOrder().filter((row) => data.results[row].some((file) => file.picture));
    byId("pictures-view").replaceChildren(...rows.slice(0, picturesUpTo).map((row) => {
      const caption = varying.filter((one) => !isMissing(one.cells[row])).slice(0, 8).flatMap((one, place) => [place ? ", " : "", `${one.label} `, element("b", { textContent: shortText(one, row).slice(0, 60) })]);
      const file = data.results[row].find((one) => one.picture);
      const card = element("button", { type: "button" }, element("img", { src: file.picture, alt: file.name, loading: "lazy" }), element("span", {}, ...(caption.length ? caption : [file.name])));
      card.addEventListener("click", () => openRun(row));
      return card;
    }));
    if (!rows.length) byId("pictures-view").textContent = "None of these runs has a picture in this page.";
    byId("more-pictures").hidden = rows.length <= picturesUpTo;
  }

  function showAs(pictures) {
    byId("table-view").hidden = pictures;
    byId("pictures-view").hidden = !pictures;
    byId("as-table").setAttribute("aria-pressed", String(!pictures));
    byId("as-pictures").setAttribute("aria-pressed", String(pictures));
    byId("more-pictures").hidden = true;
    if (pictures) drawPictures();
  }

  // ---- one run ----------------------------------------------------------------------------------------------------

  let opened;

  function openRun(row) {
    opened = row;
    const block = (title, ...content) => element("section", {}, element("h3", { textContent: title }), ...content);
    const pairs = (chosen) => element("dl", { className: "pairs" }, ...chosen.filter((one) => !isMissing(one.cells[row])).map((one) => {
      const full = textOf(one, row);
      const readable = one.unit && one.unit !== "time" ? `${shortText(one, row)} (${full})` : full;
      return element("div", {}, element("dt", { textContent: label(one) }), element("dd", { textContent: readable }));
    }));
    const has = (group) => columns.filter((one) => one.group === group && !isMissing(one.cells[row]));
    byId("run-title").textContent = `Run ${textOf(own("params_hash"), row)}`;
    byId("run-body").replaceChildren(
      block("Result", ...data.results[row].map(fileNode)),
      ...(has("param").length ? [block("Parameters", pairs(has("param")))] : []),
      ...(has("metadata").length ? [block("Metadata", pairs(has("metadata")))] : []),
      block("Record", pairs([...has("record"), ...has("provenance")])),
    );
    const rows = rowsInOrder();
    const place = rows.indexOf(row);
    byId("run-before").disabled = place <= 0;
    byId("run-after").disabled = place < 0 || place === rows.length - 1;
    if (!byId("run").open) byId("run").showModal();
    byId("run-body").parentElement.scrollTop = 0;
  }

  function step(by) {
    const rows = rowsInOrder();
    const next = rows[rows.indexOf(opened) + by];
    if (next !== undefined && rows.includes(opened)) openRun(next);
  }

  function fileNode(file) {
    const told = [file.size === undefined ? "" : bytesText(file.size), file.note ?? "", file.cut ? "the beginning" : ""].filter(Boolean);
    const node = element("div", {}, linkTo(file), element("span", { className: "hint", textContent: told.length ? `  ${told.join(", ")}` : "" }));
    if (file.picture) node.append(element("img", { src: file.picture, alt: `Result ${file.name}` }));
    if (file.text !== undefined) node.append(element("pre", { textContent: file.text + (file.cut ? "\n…" : ""), tabIndex: 0 }));
    return node;
  }

  // ---- the plots --------------------------------------------------------------------------------------------------

  let Plotly;
  const MOST_AXES = 12;
  const MOST_NAMES = 40;
  const PALETTE = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#eeca3b", "#9d755d"];
  /** Plotly reads a little markup in its labels; a value has none. */
  const escapeForPlotly = (text) => text.replace(/[\u0000-\u001f\u2028\u2029]/g, " ").replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const clipped = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
  const plotLabel = (one, length = 40) => escapeForPlotly(clipped(label(one), length)) + (one.unit === "seconds" ? " (s)" : one.unit === "bytes" ? " (bytes)" : "");

  const spansDecades = (numbers) => {
    const low = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    const high = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    return low > 0 && high / low >= 50;
  };

  /** Where each run stands on the axis of a column, or null for a column with too many names. */
  function axisOf(one) {
    if (one.array) return null; // its digests have no order, and say nothing
    if (one.axis !== undefined) return one.axis;
    if (isNumeric(one) && one.cells.every(finite)) {
      const log = spansDecades(one.cells.map(numberOf));
      one.axis = { log, places: one.cells.map((cell) => (log ? Math.log10(numberOf(cell)) : numberOf(cell))) };
      const distinct = [...new Set(one.cells.map(numberOf))].sort((a, b) => a - b);
      if (distinct.length <= 8) {
        one.axis.ticks = distinct.map((number) => (log ? Math.log10(number) : number));
        one.axis.texts = distinct.map((number) => rounded(number, 6));
      } else if (log) {
        const from = Math.floor(Math.log10(distinct[0])), to = Math.ceil(Math.log10(distinct.at(-1)));
        const steps = to - from > 2 ? [1] : [1, 2, 5];
        const ticks = [];
        for (let power = from; power <= to; power++) for (const start of steps) if (start * 10 ** power >= distinct[0] * 0.999 && start * 10 ** power <= distinct.at(-1) * 1.001) ticks.push(start * 10 ** power);
        one.axis.ticks = ticks.map(Math.log10);
        one.axis.texts = ticks.map((tick) => rounded(tick, 3));
      }
      return spread(one.axis, distinct.length <= MOST_NAMES);
    }
    if (new Set(one.cells.map((_, row) => textOf(one, row))).size > MOST_NAMES) return (one.axis = null);
    const ranks = ranksOf(one);
    const texts = [];
    allRows.forEach((row) => { if (ranks[row] !== null) texts[ranks[row]] = shortText(one, row); });
    const missing = ranks.includes(null);
    if (texts.length + missing > MOST_NAMES) return (one.axis = null);
    one.axis = { names: true, texts: texts.map((text) => clipped(text, 18)), places: ranks.map((rank) => rank ?? texts.length) };
    if (missing) one.axis.texts.push("–");
    one.axis.ticks = one.axis.texts.map((_, rank) => rank);
    return spread(one.axis, true);
  }

  /** Set runs with the same value a little apart, so that one sees how many there are and of which colour. */
  function spread(axis, few) {
    const places = [...new Set(axis.places)].sort((a, b) => a - b);
    const gap = places.slice(1).reduce((least, place, before) => Math.min(least, place - places[before]), Infinity);
    const width = few && count > 20 && places.length > 1 ? Math.min(gap * 0.3, (places.at(-1) - places[0]) * 0.035) : 0;
    axis.values = axis.places.map((place, row) => place + width * (((row * 0.6180339887) % 1) - 0.5));
    return axis;
  }

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function layout(more) {
    const axis = { gridcolor: style("--line"), zerolinecolor: style("--line"), linecolor: style("--line"), automargin: true, exponentformat: "power", ...more.axis };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: style("--ink") },
      margin: { l: 12, r: 12, t: 14, b: 12, ...more.margin },
      hoverlabel: { bgcolor: style("--card"), bordercolor: style("--line"), font: { color: style("--ink") }, align: "left" },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      showlegend: Boolean(more.legend), bargap: 0.08, barmode: "stack", hovermode: "closest",
      xaxis: { ...axis, ...more.x }, yaxis: { ...axis, ...more.y },
    };
  }

  const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false };

  /** A colour for each of some rows, by a column's numbers. */
  function colouring(one, rows) {
    const usable = one && one.cells.some(finite);
    if (!usable) return null;
    const numbers = rows.map((row) => (finite(one.cells[row]) ? numberOf(one.cells[row]) : NaN));
    const log = spansDecades(one.cells.filter(finite).map(numberOf));
    const values = log ? numbers.map(Math.log10) : numbers;
    const all = one.cells.filter(finite).map((cell) => (log ? Math.log10(numberOf(cell)) : numberOf(cell)));
    const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
    const ticks = [0, 1, 2, 3, 4].map((part) => low + ((high - low) * part) / 4);
    const text = (value) => (one.unit === "seconds" ? durationText(value) : one.unit === "bytes" ? bytesText(value) : rounded(value, 3));
    return {
      values: values.map((value) => (Number.isNaN(value) ? low : value)), low, high: high > low ? high : low + 1,
      bar: { title: { text: one.unit ? escapeForPlotly(label(one)) : plotLabel(one, 24), side: "right" }, thickness: 12, outlinewidth: 0, tickvals: ticks, ticktext: ticks.map((tick) => text(log ? 10 ** tick : tick)) },
    };
  }

  let webGL;
  const hasWebGL = () => (webGL ??= Boolean(document.createElement("canvas").getContext("webgl")));

  function drawParallel() {
    const axes = parallelAxes();
    const rows = filtered;
    byId("parallel-card").hidden = axes.length < 2 || count < 2;
    if (byId("parallel-card").hidden) return;
    byId("parallel").style.minWidth = `${axes.length * 105 + 90}px`;
    byId("parallel").hidden = !hasWebGL();
    byId("no-webgl").hidden = hasWebGL();
    if (!hasWebGL()) return;
    const colour = colouring(chosenColumn("parallel-colour"), rows);
    const dimensions = axes.map((one) => {
      const axis = axisOf(one);
      const ranges = picks.get(one);
      const low = axis.values.reduce((a, b) => Math.min(a, b)), high = axis.values.reduce((a, b) => Math.max(a, b));
      const pad = axis.names ? 0.25 : 0;
      return {
        label: escapeForPlotly(clipped(label(one), 22)), values: rows.map((row) => axis.values[row]),
        range: low === high ? [low - 1, high + 1] : [low - pad, high + pad],
        ...(axis.ticks ? { tickvals: axis.ticks, ticktext: axis.texts } : {}),
        ...(ranges ? { constraintrange: ranges.length === 1 ? ranges[0] : ranges } : {}),
      };
    });
    const line = colour
      ? { color: colour.values, cmin: colour.low, cmax: colour.high, colorscale: scale(), showscale: true, colorbar: { ...colour.bar, len: 1.05 } }
      : { color: style("--accent") };
    const trace = { type: "parcoords", dimensions, line, labelside: "top", labelfont: { size: 13.5, color: style("--ink") }, tickfont: { size: 11.5, color: style("--ink") }, rangefont: { color: "rgba(0,0,0,0)", size: 1 }, unselected: { line: { color: style("--line"), opacity: 0.35 } } };
    Plotly.react(byId("parallel"), [trace], layout({ margin: { l: leftOf(axes[0]), r: 30, t: 46, b: 18 } }), CONFIG);
  }

  /** Room for the names on the first axis, which stand left of it, and for half its title. */
  function leftOf(one) {
    const longest = Math.max(4, ...(axisOf(one).texts ?? []).map((text) => text.length));
    return Math.max(30, longest * 7 + 18, Math.min(22, label(one).length) * 4 + 8);
  }

  /** Viridis, without its end that vanishes: light yellow on white, dark violet on black. */
  const COLOURS = { light: ["#3b1f6b", "#31688e", "#21918c", "#5ec962", "#e3b505"], dark: ["#6f6be0", "#3f9bd0", "#35c4a6", "#9be15d", "#fde725"] };
  const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
  const scale = () => COLOURS[isDark() ? "dark" : "light"].map((colour, place) => [place / 4, colour]);

  function parallelAxes() {
    const interest = columns.filter((one) => one.group === "metadata" && one.varies && isNumeric(one) && one.cells.every(finite));
    const chosen = [...varying, ...interest, ...(runTime ? [runTime] : [])].filter((one) => axisOf(one));
    return chosen.length > MOST_AXES ? [...chosen.slice(0, MOST_AXES - 1), ...chosen.slice(-1)] : chosen;
  }

  function readPicks() {
    const drawn = byId("parallel").data[0].dimensions;
    picks = new Map();
    parallelAxes().forEach((one, place) => {
      const ranges = drawn[place]?.constraintrange;
      if (ranges?.length) picks.set(one, Array.isArray(ranges[0]) ? ranges : [ranges]);
    });
    refresh({ keepParallel: true });
  }

  const chosenColumn = (id) => columns[Number(byId(id).value)];

  function hoverText(row) {
    const told = [...varying.slice(0, 10), ...(runTime ? [runTime] : [])].filter((one) => !isMissing(one.cells[row]));
    const lines = told.map((one) => `${escapeForPlotly(clipped(label(one), 30))}: ${escapeForPlotly(clipped(shortText(one, row), 40))}`);
    return [...lines, created ? timeText(textOf(created, row)) : ""].join("<br>");
  }

  function drawAgainst() {
    const x = chosenColumn("against-x"), y = chosenColumn("against-y");
    byId("against-card").hidden = !x || !y || count < 2;
    if (byId("against-card").hidden) return;
    const side = (one) => {
      if (one.unit === "time") return { axis: { type: "date", range: timeRange() }, at: (row) => momentOf(row) };
      const numbers = one.cells.filter(finite).map(numberOf);
      if (isNumeric(one)) return { axis: { type: spansDecades(numbers) ? "log" : "linear", ...(spansDecades(numbers) ? { dtick: 1 } : {}) }, at: (row) => numberOf(one.cells[row]) ?? null };
      const axis = axisOf(one);
      return { axis: { type: "linear", tickvals: axis.ticks, ticktext: axis.texts.map(escapeForPlotly), range: [-0.5, axis.texts.length - 0.5] }, at: (row) => axis.values[row] };
    };
    const across = side(x), up = side(y);
    const marker = { size: shown.length > 2000 ? 4 : shown.length > 300 ? 6 : 8, opacity: shown.length > 2000 ? 0.55 : 0.8, line: { width: 0 } };
    const trace = (rows, more) => ({
      type: shown.length > 2000 && hasWebGL() ? "scattergl" : "scatter", mode: "markers", x: rows.map(across.at), y: rows.map(up.at),
      customdata: rows, text: rows.map(hoverText), hovertemplate: "%{text}<extra></extra>", ...more, marker: { ...marker, ...more.marker },
    });
    const by = chosenColumn("against-colour");
    const axis = by && !isNumeric(by) ? axisOf(by) : null;
    let traces;
    if (axis) {
      const groups = axis.texts.map((_, rank) => shown.filter((row) => axis.places[row] === rank));
      traces = groups.map((rows, rank) => trace(rows, { name: escapeForPlotly(axis.texts[rank]), marker: { color: PALETTE[rank % PALETTE.length] } }));
    } else {
      const colour = colouring(by, shown);
      traces = [trace(shown, { marker: colour ? { color: colour.values, cmin: colour.low, cmax: colour.high, colorscale: scale(), showscale: true, colorbar: colour.bar } : { color: style("--accent") } })];
    }
    const title = (one) => ({ title: { text: plotLabel(one), standoff: 8 } });
    Plotly.react(byId("against"), traces, layout({ legend: axis, x: { ...across.axis, ...title(x) }, y: { ...up.axis, ...title(y) } }), CONFIG);
  }

  function drawHistory() {
    byId("history-card").hidden = !created || count < 2 || !timesOfRuns().length;
    if (byId("history-card").hidden) return;
    const measure = byId("history-measure").value;
    const one = measure === "runs" ? null : columns[Number(measure)];
    const amount = (row) => (one ? (finite(one.cells[row]) ? numberOf(one.cells[row]) : 0) : 1);
    const total = one ? allRows.reduce((sum, row) => sum + amount(row), 0) : 0;
    const [divisor, unit] = !one ? [1, "runs"] : one.unit === "seconds" ? (total > 7200 ? [3600, "hours of computing"] : [1, "seconds of computing"]) : total > 1e9 ? [1e9, "GB of results"] : [1e6, "MB of results"];
    const split = functionName?.varies && axisOf(functionName) ? axisOf(functionName) : null;
    const groups = split ? split.texts.map((_, rank) => shown.filter((row) => split.places[row] === rank)) : [shown];
    const times = timesOfRuns();
    const first = times.reduce((a, b) => Math.min(a, b), Infinity), last = times.reduce((a, b) => Math.max(a, b), -Infinity);
    const bins = binsOf(first, last);
    const traces = groups.map((rows, rank) => ({
      type: "histogram", x: rows.map(momentOf), y: rows.map((row) => amount(row) / divisor), histfunc: "sum", xbins: bins, autobinx: false,
      name: split ? escapeForPlotly(split.texts[rank]) : "", marker: { color: split ? PALETTE[rank % PALETTE.length] : style("--accent"), opacity: 0.85 },
      hovertemplate: `%{x}<br>%{y:.4~g} ${unit}<extra></extra>`,
    }));
    // Of an empty one plotly complains in the console.
    const drawn = traces.filter((trace) => trace.x.length);
    Plotly.react(byId("history"), drawn, layout({ legend: split, x: { type: "date", range: [bins.start, bins.end] }, y: { title: { text: unit, standoff: 8 }, rangemode: "tozero", ...(one ? {} : stepOfCounts(shown, bins)) } }), CONFIG);
  }

  /** The distance of the ticks of an axis that counts runs; of few runs each, as none is a fraction. */
  function stepOfCounts(rows, bins) {
    const start = Date.parse(bins.start), counts = new Map();
    for (const row of rows) {
      const time = momentOf(row);
      const bin = time === null ? null : Math.floor((Date.parse(time) - start) / bins.size);
      counts.set(bin, (counts.get(bin) ?? 0) + 1);
    }
    return Math.max(0, ...counts.values()) <= 6 ? { dtick: 1 } : {};
  }

  /** Bars of a round length of time, about forty of them. */
  function binsOf(first, last) {
    const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
    const lengths = [1, 10, 100, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 28 * DAY, 91 * DAY, 364 * DAY];
    const length = lengths.find((one) => (last - first) / one <= 45) ?? 728 * DAY;
    const start = Math.floor(first / length) * length;
    const text = localIso;
    return { start: text(start), end: text(Math.ceil((last + 1) / length) * length), size: length };
  }

  /** When a run was recorded, in local time. */
  function momentOf(row) {
    const time = momentIn(textOf(created, row));
    return time === null ? null : localIso(time);
  }

  /** The range of a time axis: of all runs, so that it has one when none is shown. */
  function timeRange() {
    const times = timesOfRuns();
    const first = times.reduce((a, b) => Math.min(a, b)), last = times.reduce((a, b) => Math.max(a, b));
    const pad = Math.max((last - first) * 0.03, 500);
    return [localIso(first - pad), localIso(last + pad)];
  }

  let knownTimes;
  const timesOfRuns = () => (knownTimes ??= created ? allRows.map((row) => momentIn(textOf(created, row))).filter((time) => time !== null) : []);

  let waiting;
  function drawPlots(keepParallel = false) {
    if (!Plotly) return;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      if (!keepParallel) drawParallel();
      drawAgainst();
      drawHistory();
      byId("history-card").classList.toggle("alone", byId("against-card").hidden);
      document.documentElement.dataset.plots = "drawn";
    });
  }

  function fillMenus() {
    const option = (one) => [String(columns.indexOf(one)), label(one)];
    const nothing = ["-1", "nothing"];
    const candidates = [...varying, ...columns.filter((one) => one.group === "metadata" && one.varies), ...(functionName?.varies ? [functionName] : [])];
    const plottable = candidates.filter((one) => isNumeric(one) || axisOf(one));
    const measures = [...(runTime ? [runTime] : []), ...(size?.varies ? [size] : []), ...plottable.filter((one) => one.group === "metadata" && isNumeric(one))];
    const numeric = [...measures, ...varying.filter(isNumeric)];
    const xs = [...plottable, ...(runTime ? [runTime] : []), ...(size?.varies ? [size] : []), ...(timesOfRuns().length ? [created] : [])];
    const named = plottable.filter((one) => !isNumeric(one) && axisOf(one).texts.length <= PALETTE.length);
    const presence = (one) => one.cells.reduce((number, cell) => number + !isMissing(cell), 0);
    const commonest = (all) => all.reduce((best, one) => (best === undefined || presence(one) > presence(best) ? one : best), undefined);
    const firstX = commonest(varying.filter((one) => plottable.includes(one) && isNumeric(one))) ?? plottable[0] ?? (timesOfRuns().length ? created : undefined);
    const firstColour = commonest(named.filter((one) => one !== firstX && one.group !== "metadata"));
    const value = (one) => (one ? String(columns.indexOf(one)) : "-1");
    fillSelect(byId("parallel-colour"), [...numeric.map(option), nothing], value(numeric[0]));
    fillSelect(byId("against-x"), xs.map(option), value(firstX));
    fillSelect(byId("against-y"), numeric.map(option), value(numeric[0]));
    fillSelect(byId("against-colour"), [nothing, ...named.map(option), ...numeric.map(option)], value(firstColour));
    fillSelect(byId("history-measure"), [["runs", "number of runs"], ...(runTime ? [[String(columns.indexOf(runTime)), "computing time"]] : []), ...(size ? [[String(columns.indexOf(size)), "size of results"]] : [])], "runs");
    for (const id of KEPT.slice(2)) byId(id).dataset.first = byId(id).value;
    const draws = (draw) => () => { draw(); rememberState(); };
    byId("parallel-colour").addEventListener("change", draws(drawParallel));
    for (const id of ["against-x", "against-y", "against-colour"]) byId(id).addEventListener("change", draws(drawAgainst));
    byId("history-measure").addEventListener("change", draws(drawHistory));
  }

  async function makePlots() {
    const script = element("script", { src: asAddress(await unpack("plot-js")) });
    await new Promise((resolve, reject) => { script.onload = resolve; script.onerror = reject; document.head.append(script); });
    URL.revokeObjectURL(script.src);
    Plotly = window.Plotly;
    fillMenus();
    readMenus();
    areMenusFilled = true;
    rememberState();
    drawPlots();
    await new Promise(requestAnimationFrame);
    byId("parallel").on?.("plotly_restyle", (change) => { if (Object.keys(change[0]).some((name) => name.includes("constraintrange"))) readPicks(); });
    byId("against").on?.("plotly_click", (event) => openRun(event.points[0].customdata));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { setDark(); drawPlots(); });
  }

  const setDark = () => document.documentElement.classList.toggle("dark", isDark());

  // ---- the state, in the address of the page, to come back to and to hand on -----------------------------------------

  const KEPT = ["filter", "function", "parallel-colour", "against-x", "against-y", "against-colour", "history-measure"];
  let areMenusFilled = false; // before, the address says more than the page

  /** What is shown, as the end of an address: of menus their labels, which outlive columns that come and go. */
  function stateText() {
    const state = new URLSearchParams();
    for (const id of KEPT) {
      const field = byId(id);
      const value = field.tagName === "SELECT" ? field.selectedOptions[0]?.textContent ?? "" : field.value;
      const first = id === "filter" || id === "function" ? field.value === "" : field.dataset.first === field.value;
      if (value && !first) state.set(id, value);
    }
    const text = state.toString();
    return text ? `#${text}` : "";
  }

  function rememberState() {
    if (!areMenusFilled) return;
    const text = stateText();
    if (text !== location.hash) history.replaceState(null, "", text || location.pathname + location.search);
  }

  const asked = () => new URLSearchParams(location.hash.slice(1));

  function readFilter() {
    byId("filter").value = asked().get("filter") ?? "";
    byId("function").value = [...byId("function").options].find((one) => one.textContent === asked().get("function"))?.value ?? "";
  }

  function readMenus() {
    for (const id of KEPT.slice(2)) {
      const option = [...byId(id).options].find((one) => one.textContent === asked().get(id));
      byId(id).value = option ? option.value : byId(id).dataset.first;
    }
  }

  function readState() {
    readFilter();
    readMenus();
    applyFilter();
  }

  function fillFunctions() {
    const names = functionName?.varies ? [...new Set(allRows.map((row) => textOf(functionName, row)))].sort() : [];
    const number = (name) => allRows.filter((row) => textOf(functionName, row) === name).length;
    fillSelect(byId("function"), [["", "all functions"], ...names.map((name) => [`=${name}`, `${name || "plain runs"} (${number(name)})`])], "");
    byId("function").hidden = !names.length;
  }

  // ---- begin ------------------------------------------------------------------------------------------------------

  function listen() {
    let typing;
    byId("filter").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(applyFilter, 150); });
    byId("filter").addEventListener("keydown", (event) => { if (event.key === "Enter") { clearTimeout(typing); applyFilter(); } });
    byId("clear").addEventListener("click", () => { byId("filter").value = ""; byId("function").value = ""; picks = new Map(); applyFilter(); byId("filter").focus(); });
    byId("function").addEventListener("change", applyFilter);
    window.addEventListener("hashchange", () => { if (location.hash !== stateText()) readState(); });
    byId("as-table").addEventListener("click", () => showAs(false));
    byId("as-pictures").addEventListener("click", () => showAs(true));
    byId("more-pictures").addEventListener("click", () => { picturesUpTo += 48; drawPictures(); });
    byId("run-close").addEventListener("click", () => byId("run").close());
    byId("run-before").addEventListener("click", () => step(-1));
    byId("run-after").addEventListener("click", () => step(1));
    byId("run").addEventListener("click", (event) => { if (event.target === byId("run")) byId("run").close(); });
    byId("run").addEventListener("keydown", (event) => { if (event.key === "ArrowLeft") step(-1); else if (event.key === "ArrowRight") step(1); });
  }

  function notice(id, text) {
    byId(id).textContent = text;
    byId(id).hidden = false;
  }

  tellFacts();
  setDark();
  if (!count) {
    notice("empty", "No runs are recorded yet. Once there are some, make this page again.");
  } else if (typeof DecompressionStream === "undefined") {
    notice("too-old", "This browser is too old for the page's table and plots: it needs one from 2023 or later.");
  } else {
    byId("main").hidden = false;
    byId("switch").hidden = !data.results.some((files) => files.some((file) => file.picture));
    byId("hint").replaceChildren(...example());
    document.head.insertBefore(element("style", { textContent: await unpack("table-css") }), document.head.querySelector("style"));
    const address = asAddress(await unpack("table-js"));
    makeTable((await import(address)).default);
    URL.revokeObjectURL(address);
    fillFunctions();
    readFilter();
    listen();
    applyFilter();
    document.documentElement.dataset.table = "drawn";
    await new Promise((resolve) => setTimeout(resolve, 20)); // the table is on the screen before the plots are unpacked
    await makePlots();
  }
})();
