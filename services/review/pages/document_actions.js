// What can be done with documents: with one in its row, or with the selected ones.

import { actor, get, may, post, put, query, remove } from "/pages/api.js";
import { labelOf, count, fill, h, say, select } from "/pages/dom.js";

const NAMED = 5; // documents named in a question
export const KINDS = [["contract", "Contract"], ["report", "Financial report"], ["other", "Other"]];

const path = (one, rest = "") => `/v1/documents/${encodeURIComponent(one.id)}${rest}`;

/** A field of a question: its element and its value. */
function chosen(label, options) {
  let value = options[0][0];
  return { element: select(label, value, options, (key) => { value = key; }), value: () => value };
}

function typed(label, props = {}, names = []) {
  const list = h("datalist", { id: "known-names" }, names.map((name) => h("option", { value: name })));
  const input = h("input", { autocomplete: "off", list: names.length > 0 && list.id, ...props });
  return { element: h("label.field", {}, h("span", {}, label), input, list), value: () => input.value.trim() };
}

/** Names that a document can be assigned to, as far as this person may know them. */
async function people(listed) {
  const users = may("admin") ? (await get("/v1/users")).items.filter((one) => !one.disabled).map((one) => one.name) : [];
  return [...new Set([actor().name, ...users, ...listed.map((one) => one.assignee).filter(Boolean)])];
}

/** The results of several documents as one CSV file; the header stands once. */
async function exported(documents) {
  const files = [];
  for (const one of documents) files.push(await get(query("/v1/exports", { format: "csv", document: one.id }), { text: true }));
  const rows = files.map((text, at) => (at ? text.slice(text.indexOf("\r\n") + 2) : text));
  const address = URL.createObjectURL(new Blob(rows, { type: "text/csv" }));
  h("a", { href: address, download: "smallprint-selected.csv" }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

const encrypted = (one) => (one.reasons ?? []).some((reason) => reason.startsWith("encrypted_document:"));

/** Each action: its name, whether it fits a document, and its work. An action may have a field. `shared`: reviewers may do it, too. */
const ACTIONS = [
  { name: "Enter the password", done: "sent for processing", fits: encrypted, alone: true, field: () => typed("PDF password", { type: "password", required: true }), work: (one, password) => post(path(one, "/reprocess"), { password }) },
  { name: "Type", done: "changed", fits: () => true, field: () => chosen("Type", KINDS), asks: "A different type processes a document again.", work: (one, kind) => put(path(one, "/kind"), { kind }) },
  { name: "Assign to me", done: "assigned to you", shared: true, fits: (one) => one.assignee !== actor().name, work: (one) => put(path(one, "/assignee"), { assignee: actor().name }) },
  { name: "Assign", done: "assigned", shared: true, fits: () => true, field: (names) => typed("Assign to (empty: nobody)", { maxlength: 100 }, names), asks: "Open items in the queue go to the same person.", work: (one, name) => put(path(one, "/assignee"), { assignee: name || null }) },
  { name: "Tag", done: "tagged", shared: true, fits: () => true, field: () => typed("Tag", { maxlength: 40, required: true }), work: (one, tag) => put(path(one, "/tags"), { tags: [...new Set([...(one.tags ?? []), tag])] }) },
  { name: "Remove tags", done: "changed", shared: true, fits: (one) => (one.tags ?? []).length > 0, work: (one) => put(path(one, "/tags"), { tags: [] }) },
  { name: "Process again", done: "sent for processing", fits: (one) => one.state === "ended", work: (one) => post(path(one, "/reprocess")) },
  { name: "Stop", done: "stopped", fits: (one) => one.state !== "ended", work: (one) => post(path(one, "/cancel")) },
  { name: "Delete", done: "deleted", fits: () => true, work: (one) => remove(path(one)), removes: true,
    asks: "Deletes the files, their text and all results. You can't undo this." },
];

const allowed = ({ shared }) => may("documents:write") || (shared && may("review"));

/** Each cause once, with its document or their number. */
function causes(failed) {
  const messages = [...new Set(failed.map(({ error }) => error.message))];
  return messages.map((message) => {
    const own = failed.filter(({ error }) => error.message === message);
    return `${own.length === 1 ? labelOf(own[0].one) : `${own.length} not`}: ${message}`;
  });
}

export class DocumentActions {
  /** Calls `changed(removed)` after an action, with the ids of deleted documents. `listed()` has the documents of the list. */
  constructor(changed, listed) {
    this.changed = changed;
    this.listed = listed;
    this.chosen = new Map(); // by id
    this.busy = false;
    this.status = h("p.status", { role: "status" });
    this.bar = h("div.bulk", { role: "region", "aria-label": "Selected documents", hidden: true });
    this.dialog = h("dialog", { "aria-label": "Question" });
    this.element = h("div", {}, this.bar, this.dialog);
  }

  /** The cell that selects a document. */
  box(one) {
    const box = h("input", { type: "checkbox", checked: this.chosen.has(one.id), "aria-label": `Select ${labelOf(one)}`, "data-id": one.id, onchange: () => this.choose(one, box.checked) });
    if (this.chosen.has(one.id)) this.chosen.set(one.id, one); // its state may have changed
    return h("td.choose", {}, box);
  }

  /** The cell with the menu of a document. */
  menu(one) {
    const act = (action) => h("button.quiet", { type: "button", onclick: () => { menu.open = false; this.run(action, [one]); } }, action.name);
    const menu = h("details.menu", { onkeydown: (event) => { if (event.key === "Escape") { menu.open = false; menu.firstChild.focus(); } } },
      h("summary", { "aria-label": `Actions for ${labelOf(one)}`, title: "Actions" }, "⋯"),
      h("div.menu-list", {}, h("a.button.quiet", { href: path(one, "/original"), download: true }, "Download"),
        ACTIONS.filter((action) => allowed(action) && action.fits(one)).map(act)));
    return h("td.action", {}, menu);
  }

  choose(one, yes) {
    if (yes) this.chosen.set(one.id, one);
    else this.chosen.delete(one.id);
    this.draw();
  }

  chooseAll(yes) {
    this.chosen = new Map(yes ? this.listed().map((one) => [one.id, one]) : []);
    this.draw();
  }

  clear() {
    this.chosen.clear();
    this.draw();
  }

  draw() {
    const listed = this.listed();
    for (const box of document.querySelectorAll(".choose input")) {
      box.checked = box.dataset.id ? this.chosen.has(box.dataset.id) : listed.length > 0 && listed.every((one) => this.chosen.has(one.id));
      box.indeterminate = !box.dataset.id && this.chosen.size > 0 && !box.checked;
    }
    const all = [...this.chosen.values()];
    const fitting = ACTIONS.filter((action) => allowed(action) && !action.alone && all.some(action.fits));
    this.bar.hidden = !all.length && !this.status.textContent;
    fill(this.bar, all.length > 0 && h("span", {}, `${all.length} selected`),
      all.length > 0 && [fitting.map((action) => h("button", { type: "button", disabled: this.busy, onclick: () => this.run(action, all.filter(action.fits)) }, action.name)),
        all.length === 1 && may("review") && h("a.button", { href: query("/v1/exports", { format: "xlsx", document: all[0].id }), download: true }, "Export"),
        all.length > 1 && may("review") && h("button", { type: "button", onclick: () => exported(all) }, "Export")],
      this.status, h("button.quiet", { type: "button", onclick: () => { this.status.textContent = ""; this.clear(); } }, all.length ? "Clear" : "Close"));
  }

  async run(action, documents) {
    if (this.busy) return;
    const field = action.field?.(action.name === "Assign" ? await people(this.listed()) : []);
    if ((action.asks || field) && !await this.ask(action, documents, field)) return;
    const value = field?.value();
    this.busy = true;
    const done = [];
    const failed = [];
    for (const [at, one] of documents.entries()) {
      this.tell(`${action.name}: ${at + 1} of ${documents.length}`);
      await action.work(one, value).then(() => done.push(one), (error) => failed.push({ one, error }));
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

  /** Ask before an action that can't be undone, or for its field. */
  ask(action, documents, field) {
    const names = documents.slice(0, NAMED).map((one) => h("li", {}, labelOf(one)));
    const others = documents.length - names.length;
    fill(this.dialog, h("form", { method: "dialog" }, h("h2", {}, `${action.name} ${count(documents.length, "document")}?`), h("ul.notes", {}, names, others > 0 && h("li", {}, `and ${count(others, "other")}`)), field?.element, action.asks && h("p", {}, action.asks),
      h("div.row", {}, h(field ? "button.primary" : "button.reject", { value: "yes" }, action.name), h("button", { value: "no", formnovalidate: true, autofocus: !field }, "Cancel"))));
    this.dialog.returnValue = "no";
    this.dialog.showModal();
    return new Promise((resolve) => { this.dialog.onclose = () => resolve(this.dialog.returnValue === "yes"); });
  }
}
