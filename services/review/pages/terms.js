// The values of a contract as a sheet: dates, durations, amounts, parties.

import { h, number } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";

/** The lines of a contract's values. Calls `open(value)` for the words of one. */
export function termsOf(values, open) {
  const names = [...new Set(values.map((one) => one.category))];
  return h("dl.terms", {}, names.map((name) => h("div", {}, h("dt", {}, titleOf(name)), values.filter((one) => one.category === name).map((one) => h("dd", {}, line(one, values, open))))));
}

function line(one, values, open) {
  const source = one.computed && values.find((other) => other.clause_id === one.computed_from);
  const calculated = `${one.computed}, calculated${source ? ` from the ${titleOf(source.category).toLowerCase()}` : ""}`;
  if (one.start === null) return h("span.muted", {}, one.computed ? calculated : one.clause_id ? "clause found, no value read" : "not stated");
  const text = one.status === "redacted" ? `${one.value === null ? "" : `${shown(one)}, `}redacted` : shown(one);
  return [h("button.quiet.see", { type: "button", title: "Show its words", onclick: () => open(one) }, text), one.computed && h("span.muted", {}, calculated)];
}

/** A value for people: `90 days`, `USD 400,000`, `Halden Trading AS (Distributor)`. */
function shown({ kind, value, currency, role, repeats, text }) {
  const named = role && value ? `${value} (${role})` : value ?? role ?? text;
  if (kind === "duration") return duration(value) + (repeats ? ", again and again" : "");
  if (kind === "amount" && value !== null) return `${currency ?? ""} ${number(Number(value))}`.trim();
  return named;
}

const UNITS = ["year", "month", "week", "day"];

function duration(value) {
  const found = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$/.exec(value ?? "");
  const parts = found ? UNITS.flatMap((unit, at) => (found[at + 1] ? [`${found[at + 1]} ${unit}${found[at + 1] === "1" ? "" : "s"}`] : [])) : [];
  return parts.join(", ") || value;
}

/** How many categories have a value. */
export const countTerms = (values) => new Set(values.filter((one) => one.start !== null || one.computed).map((one) => one.category)).size;
