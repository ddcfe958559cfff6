// Decisions that the server does not have yet, or refused later. They are kept in this browser for the
// person who made them, each under its own key, so that two tabs never overwrite each other.

import { actor } from "/pages/api.js";

const OWN = "smallprint.undelivered.";
const person = () => (actor() ? `${actor().tenant}/${actor().name}` : null);
let latest = 0; // milliseconds of the newest one of this tab

/** Keep a decision before it is sent.
    @param about what it decides, for people: {name, document, text}
    @returns the entry */
export function keep(decision, about) {
  latest = Math.max(Date.now(), latest + 1); // in the order in which they were made
  const entry = { person: person(), at: latest, decision, about };
  write(entry);
  return entry;
}

/** Keep why the server refused a decision, until the person has seen it. */
export function refuse(entry, reason) {
  if (localStorage.getItem(keyOf(entry)) !== null) write({ ...entry, reason }); // unless another tab has dropped it
  changed();
}

export function drop(entry) {
  localStorage.removeItem(keyOf(entry));
}

/** The decisions of this person that wait, oldest first. */
export const waiting = () => entries().filter((one) => !one.reason);

/** The refused ones. */
export const refused = () => entries().filter((one) => one.reason);

/** The item as its waiting decision leaves it. */
export function asDecided(item) {
  const entry = waiting().findLast((one) => one.decision.item === item.id);
  if (!entry) return item;
  const { verdict, correction, note = "" } = entry.decision;
  if (verdict === "undo") return { ...item, state: "waiting", verdict: null, correction: null, decided: null, decided_by: null, lease: null };
  return { ...item, state: "decided", verdict, note, lease: null, correction: correction ? { category: item.category, start: item.start, end: item.end, text: item.text, page: item.page, ...correction } : null,
    decided: new Date(entry.at).toISOString(), decided_by: actor().name };
}

/** Tell the page that their number has changed. */
export function changed() {
  window.dispatchEvent(new CustomEvent("undelivered"));
}

const keyOf = (entry) => OWN + entry.decision.id;

const write = (entry) => localStorage.setItem(keyOf(entry), JSON.stringify(entry));

function entries() {
  const mine = person();
  return Object.keys(localStorage).filter((key) => key.startsWith(OWN)).map((key) => JSON.parse(localStorage.getItem(key)))
    .filter((one) => one?.person === mine).sort((one, two) => one.at - two.at);
}
