/** <ob-chart>: candles of one symbol, kept current by trades, with a summary and a table for readers. */

import { bus } from "./bus.js";
import { ChartFrame } from "./chart-frame.js";
import { volume } from "./figures.js";

const DAILY = ["1D", "1W"];
const TABLE_ROWS = 200;
const KEEP_BARS = 2000;
/** Bars are built here from trades as they come; now and then the server's own replace them. */
const RESYNC_EVERY_MS = 60000;
const MARKS_EVERY_MS = 250;

const fixed = (value) => value.toFixed(value < 1 ? 4 : 2);
const barOf = (row) => ({ time: row.t, open: Number(row.o), high: Number(row.h), low: Number(row.l), close: Number(row.c), volume: row.v });

function legendBuild(host) {
  host.innerHTML = '<div class="legend" aria-hidden="true"><span data-ohlc></span><div class="indicators">'
    + '<i class="ema"></i>EMA 20 <b data-ema></b><span data-vwap-line><i class="vwap"></i>VWAP <b data-vwap></b></span></div></div>'
    + '<div class="chart-canvas" role="img" aria-label="Price chart, loading" tabindex="-1"></div><div class="empty chart-note" hidden></div>'
    + '<div class="chart-table" hidden tabindex="0" role="region" aria-label="Bars as a table"></div>';
}

class Chart extends HTMLElement {
  #frame = null;
  #reply = null;
  #loading = 0;
  #asOf = 0;
  #resync = 0;
  #marksBusy = false;
  #marksStale = false;

  connectedCallback() {
    this.symbol = this.getAttribute("symbol");
    this.interval = sessionStorage.getItem("chart-interval") ?? "5m";
    legendBuild(this);
    this.canvas = this.querySelector(".chart-canvas");
    this.listeners = [
      [bus, "trades", ({ detail }) => detail.symbol === this.symbol && detail.trades.forEach((trade) => this.#trade(trade))],
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
    this.#asOf = Date.parse(reply.as_of);
    const bars = reply.bars.map(barOf);
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

  #bucketOf(instant) {
    const wall = Math.floor(Date.parse(instant) / 1000) + this.#reply.offset_s;
    if (this.interval === "1W") return this.#frame.bars.at(-1)?.time ?? wall;
    return Math.floor(wall / this.#reply.interval_s) * this.#reply.interval_s;
  }

  #trade(trade) {
    if (!this.#frame || !this.#reply) return;
    const [at, value, size] = [this.#bucketOf(trade.t), Number(trade.price), Number(trade.size)];
    const bars = this.#frame.bars;
    const bar = bars.at(-1);
    if (Date.parse(trade.t) <= this.#asOf || (bar && at < bar.time)) return;
    if (!bar || at > bar.time) {
      bars.push({ time: at, open: value, high: value, low: value, close: value, volume: size });
      if (bars.length > KEEP_BARS) bars.shift();
      this.#note("");
    } else {
      Object.assign(bar, { high: Math.max(bar.high, value), low: Math.min(bar.low, value), close: value, volume: bar.volume + size });
    }
    this.#dirty ||= requestAnimationFrame(() => { this.#dirty = 0; this.#frame?.touch(); this.#legend(); });
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

customElements.define("ob-chart", Chart);

const chartNow = () => document.querySelector("ob-chart");

export const intervalChoose = (interval) => chartNow()?.intervalSet(interval);

export function tableToggle() {
  const on = chartNow()?.tableToggle();
  document.querySelector("[data-chart-table]")?.setAttribute("aria-pressed", String(Boolean(on)));
}

document.addEventListener("chart-interval", ({ detail }) => {
  for (const button of document.querySelectorAll("[data-interval]")) {
    const on = button.dataset.interval === detail;
    button.setAttribute("aria-checked", String(on));
    button.tabIndex = on ? 0 : -1;
  }
});

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
