// A map that is added to step by step, while whoever has an earlier state of it still sees that: a copy for each of thousands of
// settings would be a minute of nothing else.

/** A value, and the state of the map that it came with. */
interface Since<Value> {
  readonly state: number;
  readonly value: Value;
}

/** What all states have in common. States only ever add to it. */
interface Shared<Value> {
  readonly values: Map<string, Since<Value>[]>;
  newest: number;
}

/** Never changes; `with` gives the next state. Keys come in the order in which they were added first, as in a Map. */
export class GrownMap<Value> implements ReadonlyMap<string, Value> {
  readonly size: number;
  readonly #shared: Shared<Value>;
  readonly #state: number;

  private constructor(shared: Shared<Value>, size: number) {
    this.#shared = shared;
    this.#state = shared.newest;
    this.size = size;
  }

  /** The map with these in it. In steady growth that takes no longer than they do; of an earlier state a copy is made. */
  static with<Value>(map: ReadonlyMap<string, Value>, added: Iterable<readonly [string, Value]>): GrownMap<Value> {
    const isNewest = map instanceof GrownMap && map.#isNewest();
    const shared: Shared<Value> = isNewest ? map.#shared : { values: new Map(), newest: 0 };
    if (!isNewest) for (const [key, value] of map) shared.values.set(key, [{ state: 0, value }]);
    const state = ++shared.newest;
    for (const [key, value] of added) {
      const values = shared.values.get(key);
      if (values === undefined) shared.values.set(key, [{ state, value }]);
      else values.push({ state, value });
    }
    return new GrownMap(shared, shared.values.size);
  }

  get(key: string): Value | undefined {
    return this.#find(this.#shared.values.get(key))?.value;
  }

  has(key: string): boolean {
    return this.#find(this.#shared.values.get(key)) !== undefined;
  }

  *entries(): MapIterator<[string, Value]> {
    for (const [key, values] of this.#shared.values) {
      const found = this.#find(values);
      // What comes behind was added even later.
      if (found === undefined) return;
      yield [key, found.value];
    }
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries();
  }

  forEach(use: (value: Value, key: string, map: ReadonlyMap<string, Value>) => void): void {
    for (const [key, value] of this) use(value, key, this);
  }

  #isNewest(): boolean {
    return this.#state === this.#shared.newest;
  }

  #find(values: readonly Since<Value>[] | undefined): Since<Value> | undefined {
    return values?.findLast(({ state }) => state <= this.#state);
  }
}
