// The explanation of a finding: its sum as a ledger, what makes it add up, and the facts for and against it.

import { h, number, title, words } from "/pages/dom.js";
import { cellKey, period, placeOf } from "/pages/statement.js";

/** The lines of a sum, its stated total and the difference: the total less the sum.
    @param show called with the cell of a line that is clicked; null for none */
export function ledgerTable({ ledger, adds_up_if: repairs = [] }, show = null) {
  const { rows, sum, total, stated, difference } = ledger;
  const wrong = new Set(repairs.filter((one) => one.label !== null).map(cellKey));
  const name = (cell, label) => (show && hasPlace(cell.place) ? h("button.cell-link", { type: "button", title: `Show ${placeOf(cell.place)}`, onclick: () => show(cell) }, label) : label);
  const line = (cell, sign, label, amount) => h(wrong.has(cellKey(cell)) ? "tr.lit" : "tr", { "data-cell": cellKey(cell) },
    h("td.sign", {}, sign), h("th", { scope: "row" }, name(cell, label), elsewhere(cell, total)), h("td.figure", {}, number(amount)));
  const plain = (selector, sign, label, amount) => h(selector, {}, h("td.sign", {}, sign), h("th", { scope: "row" }, label), h("td.figure", {}, number(amount)));
  return h("table.ledger", {},
    h("caption", {}, `${title(total.statement)}, ${period(total.period, true)}`),
    h("tbody", {}, rows.map((row) => {
      const amount = row.sign === "-" ? -row.value : row.value;
      return line(row, amount < 0 ? "−" : "+", row.label, Math.abs(amount));
    })),
    h("tfoot", {}, rows.length > 1 && plain("tr", "=", "Sum of the lines", sum), line(total, "", `Stated: ${total.label}`, stated), plain("tr.difference", "", "Difference", difference)));
}

/** The amounts with which a sum adds up, and the likely cause; null if both are unknown. */
export function repairOf({ adds_up_if: repairs = [], likely_cause: cause }) {
  if (!repairs.length && !cause) return null;
  const amount = (one) => (one.label === null ? h("b", {}, `a line of ${number(one.expected)} is added`)
    : h("b", {}, one.label, repairs.length > 1 && ` (${period(one.period)})`, ` = ${number(one.expected)} `, h("span.small", {}, `instead of ${number(one.reported)}`)));
  return h("div.holds", {}, repairs.length > 0 && [h("span", {}, "Adds up if"), repairs.map(amount)], cause && h("span", {}, `Likely cause: ${cause.words}.`));
}

/** The facts for and against a finding. */
export function evidenceOf({ supports = [], doubts = [] }) {
  const list = (name, facts) => facts.length > 0 && h("section.group", {}, h("h2", {}, name), h("ul.notes", {}, facts.map((one) => h("li", {}, one.words))));
  return [list("What supports it", supports), list("What speaks against it", doubts)];
}

const hasPlace = (place) => Boolean(place?.box || place?.end);

/** The statement and period of a line, if they are not those of the total. */
function elsewhere(cell, total) {
  const parts = [cell.statement !== total.statement && words(cell.statement), period(cell.period, true) !== period(total.period, true) && period(cell.period, true)].filter(Boolean);
  return parts.length > 0 && h("span.muted.small", {}, ` ${parts.join(", ")}`);
}
