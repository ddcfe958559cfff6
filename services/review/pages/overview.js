// A document as a whole: its kind, its parts, what went wrong, and its exports.

import { may, query } from "/pages/api.js";
import { KINDS, capital, linesOf, mildEnd } from "/pages/documents.js";
import { count, h, kbd, select } from "/pages/dom.js";

const FEW = 8; // parts that are not folded
const ARCHIVES = ["application/zip"];
const MAILS = ["message/rfc822", "application/vnd.ms-outlook"];

/** An archive, or a mail that was sent for the reports attached to it. */
export const hasOnlyParts = ({ kind, media_type: type }) => kind === "other" || ARCHIVES.includes(type) || (kind === "report" && MAILS.includes(type));

export const gaveUp = ({ outcome }) => outcome === "failed" || outcome === "rejected";

const ENDED = { failed: "It could not be read as a financial report. If it is none, change its type.", rejected: "It is stored, but not analysed. If its type is wrong, change it." };

/** The elements of the body.
    @param document the answer of `/v1/documents/{id}`
    @param setKind called with a new kind, which starts the processing again */
export function overviewOf(document, setKind) {
  const { kind, reasons = [], warnings = [], parents = [], parts = [] } = document;
  const doubt = document.kind_unsure ? [`smallprint is not sure that this is a ${kind}`] : [];
  const notes = [...doubt, ...(kind === "contract" ? warnings.map(capital) : [])]; // a report lists its own
  return [
    gaveUp(document) && h("p.muted", {}, mildEnd(document) ? ENDED[document.outcome] : document.outcome === "failed" ? "Processing failed. The reason is below." : "The document was rejected. The reason is below."),
    hasOnlyParts(document) && h("p.muted", {}, "This file itself is not analysed. Its parts are separate documents."),
    may("documents:write") && kindChoice(document, setKind),
    parents.length > 0 && h("p.family", {}, "Part of ", parents.map((one, at) => [at ? ", " : "", h("a", { href: `/documents/${one.id}` }, one.name)])),
    parts.length > 0 && h("details.family", { open: parts.length <= FEW }, h("summary", {}, count(parts.length, "part")), h("ul.parts", {}, parts.map(partLine))),
    reasons.length > 0 && h("ul.reasons", {}, reasons.flatMap(linesOf).map((one) => h("li", {}, one))),
    notes.length > 0 && h("ul.reasons.doubts", {}, notes.map((one) => h("li", {}, one)))];
}

/** Choose the kind. */
function kindChoice({ kind, kind_unsure: unsure, media_type: type }, setKind) {
  if (ARCHIVES.includes(type)) return null;
  return h("div.row", {}, select("Kind", kind, KINDS, setKind),
    unsure && h("button.quiet", { type: "button", onclick: () => setKind(kind) }, `Confirm: ${KINDS.find(([name]) => name === kind)[1].toLowerCase()}`));
}

/** Review, export or download, as far as they are possible.
    @param open how many results are open
    @param any whether there are results
    @param report whether the document has a client report
    @param review called to begin with the first open one
    @param decided whether everything is decided */
export function ways(id, { open, any, report, review, decided }) {
  const path = `/v1/documents/${encodeURIComponent(id)}`;
  const file = (format) => h("a.button", { href: query("/v1/exports", { format, document: id }), download: true }, format.toUpperCase());
  return h("div.take-away", {},
    open > 0 && h("button.primary.large", { type: "button", onclick: review, "aria-keyshortcuts": "Shift+J" }, "Review this document", kbd("⇧J")),
    decided && h("a.button.primary.large", { href: "/review" }, "Next document"),
    any && h("div.row.apart", { role: "group", "aria-label": "Export" }, h("span.muted", {}, "Export as"), h("div.row.tight", {}, file("jsonl"), file("csv"), file("xlsx"))),
    report && h("div.row.apart", { role: "group", "aria-label": "Client report" }, h("a.button", { href: `${path}/report`, target: "_blank" }, "Client report"), h("a.button", { href: `${path}/report?format=docx`, download: true }, "DOCX")),
    !any && h("a.button", { href: `${path}/original`, download: true }, "Download the original"));
}

const partLine = (part) => h("li", {}, part.id ? h("a", { href: `/documents/${part.id}` }, part.name) : [part.name, h("span.muted", {}, part.code === "deleted" ? " (deleted)" : " (refused)")]);
