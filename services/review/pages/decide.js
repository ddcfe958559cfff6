// Sends a decision so that it is stored exactly once.

import { Offline, post, Problem } from "/pages/api.js";
import { claim } from "/pages/tab_session.js";
import { newId, recall, remember } from "/pages/tab_storage.js";

const AGAIN = 2_000;
let unsent = 0;

window.addEventListener("beforeunload", (event) => {
  if (unsent) event.preventDefault();
});

/** Decide an item. Retries while offline, and claims the item again if its lease ended. */
export async function decide(decision) {
  const sent = { id: newId("de"), ...decision }; // with its own id a repeated request decides once
  unsent += 1;
  try {
    return await persist(sent);
  } finally {
    unsent -= 1;
  }
}

async function persist(decision, reclaimed = false) {
  try {
    return await post("/v1/decisions", decision);
  } catch (error) {
    if (error instanceof Offline) {
      await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
      return persist(decision, reclaimed);
    }
    if (error instanceof Problem && error.code === "lease_lost" && !reclaimed) {
      await claim({ item: decision.item });
      return persist(decision, true);
    }
    throw error;
  }
}

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
