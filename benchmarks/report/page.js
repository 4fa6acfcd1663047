"use strict";
// The front, the table's order, and the confusion matrices. All data is in the page itself.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, words = "") => {
  const svg = ["g", "line", "path", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = words;
  return node;
};
const percent = (value, digits = 2) => `${(100 * value).toFixed(digits)} %`;
const micro = (value) => `${value < 1000 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} µs`;

const WIDTH = 1040, HEIGHT = 470, LEFT = 56, RIGHT = 36, TOP = 20, BOTTOM = 46;
const MARKS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (r) => `M0,${-1.2 * r}L${1.2 * r},0L0,${1.2 * r}L${-1.2 * r},0z`,
  (r) => `M0,${-1.2 * r}L${1.1 * r},${0.8 * r}H${-1.1 * r}z`,
  (r) => `M0,${1.2 * r}L${1.1 * r},${-0.8 * r}H${-1.1 * r}z`,
  (r) => `M${-r},${-0.35 * r}h${0.65 * r}v${-0.65 * r}h${0.7 * r}v${0.65 * r}h${0.65 * r}v${0.7 * r}h${-0.65 * r}v${0.65 * r}h${-0.7 * r}v${-0.65 * r}h${-0.65 * r}z`,
];
const chosen = { scale: "log", cell: data.cells[0], engine: new Set(data.engines), model: new Set(data.models), device: new Set(data.devices) };

function shown() {
  return data.points.filter((p) => p.accuracy !== null && p.cell === chosen.cell && ["engine", "model", "device"].every((by) => chosen[by].has(p[by])));
}

function ticks(low, high, log) {
  if (!log) {
    const rough = (high - low) / 7, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((d) => d * power).find((s) => s >= rough);
    return Array.from({ length: 40 }, (_, i) => (Math.ceil(low / step) + i) * step).filter((t) => t <= high);
  }
  const found = [];
  const digits = high / low < 12 ? [1, 1.5, 2, 3, 4, 5, 6, 8] : high / low < 200 ? [1, 2, 5] : [1];
  for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++)
    for (const d of digits) if (d * 10 ** p >= low && d * 10 ** p <= high) found.push(d * 10 ** p);
  return found;
}

function pareto(points) {
  const kept = [];
  for (const p of [...points].sort((a, b) => a.median - b.median || b.accuracy - a.accuracy))
    if (!kept.length || p.accuracy > kept[kept.length - 1].accuracy) kept.push(p);
  return kept;
}

function draw() {
  const chart = $("front"), points = shown(), log = chosen.scale === "log";
  chart.replaceChildren();
  $("nothing").hidden = points.length > 0;
  hide();
  if (!points.length) return;
  const latencies = points.flatMap((p) => [p.low, p.high]), worth = points.flatMap((p) => [p.worst, p.best]);
  let x0 = Math.min(...latencies), x1 = Math.max(...latencies), y0 = Math.min(...worth), y1 = Math.max(...worth);
  if (log) { const room = Math.max(1.12, (x1 / x0) ** 0.08); x0 /= room; x1 *= room * 1.12; } else { x1 += 0.14 * x1; x0 = 0; }
  const air = Math.max(0.004, 0.12 * (y1 - y0));
  y0 = Math.max(0, y0 - air); y1 = Math.min(1, y1 + air);
  const along = log ? (v) => Math.log(v / x0) / Math.log(x1 / x0) : (v) => (v - x0) / (x1 - x0);
  const x = (v) => LEFT + (WIDTH - LEFT - RIGHT) * along(v);
  const y = (v) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (v - y0)) / (y1 - y0);
  const line = (a, b, c, d, kind) => chart.append(make("line", { x1: a, y1: b, x2: c, y2: d, class: kind }));
  for (const t of ticks(x0, x1, log)) {
    line(x(t), TOP, x(t), HEIGHT - BOTTOM, "grid");
    chart.append(make("text", { x: x(t), y: HEIGHT - BOTTOM + 19, "text-anchor": "middle" }, Number(t.toPrecision(4)).toLocaleString("en")));
  }
  for (const t of ticks(100 * y0, 100 * y1, false)) {
    line(LEFT, y(t / 100), WIDTH - RIGHT, y(t / 100), "grid");
    chart.append(make("text", { x: LEFT - 9, y: y(t / 100) + 4, "text-anchor": "end" }, `${Number(t.toPrecision(4))} %`));
  }
  chart.append(make("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `median latency of a call, microseconds (${chosen.scale})`));
  // A front for each device: what is quick on the one does not beat anything on the other.
  const fronts = data.devices.map((device) => pareto(points.filter((p) => p.device === device))).filter((front) => front.length);
  for (const front of fronts) {
    let path = `M${x(front[0].median)},${HEIGHT - BOTTOM}`;
    front.forEach((p, i) => { path += `V${y(p.accuracy)}H${i + 1 < front.length ? x(front[i + 1].median) : WIDTH - RIGHT}`; });
    chart.append(make("path", { d: path, class: "front" }));
  }
  const best = fronts.flat();
  const order = [...points].sort((a, b) => best.includes(a) - best.includes(b));
  for (const p of order) {
    const one = make("g", { class: `point s${p.colour}`, tabindex: 0, role: "img", "data-key": p.key, "aria-label": `${p.key}: ${micro(p.median)}, ${percent(p.accuracy)}` });
    const add = (tag, attributes, words) => one.append(make(tag, attributes, words));
    add("line", { x1: x(p.median), x2: x(p.median), y1: y(p.worst), y2: y(p.best), class: "error" });
    add("line", { x1: x(p.low), x2: x(p.high), y1: y(p.accuracy), y2: y(p.accuracy), class: "error" });
    const mark = make("path", { d: MARKS[data.models.indexOf(p.model) % MARKS.length](7), transform: `translate(${x(p.median)},${y(p.accuracy)})`, class: "mark" });
    if (data.devices.indexOf(p.device) % 2) mark.setAttribute("style", "fill: var(--card); stroke: currentColor; stroke-width: 2.5");
    one.append(mark);
    for (const [event, does] of [["pointerenter", () => show(p, x(p.median), y(p.accuracy))], ["focus", () => show(p, x(p.median), y(p.accuracy))], ["pointerleave", hide], ["blur", hide]]) one.addEventListener(event, does);
    chart.append(one);
  }
  label(chart, best, points, x, y);
}

// Names for the front alone, moved apart where they would touch: the others tell theirs when asked.
function label(chart, best, points, x, y) {
  const taken = points.map((p) => ({ left: x(p.median) - 9, right: x(p.median) + 9, top: y(p.accuracy) - 9, bottom: y(p.accuracy) + 9 }));
  for (const p of best) {
    const node = make("text", { class: "name" }, `${data.models.length > 1 ? p.model + "/" : ""}${p.recipe} · ${p.engine}`);
    chart.append(node);
    const wide = node.getComputedTextLength(), px = x(p.median), py = y(p.accuracy);
    const places = [[12, -11], [12, 21], [-wide - 12, -11], [-wide - 12, 21], [12, -28], [12, 38], [-wide / 2, -32]];
    const clear = ([dx, dy]) => {
      const box = { left: px + dx, right: px + dx + wide, top: py + dy - 12, bottom: py + dy + 3 };
      const inside = box.left > LEFT && box.right < WIDTH && box.top > 0 && box.bottom < HEIGHT - BOTTOM;
      return inside && taken.every((o) => box.right < o.left || box.left > o.right || box.bottom < o.top || box.top > o.bottom) && box;
    };
    const place = places.find(clear);
    if (!place) { node.remove(); continue; }
    taken.push(clear(place));
    node.setAttribute("x", px + place[0]);
    node.setAttribute("y", py + place[1]);
  }
}

function show(p, x, y) {
  const tip = $("tip"), ratio = $("front").getBoundingClientRect().width / WIDTH;
  tip.replaceChildren(make("b", {}, `${p.model}/${p.recipe}`));
  const facts = [["engine", p.engine], ["latency", `${micro(p.median)}  [${p.low.toFixed(1)}, ${p.high.toFixed(1)}]`]];
  if (p.p99 !== null) facts.push(["p99", micro(p.p99)]);
  facts.push(["accuracy", `${percent(p.accuracy)}  [${percent(p.worst, 1)}, ${percent(p.best, 1)}]`], ["size", `${p.kb.toLocaleString("en")} KB`]);
  if (data.devices.length > 1) facts.push(["device", p.device]);
  const table = tip.appendChild(make("table"));
  for (const [name, value] of facts) { const row = table.insertRow(); row.insertCell().textContent = name; row.insertCell().textContent = value; }
  tip.hidden = false;
  const room = $("front").getBoundingClientRect().width - tip.offsetWidth;
  tip.style.left = `${Math.max(0, x * ratio + 16 > room ? x * ratio - tip.offsetWidth - 16 : x * ratio + 16)}px`;
  tip.style.top = `${Math.max(0, y * ratio - tip.offsetHeight / 2)}px`;
  mark(p.key, true);
}
function hide() { $("tip").hidden = true; document.querySelectorAll(".on").forEach((node) => node.classList.remove("on")); }
function mark(key, on) { document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`).forEach((node) => node.classList.toggle("on", on)); }

function toggles(by) {
  const group = $(`by-${by}`), all = data[`${by}s`];
  if (all.length < 2) return group.remove();
  for (const name of all) {
    const button = make("button", { type: "button", "aria-pressed": "true" }, "");
    if (by === "engine") button.append(make("i", { class: `s${data.colours[name]}` }));
    button.append(name);
    button.addEventListener("click", () => {
      const set = chosen[by];
      set.has(name) ? set.delete(name) : set.add(name);
      button.setAttribute("aria-pressed", set.has(name));
      draw();
    });
    group.append(button);
  }
}

function controls() {
  for (const by of ["engine", "model", "device"]) toggles(by);
  for (const button of document.querySelectorAll("[data-scale]"))
    button.addEventListener("click", () => {
      chosen.scale = button.dataset.scale;
      document.querySelectorAll("[data-scale]").forEach((b) => b.setAttribute("aria-pressed", b === button));
      draw();
    });
  if (data.cells.length < 2) return $("by-cell").remove();
  const select = $("by-cell").appendChild(make("select", { "aria-label": "threads and batch" }));
  for (const cell of data.cells) select.append(make("option", {}, cell));
  select.addEventListener("change", () => { chosen.cell = select.value; draw(); });
}

function sortable(table) {
  table.querySelectorAll("th[data-sort]").forEach((head) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending", column = head.cellIndex;
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const numeric = head.dataset.sort === "number";
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * (numeric ? value(a) - value(b) : value(a).localeCompare(value(b)))));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
  table.querySelectorAll("tbody tr[data-key]").forEach((row) => {
    row.addEventListener("pointerenter", () => mark(row.dataset.key, true));
    row.addEventListener("pointerleave", hide);
  });
}

function confusions() {
  const select = $("confusion-of");
  if (!select) return;
  const fill = () => {
    const { labels, counts } = data.confusions[Number(select.value)], table = $("confusion");
    table.replaceChildren();
    const head = table.createTHead().insertRow(), body = table.createTBody();
    head.append(make("th", {}, "true class"), ...labels.map((label) => make("th", { scope: "col" }, label)));
    const wrong = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    counts.forEach((row, i) => {
      const line = body.insertRow(), all = Math.max(1, row.reduce((a, b) => a + b, 0));
      line.append(make("th", { scope: "row" }, labels[i]));
      row.forEach((count, j) => {
        const cell = line.insertCell(), strength = i === j ? count / all : (0.75 * count) / wrong;
        cell.textContent = count || "·";
        cell.title = `${count} of ${all} ${labels[i]} were called ${labels[j]}`;
        cell.style.background = i === j ? `color-mix(in srgb, var(--good) ${Math.round(45 * strength)}%, transparent)` : `color-mix(in srgb, var(--bad) ${Math.round(70 * strength)}%, transparent)`;
      });
    });
  };
  select.addEventListener("change", fill);
  fill();
}

for (const image of document.querySelectorAll("img[data-image]")) image.src = data.images[image.dataset.image];
controls();
document.querySelectorAll("table.sortable").forEach(sortable);
confusions();
draw();
