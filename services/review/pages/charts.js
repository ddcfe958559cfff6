// SVG charts that scale with the window. Each has a table with its numbers.

import { byId, h } from "/pages/dom.js";

/** s("rect.ours", {x: "0%"}): an element of SVG. */
export function s(selector, props = {}, ...children) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElementNS(byId("drawing").namespaceURI, tag);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(props)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const share = (part, whole) => (whole > 0 ? Math.min(100, (100 * part) / whole) : 0);
const percent = (value) => `${value.toFixed(3)}%`;

/** A figure with a heading, a caption, a drawing and a table of its numbers. */
export function figure(title, caption, drawing, heads, rows, whole = false) {
  return h(whole ? "figure.chart.whole" : "figure.chart", {}, h("figcaption", {}, h("h2", {}, title), h("p.muted", {}, caption)), drawing, numbers(title, heads, rows));
}

function numbers(title, heads, rows) {
  const head = h("tr", {}, heads.map((text, at) => h(at ? "th.figure" : "th", { scope: "col" }, text)));
  const body = rows.map((row) => h("tr", {}, row.map((cell, at) => (at ? h("td.figure", {}, cell) : h("th", { scope: "row" }, cell)))));
  const scroll = h("div.scroll", { tabindex: "0", role: "region", "aria-label": `${title}: numbers` }, h("table.numbers-table", {}, h("thead", {}, head), h("tbody", {}, body)));
  return h("details", {}, h("summary", {}, "Numbers"), scroll);
}

/** Rows of bars from the left on one scale: [label, [[class, value], …], words]. */
export function bars(rows) {
  const most = Math.max(...rows.map(([, parts]) => parts.reduce((sum, [, value]) => sum + value, 0)));
  return h("div.bars", { "aria-hidden": "true" }, rows.map(([label, parts, words]) => {
    let at = 0;
    const drawn = parts.filter(([, value]) => value > 0).map(([kind, value]) => {
      const width = share(value, most);
      const rect = s(`rect.${kind}`, { x: percent(at), y: 0, width: percent(width), height: "100%" });
      at += width;
      return rect;
    });
    if (at > 0) drawn.unshift(s(`rect.${parts.find(([, value]) => value > 0)[0]}`, { x: 0, y: 0, width: 2, height: "100%" })); // keep small values visible
    return h("div.bar-row", {}, h("span.bar-label", {}, label), s("svg", { class: "bar-svg" }, ...drawn), h("span.figure", {}, words));
  }));
}

/** Columns, earliest first: [label, [[class, value], …], words]. The largest is labelled. */
export function columns(rows) {
  const heights = rows.map(([, parts]) => parts.reduce((sum, [, value]) => sum + value, 0));
  const most = Math.max(...heights);
  const step = 100 / Math.max(rows.length, 7);
  const drawn = rows.flatMap(([label, parts, words], at) => {
    let above = 100;
    return parts.filter(([, value]) => value > 0).map(([kind, value]) => {
      const height = share(value, most);
      above -= height;
      return s(`rect.${kind}`, { x: percent(at * step + step * 0.12), y: percent(above), width: percent(step * 0.76), height: percent(height) }, s("title", {}, `${label}: ${words}`));
    });
  });
  const largest = rows[heights.indexOf(most)];
  return h("div.columns", { "aria-hidden": "true" },
    h("p.figure.small.muted", {}, `maximum: ${largest[2]}, ${largest[0]}`),
    s("svg", { class: "column-svg" }, ...drawn, s("line.axis", { x1: 0, x2: "100%", y1: "100%", y2: "100%" })),
    h("div.row.apart.small.muted", {}, h("span", {}, rows[0][0]), rows.length > 1 && h("span", {}, rows.at(-1)[0])));
}

/** What the colours of a chart mean: [class, name]. */
export function legend(entries) {
  return h("ul.legend", { "aria-hidden": "true" }, entries.map(([kind, name]) => h("li", {}, s("svg", { class: "swatch" }, s(`rect.${kind}`, { width: "100%", height: "100%" })), name)));
}

const TICKS = 5;

/** Shares with their intervals over time, against a limit: [label, share, low, high], earliest first.
    @param limit a share, drawn as a dashed line with `text`; null for none */
export function series(rows, limit, text) {
  const most = Math.max(...rows.map(([, , , high]) => high), (limit ?? 0) * 1.25);
  const step = [0.01, 0.02, 0.05, 0.1, 0.25].find((one) => most / one <= TICKS) ?? 0.25;
  const y = (value) => percent(96 - share(value, most) * 0.9);
  const x = (at) => percent(8 + (92 * (at + 0.5)) / rows.length);
  const across = (kind, value) => s(`line.${kind}`, { x1: "8%", x2: "100%", y1: y(value), y2: y(value) });
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, at) => at * step);
  const drawn = [
    ...ticks.flatMap((value) => [across(value ? "grid" : "axis", value), s("text", { x: 0, y: y(value), dy: ".3em" }, `${Math.round(value * 100)}%`)]),
    ...rows.map(([, , low, high], at) => s("line.band", { x1: x(at), x2: x(at), y1: y(low), y2: y(high) })),
    ...rows.slice(1).map(([, value], at) => s("line.line", { x1: x(at), x2: x(at + 1), y1: y(rows[at][1]), y2: y(value) })),
    ...(limit === null ? [] : [across("limit", limit), s("text.limit-text", { x: "100%", y: y(limit), dy: "-.5em", "text-anchor": "end" }, text)]),
    ...rows.map(([label, value], at) => s("circle.dot", { cx: x(at), cy: y(value), r: 4 }, s("title", {}, `${label}: ${(value * 100).toFixed(1)}%`))),
  ];
  return h("div.columns", { "aria-hidden": "true" }, s("svg", { class: "plot" }, ...drawn),
    h("div.row.apart.small.muted.dates", {}, h("span", {}, rows[0][0]), rows.length > 1 && h("span", {}, rows.at(-1)[0])));
}

const MOST_NAMED = 6;

/** Points and ranges on a logarithmic scale: [label, class, low, high, words]. */
export function powers(rows) {
  const exponents = rows.flatMap(([, , low, high]) => [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))]);
  const least = Math.min(...exponents);
  const most = Math.max(...exponents, least + 1);
  const place = (value) => percent(4 + (92 * (Math.log10(value) - least)) / (most - least));
  const steps = Array.from({ length: most - least + 1 }, (_, at) => 10 ** (least + at));
  const lines = () => steps.map((value) => s("line.grid", { x1: place(value), x2: place(value), y1: 0, y2: "100%" }));
  const row = ([label, kind, low, high, words]) => h("div.bar-row", {}, h("span.bar-label", {}, label),
    s("svg", { class: "power-svg" }, ...lines(),
      s(`line.range.${kind}`, { x1: place(low), x2: place(high), y1: "50%", y2: "50%" }),
      ...[low, high].map((value) => s(`circle.${kind}`, { cx: place(value), cy: "50%", r: 6 }))),
    h("span.figure", {}, words));
  const named = steps.filter((_, at) => steps.length <= MOST_NAMED || (steps.length - 1 - at) % 2 === 0); // labels must not overlap
  const axis = s("svg", { class: "power-axis" }, ...named.map((value) => s("text", { x: place(value), y: "70%", "text-anchor": "middle" }, plain(value))));
  return h("div.bars", { "aria-hidden": "true" }, rows.map(row), h("div.bar-row.axis-row", {}, h("span.bar-label"), axis, h("span.figure")));
}

const plain = (value) => (value >= 1 ? String(Math.round(value)) : value.toFixed(Math.round(-Math.log10(value))));

/** A progress bar. */
export function reached(kind, part, whole) {
  return s("svg", { class: "bar-svg reached", "aria-hidden": "true" }, s("rect.rest", { x: 0, y: 0, width: "100%", height: "100%" }), s(`rect.${kind}`, { x: 0, y: 0, width: percent(share(part, whole)), height: "100%" }));
}
