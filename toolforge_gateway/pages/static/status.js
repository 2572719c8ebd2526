// Keeps /status up to date: fetches the page itself again, and takes over what has changed.  The
// gateway alone knows how a value is shown; here nothing is known of any section.

const live = document.getElementById("live");
const announcements = document.getElementById("announcements");
const trouble = document.getElementById("trouble");
const controls = document.getElementById("controls");

const EVERY = Number(live.dataset.every) * 1000;
const SELDOM = 60000; // at most, when there is no answer
const PATIENCE = 10000; // milliseconds for one answer

let paused = false;
let timer = 0;
let failures = 0;
let asking = false;

const pause = document.createElement("button");
pause.type = "button";
const note = document.createElement("span");
note.className = "quiet";
controls.append(pause, note);
controls.hidden = false;

function show() {
  pause.textContent = paused ? "Go on updating" : "Pause updating";
  note.textContent = paused
    ? "This page stands still."
    : `This page is updated every ${EVERY / 1000} seconds.`;
}

pause.addEventListener("click", () => {
  paused = !paused;
  show();
  if (paused) {
    clearTimeout(timer);
  } else {
    look();
  }
});

// A page that nobody sees asks for nothing.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) {
    look();
  }
});

function later() {
  clearTimeout(timer);
  if (!paused) {
    timer = setTimeout(look, Math.min(EVERY * 2 ** failures, SELDOM));
  }
}

async function look() {
  if (document.hidden || paused || asking) {
    return;
  }
  asking = true;
  try {
    const answer = await fetch(location.pathname, {
      headers: { Accept: "text/html" },
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (!answer.ok) {
      throw new Error(`the gateway answers ${answer.status}`);
    }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = fresh.getElementById("live");
    if (found === null) {
      throw new Error("something else answers");
    }
    if (!paused) {
      const before = states();
      take(live, found);
      tell(before);
    }
    failures = 0;
    trouble.hidden = true;
    trouble.textContent = "";
  } catch (error) {
    failures += 1;
    if (failures === 2) {
      // One lost answer is no news.
      const why = error.name === "TimeoutError" ? "no answer in time" : error.message;
      trouble.textContent = `What you see is not up to date (${why}). It is tried again.`;
      trouble.hidden = false;
    }
  } finally {
    asking = false;
    later();
  }
}

// Make a node like another one, changing as little as possible, so that focus, selection and what
// has been unfolded stay.
function take(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) {
      old.nodeValue = fresh.nodeValue;
    }
    return;
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) {
      old.setAttribute(name, value);
    }
  }
  for (const { name } of [...old.attributes]) {
    // Unfolding is the reader's.
    if (!fresh.hasAttribute(name) && !(name === "open" && old.localName === "details")) {
      old.removeAttribute(name);
    }
  }
  const children = [...fresh.childNodes];
  children.forEach((child, place) => {
    const there = old.childNodes[place];
    if (there === undefined) {
      old.append(document.importNode(child, true));
    } else if (
      there.nodeName === child.nodeName &&
      (there.id ?? "") === (child.id ?? "")
    ) {
      take(there, child);
    } else {
      there.replaceWith(document.importNode(child, true));
    }
  });
  while (old.childNodes.length > children.length) {
    old.lastChild.remove();
  }
}

function states() {
  const found = new Map();
  for (const cell of live.querySelectorAll("[data-where]")) {
    found.set(cell.dataset.where, { of: cell.dataset.stateOf, state: cell.textContent });
  }
  return found;
}

// Say changes of a state to those who do not see them; the numbers change all the time.
function tell(before) {
  const news = [];
  for (const [where, { of, state }] of states()) {
    const former = before.get(where);
    if (former !== undefined && former.state !== state) {
      news.push(`${of} is now ${state}`);
    }
  }
  if (news.length > 0) {
    announcements.textContent = news.join(", ");
  }
}

show();
later();
