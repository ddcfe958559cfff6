// The correction of a clause: another type, other words of the document, or another value.

import { boxesOf } from "/pages/claims.js";
import { Combobox } from "/pages/combobox.js";
import * as known from "/pages/document_cache.js";
import { fill, flowing, h, kbd } from "/pages/dom.js";
import { clauseType, clauseTypes } from "/pages/names.js";
import { exampleOf, writable, written } from "/pages/values.js";

export class Correction {
  /** Calls `save(right)` with what is right, `close()` to give up, and `tell(text, wrong)`. */
  constructor(item, viewer, { save, close, tell }) {
    Object.assign(this, { item, viewer, tell, category: item.category, text: item.text });
    this.span = { start: item.start, end: item.end };
    this.onsave = save;
    const types = new Combobox("Clause type", withOwn(item.category), (name) => { this.category = name; this.#draw(); this.button.focus(); });
    types.set(item.category);
    this.input = types.input;
    this.preview = h("blockquote.quote.new");
    this.read = item.value ? writable(item.value) : "";
    this.value = h("input.value-input", { value: this.read, maxlength: 200, placeholder: exampleOf(item) ?? null, oninput: () => this.#draw() });
    this.valueBox = item.value && h("label.field", {}, "Value", this.value);
    this.button = h("button.primary", { type: "button", onclick: () => this.save(), title: "Save (Enter)", "aria-keyshortcuts": "Enter" }, "Save the correction", kbd("↵"));
    const nudge = (edge, step, label, sign) => h("button.quiet", { type: "button", "aria-label": label, title: label, onclick: (event) => this.#nudge(edge, step, event.detail > 0) }, sign);
    this.element = h("div.correction", {}, h("h2", {}, "Correct this clause"), types.element,
      h("div.row.apart", {}, h("span.label", {}, "Words"), h("span.muted", {}, "select them in the document")),
      this.preview,
      h("div.row.apart.nudges", {},
        h("span.row.tight", {}, "Begin", nudge("start", -1, "Begin a word earlier", "‹"), nudge("start", 1, "Begin a word later", "›")),
        h("span.row.tight", {}, "End", nudge("end", -1, "End a word earlier", "‹"), nudge("end", 1, "End a word later", "›"))),
      this.valueBox,
      h("div.row", {}, this.button, h("button", { type: "button", onclick: close }, "Cancel", kbd("Esc"))));
    this.#draw();
  }

  #draw() {
    this.preview.textContent = flowing(this.text);
    if (this.valueBox) this.valueBox.hidden = this.#renamed;
    this.button.disabled = !this.#renamed && !this.#moved && !this.#valued;
  }

  get #renamed() {
    return this.category !== this.item.category;
  }

  /** Whether the value is another one. It goes with the type that the clause has. */
  get #valued() {
    return !this.#renamed && this.value.value.trim() !== this.read;
  }

  get #moved() {
    return this.span.start !== this.item.start || this.span.end !== this.item.end;
  }

  async #nudge(edge, step, clicked) {
    const text = await known.text(this.item.document_id);
    if (!this.element.isConnected) return;
    await this.moveSpan(text.moved(this.span, edge, step));
    if (clicked && this.element.isConnected) this.button.focus({ preventScroll: true }); // so that Enter saves
  }

  /** Take other words. */
  async moveSpan(span) {
    const text = await known.text(this.item.document_id);
    this.span = span;
    this.text = text.slice(span.start, span.end);
    this.#draw();
    document.getSelection().removeAllRanges();
    await this.viewer.mark({ span });
    const boxes = await boxesOf(this.item, span).catch(() => null);
    if (boxes && this.element.isConnected && this.span === span) await this.viewer.mark({ boxes });
  }

  async save() {
    if (this.button.disabled) {
      this.tell("Change the clause type, the words or the value first.", true);
      return;
    }
    const value = this.#valued ? written(this.value.value, this.item) : {};
    if (!value) {
      this.tell(`Write the value like this: ${exampleOf(this.item) ?? "a name"}.`, true);
      this.value.focus();
      return;
    }
    await this.onsave({ category: this.category, ...this.#moved && { ...this.span, text: this.text }, ...value });
  }
}

function withOwn(category) {
  const types = clauseTypes();
  return types.some((one) => one.name === category) ? types : [{ ...clauseType(category), asks: "as found" }, ...types];
}
