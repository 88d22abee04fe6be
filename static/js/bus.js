/** One socket for the whole page: subscribes, reconnects, and says how old the feed is. */

const HEARTBEAT_LIMIT_MS = 3000;
const QUIET_LIMIT_MS = 15000;
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 8000;
const RESYNC_EVERY_MS = 1000;
const SIGNED_OUT_CODES = [4401, 4403];

class Bus extends EventTarget {
  #socket = null;
  #retry = RETRY_FIRST_MS;
  #timer = 0;
  #subscription = null;
  #beatAt = 0;
  #accountSeq = null;
  #resyncAt = -RESYNC_EVERY_MS;
  attempt = 0;
  feedAgeMs = null;
  serverTime = null;
  state = "connecting";

  start() {
    this.#connect();
    setInterval(() => this.#watch(), 500);
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#socket?.readyState !== WebSocket.OPEN) this.retryNow();
    });
  }

  /** Ask for quotes of `symbols`, and for depth and trades of one; replaces what was asked before. */
  subscribe(symbols, depth) {
    this.#subscription = { action: "subscribe", symbols, depth };
    this.#send(this.#subscription);
  }

  /** Ask for the whole book of the symbol that is shown, at most once a second: until it comes nothing fits. */
  resync() {
    const now = performance.now();
    if (now - this.#resyncAt < RESYNC_EVERY_MS) return;
    this.#resyncAt = now;
    this.#send({ action: "resync" });
  }

  retryNow() {
    if (this.#socket?.readyState === WebSocket.CONNECTING) return;
    clearTimeout(this.#timer);
    this.#socket?.close();
    this.#connect();
  }

  #send(message) {
    if (message && this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    // What was missed follows the hello; a hello with another position says that the page must read anew.
    const after = this.#accountSeq === null ? "" : `?after=${this.#accountSeq}`;
    const socket = new WebSocket(`${scheme}//${location.host}/ws/terminal${after}`);
    this.#socket = socket;
    socket.addEventListener("open", () => this.#send(this.#subscription));
    socket.addEventListener("message", (event) => socket === this.#socket && this.#receive(event.data));
    socket.addEventListener("close", (event) => socket === this.#socket && this.#closed(event.code));
  }

  #closed(code) {
    if (SIGNED_OUT_CODES.includes(code)) this.dispatchEvent(new Event("signed-out"));
    this.attempt += 1;
    const wait = this.#retry * (0.7 + Math.random() * 0.6);
    this.#retry = Math.min(this.#retry * 2, RETRY_MAX_MS);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#watch();
  }

  #receive(text) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message.type === "hello" || message.type === "heartbeat") this.#beat(message);
    if (message.type === "account" && this.#isRepeat(message.seq)) return;
    this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
  }

  #beat(message) {
    this.#beatAt = performance.now();
    this.serverTime = message.server_time;
    if (message.type === "hello") {
      const missed = this.#accountSeq !== null && message.account_seq !== this.#accountSeq;
      this.#accountSeq = message.account_seq;
      this.attempt = 0;
      this.#retry = RETRY_FIRST_MS;
      if (missed) this.dispatchEvent(new Event("account-gap"));
    } else {
      this.feedAgeMs = message.feed_age_ms;
    }
    this.#watch();
  }

  #isRepeat(seq) {
    if (seq === null || seq === undefined) return false;
    if (this.#accountSeq !== null && seq <= this.#accountSeq) return true;
    if (this.#accountSeq !== null && seq > this.#accountSeq + 1) this.dispatchEvent(new Event("account-gap"));
    this.#accountSeq = seq;
    return false;
  }

  #watch() {
    const silent = performance.now() - this.#beatAt;
    let state = "live";
    if (!this.#beatAt) state = this.attempt > 1 ? "stale" : "connecting";
    else if (silent > HEARTBEAT_LIMIT_MS) state = "stale";
    else if ((this.feedAgeMs ?? 0) > QUIET_LIMIT_MS) state = "quiet";
    const changed = state !== this.state;
    this.state = state;
    this.dispatchEvent(new CustomEvent("feed", { detail: { state, changed, silentMs: silent } }));
  }
}

export const bus = new Bus();
