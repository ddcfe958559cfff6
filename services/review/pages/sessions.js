// Open sessions of browsers, and ways to end them.

import { get, remove } from "/pages/api.js";
import { count, excerpt, h, moment } from "/pages/dom.js";
import { ask, boxes, careful, head, redraw, Redrawn, table } from "/pages/people_parts.js";

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = [["Windows", "Windows"], ["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Mac OS", "macOS"], ["Linux", "Linux"]];

export async function show() {
  const all = h("button", { type: "button", hidden: true });
  const list = new Redrawn(() => sessions(list.draw, all));
  await list.draw();
  return { element: [head("A browser that signs in has a session for some hours. Who ends one signs its browser out within a minute.", all), list.element] };
}

/** What a browser calls itself, in short: "Firefox on Linux". The first match counts. */
function browserOf(agent) {
  const [browser, system] = [BROWSERS, SYSTEMS].map((names) => names.find(([part]) => agent.includes(part))?.[1]);
  return browser && system ? `${browser} on ${system}` : excerpt(agent, 40);
}

/** @param all the button that ends the other sessions */
async function sessions(draw, all) {
  const { items } = await get("/v1/keys/sessions");
  const others = items.filter((one) => !one.current).reverse();
  all.hidden = !others.length;
  all.textContent = "End all others";
  all.onclick = () => endAll(others, draw);
  return table(["Who", "Signed in", "Last use", "Ends"], [...items.filter((one) => one.current), ...others].map((one) => row(one, draw)));
}

const row = (session, draw) => h("tr", { "data-id": session.id },
  h("td.name", {}, session.name, session.current && h("span.pill.busy-state", {}, "This one"), session.user_agent && h("p.muted.small", { title: session.user_agent }, browserOf(session.user_agent))),
  h("td", {}, moment(session.created), session.address && h("p.muted.small", {}, `from ${session.address}`)),
  h("td", {}, session.last_used ? moment(session.last_used) : "Never"),
  h("td", {}, moment(session.expires)),
  h("td", {}, !session.current && careful("End", `End this session of ${session.name}?`, `${session.user_agent ? browserOf(session.user_agent) : "It"} is signed out within a minute. ${session.name} can sign in again.`,
    () => remove(`/v1/keys/sessions/${session.id}`), redraw(draw, `A session of ${session.name} has ended`))));

/** Ask whose other sessions end. */
function endAll(others, draw) {
  const people = Object.entries(Object.groupBy(others, (one) => one.name));
  ask(`End ${count(others.length, "other session")}?`, [h("p", {}, "These browsers are signed out within a minute. The people can sign in again."),
    boxes("Sessions of", "names", people.map(([name, own]) => [name, `${name} (${own.length})`, true]))], "End", async (data) => {
    const names = data.getAll("names");
    if (!names.length) throw new Error("Choose at least one person.");
    for (const one of others.filter(({ name }) => names.includes(name))) await remove(`/v1/keys/sessions/${one.id}`).catch(ended);
  }, redraw(draw, "The sessions have ended"));
}

/** A session that has ended in the meantime is no error. */
function ended(error) {
  if (error.status !== 404) throw error;
}
