/** Figures as strings: exact units for steps and spreads, grouping for display. Money is never a float. */

const SCALE = 4;
const UNITS = 10n ** BigInt(SCALE);
export const MISSING = "—";

/** Read a plain decimal string as integer units of 1/10,000, or null when it is not one. */
export function units(text) {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(String(text ?? "").trim());
  if (!match || (match[3] ?? "").length > 12) return null;
  const fraction = (match[3] ?? "").padEnd(SCALE, "0");
  if (/[1-9]/.test(fraction.slice(SCALE))) return null;
  const whole = BigInt(match[2]) * UNITS + BigInt(fraction.slice(0, SCALE) || "0");
  return match[1] ? -whole : whole;
}

/** Write units as a plain decimal string, in cents or, when finer, in 1/10,000. */
export function plain(value) {
  const size = value < 0n ? -value : value;
  const digits = (size % UNITS).toString().padStart(SCALE, "0");
  const fraction = digits.endsWith("00") ? digits.slice(0, 2) : digits;
  return `${value < 0n ? "-" : ""}${size / UNITS}.${fraction}`;
}

/** Group the digits of a plain decimal string and write a true minus. */
export function grouped(text) {
  const [whole, fraction] = String(text).split(".");
  const body = whole.replace("-", "").replace(/\B(?=(\d{3})+$)/g, ",");
  return `${whole.startsWith("-") ? "−" : ""}${body}${fraction === undefined ? "" : `.${fraction}`}`;
}

/** A server price string as shown: tick precision, grouped. */
export function price(text) {
  const value = units(text);
  return value === null ? MISSING : grouped(plain(value));
}

export function signed(text, suffix = "") {
  if (text === null || text === undefined || text === "") return MISSING;
  const trimmed = String(text);
  const zero = !/[1-9]/.test(trimmed);
  const sign = zero || trimmed.startsWith("-") ? "" : "+";
  return `${sign}${grouped(zero ? trimmed.replace("-", "") : trimmed)}${suffix}`;
}

export function signedPrice(text) {
  const value = units(text);
  return value === null ? MISSING : signed(plain(value));
}

export function direction(text) {
  const trimmed = String(text ?? "");
  if (!/[1-9]/.test(trimmed)) return "";
  return trimmed.startsWith("-") ? "down" : "up";
}

export const arrow = (text) => ({ up: "▲", down: "▼", "": "" })[direction(text)];

export function volume(count) {
  const value = Number(count);
  if (!Number.isFinite(value)) return MISSING;
  for (const [step, unit] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (value >= step) return `${(value / step).toFixed(2)} ${unit}`;
  }
  return String(value);
}

export const count = (value) => grouped(String(value));

/** The middle of bid and ask, rounded down to a whole unit, without a last zero beyond the cents. */
export function middle(bid, ask) {
  const low = units(bid);
  const high = units(ask);
  return low === null || high === null ? null : plain((low + high) / 2n).replace(/(\.\d{3})0$/, "$1");
}

/** The price so many tenths of a per cent from another, rounded down to a whole step; null without a price. */
export function apart(text, tenths, tickText) {
  const from = units(text);
  if (from === null || from <= 0n) return null;
  const tick = units(tickText) ?? 100n;
  const to = from + (from * BigInt(tenths)) / 1000n;
  return to < tick ? null : plain(to - (to % tick));
}

/** Spread in price and in basis points of the middle, both as strings; null when a price is missing or the book is crossed. */
export function spread(bid, ask) {
  const low = units(bid);
  const high = units(ask);
  if (low === null || high === null || high < low || low + high <= 0n) return null;
  const sum = high + low;
  const tenths = ((high - low) * 200000n + sum / 2n) / sum;
  return { price: plain(high - low), points: `${tenths / 10n}.${tenths % 10n}` };
}

/** Where `last` lies between low and high, from 0 to 100: a position on screen, not an amount. */
export function placeBetween(low, last, high) {
  const [from, at, to] = [units(low), units(last), units(high)];
  if (from === null || at === null || to === null || to <= from) return 50;
  return Math.min(100, Math.max(0, Number(((at - from) * 100n) / (to - from))));
}
