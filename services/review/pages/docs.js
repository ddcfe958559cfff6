// The routes of the suite, to read and to try. A signed-in browser needs no key here.

const session = await fetch("/v1/session").then((answer) => answer.json()).catch(() => ({}));

document.getElementById("who").textContent = session.actor
  ? `Signed in as ${session.actor.name}`
  : "Not signed in: press Authorize and paste a key";

window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
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
