// The saved views of a person, in this browser. They stay after the sign-out, unseen by others.

import { actor } from "/pages/api.js";

const MOST = 12;
const key = () => `smallprint.views.${actor().id}`;

/** The saved views as {name, filters}. */
export function savedViews() {
  try {
    return JSON.parse(localStorage.getItem(key()) ?? "[]");
  } catch {
    return [];
  }
}

/** Save a view. One of the same name is replaced. */
export function saveView(name, filters) {
  store([...savedViews().filter((one) => one.name !== name), { name, filters }].slice(-MOST));
}

export function forgetView(name) {
  store(savedViews().filter((one) => one.name !== name));
}

const store = (views) => localStorage.setItem(key(), JSON.stringify(views));
