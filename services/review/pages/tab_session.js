// Sessions of this tab at the queue. Every claim names one. Leaving releases all its claims with one
// request, and the server refuses later ones.
//
// The tab's id survives a reload, but a copy of the tab needs a new id. A copy starts with the same
// sessionStorage. So the id is stored only between two pages, with a ticket in the shared
// localStorage. Only one of two copies finds the ticket.

import { csrf, post } from "/pages/api.js";
import { newId } from "/pages/tab_storage.js";

const PARKED = "smallprint.tab"; // in sessionStorage: [id, generation]
const TICKETS = "smallprint.tabs"; // in localStorage: parked ids that no page has used since
const MOST_TICKETS = 100;

let tab = arrive();
let open = null; // the current session, if any
let leaving = Promise.resolve();

/** Begin a session. It ends the earlier ones. */
export function enter() {
  tab.generation += 1;
  open = { ...tab };
  return open;
}

/** The current session, or a new one. */
export const here = () => open ?? enter();

/** Claim an item in a session; null if none is waiting. */
export async function claim(wanted, stay = here()) {
  try {
    return await post("/v1/items/claim", { ...wanted, tab: stay });
  } catch (error) {
    if (error.code !== "tab_left" || stay !== open) throw error;
    // Another tab has or had the same id: continue under a new one.
    tab = stranger(1);
    Object.assign(stay, tab);
    return post("/v1/items/claim", { ...wanted, tab: stay });
  }
}

/** Release all claims of a session, even while the page closes. */
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

/** Resolves after all claims of this tab are released, if the server is reachable. */
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
