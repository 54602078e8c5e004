// Work that several callers want at once is done once. Each may leave when its own signal says so; the work ends with the last.

interface Work<Value> {
  readonly result: Promise<Value>;
  readonly controller: AbortController;
  waiting: number;
  value?: Value;
}

/** Results by key. A failure is not kept: the next caller begins anew. */
export class JointWork<Key, Value> {
  readonly #works = new Map<Key, Work<Value>>();

  /** What `begin` gives, called only where it is not under way or done. @throws the signal's reason, or what `begin` throws */
  async get(key: Key, signal: AbortSignal, begin: (signal: AbortSignal) => Promise<Value>): Promise<Value> {
    signal.throwIfAborted();
    const work = this.#works.get(key) ?? this.#start(key, begin);
    work.waiting += 1;
    const { promise: left, reject: leave } = Promise.withResolvers<never>();
    let hasLeft = false;
    const onAbort = (): void => {
      hasLeft = true;
      work.waiting -= 1;
      if (work.waiting > 0) return leave(signal.reason);
      // The last one stays until nothing of it is left.
      this.#forget(key, work);
      work.controller.abort(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([work.result, left]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      if (!hasLeft) work.waiting -= 1;
    }
  }

  /** The next caller begins anew; with `value` only where that is still the result. */
  delete(key: Key, value?: Value): void {
    if (value === undefined || this.#works.get(key)?.value === value) this.#works.delete(key);
  }

  /** Forgets all results. */
  clear(): void {
    this.#works.clear();
  }

  #start(key: Key, begin: (signal: AbortSignal) => Promise<Value>): Work<Value> {
    const controller = new AbortController();
    const work: Work<Value> = { result: begin(controller.signal), controller, waiting: 0 };
    this.#works.set(key, work);
    work.result.then(
      (value) => (work.value = value),
      () => this.#forget(key, work),
    );
    return work;
  }

  #forget(key: Key, work: Work<Value>): void {
    if (this.#works.get(key) === work) this.#works.delete(key);
  }
}
