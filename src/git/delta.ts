// A delta's instructions, applied. gitformat-pack(5), "Deltified representation".

/** What `delta` makes of `base`; undefined where it is malformed or meant for another base. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer | undefined {
  let at = 0;
  const size = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = delta[at] ?? 0;
      at += 1;
      value += (byte & 127) * scale;
      if (byte < 128 || at > 20) return value;
    }
  };
  if (size() !== base.length) return undefined;
  const length = size();
  if (length > 1 << 29) return undefined;
  const result = Buffer.allocUnsafe(length);
  let done = 0;
  while (at < delta.length) {
    const code = delta[at] ?? 0;
    at += 1;
    let source = delta;
    let from = at;
    let count = code;
    if (code >= 128) {
      const numbers = readCopy(delta, at, code);
      ({ at, from, count } = numbers);
      source = base;
    } else {
      if (code === 0) return undefined;
      at += count;
    }
    if (from + count > source.length || done + count > length) return undefined;
    source.copy(result, done, from, from + count);
    done += count;
  }
  return done === length ? result : undefined;
}

// Bits 0 to 3 say which bytes of the offset follow, bits 4 to 6 which of the length.
function readCopy(delta: Buffer, start: number, code: number): { readonly at: number; readonly from: number; readonly count: number } {
  let at = start;
  const numbers = [0, 0];
  for (let bit = 0; bit < 7; bit += 1) {
    if ((code & (1 << bit)) === 0) continue;
    const which = bit < 4 ? 0 : 1;
    numbers[which] = (numbers[which] ?? 0) + (delta[at] ?? 0) * 256 ** (bit < 4 ? bit : bit - 4);
    at += 1;
  }
  const [from = 0, count = 0] = numbers;
  return { at, from, count: count === 0 ? 0x10000 : count };
}
