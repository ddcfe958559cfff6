// Sends decisions so that each is stored exactly once, in the order in which they were made, even if the
// network fails or the page is closed.

import { actor, Offline, post, Problem, replacedBy, samePerson, whoAmI } from "/pages/api.js";
import { excerpt } from "/pages/dom.js";
import { nameOf } from "/pages/names.js";
import { claim } from "/pages/tab_session.js";
import { newId, recall, remember } from "/pages/tab_storage.js";
import { ownWords } from "/pages/text.js";
import { changed, drop, keep, refuse, waiting } from "/pages/undelivered.js";

const AGAIN = 2_000; // milliseconds until it is sent again
const SILENT = 20_000; // milliseconds without an answer that count as no connection
const BUSY = [429, 502, 503, 504]; // the server or its proxy can't answer now

const callers = new Map(); // by id of a decision: who waits for its answer in this page
let delivering = null;
let paused = false;
let timer = null;

/** Decide an item.
    @param item to show it if the server refuses the decision later
    @param stays whether a refusal stays in the banner, because the page goes on
    @returns the answer of the server; null if it can't be reached, and the decision waits */
export function decide(decision, item, { stays = false } = {}) {
  const id = newId("de"); // with its own id a repeated request decides once
  keep({ id, ...decision }, { name: nameOf(item), document: item.title || item.document || item.document_name || "", text: excerpt(ownWords(item) ?? "", 200) });
  const answer = new Promise((resolve, reject) => { callers.set(id, { resolve, reject, stays }); });
  deliver();
  return answer;
}

/** Send what waits, oldest first. Resolves after the last one, or once the server can't be reached. */
export function deliver() {
  delivering ??= inOrder();
  return delivering;
}

async function inOrder() {
  await null; // so that `delivering` is set
  clearTimeout(timer);
  for (let entry = waiting()[0]; entry; entry = waiting()[0]) {
    const { id } = entry.decision;
    try {
      const answer = await send(entry.decision);
      drop(entry);
      callers.get(id)?.resolve(answer);
      callers.delete(id);
    } catch (error) {
      if (isTemporary(error)) {
        delivering = null;
        pause(error);
        return;
      }
      giveUp(entry, error);
    }
    if (paused) changed();
  }
  for (const { resolve } of callers.values()) resolve(null); // another tab has sent theirs
  callers.clear();
  delivering = null;
  paused = false;
  changed();
}

/** Send one decision. Claims the item again if its lease ended. */
async function send(decision, renewed = false) {
  try {
    return await post("/v1/decisions", decision, { signal: AbortSignal.timeout(SILENT) });
  } catch (error) {
    if (renewed || !(error instanceof Problem)) throw error;
    if (error.code === "lease_lost") {
      await claim({ item: decision.item }).catch((reason) => { if (!(reason instanceof Problem)) throw reason; }); // the next answer says why not
    } else if (error.code === "not_allowed") { // perhaps this browser has another session now
      const before = actor();
      if (!samePerson(before, await whoAmI())) throw replacedBy(before);
    } else throw error;
    return send(decision, true);
  }
}

/** Whether the same request may succeed later. */
const isTemporary = (error) => error instanceof Offline || error.status === 401 || BUSY.includes(error.status);

function pause(error) {
  if (error.status === 401) for (const { reject } of callers.values()) reject(error);
  else {
    for (const { resolve } of callers.values()) resolve(null);
    timer = setTimeout(deliver, AGAIN);
  }
  callers.clear();
  paused = true;
  changed();
}

/** The server refused a decision. Without it, later ones about the same item have no meaning. */
function giveUp(entry, error) {
  const caller = callers.get(entry.decision.id);
  callers.delete(entry.decision.id);
  const [, ...later] = waiting().filter((one) => one.decision.item === entry.decision.item);
  const last = later.at(-1) ?? entry;
  for (const one of [entry, ...later]) if (one !== last) drop(one);
  if ((caller && !caller.stays) || (later.length && last.decision.verdict === "undo")) drop(last); // the page shows it, or nothing was to be stored
  else refuse(last, error.message);
  caller?.reject(error);
  for (const { decision } of later) {
    callers.get(decision.id)?.reject(error);
    callers.delete(decision.id);
  }
}

window.addEventListener("online", deliver);

const DONE = "done";

/** Decisions of this tab for undo, newest last. */
export const history = {
  all: () => recall(DONE),
  push(entry) {
    remember(DONE, [...this.all(), entry].slice(-100));
  },
  drop(item) {
    remember(DONE, this.all().filter((entry) => entry.item !== item));
  },
};
