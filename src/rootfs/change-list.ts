// What changed, as a list that costs a few bytes for each of a million files: a change is made when it is asked for.
import type { Change } from './scanned-tree.ts';

export class ChangeList implements Iterable<Change> {
  readonly #at: (number: number) => Change;
  /** How many there are to be had from `#at`. */
  readonly #count: number;
  readonly #order: Uint32Array;

  /** The changes that `at` gives for the numbers below `count`: those of `order`, or all. */
  constructor(at: (number: number) => Change, count: number, order?: Uint32Array) {
    this.#at = at;
    this.#count = count;
    this.#order = order ?? new Uint32Array(count).map((_, number) => number);
  }

  get length(): number {
    return this.#order.length;
  }

  at(index: number): Change {
    return this.#at(this.#order[index] ?? 0);
  }

  filter(keeps: (change: Change, index: number) => boolean): ChangeList {
    const order = this.#order.filter((number, index) => keeps(this.#at(number), index));
    return order.length === this.length ? this : new ChangeList(this.#at, this.#count, order);
  }

  /** These and others in the given order, in which these stand already. */
  mergedWith(others: readonly Change[], compare: (a: Change, b: Change) => number): ChangeList {
    const at = (number: number): Change => others[number - this.#count] ?? this.#at(number);
    const rest = [...others.keys()].sort((a, b) => compare(at(this.#count + a), at(this.#count + b)));
    const order = new Uint32Array(this.length + others.length);
    let [own, other] = [0, 0];
    for (let index = 0; index < order.length; index++) {
      const number = this.#order[own];
      const next = rest[other];
      const isOwn = number !== undefined && (next === undefined || compare(this.#at(number), at(this.#count + next)) <= 0);
      order[index] = isOwn ? number : this.#count + (next ?? 0);
      if (isOwn) own++;
      else other++;
    }
    return new ChangeList(at, this.#count + others.length, order);
  }

  *[Symbol.iterator](): Generator<Change> {
    for (const number of this.#order) yield this.#at(number);
  }
}
