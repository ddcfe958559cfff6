// One word for each verdict, wherever it is shown.

import { actor } from "/pages/api.js";
import { excerpt, h, moment } from "/pages/dom.js";

export const VERDICTS = { accept: "accepted", reject: "rejected", correct: "corrected", undo: "undone" };

/** The verdict as a pill: "rejected · ada". */
export function verdictPill(item) {
  return h("span.pill", { class: item.verdict, title: moment(item.decided) }, `${VERDICTS[item.verdict]} · ${item.decided_by}`);
}

/** Whether the machine accepted it, and nobody has looked at it since. */
export const isAccepted = (item) => item?.route === "accept" && item.state === "waiting";

/** What no person was asked about. */
export const machinePill = () => h("span.pill.machine", { title: "Sure enough for the risk that the policy states: no person was asked" }, "accepted by the machine");

/** Whether whoever is signed in decided it, and so may undo that. */
export const isMine = (item) => item.state === "decided" && item.decided_by === actor()?.name;

/** What a correction changed in an item or a decision. */
export function changes(one) {
  const right = one.verdict === "correct" ? one.correction : null;
  return { category: right && right.category !== one.category ? right.category : null, text: right && right.text !== one.text ? right.text : null };
}

/** The text as it stands now: struck through where rejected, old and new where corrected. */
export function decidedText(item, length) {
  const { text } = changes(item);
  if (item.verdict === "reject") return h("del", {}, excerpt(item.text, length));
  return text === null ? excerpt(item.text, length) : [h("del", {}, excerpt(item.text, length)), " ", h("ins", {}, excerpt(text, length))];
}

/** The category as it stands now. */
export function decidedCategory(item, name) {
  const { category } = changes(item);
  return category === null ? name : [h("del", {}, name), " ", h("ins", {}, category)];
}
