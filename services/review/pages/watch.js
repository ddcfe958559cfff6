// Error rates against the stated risk: guarantees, audit samples, error rates and notices.

import { get, may, query } from "/pages/api.js";
import { figure, series } from "/pages/charts.js";
import { count, empty, h, moment, number } from "/pages/dom.js";
import { titleOf } from "/pages/names.js";

const KINDS = { risk: "Tightened", category: "Category", drift: "Documents changed", calibrated: "Calibrated", undone: "Undone", loosened: "Loosened" };
const NARROW = matchMedia("(max-width: 46rem)"); // as in the style sheet
const WHAT = { category: "Category", kind: "Kind", source: "Read from" };

export async function show() {
  const [{ items, notices }, rates] = await Promise.all([monitors(), ratesOverTime()]);
  const now = rates.at(-1).items;
  const head = h("div.head", {}, items.map(alarm), h("p.muted.about", {}, "People check a random share of what the model accepts. Only a person can lower a tightened threshold again: smallprint calibrate loosen."));
  if (!items.length && !now.length && !notices.length) {
    const text = "State a risk in the policy. This page then shows whether the guarantee holds.";
    return { element: [head, empty("No guarantee yet", text, may("documents:read") && h("a.button.primary", { href: "/documents" }, "Documents"))] };
  }
  const element = h("div.insight", {}, head, guarantees(items, notices), charts(items, rates), errorRates(now), history(items, notices));
  const unfold = () => { if (!NARROW.matches) element.querySelectorAll(".calm").forEach((details) => { details.open = true; }); };
  NARROW.addEventListener("change", unfold);
  return { element, leave: () => NARROW.removeEventListener("change", unfold) };
}

const WEEKS = 9, WEEK = 7 * 86_400_000;

/** The error rates up to the end of each of the last weeks, and up to now. */
function ratesOverTime() {
  const ends = Array.from({ length: WEEKS }, (_, at) => new Date(Date.now() - (WEEKS - 1 - at) * WEEK));
  return Promise.all(ends.map(async (end, at) => {
    const { items } = await get(query("/v1/decisions/error-rates", { until: at === WEEKS - 1 ? null : end.toISOString() }));
    return { day: end.toISOString().slice(0, 10), items };
  }));
}

/** The error rate of each specialist over time, with the stated risk. */
function charts(items, rates) {
  const drawn = rates.at(-1).items.filter((one) => !part(one)).map((now) => {
    const limit = items.find((item) => item.adapter === now.adapter)?.max_wrong ?? null;
    const points = rates.map(({ day, items: all }) => [day, all.find((one) => one.adapter === now.adapter && !part(one))]).filter(([, one]) => one);
    const drawing = series(points.map(([day, one]) => [day, one.rate, ...one.interval]), limit, limit !== null && `stated: at most ${share(limit)}`);
    const caption = `${wrongOf(now)}: ${share(now.rate)} (95% interval ${share(now.interval[0])} to ${share(now.interval[1])}). Each point has all checks up to its day.`;
    return figure(`Error rate of ${now.adapter}`, caption, drawing, ["Day", "Checks", "Wrong", "Error rate", "95% interval", "Stated risk"],
      points.toReversed().map(([day, one]) => [day, number(one.checked), number(one.wrong), share(one.rate), `${share(one.interval[0])} to ${share(one.interval[1])}`, share(limit)]));
  });
  return drawn.length > 0 && h("div.charts", {}, drawn);
}

/** The guarantees of clauses and of findings, and their notices, newest first. */
export async function monitors() {
  const [clauses, findings] = await Promise.all([get("/v1/watch"), get("/v1/watch/findings")]);
  const items = [...clauses.items, ...findings.items.map((item) => ({ ...item, result: "finding", unit: "filing" }))];
  return { items, notices: [...clauses.notices, ...findings.notices].sort((a, b) => b.time.localeCompare(a.time)) };
}

/** What is wrong with a guarantee, in one sentence; null while it holds. */
export function problemOf(item) {
  const problems = [];
  if (item.step > 0 || raised(item)) problems.push(tightened(item));
  if (item.suspended.length) problems.push(`people review every ${item.suspended.map(titleOf).join(", ")}`);
  if (item.drifted) problems.push(`new ${unit(item)}s differ from the calibration data`);
  return problems.length ? `${item.adapter}: ${problems.join("; ")}.` : null;
}

/** Whether the threshold was raised only because a category is suspended. */
const raised = (item) => item.step === 0 && item.suspended.length > 0 && item.belief_now !== item.belief;

function tightened(item) {
  if (item.belief_now === null) return "nothing is accepted automatically";
  const [now, before] = thresholds(item);
  return now === null ? "the threshold was raised" : `the ${scale(item)} threshold was raised from ${share(before)} to ${share(now)}`;
}

function alarm(item) {
  const text = problemOf(item);
  return text && h("p.notice", { role: "alert" }, text);
}

const result = (item) => item.result ?? "clause";
const unit = (item) => item.unit ?? "document";
const byConfidence = (item) => result(item) === "finding"; // the confidence threshold of clauses differs by category
const scale = (item) => (byConfidence(item) ? "confidence" : "probability");
/** The acceptance threshold now and at first; null if unknown. */
const thresholds = (item) => (byConfidence(item) ? [item.threshold_now ?? null, item.threshold ?? null] : [item.belief_now, item.belief]);
const share = (value) => (value === null ? "–" : `${number(Math.round(value * 1000) / 10)}%`);

/** A table. On a narrow screen each row takes two lines. */
function table(heads, rows) {
  return h("table.list.compact", {}, h("thead", {}, h("tr", {}, heads.map(([text, figure]) => h(figure ? "th.figure" : "th", { scope: "col" }, text)))), h("tbody", {}, rows));
}

const SPEAKS = 4; // a kept guarantee reaches this evidence in at most a quarter of installations
const FEW = 30; // after fewer documents a change may not show yet
const tenth = (value) => number(Math.round(value * 10) / 10);
const wrongOf = (one) => `${count(one.checks ?? one.checked, "check")}, ${one.wrong ? `${number(one.wrong)} wrong` : "none wrong"}`;
const times = (n) => (n === 1 ? "once" : n === 2 ? "twice" : `${number(n)} times`);

function guarantees(items, notices) {
  if (!items.length) return null;
  return [h("h2", {}, "Guarantees"), items.map((one) => card(one, notices.find((notice) => notice.kind === "risk" && notice.adapter === one.adapter)))];
}

/** A guarantee and its state. Problems come first; a narrow screen folds the rest. */
function card(one, reason) {
  const fact = (name, first, ...more) => h("div", {}, h("dt", {}, name), h("dd", {}, first, more.filter(Boolean).map((text) => h("p.muted.small", {}, text))));
  const checks = one.max_wrong !== null && [
    fact("Checked by people", one.checks ? `${wrongOf(one)}${one.step ? ", at the current threshold" : ""}` : one.step ? "None at the current threshold" : "No check is decided yet", ...strength(one)),
    fact("Result of the checks", ...verdict(one, reason))];
  const read = fact(unit(one) === "filing" ? "Filings" : "Documents", ...documents(one));
  const speak = one.step > 0 || one.suspended.length > 0 || one.evidence >= SPEAKS, unlike = one.drifted || one.drift_evidence >= SPEAKS;
  const summary = `${count(one.accepted, result(one))} accepted${one.checks && !speak ? `; ${wrongOf(one)}` : ""}`;
  return h("section.watch", { "aria-label": one.adapter },
    h("div.row.apart", {}, h("h3", {}, one.adapter, one.version && h("span.tag", {}, `version ${one.version}`)), state(one)),
    h("p.promise", {}, guarantee(one)),
    (speak || unlike) && h("dl", {}, speak && checks, unlike && read),
    h("details.calm", { open: !NARROW.matches }, h("summary", {}, summary), h("dl", {},
      fact("Accepted automatically", count(one.accepted, result(one)), accepted(one)),
      !speak && checks,
      !unlike && read,
      fact("Calibration", one.calibration === null ? "As shipped with the specialist" : `No. ${one.calibration}, made by ${one.calibrated_by}, ${moment(one.calibrated)}`))),
    exact(one));
}

function state(one) {
  const [kind, text] = one.max_wrong === null ? ["", "No guarantee"]
    : one.step || one.suspended.length ? ["failed", "In doubt"]
      : one.drifted ? ["partial", "Documents changed"]
        : one.evidence >= SPEAKS ? ["partial", "Early signs of errors"]
          : one.checks ? ["complete", "No sign of errors"] : ["", "Not checked yet"];
  return h("span.pill", { class: kind }, text);
}

function guarantee(one) {
  if (one.max_wrong === null) return "There is no guarantee, so nothing is accepted automatically.";
  const level = one.level === null ? "" : `, with ${share(one.level)} confidence`;
  return `Guarantee: at most ${share(one.max_wrong)} of accepted ${result(one)}s are wrong${level}.`;
}

function accepted(one) {
  if (one.max_wrong === null) return null;
  if (one.belief_now === null) return "Nothing more is accepted for now: people review everything.";
  const [now] = thresholds(one);
  if (now === null) return null;
  if (byConfidence(one)) return `A finding is accepted at a confidence of ${share(now)} or more.`;
  return `A clause is accepted if its probability of being right is ${share(now)} or more. ${PROBABILITY}`;
}

const PROBABILITY = "This is not the “Confidence” figure. The calibration computes the probability from the category and that figure.";

/** What the checks show without the calibration data. */
function strength(one) {
  const alone = `${count(one.checks_needed, "check")} without an error would show that at most ${share(one.max_wrong)} are wrong.`;
  if (!one.checks) return [`Until then the guarantee relies on the calibration data. ${alone}`];
  const [low, high] = one.interval;
  const range = `${one.wrong ? `That is ${share(one.wrong / one.checks)}. ` : ""}The share of errors is between ${share(low)} and ${share(high)} by these checks (95% interval).`;
  if (high <= one.max_wrong) return [range, `That is within the guaranteed ${share(one.max_wrong)}.`];
  if (low > one.max_wrong) return [range, `That is more than the guaranteed ${share(one.max_wrong)}.`];
  return [range, one.wrong ? `More checks are needed to compare it with ${share(one.max_wrong)}.` : alone];
}

function change(one) {
  const [now, before] = thresholds(one);
  return now === null ? "" : ` from a ${scale(one)} of ${share(before)} to ${share(now)}`;
}

function verdict(one, reason) {
  const now = !one.checks ? "No check is decided at the new threshold." : one.evidence >= SPEAKS ? "There are early signs of errors at the new threshold too." : "There is no sign of errors at the new threshold.";
  const category = one.suspended.length && `Too many checks of ${one.suspended.map(titleOf).join(", ")} were wrong, so people review all of ${one.suspended.length === 1 ? "it" : "them"}.`;
  if (one.step) {
    const action = one.belief_now === null ? "Nothing is accepted automatically now." : `The threshold was tightened ${times(one.step)}${change(one)}. ${now}`;
    return [`The guarantee is in doubt. ${action}`, reason && `Why: ${reason.text}`, category];
  }
  if (category) return ["The guarantee is in doubt for some categories.", category, raised(one) && remaining(one)];
  if (!one.checks) return ["No result yet."];
  if (one.evidence >= SPEAKS) return ["There are early signs of errors.", "Nothing is tightened yet. This happens by chance in at most one of four installations."];
  return ["There is no sign that the guarantee fails."];
}

/** How the suspension of categories changes the threshold of the others. */
function remaining(one) {
  if (one.belief_now === null) return "No threshold keeps the guarantee for the other categories, so nothing is accepted automatically.";
  return `The threshold for the other categories was raised${change(one)} to keep the guarantee.`;
}

function documents(one) {
  const many = count(one.drift_documents, unit(one)), all = `${unit(one)}s`;
  if (one.drifted) return [`The new ${all} differ from the calibration data.`, "This is no error in itself. People check a larger sample, if the policy has one."];
  if (!one.drift_documents) return [`No ${unit(one)} was compared with the calibration data yet.`];
  if (one.drift_evidence >= SPEAKS) return [`The new ${all} begin to differ from the calibration data.`, `Compared: ${many}.`];
  return [`The new ${all} resemble the calibration data.`, `Compared: ${many}${one.drift_documents < FEW ? ", too few to rule out a change" : ""}.`];
}

/** The figures of the tests. */
function exact(one) {
  const row = (name, value, means) => h("div", {}, h("dt", {}, name), h("dd", {}, value, h("p.muted.small", {}, means)));
  const [now, before] = thresholds(one);
  const ever = (limit) => `1 means no evidence. Without a problem, at most one of ${number(Math.round(limit))} installations ever reaches ${number(Math.round(limit))}.`;
  return h("details", {}, h("summary", {}, "Exact figures"), h("dl", {},
    one.max_wrong !== null && row("Evidence against the guarantee", `${tenth(one.evidence)}; alarm at ${number(Math.round(one.alarm_at))}`, `From ${count(one.documents, unit(one))} with all checks decided. ${ever(one.alarm_at)}`),
    row(`Evidence that ${unit(one)}s changed`, `${tenth(one.drift_evidence)}; alarm at ${number(Math.round(one.drift_alarm_at))}`, ever(one.drift_alarm_at)),
    row("Population stability index", one.stability_index === null ? "–" : number(Math.round(one.stability_index * 100) / 100), `Distance of the last ${unit(one)}s from the calibration data. By convention 0.1 is small and 0.25 large.`),
    before !== null && row(`Accepted from a ${scale(one)} of`, `${one.belief_now === null ? "nothing is accepted" : share(now)}; ${share(before)} at first`, byConfidence(one) ? "Each finding shows its confidence." : `Probability that a ${result(one)} is right, by the calibration.`)));
}

/** Error rates of all checks, and of the parts that had errors. The other parts are folded. */
function errorRates(rates) {
  if (!rates.length) return h("p.muted", {}, "No check is decided yet.");
  const heads = [["Specialist"], ["Part"], ["Checks"], ["Result"]];
  const several = new Set(rates.map((one) => one.adapter)).size > 1;
  const shown = rates.filter((one) => isInformative(one, rates));
  const folded = rates.filter((one) => !shown.includes(one));
  return [h("h2", {}, "Error rates"),
    h("p.muted.small", {}, "From all decided checks. The interval (95%) is for everything that could be accepted. Fewer checks make it wider."),
    table(heads, shown.map((one) => rate(one, part(one) !== null))),
    folded.length > 0 && h("details.fold", {}, h("summary", {}, `${number(folded.length)} more without errors, or equal to the total`), table(heads, folded.map((one) => rate(one, !several))))];
}

/** The part of the results that a rate covers, as [API name, label]; null for all. */
const part = (one) => Object.entries(WHAT).find(([name]) => one[name] !== null) ?? null;

/** Whether a rate adds information to the total of its specialist. */
function isInformative(one, rates) {
  const of = part(one);
  if (!of) return true;
  const all = rates.find((other) => other.adapter === one.adapter && !part(other));
  return one.wrong > 0 && (of[0] === "category" || one.checked !== all?.checked);
}

/** A row. `below`: a narrow screen leaves out the name of the specialist. */
function rate(one, below) {
  const of = part(one), bound = `Up to ${share(one.interval[1])} could be wrong`;
  return h("tr", {}, h(below ? "td.again" : "td.name", {}, one.adapter), h("td.of", {}, of ? `${of[1]}: ${one[of[0]]}` : "All"), h("td.checks", {}, wrongOf(one)),
    h("td.words", {}, one.wrong ? `${share(one.rate)} wrong (${share(one.interval[0])} to ${share(one.interval[1])} of all)` : bound));
}

const NEWEST = 3; // notices that are not folded

function history(items, notices) {
  if (!notices.length) return null;
  const heads = [["When"], ["What"], ["Specialist"], ["Why"], ["Who"]];
  const shown = notices.filter((one, at) => at < NEWEST || isCurrent(one, at, items, notices));
  const older = notices.filter((one) => !shown.includes(one));
  return [h("h2", {}, "History"), h("p.muted.small", {}, count(notices.length, "notice"), ", newest first."), table(heads, shown.map(line)),
    older.length > 0 && h("details.fold", {}, h("summary", {}, `${number(older.length)} older`), table(heads, older.map(line)))];
}

/** Whether a notice explains a current problem. */
function isCurrent(one, at, items, notices) {
  const guarded = items.find((item) => item.adapter === one.adapter);
  const problems = { risk: guarded?.step > 0, category: guarded?.suspended.includes(one.about), drift: guarded?.drifted };
  const same = (other) => ["adapter", "kind", "about"].every((name) => other[name] === one[name]);
  return Boolean(problems[one.kind]) && notices.findIndex(same) === at;
}

const line = (one) => h("tr", {}, h("td.time", {}, moment(one.time)), h("td.of", {}, KINDS[one.kind]), h("td.name", {}, one.adapter), h("td.words", {}, one.text), h("td.by", {}, one.actor || "automatic"));
