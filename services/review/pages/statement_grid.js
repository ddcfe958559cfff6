// The keyboard of a statement's table, and the facts of its cells.

import { h } from "/pages/dom.js";
import * as known from "/pages/document_cache.js";

const EDGE = 4; // pixels between the focused cell and the head, the labels or the edge
const SCALES = new Map([[1e3, "in thousands"], [1e6, "in millions"], [1e9, "in billions"]]);

const details = new WeakMap(); // of each cell

/** Let the keyboard move between the cells of a table, with one tab stop: at first the `start`.
    @param about the details of each cell: line, period, value, place, unit, scale, and the id of its document */
export function makeGrid(table, start, about) {
  const rows = [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll("td")]);
  for (const cell of rows.flat()) {
    cell.tabIndex = -1;
    details.set(cell, about(cell));
  }
  if (start) start.tabIndex = 0;
  table.setAttribute("role", "grid");
  table.setAttribute("aria-readonly", "true");
  table.addEventListener("keydown", (event) => move(event, rows));
  table.addEventListener("focusin", ({ target }) => {
    for (const cell of table.querySelectorAll('td[tabindex="0"]')) cell.tabIndex = -1;
    target.tabIndex = 0;
    reveal(target);
  });
}

function move(event, rows) {
  if (event.altKey || event.shiftKey) return;
  const row = rows.findIndex((cells) => cells.includes(event.target));
  const at = rows[row].indexOf(event.target);
  const [bottom, right] = [rows.length - 1, rows[row].length - 1];
  const ways = event.ctrlKey || event.metaKey ? { Home: [0, 0], End: [bottom, right] } : {
    ArrowUp: [row - 1, at], ArrowDown: [row + 1, at], ArrowLeft: [row, at - 1], ArrowRight: [row, at + 1], Home: [row, 0], End: [row, right],
  };
  const way = ways[event.key];
  if (!way) return;
  event.preventDefault(); // also at the edge: elsewhere the arrows turn pages
  rows[way[0]]?.[way[1]]?.focus({ preventScroll: true });
}

/** Scroll until neither the head nor the labels cover a cell. */
export function reveal(cell) {
  const { tHead } = cell.closest("table");
  cell.style.scrollMargin = `${tHead.offsetHeight + EDGE}px ${EDGE}px ${EDGE}px ${cell.parentElement.cells[0].offsetWidth + EDGE}px`;
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** The figure of a cell as the document has it; null if unknown. */
export async function asRead(cell) {
  const { document, place } = details.get(cell);
  if (!document || !place?.end) return null;
  const text = await known.text(document).catch(() => null);
  return text?.slice(place.start, place.end).replace(/\s+/g, " ").trim() || null;
}

/** The line and period of a cell. */
export const nameOfCell = (cell) => [details.get(cell).line?.replace(/:$/, ""), details.get(cell).period].filter(Boolean).join(", ");

/** What is known about a cell: its figure in the document, position and unit. */
export function factsOfCell(cell, read) {
  const { position, unit } = details.get(cell);
  const scaled = [unit, scaleOf(details.get(cell), read)].filter(Boolean).join(" ");
  return [["As read", read], ["From", position], ["Unit", scaled]].filter(([, fact]) => fact).map(([name, fact]) => h("span", {}, h("span.muted", {}, name), ` ${fact} `));
}

/** The scale of the statement in words, if the cell has it: a line per share is written in full. */
function scaleOf({ value, scale }, read) {
  const figure = Number(read?.replace(/[^\d.]/g, ""));
  return figure && Math.abs(figure * scale - Math.abs(value)) < scale / 1e6 ? SCALES.get(scale) : null;
}
