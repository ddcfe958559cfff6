// What can be done with several items of the queue: assign them, or accept the sure ones.

import { actor, get, may, put } from "/pages/api.js";
import { decide } from "/pages/decide.js";
import { count, fill, h, kbd, say } from "/pages/dom.js";
import { claim, enter, leave } from "/pages/tab_session.js";

const SURE = 90; // percent of confidence that the question suggests
const AT_ONCE = 500; // items of a request

export class QueueActions {
  /** Calls `changed()` after an action. `listed()` has the items of the list. */
  constructor({ changed, listed }) {
    this.changed = changed;
    this.listed = listed;
    this.chosen = new Map(); // by id
    this.accepts = false; // whether several may be accepted at once
    this.done = []; // the items accepted last
    this.status = h("p.status", { role: "status" });
    this.bar = h("div.bulk", { role: "region", "aria-label": "Selected items", hidden: true });
    this.dialog = h("dialog", { "aria-label": "Question" });
    this.element = h("div", {}, this.bar, this.dialog);
  }

  /** The cell that selects an item. */
  box(one, name) {
    const box = h("input", { type: "checkbox", checked: this.chosen.has(one.id), disabled: one.state === "decided", "aria-label": `Select ${name}`, "data-id": one.id, onchange: () => this.choose(one, box.checked) });
    return h("td.choose", {}, box);
  }

  /** The head cell that selects all. */
  boxOfAll() {
    return h("th.choose", { scope: "col" }, h("input", { type: "checkbox", "aria-label": "Select all in the list", onchange: ({ target }) => this.chooseAll(target.checked) }));
  }

  choose(one, yes) {
    if (yes) this.chosen.set(one.id, one);
    else this.chosen.delete(one.id);
    this.draw();
    say(`${this.chosen.size} selected`);
  }

  chooseAll(yes) {
    this.chosen = new Map(yes ? this.listed().filter((one) => one.state !== "decided").map((one) => [one.id, one]) : []);
    this.draw();
  }

  draw() {
    const open = this.listed().filter((one) => one.state !== "decided");
    for (const box of document.querySelectorAll(".choose input")) {
      box.checked = box.dataset.id ? this.chosen.has(box.dataset.id) : open.length > 0 && open.every((one) => this.chosen.has(one.id));
      box.indeterminate = !box.dataset.id && this.chosen.size > 0 && !box.checked;
    }
    const act = (text, onclick, key) => h("button", { type: "button", disabled: this.busy, onclick, "aria-keyshortcuts": key }, text, key && kbd(key));
    this.bar.hidden = !this.chosen.size && !this.status.textContent;
    fill(this.bar, this.chosen.size > 0 && [h("span", {}, `${this.chosen.size} selected`), act("Assign to me", () => this.assign(actor().name), "M"), act("Assign", () => this.askPerson()),
      this.accepts && act("Accept the sure ones", () => this.askConfidence(), "⇧A")],
    this.status, this.done.length > 0 && act("Undo", () => this.undo()),
    h("button.quiet", { type: "button", onclick: () => this.clear() }, this.chosen.size ? "Clear" : "Close"));
  }

  clear() {
    this.status.textContent = "";
    this.done = [];
    this.chosen.clear();
    this.draw();
  }

  tell(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
    this.draw();
  }

  async assign(name) {
    const ids = [...this.chosen.keys()];
    if (!ids.length || this.busy) return;
    try {
      for (let from = 0; from < ids.length; from += AT_ONCE) await put("/v1/items/assignee", { items: ids.slice(from, from + AT_ONCE), assignee: name || null });
    } catch (error) {
      this.tell(error.message, true);
      return;
    }
    this.chosen.clear();
    this.tell(`${count(ids.length, "item")} assigned to ${name || "nobody"}.`);
    await this.changed();
  }

  async askPerson() {
    const users = may("admin") ? (await get("/v1/users")).items.filter((one) => !one.disabled).map((one) => one.name) : [];
    const names = [...new Set([actor().name, ...users, ...this.listed().map((one) => one.assignee).filter(Boolean)])];
    const input = h("input", { autocomplete: "off", list: "people", maxlength: 100 });
    if (await this.#ask(`Assign ${count(this.chosen.size, "item")}`, [h("label.field", {}, h("span", {}, "Person (empty: nobody)"), input), h("datalist", { id: "people" }, names.map((value) => h("option", { value })))], "Assign")) await this.assign(input.value.trim());
  }

  /** Ask for the confidence from which items are accepted. */
  async askConfidence() {
    if (!this.chosen.size || !this.accepts || this.busy) return;
    const input = h("input", { type: "number", min: 50, max: 100, value: SURE, required: true, oninput: () => tell() });
    const number = h("p", { "aria-live": "polite" });
    const fitting = () => [...this.chosen.values()].filter((one) => one.state === "waiting" && one.kind === "clause" && one.confidence >= Number(input.value) / 100);
    const tell = () => { number.textContent = `${count(fitting().length, "clause")} of ${count(this.chosen.size, "item")} will be accepted.`; };
    tell();
    const parts = [h("label.field", {}, h("span", {}, "Confidence of at least (percent)"), input), number, h("p.muted", {}, "Nobody looks at each of them, so they count in no error rate. Undo takes all of them back.")];
    if (await this.#ask("Accept without a look at each?", parts, "Accept")) await this.accept(fitting());
  }

  async accept(items) {
    this.busy = true;
    this.done = [];
    const failed = [];
    for (const [at, one] of items.entries()) {
      this.tell(`Accepting ${at + 1} of ${items.length}`);
      try {
        await claim({ item: one.id });
        await decide({ item: one.id, verdict: "accept", bulk: true }, one);
        this.done.push(one);
      } catch (error) {
        failed.push(error.message);
      }
    }
    this.busy = false;
    this.chosen.clear();
    this.tell([`${count(this.done.length, "item")} accepted.`, ...new Set(failed)].join(" "), failed.length > 0);
    await this.changed();
  }

  async undo() {
    const all = this.done;
    const failed = [];
    const stay = enter();
    this.busy = true;
    for (const [at, one] of all.entries()) {
      this.tell(`Undoing ${at + 1} of ${all.length}`);
      await decide({ item: one.id, verdict: "undo", tab: stay }, one).catch((error) => failed.push(error.message));
    }
    leave(stay); // other reviewers can take the items
    this.busy = false;
    this.done = [];
    this.tell([`${count(all.length - failed.length, "decision")} undone.`, ...new Set(failed)].join(" "), failed.length > 0);
    await this.changed();
  }

  #ask(title, parts, yes) {
    fill(this.dialog, h("form", { method: "dialog" }, h("h2", {}, title), parts, h("div.row", {}, h("button.primary", { value: "yes" }, yes), h("button", { value: "no", formnovalidate: true }, "Cancel"))));
    this.dialog.returnValue = "no";
    this.dialog.showModal();
    return new Promise((resolve) => { this.dialog.onclose = () => resolve(this.dialog.returnValue === "yes"); });
  }
}

