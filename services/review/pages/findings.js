// The panels of a finding, a signal and a flagged sentence.

import { h, number, scrolls, title, words } from "/pages/dom.js";
import { evidenceOf, ledgerTable, repairOf } from "/pages/ledger.js";
import { arithmetic, nth, placeOf } from "/pages/statement.js";

const ROUTES = { accept: "accepted automatically", escalate: "a frontier model is asked first", review: "a reviewer decides" };
const SHARE = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const TIMES = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const DAYS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** Checks named after the error, not after the rule. */
const NAMED_AFTER_ERROR = new Set(["earlier_filing", "earlier_filing_scale", "exceeds_total", "finer_than_unit", "implied_shares", "line_twice", "magnitude", "missing_line", "statement_scale", "swapped_columns", "switched_sign"]);

/** The line of a finding; for a missing line, the total below it. */
function lineOf({ check, label, row, cells }) {
  if (check === "missing_line" && cells?.[0]?.label) return `missing above “${cells[0].label}” (before the ${nth(row)} row)`;
  return label ?? (has(row) ? `${nth(row)} row` : null);
}

/** The body of a flagged sentence. */
export function flagBody(item) {
  const { title: asks, filer } = item.finding ?? {};
  return [
    h("p.asks", {}, `${asks}. Does the report say this about the company, now?`),
    h("blockquote.quote", {}, h("mark", {}, item.text)),
    factList([["Page", item.page && `${item.page}`], ["Company named as", filer]]),
    h("p.muted.small", {}, "Accept if it does. Reject if it is denied, past, only possible, or about another company, and add a note."),
  ];
}

/** The sum of a finding: its ledger, or the reported and the expected amount. */
export const sumOf = (finding, show) => (finding.ledger ? ledgerTable(finding, show) : arithmetic(finding));

/** The body of a finding. Returns the elements and that of the period.
    @param proposal the element of a model's answer
    @param show called with a cell to show it in the document */
export function findingBody(item, proposal = null, show = null) {
  const finding = item.finding ?? {};
  const { ledger } = finding;
  const holds = NAMED_AFTER_ERROR.has(finding.check) ? "Suspected error" : "Rule";
  const period = h("dd", {}, has(finding.column) ? `${nth(finding.column)} column` : "");
  const facts = [["Statement", title(finding.statement)], ["Line", lineOf(finding)], ["Period", has(finding.column) && period],
    ["Position", placeOf(finding.cells?.[0]?.place) || (item.page ? `page ${item.page}` : null)], ["Severity", finding.severity], ["Filing", finding.filing], ["Route", ROUTES[item.route]]];
  return { period, parts: [
    !ledger && (proposal ? scrolls(h("div.message.short", { role: "group", "aria-label": "Message" }, item.text)) : h("p.message", {}, item.text)),
    proposal,
    sumOf(finding, show),
    repairOf(finding), ledger && evidenceOf(finding),
    (finding.how_to_verify || finding.title) && h("dl.reasoning", {},
      finding.title && [h("dt", {}, holds), h("dd", {}, finding.title)],
      finding.how_to_verify && [h("dt", {}, "How to verify"), h("dd", {}, finding.how_to_verify)],
      finding.possible_explanation && [h("dt", {}, "Possible explanation"), h("dd", {}, finding.possible_explanation)]),
    ledger && h("details", {}, h("summary", {}, "In words"), h("p.message", {}, item.text)),
    finding.compares && h("details", {}, h("summary", {}, "About this check"), h("dl.reasoning", {},
      h("dt", {}, "What it compares"), h("dd", {}, finding.compares), finding.example && [h("dt", {}, "Example"), h("dd", {}, finding.example)])),
    factList(facts),
    h("p.muted.small", {}, "Accept if the report is wrong here. Reject a false alarm and add a note."),
  ] };
}

/** The body of a signal: the ratio, its inputs and the comparison. `open(result)` opens the finding that doubts one of its figures. */
export function signalBody(item, open) {
  const signal = item.finding ?? {};
  const shown = (value) => inUnit(value, signal.unit);
  const inputs = (signal.inputs ?? []).map((one) => h("tr", {}, h("th", { scope: "row" }, one.label, h("span.muted.small", {}, ` ${words(one.figure)}`)),
    h("td.figure", {}, number(one.value)), h("td.muted.small", {}, placeOf(one.place))));
  const rows = [[day(signal.end), signal.value], ...(signal.history ?? []).map((one) => [day(one.end), one.value])];
  return [
    h("p.asks", {}, "This ratio is unusual. It is not an error by itself."),
    h("p.message", {}, item.text),
    signal.explained_by && h("p.holds", {}, "One of its figures may be wrong. ", h("button.quiet.see", { type: "button", onclick: () => open(signal.explained_by) }, "See the finding")),
    h("dl.facts.trend", {}, rows.map(([end, value]) => h("div", {}, h("dt", {}, end), h("dd.figure", {}, shown(value))))),
    rangeOf("Other companies", signal.peers, shown), rangeOf("Their yearly change", signal.change, shown),
    h("table.inputs", {}, h("caption", {}, signal.formula), h("tbody", {}, inputs)),
    h("p.muted.small", {}, `Source: ${signal.source}`),
    h("p.muted.small", {}, "Accept if it needs attention. Reject if there is a good reason, and add a note."),
  ];
}

/** The range of 19 in 20 companies, in words. */
function rangeOf(name, spread, shown) {
  if (!spread) return null;
  const { low, median, high, companies } = spread;
  return h("dl.facts", {}, h("div", {}, h("dt", {}, name), h("dd", { title: `19 in 20 of ${companies} companies` }, `${shown(low)} to ${shown(high)}, half below ${shown(median)}`)));
}

/** How unusual a signal is. */
export const distance = (item) => h("span.muted", { title: "Distance from the median, relative to the range of 19 in 20 companies" }, `${(item.finding.distance < 10 ? TIMES : DAYS).format(item.finding.distance)} × usual range`);

/** A number in the unit of its ratio. */
function inUnit(value, unit) {
  if (unit === "share") return SHARE.format(value);
  return unit === "days" ? `${DAYS.format(value)} days` : TIMES.format(value);
}

/** 20241231 as 2024-12-31. */
export const day = (end) => (/^\d{8}$/.test(end ?? "") ? `${end.slice(0, 4)}-${end.slice(4, 6)}-${end.slice(6)}` : end ?? "");

const factList = (facts) => h("dl.facts", {}, facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), value instanceof Element ? value : h("dd", {}, value))));

const has = (value) => value !== null && value !== undefined;
