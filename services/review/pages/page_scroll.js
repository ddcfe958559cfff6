// All pages of a document in one scroll. Only pages near the screen are drawn.

import { fill, h, number } from "/pages/dom.js";
import * as known from "/pages/document_cache.js";
import { textLayer } from "/pages/text_layer.js";

const LETTER = { width: 612, height: 792 };
const WIDEST = 940; // pixels of a page at 100%
const PER_POINT = 2; // pixels of the usual picture
const TICKS = 400; // places beside the pages
const SETTLE = 80; // milliseconds near the screen until a page is drawn, so that a fast scroll asks for few

export class PageScroll {
  /** Calls `onpage(number)` when another page is in view, `onpick(key)` when a highlight is clicked, and `tell(text)` if words can't be selected. */
  constructor(pane, onpage, onpick, tell) {
    this.pane = pane;
    this.onpage = onpage;
    this.onpick = onpick;
    this.tell = tell;
    this.ticks = h("div.ticks", { "aria-hidden": "true" });
    this.list = h("div.pages");
    this.element = h("div.page-scroll", { onclick: (event) => this.#clicked(event) }, this.list, this.ticks);
    this.near = new IntersectionObserver((entries) => entries.forEach((one) => this.#come(one)), { root: pane, rootMargin: "75% 0px" });
    pane.addEventListener("scroll", this.#scrolled, { passive: true });
  }

  close() {
    this.near.disconnect();
    this.pane.removeEventListener("scroll", this.#scrolled);
    this.#forget();
  }

  /** Show the pages of a document with these details (see `known.info`). */
  show(id, details) {
    if (this.id === id && this.details === details) return;
    this.near.disconnect();
    this.#forget();
    this.id = id;
    this.details = details;
    this.boxes = [];
    const read = new Map(details.pages.map((page) => [page.number, page]));
    const usual = details.pages[0] ?? LETTER;
    const widest = this.widest = Math.max(...details.pages.map((page) => page.width), 1);
    this.sheets = Array.from({ length: details.page_count }, (_, at) => this.#sheet(at + 1, read.get(at + 1), usual, widest));
    fill(this.list, this.sheets.map((sheet) => sheet.element));
    this.sheets.forEach((sheet) => this.near.observe(sheet.element));
  }

  get #selecting() {
    const selection = document.getSelection();
    return !selection.isCollapsed && this.list.contains(selection.anchorNode);
  }

  #forget() {
    this.sheets?.forEach((sheet) => clearTimeout(sheet.timer));
  }

  #sheet(page, size, usual, widest) {
    const shape = size ?? usual;
    const element = h("div.sheet.paper", { "data-page": page });
    element.style.aspectRatio = `${shape.width || LETTER.width} / ${shape.height || LETTER.height}`;
    element.style.inlineSize = `calc(var(--page-width) * ${size ? size.width / widest : 1})`;
    return { page, size, element, overlay: h("div.overlay"), drawn: false };
  }

  #come({ target, isIntersecting }) {
    const sheet = this.sheets[Number(target.dataset.page) - 1];
    if (sheet?.element !== target) return; // of an earlier document
    clearTimeout(sheet.timer);
    if (isIntersecting) sheet.timer = setTimeout(() => this.#draw(sheet), SETTLE);
    else if (sheet.drawn && !this.#selecting) { // a selection over several pages needs its first words
      sheet.drawn = false;
      fill(sheet.element);
    }
  }

  #draw(sheet) {
    if (sheet.drawn) return;
    sheet.drawn = true;
    const { id } = this;
    const note = (text) => sheet.drawn && this.id === id && fill(sheet.element, h("p.empty", {}, text), sheet.overlay);
    const picture = known.image(id, sheet.page);
    picture.onerror = () => note(sheet.size ? `Page ${number(sheet.page)} can't be drawn now. Its text is under “Text”.` : `Page ${number(sheet.page)} could not be read.`);
    fill(sheet.element, picture, sheet.overlay, h("span.page-number", {}, number(sheet.page)));
    this.#overlay(sheet);
    this.#sharpen(sheet);
    if (sheet.size) textLayer(id, sheet.page, sheet.size).then((layer) => { if (layer && sheet.drawn && this.id === id) sheet.element.append(layer); }).catch(() => this.tell("Words on the page can't be selected now. They are under “Text”."));
  }

  /** Replace the picture of a drawn page by one with more pixels, if the screen has them. */
  #sharpen({ page, size, element }) {
    const usual = element.querySelector("img");
    if (!this.sharp || !size || !usual) return;
    const { id } = this;
    const isShown = () => usual.parentElement === element;
    const load = () => {
      if (!isShown()) return; // scrolled by, or sharp already
      const sharp = known.image(id, page, 2);
      if (sharp !== usual) whenLoaded(sharp, () => sharp.decode().then(() => { if (isShown()) usual.replaceWith(sharp); }).catch(() => {})); // the usual one stays
    };
    whenLoaded(usual, load);
  }

  /** Highlight boxes. `look` makes one fainter: "part" of a finding, or "other" than the current one. A box with a `key` can be clicked. */
  mark(boxes) {
    this.boxes = boxes;
    this.main = boxes.filter((box) => !box.look && this.sheets[box.page - 1]?.size);
    this.sheets.filter((sheet) => sheet.drawn).forEach((sheet) => this.#overlay(sheet));
    this.#tickSoon();
  }

  /** Draw the ticks with the next frame: their places need a layout of all pages. */
  #tickSoon() {
    cancelAnimationFrame(this.ticking);
    this.ticking = requestAnimationFrame(() => this.#tick());
  }

  /** Draw the places of the boxes beside the pages, and only one tick for boxes that lie close. */
  #tick() {
    const height = Math.max(1, this.list.scrollHeight);
    const ticks = new Map();
    for (const box of this.boxes.filter(({ page }) => this.sheets[page - 1]?.size)) {
      const place = Math.round((TICKS * this.#top(box)) / height);
      ticks.set(`${place} ${box.look}`, [place, box.look]);
    }
    fill(this.ticks, [...ticks.values()].map(([place, look]) => {
      const tick = h("span.tick", { class: look });
      tick.style.insetBlockStart = `${(100 * place) / TICKS}%`;
      return tick;
    }));
  }

  #overlay({ page, size, overlay }) {
    const here = size ? this.boxes.filter((box) => box.page === page) : [];
    const last = Math.max(...this.main.map((box) => box.page));
    fill(overlay, here.map((box) => {
      const mark = h("div.mark", { class: box.look });
      mark.style.left = `${(box.x0 / size.width) * 100}%`;
      mark.style.top = `${(box.y0 / size.height) * 100}%`;
      mark.style.width = `${((box.x1 - box.x0) / size.width) * 100}%`;
      mark.style.height = `${((box.y1 - box.y0) / size.height) * 100}%`;
      return mark;
    }), last > page && here.some((box) => !box.look) && h("span.continues", {}, `continues on page ${number(page + 1)}`));
  }

  #top({ page, y0 }) {
    const { element, size } = this.sheets[page - 1];
    return element.offsetTop + (size ? (y0 / size.height) * element.offsetHeight : 0);
  }

  /** Scroll to the first highlight, or else to the top of a page. */
  scrollTo(page) {
    const first = this.main[0] ?? this.boxes.find((box) => box.look === "part" && this.sheets[box.page - 1]?.size);
    if (!first) {
      this.pane.scrollTop = this.sheets[page - 1]?.element.offsetTop - 8;
      return;
    }
    this.pane.scrollTop = Math.max(0, this.#top(first) - this.pane.clientHeight / 3);
    const { element, size } = this.sheets[first.page - 1];
    this.pane.scrollLeft = Math.max(0, element.offsetLeft + (first.x0 / size.width) * element.offsetWidth - 80);
    this.#draw(this.sheets[first.page - 1]);
  }

  /** Scroll to the top of a page. */
  go(page) {
    const sheet = this.sheets[page - 1];
    if (sheet) this.pane.scrollTop = sheet.element.offsetTop - 8;
  }

  fit(zoom) {
    const pixels = Math.max(120, Math.min(this.pane.clientWidth - 48, WIDEST) * zoom);
    this.sharp = pixels * devicePixelRatio > PER_POINT * this.widest;
    this.sheets?.filter((sheet) => sheet.drawn).forEach((sheet) => this.#sharpen(sheet));
    const width = `${pixels}px`;
    if (width === this.list.style.getPropertyValue("--page-width")) return;
    this.list.style.setProperty("--page-width", width);
    if (this.sheets) this.#tickSoon();
  }

  #clicked({ target, clientX, clientY }) {
    const sheet = this.sheets?.[Number(target.closest?.(".sheet.paper")?.dataset.page) - 1];
    if (!sheet?.size || !document.getSelection().isCollapsed) return;
    const place = sheet.element.getBoundingClientRect();
    const x = ((clientX - place.left) / place.width) * sheet.size.width;
    const y = ((clientY - place.top) / place.height) * sheet.size.height;
    const area = (box) => (box.x1 - box.x0) * (box.y1 - box.y0);
    const hit = this.boxes.filter((box) => box.key && box.page === sheet.page && x >= box.x0 && x <= box.x1 && y >= box.y0 && y <= box.y1);
    if (hit.length) this.onpick(hit.reduce((one, two) => (area(two) < area(one) ? two : one)).key);
  }

  #scrolled = () => {
    if (!this.element.isConnected || !this.sheets?.length) return;
    const line = this.pane.scrollTop + this.pane.clientHeight / 3;
    let low = 0;
    let high = this.sheets.length - 1;
    while (low < high) { // the last page that begins above the line
      const middle = (low + high + 1) >> 1;
      if (this.sheets[middle].element.offsetTop <= line) low = middle;
      else high = middle - 1;
    }
    this.onpage(low + 1);
  };
}

function whenLoaded(picture, act) {
  if (picture.complete) act();
  else picture.addEventListener("load", act, { once: true });
}
