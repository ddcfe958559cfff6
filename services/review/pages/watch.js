// Whether stated risks are kept: what checks say, what was noticed, and what was done about it.

import { get } from "/pages/api.js";
import { count, empty, h, moment, number } from "/pages/dom.js";

const KINDS = { risk: "Tightened", category: "Category", drift: "Documents changed", calibrated: "Calibrated", undone: "Undone", loosened: "Loosened" };
const NARROW = matchMedia("(max-width: 46rem)"); // as in the style sheet
const WHAT = { category: "Category", kind: "Kind", source: "Read from" };

export async function show() {
  const [{ items, notices }, { items: rates }] = await Promise.all([watched(), get("/v1/decisions/error-rates")]);
  const head = h("div.head", {}, h("h1", {}, "Checks"), items.map(alarm),
    h("p.muted.about", {}, "Of what the machine may accept by itself a share is checked by people, who are not told. It says how often the machine is wrong, and whether what was promised is kept. What is tightened is loosened by a person alone: smallprint calibrate."));
  if (!items.length && !rates.length && !notices.length) {
    const text = "Once a risk is stated in the policy and documents are read under it, this page says whether it is kept.";
    return { title: "Checks", element: h("div.page", {}, head, empty("Nothing is promised yet", text, h("a.button.primary", { href: "/documents" }, "Documents"))) };
  }
  const element = h("div.page", {}, head, watches(items, notices), errors(rates), told(items, notices));
  const unfold = () => { if (!NARROW.matches) element.querySelectorAll(".calm").forEach((one) => { one.open = true; }); };
  NARROW.addEventListener("change", unfold);
  return { title: "Checks", element, leave: () => NARROW.removeEventListener("change", unfold) };
}

/** The watches over clauses and over findings, and their notices, the newest first. */
export async function watched() {
  const [clauses, findings] = await Promise.all([get("/v1/watch"), get("/v1/watch/findings").catch(unlessOlder)]);
  const items = [...clauses.items, ...findings.items.map((one) => ({ ...one, result: "finding", unit: "filing" }))];
  return { items, notices: [...clauses.notices, ...findings.notices].sort((one, other) => other.time.localeCompare(one.time)) };
}

/** While it is upgraded, triage may be older than these pages, and promises nothing that is watched. */
function unlessOlder(error) {
  if (error.status === 404) return { items: [], notices: [] };
  throw error;
}

/** What is wrong with a watch, in one sentence; null while all is well. */
export function trouble(one) {
  const said = [];
  if (one.step > 0 || lifted(one)) said.push(tightened(one));
  if (one.doubted.length) said.push(`a person looks at ${one.doubted.join(", ")}`);
  if (one.drifted) said.push(`${unit(one)}s are unlike those it was calibrated on`);
  return said.length ? `${one.adapter}: ${said.join("; ")}.` : null;
}

/** Whether less is accepted of the others for a category in doubt alone, without which they have to keep the risk. */
const lifted = (one) => one.step === 0 && one.doubted.length > 0 && one.belief_now !== one.belief;

function tightened(one) {
  if (one.belief_now === null) return "nothing is accepted any more";
  const [now, was] = least(one);
  if (now === null) return "less is accepted than was promised for";
  return byConfidence(one) ? `only findings with a confidence of ${share(now)} or more are accepted, where ${share(was)} was enough` : `only what is believed to ${share(now)} is accepted, not to ${share(was)}`;
}

function alarm(one) {
  const text = trouble(one);
  return text && h("p.notice", { role: "alert" }, text);
}

const result = (one) => one.result ?? "clause";
const unit = (one) => one.unit ?? "document";
const byConfidence = (one) => result(one) === "finding"; // which each finding shows; how sure a clause has to be differs by category
/** From which confidence, or belief, on is accepted: now, and as promised; null where it is not known. */
const least = (one) => (byConfidence(one) ? [one.threshold_now ?? null, one.threshold ?? null] : [one.belief_now, one.belief]);
const share = (value) => (value === null ? "–" : `${number(Math.round(value * 1000) / 10)}%`);

/** A table whose rows are two lines each on a narrow screen. */
function table(heads, rows) {
  return h("table.list.compact", {}, h("thead", {}, h("tr", {}, heads.map(([text, figure]) => h(figure ? "th.figure" : "th", { scope: "col" }, text)))), h("tbody", {}, rows));
}

const SPEAKS = 4; // a kept promise comes to a number so high in a quarter of all installations at most
const FEW = 30; // documents, after which a change has hardly had time to show
const tenth = (value) => number(Math.round(value * 10) / 10);
const wrongOf = (one) => `${count(one.checks ?? one.looked_at, "check")}, ${one.wrong ? `${number(one.wrong)} wrong` : "none wrong"}`;
const times = (n) => (n === 1 ? "once" : n === 2 ? "twice" : `${number(n)} times`);

function watches(items, notices) {
  if (!items.length) return null;
  return [h("h2", {}, "What was promised"), items.map((one) => card(one, notices.find((notice) => notice.kind === "risk" && notice.adapter === one.adapter)))];
}

/** A promise and how it stands. What speaks against it comes first; on a narrow screen the rest is folded. */
function card(one, why) {
  const fact = (name, first, ...more) => h("div", {}, h("dt", {}, name), h("dd", {}, first, more.filter(Boolean).map((text) => h("p.muted.small", {}, text))));
  const checks = one.max_wrong !== null && [
    fact("Checked by people", one.checks ? `${wrongOf(one)}${one.step ? ", at the threshold that holds now" : ""}` : one.step ? "None at the threshold that holds now" : "No check is decided yet", ...carries(one)),
    fact("What the checks say", ...kept(one, why))];
  const read = fact(unit(one) === "filing" ? "Filings" : "Documents", ...documents(one));
  const speak = one.step > 0 || one.doubted.length > 0 || one.evidence >= SPEAKS, unlike = one.drifted || one.drift_evidence >= SPEAKS;
  const told = `${count(one.accepted, result(one))} accepted${one.checks && !speak ? `; ${wrongOf(one)}` : ""}`;
  return h("section.watch", { "aria-label": one.adapter },
    h("div.row.apart", {}, h("h3", {}, one.adapter, one.version && h("span.tag", {}, `version ${one.version}`)), state(one)),
    h("p.promise", {}, promise(one)),
    (speak || unlike) && h("dl", {}, speak && checks, unlike && read),
    h("details.calm", { open: !NARROW.matches }, h("summary", {}, told), h("dl", {},
      fact("Accepted by the machine", count(one.accepted, result(one)), accepted(one)),
      !speak && checks,
      !unlike && read,
      fact("Calibration", one.calibration === null ? "As the specialist came" : `No. ${one.calibration}, made here by ${one.calibrated_by}, ${moment(one.calibrated)}`))),
    exact(one));
}

function state(one) {
  const [kind, text] = one.max_wrong === null ? ["", "Nothing promised"]
    : one.step || one.doubted.length ? ["failed", "In doubt"]
      : one.drifted ? ["partial", "Documents changed"]
        : one.evidence >= SPEAKS ? ["partial", "Checks begin to speak against it"]
          : one.checks ? ["complete", "Nothing speaks against it"] : ["", "Not checked yet"];
  return h("span.pill", { class: kind }, text);
}

function promise(one) {
  if (one.max_wrong === null) return "Nothing is promised, so nothing is accepted by itself.";
  const level = one.level === null ? "" : `, with ${share(one.level)} confidence`;
  return `Promised: of what it accepts by itself at most ${share(one.max_wrong)} wrong${level}.`;
}

function accepted(one) {
  if (one.max_wrong === null) return null;
  if (one.belief_now === null) return "Of documents that are kept. Nothing more is accepted for now: people look at all of it.";
  const [now] = least(one), there = "Of documents that are kept; nobody was asked about them.";
  if (now === null) return there;
  if (byConfidence(one)) return `${there} Accepted is what has a confidence of ${share(now)} or more.`;
  return `${there} Accepted is what is believed to ${share(now)} or more. ${BELIEF}`;
}

const BELIEF = "That is not the scale of “How sure”: it is how likely a clause is right, which the calibration tells from its category and from how sure the machine is; so in one category a lower “How sure” is enough, and in another a higher one is not.";

/** How far the checks carry, without those that the promise was made from. */
function carries(one) {
  const alone = `${count(one.enough, "check")}, none wrong, would show by themselves that at most ${share(one.max_wrong)} is wrong.`;
  if (!one.checks) return [`Until then the promise rests on the ${unit(one)}s that it was made from. ${alone}`];
  const [low, high] = one.interval;
  const range = `${one.wrong ? `That is ${share(one.wrong / one.checks)}. ` : ""}By these checks alone the share of wrong ones lies between ${share(low)} and ${share(high)} (95% interval).`;
  if (high <= one.max_wrong) return [range, `That is within the ${share(one.max_wrong)} that was promised.`];
  if (low > one.max_wrong) return [range, `That is more than the ${share(one.max_wrong)} that was promised.`];
  return [range, one.wrong ? `These are too few to show whether it is more or less than ${share(one.max_wrong)}.` : `These are too few to show it is no more than ${share(one.max_wrong)}: ${alone}`];
}

function fromTo(one) {
  const [now, was] = least(one);
  return now === null ? "" : `, from ${byConfidence(one) ? "a confidence of " : ""}${share(was)} to ${share(now)}`;
}

function kept(one, why) {
  const now = !one.checks ? "no check is decided at the threshold that holds now" : one.evidence >= SPEAKS ? "the checks begin to speak against what is left too" : "nothing speaks against what is left";
  const category = one.doubted.length && `A person looks at every ${one.doubted.join(", ")}, as too many checks of ${one.doubted.length === 1 ? "it" : "them"} were wrong.`;
  if (one.step) {
    const then = one.belief_now === null ? "nothing is accepted any more" : `the threshold was tightened ${times(one.step)}${fromTo(one)}; ${now}`;
    return [`The promise is in doubt, therefore ${then}.`, why && `Why: ${why.text}.`, category];
  }
  if (category) return ["The promise is in doubt for some categories.", category, lifted(one) && others(one)];
  if (!one.checks) return ["Nothing yet, for it or against it."];
  if (one.evidence >= SPEAKS) return ["They begin to speak against the promise.", "Nothing is tightened yet. A promise that is kept can come to this by chance, in one of four installations at most."];
  return ["Nothing speaks against the promise."];
}

/** What is accepted without the categories in doubt. */
function others(one) {
  if (one.belief_now === null) return "Without them nothing is shown to keep the promised share, so nothing is accepted any more.";
  return `Without them it takes more to keep the promised share: the threshold was raised${fromTo(one)}.`;
}

function documents(one) {
  const many = count(one.drift_documents, unit(one)), all = `${unit(one)}s`;
  if (one.drifted) return [`The ${all} have changed: they are unlike those the promise was made from.`, "By itself that is no mistake: more of what could be accepted is checked, if anything is."];
  if (!one.drift_documents) return ["None was compared with those the promise was made from."];
  if (one.drift_evidence >= SPEAKS) return [`The ${all} begin to look unlike those the promise was made from.`, `After ${many}.`];
  return [`The ${all} look like those the promise was made from.`, `After ${many}${one.drift_documents < FEW ? ": so few that a change may not show yet" : ""}.`];
}

/** The figures of the tests, for who wants to know them. */
function exact(one) {
  const row = (name, value, means) => h("div", {}, h("dt", {}, name), h("dd", {}, value, h("p.muted.small", {}, means)));
  const [now, was] = least(one);
  const ever = (limit) => `1 is none. Where all is as promised, ${number(Math.round(limit))} is ever reached in one of ${number(Math.round(limit))} installations at most, however often one looks.`;
  return h("details", {}, h("summary", {}, "Exact figures"), h("dl", {},
    one.max_wrong !== null && row("Evidence against the promise", `${tenth(one.evidence)}; doubt begins at ${number(Math.round(one.alarm_at))}`, `After ${count(one.documents, unit(one))} with all checks decided. ${ever(one.alarm_at)}`),
    row(`Evidence that ${unit(one)}s changed`, `${tenth(one.drift_evidence)}; a change is noticed at ${number(Math.round(one.drift_alarm_at))}`, ever(one.drift_alarm_at)),
    row("Population stability index", one.stability_index === null ? "–" : number(Math.round(one.stability_index * 100) / 100), `How far the last ${unit(one)}s are from those the promise was made from; by custom 0.1 is little and 0.25 much.`),
    was !== null && row(`Accepted from a ${byConfidence(one) ? "confidence" : "belief"} of`, `${one.belief_now === null ? "nothing is accepted" : share(now)}; ${share(was)} as promised`, byConfidence(one) ? "As each finding shows it." : `How likely a ${result(one)} has to be right, by the calibration.`)));
}

/** How often checks were wrong: in all, and in what was wrong at times; the rest, which says nothing more, is folded. */
function errors(rates) {
  if (!rates.length) return h("p.muted", {}, "No check was decided yet.");
  const heads = [["Specialist"], ["Of"], ["Checks"], ["What they say"]];
  const several = new Set(rates.map((one) => one.adapter)).size > 1;
  const shown = rates.filter((one) => tells(one, rates));
  const rest = rates.filter((one) => !shown.includes(one));
  return [h("h2", {}, "How often the machine was wrong"),
    h("p.muted.small", {}, "By all checks that people ever decided, under whatever promise. What they say of all that could be accepted is an interval of 95%: the fewer checks, the wider it is."),
    table(heads, shown.map((one) => rate(one, part(one) !== null))),
    rest.length > 0 && h("details.fold", {}, h("summary", {}, `${number(rest.length)} more: none wrong, or the same as all`), table(heads, rest.map((one) => rate(one, !several))))];
}

/** Of which part of its results a rate is, as [name in the API, in words]; null if of all. */
const part = (one) => Object.entries(WHAT).find(([name]) => one[name] !== null) ?? null;

/** Whether a rate says something that the rate of all doesn't: checks were wrong, and if of a kind or a source, not of the only one. */
function tells(one, rates) {
  const of = part(one);
  if (!of) return true;
  const all = rates.find((other) => other.adapter === one.adapter && !part(other));
  return one.wrong > 0 && (of[0] === "category" || one.looked_at !== all?.looked_at);
}

/** A row; `below`: one of a part, below that of all, where a narrow screen need not name the specialist again. */
function rate(one, below) {
  const of = part(one), up = `up to ${share(one.interval[1])} could be wrong`;
  return h("tr", {}, h(below ? "td.again" : "td.name", {}, one.adapter), h("td.of", {}, of ? `${of[1]}: ${one[of[0]]}` : "All"), h("td.checks", {}, wrongOf(one)),
    h("td.words", {}, one.wrong ? `${share(one.rate)} wrong; between ${share(one.interval[0])} and ${share(one.interval[1])} of all` : up[0].toUpperCase() + up.slice(1)));
}

const NEWEST = 3; // notices that are shown without being asked for

function told(items, notices) {
  if (!notices.length) return null;
  const heads = [["When"], ["What"], ["Specialist"], ["Why"], ["Who"]];
  const shown = notices.filter((one, at) => at < NEWEST || stands(one, at, items, notices));
  const older = notices.filter((one) => !shown.includes(one));
  return [h("h2", {}, "What was noticed and done"), h("p.muted.small", {}, count(notices.length, "notice"), ", the newest first."), table(heads, shown.map(line)),
    older.length > 0 && h("details.fold", {}, h("summary", {}, `${number(older.length)} older`), table(heads, older.map(line)))];
}

/** Whether a notice is the reason for what is wrong now. */
function stands(one, at, items, notices) {
  const watch = items.find((item) => item.adapter === one.adapter);
  const wrong = { risk: watch?.step > 0, category: watch?.doubted.includes(one.about), drift: watch?.drifted };
  const same = (other) => ["adapter", "kind", "about"].every((name) => other[name] === one[name]);
  return Boolean(wrong[one.kind]) && notices.findIndex(same) === at;
}

const line = (one) => h("tr", {}, h("td.time", {}, moment(one.time)), h("td.of", {}, KINDS[one.kind]), h("td.name", {}, one.adapter), h("td.words", {}, one.text), h("td.by", {}, one.actor || "by itself"));
