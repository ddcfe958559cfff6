// Sending a decision so that it is stored once, whatever the network does in between.

import { Offline, post, Problem } from "/pages/api.js";
import { claim } from "/pages/stay.js";
import { newId, recall, remember } from "/pages/tab.js";

const AGAIN = 2_000;
let unsent = 0;

window.addEventListener("beforeunload", (event) => {
  if (unsent) event.preventDefault();
});

/** Decide; waits for the connection if there is none, and takes a lease again that ran out. */
export async function decide(wish) {
  const sent = { id: newId("de"), ...wish }; // an id of our own, so that a repeated request decides once
  unsent += 1;
  try {
    return await persist(sent);
  } finally {
    unsent -= 1;
  }
}

async function persist(wish, reclaimed = false) {
  try {
    return await post("/v1/decisions", wish);
  } catch (error) {
    if (error instanceof Offline) {
      await new Promise((resolve) => { setTimeout(resolve, AGAIN); });
      return persist(wish, reclaimed);
    }
    if (error instanceof Problem && error.code === "lease_lost" && !reclaimed) {
      await claim({ item: wish.item });
      return persist(wish, true);
    }
    throw error;
  }
}

const DONE = "done";

/** What was decided in this tab, the newest last, for undo. */
export const history = {
  all: () => recall(DONE),
  push(entry) {
    remember(DONE, [...this.all(), entry].slice(-100));
  },
  drop(item) {
    remember(DONE, this.all().filter((entry) => entry.item !== item));
  },
};
