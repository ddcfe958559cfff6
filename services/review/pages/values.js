// The values of clauses in words, and back: `P6M` is "6 months".

import { h, number } from "/pages/dom.js";

const UNITS = ["year", "month", "week", "day"];
const DURATION = /^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?$/;
const AS_WRITTEN = new Intl.NumberFormat("en-US", { maximumFractionDigits: 10 }); // as `written` reads it, in every language of the browser
const FORMS = { day: "2017-05-31", date: "2017-05-31, 6 months, or perpetual", amount: "USD 400,000" };
const DAYS = ["Agreement Date", "Effective Date"]; // clause types with a day and no duration

/** A value for people: `90 days`, `USD 400,000`, `Halden Trading AS (Distributor)`. */
export function shown({ kind, value, currency, role, repeats, text }) {
  if (DURATION.test(value ?? "")) return duration(value) + (repeats ? ", repeatedly" : "");
  if (value && (kind === "amount" || currency)) return `${currency ?? ""} ${number(Number(value))}`.trim();
  return role && value ? `${value} (${role})` : value ?? role ?? text;
}

/** A value for people, or that it is redacted or not read. */
export function stated(value) {
  if (value.status === "redacted") return value.value === null ? "redacted" : `${shown(value)}, redacted`;
  return value.status === "not_stated" ? "no value read" : shown(value);
}

/** The value of a clause after its decision; null if the words have none. */
export function valueLine({ value, verdict, correction }) {
  const right = verdict === "correct" ? correction : null;
  if (!value || verdict === "reject" || (right && !right.value)) return null;
  const others = value.other_values.filter((one) => one.status !== "not_stated").map(stated);
  return h("p.read", {}, h("span.label", {}, "Value"), " ", right ? [h("del", {}, stated(value)), " ", h("ins", {}, shown({ kind: value.kind, role: value.role, ...right }))] : h(value.status === "not_stated" ? "span.muted" : "span", {}, stated(value)),
    !right && others.length > 0 && h("span.muted", {}, `, also ${others.join(", ")}`));
}

/** How a person writes the value of a clause; undefined for any text. */
export const exampleOf = (item) => FORMS[formOf(item)];

/** A value as a person can write it. */
export function writable({ kind, value, currency }) {
  if (kind === "amount" && value) return `${currency ?? ""} ${AS_WRITTEN.format(Number(value))}`.trim();
  return value === null ? "" : shown({ kind, value });
}

/** What a person wrote as the value of a clause, as {value, currency}; null if it has another form. */
export function written(text, item) {
  const form = formOf(item);
  const words = text.trim();
  if (form === "day") return isDay(words) ? { value: words } : null;
  if (form === "date") return asTime(words);
  if (form === "amount") return asAmount(words, item.value.currency);
  return words ? { value: words } : null;
}

function formOf({ category, value }) {
  if (DAYS.includes(category)) return "day";
  return ["duration", "perpetual"].includes(value?.kind) ? "date" : value?.kind;
}

function asTime(words) {
  if (isDay(words)) return { value: words };
  if (DURATION.test(words) && words !== "P") return { value: words };
  if (/^perpetual$/i.test(words)) return { value: "perpetual" };
  const parts = /^(?:(\d+) years?)?[, ]*(?:(\d+) months?)?[, ]*(?:(\d+) weeks?)?[, ]*(?:(\d+) days?)?$/i.exec(words);
  if (!words || !parts) return null;
  return { value: `P${UNITS.map((unit, at) => (parts[at + 1] ? `${Number(parts[at + 1])}${unit[0].toUpperCase()}` : "")).join("")}` };
}

/** Whether words are a year, month or day of the calendar. */
function isDay(words) {
  if (!/^\d{4}(-\d\d(-\d\d)?)?$/.test(words)) return false;
  const day = new Date(`${words}-01-01`.slice(0, 10));
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(words);
}

/** An amount; without a currency it has the one that was read. */
function asAmount(words, read) {
  const found = /^(?:([A-Z]{3})\s*)?(\d[\d,]{0,25}(?:\.\d{1,10})?)$/.exec(words);
  const currency = found?.[1] ?? read;
  return found && { value: found[2].replaceAll(",", ""), ...currency && { currency } };
}

function duration(value) {
  const found = DURATION.exec(value);
  return UNITS.flatMap((unit, at) => (found[at + 1] ? [`${found[at + 1]} ${unit}${found[at + 1] === "1" ? "" : "s"}`] : [])).join(", ") || value;
}
