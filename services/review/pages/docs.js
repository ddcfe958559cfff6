// The routes of the suite, to read and to try. A signed-in browser needs no key here.

const session = await fetch("/v1/session").then((answer) => answer.json()).catch(() => ({}));

document.getElementById("who").textContent = session.actor
  ? `Signed in as ${session.actor.name}`
  : "Not signed in: press Authorize and paste a key";

const mended = { // what Swagger UI leaves out for keyboards and screen readers
  "select:not([aria-label])": (one) => one.setAttribute("aria-label", one.closest("[data-param-name]")?.dataset.paramName ?? "Media type"),
  ".information-container:not([role])": (one) => { one.role = "region"; one.ariaLabel = "About"; },
  ".filter-container:not([role])": (one) => { one.role = "search"; },
  "pre.microlight:not([tabindex])": (one) => { one.tabIndex = 0; }, // it scrolls
  ":is(h3, h4, h5):not([aria-level])": (one) => one.setAttribute("aria-level", one.matches(".models > h4") ? 2 : one.localName[1] - 1), // below an h1
};
new MutationObserver(() => {
  for (const [selector, mend] of Object.entries(mended)) for (const one of document.querySelectorAll(selector)) mend(one);
}).observe(document.getElementById("docs"), { childList: true, subtree: true });

/** The path of a route stands in a button, so it is no link. */
const plainPaths = ({ React }) => ({ components: { DeepLink: ({ text }) => React.createElement("span", null, text) } });

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  plugins: [plainPaths],
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  showExtensions: true,
  tryItOutEnabled: true,
  requestInterceptor: (request) => {
    if (session.csrf) request.headers["X-CSRF-Token"] = session.csrf;
    return request;
  },
});
