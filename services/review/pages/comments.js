// The comments of reviewers on an item, and a form for one more.

import { actor, get, post, remove } from "/pages/api.js";
import { fill, h, kbd, moment, say } from "/pages/dom.js";

const drafts = new Map(); // by path of the item

export class Comments {
  /** @param item an open or decided item */
  constructor(item) {
    this.path = `/v1/items/${encodeURIComponent(item.id)}`;
    this.list = h("ul.comment-list");
    this.input = h("textarea", { rows: 2, maxlength: 2000, "aria-label": "Comment", placeholder: "For other reviewers. No report has it.", onkeydown: (event) => this.#key(event), oninput: () => drafts.set(this.path, this.input.value) });
    this.input.value = drafts.get(this.path) ?? "";
    this.status = h("p.status.wrong", { role: "alert" });
    this.send = h("button", { type: "submit" }, "Add comment");
    this.form = h("form.comment-form", { hidden: true, onsubmit: (event) => this.#add(event) }, this.input, this.status, h("div.row", {}, this.send, h("button.quiet", { type: "button", onclick: () => this.close() }, "Cancel", kbd("Esc"))));
    this.button = h("button.quiet", { type: "button", "aria-keyshortcuts": "M", onclick: () => this.write() }, "Comment", kbd("M"));
    this.element = h("section.comments", { "aria-label": "Comments" }, this.list, this.form, this.button);
    this.#load();
  }

  /** Open the form. */
  write() {
    this.form.hidden = false;
    this.button.hidden = true;
    this.form.scrollIntoView({ block: "nearest" });
    this.input.focus();
  }

  /** Close the form. Its words stay, also if another item is shown meanwhile. */
  close() {
    this.form.hidden = true;
    this.button.hidden = false;
    this.button.focus();
  }

  async #load() {
    try {
      this.#draw((await get(this.path)).comments);
    } catch {
      fill(this.list, h("li.muted", {}, "The comments can't be shown now."));
    }
  }

  #draw(comments) {
    this.comments = comments;
    fill(this.list, comments.map((one) => h("li", {}, h("div.row.apart", {}, h("span.muted.small", {}, h("b", {}, one.author), ` ${moment(one.time)}`),
      one.author === actor().name && h("button.quiet.small", { type: "button", "aria-label": `Delete your comment of ${moment(one.time)}`, onclick: () => this.#remove(one) }, "Delete")), h("p.comment", {}, one.text))));
  }

  async #add(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text) return;
    await this.#change(async () => {
      this.#draw([...this.comments ?? [], await post(`${this.path}/comments`, { text })]);
      this.input.value = "";
      drafts.delete(this.path);
      this.close();
      say("Comment stored.");
    });
  }

  #remove(comment) {
    return this.#change(async () => {
      await remove(`${this.path}/comments/${comment.id}`);
      this.#draw(this.comments.filter((one) => one !== comment));
      this.button.focus();
      say("Comment deleted.");
    });
  }

  async #change(work) {
    this.send.disabled = true;
    this.status.textContent = "";
    try {
      await work();
    } catch (error) {
      this.form.hidden = false;
      this.status.textContent = error.message;
    } finally {
      this.send.disabled = false;
    }
  }

  #key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
