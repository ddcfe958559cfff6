// Whether stated risks are kept: what checks say, what was noticed, and what was done about it.

import { get } from "/pages/api.js";
import { count, empty, h, moment, number } from "/pages/dom.js";

const KINDS = { risk: "Tightened", category: "Category", drift: "Documents changed", calibrated: "Calibrated", undone: "Undone", loosened: "Loosened" };
const WHAT = { category: "Category", kind: "Kind", source: "Read from" };

export async function show() {
  const [{ items, notices }, { items: rates }] = await Promise.all([get("/v1/watch"), get("/v1/decisions/error-rates")]);
  const head = h("div.head", {}, h("h1", {}, "Checks"),
    h("p.muted", {}, "Of what the machine may accept by itself a share is checked by people, who are not told. It says how often the machine is wrong, and whether what was promised is kept. What is tightened is loosened by a person alone: smallprint calibrate."));
  if (!items.length && !rates.length && !notices.length) {
    const text = "Once a risk is stated in the policy and documents are read under it, this page says whether it is kept.";
    return { title: "Checks", element: h("div.page", {}, head, empty("Nothing is promised yet", text, h("a.button.primary", { href: "/documents" }, "Documents"))) };
  }
  return { title: "Checks", element: h("div.page", {}, head, items.map(alarm), watches(items), errors(rates), told(notices)) };
}

/** What is wrong with a watch, in one sentence; null while all is well. */
export function trouble(one) {
  const said = [];
  if (one.step > 0) said.push(one.belief_now === null ? "nothing is accepted any more" : `only what is believed to ${share(one.belief_now)} is accepted, not to ${share(one.belief)}`);
  if (one.doubted.length) said.push(`a person looks at ${one.doubted.join(", ")}`);
  if (one.drifted) said.push("documents are unlike those it was calibrated on");
  return said.length ? `${one.adapter}: ${said.join("; ")}.` : null;
}

function alarm(one) {
  const text = trouble(one);
  return text && h("p.notice", { role: "alert" }, text);
}

const share = (value) => (value === null ? "–" : `${number(Math.round(value * 1000) / 10)}%`);

function table(heads, rows) {
  return h("table.list", {}, h("thead", {}, h("tr", {}, heads.map(([text, figure]) => h(figure ? "th.figure" : "th", { scope: "col" }, text)))), h("tbody", {}, rows));
}

function watches(items) {
  if (!items.length) return null;
  const heads = [["Specialist"], ["At most wrong", 1], ["Accepted from belief", 1], ["Checks", 1], ["Wrong", 1], ["Evidence against", 1], ["Documents changed", 1], ["Stability index", 1], ["Calibration"]];
  const odds = (value, limit) => `${number(Math.round(value * 10) / 10)} of ${number(Math.round(limit))}`;
  const made = (one) => (one.calibration === null ? "as it came" : `no. ${one.calibration}, ${moment(one.calibrated)}, ${one.calibrated_by}`);
  return [h("h2", {}, "What was promised"), table(heads, items.map((one) => h("tr", {},
    h("td", {}, one.adapter), h("td.figure", {}, share(one.max_wrong)), h("td.figure", {}, one.belief_now === null && one.belief !== null ? "nothing" : share(one.belief_now)),
    h("td.figure", {}, number(one.checks)), h("td.figure", {}, number(one.wrong)), h("td.figure", {}, odds(one.evidence, one.alarm_at)),
    h("td.figure", {}, odds(one.drift_evidence, one.drift_alarm_at)), h("td.figure", {}, one.stability_index === null ? "–" : number(Math.round(one.stability_index * 100) / 100)), h("td", {}, made(one))))),
  h("p.muted.small", {}, "Evidence begins at 1. Where the promise is kept, the number behind “of” is ever reached in one of so many installations at most.")];
}

function errors(rates) {
  if (!rates.length) return h("p.muted", {}, "No check was decided yet.");
  const what = (one) => Object.entries(WHAT).find(([name]) => one[name] !== null);
  const rows = rates.map((one) => {
    const by = what(one);
    return h("tr", {}, h("td", {}, one.adapter), h("td", {}, by ? `${by[1]}: ${one[by[0]]}` : "All"), h("td.figure", {}, number(one.looked_at)), h("td.figure", {}, number(one.wrong)),
      h("td.figure", {}, share(one.rate)), h("td.figure", {}, `${share(one.interval[0])} to ${share(one.interval[1])}`));
  });
  return [h("h2", {}, "How often the machine was wrong"), table([["Specialist"], ["Of"], ["Checks", 1], ["Wrong", 1], ["Rate", 1], ["95% interval", 1]], rows)];
}

function told(notices) {
  if (!notices.length) return null;
  const rows = notices.map((one) => h("tr", {}, h("td.time", {}, moment(one.time)), h("td", {}, KINDS[one.kind]), h("td", {}, one.adapter), h("td.words", {}, one.text), h("td", {}, one.actor || "by itself")));
  return [h("h2", {}, "What was noticed and done"), h("p.muted.small", {}, count(notices.length, "notice"), ", the newest first."), table([["When"], ["What"], ["Specialist"], ["Why"], ["Who"]], rows)];
}
