// Tabs, by WAI-ARIA's pattern with automatic activation.

import { h } from "/pages/dom.js";

let serial = 0;

export class Tabs {
  /** `entries` are [key, name, count, element]. Calls `onchange(key)` with the chosen one. */
  constructor(label, entries, chosen, onchange) {
    const id = `tabs-${++serial}`;
    this.onchange = onchange;
    this.entries = entries;
    this.buttons = entries.map(([key, name, count]) => h("button.tab", {
      type: "button", role: "tab", id: `${id}-${key}`, "aria-controls": `${id}-${key}-panel`, onclick: () => this.choose(key),
    }, name, " ", h("span.count", {}, count)));
    this.panels = entries.map(([key, , , element]) => h("div", { role: "tabpanel", id: `${id}-${key}-panel`, "aria-labelledby": `${id}-${key}` }, element));
    this.element = h("div", {}, h("div.tabs", { role: "tablist", "aria-label": label, onkeydown: (event) => this.#key(event) }, this.buttons), this.panels);
    this.choose(entries.some(([key]) => key === chosen) ? chosen : entries[0][0], false);
  }

  choose(key, tell = true) {
    this.chosen = this.entries.findIndex(([one]) => one === key);
    this.buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", at === this.chosen);
      button.tabIndex = at === this.chosen ? 0 : -1;
      this.panels[at].hidden = at !== this.chosen;
    });
    if (tell) this.onchange(key);
  }

  /** Choose by number, from 1. */
  chooseAt(number) {
    if (this.entries[number - 1]) this.choose(this.entries[number - 1][0]);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.entries[(this.chosen + step + this.entries.length) % this.entries.length][0]);
    this.buttons[this.chosen].focus();
  }
}
