// The text of the first pages while the other pages are still read.

import { get, Problem } from "/pages/api.js";
import { certainty, count, excerpt, h, number } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";
import { ownWords } from "/pages/text.js";

export class FirstPages {
  constructor(path) {
    this.path = path;
    this.page = 1;
    this.done = 0;
    this.bar = h("progress", { "aria-label": "Pages read" });
    this.label = h("p.muted", { role: "status" });
    const button = (label, text, by) => h("button.quiet", { type: "button", "aria-label": label, title: label, onclick: () => this.step(by) }, text);
    this.place = h("span.muted");
    this.words = h("div.prose-text");
    this.element = h("section.early", { "aria-label": "Pages read so far" },
      h("div.row.apart", {}, h("div.row.tight", {}, this.bar, this.label),
        h("div.row.tight", {}, button("Previous page (left arrow)", "‹", -1), this.place, button("Next page (right arrow)", "›", 1))),
      h("div.sheet.prose", {}, this.words));
  }

  /** Show the progress of the reading. */
  async show({ pages_done: done, pages }) {
    this.done = done;
    this.bar.max = pages;
    this.bar.value = done;
    this.label.textContent = `${number(done)} of ${count(pages, "page")} read`;
    await this.#draw();
  }

  async step(by) {
    this.page = Math.min(Math.max(1, this.page + by), this.done || 1);
    await this.#draw();
  }

  async #draw() {
    const page = this.page;
    this.place.textContent = `page ${number(page)}`;
    if (this.drawn === page) return;
    const text = await get(`${this.path}/pages/${page}.txt`, { text: true }).catch((error) => {
      if (error instanceof Problem && error.status === 404) return error.message;
      throw error;
    });
    if (this.page !== page) return;
    this.drawn = page;
    this.words.textContent = text;
  }
}

/** The clauses of the first pages. They have no items yet. */
export function firstClauses({ items, pages }) {
  return [h("p.muted", {}, `Preliminary results from ${count(pages, "page")}. Review starts when all pages are read.`),
    items.map((one) => h("section.group", {}, h("h2", {}, titleOf(one.category)), h("p.clip", {}, excerpt(ownWords(one), 220)),
      h("p.row.apart", {}, certainty(one.confidence), h("span.muted", {}, `page ${one.page}`))))];
}
