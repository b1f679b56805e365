"use strict";
// Everything that comes from data is set with textContent; the page's policy forbids anything else.
(() => {
  const byId = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const signed = (value) =>
    Number.isNaN(value) ? "not scored" : (value > 0 ? "+" : value < 0 ? "\u2212" : "") + Math.abs(value).toFixed(2);
  const tone = (gain) => (gain > 0 ? "better" : gain < 0 ? "worse" : "open");

  // ---- The state of the page is its fragment: what is not there is the default. ----

  const DEFAULTS = {
    set: "0", example: "", method: "", metric: "", show: "all", warmup: "any", order: "stored", q: "",
  };
  let state = { ...DEFAULTS };
  let sorts = new Map(); // table id -> [column, "asc" or "desc"]

  const isState = (fragment) => fragment === "" || fragment.includes("=");

  function fragmentOf(changes) {
    const wanted = { ...state, ...changes };
    const parameters = new URLSearchParams();
    for (const [key, value] of Object.entries(wanted)) {
      if (value !== DEFAULTS[key]) parameters.append(key, value);
    }
    for (const [table, [column, direction]] of sorts) parameters.append("sort", `${table}.${column}.${direction}`);
    return parameters.toString();
  }

  function remember(changes) {
    state = { ...state, ...changes };
    const fragment = fragmentOf({});
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  }

  function recall() {
    const parameters = new URLSearchParams(location.hash.slice(1));
    state = { ...DEFAULTS };
    for (const key of Object.keys(DEFAULTS)) if (parameters.has(key)) state[key] = parameters.get(key);
    sorts = new Map();
    for (const sort of parameters.getAll("sort")) {
      const [table, column, direction] = sort.split(".");
      if (byId(table)?.matches("table.sortable") && (direction === "asc" || direction === "desc")) {
        sorts.set(table, [Number(column), direction]);
      }
    }
  }

  // ---- Tables that sort: rows move within their group, cells without a number go last. ----

  function sortTable(table) {
    const [column, direction] = sorts.get(table.id) ?? [-1, "asc"];
    table.querySelectorAll("thead th").forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", direction === "asc" ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    });
    const turn = direction === "asc" ? 1 : -1;
    const keyOf = (row) => row.querySelectorAll(":scope > .cell")[column]?.dataset.value ?? "";
    for (const body of table.tBodies) {
      const rows = [...body.querySelectorAll("tr.row")];
      rows.sort((a, b) => {
        const unsorted = Number(a.dataset.place) - Number(b.dataset.place);
        if (column < 0) return unsorted;
        const [x, y] = [keyOf(a), keyOf(b)];
        if (x === "" || y === "") return (x === "") - (y === "") || unsorted;
        const order = Number.isNaN(Number(x)) ? x.localeCompare(y) : Number(x) - Number(y);
        return turn * order || unsorted;
      });
      body.append(...rows);
    }
  }

  document.querySelectorAll("table.sortable").forEach((table) => {
    table.querySelectorAll("thead th").forEach((head, column) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const first = head.dataset.first; // the order that a reader wants first
        const [known, direction] = sorts.get(table.id) ?? [-1, ""];
        const other = first === "asc" ? "desc" : "asc";
        if (known !== column) sorts.set(table.id, [column, first]);
        else if (direction === first) sorts.set(table.id, [column, other]);
        else sorts.delete(table.id); // the third time: as it was
        sortTable(table);
        remember({});
      });
    });
  });

  // ---- The example browser ----

  const browser = byId("browser");
  const ROW = 64; // height of a row in CSS pixels, as in the style sheet
  const SPARE = 6; // rows drawn above and below what is seen
  const parsed = new Map(); // set number -> its data, read when it is first shown
  let found = []; // indices of the examples that pass the filters, in their order
  let active = -1; // place of the selected example among them
  let list, spacer, detail;

  function dataOf(number) {
    if (!parsed.has(number)) {
      const data = JSON.parse(byId(`examples-${number}`).textContent);
      data.place = new Map(data.ids.map((id, i) => [id, i]));
      parsed.set(number, data);
    }
    return parsed.get(number);
  }

  // The set, method and metric that the state names, or the first ones where it names none that is there.
  function chosen() {
    const number = byId(`examples-${state.set}`) ? state.set : "0";
    const data = dataOf(number);
    const others = data.methods.filter((m) => m.name !== data.baseline);
    const choices = others.length ? others : data.methods;
    const method = choices.find((m) => m.name === state.method) ?? choices[0];
    const metric = data.metrics.find((m) => m.key === state.metric)
      ?? data.metrics.find((m) => m.key === data.start);
    return { number, data, choices, method, metric, differences: method.differences[metric.key] ?? null };
  }

  const scoreOf = (run, metric, i) => run.scores[metric.key]?.[i]?.toFixed(2) ?? "not scored";

  const textOf = (pieces) => (pieces === null ? "" : pieces.join(""));

  // What the search looks through: everything that is shown of an example, in lower case.
  function haystack(data, i) {
    data.haystacks ??= new Array(data.ids.length);
    data.haystacks[i] ??= [
      data.ids[i], data.sources[i], ...data.references[i],
      ...data.methods.flatMap((m) => m.runs.flatMap((run) => [run.outputs[i], textOf(run.warmups[i])])),
    ].join("\n").toLowerCase();
    return data.haystacks[i];
  }

  // A metric may have no score of a single example: NaN, which is neither gained, lost nor equal.
  const difference = ({ differences }, i) => differences?.[i] ?? NaN;
  const gain = (view, i) => difference(view, i) * (view.metric.higher_is_better ? 1 : -1);

  function select() {
    const view = chosen();
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = {
      all: () => true,
      gained: (i) => gain(view, i) > 0,
      lost: (i) => gain(view, i) < 0,
      equal: (i) => gain(view, i) === 0,
    }[state.show] ?? (() => true);
    const forced = (i) => view.method.runs.some((run) => run.warmups[i] !== null && run.forced[i]);
    const ended = (i) => view.method.runs.some((run) => run.warmups[i] !== null && !run.forced[i]);
    const warmup = { forced, ended }[state.warmup] ?? (() => true);
    found = [];
    for (let i = 0; i < view.data.ids.length; i += 1) {
      if (shown(i) && warmup(i) && words.every((word) => haystack(view.data, i).includes(word))) found.push(i);
    }
    const key = { gain: (g) => -g, loss: (g) => g, size: (g) => -Math.abs(g) }[state.order];
    if (key && view.differences !== null) {
      const keys = new Map(found.map((i) => [i, key(gain(view, i))]));
      const of = (i) => (Number.isNaN(keys.get(i)) ? Infinity : keys.get(i)); // what has none goes last
      found.sort((a, b) => of(a) - of(b) || a - b);
    }
    active = state.example === "" ? Math.min(0, found.length - 1) : found.indexOf(view.data.place.get(state.example));
    return view;
  }

  function option(view, position) {
    const i = found[position];
    const row = make("div", "option");
    row.id = `option-${position}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-setsize", String(found.length));
    row.setAttribute("aria-posinset", String(position + 1));
    row.setAttribute("aria-selected", String(position === active));
    row.style.top = `${position * ROW}px`;
    const text = make("span", "snippet", view.data.sources[i].slice(0, 300));
    text.dir = "auto";
    const about = make("span", "about", view.data.ids[i]);
    row.append(text, about, delta(view, i));
    row.addEventListener("click", () => choose(position));
    return row;
  }

  // A signed number and a bar that starts in the middle: sign, side and colour all say the same.
  function delta(view, i) {
    const box = make("span", "delta");
    if (view.differences === null) {
      box.append(make("span", "number", scoreOf(view.method.runs[0], view.metric, i)));
      return box;
    }
    const value = gain(view, i);
    box.append(make("span", `number ${tone(value)}`, signed(difference(view, i))));
    if (Number.isNaN(value)) return box;
    const meter = make("span", "meter");
    meter.setAttribute("aria-hidden", "true");
    const bar = make("span", value >= 0 ? "bar better" : "bar worse");
    bar.style.width = `${Math.min(50, (50 * Math.abs(value)) / widest(view))}%`;
    meter.append(bar);
    box.append(meter);
    return box;
  }

  const widths = new WeakMap(); // differences -> the largest of them

  function widest({ differences }) {
    if (!widths.has(differences)) {
      widths.set(differences, differences.reduce((most, d) => Math.max(most, Math.abs(d)), 0) || 1);
    }
    return widths.get(differences);
  }

  function draw(view) {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - SPARE);
    const last = Math.min(found.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + SPARE);
    const rows = [];
    for (let position = first; position < last; position += 1) rows.push(option(view, position));
    spacer.replaceChildren(...rows);
    if (active >= first && active < last) list.setAttribute("aria-activedescendant", `option-${active}`);
    else list.removeAttribute("aria-activedescendant");
  }

  // Make room for every row, so that the list can scroll to the selected one.
  function reveal() {
    spacer.style.height = `${found.length * ROW}px`;
    const top = active * ROW;
    const [first, last] = [list.scrollTop, list.scrollTop + list.clientHeight - ROW];
    if (active < 0) list.scrollTop = 0;
    else if (top < first - ROW || top > last + ROW) list.scrollTop = top - (last - first) / 2; // far: centred
    else list.scrollTop = Math.min(Math.max(first, top - (last - first)), top);
  }

  function choose(position) {
    if (position < 0 || position >= found.length) return;
    const view = chosen();
    active = position;
    remember({ example: view.data.ids[found[position]] });
    reveal();
    draw(view);
    show(view);
  }

  // ---- One example ----

  function passage(className, text, language) {
    const node = make("p", `text ${className}`, text === "" ? "(empty)" : text);
    if (text === "") node.classList.add("none");
    node.dir = "auto";
    if (language) node.lang = language;
    return node;
  }

  function warmupLine(pieces, forced, language) {
    const line = make("p", "text warmup");
    line.dir = "auto";
    if (language) line.lang = language;
    line.append(make("span", "tag", "warmup"), " ");
    pieces.forEach((piece, k) => {
      if (piece) line.append(k % 2 ? make("mark", "", piece) : piece);
    });
    if (textOf(pieces) === "") line.append(make("span", "none", "(empty)"));
    if (forced) line.append(" ", make("span", "badge", "cut at its longest"));
    return line;
  }

  function runOf(view, method, run, i) {
    const { data, metric } = view;
    const box = make("div", "run");
    const head = make("p", "runhead");
    head.append(make("span", "", `seed ${run.seed}`),
      make("span", "number", `${metric.name} ${scoreOf(run, metric, i)}`));
    const base = data.methods.find((m) => m.name === data.baseline)?.runs.find((r) => r.seed === run.seed);
    const change = (run.scores[metric.key]?.[i] ?? NaN) - (base?.scores[metric.key]?.[i] ?? NaN);
    if (method.name !== data.baseline && !Number.isNaN(change)) {
      head.append(make("span", `number ${tone(change * (metric.higher_is_better ? 1 : -1))}`, signed(change)));
    }
    box.append(head);
    if (run.warmups[i] !== null) box.append(warmupLine(run.warmups[i], run.forced[i], data.language));
    const output = passage("output", run.outputs[i], data.language);
    if (!run.finished[i]) output.append(" ", make("span", "badge", "not ended"));
    box.append(output);
    return box;
  }

  function show(view) {
    const i = found[active];
    if (i === undefined) {
      detail.replaceChildren(make("p", "hint",
        state.example ? `${state.example} is not among them.` : "No example passes these filters."));
      return;
    }
    const { data, metric } = view;
    const head = make("header", "examplehead");
    const link = make("a", "permalink", "link to this example");
    link.href = `#${fragmentOf({ example: data.ids[i] })}`;
    head.append(make("h3", "", data.ids[i]), link);
    const parts = [head];
    if (view.differences !== null) {
      const change = `${view.method.name} against ${data.baseline}: ${signed(difference(view, i))} ${metric.name}`;
      parts.push(make("p", `change ${tone(gain(view, i))}`, change));
    }
    parts.push(make("h4", "", "Source"), passage("source", data.sources[i]));
    parts.push(make("h4", "", data.references[i].length > 1 ? "References" : "Reference"));
    for (const gold of data.references[i]) parts.push(passage("reference", gold, data.language));
    const order = (m) => (m.name === data.baseline ? 0 : m === view.method ? 1 : 2);
    const methods = [...data.methods].sort((a, b) => order(a) - order(b));
    const cards = make("div", "cards");
    for (const method of methods) {
      const card = make("section", "card");
      card.append(make("h4", "", method.name), ...method.runs.map((run) => runOf(view, method, run, i)));
      cards.append(card);
    }
    detail.replaceChildren(...parts, cards);
    detail.scrollTop = 0;
    const source = detail.querySelector(".source");
    if (source.scrollHeight > source.clientHeight) source.tabIndex = 0; // the keyboard scrolls it too
  }

  // ---- Controls ----

  function fill(name, choices, value) {
    const control = browser.querySelector(`[name=${name}]`);
    control.replaceChildren(...choices.map(([key, label]) => {
      const node = make("option", "", label);
      node.value = key;
      return node;
    }));
    control.value = value;
  }

  function update() {
    const view = select();
    fill("method", view.choices.map((m) => [m.name, m.name]), view.method.name);
    fill("metric", view.data.metrics.map((m) => [m.key, m.name]), view.metric.key);
    for (const name of ["set", "show", "warmup", "order", "q"]) {
      const control = browser.querySelector(`[name=${name}]`);
      if (name === "set") control.value = view.number;
      else if (control.value !== state[name]) control.value = state[name];
    }
    const compared = view.differences !== null;
    for (const name of ["show", "order"]) browser.querySelector(`[name=${name}]`).disabled = !compared;
    const has = view.method.runs.some((run) => run.warmups.some((pieces) => pieces !== null));
    browser.querySelector("[name=warmup]").disabled = !has;
    byId("count").textContent =
      `${found.length.toLocaleString("en")} of ${view.data.ids.length.toLocaleString("en")} examples`;
    reveal();
    draw(view);
    show(view);
  }

  const KEYS = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity };

  if (browser) {
    list = byId("list");
    spacer = byId("spacer");
    detail = byId("example");
    const edited = ({ target: { name, value } }) => {
      // Another test set has other examples; its methods and metrics may have the same names.
      remember(name === "set" ? { set: value, example: "" } : { [name]: value });
      update();
    };
    browser.querySelector("input").addEventListener("input", edited);
    browser.querySelectorAll("select").forEach((control) => control.addEventListener("change", edited));
    browser.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
    byId("reset").addEventListener("click", () => {
      remember({ ...DEFAULTS, set: state.set });
      update();
    });
    list.addEventListener("scroll", () => {
      const view = chosen();
        draw(view);
    });
    list.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      choose(Math.min(found.length - 1, Math.max(0, active + step)));
    });
    new ResizeObserver(() => draw(chosen())).observe(list);
  }

  function open() {
    const named = isState(location.hash.slice(1)); // else it is the anchor of a section
    if (named) recall();
    document.querySelectorAll("table.sortable").forEach(sortTable);
    if (!browser) return;
    update();
    if (named && state.example) byId("examples").scrollIntoView({ behavior: "instant" });
  }

  open();
  window.addEventListener("hashchange", open);
})();
