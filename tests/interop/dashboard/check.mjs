// What the dashboard's script does to a page, in jsdom, with a stream and a server that this file plays.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { JSDOM } from "jsdom";

const script = readFileSync(new URL("../../../src/http/dashboard/templates/skald.js", import.meta.url), "utf8");

const page = (main, live = 'data-live="/v1/sagas/events?after=7"') => `<!doctype html><html><head><title>Sagas</title></head>
<body ${live}><header><a id="reload" href="/?refresh=5">Reload every 5 s</a><span id="live" role="status" hidden></span></header>
<main id="main">${main}</main></body></html>`;

// A browser with one page open. `answers` are what the server says next when the page is asked for again.
function open(html) {
  const browser = new JSDOM(html, { url: "http://localhost:7070/?status=RUNNING", runScripts: "outside-only", pretendToBeVisual: true });
  const { window } = browser;
  const state = { window, document: window.document, streams: [], fetched: [], answers: [], hidden: false };
  Object.defineProperty(window.document, "hidden", { get: () => state.hidden });
  window.EventSource = class {
    static CLOSED = 2;
    constructor(url) {
      Object.assign(this, { url: String(url), readyState: 0 });
      state.streams.push(this);
    }
    close() {
      this.readyState = 2;
    }
  };
  window.fetch = async (address, options) => {
    state.fetched.push([String(address), options]);
    const answer = state.answers.shift();
    if (!answer) throw new Error("the server is away");
    return { ok: answer.ok ?? true, text: async () => answer.html ?? answer };
  };
  // Pauses are over at once.
  window.setTimeout = (what) => setTimeout(what, 0);
  state.settle = async () => {
    for (let n = 0; n < 30; n++) await new Promise((over) => setTimeout(over, 0));
  };
  state.tell = async (id) => {
    state.streams.at(-1).onmessage({ lastEventId: String(id), data: "{}" });
    await state.settle();
  };
  state.hide = (hidden) => {
    state.hidden = hidden;
    window.document.dispatchEvent(new window.Event("visibilitychange"));
  };
  window.eval(script);
  return state;
}

const text = (state) => state.document.getElementById("main").textContent;
const sign = (state) => state.document.getElementById("live");
const reload = (state) => state.document.getElementById("reload");

const checks = {
  async "a page follows the stream that it names and shows what is new"() {
    const it = open(page("<p>one</p>"));
    assert.equal(it.streams[0].url, "http://localhost:7070/v1/sagas/events?after=7");
    it.streams[0].onopen();
    assert.deepEqual([sign(it).textContent, sign(it).hidden, reload(it).hidden], ["Live", false, true]);
    it.answers.push(page("<p>two</p>"));
    await it.tell(8);
    assert.equal(text(it), "two");
    assert.equal(it.fetched[0][0], "http://localhost:7070/?status=RUNNING");
    assert.equal(it.fetched.length, 1);
  },

  async "a page without a stream is left alone"() {
    const it = open(page("<p>one</p>", ""));
    assert.deepEqual([it.streams.length, reload(it).hidden], [0, false]);
  },

  async "a hidden page asks for nothing and goes on where it was"() {
    const it = open(page("<p>one</p>"));
    it.answers.push(page("<p>two</p>"));
    await it.tell(8);
    it.hide(true);
    assert.equal(it.streams[0].readyState, 2);
    await it.settle();
    assert.equal(it.fetched.length, 1);
    it.hide(false);
    assert.equal(it.streams[1].url, "http://localhost:7070/v1/sagas/events?after=8");
  },

  async "what somebody writes is not taken away"() {
    const field = '<form><input id="q" value=""></form>';
    const it = open(page(field + "<p>one</p>"));
    it.document.getElementById("q").value = "half a word";
    it.answers.push(page(field + "<p>two</p>"));
    await it.tell(8);
    assert.deepEqual([it.document.getElementById("q").value, it.fetched.length], ["half a word", 0]);
    it.document.getElementById("q").value = "";
    it.document.dispatchEvent(new it.window.Event("focusout"));
    await it.settle();
    assert.match(text(it), /two/);
  },

  async "what is open and what has the focus stays so"() {
    const rows = (n) => `<a href="/sagas/x">x</a><details><summary>s</summary>${n}</details><details><summary>t</summary></details>`;
    const it = open(page(rows("one")));
    it.document.querySelector("details").open = true;
    it.document.querySelector("a[href='/sagas/x']").focus();
    it.answers.push(page(rows("two")));
    await it.tell(8);
    const [first, second] = it.document.querySelectorAll("details");
    assert.deepEqual([first.open, second.open, first.textContent], [true, false, "stwo"]);
    assert.equal(it.document.activeElement.getAttribute("href"), "/sagas/x");
  },

  async "hostile text in a new page runs nothing"() {
    const it = open(page("<p>one</p>"));
    it.window.stolen = false;
    it.answers.push(page("<p>two</p><script>window.stolen = true</script>"));
    await it.tell(8);
    assert.deepEqual([it.window.stolen, text(it).startsWith("two")], [false, true]);
  },

  async "a page that fails to come is asked for again"() {
    const it = open(page("<p>one</p>"));
    it.answers.push({ ok: false }, page("<p>two</p>"));
    await it.tell(8);
    assert.equal(text(it), "two");
  },

  async "a page that changes no more is not followed any more"() {
    const it = open(page("<p>one</p>"));
    it.answers.push(page("<p>ended</p>", ""));
    await it.tell(8);
    assert.deepEqual([text(it), it.streams[0].readyState, sign(it).hidden], ["ended", 2, true]);
  },

  async "a stream that is refused for good leaves the page to reload itself"() {
    const it = open(page("<p>one</p>"));
    it.streams[0].onerror();
    assert.equal(sign(it).textContent, "Connecting…");
    it.streams[0].readyState = 2;
    it.streams[0].onerror();
    assert.deepEqual([sign(it).hidden, reload(it).hidden], [true, false]);
  },
};

for (const [what, check] of Object.entries(checks)) {
  await check();
  console.log(`ok: ${what}`);
}
process.exit(0);
