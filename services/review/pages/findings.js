// What is said of a finding, a signal and a sentence: arithmetic, cause, what would settle it, and where.

import { h, number, scrolls, title, words } from "/pages/dom.js";
import { arithmetic, nth, placeOf } from "/pages/statement.js";

const WAYS = { accept: "accepted by the machine", escalate: "a model of others is asked first", review: "a person decides" };
const CAUSE = /\s*Likeliest cause: ([^.]+)\./;
const SHARE = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const TIMES = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const DAYS = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** Checks that are named by what they find, not by what should hold. */
const SEEN = new Set(["exceeds_total", "finer_than_unit", "line_twice", "magnitude", "missing_line", "statement_scale", "swapped_columns", "switched_sign"]);

/** The line of a finding; of one that is missing the total above which it belongs, the first of its cells. */
function lineOf({ check, label, row, cells }) {
  if (check === "missing_line" && cells?.[0]?.label) return `missing above “${cells[0].label}”, ${nth(row)} row at the latest`;
  return label ?? (has(row) ? `${nth(row)} row` : null);
}

/** A signal, not a finding: it adds up all the same. */
export const isSignal = (item) => item.about === "signal";

/** A sentence of the report about its filer. */
export const isFlag = (item) => item.about === "flag";

/** The body of a flag: the sentence, and what is asked of it. */
export function flagBody(item) {
  const { title: asks, filer } = item.finding ?? {};
  return [
    h("p.asks", {}, `${asks}: does the report say that of its filer, and of now?`),
    h("blockquote.quote", {}, h("mark", {}, item.text)),
    factList([["Page", item.page && `${item.page}`], ["Names the filer as", filer]]),
    h("p.muted.small", {}, "Accept it if it does. Reject it if it is denied, over, only possible, or about somebody else, and say so in a note."),
  ];
}

/** The body of a finding; `text` is its message, `beside` what a model says of it. Answers elements, and the place of its period. */
export function findingBody(item, beside = null) {
  const finding = item.finding ?? {};
  const cause = CAUSE.exec(item.text);
  const message = item.text.replace(CAUSE, "");
  const holds = SEEN.has(finding.check) ? "What seems to be wrong" : "What should hold";
  const period = h("dd", {}, has(finding.column) ? `${nth(finding.column)} column` : "");
  const facts = [["Statement", title(finding.statement)], ["Line", lineOf(finding)], ["Period", has(finding.column) && period],
    ["Place", placeOf(finding.cells?.[0]?.place) || (item.page ? `page ${item.page}` : null)], ["Severity", finding.severity], ["Filing", finding.filing], ["Way", WAYS[item.route]]];
  return { period, parts: [
    beside ? scrolls(h("div.message.short", { role: "group", "aria-label": "What does not add up" }, message)) : h("p.message", {}, message),
    beside,
    arithmetic(finding),
    (cause || finding.settle || finding.title) && h("dl.reasoning", {},
      finding.title && [h("dt", {}, holds), h("dd", {}, finding.title)],
      cause && [h("dt", {}, "Likeliest cause"), h("dd", {}, sentence(cause[1]))],
      finding.settle && [h("dt", {}, "What would settle it"), h("dd", {}, finding.settle)],
      finding.lawful && [h("dt", {}, "When it is no error"), h("dd", {}, finding.lawful)]),
    finding.compares && h("details", {}, h("summary", {}, "What this check compares"), h("dl.reasoning", {},
      h("dt", {}, "It compares"), h("dd", {}, finding.compares), finding.example && [h("dt", {}, "Example"), h("dd", {}, finding.example)])),
    factList(facts),
    h("p.muted.small", {}, "Accept it if the report is wrong here; reject a false alarm, and say why in a note."),
  ] };
}

/** The body of a signal: the ratio, what it is made of, and what it is held against. */
export function signalBody(item) {
  const signal = item.finding ?? {};
  const shown = (value) => inUnit(value, signal.unit);
  const inputs = (signal.inputs ?? []).map((one) => h("tr", {}, h("th", { scope: "row" }, one.label, h("span.muted.small", {}, ` ${words(one.figure)}`)),
    h("td.figure", {}, number(one.value)), h("td.muted.small", {}, placeOf(one.place))));
  const rows = [[day(signal.end), signal.value], ...(signal.history ?? []).map((one) => [day(one.end), one.value])];
  return [
    h("p.asks", {}, "Unusual, though it adds up. It says nothing of an error by itself."),
    h("p.message", {}, item.text),
    h("dl.facts.trend", {}, rows.map(([end, value]) => h("div", {}, h("dt", {}, end), h("dd.figure", {}, shown(value))))),
    beside("Other companies", signal.peers, shown), beside("Their change within a year", signal.change, shown),
    h("table.inputs", {}, h("caption", {}, signal.formula), h("tbody", {}, inputs)),
    h("p.muted.small", {}, `Source: ${signal.source}`),
    h("p.muted.small", {}, "Accept it if it needs looking into; reject it if it has a good reason, and say it in a note."),
  ];
}

/** Bounds between which 19 of 20 companies lie, in words. */
function beside(name, spread, shown) {
  if (!spread) return null;
  const { low, median, high, companies } = spread;
  return h("dl.facts", {}, h("div", {}, h("dt", {}, name), h("dd", { title: `19 in 20 of ${companies} companies` }, `${shown(low)} to ${shown(high)}, half below ${shown(median)}`)));
}

/** How far a signal is out, in the place where a finding says how sure it is. */
export const far = (item) => h("span.muted", { title: "As far from the median as so many times the bound within which 19 of 20 companies lie" }, `${(item.finding.distance < 10 ? TIMES : DAYS).format(item.finding.distance)} × the usual`);

/** A number in the unit of its ratio. */
export function inUnit(value, unit) {
  if (unit === "share") return SHARE.format(value);
  return unit === "days" ? `${DAYS.format(value)} days` : TIMES.format(value);
}

/** 20241231 as 2024-12-31. */
export const day = (end) => (/^\d{8}$/.test(end ?? "") ? `${end.slice(0, 4)}-${end.slice(4, 6)}-${end.slice(6)}` : end ?? "");

const factList = (facts) => h("dl.facts", {}, facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), value instanceof Element ? value : h("dd", {}, value))));

const has = (value) => value !== null && value !== undefined;

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
