// A searchable list. The pattern is WAI-ARIA's "combobox with listbox popup".

import { fill, h } from "/pages/dom.js";

let serial = 0;

export class Combobox {
  /** `options` are {name, title, asks}. Calls `onpick(name)` with the choice. */
  constructor(label, options, onpick) {
    this.options = options;
    this.onpick = onpick;
    this.value = "";
    this.at = -1;
    const id = `combo-${++serial}`;
    this.list = h("ul.options", { id, role: "listbox", "aria-label": label, hidden: true });
    this.input = h("input", {
      type: "text", role: "combobox", "aria-expanded": "false", "aria-controls": id, "aria-autocomplete": "list",
      autocomplete: "off", spellcheck: "false",
      oninput: () => this.#open(this.input.value), onfocus: () => this.input.select(),
      onclick: () => { if (this.list.hidden) this.#open(""); },
      onkeydown: (event) => this.#key(event), onblur: () => this.#close(),
    });
    this.element = h("div.combobox", {}, h("label.field", {}, h("span", {}, label), this.input), this.list);
  }

  set(value) {
    this.value = value;
    this.input.value = this.#title;
  }

  get #title() {
    return this.options.find((option) => option.name === this.value)?.title ?? this.value;
  }

  #open(words) {
    const parts = words.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = ({ name, title, asks }) => parts.every((part) => `${title} ${name} ${asks}`.toLowerCase().includes(part));
    this.found = this.options.filter(fits);
    this.at = this.found.findIndex((option) => option.name === this.value);
    if (this.at < 0 && parts.length) this.at = this.found.length ? 0 : -1;
    const rows = this.found.map((option, index) => h("li", {
      role: "option", id: `${this.list.id}-${index}`, onpointerdown: (event) => { event.preventDefault(); this.#pick(option); },
    }, h("span.option-name", {}, option.title), h("span.muted", {}, option.asks)));
    fill(this.list, rows.length ? rows : h("li.muted", {}, "No clause type matches."));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.#point();
  }

  #close() {
    this.list.hidden = true;
    this.input.value = this.#title;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #pick(option) {
    this.value = option.name;
    this.#close();
    this.onpick(option.name);
  }

  #key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (this.list.hidden) this.#open("");
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.at = (this.at + step + this.found.length) % Math.max(1, this.found.length);
      this.#point();
      event.preventDefault();
    } else if (event.key === "Enter" && !event.ctrlKey && !this.list.hidden) {
      if (this.found[this.at]) this.#pick(this.found[this.at]);
      event.preventDefault();
      event.stopPropagation();
    } else if (event.key === "Escape" && !this.list.hidden) {
      this.#close();
      event.stopPropagation();
    }
  }

  #point() {
    [...this.list.children].forEach((row, index) => row.setAttribute("aria-selected", index === this.at));
    const row = this.found.length ? this.list.children[this.at] : null;
    if (!row) return;
    this.input.setAttribute("aria-activedescendant", row.id);
    this.list.scrollTop = row.offsetTop - this.list.clientHeight / 2;
  }
}
