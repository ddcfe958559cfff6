// Adds a clause that the model missed: words selected in a document, and a clause type.

import { post, Offline } from "/pages/api.js";
import { Combobox } from "/pages/combobox.js";
import { fill, flowing, h, kbd } from "/pages/dom.js";
import * as known from "/pages/document_cache.js";
import { clauseTypes } from "/pages/names.js";
import { newId } from "/pages/tab_storage.js";

export class ClauseAdder {
  /** Calls `onadd(item)` with the new item. */
  constructor(id, onadd) {
    this.id = id;
    this.onadd = onadd;
    this.button = h("button.add-clause", { type: "button", hidden: true, "aria-keyshortcuts": "I", onclick: () => this.ask() }, "Add clause", kbd("I"));
    this.dialog = h("dialog", { "aria-label": "Add a clause" });
    this.element = h("div.adder", {}, this.button, this.dialog);
  }

  /** Offer to add a selected span, beside the selection. */
  offer(span) {
    const selection = document.getSelection();
    if (!selection.rangeCount) return; // it ended meanwhile
    this.span = span;
    const place = selection.getRangeAt(0).getBoundingClientRect();
    this.button.hidden = false;
    this.button.style.left = `${Math.max(8, Math.min(place.left, innerWidth - this.button.offsetWidth - 8))}px`;
    this.button.style.top = `${Math.max(8, Math.min(place.bottom + 6, innerHeight - this.button.offsetHeight - 8))}px`;
  }

  /** Forget the span once its words are no longer selected. */
  forget() {
    this.button.hidden = true;
    this.span = null;
  }

  /** Ask for the clause type. Nothing happens without selected words. */
  async ask() {
    const { span } = this;
    if (!span || this.dialog.open) return;
    const text = await known.text(this.id);
    if (!this.element.isConnected || this.dialog.open) return;
    const words = text.slice(span.start, span.end);
    const request = { id: newId("de"), document: this.id, ...span, text: words }; // with its own id a repeated request adds once
    const add = h("button.primary", { disabled: true }, "Add", kbd("↵"));
    const types = new Combobox("Clause type", clauseTypes(), (category) => {
      request.category = category;
      add.disabled = false;
      add.focus();
    });
    const note = h("textarea", { rows: 2, maxlength: 4000 });
    const status = h("p.status.wrong", { role: "alert" });
    const send = async (event) => {
      event.preventDefault();
      add.disabled = true;
      status.textContent = "";
      try {
        const { item } = await post("/v1/items", { ...request, note: note.value.trim() });
        this.dialog.close();
        this.forget();
        document.getSelection().removeAllRanges();
        this.onadd(item);
      } catch (error) {
        add.disabled = false;
        const lost = error instanceof Offline;
        if (lost) types.input.disabled = note.disabled = true; // it may be stored with this type already
        status.textContent = lost ? "No connection. Add again: it is added only once." : error.message;
      }
    };
    fill(this.dialog, h("form", { onsubmit: send }, h("h2", {}, "Add a clause"), h("blockquote.quote.clip", {}, flowing(words)), types.element,
      h("label.field", {}, h("span", {}, "Note (optional)"), note), status,
      h("div.row", {}, add, h("button", { type: "button", onclick: () => this.dialog.close() }, "Cancel", kbd("Esc")))));
    this.dialog.showModal();
    types.input.focus();
  }
}
