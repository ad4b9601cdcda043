// Keeps a page up to date while somebody looks at it. Without this script the page is the same, and can
// reload itself.
"use strict";
(() => {
  const address = document.body.dataset.live;
  if (!address || !window.EventSource) return;

  // Between two renewals, in milliseconds: as often as a reader can follow.
  const PAUSE = 1000;
  const url = new URL(address, location.href);
  const sign = document.getElementById("live");
  const reload = document.getElementById("reload");
  let stream = null;
  let stale = false;
  let timer = null;

  const main = () => document.getElementById("main");

  function show(text) {
    sign.textContent = text ?? "";
    sign.hidden = !text;
    if (reload) reload.hidden = Boolean(text);
  }

  function follow() {
    if (stream || document.hidden) return;
    show("Connecting…");
    stream = new EventSource(url);
    stream.onopen = () => show("Live");
    stream.onmessage = (event) => {
      url.searchParams.set("after", event.lastEventId);
      stale = true;
      renewSoon();
    };
    stream.onerror = () => {
      // Closed for good: nothing follows any more, or the server has too many readers.
      if (stream.readyState === EventSource.CLOSED) leave();
      else show("Connecting…");
    };
  }

  function leave() {
    stream?.close();
    stream = null;
    show(null);
  }

  function renewSoon() {
    timer ??= setTimeout(renew, 50);
  }

  async function renew() {
    if (stale && !document.hidden && !isBeingEdited()) {
      stale = false;
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
        if (answer.ok) replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
        else stale = true;
      } catch {
        stale = true;
      }
      await new Promise((over) => setTimeout(over, PAUSE));
    }
    timer = null;
    if (stale && stream && !isBeingEdited()) renewSoon();
  }

  // Nobody's words are taken away.
  function isBeingEdited() {
    const fields = [...main().querySelectorAll("input:not([type=hidden]), textarea")];
    const focused = document.activeElement?.matches("input, select, textarea");
    return (focused && main().contains(document.activeElement)) || fields.some((it) => it.value !== it.defaultValue);
  }

  // What the reader has opened, scrolled and focused stays so.
  function replace(page) {
    const fresh = page.getElementById("main");
    if (!fresh || isBeingEdited()) {
      stale = true;
      return;
    }
    const old = main();
    const all = (root, what) => [...root.querySelectorAll(what)];
    const opened = all(old, "details").map((it) => it.open);
    const scrolled = all(old, "[role=region]").map((it) => it.scrollLeft);
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    old.replaceWith(document.adoptNode(fresh));
    all(fresh, "details").forEach((it, n) => (it.open = opened[n] ?? it.open));
    all(fresh, "[role=region]").forEach((it, n) => (it.scrollLeft = scrolled[n] ?? 0));
    const name = (it) => it.id || it.getAttribute("href") || it.getAttribute("aria-label") || it.textContent;
    if (focused) {
      const same = all(fresh, focused.tagName).find((it) => name(it) === name(focused));
      same?.focus({ preventScroll: true });
    }
    document.title = page.title;
    if (!page.body.dataset.live) leave();
  }

  // A page that nobody sees costs nothing; seen again, it asks for what it missed.
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  document.addEventListener("focusout", () => stale && renewSoon());
  follow();
})();
