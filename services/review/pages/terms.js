// The values of a contract as a sheet: dates, durations, amounts, parties. Decisions replace what the model read.

import { excerpt, h } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";
import { shown, stated } from "/pages/values.js";
import { verdictOf } from "/pages/verdicts.js";

const LENGTH = 160; // characters of a clause that stand for its value

/** The lines of a contract's values, with the decisions about their clauses, and how many types have a value.
    @param rows the clauses, as the list has them
    Calls `open(line)` for the words of one. */
export function termsOf(values, rows, open) {
  const names = [...new Set(values.map((one) => one.category))];
  const lines = [...values.map((one) => read(one, rows, values)), ...rows.map(replaced).filter((one) => one && names.includes(one.category))].filter(Boolean);
  const terms = names.map((name) => [name, linesOf(name, lines, rows)]);
  return { count: terms.filter(([, own]) => own.some(isKnown)).length,
    element: h("dl.terms", {}, terms.map(([name, own]) => h("div", {}, h("dt", {}, titleOf(name)), own.map((one) => h("dd", {}, drawn(one, open)))))) };
}

const isKnown = ({ text, since }) => Boolean(text || since);

/** The lines of a type: those with a value, else what is known of it. */
function linesOf(name, lines, rows) {
  const own = lines.filter((one) => one.category === name);
  if (own.length) return own.some(isKnown) ? own.filter(isKnown) : own;
  const others = rows.filter((row) => row.category === name && undisputed(row) && row.value).map(ownValue);
  const gone = rows.some((row) => row.category === name && row.verdict === "correct") ? "corrected" : "rejected";
  return others.length ? others : [{ notes: [gone], place: null }];
}

const undisputed = (row) => !["reject", "correct"].includes(row?.verdict);

/** Whether a clause states a value. */
const states = (row, { category, value, currency }) => row.category === category && undisputed(row) && value !== null && row.value
  && [row.value, ...row.value.other_values].some((one) => one.value?.toLowerCase() === value.toLowerCase() && one.currency === currency);

/** Whether a clause still states a value after the correction of another value of it. */
const keeps = (row, { value }) => row.verdict === "correct" && row.correction?.value && row.correction.start === row.start && row.correction.end === row.end && value !== row.value?.value;

const ownValue = (row) => ({ category: row.category, text: stated(row.value), notes: [row.verdict && verdictOf(row)], place: row });

/** A value that the model read; null if a reviewer disputed its clause and no other one states it. */
function read(value, rows, values) {
  const found = rows.find((one) => one.result_id === value.clause_id);
  const row = found?.verdict === "reject" ? rows.find((one) => states(one, value)) : found;
  if (found && !row || !undisputed(row) && !keeps(row, value)) return null;
  const { category, start } = value;
  const since = undisputed(rows.find((one) => one.result_id === value.computed_from)) && value.computed;
  const source = since && values.find((other) => other.clause_id === value.computed_from);
  const notes = [since && `${since}, calculated${source ? ` from the ${titleOf(source.category).toLowerCase()}` : ""}`, row?.verdict && verdictOf(row)];
  if (start === null) return { category, text: null, notes: since || row?.verdict ? notes : [value.clause_id ? "clause found, no value read" : "not stated"], place: row ?? null, since };
  return { category, text: stated(value), notes, place: row ?? value };
}

/** The words or the value of a clause that a reviewer corrected or added. */
function replaced(row) {
  const added = row.origin === "person" && !row.absent;
  if (row.verdict !== "correct" && !added) return null;
  const right = row.correction ?? row;
  return { category: right.category, text: right.value && row.correction ? shown({ kind: row.value?.kind, role: row.value?.role, ...right }) : excerpt(right.text, LENGTH), notes: [verdictOf(row)], place: row };
}

function drawn({ text, notes, place }, open) {
  const note = notes.filter(Boolean).join(", ");
  if (!place) return h("span.muted", {}, note);
  return [h(text ? "button.quiet.see" : "button.quiet.see.unread", { type: "button", title: "Show its words", onclick: () => open(place) }, text ?? note), " ", text && note && h("span.muted", {}, note)];
}
