/** A copy of one symbol's book, kept by a snapshot and the changes after it; each is verified before it counts. */

const PRICE_DECIMALS = 4;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let rest = byte;
  for (let bit = 0; bit < 8; bit += 1) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  return rest;
});

/** CRC-32 of ASCII text, as zlib has it. */
export function crc32(text) {
  let rest = 0xffffffff;
  for (let n = 0; n < text.length; n += 1) rest = (rest >>> 8) ^ CRC_TABLE[(rest ^ text.charCodeAt(n)) & 0xff];
  return (rest ^ 0xffffffff) >>> 0;
}

/** A price's text as a whole number of 1/10,000 dollar. */
export function units(price) {
  const [whole, part = ""] = String(price).split(".");
  return Number(whole + part.padEnd(PRICE_DECIMALS, "0"));
}

const sideText = (levels) => levels.map(([price, size]) => `${units(price)}:${size}`).join(":");

/** The checksum that the server sends: both sides best first, `price:size` joined by `:`, bids `|` asks. */
export const bookChecksum = (bids, asks) => crc32(`${sideText(bids)}|${sideText(asks)}`);

function changed(levels, changes, sign) {
  const byUnits = new Map(levels.map((level) => [units(level[0]), level]));
  for (const level of changes) {
    if (level[1] === 0) byUnits.delete(units(level[0]));
    else byUnits.set(units(level[0]), level);
  }
  return [...byUnits].sort(([one], [other]) => sign * (one - other)).map(([, level]) => level);
}

export class Book {
  seq = null;
  bids = [];
  asks = [];

  /** Apply a depth frame; false, and nothing changed, when it does not fit and a snapshot is needed. */
  take(frame) {
    if (!frame.snapshot && (this.seq === null || frame.prev !== this.seq)) return false;
    const bids = changed(frame.snapshot ? [] : this.bids, frame.bids, -1);
    const asks = changed(frame.snapshot ? [] : this.asks, frame.asks, 1);
    if (bookChecksum(bids, asks) !== frame.checksum) return false;
    Object.assign(this, { seq: frame.seq, bids, asks });
    return true;
  }
}
