// The words of a page, transparent above its image, so that they can be selected, copied and searched.

import { h } from "/pages/dom.js";
import * as known from "/pages/document_cache.js";

const FONT = "16px sans-serif"; // of the layer, see app.css
const paper = document.createElement("canvas").getContext("2d");

/** The layer of a page of this size in points; null for a page without places. */
export async function textLayer(id, page, size) {
  const [words, text] = await Promise.all([known.words(id, page), known.text(id)]);
  if (!words.length) return null;
  paper.font = FONT;
  return h("div.text-layer", { "aria-hidden": "true" }, words.map((word) => wordElement(word, text.slice(word.start, word.end), size)));
}

function wordElement({ start, x0, y0, x1, y1 }, letters, size) {
  const element = h("span", { "data-start": start }, `${letters} `); // the space separates copied words
  const natural = paper.measureText(letters).width / 16; // widths of a letter's height
  element.style.left = `${(x0 / size.width) * 100}%`;
  element.style.top = `${(y0 / size.height) * 100}%`;
  element.style.fontSize = `${(100 * (y1 - y0)) / size.width}cqw`;
  element.style.transform = `scaleX(${(x1 - x0) / Math.max(0.1, natural * (y1 - y0))})`;
  return element;
}

/** The selected words below an element, in code points of the document's text; null for none. */
export function selectedWords(element) {
  const selection = document.getSelection();
  if (!selection.rangeCount || selection.isCollapsed) return null;
  const range = selection.getRangeAt(0);
  const chosen = [...element.querySelectorAll(".text-layer span")].filter((word) => range.intersectsNode(word) && within(range, word));
  if (!chosen.length) return null;
  const [first, last] = [chosen[0], chosen.at(-1)];
  return { start: offset(first, range.startContainer, range.startOffset, 0), end: offset(last, range.endContainer, range.endOffset, Infinity) };
}

/** Whether a range has letters of a word, not only its edge. */
function within(range, word) {
  const letters = document.createRange();
  letters.selectNodeContents(word);
  return range.compareBoundaryPoints(Range.END_TO_START, letters) < 0 && range.compareBoundaryPoints(Range.START_TO_END, letters) > 0;
}

function offset(word, container, at, otherwise) {
  const units = word.contains(container) && container.nodeType === Node.TEXT_NODE ? at : otherwise;
  return Number(word.dataset.start) + [...word.textContent.trimEnd().slice(0, units)].length;
}
