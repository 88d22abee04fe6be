/** <ob-chart>: candles of one symbol, kept current by the server's own, with a summary and a table for readers. */

import { bus } from "./bus.js";
import { barOf, Candles, intervalOf, stepOf } from "./candles.js";
import { ChartFrame } from "./chart-frame.js";
import { volume } from "./figures.js";

const DAILY = ["1D", "1W"];
const TABLE_ROWS = 200;
const KEEP_BARS = 2000;
/** Bars are read anew now and then, and soon after one before the newest has changed. */
const RESYNC_EVERY_MS = 60000;
const LATE_AFTER_MS = 2000;
const TOLD_MAX = 100;
const MARKS_EVERY_MS = 250;

const fixed = (value) => value.toFixed(value < 1 ? 4 : 2);

function legendBuild(host) {
  host.innerHTML = '<div class="legend" aria-hidden="true"><span data-ohlc></span><div class="indicators">'
    + '<i class="ema"></i>EMA 20 <b data-ema></b><span data-vwap-line><i class="vwap"></i>VWAP <b data-vwap></b></span></div></div>'
    + '<div class="chart-canvas" role="img" aria-label="Price chart, loading" tabindex="-1"></div><div class="empty chart-note" hidden></div>'
    + '<div class="chart-table" hidden tabindex="0" role="region" aria-label="Bars as a table"></div>';
}

class Chart extends HTMLElement {
  #frame = null;
  #reply = null;
  #candles = null;
  #told = new Map();
  #late = 0;
  #pushed = 0;
  #loading = 0;
  #resync = 0;
  #marksBusy = false;
  #marksStale = false;

  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.interval = sessionStorage.getItem("chart-interval") ?? "5m";
    legendBuild(this);
    this.canvas = this.querySelector(".chart-canvas");
    this.listeners = [
      [bus, "bars", ({ detail }) => detail.symbol === this.symbol && this.#barsTake(detail)],
      [bus, "hello", () => this.load(false)],
      [document, "display-changed", () => this.#frame?.recolour()],
      [document.body, "account-changed", () => this.#marksSoon()],
    ];
    this.listeners.forEach(([target, name, handler]) => target.addEventListener(name, handler));
    document.dispatchEvent(new CustomEvent("chart-interval", { detail: this.interval }));
    this.#resync = setInterval(() => { if (!document.hidden) this.load(false); }, RESYNC_EVERY_MS);
    this.load(true);
  }

  disconnectedCallback() {
    clearInterval(this.#resync);
    clearTimeout(this.#late);
    this.listeners.forEach(([target, name, handler]) => target.removeEventListener(name, handler));
    this.#frame?.end();
    this.#frame = null;
  }

  intervalSet(interval) {
    if (interval === this.interval) return;
    this.interval = interval;
    sessionStorage.setItem("chart-interval", interval);
    document.dispatchEvent(new CustomEvent("chart-interval", { detail: interval }));
    this.load(true);
  }

  async load(fit) {
    const turn = (this.#loading += 1);
    try {
      const address = `/chart/${encodeURIComponent(this.symbol)}?interval=${this.interval}`;
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const reply = await response.json();
      if (turn === this.#loading && this.isConnected) this.#show(reply, fit);
    } catch {
      if (turn === this.#loading && !this.#reply) this.#note("The chart could not be loaded. It is tried again when prices return.");
    }
  }

  #show(reply, fit) {
    this.#reply = reply;
    const bars = reply.bars.map(barOf);
    this.#candles = new Candles(bars, reply.steps.map(barOf), intervalOf(this.interval, reply.interval_s), KEEP_BARS);
    // What the stream said while the bars were on their way may be newer than they are.
    for (const told of this.#told.values()) if (told.unit === this.#candles.interval.unit) this.#candles.take(this.#stepOf(told));
    this.#pushed = 0;
    this.#note(bars.length ? "" : "No bars at this interval yet. Choose a longer one.");
    this.#frame ??= this.#frameMake();
    this.#frame.intraday = !DAILY.includes(this.interval);
    this.#frame.load(bars, fit);
    this.#legend();
    this.#summary();
    this.#tableFill();
    this.marksLoad();
  }

  #frameMake() {
    const frame = new ChartFrame(this.canvas);
    frame.chart.subscribeCrosshairMove((move) => this.#legend(move.seriesData?.get(frame.candles)));
    return frame;
  }

  /** One request at a time, and a pause after it: an account may change many times a second. */
  async #marksSoon() {
    this.#marksStale = true;
    if (this.#marksBusy) return;
    this.#marksBusy = true;
    while (this.#marksStale && this.isConnected) {
      this.#marksStale = false;
      await new Promise((done) => setTimeout(done, MARKS_EVERY_MS));
      await this.marksLoad();
    }
    this.#marksBusy = false;
  }

  async marksLoad() {
    try {
      const response = await fetch(`/chart/${encodeURIComponent(this.symbol)}/marks`, { headers: { Accept: "application/json" } });
      if (!response.ok || !this.isConnected) return;
      const marks = await response.json();
      this.#frame?.mark(marks);
      document.dispatchEvent(new CustomEvent("chart-marks", { detail: marks }));
    } catch { /* the marks stay as they are and are read again at the next event */ }
  }

  #stepOf({ unit, candle }) {
    return stepOf(candle, unit, this.#reply.offset_s);
  }

  #barsTake(message) {
    for (const unit of ["minutes", "days"]) {
      for (const candle of message[unit]) {
        this.#told.set(`${unit} ${candle.t}`, { unit, candle });
        if (this.#candles?.interval.unit === unit) this.#candleTake({ unit, candle });
      }
    }
    while (this.#told.size > TOLD_MAX) this.#told.delete(this.#told.keys().next().value);
  }

  #candleTake(told) {
    const change = this.#candles.take(this.#stepOf(told));
    if (change === "late") this.#late ||= setTimeout(() => { this.#late = 0; this.load(false); }, LATE_AFTER_MS);
    if (change !== "new" && change !== "last") return;
    if (change === "new") this.#note("");
    this.#pushed += change === "new" ? 1 : 0;
    this.#dirty ||= requestAnimationFrame(() => this.#paint());
  }

  /** Redraw the newest bar, or all when several came since. */
  #paint() {
    this.#dirty = 0;
    if (!this.#frame) return;
    if (this.#pushed > 1) this.#frame.load(this.#candles.bars, false);
    else this.#frame.touch();
    this.#pushed = 0;
    this.#legend();
  }

  #dirty = 0;

  #legend(bar = this.#frame?.bars.at(-1)) {
    if (!bar || bar.open === undefined) return;
    const whole = this.#frame.bars.findLast((one) => one.time === bar.time);
    const parts = [["O", bar.open], ["H", bar.high], ["L", bar.low], ["C", bar.close]].map(([name, value]) => `<em>${name}</em>${fixed(value)}`);
    const traded = matchMedia("(max-width: 759.98px)").matches ? "" : `<em>Vol</em>${volume(whole?.volume ?? 0)}`;
    this.querySelector("[data-ohlc]").innerHTML = `${this.interval}${parts.join("")}${traded}`;
    const values = this.#frame.indicatorValues();
    this.querySelector(".indicators").hidden = !values;
    if (!values) return;
    this.querySelector("[data-ema]").textContent = fixed(values.ema);
    this.querySelector("[data-vwap-line]").hidden = values.vwap === null;
    if (values.vwap !== null) this.querySelector("[data-vwap]").textContent = fixed(values.vwap);
  }

  #note(text) {
    const note = this.querySelector(".chart-note");
    note.hidden = !text;
    note.textContent = text;
  }

  #summary() {
    const bars = this.#frame.bars.slice(-104);
    if (!bars.length) return;
    const [first, last] = [bars[0], bars.at(-1)];
    const change = ((last.close - first.open) / first.open) * 100;
    this.canvas.setAttribute("aria-label", `${this.getAttribute("name")}, ${bars.length} candles of ${this.interval}: from ${fixed(first.open)} to `
      + `${fixed(last.close)}, ${change >= 0 ? "up" : "down"} ${Math.abs(change).toFixed(2)} percent. Press T for a table.`);
  }

  indicatorsToggle() {
    if (!this.#frame) return true;
    this.#frame.indicatorsShow(!this.#frame.indicators);
    this.#legend();
    return this.#frame.indicators;
  }

  tableToggle() {
    const table = this.querySelector(".chart-table");
    table.hidden = !table.hidden;
    this.#tableFill();
    if (!table.hidden) table.focus();
    return !table.hidden;
  }

  #tableFill() {
    const host = this.querySelector(".chart-table");
    if (host.hidden || !this.#frame) return;
    const when = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", dateStyle: "medium", ...(this.#frame.intraday ? { timeStyle: "short" } : {}) });
    const lines = this.#frame.bars.slice(-TABLE_ROWS).reverse().map((bar) => (
      `<tr><td>${when.format(bar.time * 1000)}</td>${[bar.open, bar.high, bar.low, bar.close].map((value) => `<td>${fixed(value)}</td>`).join("")}<td>${volume(bar.volume)}</td></tr>`));
    host.innerHTML = '<table class="table"><caption class="sr">Bars, newest first</caption><thead><tr>'
      + ["Time ET", "Open", "High", "Low", "Close", "Volume"].map((name) => `<th scope="col">${name}</th>`).join("")
      + `</tr></thead><tbody>${lines.join("")}</tbody></table>`;
  }
}

// A chart that is in the page already tells its interval while it is defined.
document.addEventListener("chart-interval", ({ detail }) => {
  for (const button of document.querySelectorAll("[data-interval]")) {
    const on = button.dataset.interval === detail;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
  }
});

customElements.define("ob-chart", Chart);

const chartNow = () => document.querySelector("ob-chart");

export const intervalChoose = (interval) => chartNow()?.intervalSet(interval);

export function tableToggle() {
  const on = chartNow()?.tableToggle();
  document.querySelector("[data-chart-table]")?.setAttribute("aria-pressed", String(Boolean(on)));
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("button");
  if (!target) return;
  if (target.dataset.interval) intervalChoose(target.dataset.interval);
  if ("chartTable" in target.dataset) tableToggle();
  if ("chartIndicators" in target.dataset) target.setAttribute("aria-pressed", String(chartNow().indicatorsToggle()));
  if ("chartFull" in target.dataset) {
    if (document.fullscreenElement) document.exitFullscreen();
    else target.closest(".chart").requestFullscreen();
  }
});
