// Parts of the tabs of People: tables that are drawn again, questions, and secrets that are shown once.

import { fill, h, say, unseenHead } from "/pages/dom.js";

const nameOf = (control) => control?.getAttribute("aria-label") ?? control?.textContent;

/** A part of the page that can be drawn again. The focus stays on the same control of the same row, if it is still there.
    @param read resolves to the elements */
export class Redrawn {
  constructor(read) {
    this.read = read;
    this.element = h("div.redrawn", { tabindex: "-1" });
    this.draw = this.draw.bind(this);
  }

  async draw() {
    const parts = await this.read();
    const { activeElement: active } = document;
    const inside = this.element.contains(active);
    const row = active.closest("[data-id]")?.dataset.id, name = nameOf(active);
    fill(this.element, parts);
    if (!inside || active.isConnected) return;
    const place = row ? this.element.querySelector(`[data-id="${CSS.escape(row)}"]`) : this.element;
    const controls = [...(place ?? this.element).querySelectorAll("button, a, select")];
    (controls.find((one) => nameOf(one) === name) ?? (row && place ? controls[0] : null) ?? this.element).focus();
  }
}

/** A button that changes something at once. A refusal stands below it.
    @param done called with the result of `work` */
export function acts(text, work, done) {
  let busy = false;
  const button = h("button.quiet", { type: "button", onclick: async () => {
    if (busy) return;
    busy = true;
    const place = button.parentElement;
    place.querySelector(":scope > .wrong")?.remove();
    try {
      await done(await work());
    } catch (error) {
      if (!place.isConnected) throw error;
      place.append(h("p.wrong", { role: "alert" }, error.message));
    } finally {
      busy = false;
    }
  } }, text);
  return button;
}

/** Ask in a dialog, then work. A refusal stands above the buttons, and the dialog stays open.
    @param parts the fields or the text of the question
    @param yes the name of the button that works
    @param work gets the data of the fields
    @param done called with the result of `work` when the dialog has closed */
export function ask(title, parts, yes, work, done) {
  const wrong = h("p.wrong", { role: "alert" });
  let busy = false;
  const form = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    wrong.textContent = "";
    try {
      const result = await work(new FormData(form));
      box.close();
      await done(result);
    } catch (error) {
      if (!box.open) throw error;
      wrong.textContent = error.message;
    } finally {
      busy = false;
    }
  } }, h("h2", {}, title), parts, wrong, h("div.row", {}, h("button.primary", {}, yes), h("button", { type: "button", onclick: () => box.close() }, "Cancel")));
  const box = h("dialog.question", { "aria-label": title, onclose: () => box.remove() }, form);
  document.body.append(box);
  box.showModal();
}

/** A button that asks before it ends or deletes something. */
export const careful = (text, title, why, work, done) => h("button.quiet", { type: "button", onclick: () => ask(title, h("p", {}, why), text, work, done) }, text);

/** Show a secret, with a button to copy it, and perhaps a warning. Resolves when the dialog has closed. */
export function showOnce(title, text, secret, warning = null) {
  const copied = h("span.muted.small", { role: "status" });
  const code = h("code", {}, secret);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      copied.textContent = "Copied";
    } catch { // not over plain http
      getSelection().selectAllChildren(code);
      copied.textContent = "Selected. Press Ctrl C.";
    }
  };
  return new Promise((resolve) => {
    const box = h("dialog", { "aria-label": title, onclose: () => { box.remove(); resolve(); } }, h("h2", {}, title), h("p", {}, text), h("p.secret", {}, code), warning && h("p.notice", {}, warning),
      h("div.row", {}, h("button.primary", { type: "button", onclick: copy }, "Copy"), copied, h("button", { type: "button", onclick: () => box.close() }, "Close")));
    document.body.append(box);
    box.showModal();
  });
}

/** A row of a table. On a narrow screen each cell states its heading itself. */
export function table(heads, rows) {
  for (const row of rows) [...row.cells].forEach((cell, at) => { if (at && heads[at]) cell.dataset.head = heads[at]; });
  return h("table.list.compact", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)), unseenHead("Actions"))), h("tbody", {}, rows));
}

/** What a tab is for, and its main button. */
export const head = (text, ...buttons) => h("div.row.apart.tab-head", {}, h("p.muted", {}, text), h("div.row", {}, buttons));

export const field = (text, props) => h("label.field", {}, h("span", {}, text), h("input", { autocomplete: "off", ...props }));

/** A list to choose from in a question. */
export const choice = (text, name, value, options) => h("label.field", {}, h("span", {}, text), h("select", { name }, options.map(([key, label]) => h("option", { value: key, selected: key === value }, label))));

/** Boxes to tick, as [value, text, whether it is ticked]. */
export const boxes = (legend, name, options) => h("fieldset.boxes", {}, h("legend", {}, legend), options.map(([value, text, checked]) => h("label", {}, h("input", { type: "checkbox", name, value, checked }), h("span", {}, text))));

/** Draw again, then announce. */
export const redraw = (draw, text) => async () => {
  await draw();
  say(text);
};
