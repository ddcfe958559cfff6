// What can be done with documents: with one in its row, or with the selected ones.

import { may, post, query, remove } from "/pages/api.js";
import { count, fill, h, say } from "/pages/dom.js";

const NAMED = 5; // documents named in a question

const path = (one, rest = "") => `/v1/documents/${encodeURIComponent(one.id)}${rest}`;

/** Each action: its name, whether it fits a document, and its work. */
const ACTIONS = [
  { name: "Process again", done: "sent for processing", fits: (one) => one.state === "ended", work: (one) => post(path(one, "/reprocess")) },
  { name: "Stop", done: "stopped", fits: (one) => one.state !== "ended", work: (one) => post(path(one, "/cancel")) },
  { name: "Delete", done: "deleted", fits: () => true, work: (one) => remove(path(one)), removes: true,
    asks: "Deletes the files, their text and all results. You can't undo this." },
];

/** Each cause once, with its document or their number. */
function causes(failed) {
  const messages = [...new Set(failed.map(({ error }) => error.message))];
  return messages.map((message) => {
    const own = failed.filter(({ error }) => error.message === message);
    return `${own.length === 1 ? own[0].one.name : `${own.length} not`}: ${message}`;
  });
}

export class DocumentActions {
  /** Calls `changed(removed)` after an action, with the ids of deleted documents. */
  constructor(changed) {
    this.changed = changed;
    this.chosen = new Map(); // by id
    this.busy = false;
    this.status = h("p.status", { role: "status" });
    this.bar = h("div.bulk", { role: "region", "aria-label": "Selected documents", hidden: true });
    this.dialog = h("dialog", { "aria-label": "Question" });
    this.element = h("div", {}, this.bar, this.dialog);
  }

  /** The cell that selects a document. */
  box(one) {
    const box = h("input", { type: "checkbox", checked: this.chosen.has(one.id), "aria-label": `Select ${one.name}`, "data-id": one.id, onchange: () => this.choose(one, box.checked) });
    if (this.chosen.has(one.id)) this.chosen.set(one.id, one); // its state may have changed
    return h("td.choose", {}, box);
  }

  /** The cell with the menu of a document. */
  menu(one) {
    const act = (action) => h("button.quiet", { type: "button", onclick: () => { menu.open = false; this.run(action, [one]); } }, action.name);
    const menu = h("details.menu", { onkeydown: (event) => { if (event.key === "Escape") { menu.open = false; menu.firstChild.focus(); } } },
      h("summary", { "aria-label": `Actions for ${one.name}`, title: "Actions" }, "⋯"),
      h("div.menu-list", {}, h("a.button.quiet", { href: path(one, "/original"), download: true }, "Download"),
        may("documents:write") && ACTIONS.filter((action) => action.fits(one)).map(act)));
    return h("td.action", {}, menu);
  }

  choose(one, yes) {
    if (yes) this.chosen.set(one.id, one);
    else this.chosen.delete(one.id);
    this.draw();
  }

  clear() {
    this.chosen.clear();
    this.draw();
  }

  draw() {
    for (const box of document.querySelectorAll(".choose input")) box.checked = this.chosen.has(box.dataset.id);
    const all = [...this.chosen.values()];
    const fitting = ACTIONS.filter((action) => all.some(action.fits));
    this.bar.hidden = !all.length && !this.status.textContent;
    fill(this.bar, all.length > 0 && h("span", {}, `${all.length} selected`),
      all.length > 0 && [fitting.map((action) => h("button", { type: "button", disabled: this.busy, onclick: () => this.run(action, all.filter(action.fits)) }, action.name)),
        all.length === 1 && may("review") && h("a.button", { href: query("/v1/exports", { format: "xlsx", document: all[0].id }), download: true }, "Export")],
      this.status, h("button.quiet", { type: "button", onclick: () => { this.status.textContent = ""; this.clear(); } }, all.length ? "Clear" : "Close"));
  }

  async run(action, documents) {
    if (this.busy || (action.asks && !await this.ask(action, documents))) return;
    this.busy = true;
    const done = [];
    const failed = [];
    for (const [at, one] of documents.entries()) {
      this.tell(`${action.name}: ${at + 1} of ${documents.length}`);
      await action.work(one).then(() => done.push(one), (error) => failed.push({ one, error }));
    }
    this.busy = false;
    for (const one of done) this.chosen.delete(one.id);
    this.tell([`${count(done.length, "document")} ${action.done}.`, ...causes(failed)].join(" "), failed.length > 0);
    say(this.status.textContent);
    await this.changed(action.removes ? done.map((one) => one.id) : []);
  }

  tell(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("wrong", wrong);
    this.draw();
  }

  /** Ask before an action that can't be undone. */
  ask(action, documents) {
    const names = documents.slice(0, NAMED).map((one) => h("li", {}, one.name));
    const others = documents.length - names.length;
    fill(this.dialog, h("form", { method: "dialog" }, h("h2", {}, `${action.name} ${count(documents.length, "document")}?`), h("ul.notes", {}, names, others > 0 && h("li", {}, `and ${count(others, "other")}`)), h("p", {}, action.asks),
      h("div.row", {}, h("button.reject", { value: "yes" }, action.name), h("button", { value: "no", autofocus: true }, "Cancel"))));
    this.dialog.returnValue = "no";
    this.dialog.showModal();
    return new Promise((resolve) => { this.dialog.onclose = () => resolve(this.dialog.returnValue === "yes"); });
  }
}
