// The stays of this tab at the queue. Every claim is made in the name of one; leaving gives back
// with one request all that it holds, and the server refuses what it claims after that.
//
// The tab's id is the same after a reload and another in a copy of the tab, although a copy begins
// with the same sessionStorage. So the id lies there only from one page of the tab to the next, and
// with it goes a ticket in localStorage, which all tabs share: of two copies only one finds it.

import { csrf, post } from "/pages/api.js";
import { newId } from "/pages/tab.js";

const PARKED = "smallprint.tab"; // in sessionStorage: [id, generation]
const TICKETS = "smallprint.tabs"; // in localStorage: ids that were parked and not taken up since
const MOST_TICKETS = 100;

let tab = arrive();
let open = null; // the last stay, unless it was left
let leaving = Promise.resolve();

/** A new stay; it ends those before it. */
export function enter() {
  tab.generation += 1;
  open = { ...tab };
  return open;
}

/** The stay that goes on, or a new one. */
export const here = () => open ?? enter();

/** Claim in the name of a stay; null if nothing waits. */
export async function claim(wanted, stay = here()) {
  try {
    return await post("/v1/items/claim", { ...wanted, tab: stay });
  } catch (error) {
    if (error.code !== "tab_left" || stay !== open) throw error;
    // It goes on here, so another tab has this id too, or had it: go on under a new one.
    tab = stranger(1);
    Object.assign(stay, tab);
    return post("/v1/items/claim", { ...wanted, tab: stay });
  }
}

/** Give back all that a stay holds, or will be given; also while the page is going away. */
export function leave(stay) {
  if (stay === open) open = null;
  leaving = fetch("/v1/items/release", {
    method: "POST",
    keepalive: true,
    credentials: "same-origin",
    headers: { "content-type": "application/json", "x-csrf-token": csrf() ?? "" },
    body: JSON.stringify({ tab: stay }),
  }).catch(() => {});
  return leaving;
}

/** Resolves once everything that this tab held is given back, as far as the server can be reached. */
export const left = () => (open ? leave(open) : leaving);

function arrive() {
  const [id, generation] = JSON.parse(sessionStorage.getItem(PARKED) ?? "[]");
  sessionStorage.removeItem(PARKED);
  const waiting = tickets();
  if (!waiting.includes(id)) return stranger(0);
  keep(waiting.filter((other) => other !== id));
  return { id, generation };
}

function depart() {
  if (open) leave(open);
  sessionStorage.setItem(PARKED, JSON.stringify([tab.id, tab.generation]));
  keep([...tickets(), tab.id]);
}

function stranger(generation) {
  return { id: newId("tab"), generation };
}

function tickets() {
  return JSON.parse(localStorage.getItem(TICKETS) ?? "[]");
}

function keep(ids) {
  localStorage.setItem(TICKETS, JSON.stringify(ids.slice(-MOST_TICKETS)));
}

window.addEventListener("pagehide", depart);
window.addEventListener("pageshow", (event) => { if (event.persisted) tab = arrive(); });
