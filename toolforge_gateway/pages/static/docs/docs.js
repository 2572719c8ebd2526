// The start of /docs: fetch the document, show it, or say why not.

import { browser } from "./browse.js";
import { append, h } from "./dom.js";
import { Api, isObject } from "./openapi.js";

const place = document.getElementById("browser");
const source = place.dataset.document;

function trouble(...words) {
  place.replaceChildren(h("div.notice.bad", { role: "alert" }, h("p", {}, ...words)));
}

/** How often a gateway that has just started, and so knows nothing yet, is asked again. */
const TRIES = 10;
const PAUSE = 2000;

async function start(tries) {
  place.replaceChildren(h("p.quiet", { role: "status" }, "Reading the document of the APIs…"));
  let found;
  try {
    const answer = await fetch(source, { credentials: "same-origin" });
    if (answer.status === 503 && tries > 1) {
      setTimeout(start, PAUSE, tries - 1);
      return;
    }
    if (answer.status === 404) {
      trouble("No API publishes its documentation here.");
      return;
    }
    if (!answer.ok) {
      trouble(
        `The document of the APIs is not to be had now (status ${answer.status}). `,
        "Reload this page in a minute; ",
        h("a", { href: "/status" }, "the status page"),
        " tells which APIs work.",
      );
      return;
    }
    found = await answer.json();
  } catch {
    trouble("The document of the APIs cannot be read. Reload this page in a minute.");
    return;
  }
  if (!isObject(found) || !isObject(found.paths ?? {})) {
    trouble("What ", h("a", { href: source }, source), " holds is no OpenAPI document.");
    return;
  }
  const api = new Api(found);
  place.replaceChildren();
  if (api.operations.length === 0) {
    append(place, h("p.notice", {}, "No API has published its documentation yet."));
    return;
  }
  browser(api, place);
}

start(TRIES);
