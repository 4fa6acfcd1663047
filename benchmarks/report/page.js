"use strict";
// The chart and its filters, sortable tables, confusion matrices. `PageData` (html_page.py) is the data.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const make = (tag, attributes = {}, text = "") => {
  const svg = ["g", "line", "path", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
};
const percent = (value, digits = 2) => `${(100 * value).toFixed(digits)} %`;
const microseconds = (value) => `${value < 1000 ? value.toFixed(1) : Math.round(value).toLocaleString("en")} µs`;

const WIDTH = 1040, HEIGHT = 470, LEFT = 56, RIGHT = 36, TOP = 20, BOTTOM = 46;
const MARKERS = [
  (r) => `M${-r},0a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  (r) => `M${-r * 0.9},${-r * 0.9}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  (r) => `M0,${-1.2 * r}L${1.2 * r},0L0,${1.2 * r}L${-1.2 * r},0z`,
  (r) => `M0,${-1.2 * r}L${1.1 * r},${0.8 * r}H${-1.1 * r}z`,
  (r) => `M0,${1.2 * r}L${1.1 * r},${-0.8 * r}H${-1.1 * r}z`,
  (r) => `M${-r},${-0.35 * r}h${0.65 * r}v${-0.65 * r}h${0.7 * r}v${0.65 * r}h${0.65 * r}v${0.7 * r}h${-0.65 * r}v${0.65 * r}h${-0.7 * r}v${-0.65 * r}h${-0.65 * r}z`,
];
const filters = { configuration: data.configurations[0], engine: new Set(data.engines), model: new Set(data.models), device: new Set(data.devices) };
let logScale = true;

function visiblePoints() {
  return data.points.filter((p) => p.accuracy !== null && p.configuration === filters.configuration && ["engine", "model", "device"].every((name) => filters[name].has(p[name])));
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

function paretoFront(points) {
  const front = [];
  for (const p of [...points].sort((a, b) => a.latency_us - b.latency_us || b.accuracy - a.accuracy))
    if (!front.length || p.accuracy > front[front.length - 1].accuracy) front.push(p);
  return front;
}

function draw() {
  const chart = $("chart"), points = visiblePoints();
  chart.replaceChildren();
  $("no-points").hidden = points.length > 0;
  hideTooltip();
  if (!points.length) return;
  const latencies = points.flatMap((p) => [p.latency_low, p.latency_high]), accuracies = points.flatMap((p) => [p.accuracy_low, p.accuracy_high]);
  let x0 = Math.min(...latencies), x1 = Math.max(...latencies), y0 = Math.min(...accuracies), y1 = Math.max(...accuracies);
  if (logScale) { const margin = Math.max(1.12, (x1 / x0) ** 0.08); x0 /= margin; x1 *= margin * 1.12; } else { x1 += 0.14 * x1; x0 = 0; }
  const margin = Math.max(0.004, 0.12 * (y1 - y0));
  y0 = Math.max(0, y0 - margin); y1 = Math.min(1, y1 + margin);
  const fraction = logScale ? (v) => Math.log(v / x0) / Math.log(x1 / x0) : (v) => (v - x0) / (x1 - x0);
  const x = (v) => LEFT + (WIDTH - LEFT - RIGHT) * fraction(v);
  const y = (v) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (v - y0)) / (y1 - y0);
  const gridLine = (x1, y1, x2, y2) => chart.append(make("line", { x1, y1, x2, y2, class: "grid" }));
  for (const t of ticks(x0, x1, logScale)) {
    gridLine(x(t), TOP, x(t), HEIGHT - BOTTOM);
    chart.append(make("text", { x: x(t), y: HEIGHT - BOTTOM + 19, "text-anchor": "middle" }, Number(t.toPrecision(4)).toLocaleString("en")));
  }
  for (const t of ticks(100 * y0, 100 * y1, false)) {
    gridLine(LEFT, y(t / 100), WIDTH - RIGHT, y(t / 100));
    chart.append(make("text", { x: LEFT - 9, y: y(t / 100) + 4, "text-anchor": "end" }, `${Number(t.toPrecision(4))} %`));
  }
  chart.append(make("text", { x: WIDTH - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, `median latency, microseconds (${logScale ? "log" : "linear"} scale)`));
  // A front for each device: what is fast on the one dominates nothing on the other.
  const fronts = data.devices.map((device) => paretoFront(points.filter((p) => p.device === device))).filter((front) => front.length);
  for (const front of fronts) {
    let path = `M${x(front[0].latency_us)},${HEIGHT - BOTTOM}`;
    front.forEach((p, i) => { path += `V${y(p.accuracy)}H${i + 1 < front.length ? x(front[i + 1].latency_us) : WIDTH - RIGHT}`; });
    chart.append(make("path", { d: path, class: "pareto" }));
  }
  const onFront = fronts.flat();
  const order = [...points].sort((a, b) => onFront.includes(a) - onFront.includes(b));
  for (const p of order) {
    const point = make("g", { class: `point s${p.colour}`, tabindex: 0, role: "img", "data-variant": p.variant, "aria-label": `${p.variant}: ${microseconds(p.latency_us)}, ${percent(p.accuracy)}` });
    const errorBar = (x1, y1, x2, y2) => point.append(make("line", { x1, y1, x2, y2, class: "error" }));
    errorBar(x(p.latency_us), y(p.accuracy_low), x(p.latency_us), y(p.accuracy_high));
    errorBar(x(p.latency_low), y(p.accuracy), x(p.latency_high), y(p.accuracy));
    const marker = make("path", { d: MARKERS[data.models.indexOf(p.model) % MARKERS.length](7), transform: `translate(${x(p.latency_us)},${y(p.accuracy)})`, class: "marker" });
    if (data.devices.indexOf(p.device) % 2) marker.setAttribute("style", "fill: var(--card); stroke: currentColor; stroke-width: 2.5");
    point.append(marker);
    const show = () => showTooltip(p, x(p.latency_us), y(p.accuracy));
    for (const event of ["pointerenter", "focus"]) point.addEventListener(event, show);
    for (const event of ["pointerleave", "blur"]) point.addEventListener(event, hideTooltip);
    chart.append(point);
  }
  labelPoints(chart, onFront, points, x, y);
}

// Labels for the Pareto front alone, moved apart where they would touch: the others have a tooltip.
function labelPoints(chart, onFront, points, x, y) {
  const taken = points.map((p) => ({ left: x(p.latency_us) - 9, right: x(p.latency_us) + 9, top: y(p.accuracy) - 9, bottom: y(p.accuracy) + 9 }));
  for (const p of onFront) {
    const node = make("text", { class: "name" }, `${data.models.length > 1 ? p.model + "/" : ""}${p.recipe} · ${p.engine}`);
    chart.append(node);
    const width = node.getComputedTextLength(), px = x(p.latency_us), py = y(p.accuracy);
    const places = [[12, -11], [12, 21], [-width - 12, -11], [-width - 12, 21], [12, -28], [12, 38], [-width / 2, -32]];
    const clear = ([dx, dy]) => {
      const box = { left: px + dx, right: px + dx + width, top: py + dy - 12, bottom: py + dy + 3 };
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

function showTooltip(p, x, y) {
  const tooltip = $("tooltip"), ratio = $("chart").getBoundingClientRect().width / WIDTH;
  tooltip.replaceChildren(make("b", {}, `${p.model}/${p.recipe}`));
  const rows = [["engine", p.engine], ["latency", `${microseconds(p.latency_us)}  [${p.latency_low.toFixed(1)}, ${p.latency_high.toFixed(1)}]`]];
  if (p.p99_us !== null) rows.push(["p99", microseconds(p.p99_us)]);
  rows.push(["accuracy", `${percent(p.accuracy)}  [${percent(p.accuracy_low, 1)}, ${percent(p.accuracy_high, 1)}]`], ["size", `${p.kb.toLocaleString("en")} KB`]);
  if (data.devices.length > 1) rows.push(["device", p.device]);
  const table = tooltip.appendChild(make("table"));
  for (const [name, value] of rows) { const row = table.insertRow(); row.insertCell().textContent = name; row.insertCell().textContent = value; }
  tooltip.hidden = false;
  const room = $("chart").getBoundingClientRect().width - tooltip.offsetWidth;
  tooltip.style.left = `${Math.max(0, x * ratio + 16 > room ? x * ratio - tooltip.offsetWidth - 16 : x * ratio + 16)}px`;
  tooltip.style.top = `${Math.max(0, y * ratio - tooltip.offsetHeight / 2)}px`;
  highlight(p.variant);
}
function hideTooltip() { $("tooltip").hidden = true; document.querySelectorAll(".highlighted").forEach((node) => node.classList.remove("highlighted")); }
// Its point and its row.
function highlight(variant) { document.querySelectorAll(`[data-variant="${CSS.escape(variant)}"]`).forEach((node) => node.classList.add("highlighted")); }

function addToggles(filter) {
  const group = $(`filter-${filter}`), all = data[`${filter}s`];
  if (all.length < 2) return group.remove();
  for (const name of all) {
    const button = make("button", { type: "button", "aria-pressed": "true" }, "");
    if (filter === "engine") button.append(make("i", { class: `s${data.colours[name]}` }));
    button.append(name);
    button.addEventListener("click", () => {
      const set = filters[filter];
      set.has(name) ? set.delete(name) : set.add(name);
      button.setAttribute("aria-pressed", set.has(name));
      draw();
    });
    group.append(button);
  }
}

function addControls() {
  for (const filter of ["engine", "model", "device"]) addToggles(filter);
  for (const button of document.querySelectorAll("[data-scale]"))
    button.addEventListener("click", () => {
      logScale = button.dataset.scale === "log";
      document.querySelectorAll("[data-scale]").forEach((b) => b.setAttribute("aria-pressed", b === button));
      draw();
    });
  if (data.configurations.length < 2) return $("filter-configuration").remove();
  const select = $("filter-configuration").appendChild(make("select", { "aria-label": "threads and batch" }));
  for (const configuration of data.configurations) select.append(make("option", {}, configuration));
  select.addEventListener("change", () => { filters.configuration = select.value; draw(); });
}

function makeSortable(table) {
  table.querySelectorAll("th[data-sort]").forEach((head) => {
    head.tabIndex = 0;
    const sort = () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending", column = head.cellIndex;
      table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const numeric = head.dataset.sort === "number";
      const body = table.tBodies[0];
      body.append(...[...body.rows].sort((a, b) => (ascending ? 1 : -1) * (numeric ? value(a) - value(b) : value(a).localeCompare(value(b)))));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
  table.querySelectorAll("tbody tr[data-variant]").forEach((row) => {
    row.addEventListener("pointerenter", () => highlight(row.dataset.variant));
    row.addEventListener("pointerleave", hideTooltip);
  });
}

function showConfusionMatrix() {
  const select = $("confusion-variant");
  if (!select) return;
  const fill = () => {
    const { labels, counts } = data.confusion_matrices[Number(select.value)], table = $("confusion-matrix");
    table.replaceChildren();
    const head = table.createTHead().insertRow(), body = table.createTBody();
    head.append(make("th", {}, "true class"), ...labels.map((label) => make("th", { scope: "col" }, label)));
    const mostConfused = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)));
    counts.forEach((row, i) => {
      const line = body.insertRow(), total = Math.max(1, row.reduce((a, b) => a + b, 0));
      line.append(make("th", { scope: "row" }, labels[i]));
      row.forEach((count, j) => {
        const cell = line.insertCell(), strength = i === j ? count / total : (0.75 * count) / mostConfused;
        cell.textContent = count || "·";
        cell.title = `${count} of ${total} ${labels[i]} were classified as ${labels[j]}`;
        cell.style.background = i === j ? `color-mix(in srgb, var(--good) ${Math.round(45 * strength)}%, transparent)` : `color-mix(in srgb, var(--bad) ${Math.round(70 * strength)}%, transparent)`;
      });
    });
  };
  select.addEventListener("change", fill);
  fill();
}

for (const image of document.querySelectorAll("img[data-image]")) image.src = data.thumbnails[image.dataset.image];
addControls();
document.querySelectorAll("table.sortable").forEach(makeSortable);
showConfusionMatrix();
draw();
