// A financial statement with the cell of a finding highlighted.

import { get, query } from "/pages/api.js";
import { h, number, unseenHead, words } from "/pages/dom.js";
import { makeGrid } from "/pages/statement_grid.js";

const MOST = 20; // pages of filings that are searched

/** The statement of a finding; null if it is gone. */
export async function statementOf(document, finding) {
  let cursor = null;
  for (let page = 0; page < MOST; page += 1) {
    const answer = await get(query(`/v1/documents/${encodeURIComponent(document)}/statements`, { limit: 100, cursor }));
    const filing = answer.items.find((one) => !finding.filing || one.id === finding.filing);
    if (filing) return filing.statements.find((one) => one.statement === finding.statement) ?? null;
    cursor = answer.next;
    if (!cursor) return null;
  }
  return null;
}

/** The position of a value in words: `page 57`, `Income!B7`; empty if unknown. */
export function placeOf(place) {
  if (!place) return "";
  const paged = place.box || !place.cell;
  const cell = place.cell && (/^[A-Z]{1,3}\d/.test(place.cell) ? `cell ${place.cell}` : place.cell);
  return [cell, paged && `page ${place.page}`, place.element && `element ${place.element}`].filter(Boolean).join(", ");
}

/** The boxes of a finding's cells. All but the main one have the look of a part. */
export function boxesOfFinding(boxes, finding) {
  const box = finding.cells?.[0]?.place?.box;
  const page = finding.cells?.[0]?.place?.page;
  return (boxes ?? []).map((one) => ({ ...one, look: box && one.page === page && one.x0 === box[0] && one.y0 === box[1] ? null : "part" }));
}

/** The key of a cell in `data-cell`. */
export const cellKey = ({ statement, row, column }) => `${statement} ${row} ${column}`;

/** While a cell is pointed at or has the focus, light it wherever else `root` shows it. */
export function linkCells(root) {
  const light = (on) => (event) => {
    const key = event.target.closest("[data-cell]")?.dataset.cell;
    const same = key ? [...root.querySelectorAll(`[data-cell="${CSS.escape(key)}"]`)] : [];
    if (same.length > 1) same.forEach((one) => one.classList.toggle("pointed", on));
  };
  for (const name of ["pointerover", "focusin"]) root.addEventListener(name, light(true));
  for (const name of ["pointerout", "focusout"]) root.addEventListener(name, light(false));
}

/** The statement of a document as a table. With components as columns, each line shows its period. */
export function statementTable(statement, finding = {}, document = null) {
  const columns = statement.columns ?? [];
  const byLine = columns.some((column) => column.component !== undefined);
  const parts = new Set((finding.cells ?? []).filter((one) => one.statement === statement.statement).map((one) => `${one.row} ${one.column}`));
  const cell = (value, row, column) => {
    const lit = row === finding.row && (finding.column === null || column === finding.column);
    return h(lit ? "td.figure.lit" : parts.has(`${row} ${column}`) ? "td.figure.part" : "td.figure", { "data-cell": cellKey({ statement: statement.statement, row, column }), title: placeOf(statement.rows[row].places?.[column]) || null }, typeof value === "number" ? number(value) : value ?? "");
  };
  const line = (row, index) => {
    const selector = index === finding.row ? "tr.lit-row" : (finding.rows ?? []).includes(index) ? "tr.part-row" : "tr";
    return h(selector, {}, h(row.heading ? "th.heading" : "th", { scope: "row" }, row.label ?? ""),
      byLine && h("td.muted", {}, row.period ? period(row.period, true) : ""),
      columns.map((_, column) => cell(row.values?.[column], index, column)));
  };
  const table = h("table", {},
    h("caption", {}, words(statement.statement)),
    h("thead", {}, h("tr", {}, unseenHead("Line"), byLine && h("th", { scope: "col" }, "Period"),
      columns.map((column) => h("th.figure", { scope: "col" }, byLine ? column.component : period(column))))),
    h("tbody", {}, statement.rows.map(line)));
  const figures = [...table.querySelectorAll("td.figure")];
  makeGrid(table, table.querySelector(".lit") ?? figures.find((one) => one.textContent) ?? figures[0], (one) => {
    const row = statement.rows[one.parentElement.sectionRowIndex];
    const at = one.cellIndex - (byLine ? 2 : 1);
    const [column, place] = [columns[at], row.places?.[at]];
    const when = byLine ? [column?.component, row.period && period(row.period, true)].filter(Boolean).join(", ") : period(column);
    return { line: row.label, period: when, value: row.values?.[at], place, position: placeOf(place), unit: column?.unit ?? (column && row.unit), scale: statement.presented_in, document };
  });
  return h("div.sheet.statement", { role: "region", "aria-label": words(statement.statement) }, table);
}

/** The period of a column or line: its end date (from 20241231), with its length if known. */
export function period(column, line = false) {
  const end = String(column?.end ?? "");
  const date = /^\d{8}$/.test(end) ? `${end.slice(0, 4)}-${end.slice(4, 6)}-${end.slice(6)}` : end;
  if (column?.quarters) return `${date} (${column.quarters * 3} months)`;
  return line && column?.quarters !== 0 ? `to ${date}` : date;
}

const FIRST = ["first", "second", "third", "fourth", "fifth", "sixth"];
const ENDINGS = { one: "st", two: "nd", few: "rd", other: "th" };
const ordinals = new Intl.PluralRules("en", { type: "ordinal" });

/** The ordinal of an index that counts from 0. */
export const nth = (index) => FIRST[index] ?? `${index + 1}${ENDINGS[ordinals.select(index + 1)]}`;

/** The reported and the expected amount of a finding without a ledger. */
export function arithmetic({ reported, expected }) {
  return h("dl.facts.sums", {},
    h("div", {}, h("dt", {}, "Reported"), h("dd.figure", {}, number(reported))),
    h("div", {}, h("dt", {}, "Expected"), h("dd.figure", {}, number(expected))));
}
